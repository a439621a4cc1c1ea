//! Fine-tuning: an encoder and the classifier on top trained together, all of it or the last layers alone.

mod adamw;
mod checkpoint;
mod model;
mod plan;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use self::adamw::AdamW;
use self::checkpoint::CheckpointState;
use self::model::TunedModel;
use super::artifact::ModelManifest;
use super::encoder::{Dropout, Encoder, Network, PackedBatch, Parameters, Pass, UsedRows, reading_order};
use super::loss::{ExampleWeights, mean_loss};
use super::targets::{class_weights, f1};
use super::{
    Classifier, ClassifierError, Epoch, Example, IndexedTokens, TrainingCallback, TrainingEvent, TrainingTask,
    TuneConfig, calibrate,
};

/// The same in numbers.
struct FineTuneData<'a> {
    ids: Vec<Vec<u32>>,
    outputs: Vec<Vec<usize>>,
    weights: Vec<f32>,
    weighing: ExampleWeights,
    validation_ids: Vec<Vec<u32>>,
    validation: &'a [Example<'a>],
}

/// See [`super::Trainer::fit`]. With a folder for states, a run that was broken off is taken up.
pub(super) fn train(
    encoder: &Arc<Encoder>,
    task: &TrainingTask<'_>,
    config: &TuneConfig,
    states: Option<&Path>,
    on_event: &mut TrainingCallback<'_>,
) -> Result<Box<dyn Classifier>, ClassifierError> {
    let fingerprint = fingerprint(encoder, task, config);
    let file = states.map(|folder| state_file(folder, &fingerprint));
    let keep = file.as_ref().map(|file| Checkpointing { file, fingerprint, every: Duration::from_secs(180) });
    Ok(Box::new(fit(encoder, task, config, keep.as_ref(), on_event)?))
}

/// See [`super::load`].
pub(super) fn restore(folder: &Path, description: ModelManifest) -> Result<Box<dyn Classifier>, ClassifierError> {
    Ok(Box::new(TunedModel::restore(folder, description)?))
}

/// Where a run that was broken off left its state, and how to know it again.
struct Checkpointing<'a> {
    file: &'a Path,
    /// Of configuration and data; another one is not taken up.
    fingerprint: String,
    /// How often, beside the end of each epoch.
    every: Duration,
}

/// Fine-tunes a copy of an encoder. Of the epochs, the one with the best macro-F1 on validation is kept (the lower loss
/// where two are equal); without validation examples it is the last.
fn fit(
    encoder: &Arc<Encoder>,
    task: &TrainingTask<'_>,
    config: &TuneConfig,
    keep: Option<&Checkpointing<'_>>,
    on_event: &mut TrainingCallback<'_>,
) -> Result<TunedModel, ClassifierError> {
    let TrainingTask { outputs, selection, train, validation, seed } = *task;
    let texts = |examples: &[Example<'_>]| encoder.ids(&examples.iter().map(|e| e.text).collect::<Vec<_>>());
    let data = FineTuneData {
        ids: texts(train)?,
        outputs: train.iter().map(|example| example.outputs.clone()).collect(),
        weights: train.iter().map(|example| example.weight).collect(),
        weighing: ExampleWeights {
            selection,
            outputs: class_weights(config.class_weights, selection, outputs.len(), train),
            smoothing: config.label_smoothing,
        },
        validation_ids: texts(validation)?,
        validation,
    };
    let mut shape = encoder.architecture().clone();
    if config.mean_pooling {
        shape = shape.with_mean();
    }
    if let Some(rate) = config.dropout {
        shape.dropout = [rate; 3];
    }
    let mut parameters = encoder.parameters().clone();
    parameters.add_head(&shape, outputs.len(), encoder.found(), seed);
    let pass = Pass::for_architecture(&shape, &parameters, encoder.threads());
    let network = Network::new(&shape, &parameters, outputs.len(), pass);
    set_trainable(&mut parameters, shape.layers, config.last_layers);
    allocate_gradients(&mut parameters, &data.ids);
    let optimiser = AdamW::new(&parameters);
    let mut run = FineTuneLoop { config, seed, encoder, data: &data, network, optimiser, parameters };
    let mut state = match keep {
        Some(keep) => CheckpointState::load(keep, &mut run.parameters, &mut run.optimiser)?.unwrap_or_default(),
        None => CheckpointState::default(),
    };
    let finished = run.train(&mut state, keep, on_event)?;
    let (mut parameters, mut network) = (run.parameters, run.network);
    let values = state.best_values.take().unwrap_or_else(|| run.optimiser.with_decay_applied(&parameters));
    for (parameter, value) in parameters.all_mut().iter_mut().zip(values) {
        (parameter.value, parameter.gradient) = (value, Vec::new());
    }
    let logits = read(&mut network, &parameters, &data.validation_ids, outputs.len())?;
    let (temperature, thresholds) = calibrate::on_validation(selection, outputs.len(), &logits, validation);
    if let Some(keep) = keep.filter(|_| finished) {
        // A file that cannot be removed does no harm: the same run, begun again, would find itself at its end.
        let _ = std::fs::remove_file(keep.file);
    }
    let calibrated = (temperature, thresholds);
    Ok(TunedModel::new(encoder, outputs, selection, (parameters, network), calibrated, config.mean_pooling))
}

/// Everything above a layer, or everything.
fn set_trainable(parameters: &mut Parameters, layers: usize, last: Option<usize>) {
    let Some(last) = last else {
        return;
    };
    let first = layers.saturating_sub(last);
    for parameter in parameters.all_mut() {
        let layer = parameter.name.split('.').find_map(|part| part.parse::<usize>().ok());
        let below = layer.is_some_and(|layer| layer < first);
        parameter.trained = !(below || parameter.name.starts_with("embeddings."));
    }
}

fn allocate_gradients(parameters: &mut Parameters, ids: &[Vec<u32>]) {
    for parameter in parameters.all_mut().iter_mut().filter(|parameter| parameter.trained) {
        let words =
            parameter.name.ends_with("word_embeddings.weight") || parameter.name.ends_with("tok_embeddings.weight");
        if words {
            parameter.rows = Some(UsedRows::of(ids.iter().flatten().copied(), parameter.shape[0]));
        }
        let width = parameter.shape.last().copied().unwrap_or(1);
        let size = parameter.rows.as_ref().map_or(parameter.value.len(), |rows| rows.used.len() * width);
        parameter.gradient = vec![0.0; size];
    }
}

/// Logits of texts, in their order.
fn read(
    network: &mut Network,
    parameters: &Parameters,
    ids: &[Vec<u32>],
    outputs: usize,
) -> Result<Vec<Vec<f32>>, ClassifierError> {
    let mut all = vec![Vec::new(); ids.len()];
    for group in reading_order(ids) {
        let batch = PackedBatch::of(group.iter().map(|at| ids[*at].as_slice()));
        let logits = network.forward(parameters, &batch, false, None)?;
        for (at, row) in group.iter().zip(logits.chunks_exact(outputs)) {
            all[*at] = row.to_vec();
        }
    }
    Ok(all)
}

struct FineTuneLoop<'a> {
    config: &'a TuneConfig,
    seed: u64,
    encoder: &'a Encoder,
    data: &'a FineTuneData<'a>,
    network: Network,
    optimiser: AdamW,
    parameters: Parameters,
}

impl FineTuneLoop<'_> {
    /// Trains to the end, or until someone breaks: then it says false.
    fn train(
        &mut self,
        state: &mut CheckpointState,
        keep: Option<&Checkpointing<'_>>,
        on_event: &mut TrainingCallback<'_>,
    ) -> Result<bool, ClassifierError> {
        let lengths: Vec<usize> = self.data.ids.iter().map(Vec::len).collect();
        let (config, seed, data) = (self.config, self.seed, self.data);
        let plan = |epoch| plan::epoch(config, seed, epoch, &lengths, &data.outputs);
        let steps: usize = (1..=self.config.epochs).map(|epoch| plan(epoch).len()).sum();
        let mut saved = std::time::Instant::now();
        for heard in &state.epochs {
            // Whoever listens hears of the epochs before the break too.
            let _ = on_event(&TrainingEvent::Epoch(heard.clone()));
        }
        for epoch in state.epochs.len() + 1..=self.config.epochs {
            if state.waited >= self.config.patience && !self.data.validation.is_empty() {
                break;
            }
            let plan = plan(epoch);
            while state.step_in_epoch < plan.len() {
                let at = self.optimiser.step as usize;
                let rate = plan::rate(self.config, at, steps);
                let (loss, divisor) = self.step(&plan[state.step_in_epoch], rate)?;
                state.loss += f64::from(loss);
                state.divisor += f64::from(divisor);
                state.step_in_epoch += 1;
                let heard = TrainingEvent::Step {
                    step: at + 1,
                    steps,
                    loss: loss / divisor.max(f32::MIN_POSITIVE),
                    learning_rate: rate,
                };
                if on_event(&heard).is_break() {
                    if let Some(keep) = keep {
                        state.save(keep, &self.parameters, &self.optimiser)?;
                    }
                    return Ok(false);
                }
                if let Some(keep) = keep.filter(|keep| saved.elapsed() >= keep.every) {
                    state.save(keep, &self.parameters, &self.optimiser)?;
                    saved = std::time::Instant::now();
                }
            }
            let heard = self.end_epoch(epoch, state)?;
            if let Some(keep) = keep {
                state.save(keep, &self.parameters, &self.optimiser)?;
                saved = std::time::Instant::now();
            }
            if on_event(&TrainingEvent::Epoch(heard)).is_break() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One step over its batches; returns the loss before division and the divisor.
    fn step(&mut self, batches: &[Vec<usize>], rate: f64) -> Result<(f32, f32), ClassifierError> {
        let (data, k) = (self.data, self.data.weighing.outputs.len());
        let examples = || batches.iter().flatten();
        // The loss of a step is one mean over all its batches, so that gradients can be added up batch by batch
        // (`accumulate`) and come to what one large batch would give: the divisor has to be known before the first of them.
        let divisor: f32 = examples().map(|at| data.weighing.divisor(&data.outputs[*at], data.weights[*at])).sum();
        let scale = if divisor > 0.0 { 1.0 / divisor } else { 0.0 };
        let mut total = 0.0;
        for (number, batch) in batches.iter().enumerate() {
            let packed = PackedBatch::of(batch.iter().map(|at| data.ids[*at].as_slice()));
            // The rates come from the architecture; this one only says that there is dropout.
            let dropout = Dropout::new(self.seed, self.optimiser.step * 1_024 + number as u64, 0.5);
            let logits = self.network.forward(&self.parameters, &packed, true, dropout)?;
            let mut by = vec![0.0; logits.len()];
            for ((at, row), by) in batch.iter().zip(logits.chunks_exact(k)).zip(by.chunks_exact_mut(k)) {
                total += data.weighing.loss(row, &data.outputs[*at], data.weights[*at], scale, by);
            }
            self.network.backward(&mut self.parameters, &by)?;
        }
        let threads = self.encoder.threads();
        self.optimiser.update(&mut self.parameters, rate, self.config.weight_decay, self.config.clip, threads);
        Ok((total, divisor))
    }

    fn end_epoch(&mut self, epoch: usize, state: &mut CheckpointState) -> Result<Epoch, ClassifierError> {
        let (data, k) = (self.data, self.data.weighing.outputs.len());
        let mut heard = Epoch {
            epoch,
            epochs: self.config.epochs,
            train_loss: (state.loss / state.divisor.max(f64::MIN_POSITIVE)) as f32,
            validation_loss: None,
            validation_macro_f1: None,
            per_output_f1: vec![None; k],
            best: data.validation.is_empty(),
        };
        (state.loss, state.divisor, state.step_in_epoch) = (0.0, 0.0, 0);
        if !data.validation.is_empty() {
            let logits = read(&mut self.network, &self.parameters, &data.validation_ids, k)?;
            let loss = mean_loss(data.weighing.selection, &logits, data.validation);
            let (macro_f1, each) = f1(data.weighing.selection, k, &logits, data.validation);
            let better = state.best.is_none_or(|(f1, least)| macro_f1 > f1 || (macro_f1 == f1 && loss < least));
            (heard.validation_loss, heard.validation_macro_f1) = (Some(loss), Some(macro_f1));
            (heard.per_output_f1, heard.best) = (each, better);
            state.waited = if better { 0 } else { state.waited + 1 };
            if better {
                state.best = Some((macro_f1, loss));
                state.best_values = Some(self.optimiser.with_decay_applied(&self.parameters));
            }
        }
        state.epochs.push(heard.clone());
        Ok(heard)
    }
}

/// See [`super::Trainer::batches`].
pub(super) fn batches(
    encoder: &Encoder,
    train: &[Example<'_>],
    config: &TuneConfig,
    seed: u64,
) -> Result<Vec<IndexedTokens>, ClassifierError> {
    let ids = encoder.ids(&train.iter().map(|example| example.text).collect::<Vec<_>>())?;
    let lengths: Vec<usize> = ids.iter().map(Vec::len).collect();
    let outputs: Vec<Vec<usize>> = train.iter().map(|example| example.outputs.clone()).collect();
    let steps = plan::epoch(config, seed, 1, &lengths, &outputs);
    Ok(steps.into_iter().flatten().map(|batch| batch.into_iter().map(|at| (at, ids[at].clone())).collect()).collect())
}

/// SHA-256 of everything that a run depends on.
fn fingerprint(encoder: &Encoder, task: &TrainingTask<'_>, config: &TuneConfig) -> String {
    let TrainingTask { outputs, selection, train, validation, seed } = *task;
    let mut hasher = Sha256::new();
    let head = serde_json::json!([encoder.fingerprint(), outputs, selection, config, seed, train.len()]);
    hasher.update(head.to_string());
    for example in train.iter().chain(validation) {
        hasher.update((example.text.len() as u64).to_le_bytes());
        hasher.update(example.text);
        hasher.update(format!("{:?} {}", example.outputs, example.weight));
    }
    hex::encode(hasher.finalize())
}

/// Where the state of a run under way is kept: beside the models, known by its fingerprint.
fn state_file(folder: &Path, fingerprint: &str) -> PathBuf {
    folder.join(format!(".training-{}.safetensors", &fingerprint[..fingerprint.len().min(16)]))
}

#[cfg(test)]
mod tests;
