//! The classifier: features, training, calibration, saved models. Plain values in and out.
//!
//! The default model is linear over word and character n-grams: it trains in about a second on what a team labels in a
//! week, on any processor, with no weights to fetch. Other encoders join it behind [`Classifier`].

mod artifact;
mod calibrate;
mod features;
mod linear;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use calibrate::expected_calibration_error;
pub use linear::{Epoch, fit};

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

/// Anything that gives each output a probability.
pub trait Classifier {
    /// The outputs' names.
    fn outputs(&self) -> &[String];
    /// Calibrated probabilities, `[texts][outputs]`.
    fn predict(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ClassifierError>;
}

/// A trained linear model over n-grams.
#[derive(Clone, Debug)]
pub struct Model {
    outputs: Vec<String>,
    mode: Mode,
    features: features::Features,
    /// `[features + 1, outputs]`, the last row is the bias.
    weights: candle_core::Tensor,
    temperature: f32,
}

impl Model {
    /// Softmax or sigmoids.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The temperature that divides the logits; 1 without validation examples.
    pub fn temperature(&self) -> f32 {
        self.temperature
    }

    /// How many n-grams it knows.
    pub fn feature_count(&self) -> usize {
        self.features.len()
    }

    /// The outputs that a row of probabilities speaks for: the likeliest, or all from one half up.
    pub fn choose(&self, probabilities: &[f32]) -> Vec<usize> {
        linear::choose(self.mode, probabilities)
    }
}

impl Classifier for Model {
    fn outputs(&self) -> &[String] {
        &self.outputs
    }

    fn predict(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ClassifierError> {
        let mut all = Vec::with_capacity(texts.len());
        // Batches bound the memory, not the result: each row is computed alone.
        for texts in texts.chunks(1_024) {
            let rows: Vec<features::Row> = texts.iter().map(|text| self.features.row(text)).collect();
            let logits = linear::logits(&self.weights, &rows.iter().collect::<Vec<_>>(), self.features.len())?;
            all.extend(linear::probabilities(self.mode, &logits.to_vec2::<f32>()?, self.temperature));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests;
