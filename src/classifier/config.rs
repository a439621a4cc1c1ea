//! How each method trains: plain data, kept with every run.

use serde::{Deserialize, Serialize};

/// A way to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "lowercase")]
pub enum TrainingConfig {
    /// A linear model over n-grams.
    Ngram(FitConfig),
    /// A head on an encoder that stays as it is.
    Frozen(HeadConfig),
    /// An encoder trained together with its head.
    FineTune(TuneConfig),
    /// Several of them, whose probabilities are averaged.
    Vote(VotingConfig),
}

/// The recipes that vote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VotingConfig {
    /// Each with the same say.
    pub parts: Vec<TrainingConfig>,
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

/// How to train a head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadConfig {
    /// One over the weight of the squared weights, as scikit-learn's `C`.
    pub c: f64,
    /// At most this many steps of L-BFGS.
    pub steps: usize,
    /// Weights of outputs.
    pub class_weights: ClassWeights,
}

impl Default for HeadConfig {
    fn default() -> Self {
        Self { c: 20.0, steps: 200, class_weights: ClassWeights::Balanced }
    }
}

/// How to fine-tune.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TuneConfig {
    /// At most this many passes.
    pub epochs: usize,
    /// The largest step size of AdamW.
    pub learning_rate: f64,
    /// The share of all steps in which the step size grows.
    pub warmup: f64,
    /// Decoupled decay of matrices.
    pub weight_decay: f64,
    /// The largest norm of all gradients together.
    pub clip: f64,
    /// Dropout everywhere, in place of what the encoder's configuration says.
    pub dropout: Option<f32>,
    /// The share of a label that is spread over all outputs.
    pub label_smoothing: f32,
    /// Weights of outputs.
    pub class_weights: ClassWeights,
    /// How far rare outputs are drawn more often: 0 not at all, 1 until all are equally frequent.
    pub oversample: f64,
    /// Examples in a batch, at most.
    pub batch: usize,
    /// Padded tokens in a batch, at most.
    pub batch_tokens: usize,
    /// Batches in a step.
    pub accumulate: usize,
    /// Whether the outputs are computed from the mean of all positions and not from the first one. Encoders that were trained
    /// to make sentence embeddings learn better so, and transformers has no class that loads the result.
    pub mean_pooling: bool,
    /// How many of the encoder's last layers are trained; all, and the embeddings, if not said.
    pub last_layers: Option<usize>,
    /// Epochs without a better macro-F1 on validation before it stops.
    pub patience: usize,
}

impl Default for TuneConfig {
    fn default() -> Self {
        Self {
            epochs: 8,
            learning_rate: 1e-4,
            warmup: 0.1,
            weight_decay: 0.01,
            clip: 1.0,
            dropout: None,
            label_smoothing: 0.0,
            class_weights: ClassWeights::Sqrt,
            oversample: 0.0,
            batch: 16,
            batch_tokens: 4_096,
            accumulate: 1,
            mean_pooling: false,
            last_layers: None,
            patience: 3,
        }
    }
}
