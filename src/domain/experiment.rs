//! An experiment: which training data makes the better classifier. Its cells, and the report that every face and file shows.
//!
//! A cell is one training: a model, a task, a set to train on, a share of the gold, a seed. All cells are tested on the same
//! held-out gold.

mod report;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::corpus::SentenceId;
use super::label::RunId;
use super::label_set::{Assigned, LabelSet};
use super::metrics::TestSentence;
use super::split::Tier;

pub(crate) use report::{
    ExperimentReport, ExperimentSubject, GridTable, LearningCurve, RowKind, RowScores, SetScores, TestedDifference,
    TrainingSize,
};

/// What a cell learns to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Task {
    /// Whether any category applies.
    #[serde(rename = "binary")]
    Binary,
    #[serde(rename = "multi-class")]
    MultiClass,
}

impl Task {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Binary, Self::MultiClass];

    /// A test sentence as the task sees it.
    pub(crate) fn sees(self, tested: TestSentence) -> TestSentence {
        match self {
            Self::Binary => tested.binary(),
            Self::MultiClass => tested,
        }
    }

    /// What a machine says as the task sees it; `None` where it does not name the categories that the task asks for.
    pub(crate) fn predicted(self, assigned: Assigned) -> Option<LabelSet> {
        match self {
            Self::Binary => Some(assigned.binary()),
            Self::MultiClass => assigned.categories(),
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Binary => "binary",
            Self::MultiClass => "multi-class",
        })
    }
}

/// What is trained on: tiers, written `gold+silver`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct TrainingSetSpec(Vec<Tier>);

/// In the order in which they are always named.
const TIERS: [Tier; 3] = [Tier::Gold, Tier::Silver, Tier::Bronze];

impl TrainingSetSpec {
    /// The four of the paper, gold alone first.
    pub(crate) fn grid() -> Vec<Self> {
        use Tier::{Bronze, Gold, Silver};
        [vec![Gold], vec![Gold, Silver], vec![Gold, Bronze], vec![Gold, Silver, Bronze]].map(Self).into()
    }

    /// Gold alone, which the others are compared with.
    pub(crate) fn gold() -> Self {
        Self(vec![Tier::Gold])
    }

    /// Its tiers.
    pub(crate) fn tiers(&self) -> &[Tier] {
        &self.0
    }

    /// Whether a tier is in it.
    pub(crate) fn has(&self, tier: Tier) -> bool {
        self.0.contains(&tier)
    }

    /// For a narrow column: what is added to gold.
    pub(crate) fn short(&self) -> String {
        match self.0.split_first() {
            Some((Tier::Gold, [])) => "gold".into(),
            Some((Tier::Gold, [one])) => format!("+{one}"),
            Some((Tier::Gold, _)) => "+both".into(),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for TrainingSetSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&names.join("+"))
    }
}

impl FromStr for TrainingSetSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut tiers = Vec::new();
        for word in text.split('+').map(str::trim) {
            let known = TIERS.into_iter().find(|tier| tier.to_string() == word);
            tiers.push(known.ok_or_else(|| {
                format!("`{text}` is no training set; write tiers with +, such as gold+silver or gold+silver+bronze")
            })?);
        }
        Ok(Self(TIERS.into_iter().filter(|tier| tiers.contains(tier)).collect()))
    }
}

impl TryFrom<String> for TrainingSetSpec {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<TrainingSetSpec> for String {
    fn from(mix: TrainingSetSpec) -> Self {
        mix.to_string()
    }
}

/// One training of the grid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Cell {
    /// The model's short name.
    pub model: String,
    /// What it learns.
    pub task: Task,
    pub set: TrainingSetSpec,
    /// Per cent of the gold of training patients.
    pub share: u32,
    /// Seed of everything random.
    pub seed: u64,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} on {}", self.model, self.task, self.set)?;
        if self.share < 100 {
            write!(f, " with {} % of gold", self.share)?;
        }
        write!(f, ", seed {}", self.seed)
    }
}

/// The grid.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExperimentPlan {
    /// Short names of models.
    pub models: Vec<String>,
    /// What they learn.
    pub tasks: Vec<Task>,
    /// What they are trained on.
    pub sets: Vec<TrainingSetSpec>,
    pub seeds: Vec<u64>,
    /// Per cent of gold besides all of it, for learning curves.
    pub shares: Vec<u32>,
}

impl ExperimentPlan {
    /// All cells, in the order in which they are worth having: the whole table for one seed, then the next seed, then the
    /// learning curves.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for model in &self.models {
            for share in std::iter::once(100).chain(self.shares.iter().copied().filter(|share| *share < 100)) {
                for seed in &self.seeds {
                    for task in &self.tasks {
                        // Without gold there is nothing to take a share of.
                        let sets = self.sets.iter().filter(|set| share == 100 || set.has(Tier::Gold));
                        cells.extend(sets.map(|set| Cell {
                            model: model.clone(),
                            task: *task,
                            set: set.clone(),
                            share,
                            seed: *seed,
                        }));
                    }
                }
            }
        }
        let mut seen = BTreeSet::new();
        cells.retain(|cell| seen.insert(cell.clone()));
        cells
    }
}

/// The part of the gold sentences that a share of them is, drawn by seed: sentences, not patients, as if fewer of the same
/// notes had been annotated. A smaller share is part of a larger one of the same seed.
pub(crate) fn share_of(sentences: &[SentenceId], share: u32, seed: u64) -> BTreeSet<SentenceId> {
    let mut order = sentences.to_vec();
    order.sort_unstable();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let take = (order.len() * share as usize).div_ceil(100);
    order.into_iter().take(take).collect()
}

/// A cell that has been trained and tested.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FinishedCell {
    pub cell: Cell,
    /// The run that keeps its predictions.
    pub run: RunId,
    pub trained: TrainingSize,
    /// Its labels of the test sentences, as its task sees them.
    pub predicted: Vec<LabelSet>,
}

#[cfg(test)]
mod tests;
