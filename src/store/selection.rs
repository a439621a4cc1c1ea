//! SQL for what leaves a store in a bundle: which events, the notes that they are on, and how far earlier bundles went.

use rusqlite::OptionalExtension;
use rusqlite::types::ToSql;

use super::log::{ENTRY, SEQ, entry};
use super::{Store, StoreError};
use crate::domain::corpus::{DocumentId, SentenceId};
use crate::domain::entry::Entry;
use crate::domain::label::{Annotator, EntryId};

/// Which events of the log are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EntrySelection {
    /// Those with a number above this one.
    pub after: i64,
    /// And not above this one: what is decided meanwhile is for the next time.
    pub upto: i64,
    /// Of one annotator alone.
    pub annotator: Option<Annotator>,
    /// From one site alone; the inner `None` is this store.
    pub site: Option<Option<String>>,
    /// Without those that reword a sentence.
    pub without_rewording: bool,
}

/// The selection in SQL, and its values in order.
const SELECTED: &str = "e.seq > ?1 AND e.seq <= ?2 AND (?3 IS NULL OR e.annotator = ?3) AND (NOT ?4 OR e.site IS ?5)
    AND (NOT ?6 OR json_extract(e.stand, '$.edited') IS NULL)";

impl EntrySelection {
    fn values<T>(&self, run: impl FnOnce(&[&dyn ToSql]) -> T) -> T {
        let site = self.site.as_ref().and_then(Option::as_ref);
        run(&[&self.after, &self.upto, &self.annotator, &self.site.is_some(), &site, &self.without_rewording])
    }
}

impl Store {
    /// How many events are meant.
    pub(crate) fn count_selected(&self, selection: &EntrySelection) -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) FROM events e WHERE {SELECTED}");
        self.with(|c| selection.values(|values| c.query_row(&sql, values, |row| row.get(0))))
    }

    /// The first so many of them in the order of this store, with the number of the last: what to go on after.
    pub(crate) fn selected(&self, selection: &EntrySelection, limit: usize) -> Result<(Vec<Entry>, i64), StoreError> {
        let sql = format!("{ENTRY} WHERE {SELECTED} ORDER BY e.seq LIMIT {limit}");
        self.with(|c| {
            let mut last = selection.after;
            let mut read = c.prepare_cached(&sql)?;
            let all = selection.values(|values| {
                let rows = read.query_map(values, |row| {
                    last = row.get(SEQ)?;
                    entry(row)
                })?;
                rows.collect::<Result<_, _>>()
            })?;
            Ok((all, last))
        })
    }

    /// The sentences on which they say what somebody else than this person decided or settled, also where it was withdrawn.
    pub(crate) fn said_by_others(
        &self,
        selection: &EntrySelection,
        person: &Annotator,
    ) -> Result<Vec<SentenceId>, StoreError> {
        let sql = format!(
            "SELECT DISTINCT e.annotator, e.sentence FROM events e
             WHERE {SELECTED} AND e.kind IN ('decide', 'settle') AND e.sentence IS NOT NULL"
        );
        let all: Vec<(Annotator, SentenceId)> = self.with(|c| {
            let mut read = c.prepare_cached(&sql)?;
            selection.values(|values| read.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        })?;
        let mut others: Vec<SentenceId> = all.into_iter().filter(|(who, _)| who != person).map(|(_, id)| id).collect();
        others.sort_unstable();
        others.dedup();
        Ok(others)
    }

    /// The notes that they are on, in the order of this store.
    pub(crate) fn notes_of(&self, selection: &EntrySelection) -> Result<Vec<DocumentId>, StoreError> {
        let sql = format!(
            "SELECT DISTINCT s.document FROM events e JOIN sentences s ON s.id = e.sentence WHERE {SELECTED} ORDER BY 1"
        );
        self.with(|c| {
            let mut read = c.prepare_cached(&sql)?;
            selection.values(|values| read.query_map(values, |row| row.get(0))?.collect())
        })
    }

    /// How far the last bundle of this kind went: the number of its last event, 0 for none.
    pub(crate) fn bundled(&self, kind: &str) -> Result<i64, StoreError> {
        self.with(|c| {
            let known = "SELECT e.seq FROM meta m JOIN events e ON e.id = m.value WHERE m.key = ?";
            Ok(c.query_row(known, [mark(kind)], |row| row.get(0)).optional()?.unwrap_or(0))
        })
    }

    /// Notes how far a bundle went. The event's id is kept, not its number.
    pub(crate) fn mark_bundled(&mut self, kind: &str, upto: i64) -> Result<(), StoreError> {
        self.write(|c| {
            let id: EntryId = c.query_row("SELECT id FROM events WHERE seq = ?", [upto], |row| row.get(0))?;
            c.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [mark(kind), id.0]).map(drop)
        })
    }
}

fn mark(kind: &str) -> String {
    format!("bundled {kind}")
}
