//! The protocol at work: sentences are given out, and how far each expert has come.

use serde::Serialize;
use serde_json::json;

use super::agreement;
use super::label_index::LabelIndex;
use super::project::Project;
use super::{WorkflowError, identity, migration, new_run_id, now};
use crate::domain::agreement::SelfAgreement;
use crate::domain::corpus::Origin;
use crate::domain::label::{Annotator, Label, Outcome, Run, RunKind, Timestamp};
use crate::domain::person::Role;
use crate::domain::protocol::Assignment;
use crate::domain::queue::pace_ms;
use crate::domain::statistics::Proportion;
use crate::store::{AssignedCount, Store};
use crate::workflow::refusal::Refusal;

/// What is given out by one call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AssignmentSummary {
    /// Each expert: what they have now, and how much of it is new.
    pub experts: Vec<(Annotator, u64, u64)>,
    /// Sentences that are for everyone.
    pub calibration: usize,
    /// Sentences taken back from those who are no longer among the annotators.
    pub taken_back: usize,
}

/// Gives out what the protocol asks for and is not given out yet; `plan` only says what that would be. Undecided sentences of
/// people who are no longer among the annotators are given to others.
pub fn assign(project: &Project, store: &mut Store, plan: bool) -> Result<AssignmentSummary, WorkflowError> {
    let _span = tracing::info_span!("assign").entered();
    identity::require(project, store, &[Role::Lead], "share out sentences")?;
    let protocol = &project.file.protocol;
    if !protocol.is_shared() {
        return Err(Refusal::unset("annotators", "nobody is named; without names anyone decides on all sentences")
            .hint("write `annotators = [\"ann\", \"ben\"]` under [protocol] in goldsmith.toml")
            .into());
    }
    let mut given = store.seats()?;
    let mut gone: Vec<Annotator> = given.iter().map(|seat| seat.annotator.clone()).collect();
    gone.sort_unstable();
    gone.dedup();
    gone.retain(|annotator| !protocol.annotators.contains(annotator));
    let mut taken_back = 0;
    for annotator in &gone {
        taken_back += if plan {
            let has = store.given(annotator)?;
            (has.sentences - has.decided) as usize
        } else {
            store.take_back(annotator)?
        };
    }
    if plan {
        // What they have decided stays a seat; what they have not is free.
        let mut kept = Vec::new();
        for seat in given {
            let stays = !gone.contains(&seat.annotator)
                || store.decision(seat.sentence, &seat.annotator)?.is_some_and(|d| d.judgement.label.is_some());
            kept.extend(stays.then_some(seat));
        }
        given = kept;
    } else if taken_back > 0 {
        given = store.seats()?;
    }
    let sentences = store.real_sentences()?;
    let seats = protocol.assign(&sentences, &given);
    if !plan && !seats.is_empty() {
        let at = now();
        let run = Run {
            id: new_run_id(),
            kind: RunKind::Assign,
            model: "protocol".into(),
            config: json!({ "protocol": protocol, "sentences": sentences.len() }).to_string(),
            taxonomy: project.taxonomy.hash(),
            started: at,
            finished: Some(at),
            outcome: Outcome::Finished,
            scores: json!({ "given": seats.len(), "taken_back": taken_back }).to_string(),
        };
        store.give(&run, &seats)?;
    }
    let count =
        |seats: &[Assignment], who: &Annotator| seats.iter().filter(|seat| seat.annotator == *who).count() as u64;
    let experts = protocol
        .annotators
        .iter()
        .map(|who| {
            let new = count(&seats, who);
            (who.clone(), count(&given, who) + new, new)
        })
        .collect();
    let mut calibration: Vec<_> =
        given.iter().chain(&seats).filter(|seat| seat.calibration).map(|seat| seat.sentence).collect();
    calibration.sort_unstable();
    calibration.dedup();
    Ok(AssignmentSummary { experts, calibration: calibration.len(), taken_back })
}

/// How far one expert has come.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct AnnotatorStatus {
    pub annotator: Annotator,
    /// Whether the protocol names them.
    pub named: bool,
    /// Sentences decided.
    pub decided: u64,
    /// Sentences to decide; all of them where nobody is named.
    pub given: u64,
    /// Of the calibration set: decided, and all.
    pub calibration: (u64, u64),
    /// Milliseconds a decision: the median of the latest.
    pub pace: Option<u32>,
    /// When they decided last.
    pub last: Option<Timestamp>,
    /// The same label as others', of how many.
    pub others: Option<Proportion>,
    /// The same label as silver, of how many.
    pub silver: Option<Proportion>,
    /// Beside their own earlier labels.
    pub earlier: Option<SelfAgreement>,
}

/// How far all have come.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ProjectStatus {
    /// Everyone who is named or has decided.
    pub experts: Vec<AnnotatorStatus>,
    /// Real sentences.
    pub sentences: u64,
    /// Of these, gold.
    pub gold: usize,
    /// Disputed and not settled.
    pub disputed: u64,
    /// Settled by adjudicators.
    pub settled: u64,
    /// Labels of people with a category that the guideline does not have, and how often each is given.
    pub unknown: Vec<(Label, u64)>,
}

/// Reads how far all have come.
pub(crate) fn status(project: &Project, store: &Store) -> Result<ProjectStatus, WorkflowError> {
    let protocol = &project.file.protocol;
    let index = LabelIndex::read(project, store)?;
    let report = agreement::of(project, store, &index)?;
    let mut people = protocol.annotators.clone();
    for (annotator, _) in store.annotators()? {
        if !people.contains(&annotator) {
            people.push(annotator);
        }
    }
    let sentences = store.sentence_count(Origin::Real)?;
    let mut experts = Vec::new();
    for annotator in people {
        let AssignedCount { sentences: given, decided, calibration, calibrated } = store.given(&annotator)?;
        let named = protocol.decides(&annotator);
        let (decided, given) = if protocol.is_shared() && named {
            (decided, given)
        } else {
            (store.progression(&annotator, Origin::Real)?.decided, if protocol.is_shared() { 0 } else { sentences })
        };
        let latest = store.latest_decisions(&annotator, 25)?;
        let last = latest.first().map(|decision| decision.at);
        let took: Vec<u32> = latest.iter().rev().filter_map(|decision| decision.took).collect();
        let beside = report.experts.iter().find(|expert| expert.annotator == annotator);
        experts.push(AnnotatorStatus {
            annotator,
            named,
            decided,
            given,
            calibration: (calibrated, calibration),
            pace: pace_ms(&took),
            last,
            others: beside.map(|expert| expert.others),
            silver: beside.map(|expert| expert.silver),
            earlier: beside.and_then(|expert| expert.earlier.clone()),
        });
    }
    let counts = index.gold_counts(&project.taxonomy);
    Ok(ProjectStatus {
        experts,
        sentences,
        gold: counts.settled,
        disputed: counts.disputed as u64,
        settled: store.settled_count()?,
        unknown: migration::unknown_labels(project, store)?,
    })
}
