//! The linear model: logits as a candle tensor over sparse rows, candle's gradient of the loss with respect to them, and
//! Adagrad steps on the touched weights alone.
//!
//! A dense gradient of a hundred thousand n-grams for a batch of sixteen would be almost all zero; so the graph ends at
//! the logits, and the step multiplies their gradient with the sparse rows in place.

mod features;
mod sketch;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{CpuStorage, CustomOp1, DType, Device, InplaceOp2, Layout, Shape, Tensor, Var};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use self::features::{Features, Row};
pub use self::sketch::sketch;
use super::artifact::{self, Description, Kind};
use super::targets::{self, Targets, class_weights, f1, loss};
use super::{Classifier, ClassifierError, Epoch, Example, FitConfig, Mode, calibrate};

/// A trained linear model over n-grams.
#[derive(Clone, Debug)]
pub struct NgramModel {
    outputs: Vec<String>,
    mode: Mode,
    features: Features,
    /// `[features + 1, outputs]`, the last row is the bias.
    weights: Tensor,
    temperature: f32,
    thresholds: Vec<f32>,
}

impl NgramModel {
    /// How many n-grams it knows.
    pub fn feature_count(&self) -> usize {
        self.features.len()
    }

    /// The model that a folder's description and tensors make.
    pub(super) fn restore(folder: &Path, description: Description) -> Result<Self, ClassifierError> {
        let fail = |detail: String| ClassifierError::Unreadable { path: folder.into(), detail };
        let mut tensors = artifact::tensors(folder, &description)?;
        let mut take = |name: &str| tensors.remove(name).ok_or_else(|| fail(format!("it lacks the tensor `{name}`")));
        let hashes: Vec<u64> =
            take("ngrams")?.to_vec1::<i64>().map_err(|e| fail(e.to_string()))?.into_iter().map(|h| h as u64).collect();
        let idf = take("idf")?.to_vec1::<f32>().map_err(|e| fail(e.to_string()))?;
        let weights = take("weights")?;
        let shape = weights.dims2().map_err(|e| fail(e.to_string()))?;
        if idf.len() != hashes.len() || shape != (hashes.len() + 1, description.outputs.len()) {
            return Err(fail(format!(
                "its tensors do not fit: {} n-grams, {} weights, weights {shape:?}",
                hashes.len(),
                idf.len()
            )));
        }
        Ok(Self {
            outputs: description.outputs,
            mode: description.mode,
            features: Features::of(hashes, idf),
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

    fn mode(&self) -> Mode {
        self.mode
    }

    fn predict(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ClassifierError> {
        let mut all = Vec::with_capacity(texts.len());
        // Batches bound the memory, not the result: each row is computed alone.
        for texts in texts.chunks(1_024) {
            let rows: Vec<Row> = texts.iter().map(|text| self.features.row(text)).collect();
            let logits = logits(&self.weights, &rows.iter().collect::<Vec<_>>(), self.features.len())?;
            all.extend(targets::probabilities(self.mode, &logits.to_vec2::<f32>()?, self.temperature));
        }
        Ok(all)
    }

    fn choose(&self, probabilities: &[f32]) -> Vec<usize> {
        targets::choose(self.mode, probabilities, &self.thresholds)
    }

    fn save(&self, folder: &Path, card: &serde_json::Value) -> Result<String, ClassifierError> {
        let hashes: Vec<i64> = self.features.hashes().iter().map(|h| *h as i64).collect();
        let tensors = HashMap::from([
            ("ngrams".to_owned(), Tensor::from_vec(hashes, self.features.len(), &Device::Cpu)?),
            ("idf".to_owned(), Tensor::from_vec(self.features.idf().to_vec(), self.features.len(), &Device::Cpu)?),
            ("weights".to_owned(), self.weights.clone()),
        ]);
        let description = Description::new(Kind::Ngram, &self.outputs, self.mode, card)
            .calibrated(self.temperature, &self.thresholds);
        artifact::save(folder, description, |_, staged| Ok(candle_core::safetensors::save(&tensors, staged)?))
    }

    fn describe(&self) -> serde_json::Value {
        serde_json::json!({ "kind": Kind::Ngram, "n_grams": self.feature_count(), "temperature": self.temperature })
    }
}

/// `rows * weights`, rows sparse: `[rows, outputs]`. The weights are the first `outputs` columns of the tensor.
struct SparseProduct<'a> {
    rows: &'a [&'a Row],
    bias: usize,
    outputs: usize,
}

impl CustomOp1 for SparseProduct<'_> {
    fn name(&self) -> &'static str {
        "sparse-product"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let weights = storage.as_slice::<f32>()?;
        let (_, width) = layout.shape().dims2()?;
        let mut product = Vec::with_capacity(self.rows.len() * self.outputs);
        for row in self.rows {
            let start = product.len();
            product.extend_from_slice(&weights[self.bias * width..self.bias * width + self.outputs]);
            for (index, value) in row.indices.iter().zip(&row.values) {
                let at = *index as usize * width;
                for (sum, weight) in product[start..].iter_mut().zip(&weights[at..at + self.outputs]) {
                    *sum += value * weight;
                }
            }
        }
        Ok((CpuStorage::F32(product), (self.rows.len(), self.outputs).into()))
    }
}

/// One Adagrad step (Duchi and others, 2011) on the touched rows. The state holds weights and sums of squared gradients
/// side by side, `[features + 1, 2 * outputs]`; the second tensor is the gradient of the loss by the logits.
struct AdagradStep<'a> {
    rows: &'a [&'a Row],
    bias: usize,
    rate: f32,
    l2: f32,
}

impl InplaceOp2 for AdagradStep<'_> {
    fn name(&self) -> &'static str {
        "adagrad-step"
    }

    fn cpu_fwd(
        &self,
        state: &mut CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> candle_core::Result<()> {
        let (_, outputs) = gradient_layout.shape().dims2()?;
        let (_, width) = layout.shape().dims2()?;
        let gradient = &gradient.as_slice::<f32>()?[gradient_layout.start_offset()..];
        let CpuStorage::F32(state) = state else {
            candle_core::bail!("adagrad-step works on f32");
        };
        for (row, gradient) in self.rows.iter().zip(gradient.chunks_exact(outputs)) {
            let cells = row.indices.iter().map(|i| *i as usize).zip(row.values.iter().copied());
            for (index, value) in cells.chain([(self.bias, 1.0)]) {
                let (weights, squares) = state[index * width..(index + 1) * width].split_at_mut(outputs);
                let decay = if index == self.bias { 0.0 } else { self.l2 };
                for ((weight, square), g) in weights.iter_mut().zip(squares).zip(gradient) {
                    let g = g * value + decay * *weight;
                    *square += g * g;
                    *weight -= self.rate * g / (square.sqrt() + 1e-8);
                }
            }
        }
        Ok(())
    }
}

/// Logits of sparse rows, `[rows, outputs]`; the bias is the last row of the weights.
fn logits(weights: &Tensor, rows: &[&Row], bias: usize) -> Result<Tensor, ClassifierError> {
    let (_, outputs) = weights.dims2()?;
    Ok(weights.apply_op1_no_bwd(&SparseProduct { rows, bias, outputs })?)
}

/// Trains a model. `watch` sees every epoch; breaking keeps the best so far. Without validation examples all epochs run
/// and the temperature stays 1. The same arguments give the same weights, bit for bit, on the same machine.
pub fn fit(
    outputs: &[String],
    mode: Mode,
    train: &[Example<'_>],
    validation: &[Example<'_>],
    config: &FitConfig,
    watch: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<NgramModel, ClassifierError> {
    targets::check(outputs, mode, train)?;
    let texts: Vec<&str> = train.iter().map(|example| example.text).collect();
    let (features, rows) = Features::learn(&texts, config.min_df);
    let width = outputs.len();
    let bias = features.len();
    let class_weights = class_weights(config.class_weights, mode, width, train);
    let targets = Targets::of(mode, width, train, &class_weights);
    let validation_rows: Vec<Row> = validation.iter().map(|example| features.row(example.text)).collect();
    let validation_rows: Vec<&Row> = validation_rows.iter().collect();
    let validation_targets = Targets::of(mode, width, validation, &vec![[1.0, 1.0]; width]);
    let all_validation: Vec<usize> = (0..validation.len()).collect();

    let state = Tensor::zeros((bias + 1, 2 * width), DType::F32, &Device::Cpu)?;
    let weights = |state: &Tensor| state.narrow(1, 0, width)?.contiguous();
    let mut best: Option<(f32, Tensor)> = None;
    let mut waited = 0;
    let mut order: Vec<usize> = (0..train.len()).collect();
    let mut random = ChaCha8Rng::seed_from_u64(config.seed);
    for epoch in 1..=config.epochs {
        order.shuffle(&mut random);
        let mut total = 0.0;
        for batch in order.chunks(config.batch.max(1)) {
            let batch_rows: Vec<&Row> = batch.iter().map(|i| &rows[*i]).collect();
            let product = SparseProduct { rows: &batch_rows, bias, outputs: width };
            let at = Var::from_tensor(&state.apply_op1_no_bwd(&product)?)?;
            let (hot, cell_weights) = targets.tensors(batch)?;
            let loss = loss(mode, at.as_tensor(), &hot, &cell_weights)?;
            total += loss.to_scalar::<f32>()?;
            let gradients = loss.backward()?;
            let Some(gradient) = gradients.get(&at) else {
                continue;
            };
            let rate = config.learning_rate as f32;
            state.inplace_op2(
                &gradient.contiguous()?,
                &AdagradStep { rows: &batch_rows, bias, rate, l2: config.l2 as f32 },
            )?;
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
            let now = weights(&state)?;
            let logits = logits(&now, &validation_rows, bias)?;
            let (hot, ones) = validation_targets.tensors(&all_validation)?;
            let loss = loss(mode, &logits, &hot, &ones)?.to_scalar::<f32>()? / validation.len() as f32;
            let (macro_f1, per_output) = f1(mode, width, &logits.to_vec2()?, validation);
            seen.validation_loss = Some(loss);
            seen.validation_macro_f1 = Some(macro_f1);
            seen.per_output_f1 = per_output;
            // Not macro-F1: on a few dozen sentences it jumps with every one of them.
            let better = best.as_ref().is_none_or(|(least, _)| loss < *least);
            seen.best = better;
            waited = if better { 0 } else { waited + 1 };
            if better {
                best = Some((loss, now));
            }
        }
        if watch(&seen).is_break() || waited >= config.patience {
            break;
        }
    }
    let weights = match best {
        Some((_, best)) => best,
        None => weights(&state)?,
    };
    let logits = logits(&weights, &validation_rows, bias)?.to_vec2::<f32>()?;
    let (temperature, thresholds) = calibrate::on_validation(mode, width, &logits, validation);
    Ok(NgramModel { outputs: outputs.to_vec(), mode, features, weights, temperature, thresholds })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[(u32, f32)]) -> Row {
        Row { indices: cells.iter().map(|c| c.0).collect(), values: cells.iter().map(|c| c.1).collect() }
    }

    /// The gradient by the logits times the sparse row is the gradient by the weights: against finite differences.
    #[test]
    fn gradients_agree_with_finite_differences() {
        let rows = [row(&[(0, 0.5), (2, -1.0)]), row(&[(1, 2.0)])];
        let rows: Vec<&Row> = rows.iter().collect();
        let start: Vec<f32> = (0..12).map(|i| (i as f32 * 0.37).sin()).collect();
        for mode in [Mode::Single, Mode::Multiple] {
            let hot = Tensor::new(&[[0f32, 1.0, 0.0], [1.0, 0.0, 0.0]], &Device::Cpu).unwrap();
            let cell = Tensor::new(&[[1f32, 1.0, 1.0], [0.7, 0.7, 0.7]], &Device::Cpu).unwrap();
            let value = |weights: &[f32]| {
                let weights = Tensor::from_vec(weights.to_vec(), (4, 3), &Device::Cpu).unwrap();
                let at = Var::from_tensor(&logits(&weights, &rows, 3).unwrap()).unwrap();
                (loss(mode, at.as_tensor(), &hot, &cell).unwrap(), at)
            };
            let (loss, at) = value(&start);
            let gradients = loss.backward().unwrap();
            let by_logits = gradients.get(&at).unwrap().to_vec2::<f32>().unwrap();
            for index in 0..4 {
                for output in 0..3 {
                    let analytic: f32 = rows
                        .iter()
                        .zip(&by_logits)
                        .map(|(row, g)| {
                            let x = if index == 3 {
                                1.0
                            } else {
                                row.indices.iter().position(|i| *i as usize == index).map_or(0.0, |at| row.values[at])
                            };
                            x * g[output]
                        })
                        .sum();
                    let moved = |by: f32| {
                        let mut weights = start.clone();
                        weights[index * 3 + output] += by;
                        value(&weights).0.to_scalar::<f32>().unwrap()
                    };
                    let numeric = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                    assert!((analytic - numeric).abs() < 2e-3, "{mode:?} {index} {output}: {analytic} {numeric}");
                }
            }
        }
    }

    #[test]
    fn a_step_moves_touched_weights_alone() {
        let state = Tensor::zeros((4, 4), DType::F32, &Device::Cpu).unwrap();
        let touched = row(&[(1, 1.0)]);
        let gradient = Tensor::new(&[[1f32, -2.0]], &Device::Cpu).unwrap();
        state.inplace_op2(&gradient, &AdagradStep { rows: &[&touched], bias: 3, rate: 0.5, l2: 0.0 }).unwrap();
        let moved = state.to_vec2::<f32>().unwrap();
        // Adagrad's first step is the rate, whatever the gradient's size.
        assert_eq!(moved[1], [-0.5, 0.5, 1.0, 4.0]);
        assert_eq!(moved[3], [-0.5, 0.5, 1.0, 4.0]);
        assert_eq!((&moved[0], &moved[2]), (&vec![0.0; 4], &vec![0.0; 4]));
    }

    #[test]
    fn saturated_losses_are_finite() {
        let logits = Tensor::new(&[[1e4f32, -1e4]], &Device::Cpu).unwrap();
        let wrong = Tensor::new(&[[0f32, 1.0]], &Device::Cpu).unwrap();
        let ones = Tensor::new(&[[1f32, 1.0]], &Device::Cpu).unwrap();
        for mode in [Mode::Single, Mode::Multiple] {
            assert!(loss(mode, &logits, &wrong, &ones).unwrap().to_scalar::<f32>().unwrap().is_finite());
        }
    }
}
