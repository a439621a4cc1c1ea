//! How good labels are against gold: counts, precision, recall, F1, confusion, bootstrap intervals.
//!
//! Definitions are scikit-learn's (`precision_recall_fscore_support(labels=ALL, average=..., zero_division=0)`), with one
//! difference that is shown and not hidden: what is undefined (0/0) is `None` here, and only the averages count it as 0.

mod table;

use serde::Serialize;

use super::label_set::LabelSet;
use super::sight::Blindness;
use super::statistics::{Bootstrap, Estimate};
pub(in crate::domain) use table::{ClassLayout, ClusterCounts};

/// A sentence with gold, as it is scored on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TestSentence {
    /// Which patient, numbered by the caller: the bootstrap draws patients, not sentences.
    pub patient: u32,
    /// Settled label.
    pub gold: LabelSet,
    /// Whether it was decided with nothing in sight.
    pub blindness: Blindness,
}

impl TestSentence {
    /// The sentence as the binary task sees it; see [`LabelSet::binary`].
    pub(crate) fn binary(self) -> Self {
        Self { gold: self.gold.binary(), ..self }
    }

    /// Sets a label against its gold.
    pub(crate) fn with(self, predicted: LabelSet) -> LabelPair {
        LabelPair { sentence: self, predicted }
    }
}

/// One sentence's gold and the label that is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelPair {
    sentence: TestSentence,
    predicted: LabelSet,
}

impl LabelPair {
    /// Settled label.
    pub(crate) fn gold(&self) -> LabelSet {
        self.sentence.gold
    }

    /// Label scored.
    pub(crate) fn predicted(&self) -> LabelSet {
        self.predicted
    }
}

/// Sets a system's labels against the gold of the same sentences, in their order.
pub(crate) fn pairs(
    tested: &[TestSentence],
    predicted: impl IntoIterator<Item = LabelSet, IntoIter: Clone>,
) -> impl Iterator<Item = LabelPair> + Clone {
    tested.iter().zip(predicted).map(|(sentence, predicted)| sentence.with(predicted))
}

/// True positives, false positives, false negatives of one category.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// In gold and predicted.
    pub tp: u64,
    /// Predicted only.
    pub fp: u64,
    /// In gold only.
    #[serde(rename = "fn")]
    pub fn_: u64,
}

impl Counts {
    /// How many of gold have the category.
    pub(crate) fn support(&self) -> u64 {
        self.tp + self.fn_
    }

    /// TP / (TP + FP).
    pub(crate) fn precision(&self) -> Option<f64> {
        ratio(self.tp, self.tp + self.fp)
    }

    /// TP / (TP + FN).
    pub(crate) fn recall(&self) -> Option<f64> {
        ratio(self.tp, self.tp + self.fn_)
    }

    /// 2 TP / (2 TP + FP + FN).
    pub(crate) fn f1(&self) -> Option<f64> {
        ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn_)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Precision, recall and F1 of one row: a category, *None*, or an average.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreRow {
    /// Counts; zero for the averages.
    pub counts: Counts,
    pub precision: Estimate,
    pub recall: Estimate,
    pub f1: Estimate,
}

/// The three averages of scikit-learn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Averages {
    /// Mean over rows, undefined counted as 0.
    #[serde(rename = "macro")]
    pub macro_: ScoreRow,
    /// From the summed counts.
    pub micro: ScoreRow,
    /// Mean over rows weighted by support.
    pub weighted: ScoreRow,
}

/// Scores of one labeller against gold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreReport {
    /// How many sentences were compared.
    pub sentences: usize,
    pub patients: usize,
    /// How many of them were decided blind.
    pub blind: usize,
    /// Of how many it is not known.
    pub blind_unknown: usize,
    /// The share of sentences whose whole label is right.
    pub accuracy: Estimate,
    /// *None* as a row of its own: the empty set in gold and prediction.
    pub none: ScoreRow,
    /// One row a category, in taxonomy order.
    pub categories: Vec<ScoreRow>,
    /// Averages over the categories (and, in a multi-class report, *None*).
    pub averages: Averages,
    /// Whether *None* counts in the averages.
    pub none_in_averages: bool,
    /// The binary task: is there any category?
    pub binary: ScoreRow,
    /// Categories (and *None*, first) without support in gold: they count 0 in the macro average.
    pub without_support: usize,
}

impl ScoreReport {
    /// The share of gold under these scores that was decided blind.
    pub(crate) fn blind_share(&self) -> Option<f64> {
        ratio(self.blind as u64, self.sentences as u64)
    }

    /// The same in words, with the share of which it is not known.
    pub(crate) fn blind_words(&self) -> Option<String> {
        Some(blind_words(self.blind_share()?, ratio(self.blind_unknown as u64, self.sentences as u64)?))
    }
}

/// How much of gold was decided blind, and of how much that is not known; both as shares.
pub(crate) fn blind_words(blind: f64, unknown: f64) -> String {
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    match unknown {
        0.0 => format!("{} decided blind", percent(blind)),
        1.0 => "not known whether it was decided blind".into(),
        _ => format!("{} decided blind, {} not known", percent(blind), percent(unknown)),
    }
}

/// Compares labels with gold. `categories` is the taxonomy's size; with `none_in_averages` the macro, micro and weighted
/// averages count *None* as a class (the multi-class task of the `single` selection, where micro-F1 is accuracy).
pub(crate) fn report(
    pairs: &[LabelPair],
    categories: usize,
    none_in_averages: bool,
    bootstrap: Bootstrap,
) -> ScoreReport {
    let table = ClusterCounts::of(pairs.iter().copied(), categories);
    let layout = ClassLayout { categories, none_in_averages };
    let total = table.total();
    let count = |kind| pairs.iter().filter(|pair| pair.sentence.blindness == kind).count();
    let mut values = Vec::new();
    layout.values(&total, &mut values);
    let intervals = table.intervals(layout, bootstrap);
    let mut at = 0;
    let mut next = || {
        let interval = intervals.as_ref().and_then(|i: &Vec<Option<(f64, f64)>>| i[at]);
        let estimate = Estimate { value: values[at], interval: values[at].and(interval) };
        at += 1;
        estimate
    };
    let accuracy = next();
    let mut row = |counts| ScoreRow { counts, precision: next(), recall: next(), f1: next() };
    let none = row(layout.counts(&total, 0));
    let rows: Vec<ScoreRow> = (0..categories).map(|i| row(layout.counts(&total, i + 1))).collect();
    let binary = row(layout.counts(&total, categories + 1));
    let averages =
        Averages { macro_: row(Counts::default()), micro: row(Counts::default()), weighted: row(Counts::default()) };
    let averaged = if none_in_averages { 0..categories + 1 } else { 1..categories + 1 };
    ScoreReport {
        sentences: pairs.len(),
        patients: table.patients,
        blind: count(Blindness::Blind),
        blind_unknown: count(Blindness::Unknown),
        accuracy,
        none,
        without_support: averaged.filter(|i| layout.counts(&total, *i).support() == 0).count(),
        categories: rows,
        averages,
        none_in_averages,
        binary,
    }
}

/// Gold against predicted, as counts of sentences. Rows are gold, columns predicted; position 0 is *None*.
///
/// Under `single` this is scikit-learn's `confusion_matrix(labels=[None, ...])`. Under `multiple` a sentence with several
/// categories is counted in each cell (gold category missed, category predicted in excess); what both hold goes to the
/// diagonal, and a category missed with nothing in excess goes to the column of *None*, and the other way round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// Row-major counts, `size * size`.
    pub cells: Vec<u32>,
    /// Categories + 1.
    pub size: usize,
}

impl Confusion {
    /// Counts the pairs.
    pub(crate) fn of(pairs: &[LabelPair], categories: usize) -> Self {
        let size = categories + 1;
        let mut cells = vec![0; size * size];
        for pair in pairs {
            for (gold, predicted) in confused(pair.gold(), pair.predicted) {
                if let Some(cell) = cells.get_mut(gold * size + predicted) {
                    *cell += 1;
                }
            }
        }
        Self { cells, size }
    }

    /// The count of a cell.
    pub(crate) fn get(&self, gold: usize, predicted: usize) -> u32 {
        self.cells[gold * self.size + predicted]
    }
}

/// The cells that one sentence counts in; see [`Confusion`].
pub(crate) fn confused(gold: LabelSet, predicted: LabelSet) -> Vec<(usize, usize)> {
    let classes = |set: LabelSet| set.iter().map(|category| category + 1);
    if gold.is_empty() && predicted.is_empty() {
        return vec![(0, 0)];
    }
    let mut cells: Vec<(usize, usize)> = classes(gold.intersection(predicted)).map(|i| (i, i)).collect();
    let (missed, excess) = (gold.difference(predicted), predicted.difference(gold));
    match (missed.is_empty(), excess.is_empty()) {
        (true, _) => cells.extend(classes(excess).map(|i| (0, i))),
        (_, true) => cells.extend(classes(missed).map(|i| (i, 0))),
        _ => cells.extend(classes(missed).flat_map(|m| classes(excess).map(move |e| (m, e)))),
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::statistics::Resamples;

    /// Gold and predicted as a bit for each category.
    fn pair(patient: u32, gold: u64, predicted: u64) -> LabelPair {
        let gold = LabelSet::from_bits(gold);
        TestSentence { patient, gold, blindness: Blindness::Seen }.with(LabelSet::from_bits(predicted))
    }

    fn single(table: &[&[u32]]) -> Vec<LabelPair> {
        let mut pairs = Vec::new();
        for (gold, row) in table.iter().enumerate() {
            for (predicted, count) in row.iter().enumerate() {
                for _ in 0..*count {
                    pairs.push(pair(pairs.len() as u32, 1 << gold, 1 << predicted));
                }
            }
        }
        pairs
    }

    fn close(value: Option<f64>, expected: f64) {
        let value = value.expect("is defined");
        assert!((value - expected).abs() < 1e-12, "{value} is not {expected}");
    }

    const NO_BOOTSTRAP: Bootstrap = Bootstrap { resamples: 0, seed: 0 };

    /// sklearn.metrics.classification_report on the table [[9,3,1],[4,8,2],[2,1,6]] (rows true).
    #[test]
    fn scores_are_those_of_scikit_learn() {
        let report = report(&single(&[&[9, 3, 1], &[4, 8, 2], &[2, 1, 6]]), 3, false, NO_BOOTSTRAP);
        let expected = [
            (0.6, 0.6923076923076923, 0.6428571428571429),
            (2.0 / 3.0, 0.5714285714285714, 0.6153846153846154),
            (2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0),
        ];
        for (row, (p, r, f)) in report.categories.iter().zip(expected) {
            close(row.precision.value, p);
            close(row.recall.value, r);
            close(row.f1.value, f);
        }
        close(report.averages.macro_.f1.value, 0.6416361416361416);
        close(report.averages.weighted.f1.value, 0.6381257631257632);
        close(report.averages.micro.f1.value, 0.6388888888888888);
        close(report.accuracy.value, 0.6388888888888888);
        assert_eq!(report.categories[1].counts.support(), 14);
    }

    /// sklearn.metrics.precision_recall_fscore_support(Y, P, average=..., zero_division=0) with
    /// Y = [[1,1,0],[0,0,0],[0,1,1],[1,0,0]], P = [[1,0,0],[0,0,1],[0,1,1],[0,0,0]]:
    /// per label f1 2/3, 2/3, 2/3; micro p 3/4 r 3/5 f1 2/3; macro p 5/6 r 2/3; accuracy (exact set) 1/4.
    #[test]
    fn scores_of_sets_are_those_of_scikit_learn() {
        let pair = |gold, predicted| {
            let gold = LabelSet::from_bits(gold);
            TestSentence { patient: 0, gold, blindness: Blindness::Blind }.with(LabelSet::from_bits(predicted))
        };
        let pairs = [pair(0b011, 0b001), pair(0, 0b100), pair(0b110, 0b110), pair(0b001, 0)];
        let report = report(&pairs, 3, false, NO_BOOTSTRAP);
        for row in &report.categories {
            close(row.f1.value, 2.0 / 3.0);
        }
        close(report.averages.micro.precision.value, 0.75);
        close(report.averages.micro.recall.value, 0.6);
        close(report.averages.macro_.precision.value, 5.0 / 6.0);
        close(report.averages.macro_.recall.value, 2.0 / 3.0);
        close(report.accuracy.value, 0.25);
        assert_eq!(report.binary.counts, Counts { tp: 2, fp: 1, fn_: 1 });
        assert_eq!(report.blind_share(), Some(1.0));
    }

    #[test]
    fn with_none_as_a_class_micro_f1_is_accuracy() {
        let pairs = [(0, 0), (1, 0), (2, 2), (0, 1), (1, 1)].map(|(gold, predicted)| pair(0, gold, predicted));
        let report = report(&pairs, 2, true, NO_BOOTSTRAP);
        assert_eq!(report.averages.micro.f1.value, report.accuracy.value);
    }

    #[test]
    fn undefined_stays_undefined() {
        let empty = report(&[], 2, true, Bootstrap::default());
        assert_eq!(empty.accuracy.value, None);
        assert_eq!(empty.averages.macro_.f1.value, None);
        assert_eq!(empty.blind_share(), None);
        let one = report(&[pair(0, 1, 1)], 2, false, Bootstrap::default());
        assert_eq!(one.categories[1].f1.value, None);
        assert_eq!(one.categories[0].f1.interval, None, "one patient gives no interval");
        assert_eq!(one.without_support, 1);
    }

    /// The exact distribution for correct = [1, 1, 0] has accuracy 0, 1/3, 2/3, 1 with counts 1, 6, 12, 8 of 27; so the
    /// 2.5 % point is 0 (1/27 = 3.7 %) and the 97.5 % point is 1.
    #[test]
    fn the_bootstrap_agrees_with_enumeration() {
        let pairs: Vec<LabelPair> = (0..).zip([1, 1, 0]).map(|(patient, p)| pair(patient, 1, p)).collect();
        let table = ClusterCounts::of(pairs.iter().copied(), 1);
        let layout = ClassLayout { categories: 1, none_in_averages: false };
        let mut draws = Resamples::new(table.clusters, Bootstrap { resamples: 27_000, seed: 3 }).unwrap();
        let (mut counts, mut sum) = ([0u32; 4], Vec::new());
        while let Some(times) = draws.draw() {
            table.weighted_sum(times, &mut sum);
            counts[sum[1] as usize] += 1;
        }
        for (count, expected) in counts.into_iter().zip([1_000.0, 6_000.0, 12_000.0, 8_000.0]) {
            assert!((f64::from(count) - expected).abs() < 4.0 * f64::sqrt(expected), "{counts:?}");
        }
        let intervals = table.intervals(layout, Bootstrap { resamples: 20_000, seed: 5 }).unwrap();
        assert_eq!(intervals[0], Some((0.0, 1.0)));
    }

    #[test]
    fn patients_widen_the_interval() {
        let predicted = |i: u32| u64::from((i / 40).is_multiple_of(2));
        let clustered: Vec<LabelPair> = (0..400).map(|i| pair(i / 40, 1, predicted(i))).collect();
        let independent: Vec<LabelPair> = (0..400).map(|i| pair(i, 1, predicted(i))).collect();
        let width = |pairs: &[LabelPair]| {
            let (low, high) = report(pairs, 1, false, Bootstrap::default()).accuracy.interval.unwrap();
            high - low
        };
        assert!(width(&clustered) > 2.0 * width(&independent));
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let pairs = single(&[&[9, 3], &[4, 8]]);
        let make = |seed| report(&pairs, 2, false, Bootstrap { resamples: 200, seed });
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
    }

    #[test]
    fn confusion_has_rows_of_gold() {
        let pairs = single(&[&[9, 3, 1], &[4, 8, 2], &[2, 1, 6]]);
        let confusion = Confusion::of(&pairs, 3);
        assert_eq!((confusion.get(1, 2), confusion.get(2, 1), confusion.get(0, 0)), (3, 4, 0));
        let confused = |gold, predicted| confused(LabelSet::from_bits(gold), LabelSet::from_bits(predicted));
        assert_eq!(confused(0b11, 0b01), [(1, 1), (2, 0)]);
        assert_eq!(confused(0, 0b10), [(0, 2)]);
        assert_eq!(confused(0b01, 0b10), [(1, 2)]);
    }
}
