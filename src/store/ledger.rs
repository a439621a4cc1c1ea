//! SQL for what people and machines said: events, proposals, runs. Insert and read only; the folds follow the events.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::convert::{pack, unpack};
use super::lineage::{in_force, lineage};
use super::{Store, StoreError, chain};
use crate::domain::corpus::{Origin, SentenceId};
use crate::domain::heads::{Revision, heads};
use crate::domain::label::{
    Annotator, Confidence, Decision, Event, EventId, Judgement, NewProposal, Outcome, Proposal, ProposalId, Run, RunId,
    RunKind, Source, Timestamp,
};
use crate::domain::lineage::KeyMap;
use crate::domain::sight::{Blindness, InSight};

/// What undo or redo changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoneDecision {
    /// The decision withdrawn or restored.
    pub target: EventId,
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
    /// Appends events and brings the folds up to date, in one transaction. An event that is there already is skipped, so
    /// taking in the same log twice changes nothing. Whoever does not know that categories were changed meanwhile is refused: the
    /// screen before them shows categories that are no more.
    pub fn append(&mut self, events: &[Event]) -> Result<(), StoreError> {
        self.write_knowing(|c| events.iter().try_for_each(|event| append(c, event)))
    }

    /// Writes what somebody says who knows the categories of today.
    fn write_knowing<T>(&mut self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let known = self.recast.clone();
        let written = self.write(|c| if in_force(c)? == known { work(c).map(Some) } else { Ok(None) })?;
        written.ok_or(StoreError::Recast)
    }

    /// Withdraws the annotator's latest decision that is not withdrawn; `None` when there is none.
    pub fn undo(
        &mut self,
        annotator: &Annotator,
        id: EventId,
        at: Timestamp,
    ) -> Result<Option<UndoneDecision>, StoreError> {
        self.write_knowing(|c| {
            let target = c
                .prepare_cached(
                    "SELECT id, sentence, kind = 'settle' FROM events e WHERE annotator = ?1 AND kind IN ('decide', 'settle')
                       AND NOT EXISTS (SELECT 1 FROM undone u WHERE u.target = e.id AND u.annotator = e.annotator) ORDER BY seq DESC LIMIT 1",
                )?
                .query_row([annotator], undone)
                .optional()?;
            if let Some(UndoneDecision { target, .. }) = &target {
                append(c, &Event::Undo { id, at, annotator: annotator.clone(), target: target.clone() })?;
            }
            Ok(target)
        })
    }

    /// Restores the decision that was withdrawn last, unless the annotator has decided something since.
    pub fn redo(
        &mut self,
        annotator: &Annotator,
        id: EventId,
        at: Timestamp,
    ) -> Result<Option<UndoneDecision>, StoreError> {
        self.write_knowing(|c| {
            let target = c
                .prepare_cached(
                    "SELECT e.id, e.sentence, e.kind = 'settle' FROM undone u JOIN events e ON e.id = u.target WHERE u.annotator = ?1
                       AND u.seq > (SELECT coalesce(max(seq), 0) FROM events
                           WHERE annotator = ?1 AND kind IN ('decide', 'settle'))
                     ORDER BY u.seq DESC LIMIT 1",
                )?
                .query_row([annotator], undone)
                .optional()?;
            if let Some(UndoneDecision { target, .. }) = &target {
                append(c, &Event::Redo { id, at, annotator: annotator.clone(), target: target.clone() })?;
            }
            Ok(target)
        })
    }

    /// Every annotator's standing decision on a sentence, by name.
    pub fn decisions(&self, sentence: SentenceId) -> Result<Vec<Decision>, StoreError> {
        self.with(|c| {
            c.prepare_cached(&format!(
                "SELECT {DECISION} FROM standing s JOIN events e ON e.seq = s.seq WHERE s.sentence = ? ORDER BY s.annotator"
            ))?
            .query_map([sentence], |row| decision(row, &self.lineage))?
            .collect()
        })
    }

    /// The annotator's standing decision on a sentence.
    pub fn decision(&self, sentence: SentenceId, annotator: &Annotator) -> Result<Option<Decision>, StoreError> {
        self.with(|c| {
            c.prepare_cached(&format!(
                "SELECT {DECISION} FROM standing s JOIN events e ON e.seq = s.seq WHERE s.sentence = ? AND s.annotator = ?"
            ))?
            .query_row(params![sentence, annotator], |row| decision(row, &self.lineage))
            .optional()
        })
    }

    /// The annotator's latest decisions that are not withdrawn, newest first.
    pub fn latest_decisions(&self, annotator: &Annotator, limit: usize) -> Result<Vec<Decision>, StoreError> {
        self.with(|c| {
            c.prepare_cached(&format!(
                "SELECT {DECISION} FROM events e WHERE e.annotator = ? AND e.kind = 'decide'
                   AND NOT EXISTS (SELECT 1 FROM undone u WHERE u.target = e.id AND u.annotator = e.annotator) ORDER BY e.seq DESC LIMIT ?"
            ))?
            .query_map(params![annotator, limit as i64], |row| decision(row, &self.lineage))?
            .collect()
        })
    }

    /// Whether this person has ever decided or settled a sentence, also where they took it back.
    pub fn has_said(&self, sentence: SentenceId, annotator: &Annotator) -> Result<Said, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT coalesce(max(kind = 'decide'), 0), coalesce(max(kind = 'settle'), 0) FROM events
                 WHERE sentence = ? AND annotator = ? AND json_extract(stand, '$.label') IS NOT NULL",
            )?
            .query_row(params![sentence, annotator], |row| Ok(Said { decided: row.get(0)?, settled: row.get(1)? }))
        })
    }

    /// Decided and all sentences of an origin.
    pub fn progression(&self, annotator: &Annotator, origin: Origin) -> Result<ProgressCount, StoreError> {
        let total = self.sentence_count(origin)?;
        let decided = self.with(|c| {
            c.prepare_cached("SELECT decided FROM tally WHERE annotator = ? AND origin = ?")?
                .query_row(params![annotator, origin], |row| row.get(0))
                .optional()
        })?;
        Ok(ProgressCount { decided: decided.unwrap_or(0), total })
    }

    /// Everyone who has decided, with the number of sentences decided.
    pub fn annotators(&self) -> Result<Vec<(Annotator, u64)>, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT annotator, sum(decided) FROM tally GROUP BY annotator ORDER BY annotator")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// What adjudicators say of a sentence, the latest last: one settlement, unless two contradict each other.
    pub fn settlements(&self, sentence: SentenceId) -> Result<Vec<Decision>, StoreError> {
        self.with(|c| {
            let known = claims(c, "settle", sentence, None)?;
            let mut read = c.prepare_cached(&format!("SELECT {DECISION} FROM events e WHERE e.seq = ?"))?;
            let all =
                standing_claims(&known).map(|claim| read.query_row([claim.seq], |row| decision(row, &self.lineage)));
            all.filter(|read| !matches!(read, Ok(Decision { stand: Judgement { label: None, .. }, .. }))).collect()
        })
    }

    /// How many sentences adjudicators have settled.
    pub fn settled_count(&self) -> Result<u64, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT count(*) FROM settled WHERE label IS NOT NULL")?.query_row([], |row| row.get(0))
        })
    }

    /// What experts and adjudicators said, as they said it, in the order of this store.
    pub fn events(&self) -> Result<Vec<Event>, StoreError> {
        let as_said = KeyMap::default();
        self.with(|c| {
            let said = "e.kind IN ('decide', 'settle', 'undo', 'redo')";
            c.prepare(&format!("SELECT {DECISION}, e.kind, e.target FROM events e WHERE {said} ORDER BY e.seq"))?
                .query_map([], |row| {
                    let kind: String = row.get(11)?;
                    let (id, at, annotator) = (row.get(0)?, row.get(1)?, row.get(2)?);
                    Ok(match kind.as_str() {
                        "decide" => Event::Decide(decision(row, &as_said)?),
                        "settle" => Event::Settle(decision(row, &as_said)?),
                        "undo" => Event::Undo { id, at, annotator, target: row.get(12)? },
                        _ => Event::Redo { id, at, annotator, target: row.get(12)? },
                    })
                })?
                .collect()
        })
    }

    /// Folds all events anew into `standing`, `settled`, `undone` and `tally`.
    pub fn rebuild(&mut self) -> Result<(), StoreError> {
        self.write(rebuild)
    }

    /// Writes a run, or its later state.
    pub fn put_run(&mut self, run: &Run) -> Result<(), StoreError> {
        self.write(|c| put_run(c, run))
    }

    /// All runs, newest first.
    pub fn runs(&self) -> Result<Vec<Run>, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT id, kind, model, config, taxonomy, started, finished, outcome, scores FROM runs
                 ORDER BY started DESC, id DESC",
            )?
            .query_map([], run)?
            .collect()
        })
    }

    /// One run.
    pub fn run(&self, id: &RunId) -> Result<Run, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT id, kind, model, config, taxonomy, started, finished, outcome, scores FROM runs WHERE id = ?",
            )?
            .query_row([id], run)
            .optional()
        })?
        .ok_or_else(|| StoreError::NotFound { what: "run", id: id.to_string() })
    }

    /// Finds a run of this kind, model and configuration: so that an import run twice adds to the same one.
    pub fn find_run(&self, kind: RunKind, model: &str, config: &str) -> Result<Option<RunId>, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT id FROM runs WHERE kind = ? AND model = ? AND config = ? ORDER BY id DESC LIMIT 1",
            )?
            .query_row(params![kind, model, config], |row| row.get(0))
            .optional()
        })
    }

    /// Writes proposals of one run; one that the run already made for a sentence is left as it is. Returns how many are
    /// new.
    pub fn propose(&mut self, run: &RunId, source: Source, proposals: &[NewProposal]) -> Result<usize, StoreError> {
        self.write(|c| propose(c, run, source, proposals))
    }

    /// Everything that machines propose for a sentence, as it is read today: the newest run of each source first.
    pub fn proposals(&self, sentence: SentenceId) -> Result<Vec<Proposal>, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT p.id, p.run, p.source, r.model, p.sentence, p.label, p.confidence, p.confidence_kind,
                     p.probabilities, p.rationale, p.evidence
                 FROM proposals p JOIN runs r ON r.id = p.run WHERE p.sentence = ? ORDER BY p.source DESC, p.run DESC",
            )?
            .query_map([sentence], proposal)?
            .filter_map(|read| read.map(|proposal| self.read_proposal(proposal)).transpose())
            .collect()
        })
    }

    /// A proposal as it is read today; none where its category was split.
    fn read_proposal(&self, mut proposal: Proposal) -> Option<Proposal> {
        proposal.content.label = self.lineage.read(&proposal.content.label)?;
        Some(proposal)
    }
}

pub(super) fn put_run(c: &Connection, run: &Run) -> rusqlite::Result<()> {
    c.prepare_cached(
        "INSERT INTO runs (id, kind, model, config, taxonomy, started, finished, outcome, scores)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET finished = excluded.finished, outcome = excluded.outcome,
             scores = excluded.scores",
    )?
    .execute(params![
        run.id,
        run.kind,
        run.model,
        run.config,
        run.taxonomy,
        run.started,
        run.finished,
        run.outcome,
        run.scores
    ])
    .map(drop)
}

pub(super) fn propose(
    c: &Connection,
    run: &RunId,
    source: Source,
    proposals: &[NewProposal],
) -> rusqlite::Result<usize> {
    let mut insert = c.prepare_cached(
        "INSERT INTO proposals (run, source, sentence, label, confidence, confidence_kind, probabilities,
             rationale, evidence)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sentence, source, run) DO NOTHING",
    )?;
    let mut new = 0;
    for proposal in proposals {
        new += insert.execute(params![
            run,
            source,
            proposal.sentence,
            proposal.label,
            proposal.confidence.map(|confidence| confidence.value),
            proposal.confidence.map(|confidence| confidence.kind),
            pack(&proposal.probabilities),
            proposal.rationale,
            serde_json::to_string(&proposal.evidence).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?
        ])?;
    }
    Ok(new)
}

/// The columns of a decision.
const DECISION: &str = "e.id, e.at, e.annotator, e.sentence, e.stand, e.took, e.proposal_visible, e.proposal, e.taxonomy, e.supersedes, e.in_sight";

/// See [`Store::rebuild`].
pub(super) fn rebuild(c: &Connection) -> rusqlite::Result<()> {
    c.execute_batch("DELETE FROM standing; DELETE FROM settled; DELETE FROM undone; DELETE FROM tally;")?;
    let mut read = c.prepare("SELECT seq, kind, annotator, sentence, target FROM events ORDER BY seq")?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        let (seq, kind, annotator): (i64, String, Annotator) = (row.get(0)?, row.get(1)?, row.get(2)?);
        fold(c, seq, &kind, &annotator, row.get(3)?, row.get::<_, Option<EventId>>(4)?.as_ref())?;
    }
    Ok(())
}

fn append(c: &Connection, event: &Event) -> rusqlite::Result<()> {
    let (id, at, kind, annotator, decision, target) = match event {
        Event::Decide(d) => (&d.id, d.at, "decide", &d.annotator, Some(d), None),
        Event::Settle(d) => (&d.id, d.at, "settle", &d.annotator, Some(d), None),
        Event::Undo { id, at, annotator, target } => (id, *at, "undo", annotator, None, Some(target)),
        Event::Redo { id, at, annotator, target } => (id, *at, "redo", annotator, None, Some(target)),
    };
    if c.prepare_cached("SELECT 1 FROM events WHERE id = ?")?.exists([id])? {
        return Ok(());
    }
    // Whoever decides here knows what stands here.
    let supersedes = match decision {
        Some(Decision { supersedes: Some(known), .. }) => Some(known.clone()),
        Some(d) => {
            let by = (kind == "decide").then_some(annotator);
            Some(standing_claims(&claims(c, kind, d.sentence, by)?).map(|claim| claim.id.clone()).collect())
        }
        None => None,
    };
    c.prepare_cached(
        "INSERT INTO events (id, kind, at, annotator, sentence, stand, took, proposal_visible, proposal, taxonomy,
             supersedes, target, in_sight)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        id,
        kind,
        at,
        annotator,
        decision.map(|d| d.sentence),
        decision.map(|d| &d.stand),
        decision.and_then(|d| d.took),
        decision.map(|d| d.in_sight.is_some_and(InSight::of_machines)),
        decision.and_then(|d| d.proposal),
        decision.map(|d| &d.taxonomy),
        supersedes.as_deref().map(join),
        target,
        decision.and_then(|d| d.in_sight)
    ])?;
    let seq = c.last_insert_rowid();
    chain::link(c, seq)?;
    fold(c, seq, kind, annotator, decision.map(|d| d.sentence), target)
}

/// One step of the fold: what an event does to `undone`, `standing`, `settled` and `tally`. Whatever order the events of
/// several stores come in, it ends the same.
pub(super) fn fold(
    c: &Connection,
    seq: i64,
    kind: &str,
    annotator: &Annotator,
    sentence: Option<SentenceId>,
    target: Option<&EventId>,
) -> rusqlite::Result<()> {
    let (kind, annotator, sentence) = match target {
        None => (kind.to_owned(), annotator.clone(), sentence),
        Some(target) => {
            // Of several turns the latest by id holds, not the latest to arrive. Only what is one's own can be withdrawn.
            let last = "SELECT t.seq, t.kind = 'undo' FROM events t WHERE t.target = ?1 AND t.annotator = ?2
                ORDER BY t.id DESC LIMIT 1";
            let (last, withdrawn): (i64, bool) = c
                .prepare_cached(last)?
                .query_row(params![target, annotator], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?
                .unwrap_or((seq, false));
            if withdrawn {
                c.prepare_cached("INSERT OR REPLACE INTO undone (target, annotator, seq) VALUES (?, ?, ?)")?
                    .execute(params![target, annotator, last])?;
            } else {
                c.prepare_cached("DELETE FROM undone WHERE target = ? AND annotator = ?")?
                    .execute(params![target, annotator])?;
            }
            // What it withdraws may not have arrived; then it is folded when it does.
            let aimed = c
                .prepare_cached("SELECT kind, annotator, sentence FROM events WHERE id = ?")?
                .query_row([target], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            match aimed {
                Some(aimed) => aimed,
                None => return Ok(()),
            }
        }
    };
    match (kind.as_str(), sentence) {
        ("decide", Some(sentence)) => stand(c, sentence, &annotator),
        ("settle", Some(sentence)) => settle(c, sentence),
        _ => Ok(()),
    }
}

/// A decision or settlement on a sentence, as far as the fold needs it.
struct LoggedDecision {
    seq: i64,
    id: EventId,
    annotator: Annotator,
    stand: Judgement,
    in_sight: Option<InSight>,
    supersedes: Option<Vec<EventId>>,
    withdrawn: bool,
}

/// All events of a kind on a sentence, of one annotator or of all, with labels as they are read today.
fn claims(
    c: &Connection,
    kind: &str,
    sentence: SentenceId,
    by: Option<&Annotator>,
) -> rusqlite::Result<Vec<LoggedDecision>> {
    let lineage = lineage(c)?;
    c.prepare_cached(
        "SELECT e.seq, e.id, e.annotator, e.stand, e.proposal_visible, e.in_sight, e.supersedes,
             EXISTS (SELECT 1 FROM undone u WHERE u.target = e.id AND u.annotator = e.annotator)
         FROM events e WHERE e.sentence = ?1 AND e.kind = ?2 AND (?3 IS NULL OR e.annotator = ?3)",
    )?
    .query_map(params![sentence, kind, by], |row| {
        Ok(LoggedDecision {
            seq: row.get(0)?,
            id: row.get(1)?,
            annotator: row.get(2)?,
            stand: lineage.read_stand(row.get(3)?),
            in_sight: InSight::recorded(row.get(4)?, row.get(5)?),
            supersedes: row.get::<_, Option<String>>(6)?.as_deref().map(split),
            withdrawn: row.get(7)?,
        })
    })?
    .collect()
}

/// Those that hold, the latest last.
fn standing_claims(taken: &[LoggedDecision]) -> impl Iterator<Item = &LoggedDecision> {
    let claims: Vec<Revision<'_>> = taken
        .iter()
        .map(|t| Revision { id: &t.id, supersedes: t.supersedes.as_deref(), withdrawn: t.withdrawn })
        .collect();
    heads(&claims).into_iter().map(|at| &taken[at])
}

/// Writes the annotator's standing decision on a sentence, and whether others of theirs contradict it.
pub(super) fn stand(c: &Connection, sentence: SentenceId, annotator: &Annotator) -> rusqlite::Result<()> {
    let decided =
        "SELECT count(*) FROM standing WHERE sentence = ? AND annotator = ? AND (label IS NOT NULL OR rejected)";
    let before: i64 = c.prepare_cached(decided)?.query_row(params![sentence, annotator], |row| row.get(0))?;
    let taken = claims(c, "decide", sentence, Some(annotator))?;
    let held: Vec<&LoggedDecision> = standing_claims(&taken).collect();
    match held.last() {
        Some(LoggedDecision { seq, stand, in_sight, .. }) => c
            .prepare_cached(
                "INSERT OR REPLACE INTO standing
                     (sentence, annotator, seq, label, rejected, skipped, flagged, commented, blind, in_sight, forked)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                sentence,
                annotator,
                seq,
                stand.label,
                stand.rejected,
                stand.skipped,
                stand.flagged,
                !stand.comment.is_empty(),
                Blindness::of(*in_sight) == Blindness::Blind,
                in_sight,
                held.iter().any(|other| (&other.stand.label, other.stand.rejected) != (&stand.label, stand.rejected))
            ])?,
        None => c
            .prepare_cached("DELETE FROM standing WHERE sentence = ? AND annotator = ?")?
            .execute(params![sentence, annotator])?,
    };
    let after: i64 = c.prepare_cached(decided)?.query_row(params![sentence, annotator], |row| row.get(0))?;
    if before != after {
        c.prepare_cached(
            "INSERT INTO tally (annotator, origin, decided)
             SELECT ?1, d.origin, ?3 FROM sentences s JOIN documents d ON d.id = s.document WHERE s.id = ?2
             ON CONFLICT (annotator, origin) DO UPDATE SET decided = decided + excluded.decided",
        )?
        .execute(params![annotator, sentence, after - before])?;
    }
    Ok(())
}

/// Writes what the adjudicators say of a sentence: no label where they contradict each other. Where all they named was split
/// since, they have said nothing.
pub(super) fn settle(c: &Connection, sentence: SentenceId) -> rusqlite::Result<()> {
    let taken = claims(c, "settle", sentence, None)?;
    let held: Vec<&LoggedDecision> = standing_claims(&taken).collect();
    match held.last().filter(|_| held.iter().any(|taken| taken.stand.label.is_some())) {
        Some(LoggedDecision { seq, annotator, stand, in_sight, .. }) => {
            let agreed = held.iter().all(|other| other.stand.label == stand.label);
            c.prepare_cached(
                "INSERT OR REPLACE INTO settled (sentence, seq, annotator, label, blind, in_sight) VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                sentence,
                seq,
                annotator,
                stand.label.as_ref().filter(|_| agreed),
                Blindness::of(*in_sight) == Blindness::Blind,
                in_sight
            ])
        }
        None => c.prepare_cached("DELETE FROM settled WHERE sentence = ?")?.execute([sentence]),
    }
    .map(drop)
}

/// Ids in one column.
pub(super) fn join(ids: &[EventId]) -> String {
    ids.iter().map(|id| id.0.as_str()).collect::<Vec<_>>().join(",")
}

/// Reads what [`join`] writes.
pub(super) fn split(joined: &str) -> Vec<EventId> {
    joined.split(',').filter(|id| !id.is_empty()).map(|id| EventId(id.to_owned())).collect()
}

/// Source and content of a proposal, without words of the note: source, label, confidence, its kind, probabilities.
pub(super) fn bare(row: &Row<'_>, sentence: SentenceId) -> rusqlite::Result<(Source, NewProposal)> {
    let (value, kind): (Option<f64>, Option<_>) = (row.get(2)?, row.get(3)?);
    let confidence = value.zip(kind).map(|(value, kind)| Confidence { value, kind });
    let probabilities = unpack(row.get_ref(4)?.as_blob()?);
    Ok((row.get(0)?, NewProposal { confidence, probabilities, ..NewProposal::bare(sentence, row.get(1)?) }))
}

fn undone(row: &Row<'_>) -> rusqlite::Result<UndoneDecision> {
    Ok(UndoneDecision { target: row.get(0)?, sentence: row.get(1)?, settlement: row.get(2)? })
}

fn decision(row: &Row<'_>, lineage: &KeyMap) -> rusqlite::Result<Decision> {
    Ok(Decision {
        id: row.get(0)?,
        at: row.get(1)?,
        annotator: row.get(2)?,
        sentence: row.get(3)?,
        stand: lineage.read_stand(row.get(4)?),
        took: row.get(5)?,
        in_sight: InSight::recorded(row.get(6)?, row.get(10)?),
        proposal: row.get(7)?,
        taxonomy: row.get(8)?,
        supersedes: row.get::<_, Option<String>>(9)?.as_deref().map(split),
    })
}

fn run(row: &Row<'_>) -> rusqlite::Result<Run> {
    Ok(Run {
        id: row.get(0)?,
        kind: row.get(1)?,
        model: row.get(2)?,
        config: row.get(3)?,
        taxonomy: row.get(4)?,
        started: row.get(5)?,
        finished: row.get(6)?,
        outcome: row.get::<_, Outcome>(7)?,
        scores: row.get(8)?,
    })
}

fn proposal(row: &Row<'_>) -> rusqlite::Result<Proposal> {
    let value: Option<f64> = row.get(6)?;
    let kind = row.get::<_, Option<_>>(7)?;
    let evidence: String = row.get(10)?;
    Ok(Proposal {
        id: row.get::<_, ProposalId>(0)?,
        run: row.get(1)?,
        source: row.get(2)?,
        model: row.get(3)?,
        content: NewProposal {
            sentence: row.get(4)?,
            label: row.get(5)?,
            confidence: value.zip(kind).map(|(value, kind)| Confidence { value, kind }),
            probabilities: unpack(row.get_ref(8)?.as_blob()?),
            rationale: row.get(9)?,
            evidence: serde_json::from_str(&evidence).unwrap_or_default(),
        },
    })
}
