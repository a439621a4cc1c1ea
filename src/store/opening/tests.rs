//! Stores that were cut off, left behind or locked away: what is read of them is what was saved, or the fault is named.

use std::fs;
use std::path::PathBuf;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::domain::corpus::{Origin, SentenceId};
use crate::domain::label::{Decision, EntryId, Judgement, Label, Timestamp};
use crate::domain::split::SplitPlan;
use crate::factory;

const SENTENCES: i64 = 40;

fn decision(number: i64) -> Decision {
    Decision {
        id: EntryId(format!("{number:08}")),
        at: Timestamp(number),
        judgement: Judgement { label: Some(Label::parse("memory").unwrap()), ..Judgement::default() },
        ..factory::decision("ann", SentenceId(number % SENTENCES + 1))
    }
}

/// An open store with sentences of which nothing has been decided.
fn store(folder: &Path) -> Store {
    let mut store = Store::create(&folder.join("goldsmith.db")).unwrap();
    let texts: Vec<String> = (0..SENTENCES).map(|i| format!("She forgets name {i}.")).collect();
    let note = factory::note("p", "1", &texts);
    store.insert_documents(&[note], Origin::Real, &SplitPlan::default()).unwrap();
    store
}

/// A copy of the files as they are on the disk at this moment, with the write-ahead log as `change` leaves it.
fn as_left(store: &Store, folder: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> PathBuf {
    let copy = folder.join("goldsmith.db");
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(beside(&copy, end));
    }
    fs::copy(store.path(), &copy).unwrap();
    fs::write(beside(&copy, "-wal"), change(fs::read(beside(store.path(), "-wal")).unwrap())).unwrap();
    copy
}

fn ids(store: &Store) -> Vec<EntryId> {
    let ids =
        |c: &Connection| c.prepare("SELECT id FROM events ORDER BY seq")?.query_map([], |row| row.get(0))?.collect();
    store.with(ids).unwrap()
}

/// A cut of the power leaves the write-ahead log up to some byte, and behind it what stood there before: nothing, zeros, or what
/// an earlier round of the log wrote. Each decision that was on the disk whole is there, and of the others there is no trace.
#[test]
fn after_a_power_cut_each_decision_is_there_whole_or_not_at_all() {
    let seed = std::env::var("GOLDSMITH_SEED").map_or(13, |seed| seed.parse().unwrap());
    let cuts = std::env::var("GOLDSMITH_CUTS").map_or(60, |cuts| cuts.parse().unwrap());
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut store = store(here.path());
    let wal = beside(store.path(), "-wal");
    let size = || fs::metadata(&wal).unwrap().len() as usize;
    // From here on the log grows from its beginning.
    store.with(|c| c.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))).unwrap();
    store.with(|c| c.execute_batch("PRAGMA wal_autocheckpoint = 0")).unwrap();
    let mut saved = vec![size()];
    for number in 1..=30 {
        store.append_decisions(&[decision(number)]).unwrap();
        saved.push(size());
    }
    assert!(saved.is_sorted() && saved[0] < saved[1], "{saved:?}");
    let all = ids(&store);
    for round in 0..cuts {
        let cut = random.random_range(0..=*saved.last().unwrap());
        let whole = saved.iter().rposition(|size| *size <= cut).unwrap();
        let tail = round % 3;
        let copy = as_left(&store, there.path(), |mut bytes| {
            let length = bytes.len();
            bytes.truncate(cut);
            match tail {
                1 => bytes.resize(length, 0),
                2 => bytes.resize_with(length, || random.random()),
                _ => {}
            }
            bytes
        });
        let mut found = Store::open(&copy).unwrap();
        let place = format!("seed {seed}, cut at byte {cut}, tail {tail}");
        assert_eq!(found.integrity_check().unwrap(), ["ok"], "{place}");
        assert_eq!(ids(&found), all[..whole], "{place}");
        let audited = found.audit(None).unwrap();
        assert!(audited.tampering.is_empty() && audited.events as usize == whole, "{place}: {audited:?}");
        // And it goes on from there.
        found.append_decisions(&[decision(99)]).unwrap();
        assert_eq!(ids(&found).len(), whole + 1, "{place}");
    }
}

/// Reading alone makes no file and changes none, and sees what a process that was killed had saved.
#[test]
fn what_a_killed_process_had_saved_is_read_without_a_write() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut store = store(here.path());
    store.append_decisions(&[decision(1), decision(2)]).unwrap();
    let (saved, shm) = (ids(&store), beside(store.path(), "-shm"));
    let files = |path: &Path| {
        let mut all: Vec<(PathBuf, Vec<u8>)> = fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        all.sort();
        all
    };
    for with_shm in [false, true] {
        let copy = as_left(&store, there.path(), |bytes| bytes);
        if with_shm {
            fs::copy(&shm, beside(&copy, "-shm")).unwrap();
        }
        let before = files(&copy);
        let mut read = Store::open_to_read(&copy, None).unwrap();
        assert!(read.is_read_only());
        assert_eq!(ids(&read), saved);
        assert_eq!(read.again().unwrap().audit(None).unwrap(), read.audit(None).unwrap());
        assert!(matches!(read.append_decisions(&[decision(3)]), Err(StoreError::Unwritable(..))));
        drop(read);
        // The index in memory that is shared may be made anew; it says nothing of its own.
        let of_data = |files: Vec<(PathBuf, Vec<u8>)>| -> Vec<(PathBuf, Vec<u8>)> {
            files.into_iter().filter(|(path, _)| !path.to_str().unwrap().ends_with("-shm")).collect()
        };
        assert_eq!(of_data(files(&copy)), of_data(before), "-shm: {with_shm}");
    }
    drop(store);
    let closed = here.path().join("goldsmith.db");
    let before = files(&closed);
    assert_eq!(ids(&Store::open_to_read(&closed, None).unwrap()), saved);
    assert_eq!(files(&closed), before);
    // A name that would end a URI, or be a part of one that is escaped.
    let odd = there.path().join("a?b#c%20 d.db");
    fs::copy(&closed, &odd).unwrap();
    assert_eq!(ids(&Store::open_to_read(&odd, None).unwrap()), saved);
}

/// What the file alone can tell is told; a part of a store is never taken for an empty one.
#[test]
fn a_part_of_a_store_is_no_store() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let copy = there.path().join("goldsmith.db");
    // Nothing was ever written into the file itself: all of it stands in the log.
    {
        let c = Connection::open(here.path().join("goldsmith.db")).unwrap();
        c.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE a (b); DROP TABLE a; VACUUM").unwrap();
        fs::copy(here.path().join("goldsmith.db"), &copy).unwrap();
    }
    for opened in [Store::open(&copy), Store::open_to_read(&copy, None)] {
        let error = opened.err().unwrap();
        assert!(matches!(&error, StoreError::Corrupt(_, cause) if cause.to_string().contains("-wal")), "{error:?}");
    }
    fs::remove_file(here.path().join("goldsmith.db")).unwrap();
    drop(store(here.path()));
    fs::copy(here.path().join("goldsmith.db"), &copy).unwrap();
    Connection::open(&copy).unwrap().execute_batch("DROP TABLE standing").unwrap();
    let error = Store::open(&copy).unwrap().decisions(SentenceId(1)).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt(_, cause) if cause.to_string().contains("standing")), "{error:?}");
    // Read alone, a store of an earlier version would have to be changed first.
    let earlier = there.path().join("earlier.db");
    schema::earlier_version(&Connection::open(&earlier).unwrap(), 7).unwrap();
    let error = Store::open_to_read(&earlier, None).err().unwrap();
    assert!(matches!(&error, StoreError::Unwritable(_, cause) if cause.to_string().contains("version 7")), "{error:?}");
    assert!(Store::open(&earlier).is_ok() && Store::open_to_read(&earlier, None).is_ok());
}
