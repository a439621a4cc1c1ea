//! Coefficients of agreement beyond chance, from sums that the caller has counted. `None` where they are 0/0: there is
//! nothing to compare, or chance alone makes everyone agree.

use std::hash::Hash;

use rustc_hash::FxHashMap;

use crate::domain::label_set::LabelSet;

/// Cohen's kappa (1960), `(Po - Pe) / (1 - Pe)`. `chance` is the sum over the labels of how often the one rater gave it times
/// how often the other did. All of it is multiplied by the square of the number of sentences, so that 0/0 is exact.
pub(crate) fn cohen_kappa(items: u64, agreed: u64, chance: u64) -> Option<f64> {
    let all = items * items;
    (all != chance).then(|| ((agreed * items) as f64 - chance as f64) / (all - chance) as f64)
}

/// Cohen's kappa of two raters' labels of the same sentences.
pub(crate) fn cohen_kappa_of_pairs<L: Eq + Hash>(pairs: impl IntoIterator<Item = (L, L)>) -> Option<f64> {
    let (mut items, mut agreed) = (0, 0);
    let mut counts: FxHashMap<L, (u64, u64)> = FxHashMap::default();
    for (one, other) in pairs {
        items += 1;
        agreed += u64::from(one == other);
        counts.entry(one).or_default().0 += 1;
        counts.entry(other).or_default().1 += 1;
    }
    cohen_kappa(items, agreed, counts.values().map(|(one, other)| one * other).sum())
}

/// Fleiss' kappa (1971) of sentences that have equally many `raters`. `agreed` is the sum over them of the share of their pairs
/// of raters that agree, `squares` the sum over the labels of the square of how often each was given.
pub(crate) fn fleiss_kappa(agreed: f64, items: f64, raters: usize, squares: f64) -> Option<f64> {
    let ratings = items * raters as f64;
    let (agreed, chance) = (agreed / items, squares / (ratings * ratings));
    (items > 0.0 && squares != ratings * ratings).then(|| (agreed - chance) / (1.0 - chance))
}

/// Krippendorff's alpha (2004), `1 - Do / De`. `apart` is the observed disagreement: off the diagonal of the coincidence matrix,
/// weighted by distance where there is one. `expected` is that of every rating with every other.
pub(crate) fn krippendorff_alpha(apart: f64, expected: f64, ratings: f64) -> Option<f64> {
    (ratings > 0.0 && expected > 0.0).then(|| 1.0 - apart * (ratings - 1.0) / expected)
}

/// Gwet's AC1 (2008), `(Pa - Pe) / (1 - Pe)`. `agreed` is the sum over sentences of the share of their pairs of raters that agree.
/// Pe is `chance / (scale - 1)`, with `chance` the sum over the labels of `p (1 - p)`, p being the mean over sentences of the
/// share of raters that gave it, and `scale` the number of labels.
pub(crate) fn gwet_ac1(agreed: f64, items: f64, chance: f64, scale: usize) -> Option<f64> {
    let chance = chance / (scale.max(2) - 1) as f64;
    (items > 0.0 && scale > 1).then(|| (agreed / items - chance) / (1.0 - chance))
}

/// How far two sets are from each other: Passonneau's MASI (2006), 1 - Jaccard times monotonicity, as nltk has it since 3.10
/// (before, its thirds were 0.67 and 0.33). Two empty sets are the same.
pub(crate) fn masi_distance(one: LabelSet, other: LabelSet) -> f64 {
    if one == other {
        return 0.0;
    }
    let (both, either) = (one.intersection(other).len(), one.union(other).len());
    let monotonicity = match () {
        () if both == one.len().min(other.len()) => 2.0 / 3.0,
        () if both > 0 => 1.0 / 3.0,
        () => 0.0,
    };
    1.0 - both as f64 / either as f64 * monotonicity
}

#[cfg(test)]
mod tests {
    use super::*;

    // from sklearn.metrics import cohen_kappa_score
    // cohen_kappa_score([0, 1, 1, 2, 0, 0], [0, 1, 2, 2, 0, 1])  # 0.5
    #[test]
    fn kappa_is_that_of_scikit_learn() {
        let pairs = [(0, 0), (1, 1), (1, 2), (2, 2), (0, 0), (0, 1)];
        assert!((cohen_kappa_of_pairs(pairs).unwrap() - 0.5).abs() < 1e-12);
        assert_eq!(cohen_kappa_of_pairs(pairs[..1].iter().copied()), None, "one label alone");
        assert_eq!(cohen_kappa_of_pairs::<u64>([]), None);
    }

    #[test]
    fn masi_is_that_of_nltk() {
        let reference: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/data/agreement.json")).unwrap();
        for case in reference["masi"].as_array().unwrap() {
            let [one, other] = ["one", "other"].map(|set| LabelSet::from_bits(case[set].as_u64().unwrap()));
            let expected = case["distance"].as_f64().unwrap();
            assert!((masi_distance(one, other) - expected).abs() < 1e-15, "{case}");
        }
        assert_eq!(
            masi_distance(LabelSet::NONE, LabelSet::NONE),
            0.0,
            "None and None are the same, where nltk divides by zero"
        );
    }
}
