//! How far experts agree: raw agreement, Cohen's and Fleiss' kappa, Krippendorff's alpha, Gwet's AC1, overall and by
//! category, with intervals by patient; and which categories they confuse.
//!
//! All of it is over the sentences that at least two rated. What is undefined stays undefined and says why: with one label
//! alone in use there is no chance to agree better than by chance, and kappa and alpha are 0/0. AC1 is defined even then.

mod anchoring;
mod tally;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use super::label_set::LabelSet;
use super::metrics::confused;
use super::statistics::{Bootstrap, Estimate, Resamples};
use super::taxonomy::Selection;
pub(crate) use anchoring::{Anchoring, AnchoringVerdict, SilverDecision};
use tally::AgreementCounts;

/// One expert's label on one sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rating {
    /// Which sentence, numbered by the caller.
    pub item: u32,
    /// Whose note it is, numbered by the caller: the bootstrap draws patients, not sentences.
    pub patient: u32,
    /// Which expert, numbered by the caller.
    pub rater: usize,
    pub label: LabelSet,
}

/// Why there is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undefined {
    /// There is nothing to compare.
    NoOverlap,
    /// Chance alone makes everyone agree.
    OneLabel,
    /// A category that nobody chose.
    Unused,
    /// No decision with silver in sight.
    NeverSeen,
    /// No decision with silver hidden.
    NeverHidden,
}

impl fmt::Display for Undefined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoOverlap => "no sentence was rated by two",
            Self::OneLabel => "only one label was used",
            Self::Unused => "nobody chose it",
            Self::NeverSeen => "nobody decided with silver in sight",
            Self::NeverHidden => "nobody decided with silver hidden",
        })
    }
}

impl Serialize for Undefined {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A number with its interval, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Coefficient {
    /// The number and its 95 % interval.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// Why there is no number.
    pub undefined: Option<Undefined>,
    /// Resamples in which it was undefined: they are left out of the interval.
    pub left_out: usize,
}

impl Coefficient {
    fn new(value: Result<f64, Undefined>, said: Option<(Option<(f64, f64)>, usize)>) -> Self {
        let (interval, left_out) = if value.is_ok() { said.unwrap_or_default() } else { (None, 0) };
        Self { estimate: Estimate { value: value.ok(), interval }, undefined: value.err(), left_out }
    }

    /// The number.
    pub(crate) fn value(&self) -> Option<f64> {
        self.estimate.value
    }
}

/// Fleiss' kappa, which takes sentences with equally many raters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Fleiss {
    /// The number.
    pub kappa: Coefficient,
    /// How many rated each of its sentences: the commonest number of two and more.
    pub raters: usize,
    /// How many sentences those are.
    pub items: usize,
    /// How many sentences were rated by two or more, but not by so many.
    pub left_out: usize,
}

/// Agreement on one category against all else.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ClassAgreement {
    /// Mean of Cohen's kappa over the pairs of experts for whom it is defined.
    pub kappa: Coefficient,
    /// Krippendorff's alpha.
    pub alpha: Coefficient,
    /// Gwet's AC1.
    pub ac1: Coefficient,
    /// Labels that have it.
    pub chosen: usize,
    /// Sentences for which at least one expert chose it.
    pub items: usize,
}

/// Agreement of two experts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct RaterPair {
    pub first: usize,
    /// The other.
    pub second: usize,
    /// Sentences that both rated.
    pub items: usize,
    /// The share of them with the same label.
    pub raw: Coefficient,
    /// Cohen's kappa.
    pub kappa: Coefficient,
}

/// How far experts agree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Agreement {
    /// Experts who share a sentence with another.
    pub raters: usize,
    /// Sentences that at least two rated.
    pub items: usize,
    pub patients: usize,
    /// Sentences that one alone rated; they say nothing here.
    pub alone: usize,
    /// The chance that two experts of a sentence, drawn at random, gave the same label.
    pub raw: Coefficient,
    /// Mean of Cohen's kappa over the pairs of experts for whom it is defined.
    pub kappa: Coefficient,
    /// Fleiss' kappa.
    pub fleiss: Fleiss,
    /// Krippendorff's alpha, labels being the same or not.
    pub alpha: Coefficient,
    /// Krippendorff's alpha with MASI distance, which lets sets that share categories be nearer; where a sentence may
    /// carry several categories.
    pub alpha_masi: Option<Coefficient>,
    /// Gwet's AC1, which holds its value where one label dominates. With several categories for a sentence its scale is
    /// the label sets in use.
    pub ac1: Coefficient,
    /// *None* first, then each category, against all else.
    pub classes: Vec<ClassAgreement>,
    /// Each two experts who share a sentence.
    pub pairs: Vec<RaterPair>,
    /// How the intervals were made.
    pub bootstrap: Bootstrap,
}

/// Measures agreement. `categories` is the taxonomy's size. Of several ratings of a sentence by one expert the last counts.
pub(crate) fn agreement(
    ratings: &[Rating],
    categories: usize,
    selection: Selection,
    bootstrap: Bootstrap,
) -> Agreement {
    let sorted = by_item(ratings);
    let tally = AgreementCounts::of(&sorted, categories, selection);
    let mut values = Vec::new();
    let (units, pairs) = tally.total();
    tally.values(&units, &pairs, &mut values);
    let intervals = Resamples::new(tally.clusters, bootstrap).map(|draws| tally.intervals(draws));
    let mut at = 0;
    let mut next = || {
        let said = intervals.as_ref().map(|all| all[at]);
        at += 1;
        Coefficient::new(values[at - 1], said)
    };
    // In the order of `AgreementCounts::values`.
    let (raw, kappa, fleiss, alpha, ac1) = (next(), next(), next(), next(), next());
    let alpha_masi = (selection == Selection::Multiple).then(&mut next);
    let classes = (0..=categories).map(|class| {
        let (chosen, items) = tally.class_counts(&units, class);
        ClassAgreement { kappa: next(), alpha: next(), ac1: next(), chosen, items }
    });
    let classes = classes.collect();
    let pairs = tally.pairs.iter().zip(tally.shared(&pairs)).map(|((first, second), items)| RaterPair {
        first: *first,
        second: *second,
        items,
        raw: next(),
        kappa: next(),
    });
    let pairs = pairs.collect();
    Agreement {
        raters: tally.raters,
        items: tally.items,
        patients: tally.patients,
        alone: tally.alone,
        raw,
        kappa,
        fleiss: Fleiss {
            kappa: fleiss,
            raters: tally.fleiss.0,
            items: tally.fleiss.1,
            left_out: tally.items - tally.fleiss.1,
        },
        alpha,
        alpha_masi,
        ac1,
        classes,
        pairs,
        bootstrap,
    }
}

/// An expert's two looks at one sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RepeatedJudgement {
    pub patient: u32,
    /// The label of the first look.
    pub earlier: LabelSet,
    /// The label of the second.
    pub later: LabelSet,
}

/// How far an expert agrees with what the same expert said before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct SelfAgreement {
    /// Sentences looked at twice.
    pub items: usize,
    /// The share of them with the same label.
    pub raw: Coefficient,
    /// Cohen's kappa of the earlier and the later labels.
    pub kappa: Coefficient,
}

impl SelfAgreement {
    /// `None` where nothing was looked at twice.
    pub(crate) fn of(
        looks: &[RepeatedJudgement],
        categories: usize,
        selection: Selection,
        bootstrap: Bootstrap,
    ) -> Option<Self> {
        let rating = |item, patient, rater, label| Rating { item, patient, rater, label };
        let ratings = (0..).zip(looks).flat_map(|(item, look)| {
            [rating(item, look.patient, 0, look.earlier), rating(item, look.patient, 1, look.later)]
        });
        let pair = agreement(&ratings.collect::<Vec<_>>(), categories, selection, bootstrap).pairs.pop()?;
        Some(Self { items: pair.items, raw: pair.raw, kappa: pair.kappa })
    }
}

/// Two categories (0 is *None*) that experts choose one for the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Confusable {
    /// The one, which comes first in the taxonomy.
    pub one: usize,
    pub other: usize,
    /// How often two experts of a sentence differ in this.
    pub count: u64,
    /// Of all such differences.
    pub share: f64,
    /// The sentences, most disputed first.
    pub items: Vec<u32>,
}

/// What experts confuse, most often first. Where a sentence may carry several categories, each category that one expert alone
/// chose is set against each that the other alone chose, or against *None* where there is no such (as in
/// [`super::metrics::Confusion`]).
pub(crate) fn confusions(ratings: &[Rating]) -> Vec<Confusable> {
    let mut found: BTreeMap<(usize, usize), Vec<(u64, u32)>> = BTreeMap::new();
    let sorted = by_item(ratings);
    for item in sorted.chunk_by(|a, b| a.item == b.item) {
        let mut here: BTreeMap<(usize, usize), u64> = BTreeMap::new();
        let labels = counted(item);
        for (i, (one, times)) in labels.iter().enumerate() {
            for (other, again) in &labels[i + 1..] {
                for (a, b) in confused(*one, *other).into_iter().filter(|(a, b)| a != b) {
                    *here.entry((a.min(b), a.max(b))).or_default() += times * again;
                }
            }
        }
        for (pair, count) in here {
            found.entry(pair).or_default().push((count, item[0].item));
        }
    }
    let all: u64 = found.values().flatten().map(|(count, _)| count).sum();
    let mut pairs: Vec<Confusable> = found
        .into_iter()
        .map(|((one, other), mut items)| {
            let count = items.iter().map(|(count, _)| count).sum();
            items.sort_by_key(|(count, item)| (std::cmp::Reverse(*count), *item));
            let items = items.into_iter().map(|(_, item)| item).collect();
            Confusable { one, other, count, share: count as f64 / all as f64, items }
        })
        .collect();
    pairs.sort_by_key(|pair| std::cmp::Reverse(pair.count));
    pairs
}

/// In order of sentences and raters, one rating for each: the last.
fn by_item(ratings: &[Rating]) -> Vec<Rating> {
    let mut sorted = ratings.to_vec();
    sorted.sort_by_key(|rating| (rating.item, rating.rater));
    sorted.dedup_by(|later, earlier| {
        let same = (later.item, later.rater) == (earlier.item, earlier.rater);
        if same {
            *earlier = *later;
        }
        same
    });
    sorted
}

/// How often each label was given to one sentence.
fn counted(item: &[Rating]) -> Vec<(LabelSet, u64)> {
    let mut labels: Vec<(LabelSet, u64)> = Vec::new();
    for rating in item {
        match labels.iter_mut().find(|(label, _)| *label == rating.label) {
            Some((_, times)) => *times += 1,
            None => labels.push((rating.label, 1)),
        }
    }
    labels
}

#[cfg(test)]
mod tests;
