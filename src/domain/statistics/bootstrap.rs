//! The percentile bootstrap over clusters (Efron 1979; Davison and Hinkley 1997): sentences of one patient are alike, so
//! patients are drawn, never sentences.

use std::ops::{AddAssign, Mul};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashMap;
use serde::Serialize;

/// How intervals are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bootstrap {
    /// Resamples; 0 for none.
    pub resamples: usize,
    /// Seed of the resampling.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 2_000, seed: 1 }
    }
}

/// At most this many bootstrap clusters. Beyond, patients are pooled by number into this many groups: sums of
/// independent patients are independent, so the intervals stay valid, and their cost stays bounded.
pub(in crate::domain) const MAX_CLUSTERS: usize = 1_024;

/// Patients as clusters, numbered in the order in which they are met.
pub(in crate::domain) struct Clusters {
    numbers: FxHashMap<u32, usize>,
    pub count: usize,
}

impl Clusters {
    /// At most `most` clusters of them.
    pub(crate) fn of(patients: impl Iterator<Item = u32>, most: usize) -> Self {
        let mut numbers: FxHashMap<u32, usize> = FxHashMap::default();
        for patient in patients {
            let next = numbers.len();
            numbers.entry(patient).or_insert(next);
        }
        let count = numbers.len().min(most.max(1));
        Self { numbers, count }
    }

    /// How many patients there are.
    pub(crate) fn patients(&self) -> usize {
        self.numbers.len()
    }

    /// The cluster of one of the patients.
    pub(crate) fn at(&self, patient: u32) -> usize {
        self.numbers[&patient] % self.count
    }
}

/// The sum of rows of cells, each as often as it was drawn.
pub(in crate::domain) fn weighted_sum<T>(cells: &[T], width: usize, times: &[u32], sum: &mut Vec<T>)
where
    T: Copy + Default + AddAssign + Mul<Output = T> + From<u32>,
{
    sum.clear();
    sum.resize(width, T::default());
    for (row, times) in cells.chunks_exact(width.max(1)).zip(times).filter(|(_, times)| **times > 0) {
        let times = T::from(*times);
        for (sum, cell) in sum.iter_mut().zip(row) {
            *sum += times * *cell;
        }
    }
}

/// The resamples of a bootstrap: as many draws with replacement as there are clusters, again and again. Whatever is
/// computed from the same draws is paired.
pub(in crate::domain) struct Resamples {
    random: ChaCha8Rng,
    left: usize,
    times: Vec<u32>,
}

impl Resamples {
    /// `None` where nothing can be said: fewer than two clusters, or no resamples.
    pub(crate) fn new(clusters: usize, bootstrap: Bootstrap) -> Option<Self> {
        let random = ChaCha8Rng::seed_from_u64(bootstrap.seed);
        (clusters > 1 && bootstrap.resamples > 0).then(|| Self {
            random,
            left: bootstrap.resamples,
            times: vec![0; clusters],
        })
    }

    /// How often each cluster is in the next resample.
    pub(crate) fn draw(&mut self) -> Option<&[u32]> {
        self.left = self.left.checked_sub(1)?;
        self.times.fill(0);
        let clusters = self.times.len();
        for _ in 0..clusters {
            self.times[self.random.random_range(0..clusters)] += 1;
        }
        Some(&self.times)
    }

    /// Percentile bootstrap over clusters: `scipy.stats.bootstrap(method="percentile")` with clusters for items. A
    /// resample in which a value is undefined says nothing about it and is left out of its interval; beside each
    /// interval stands how many were.
    pub(crate) fn intervals(
        mut self,
        mut values_of: impl FnMut(&[u32], &mut Vec<Option<f64>>),
    ) -> Vec<(Option<(f64, f64)>, usize)> {
        let resamples = self.left;
        let mut drawn: Vec<Vec<f32>> = Vec::new();
        let mut values = Vec::new();
        while let Some(times) = self.draw() {
            values_of(times, &mut values);
            drawn.resize(values.len(), Vec::new());
            for (drawn, value) in drawn.iter_mut().zip(&values) {
                drawn.extend(value.map(|v| v as f32));
            }
        }
        drawn.into_iter().map(|drawn| (resamples - drawn.len(), percentiles(drawn))).map(|(n, i)| (i, n)).collect()
    }
}

/// 2.5 and 97.5 % points with linear interpolation (numpy's default).
pub(in crate::domain) fn percentiles(mut values: Vec<f32>) -> Option<(f64, f64)> {
    if values.is_empty() {
        return None;
    }
    values.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| {
        let position = share * (values.len() - 1) as f64;
        let below = f64::from(values[position as usize]);
        let above = f64::from(values[(position as usize + 1).min(values.len() - 1)]);
        below + (above - below) * position.fract()
    };
    Some((at(0.025), at(0.975)))
}
