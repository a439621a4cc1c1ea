//! Counts by cluster of patients, and what they come to.

use super::{Counts, LabelPair, ratio};
use crate::domain::statistics::{Bootstrap, Clusters, MAX_CLUSTERS, Resamples, weighted_sum};

/// Which classes there are and which are averaged. Class 0 is *None*, 1.. the categories, the last one "any category".
#[derive(Clone, Copy, Debug)]
pub(in crate::domain) struct ClassLayout {
    pub categories: usize,
    pub none_in_averages: bool,
}

impl ClassLayout {
    /// Where the accuracy stands among the values.
    pub(crate) const ACCURACY: usize = 0;

    /// Where the precision of a class stands among the values; recall and F1 follow.
    pub(crate) fn class(class: usize) -> usize {
        1 + 3 * class
    }

    /// Where the macro average's precision stands; micro and weighted averages follow.
    pub(crate) fn averages(self) -> usize {
        Self::class(self.categories + 2)
    }

    /// Cells of a count vector: sentences, right ones, then tp, fp, fn of each class.
    fn cells(categories: usize) -> usize {
        2 + 3 * (categories + 2)
    }

    pub(crate) fn counts(self, cells: &[u32], class: usize) -> Counts {
        let at = 2 + 3 * class;
        Counts { tp: u64::from(cells[at]), fp: u64::from(cells[at + 1]), fn_: u64::from(cells[at + 2]) }
    }

    /// Accuracy, then precision, recall, F1 of each class, then of macro, micro and weighted.
    pub(crate) fn values(self, cells: &[u32], values: &mut Vec<Option<f64>>) {
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
pub(in crate::domain) struct ClusterCounts {
    cells: Vec<u32>,
    width: usize,
    pub clusters: usize,
    pub patients: usize,
}

impl ClusterCounts {
    pub(crate) fn of(pairs: impl IntoIterator<Item = LabelPair> + Clone, categories: usize) -> Self {
        let width = ClassLayout::cells(categories);
        let numbered = Clusters::of(pairs.clone().into_iter().map(|pair| pair.sentence.patient), MAX_CLUSTERS);
        let (clusters, patients) = (numbered.count, numbered.patients());
        let mut cells = vec![0; width * clusters];
        for pair in pairs {
            let at = numbered.at(pair.sentence.patient) * width;
            let row = &mut cells[at..at + width];
            row[0] += 1;
            let (gold, predicted) = (pair.gold(), pair.predicted);
            row[1] += u32::from(gold == predicted);
            let mut class = |class: usize, gold: bool, predicted: bool| {
                let at = 2 + 3 * class;
                row[at] += u32::from(gold && predicted);
                row[at + 1] += u32::from(!gold && predicted);
                row[at + 2] += u32::from(gold && !predicted);
            };
            class(0, gold.is_empty(), predicted.is_empty());
            for i in gold.union(predicted).iter().filter(|i| *i < categories) {
                class(i + 1, gold.contains(i), predicted.contains(i));
            }
            class(categories + 1, !gold.is_empty(), !predicted.is_empty());
        }
        Self { cells, width, clusters, patients }
    }

    pub(crate) fn total(&self) -> Vec<u32> {
        let mut total = Vec::new();
        self.weighted_sum(&vec![1; self.clusters], &mut total);
        total
    }

    /// The sum of the clusters, each as often as it was drawn.
    pub(crate) fn weighted_sum(&self, times: &[u32], sum: &mut Vec<u32>) {
        weighted_sum(&self.cells, self.width, times, sum);
    }

    /// What the bootstrap says of each value; see [`Resamples::intervals`].
    pub(crate) fn intervals(&self, layout: ClassLayout, bootstrap: Bootstrap) -> Option<Vec<Option<(f64, f64)>>> {
        let mut sum = Vec::new();
        let said = Resamples::new(self.clusters, bootstrap)?.intervals(|times, values| {
            self.weighted_sum(times, &mut sum);
            layout.values(&sum, values);
        });
        Some(said.into_iter().map(|(interval, _)| interval).collect())
    }
}
