//! The workbench and the import at size: a million sentences and a hundred thousand decisions.
//!
//! Prints the times of start to first frame, decision + commit + next sentence + frame, metrics refresh, and full-text
//! search; and rows a second of importing pre-split jsonl beside the `sqlite3` shell's own `.import` of the same rows into a
//! bare table, in turn in one run. `GOLDSMITH_BENCH_SENTENCES` makes it smaller, `GOLDSMITH_BENCH_DESK` leaves the import out.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use goldsmith::domain::corpus::{NewDocument, Origin, PatientKey, SentenceId};
use goldsmith::domain::label::{
    Annotator, Decision, EntryId, Judgement, Label, NewProposal, Outcome, Run, RunId, RunKind, Source, Timestamp,
};
use goldsmith::domain::statistics::Bootstrap;
use goldsmith::domain::text::Span;
use goldsmith::tui::Headless;
use goldsmith::workflow::import::{self, ImportOptions, Unit};
use goldsmith::workflow::label_index::LabelIndex;
use goldsmith::workflow::project::{Project, init};
use goldsmith::workflow::session::Session;
use goldsmith::workflow::{Cancel, Progress, scores};

/// The machines are shared and noisy: ours and theirs run in turn this often, and the median counts.
const ROUNDS: usize = 5;

const WORDS: &[&str] = &[
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
    "gait",
    "steady",
    "blood",
    "pressure",
    "normal",
    "denies",
    "chest",
    "pain",
    "takes",
    "donepezil",
    "nightly",
    "sleeps",
    "poorly",
    "forgets",
    "names",
    "review",
    "weeks",
    "continue",
    "medication",
    "weight",
    "stable",
];

/// A sentence of some ten words, the same for the same number.
fn sentence(n: u64) -> String {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::new();
    for i in 0..8 + n % 6 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        let word = WORDS[(x % WORDS.len() as u64) as usize];
        let _ = write!(text, "{}{word}", if i == 0 { "" } else { " " });
    }
    let _ = write!(text, " {n}.");
    text
}

fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * share) as usize]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn fill(project: &Project, sentences: u64) {
    let mut store = project.store().expect("opens");
    let per_note = 20;
    let notes = sentences / per_note;
    for chunk in (0..notes).collect::<Vec<_>>().chunks(500) {
        let documents: Vec<NewDocument> = chunk
            .iter()
            .map(|note| {
                let (mut text, mut spans) = (String::new(), Vec::new());
                for i in 0..per_note {
                    let start = text.len();
                    text += &sentence(note * per_note + i);
                    spans.push(Span { start, end: text.len() });
                    text.push('\n');
                }
                NewDocument {
                    patient: PatientKey(format!("p{}", note % 5_000)),
                    external_id: note.to_string(),
                    title: String::new(),
                    kind: String::new(),
                    date: String::new(),
                    source: "bench".into(),
                    text,
                    sentences: spans,
                }
            })
            .collect();
        store.insert_documents(&documents, Origin::Real, &project.file.split).expect("inserts");
    }
    import::index(&mut store, &Cancel::default(), &mut |_: Progress| {}).expect("indexes");
    let keys: Vec<Label> =
        project.taxonomy.categories().iter().map(|c| Label::of(c.key.clone())).chain([Label::none()]).collect();
    let run = Run {
        id: RunId("00000000-bench".into()),
        kind: RunKind::Label,
        model: "bench".into(),
        config: "{}".into(),
        taxonomy: String::new(),
        started: Timestamp(0),
        finished: None,
        outcome: Outcome::Finished,
        scores: String::new(),
    };
    store.put_run(&run).expect("writes");
    let decisions = sentences / 10;
    for chunk in (1..=decisions as i64).collect::<Vec<_>>().chunks(5_000) {
        let made: Vec<Decision> = chunk
            .iter()
            .map(|n| Decision {
                id: EntryId(format!("{n:020}")),
                at: Timestamp(*n),
                annotator: Annotator(if n % 2 == 0 { "ann" } else { "ben" }.into()),
                sentence: SentenceId(*n),
                judgement: Judgement { label: Some(keys[(n * 7 % 10) as usize].clone()), ..Judgement::default() },
                took: Some(4_000),
                in_sight: Some(goldsmith::domain::sight::InSight::NOTHING),
                proposal: None,
                taxonomy: String::new(),
                supersedes: None,
            })
            .collect();
        store.append_decisions(&made).expect("appends");
        let proposals: Vec<NewProposal> = chunk
            .iter()
            .map(|n| {
                let label = keys[(n * 7 % 10 + i64::from(n % 5 == 0)) as usize % 10].clone();
                NewProposal::bare(SentenceId(*n), label)
            })
            .collect();
        store.propose(&run.id, Source::Llm, &proposals).expect("proposes");
    }
}

/// Each workbench that was opened and left has threads that end at their next safe point; nobody has ten of them open.
fn wait_for_those_that_were_left() {
    let threads = || std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    while threads() > 1 {
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn workbench(folder: &Path, sentences: u64) {
    let root = folder.join("large");
    init(&root, "ad-signs").expect("makes a project");
    let project = || Project::read(&root, Some("ann")).expect("reads");
    let start = Instant::now();
    fill(&project(), sentences);
    println!("{sentences} sentences, {} decisions, made in {:.0} s", sentences / 10, start.elapsed().as_secs_f64());

    let mut first: Vec<Duration> = (0..10)
        .map(|_| {
            let start = Instant::now();
            let workbench = Headless::open(project(), 120, 40).expect("opens");
            assert!(workbench.text().contains("decided"));
            start.elapsed()
        })
        .collect();
    println!(
        "start to first frame:                   median {:7.2} ms, worst {:7.2} ms",
        ms(percentile(&mut first, 0.5)),
        ms(percentile(&mut first, 1.0))
    );

    wait_for_those_that_were_left();
    let mut opened = Headless::open(project(), 120, 40).expect("opens");
    opened.wait_for_metrics();
    let mut times: Vec<Duration> = (0..1_000)
        .map(|i| {
            let key = ["0", "1", "3", "9"][i % 4];
            let start = Instant::now();
            opened.press(&[key]);
            start.elapsed()
        })
        .collect();
    println!(
        "decision, commit, next sentence, frame: median {:7.2} ms, 99 % {:7.2} ms (while the metrics follow)",
        ms(percentile(&mut times, 0.5)),
        ms(percentile(&mut times, 0.99))
    );
    drop(opened);

    let (project, mut store) = (project(), project().store().expect("opens"));
    let mut index = LabelIndex::default();
    let start = Instant::now();
    index.refresh(&project, &store).expect("reads");
    println!("metrics, first reading of everything:          {:7.2} ms", ms(start.elapsed()));
    let run = index.latest(Source::Llm).cloned().expect("a run");
    let mut times: Vec<Duration> = (0..30)
        .map(|i| {
            let decision = Decision {
                id: EntryId(format!("9{i:019}")),
                at: Timestamp(0),
                annotator: Annotator("cid".into()),
                sentence: SentenceId(i + 1),
                judgement: Judgement { label: Some(Label::none()), ..Judgement::default() },
                took: None,
                in_sight: Some(goldsmith::domain::sight::InSight::NOTHING),
                proposal: None,
                taxonomy: String::new(),
                supersedes: None,
            };
            store.append_decisions(&[decision]).expect("appends");
            let start = Instant::now();
            index.refresh(&project, &store).expect("reads");
            scores::score(&project, &index, &run, Bootstrap::default()).expect("scores");
            start.elapsed()
        })
        .collect();
    println!(
        "metrics refresh with intervals:         median {:7.2} ms, worst {:7.2} ms",
        ms(percentile(&mut times, 0.5)),
        ms(percentile(&mut times, 1.0))
    );

    let ann = Annotator("ann".into());
    for text in ["forgets names", "memory loss", "donepe", "777777", "patient", "nowhere"] {
        let filter = goldsmith::domain::queue::SentenceFilter { text: text.into(), ..Default::default() };
        let start = Instant::now();
        let page = store.page(&filter, &ann, None, goldsmith::store::SeekDirection::Forward, 50).expect("searches");
        let paged = start.elapsed();
        let count = store.count(&filter, &ann, 10_000).expect("counts");
        println!(
            "search `{text}`: first {} in {:6.2} ms, with the count of {count} in {:6.2} ms",
            page.len(),
            ms(paged),
            ms(start.elapsed())
        );
    }
}

/// Seconds until the rows are stored, and until they are in the full-text index too.
fn import_ours(folder: &Path, rows: u64, jsonl: &Path) -> (f64, f64) {
    let root = folder.join("imported");
    init(&root, "ad-signs").expect("makes a project");
    let project = Project::read(&root, Some("ann")).expect("reads");
    let mut store = project.store().expect("opens");
    let options = ImportOptions {
        paths: vec![jsonl.into()],
        unit: Unit::Sentence,
        stop_on_error: true,
        ..ImportOptions::default()
    };
    let start = Instant::now();
    let mut stored = None;
    let report = import::import(
        Session::new(&project, &mut store, &Cancel::default(), &mut |progress| {
            if let Progress::Started { what, .. } = progress
                && what.starts_with("indexing")
            {
                stored = Some(start.elapsed().as_secs_f64());
            }
        }),
        &options,
    )
    .expect("imports");
    assert_eq!(report.sentences, rows);
    drop(store);
    std::fs::remove_dir_all(root).expect("removes");
    (stored.expect("indexes"), start.elapsed().as_secs_f64())
}

/// Seconds that the `sqlite3` shell takes for the same rows; `None` where it is not installed.
fn import_theirs(folder: &Path, csv: &Path) -> Option<f64> {
    let bare = folder.join("bare.db");
    let script =
        format!(".mode csv\nCREATE TABLE rows (id TEXT, patient TEXT, text TEXT);\n.import {} rows\n", csv.display());
    let start = Instant::now();
    let mut child = Command::new("sqlite3").arg(&bare).stdin(std::process::Stdio::piped()).spawn().ok()?;
    child.stdin.take().expect("piped").write_all(script.as_bytes()).expect("writes");
    assert!(child.wait().expect("ends").success());
    let took = start.elapsed().as_secs_f64();
    std::fs::remove_file(bare).expect("removes");
    Some(took)
}

fn import_rate(folder: &Path, rows: u64) {
    let (jsonl, csv) = (folder.join("rows.jsonl"), folder.join("rows.csv"));
    let mut json = std::io::BufWriter::new(std::fs::File::create(&jsonl).expect("creates"));
    let mut table = std::io::BufWriter::new(std::fs::File::create(&csv).expect("creates"));
    for n in 0..rows {
        let text = sentence(n);
        writeln!(json, "{{\"id\": \"{n}\", \"patient\": \"p{}\", \"text\": \"{text}\"}}", n % 5_000).expect("writes");
        writeln!(table, "{n},p{},\"{text}\"", n % 5_000).expect("writes");
    }
    json.flush().expect("writes");
    table.flush().expect("writes");
    let (mut stored, mut indexed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (ours, with_index) = import_ours(folder, rows, &jsonl);
        let Some(theirs) = import_theirs(folder, &csv) else {
            return println!("sqlite3 is not installed: no comparison; {:.0} rows/s", rows as f64 / ours);
        };
        println!(
            "import of {rows} rows: {:.0} rows/s, with the full-text index {:.0}; sqlite3 .import {:.0}",
            rows as f64 / ours,
            rows as f64 / with_index,
            rows as f64 / theirs
        );
        stored.push(theirs / ours);
        indexed.push(theirs / with_index);
    }
    stored.sort_by(f64::total_cmp);
    indexed.sort_by(f64::total_cmp);
    println!("rows/s, ours / theirs, median: {:.2}, with the index {:.2}", stored[ROUNDS / 2], indexed[ROUNDS / 2]);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map_or("unknown", str::trim);
    println!("peak memory so far: {peak}");
}

fn main() {
    let sentences = std::env::var("GOLDSMITH_BENCH_SENTENCES").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    if std::env::var_os("GOLDSMITH_BENCH_DESK").is_none() {
        import_rate(folder.path(), sentences / 2);
    }
    workbench(folder.path(), sentences);
}
