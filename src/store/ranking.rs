//! SQL for the order of the queue: what the newest plan put first, and why.

use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError, ledger};
use crate::domain::corpus::SentenceId;
use crate::domain::label::Run;

/// The newest plan that came to its end.
pub(super) const LATEST: &str = "(SELECT max(id) FROM runs WHERE kind = 'queue' AND outcome = 'finished')";

impl Store {
    /// Writes a finished plan with its order, and forgets those before it: an order says nothing once there is a newer one.
    pub fn put_ranking(&mut self, run: &Run, ranked: &[(SentenceId, String)]) -> Result<(), StoreError> {
        self.write(|c| {
            ledger::put_run(c, run)?;
            let mut insert = c.prepare_cached("INSERT INTO ranking (run, rank, sentence, why) VALUES (?, ?, ?, ?)")?;
            for (at, (sentence, why)) in ranked.iter().enumerate() {
                insert.execute(params![run.id, at as i64 + 1, sentence, why])?;
            }
            c.prepare_cached("DELETE FROM ranking WHERE run < ?")?.execute([&run.id]).map(drop)
        })
    }

    /// How many decisions have been made since the newest order was begun, counted up to `most`.
    pub fn decisions_since_ranking(&self, most: usize) -> Result<usize, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT count(*) FROM (SELECT at FROM events WHERE kind IN ('decide', 'settle') ORDER BY seq DESC LIMIT ?)
                 WHERE at > coalesce((SELECT max(started) FROM runs WHERE kind = 'queue' AND outcome = 'finished'), 0)",
            )?
            .query_row([most as i64], |row| row.get(0))
        })
    }

    /// The newest order, with reasons.
    pub fn ranking(&self) -> Result<Vec<(SentenceId, String)>, StoreError> {
        self.with(|c| {
            c.prepare_cached(&format!("SELECT sentence, why FROM ranking WHERE run = {LATEST} ORDER BY rank"))?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// Why a sentence stands where it does in the newest order.
    pub fn ranked_because(&self, sentence: SentenceId) -> Result<Option<String>, StoreError> {
        self.with(|c| {
            c.prepare_cached(&format!("SELECT why FROM ranking WHERE sentence = ? AND run = {LATEST}"))?
                .query_row(params![sentence], |row| row.get(0))
                .optional()
        })
    }
}
