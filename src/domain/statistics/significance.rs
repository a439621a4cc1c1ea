//! Whether a difference is more than chance: McNemar's test, p of the bootstrap, and Holm's correction for many comparisons.

use serde::Serialize;

use super::distribution::{binomial_half, erfc};
use crate::domain::label_set::LabelSet;

/// Below this, corrected for the number of comparisons, a difference is called more than chance.
pub(crate) const LEVEL: f64 = 0.05;

/// McNemar's test (1947) of two systems' accuracy on the same sentences. It takes sentences as independent, which those of one
/// patient are not; the bootstrap by patient is beside it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct McNemar {
    /// Sentences that only the first has right.
    pub first_only: u64,
    /// Sentences that only the second has right.
    pub second_only: u64,
    /// Two-sided exact p: `min(1, 2 P[Bin(n, 1/2) <= min])`, the one to report.
    pub exact: f64,
    /// Less conservative: only half of the probability of what was seen counts.
    pub mid_p: f64,
    /// `(|b - c| - 1)^2 / (b + c)` (Edwards 1948); `None` where they never differ.
    pub chi2_corrected: Option<f64>,
    /// p of the corrected statistic.
    pub chi2_p: Option<f64>,
}

impl McNemar {
    /// From the counts of sentences that only one has right.
    pub(crate) fn of(first_only: u64, second_only: u64) -> Self {
        let (few, n) = (first_only.min(second_only), first_only + second_only);
        let (below, at) = binomial_half(few, n);
        let apart = first_only.abs_diff(second_only) as f64;
        let chi2 = (n > 0).then(|| (apart - 1.0).powi(2) / n as f64);
        Self {
            first_only,
            second_only,
            exact: (2.0 * below).min(1.0),
            mid_p: (2.0 * below - at).min(1.0),
            chi2_corrected: chi2,
            // A chi-squared variable of one degree of freedom is a squared normal one.
            chi2_p: chi2.map(|chi2| erfc((chi2 / 2.0).sqrt())),
        }
    }

    /// From gold and the labels of both systems.
    pub(crate) fn from_labels(
        gold: impl IntoIterator<Item = LabelSet>,
        first: &[LabelSet],
        second: &[LabelSet],
    ) -> Self {
        let (mut first_only, mut second_only) = (0, 0);
        for (gold, (first, second)) in gold.into_iter().zip(first.iter().zip(second)) {
            match (*first == gold, *second == gold) {
                (true, false) => first_only += 1,
                (false, true) => second_only += 1,
                _ => {}
            }
        }
        Self::of(first_only, second_only)
    }
}

/// Holm (1979): each p corrected so that the chance of a single false alarm among them stays below the level. Undefined ones
/// are no comparison, and do not count.
pub(crate) fn holm(p: &[Option<f64>]) -> Vec<Option<f64>> {
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

/// Two-sided p of a difference by its resamples: twice the share of them on the other side of 0, the data as it is counted as
/// one of them (Davison and Hinkley 1997, 4.11).
pub(in crate::domain) fn bootstrap_p(drawn: &[f32]) -> f64 {
    let side = |on: fn(&f32) -> bool| 1 + drawn.iter().filter(|d| on(d)).count();
    let fewer = side(|d| *d <= 0.0).min(side(|d| *d >= 0.0));
    (2.0 * fewer as f64 / (drawn.len() + 1) as f64).min(1.0)
}

/// The least p that so many patients can give: 2 of the 2^n ways to swap both systems' labels of whole patients are as
/// extreme as all patients on one side. A bootstrap of few patients would promise more than they hold.
pub(crate) fn least_p(patients: usize) -> f64 {
    0.5f64.powi(i32::try_from(patients).unwrap_or(i32::MAX) - 1).min(1.0)
}

#[cfg(test)]
mod tests;
