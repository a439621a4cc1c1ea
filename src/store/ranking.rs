//! SQL for the order of the queue: what the newest plan put first, and why.

use rusqlite::{OptionalExtension, params};

use super::runs::put_run;
use super::{Store, StoreError};
use crate::domain::corpus::SentenceId;
use crate::domain::label::Run;

/// The newest plan that came to its end.
pub(super) const LATEST: &str = "(SELECT max(id) FROM runs WHERE kind = 'queue' AND outcome = 'finished')";

/// A sentence in an order, and why it stands where it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RankingRow {
    pub sentence: SentenceId,
    /// All of the reason.
    pub why: String,
    /// What may be said of it where what machines say is hidden; empty in an order that an earlier version made.
    pub veiled: String,
}

impl RankingRow {
    /// Whether the reason says what machines think. One from an earlier version does not tell, and is taken to.
    pub(crate) fn is_of_machines(&self) -> bool {
        self.why != self.veiled
    }
}

fn ranked(row: &rusqlite::Row<'_>) -> rusqlite::Result<RankingRow> {
    Ok(RankingRow { sentence: row.get(0)?, why: row.get(1)?, veiled: row.get(2)? })
}

impl Store {
    /// Writes a finished plan with its order, and forgets those before it: an order says nothing once there is a newer one.
    pub(crate) fn put_ranking(&mut self, run: &Run, ranked: &[RankingRow]) -> Result<(), StoreError> {
        self.write(|c| {
            put_run(c, run)?;
            let mut insert =
                c.prepare_cached("INSERT INTO ranking (run, rank, sentence, why, veiled) VALUES (?, ?, ?, ?, ?)")?;
            for (at, ranked) in ranked.iter().enumerate() {
                insert.execute(params![run.id, at as i64 + 1, ranked.sentence, ranked.why, ranked.veiled])?;
            }
            c.prepare_cached("DELETE FROM ranking WHERE run < ?")?.execute([&run.id]).map(drop)
        })
    }

    /// How many decisions have been made since the newest order was begun, counted up to `most`.
    pub(crate) fn decisions_since_ranking(&self, most: usize) -> Result<usize, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT count(*) FROM (SELECT at FROM events WHERE kind IN ('decide', 'settle') ORDER BY seq DESC LIMIT ?)
                 WHERE at > coalesce((SELECT max(started) FROM runs WHERE kind = 'queue' AND outcome = 'finished'), 0)",
            )?
            .query_row([most as i64], |row| row.get(0))
        })
    }

    /// The newest order, with reasons.
    pub(crate) fn ranking(&self) -> Result<Vec<RankingRow>, StoreError> {
        self.with(|c| {
            c.prepare_cached(&format!("SELECT sentence, why, veiled FROM ranking WHERE run = {LATEST} ORDER BY rank"))?
                .query_map([], ranked)?
                .collect()
        })
    }

    /// Why a sentence stands where it does in the newest order.
    pub(crate) fn queue_reason(&self, sentence: SentenceId) -> Result<Option<RankingRow>, StoreError> {
        self.with(|c| {
            c.prepare_cached(&format!(
                "SELECT sentence, why, veiled FROM ranking WHERE sentence = ? AND run = {LATEST}"
            ))?
            .query_row(params![sentence], ranked)
            .optional()
        })
    }
}
