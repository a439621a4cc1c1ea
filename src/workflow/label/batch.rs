//! Answers of a batch runner, checked like any other.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::corpus::SentenceId;
use crate::domain::label::{Confidence, ConfidenceKind, NewProposal, RunId, RunKind, Source};
use crate::domain::taxonomy::Taxonomy;
use crate::llm::reply::{self, ReplyFault};
use crate::llm::{AnswerFormat, Field, Reply, chat};
use crate::store::{FailedSentence, Store};
use crate::workflow::project::Project;
use crate::workflow::{WorkflowError, now};

/// What is waiting to be written for one run.
struct PendingWrites {
    /// The fields that its answers have.
    fields: Vec<Field>,
    proposals: Vec<NewProposal>,
    failures: Vec<FailedSentence>,
    /// The sentences of both.
    sentences: BTreeSet<SentenceId>,
}

/// Takes lines of batch output.
pub(super) struct BatchReader<'a> {
    taxonomy: &'a Taxonomy,
    runs: BTreeMap<RunId, PendingWrites>,
    labelled: u64,
    known: u64,
    failed: u64,
}

impl<'a> BatchReader<'a> {
    pub(super) fn new(project: &'a Project) -> Self {
        Self { taxonomy: &project.taxonomy, runs: BTreeMap::new(), labelled: 0, known: 0, failed: 0 }
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = &RunId> {
        self.runs.keys()
    }

    /// Labelled, known already, failed.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        (self.labelled, self.known, self.failed)
    }

    /// Takes a line; the inner error says why it is about no sentence of this store.
    pub(super) fn take(&mut self, store: &mut Store, line: &str) -> Result<Result<(), String>, WorkflowError> {
        let (id, said) = match chat::batch_reply(line) {
            Ok(read) => read,
            Err(why) => return Ok(Err(why)),
        };
        let parsed =
            id.rsplit_once('/').and_then(|(run, n)| Some((RunId(run.to_owned()), SentenceId(n.parse().ok()?))));
        let Some((run, sentence)) = parsed else {
            return Ok(Err(format!("`{id}` is no custom_id that `goldsmith label --export-batch` wrote")));
        };
        if !self.runs.contains_key(&run) {
            match fields(store, &run)? {
                Some(fields) => {
                    let (proposals, failures, sentences) = (Vec::new(), Vec::new(), BTreeSet::new());
                    self.runs.insert(run.clone(), PendingWrites { fields, proposals, failures, sentences });
                }
                None => return Ok(Err(format!("this store has no labelling run {run}"))),
            }
        }
        let Ok(row) = store.texts(&[sentence]).map(|mut rows| rows.remove(0)) else {
            return Ok(Err(format!("this store has no sentence {}", sentence.0)));
        };
        if store.unlabelled_of(&run, &[sentence])?.is_empty() {
            self.known += 1;
            return Ok(Ok(()));
        }
        let Some(waiting) = self.runs.get_mut(&run) else {
            return Ok(Ok(()));
        };
        if !waiting.sentences.insert(sentence) {
            self.known += 1;
            return Ok(Ok(()));
        }
        let shape = AnswerFormat::Object(waiting.fields.clone());
        let checked = said.map_err(|why| (why, String::new())).and_then(|reply| {
            match read(&reply, &shape, self.taxonomy, &row.text) {
                Ok(labelled) => Ok((labelled, reply)),
                Err(fault) => Err((fault.to_string(), reply.text.chars().take(2_000).collect())),
            }
        });
        match checked {
            Ok((labelled, reply)) => {
                let field = waiting.fields.first().map_or("", |field| field.name.as_str());
                let by_tokens = reply::probability(&reply, field, 0);
                let by_tokens = by_tokens.map(|value| Confidence { value, kind: ConfidenceKind::TokenProbability });
                let stated = labelled.stated.map(|value| Confidence { value, kind: ConfidenceKind::Stated });
                waiting.proposals.push(NewProposal {
                    confidence: by_tokens.or(stated),
                    rationale: labelled.rationale,
                    evidence: labelled.evidence,
                    ..NewProposal::bare(sentence, labelled.label)
                });
                self.labelled += 1;
            }
            Err((fault, reply)) => {
                waiting.failures.push(FailedSentence { sentence, fault, reply });
                self.failed += 1;
            }
        }
        Ok(Ok(()))
    }

    pub(super) fn flush(&mut self, store: &mut Store) -> Result<(), WorkflowError> {
        for (run, waiting) in &mut self.runs {
            store.propose(run, Source::Llm, &waiting.proposals)?;
            store.record_failures(run, now(), &waiting.failures)?;
            waiting.proposals.clear();
            waiting.failures.clear();
            waiting.sentences.clear();
        }
        Ok(())
    }
}

fn read(
    reply: &Reply,
    shape: &AnswerFormat,
    taxonomy: &Taxonomy,
    text: &str,
) -> Result<reply::CheckedLabel, ReplyFault> {
    let answers = reply::objects(reply, shape)?;
    reply::labelled(answers.first().ok_or(ReplyFault::NoObject)?, taxonomy, text)
}

/// The fields of a labelling run's answers, as its configuration has them.
fn fields(store: &Store, run: &RunId) -> Result<Option<Vec<Field>>, WorkflowError> {
    let Ok(run) = store.run(run) else {
        return Ok(None);
    };
    if !matches!(run.kind, RunKind::Label | RunKind::Screen) {
        return Ok(None);
    }
    let config: serde_json::Value = serde_json::from_str(&run.config).unwrap_or_default();
    Ok(config.get("fields").and_then(|fields| serde_json::from_value(fields.clone()).ok()))
}
