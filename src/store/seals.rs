//! Seals: what a commit changes beside the log is sealed with it. The log has its own chain (`log/chain.rs`); whatever else a
//! number rests on (notes, runs, proposals, scores, what left the machine, splits, versions of the guideline) is a row of a
//! table, and a row that is written behind the program's back has no seal.
//!
//! No statement of the program knows of it: triggers that live as long as the connection hand every row that is written to
//! [`Touched`], and [`seal`] turns them into one row of `seals` before the commit. A seal holds a digest for each row, so that
//! the audit can name the row, and is linked to the seal before it and to the last entry of the log, so that no seal can be
//! changed, left out or moved (`seals/audit.rs`). Notes are sealed whole, with their headings and the bounds of their sentences:
//! a digest for each sentence would double the store.
//!
//! What it cannot show is what the log's chain cannot either: that someone made everything anew. Against that the last links
//! must be kept elsewhere.

mod audit;

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::functions::FunctionFlags;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, ToSql, params};
use sha2::{Digest as _, Sha256};

pub(super) use self::audit::check;
pub use self::audit::{RowChange, Unsealed};

/// The first half of a SHA-256.
type RowDigest = [u8; 16];

/// A table whose rows are sealed one by one. What is hashed is on users' disks: a migration that adds a column lists it here and
/// seals the table's rows anew.
struct SealedTable {
    name: &'static str,
    /// The columns that name a row.
    key: &'static [&'static str],
    /// All others.
    columns: &'static [&'static str],
}

const SEALED: &[SealedTable] = &[
    SealedTable { name: "meta", key: &["key"], columns: &["value"] },
    SealedTable { name: "patients", key: &["id"], columns: &["key", "split"] },
    SealedTable {
        name: "runs",
        key: &["id"],
        columns: &["kind", "model", "config", "taxonomy", "started", "finished", "outcome", "scores"],
    },
    SealedTable { name: "scored_runs", key: &["run"], columns: &["model_path"] },
    SealedTable {
        name: "proposals",
        key: &["id"],
        columns: &[
            "run",
            "source",
            "sentence",
            "label",
            "confidence",
            "confidence_kind",
            "probabilities",
            "rationale",
            "evidence",
        ],
    },
    SealedTable {
        name: "egress",
        key: &["id"],
        columns: &["at", "run", "host", "purpose", "sentences", "bytes", "outcome"],
    },
    SealedTable { name: "replies", key: &["key"], columns: &["at", "reply"] },
    SealedTable { name: "failures", key: &["run", "sentence"], columns: &["at", "fault", "reply"] },
    SealedTable {
        name: "spending",
        key: &["run"],
        columns: &[
            "requests",
            "retries",
            "cached",
            "prompt_tokens",
            "cached_tokens",
            "completion_tokens",
            "estimated",
            "micros",
            "milliseconds",
        ],
    },
    SealedTable { name: "verdicts", key: &["sentence", "item"], columns: &["passed", "reason", "value"] },
    SealedTable { name: "predictions", key: &["run", "sentence"], columns: &["label"] },
    SealedTable { name: "embeddings", key: &["encoder", "text"], columns: &["vector"] },
    SealedTable {
        name: "doubts",
        key: &["run", "rank"],
        columns: &["sentence", "tier", "given", "suggested", "confidence", "self_confidence", "margin"],
    },
    SealedTable { name: "assignments", key: &["sentence", "annotator"], columns: &["run", "calibration"] },
    SealedTable { name: "taxonomies", key: &["hash"], columns: &["at", "content"] },
    SealedTable { name: "access", key: &["id"], columns: &["at", "person", "how", "documents"] },
    SealedTable { name: "title_columns", key: &["document"], columns: &["name"] },
];

/// The name under which notes are sealed: a document and its sentences.
pub(super) const NOTES: &str = "documents";

/// So many rows go into one seal where a whole store is sealed.
const ROWS_AT_ONCE: usize = 10_000;

/// A row that was written, or is gone.
struct TouchedRow {
    table: &'static str,
    /// The key's values, encoded.
    key: Vec<u8>,
    /// None where the row was deleted, or is a note that was changed: that is read when all of it is there.
    digest: Option<RowDigest>,
}

/// What the transaction under way has written, in its order.
#[derive(Clone, Default)]
pub(super) struct Touched(Arc<Mutex<Vec<TouchedRow>>>);

impl Touched {
    fn push(&self, row: TouchedRow) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(row);
    }

    fn take(&self) -> Vec<TouchedRow> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A note that was just inserted, by the values of [`NOTE`] and of its sentences in their order. Nothing hands over inserted
    /// notes by itself: a trigger that runs for each of a million of them takes longer than all else.
    pub(super) fn inserted_note(
        &self,
        id: i64,
        note: &[&dyn ToSql],
        sentences: impl Iterator<Item = [i64; 6]>,
    ) -> rusqlite::Result<()> {
        let mut all = Vec::with_capacity(512);
        for value in note {
            match value.to_sql()? {
                ToSqlOutput::Borrowed(value) => encode(value, &mut all),
                ToSqlOutput::Owned(value) => encode((&value).into(), &mut all),
                _ => return Err(rusqlite::Error::ToSqlConversionFailure("a value without bytes".into())),
            }
        }
        sentences.flatten().for_each(|number| encode(ValueRef::Integer(number), &mut all));
        let key = encoded(&[ValueRef::Integer(id)]);
        self.push(TouchedRow { table: NOTES, key, digest: Some(digest_of(NOTES, &all)) });
        Ok(())
    }

    /// Forgets what a transaction wrote that came to nothing.
    pub(super) fn forget(&self) {
        self.take();
    }
}

/// Has the connection hand over every row that it writes from now on.
pub(super) fn watch(c: &Connection, touched: &Touched) -> rusqlite::Result<()> {
    let (rows, notes) = (touched.clone(), touched.clone());
    // Which table, how many of the values that follow are the key, and the values; none but the key for a row that is gone.
    c.create_scalar_function("touched_row", -1, FunctionFlags::SQLITE_UTF8, move |context| {
        let (table, keys): (usize, usize) = (context.get(0)?, context.get(1)?);
        let Some(table) = SEALED.get(table) else {
            return Err(rusqlite::Error::InvalidParameterCount(table, SEALED.len()));
        };
        let values: Vec<ValueRef<'_>> = (2..context.len()).map(|at| context.get_raw(at)).collect();
        let (key, _) = values.split_at(keys.min(values.len()));
        let digest = (values.len() > keys).then(|| digest_of(table.name, &encoded(&values)));
        rows.push(TouchedRow { table: table.name, key: encoded(key), digest });
        Ok(None::<i64>)
    })?;
    c.create_scalar_function("touched_note", 1, FunctionFlags::SQLITE_UTF8, move |context| {
        notes.push(TouchedRow { table: NOTES, key: encoded(&[context.get_raw(0)]), digest: None });
        Ok(None::<i64>)
    })?;
    let mut triggers = String::new();
    let mut on = |table: &str, event: &str, then: String| {
        triggers += &format!(
            "CREATE TEMP TRIGGER touched_{table}_{event} AFTER {event} ON main.{table} BEGIN SELECT {then}; END;\n"
        );
    };
    for (number, table) in SEALED.iter().enumerate() {
        let SealedTable { name, key, columns } = table;
        let of = |row: &str, columns: &[&str]| columns.iter().map(|c| format!(", {row}.{c}")).collect::<String>();
        let keys = key.len();
        let written = format!("touched_row({number}, {keys}{}{})", of("NEW", key), of("NEW", columns));
        on(name, "INSERT", written.clone());
        on(name, "UPDATE", written);
        on(name, "DELETE", format!("touched_row({number}, {keys}{})", of("OLD", key)));
    }
    // A sentence comes with its document, and that comes by `Touched::inserted_note`.
    on(NOTES, "UPDATE", "touched_note(NEW.id)".into());
    on(NOTES, "DELETE", "touched_note(OLD.id)".into());
    for event in ["UPDATE", "DELETE"] {
        on("sentences", event, "touched_note(OLD.document)".into());
    }
    c.execute_batch(&triggers)
}

/// Seals what the transaction has written.
pub(super) fn seal(c: &Connection, touched: &Touched) -> rusqlite::Result<()> {
    let rows = touched.take();
    if rows.is_empty() { Ok(()) } else { append(c, rows) }
}

/// Seals a whole store as it is found, for one that had no seals.
pub(super) fn seal_all(c: &Connection) -> rusqlite::Result<()> {
    let mut waiting = Vec::new();
    each_row(c, &mut |table, key, digest| {
        waiting.push(TouchedRow { table, key, digest: Some(digest) });
        if waiting.len() >= ROWS_AT_ONCE { append(c, std::mem::take(&mut waiting)) } else { Ok(()) }
    })?;
    if waiting.is_empty() { Ok(()) } else { append(c, waiting) }
}

/// A link over seals.
type SealHash = [u8; 32];

fn append(c: &Connection, rows: Vec<TouchedRow>) -> rusqlite::Result<()> {
    let mut body = Vec::with_capacity(rows.len() * 40);
    let mut rows = rows.into_iter().peekable();
    while let Some(first) = rows.next() {
        let table = first.table;
        let mut group = vec![first];
        while let Some(next) = rows.next_if(|row| row.table == table) {
            group.push(next);
        }
        body.push(table.len() as u8);
        body.extend_from_slice(table.as_bytes());
        body.extend_from_slice(&(group.len() as u32).to_le_bytes());
        for TouchedRow { key, digest, .. } in group {
            let digest =
                if table == NOTES { digest.map_or_else(|| note_of(c, &key), |d| Ok(Some(d)))? } else { digest };
            body.extend_from_slice(&(key.len() as u32).to_le_bytes());
            body.extend_from_slice(&key);
            body.extend_from_slice(&digest.unwrap_or_default());
        }
    }
    let (position, before): (i64, SealHash) = c
        .prepare_cached("SELECT position, hash FROM seals ORDER BY position DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .unwrap_or_default();
    let (events, link): (i64, [u8; 32]) = c
        .prepare_cached("SELECT position, hash FROM chain ORDER BY position DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .unwrap_or_default();
    let hash = next(&before, position + 1, events, &link, &body);
    c.prepare_cached("INSERT INTO seals (position, events, link, rows, hash) VALUES (?, ?, ?, ?, ?)")?
        .execute(params![position + 1, events, link, body, hash])
        .map(drop)
}

/// The link of a seal behind another.
fn next(before: &SealHash, position: i64, events: i64, link: &[u8], rows: &[u8]) -> SealHash {
    Sha256::new()
        .chain_update(before)
        .chain_update(position.to_le_bytes())
        .chain_update(events.to_le_bytes())
        .chain_update(link)
        .chain_update(rows)
        .finalize()
        .into()
}

/// Hands on every row that is sealed, with its digest: the tables in their order, then the notes.
fn each_row(
    c: &Connection,
    take: &mut dyn FnMut(&'static str, Vec<u8>, RowDigest) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    for SealedTable { name, key, columns } in SEALED {
        let mut read = c.prepare(&format!("SELECT {}, {} FROM main.{name}", key.join(", "), columns.join(", ")))?;
        let count = key.len() + columns.len();
        let mut rows = read.query([])?;
        while let Some(row) = rows.next()? {
            let values = (0..count).map(|at| row.get_ref(at)).collect::<Result<Vec<_>, _>>()?;
            take(name, encoded(&values[..key.len()]), digest_of(name, &encoded(&values)))?;
        }
    }
    let mut read = c.prepare("SELECT id FROM documents")?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        if let Some(digest) = note(c, id)? {
            take(NOTES, encoded(&[ValueRef::Integer(id)]), digest)?;
        }
    }
    Ok(())
}

/// A note by its key as it stands in a seal.
fn note_of(c: &Connection, key: &[u8]) -> rusqlite::Result<Option<RowDigest>> {
    match decoded(key).first() {
        Some(Value::Integer(id)) => note(c, *id),
        _ => Ok(None),
    }
}

/// The columns of a note that are sealed, in this order; behind them stand those of each sentence.
const NOTE: &str =
    "id, uid, patient, origin, external_id, title, kind, date, source, first_sentence, sentence_count, text";

/// The digest of a note: its row, and the rows of its sentences in order.
fn note(c: &Connection, id: i64) -> rusqlite::Result<Option<RowDigest>> {
    const COLUMNS: usize = 12;
    let mut read = c.prepare_cached(&format!("SELECT {NOTE} FROM documents WHERE id = ?"))?;
    let mut rows = read.query([id])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let mut all = Vec::new();
    for at in 0..COLUMNS {
        encode(row.get_ref(at)?, &mut all);
    }
    let (first, count): (i64, i64) = (row.get(9)?, row.get(10)?);
    let mut read = c.prepare_cached(
        "SELECT id, document, position, start, end, synthetic FROM sentences WHERE id >= ? AND id < ? ORDER BY id",
    )?;
    let mut rows = read.query([first, first.saturating_add(count)])?;
    while let Some(row) = rows.next()? {
        for at in 0..6 {
            encode(row.get_ref(at)?, &mut all);
        }
    }
    Ok(Some(digest_of(NOTES, &all)))
}

/// The digest of a row of a table, by its encoded values.
fn digest_of(table: &str, values: &[u8]) -> RowDigest {
    half(Sha256::new().chain_update(table).chain_update([0]).chain_update(values).finalize().as_slice())
}

fn half(hash: &[u8]) -> RowDigest {
    let mut digest = RowDigest::default();
    digest.copy_from_slice(&hash[..16]);
    digest
}

/// Values one behind the other: a byte for the type, then eight for a number, or the length in four and the bytes.
pub(super) fn encoded(values: &[ValueRef<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| encode(*value, &mut out));
    out
}

fn encode(value: ValueRef<'_>, out: &mut Vec<u8>) {
    let (kind, bytes) = match value {
        ValueRef::Null => return out.push(0),
        ValueRef::Integer(number) => {
            out.push(1);
            return out.extend_from_slice(&number.to_le_bytes());
        }
        ValueRef::Real(number) => {
            out.push(2);
            return out.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        ValueRef::Text(text) => (3, text),
        ValueRef::Blob(bytes) => (4, bytes),
    };
    out.push(kind);
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Reads what [`encoded`] writes, as far as it can be read.
fn decoded(bytes: &[u8]) -> Vec<Value> {
    let (mut all, mut rest) = (Vec::new(), bytes);
    let eight = |bytes: &[u8]| bytes.first_chunk().map(|eight| i64::from_le_bytes(*eight));
    while let Some((kind, after)) = rest.split_first() {
        let (value, used) = match kind {
            0 => (Some(Value::Null), 0),
            1 => (eight(after).map(Value::Integer), 8),
            2 => (eight(after).map(|bits| Value::Real(f64::from_bits(bits as u64))), 8),
            _ => {
                let length = after.first_chunk().map_or(0, |four| u32::from_le_bytes(*four) as usize);
                let content = after.get(4..4 + length);
                let text = |bytes: &[u8]| Value::Text(String::from_utf8_lossy(bytes).into_owned());
                let value = content.map(|bytes| if *kind == 3 { text(bytes) } else { Value::Blob(bytes.into()) });
                (value, 4 + length)
            }
        };
        let (Some(value), Some(after)) = (value, after.get(used..)) else {
            break;
        };
        all.push(value);
        rest = after;
    }
    all
}

#[cfg(test)]
mod tests;
