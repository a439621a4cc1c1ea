//! SQL for labels in doubt: those of each search for label errors, by rank.

use rusqlite::{OptionalExtension, Row, params};

use super::{Store, StoreError};
use crate::domain::confident::Doubt;
use crate::domain::corpus::SentenceId;
use crate::domain::label::RunId;
use crate::domain::split::Tier;

/// The newest search that came to its end: what it found stands, older ones' are history.
pub(super) const LATEST: &str = "(SELECT max(id) FROM runs WHERE kind = 'doubt' AND outcome = 'finished')";

impl Store {
    /// Writes what a search found; the worst comes first.
    pub(crate) fn put_doubts(&mut self, run: &RunId, doubts: &[Doubt]) -> Result<(), StoreError> {
        self.write(|c| {
            let mut insert = c.prepare_cached(
                "INSERT INTO doubts (run, rank, sentence, tier, given, suggested, confidence, self_confidence, margin)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?;
            for (at, doubt) in doubts.iter().enumerate() {
                insert.execute(params![
                    run,
                    at as i64 + 1,
                    doubt.sentence,
                    doubt.tier,
                    doubt.given,
                    doubt.suggested,
                    doubt.confidence,
                    doubt.self_confidence,
                    doubt.margin
                ])?;
            }
            Ok(())
        })
    }

    /// What a search found, worst first.
    pub(crate) fn doubts(&self, run: &RunId) -> Result<Vec<Doubt>, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT sentence, tier, given, suggested, confidence, self_confidence, margin FROM doubts
                 WHERE run = ? ORDER BY rank",
            )?
            .query_map([run], |row| self.doubt(row))?
            .filter_map(Result::transpose)
            .collect()
        })
    }

    /// What the newest search says of a sentence.
    pub(crate) fn doubt_about(&self, sentence: SentenceId) -> Result<Option<Doubt>, StoreError> {
        self.with(|c| {
            c.prepare_cached(&format!(
                "SELECT sentence, tier, given, suggested, confidence, self_confidence, margin FROM doubts
                 WHERE sentence = ? AND run = {LATEST}"
            ))?
            .query_row([sentence], |row| self.doubt(row))
            .optional()
            .map(Option::flatten)
        })
    }

    /// Whose label of a sentence the newest search doubts, and no word of which or why.
    pub(crate) fn doubted_tier(&self, sentence: SentenceId) -> Result<Option<Tier>, StoreError> {
        self.with(|c| {
            c.prepare_cached(&format!("SELECT tier FROM doubts WHERE sentence = ? AND run = {LATEST}"))?
                .query_row([sentence], |row| row.get(0))
                .optional()
        })
    }

    /// A doubt with labels as they are read today; none where a category in it was split.
    fn doubt(&self, row: &Row<'_>) -> rusqlite::Result<Option<Doubt>> {
        let labels = self.key_map.map_label(&row.get(2)?).zip(self.key_map.map_label(&row.get(3)?));
        let Some((given, suggested)) = labels else {
            return Ok(None);
        };
        Ok(Some(Doubt {
            sentence: row.get(0)?,
            tier: row.get(1)?,
            given,
            suggested,
            confidence: row.get(4)?,
            self_confidence: row.get(5)?,
            margin: row.get(6)?,
        }))
    }
}
