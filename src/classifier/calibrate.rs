//! What is set on validation after training: the temperature and, under `multiple`, each output's threshold.

use super::Example;
use super::targets::probabilities;
use crate::domain::metrics::Counts;
use crate::domain::taxonomy::Selection;

/// Temperature and thresholds by the logits of validation examples; 1 and none without any.
pub(super) fn on_validation(
    selection: Selection,
    outputs: usize,
    logits: &[Vec<f32>],
    validation: &[Example<'_>],
) -> (f32, Vec<f32>) {
    if validation.is_empty() {
        return (1.0, Vec::new());
    }
    let truth: Vec<&[usize]> = validation.iter().map(|example| example.outputs.as_slice()).collect();
    let temperature = temperature(selection, logits, &truth);
    let thresholds = match selection {
        Selection::Single => Vec::new(),
        Selection::Multiple => thresholds(outputs, &probabilities(selection, logits, temperature), &truth),
    };
    (temperature, thresholds)
}

/// The threshold of each output for these probabilities.
pub(super) fn thresholds(outputs: usize, probabilities: &[Vec<f32>], truth: &[&[usize]]) -> Vec<f32> {
    (0..outputs).map(|output| threshold(output, probabilities, truth)).collect()
}

/// The threshold with the best F1 of one output: half-way between two neighbouring probabilities. Where the output never
/// holds, or nothing beats it, one half stays.
fn threshold(output: usize, probabilities: &[Vec<f32>], truth: &[&[usize]]) -> f32 {
    let mut rows: Vec<(f32, bool)> =
        probabilities.iter().zip(truth).map(|(row, truth)| (row[output], truth.contains(&output))).collect();
    let positives = rows.iter().filter(|(_, holds)| *holds).count() as u64;
    rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let counts = |taken: u64, right: u64| Counts { tp: right, fp: taken - right, fn_: positives - right };
    let at_half = rows.iter().filter(|(p, _)| *p >= 0.5);
    let taken = at_half.clone().count() as u64;
    let right = at_half.filter(|(_, holds)| *holds).count() as u64;
    let mut best = (counts(taken, right).f1().unwrap_or(0.0), 0.5);
    let mut right = 0;
    for (i, (p, holds)) in rows.iter().enumerate() {
        right += u64::from(*holds);
        let next = rows.get(i + 1).map_or(0.0, |next| next.0);
        let f1 = counts(i as u64 + 1, right).f1().unwrap_or(0.0);
        if next < *p && f1 > best.0 + 1e-9 {
            best = (f1, (p + next) / 2.0);
        }
    }
    best.1
}

/// The temperature that minimises the negative log-likelihood of the truth (Guo and others, 2017), between 1/20 and 20, by
/// golden-section search: the likelihood has one optimum in the inverse temperature.
pub(super) fn temperature(selection: Selection, logits: &[Vec<f32>], truth: &[&[usize]]) -> f32 {
    let cost = |log_t: f64| nll(selection, logits, truth, log_t.exp());
    let (mut low, mut high) = (-(20f64.ln()), 20f64.ln());
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut a, mut b) = (high - golden * (high - low), low + golden * (high - low));
    let (mut cost_a, mut cost_b) = (cost(a), cost(b));
    for _ in 0..40 {
        if cost_a < cost_b {
            (high, b, cost_b) = (b, a, cost_a);
            a = high - golden * (high - low);
            cost_a = cost(a);
        } else {
            (low, a, cost_a) = (a, b, cost_b);
            b = low + golden * (high - low);
            cost_b = cost(b);
        }
    }
    (((low + high) / 2.0).exp()) as f32
}

/// In double precision: near its optimum the likelihood is too flat for single.
fn nll(selection: Selection, logits: &[Vec<f32>], truth: &[&[usize]], temperature: f64) -> f64 {
    logits
        .iter()
        .zip(truth)
        .map(|(row, truth)| {
            let scaled: Vec<f64> = row.iter().map(|l| f64::from(*l) / temperature).collect();
            match selection {
                Selection::Single => {
                    let most = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let log_sum = scaled.iter().map(|l| (l - most).exp()).sum::<f64>().ln() + most;
                    truth.first().map_or(0.0, |i| log_sum - scaled[*i])
                }
                Selection::Multiple => scaled
                    .iter()
                    .enumerate()
                    .map(|(i, l)| l.max(0.0) - if truth.contains(&i) { *l } else { 0.0 } + (-l.abs()).exp().ln_1p())
                    .sum(),
            }
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_where_f1_is_best_and_one_half_where_nothing_holds() {
        let rows: Vec<Vec<f32>> = [0.9, 0.4, 0.35, 0.3, 0.1].iter().map(|p| vec![*p]).collect();
        let truth = |holds: [bool; 5]| holds.map(|h| if h { &[0usize][..] } else { &[] });
        // At one half one of three is found; from 0.325 all three and none besides.
        assert!((threshold(0, &rows, &truth([true, true, true, false, false])) - 0.325).abs() < 1e-6);
        assert_eq!(threshold(0, &rows, &truth([false; 5])), 0.5);
        assert_eq!(threshold(0, &rows, &truth([true, false, false, false, false])), 0.5);
    }

    /// Logits (±2) that are right three times in four: the best probability is 3/4, so the temperature is 4 / ln 3.
    #[test]
    fn temperature_has_a_closed_form_for_two_outputs() {
        let logits = vec![vec![2.0, -2.0]; 4];
        let truth: [&[usize]; 4] = [&[0], &[0], &[0], &[1]];
        let found = temperature(Selection::Single, &logits, &truth);
        assert!((found - 4.0 / 3f32.ln()).abs() < 1e-3, "{found}");
    }
}
