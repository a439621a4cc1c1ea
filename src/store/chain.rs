//! The chain over the events: each link is a hash of the event and of the link before, so that whoever changes or removes a
//! row behind the program's back is found, and the row is named.
//!
//! What it cannot show: that someone made the whole chain anew, or cut events off its end and mended SQLite's own counter. Against
//! that the last link must be kept elsewhere: [`ChainAudit::head`] is for that, and every bundle carries it.

use rusqlite::{Connection, OptionalExtension, Row, params};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};

use super::{Store, StoreError, ledger};
use crate::domain::corpus::{DocumentUid, SentenceId};
use crate::domain::label::{Annotator, EventId, Label};
use crate::domain::lineage::TaxonomyMigration;
use crate::domain::record::{ProposalRef, Record, SentenceRef};

/// Something that the program cannot have written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tampering {
    /// The event is not what it was, or the sentence or the proposal that it names is not.
    Changed {
        /// Its place in the chain, from 1.
        position: u64,
        /// The event.
        event: EventId,
    },
    /// An event is gone.
    Removed {
        /// Its place in the chain, from 1.
        position: u64,
        /// The event, if its link is still there.
        event: Option<EventId>,
    },
    /// Events were cut off the end.
    CutOff {
        /// How many.
        events: u64,
    },
    /// An event was put in without a link.
    Unlinked {
        /// The event.
        event: EventId,
    },
    /// What is shown as an expert's label is not what the events come to.
    Standing {
        /// The sentence.
        sentence: SentenceId,
        /// Whose label; `None` for the adjudicators'.
        annotator: Option<Annotator>,
    },
    /// A note's text is not the one that was imported.
    Text {
        /// The note's id in its source.
        document: String,
    },
}

/// What came of looking through the whole chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainAudit {
    /// Events looked at.
    pub events: u64,
    /// The last link, in hexadecimal; empty where there is no event.
    pub head: String,
    /// Whether a link asked for is in the chain.
    pub found: bool,
    /// Everything that is wrong, in the order of the chain.
    pub tampering: Vec<Tampering>,
}

pub(super) const RECORD: &str =
    "SELECT e.id, e.kind, e.at, e.annotator, e.site, d.uid, s.start, s.end, e.stand, e.took,
        e.proposal_visible, p.run, p.label, e.taxonomy, e.supersedes, e.target, e.seq, e.detail, e.in_sight
    FROM events e LEFT JOIN sentences s ON s.id = e.sentence LEFT JOIN documents d ON d.id = s.document
    LEFT JOIN proposals p ON p.id = e.proposal";

pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let document: Option<[u8; 16]> = row.get(5)?;
    let sentence = match document {
        Some(uid) => Some(SentenceRef { document: DocumentUid(uid), start: row.get(6)?, end: row.get(7)? }),
        None => None,
    };
    let proposal = match row.get(11)? {
        Some(run) => Some(ProposalRef { run, label: row.get(12)? }),
        None => None,
    };
    Ok(Record {
        id: row.get(0)?,
        kind: row.get(1)?,
        at: row.get(2)?,
        annotator: row.get(3)?,
        site: row.get(4)?,
        sentence,
        stand: row.get(8)?,
        took: row.get(9)?,
        proposal_visible: row.get(10)?,
        in_sight: row.get(18)?,
        proposal,
        taxonomy: row.get(13)?,
        supersedes: row.get::<_, Option<String>>(14)?.as_deref().map(ledger::split),
        target: row.get(15)?,
        detail: row.get::<_, Option<TaxonomyMigration>>(17)?.map(Box::new),
    })
}

pub(super) type ChainHash = [u8; 32];

fn next(before: &ChainHash, record: &Record) -> rusqlite::Result<ChainHash> {
    let text = serde_json::to_vec(record).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    Ok(Sha256::new().chain_update(before).chain_update(text).finalize().into())
}

/// Links the event of this number to those before it.
pub(super) fn link(c: &Connection, seq: i64) -> rusqlite::Result<()> {
    let (position, before): (i64, ChainHash) = c
        .prepare_cached("SELECT position, hash FROM chain ORDER BY position DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .unwrap_or_default();
    let record = c.prepare_cached(&format!("{RECORD} WHERE e.seq = ?"))?.query_row([seq], record)?;
    c.prepare_cached("INSERT INTO chain (position, event, hash) VALUES (?, ?, ?)")?
        .execute(params![position + 1, record.id, next(&before, &record)?])
        .map(drop)
}

/// Links all events of a store that had no chain.
pub(super) fn link_all(c: &Connection) -> rusqlite::Result<()> {
    let mut all = c.prepare("SELECT seq FROM events ORDER BY seq")?;
    let numbers: Vec<i64> = all.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    numbers.into_iter().try_for_each(|seq| link(c, seq))
}

impl Store {
    /// Events after a number, in the order of this store, with the number of the last.
    pub fn records(&self, after: i64) -> Result<(Vec<Record>, i64), StoreError> {
        self.with(|c| {
            let mut last = after;
            let all = c
                .prepare_cached(&format!("{RECORD} WHERE e.seq > ? ORDER BY e.seq"))?
                .query_map([after], |row| {
                    last = row.get(16)?;
                    record(row)
                })?
                .collect::<Result<_, _>>()?;
            Ok((all, last))
        })
    }

    /// The last link, in hexadecimal; empty where there is no event.
    pub fn chain_head(&self) -> Result<String, StoreError> {
        self.with(|c| {
            let last = "SELECT hash FROM chain ORDER BY position DESC LIMIT 1";
            let head = c.prepare_cached(last)?.query_row([], |row| row.get::<_, ChainHash>(0)).optional()?;
            Ok(head.map(hex::encode).unwrap_or_default())
        })
    }

    /// Looks through the whole log for what this program cannot have written. `expect` is a link noted earlier, in
    /// hexadecimal.
    pub fn audit(&mut self, expect: Option<&str>) -> Result<ChainAudit, StoreError> {
        let expect = expect.map(str::to_lowercase);
        // The folds are made anew for comparison, in a transaction that comes to nothing.
        let path = self.path.clone();
        let mut run = || {
            let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let mut audited = walk(&transaction, expect.as_deref())?;
            let shown = standings(&transaction)?;
            let folded = ledger::rebuild(&transaction).and_then(|()| standings(&transaction));
            transaction.rollback()?;
            match folded {
                Ok(meant) => audited.tampering.extend(differing(&shown, &meant)),
                // A log that cannot be read has been named.
                Err(_) if !audited.tampering.is_empty() => {}
                Err(error) => return Err(error),
            }
            Ok(audited)
        };
        run().map_err(|error| super::explain(&path, error))
    }
}

fn walk(c: &Connection, expect: Option<&str>) -> rusqlite::Result<ChainAudit> {
    let mut audited = ChainAudit { events: 0, head: String::new(), found: expect.is_none(), tampering: Vec::new() };
    let mut read = c.prepare(&format!("{RECORD} WHERE e.id = ?"))?;
    let mut links = c.prepare("SELECT position, event, hash FROM chain ORDER BY position")?;
    let mut rows = links.query([])?;
    let (mut before, mut expected): (Option<ChainHash>, u64) = (Some([0; 32]), 1);
    while let Some(row) = rows.next()? {
        let (position, event, hash): (u64, EventId, ChainHash) = (row.get(0)?, row.get(1)?, row.get(2)?);
        for gone in expected..position {
            audited.tampering.push(Tampering::Removed { position: gone, event: None });
            before = None;
        }
        // A row that cannot even be read is one that was changed.
        let found = read.query_row([&event], |row| Ok(record(row).ok())).optional()?;
        match (found, &before) {
            (None, _) => audited.tampering.push(Tampering::Removed { position, event: Some(event) }),
            (Some(None), _) => audited.tampering.push(Tampering::Changed { position, event }),
            (Some(Some(record)), Some(before)) if next(before, &record)? != hash => {
                audited.tampering.push(Tampering::Changed { position, event });
            }
            // Behind a gap there is nothing to hold the first event to; the gap is named already.
            _ => {}
        }
        audited.events += 1;
        audited.head = hex::encode(hash);
        audited.found |= expect == Some(&audited.head);
        (before, expected) = (Some(hash), position + 1);
    }
    let unlinked = "SELECT id FROM events e WHERE NOT EXISTS (SELECT 1 FROM chain WHERE event = e.id) ORDER BY seq";
    for event in c.prepare(unlinked)?.query_map([], |row| row.get(0))? {
        audited.tampering.push(Tampering::Unlinked { event: event? });
    }
    let counted = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)
        - coalesce((SELECT max(seq) FROM events), 0)";
    let cut: i64 = c.query_row(counted, [], |row| row.get(0))?;
    let named = audited.tampering.iter().any(|t| matches!(t, Tampering::Removed { .. }));
    if cut > 0 && !named {
        audited.tampering.push(Tampering::CutOff { events: cut.unsigned_abs() });
    }
    let notes = "SELECT d.uid, p.key, d.external_id, d.text FROM documents d JOIN patients p ON p.id = d.patient
        WHERE d.origin = 'real' AND EXISTS (SELECT 1 FROM events e WHERE e.sentence >= d.first_sentence
            AND e.sentence < d.first_sentence + d.sentence_count)";
    let mut notes = c.prepare(notes)?;
    let mut rows = notes.query([])?;
    while let Some(row) = rows.next()? {
        let (patient, id, text): (String, String, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
        if row.get::<_, [u8; 16]>(0)? != DocumentUid::of(&patient, &id, &text).0 {
            audited.tampering.push(Tampering::Text { document: id });
        }
    }
    Ok(audited)
}

/// Where what is shown is not what the events come to.
fn differing(shown: &Standings, meant: &Standings) -> Vec<Tampering> {
    let mut places: Vec<&At> = shown.keys().chain(meant.keys()).filter(|at| shown.get(at) != meant.get(at)).collect();
    places.sort_unstable();
    places.dedup();
    places
        .into_iter()
        .map(|(sentence, who)| Tampering::Standing { sentence: *sentence, annotator: who.clone() })
        .collect()
}

/// An expert's standing on a sentence, or (without a name) the adjudicators'.
type At = (SentenceId, Option<Annotator>);

/// The label, the event behind it, and the state.
type Standings = FxHashMap<At, (Option<Label>, i64, i64, Option<String>)>;

/// What is shown.
fn standings(c: &Connection) -> rusqlite::Result<Standings> {
    let sql = "SELECT sentence, annotator, label, seq, rejected * 2 + forked, in_sight FROM standing
        UNION ALL SELECT sentence, NULL, label, seq, blind, in_sight FROM settled";
    c.prepare(sql)?
        .query_map([], |row| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))))?
        .collect()
}

#[cfg(test)]
mod tests;
