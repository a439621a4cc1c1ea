//! A head on a frozen encoder: logistic regression over embeddings that are computed once. It trains in a second, so it can
//! be trained again while an expert annotates.

mod lbfgs;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::artifact::{self, ModelKind, ModelManifest};
use super::encoder::{Encoder, Matrix, Threads, multiply};
use super::loss::ExampleWeights;
use super::targets::{class_weights, f1, probabilities};
use super::tensors::{self, StoredTensor};
use super::{
    Classifier, ClassifierError, Epoch, Example, HeadConfig, TrainingCallback, TrainingEvent, TrainingTask, calibrate,
    targets,
};
use crate::domain::taxonomy::Selection;
use crate::domain::text::Cause;

/// A frozen encoder with its head.
struct FrozenModel {
    encoder: Arc<Encoder>,
    outputs: Vec<String>,
    selection: Selection,
    /// `[outputs, hidden + 1]`, the last column is the bias.
    weights: Vec<f32>,
    temperature: f32,
    thresholds: Vec<f32>,
}

/// See [`super::Trainer::fit`].
pub(super) fn train(
    encoder: &Arc<Encoder>,
    task: &TrainingTask<'_>,
    config: &HeadConfig,
    on_event: &mut TrainingCallback<'_>,
) -> Result<Box<dyn Classifier>, ClassifierError> {
    Ok(Box::new(fit(encoder, task, config, on_event)?))
}

/// See [`super::load`].
pub(super) fn restore(folder: &Path, description: ModelManifest) -> Result<Box<dyn Classifier>, ClassifierError> {
    Ok(Box::new(FrozenModel::restore(folder, description)?))
}

/// Trains a head: the minimum of the weighted loss plus the squared weights over `2 C`, the bias left out, as scikit-learn's
/// `LogisticRegression` has it. The minimum is one, so a seed would change nothing.
fn fit(
    encoder: &Arc<Encoder>,
    task: &TrainingTask<'_>,
    config: &HeadConfig,
    on_event: &mut TrainingCallback<'_>,
) -> Result<FrozenModel, ClassifierError> {
    let TrainingTask { outputs, selection, train, validation, .. } = *task;
    let embed =
        |examples: &[Example<'_>]| encoder.embed(&examples.iter().map(|example| example.text).collect::<Vec<_>>());
    let (rows, validation_rows) = (embed(train)?, embed(validation)?);
    let width = encoder.architecture().hidden;
    let x: Vec<f32> = rows.concat();
    let weighing = ExampleWeights {
        selection,
        outputs: class_weights(config.class_weights, selection, outputs.len(), train),
        smoothing: 0.0,
    };
    let k = outputs.len();
    let mut heard = None;
    let cost = |weights: &[f32], gradient: &mut [f32]| -> f64 {
        let logits = logits(&x, width, weights, k);
        let mut grad = vec![0.0; logits.len()];
        let mut loss = 0.0;
        for ((example, row), grad) in train.iter().zip(logits.chunks_exact(k)).zip(grad.chunks_exact_mut(k)) {
            loss += f64::from(weighing.loss(row, &example.outputs, example.weight, 1.0, grad));
        }
        // The gradient by the weights, `[outputs, width + 1]` with the bias last, is grad' x, and by the biases the sum of
        // grad's rows; the squared weights add w / C.
        let grad_rows = Matrix::new(&grad, train.len(), k).transposed();
        multiply((gradient, width + 1), grad_rows, Matrix::new(&x, train.len(), width), 1.0, false, 1);
        let c = config.c as f32;
        for (output, (weights, gradient)) in
            weights.chunks_exact(width + 1).zip(gradient.chunks_exact_mut(width + 1)).enumerate()
        {
            gradient[width] = grad.iter().skip(output).step_by(k).sum();
            for (weight, gradient) in weights[..width].iter().zip(&mut gradient[..width]) {
                loss += f64::from(weight * weight) / (2.0 * config.c);
                *gradient += weight / c;
            }
        }
        loss
    };
    let weights = lbfgs::minimise(vec![0.0; k * (width + 1)], config.steps, cost, &mut |step, cost| {
        let loss = (cost / train.len() as f64) as f32;
        let stop = on_event(&TrainingEvent::Step { step, steps: config.steps, loss, learning_rate: 1.0 }).is_break();
        heard = Some(loss);
        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let logits: Vec<Vec<f32>> = validation_rows.iter().map(|row| logits(row, width, &weights, k)).collect();
    let (temperature, thresholds) = calibrate::on_validation(selection, k, &logits, validation);
    let scored = (!validation.is_empty()).then(|| f1(selection, k, &logits, validation));
    // There is one epoch only: the minimum.
    let _ = on_event(&TrainingEvent::Epoch(Epoch {
        epoch: 1,
        epochs: 1,
        train_loss: heard.unwrap_or(0.0),
        validation_loss: None,
        validation_macro_f1: scored.as_ref().map(|(macro_f1, _)| *macro_f1),
        per_output_f1: scored.map_or_else(|| vec![None; k], |(_, each)| each),
        best: true,
    }));
    Ok(FrozenModel {
        encoder: Arc::clone(encoder),
        outputs: outputs.to_vec(),
        selection,
        weights,
        temperature,
        thresholds,
    })
}

/// `[rows, outputs]` of rows one after the other.
fn logits(x: &[f32], width: usize, weights: &[f32], outputs: usize) -> Vec<f32> {
    let rows = x.len() / width;
    let bias: Vec<f32> = weights.iter().skip(width).step_by(width + 1).copied().collect();
    let mut logits = bias.repeat(rows);
    let weights = Matrix::strided(weights, outputs, width, width + 1).transposed();
    multiply((&mut logits, outputs), Matrix::new(x, rows, width), weights, 1.0, true, 1);
    logits
}

impl FrozenModel {
    /// The model that a folder and its description make; its encoder must be where it was and be the same.
    fn restore(folder: &Path, description: ModelManifest) -> Result<Self, ClassifierError> {
        let fail = |cause: Cause| ClassifierError::Unreadable { path: folder.into(), cause };
        let mut tensors = artifact::tensors(folder, &description)?;
        let details = &description.details;
        let place = details["encoder"].as_str().unwrap_or_default();
        let most = details["max_tokens"].as_u64().unwrap_or(512) as usize;
        let encoder = Encoder::open(Path::new(place), most, Threads::available())?;
        if Some(encoder.fingerprint()) != details["encoder_fingerprint"].as_str() {
            return Err(fail(format!("the encoder in {place} is not the one that it was trained on").into()));
        }
        let weights = tensors.remove("head").ok_or_else(|| fail("it lacks the tensor `head`".into()))?;
        let weights: Vec<f32> = weights.numbers().map_err(fail)?;
        if weights.len() != description.outputs.len() * (encoder.architecture().hidden + 1) {
            return Err(fail("its head does not fit its encoder".into()));
        }
        Ok(Self {
            encoder: Arc::new(encoder),
            outputs: description.outputs,
            selection: description.selection,
            weights,
            temperature: description.temperature,
            thresholds: description.thresholds,
        })
    }
}

impl Classifier for FrozenModel {
    fn outputs(&self) -> &[String] {
        &self.outputs
    }

    fn selection(&self) -> Selection {
        self.selection
    }

    fn predict(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ClassifierError> {
        let (width, k) = (self.encoder.architecture().hidden, self.outputs.len());
        let rows = self.encoder.embed(texts)?;
        let logits: Vec<Vec<f32>> = rows.iter().map(|row| logits(row, width, &self.weights, k)).collect();
        Ok(probabilities(self.selection, &logits, self.temperature))
    }

    fn choose(&self, probabilities: &[f32]) -> Vec<usize> {
        targets::choose(self.selection, probabilities, &self.thresholds)
    }

    fn save(&self, folder: &Path, card: &Value) -> Result<String, ClassifierError> {
        let mut description = ModelManifest::new(ModelKind::Frozen, &self.outputs, self.selection, card)
            .calibrated(self.temperature, &self.thresholds);
        let place = std::fs::canonicalize(self.encoder.folder()).unwrap_or_else(|_| self.encoder.folder().into());
        description.details = json!({
            "encoder": place, "encoder_fingerprint": self.encoder.fingerprint(), "max_tokens": self.encoder.most(),
        });
        let shape = [self.outputs.len(), self.weights.len() / self.outputs.len().max(1)];
        let head = StoredTensor::of(&self.weights, &shape);
        artifact::save(folder, description, |_, file| tensors::write(file, &[("head", head)]))
    }

    fn describe(&self) -> Value {
        json!({
            "kind": ModelKind::Frozen, "encoder": self.encoder.name(),
            "max_tokens": self.encoder.most(), "temperature": self.temperature,
        })
    }
}

#[cfg(test)]
mod tests;
