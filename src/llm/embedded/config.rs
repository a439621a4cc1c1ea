//! What a model file says of its architecture.

use super::super::LlmError;
use super::attention::Heads;
use super::file::GgufFile;

/// Families that are known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Llama,
    Qwen2,
    Qwen3,
    Gemma3,
}

/// What the feed-forward's gate goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GateActivation {
    /// SiLU, of the llama and qwen families.
    Silu,
    /// The tanh form of GELU, by which gemma was trained.
    Gelu,
}

/// The shape of a transformer.
pub(super) struct Config {
    pub(super) family: Family,
    pub(super) gate: GateActivation,
    pub(super) layers: usize,
    pub(super) hidden: usize,
    pub(super) feed_forward: usize,
    pub(super) heads: Heads,
    pub(super) epsilon: f32,
    /// Numbers of a head that are turned by position.
    pub(super) turned: usize,
    pub(super) base: f32,
    /// Base of the layers that see a window only.
    pub(super) local_base: f32,
    /// Positions are divided by this (linear scaling of rotary positions).
    pub(super) stretch: f32,
    /// Tokens that a windowed layer sees.
    pub(super) window: Option<usize>,
    /// Every so many layers one sees everything.
    pub(super) pattern: usize,
    /// The longest text that the model was trained for.
    pub(super) context: usize,
}

impl Config {
    /// Reads it from the metadata.
    pub(super) fn read(file: &GgufFile) -> Result<Self, LlmError> {
        let name = file.text("general.architecture").unwrap_or("").to_owned();
        let family = match name.as_str() {
            "llama" => Family::Llama,
            "qwen2" => Family::Qwen2,
            "qwen3" => Family::Qwen3,
            "gemma3" => Family::Gemma3,
            _ => {
                return Err(file.wrong(format!(
                    "a model of architecture {name:?}; those that can be run here are llama, qwen2, qwen3 and gemma3"
                )));
            }
        };
        let key = |part: &str| format!("{name}.{part}");
        if file.number(&key("expert_count")).is_some_and(|n| n > 0) {
            return Err(file.wrong("a mixture of experts, which cannot be run here; choose a dense model"));
        }
        let hidden = file.count(&key("embedding_length"))?;
        let queries = file.count(&key("attention.head_count"))?;
        let keys = file.number(&key("attention.head_count_kv")).unwrap_or(queries);
        let size = file.number(&key("attention.key_length")).unwrap_or(hidden / queries);
        let values = file.number(&key("attention.value_length")).unwrap_or(size);
        if keys == 0 || queries % keys != 0 || size == 0 || !size.is_multiple_of(2) || values != size {
            return Err(file.wrong("its numbers of attention heads do not fit each other; convert the model again"));
        }
        let turned = file.number(&key("rope.dimension_count")).unwrap_or(size);
        if turned == 0 || !turned.is_multiple_of(2) || turned > size {
            return Err(file.wrong("its rotary positions do not fit its heads; convert the model again"));
        }
        let scaling = file.text(&key("rope.scaling.type")).unwrap_or("none");
        let factor = file.real(&key("rope.scaling.factor")).filter(|x| *x > 0.0);
        let stretch = match (scaling, factor) {
            ("none", None) => 1.0,
            // Gemma's files name the factor only.
            ("none" | "linear", Some(factor)) => factor,
            ("linear", None) => 1.0,
            (other, _) => {
                return Err(file.wrong(format!("rotary positions scaled by {other:?}, which cannot be run here")));
            }
        };
        let epsilon = file
            .real(&key("attention.layer_norm_rms_epsilon"))
            .ok_or_else(|| file.wrong("its metadata has no layer_norm_rms_epsilon; convert the model again"))?;
        let gemma = family == Family::Gemma3;
        Ok(Self {
            family,
            gate: if gemma { GateActivation::Gelu } else { GateActivation::Silu },
            layers: file.count(&key("block_count"))?,
            hidden,
            feed_forward: file.count(&key("feed_forward_length"))?,
            heads: Heads { queries, keys, size },
            epsilon,
            turned,
            base: file.real(&key("rope.freq_base")).unwrap_or(if gemma { 1e6 } else { 1e4 }),
            local_base: file.real(&key("rope.local_freq_base")).unwrap_or(1e4),
            stretch,
            window: file.number(&key("attention.sliding_window")).filter(|n| gemma && *n > 0),
            pattern: file.number(&key("attention.sliding_window_type")).unwrap_or(6).max(1),
            context: file.number(&key("context_length")).unwrap_or(2048).max(1),
        })
    }

    /// Whether a layer sees a window only.
    pub(super) fn local(&self, layer: usize) -> bool {
        self.window.is_some() && !(layer + 1).is_multiple_of(self.pattern)
    }
}
