//! Looking for what the program cannot have written: the log against its chain, and the projection against the log.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use rustc_hash::FxHashMap;

use super::chain::{ChainHash, next};
use super::entries::{self, ENTRY};
use super::projection;
use crate::domain::corpus::{DocumentUid, SentenceId};
use crate::domain::label::{Annotator, EntryId, Label};
use crate::store::{Store, StoreError, explain};

/// Something that the program cannot have written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tampering {
    /// The event is not what it was, or the sentence or the proposal that it names is not.
    Changed {
        /// Its place in the chain, from 1.
        position: u64,
        event: EntryId,
    },
    /// An event is gone.
    Removed {
        /// Its place in the chain, from 1.
        position: u64,
        /// The event, if its link is still there.
        event: Option<EntryId>,
    },
    /// Events were cut off the end.
    CutOff { events: u64 },
    /// An event was put in without a link.
    Unlinked { event: EntryId },
    /// What is shown as an expert's label is not what the events come to.
    CurrentLabel {
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
    pub last_link: String,
    /// Whether a link asked for is in the chain.
    pub found: bool,
    /// Everything that is wrong, in the order of the chain.
    pub tampering: Vec<Tampering>,
}

impl Store {
    /// Looks through the whole log for what this program cannot have written. `expect` is a link noted earlier, in
    /// hexadecimal.
    pub fn audit(&mut self, expect: Option<&str>) -> Result<ChainAudit, StoreError> {
        let expect = expect.map(str::to_lowercase);
        // The folds are made anew for comparison, in a transaction that comes to nothing.
        let path = self.path.clone();
        let mut run = || {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut audited = walk(&transaction, expect.as_deref())?;
            let shown = current_labels(&transaction)?;
            let folded = projection::rebuild(&transaction).and_then(|()| current_labels(&transaction));
            transaction.rollback()?;
            match folded {
                Ok(meant) => audited.tampering.extend(differing(&shown, &meant)),
                // A log that cannot be read has been named.
                Err(_) if !audited.tampering.is_empty() => {}
                Err(error) => return Err(error),
            }
            Ok(audited)
        };
        run().map_err(|error| explain(&path, error))
    }
}

fn walk(c: &Connection, expect: Option<&str>) -> rusqlite::Result<ChainAudit> {
    let mut audited =
        ChainAudit { events: 0, last_link: String::new(), found: expect.is_none(), tampering: Vec::new() };
    let mut read = c.prepare(&format!("{ENTRY} WHERE e.id = ?"))?;
    let mut links = c.prepare("SELECT position, event, hash FROM chain ORDER BY position")?;
    let mut rows = links.query([])?;
    let (mut before, mut expected): (Option<ChainHash>, u64) = (Some([0; 32]), 1);
    while let Some(row) = rows.next()? {
        let (position, event, hash): (u64, EntryId, ChainHash) = (row.get(0)?, row.get(1)?, row.get(2)?);
        for gone in expected..position {
            audited.tampering.push(Tampering::Removed { position: gone, event: None });
            before = None;
        }
        // A row that cannot even be read is one that was changed.
        let found = read.query_row([&event], |row| Ok(entries::entry(row).ok())).optional()?;
        match (found, &before) {
            (None, _) => audited.tampering.push(Tampering::Removed { position, event: Some(event) }),
            (Some(None), _) => audited.tampering.push(Tampering::Changed { position, event }),
            (Some(Some(entry)), Some(before)) if next(before, &entry)? != hash => {
                audited.tampering.push(Tampering::Changed { position, event });
            }
            // Behind a gap there is nothing to hold the first event to; the gap is named already.
            _ => {}
        }
        audited.events += 1;
        audited.last_link = hex::encode(hash);
        audited.found |= expect == Some(&audited.last_link);
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
fn differing(shown: &CurrentLabels, meant: &CurrentLabels) -> Vec<Tampering> {
    let mut places: Vec<&At> = shown.keys().chain(meant.keys()).filter(|at| shown.get(at) != meant.get(at)).collect();
    places.sort_unstable();
    places.dedup();
    places
        .into_iter()
        .map(|(sentence, who)| Tampering::CurrentLabel { sentence: *sentence, annotator: who.clone() })
        .collect()
}

/// An expert's current decision on a sentence, or (without a name) the adjudicators'.
type At = (SentenceId, Option<Annotator>);

/// The label, the event behind it, and the state.
type CurrentLabels = FxHashMap<At, (Option<Label>, i64, i64, Option<String>)>;

/// What is shown.
fn current_labels(c: &Connection) -> rusqlite::Result<CurrentLabels> {
    let sql = "SELECT sentence, annotator, label, seq, rejected * 2 + forked, in_sight FROM standing
        UNION ALL SELECT sentence, NULL, label, seq, blind, in_sight FROM settled";
    c.prepare(sql)?
        .query_map([], |row| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))))?
        .collect()
}
