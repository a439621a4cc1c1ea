//! SQL for what machines did: runs and their proposals.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::convert::{pack, unpack};
use super::{Store, StoreError};
use crate::domain::corpus::SentenceId;
use crate::domain::label::{Confidence, NewProposal, Outcome, Proposal, ProposalId, Run, RunId, RunKind, Source};

impl Store {
    /// Writes a run, or its later state.
    pub fn put_run(&mut self, run: &Run) -> Result<(), StoreError> {
        self.write(|c| put_run(c, run))
    }

    /// All runs, newest first.
    pub(crate) fn runs(&self) -> Result<Vec<Run>, StoreError> {
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
    pub(crate) fn run(&self, id: &RunId) -> Result<Run, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT id, kind, model, config, taxonomy, started, finished, outcome, scores FROM runs WHERE id = ?",
            )?
            .query_row([id], run)
            .optional()
        })?
        .ok_or_else(|| StoreError::NotFound { what: "run", id: id.to_string() })
    }

    /// Notes the signature of the model that a run saved; what is noted is sealed.
    pub(crate) fn note_model(&mut self, run: &RunId, signature: &str) -> Result<(), StoreError> {
        self.write(|c| {
            c.execute("INSERT OR REPLACE INTO meta VALUES ('model ' || ?1, ?2)", params![run, signature]).map(drop)
        })
    }

    /// The signature that was noted for the model of a run.
    pub(crate) fn noted_model(&self, run: &RunId) -> Result<Option<String>, StoreError> {
        self.with(|c| {
            c.query_row("SELECT value FROM meta WHERE key = 'model ' || ?", [run], |row| row.get(0)).optional()
        })
    }

    /// Finds a run of this kind, model and configuration: so that an import run twice adds to the same one.
    pub(crate) fn find_run(&self, kind: RunKind, model: &str, config: &str) -> Result<Option<RunId>, StoreError> {
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

    /// Who has proposed a label of a sentence, also one that is not read any more because its category was split.
    pub(crate) fn proposed_by(&self, sentence: SentenceId) -> Result<Vec<Source>, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT DISTINCT source FROM proposals WHERE sentence = ?")?
                .query_map([sentence], |row| row.get(0))?
                .collect()
        })
    }

    /// A proposal as it is read today; none where its category was split.
    fn read_proposal(&self, mut proposal: Proposal) -> Option<Proposal> {
        proposal.content.label = self.key_map.map_label(&proposal.content.label)?;
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

/// Source and content of a proposal, without words of the note: source, label, confidence, its kind, probabilities.
pub(super) fn proposal_without_words(row: &Row<'_>, sentence: SentenceId) -> rusqlite::Result<(Source, NewProposal)> {
    let (value, kind): (Option<f64>, Option<_>) = (row.get(2)?, row.get(3)?);
    let confidence = value.zip(kind).map(|(value, kind)| Confidence { value, kind });
    let probabilities = unpack(row.get_ref(4)?.as_blob()?);
    Ok((row.get(0)?, NewProposal { confidence, probabilities, ..NewProposal::bare(sentence, row.get(1)?) }))
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
