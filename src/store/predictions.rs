//! SQL for the labels that the cells of an experiment gave to test sentences. They are no proposals: nobody reviews them.

use rusqlite::params;

use super::runs::put_run;
use super::{Store, StoreError};
use crate::domain::corpus::SentenceId;
use crate::domain::label::{Label, Run, RunId};

impl Store {
    /// Writes a finished run and what it predicts, in one transaction: a cell is there as a whole or not at all.
    pub(crate) fn put_cell(&mut self, run: &Run, predictions: &[(SentenceId, Label)]) -> Result<(), StoreError> {
        self.write(|c| {
            put_run(c, run)?;
            let mut insert =
                c.prepare_cached("INSERT OR REPLACE INTO predictions (run, sentence, label) VALUES (?, ?, ?)")?;
            for (sentence, label) in predictions {
                insert.execute(params![run.id, sentence, label])?;
            }
            Ok(())
        })
    }

    /// What a run predicts, ascending by sentence.
    pub(crate) fn predictions(&self, run: &RunId) -> Result<Vec<(SentenceId, Label)>, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT sentence, label FROM predictions WHERE run = ? ORDER BY sentence")?
                .query_map([run], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }
}
