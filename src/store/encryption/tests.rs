//! A store under a key: opened by it alone, the same before and after, and never lost on the way.

use std::path::PathBuf;

use super::*;
use crate::domain::corpus::{Origin, SentenceId};
use crate::domain::label::{Judgement, Label};
use crate::domain::split::SplitPlan;
use crate::factory;

const WORD: &str = "zyzzyva";

/// A plain store with notes, decisions and a full-text index, in a folder of its own.
fn plain() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("goldsmith.db");
    let mut store = Store::create(&path).unwrap();
    let sentences: Vec<String> = (0..400).map(|n| format!("Person {n} has seen a {WORD} at the pond.")).collect();
    store.insert_documents(&[factory::note("p", "1", &sentences)], Origin::Real, &SplitPlan::default()).unwrap();
    while store.index_more(100).unwrap() > 0 {}
    let judgement = Judgement { label: Some(Label::none()), ..Judgement::default() };
    for n in 1..=20 {
        let decision = crate::domain::label::Decision { judgement: judgement.clone(), ..decision(n) };
        store.append_decisions(&[decision]).unwrap();
    }
    drop(store);
    (folder, path)
}

fn decision(n: i64) -> crate::domain::label::Decision {
    factory::decision("ann", SentenceId(n))
}

#[cfg(feature = "encrypted-store")]
mod with_it {
    use super::*;

    /// What every file of the folder holds, by name.
    fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
        let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
        let file =
            |entry: std::fs::DirEntry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap());
        entries.map(file).collect()
    }

    fn holds(bytes: &[u8], word: &str) -> bool {
        bytes.windows(word.len()).any(|window| window == word.as_bytes())
    }

    fn refused(opened: Result<Store, StoreError>) -> StoreError {
        opened.err().expect("is refused")
    }

    /// What a store says of itself: sentences, the first text, what a search finds, and that its log is whole.
    fn content(mut store: Store) -> (u64, String, u64, bool) {
        let filter = crate::domain::queue::SentenceFilter { text: WORD.into(), ..Default::default() };
        let found = store.count(&filter, &crate::domain::label::Annotator("ann".into()), 1_000).unwrap();
        let text = store.texts(&[SentenceId(7)]).unwrap().remove(0).text;
        let audit = store.audit(None).unwrap();
        (store.sentence_count(Origin::Real).unwrap(), text, found, audit.tampering.is_empty())
    }

    #[test]
    fn a_store_is_the_same_under_each_key_and_opens_with_that_key_alone() {
        let (folder, path) = plain();
        let before = content(Store::open(&path).unwrap());
        assert!(before.3 && before.2 == 400, "{before:?}");
        assert!(files(folder.path()).iter().any(|(_, bytes)| holds(bytes, WORD)));
        let raw = "0123456789abcdef".repeat(4);
        let long = "correct horse 'battery' \"staple\";-- ".repeat(5);
        let keys = [Some(Secret::of(&long)), Some(Secret::of(&raw)), None];
        let mut last = None;
        for key in &keys {
            Store::recode(&path, last, key.as_ref()).unwrap();
            {
                let store = Store::open_with(&path, key.as_ref()).unwrap();
                assert_eq!(content(store.again().unwrap()), before);
                assert_eq!(store.again().unwrap().integrity_check().unwrap(), ["ok"]);
                let found = files(folder.path());
                assert!(found.iter().any(|(name, _)| name == "goldsmith.db-wal"), "the log is looked at, too");
                assert_eq!(found.iter().any(|(_, bytes)| holds(bytes, WORD)), key.is_none());
                assert!(found.iter().all(|(name, bytes)| !holds(bytes, &raw) && !name.ends_with(".new")));
            }
            let wrong = Store::open_with(&path, Some(&Secret::of("another")));
            match key {
                Some(_) => {
                    assert!(matches!(refused(wrong), StoreError::WrongKey { .. }));
                    assert!(matches!(refused(Store::open(&path)), StoreError::Locked(_)));
                }
                None => assert!(matches!(refused(wrong), StoreError::NotEncrypted(_))),
            }
            last = key.as_ref();
        }
    }

    #[test]
    fn a_store_that_others_have_open_keeps_its_key() {
        let (folder, path) = plain();
        let other = Store::open(&path).unwrap();
        let key = Secret::of("correct horse");
        assert!(matches!(Store::recode(&path, None, Some(&key)), Err(StoreError::InUse(_))));
        assert_eq!(content(other.again().unwrap()), content(Store::open(&path).unwrap()));
        assert!(files(folder.path()).iter().all(|(name, _)| !name.ends_with(".new")));
        drop(other);
        Store::recode(&path, None, Some(&key)).unwrap();
    }

    #[test]
    fn what_cannot_be_written_leaves_the_store_as_it_was_and_leftovers_are_in_nobodys_way() {
        let (_folder, path) = plain();
        let (key, before) = (Secret::of("correct horse"), content(Store::open(&path).unwrap()));
        let copy = beside(&path, ".new");
        std::fs::create_dir(&copy).unwrap();
        assert!(matches!(Store::recode(&path, None, Some(&key)), Err(StoreError::Unwritable(..))));
        assert_eq!(content(Store::open(&path).unwrap()), before);
        std::fs::remove_dir(&copy).unwrap();
        // The whole log of another store: were it read into the copy, it would be that store.
        let (other_folder, other) = plain();
        let mut other = Store::open(&other).unwrap();
        other.restrict("another's notes").unwrap();
        let log = std::fs::read(other_folder.path().join("goldsmith.db-wal")).unwrap();
        assert!(!log.is_empty());
        drop(other);
        std::fs::write(beside(&copy, "-wal"), log).unwrap();
        std::fs::write(&copy, "half of a copy").unwrap();
        Store::recode(&path, None, Some(&key)).unwrap();
        let left = files(path.parent().unwrap());
        assert!(left.iter().all(|(name, _)| !name.contains(".new")));
        assert_eq!(content(Store::open_with(&path, Some(&key)).unwrap()), before);
    }

    #[test]
    fn nobody_writes_into_a_file_that_was_replaced() {
        let (_folder, path) = plain();
        // It has the file in hand, but has not read it yet: no lock keeps the other from replacing it.
        let late = Connection::open(&path).unwrap();
        Store::recode(&path, None, Some(&Secret::of("correct horse"))).unwrap();
        let error = late.execute("INSERT INTO meta VALUES ('late', 'yes')", []).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase), "{error}");
    }

    #[test]
    fn a_copy_that_differs_is_found() {
        let c = Connection::open_in_memory().unwrap();
        c.execute_batch("ATTACH ':memory:' AS copy; CREATE TABLE t (a, b); CREATE TABLE copy.t (a, b)").unwrap();
        assert!(same(&c).unwrap());
        c.execute_batch("INSERT INTO t VALUES (1, x'00'), (2, NULL); INSERT INTO copy.t VALUES (1, x'00')").unwrap();
        assert!(!same(&c).unwrap(), "a row too few");
        c.execute_batch("INSERT INTO copy.t VALUES (2, 0)").unwrap();
        assert!(!same(&c).unwrap(), "another value");
        c.execute_batch("UPDATE copy.t SET b = NULL WHERE a = 2").unwrap();
        assert!(same(&c).unwrap());
        c.execute_batch("CREATE INDEX i ON t (a)").unwrap();
        assert!(!same(&c).unwrap(), "another schema");
    }
}

#[cfg(not(feature = "encrypted-store"))]
#[test]
fn without_encryption_a_key_is_refused_and_the_store_stays_as_it_is() {
    let (_folder, path) = plain();
    let key = Secret::of("correct horse");
    assert!(matches!(Store::open_with(&path, Some(&key)), Err(StoreError::NoEncryption(_))));
    assert!(matches!(Store::ensure_encrypted(&path), Err(StoreError::NoEncryption(_))));
    assert!(matches!(Store::recode(&path, None, Some(&key)), Err(StoreError::NoEncryption(_))));
    assert!(Store::open(&path).unwrap().texts(&[SentenceId(1)]).unwrap()[0].text.contains(WORD));
    // Pages that begin like no database are as likely encrypted as damaged.
    std::fs::write(&path, [0xa5; PAGE as usize]).unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::Locked(_))));
}
