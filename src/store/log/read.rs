//! SQL for reading the log: who decided what, when, having seen what, in an order for people.

use rusqlite::{OptionalExtension, params};

use super::entries::{self, ENTRY};
use crate::domain::corpus::SentenceId;
use crate::domain::entry::{Entry, SentenceRef};
use crate::domain::label::{Annotator, EntryId, Timestamp};
use crate::store::{Store, StoreError};

/// Which events to show, and in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Of one annotator alone.
    pub annotator: Option<Annotator>,
    /// On one sentence alone.
    pub sentence: Option<SentenceId>,
    /// Not before this moment.
    pub since: Option<Timestamp>,
    /// By sentence, then by time.
    pub by_sentence: bool,
}

/// An event with its place in the chain, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// The event.
    pub id: EntryId,
    /// Its place in the chain, from 1; none if it was put in without a link.
    pub position: Option<u64>,
    /// Its link, in hexadecimal.
    pub link: String,
    /// What it says; none if it cannot be read, which is no work of this program.
    pub entry: Option<Entry>,
    /// The sentence, also of what is withdrawn or restored.
    pub sentence: Option<SentenceId>,
    /// The note's id in its source.
    pub note: Option<String>,
    /// The place in the note, in bytes.
    pub place: Option<SentenceRef>,
    /// The model whose label was seen, where the event names it.
    pub model: Option<String>,
    /// What was taken out of it for whoever asks; never by the store.
    pub veiled: Veiled,
}

/// What was taken out of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Veiled {
    /// Its judgement is an empty one.
    pub judgement: bool,
    /// The proposal that it names is gone.
    pub proposal: bool,
}

/// What one annotator did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonTotals {
    pub annotator: Annotator,
    /// Decisions, also those that were replaced or withdrawn later.
    pub decisions: u64,
    /// Of these, made with nothing in sight.
    pub blind: u64,
    /// Of these, of which that is not known.
    pub blind_unknown: u64,
    /// Disputes settled.
    pub settlements: u64,
    /// Withdrawals and restorations.
    pub undos: u64,
    /// Times that categories were renamed, merged or split.
    pub migrations: u64,
    /// Events that came from other sites.
    pub from_elsewhere: u64,
    /// The first event.
    pub first: Timestamp,
    pub last: Timestamp,
}

impl Store {
    /// The numbers of the events that pass, in the order asked for.
    pub(crate) fn log_order(&self, filter: &LogFilter) -> Result<Vec<i64>, StoreError> {
        let order = if filter.by_sentence { "2, e.at, e.id" } else { "e.at, e.id" };
        let sql = format!(
            "SELECT e.seq, coalesce(e.sentence, t.sentence) FROM events e LEFT JOIN events t ON t.id = e.target
             WHERE (?1 IS NULL OR e.annotator = ?1) AND (?2 IS NULL OR coalesce(e.sentence, t.sentence) = ?2)
               AND (?3 IS NULL OR e.at >= ?3) ORDER BY {order}"
        );
        self.with(|c| {
            c.prepare(&sql)?
                .query_map(params![filter.annotator, filter.sentence, filter.since], |row| row.get(0))?
                .collect()
        })
    }

    /// One event by its number.
    pub(crate) fn log_row(&self, seq: i64) -> Result<LogRow, StoreError> {
        self.with(|c| {
            let read = format!("{ENTRY} WHERE e.seq = ?");
            let entry = c.prepare_cached(&read)?.query_row([seq], |row| Ok(entries::entry(row).ok()))?;
            c.prepare_cached(
                "SELECT e.id, c.position, c.hash, s.id, d.external_id, d.uid, s.start, s.end, r.model
                 FROM events e LEFT JOIN chain c ON c.event = e.id LEFT JOIN events t ON t.id = e.target
                 LEFT JOIN sentences s ON s.id = coalesce(e.sentence, t.sentence)
                 LEFT JOIN documents d ON d.id = s.document
                 LEFT JOIN proposals p ON p.id = e.proposal LEFT JOIN runs r ON r.id = p.run WHERE e.seq = ?",
            )?
            .query_row([seq], |row| {
                let link: Option<Vec<u8>> = row.get(2)?;
                Ok(LogRow {
                    id: row.get(0)?,
                    position: row.get(1)?,
                    link: link.as_deref().map(hex::encode).unwrap_or_default(),
                    entry,
                    sentence: row.get(3)?,
                    note: row.get(4)?,
                    place: entries::place(row, 5)?,
                    model: row.get(8)?,
                    veiled: Veiled::default(),
                })
            })
        })
    }

    /// What each annotator did, by name.
    pub(crate) fn people(&self) -> Result<Vec<PersonTotals>, StoreError> {
        self.with(|c| {
            c.prepare(
                "SELECT annotator, sum(kind = 'decide'), sum(kind = 'decide' AND in_sight IS ''),
                     sum(kind = 'decide' AND in_sight IS NULL AND NOT coalesce(proposal_visible, 1)),
                     sum(kind = 'settle'), sum(kind IN ('undo', 'redo')), sum(kind = 'recast'),
                     sum(site IS NOT NULL), min(at), max(at)
                 FROM events WHERE kind <> 'person' GROUP BY annotator ORDER BY annotator",
            )?
            .query_map([], |row| {
                Ok(PersonTotals {
                    annotator: row.get(0)?,
                    decisions: row.get(1)?,
                    blind: row.get(2)?,
                    blind_unknown: row.get(3)?,
                    settlements: row.get(4)?,
                    undos: row.get(5)?,
                    migrations: row.get(6)?,
                    from_elsewhere: row.get(7)?,
                    first: row.get(8)?,
                    last: row.get(9)?,
                })
            })?
            .collect()
        })
    }

    /// A sentence by its number, with the note's id in its source; none if there is no such sentence.
    pub(crate) fn place_of(&self, sentence: SentenceId) -> Result<Option<String>, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT d.external_id FROM sentences s JOIN documents d ON d.id = s.document WHERE s.id = ?",
            )?
            .query_row([sentence], |row| row.get(0))
            .optional()
        })
    }
}
