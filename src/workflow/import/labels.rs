//! Labels of a file onto their sentences: a person's as decisions, a model's as proposals.

use rustc_hash::FxHashMap;

use super::Importer;
use crate::domain::corpus::SentenceId;
use crate::domain::label::{Annotator, Decision, Judgement, Label, NewProposal, Outcome, Run, RunKind, Source};
use crate::domain::sight::InSight;
use crate::workflow::{WorkflowError, identity, new_entry_id, new_run_id, now};

/// A label of a file, found on its sentence.
pub(super) struct Labelled {
    pub sentence: SentenceId,
    pub label: Label,
    pub in_sight: Option<InSight>,
    /// The sentence has only come with this file.
    pub new: bool,
}

impl Importer<'_> {
    pub(super) fn decide(&mut self, annotator: &Annotator, labelled: Vec<Labelled>) -> Result<(), WorkflowError> {
        identity::speak_for(self.project, self.store, annotator)?;
        let taxonomy = self.project.taxonomy.hash();
        let mut decisions = Vec::with_capacity(labelled.len());
        // What is said in this batch is not in the store yet.
        let mut said: FxHashMap<SentenceId, Option<InSight>> = FxHashMap::default();
        for Labelled { sentence, label, in_sight, new } in labelled {
            let current = if new { None } else { self.store.decision(sentence, annotator)? };
            if current.is_some_and(|decision| decision.judgement.label.as_ref() == Some(&label)) {
                self.report.known_labels += 1;
                continue;
            }
            // What was in sight at an earlier label of theirs still was, whatever a file says of a later one; and what is not
            // known of the earlier one is not known of both to have been nothing.
            let before = match said.get(&sentence) {
                Some(before) => *before,
                None if new => Some(InSight::NOTHING),
                None => {
                    let said = self.store.has_said(sentence, annotator)?;
                    (said.recorded || !said.in_sight.is_nothing()).then_some(said.in_sight)
                }
            };
            let in_sight = match (in_sight, before) {
                (Some(now), Some(before)) => Some(now.and(before)),
                (Some(now), None) => (!now.is_nothing()).then_some(now),
                (None, _) => None,
            };
            said.insert(sentence, in_sight);
            decisions.push(Decision {
                id: new_entry_id(),
                at: now(),
                annotator: annotator.clone(),
                sentence,
                judgement: Judgement { label: Some(label), ..Judgement::default() },
                took: None,
                in_sight,
                proposal: None,
                taxonomy: taxonomy.clone(),
                supersedes: None,
            });
        }
        self.report.labels += decisions.len() as u64;
        Ok(self.store.append_decisions(&decisions)?)
    }

    pub(super) fn propose(&mut self, model: &str, labelled: Vec<Labelled>) -> Result<(), WorkflowError> {
        let run = match &self.run {
            Some(run) => run.clone(),
            None => {
                let config = serde_json::json!({ "imported": true }).to_string();
                let run = match self.store.find_run(RunKind::Label, model, &config)? {
                    Some(run) => run,
                    None => {
                        let run = Run {
                            id: new_run_id(),
                            kind: RunKind::Label,
                            model: model.to_owned(),
                            config,
                            taxonomy: self.project.taxonomy.hash(),
                            started: now(),
                            finished: Some(now()),
                            outcome: Outcome::Finished,
                            scores: String::new(),
                        };
                        self.store.put_run(&run)?;
                        run.id
                    }
                };
                self.run.insert(run).clone()
            }
        };
        let proposals: Vec<NewProposal> =
            labelled.into_iter().map(|of| NewProposal::bare(of.sentence, of.label)).collect();
        let new = self.store.propose(&run, Source::Llm, &proposals)?;
        self.report.labels += new as u64;
        self.report.known_labels += (proposals.len() - new) as u64;
        Ok(())
    }
}
