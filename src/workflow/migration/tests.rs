//! Categories renamed, merged and split in a small study, and what is shown of its labels then.

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::domain::corpus::{NewDocument, Origin, PatientKey, SentenceId};
use crate::domain::gold::Policy;
use crate::domain::label::{Decision, Judgement, NewProposal, RunId, RunKind, Source};
use crate::domain::queue::{DecisionState, LabelMatch, LabelOwner, SentenceFilter};
use crate::domain::split::Tier;
use crate::domain::text::Span;
use crate::factory;
use crate::factory::run;
use crate::store::{NewBronze, SeekDirection, StoreError};
use crate::workflow::label_index::LabelIndex;
use crate::workflow::project::init;
use crate::workflow::refusal::{Refusal, RefusalKind};
use crate::workflow::review;
use crate::workflow::train::LabelledSentences;

const TAXONOMY: &str = r#"name = "feelings"
selection = "multiple"

[[category]]
key = "anger"
name = "Anger"
shortcut = "a"
definition = "Is angry."

[[category]]
key = "sadness"
name = "Sadness"
shortcut = "d"
definition = "Is sad."

[[category]]
key = "pain"
name = "Pain"
shortcut = "p"
definition = "Hurts."
"#;

const SENTENCES: usize = 6;

struct Study(TempDir);

impl Study {
    fn new() -> Self {
        let study = Self(tempfile::tempdir().unwrap());
        let path = study.0.path().join("feelings.toml");
        std::fs::write(&path, TAXONOMY).unwrap();
        init(&study.0.path().join("study"), path.to_str().unwrap()).unwrap();
        let project = study.project();
        let text = "She is one. ".repeat(SENTENCES);
        let sentences = (0..SENTENCES).map(|i| Span { start: i * 12, end: i * 12 + 12 }).collect();
        let (patient, kind) = (PatientKey("p".into()), String::new());
        let note = NewDocument {
            patient,
            title: kind.clone(),
            date: kind.clone(),
            kind,
            text,
            sentences,
            ..factory::empty_note("", "1")
        };
        let mut store = project.store().unwrap();
        store.insert_documents(&[note], Origin::Real, &project.file.split).unwrap();
        store.put_run(&run("1", RunKind::Label)).unwrap();
        let silver =
            |i: i64| NewProposal::bare(SentenceId(i), Label::parse(["anger", "sadness"][i as usize % 2]).unwrap());
        let silver: Vec<NewProposal> = (1..=SENTENCES as i64).map(silver).collect();
        store.propose(&RunId("1".into()), Source::Llm, &silver).unwrap();
        study
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("study")
    }

    /// As it is on the disk.
    fn project(&self) -> Project {
        let mut project = Project::read(&self.path(), Some("ann")).unwrap();
        project.file.policy = Policy::Unanimous;
        project
    }

    fn store(&self) -> Store {
        self.project().store().unwrap()
    }

    fn decide(&self, who: &str, sentence: i64, keys: &str) {
        let decision = decision(&self.project(), who, sentence, keys);
        self.store().append_decisions(&[decision]).unwrap();
    }

    fn settle(&self, sentence: i64, keys: &str) {
        let decision = decision(&self.project(), "eve", sentence, keys);
        self.store().append_settlements(&[decision]).unwrap();
    }

    fn change(&self, plan: impl FnOnce(&Project, &Store) -> Result<MigrationPlan, WorkflowError>) -> MigrationPlan {
        let (project, store) = (self.project(), self.store());
        let plan = plan(&project, &store).unwrap();
        apply(&project, &plan).unwrap();
        plan
    }

    /// What each expert's label on each sentence is shown as.
    fn shown(&self) -> Vec<String> {
        let store = self.store();
        let mut all = Vec::new();
        for sentence in 1..=SENTENCES as i64 {
            for decision in store.decisions(SentenceId(sentence)).unwrap() {
                let label = decision.judgement.label.map_or("open".into(), |label| label.join());
                all.push(format!("{sentence} {} {label}", decision.annotator));
            }
        }
        all
    }

    fn gold(&self) -> Vec<String> {
        let project = self.project();
        let mut index = LabelIndex::default();
        index.refresh(&project, &project.store().unwrap()).unwrap();
        index.gold().iter().map(|gold| format!("{} {}", gold.sentence().0, gold.label().join())).collect()
    }

    fn sound(&self) {
        let audited = self.store().audit(None).unwrap();
        assert_eq!(audited.tampering, []);
    }
}

fn decision(project: &Project, who: &str, sentence: i64, keys: &str) -> Decision {
    Decision {
        id: new_entry_id(),
        at: now(),
        judgement: Judgement { label: Some(Label::parse(keys).unwrap()), ..Judgement::default() },
        taxonomy: project.taxonomy.hash(),
        ..factory::decision(who, SentenceId(sentence))
    }
}

fn refusal(error: WorkflowError) -> Refusal {
    match error {
        WorkflowError::Refused(refusal) => *refusal,
        other => panic!("no refusal: {other}"),
    }
}

#[test]
fn a_renamed_category_keeps_all_that_was_said() {
    let study = Study::new();
    study.decide("ann", 1, "anger");
    study.decide("ann", 2, "anger,pain");
    study.decide("ann", 3, "");
    let plan = study.change(|p, s| rename(p, s, "Anger", "rage", Some("Rage")));
    let label = |keys: &str| LabelReading::Label(Label::parse(keys).unwrap());
    let moves: Vec<(&LabelReading, &LabelReading, u64, u64)> =
        plan.moves.iter().map(|m| (&m.from, &m.to, m.experts, m.machines)).collect();
    assert_eq!(moves, [(&label("anger"), &label("rage"), 1, 3), (&label("anger,pain"), &label("pain,rage"), 1, 0)]);
    assert_eq!(study.gold(), ["1 rage", "2 pain,rage", "3 "]);
    let (project, store) = (study.project(), study.store());
    assert_eq!(store.proposals(SentenceId(2)).unwrap()[0].content.label.join(), "rage");
    let found = |whose| {
        let wanted = Some((whose, LabelMatch::Category(CategoryKey::new("rage").unwrap())));
        let filter = SentenceFilter { category: wanted, ..SentenceFilter::default() };
        let page = store.page(&filter, &project.annotator, None, SeekDirection::Forward, 9).unwrap();
        page.iter().map(|id| id.0).collect::<Vec<_>>()
    };
    assert_eq!((found(LabelOwner::Mine), found(LabelOwner::Llm)), (vec![1, 2], vec![2, 4, 6]));
    let disagreeing = SentenceFilter { disagreement: true, ..SentenceFilter::default() };
    let page = store.page(&disagreeing, &project.annotator, None, SeekDirection::Forward, 9).unwrap();
    assert_eq!(page, [SentenceId(1), SentenceId(2), SentenceId(3)]);
    assert_eq!(guideline::outdated(&project, &store).unwrap(), [], "a new name is no new meaning");
    // What was said stands in the log as it was said.
    let (said, _) = store.entries(0).unwrap();
    let judged = said[0].body.judged().unwrap();
    assert_eq!(judged.judgement.label, Some(Label::parse("anger").unwrap()));
    study.sound();
}

#[test]
fn what_is_merged_is_no_longer_disputed_and_undone_it_is_again() {
    let study = Study::new();
    study.decide("ann", 1, "anger");
    study.decide("ben", 1, "sadness");
    study.decide("ann", 2, "pain");
    assert_eq!(study.gold(), ["2 pain"]);
    let both = ["anger".to_owned(), "sadness".to_owned()];
    study.change(|p, s| merge(p, s, &both, "mood", Some("Mood")));
    assert_eq!(study.gold(), ["1 mood", "2 pain"]);
    study.decide("ann", 3, "mood");
    let plan = study.change(undo);
    assert_eq!(plan.reopened(), 1, "which of the two it was, only ann can say");
    assert_eq!(study.shown(), ["1 ann anger", "1 ben sadness", "2 ann pain", "3 ann open"]);
    assert_eq!(study.gold(), ["2 pain"]);
    study.sound();
}

#[test]
fn what_was_split_is_asked_again() {
    let study = Study::new();
    for (sentence, keys) in [(1, "anger"), (2, "anger,pain"), (3, "pain")] {
        study.decide("ann", sentence, keys);
    }
    study.settle(3, "anger");
    let into = ["irritation".to_owned(), "sadness".to_owned()];
    let plan = study.change(|p, s| split(p, s, "anger", &into));
    assert_eq!((plan.reopened(), plan.moves.iter().map(|m| m.adjudicators).sum::<u64>()), (3, 1));
    assert_eq!(study.shown(), ["1 ann open", "2 ann open", "3 ann pain"]);
    let (project, mut store) = (study.project(), study.store());
    let open = store
        .page(
            &SentenceFilter { progress: DecisionState::Open, ..SentenceFilter::default() },
            &project.annotator,
            None,
            SeekDirection::Forward,
            2,
        )
        .unwrap();
    assert_eq!(open, [SentenceId(1), SentenceId(2)]);
    assert_eq!(store.proposals(SentenceId(2)).unwrap(), [], "silver's `anger` says nothing any more");
    let shown = review::item(&project, &store, review::Worklist::Review, SentenceId(2)).unwrap();
    assert_eq!(shown.why.as_deref(), Some("you said anger,pain, which was split since"));
    let answer = decision(&project, "ann", 1, "irritation");
    store.append_decisions(&[answer]).unwrap();
    assert_eq!(study.gold(), ["1 irritation", "3 pain"]);
    let plan = study.change(undo);
    assert_eq!(plan.moves.iter().map(|m| m.adjudicators).sum::<u64>(), 1);
    assert_eq!(study.gold(), ["1 anger", "2 anger,pain", "3 anger"]);
    study.sound();
}

/// Her screen still shows the old categories.
#[test]
fn whoever_does_not_know_of_the_change_saves_nothing() {
    let study = Study::new();
    let (before, mut open) = (study.project(), study.store());
    study.change(|p, s| rename(p, s, "anger", "rage", None));
    let late = decision(&before, "ann", 1, "anger");
    let refused = open.append_decisions(std::slice::from_ref(&late)).unwrap_err();
    assert!(matches!(refused, StoreError::TaxonomyChanged), "{refused}");
    assert!(matches!(open.undo(&late.annotator, new_entry_id(), now()), Err(StoreError::TaxonomyChanged)));
    assert_eq!(study.shown(), Vec::<String>::new());
    study.store().append_decisions(&[late]).unwrap();
    assert_eq!(study.shown(), ["1 ann rage"]);
}

#[test]
fn a_change_by_hand_is_looked_at_first() {
    let study = Study::new();
    let file = study.project().file.taxonomy;
    let by_hand_text = TAXONOMY.replace("key = \"anger\"", "key = \"rage\"\nwas = [\"anger\"]");
    std::fs::write(&file, &by_hand_text).unwrap();
    let refused = refusal(study.project().store().err().unwrap());
    assert_eq!(refused.kind, RefusalKind::OutOfDate { path: file.clone() });
    assert!(refused.to_string().contains("3 labels"), "{refused}");
    assert!(refused.hints[0].contains("goldsmith taxonomy migrate"), "{:?}", refused.hints);
    let project = study.project();
    let plan = plan(&project, &MigrationRequest::FromFile).unwrap();
    assert_eq!(
        plan.changes[0],
        GuidelineChange::Renamed { from: CategoryKey::new("anger").unwrap(), to: CategoryKey::new("rage").unwrap() }
    );
    apply(&project, &plan).unwrap();
    assert_eq!(study.store().proposals(SentenceId(2)).unwrap()[0].content.label.join(), "rage");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), by_hand_text);
    study.change(undo);
    assert_eq!(study.store().proposals(SentenceId(2)).unwrap()[0].content.label.join(), "anger");
    // Where no label is read otherwise, nobody is asked.
    let other = std::fs::read_to_string(&file).unwrap().replace("key = \"pain\"", "key = \"ache\"\nwas = [\"pain\"]");
    std::fs::write(&file, other).unwrap();
    assert!(study.project().store().is_ok());
    study.sound();
}

/// What she said since of the one that stays may be of the other: that is said, and found.
#[test]
fn labels_given_to_a_category_that_others_had_joined_are_pointed_out() {
    let study = Study::new();
    study.decide("ann", 1, "anger");
    study.change(|p, s| merge(p, s, &["anger".to_owned()], "sadness", None));
    study.decide("ann", 2, "sadness");
    let file = study.project().file.taxonomy;
    let with_words = std::fs::read_to_string(&file).unwrap() + "\n# A remark.\n";
    std::fs::write(&file, with_words).unwrap();
    let plan = study.change(undo);
    assert_eq!((plan.unsure, plan.lost), (1, vec!["# A remark.".to_owned()]));
    assert_eq!(study.gold(), ["1 anger", "2 sadness"]);
    let (project, store) = (study.project(), study.store());
    let outdated =
        SentenceFilter { outdated: guideline::outdated(&project, &store).unwrap(), ..SentenceFilter::default() };
    let page = store.page(&outdated, &project.annotator, None, SeekDirection::Forward, 9).unwrap();
    assert_eq!(page, [SentenceId(2)]);
    assert!(undo(&study.project(), &study.store()).is_err(), "there was only one");
}

/// A sentence that was written for a category says nothing of what became of it, nor of a category that nobody here knows.
#[test]
fn bronze_is_trained_on_for_categories_that_there_are() {
    let study = Study::new();
    let (project, mut store) = (study.project(), study.store());
    let run = run("2", RunKind::Generate);
    store.put_run(&run).unwrap();
    let made = |id: &str, target: &str| NewBronze {
        document: NewDocument {
            text: format!("Made {id}."),
            sentences: vec![Span { start: 0, end: 6 + id.len() }],
            ..factory::empty_note(id, id)
        },
        target: Label::parse(target).unwrap(),
        brief: String::new(),
        verdicts: vec![],
    };
    let all = [made("a", "anger"), made("b", "pain"), made("c", "pain"), made("d", "grief"), made("e", "sadness")];
    store.add_bronze(&run.id, &all, &project.file.split).unwrap();
    // Ann finds anger in the second one.
    study.decide("ann", SENTENCES as i64 + 2, "anger");
    let trained = || {
        let (project, store) = (study.project(), study.store());
        let mut index = LabelIndex::default();
        index.refresh(&project, &store).unwrap();
        let labels = LabelledSentences::read(&project, &store, &index, &[Tier::Bronze]).unwrap();
        let set = labels.train_set(&[Tier::Bronze], |_| true);
        set.rows().iter().map(|row| row.label.join()).collect::<Vec<_>>()
    };
    assert_eq!(trained(), ["anger", "anger", "pain", "sadness"]);
    study.change(|p, s| split(p, s, "anger", &["rage".to_owned(), "spite".to_owned()]));
    assert_eq!(trained(), ["pain", "sadness"]);
    study.change(undo);
    assert_eq!(trained(), ["anger", "anger", "pain", "sadness"]);
}

/// The file and the log change together or not at all.
#[test]
fn a_change_that_cannot_be_written_is_none() {
    let study = Study::new();
    let (project, store) = (study.project(), study.store());
    let plan = rename(&project, &store, "anger", "rage", None).unwrap();
    std::fs::write(&project.file.taxonomy, format!("{TAXONOMY}# meanwhile\n")).unwrap();
    let refused = refusal(apply(&project, &plan).unwrap_err());
    assert_eq!(refused.kind, RefusalKind::OutOfDate { path: project.file.taxonomy.clone() });
    assert_eq!(study.store().latest_migration().unwrap(), None);
    study.sound();
}

/// A label of another site's guideline is neither *None* nor gold.
#[test]
fn a_category_that_nobody_here_knows_is_counted_and_no_gold() {
    let study = Study::new();
    study.decide("ann", 1, "grief");
    study.decide("ann", 2, "");
    let project = study.project();
    let mut index = LabelIndex::default();
    index.refresh(&project, &project.store().unwrap()).unwrap();
    let counts = index.gold_counts(&project.taxonomy);
    assert_eq!((counts.settled, counts.by_category[0]), (1, 1));
    assert_eq!(unknown_labels(&project, &study.store()).unwrap(), [(Label::parse("grief").unwrap(), 1)]);
    assert_eq!(study.gold(), ["2 "]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let study = Study::new();
    let (project, store) = (study.project(), study.store());
    let one = ["anger".to_owned()];
    for refused in [
        rename(&project, &store, "angry", "rage", None),
        rename(&project, &store, "anger", "pain", None),
        rename(&project, &store, "anger", "Rage!", None),
        merge(&project, &store, &one, "anger", None),
        split(&project, &store, "anger", &one),
        split(&project, &store, "anger", &["anger".to_owned(), "rage".to_owned()]),
        undo(&project, &store),
        by_hand(&project, &store),
    ] {
        assert!(refused.is_err());
    }
    study.change(|p, s| rename(p, s, "anger", "rage", None));
    let (project, store) = (study.project(), study.store());
    assert!(rename(&project, &store, "pain", "anger", None).is_err(), "labels that say anger mean rage");
    assert!(rename(&project, &store, "rage", "anger", None).is_ok(), "as it was");
}

#[derive(Clone, Debug)]
enum Step {
    /// Ann, Ben, or Eve, who settles.
    Decide(usize, usize, usize),
    Rename(usize),
    Merge(usize, usize),
    Split(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3usize, 0..SENTENCES, 0..4usize).prop_map(|(who, at, label)| Step::Decide(who, at, label)),
        1 => (0..4usize).prop_map(Step::Rename),
        1 => (0..4usize, 0..4usize).prop_map(|(a, b)| Step::Merge(a, b)),
        1 => (0..4usize).prop_map(Step::Split),
    ];
    proptest::collection::vec(step, 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is changed in whatever order: what is shown is what the log comes to, undone it is as before, done once more it
    /// is as it was changed, and all that was changed since the last decision can be undone one after the other.
    #[test]
    fn every_change_can_be_undone(steps in steps()) {
        let study = Study::new();
        let mut since = Vec::new();
        for (n, step) in steps.into_iter().enumerate() {
            let keys: Vec<String> =
                study.project().taxonomy.categories().iter().map(|category| category.key.to_string()).collect();
            let key = |at: usize| keys[at % keys.len()].clone();
            let before = (study.shown(), study.gold());
            let change = |project: &Project, store: &Store| match step {
                Step::Rename(at) => rename(project, store, &key(at), &format!("renamed_{n}"), None),
                Step::Merge(a, b) => merge(project, store, &[key(a), key(b)], &format!("merged_{n}"), None),
                Step::Split(at) => split(project, store, &key(at), &[format!("one_{n}"), format!("other_{n}")]),
                Step::Decide(..) => Err(Refusal::new(RefusalKind::NothingToDo, "no change").into()),
            };
            if let Step::Decide(who, at, label) = step {
                let label = if label == 0 { String::new() } else { key(label) };
                match ["ann", "ben"].get(who) {
                    Some(who) => study.decide(who, at as i64 + 1, &label),
                    None => study.settle(at as i64 + 1, &label),
                }
                since.clear();
            } else if change(&study.project(), &study.store()).is_ok() {
                // One category cannot be merged with itself.
                study.change(change);
                study.sound();
                let changed = (study.shown(), study.gold());
                study.change(undo);
                prop_assert_eq!(&(study.shown(), study.gold()), &before);
                study.change(change);
                prop_assert_eq!((study.shown(), study.gold()), changed);
                study.sound();
                since.push(before);
            }
        }
        for before in since.into_iter().rev() {
            study.change(undo);
            prop_assert_eq!((study.shown(), study.gold()), before);
        }
        study.sound();
    }
}
