//! SQL for the protocol: who is given which sentences.

use rusqlite::params;

use super::runs::put_run;
use super::{Store, StoreError};
use crate::domain::corpus::{PatientKey, SentenceId};
use crate::domain::label::{Annotator, Run};
use crate::domain::protocol::Assignment;

/// What an annotator has been given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssignedCount {
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
    pub(crate) fn real_sentences(&self) -> Result<Vec<(SentenceId, PatientKey)>, StoreError> {
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
    pub(crate) fn seats(&self) -> Result<Vec<Assignment>, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT sentence, annotator, calibration FROM assignments ORDER BY sentence, annotator")?
                .query_map([], |row| {
                    Ok(Assignment { sentence: row.get(0)?, annotator: row.get(1)?, calibration: row.get(2)? })
                })?
                .collect()
        })
    }

    /// Gives sentences out, as one run. What is given out already stays.
    pub(crate) fn give(&mut self, run: &Run, seats: &[Assignment]) -> Result<(), StoreError> {
        self.write(|c| {
            put_run(c, run)?;
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
    pub(crate) fn take_back(&mut self, annotator: &Annotator) -> Result<usize, StoreError> {
        self.write(|c| {
            c.execute(
                "DELETE FROM assignments WHERE annotator = ?1 AND NOT EXISTS (SELECT 1 FROM standing t
                     WHERE t.sentence = assignments.sentence AND t.annotator = ?1 AND t.label IS NOT NULL)",
                [annotator],
            )
        })
    }

    /// Whether a sentence is given to an annotator.
    pub(crate) fn is_given(&self, sentence: SentenceId, annotator: &Annotator) -> Result<bool, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT 1 FROM assignments WHERE sentence = ? AND annotator = ?")?
                .exists(params![sentence, annotator])
        })
    }

    /// What an annotator has been given, and how much of it is decided.
    pub(crate) fn given(&self, annotator: &Annotator) -> Result<AssignedCount, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT count(*), count(t.label), coalesce(sum(a.calibration), 0),
                     coalesce(sum(a.calibration AND t.label IS NOT NULL), 0)
                 FROM assignments a LEFT JOIN standing t ON t.sentence = a.sentence AND t.annotator = a.annotator
                 WHERE a.annotator = ?",
            )?
            .query_row([annotator], |row| {
                Ok(AssignedCount {
                    sentences: row.get(0)?,
                    decided: row.get(1)?,
                    calibration: row.get(2)?,
                    calibrated: row.get(3)?,
                })
            })
        })
    }
}
