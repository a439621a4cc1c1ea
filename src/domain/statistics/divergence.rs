//! How far apart two distributions are, each given as counts of the same things in the same order. `None` where one of them
//! is empty.

fn total(counts: &[u64]) -> f64 {
    counts.iter().map(|&count| count as f64).sum()
}

fn at(counts: &[u64], i: usize) -> f64 {
    counts.get(i).map_or(0.0, |&count| count as f64)
}

/// The Jensen-Shannon divergence (Lin 1991) in bits, `H((P + Q) / 2) - (H(P) + H(Q)) / 2`: 0 for the same shares, 1 for
/// nothing in common. The square of scipy's `jensenshannon(p, q, base=2)`, which is a distance.
pub fn jensen_shannon(p: &[u64], q: &[u64]) -> Option<f64> {
    let (all_p, all_q) = (total(p), total(q));
    let term = |x: f64, mean: f64| if x > 0.0 { x * (x / mean).log2() } else { 0.0 };
    let sum: f64 = (0..p.len().max(q.len()))
        .map(|i| {
            let (x, y) = (at(p, i) / all_p, at(q, i) / all_q);
            let mean = f64::midpoint(x, y);
            term(x, mean) + term(y, mean)
        })
        .sum();
    // Rounding can leave a trace outside.
    (all_p > 0.0 && all_q > 0.0).then(|| (sum / 2.0).clamp(0.0, 1.0))
}

/// The Kolmogorov-Smirnov distance, `max |F(x) - G(x)|`: the widest gap between the two cumulative distributions, 0 to 1. The
/// statistic of scipy's `ks_2samp`.
pub fn kolmogorov_smirnov(p: &[u64], q: &[u64]) -> Option<f64> {
    let (all_p, all_q) = (total(p), total(q));
    let (mut below_p, mut below_q, mut widest) = (0.0, 0.0, 0.0_f64);
    for i in 0..p.len().max(q.len()) {
        below_p += at(p, i);
        below_q += at(q, i);
        widest = widest.max((below_p / all_p - below_q / all_q).abs());
    }
    (all_p > 0.0 && all_q > 0.0).then_some(widest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // print(jensenshannon([5, 3, 0], [2, 2, 4], base=2) ** 2)
    // print(ks_2samp([0] * 5 + [1] * 3, [0] * 2 + [1] * 2 + [2] * 4).statistic)
    #[test]
    fn distances_are_those_of_scipy() {
        let (p, q) = ([5, 3, 0], [2, 2, 4]);
        assert!((jensen_shannon(&p, &q).unwrap() - 0.318962690485015).abs() < 1e-12);
        assert_eq!(kolmogorov_smirnov(&p, &q), Some(0.5));
    }

    proptest! {
        #[test]
        fn distances_stay_between_0_and_1_and_are_0_to_itself(
            p in proptest::collection::vec(0u64..9, 0..5),
            q in proptest::collection::vec(0u64..9, 0..5),
        ) {
            for distance in [jensen_shannon, kolmogorov_smirnov] {
                prop_assert!(distance(&p, &q).is_none_or(|d| (0.0..=1.0 + 1e-12).contains(&d)));
                prop_assert!(distance(&p, &p).is_none_or(|d| d == 0.0));
                prop_assert_eq!(distance(&p, &q).is_none(), p.iter().sum::<u64>() == 0 || q.iter().sum::<u64>() == 0);
            }
        }
    }
}
