//! The linear model: sparse rows times weights, and Adagrad steps on the weights that a row touches.
//!
//! A dense gradient of a hundred thousand n-grams for a batch of sixteen would be almost all zero; so the gradient is taken by
//! the logits, and each step multiplies it with a sparse row in place.

mod features;

use std::ops::ControlFlow;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use self::features::{NgramVectorizer, SparseRow};
use super::artifact::{self, ModelKind, ModelManifest};
use super::loss::{ExampleWeights, mean_loss};
use super::targets::{self, class_weights, f1};
use super::tensors::{self, StoredTensor};
use super::{Classifier, ClassifierError, Epoch, Example, FitConfig, calibrate};
use crate::domain::taxonomy::Selection;
use crate::domain::text::Cause;

/// A trained linear model over n-grams.
#[derive(Clone, Debug)]
pub struct NgramModel {
    outputs: Vec<String>,
    selection: Selection,
    features: NgramVectorizer,
    /// `[features + 1, outputs]`, the last row is the bias.
    weights: Vec<f32>,
    temperature: f32,
    thresholds: Vec<f32>,
}

impl NgramModel {
    /// How many n-grams it knows.
    pub fn feature_count(&self) -> usize {
        self.features.len()
    }

    /// The model that a folder's description and tensors make.
    pub(super) fn restore(folder: &Path, description: ModelManifest) -> Result<Self, ClassifierError> {
        let fail = |cause: Cause| ClassifierError::Unreadable { path: folder.into(), cause };
        let mut tensors = artifact::tensors(folder, &description)?;
        let mut take =
            |name: &str| tensors.remove(name).ok_or_else(|| fail(format!("it lacks the tensor `{name}`").into()));
        let hashes: Vec<u64> = take("ngrams")?.numbers::<i64>().map_err(fail)?.into_iter().map(|h| h as u64).collect();
        let idf: Vec<f32> = take("idf")?.numbers().map_err(fail)?;
        let weights = take("weights")?;
        let shape = weights.shape();
        if idf.len() != hashes.len() || shape != [hashes.len() + 1, description.outputs.len()] {
            return Err(fail(
                format!("its tensors do not fit: {} n-grams, {} weights, weights {shape:?}", hashes.len(), idf.len())
                    .into(),
            ));
        }
        let weights = weights.numbers().map_err(fail)?;
        Ok(Self {
            outputs: description.outputs,
            selection: description.selection,
            features: NgramVectorizer::of(hashes, idf),
            weights,
            temperature: description.temperature,
            thresholds: description.thresholds,
        })
    }
}

impl Classifier for NgramModel {
    fn outputs(&self) -> &[String] {
        &self.outputs
    }

    fn selection(&self) -> Selection {
        self.selection
    }

    fn predict(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ClassifierError> {
        let logits = |text: &&str| logits(&self.weights, self.outputs.len(), &self.features.row(text));
        let logits: Vec<Vec<f32>> = texts.iter().map(logits).collect();
        Ok(targets::probabilities(self.selection, &logits, self.temperature))
    }

    fn choose(&self, probabilities: &[f32]) -> Vec<usize> {
        targets::choose(self.selection, probabilities, &self.thresholds)
    }

    fn save(&self, folder: &Path, card: &serde_json::Value) -> Result<String, ClassifierError> {
        let hashes: Vec<i64> = self.features.hashes().iter().map(|h| *h as i64).collect();
        let tensors = [
            ("ngrams", StoredTensor::of(&hashes, &[hashes.len()])),
            ("idf", StoredTensor::of(self.features.idf(), &[self.features.len()])),
            ("weights", StoredTensor::of(&self.weights, &[self.features.len() + 1, self.outputs.len()])),
        ];
        let description = ModelManifest::new(ModelKind::Ngram, &self.outputs, self.selection, card)
            .calibrated(self.temperature, &self.thresholds);
        artifact::save(folder, description, |_, staged| tensors::write(staged, &tensors))
    }

    fn describe(&self) -> serde_json::Value {
        serde_json::json!({ "kind": ModelKind::Ngram, "n_grams": self.feature_count(), "temperature": self.temperature })
    }
}

/// The logits of a sparse row under weights `[features + 1, outputs]`, whose last row is the bias.
fn logits(weights: &[f32], outputs: usize, row: &SparseRow) -> Vec<f32> {
    let mut sums = weights[weights.len() - outputs..].to_vec();
    for (index, value) in row.indices.iter().zip(&row.values) {
        let at = *index as usize * outputs;
        for (sum, weight) in sums.iter_mut().zip(&weights[at..at + outputs]) {
            *sum += value * weight;
        }
    }
    sums
}

/// Adagrad (Duchi and others, 2011): `w -= rate g / sqrt(sum of g^2 so far)`. Weights and sums are `[features + 1, outputs]`.
struct Adagrad {
    weights: Vec<f32>,
    squares: Vec<f32>,
    rate: f32,
    l2: f32,
}

impl Adagrad {
    fn new(features: usize, outputs: usize, config: &FitConfig) -> Self {
        let zeros = vec![0.0; (features + 1) * outputs];
        Self { weights: zeros.clone(), squares: zeros, rate: config.learning_rate as f32, l2: config.l2 as f32 }
    }

    /// One step on the weights that a row touches, and on the bias, by the gradient of its loss by its logits.
    fn step(&mut self, row: &SparseRow, gradient: &[f32]) {
        let outputs = gradient.len();
        let bias = self.weights.len() - outputs;
        let touched = row.indices.iter().zip(&row.values).map(|(index, value)| (*index as usize * outputs, *value));
        for (at, value) in touched.chain([(bias, 1.0)]) {
            // The bias is not held small.
            let decay = if at == bias { 0.0 } else { self.l2 };
            let squares = &mut self.squares[at..at + outputs];
            for ((weight, square), g) in self.weights[at..at + outputs].iter_mut().zip(squares).zip(gradient) {
                let g = g * value + decay * *weight;
                *square += g * g;
                *weight -= self.rate * g / (square.sqrt() + 1e-8);
            }
        }
    }
}

/// Trains a model. `watch` sees every epoch; breaking keeps the best so far. Without validation examples all epochs run
/// and the temperature stays 1. The same arguments give the same weights, bit for bit, on the same machine.
pub fn fit(
    outputs: &[String],
    selection: Selection,
    train: &[Example<'_>],
    validation: &[Example<'_>],
    config: &FitConfig,
    watch: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<NgramModel, ClassifierError> {
    targets::check(outputs, selection, train)?;
    let texts: Vec<&str> = train.iter().map(|example| example.text).collect();
    let (features, rows) = NgramVectorizer::learn(&texts, config.min_df);
    let width = outputs.len();
    let class_weights = class_weights(config.class_weights, selection, width, train);
    let weighing = ExampleWeights { selection, outputs: class_weights, smoothing: 0.0 };
    let validation_rows: Vec<SparseRow> = validation.iter().map(|example| features.row(example.text)).collect();
    let on_validation =
        |weights: &[f32]| -> Vec<Vec<f32>> { validation_rows.iter().map(|row| logits(weights, width, row)).collect() };

    let mut state = Adagrad::new(features.len(), width, config);
    let mut best: Option<(f32, Vec<f32>)> = None;
    let mut waited = 0;
    let mut order: Vec<usize> = (0..train.len()).collect();
    let mut random = ChaCha8Rng::seed_from_u64(config.seed);
    for epoch in 1..=config.epochs {
        order.shuffle(&mut random);
        let mut total = 0.0;
        for batch in order.chunks(config.batch.max(1)) {
            // All gradients of a batch are taken before its first step.
            let mut gradients = vec![0.0; batch.len() * width];
            for (at, gradient) in batch.iter().zip(gradients.chunks_exact_mut(width)) {
                let (logits, example) = (logits(&state.weights, width, &rows[*at]), &train[*at]);
                total += weighing.loss(&logits, &example.outputs, example.weight, 1.0, gradient);
            }
            for (at, gradient) in batch.iter().zip(gradients.chunks_exact(width)) {
                state.step(&rows[*at], gradient);
            }
        }
        let mut seen = Epoch {
            epoch,
            epochs: config.epochs,
            train_loss: total / train.len() as f32,
            validation_loss: None,
            validation_macro_f1: None,
            per_output_f1: vec![None; width],
            best: validation.is_empty(),
        };
        if !validation.is_empty() {
            let logits = on_validation(&state.weights);
            let loss = mean_loss(selection, &logits, validation);
            let (macro_f1, per_output) = f1(selection, width, &logits, validation);
            seen.validation_loss = Some(loss);
            seen.validation_macro_f1 = Some(macro_f1);
            seen.per_output_f1 = per_output;
            // Not macro-F1: on a few dozen sentences it jumps with every one of them.
            let better = best.as_ref().is_none_or(|(least, _)| loss < *least);
            seen.best = better;
            waited = if better { 0 } else { waited + 1 };
            if better {
                best = Some((loss, state.weights.clone()));
            }
        }
        if watch(&seen).is_break() || waited >= config.patience {
            break;
        }
    }
    let weights = best.map_or(state.weights, |(_, best)| best);
    let (temperature, thresholds) = calibrate::on_validation(selection, width, &on_validation(&weights), validation);
    Ok(NgramModel { outputs: outputs.to_vec(), selection, features, weights, temperature, thresholds })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[(u32, f32)]) -> SparseRow {
        SparseRow { indices: cells.iter().map(|c| c.0).collect(), values: cells.iter().map(|c| c.1).collect() }
    }

    #[test]
    fn logits_are_the_rows_times_the_weights() {
        let weights = [1.0, -1.0, 2.0, 3.0, 0.5, 0.25];
        assert_eq!(logits(&weights, 2, &row(&[(0, 2.0), (1, -1.0)])), [0.5, -4.75]);
        assert_eq!(logits(&weights, 2, &row(&[])), [0.5, 0.25], "the bias alone");
    }

    #[test]
    fn a_step_moves_touched_weights_alone() {
        let config = FitConfig { learning_rate: 0.5, l2: 0.0, ..FitConfig::default() };
        let mut state = Adagrad::new(3, 2, &config);
        state.step(&row(&[(1, 1.0)]), &[1.0, -2.0]);
        // Adagrad's first step is the rate, whatever the gradient's size.
        assert_eq!(state.weights, [0.0, 0.0, -0.5, 0.5, 0.0, 0.0, -0.5, 0.5]);
        assert_eq!(state.squares, [0.0, 0.0, 1.0, 4.0, 0.0, 0.0, 1.0, 4.0]);
    }
}
