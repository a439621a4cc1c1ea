//! Looking for rows that have no seal, and for seals that are not as they were written.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};
use rustc_hash::FxHashMap;

use crate::store::{Store, StoreError};

use super::{NOTES, RowDigest, SEALED, SealHash, decoded, each_row, next};

/// What is wrong with rows beside the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsealed {
    /// A row is not as it was sealed.
    Row {
        /// Its table; a note's is `documents`.
        table: &'static str,
        /// The values that name it.
        key: Vec<String>,
        change: RowChange,
    },
    /// A sentence that belongs to no note.
    Stray { sentence: i64 },
    /// A seal is not as it was written.
    Seal {
        /// Its place, from 1.
        position: u64,
    },
    /// A seal is gone.
    SealRemoved {
        /// Its place, from 1.
        position: u64,
    },
    /// The log is not the one that a seal was written behind.
    OtherLog {
        /// The seal.
        position: u64,
        /// The place in the log.
        events: u64,
    },
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowChange {
    Changed,
    Removed,
    /// It was put in.
    Added,
}

/// What came of looking at the seals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealAudit {
    /// Seals looked at.
    pub seals: u64,
    /// The last link, in hexadecimal; empty where there is none.
    pub last_link: String,
    /// Whether a link asked for is one of theirs.
    pub found: bool,
    pub wrong: Vec<Unsealed>,
}

/// So many seals that are gone are named: a number that somebody wrote there can be any.
const MOST_NAMED: usize = 1_000;

/// Compares every row with its seal. `expect` is a link noted earlier, in hexadecimal.
pub(in crate::store) fn check(c: &Connection, expect: Option<&str>) -> rusqlite::Result<SealAudit> {
    let mut audited = SealAudit::default();
    let mut sealed = read_seals(c, expect, &mut audited)?;
    each_row(c, &mut |table, key, digest| {
        let known = sealed.get_mut(table).and_then(|rows| rows.remove(&key));
        let change = match known {
            Some(known) if known == digest => return Ok(()),
            Some(_) => RowChange::Changed,
            None => RowChange::Added,
        };
        audited.wrong.push(Unsealed::Row { table, key: shown(&key), change });
        Ok(())
    })?;
    for table in SEALED.iter().map(|table| table.name).chain([NOTES]) {
        let mut gone: Vec<Vec<u8>> = sealed.remove(table).unwrap_or_default().into_keys().collect();
        gone.sort_unstable();
        let change = RowChange::Removed;
        audited.wrong.extend(gone.iter().map(|key| Unsealed::Row { table, key: shown(key), change }));
    }
    let stray = "SELECT id FROM sentences s WHERE NOT EXISTS (SELECT 1 FROM documents d WHERE d.id = s.document
        AND s.id >= d.first_sentence AND s.id < d.first_sentence + d.sentence_count) ORDER BY id";
    for sentence in c.prepare(stray)?.query_map([], |row| row.get(0))? {
        audited.wrong.push(Unsealed::Stray { sentence: sentence? });
    }
    Ok(audited)
}

/// Tables whose rows the program writes once, and neither changes nor deletes.
const WRITTEN_ONCE: [&str; 4] = ["access", "doubts", "proposals", "scored_runs"];

/// Tables whose rows the program may change, and never deletes.
const NEVER_DELETED: [&str; 6] = ["egress", NOTES, "meta", "patients", "runs", "taxonomies"];

/// The newest digest of each row, by table and key.
type Sealed = FxHashMap<&'static str, FxHashMap<Vec<u8>, RowDigest>>;

fn read_seals(c: &Connection, expect: Option<&str>, audited: &mut SealAudit) -> rusqlite::Result<Sealed> {
    let (mut sealed, mut again) = (Sealed::default(), Vec::new());
    let mut link_at = c.prepare("SELECT hash FROM chain WHERE position = ?")?;
    let mut read = c.prepare("SELECT position, events, link, rows, hash FROM seals ORDER BY position")?;
    let mut rows = read.query([])?;
    let (mut before, mut expected): (Option<SealHash>, i64) = (Some([0; 32]), 1);
    while let Some(row) = rows.next()? {
        let position: i64 = row.get(0)?;
        for gone in (expected..position).take(MOST_NAMED) {
            audited.wrong.push(Unsealed::SealRemoved { position: gone.unsigned_abs() });
            before = None;
        }
        let place = position.unsigned_abs();
        // A seal whose columns cannot even be read is one that was changed.
        let columns = (|| Ok((row.get(1)?, row.get(2)?, row.get_ref(3)?.as_blob()?, row.get(4)?)))();
        let columns: rusqlite::Result<(i64, [u8; 32], &[u8], SealHash)> = columns;
        audited.seals += 1;
        expected = position + 1;
        let Ok((events, link, body, hash)) = columns else {
            audited.wrong.push(Unsealed::Seal { position: place });
            before = None;
            continue;
        };
        let intact = before.is_none_or(|before| next(&before, position, events, &link, body) == hash);
        if !intact || take(body, &mut sealed, &mut again).is_none() {
            audited.wrong.push(Unsealed::Seal { position: place });
        } else if events > 0 {
            let found: Option<[u8; 32]> = link_at.query_row([events], |row| row.get(0)).optional()?;
            if found != Some(link) {
                audited.wrong.push(Unsealed::OtherLog { position: place, events: events.unsigned_abs() });
            }
        }
        audited.last_link = hex::encode(hash);
        audited.found |= expect == Some(&audited.last_link);
        before = Some(hash);
    }
    let written = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'seals'), 0)";
    let written: i64 = c.query_row(written, [], |row| row.get(0))?;
    let cut = (expected..=written).take(MOST_NAMED).map(|gone| Unsealed::SealRemoved { position: gone.unsigned_abs() });
    audited.wrong.extend(cut);
    let change = RowChange::Changed;
    audited.wrong.extend(again.iter().map(|(table, key)| Unsealed::Row { table, key: shown(key), change }));
    Ok(sealed)
}

/// Reads the rows of a seal; none where they cannot be read.
fn take(mut body: &[u8], sealed: &mut Sealed, again: &mut Vec<(&'static str, Vec<u8>)>) -> Option<()> {
    fn cut<'a>(body: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
        let (head, rest) = body.split_at_checked(length)?;
        *body = rest;
        Some(head)
    }
    fn count(body: &mut &[u8]) -> Option<usize> {
        Some(u32::from_le_bytes(*cut(body, 4)?.first_chunk()?) as usize)
    }
    while !body.is_empty() {
        let length = usize::from(*cut(&mut body, 1)?.first()?);
        let name = cut(&mut body, length)?;
        let known_table =
            SEALED.iter().map(|table| table.name).chain([NOTES]).find(|known| known.as_bytes() == name)?;
        let rows = sealed.entry(known_table).or_default();
        for _ in 0..count(&mut body)? {
            let length = count(&mut body)?;
            let key = cut(&mut body, length)?;
            let digest: RowDigest = *cut(&mut body, size_of::<RowDigest>())?.first_chunk()?;
            let known =
                if digest == RowDigest::default() { rows.remove(key) } else { rows.insert(key.to_vec(), digest) };
            // What is written once and never again was changed by whoever sealed it a second time.
            let gone = digest == RowDigest::default();
            let once = WRITTEN_ONCE.contains(&known_table) || gone && NEVER_DELETED.contains(&known_table);
            if once && known.is_some_and(|known| known != digest) {
                again.push((known_table, key.to_vec()));
            }
        }
    }
    Some(())
}

impl Store {
    /// What people call a row: a note's id in its source, a patient's key, the run and the sentence of a machine's label. None
    /// where it is gone, or where its key says it.
    pub(crate) fn row_name(&self, table: &str, key: &[String]) -> Result<Option<String>, StoreError> {
        let sql = match table {
            NOTES => "SELECT external_id FROM documents WHERE id = ?",
            "patients" => "SELECT key FROM patients WHERE id = ?",
            "proposals" => "SELECT 'run ' || run || ', sentence ' || sentence FROM proposals WHERE id = ?",
            _ => return Ok(None),
        };
        self.with(|c| c.query_row(sql, [key.concat()], |row| row.get(0)).optional())
    }
}

fn shown(key: &[u8]) -> Vec<String> {
    let word = |value: Value| match value {
        Value::Null => String::new(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text,
        Value::Blob(bytes) => hex::encode(bytes),
    };
    decoded(key).into_iter().map(word).collect()
}
