//! Plans of a small study.

use super::*;
use crate::domain::category::CategoryKey;
use crate::domain::corpus::Origin;
use crate::domain::corpus::PatientKey;
use crate::domain::label::Annotator;
use crate::domain::label::Source;
use crate::domain::label::{Decision, EntryId, Judgement, NewProposal, Timestamp};
use crate::domain::queue::{DecisionState as State, SentenceFilter};
use crate::domain::sight::Cue;
use crate::factory;
use crate::store::SeekDirection;
use crate::workflow::project::init;
use crate::workflow::review::{self, Worklist};
use crate::workflow::session::Session;

const KINDS: [(&str, &str); 4] = [
    ("She forgets names and dates again", "cognitive_impairment"),
    ("Her daughter bathes and dresses her", "requires_assistance"),
    ("Low mood and tears most days", "neuropsychiatric_symptoms"),
    ("Knee pain after a long walk", ""),
];

/// Forty patients with eight sentences each, nothing decided. Every second sentence is of one kind, the others of two at once.
fn study(settings: &str) -> (tempfile::TempDir, Project, Store, Vec<(SentenceId, &'static str)>) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("study");
    init(&root, "ad-signs").unwrap();
    let file = root.join("goldsmith.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, after) = text.split_once("[queue]").unwrap();
    let rest = after.split_once("[privacy]").unwrap().1;
    std::fs::write(&file, format!("{before}[queue]\n{settings}\n[privacy]{rest}")).unwrap();
    let project = Project::read(&root, Some("ann")).unwrap();
    let mut store = project.store().unwrap();
    let mut sentences = Vec::new();
    for patient in 0..40 {
        let text = |i: usize| {
            let other = if i.is_multiple_of(2) { "" } else { KINDS[(i / 2 + 1) % 4].0 };
            format!("{} on day {patient}{i}, {other}.", KINDS[i / 2].0)
        };
        let texts: Vec<String> = (0..8).map(text).collect();
        let note = factory::note(&format!("p{patient}"), &format!("n{patient}"), &texts);
        let first = store.insert_documents(&[note], Origin::Real, &project.file.split).unwrap()[0].first_sentence();
        sentences.extend((0..8).map(|i| (SentenceId(first.0 + i as i64), KINDS[i / 2].1)));
    }
    (folder, project, store, sentences)
}

fn decide(store: &mut Store, id: SentenceId, key: &str) {
    let label: Label = CategoryKey::new(key).into_iter().collect();
    let decision = Decision {
        id: EntryId(format!("e{}", id.0)),
        at: Timestamp(id.0),
        judgement: Judgement { label: Some(label), ..Judgement::default() },
        in_sight: None,
        ..factory::decision("ann", id)
    };
    store.append_decisions(&[decision]).unwrap();
}

fn planned(project: &Project, store: &mut Store) -> QueuePlan {
    plan(Session::new(project, store, &Cancel::default(), &mut |_| {})).unwrap().unwrap()
}

#[test]
fn a_fresh_project_reads_its_notes_in_order_and_says_why() {
    let (_folder, project, mut store, sentences) = study("");
    let plan = planned(&project, &mut store);
    let ids: Vec<SentenceId> = plan.rows.iter().map(|row| row.sentence).collect();
    assert_eq!(ids, sentences.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    let why = "next in its note";
    assert!(
        plan.note.contains("once 20 sentences of training patients have labels, with 3 different ones"),
        "{}",
        plan.note
    );
    assert!(plan.rows.iter().all(|row| row.why == why), "{}", plan.rows[0].why);
    for id in ids {
        let item = review::item(&project, &store, Worklist::Review, id).unwrap();
        assert_eq!(
            (item.why.as_deref(), item.in_sight().is_nothing()),
            (Some(why), true),
            "no machine has said a word"
        );
    }
}

#[test]
fn a_plan_asks_the_classifier_and_leaves_what_is_scored_on_to_chance() {
    let (_folder, project, mut store, sentences) = study("limit = 120");
    for (id, key) in &sentences[..160] {
        decide(&mut store, *id, key);
    }
    let plan = planned(&project, &mut store);
    assert_eq!(plan.rows.len(), 120);
    assert!(plan.note.starts_with("by n-gram linear of "), "{}", plan.note);
    assert_eq!(store.ranking().unwrap(), plan.rows, "it is kept");
    let decided: FxHashSet<SentenceId> = sentences[..160].iter().map(|(id, _)| *id).collect();
    assert!(plan.rows.iter().all(|row| !decided.contains(&row.sentence)));
    let patients: FxHashMap<SentenceId, PatientKey> = store.real_sentences().unwrap().into_iter().collect();
    let split = |id: &SentenceId| project.file.split.split(&patients[id]);
    let held_out = plan.rows.iter().filter(|row| split(&row.sentence) != Split::Train).count();
    let all = sentences[160..].iter().filter(|(id, _)| split(id) != Split::Train).count();
    assert_eq!(held_out, (all * 120) / 160, "as many as chance would bring");
    for RankingRow { sentence: id, why, .. } in &plan.rows {
        let by_chance = why.starts_with("drawn at random");
        assert!(by_chance || (split(id) == Split::Train && why.starts_with("the classifier ")), "{why}");
        assert!(by_chance || split(id) == Split::Train, "{why}");
    }
    let again = planned(&project, &mut store);
    assert_eq!(again.rows, plan.rows, "the same gold and seed, the same order");
    // A reason that names what the classifier thinks is in sight; one that does not, is not.
    for row in &plan.rows {
        let item = review::item(&project, &store, Worklist::Review, row.sentence).unwrap();
        let in_sight = item.in_sight().has(Cue::Classifier);
        assert_eq!(in_sight, item.shown.machines && row.why.starts_with("the classifier "), "{}", row.why);
    }
    // The queue of the workbench runs in this order.
    let filter = SentenceFilter { planned: true, progress: State::Open, ..SentenceFilter::default() };
    let first = store.seek(&filter, &project.annotator, None, SeekDirection::Forward).unwrap();
    assert_eq!(first, Some(plan.rows[0].sentence));
}

#[test]
fn a_blind_project_does_not_name_what_the_machine_says() {
    let (_folder, mut project, mut store, sentences) = study("order = \"balanced\"");
    project.file.protocol.blind = crate::domain::protocol::Blind::Always;
    for (id, key) in &sentences[..160] {
        decide(&mut store, *id, key);
    }
    let plan = planned(&project, &mut store);
    let names: Vec<&str> = project.taxonomy.categories().iter().map(|category| category.name.as_str()).collect();
    let named = |why: &str| names.iter().any(|name| why.contains(name));
    assert!(plan.rows.iter().any(|row| named(&row.why)), "all of the reason is kept");
    let told = reasons(&project, &store, &plan.rows).unwrap();
    // Which kind of reason it is would tell as well: that silver names a rare category, or that a classifier wavers.
    let kinds: std::collections::BTreeSet<&str> = told.iter().map(|(_, why)| why.as_str()).collect();
    assert!(kinds.contains("put first by the order of the queue"), "{kinds:?}");
    assert!(kinds.iter().all(|why| why.starts_with("put first") || why.starts_with("drawn at random")), "{kinds:?}");
    // Whoever decides nothing has nothing to be swayed in.
    project.file.protocol.annotators = vec![Annotator("ben".into())];
    assert!(reasons(&project, &store, &plan.rows).unwrap().iter().any(|(_, why)| named(why)));
}

/// The open sentences have the same silver twice; what it said of the decided ones tells how far it is to be trusted.
#[test]
fn what_silver_is_worth_is_learned_from_what_is_decided() {
    let label = |key: &str| -> Label { CategoryKey::new(key).into_iter().collect() };
    let next = |key: &str| KINDS[(KINDS.iter().position(|kind| kind.1 == key).unwrap() + 1) % 4].1;
    let order = |is_right: bool| -> Vec<SentenceId> {
        let (_folder, project, mut store, sentences) = study("order = \"balanced\"");
        for (id, key) in &sentences[..160] {
            decide(&mut store, *id, key);
        }
        let run = Run {
            id: new_run_id(),
            taxonomy: project.taxonomy.hash(),
            started: now(),
            finished: Some(now()),
            ..factory::run("", RunKind::Label)
        };
        store.put_run(&run).unwrap();
        let said = |at: usize, key| if at < 160 && is_right { key } else { next(key) };
        let silver = sentences.iter().enumerate().map(|(at, (id, key))| NewProposal::bare(*id, label(said(at, key))));
        store.propose(&run.id, Source::Llm, &silver.collect::<Vec<_>>()).unwrap();
        let plan = planned(&project, &mut store);
        assert!(plan.rows.iter().any(|row| row.why.contains(", with silver ")), "{:?}", plan.rows);
        plan.rows.into_iter().map(|row| row.sentence).collect()
    };
    assert_eq!(order(true), order(true));
    assert_ne!(order(true), order(false));
}

#[test]
fn every_order_makes_a_plan_of_all_that_is_open() {
    for strategy in Strategy::ALL {
        let (_folder, project, mut store, sentences) = study(&format!("order = \"{strategy}\""));
        for (id, key) in &sentences[..160] {
            decide(&mut store, *id, key);
        }
        let plan = planned(&project, &mut store);
        let ids: FxHashSet<SentenceId> = plan.rows.iter().map(|row| row.sentence).collect();
        assert_eq!((plan.rows.len(), ids.len()), (160, 160), "{strategy}");
    }
}

#[test]
fn a_stopped_plan_leaves_the_one_before_it() {
    let (_folder, project, mut store, _) = study("");
    let before = planned(&project, &mut store).rows;
    let cancel = Cancel::default();
    cancel.cancel();
    assert_eq!(plan(Session::new(&project, &mut store, &cancel, &mut |_| {})).unwrap(), None);
    assert_eq!(store.ranking().unwrap(), before);
}
