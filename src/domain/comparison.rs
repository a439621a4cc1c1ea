//! Whether one classifier is better than another on the same test sentences, and whether that is more than chance.
//!
//! Each system was trained once for every seed. Its score is the mean over its seeds, and what is undefined (0/0) for one
//! seed is undefined in the mean. Two systems are compared seed by seed: the difference of the seeds that both have, then
//! their mean.

mod paired;

use serde::Serialize;

use super::label_set::LabelSet;
use super::statistics::{LEVEL, mean, sum_of_squares};
pub(crate) use paired::{ComparedSystem, Difference, SystemScores, compare};

/// What several seeds came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct SeedSpread {
    /// Each seed's value.
    pub each: Vec<Option<f64>>,
    /// Their mean; `None` where one is undefined.
    pub mean: Option<f64>,
    /// Their sample standard deviation (n - 1); `None` for fewer than two.
    pub deviation: Option<f64>,
    /// 95 % interval of the mean over the bootstrap by patient.
    pub interval: Option<(f64, f64)>,
}

impl SeedSpread {
    /// Mean and sample standard deviation of values.
    pub(crate) fn of(each: Vec<Option<f64>>) -> Self {
        let mean = mean(&each);
        let deviation = mean
            .filter(|_| each.len() > 1)
            .map(|mean| (sum_of_squares(each.iter().flatten().copied(), mean) / (each.len() - 1) as f64).sqrt());
        Self { each, mean, deviation, interval: None }
    }
}

/// Each sentence's label by the majority of seeds; where several are as frequent, that of the earliest seed among them.
///
/// McNemar's test compares two sets of labels. The first seed's alone would be a choice of one seed, and all seeds' pooled
/// would count each sentence several times; so the seeds vote. The vote is often a little better than the mean of the seeds,
/// so its accuracy is not the accuracy in the table.
pub(crate) fn majority(seeds: &[&[LabelSet]]) -> Vec<LabelSet> {
    let sentences = seeds.iter().map(|labels| labels.len()).min().unwrap_or(0);
    let vote = |sentence: usize| {
        let votes = |label: LabelSet| seeds.iter().filter(|labels| labels[sentence] == label).count();
        let mut best = (0, LabelSet::NONE);
        for labels in seeds {
            let count = votes(labels[sentence]);
            if count > best.0 {
                best = (count, labels[sentence]);
            }
        }
        best.1
    };
    (0..sentences).map(vote).collect()
}

/// What a comparison says in plain words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ComparisonVerdict {
    /// Better, by more than chance.
    Gained,
    /// Worse, by more than chance.
    Lost,
    /// Chance alone can explain it.
    Chance,
    /// There is nothing to compare.
    Unknown,
}

impl ComparisonVerdict {
    /// Judges a difference by its corrected p.
    pub(crate) fn of(difference: Option<f64>, p: Option<f64>) -> Self {
        match (difference, p) {
            (Some(difference), Some(p)) if p < LEVEL && difference > 0.0 => Self::Gained,
            (Some(difference), Some(p)) if p < LEVEL && difference < 0.0 => Self::Lost,
            (Some(_), Some(_)) => Self::Chance,
            _ => Self::Unknown,
        }
    }

    /// As people say it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Gained => "gained",
            Self::Lost => "lost",
            Self::Chance => "no more than chance",
            Self::Unknown => "cannot be said",
        }
    }
}

#[cfg(test)]
mod tests;
