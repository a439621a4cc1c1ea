//! SQL for the protocol: who is given which sentences, and which versions of the guideline there were.

use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError, ledger};
use crate::domain::corpus::{PatientKey, SentenceId};
use crate::domain::label::{Annotator, Run, Timestamp};
use crate::domain::protocol::Assignment;

/// What an annotator has been given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// Sentences.
    pub sentences: u64,
    /// Of these, decided.
    pub decided: u64,
    /// Of the calibration set, given.
    pub calibration: u64,
    /// Of the calibration set, decided.
    pub calibrated: u64,
}

impl Store {
    /// Every real sentence with its patient, in order.
    pub fn real_sentences(&self) -> Result<Vec<(SentenceId, PatientKey)>, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT s.id, p.key FROM sentences s JOIN documents d ON d.id = s.document
                 JOIN patients p ON p.id = d.patient WHERE s.synthetic = 0 ORDER BY s.id",
            )?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
        })
    }

    /// All that is given out.
    pub fn seats(&self) -> Result<Vec<Assignment>, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT sentence, annotator, calibration FROM assignments ORDER BY sentence, annotator")?
                .query_map([], |row| {
                    Ok(Assignment { sentence: row.get(0)?, annotator: row.get(1)?, calibration: row.get(2)? })
                })?
                .collect()
        })
    }

    /// Gives sentences out, as one run. What is given out already stays.
    pub fn give(&mut self, run: &Run, seats: &[Assignment]) -> Result<(), StoreError> {
        self.write(|c| {
            ledger::put_run(c, run)?;
            let mut insert = c.prepare_cached(
                "INSERT INTO assignments (sentence, annotator, run, calibration) VALUES (?, ?, ?, ?)
                 ON CONFLICT (sentence, annotator) DO NOTHING",
            )?;
            for seat in seats {
                insert.execute(params![seat.sentence, seat.annotator, run.id, seat.calibration])?;
            }
            Ok(())
        })
    }

    /// Takes back what an annotator has been given and has not decided, so that it can be given to others. Returns how many.
    pub fn take_back(&mut self, annotator: &Annotator) -> Result<usize, StoreError> {
        self.write(|c| {
            c.execute(
                "DELETE FROM assignments WHERE annotator = ?1 AND NOT EXISTS (SELECT 1 FROM standing t
                     WHERE t.sentence = assignments.sentence AND t.annotator = ?1 AND t.label IS NOT NULL)",
                [annotator],
            )
        })
    }

    /// Whether a sentence is given to an annotator.
    pub fn is_given(&self, sentence: SentenceId, annotator: &Annotator) -> Result<bool, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT 1 FROM assignments WHERE sentence = ? AND annotator = ?")?
                .exists(params![sentence, annotator])
        })
    }

    /// What an annotator has been given, and how much of it is decided.
    pub fn given(&self, annotator: &Annotator) -> Result<Given, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT count(*), count(t.label), coalesce(sum(a.calibration), 0),
                     coalesce(sum(a.calibration AND t.label IS NOT NULL), 0)
                 FROM assignments a LEFT JOIN standing t ON t.sentence = a.sentence AND t.annotator = a.annotator
                 WHERE a.annotator = ?",
            )?
            .query_row([annotator], |row| {
                Ok(Given {
                    sentences: row.get(0)?,
                    decided: row.get(1)?,
                    calibration: row.get(2)?,
                    calibrated: row.get(3)?,
                })
            })
        })
    }

    /// Keeps a version of the guideline, if it is new: its hash, and the text of its file.
    pub fn put_taxonomy(&mut self, hash: &str, at: Timestamp, content: &str) -> Result<(), StoreError> {
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
    pub fn use_taxonomy(&mut self, hash: &str, at: Timestamp, content: &str) -> Result<(), StoreError> {
        if self.taxonomy_in_use()?.as_deref() == Some(hash) {
            return Ok(());
        }
        self.write(|c| use_taxonomy(c, hash, at, content, false))
    }

    /// The version that this store's latest decision was made by.
    pub fn taxonomy_of_latest_decision(&self) -> Result<Option<String>, StoreError> {
        self.with(|c| {
            let latest =
                "SELECT taxonomy FROM events WHERE site IS NULL AND taxonomy IS NOT NULL ORDER BY seq DESC LIMIT 1";
            c.query_row(latest, [], |row| row.get(0)).optional()
        })
    }

    /// The version of the guideline that was in use when this store was last opened, if that is known.
    pub fn taxonomy_in_use(&self) -> Result<Option<String>, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT value FROM meta WHERE key = 'guideline'")?
                .query_row([], |row| row.get(0))
                .optional()
        })
    }

    /// The text of a version of the guideline, by its hash or the beginning of it.
    pub fn taxonomy(&self, hash: &str) -> Result<Option<(String, String)>, StoreError> {
        let begins = format!("{}*", hash.chars().filter(char::is_ascii_hexdigit).collect::<String>());
        self.with(|c| {
            c.prepare_cached("SELECT hash, content FROM taxonomies WHERE hash GLOB ? ORDER BY at DESC LIMIT 1")?
                .query_row([begins], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
    }

    /// The hashes of all versions of the guideline, oldest first, and when each was first met.
    pub fn taxonomy_hashes(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT hash, at FROM taxonomies ORDER BY at, hash")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// How many standing decisions were made by each version of the guideline.
    pub fn decisions_by_taxonomy(&self) -> Result<Vec<(String, u64)>, StoreError> {
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
    c: &rusqlite::Connection,
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
