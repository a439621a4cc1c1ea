//! How long sentences are, in words.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::super::statistics::kolmogorov_smirnov;

/// A histogram of sentence lengths in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lengths {
    counts: BTreeMap<usize, u64>,
    total: u64,
}

impl Lengths {
    /// Counts one sentence of so many words.
    pub(crate) fn add(&mut self, words: usize) {
        *self.counts.entry(words).or_default() += 1;
        self.total += 1;
    }

    /// Each length that occurs and how often, shortest first.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.counts.iter().map(|(&words, &count)| (words, count))
    }

    /// The least length that a share of at least `q` of the sentences does not exceed: numpy's `inverted_cdf`.
    pub(crate) fn quantile(&self, q: f64) -> Option<usize> {
        let rank = (q.clamp(0.0, 1.0) * self.total as f64).ceil().max(1.0) as u64;
        self.at_rank(rank)
    }

    /// A length drawn from the histogram; `None` from an empty one.
    pub(crate) fn draw<R: Rng + ?Sized>(&self, rng: &mut R) -> Option<usize> {
        (self.total > 0).then(|| rng.random_range(1..=self.total)).and_then(|rank| self.at_rank(rank))
    }

    /// The length of the sentence that is `rank`th in order of length, from 1.
    fn at_rank(&self, rank: u64) -> Option<usize> {
        let mut below = 0;
        self.counts()
            .find(|(_, count)| {
                below += count;
                below >= rank
            })
            .map(|(words, _)| words)
    }

    /// The mean.
    pub(crate) fn mean(&self) -> Option<f64> {
        let sum: f64 = self.counts().map(|(words, count)| words as f64 * count as f64).sum();
        (self.total > 0).then(|| sum / self.total as f64)
    }

    /// The standard deviation of these sentences as a population: numpy's `std`.
    pub(crate) fn sd(&self) -> Option<f64> {
        let mean = self.mean()?;
        let squares: f64 = self.counts().map(|(words, count)| (words as f64 - mean).powi(2) * count as f64).sum();
        Some((squares / self.total as f64).sqrt())
    }

    /// The Kolmogorov-Smirnov distance of two histograms.
    pub(crate) fn ks(&self, other: &Self) -> Option<f64> {
        let lengths: BTreeSet<usize> = self.counts.keys().chain(other.counts.keys()).copied().collect();
        let counts = |of: &Self| -> Vec<u64> {
            lengths.iter().map(|length| of.counts.get(length).copied().unwrap_or_default()).collect()
        };
        kolmogorov_smirnov(&counts(self), &counts(other))
    }
}

impl FromIterator<usize> for Lengths {
    fn from_iter<I: IntoIterator<Item = usize>>(lengths: I) -> Self {
        let mut all = Self::default();
        lengths.into_iter().for_each(|words| all.add(words));
        all
    }
}
