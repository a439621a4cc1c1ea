//! SQL for which versions of the guideline there were, and which is in use.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Store, StoreError};
use crate::domain::label::Timestamp;

impl Store {
    /// Keeps a version of the guideline, if it is new: its hash, and the text of its file.
    pub(crate) fn put_taxonomy(&mut self, hash: &str, at: Timestamp, content: &str) -> Result<(), StoreError> {
        let known = self.with(|c| c.prepare_cached("SELECT 1 FROM taxonomies WHERE hash = ?")?.exists([hash]))?;
        if known {
            return Ok(());
        }
        self.write(|c| {
            c.prepare_cached("INSERT OR IGNORE INTO taxonomies (hash, at, content) VALUES (?, ?, ?)")?
                .execute(params![hash, at, content])
                .map(drop)
        })
    }

    /// Keeps the version of the guideline that is in use.
    pub(crate) fn use_taxonomy(&mut self, hash: &str, at: Timestamp, content: &str) -> Result<(), StoreError> {
        if self.taxonomy_in_use()?.as_deref() == Some(hash) {
            return Ok(());
        }
        self.write(|c| use_taxonomy(c, hash, at, content, false))
    }

    /// The version that this store's latest decision was made by.
    pub(crate) fn taxonomy_of_latest_decision(&self) -> Result<Option<String>, StoreError> {
        self.with(|c| {
            let latest =
                "SELECT taxonomy FROM events WHERE site IS NULL AND taxonomy IS NOT NULL ORDER BY seq DESC LIMIT 1";
            c.query_row(latest, [], |row| row.get(0)).optional()
        })
    }

    /// The version of the guideline that was in use when this store was last opened, if that is known.
    pub(crate) fn taxonomy_in_use(&self) -> Result<Option<String>, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT value FROM meta WHERE key = 'guideline'")?
                .query_row([], |row| row.get(0))
                .optional()
        })
    }

    /// The text of a version of the guideline, by its hash or the beginning of it.
    pub(crate) fn taxonomy(&self, hash: &str) -> Result<Option<(String, String)>, StoreError> {
        let begins = format!("{}*", hash.chars().filter(char::is_ascii_hexdigit).collect::<String>());
        self.with(|c| {
            c.prepare_cached("SELECT hash, content FROM taxonomies WHERE hash GLOB ? ORDER BY at DESC LIMIT 1")?
                .query_row([begins], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
    }

    /// The hashes of all versions of the guideline, oldest first, and when each was first met.
    pub(crate) fn taxonomy_hashes(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT hash, at FROM taxonomies ORDER BY at, hash")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// How many current decisions were made by each version of the guideline.
    pub(crate) fn decisions_by_taxonomy(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT e.taxonomy, count(*) FROM standing s JOIN events e ON e.seq = s.seq
                 WHERE s.label IS NOT NULL GROUP BY e.taxonomy",
            )?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
        })
    }
}

/// Makes a version of the guideline the one in use; `anew` takes its text as it stands now, of which comments are no part of the
/// hash.
pub(super) fn use_taxonomy(
    c: &Connection,
    hash: &str,
    at: Timestamp,
    content: &str,
    anew: bool,
) -> rusqlite::Result<()> {
    c.prepare_cached(
        "INSERT INTO taxonomies (hash, at, content) VALUES (?1, ?2, ?3)
         ON CONFLICT (hash) DO UPDATE SET content = excluded.content WHERE ?4",
    )?
    .execute(params![hash, at, content, anew])?;
    c.execute("INSERT OR REPLACE INTO meta VALUES ('guideline', ?)", [hash]).map(drop)
}
