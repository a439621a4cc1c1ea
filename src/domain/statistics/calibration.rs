//! How far probabilities are off.

/// Expected calibration error (Naeini and others, 2015; Guo and others, 2017): the sum over bins of
/// `|bin| / n |accuracy(bin) - mean confidence(bin)|`, the bins of equal width, `[low, high)`, and a confidence of 1 in the
/// last one. `None` for no predictions.
pub fn expected_calibration_error(confidence: &[f32], correct: &[bool], bins: usize) -> Option<f64> {
    let mut sums = vec![(0usize, 0.0f64, 0usize); bins.max(1)];
    for (c, right) in confidence.iter().zip(correct) {
        let bin = ((*c * bins as f32) as usize).min(bins.saturating_sub(1));
        sums[bin].0 += 1;
        sums[bin].1 += f64::from(*c);
        sums[bin].2 += usize::from(*right);
    }
    let n = confidence.len().min(correct.len());
    (n > 0).then(|| sums.iter().map(|(_, sum, right)| (sum - *right as f64).abs()).sum::<f64>() / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden values computed in exact arithmetic; the first has confidences on bin edges.
    #[test]
    fn calibration_error_is_that_of_the_reference() {
        let ece = |confidence: &[f32], correct: &[u8]| {
            expected_calibration_error(confidence, &correct.iter().map(|c| *c == 1).collect::<Vec<_>>(), 10).unwrap()
        };
        assert!((ece(&[0.9, 0.85, 0.8, 0.6], &[1, 0, 1, 1]) - 0.2875).abs() < 1e-6);
        let many = ece(&[0.95, 0.9, 0.85, 0.8, 0.65, 0.6, 0.55, 0.35], &[1, 1, 0, 1, 1, 0, 1, 0]);
        assert!((many - 0.23125).abs() < 1e-6);
        assert_eq!(expected_calibration_error(&[], &[], 10), None);
    }
}
