//! Which tables are sealed, and that what the program writes is sealed as it goes.

use std::collections::BTreeSet;

use super::*;
use crate::domain::corpus::{NewDocument, Origin, SentenceId};
use crate::domain::label::{Label, NewProposal, RunId, RunKind, Source};
use crate::domain::split::SplitPlan;
use crate::domain::text::Span;
use crate::factory::{self, run};
use crate::store::{Store, Tampering};

/// What is held to account in another way, or says nothing that is not said elsewhere.
const NOT_SEALED: [&str; 11] = [
    // With their note.
    "sentences",
    // By the chain, and themselves.
    "events",
    "chain",
    "seals",
    // Made anew from the log, or counted, and compared.
    "standing",
    "settled",
    "undone",
    "tally",
    "totals",
    // Which sentence comes next; thought over every few decisions, and it says nothing of any.
    "ranking",
    // Made from the sentences' texts; it finds sentences and says nothing of them.
    "search",
];

fn columns(c: &Connection, table: &str) -> BTreeSet<String> {
    let named = format!("SELECT name FROM pragma_table_info('{table}')");
    c.prepare(&named).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn every_table_and_every_column_is_sealed_or_held_in_another_way() {
    let store = Store::in_memory().unwrap();
    store
        .with(|c| {
            let all = "SELECT name FROM sqlite_schema WHERE type = 'table'
                AND name NOT LIKE 'search\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
            let tables: BTreeSet<String> =
                c.prepare(all)?.query_map([], |row| row.get(0))?.map(Result::unwrap).collect();
            let named = SEALED.iter().map(|table| table.name).chain([NOTES]).chain(NOT_SEALED);
            assert_eq!(tables, named.map(str::to_owned).collect());
            for SealedTable { name, key, columns: others } in SEALED {
                let listed = key.iter().chain(*others).map(|column| (*column).to_owned()).collect();
                assert_eq!(columns(c, name), listed, "{name}");
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn values_are_read_as_they_were_encoded() {
    let bytes = encoded(&[
        ValueRef::Null,
        ValueRef::Integer(-7),
        ValueRef::Real(0.5),
        ValueRef::Text(b"ann"),
        ValueRef::Blob(&[0, 9]),
    ]);
    let read = [Value::Null, Value::Integer(-7), Value::Real(0.5), Value::Text("ann".into()), Value::Blob(vec![0, 9])];
    assert_eq!(decoded(&bytes), read);
    for length in 0..bytes.len() {
        assert!(decoded(&bytes[..length]).len() < read.len());
    }
}

/// A note with two sentences, a run, and a proposal for the first.
fn study() -> Store {
    let mut store = Store::in_memory().unwrap();
    let sentences = vec![Span { start: 0, end: 4 }, Span { start: 4, end: 8 }];
    let note = NewDocument { text: "One.Two.".into(), sentences, ..factory::empty_note("p1", "n1") };
    store.insert_documents(&[note], Origin::Real, &SplitPlan::default()).unwrap();
    store.put_run(&run("run-1", RunKind::Label)).unwrap();
    let proposal = NewProposal::bare(SentenceId(1), Label::parse("mood").unwrap());
    store.propose(&RunId("run-1".into()), Source::Llm, &[proposal]).unwrap();
    store
}

#[test]
fn what_the_program_writes_changes_and_deletes_is_sealed() {
    let mut store = study();
    assert_eq!(store.audit(None).unwrap().tampering, []);
    let seals = store.audit(None).unwrap().seals;
    store.put_run(&crate::domain::label::Run { scores: "{}".into(), ..run("run-1", RunKind::Label) }).unwrap();
    store.write(|c| c.execute("INSERT INTO verdicts VALUES (1, 'length', 1, '', NULL)", [])).unwrap();
    store.write(|c| c.execute("DELETE FROM verdicts", [])).unwrap();
    store.write(|c| c.execute("UPDATE patients SET split = 'train'", [])).unwrap();
    store.write(|c| c.execute("UPDATE sentences SET end = 3 WHERE id = 1", [])).unwrap();
    let audited = store.audit(None).unwrap();
    assert_eq!((audited.tampering, audited.seals), (vec![], seals + 5));
}

/// By whoever writes the seal for it as well.
#[test]
fn what_is_written_once_is_not_sealed_a_second_time_unnoticed() {
    for sql in ["UPDATE proposals SET label = 'care'", "DELETE FROM proposals", "DELETE FROM runs"] {
        let mut store = study();
        store.with(|c| c.execute_batch("PRAGMA foreign_keys = OFF")).unwrap();
        store.write(|c| c.execute(sql, [])).unwrap();
        let table = if sql.ends_with("runs") { "runs" } else { "proposals" };
        let found = store.audit(None).unwrap().tampering;
        let named = |t: &Tampering| matches!(t, Tampering::Unsealed(Unsealed::Row { table: of, .. }) if *of == table);
        assert!(found.iter().any(named), "{sql}: {found:?}");
    }
}

#[test]
fn a_transaction_that_came_to_nothing_leaves_no_seal() {
    let mut store = study();
    let before = store.audit(None).unwrap();
    let failed: Result<(), _> = store.write(|c| {
        c.execute("UPDATE runs SET scores = 'forged'", [])?;
        Err(rusqlite::Error::QueryReturnedNoRows)
    });
    failed.unwrap_err();
    assert_eq!(store.audit(None).unwrap(), before);
    // Nor does the next one carry what it wrote.
    store.write(|c| c.execute("UPDATE meta SET value = value", [])).unwrap();
    assert_eq!(store.audit(None).unwrap().tampering, []);
}

#[test]
fn a_seal_that_was_changed_moved_or_left_out_is_named() {
    type Spoil = (&'static str, fn(&Tampering) -> bool);
    let cases: [Spoil; 4] = [
        ("UPDATE seals SET rows = x'00' WHERE position = 2", |t| {
            matches!(t, Tampering::Unsealed(Unsealed::Seal { position: 2 }))
        }),
        ("UPDATE seals SET hash = zeroblob(32) WHERE position = 1", |t| {
            matches!(t, Tampering::Unsealed(Unsealed::Seal { position: 1 }))
        }),
        ("DELETE FROM seals WHERE position = 2", |t| {
            matches!(t, Tampering::Unsealed(Unsealed::SealRemoved { position: 2 }))
        }),
        ("UPDATE seals SET position = 99 WHERE position = 3", |t| {
            matches!(t, Tampering::Unsealed(Unsealed::SealRemoved { position: 3 }))
        }),
    ];
    for (sql, named) in cases {
        let mut store = study();
        let made = "SELECT sql FROM sqlite_schema WHERE name LIKE 'seals_are%'";
        store
            .with(|c| {
                let made: Vec<String> = c.prepare(made)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
                c.execute_batch("DROP TRIGGER seals_are_never_changed; DROP TRIGGER seals_are_never_deleted")?;
                c.execute_batch(sql)?;
                made.iter().try_for_each(|trigger| c.execute_batch(trigger))
            })
            .unwrap();
        let found = store.audit(None).unwrap().tampering;
        assert!(found.iter().any(named), "{sql}: {found:?}");
    }
}
