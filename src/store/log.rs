//! SQL for the log: what people do is appended to it and read from it. Each entry is linked to those before it, and what it
//! changes of the projection is written in the same transaction.

mod chain;
mod entries;
mod projection;
mod read;
mod signer;

use rusqlite::{Connection, OptionalExtension, Row, params};

use self::entries::{parse_ids, proposal_ref, sentence_ref};
use self::projection::decisions_on;
use super::key_map::{current_migration, key_map};
use super::{Store, StoreError};
use crate::domain::corpus::{Origin, SentenceId};
use crate::domain::entry::{Body, Entry, EntryKind, Judged, RecordedSight};
use crate::domain::key_map::KeyMap;
use crate::domain::label::{Annotator, Decision, EntryId, Judgement, ProposalId, Timestamp};
use crate::domain::projection::current;
use crate::domain::sight::InSight;

pub(super) use chain::{ChainHash, link_all, next};
pub(super) use entries::{ENTRY, SEQ, entry, is_known};
pub(super) use projection::{rebuild, rebuild_key};
pub use read::{LogFilter, LogRow, PersonTotals, Veiled};
pub(crate) use signer::Signer;
pub(super) use signer::append_own;

/// What undo or redo changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoneDecision {
    /// The decision withdrawn or restored.
    pub target: EntryId,
    /// The sentence to show.
    pub sentence: SentenceId,
    /// Whether it settled a dispute.
    pub settlement: bool,
}

/// What somebody has ever said of a sentence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// They gave it a label.
    pub decided: bool,
    /// They settled it.
    pub settled: bool,
    /// What had been in sight at any of it, also where they put it off.
    pub in_sight: InSight,
    /// Whether that was recorded each time.
    pub recorded: bool,
}

/// How far an annotator has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgressCount {
    /// Sentences with a label or verdict of this annotator.
    pub decided: u64,
    /// All sentences of the origin.
    pub total: u64,
}

impl Store {
    /// Appends decisions of experts, in one transaction. One that is there already is skipped, so taking in the same twice
    /// changes nothing. Whoever does not know that categories were changed meanwhile is refused: the screen before them shows
    /// categories that are no more.
    pub fn append_decisions(&mut self, decisions: &[Decision]) -> Result<(), StoreError> {
        let signer = self.signer.clone();
        self.write_unless_migrated(|c| {
            let append = |decision| append_decision(c, signer.as_deref(), EntryKind::Decide, decision);
            decisions.iter().try_for_each(append)
        })
    }

    /// Appends settlements of adjudicators, likewise.
    pub(crate) fn append_settlements(&mut self, settlements: &[Decision]) -> Result<(), StoreError> {
        let signer = self.signer.clone();
        self.write_unless_migrated(|c| {
            let append = |settled| append_decision(c, signer.as_deref(), EntryKind::Settle, settled);
            settlements.iter().try_for_each(append)
        })
    }

    /// Writes what somebody says who knows the categories of today.
    fn write_unless_migrated<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let known = self.migration.clone();
        let written = self.write(|c| if current_migration(c)? == known { work(c).map(Some) } else { Ok(None) })?;
        written.ok_or(StoreError::TaxonomyChanged)
    }

    /// Withdraws the annotator's latest decision that is not withdrawn; `None` when there is none.
    pub(crate) fn undo(
        &mut self,
        annotator: &Annotator,
        id: EntryId,
        at: Timestamp,
    ) -> Result<Option<UndoneDecision>, StoreError> {
        let latest = "SELECT id, sentence, kind = 'settle' FROM events e WHERE annotator = ?1 AND kind IN ('decide', 'settle')
               AND NOT EXISTS (SELECT 1 FROM undone u WHERE u.target = e.id AND u.annotator = e.annotator) ORDER BY seq DESC LIMIT 1";
        self.turn_back(latest, |target| Body::Undo { target }, annotator, id, at)
    }

    /// Restores the decision that was withdrawn last, unless the annotator has decided something since.
    pub(crate) fn redo(
        &mut self,
        annotator: &Annotator,
        id: EntryId,
        at: Timestamp,
    ) -> Result<Option<UndoneDecision>, StoreError> {
        let withdrawn = "SELECT e.id, e.sentence, e.kind = 'settle' FROM undone u JOIN events e ON e.id = u.target WHERE u.annotator = ?1
               AND u.seq > (SELECT coalesce(max(seq), 0) FROM events
                   WHERE annotator = ?1 AND kind IN ('decide', 'settle'))
             ORDER BY u.seq DESC LIMIT 1";
        self.turn_back(withdrawn, |target| Body::Redo { target }, annotator, id, at)
    }

    /// Appends an entry about the decision that `target` finds for the annotator, if it finds one.
    fn turn_back(
        &mut self,
        target: &str,
        body: fn(EntryId) -> Body,
        annotator: &Annotator,
        id: EntryId,
        at: Timestamp,
    ) -> Result<Option<UndoneDecision>, StoreError> {
        let signer = self.signer.clone();
        self.write_unless_migrated(|c| {
            let found = c.prepare_cached(target)?.query_row([annotator], undone).optional()?;
            if let Some(UndoneDecision { target, .. }) = &found {
                let (author, body) = (annotator.clone(), body(target.clone()));
                append_own(
                    c,
                    signer.as_deref(),
                    Entry { id, at, author, site: None, body, signature: None },
                    None,
                    None,
                )?;
            }
            Ok(found)
        })
    }

    /// Every annotator's current decision on a sentence, by name.
    pub(crate) fn decisions(&self, sentence: SentenceId) -> Result<Vec<Decision>, StoreError> {
        self.with(|c| {
            c.prepare_cached(&format!(
                "SELECT {DECISION} FROM standing s JOIN events e ON e.seq = s.seq WHERE s.sentence = ? ORDER BY s.annotator"
            ))?
            .query_map([sentence], |row| decision(row, &self.key_map))?
            .collect()
        })
    }

    /// The annotator's current decision on a sentence.
    pub(crate) fn decision(&self, sentence: SentenceId, annotator: &Annotator) -> Result<Option<Decision>, StoreError> {
        self.with(|c| {
            c.prepare_cached(&format!(
                "SELECT {DECISION} FROM standing s JOIN events e ON e.seq = s.seq WHERE s.sentence = ? AND s.annotator = ?"
            ))?
            .query_row(params![sentence, annotator], |row| decision(row, &self.key_map))
            .optional()
        })
    }

    /// The annotator's latest decisions that are not withdrawn, newest first.
    pub(crate) fn latest_decisions(&self, annotator: &Annotator, limit: usize) -> Result<Vec<Decision>, StoreError> {
        self.with(|c| {
            c.prepare_cached(&format!(
                "SELECT {DECISION} FROM events e WHERE e.annotator = ? AND e.kind = 'decide'
                   AND NOT EXISTS (SELECT 1 FROM undone u WHERE u.target = e.id AND u.annotator = e.annotator) ORDER BY e.seq DESC LIMIT ?"
            ))?
            .query_map(params![annotator, limit as i64], |row| decision(row, &self.key_map))?
            .collect()
        })
    }

    /// All decisions with a label that are not withdrawn, by annotator, sentence and time, with labels as they are read today.
    pub(crate) fn all_decisions(&self) -> Result<Vec<Decision>, StoreError> {
        self.with(|c| {
            let mut read = c.prepare(&format!(
                "SELECT {DECISION} FROM events e WHERE e.kind = 'decide'
                   AND NOT EXISTS (SELECT 1 FROM undone u WHERE u.target = e.id AND u.annotator = e.annotator)
                 ORDER BY e.annotator, e.sentence, e.at, e.id"
            ))?;
            let all = read.query_map([], |row| decision(row, &self.key_map))?;
            all.filter(|read| !matches!(read, Ok(Decision { judgement: Judgement { label: None, .. }, .. }))).collect()
        })
    }

    /// Whether this person has ever decided or settled a sentence, also where they took it back.
    pub(crate) fn has_said(&self, sentence: SentenceId, annotator: &Annotator) -> Result<Said, StoreError> {
        self.with(|c| {
            let mut rows = c.prepare_cached(
                "SELECT kind = 'decide', kind = 'settle', json_extract(stand, '$.label') IS NOT NULL, proposal_visible, in_sight FROM events
                 WHERE sentence = ? AND annotator = ? AND kind IN ('decide', 'settle')",
            )?;
            let mut rows = rows.query(params![sentence, annotator])?;
            let mut said = Said { decided: false, settled: false, in_sight: InSight::NOTHING, recorded: true };
            while let Some(row) = rows.next()? {
                let labels: bool = row.get(2)?;
                said.decided |= labels && row.get::<_, bool>(0)?;
                said.settled |= labels && row.get::<_, bool>(1)?;
                let of_machines: Option<bool> = row.get(3)?;
                let in_sight = InSight::recorded(of_machines.unwrap_or_default(), row.get(4)?);
                said.recorded &= in_sight.is_some();
                said.in_sight = said.in_sight.and(in_sight.unwrap_or_default());
            }
            Ok(said)
        })
    }

    /// Decided and all sentences of an origin.
    pub(crate) fn progression(&self, annotator: &Annotator, origin: Origin) -> Result<ProgressCount, StoreError> {
        let total = self.sentence_count(origin)?;
        let decided = self.with(|c| {
            c.prepare_cached("SELECT decided FROM tally WHERE annotator = ? AND origin = ?")?
                .query_row(params![annotator, origin], |row| row.get(0))
                .optional()
        })?;
        Ok(ProgressCount { decided: decided.unwrap_or(0), total })
    }

    /// Everyone who has decided, with the number of sentences decided.
    pub(crate) fn annotators(&self) -> Result<Vec<(Annotator, u64)>, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT annotator, sum(decided) FROM tally GROUP BY annotator ORDER BY annotator")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// What adjudicators say of a sentence, the latest last: one settlement, unless two contradict each other.
    pub(crate) fn settlements(&self, sentence: SentenceId) -> Result<Vec<Decision>, StoreError> {
        self.with(|c| {
            let known = decisions_on(c, EntryKind::Settle, sentence, None, &key_map(c)?)?;
            let mut read = c.prepare_cached(&format!("SELECT {DECISION} FROM events e WHERE e.seq = ?"))?;
            let all = current(&known).into_iter().map(|d| read.query_row([d.seq], |row| decision(row, &self.key_map)));
            all.filter(|read| !matches!(read, Ok(Decision { judgement: Judgement { label: None, .. }, .. }))).collect()
        })
    }

    /// How many sentences adjudicators have settled.
    pub(crate) fn settled_count(&self) -> Result<u64, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT count(*) FROM settled WHERE label IS NOT NULL")?.query_row([], |row| row.get(0))
        })
    }

    /// Makes the projection anew: `standing`, `settled`, `undone` and `tally`.
    pub(crate) fn rebuild(&mut self) -> Result<(), StoreError> {
        self.write(rebuild)
    }
}

/// Appends an entry, with this store's numbers for the sentence and the proposal that it names: writes its row, links it, and
/// brings the projection up to date.
pub(super) fn append(
    c: &Connection,
    entry: &Entry,
    sentence: Option<SentenceId>,
    proposal: Option<ProposalId>,
) -> rusqlite::Result<()> {
    entries::insert(c, entry, sentence, proposal)?;
    chain::link(c, entry)?;
    projection::project(c, entry, sentence)
}

/// Appends what somebody says here, unless it is there already.
fn append_decision(
    c: &Connection,
    signer: Option<&Signer>,
    kind: EntryKind,
    decision: &Decision,
) -> rusqlite::Result<()> {
    if is_known(c, &decision.id)? {
        return Ok(());
    }
    let supersedes = match &decision.supersedes {
        Some(known) => known.clone(),
        // Whoever decides here knows what is current here.
        None => {
            let by = (kind == EntryKind::Decide).then_some(&decision.annotator);
            let known = decisions_on(c, kind, decision.sentence, by, &KeyMap::default())?;
            current(&known).into_iter().map(|known| known.id.clone()).collect()
        }
    };
    let judged = Judged {
        sentence: sentence_ref(c, decision.sentence)?,
        judgement: decision.judgement.clone(),
        took: decision.took,
        sight: RecordedSight::of(decision.in_sight),
        proposal: decision.proposal.map(|id| proposal_ref(c, id)).transpose()?,
        taxonomy: decision.taxonomy.clone(),
        supersedes: Some(supersedes),
    };
    let (id, author) = (decision.id.clone(), decision.annotator.clone());
    let body = if kind == EntryKind::Decide { Body::Decide(judged) } else { Body::Settle(judged) };
    let entry = Entry { id, at: decision.at, author, site: None, body, signature: None };
    append_own(c, signer, entry, Some(decision.sentence), decision.proposal)
}

/// The columns of a decision.
const DECISION: &str = "e.id, e.at, e.annotator, e.sentence, e.stand, e.took, e.proposal_visible, e.proposal, e.taxonomy, e.supersedes, e.in_sight";

fn undone(row: &Row<'_>) -> rusqlite::Result<UndoneDecision> {
    Ok(UndoneDecision { target: row.get(0)?, sentence: row.get(1)?, settlement: row.get(2)? })
}

fn decision(row: &Row<'_>, key_map: &KeyMap) -> rusqlite::Result<Decision> {
    Ok(Decision {
        id: row.get(0)?,
        at: row.get(1)?,
        annotator: row.get(2)?,
        sentence: row.get(3)?,
        judgement: key_map.map_judgement(row.get(4)?),
        took: row.get(5)?,
        in_sight: InSight::recorded(row.get(6)?, row.get(10)?),
        proposal: row.get(7)?,
        taxonomy: row.get(8)?,
        supersedes: row.get::<_, Option<String>>(9)?.as_deref().map(parse_ids),
    })
}
