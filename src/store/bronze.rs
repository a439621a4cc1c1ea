//! SQL for synthetic sentences: what a model wrote, what the quality gate said of it, what experts made of it.

use rusqlite::params;

use super::corpus::insert_documents;
use super::runs::propose;
use super::{Store, StoreError};
use crate::domain::corpus::{NewDocument, Origin, SentenceId};
use crate::domain::label::{Judgement, Label, NewProposal, RunId, Source};
use crate::domain::quality::{Check, Verdict};
use crate::domain::split::SplitPlan;

/// A sentence that a model wrote, with all that is known of it.
#[derive(Clone, Debug)]
pub struct NewBronze {
    /// The sentence as a document of its own.
    pub document: NewDocument,
    /// What it was written for.
    pub target: Label,
    /// What was asked for, in words.
    pub brief: String,
    /// What the gate said.
    pub verdicts: Vec<Verdict>,
}

/// A bronze sentence with what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct BronzeRow {
    pub sentence: SentenceId,
    /// The id that its run gave it.
    pub external_id: String,
    /// The label that it was written for.
    pub target: Label,
    /// The model's wording.
    pub text: String,
    /// The run that wrote it.
    pub run: RunId,
    /// Whether no check of the gate failed; true where there was no gate.
    pub passed: bool,
    /// The latest verdict of any expert that is current.
    pub verdict: Option<Judgement>,
}

impl Store {
    /// Writes sentences of one run with their targets and verdicts, all or nothing; those already there are left alone.
    pub(crate) fn add_bronze(&mut self, run: &RunId, rows: &[NewBronze], plan: &SplitPlan) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let documents: Vec<NewDocument> = rows.iter().map(|row| row.document.clone()).collect();
        let touched = self.touched.clone();
        self.write(|c| {
            let mut patients = rustc_hash::FxHashMap::default();
            let inserts = insert_documents(c, &touched, &documents, Origin::Synthetic, plan, &mut patients)?;
            let mut verdict = c.prepare_cached(
                "INSERT OR REPLACE INTO verdicts (sentence, item, passed, reason, value) VALUES (?, ?, ?, ?, ?)",
            )?;
            for (row, insert) in rows.iter().zip(inserts) {
                let sentence = insert.first_sentence();
                let proposal =
                    NewProposal { rationale: row.brief.clone(), ..NewProposal::bare(sentence, row.target.clone()) };
                propose(c, run, Source::Llm, &[proposal])?;
                for v in &row.verdicts {
                    verdict.execute(params![sentence, v.check.key(), v.passed, v.reason, v.value])?;
                }
            }
            Ok(())
        })
    }

    /// What the gate said of a synthetic sentence.
    pub(crate) fn verdicts(&self, sentence: SentenceId) -> Result<Vec<Verdict>, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT item, passed, reason, value FROM verdicts WHERE sentence = ?")?
                .query_map([sentence], |row| {
                    let item: String = row.get(0)?;
                    let (passed, reason, value) = (row.get(1)?, row.get(2)?, row.get(3)?);
                    // A check of another version is left out.
                    Ok(Check::parse(&item).map(|check| Verdict { check, passed, reason, value }))
                })?
                .filter_map(Result::transpose)
                .collect()
        })
    }

    /// Calls `take` with every bronze sentence, of one run or of all, in order. One that was written for a category that has been
    /// split since, or that an expert gave such a one, is left out: which part it shows is not known.
    pub(crate) fn bronze_each(&self, run: Option<&RunId>, mut take: impl FnMut(BronzeRow)) -> Result<(), StoreError> {
        self.with(|c| {
            let mut statement = c.prepare_cached(
                "SELECT p.sentence, p.label, d.text, p.run, d.external_id,
                     NOT EXISTS (SELECT 1 FROM verdicts v WHERE v.sentence = p.sentence AND NOT v.passed),
                     (SELECT e.stand FROM standing t JOIN events e ON e.seq = t.seq
                      WHERE t.sentence = p.sentence ORDER BY e.id DESC LIMIT 1)
                 FROM runs r JOIN proposals p ON p.run = r.id JOIN sentences s ON s.id = p.sentence
                     JOIN documents d ON d.id = s.document
                 WHERE r.kind = 'generate' AND (?1 IS NULL OR r.id = ?1) ORDER BY p.sentence",
            )?;
            let mut rows = statement.query([run])?;
            while let Some(row) = rows.next()? {
                let Some(target) = self.key_map.map_label(&row.get(1)?) else {
                    continue;
                };
                let mut verdict: Option<Judgement> = row.get(6)?;
                if let Some(label) = verdict.as_mut().and_then(|judgement| judgement.label.as_mut()) {
                    // What an expert made of it is open again: neither theirs nor the model's word holds.
                    let Some(read) = self.key_map.map_label(label) else {
                        continue;
                    };
                    *label = read;
                }
                take(BronzeRow {
                    sentence: row.get(0)?,
                    target,
                    text: row.get(2)?,
                    run: row.get(3)?,
                    external_id: row.get(4)?,
                    passed: row.get(5)?,
                    verdict,
                });
            }
            Ok(())
        })
    }

    /// How often each check failed for the sentences of a run.
    pub(crate) fn failed_checks(&self, run: &RunId) -> Result<Vec<(String, u64)>, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT v.item, count(*) FROM proposals p JOIN verdicts v ON v.sentence = p.sentence
                 WHERE p.run = ? AND NOT v.passed GROUP BY v.item ORDER BY count(*) DESC, v.item",
            )?
            .query_map([run], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
        })
    }
}
