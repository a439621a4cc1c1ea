//! SQL for what goes to language models and comes back: egress records, kept replies, failures, what a run has cost.

use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError};
use crate::domain::corpus::SentenceId;
use crate::domain::egress::{EgressRecord, EgressRefusal, Permit, Place};
use crate::domain::label::{RunId, Source, Timestamp};
use crate::domain::spending::Spending;

/// What has left this machine, or was kept from leaving; never the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EgressRow {
    /// The record's number.
    pub id: i64,
    /// When it was permitted.
    pub at: Timestamp,
    pub run: Option<RunId>,
    /// Where to, as [`Place`] writes it; records of earlier versions have no port.
    pub host: String,
    pub purpose: String,
    /// The sentences of real notes in it.
    pub sentences: Vec<SentenceId>,
    /// Bytes of the request.
    pub bytes: u64,
    /// How it ended: `cleared` (sent or about to be when the program ended), `answered`, `failed: ...`, `not sent`, `refused: ...`.
    pub outcome: String,
}

/// A sentence that a run could not label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailedSentence {
    pub sentence: SentenceId,
    /// Why not.
    pub fault: String,
    /// The model's last words.
    pub reply: String,
}

impl Store {
    /// Writes down what is about to leave, and on disk it is when this returns.
    pub(crate) fn record_egress(
        &mut self,
        run: Option<&RunId>,
        at: Timestamp,
        permits: Vec<Permit>,
    ) -> Result<Vec<EgressRecord>, StoreError> {
        if permits.is_empty() {
            return Ok(Vec::new());
        }
        self.write(|c| {
            let mut insert = c.prepare_cached(
                "INSERT INTO egress (at, run, host, purpose, sentences, bytes, outcome) VALUES (?, ?, ?, ?, ?, ?, 'cleared')",
            )?;
            permits
                .into_iter()
                .map(|permit| {
                    let payload = permit.payload();
                    let (host, sentences) = (permit.to().to_string(), join(&payload.sentences));
                    insert.execute(params![at, run, host, payload.purpose, sentences, payload.bytes as i64])?;
                    Ok(permit.recorded(c.last_insert_rowid()))
                })
                .collect()
        })
    }

    /// Writes down what was kept from leaving.
    pub(crate) fn record_refusal(
        &mut self,
        run: Option<&RunId>,
        at: Timestamp,
        to: &Place,
        purpose: &str,
        sentences: &[SentenceId],
        refusal: &EgressRefusal,
    ) -> Result<(), StoreError> {
        self.write(|c| {
            c.prepare_cached(
                "INSERT INTO egress (at, run, host, purpose, sentences, bytes, outcome) VALUES (?, ?, ?, ?, ?, 0, ?)",
            )?
            .execute(params![at, run, to.to_string(), purpose, join(sentences), format!("refused: {refusal}")])
            .map(drop)
        })
    }

    /// How egress records ended, replies to keep, and what the run has cost by now: one transaction.
    pub(crate) fn record_answers(
        &mut self,
        run: &RunId,
        at: Timestamp,
        ended: &[(i64, String)],
        replies: &[([u8; 32], String)],
        spending: &Spending,
    ) -> Result<(), StoreError> {
        self.write(|c| {
            let mut end = c.prepare_cached("UPDATE egress SET outcome = ? WHERE id = ?")?;
            for (id, outcome) in ended {
                end.execute(params![outcome, id])?;
            }
            let mut keep = c.prepare_cached("INSERT OR REPLACE INTO replies (key, at, reply) VALUES (?, ?, ?)")?;
            for (key, reply) in replies {
                keep.execute(params![key.as_slice(), at, reply])?;
            }
            c.prepare_cached("INSERT OR REPLACE INTO spending VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?
                .execute(params![
                    run,
                    spending.requests as i64,
                    spending.retries as i64,
                    spending.cached as i64,
                    spending.prompt_tokens as i64,
                    spending.cached_tokens as i64,
                    spending.completion_tokens as i64,
                    spending.estimated,
                    spending.micros as i64,
                    spending.milliseconds as i64
                ])
                .map(drop)
        })
    }

    /// Says how one egress record ended.
    pub(crate) fn end_egress(&mut self, record: &EgressRecord, outcome: &str) -> Result<(), StoreError> {
        self.write(|c| c.execute("UPDATE egress SET outcome = ? WHERE id = ?", params![outcome, record.id()]).map(drop))
    }

    /// Says how egress records of a run ended whose end nobody saw: the program was killed with them under way.
    pub(crate) fn close_egress(&mut self, run: &RunId) -> Result<(), StoreError> {
        self.write(|c| {
            c.execute(
                "UPDATE egress SET outcome = 'not known: the program ended' WHERE run = ? AND outcome = 'cleared'",
                [run],
            )
            .map(drop)
        })
    }

    /// A kept reply.
    pub(crate) fn kept_reply(&self, key: &[u8; 32]) -> Result<Option<String>, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT reply FROM replies WHERE key = ?")?
                .query_row([key.as_slice()], |row| row.get(0))
                .optional()
        })
    }

    /// What a run has cost.
    pub(crate) fn spending(&self, run: &RunId) -> Result<Spending, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT requests, retries, cached, prompt_tokens, cached_tokens, completion_tokens, estimated, micros,
                     milliseconds FROM spending WHERE run = ?",
            )?
            .query_row([run], |row| {
                Ok(Spending {
                    requests: row.get(0)?,
                    retries: row.get(1)?,
                    cached: row.get(2)?,
                    prompt_tokens: row.get(3)?,
                    cached_tokens: row.get(4)?,
                    completion_tokens: row.get(5)?,
                    estimated: row.get(6)?,
                    micros: row.get(7)?,
                    milliseconds: row.get(8)?,
                })
            })
            .optional()
        })
        .map(Option::unwrap_or_default)
    }

    /// Everything that left or was refused, newest first, at most `limit`.
    pub(crate) fn egress(&self, limit: usize) -> Result<Vec<EgressRow>, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT id, at, run, host, purpose, sentences, bytes, outcome FROM egress ORDER BY id DESC LIMIT ?",
            )?
            .query_map([limit as i64], |row| {
                let sentences: String = row.get(5)?;
                Ok(EgressRow {
                    id: row.get(0)?,
                    at: row.get(1)?,
                    run: row.get(2)?,
                    host: row.get(3)?,
                    purpose: row.get(4)?,
                    sentences: sentences.split(',').filter_map(|n| n.parse().ok().map(SentenceId)).collect(),
                    bytes: row.get(6)?,
                    outcome: row.get(7)?,
                })
            })?
            .collect()
        })
    }

    /// Requests, bytes and sentences of real notes by host and purpose, for everything that was not refused.
    pub(crate) fn egress_totals(&self) -> Result<Vec<(String, String, u64, u64)>, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT host, purpose, count(*), sum(bytes) FROM egress
                 WHERE outcome NOT LIKE 'refused%' AND outcome <> 'not sent' GROUP BY host, purpose ORDER BY host, purpose",
            )?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
            .collect()
        })
    }

    /// Writes sentences that a run could not label. A proposal that it makes later takes the row's place.
    pub(crate) fn record_failures(
        &mut self,
        run: &RunId,
        at: Timestamp,
        failures: &[FailedSentence],
    ) -> Result<(), StoreError> {
        if failures.is_empty() {
            return Ok(());
        }
        self.write(|c| {
            let mut insert = c.prepare_cached(
                "INSERT OR REPLACE INTO failures (run, sentence, at, fault, reply) VALUES (?, ?, ?, ?, ?)",
            )?;
            for failure in failures {
                insert.execute(params![run, failure.sentence, at, failure.fault, failure.reply])?;
            }
            Ok(())
        })
    }

    /// The sentences that a run could not label.
    pub(crate) fn failures(&self, run: &RunId) -> Result<Vec<FailedSentence>, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT sentence, fault, reply FROM failures WHERE run = ? ORDER BY sentence")?
                .query_map([run], |row| {
                    Ok(FailedSentence { sentence: row.get(0)?, fault: row.get(1)?, reply: row.get(2)? })
                })?
                .collect()
        })
    }

    /// Forgets a run's failures, so that it tries them again.
    pub(crate) fn forget_failures(&mut self, run: &RunId) -> Result<(), StoreError> {
        self.write(|c| c.execute("DELETE FROM failures WHERE run = ?", [run]).map(drop))
    }

    /// Sentences of real notes above `after` that a run has neither labelled nor failed on, at most `limit`, in order.
    pub(crate) fn unlabelled(
        &self,
        run: &RunId,
        after: SentenceId,
        limit: usize,
    ) -> Result<Vec<SentenceId>, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT s.id FROM sentences s WHERE s.synthetic = 0 AND s.id > ?2
                   AND NOT EXISTS (SELECT 1 FROM proposals p WHERE p.sentence = s.id AND p.source = ?4 AND p.run = ?1)
                   AND NOT EXISTS (SELECT 1 FROM failures f WHERE f.run = ?1 AND f.sentence = s.id)
                 ORDER BY s.id LIMIT ?3",
            )?
            .query_map(params![run, after, limit as i64, Source::Llm], |row| row.get(0))?
            .collect()
        })
    }

    /// Of these sentences, the ones that a run has neither labelled nor failed on.
    pub(crate) fn unlabelled_of(&self, run: &RunId, ids: &[SentenceId]) -> Result<Vec<SentenceId>, StoreError> {
        self.with(|c| {
            let mut done = c.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM proposals WHERE sentence = ?2 AND source = ?3 AND run = ?1)
                     OR EXISTS (SELECT 1 FROM failures WHERE run = ?1 AND sentence = ?2)",
            )?;
            let mut open = Vec::new();
            for id in ids {
                if !done.query_row(params![run, id, Source::Llm], |row| row.get::<_, bool>(0))? {
                    open.push(*id);
                }
            }
            Ok(open)
        })
    }

    /// How many sentences a run has labelled and how many it failed on.
    pub(crate) fn labelled(&self, run: &RunId) -> Result<(u64, u64), StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT (SELECT count(*) FROM proposals WHERE run = ?1), (SELECT count(*) FROM failures WHERE run = ?1)",
            )?
            .query_row([run], |row| Ok((row.get(0)?, row.get(1)?)))
        })
    }

    /// Remembers that the store holds notes whose terms forbid passing them on.
    pub(crate) fn restrict(&mut self, notes: &str) -> Result<(), StoreError> {
        self.write(|c| c.execute("INSERT OR REPLACE INTO meta VALUES ('restricted', ?)", [notes]).map(drop))
    }

    /// The restricted notes that the store holds; empty for none.
    pub(crate) fn restricted(&self) -> Result<String, StoreError> {
        self.with(|c| c.query_row("SELECT value FROM meta WHERE key = 'restricted'", [], |row| row.get(0)).optional())
            .map(Option::unwrap_or_default)
    }
}

fn join(sentences: &[SentenceId]) -> String {
    sentences.iter().map(|id| id.0.to_string()).collect::<Vec<_>>().join(",")
}
