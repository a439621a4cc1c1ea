//! Taking another store's events in. Merging is the union of events: what is here already is passed over, the order does not
//! matter, and nothing is ever overwritten.

use std::borrow::Cow;

use rusqlite::{Connection, OptionalExtension, params};
use rustc_hash::FxHashMap;

use super::log::{append, is_known};
use super::runs::{proposal_without_words, propose, put_run};
use super::{Store, StoreError};
use crate::domain::corpus::{DocumentUid, SentenceId};
use crate::domain::entry::{Body, Entry, ProposalRef, SentenceRef};
use crate::domain::label::{NewProposal, Outcome, ProposalId, Run, RunId, Source};

/// What came of taking events in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Events that were new here.
    pub new: u64,
    /// Events that were here already.
    pub known: u64,
    /// Events on sentences of notes that this store does not have; they are left out, and come in when the notes have been
    /// imported and the same bundle is merged again.
    pub without_note: u64,
    /// Events on sentences of notes that this store has, cut at other places. They are left out too.
    pub cut_otherwise: u64,
    /// Events that name a machine's label which this store does not have, or has otherwise, and that are signed as they are. They
    /// are left out too.
    pub other_proposal: u64,
}

/// The runs behind the proposals that events name, and what was proposed; without words of the note.
pub type Seen = (Run, Vec<(SentenceRef, Source, NewProposal)>);

impl Store {
    /// The name by which this store's events are known elsewhere, if it has one.
    pub(crate) fn site(&self) -> Result<Option<String>, StoreError> {
        self.with(|c| c.query_row("SELECT value FROM meta WHERE key = 'site'", [], |row| row.get(0)).optional())
    }

    /// Gives the store that name, once; tells which one it has.
    pub(crate) fn name_site(&mut self, name: &str) -> Result<String, StoreError> {
        self.write(|c| {
            c.execute("INSERT OR IGNORE INTO meta VALUES ('site', ?)", [name])?;
            c.query_row("SELECT value FROM meta WHERE key = 'site'", [], |row| row.get(0))
        })
    }

    /// Takes events in, and the proposals that they name, in one transaction.
    pub(crate) fn merge(&mut self, entries: &[Entry], seen: &[Seen]) -> Result<Merged, StoreError> {
        let own = self.site()?;
        self.write(|c| {
            let places = Places::read(c)?;
            for (run, proposals) in seen {
                take_run(c, run, proposals, &places)?;
            }
            let mut merged = Merged::default();
            for entry in entries {
                take(c, entry, own.as_deref(), &places, &mut merged)?;
            }
            Ok(merged)
        })
    }
}

/// Where the notes of this store are, by what other stores call them.
struct Places(FxHashMap<DocumentUid, (i64, i64)>);

impl Places {
    fn read(c: &Connection) -> rusqlite::Result<Self> {
        let all = c
            .prepare("SELECT uid, first_sentence, sentence_count FROM documents")?
            .query_map([], |row| Ok((DocumentUid(row.get(0)?), (row.get(1)?, row.get(2)?))))?
            .collect::<Result<_, _>>()?;
        Ok(Self(all))
    }

    fn find(&self, c: &Connection, sentence: &SentenceRef) -> rusqlite::Result<Option<SentenceId>> {
        let Some((first, count)) = self.0.get(&sentence.document) else {
            return Ok(None);
        };
        c.prepare_cached("SELECT id FROM sentences WHERE id >= ? AND id < ? AND start = ? AND end = ?")?
            .query_row(params![first, first + count, sentence.start, sentence.end], |row| row.get(0))
            .optional()
    }
}

fn take_run(
    c: &Connection,
    run: &Run,
    proposals: &[(SentenceRef, Source, NewProposal)],
    places: &Places,
) -> rusqlite::Result<()> {
    let outcome = c.prepare_cached("SELECT outcome FROM runs WHERE id = ?")?;
    match { outcome }.query_row([&run.id], |row| row.get(0)).optional()? {
        None => put_run(c, &Run { outcome: Outcome::Elsewhere, ..run.clone() })?,
        Some(Outcome::Elsewhere) => {}
        // What a run of this store proposed, this store knows; nobody adds to it.
        Some(_) => return Ok(()),
    }
    for (sentence, source, proposal) in proposals {
        if let Some(sentence) = places.find(c, sentence)? {
            propose(c, &run.id, *source, &[NewProposal { sentence, ..proposal.clone() }])?;
        }
    }
    Ok(())
}

fn take(
    c: &Connection,
    entry: &Entry,
    own: Option<&str>,
    places: &Places,
    merged: &mut Merged,
) -> rusqlite::Result<()> {
    if is_known(c, &entry.id)? {
        merged.known += u64::from(!matches!(entry.body, Body::Person(_)));
        return Ok(());
    }
    let judged = entry.body.judged();
    let sentence = match judged.map(|judged| &judged.sentence) {
        Some(sentence) => match places.find(c, sentence)? {
            Some(id) => Some(id),
            None if places.0.contains_key(&sentence.document) => {
                merged.cut_otherwise += 1;
                return Ok(());
            }
            None => {
                merged.without_note += 1;
                return Ok(());
            }
        },
        None => None,
    };
    let named = judged.and_then(|judged| judged.proposal.as_ref());
    let proposal = match (named, sentence) {
        (Some(named), Some(sentence)) => find_proposal(c, named, sentence)?,
        _ => None,
    };
    let mut entry = Cow::Borrowed(entry);
    // What left this store and comes back, its file having been lost meanwhile, is its own again, if its signature says so. But
    // how labels are read here is for this store's guideline to say.
    // And who leads here is said here: what comes in names nobody first.
    let stays = matches!(entry.body, Body::Migration(_) | Body::Person(_));
    if own.is_some() && entry.site.as_deref() == own && !stays && entry.signature.is_some() {
        entry.to_mut().site = None;
    }
    // What this store does not have, it does not name, nor chain; and what is signed is not changed.
    if named.is_some() && proposal.is_none() {
        if entry.signature.is_some() {
            merged.other_proposal += 1;
            return Ok(());
        }
        entry.to_mut().body.judged_mut().map(|judged| judged.proposal.take());
    }
    append(c, &entry, sentence, proposal)?;
    // Who somebody is says nothing of a sentence.
    merged.new += u64::from(!matches!(entry.body, Body::Person(_)));
    Ok(())
}

fn find_proposal(c: &Connection, named: &ProposalRef, sentence: SentenceId) -> rusqlite::Result<Option<ProposalId>> {
    c.prepare_cached("SELECT id FROM proposals WHERE run = ? AND sentence = ? AND label = ?")?
        .query_row(params![named.run, sentence, named.label], |row| row.get(0))
        .optional()
}

impl Store {
    /// The runs and proposals that this store's events name, without words of the notes: what was seen when it was decided.
    pub(crate) fn seen(&self, entries: &[Entry]) -> Result<Vec<Seen>, StoreError> {
        let mut wanted: FxHashMap<&RunId, Vec<SentenceRef>> = FxHashMap::default();
        for judged in entries.iter().filter_map(|entry| entry.body.judged()) {
            if let Some(proposal) = &judged.proposal {
                wanted.entry(&proposal.run).or_default().push(judged.sentence);
            }
        }
        let mut runs: Vec<&RunId> = wanted.keys().copied().collect();
        runs.sort_unstable();
        let places = self.with(Places::read)?;
        runs.into_iter()
            .map(|id| {
                let run = self.run(id)?;
                let proposals = self.with(|c| {
                    let mut read = c.prepare_cached(
                        "SELECT source, label, confidence, confidence_kind, probabilities FROM proposals
                         WHERE run = ? AND sentence = ? ORDER BY id LIMIT 1",
                    )?;
                    let mut all = Vec::new();
                    for at in &wanted[id] {
                        let Some(sentence) = places.find(c, at)? else {
                            continue;
                        };
                        let found = read
                            .query_row(params![id, sentence], |row| proposal_without_words(row, sentence))
                            .optional()?;
                        all.extend(found.map(|(source, proposal)| (*at, source, proposal)));
                    }
                    all.sort_by_key(|(at, ..)| (at.document.0, at.start));
                    all.dedup_by_key(|(at, ..)| *at);
                    Ok(all)
                })?;
                Ok((run, proposals))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
