//! What models are trained towards: probabilities, choices, weights of outputs, and F1 on validation.

use super::{ClassWeights, ClassifierError, Example};
use crate::domain::metrics::Counts;
use crate::domain::taxonomy::Selection;

/// Probabilities of logits at a temperature.
pub(super) fn probabilities(selection: Selection, logits: &[Vec<f32>], temperature: f32) -> Vec<Vec<f32>> {
    logits
        .iter()
        .map(|row| match selection {
            Selection::Single => {
                let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let exponents: Vec<f32> = row.iter().map(|l| ((l - most) / temperature).exp()).collect();
                let sum: f32 = exponents.iter().sum();
                exponents.into_iter().map(|e| e / sum).collect()
            }
            Selection::Multiple => row.iter().map(|l| 1.0 / (1.0 + (-l / temperature).exp())).collect(),
        })
        .collect()
}

/// The outputs that probabilities speak for: the likeliest, or all that reach their threshold (one half where none was
/// tuned).
pub(super) fn choose(selection: Selection, probabilities: &[f32], thresholds: &[f32]) -> Vec<usize> {
    match selection {
        Selection::Single => {
            let best = probabilities
                .iter()
                .enumerate()
                .fold((0, f32::NEG_INFINITY), |best, (i, p)| if *p > best.1 { (i, *p) } else { best });
            vec![best.0]
        }
        Selection::Multiple => {
            let reaches = |(i, p): &(usize, &f32)| **p >= thresholds.get(*i).copied().unwrap_or(0.5);
            probabilities.iter().enumerate().filter(reaches).map(|(i, _)| i).collect()
        }
    }
}

/// Weights of (absent, present) for each output.
pub(super) fn class_weights(
    kind: ClassWeights,
    selection: Selection,
    outputs: usize,
    examples: &[Example<'_>],
) -> Vec<[f32; 2]> {
    let n = examples.len() as f32;
    let used = (0..outputs).filter(|i| examples.iter().any(|e| e.outputs.contains(i))).count().max(1) as f32;
    (0..outputs)
        .map(|i| {
            let count = examples.iter().filter(|e| e.outputs.contains(&i)).count() as f32;
            let classes = if selection == Selection::Single { used } else { 2.0 };
            let balanced = |count: f32| if count > 0.0 { n / (classes * count) } else { 1.0 };
            let pair = [balanced(n - count), balanced(count)];
            match kind {
                ClassWeights::None => [1.0, 1.0],
                ClassWeights::Balanced => pair,
                ClassWeights::Sqrt => pair.map(f32::sqrt),
            }
        })
        .collect()
}

pub(super) fn check(outputs: &[String], selection: Selection, train: &[Example<'_>]) -> Result<(), ClassifierError> {
    let too_little = |why: String| Err(ClassifierError::TooLittle(why));
    if train.is_empty() {
        return too_little("there is no labelled sentence of a training patient yet; decide some in Review".into());
    }
    let mut seen = vec![0usize; outputs.len()];
    for example in train {
        if example.outputs.iter().any(|i| *i >= outputs.len())
            || (selection == Selection::Single && example.outputs.len() != 1)
        {
            return too_little(format!("an example has outputs {:?} of {}", example.outputs, outputs.len()));
        }
        example.outputs.iter().for_each(|i| seen[*i] += 1);
    }
    let kinds = seen.iter().filter(|count| **count > 0).count();
    if selection == Selection::Single && kinds < 2 {
        let name = seen.iter().position(|count| *count > 0).map_or("", |i| outputs[i].as_str());
        return too_little(format!(
            "all {} training sentences are `{name}`; a classifier needs two kinds",
            train.len()
        ));
    }
    if selection == Selection::Multiple && kinds == 0 {
        return too_little(format!("none of {} training sentences has a category", train.len()));
    }
    Ok(())
}

/// Macro-F1 over outputs that occur in truth or prediction (scikit-learn's `f1_score(average="macro")`), and each F1.
pub(super) fn f1(
    selection: Selection,
    outputs: usize,
    logits: &[Vec<f32>],
    examples: &[Example<'_>],
) -> (f32, Vec<Option<f32>>) {
    let mut counts = vec![Counts::default(); outputs];
    for (probabilities, example) in probabilities(selection, logits, 1.0).iter().zip(examples) {
        let chosen = choose(selection, probabilities, &[]);
        for (i, count) in counts.iter_mut().enumerate() {
            match (example.outputs.contains(&i), chosen.contains(&i)) {
                (true, true) => count.tp += 1,
                (false, true) => count.fp += 1,
                (true, false) => count.fn_ += 1,
                (false, false) => {}
            }
        }
    }
    let each: Vec<Option<f32>> = counts.iter().map(|count| count.f1().map(|f| f as f32)).collect();
    let defined: Vec<f32> = each.iter().flatten().copied().collect();
    (defined.iter().sum::<f32>() / defined.len().max(1) as f32, each)
}
