//! The classifier: features, training, calibration, saved models. Plain values in and out.
//!
//! The default model is linear over word and character n-grams: it trains in about a second on what a team labels in a
//! week, on any processor, with no weights to fetch. Whatever is trained, and however, is a [`Classifier`]; [`Learner::fit`]
//! is the one door to training.

mod artifact;
mod calibrate;
mod ngram;
mod targets;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use artifact::load;
pub use calibrate::expected_calibration_error;
pub use ngram::{NgramModel, fit};

/// What can go wrong with a classifier.
#[derive(Debug, thiserror::Error)]
pub enum ClassifierError {
    /// Too little to learn from.
    #[error("nothing to train on: {0}")]
    TooLittle(String),
    /// A saved model that cannot be read.
    #[error("the model in {} cannot be read: {detail}; train it again with `goldsmith train`", .path.display())]
    Unreadable {
        /// The model's folder.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// A model that cannot be saved.
    #[error("cannot save the model in {}: {cause}", .path.display())]
    Unwritable {
        /// The model's folder.
        path: PathBuf,
        /// The system's word for it.
        cause: String,
    },
    /// An operation on tensors failed.
    #[error("the classifier failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

/// How outputs relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Exactly one holds: softmax.
    Single,
    /// Any may hold: one sigmoid each.
    Multiple,
}

/// How rare outputs are weighed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// Every example alike.
    None,
    /// scikit-learn's `balanced`: n / (outputs * count).
    Balanced,
    /// The square root of balanced.
    Sqrt,
}

/// One text with its outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Example<'a> {
    /// The text.
    pub text: &'a str,
    /// Positions of the outputs that hold; exactly one under [`Mode::Single`].
    pub outputs: Vec<usize>,
    /// How much the example counts.
    pub weight: f32,
}

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitConfig {
    /// At most this many passes.
    pub epochs: usize,
    /// Step size of Adagrad.
    pub learning_rate: f64,
    /// Weight of the squared weights in the loss.
    pub l2: f64,
    /// Examples in one step.
    pub batch: usize,
    /// Epochs without a lower loss on validation before it stops.
    pub patience: usize,
    /// Weights of outputs.
    pub class_weights: ClassWeights,
    /// n-grams in fewer training texts than this are left out.
    pub min_df: u32,
    /// Seed of the order of examples.
    pub seed: u64,
}

impl Default for FitConfig {
    fn default() -> Self {
        Self {
            epochs: 40,
            learning_rate: 0.07,
            l2: 1e-4,
            batch: 16,
            patience: 6,
            class_weights: ClassWeights::Balanced,
            min_df: 2,
            seed: 1,
        }
    }
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
pub enum Heard {
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
pub type Listen<'a> = dyn FnMut(&Heard) -> ControlFlow<()> + 'a;

/// A trained model: it gives each output a probability, says which outputs that speaks for, and can be saved.
pub trait Classifier: Send + Sync {
    /// The outputs' names.
    fn outputs(&self) -> &[String];
    /// Softmax or sigmoids.
    fn mode(&self) -> Mode;
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

/// A way to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "lowercase")]
pub enum Recipe {
    /// A linear model over n-grams.
    Ngram(FitConfig),
}

/// Trains models by one recipe. Threads may share it.
#[derive(Clone, Debug)]
pub struct Learner {
    recipe: Recipe,
}

impl Learner {
    /// A learner of n-gram models.
    pub fn ngram(config: FitConfig) -> Self {
        Self { recipe: Recipe::Ngram(config) }
    }

    /// A short name for lists of runs.
    pub fn name(&self) -> String {
        match &self.recipe {
            Recipe::Ngram(_) => "n-gram linear".into(),
        }
    }

    /// What it trains by; part of a run's configuration.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Trains a model. Without validation examples all epochs run and the temperature stays 1. The same arguments give the
    /// same weights, bit for bit, on the same machine.
    pub fn fit(
        &self,
        outputs: &[String],
        mode: Mode,
        train: &[Example<'_>],
        validation: &[Example<'_>],
        seed: u64,
        listen: &mut Listen<'_>,
    ) -> Result<Box<dyn Classifier>, ClassifierError> {
        targets::check(outputs, mode, train)?;
        match &self.recipe {
            Recipe::Ngram(config) => {
                let config = FitConfig { seed, ..config.clone() };
                let mut epoch = |epoch: &Epoch| listen(&Heard::Epoch(epoch.clone()));
                Ok(Box::new(fit(outputs, mode, train, validation, &config, &mut epoch)?))
            }
        }
    }
}

#[cfg(test)]
mod tests;
