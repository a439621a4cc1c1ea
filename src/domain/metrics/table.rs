//! Counts by cluster of patients, what they come to, and the bootstrap's draws of clusters.

use std::ops::{AddAssign, Mul};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashMap;

use super::{Bootstrap, Counts, Pair, ratio};

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
    pub fn of(patients: impl Iterator<Item = u32>, most: usize) -> Self {
        let mut numbers: FxHashMap<u32, usize> = FxHashMap::default();
        for patient in patients {
            let next = numbers.len();
            numbers.entry(patient).or_insert(next);
        }
        let count = numbers.len().min(most.max(1));
        Self { numbers, count }
    }

    /// How many patients there are.
    pub fn patients(&self) -> usize {
        self.numbers.len()
    }

    /// The cluster of one of the patients.
    pub fn at(&self, patient: u32) -> usize {
        self.numbers[&patient] % self.count
    }
}

/// The sum of rows of cells, each as often as it was drawn.
pub(in crate::domain) fn drawn<T>(cells: &[T], width: usize, times: &[u32], sum: &mut Vec<T>)
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

/// Which classes there are and which are averaged. Class 0 is *None*, 1.. the categories, the last one "any category".
#[derive(Clone, Copy, Debug)]
pub(in crate::domain) struct Shape {
    pub categories: usize,
    pub none_in_averages: bool,
}

impl Shape {
    /// Where the accuracy stands among the values.
    pub const ACCURACY: usize = 0;

    /// Where the precision of a class stands among the values; recall and F1 follow.
    pub fn class(class: usize) -> usize {
        1 + 3 * class
    }

    /// Where the macro average's precision stands; micro and weighted averages follow.
    pub fn averages(self) -> usize {
        Self::class(self.categories + 2)
    }

    /// Cells of a count vector: sentences, right ones, then tp, fp, fn of each class.
    fn cells(categories: usize) -> usize {
        2 + 3 * (categories + 2)
    }

    pub fn counts(self, cells: &[u32], class: usize) -> Counts {
        let at = 2 + 3 * class;
        Counts { tp: u64::from(cells[at]), fp: u64::from(cells[at + 1]), fn_: u64::from(cells[at + 2]) }
    }

    /// Accuracy, then precision, recall, F1 of each class, then of macro, micro and weighted.
    pub fn values(self, cells: &[u32], values: &mut Vec<Option<f64>>) {
        values.clear();
        values.push(ratio(u64::from(cells[1]), u64::from(cells[0])));
        let mut means = [0.0; 3];
        let mut weighted = [0.0; 3];
        let mut sum = Counts::default();
        let averaged = usize::from(!self.none_in_averages)..=self.categories;
        for number in 0..self.categories + 2 {
            let class = self.counts(cells, number);
            let scores = [class.precision(), class.recall(), class.f1()];
            values.extend(scores);
            if averaged.contains(&number) {
                for (i, score) in scores.into_iter().enumerate() {
                    means[i] += score.unwrap_or(0.0);
                    weighted[i] += score.unwrap_or(0.0) * class.support() as f64;
                }
                sum = Counts { tp: sum.tp + class.tp, fp: sum.fp + class.fp, fn_: sum.fn_ + class.fn_ };
            }
        }
        let any = cells[0] > 0;
        values.extend(means.map(|total| any.then(|| total / averaged.clone().count() as f64)));
        values.extend([sum.precision(), sum.recall(), sum.f1()]);
        values.extend(weighted.map(|total| (sum.support() > 0).then(|| total / sum.support() as f64)));
    }
}

/// Count vectors, one row a cluster. Tables of the same sentences in the same order have the same clusters.
pub(in crate::domain) struct Table {
    cells: Vec<u32>,
    width: usize,
    pub clusters: usize,
    pub patients: usize,
}

impl Table {
    pub fn of(pairs: impl IntoIterator<Item = Pair> + Clone, categories: usize) -> Self {
        let width = Shape::cells(categories);
        let numbered = Clusters::of(pairs.clone().into_iter().map(|pair| pair.patient), MAX_CLUSTERS);
        let (clusters, patients) = (numbered.count, numbered.patients());
        let mut cells = vec![0; width * clusters];
        for pair in pairs {
            let at = numbered.at(pair.patient) * width;
            let row = &mut cells[at..at + width];
            row[0] += 1;
            row[1] += u32::from(pair.gold == pair.predicted);
            let mut class = |class: usize, gold: bool, predicted: bool| {
                let at = 2 + 3 * class;
                row[at] += u32::from(gold && predicted);
                row[at + 1] += u32::from(!gold && predicted);
                row[at + 2] += u32::from(gold && !predicted);
            };
            class(0, pair.gold == 0, pair.predicted == 0);
            let mut touched = pair.gold | pair.predicted;
            while touched != 0 {
                let i = touched.trailing_zeros() as usize;
                touched &= touched - 1;
                if i < categories {
                    class(i + 1, pair.gold >> i & 1 == 1, pair.predicted >> i & 1 == 1);
                }
            }
            class(categories + 1, pair.gold != 0, pair.predicted != 0);
        }
        Self { cells, width, clusters, patients }
    }

    pub fn total(&self) -> Vec<u32> {
        let mut total = Vec::new();
        self.drawn(&vec![1; self.clusters], &mut total);
        total
    }

    /// The sum of the clusters, each as often as it was drawn.
    pub fn drawn(&self, times: &[u32], sum: &mut Vec<u32>) {
        drawn(&self.cells, self.width, times, sum);
    }

    /// What the bootstrap says of each value; see [`Draws::intervals`].
    pub fn intervals(&self, shape: Shape, bootstrap: Bootstrap) -> Option<Vec<Option<(f64, f64)>>> {
        let mut sum = Vec::new();
        let said = Draws::new(self.clusters, bootstrap)?.intervals(|times, values| {
            self.drawn(times, &mut sum);
            shape.values(&sum, values);
        });
        Some(said.into_iter().map(|(interval, _)| interval).collect())
    }
}

/// The resamples of a bootstrap: as many draws with replacement as there are clusters, again and again. Whatever is
/// computed from the same draws is paired.
pub(in crate::domain) struct Draws {
    random: ChaCha8Rng,
    left: usize,
    times: Vec<u32>,
}

impl Draws {
    /// `None` where nothing can be said: fewer than two clusters, or no resamples.
    pub fn new(clusters: usize, bootstrap: Bootstrap) -> Option<Self> {
        let random = ChaCha8Rng::seed_from_u64(bootstrap.seed);
        (clusters > 1 && bootstrap.resamples > 0).then(|| Self {
            random,
            left: bootstrap.resamples,
            times: vec![0; clusters],
        })
    }

    /// How often each cluster is in the next resample.
    pub fn draw(&mut self) -> Option<&[u32]> {
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
    pub fn intervals(
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
