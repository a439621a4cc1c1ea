//! The classifier: features, training, calibration, saved models. Plain values in and out.
//!
//! The default model is linear over word and character n-grams: it trains in about a second on what a team labels in a
//! week, on any processor, with no weights to fetch. Whatever is trained, and however, is a [`Classifier`]; [`Trainer::fit`]
//! is the one door to training.

mod artifact;
mod calibrate;
mod config;
#[cfg(feature = "encoders")]
pub(crate) mod encoder;
#[cfg(feature = "encoders")]
mod frozen;
mod loss;
mod ngram;
mod targets;
pub(crate) mod tensors;
#[cfg(feature = "encoders")]
mod tune;
mod vote;
#[cfg(not(feature = "encoders"))]
mod without_encoders;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use artifact::ModelKind;
pub use config::{ClassWeights, FitConfig, HeadConfig, TrainingConfig, TuneConfig, VotingConfig};
pub use encoder::{Encoder, Threads};
pub use ngram::{NgramModel, fit};
pub(crate) use vote::VotingModel;
#[cfg(not(feature = "encoders"))]
use without_encoders::{encoder, frozen, tune};

pub use crate::domain::taxonomy::Selection;
use crate::domain::text::Cause;

/// A file of a model's folder, in front of what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct InFile(&'static str, #[source] Cause);

impl InFile {
    fn cause(name: &'static str, cause: impl Into<Cause>) -> Cause {
        Self(name, cause.into()).into()
    }
}

/// What can go wrong with a classifier.
#[derive(Debug, thiserror::Error)]
pub enum ClassifierError {
    /// Too little to learn from.
    #[error("nothing to train on: {0}")]
    TooLittle(String),
    /// A saved model that cannot be read.
    #[error("the model in {} cannot be read", .path.display())]
    Unreadable {
        /// The model's folder.
        path: PathBuf,
        /// What is wrong.
        #[source]
        cause: Cause,
    },
    /// A model that cannot be saved.
    #[error("cannot save the model in {}", .path.display())]
    Unwritable {
        /// The model's folder.
        path: PathBuf,
        /// The system's word for it.
        #[source]
        cause: Cause,
    },
    /// A folder that is no encoder that can be used.
    #[error("the encoder in {} cannot be used", .folder.display())]
    Encoder {
        folder: PathBuf,
        /// What is wrong.
        #[source]
        cause: Cause,
    },
    /// A model came out that computes no probabilities.
    #[error("training ended in a model without numbers (NaN): its probabilities are none")]
    NoNumbers,
    /// An operation on tensors failed.
    #[cfg(feature = "encoders")]
    #[error("the classifier failed")]
    Tensor(#[from] candle_core::Error),
    /// This needs an encoder.
    #[cfg(not(feature = "encoders"))]
    #[error("this goldsmith was built without encoders")]
    LeftOut,
}

/// One text with its outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Example<'a> {
    pub text: &'a str,
    /// Positions of the outputs that hold; exactly one under [`Selection::Single`], where *None* is an output of its own.
    pub outputs: Vec<usize>,
    /// How much the example counts.
    pub weight: f32,
}

/// What one pass over the training set came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// What training says while it runs.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainingEvent {
    /// One step of the optimiser.
    Step {
        /// From 1.
        step: usize,
        /// At most.
        steps: usize,
        /// Mean weighted loss of the step's examples.
        loss: f32,
        /// Step size.
        learning_rate: f64,
    },
    /// A pass over the training set.
    Epoch(Epoch),
}

/// Hears what training says; breaking stops it and keeps the best so far.
pub(crate) type TrainingCallback<'a> = dyn FnMut(&TrainingEvent) -> ControlFlow<()> + 'a;

/// A trained model: it gives each output a probability, says which outputs that speaks for, and can be saved.
pub trait Classifier: Send + Sync {
    /// The outputs' names.
    fn outputs(&self) -> &[String];
    /// Whether outputs exclude each other (softmax) or each holds by itself (sigmoids).
    fn selection(&self) -> Selection;
    /// Calibrated probabilities, `[texts][outputs]`.
    fn predict(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ClassifierError>;
    /// The outputs that a row of probabilities speaks for.
    fn choose(&self, probabilities: &[f32]) -> Vec<usize>;
    /// Saves the model with its card: what it was trained on, its configuration, its scores. The folder appears whole or
    /// not at all. Returns the SHA-256 of the weights.
    fn save(&self, folder: &Path, card: &serde_json::Value) -> Result<String, ClassifierError>;
    /// What it is, for its card: kind, size, temperature.
    fn describe(&self) -> serde_json::Value;
}

/// What is to be learnt.
#[derive(Clone, Copy)]
pub(super) struct TrainingTask<'a> {
    outputs: &'a [String],
    selection: Selection,
    train: &'a [Example<'a>],
    validation: &'a [Example<'a>],
    seed: u64,
}

/// How it trains, with the encoder where one is needed.
#[derive(Clone, Debug)]
enum Method {
    Ngram(FitConfig),
    Frozen(Arc<Encoder>, HeadConfig),
    FineTune(Arc<Encoder>, TuneConfig),
    Vote(Vec<Trainer>),
}

/// A batch of texts: each example's number and its token ids.
pub(crate) type IndexedTokens = Vec<(usize, Vec<u32>)>;

/// Trains models by one recipe. Threads may share it.
#[derive(Clone, Debug)]
pub struct Trainer {
    method: Method,
    /// Where fine-tuning keeps its state.
    states: Option<PathBuf>,
}

impl Trainer {
    /// A learner of n-gram models.
    pub fn ngram(config: FitConfig) -> Self {
        Self { method: Method::Ngram(config), states: None }
    }

    /// A learner of heads on a frozen encoder.
    pub fn frozen(encoder: Arc<Encoder>, config: HeadConfig) -> Self {
        Self { method: Method::Frozen(encoder, config), states: None }
    }

    /// A learner that fine-tunes an encoder. With a folder it keeps the state of a run there, after every epoch and every
    /// few minutes, and takes up what a run with the same configuration and data has left.
    pub fn fine_tune(encoder: Arc<Encoder>, config: TuneConfig, states: Option<PathBuf>) -> Self {
        Self { method: Method::FineTune(encoder, config), states }
    }

    /// A learner of several models that vote.
    pub(crate) fn vote(parts: Vec<Self>) -> Self {
        Self { method: Method::Vote(parts), states: None }
    }

    /// The encoder, where there is one.
    pub(crate) fn encoder(&self) -> Option<&Arc<Encoder>> {
        match &self.method {
            Method::Ngram(_) => None,
            Method::Frozen(encoder, _) | Method::FineTune(encoder, _) => Some(encoder),
            Method::Vote(parts) => parts.iter().find_map(Self::encoder),
        }
    }

    /// The encoder, where it stays as it is and its embeddings can be kept.
    pub(crate) fn frozen_encoder(&self) -> Option<&Arc<Encoder>> {
        match &self.method {
            Method::Frozen(encoder, _) => Some(encoder),
            Method::Ngram(_) | Method::FineTune(..) => None,
            Method::Vote(parts) => parts.iter().find_map(Self::frozen_encoder),
        }
    }

    /// A short name for lists of runs.
    pub fn name(&self) -> String {
        match &self.method {
            Method::Ngram(_) => "n-gram linear".into(),
            Method::Frozen(encoder, _) => format!("{} frozen", encoder.name()),
            Method::FineTune(encoder, _) => format!("{} fine-tuned", encoder.name()),
            Method::Vote(parts) => {
                let names: Vec<String> = parts.iter().map(Self::name).collect();
                format!("vote of {}", names.join(", "))
            }
        }
    }

    /// What it trains by; part of a run's configuration.
    pub(crate) fn recipe(&self) -> TrainingConfig {
        match &self.method {
            Method::Ngram(config) => TrainingConfig::Ngram(config.clone()),
            Method::Frozen(_, config) => TrainingConfig::Frozen(config.clone()),
            Method::FineTune(_, config) => TrainingConfig::FineTune(config.clone()),
            Method::Vote(parts) => {
                TrainingConfig::Vote(VotingConfig { parts: parts.iter().map(Self::recipe).collect() })
            }
        }
    }

    /// The token ids of every batch that fine-tuning would see in its first epoch, in their order, each text with its
    /// example's number; none for other recipes. A reference program can be given the same.
    pub fn batches(&self, train: &[Example<'_>], seed: u64) -> Result<Vec<IndexedTokens>, ClassifierError> {
        match &self.method {
            Method::FineTune(encoder, config) => tune::batches(encoder, train, config, seed),
            Method::Ngram(_) | Method::Frozen(..) | Method::Vote(_) => Ok(Vec::new()),
        }
    }

    /// Trains a model. Without validation examples all epochs run and the temperature stays 1. The same arguments give the
    /// same weights, bit for bit, on the same machine.
    pub fn fit(
        &self,
        outputs: &[String],
        selection: Selection,
        train: &[Example<'_>],
        validation: &[Example<'_>],
        seed: u64,
        on_event: &mut TrainingCallback<'_>,
    ) -> Result<Box<dyn Classifier>, ClassifierError> {
        targets::check(outputs, selection, train)?;
        let model = self.train(&TrainingTask { outputs, selection, train, validation, seed }, on_event)?;
        // Weights that are no numbers give probabilities that are none, and every comparison with them says no.
        let some: Vec<&str> = train.iter().take(8).map(|example| example.text).collect();
        let sound = model.predict(&some)?.iter().flatten().all(|p| p.is_finite());
        if sound { Ok(model) } else { Err(ClassifierError::NoNumbers) }
    }

    fn train(
        &self,
        task: &TrainingTask<'_>,
        on_event: &mut TrainingCallback<'_>,
    ) -> Result<Box<dyn Classifier>, ClassifierError> {
        let TrainingTask { outputs, selection, train, validation, seed } = *task;
        match &self.method {
            Method::Ngram(config) => {
                let config = FitConfig { seed, ..config.clone() };
                let mut epoch = |epoch: &Epoch| on_event(&TrainingEvent::Epoch(epoch.clone()));
                Ok(Box::new(fit(outputs, selection, train, validation, &config, &mut epoch)?))
            }
            Method::Frozen(encoder, config) => frozen::train(encoder, task, config, on_event),
            Method::FineTune(encoder, config) => tune::train(encoder, task, config, self.states.as_deref(), on_event),
            Method::Vote(parts) => {
                // Whoever breaks in one part stops them all, each with its best so far.
                let mut broken = false;
                let mut models = Vec::with_capacity(parts.len());
                for part in parts {
                    let mut on_event = |heard: &TrainingEvent| {
                        broken |= on_event(heard).is_break();
                        if broken { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                    };
                    models.push(part.fit(outputs, selection, train, validation, seed, &mut on_event)?);
                }
                Ok(Box::new(VotingModel::new(models, validation)?))
            }
        }
    }
}

/// Loads a saved model and its card.
pub(crate) fn load(folder: &Path) -> Result<(Box<dyn Classifier>, serde_json::Value), ClassifierError> {
    let description = artifact::read_manifest(folder)?;
    let card = description.card.clone();
    let model: Box<dyn Classifier> = match description.kind {
        ModelKind::Ngram => Box::new(NgramModel::restore(folder, description)?),
        ModelKind::Frozen => frozen::restore(folder, description)?,
        ModelKind::Tuned => tune::restore(folder, description)?,
        ModelKind::Vote => Box::new(VotingModel::restore(folder, description)?),
    };
    Ok((model, card))
}

#[cfg(test)]
mod tests;
