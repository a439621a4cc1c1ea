//! Rows of the log and entries, each made of the other: here the numbers of this store become what every store understands.

use std::borrow::Cow;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::corpus::{DocumentUid, SentenceId};
use crate::domain::entry::{Entry, EntryKind, EntryParts, ProposalRef, SentenceRef};
use crate::domain::key_map::TaxonomyMigration;
use crate::domain::label::{Annotator, EntryId, Judgement, ProposalId};
use crate::domain::person::PersonChange;
use crate::store::{Store, StoreError};

/// The rows that [`entry`] reads; the last column is the row's number.
pub(in crate::store) const ENTRY: &str =
    "SELECT e.id, e.kind, e.at, e.annotator, e.site, d.uid, s.start, s.end, e.stand, e.took,
        e.proposal_visible, p.run, p.label, e.taxonomy, e.supersedes, e.target, e.detail, e.in_sight, e.signature, e.seq
    FROM events e LEFT JOIN sentences s ON s.id = e.sentence LEFT JOIN documents d ON d.id = s.document
    LEFT JOIN proposals p ON p.id = e.proposal";

/// The column of [`ENTRY`] with the row's number.
pub(in crate::store) const SEQ: usize = 19;

/// Reads an entry. A row that no program can have written is an error.
pub(in crate::store) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let is_person = row.get::<_, EntryKind>(1)? == EntryKind::Person;
    let parts = EntryParts {
        id: Cow::Owned(row.get::<_, EntryId>(0)?),
        kind: row.get(1)?,
        at: row.get(2)?,
        author: Cow::Owned(row.get::<_, Annotator>(3)?),
        site: row.get::<_, Option<String>>(4)?.map(Cow::Owned),
        sentence: place(row, 5)?,
        judgement: row.get::<_, Option<Judgement>>(8)?.map(Cow::Owned),
        took: row.get(9)?,
        proposal_visible: row.get(10)?,
        in_sight: row.get(17)?,
        proposal: match row.get(11)? {
            Some(run) => Some(Cow::Owned(ProposalRef { run, label: row.get(12)? })),
            None => None,
        },
        taxonomy: row.get::<_, Option<String>>(13)?.map(Cow::Owned),
        supersedes: row.get::<_, Option<String>>(14)?.as_deref().map(|ids| Cow::Owned(parse_ids(ids))),
        target: row.get::<_, Option<EntryId>>(15)?.map(Cow::Owned),
        detail: if is_person { None } else { row.get::<_, Option<TaxonomyMigration>>(16)?.map(Cow::Owned) },
        person: if is_person { row.get::<_, Option<PersonChange>>(16)?.map(Cow::Owned) } else { None },
        signature: row.get(18)?,
    };
    parts.entry().map_err(|fault| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, fault.into()))
}

/// A sentence by its note and place, from three columns on; none where the note is.
pub(in crate::store) fn place(row: &Row<'_>, from: usize) -> rusqlite::Result<Option<SentenceRef>> {
    Ok(match row.get(from)? {
        Some(uid) => {
            Some(SentenceRef { document: DocumentUid(uid), start: row.get(from + 1)?, end: row.get(from + 2)? })
        }
        None => None,
    })
}

/// Writes an entry's row, with this store's numbers for the sentence and the proposal that it names; gives its number.
pub(in crate::store) fn insert(
    c: &Connection,
    entry: &Entry,
    sentence: Option<SentenceId>,
    proposal: Option<ProposalId>,
) -> rusqlite::Result<i64> {
    let parts = entry.parts();
    c.prepare_cached(
        "INSERT INTO events (id, kind, at, annotator, site, sentence, stand, took, proposal_visible, in_sight, proposal,
             taxonomy, supersedes, target, detail, signature)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, coalesce(?, ?), ?)",
    )?
    .execute(params![
        *parts.id,
        parts.kind,
        parts.at,
        *parts.author,
        parts.site,
        sentence,
        parts.judgement.as_deref(),
        parts.took,
        parts.proposal_visible,
        parts.in_sight,
        proposal,
        parts.taxonomy,
        parts.supersedes.as_deref().map(join_ids),
        parts.target.as_deref(),
        parts.detail.as_deref(),
        parts.person.as_deref(),
        parts.signature
    ])?;
    Ok(c.last_insert_rowid())
}

/// Whether the log has an entry of this id.
pub(in crate::store) fn is_known(c: &Connection, id: &EntryId) -> rusqlite::Result<bool> {
    c.prepare_cached("SELECT 1 FROM events WHERE id = ?")?.exists([id])
}

/// What every store calls a sentence of this one.
pub(super) fn sentence_ref(c: &Connection, sentence: SentenceId) -> rusqlite::Result<SentenceRef> {
    let named = "SELECT d.uid, s.start, s.end FROM sentences s JOIN documents d ON d.id = s.document WHERE s.id = ?";
    c.prepare_cached(named)?.query_row([sentence], |row| place(row, 0))?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// What every store calls a proposal of this one.
pub(super) fn proposal_ref(c: &Connection, proposal: ProposalId) -> rusqlite::Result<ProposalRef> {
    c.prepare_cached("SELECT run, label FROM proposals WHERE id = ?")?
        .query_row([proposal], |row| Ok(ProposalRef { run: row.get(0)?, label: row.get(1)? }))
}

/// Ids in one column.
fn join_ids(ids: &[EntryId]) -> String {
    ids.iter().map(|id| id.0.as_str()).collect::<Vec<_>>().join(",")
}

/// Reads what [`join_ids`] writes.
pub(super) fn parse_ids(joined: &str) -> Vec<EntryId> {
    joined.split(',').filter(|id| !id.is_empty()).map(|id| EntryId(id.to_owned())).collect()
}

impl Store {
    /// Entries after a number, in the order of this store, with the number of the last.
    #[cfg(test)]
    pub(crate) fn entries(&self, after: i64) -> Result<(Vec<Entry>, i64), StoreError> {
        self.with(|c| {
            let mut last = after;
            let all = c
                .prepare_cached(&format!("{ENTRY} WHERE e.seq > ? ORDER BY e.seq"))?
                .query_map([after], |row| {
                    last = row.get(SEQ)?;
                    entry(row)
                })?
                .collect::<Result<_, _>>()?;
            Ok((all, last))
        })
    }

    /// The number of the last entry and its link in the chain; 0 and nothing where there is none.
    pub(crate) fn log_end(&self) -> Result<(i64, String), StoreError> {
        self.with(|c| {
            let last = "SELECT e.seq, c.hash FROM events e JOIN chain c ON c.event = e.id ORDER BY e.seq DESC LIMIT 1";
            let read = |row: &Row<'_>| Ok((row.get(0)?, hex::encode(row.get::<_, [u8; 32]>(1)?)));
            Ok(c.query_row(last, [], read).optional()?.unwrap_or_default())
        })
    }
}
