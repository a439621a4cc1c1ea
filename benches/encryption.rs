//! What encryption at rest costs: import, commit of a decision, opening and search, on a plain store and on an encrypted one,
//! in turns in one run. `GOLDSMITH_BENCH_SENTENCES` says how many sentences (100,000).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use goldsmith::domain::corpus::SentenceId;
use goldsmith::domain::label::{Annotator, Decision, EntryId, Judgement, Label, Timestamp};
use goldsmith::domain::queue::SentenceFilter;
use goldsmith::domain::sight::InSight;
use goldsmith::store::SeekDirection;
use goldsmith::workflow::Cancel;
use goldsmith::workflow::import::{self, ImportOptions, Unit};
use goldsmith::workflow::project::{Project, init};
use goldsmith::workflow::session::Session;

/// The machines are shared and noisy: plain and encrypted run in turn this often, and the median counts.
const ROUNDS: usize = 5;
const DECISIONS: usize = 200;

const WORDS: [&str; 16] = [
    "patient",
    "reports",
    "memory",
    "loss",
    "since",
    "spring",
    "daughter",
    "worried",
    "about",
    "falls",
    "steady",
    "blood",
    "pressure",
    "takes",
    "donepezil",
    "nightly",
];

fn notes(folder: &Path, sentences: u64) -> PathBuf {
    let mut text = String::new();
    for n in 0..sentences {
        let words: Vec<&str> = (0..10).map(|i| WORDS[((n * 31 + i * i * 7 + n / 16) % 16) as usize]).collect();
        let _ = writeln!(text, r#"{{"id": "{n}", "patient": "p{}", "text": "{} {n}."}}"#, n % 500, words.join(" "));
    }
    let path = folder.join("notes.jsonl");
    std::fs::write(&path, text).expect("writes");
    path
}

/// Seconds, by what was measured.
type Times = Vec<(&'static str, f64)>;

fn measure(root: &Path, notes: &Path, sentences: u64) -> Times {
    let project = Project::read(root, Some("ann")).expect("reads");
    let mut times = Times::new();
    let start = Instant::now();
    let mut store = project.store().expect("opens");
    times.push(("opening", start.elapsed().as_secs_f64()));
    let options = ImportOptions {
        paths: vec![notes.into()],
        unit: Unit::Sentence,
        stop_on_error: true,
        ..ImportOptions::default()
    };
    let start = Instant::now();
    let report = import::import(Session::new(&project, &mut store, &Cancel::default(), &mut |_| {}), &options);
    assert_eq!(report.expect("imports").sentences, sentences);
    times.push(("import with the full-text index", start.elapsed().as_secs_f64()));
    let mut each: Vec<Duration> = (0..DECISIONS)
        .map(|n| {
            let decision = Decision {
                id: EntryId(format!("{n:08}")),
                at: Timestamp(0),
                annotator: Annotator("ann".into()),
                sentence: SentenceId(n as i64 * 97 % sentences as i64 + 1),
                judgement: Judgement { label: Some(Label::none()), ..Judgement::default() },
                took: None,
                in_sight: Some(InSight::NOTHING),
                proposal: None,
                taxonomy: String::new(),
                supersedes: None,
            };
            let start = Instant::now();
            store.append_decisions(&[decision]).expect("appends");
            start.elapsed()
        })
        .collect();
    each.sort_unstable();
    times.push(("commit of a decision, median", each[DECISIONS / 2].as_secs_f64()));
    times.push(("commit of a decision, 99 %", each[DECISIONS * 99 / 100].as_secs_f64()));
    drop(store);
    // From the file, not from what the import left in memory.
    let store = project.store().expect("opens");
    for (what, text) in [("search for a common word, with its count", "donepezil"), ("search for a number", "77777")] {
        let filter = SentenceFilter { text: text.into(), ..SentenceFilter::default() };
        let who = Annotator("ann".into());
        let start = Instant::now();
        store.page(&filter, &who, None, SeekDirection::Forward, 50).expect("searches");
        store.count(&filter, &who, 10_000).expect("counts");
        times.push((what, start.elapsed().as_secs_f64()));
    }
    times
}

fn main() {
    let sentences = std::env::var("GOLDSMITH_BENCH_SENTENCES").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (notes, key) = (notes(folder.path(), sentences), folder.path().join("store.key"));
    let kinds =
        [("plain", None), ("raw key", Some("0f".repeat(32))), ("passphrase", Some("correct horse battery".into()))];
    let mut all: Vec<Vec<Times>> = vec![Vec::new(); kinds.len()];
    for round in 0..ROUNDS {
        for (kind, (name, secret)) in kinds.iter().enumerate() {
            let root = folder.path().join(format!("{kind}-{round}"));
            let file = init(&root, "ad-signs").expect("makes a project");
            if let Some(secret) = secret {
                std::fs::write(&key, secret).expect("writes");
                #[cfg(unix)]
                {
                    use std::os::unix::fs::PermissionsExt;
                    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("is the owner's");
                }
                let text = std::fs::read_to_string(&file).expect("reads");
                let setting = format!("[encryption]\nkey = {{ file = {key:?} }}\n");
                std::fs::write(&file, text.replace("[encryption]\n", &setting)).expect("writes");
                let project = Project::read(&root, Some("ann")).expect("reads");
                goldsmith::workflow::encryption::encrypt(&project).expect("encrypts");
            }
            eprintln!("round {round}: {name}");
            all[kind].push(measure(&root, &notes, sentences));
            std::fs::remove_dir_all(&root).expect("removes");
        }
    }
    println!("{sentences} sentences, median of {ROUNDS} rounds in turn, milliseconds");
    println!("| | {} |", kinds.map(|(name, _)| name).join(" | "));
    for step in 0..all[0][0].len() {
        let median = |rounds: &Vec<Times>| {
            let mut of: Vec<f64> = rounds.iter().map(|times| times[step].1 * 1e3).collect();
            of.sort_by(f64::total_cmp);
            format!("{:.2}", of[ROUNDS / 2])
        };
        println!("| {} | {} |", all[0][0][step].0, all.iter().map(median).collect::<Vec<_>>().join(" | "));
    }
}
