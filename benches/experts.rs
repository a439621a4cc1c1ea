//! Ten experts as ten processes, each deciding as fast as it can on one store. Prints decisions a second and how long a commit
//! takes, and fails if one is lost, or given twice where the protocol gives each sentence to one.
//!
//! `cargo bench --bench experts -- [SECONDS] [EXPERTS]`; a minute and ten by default.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use goldsmith::domain::corpus::{NewDocument, Origin, PatientKey};
use goldsmith::domain::label::{Annotator, Judgement, Label};
use goldsmith::domain::text::Span;
use goldsmith::workflow::export::gold;
use goldsmith::workflow::project::{Project, init};
use goldsmith::workflow::protocol;
use goldsmith::workflow::review::{self, Worklist};

/// Names the project's folder, the expert and the seconds to whoever is started as an expert.
const ROLE: &str = "GOLDSMITH_BENCH_EXPERT";

fn main() {
    if let Ok(role) = std::env::var(ROLE) {
        let mut parts = role.split('\n');
        let (folder, who) = (parts.next().expect("a folder"), parts.next().expect("a name"));
        let seconds = parts.next().and_then(|s| s.parse().ok()).expect("seconds");
        return expert(folder, who, Duration::from_secs(seconds));
    }
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let (seconds, experts) = (numbers.next().unwrap_or(60), numbers.next().unwrap_or(10));
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("study");
    let names: Vec<String> = (0..experts).map(|n| format!("expert{n}")).collect();
    make(&root, &names);

    let program = std::env::current_exe().expect("this program");
    let start = Instant::now();
    let running: Vec<_> = names
        .iter()
        .map(|name| {
            Command::new(&program)
                .env(ROLE, format!("{}\n{name}\n{seconds}", root.display()))
                .stdout(Stdio::piped())
                .spawn()
                .expect("an expert")
        })
        .collect();
    let mut commits: Vec<u64> = Vec::new();
    for child in running {
        let said = child.wait_with_output().expect("an expert's end");
        assert!(said.status.success(), "an expert failed");
        commits.extend(String::from_utf8_lossy(&said.stdout).lines().filter_map(|line| line.parse::<u64>().ok()));
    }
    let took = start.elapsed().as_secs_f64();
    commits.sort_unstable();

    let project = Project::read(&root, Some("nobody")).expect("the project");
    let mut store = project.store().expect("the store");
    let votes = gold::export(&project, &mut store, true).expect("the labels").lines;
    let sentences: BTreeSet<&str> = votes.iter().map(|line| line.id.as_str()).collect();
    assert_eq!(votes.len(), commits.len(), "decisions were lost");
    assert_eq!(sentences.len(), votes.len(), "a sentence was decided twice");
    let audited = store.audit(None).expect("an audit");
    assert!(audited.tampering.is_empty() && audited.events == commits.len() as u64);
    let at = |share: f64| commits[((commits.len() - 1) as f64 * share) as usize] as f64 / 1000.0;
    println!(
        "{experts} processes on one store, {took:.0} s: {} decisions, {:.0} a second",
        commits.len(),
        commits.len() as f64 / took
    );
    println!("a commit: median {:.1} ms, 99 % {:.1} ms, longest {:.1} ms", at(0.5), at(0.99), at(1.0));
    println!("none lost, none given twice, the chain holds");
}

fn make(root: &std::path::Path, names: &[String]) {
    init(root, "ad-signs").expect("a project");
    let file = root.join("goldsmith.toml");
    let text = std::fs::read_to_string(&file).expect("the project file");
    let people = names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    std::fs::write(&file, text.replace("annotators = []", &format!("annotators = [{people}]"))).expect("a protocol");
    let project = Project::read(root, Some("nobody")).expect("the project");
    let mut store = project.store().expect("the store");
    let notes: Vec<NewDocument> = (0..4_000)
        .map(|n| {
            let mut text = String::new();
            let mut sentences = Vec::new();
            for i in 0..20 {
                let start = text.len();
                text.push_str(&format!("Sentence {i} of note {n}."));
                sentences.push(Span { start, end: text.len() });
                text.push(' ');
            }
            NewDocument {
                patient: PatientKey(format!("p{}", n % 400)),
                external_id: n.to_string(),
                title: String::new(),
                kind: String::new(),
                date: String::new(),
                source: "bench".into(),
                text,
                sentences,
            }
        })
        .collect();
    store.insert_documents(&notes, Origin::Real, &project.file.split).expect("notes");
    protocol::assign(&project, &mut store, false).expect("seats");
}

/// Decides as fast as it can; prints the microseconds of each commit.
fn expert(folder: &str, who: &str, time: Duration) {
    let project = Project::read(std::path::Path::new(folder), Some(who)).expect("the project");
    assert_eq!(project.annotator, Annotator(who.into()));
    let mut store = project.store().expect("the store");
    let all = Worklist::Review.all(&project);
    let start = Instant::now();
    let (mut from, mut commits) = (None, Vec::new());
    while start.elapsed() < time {
        let Some(id) = review::next_open(&project, &store, Worklist::Review, &all, from).expect("the queue") else {
            break;
        };
        let item = review::item(&project, &store, Worklist::Review, id).expect("a sentence");
        let category = &project.taxonomy.categories()[commits.len() % 9];
        let judgement = Judgement { label: Some(Label::of(category.key.clone())), ..Judgement::default() };
        let begun = Instant::now();
        let taking = review::Taking { judgement, took: Some(1_000), besides: Default::default() };
        review::decide(&project, &mut store, &item, taking).expect("a decision");
        commits.push(begun.elapsed().as_micros());
        from = Some(id);
    }
    commits.iter().for_each(|micros| println!("{micros}"));
}
