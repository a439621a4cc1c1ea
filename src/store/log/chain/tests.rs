//! The chain over one entry of each kind.

use super::*;
use crate::domain::corpus::{DocumentUid, NewDocument, Origin, SentenceId};
use crate::domain::entry::{Body, Judged, RecordedSight, SentenceRef};
use crate::domain::key_map::{KeyMap, TaxonomyMigration};
use crate::domain::label::{
    Annotator, Decision, EntryId, Judgement, Label, NewProposal, ProposalId, RunId, RunKind, Source, Timestamp,
};
use crate::domain::sight::{Cue, InSight};
use crate::domain::split::SplitPlan;
use crate::domain::text::Span;
use crate::factory;
use crate::factory::run;
use crate::store::Store;

/// Entries as they are hashed, each behind the link over it and all before it. Both are on users' disks and in bundles,
/// and never edited. Sentence and proposal stand by what every store calls them.
const CHAINED: &str = include_str!("../../../../tests/golden/chain.txt");

fn decision(id: &str, at: i64, annotator: &str, judgement: Judgement) -> Decision {
    Decision {
        id: EntryId(id.into()),
        at: Timestamp(at),
        judgement,
        in_sight: None,
        taxonomy: "guide-1".into(),
        ..factory::decision(annotator, SentenceId(1))
    }
}

fn said(label: &str, comment: &str) -> Judgement {
    Judgement { label: Some(Label::parse(label).unwrap()), comment: comment.into(), ..Judgement::default() }
}

/// A log with an entry of each kind, made as the program makes them.
fn one_of_each() -> Store {
    let mut store = Store::in_memory().unwrap();
    let note = NewDocument {
        text: "She forgets names.\n".into(),
        sentences: vec![Span { start: 0, end: 18 }],
        ..factory::empty_note("p1", "n1")
    };
    store.insert_documents(&[note], Origin::Real, &SplitPlan::default()).unwrap();
    store.put_run(&run("run-1", RunKind::Label)).unwrap();
    let proposal = NewProposal::bare(SentenceId(1), Label::parse("mood").unwrap());
    store.propose(&RunId("run-1".into()), Source::Llm, &[proposal]).unwrap();

    // An entry of before `in_sight` that says that a machine's label was seen: none is made any more, but they are read.
    let seen: Entry = serde_json::from_str(CHAINED.lines().next().unwrap().split_once(' ').unwrap().1).unwrap();
    store.merge(&[seen], &[]).unwrap();
    let skipped = Judgement { skipped: true, ..Judgement::default() };
    let reworded = Judgement { rejected: true, edited: Some("She forgot.".into()), ..Judgement::default() };
    store
        .append_decisions(&[
            decision("e-02", 2_000, "ann", said("", "")),
            decision("e-03", 3_000, "ben", skipped),
            decision("e-04", 4_000, "cay", reworded),
        ])
        .unwrap();
    store.append_settlements(&[decision("e-05", 5_000, "eve", said("mood,memory", "Both."))]).unwrap();
    let ann = Annotator("ann".into());
    store.undo(&ann, EntryId("e-06".into()), Timestamp(6_000)).unwrap();
    store.redo(&ann, EntryId("e-07".into()), Timestamp(7_000)).unwrap();
    let elsewhere = Entry {
        id: EntryId("e-08".into()),
        at: Timestamp(8_000),
        author: ann.clone(),
        site: Some("ward-1".into()),
        body: Body::Decide(Judged {
            sentence: SentenceRef { document: DocumentUid::of("p1", "n1", "She forgets names.\n"), start: 0, end: 18 },
            judgement: said("care", ""),
            took: None,
            sight: RecordedSight::Machine(false),
            proposal: None,
            taxonomy: "guide-2".into(),
            supersedes: None,
        }),
        signature: None,
    };
    store.merge(&[elsewhere], &[]).unwrap();
    let key_map: KeyMap = serde_json::from_str(r#"{"memory":["recall"],"mood":["affect","spirits"]}"#).unwrap();
    let renamed = TaxonomyMigration { before: "guide-1".into(), after: "guide-2".into(), key_map, undoes: None };
    let undone = TaxonomyMigration {
        before: "guide-2".into(),
        after: "guide-1".into(),
        key_map: KeyMap::default(),
        undoes: Some(EntryId("e-09".into())),
    };
    for (id, at, migration) in [("e-09", 9_000, renamed), ("e-10", 10_000, undone)] {
        let done: Result<(), crate::store::StoreError> =
            store.migrate_taxonomy((&EntryId(id.into()), Timestamp(at), &ann), &migration, &[], || Ok(()));
        done.unwrap();
    }
    store
}

/// An entry that says what had been in sight; never edited either.
const IN_SIGHT: &str = include_str!("../../../../tests/golden/chain-in-sight.txt");

#[test]
fn what_had_been_in_sight_is_chained() {
    let mut store = one_of_each();
    let first = decision("e-11", 11_000, "ann", Judgement { flagged: true, ..said("memory", "Größe?") });
    let in_sight = Some(InSight::NOTHING.with(Cue::Machine).with(Cue::Colleague));
    let seen = Decision { took: Some(900), in_sight, proposal: Some(ProposalId(1)), ..first };
    let blind = Decision { in_sight: Some(InSight::NOTHING), ..decision("e-12", 12_000, "ben", said("", "")) };
    store.append_decisions(&[seen, blind]).unwrap();
    let (entries, _) = store.entries(10).unwrap();
    let links: Vec<ChainHash> = store
        .with(|c| {
            let mut read = c.prepare("SELECT hash FROM chain WHERE position > 10 ORDER BY position")?;
            read.query_map([], |row| row.get(0))?.collect()
        })
        .unwrap();
    let text = |entry: &Entry| serde_json::to_string(entry).unwrap();
    let made: Vec<String> =
        links.iter().zip(&entries).map(|(link, entry)| format!("{} {}", hex::encode(link), text(entry))).collect();
    assert_eq!(made, IN_SIGHT.lines().collect::<Vec<_>>());
}

#[test]
fn an_entry_of_each_kind_is_chained_as_it_always_was() {
    let mut store = one_of_each();
    let links: Vec<ChainHash> = store
        .with(|c| {
            let mut read = c.prepare("SELECT hash FROM chain ORDER BY position")?;
            read.query_map([], |row| row.get(0))?.collect()
        })
        .unwrap();
    let (entries, _) = store.entries(0).unwrap();
    let text = |entry: &Entry| serde_json::to_string(entry).unwrap();
    let made: Vec<String> =
        links.iter().zip(&entries).map(|(link, entry)| format!("{} {}", hex::encode(link), text(entry))).collect();
    let chained: Vec<&str> = CHAINED.lines().collect();
    assert_eq!(made, chained);
    let link = |line: usize| chained[line].split_once(' ').unwrap().0;
    for (line, entry) in chained.iter().zip(&entries) {
        let read: Entry = serde_json::from_str(line.split_once(' ').unwrap().1).unwrap();
        assert_eq!(&read, entry);
    }
    let audited = store.audit(Some(link(4))).unwrap();
    assert_eq!((audited.events, audited.last_link.as_str(), audited.found), (10, link(9), true));
    assert_eq!(audited.tampering, []);
}
