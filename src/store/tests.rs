//! The store's promises: idempotent import, an append-only log, folds that equal the log, filters, undo and redo.

use proptest::prelude::*;

use super::*;
use crate::domain::category::CategoryKey;
use crate::domain::corpus::{NewDocument, Origin, SentenceId};
use crate::domain::label::*;
use crate::domain::queue::{DecisionState, DoubtFilter, LabelMatch, LabelOwner, SentenceFilter};
use crate::domain::split::{Split, SplitPlan, Tier};
use crate::factory;
use crate::factory::{empty_note, note};

fn store_with(notes: &[NewDocument]) -> Store {
    let mut store = Store::in_memory().unwrap();
    store.insert_documents(notes, Origin::Real, &SplitPlan::default()).unwrap();
    while store.index_more(2).unwrap() > 0 {}
    store
}

fn decide(number: u32, annotator: &str, sentence: i64, label: Option<&str>) -> Decision {
    Decision {
        id: EntryId(format!("{number:08}")),
        at: Timestamp(i64::from(number)),
        judgement: Judgement { label: label.map(|l| Label::parse(l).unwrap()), ..Judgement::default() },
        took: Some(900),
        ..factory::decision(annotator, SentenceId(sentence))
    }
}

fn ids(store: &Store, filter: &SentenceFilter, annotator: &str) -> Vec<i64> {
    store
        .page(filter, &Annotator(annotator.into()), None, SeekDirection::Forward, 100)
        .unwrap()
        .into_iter()
        .map(|id| id.0)
        .collect()
}

#[test]
fn a_note_comes_back_byte_for_byte_and_only_once() {
    let notes = [note("p", "1", &["Größe 1,80 m.", "She 漢字 forgets."]), empty_note("p", "2")];
    let mut store = store_with(&notes);
    let again = store.insert_documents(&notes, Origin::Real, &SplitPlan::default()).unwrap();
    assert!(matches!(again[0], Insert::Known(_, SentenceId(1))), "{again:?}");
    assert_eq!(store.sentence_count(Origin::Real).unwrap(), 2);
    let document = store.document(store.sentence(SentenceId(2)).unwrap().document).unwrap();
    assert_eq!(document.text, notes[0].text);
    assert_eq!(store.texts(&[SentenceId(2)]).unwrap()[0].text, "She 漢字 forgets.");
}

#[test]
fn the_log_refuses_change() {
    let mut store = store_with(&[note("p", "1", &["a b c"])]);
    store.append_decisions(&[decide(1, "x", 1, Some("memory"))]).unwrap();
    for sql in ["UPDATE events SET annotator = 'y'", "DELETE FROM events"] {
        let error = store.connection.execute(sql, []).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
}

#[test]
fn filters_find_what_they_name() {
    let mut store = store_with(&[
        note("p1", "1", &["She forgets names.", "Mood is low.", "Knee pain."]),
        note("p2", "2", &["Forgetting appointments.", "Walks daily."]),
    ]);
    store
        .append_decisions(&[
            decide(1, "x", 1, Some("memory")),
            decide(2, "x", 2, Some("")),
            decide(3, "y", 2, Some("mood")),
            decide(4, "x", 3, None),
        ])
        .unwrap();
    let run =
        Run { model: "m".into(), taxonomy: "t".into(), started: Timestamp(1), ..factory::run("r1", RunKind::Label) };
    store.put_run(&run).unwrap();
    let proposal = |id, label: &str| NewProposal {
        sentence: SentenceId(id),
        label: Label::parse(label).unwrap(),
        confidence: None,
        probabilities: vec![],
        rationale: String::new(),
        evidence: vec![],
    };
    assert_eq!(store.propose(&run.id, Source::Llm, &[proposal(1, "mood"), proposal(2, "mood")]).unwrap(), 2);
    assert_eq!(store.propose(&run.id, Source::Llm, &[proposal(1, "memory")]).unwrap(), 0, "a run proposes once");

    let all = SentenceFilter::default();
    let key = |k: &str| LabelMatch::Category(CategoryKey::new(k).unwrap());
    let cases: Vec<(SentenceFilter, Vec<i64>)> = vec![
        (all.clone(), vec![1, 2, 3, 4, 5]),
        (SentenceFilter { text: "forget".into(), ..all.clone() }, vec![1, 4]),
        (SentenceFilter { text: "low mood".into(), ..all.clone() }, vec![2]),
        (SentenceFilter { text: "\"(*".into(), ..all.clone() }, vec![]),
        (SentenceFilter { progress: DecisionState::Open, ..all.clone() }, vec![3, 4, 5]),
        (SentenceFilter { progress: DecisionState::Decided, ..all.clone() }, vec![1, 2]),
        (SentenceFilter { category: Some((LabelOwner::Mine, LabelMatch::None)), ..all.clone() }, vec![2]),
        (SentenceFilter { category: Some((LabelOwner::Mine, key("memory"))), ..all.clone() }, vec![1]),
        (SentenceFilter { category: Some((LabelOwner::Expert, key("mood"))), ..all.clone() }, vec![2]),
        (SentenceFilter { category: Some((LabelOwner::Llm, key("mood"))), ..all.clone() }, vec![1, 2]),
        (SentenceFilter { category: Some((LabelOwner::Llm, key("moo"))), ..all.clone() }, vec![]),
        (SentenceFilter { decided_by: Some(Annotator("y".into())), ..all.clone() }, vec![2]),
        (SentenceFilter { disagreement: true, ..all.clone() }, vec![1, 2]),
        (SentenceFilter { origin: Origin::Synthetic, ..all.clone() }, vec![]),
        (SentenceFilter { run: Some(RunId("r1".into())), text: "mood".into(), ..all.clone() }, vec![2]),
    ];
    for (filter, expected) in cases {
        assert_eq!(ids(&store, &filter, "x"), expected, "{filter:?}");
        assert_eq!(store.count(&filter, &Annotator("x".into()), 100).unwrap(), expected.len() as u64);
    }
    let split = Split::ALL.map(|split| ids(&store, &SentenceFilter { split: Some(split), ..all.clone() }, "x").len());
    assert_eq!(split.iter().sum::<usize>(), 5);
    let back = store.seek(&all, &Annotator("x".into()), Some(SentenceId(3)), SeekDirection::Back).unwrap();
    assert_eq!(back, Some(SentenceId(2)));
}

#[test]
fn undo_and_redo_walk_across_sentences() {
    let mut store = store_with(&[note("p", "1", &["a", "b"])]);
    let x = Annotator("x".into());
    store
        .append_decisions(&[
            decide(1, "x", 1, Some("memory")),
            decide(2, "y", 1, Some("")),
            decide(3, "x", 2, Some("mood")),
        ])
        .unwrap();
    let undo =
        |store: &mut Store, n| store.undo(&x, EntryId(format!("{n:08}")), Timestamp(0)).unwrap().map(|u| u.sentence.0);
    let redo =
        |store: &mut Store, n| store.redo(&x, EntryId(format!("{n:08}")), Timestamp(0)).unwrap().map(|u| u.sentence.0);
    assert_eq!((undo(&mut store, 4), undo(&mut store, 5), undo(&mut store, 6)), (Some(2), Some(1), None));
    assert_eq!(store.decisions(SentenceId(1)).unwrap().len(), 1, "the other annotator's decision stands");
    assert_eq!(store.progression(&x, Origin::Real).unwrap(), ProgressCount { decided: 0, total: 2 });
    assert_eq!((redo(&mut store, 7), redo(&mut store, 8), redo(&mut store, 9)), (Some(1), Some(2), None));
    assert_eq!(store.progression(&x, Origin::Real).unwrap().decided, 2);
    assert_eq!(undo(&mut store, 10), Some(2));
    store.append_decisions(&[decide(11, "x", 1, Some("care"))]).unwrap();
    assert_eq!(redo(&mut store, 12), None, "a new decision ends what could be redone");
    assert_eq!(undo(&mut store, 13), Some(1));
    let standing = store.decision(SentenceId(1), &x).unwrap().unwrap();
    assert_eq!(standing.judgement.label, Some(Label::parse("memory").unwrap()), "the decision before it stands again");
}

#[test]
fn a_reader_sees_only_what_changed() {
    let mut store = store_with(&[note("p", "1", &["a", "b"])]);
    store.append_decisions(&[decide(1, "x", 1, Some("memory"))]).unwrap();
    let read = |store: &Store, since| {
        let mut rows = Vec::new();
        let mark =
            store.current_labels_since(since, |row| rows.push((row.sentence.0, row.label.map(|l| l.join())))).unwrap();
        (mark, rows)
    };
    let (mark, rows) = read(&store, 0);
    assert_eq!(rows, [(1, Some("memory".into()))]);
    store.append_decisions(&[decide(2, "x", 2, Some(""))]).unwrap();
    store.undo(&Annotator("x".into()), EntryId("3".into()), Timestamp(0)).unwrap();
    let (mark, rows) = read(&store, mark);
    assert_eq!(rows, [(2, None)]);
    assert_eq!(read(&store, mark), (mark, vec![]));
}

#[test]
fn labels_in_doubt_come_worst_first_and_are_open_until_decided_again() {
    use crate::domain::confident::Doubt;
    let mut store = store_with(&[note("p", "1", &["first", "second", "third", "fourth"])]);
    store.append_decisions(&[decide(1, "x", 2, Some("memory")), decide(2, "x", 4, None)]).unwrap();
    let search = |id: &str, at, outcome| Run {
        model: String::new(),
        config: String::new(),
        started: Timestamp(at),
        outcome,
        ..factory::run(id, RunKind::Doubt)
    };
    let doubt = |sentence, tier| Doubt {
        sentence: SentenceId(sentence),
        tier,
        given: Label::parse("memory").unwrap(),
        suggested: Label::none(),
        confidence: 0.9,
        self_confidence: 0.1,
        margin: 0.1,
    };
    store.put_run(&search("1", 3, Outcome::Finished)).unwrap();
    store.put_doubts(&RunId("1".into()), &[doubt(1, Tier::Silver)]).unwrap();
    store.put_run(&search("2", 5, Outcome::Finished)).unwrap();
    let found = [doubt(4, Tier::Silver), doubt(2, Tier::Gold), doubt(3, Tier::Silver)];
    store.put_doubts(&RunId("2".into()), &found).unwrap();
    store.put_run(&search("3", 9, Outcome::Running)).unwrap();
    let all = SentenceFilter { doubted: Some(DoubtFilter::Any), ..SentenceFilter::default() };
    assert_eq!(ids(&store, &all, "x"), [4, 2, 3], "the newest search that has ended, in its order");
    assert_eq!(ids(&store, &SentenceFilter { doubted: Some(DoubtFilter::Tier(Tier::Gold)), ..all.clone() }, "x"), [2]);
    assert_eq!(ids(&store, &SentenceFilter { text: "third".into(), ..all.clone() }, "x"), [3]);
    let x = Annotator("x".into());
    let seek = |store: &Store, from, direction| {
        store.seek(&all, &x, Some(SentenceId(from)), direction).unwrap().map(|id| id.0)
    };
    assert_eq!(seek(&store, 4, SeekDirection::Forward), Some(2));
    assert_eq!(seek(&store, 3, SeekDirection::Forward), None);
    assert_eq!(seek(&store, 3, SeekDirection::Back), Some(2));
    assert_eq!(seek(&store, 1, SeekDirection::Forward), Some(4), "from outside one begins with the worst");
    assert_eq!(store.count(&all, &x, 100).unwrap(), 3);
    let open = SentenceFilter { progress: DecisionState::Open, ..all.clone() };
    assert_eq!(ids(&store, &open, "x"), [4, 2, 3], "what was decided before the search is open");
    store.append_decisions(&[decide(6, "x", 2, Some("memory"))]).unwrap();
    assert_eq!(ids(&store, &open, "x"), [4, 3]);
    assert_eq!(ids(&store, &open, "y"), [4, 2, 3]);
    assert_eq!(store.doubt_about(SentenceId(2)).unwrap(), Some(doubt(2, Tier::Gold)));
    assert_eq!(store.doubt_about(SentenceId(1)).unwrap(), None);
    let doubted = |id| store.doubted_tier(SentenceId(id)).unwrap();
    assert_eq!((doubted(3), doubted(1)), (Some(Tier::Silver), None));
}

#[test]
fn files_that_are_no_store_of_ours_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("goldsmith.db");
    assert!(matches!(Store::open(&path), Err(StoreError::Missing(_))));
    std::fs::write(&path, b"no database, but long enough to be read as a header of one......").unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::Corrupt(..))));
    // Somebody emptied it: what it held is gone, and that is no new project.
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::Corrupt(..))));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    std::fs::remove_file(&path).unwrap();
    Store::create(&path).unwrap().connection.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    let error = Store::open(&path).err().unwrap();
    assert!(matches!(error, StoreError::Newer { .. }), "{error}");
    assert!(Store::create(&path).is_err(), "a store is never created over a file");
    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE x (y)").unwrap();
    assert!(matches!(Store::open(&other), Err(StoreError::Corrupt(..))));
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("goldsmith.db");
    let store = Store::create(&path).unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
    drop(store);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever two annotators do, the folds equal a fold from nothing, and taking the log in again changes nothing.
    #[test]
    fn folds_equal_the_log(steps in prop::collection::vec((0u8..6, 0u8..2, 1i64..4), 1..40)) {
        let mut store = store_with(&[note("p", "1", &["a", "b", "c"])]);
        for (number, (what, who, sentence)) in steps.into_iter().enumerate() {
            let name = if who == 0 { "x" } else { "y" };
            let annotator = Annotator(name.into());
            let id = EntryId(format!("{number:08}"));
            match what {
                0 => drop(store.undo(&annotator, id, Timestamp(0)).unwrap()),
                1 => drop(store.redo(&annotator, id, Timestamp(0)).unwrap()),
                2 => store.append_decisions(&[decide(number as u32, name, sentence, None)]).unwrap(),
                _ => store.append_decisions(&[decide(number as u32, name, sentence, Some("memory"))]).unwrap(),
            }
        }
        let folds = |store: &Store| {
            let dump = |sql: &str| -> Vec<String> {
                let mut statement = store.connection.prepare(sql).unwrap();
                statement.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
            };
            [
                dump("SELECT sentence || annotator || seq || coalesce(label, '-') || blind FROM standing ORDER BY 1"),
                dump("SELECT target || annotator FROM undone ORDER BY 1"),
                dump("SELECT annotator || origin || decided FROM tally WHERE decided > 0 ORDER BY 1"),
            ]
        };
        let before = folds(&store);
        let (log, _) = store.entries(0).unwrap();
        prop_assert_eq!(store.merge(&log, &[]).unwrap().new, 0);
        prop_assert_eq!(&folds(&store), &before);
        store.rebuild().unwrap();
        prop_assert_eq!(&folds(&store), &before);
    }
}

fn cell(id: &str, config: &str) -> Run {
    Run {
        model: "m".into(),
        config: config.into(),
        taxonomy: "t".into(),
        started: Timestamp(1),
        finished: Some(Timestamp(2)),
        scores: "{}".into(),
        ..factory::run(id, RunKind::Experiment)
    }
}

#[test]
fn a_cell_is_found_again_by_its_configuration_and_proposes_nothing() {
    let mut store = store_with(&[note("p", "1", &["a", "b"])]);
    let said = [(SentenceId(1), Label::parse("memory").unwrap()), (SentenceId(2), Label::none())];
    store.put_cell(&cell("c1", "{1}"), &said).unwrap();
    assert_eq!(store.find_run(RunKind::Experiment, "m", "{1}").unwrap(), Some(RunId("c1".into())));
    assert_eq!(store.find_run(RunKind::Experiment, "m", "{2}").unwrap(), None);
    assert_eq!(store.predictions(&RunId("c1".into())).unwrap(), said);
    assert!(store.proposals(SentenceId(1)).unwrap().is_empty());
    let mut proposed = 0;
    store.proposals_since(0, |_| proposed += 1).unwrap();
    assert_eq!(proposed, 0);
}

#[test]
fn a_cell_is_there_as_a_whole_or_not_at_all() {
    let mut store = store_with(&[note("p", "1", &["a"])]);
    let nowhere = [(SentenceId(1), Label::none()), (SentenceId(99), Label::none())];
    assert!(store.put_cell(&cell("c1", "{}"), &nowhere).is_err(), "there is no sentence 99");
    assert!(store.runs().unwrap().is_empty());
    assert!(store.predictions(&RunId("c1".into())).unwrap().is_empty());
}

#[test]
fn embeddings_are_kept_by_encoder_and_text() {
    let mut store = Store::in_memory().unwrap();
    let (one, two) = ([1; 32], [2; 32]);
    store.keep_embeddings("minilm", &[(one, vec![0.1, -2.5e-7]), (two, vec![])]).unwrap();
    store.keep_embeddings("minilm", &[(one, vec![9.0, 9.0])]).unwrap();
    let kept = store.embeddings("minilm", &[two, [3; 32], one, one]).unwrap();
    assert_eq!(kept, [Some(vec![]), None, Some(vec![0.1, -2.5e-7]), Some(vec![0.1, -2.5e-7])]);
    assert_eq!(store.embeddings("other", &[one]).unwrap(), [None]);
}

#[test]
fn a_store_of_the_second_version_is_brought_up_to_date_with_all_that_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    super::schema::earlier_version(&old, 2).unwrap();
    old.execute("INSERT INTO runs VALUES ('r', 'train', 'm', '{}', 't', 1, 2, 'finished', '')", []).unwrap();
    drop(old);
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.runs().unwrap()[0].kind, RunKind::Train);
    store.put_cell(&cell("c1", "{}"), &[]).unwrap();
    store.keep_embeddings("minilm", &[([1; 32], vec![1.0])]).unwrap();
    assert_eq!(store.runs().unwrap().len(), 2);
    assert_eq!(store.embeddings("minilm", &[[1; 32]]).unwrap(), [Some(vec![1.0])]);
}

#[test]
fn a_store_of_the_first_version_is_brought_up_to_date_with_all_that_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    super::schema::earlier_version(&old, 1).unwrap();
    old.execute("INSERT INTO meta VALUES ('kept', 'yes')", []).unwrap();
    drop(old);
    let mut store = Store::open(&path).unwrap();
    let kept: String =
        store.with(|c| c.query_row("SELECT value FROM meta WHERE key = 'kept'", [], |row| row.get(0))).unwrap();
    assert_eq!(kept, "yes");
    assert_eq!(store.restricted().unwrap(), "");
    store.restrict("notes").unwrap();
    assert_eq!(store.restricted().unwrap(), "notes");
    assert!(store.egress(1).unwrap().is_empty());
}

/// What is disputed, and what a change of the guideline puts in question, is the same in SQL as in the domain.
#[test]
fn sql_and_domain_agree_on_disputes_and_on_what_is_outdated() {
    use crate::domain::gold::{AdjudicationScope, GoldRule, GoldStatus, HumanLabels, Policy, Settlement, Vote};
    use crate::domain::guideline::Outdated;
    let sentences: Vec<String> = (0..120).map(|n| format!("Sentence {n}.")).collect();
    let texts: Vec<&str> = sentences.iter().map(String::as_str).collect();
    let mut store = store_with(&[note("p", "1", &texts)]);
    let (people, labels, versions) =
        (["ann", "ben", "cay", "dan"], ["", "care", "memory", "memory,mood"], ["v1", "v2"]);
    let mut number = 0;
    type Given = Vec<(String, Label)>;
    let mut cases: Vec<(i64, HumanLabels, Given)> = Vec::new();
    for sentence in 1..=120i64 {
        let (mut case, mut by_version) = (HumanLabels::default(), Vec::new());
        // Every mix of up to four experts and their labels, by the digits of the number.
        let mut digits = sentence * 37;
        for who in people {
            let (choice, version) = ((digits % 5) as usize, versions[(digits % 2) as usize]);
            digits /= 5;
            let label = labels.get(choice);
            // Some flag what they have decided, some what they have not.
            let flagged = who == "ben" && sentence % 7 == 0;
            if label.is_some() || flagged {
                number += 1;
                let mut d = decide(number, who, sentence, label.copied());
                d.taxonomy = version.into();
                d.judgement.flagged = flagged;
                store.append_decisions(&[d]).unwrap();
                case.flags.extend(flagged.then(|| Annotator(who.into())));
            }
            if let Some(label) = label {
                let given = Label::parse(label).unwrap();
                case.votes.push(Vote {
                    annotator: Annotator(who.into()),
                    label: given.clone(),
                    in_sight: None,
                    forked: false,
                });
                if who == "ann" {
                    by_version.push((version.to_owned(), given));
                }
            }
        }
        if sentence % 11 == 0 {
            number += 1;
            let d = decide(number, "eve", sentence, Some("care"));
            store.append_settlements(&[d]).unwrap();
            case.settlement = Some(Settlement { label: Some(Label::parse("care").unwrap()), in_sight: None });
        }
        cases.push((sentence, case, by_version));
    }
    for policy in [Policy::Any, Policy::Majority, Policy::Unanimous] {
        let all = [AdjudicationScope::Disputed, AdjudicationScope::Flagged, AdjudicationScope::All]
            .map(|what| (1..4).map(move |n| (n, what)));
        for (experts, adjudicate) in all.into_iter().flatten() {
            let rule = GoldRule { policy, experts, adjudicate };
            let expected: Vec<i64> = cases
                .iter()
                .filter(|(_, case, _)| case.settle(rule) == GoldStatus::Disputed)
                .map(|(sentence, ..)| *sentence)
                .collect();
            let filter = SentenceFilter { disputed: Some(rule), ..SentenceFilter::default() };
            assert_eq!(ids(&store, &filter, "eve"), expected[..expected.len().min(100)], "{rule:?}");
            let with_words = SentenceFilter { text: "sentence".into(), ..filter };
            assert_eq!(store.count(&with_words, &Annotator("eve".into()), 1_000).unwrap(), expected.len() as u64);
        }
    }
    let keys = |keys: &[&str]| keys.iter().map(|key| CategoryKey::new(key).unwrap()).collect::<Vec<_>>();
    for outdated in [
        vec![Outdated { taxonomy: "v1".into(), all: false, categories: keys(&["memory"]), none: false }],
        vec![
            Outdated { taxonomy: "v1".into(), all: true, categories: vec![], none: false },
            Outdated { taxonomy: "v2".into(), all: false, categories: keys(&["mood", "car"]), none: true },
        ],
    ] {
        let concerned = |(_, _, given): &&(i64, HumanLabels, Given)| {
            given.iter().any(|(version, label)| outdated.iter().any(|o| o.taxonomy == *version && o.concerns(label)))
        };
        let expected: Vec<i64> = cases.iter().filter(concerned).map(|(sentence, ..)| *sentence).collect();
        let filter = SentenceFilter { outdated: outdated.clone(), ..SentenceFilter::default() };
        assert_eq!(ids(&store, &filter, "ann"), expected, "{outdated:?}");
    }
}

/// What is given out is what is shown, calibration first; a plan of the queue gives its own order.
#[test]
fn worklists_hold_what_is_assigned_and_planned() {
    use crate::domain::protocol::Assignment;
    use crate::domain::queue::AssignmentFilter;
    let mut store = store_with(&[note("p", "1", &["a", "b", "c", "d", "e"])]);
    let run = |id: &str, kind| Run {
        model: "m".into(),
        taxonomy: "t".into(),
        started: Timestamp(1),
        finished: Some(Timestamp(2)),
        ..factory::run(id, kind)
    };
    let seat = |sentence, who: &str, calibration| Assignment {
        sentence: SentenceId(sentence),
        annotator: Annotator(who.into()),
        calibration,
    };
    store
        .give(
            &run("a", RunKind::Assign),
            &[seat(1, "x", false), seat(3, "x", true), seat(5, "x", false), seat(2, "y", false)],
        )
        .unwrap();
    let of = |assigned, planned| SentenceFilter { assigned: Some(assigned), planned, ..SentenceFilter::default() };
    assert_eq!(ids(&store, &of(AssignmentFilter::All, false), "x"), [1, 3, 5]);
    assert_eq!(ids(&store, &of(AssignmentFilter::Calibration, false), "x"), [3]);
    assert_eq!(ids(&store, &of(AssignmentFilter::All, true), "x"), Vec::<i64>::new(), "no plan yet");
    let row = |id: &i64| RankingRow { sentence: SentenceId(*id), why: format!("why {id}"), veiled: "why".into() };
    let order = |ids: &[i64]| ids.iter().map(row).collect::<Vec<_>>();
    store.put_ranking(&run("q1", RunKind::Queue), &order(&[4, 1])).unwrap();
    store.put_ranking(&run("q2", RunKind::Queue), &order(&[5, 2, 1])).unwrap();
    assert_eq!(ids(&store, &of(AssignmentFilter::All, true), "x"), [5, 1]);
    assert_eq!(store.ranking().unwrap().len(), 3, "the older order is forgotten");
    assert_eq!(store.queue_reason(SentenceId(2)).unwrap(), Some(row(&2)));
    assert_eq!(store.queue_reason(SentenceId(4)).unwrap(), None);
    store.append_decisions(&[decide(1, "x", 5, Some("memory"))]).unwrap();
    let given = store.given(&Annotator("x".into())).unwrap();
    assert_eq!((given.sentences, given.decided, given.calibration, given.calibrated), (3, 1, 1, 0));
    assert_eq!(store.take_back(&Annotator("x".into())).unwrap(), 2, "what is decided stays");
}
