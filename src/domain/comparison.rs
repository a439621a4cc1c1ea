//! Whether one classifier is better than another on the same test sentences, and whether that is more than chance.
//!
//! Each system was trained once for every seed. Its score is the mean over its seeds, and what is undefined (0/0) for one
//! seed is undefined in the mean. Two systems are compared seed by seed: the difference of the seeds that both have, then
//! their mean.

mod bootstrap;
mod mcnemar;

use serde::Serialize;

pub use bootstrap::{Compared, Gain, System, Tested, compare, least_p};
pub use mcnemar::{McNemar, majority};

/// Below this, corrected for the number of comparisons, a difference is called more than chance.
pub const LEVEL: f64 = 0.05;

/// What several seeds came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Each seed's value.
    pub each: Vec<Option<f64>>,
    /// Their mean; `None` where one is undefined.
    pub mean: Option<f64>,
    /// Their sample standard deviation (n - 1); `None` for fewer than two.
    pub deviation: Option<f64>,
    /// 95 % interval of the mean over the bootstrap by patient.
    pub interval: Option<(f64, f64)>,
}

impl Spread {
    /// Mean and sample standard deviation of values.
    pub fn of(each: Vec<Option<f64>>) -> Self {
        let mean = mean(&each);
        let deviation = mean.filter(|_| each.len() > 1).map(|mean| {
            let squares: f64 = each.iter().flatten().map(|value| (value - mean).powi(2)).sum();
            (squares / (each.len() - 1) as f64).sqrt()
        });
        Self { each, mean, deviation, interval: None }
    }
}

/// The mean; `None` of nothing, or where one value is undefined.
fn mean(values: &[Option<f64>]) -> Option<f64> {
    let sum: f64 = values.iter().copied().sum::<Option<f64>>()?;
    (!values.is_empty()).then(|| sum / values.len() as f64)
}

/// Holm (1979): each p corrected so that the chance of a single false alarm among them stays below the level. Undefined ones
/// are no comparison, and do not count.
pub fn holm(p: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut order: Vec<(usize, f64)> = p.iter().enumerate().filter_map(|(i, p)| Some((i, (*p)?))).collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut corrected = vec![None; p.len()];
    let mut least = 0.0_f64;
    for (rank, (at, p)) in order.iter().enumerate() {
        least = least.max(p * (order.len() - rank) as f64).min(1.0);
        corrected[*at] = Some(least);
    }
    corrected
}

/// What a comparison says in plain words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Better, by more than chance.
    Gained,
    /// Worse, by more than chance.
    Lost,
    /// Chance alone can explain it.
    Chance,
    /// There is nothing to compare.
    Unknown,
}

impl Verdict {
    /// Judges a difference by its corrected p.
    pub fn of(difference: Option<f64>, p: Option<f64>) -> Self {
        match (difference, p) {
            (Some(difference), Some(p)) if p < LEVEL && difference > 0.0 => Self::Gained,
            (Some(difference), Some(p)) if p < LEVEL && difference < 0.0 => Self::Lost,
            (Some(_), Some(_)) => Self::Chance,
            _ => Self::Unknown,
        }
    }

    /// As people say it.
    pub fn words(self) -> &'static str {
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
