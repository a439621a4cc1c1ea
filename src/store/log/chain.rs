//! The chain over the log: each link is a hash of the entry and of the link before, so that whoever changes or removes a row
//! behind the program's back is found, and the row is named (`store/audit.rs`).
//!
//! What it cannot show: that someone made the whole chain anew, or cut entries off its end and mended SQLite's own counter.
//! Against that the last link must be kept elsewhere: [`crate::store::ChainAudit::last_link`] is for that, and every bundle carries it.

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::entries::{self, ENTRY};
use crate::domain::entry::Entry;

/// A link.
pub(in crate::store) type ChainHash = [u8; 32];

/// The link of an entry behind another.
pub(in crate::store) fn next(before: &ChainHash, entry: &Entry) -> rusqlite::Result<ChainHash> {
    let text = serde_json::to_vec(entry).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    Ok(Sha256::new().chain_update(before).chain_update(text).finalize().into())
}

/// Links an entry to those before it.
pub(super) fn link(c: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    let (position, before): (i64, ChainHash) = c
        .prepare_cached("SELECT position, hash FROM chain ORDER BY position DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .unwrap_or_default();
    c.prepare_cached("INSERT INTO chain (position, event, hash) VALUES (?, ?, ?)")?
        .execute(params![position + 1, entry.id, next(&before, entry)?])
        .map(drop)
}

/// Links all entries of a store that had no chain.
pub(in crate::store) fn link_all(c: &Connection) -> rusqlite::Result<()> {
    let mut all = c.prepare(&format!("{ENTRY} ORDER BY e.seq"))?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        link(c, &entries::entry(row)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
