//! Sums by cluster of patients that every coefficient of agreement can be computed from.

use super::{Rating, Undefined, counted};
use crate::domain::label_set::LabelSet;
use crate::domain::statistics::agreement::{cohen_kappa, fleiss_kappa, gwet_ac1, krippendorff_alpha, masi_distance};
use crate::domain::statistics::{Clusters, MAX_CLUSTERS, Resamples, weighted_sum};
use crate::domain::taxonomy::Selection;

/// A value, or why there is none.
type Value = Result<f64, Undefined>;

/// Cells of all clusters together are kept near this number: with many pairs of experts the patients are pooled into fewer
/// clusters, never below [`FEWEST`], so that a resample's cost stays bounded.
const CELLS: usize = 1 << 21;
const FEWEST: usize = 128;

// The cells of a cluster's units: sentences, and sums over them; then those of each label, then of each class.
const ITEMS: usize = 0;
/// Ratings.
const RATINGS: usize = 1;
/// The share of agreeing pairs of raters.
const AGREED: usize = 2;
/// Krippendorff's observed disagreement: off the diagonal of the coincidence matrix.
const APART: usize = 3;
/// The same, weighted by distance.
const FAR: usize = 4;
/// Sentences that Fleiss' kappa takes, and their shares of agreeing pairs.
const FLEISS: usize = 5;
const HEAD: usize = 7;
/// Of a label: ratings, their shares of the sentence's, and Fleiss' ratings.
const LABEL: usize = 3;
/// Of a class: ratings that have it, their shares, sentences with one, and as above AGREED and APART.
const CLASS: usize = 5;
/// Of a pair: sentences that both rated, and equal labels; then for each class the first's, the second's, and both's.
const PAIR: usize = 2;
const PAIR_CLASS: usize = 3;

/// See the module.
pub(super) struct AgreementCounts {
    /// The labels in use.
    labels: Vec<LabelSet>,
    /// From each label to each; empty where distance is not asked for.
    distances: Vec<f64>,
    /// *None* and the categories.
    classes: usize,
    /// How many labels AC1 takes to be possible.
    scale: usize,
    /// A sentence may carry several categories.
    multiple: bool,
    /// Each label is one class, so that the pairs need not count labels too.
    plain: bool,
    units: Vec<f64>,
    shared: Vec<u32>,
    /// Each two raters who share a sentence.
    pub pairs: Vec<(usize, usize)>,
    pub raters: usize,
    pub items: usize,
    pub alone: usize,
    pub patients: usize,
    pub clusters: usize,
    /// Raters of each sentence that Fleiss' kappa takes, and how many those are.
    pub fleiss: (usize, usize),
}

impl AgreementCounts {
    /// Of ratings in order of sentences, one for each rater.
    pub(crate) fn of(sorted: &[Rating], categories: usize, selection: Selection) -> Self {
        let all = || sorted.chunk_by(|a, b| a.item == b.item);
        let rated = || all().filter(|item| item.len() > 1);
        let mut numbers: Vec<usize> = rated().flatten().map(|rating| rating.rater).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let number = |rater: usize| numbers.binary_search(&rater).unwrap_or_default();
        let mut labels: Vec<LabelSet> = rated().flatten().map(|rating| rating.label).collect();
        labels.sort_unstable();
        labels.dedup();
        let classes = categories + 1;
        let plain = labels.iter().all(|label| label.len() < 2 && label.iter().all(|category| category < categories));

        let mut meet = vec![false; numbers.len() * numbers.len()];
        let mut counts = vec![0; numbers.len() + 1];
        for item in rated() {
            counts[item.len()] += 1;
            for (i, one) in item.iter().enumerate() {
                for other in &item[i + 1..] {
                    meet[number(one.rater) * numbers.len() + number(other.rater)] = true;
                }
            }
        }
        let fleiss = (2..counts.len()).max_by_key(|n| counts[*n]).filter(|n| counts[*n] > 0);
        let mut place = vec![0; meet.len()];
        let mut pairs = Vec::new();
        for (at, _) in meet.iter().enumerate().filter(|(_, meet)| **meet) {
            place[at] = pairs.len();
            pairs.push((numbers[at / numbers.len()], numbers[at % numbers.len()]));
        }

        let unit_width = HEAD + LABEL * labels.len() + CLASS * classes;
        let pair_width = PAIR + PAIR_CLASS * classes + if plain { 0 } else { 2 * labels.len() };
        let most = (CELLS / (unit_width + pairs.len() * pair_width)).clamp(FEWEST, MAX_CLUSTERS);
        let clusters = Clusters::of(rated().map(|item| item[0].patient), most);
        let distances = match selection {
            Selection::Single => Vec::new(),
            Selection::Multiple => {
                labels.iter().flat_map(|one| labels.iter().map(|other| masi_distance(*one, *other))).collect()
            }
        };
        let mut tally = Self {
            distances,
            classes,
            scale: match selection {
                Selection::Single => classes.max(labels.len()),
                Selection::Multiple => labels.len(),
            },
            multiple: selection == Selection::Multiple,
            plain,
            units: vec![0.0; unit_width * clusters.count],
            shared: vec![0; pairs.len() * pair_width * clusters.count],
            raters: numbers.len(),
            items: rated().count(),
            alone: all().count() - rated().count(),
            patients: clusters.patients(),
            clusters: clusters.count,
            fleiss: fleiss.map_or((0, 0), |n| (n, counts[n])),
            labels,
            pairs,
        };
        for item in rated() {
            let cluster = clusters.at(item[0].patient);
            tally.count_unit(item, cluster);
            let row = tally.pairs.len() * pair_width * cluster;
            for (i, one) in item.iter().enumerate() {
                let from = number(one.rater) * numbers.len();
                for other in &item[i + 1..] {
                    let at = row + place[from + number(other.rater)] * pair_width;
                    tally.count_pair(at..at + pair_width, one.label, other.label);
                }
            }
        }
        tally
    }

    fn label(&self, label: LabelSet) -> usize {
        self.labels.binary_search(&label).unwrap_or_default()
    }

    fn class_at(&self, class: usize) -> usize {
        HEAD + LABEL * self.labels.len() + CLASS * class
    }

    fn unit_width(&self) -> usize {
        self.class_at(self.classes)
    }

    fn pair_width(&self) -> usize {
        PAIR + PAIR_CLASS * self.classes + if self.plain { 0 } else { 2 * self.labels.len() }
    }

    fn count_unit(&mut self, item: &[Rating], cluster: usize) {
        let labels: Vec<(usize, f64)> =
            counted(item).into_iter().map(|(label, times)| (self.label(label), times as f64)).collect();
        let raters = item.len() as f64;
        let others = raters - 1.0;
        let squares: f64 = labels.iter().map(|(_, times)| times * times).sum();
        let agreed = (squares - raters) / (raters * others);
        let mut far = 0.0;
        if !self.distances.is_empty() {
            for (i, (one, times)) in labels.iter().enumerate() {
                for (other, again) in &labels[i + 1..] {
                    far += 2.0 * times * again * self.distances[one * self.labels.len() + other] / others;
                }
            }
        }
        let fleiss = item.len() == self.fleiss.0;
        let (width, first) = (self.unit_width(), self.class_at(0));
        let unit = &mut self.units[cluster * width..(cluster + 1) * width];
        unit[ITEMS] += 1.0;
        unit[RATINGS] += raters;
        unit[AGREED] += agreed;
        unit[APART] += (raters * raters - squares) / others;
        unit[FAR] += far;
        if fleiss {
            unit[FLEISS] += 1.0;
            unit[FLEISS + 1] += agreed;
        }
        for (label, times) in &labels {
            let cells = &mut unit[HEAD + LABEL * label..][..LABEL];
            cells[0] += times;
            cells[1] += times / raters;
            cells[2] += if fleiss { *times } else { 0.0 };
        }
        for class in 0..self.classes {
            let having = item.iter().filter(|rating| rating.label.has_class(class)).count() as f64;
            let lacking = raters - having;
            let cells = &mut unit[first + CLASS * class..][..CLASS];
            cells[0] += having;
            cells[1] += having / raters;
            cells[2] += if having > 0.0 { 1.0 } else { 0.0 };
            cells[3] += (having * (having - 1.0) + lacking * (lacking - 1.0)) / (raters * others);
            cells[4] += 2.0 * having * lacking / others;
        }
    }

    fn count_pair(&mut self, cells: std::ops::Range<usize>, one: LabelSet, other: LabelSet) {
        let (first, second) = (self.label(one), self.label(other));
        let cells = &mut self.shared[cells];
        cells[0] += 1;
        cells[1] += u32::from(one == other);
        for class in 0..self.classes {
            let (one, other) = (one.has_class(class), other.has_class(class));
            let at = PAIR + PAIR_CLASS * class;
            cells[at] += u32::from(one);
            cells[at + 1] += u32::from(other);
            cells[at + 2] += u32::from(one && other);
        }
        if !self.plain {
            let at = PAIR + PAIR_CLASS * self.classes;
            cells[at + 2 * first] += 1;
            cells[at + 2 * second + 1] += 1;
        }
    }

    /// All units and all pairs.
    pub(crate) fn total(&self) -> (Vec<f64>, Vec<u32>) {
        let (mut units, mut pairs) = (Vec::new(), Vec::new());
        self.resample(&vec![1; self.clusters], &mut units, &mut pairs);
        (units, pairs)
    }

    fn resample(&self, times: &[u32], units: &mut Vec<f64>, pairs: &mut Vec<u32>) {
        weighted_sum(&self.units, self.unit_width(), times, units);
        weighted_sum(&self.shared, self.pairs.len() * self.pair_width(), times, pairs);
    }

    /// How many labels have a class, and how many sentences have such a label.
    pub(crate) fn class_counts(&self, units: &[f64], class: usize) -> (usize, usize) {
        let at = self.class_at(class);
        (units[at] as usize, units[at + 2] as usize)
    }

    /// How many sentences each pair shares.
    pub(crate) fn shared(&self, pairs: &[u32]) -> Vec<usize> {
        pairs.chunks_exact(self.pair_width()).map(|pair| pair[0] as usize).collect()
    }

    /// Each value's interval and the resamples that did not have it.
    pub(crate) fn intervals(&self, draws: Resamples) -> Vec<(Option<(f64, f64)>, usize)> {
        let (mut units, mut pairs, mut said) = (Vec::new(), Vec::new(), Vec::new());
        draws.intervals(|times, values| {
            self.resample(times, &mut units, &mut pairs);
            self.values(&units, &pairs, &mut said);
            values.clear();
            values.extend(said.iter().map(|value| value.ok()));
        })
    }

    /// Raw agreement, mean kappa, Fleiss' kappa, alpha, AC1 and (by distance, where asked for) alpha; then kappa, alpha and
    /// AC1 of each class; then raw agreement and kappa of each pair.
    pub(crate) fn values(&self, units: &[f64], pairs: &[u32], values: &mut Vec<Value>) {
        values.clear();
        let ratings = units[RATINGS];
        let labels = || units[HEAD..self.class_at(0)].chunks_exact(LABEL);
        let pairs = || pairs.chunks_exact(self.pair_width());
        values.push(over(units[AGREED], units[ITEMS]));
        values.push(mean(pairs().map(|pair| self.kappa(pair))));
        values.push(self.fleiss(units));
        let squares: f64 = labels().map(|label| label[0] * label[0]).sum();
        values.push(alpha(units[APART], ratings * ratings - squares, ratings));
        let chance: f64 = labels().map(|label| label[1] / units[ITEMS]).map(|share| share * (1.0 - share)).sum();
        values.push(ac1(units[AGREED], units[ITEMS], chance, self.scale));
        if self.multiple {
            values.push(alpha(units[FAR], self.expected_distance(units), ratings));
        }
        for class in 0..self.classes {
            let cells = &units[self.class_at(class)..][..CLASS];
            let unless_unused = |value: Value| match value {
                Err(Undefined::OneLabel) if cells[0] == 0.0 => Err(Undefined::Unused),
                other => other,
            };
            let (having, lacking, share) = (cells[0], ratings - cells[0], cells[1] / units[ITEMS]);
            values.push(unless_unused(mean(pairs().map(|pair| kappa_of_class(pair, class)))));
            values.push(unless_unused(alpha(cells[4], 2.0 * having * lacking, ratings)));
            values.push(ac1(cells[3], units[ITEMS], 2.0 * share * (1.0 - share), 2));
        }
        for pair in pairs() {
            values.push(over(f64::from(pair[1]), f64::from(pair[0])));
            values.push(self.kappa(pair));
        }
    }

    /// The product of what two raters would say by chance, summed over the labels: as counts of pairs of sentences.
    fn kappa(&self, pair: &[u32]) -> Value {
        let product = |cells: &[u32]| u64::from(cells[0]) * u64::from(cells[1]);
        let (classes, labels) = pair[PAIR..].split_at(PAIR_CLASS * self.classes);
        let chance = match self.plain {
            true => classes.chunks_exact(PAIR_CLASS).map(product).sum(),
            false => labels.chunks_exact(2).map(product).sum(),
        };
        kappa(pair[0], pair[1], chance)
    }

    fn fleiss(&self, units: &[f64]) -> Value {
        let squares: f64 = units[HEAD..self.class_at(0)].chunks_exact(LABEL).map(|label| label[2] * label[2]).sum();
        let items = units[FLEISS];
        defined(fleiss_kappa(units[FLEISS + 1], items, self.fleiss.0, squares), items)
    }

    /// The sum of distances from every rating to every other.
    fn expected_distance(&self, units: &[f64]) -> f64 {
        let used: Vec<(usize, f64)> = (0..self.labels.len())
            .map(|label| (label, units[HEAD + LABEL * label]))
            .filter(|(_, times)| *times > 0.0)
            .collect();
        let from = |one: usize| {
            let distances = &self.distances[one * self.labels.len()..];
            used.iter().map(|(other, times)| times * distances[*other]).sum::<f64>()
        };
        used.iter().map(|(one, times)| times * from(*one)).sum()
    }
}

fn over(part: f64, whole: f64) -> Value {
    if whole > 0.0 { Ok(part / whole) } else { Err(Undefined::NoOverlap) }
}

/// A coefficient over so many sentences or ratings; without any there was nothing to compare, and with some there was no chance
/// to do better than chance.
fn defined(coefficient: Option<f64>, over: f64) -> Value {
    coefficient.ok_or(if over > 0.0 { Undefined::OneLabel } else { Undefined::NoOverlap })
}

fn kappa(items: u32, agreed: u32, chance: u64) -> Value {
    defined(cohen_kappa(items.into(), agreed.into(), chance), items.into())
}

fn alpha(apart: f64, expected: f64, ratings: f64) -> Value {
    defined(krippendorff_alpha(apart, expected, ratings), ratings)
}

fn ac1(agreed: f64, items: f64, chance: f64, scale: usize) -> Value {
    defined(gwet_ac1(agreed, items, chance, scale), items)
}

fn kappa_of_class(pair: &[u32], class: usize) -> Value {
    let cells = &pair[PAIR + PAIR_CLASS * class..];
    let (items, first, second) = (u64::from(pair[0]), u64::from(cells[0]), u64::from(cells[1]));
    kappa(pair[0], pair[0] + 2 * cells[2] - cells[0] - cells[1], first * second + (items - first) * (items - second))
}

/// The mean of those that are defined.
fn mean(values: impl Iterator<Item = Value>) -> Value {
    let (mut sum, mut count, mut why) = (0.0, 0, Undefined::NoOverlap);
    for value in values {
        match value {
            Ok(value) => (sum, count) = (sum + value, count + 1),
            // That nothing was shared matters only where nobody shared anything.
            Err(Undefined::NoOverlap) => {}
            Err(reason) => why = reason,
        }
    }
    if count > 0 { Ok(sum / f64::from(count)) } else { Err(why) }
}
