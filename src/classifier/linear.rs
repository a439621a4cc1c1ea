//! The linear model: logits as a candle tensor over sparse rows, candle's gradient of the loss with respect to them, and
//! Adagrad steps on the touched weights alone.
//!
//! A dense gradient of a hundred thousand n-grams for a batch of sixteen would be almost all zero; so the graph ends at
//! the logits, and the step multiplies their gradient with the sparse rows in place.

use std::ops::ControlFlow;

use candle_core::{CpuStorage, CustomOp1, DType, Device, InplaceOp2, Layout, Shape, Tensor, Var};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::features::{Features, Row};
use super::{ClassWeights, ClassifierError, Example, FitConfig, Mode, Model, calibrate};
use crate::domain::metrics::Counts;

/// What one pass over the training set came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// From 1.
    pub epoch: usize,
    /// At most.
    pub epochs: usize,
    /// Mean weighted loss over the pass.
    pub train_loss: f32,
    /// Mean loss on validation.
    pub validation_loss: Option<f32>,
    /// Mean F1 over outputs that occur in truth or prediction.
    pub validation_macro_f1: Option<f32>,
    /// F1 of each output on validation; `None` where undefined.
    pub per_output_f1: Vec<Option<f32>>,
    /// Whether this is the best so far.
    pub best: bool,
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
pub(super) fn logits(weights: &Tensor, rows: &[&Row], bias: usize) -> Result<Tensor, ClassifierError> {
    let (_, outputs) = weights.dims2()?;
    Ok(weights.apply_op1_no_bwd(&SparseProduct { rows, bias, outputs })?)
}

/// Probabilities of logits at a temperature.
pub(super) fn probabilities(mode: Mode, logits: &[Vec<f32>], temperature: f32) -> Vec<Vec<f32>> {
    logits
        .iter()
        .map(|row| match mode {
            Mode::Single => {
                let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let exponents: Vec<f32> = row.iter().map(|l| ((l - most) / temperature).exp()).collect();
                let sum: f32 = exponents.iter().sum();
                exponents.into_iter().map(|e| e / sum).collect()
            }
            Mode::Multiple => row.iter().map(|l| 1.0 / (1.0 + (-l / temperature).exp())).collect(),
        })
        .collect()
}

/// The outputs that probabilities speak for.
pub(super) fn choose(mode: Mode, probabilities: &[f32]) -> Vec<usize> {
    match mode {
        Mode::Single => {
            let best = probabilities
                .iter()
                .enumerate()
                .fold((0, f32::NEG_INFINITY), |best, (i, p)| if *p > best.1 { (i, *p) } else { best });
            vec![best.0]
        }
        Mode::Multiple => probabilities.iter().enumerate().filter(|(_, p)| **p >= 0.5).map(|(i, _)| i).collect(),
    }
}

/// Weighted loss of logits `[rows, outputs]` against `targets` of the same shape (one-hot or many-hot): softmax
/// cross-entropy, or the stable form of binary cross-entropy, `max(x, 0) - x t + ln(1 + e^-|x|)`.
pub(super) fn loss(mode: Mode, logits: &Tensor, targets: &Tensor, weights: &Tensor) -> Result<Tensor, ClassifierError> {
    let cells = match mode {
        Mode::Single => {
            let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?.detach())?;
            let log_sum = shifted.exp()?.sum_keepdim(1)?.log()?;
            (targets * shifted.broadcast_sub(&log_sum)?)?.neg()?
        }
        Mode::Multiple => {
            let soft = logits.abs()?.neg()?.exp()?.affine(1.0, 1.0)?.log()?;
            ((logits.relu()? - (logits * targets)?)? + soft)?
        }
    };
    Ok((cells * weights)?.sum_all()?)
}

struct Targets {
    hot: Vec<Vec<f32>>,
    /// Weight of each cell.
    weights: Vec<Vec<f32>>,
}

impl Targets {
    fn of(mode: Mode, outputs: usize, examples: &[Example<'_>], class_weights: &[[f32; 2]]) -> Self {
        let hot: Vec<Vec<f32>> = examples
            .iter()
            .map(|example| (0..outputs).map(|i| f32::from(u8::from(example.outputs.contains(&i)))).collect())
            .collect();
        let weights = examples
            .iter()
            .zip(&hot)
            .map(|(example, hot)| match mode {
                Mode::Single => {
                    let of_class = example.outputs.first().map_or(1.0, |i| class_weights[*i][1]);
                    vec![example.weight * of_class; outputs]
                }
                Mode::Multiple => hot.iter().zip(class_weights).map(|(t, w)| example.weight * w[*t as usize]).collect(),
            })
            .collect();
        Self { hot, weights }
    }

    fn tensors(&self, rows: &[usize]) -> Result<(Tensor, Tensor), ClassifierError> {
        let take = |table: &[Vec<f32>]| -> Result<Tensor, ClassifierError> {
            let width = table.first().map_or(0, Vec::len);
            let flat: Vec<f32> = rows.iter().flat_map(|i| table[*i].iter().copied()).collect();
            Ok(Tensor::from_vec(flat, (rows.len(), width), &Device::Cpu)?)
        };
        Ok((take(&self.hot)?, take(&self.weights)?))
    }
}

/// Weights of (absent, present) for each output.
fn class_weights(kind: ClassWeights, mode: Mode, outputs: usize, examples: &[Example<'_>]) -> Vec<[f32; 2]> {
    let n = examples.len() as f32;
    let used = (0..outputs).filter(|i| examples.iter().any(|e| e.outputs.contains(i))).count().max(1) as f32;
    (0..outputs)
        .map(|i| {
            let count = examples.iter().filter(|e| e.outputs.contains(&i)).count() as f32;
            let classes = if mode == Mode::Single { used } else { 2.0 };
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

/// Trains a model. `watch` sees every epoch; breaking keeps the best so far. Without validation examples all epochs run
/// and the temperature stays 1. The same arguments give the same weights, bit for bit, on the same machine.
pub fn fit(
    outputs: &[String],
    mode: Mode,
    train: &[Example<'_>],
    validation: &[Example<'_>],
    config: &FitConfig,
    watch: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Model, ClassifierError> {
    check(outputs, mode, train)?;
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
    let temperature = if validation.is_empty() {
        1.0
    } else {
        let logits = logits(&weights, &validation_rows, bias)?.to_vec2::<f32>()?;
        let truth: Vec<&[usize]> = validation.iter().map(|example| example.outputs.as_slice()).collect();
        calibrate::temperature(mode, &logits, &truth)
    };
    Ok(Model { outputs: outputs.to_vec(), mode, features, weights, temperature })
}

fn check(outputs: &[String], mode: Mode, train: &[Example<'_>]) -> Result<(), ClassifierError> {
    let too_little = |why: String| Err(ClassifierError::TooLittle(why));
    if train.is_empty() {
        return too_little("there is no labelled sentence of a training patient yet; decide some in Review".into());
    }
    let mut seen = vec![0usize; outputs.len()];
    for example in train {
        if example.outputs.iter().any(|i| *i >= outputs.len()) || (mode == Mode::Single && example.outputs.len() != 1) {
            return too_little(format!("an example has outputs {:?} of {}", example.outputs, outputs.len()));
        }
        example.outputs.iter().for_each(|i| seen[*i] += 1);
    }
    let kinds = seen.iter().filter(|count| **count > 0).count();
    if mode == Mode::Single && kinds < 2 {
        let name = seen.iter().position(|count| *count > 0).map_or("", |i| outputs[i].as_str());
        return too_little(format!(
            "all {} training sentences are `{name}`; a classifier needs two kinds",
            train.len()
        ));
    }
    if mode == Mode::Multiple && kinds == 0 {
        return too_little(format!("none of {} training sentences has a category", train.len()));
    }
    Ok(())
}

/// Macro-F1 over outputs that occur in truth or prediction (scikit-learn's `f1_score(average="macro")`), and each F1.
fn f1(mode: Mode, outputs: usize, logits: &[Vec<f32>], examples: &[Example<'_>]) -> (f32, Vec<Option<f32>>) {
    let mut counts = vec![Counts::default(); outputs];
    for (probabilities, example) in probabilities(mode, logits, 1.0).iter().zip(examples) {
        let chosen = choose(mode, probabilities);
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
