//! Two sites with a hundred thousand decisions each, bundled and merged into a third: seconds, and peak memory.
//!
//! `GOLDSMITH_BENCH_DECISIONS` makes it smaller.

use std::path::{Path, PathBuf};
use std::time::Instant;

use goldsmith::domain::corpus::{NewDocument, Origin, PatientKey, SentenceId};
use goldsmith::domain::label::{
    Annotator, Decision, EntryId, Judgement, Label, NewProposal, Outcome, Run, RunId, RunKind, Source, Timestamp,
};
use goldsmith::domain::sight::{Cue, InSight};
use goldsmith::domain::text::Span;
use goldsmith::store::{SeekDirection, Store};
use goldsmith::workflow::bundle::{self, BundleOptions, MergeOptions};
use goldsmith::workflow::project::{Project, init};
use goldsmith::workflow::session::Session;
use goldsmith::workflow::{Cancel, Progress, audit};

const SENTENCES_A_NOTE: u64 = 20;

fn project(folder: &Path, name: &str) -> Project {
    init(&folder.join(name), "ad-signs").expect("makes a project");
    Project::read(&folder.join(name), Some("ann")).expect("reads")
}

fn notes(project: &Project, store: &mut Store, sentences: u64) {
    for chunk in (0..sentences / SENTENCES_A_NOTE).collect::<Vec<_>>().chunks(500) {
        let documents: Vec<NewDocument> = chunk
            .iter()
            .map(|note| {
                let (mut text, mut spans) = (String::new(), Vec::new());
                for i in 0..SENTENCES_A_NOTE {
                    let start = text.len();
                    text += &format!("Patient {note} reports memory loss since spring, and falls at night, {i} times.");
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
}

/// Every sentence proposed for by a model and decided by an expert, half of the time having seen it.
fn decide(project: &Project, store: &mut Store, site: &str, expert: &str, decisions: u64) {
    let run = Run {
        id: RunId(format!("00000000-{site}")),
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
    let labels: Vec<Label> =
        project.taxonomy.categories().iter().map(|c| Label::of(c.key.clone())).chain([Label::none()]).collect();
    let taxonomy = project.taxonomy.hash();
    for chunk in (1..=decisions as i64).collect::<Vec<_>>().chunks(5_000) {
        let proposals: Vec<NewProposal> = chunk
            .iter()
            .map(|n| NewProposal {
                probabilities: vec![0.1; labels.len()],
                ..NewProposal::bare(SentenceId(*n), labels[(n * 3 % 10) as usize].clone())
            })
            .collect();
        store.propose(&run.id, Source::Llm, &proposals).expect("proposes");
        let decisions: Vec<Decision> = chunk
            .iter()
            .map(|n| {
                let visible = n % 2 == 0;
                let shift = i64::from(expert == "ben" && n % 10 == 0);
                let label = Some(labels[((n * 7 + shift) % 10) as usize].clone());
                Decision {
                    id: EntryId(format!("{site}-{n:020}")),
                    at: Timestamp(1_760_000_000_000 + n),
                    annotator: Annotator(expert.into()),
                    sentence: SentenceId(*n),
                    judgement: Judgement { label, ..Judgement::default() },
                    took: Some(4_000),
                    in_sight: Some(InSight::NOTHING.with_if(Cue::Machine, visible)),
                    proposal: visible.then(|| store.proposals(SentenceId(*n)).expect("reads")[0].id),
                    taxonomy: taxonomy.clone(),
                    supersedes: None,
                }
            })
            .collect();
        store.append_decisions(&decisions).expect("appends");
    }
    assert!(
        store.seek(&Default::default(), &project.annotator, None, SeekDirection::Forward).expect("seeks").is_some()
    );
}

/// The most memory held so far, and from now on.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map_or("unknown", str::trim).to_owned();
    // Linux counts anew after this.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    peak
}

fn main() {
    let decisions = std::env::var("GOLDSMITH_BENCH_DECISIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let silent = &mut |_: Progress| {};
    let mut bundles: Vec<PathBuf> = Vec::new();
    for (site, expert) in [("ward", "ann"), ("clinic", "ben")] {
        let project = project(folder.path(), site);
        let mut store = project.store().expect("opens");
        notes(&project, &mut store, decisions);
        decide(&project, &mut store, site, expert, decisions);
        let out = folder.path().join(format!("{site}.gz"));
        peak();
        let start = Instant::now();
        let options = BundleOptions { out: out.clone(), ..BundleOptions::default() };
        let written =
            bundle::write(Session::new(&project, &mut store, &Cancel::default(), silent), &options).expect("writes");
        println!(
            "bundle of {} events: {:.1} s, {:.1} MB, peak memory {}",
            written.events,
            start.elapsed().as_secs_f64(),
            std::fs::metadata(&out).expect("is there").len() as f64 / 1e6,
            peak()
        );
        bundles.push(out);
    }
    let project = project(folder.path(), "hub");
    let mut store = project.store().expect("opens");
    notes(&project, &mut store, decisions);
    drop(store);
    let mut store = project.store().expect("opens");
    for again in ["", " again"] {
        peak();
        let start = Instant::now();
        let (mut new, mut known, mut disputed) = (0, 0, 0);
        for file in &bundles {
            let options = MergeOptions { file: file.clone(), trust: true, ..MergeOptions::default() };
            let taken = bundle::take_in(Session::new(&project, &mut store, &Cancel::default(), silent), &options)
                .expect("takes it in");
            new += taken.merged.new;
            known += taken.merged.known;
            disputed = taken.disputed;
        }
        println!(
            "merge of both{again}: {:.1} s, {new} new, {known} known, {disputed} disputed, peak memory {}",
            start.elapsed().as_secs_f64(),
            peak()
        );
    }
    let start = Instant::now();
    let verdict = audit::look(&project, &mut store, None).expect("looks");
    assert!(verdict.wrong.is_empty(), "{:?}", verdict.wrong);
    println!(
        "audit of {} events: {:.1} s, peak memory {}",
        verdict.audited.events,
        start.elapsed().as_secs_f64(),
        peak()
    );
}
