//! Where labels may be wrong: confident learning (Northcutt, Jiang and Chuang, 2021) on probabilities of a classifier that
//! has not seen the labels it is asked about.
//!
//! The arithmetic is that of cleanlab 2.9, `find_label_issues(filter_by="confident_learning",
//! return_indices_ranked_by="self_confidence")`, held to its output by the tests.

use super::corpus::SentenceId;
use super::label::Label;
use super::split::Tier;

/// Two numbers nearer than this are the same.
const NEAR: f64 = 1e-6;
/// No threshold is below this.
const LEAST_THRESHOLD: f64 = 2e-6;
/// The threshold of a class without items: no probability reaches it.
const NEVER: f64 = 2.0;
/// How fast the score of a set of categories forgets all but its worst.
const FORGETTING: f64 = 0.8;

/// A label that may be wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Suspect {
    pub item: usize,
    /// The classes that the classifier would give it.
    pub suggested: Vec<usize>,
    /// Probability of what is suggested in place of what is given; the least of them where several categories are.
    pub confidence: f64,
    /// Probability of the label as given: the lower, the worse.
    pub self_confidence: f64,
    /// How far the label as given is ahead of its nearest rival: 0 for certainly wrong, 1/2 for level, 1 for certainly right.
    pub margin: f64,
}

/// What was counted, and the suspects, worst first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Suspicion {
    /// For each class, how sure the classifier is on average of items labelled so.
    pub thresholds: Vec<f64>,
    /// Items by given class (rows) and the class that they confidently belong to; the diagonal is at least 1.
    pub joint: Vec<Vec<u64>>,
    /// Worst first.
    pub suspects: Vec<Suspect>,
}

/// A sentence's label in doubt, as it is stored and shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Doubt {
    pub sentence: SentenceId,
    /// Whose label: experts' (gold) or a language model's (silver).
    pub tier: Tier,
    /// The label in doubt.
    pub given: Label,
    /// What the classifier says.
    pub suggested: Label,
    /// How sure it is of that.
    pub confidence: f64,
    /// See [`Suspect::self_confidence`].
    pub self_confidence: f64,
    /// See [`Suspect::margin`].
    pub margin: f64,
}

/// Suspects among items with exactly one class each. A probability that is missing counts as 0; an item whose class is not
/// among the probabilities is left out.
pub(crate) fn single(given: &[usize], probabilities: &[Vec<f64>]) -> Suspicion {
    let classes = probabilities.iter().map(Vec::len).max().unwrap_or(0);
    let p = |row: &[f64], class: usize| row.get(class).copied().unwrap_or(0.0);
    let items = || given.iter().copied().zip(probabilities).enumerate().filter(|(_, (class, _))| *class < classes);
    let mut sums = vec![(0.0, 0u64); classes];
    for (_, (class, row)) in items() {
        sums[class].0 += p(row, class);
        sums[class].1 += 1;
    }
    let mean = |(sum, n): &(f64, u64)| if *n == 0 { NEVER } else { (sum / *n as f64).max(LEAST_THRESHOLD) };
    let thresholds: Vec<f64> = sums.iter().map(mean).collect();
    let mut joint = vec![vec![0; classes]; classes];
    let mut suspects = Vec::new();
    for (item, (class, row)) in items() {
        let mut confident = (0..classes).filter(|k| p(row, *k) >= thresholds[*k] - NEAR);
        let guess = match (confident.next(), confident.next()) {
            (None, _) => continue,
            (Some(only), None) => only,
            (Some(_), Some(_)) => likeliest(row, None),
        };
        joint[class][guess] += 1;
        // Where the label as given is as good as the best, there is nothing to say against it.
        let suggested = likeliest(row, Some(class));
        if guess == class || suggested == class {
            continue;
        }
        let self_confidence = p(row, class);
        let confidence = p(row, suggested);
        let margin = (self_confidence - confidence + 1.0) / 2.0;
        suspects.push(Suspect { item, suggested: vec![suggested], confidence, self_confidence, margin });
    }
    for (class, row) in joint.iter_mut().enumerate() {
        row[class] = row[class].max(1);
    }
    rank(&mut suspects);
    Suspicion { thresholds, joint, suspects }
}

/// Suspects among items with any number of categories. As in cleanlab's `find_label_issues(multi_label=True)`, each category
/// is a question of its own with the classes *no* and *yes*; an item is suspect if any answer is. Its score is that of its
/// answers from the best to the worst in an exponential moving average with a forgetting factor of 0.8, so the worst
/// counts most. With two classes an answer's margin is its self-confidence, and so it is with sets. Thresholds are those of
/// *yes*; the joint counts hold for one question and are left empty.
pub(crate) fn multiple(given: &[Vec<usize>], probabilities: &[Vec<f64>]) -> Suspicion {
    let categories = probabilities.iter().map(Vec::len).max().unwrap_or(0);
    let p = |row: &[f64], category: usize| row.get(category).copied().unwrap_or(0.0);
    let mut thresholds = Vec::with_capacity(categories);
    let mut doubted: Vec<Vec<usize>> = vec![Vec::new(); given.len()];
    for category in 0..categories {
        let answers: Vec<usize> = given.iter().map(|set| usize::from(set.contains(&category))).collect();
        let of_both: Vec<Vec<f64>> =
            probabilities.iter().map(|row| vec![1.0 - p(row, category), p(row, category)]).collect();
        let found = single(&answers, &of_both);
        thresholds.push(found.thresholds.get(1).copied().unwrap_or(NEVER));
        for suspect in found.suspects {
            doubted[suspect.item].push(category);
        }
    }
    let mut suspects = Vec::new();
    for (item, ((set, row), doubted)) in given.iter().zip(probabilities).zip(&doubted).enumerate() {
        if doubted.is_empty() {
            continue;
        }
        let of_given = |category: usize| {
            let yes = p(row, category);
            if set.contains(&category) { yes } else { 1.0 - yes }
        };
        let mut scores: Vec<f64> = (0..categories).map(of_given).collect();
        scores.sort_unstable_by(|a, b| b.total_cmp(a));
        let score = scores.into_iter().reduce(|mean, next| FORGETTING * next + (1.0 - FORGETTING) * mean);
        let confidence = doubted.iter().map(|category| 1.0 - of_given(*category)).fold(1.0, f64::min);
        let suggested = (0..categories).filter(|c| set.contains(c) != doubted.contains(c)).collect();
        let self_confidence = score.unwrap_or(0.0);
        suspects.push(Suspect { item, suggested, confidence, self_confidence, margin: self_confidence });
    }
    rank(&mut suspects);
    Suspicion { thresholds, joint: Vec::new(), suspects }
}

/// The first of the largest, the favoured one being lifted a little.
fn likeliest(row: &[f64], favoured: Option<usize>) -> usize {
    let lifted = row.iter().enumerate().map(|(class, p)| (class, if Some(class) == favoured { p + NEAR } else { *p }));
    lifted.fold((0, f64::NEG_INFINITY), |best, (class, p)| if p > best.1 { (class, p) } else { best }).0
}

fn rank(suspects: &mut [Suspect]) {
    suspects.sort_by(|a, b| a.self_confidence.total_cmp(&b.self_confidence).then(a.item.cmp(&b.item)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::seq::SliceRandom;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Case<L> {
        name: String,
        labels: Vec<L>,
        probabilities: Vec<Vec<f64>>,
        issues: Vec<usize>,
        self_confidence: Vec<f64>,
        #[serde(default)]
        thresholds: Vec<f64>,
        #[serde(default)]
        joint: Vec<Vec<u64>>,
        #[serde(default)]
        margin: Vec<f64>,
        #[serde(default)]
        of_category: Vec<Vec<usize>>,
    }

    /// What tests/reference/confident.py wrote: cleanlab's own output.
    #[derive(Deserialize)]
    struct Reference {
        single: Vec<Case<usize>>,
        multiple: Vec<Case<Vec<usize>>>,
    }

    fn reference() -> Reference {
        serde_json::from_str(include_str!("../../tests/data/confident.json")).unwrap()
    }

    fn items(found: &Suspicion) -> Vec<usize> {
        found.suspects.iter().map(|suspect| suspect.item).collect()
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn suspects_are_those_of_cleanlab() {
        for case in reference().single {
            let found = single(&case.labels, &case.probabilities);
            assert_eq!(items(&found), case.issues, "{}", case.name);
            assert_eq!(found.joint, case.joint, "{}", case.name);
            assert!(found.thresholds.iter().zip(&case.thresholds).all(|(a, b)| close(*a, *b)), "{}", case.name);
            for suspect in &found.suspects {
                assert!(close(suspect.self_confidence, case.self_confidence[suspect.item]), "{suspect:?}");
                assert!(close(suspect.margin, case.margin[suspect.item]), "{suspect:?}");
                assert!(suspect.confidence > suspect.self_confidence, "{suspect:?}");
            }
        }
    }

    #[test]
    fn suspect_sets_are_those_of_cleanlab() {
        for case in reference().multiple {
            let found = multiple(&case.labels, &case.probabilities);
            assert_eq!(items(&found), case.issues, "{}", case.name);
            for suspect in &found.suspects {
                assert!(close(suspect.self_confidence, case.self_confidence[suspect.item]), "{suspect:?}");
                let flipped: Vec<usize> = (0..case.of_category.len())
                    .filter(|c| suspect.suggested.contains(c) != case.labels[suspect.item].contains(c))
                    .collect();
                let expected: Vec<usize> =
                    (0..case.of_category.len()).filter(|c| case.of_category[*c].contains(&suspect.item)).collect();
                assert_eq!(flipped, expected, "item {}", suspect.item);
            }
        }
    }

    #[test]
    fn the_suggestion_is_what_the_classifier_says() {
        let found = single(&[0, 0, 1, 1], &[vec![0.9, 0.1], vec![0.02, 0.98], vec![0.1, 0.9], vec![0.2, 0.8]]);
        let [suspect] = found.suspects.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!((suspect.item, suspect.suggested.as_slice()), (1, [1].as_slice()));
        assert!(close(suspect.confidence, 0.98) && close(suspect.self_confidence, 0.02) && close(suspect.margin, 0.02));
    }

    fn rows(seed: u64, n: usize, classes: usize) -> (Vec<usize>, Vec<Vec<f64>>) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let given = (0..n).map(|_| random.random_range(0..classes)).collect();
        let probabilities = (0..n)
            .map(|_| {
                let row: Vec<f64> = (0..classes).map(|_| -f64::ln(1.0 - random.random::<f64>())).collect();
                let sum: f64 = row.iter().sum();
                row.into_iter().map(|p| p / sum).collect()
            })
            .collect();
        (given, probabilities)
    }

    proptest! {
        /// Which number a class has says nothing.
        #[test]
        fn the_order_of_classes_changes_nothing(seed in any::<u64>(), n in 1usize..80, classes in 2usize..7) {
            let (given, probabilities) = rows(seed, n, classes);
            let mut order: Vec<usize> = (0..classes).collect();
            order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed ^ 1));
            let renamed: Vec<usize> = given.iter().map(|class| order[*class]).collect();
            let moved: Vec<Vec<f64>> = probabilities
                .iter()
                .map(|row| {
                    let mut to = vec![0.0; classes];
                    row.iter().zip(&order).for_each(|(p, at)| to[*at] = *p);
                    to
                })
                .collect();
            let (found, again) = (single(&given, &probabilities), single(&renamed, &moved));
            prop_assert_eq!(items(&found), items(&again));
            for (a, b) in found.suspects.iter().zip(&again.suspects) {
                prop_assert_eq!(order[a.suggested[0]], b.suggested[0]);
            }
            let sets = |given: &[usize]| given.iter().map(|class| vec![*class]).collect::<Vec<_>>();
            prop_assert_eq!(
                items(&multiple(&sets(&given), &probabilities)).len(),
                items(&multiple(&sets(&renamed), &moved)).len()
            );
        }

        /// Ragged rows, classes that are not there, what is no number: something comes of it, and never a panic.
        #[test]
        fn nothing_makes_it_fall(
            given in prop::collection::vec(0usize..6, 0..20),
            probabilities in prop::collection::vec(prop::collection::vec(any::<f64>(), 0..5), 0..20),
        ) {
            let found = single(&given, &probabilities);
            prop_assert!(found.suspects.iter().all(|suspect| suspect.item < given.len()));
            let sets: Vec<Vec<usize>> = given.iter().map(|class| vec![*class]).collect();
            multiple(&sets, &probabilities);
        }
    }
}
