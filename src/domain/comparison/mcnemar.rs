//! McNemar's test: of the sentences that one system alone has right, how many are whose.

use serde::Serialize;

/// McNemar's test of two systems' accuracy on the same sentences. It takes sentences as independent, which those of one
/// patient are not; the bootstrap by patient is beside it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct McNemar {
    /// Sentences that only the first has right.
    pub first_only: u64,
    /// Sentences that only the second has right.
    pub second_only: u64,
    /// Two-sided exact p: `min(1, 2 P[Bin(n, 1/2) <= min])`, the one to report.
    pub exact: f64,
    /// Less conservative: only half of the probability of what was seen counts.
    pub mid_p: f64,
    /// `(|b - c| - 1)^2 / (b + c)`; `None` where they never differ.
    pub chi2_corrected: Option<f64>,
    /// p of the corrected statistic.
    pub chi2_p: Option<f64>,
}

impl McNemar {
    /// From the counts of sentences that only one has right.
    pub fn of(first_only: u64, second_only: u64) -> Self {
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
    pub fn from_labels(gold: impl IntoIterator<Item = u64>, first: &[u64], second: &[u64]) -> Self {
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

/// `P[Bin(n, 1/2) <= k]` and `P[Bin(n, 1/2) = k]`; terms in logarithms, since 2^-n is 0 for a large test set.
fn binomial_half(k: u64, n: u64) -> (f64, f64) {
    let mut log = -(n as f64) * std::f64::consts::LN_2;
    let mut sum = log.exp();
    for i in 1..=k {
        log += ((n - i + 1) as f64).ln() - (i as f64).ln();
        sum += log.exp();
    }
    (sum, log.exp())
}

/// The complementary error function for x >= 0: Taylor's series where it converges fast, else the continued fraction
/// (Abramowitz and Stegun, 7.1.5 and 7.1.14).
fn erfc(x: f64) -> f64 {
    let root_pi = std::f64::consts::PI.sqrt();
    if x < 2.0 {
        let (mut term, mut sum) = (x, x);
        for n in 1..100 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return 1.0 - 2.0 / root_pi * sum;
    }
    let tail = (1..=100).rev().fold(x, |tail, n| x + f64::from(n) / 2.0 / tail);
    (-x * x).exp() / root_pi / tail
}

/// Each sentence's label by the majority of seeds; where several are as frequent, that of the earliest seed among them.
///
/// McNemar's test compares two sets of labels. The first seed's alone would be a choice of one seed, and all seeds' pooled
/// would count each sentence several times; so the seeds vote. The vote is often a little better than the mean of the seeds,
/// so its accuracy is not the accuracy in the table.
pub fn majority(seeds: &[&[u64]]) -> Vec<u64> {
    let sentences = seeds.iter().map(|labels| labels.len()).min().unwrap_or(0);
    let vote = |sentence: usize| {
        let votes = |label: u64| seeds.iter().filter(|labels| labels[sentence] == label).count();
        let mut best = (0, 0);
        for labels in seeds {
            let count = votes(labels[sentence]);
            if count > best.0 {
                best = (count, labels[sentence]);
            }
        }
        best.1
    };
    (0..sentences).map(vote).collect()
}
