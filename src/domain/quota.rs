//! How many sentences are written for each category.

/// Shares `total` out in proportion to the weights by largest remainders, so that the parts sum to it; of equal
/// remainders the earlier part gets one more. Without any weight everyone gets the same.
pub(crate) fn share_out(total: usize, weights: &[f64]) -> Vec<usize> {
    if weights.is_empty() {
        return Vec::new();
    }
    let sum: f64 = weights.iter().sum();
    let exact: Vec<f64> = match sum > 0.0 {
        true => weights.iter().map(|w| total as f64 * w / sum).collect(),
        false => vec![total as f64 / weights.len() as f64; weights.len()],
    };
    let mut parts: Vec<usize> = exact.iter().map(|e| e.floor() as usize).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()).then(a.cmp(b)));
    let left = total.saturating_sub(parts.iter().sum());
    for at in order.into_iter().take(left) {
        parts[at] += 1;
    }
    parts
}

/// The more a category lacks in gold, the more it gets: one over its count and one.
pub(crate) fn inverse(counts: &[usize]) -> Vec<f64> {
    counts.iter().map(|n| 1.0 / (*n as f64 + 1.0)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_follow_the_weights() {
        assert_eq!(share_out(10, &[1.0, 1.0, 2.0]), [3, 2, 5]);
        assert_eq!(share_out(4, &[0.0, 0.0]), [2, 2]);
        // 1, 1/2 and 1/6 of 12/(1 + 1/2 + 1/6): 7.2, 3.6 and 1.2.
        assert_eq!(share_out(12, &inverse(&[0, 1, 5])), [7, 4, 1]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(total in 0usize..10_000, weights in proptest::collection::vec(0.0f64..100.0, 1..20)) {
            prop_assert_eq!(share_out(total, &weights).iter().sum::<usize>(), total);
        }
    }
}
