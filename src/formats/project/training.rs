//! What `[train]` says.

use serde::Serialize;

use crate::domain::split::Tier;
use crate::formats::toml_source::{TomlSource, TomlTable};

/// Weights of categories in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weights {
    /// All alike.
    None,
    /// As scikit-learn's `balanced`.
    Balanced,
    /// Its square root.
    Sqrt,
}

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainingMethod {
    /// A linear model over n-grams.
    Ngram,
    /// A head on an encoder that stays as it is.
    Frozen,
    /// An encoder together with its head.
    Finetune,
    /// The three of them, their probabilities averaged.
    Vote,
}

impl TrainingMethod {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Ngram, Self::Frozen, Self::Finetune, Self::Vote];

    /// Its word in the project file.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ngram => "ngram",
            Self::Frozen => "frozen",
            Self::Finetune => "finetune",
            Self::Vote => "vote",
        }
    }
}

/// Settings of training. What is `None` is as the method has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainSettings {
    /// What to learn from.
    pub tiers: Vec<Tier>,
    pub method: TrainingMethod,
    /// The encoder's folder, or its name on the hub; empty for none.
    pub encoder: String,
    /// Texts are cut to so many tokens.
    pub max_tokens: usize,
    /// At most this many passes.
    pub epochs: Option<usize>,
    /// Step size.
    pub learning_rate: Option<f64>,
    /// Epochs without progress before it stops.
    pub patience: Option<usize>,
    /// Weights of categories.
    pub class_weights: Option<Weights>,
    /// How much an example of gold, silver and bronze counts.
    pub tier_weights: [f64; 3],
    /// Frozen: scikit-learn's `C`.
    pub c: f64,
    /// Fine-tuning: examples in a batch, and batches in a step.
    pub batch: usize,
    /// Batches in a step.
    pub accumulate: usize,
    /// Fine-tuning: whether the classifier sees the mean of all positions, not the first.
    pub mean_pooling: bool,
    /// Fine-tuning: how many of the encoder's last layers learn.
    pub last_layers: Option<usize>,
    /// Fine-tuning: dropout, in place of the encoder's own.
    pub dropout: Option<f64>,
    /// Fine-tuning: the share of steps in which the step size grows.
    pub warmup: f64,
    /// Fine-tuning: decoupled decay.
    pub weight_decay: f64,
    /// Fine-tuning: the largest norm of a step's gradients.
    pub clip: f64,
    /// Fine-tuning: the share of a label spread over all outputs.
    pub label_smoothing: f64,
    /// Fine-tuning: how far rare categories are drawn more often.
    pub oversample: f64,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            tiers: vec![Tier::Gold],
            method: TrainingMethod::Ngram,
            encoder: String::new(),
            max_tokens: 256,
            epochs: None,
            learning_rate: None,
            patience: None,
            class_weights: None,
            tier_weights: [1.0; 3],
            c: 20.0,
            batch: 16,
            accumulate: 1,
            mean_pooling: false,
            last_layers: None,
            dropout: None,
            warmup: 0.1,
            weight_decay: 0.01,
            clip: 1.0,
            label_smoothing: 0.0,
            oversample: 0.0,
            seed: 1,
        }
    }
}

impl TrainSettings {
    /// These settings for another method: passes, step size, patience and weights of categories are as that one has them.
    pub fn of(&self, method: TrainingMethod) -> Self {
        Self { method, epochs: None, learning_rate: None, patience: None, class_weights: None, ..self.clone() }
    }

    /// How much an example of a tier counts.
    pub(crate) fn weight(&self, tier: Tier) -> f32 {
        let [gold, silver, bronze] = self.tier_weights;
        (match tier {
            Tier::Gold => gold,
            Tier::Silver => silver,
            Tier::Bronze => bronze,
        }) as f32
    }
}

/// Reads `[train]`.
pub(super) fn read<'t>(s: &mut TomlSource<'t>, mut table: TomlTable<'_, 't>, train: &mut TrainSettings) {
    if let Some(tiers) = table.placed_texts(s, "tiers") {
        train.tiers.clear();
        for (tier, at) in tiers {
            match tier.as_str() {
                "gold" => train.tiers.push(Tier::Gold),
                "silver" => train.tiers.push(Tier::Silver),
                "bronze" => train.tiers.push(Tier::Bronze),
                _ => s.fault(at, format!("`tiers` knows gold, silver and bronze, not \"{tier}\"")),
            }
        }
    }
    train.method =
        table.word(s, "method", &TrainingMethod::ALL.map(|method| (method.word(), method))).unwrap_or(train.method);
    if let Some((encoder, _)) = table.text(s, "encoder") {
        train.encoder = encoder;
    }
    train.max_tokens = table.whole(s, "max_tokens", 8..=8_192).map_or(train.max_tokens, |n| n as usize);
    train.epochs = table.whole(s, "epochs", 1..=10_000).map(|n| n as usize).or(train.epochs);
    train.learning_rate = table.number(s, "learning_rate", 1e-7..=100.0).or(train.learning_rate);
    train.patience = table.whole(s, "patience", 1..=10_000).map(|n| n as usize).or(train.patience);
    let words = [("none", Weights::None), ("balanced", Weights::Balanced), ("sqrt", Weights::Sqrt)];
    train.class_weights = table.word(s, "class_weights", &words).or(train.class_weights);
    for (name, weight) in ["gold_weight", "silver_weight", "bronze_weight"].iter().zip(&mut train.tier_weights) {
        *weight = table.number(s, name, 0.0..=1_000.0).unwrap_or(*weight);
    }
    train.c = table.number(s, "c", 1e-6..=1e9).unwrap_or(train.c);
    train.batch = table.whole(s, "batch", 1..=4_096).map_or(train.batch, |n| n as usize);
    train.accumulate = table.whole(s, "accumulate", 1..=4_096).map_or(train.accumulate, |n| n as usize);
    train.mean_pooling = table.flag(s, "mean_pooling").unwrap_or(train.mean_pooling);
    train.last_layers = table.whole(s, "last_layers", 0..=1_000).map(|n| n as usize).or(train.last_layers);
    train.dropout = table.number(s, "dropout", 0.0..=0.9).or(train.dropout);
    train.warmup = table.number(s, "warmup", 0.0..=0.9).unwrap_or(train.warmup);
    train.weight_decay = table.number(s, "weight_decay", 0.0..=1.0).unwrap_or(train.weight_decay);
    train.clip = table.number(s, "clip", 1e-3..=1e6).unwrap_or(train.clip);
    train.label_smoothing = table.number(s, "label_smoothing", 0.0..=0.9).unwrap_or(train.label_smoothing);
    train.oversample = table.number(s, "oversample", 0.0..=1.0).unwrap_or(train.oversample);
    train.seed = table.whole(s, "seed", 0..=1 << 53).unwrap_or(train.seed);
    table.close(s);
}
