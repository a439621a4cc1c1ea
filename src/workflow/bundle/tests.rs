//! What travels and what stays.

use super::*;
use crate::domain::corpus::SentenceId;
use crate::domain::label::{Confidence, ConfidenceKind, Decision, EntryId, Judgement, Label, NewProposal, Source};
use crate::domain::sight::{Cue, InSight};
use crate::domain::text::Span;
use crate::factory;
use crate::workflow::project::init;
use crate::workflow::session::Session;

const NOTE: &str = "She forgets names. He is well.";

fn project(folder: &Path, name: &str) -> (Project, Store) {
    let root = folder.join(name);
    init(&root, "ad-signs").unwrap();
    let project = Project::read(&root, Some("ann")).unwrap();
    let mut store = project.store().unwrap();
    let note = NewDocument {
        title: "a visit".into(),
        source: "notes".into(),
        text: NOTE.into(),
        sentences: vec![Span { start: 0, end: 18 }, Span { start: 19, end: 30 }],
        ..factory::empty_note("p", "n1")
    };
    let plan = &project.file.split;
    store.insert_documents(std::slice::from_ref(&note), Origin::Real, plan).unwrap();
    import::index(&mut store, &Cancel::default(), &mut |_| {}).unwrap();
    (project, store)
}

/// A site with a model's label, and an expert's who has seen it; everything but the labels quotes the note.
fn ward(folder: &Path) -> (Project, Store) {
    let (project, _) = project(folder, "ward");
    let guideline = std::fs::read_to_string(&project.file.taxonomy).unwrap();
    let quoting = guideline.replacen("examples = [", "examples = [\"She forgets names.\", ", 1);
    std::fs::write(&project.file.taxonomy, quoting).unwrap();
    let project = Project::read(&project.folder, Some("ann")).unwrap();
    let mut store = project.store().unwrap();
    let run = Run {
        config: json!({ "turns": ["She forgets names."] }).to_string(),
        taxonomy: project.taxonomy.hash(),
        started: Timestamp(1),
        scores: json!({ "worst": "She forgets names." }).to_string(),
        ..factory::run("r1", RunKind::Label)
    };
    store.put_run(&run).unwrap();
    let memory = Label::parse("cognitive_impairment").unwrap();
    let proposal = NewProposal {
        confidence: Some(Confidence { value: 0.75, kind: ConfidenceKind::Stated }),
        rationale: "because she forgets".into(),
        evidence: vec!["forgets names".into()],
        ..NewProposal::bare(SentenceId(1), memory.clone())
    };
    store.propose(&run.id, Source::Llm, &[proposal]).unwrap();
    let decision = |id: &str, sentence, judgement| Decision {
        id: EntryId(id.into()),
        at: Timestamp(5),
        judgement,
        took: Some(1_200),
        in_sight: Some(InSight::NOTHING.with(Cue::Machine)),
        proposal: (sentence == 1).then(|| store.proposals(SentenceId(1)).unwrap()[0].id),
        ..factory::decision("ann", SentenceId(sentence))
    };
    let commented = Judgement { label: Some(memory), comment: "\"forgets\" says it".into(), ..Judgement::default() };
    let reworded = Judgement { label: Some(Label::none()), edited: Some("He forgets.".into()), ..Judgement::default() };
    store.append_decisions(&[decision("e1", 1, commented), decision("e2", 2, reworded)]).unwrap();
    (project, store)
}

fn bundle(site: &mut (Project, Store), options: BundleOptions) -> (BundleSummary, String) {
    let (project, store) = site;
    let written = write(Session::new(project, store, &Cancel::default(), &mut |_| {}), &options).unwrap();
    (written, std::fs::read_to_string(&options.out).unwrap())
}

fn merge(site: &mut (Project, Store), file: &Path) -> MergeSummary {
    let options = MergeOptions { file: file.into(), trust: true, ..MergeOptions::default() };
    take_in(Session::new(&site.0, &mut site.1, &Cancel::default(), &mut |_| {}), &options).unwrap()
}

fn comment(store: &Store) -> String {
    store.decisions(SentenceId(1)).unwrap()[0].judgement.comment.clone()
}

#[test]
fn no_word_of_a_note_travels_unless_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut ward = ward(folder.path());
    let (written, text) = bundle(&mut ward, BundleOptions { out: at("bare"), ..BundleOptions::default() });
    assert_eq!((written.events, written.reworded, written.withheld, written.quoting), (1, 1, 1, 1));
    assert!(
        !text.contains("forgets names")
            && !text.contains("says it")
            && !text.contains("a visit")
            && !text.contains("n1"),
        "{text}"
    );

    // What was seen comes along, and the run by the hash of what it was told.
    let mut hub = project(folder.path(), "hub");
    let taken = merge(&mut hub, &at("bare"));
    assert_eq!((taken.merged.new, taken.withheld, taken.notes), (1, 1, 0));
    let seen = &hub.1.proposals(SentenceId(1)).unwrap()[0];
    assert_eq!((seen.model.as_str(), seen.content.confidence.unwrap().value), ("some-llm", 0.75));
    assert_eq!((seen.content.rationale.as_str(), seen.content.evidence.len()), ("", 0));
    let decided = &hub.1.decisions(SentenceId(1)).unwrap()[0];
    assert_eq!(
        (decided.proposal, decided.in_sight, decided.took),
        (Some(seen.id), Some(InSight::NOTHING.with(Cue::Machine)), Some(1_200))
    );
    assert!(hub.1.run(&RunId("r1".into())).unwrap().config.contains("kept_at_its_site"));
    assert_eq!(comment(&hub.1), "");

    // With comments the reworded sentence comes too. The event that is known stays as it came first.
    let (written, text) =
        bundle(&mut ward, BundleOptions { out: at("said"), comments: true, ..BundleOptions::default() });
    assert_eq!((written.events, written.reworded, written.withheld, written.quoting), (2, 0, 0, 1));
    assert!(text.contains("He forgets.") && !text.contains("She forgets names"), "{text}");
    let taken = merge(&mut hub, &at("said"));
    assert_eq!((taken.merged.new, taken.merged.known), (1, 1));
    assert_eq!(comment(&hub.1), "");
    let mut other = project(folder.path(), "other");
    assert_eq!(merge(&mut other, &at("said")).merged.new, 2);
    assert_eq!(comment(&other.1), "\"forgets\" says it");

    // With text, all of it, into a store that has no notes.
    let (written, _) =
        bundle(&mut ward, BundleOptions { out: at("whole"), with_text: true, plain: true, ..BundleOptions::default() });
    assert_eq!((written.events, written.notes, written.sentences, written.quoting), (2, 1, 2, 0));
    let (project, empty) = (&other.0, at("empty.db"));
    let mut store = Store::create(&empty).unwrap();
    let options = MergeOptions { file: at("whole"), trust: true, ..MergeOptions::default() };
    let taken = take_in(Session::new(project, &mut store, &Cancel::default(), &mut |_| {}), &options).unwrap();
    assert_eq!((taken.merged.new, taken.notes, taken.sentences), (2, 1, 2));
    assert_eq!(store.texts(&[SentenceId(1)]).unwrap()[0].text, "She forgets names.");
    for store in [&mut hub.1, &mut other.1, &mut store, &mut ward.1] {
        assert_eq!(store.audit(None).unwrap().tampering, vec![]);
    }
}

#[test]
fn notes_cut_otherwise_are_told_from_notes_that_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b");
    let mut ward = ward(folder.path());
    bundle(&mut ward, BundleOptions { out: file.clone(), comments: true, ..BundleOptions::default() });
    let (project, _) = project(folder.path(), "hub");
    let mut store = Store::create(&folder.path().join("cut.db")).unwrap();
    let whole = NewDocument {
        source: "notes".into(),
        text: NOTE.into(),
        sentences: vec![Span { start: 0, end: 30 }],
        ..factory::empty_note("p", "n1")
    };
    let options = MergeOptions { file, trust: true, ..MergeOptions::default() };
    let merged = |store: &mut Store| {
        take_in(Session::new(&project, store, &Cancel::default(), &mut |_| {}), &options).unwrap().merged
    };
    assert_eq!((merged(&mut store).without_note, merged(&mut store).cut_otherwise), (2, 0));
    store.insert_documents(&[whole], Origin::Real, &project.file.split).unwrap();
    assert_eq!((merged(&mut store).without_note, merged(&mut store).cut_otherwise), (0, 2));
}

#[test]
fn what_is_new_is_new_since_the_last_bundle_of_its_kind() {
    let folder = tempfile::tempdir().unwrap();
    let mut ward = ward(folder.path());
    let bare = BundleOptions { out: folder.path().join("0"), new: true, ..BundleOptions::default() };
    assert_eq!(bundle(&mut ward, bare).0.events, 1, "what rewords a sentence stays");
    let new = |ward: &mut (Project, Store), name: &str, annotator: Option<&str>| {
        let options = BundleOptions {
            out: folder.path().join(name),
            new: true,
            comments: true,
            annotator: annotator.map(|name| Annotator(name.into())),
            ..BundleOptions::default()
        };
        write(Session::new(&ward.0, &mut ward.1, &Cancel::default(), &mut |_| {}), &options).unwrap().events
    };
    assert_eq!(new(&mut ward, "1", None), 2);
    assert_eq!(new(&mut ward, "2", None), 0);
    assert_eq!(new(&mut ward, "3", Some("ann")), 2);
    ward.1.undo(&Annotator("ann".into()), EntryId("e3".into()), Timestamp(9)).unwrap();
    assert_eq!(new(&mut ward, "4", None), 1);
    assert_eq!(new(&mut ward, "5", Some("ben")), 0);
}
