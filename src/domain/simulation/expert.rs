//! Simulated experts: how often they err, how long they take, and what their labels come to together.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::Stage;
use crate::domain::category::CategoryKey;
use crate::domain::gold::{GoldRule, GoldStatus, HumanLabels, Policy, Vote};
use crate::domain::label::{Annotator, Label};
use crate::domain::sight::{Cue, InSight};
use crate::domain::taxonomy::Selection;

/// One expert.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulatedExpert {
    /// For reports.
    pub name: String,
    /// How often the label is another one, drawn evenly.
    pub error: f64,
    /// In place of `error`: given the truth, how often it is taken for another; `(truth, taken for, how often)`.
    pub confusions: Vec<(usize, usize, f64)>,
    /// A decision.
    pub seconds: f64,
    /// A decision for the label that was shown.
    pub seconds_accept: f64,
}

impl Default for SimulatedExpert {
    fn default() -> Self {
        Self { name: "expert".into(), error: 0.0, confusions: Vec::new(), seconds: 6.0, seconds_accept: 6.0 }
    }
}

impl SimulatedExpert {
    /// What this expert calls a sentence.
    fn label(&self, stage: &Stage<'_>, truth: &[usize], random: &mut ChaCha8Rng) -> Vec<usize> {
        let draw: f64 = random.random();
        let other: usize = random.random_range(0..stage.outputs.len().max(1));
        let mut up_to = 0.0;
        for (from, to, often) in &self.confusions {
            if truth.contains(from) {
                up_to += often;
                if draw < up_to {
                    let mut outputs: Vec<usize> = truth.iter().copied().filter(|output| output != from).collect();
                    outputs.push(*to);
                    outputs.sort_unstable();
                    outputs.dedup();
                    return outputs;
                }
            }
        }
        if !self.confusions.is_empty() || draw >= self.error || stage.outputs.is_empty() {
            return truth.to_vec();
        }
        match stage.selection {
            Selection::Single => {
                let right = truth.first().copied().unwrap_or(0);
                let mut others: Vec<usize> = (0..stage.outputs.len()).filter(|output| *output != right).collect();
                others.shuffle(random);
                vec![others.first().copied().unwrap_or(right)]
            }
            // A category too many, or one too few.
            Selection::Multiple => {
                let mut outputs: Vec<usize> = truth.iter().copied().filter(|output| *output != other).collect();
                if outputs.len() == truth.len() {
                    outputs.push(other);
                    outputs.sort_unstable();
                }
                outputs
            }
        }
    }
}

/// Who decides what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulatedProtocol {
    /// They take sentences in turn.
    pub experts: Vec<SimulatedExpert>,
    /// So many decide each sentence.
    pub overlap: usize,
    /// What their labels come to.
    pub policy: Policy,
    /// Whether they see what the classifier says.
    pub assisted: bool,
}

impl Default for SimulatedProtocol {
    fn default() -> Self {
        Self { experts: vec![SimulatedExpert::default()], overlap: 1, policy: Policy::default(), assisted: false }
    }
}

/// What became of one sentence.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decided {
    pub decisions: usize,
    pub seconds: f64,
    /// `None` where the experts do not agree as far as the policy asks.
    pub gold: Option<Vec<usize>>,
}

impl SimulatedProtocol {
    /// Lets the experts whose turn it is decide a sentence. `turn` counts the sentences before it.
    pub(super) fn decide(
        &self,
        stage: &Stage<'_>,
        row: usize,
        turn: usize,
        shown: Option<&[usize]>,
        seed: u64,
    ) -> Decided {
        let overlap = self.overlap.clamp(1, self.experts.len().max(1));
        let truth = &stage.rows[row].outputs;
        let mut seconds = 0.0;
        let mut labels: Vec<Vec<usize>> = Vec::with_capacity(overlap);
        for i in 0..overlap {
            let number = (turn * overlap + i) % self.experts.len().max(1);
            let Some(expert) = self.experts.get(number) else {
                continue;
            };
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream((row * self.experts.len() + number) as u64 + 1);
            let label = expert.label(stage, truth, &mut random);
            let accepts = self.assisted && shown == Some(label.as_slice());
            seconds += if accepts { expert.seconds_accept } else { expert.seconds };
            labels.push(label);
        }
        let votes = labels.iter().enumerate().map(|(i, outputs)| Vote {
            annotator: Annotator(i.to_string()),
            label: of_outputs(outputs),
            in_sight: Some(InSight::NOTHING.with_if(Cue::Classifier, self.assisted)),
            forked: false,
        });
        let case = HumanLabels { votes: votes.collect(), ..HumanLabels::default() };
        let gold = match case.settle(GoldRule { policy: self.policy, experts: overlap, ..GoldRule::default() }) {
            GoldStatus::Gold(label) => {
                case.votes.iter().position(|vote| vote.label == label).map(|i| labels.swap_remove(i))
            }
            GoldStatus::Undecided | GoldStatus::Waiting | GoldStatus::Disputed => None,
        };
        Decided { decisions: overlap, seconds, gold }
    }
}

/// Outputs as a label, so that they are settled by the rule that settles the project's own.
fn of_outputs(outputs: &[usize]) -> Label {
    outputs.iter().filter_map(|output| CategoryKey::new(&format!("output_{output}")).ok()).collect()
}
