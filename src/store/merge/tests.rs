//! Merging is a union: idempotent, commutative, whatever the order; and what conflicts is never settled by who came last.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::domain::corpus::{NewDocument, Origin, SentenceId};
use crate::domain::entry::Entry;
use crate::domain::key_map::TaxonomyMigration;
use crate::domain::label::*;
use crate::domain::split::SplitPlan;
use crate::domain::text::Span;
use crate::factory;
use crate::store::{EntrySelection, RowChange, Store, StoreError, Tampering, Unsealed};

const NOTES: [&str; 3] = ["one", "two", "three"];

/// A site with the same notes as any other, read in an order of its own.
fn site(name: &str, turn: usize) -> Store {
    let mut store = Store::in_memory().unwrap();
    let mut notes: Vec<NewDocument> = NOTES
        .iter()
        .map(|text| NewDocument {
            text: (*text).into(),
            sentences: vec![Span { start: 0, end: text.len() }],
            ..factory::empty_note(text, text)
        })
        .collect();
    notes.rotate_left(turn % 3);
    store.insert_documents(&notes, Origin::Real, &SplitPlan::default()).unwrap();
    store.name_site(name).unwrap();
    store
}

fn sentence(store: &Store, text: &str) -> SentenceId {
    let all = store.texts_after(Origin::Real, SentenceId(0), 10).unwrap();
    all.into_iter().find(|row| row.text == text).unwrap().id
}

fn decision(id: &str, who: &str, sentence: SentenceId, label: &str) -> Decision {
    Decision {
        id: EntryId(id.into()),
        at: Timestamp(1),
        judgement: Judgement { label: Some(Label::parse(label).unwrap()), ..Judgement::default() },
        ..factory::decision(who, sentence)
    }
}

/// What leaves a site: its own events under its name.
fn bundle(store: &Store) -> Vec<Entry> {
    let own = store.site().unwrap();
    let (entries, _) = store.entries(0).unwrap();
    entries.into_iter().map(|e| Entry { site: e.site.clone().or_else(|| own.clone()), ..e }).collect()
}

/// What a site shows, in words that every site has.
fn shown(store: &Store) -> BTreeMap<(String, String), String> {
    let mut all = BTreeMap::new();
    for text in NOTES {
        let id = sentence(store, text);
        store
            .current_labels_since(0, |row| {
                if row.sentence == id {
                    all.insert((text.into(), row.annotator.0.clone()), format!("{:?} {}", row.label, row.forked));
                }
            })
            .unwrap();
        store
            .settlements_since(0, |row| {
                if row.sentence == id {
                    all.insert((text.into(), "adjudicators".into()), format!("{:?}", row.settlement));
                }
            })
            .unwrap();
    }
    all
}

#[derive(Clone, Debug)]
enum Step {
    Decide {
        site: usize,
        who: usize,
        note: usize,
        label: usize,
    },
    Settle {
        site: usize,
        who: usize,
        note: usize,
        label: usize,
    },
    Undo {
        site: usize,
        who: usize,
    },
    Redo {
        site: usize,
        who: usize,
    },
    /// One site takes in all of another's.
    Carry {
        from: usize,
        to: usize,
    },
    /// One site renames, splits or restores categories.
    Migrate {
        site: usize,
        key_map: usize,
    },
}

/// Nothing; `memory` renamed to `care`; `mood` split into the two others.
fn migration(key_map: usize) -> TaxonomyMigration {
    let key_map = ["{}", r#"{"memory":["care"]}"#, r#"{"mood":["care","memory"]}"#][key_map];
    let key_map = serde_json::from_str(key_map).unwrap();
    TaxonomyMigration { before: String::new(), after: String::new(), key_map, undoes: None }
}

fn change(store: &mut Store, id: &str, key_map: usize) {
    let (id, ann) = (EntryId(id.into()), Annotator("ann".into()));
    store.migrate_taxonomy::<StoreError>((&id, Timestamp(1), &ann), &migration(key_map), &[], || Ok(())).unwrap();
}

fn step() -> impl Strategy<Value = Step> {
    let (site, who, note, label) = (0usize..3, 0usize..2, 0usize..3, 0usize..3);
    prop_oneof![
        4 => (site.clone(), who.clone(), note.clone(), label.clone())
            .prop_map(|(site, who, note, label)| Step::Decide { site, who, note, label }),
        2 => (site.clone(), who.clone(), note, label).prop_map(|(site, who, note, label)| Step::Settle { site, who, note, label }),
        2 => (site.clone(), who.clone()).prop_map(|(site, who)| Step::Undo { site, who }),
        1 => (site.clone(), who).prop_map(|(site, who)| Step::Redo { site, who }),
        1 => (site.clone(), site.clone()).prop_map(|(from, to)| Step::Carry { from, to }),
        1 => (site, 0usize..3).prop_map(|(site, key_map)| Step::Migrate { site, key_map }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_order_of_merging_shows_the_same(
        steps in proptest::collection::vec(step(), 1..40),
        turn in 0usize..6,
        key_map in 0usize..3,
    ) {
        let mut sites = [site("a", 0), site("b", 1), site("c", 2)];
        let (people, labels) = (["ann", "ben"], ["", "memory", "mood"]);
        for (n, step) in steps.iter().enumerate() {
            let id = EntryId(format!("{n:04}"));
            match step {
                Step::Decide { site, who, note, label } | Step::Settle { site, who, note, label } => {
                    let store = &mut sites[*site];
                    let d = decision(&id.0, people[*who], sentence(store, NOTES[*note]), labels[*label]);
                    match step {
                        Step::Decide { .. } => store.append_decisions(&[d]).unwrap(),
                        _ => store.append_settlements(&[d]).unwrap(),
                    }
                }
                Step::Undo { site, who } => {
                    sites[*site].undo(&Annotator(people[*who].into()), id, Timestamp(1)).unwrap();
                }
                Step::Redo { site, who } => {
                    sites[*site].redo(&Annotator(people[*who].into()), id, Timestamp(1)).unwrap();
                }
                Step::Carry { from, to } => {
                    let records = bundle(&sites[*from]);
                    sites[*to].merge(&records, &[]).unwrap();
                }
                Step::Migrate { site, key_map } => change(&mut sites[*site], &id.0, *key_map),
            }
        }
        let bundles: Vec<Vec<Entry>> = sites.iter().map(bundle).collect();
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        // Each reads labels in the same way in the end, whether it was told so before the others' came or after.
        let merged = |order: [usize; 3], told: usize| {
            let mut hub = site("hub", turn);
            for (n, at) in order.into_iter().enumerate() {
                if n == told {
                    change(&mut hub, "9999", key_map);
                }
                hub.merge(&bundles[at], &[]).unwrap();
            }
            hub
        };
        let mut first = merged(orders[0], 0);
        let wanted = shown(&first);
        // Commutative, at an empty hub and at each of the sites themselves.
        prop_assert_eq!(&shown(&merged(orders[turn], turn % 3)), &wanted);
        for (at, mut store) in sites.into_iter().enumerate() {
            for bundle in bundles.iter().rev() {
                store.merge(bundle, &[]).unwrap();
            }
            change(&mut store, "9999", key_map);
            prop_assert_eq!(&shown(&store), &wanted, "at {}", at);
        }
        // Idempotent.
        for bundle in &bundles {
            prop_assert_eq!(first.merge(bundle, &[]).unwrap().new, 0);
        }
        prop_assert_eq!(&shown(&first), &wanted);
        // Event by event, backwards: an undo may come before what it withdraws.
        let mut backwards = site("hub", 0);
        change(&mut backwards, "9999", key_map);
        for record in bundles.iter().flatten().rev() {
            backwards.merge(std::slice::from_ref(record), &[]).unwrap();
        }
        prop_assert_eq!(&shown(&backwards), &wanted);
        // The folds equal the log, and the chain holds.
        first.rebuild().unwrap();
        prop_assert_eq!(&shown(&first), &wanted);
        prop_assert_eq!(first.audit(None).unwrap().tampering, vec![]);
    }
}

/// Ann decides on her laptop and at the ward, neither knowing of the other.
#[test]
fn one_expert_at_two_sites_is_a_conflict_until_she_has_seen_both() {
    let (mut ward, mut laptop) = (site("ward", 0), site("laptop", 1));
    let (at_ward, at_laptop) = (sentence(&ward, "one"), sentence(&laptop, "one"));
    ward.append_decisions(&[decision("1", "ann", at_ward, "memory")]).unwrap();
    laptop.append_decisions(&[decision("2", "ann", at_laptop, "mood")]).unwrap();
    ward.merge(&bundle(&laptop), &[]).unwrap();
    let key = ("one".to_owned(), "ann".to_owned());
    assert!(shown(&ward)[&key].ends_with("true"), "{:?}", shown(&ward));
    ward.append_decisions(&[decision("3", "ann", at_ward, "care")]).unwrap();
    assert!(shown(&ward)[&key].contains("care") && shown(&ward)[&key].ends_with("false"));
    laptop.merge(&bundle(&ward), &[]).unwrap();
    assert_eq!(shown(&laptop), shown(&ward));
}

#[test]
fn events_on_notes_that_are_not_here_wait_for_them() {
    let mut ward = site("ward", 0);
    let id = sentence(&ward, "one");
    ward.append_decisions(&[decision("1", "ann", id, "memory")]).unwrap();
    let mut empty = Store::in_memory().unwrap();
    let merged = empty.merge(&bundle(&ward), &[]).unwrap();
    assert_eq!((merged.new, merged.without_note), (0, 1));
    assert_eq!(site("hub", 2).merge(&bundle(&ward), &[]).unwrap().new, 1);
}

/// Changes a row behind the program's back.
fn tamper(store: &Store, sql: &str) {
    let c = &store.connection;
    let made = "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name IN ('events', 'chain')";
    let made: Vec<String> =
        c.prepare(made).unwrap().query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let triggers = "DROP TRIGGER events_are_never_changed; DROP TRIGGER events_are_never_deleted;
        DROP TRIGGER chain_is_never_changed; DROP TRIGGER chain_is_never_deleted;";
    c.execute_batch(&format!("PRAGMA foreign_keys = OFF; {triggers} {sql}")).unwrap();
    made.iter().for_each(|trigger| c.execute_batch(trigger).unwrap());
}

#[test]
fn whatever_is_changed_behind_the_programs_back_is_named() {
    let changed = |position, id: &str| Tampering::Changed { position, event: EntryId(id.into()) };
    let removed = |position, id: Option<&str>| Tampering::Removed { position, event: id.map(|id| EntryId(id.into())) };
    let standing = |sentence, who: &str| Tampering::CurrentLabel {
        sentence: SentenceId(sentence),
        annotator: Some(Annotator(who.into())),
    };
    let count = |who: &str| Tampering::Count { annotator: Some(Annotator(who.into())) };
    let cases: Vec<(&str, Vec<Tampering>)> = vec![
        ("", vec![]),
        ("UPDATE events SET at = 2 WHERE id = '2'", vec![changed(2, "2")]),
        (
            "UPDATE events SET stand = replace(stand, 'mood', 'care') WHERE id = '2'",
            vec![changed(2, "2"), standing(2, "ann")],
        ),
        ("UPDATE events SET stand = 'x' WHERE id = '2'", vec![changed(2, "2")]),
        ("UPDATE standing SET label = 'care' WHERE sentence = 2", vec![standing(2, "ann")]),
        ("INSERT INTO standing SELECT sentence, 'eve', seq, label, rejected, skipped, flagged, commented, blind, forked, in_sight
              FROM standing WHERE sentence = 1", vec![standing(1, "eve")]),
        ("UPDATE events SET in_sight = 'colleague' WHERE id = '2'", vec![changed(2, "2"), standing(2, "ann")]),
        ("UPDATE standing SET in_sight = 'colleague' WHERE sentence = 2", vec![standing(2, "ann")]),
        ("DELETE FROM events WHERE id = '1'", vec![removed(1, Some("1")), standing(1, "ann"), count("ann")]),
        ("DELETE FROM events WHERE id = '1'; DELETE FROM chain WHERE event = '1'", vec![removed(1, None), standing(1, "ann"), count("ann")]),
        ("DELETE FROM events WHERE id = '3'; DELETE FROM chain WHERE event = '3'",
            vec![Tampering::CutOff { events: 1 }, standing(3, "ben"), count("ben")]),
        ("UPDATE documents SET text = 'tow' WHERE text = 'two'", vec![Tampering::Unsealed(Unsealed::Row {
            table: "documents", key: vec!["2".into()], change: RowChange::Changed,
        })]),
        ("INSERT INTO events (id, kind, at, annotator, sentence, stand, proposal_visible)
              SELECT '9', kind, at, 'eve', sentence, stand, 0 FROM events WHERE id = '1'",
            vec![Tampering::Unlinked { event: EntryId("9".into()) }, standing(1, "eve"), count("eve")]),
    ];
    for (sql, expected) in cases {
        let mut store = site("ward", 0);
        for (id, who, note, label) in [("1", "ann", 1, "memory"), ("2", "ann", 2, "mood"), ("3", "ben", 3, "")] {
            store.append_decisions(&[decision(id, who, SentenceId(note), label)]).unwrap();
        }
        let (_, head) = store.log_end().unwrap();
        tamper(&store, sql);
        let audited = store.audit(Some(&head)).unwrap();
        assert_eq!(audited.tampering, expected, "{sql}");
        assert_eq!(audited.found, !sql.contains("event = '3'"), "{sql}");
    }
}

/// Nothing of the log is passed over: not even by making the projection anew.
#[test]
fn an_entry_of_a_kind_that_is_not_known_is_an_error() {
    let mut store = site("ward", 0);
    store.append_decisions(&[decision("1", "ann", SentenceId(1), "memory")]).unwrap();
    tamper(&store, "UPDATE events SET kind = 'muse' WHERE id = '1'");
    let unknown = |error: StoreError| assert!(matches!(error, StoreError::UnknownEntry { kind, .. } if kind == "muse"));
    unknown(store.rebuild().unwrap_err());
    unknown(store.entries(0).unwrap_err());
    unknown(store.selected(&EntrySelection { upto: 9, ..EntrySelection::default() }, 9).unwrap_err());
    let found = store.audit(None).unwrap().tampering;
    assert_eq!(found, [Tampering::Changed { position: 1, event: EntryId("1".into()) }]);
    assert_eq!(store.log_row(1).unwrap().entry, None);
}

/// How labels are read is for each site to say: neither another's change nor one of its own that comes back holds.
#[test]
fn a_change_of_categories_that_comes_in_changes_nothing_here() {
    let mut ward = site("ward", 0);
    change(&mut ward, "2", 1);
    let mut lost = site("ward", 0);
    lost.append_decisions(&[decision("1", "ann", sentence(&lost, "one"), "memory")]).unwrap();
    let before = shown(&lost);
    assert_eq!(lost.merge(&bundle(&ward), &[]).unwrap().new, 1);
    assert_eq!((lost.latest_migration().unwrap(), shown(&lost)), (None, before));
    assert_eq!(lost.merge(&bundle(&ward), &[]).unwrap().new, 0);
    assert_eq!(lost.audit(None).unwrap().tampering, vec![]);
}

/// A change that cannot be read any more stops nobody from finding out.
#[test]
fn a_changed_change_of_categories_is_named() {
    for detail in ["x", r#"{"before":"","after":"","lineage":{"mood":["care"]}}"#] {
        let mut store = site("ward", 0);
        store.append_decisions(&[decision("1", "ann", SentenceId(1), "memory")]).unwrap();
        change(&mut store, "2", 1);
        tamper(&store, &format!("UPDATE events SET detail = '{detail}' WHERE id = '2'"));
        let found = store.audit(None).unwrap().tampering;
        assert_eq!(found[0], Tampering::Changed { position: 2, event: EntryId("2".into()) }, "{detail}");
        store.read_key_map().unwrap();
    }
}
