//! SQL for who read which notes.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::{Store, StoreError};
use crate::domain::corpus::{DocumentId, SentenceId};
use crate::domain::label::{Annotator, Timestamp};

/// Somebody read notes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRow {
    pub at: Timestamp,
    pub person: Annotator,
    /// In which way: `opened`, `listed`, `printed`, `exported`.
    pub how: String,
    /// The notes' ids in their sources, as far as the notes are here.
    pub notes: Vec<String>,
}

impl Store {
    /// The notes that sentences stand in, without those that nobody wrote of a patient.
    pub(crate) fn notes_of_sentences(&self, sentences: &[SentenceId]) -> Result<BTreeSet<DocumentId>, StoreError> {
        self.with(|c| {
            let mut read = c.prepare_cached("SELECT document FROM sentences WHERE id = ? AND synthetic = 0")?;
            let mut notes = BTreeSet::new();
            for sentence in sentences {
                for note in read.query_map([sentence], |row| row.get(0))? {
                    notes.insert(note?);
                }
            }
            Ok(notes)
        })
    }

    /// Writes down that somebody read notes; `waits` until it is on the disk.
    pub(crate) fn record_access(
        &mut self,
        at: Timestamp,
        person: &Annotator,
        how: &str,
        notes: &BTreeSet<DocumentId>,
        waits: bool,
    ) -> Result<(), StoreError> {
        let insert = |c: &Connection| {
            c.prepare_cached("INSERT INTO access (at, person, how, documents) VALUES (?, ?, ?, ?)")?
                .execute(params![at, person, how, join(notes)])
                .map(drop)
        };
        if waits { self.write(insert) } else { self.write_without_waiting(insert) }
    }

    /// Hands on who read what, oldest first: of one person, from a moment on.
    pub(crate) fn access_each<E: From<StoreError>>(
        &self,
        person: Option<&Annotator>,
        since: Option<Timestamp>,
        each: &mut dyn FnMut(AccessRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let all: Vec<(Timestamp, Annotator, String, String)> = self.with(|c| {
            c.prepare(
                "SELECT at, person, how, documents FROM access
                 WHERE (?1 IS NULL OR person = ?1) AND (?2 IS NULL OR at >= ?2) ORDER BY id",
            )?
            .query_map(params![person, since], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
            .collect()
        })?;
        for (at, person, how, ranges) in all {
            let notes = self.with(|c| {
                let mut read =
                    c.prepare_cached("SELECT external_id FROM documents WHERE id BETWEEN ? AND ? ORDER BY id")?;
                let mut notes: Vec<String> = Vec::new();
                for (first, last) in split(&ranges) {
                    for note in read.query_map([first, last], |row| row.get(0))? {
                        notes.push(note?);
                    }
                }
                Ok(notes)
            })?;
            each(AccessRow { at, person, how, notes })?;
        }
        Ok(())
    }
}

/// Numbers as `3-7,9`: whole stores are read, too.
fn join(notes: &BTreeSet<DocumentId>) -> String {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for DocumentId(note) in notes {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *note => *last = *note,
            _ => ranges.push((*note, *note)),
        }
    }
    let word = |(first, last): &(i64, i64)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    ranges.iter().map(word).collect::<Vec<_>>().join(",")
}

/// Reads what [`join`] writes; what cannot be read was changed behind the program's back, and the audit names it.
fn split(ranges: &str) -> Vec<(i64, i64)> {
    let pair = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    ranges.split(',').filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_are_written_as_one() {
        let notes = [1, 2, 3, 7, 9, 10].map(DocumentId).into_iter().collect();
        assert_eq!(join(&notes), "1-3,7,9-10");
        assert_eq!(split("1-3,7,9-10"), [(1, 3), (7, 7), (9, 10)]);
        assert_eq!((join(&BTreeSet::new()).as_str(), split("")), ("", vec![]));
        assert_eq!(split("x,4-,5"), [(5, 5)]);
    }
}
