//! What `config.json` of a Hugging Face folder says: the family, the sizes, and what is not supported.

use serde::{Deserialize, Serialize};

use crate::domain::text::Cause;

/// Families of encoders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EncoderFamily {
    /// BERT and what has its shape: ClinicalBERT, PubMedBERT, MiniLM, bge.
    Bert,
    /// DistilBERT.
    DistilBert,
    /// ModernBERT.
    ModernBert,
}

/// Between the two products of a layer's second half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// By the error function.
    Gelu,
    GeluTanh,
    /// The larger of 0 and x.
    Relu,
}

/// What ModernBERT has of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ModernBertConfig {
    /// Every so manyth layer attends to everything, beginning with the first; the others to a window.
    pub global_every: usize,
    /// Positions to each side that a window reaches.
    pub reach: usize,
    /// Base of the rotary positions of layers that attend to everything.
    pub global_theta: f64,
    /// And of those with a window.
    pub local_theta: f64,
    /// Whether the classifier sees the mean of all positions, not the first one.
    pub mean_pooling: bool,
}

/// An encoder's shape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Architecture {
    pub family: EncoderFamily,
    /// Entries of the vocabulary.
    pub vocabulary: usize,
    /// Width of a position.
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    /// Width between the two products of a layer's second half.
    pub intermediate: usize,
    /// The most tokens of a text, marks included.
    pub positions: usize,
    /// Kinds of segments; 0 for none.
    pub segments: usize,
    /// Added to the variance in a layer norm.
    pub eps: f32,
    /// Dropout of hidden values, of attention, before the classifier.
    pub dropout: [f32; 3],
    pub activation: Activation,
    /// ModernBERT's own.
    pub modern: Option<ModernBertConfig>,
    /// Whether the outputs are computed from the mean of all positions with nothing between. It is not what transformers'
    /// classes of BERT and DistilBERT do.
    pub bare_mean: bool,
}

/// The marks at both ends, and room for a word between them.
const FEWEST_POSITIONS: usize = 8;

#[derive(Deserialize)]
struct RawConfig {
    model_type: Option<String>,
    vocab_size: Option<usize>,
    #[serde(alias = "dim")]
    hidden_size: Option<usize>,
    #[serde(alias = "n_layers")]
    num_hidden_layers: Option<usize>,
    #[serde(alias = "n_heads")]
    num_attention_heads: Option<usize>,
    #[serde(alias = "hidden_dim")]
    intermediate_size: Option<usize>,
    max_position_embeddings: Option<usize>,
    type_vocab_size: Option<usize>,
    layer_norm_eps: Option<f32>,
    norm_eps: Option<f32>,
    #[serde(alias = "dropout")]
    hidden_dropout_prob: Option<f32>,
    #[serde(alias = "attention_dropout")]
    attention_probs_dropout_prob: Option<f32>,
    classifier_dropout: Option<f32>,
    seq_classif_dropout: Option<f32>,
    mlp_dropout: Option<f32>,
    #[serde(alias = "activation", alias = "hidden_activation")]
    hidden_act: Option<String>,
    position_embedding_type: Option<String>,
    global_attn_every_n_layers: Option<usize>,
    local_attention: Option<usize>,
    global_rope_theta: Option<f64>,
    local_rope_theta: Option<f64>,
    rope_parameters: Option<serde_json::Value>,
    classifier_pooling: Option<String>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    norm_bias: Option<bool>,
    classifier_bias: Option<bool>,
}

impl Architecture {
    /// Reads the text of `config.json`; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, Cause> {
        let raw: RawConfig = serde_json::from_str(text)?;
        let family = match raw.model_type.as_deref() {
            Some("bert") => EncoderFamily::Bert,
            Some("distilbert") => EncoderFamily::DistilBert,
            Some("modernbert") => EncoderFamily::ModernBert,
            Some(other) => {
                return Err(format!("its model_type is `{other}`; known are bert, distilbert and modernbert").into());
            }
            None => return Err("it has no model_type; known are bert, distilbert and modernbert".into()),
        };
        if let Some(kind) = raw.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
            return Err(format!("its position_embedding_type is `{kind}`; only `absolute` is supported").into());
        }
        let size = |name: &str, value: Option<usize>| match value {
            Some(0) | None => Err(format!("it has no {name}")),
            Some(value) if value > 1 << 24 => Err(format!("its {name} is {value}")),
            Some(value) => Ok(value),
        };
        let (hidden, heads) =
            (size("hidden_size", raw.hidden_size)?, size("num_attention_heads", raw.num_attention_heads)?);
        if hidden % heads != 0 {
            return Err(format!("its hidden_size {hidden} is no multiple of its {heads} heads").into());
        }
        let modern = family == EncoderFamily::ModernBert;
        let biases = [raw.attention_bias, raw.mlp_bias, raw.norm_bias, raw.classifier_bias];
        if modern && biases.contains(&Some(true)) {
            return Err("it has biases where ModernBERT has none".into());
        }
        let default_act = "gelu".to_owned();
        let activation = match raw.hidden_act.as_ref().unwrap_or(&default_act).as_str() {
            "gelu" => Activation::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" => Activation::GeluTanh,
            "relu" => Activation::Relu,
            other => return Err(format!("its activation is `{other}`; known are gelu, gelu_new and relu").into()),
        };
        let shares = [
            raw.hidden_dropout_prob,
            raw.attention_probs_dropout_prob,
            raw.classifier_dropout,
            raw.seq_classif_dropout,
            raw.mlp_dropout,
        ];
        if let Some(share) = shares.into_iter().flatten().find(|share| !(0.0..1.0).contains(share)) {
            return Err(format!("its dropout is {share}; it must be at least 0 and below 1").into());
        }
        let small = [raw.layer_norm_eps, raw.norm_eps].into_iter().flatten();
        if let Some(eps) = small.into_iter().find(|eps| !(*eps > 0.0 && *eps < 1.0)) {
            return Err(format!("its layer_norm_eps is {eps}; it must be a small number above 0").into());
        }
        let dropout = raw.hidden_dropout_prob.or(raw.mlp_dropout).unwrap_or(if modern { 0.0 } else { 0.1 });
        let attention_dropout = raw.attention_probs_dropout_prob.unwrap_or(if modern { 0.0 } else { 0.1 });
        let head_dropout = match family {
            EncoderFamily::Bert => raw.classifier_dropout.unwrap_or(dropout),
            EncoderFamily::DistilBert => raw.seq_classif_dropout.unwrap_or(0.2),
            EncoderFamily::ModernBert => raw.classifier_dropout.unwrap_or(0.0),
        };
        let theta = |kind: &str, plain: Option<f64>, default: f64| {
            let nested = raw.rope_parameters.as_ref().and_then(|all| all.get(kind)?.get("rope_theta")?.as_f64());
            nested.or(plain).unwrap_or(default)
        };
        let positions = size("max_position_embeddings", raw.max_position_embeddings)?;
        if positions < FEWEST_POSITIONS {
            let said =
                format!("its max_position_embeddings is {positions}; a sentence needs {FEWEST_POSITIONS} at least");
            return Err(said.into());
        }
        let modern = modern.then(|| ModernBertConfig {
            global_every: raw.global_attn_every_n_layers.unwrap_or(3).max(1),
            reach: raw.local_attention.unwrap_or(128) / 2,
            global_theta: theta("full_attention", raw.global_rope_theta, 160_000.0),
            local_theta: theta("sliding_attention", raw.local_rope_theta, 10_000.0),
            mean_pooling: raw.classifier_pooling.as_deref() == Some("mean"),
        });
        Ok(Self {
            family,
            vocabulary: size("vocab_size", raw.vocab_size)?,
            hidden,
            layers: size("num_hidden_layers", raw.num_hidden_layers)?,
            heads,
            intermediate: size("intermediate_size", raw.intermediate_size)?,
            positions,
            segments: if family == EncoderFamily::Bert { raw.type_vocab_size.unwrap_or(2) } else { 0 },
            eps: if modern.is_some() { raw.norm_eps.unwrap_or(1e-5) } else { raw.layer_norm_eps.unwrap_or(1e-12) },
            dropout: [dropout, attention_dropout, head_dropout],
            activation,
            modern,
            bare_mean: false,
        })
    }

    /// The same encoder under a classifier that sees the mean of all positions.
    pub(crate) fn with_mean(mut self) -> Self {
        match &mut self.modern {
            Some(modern) => modern.mean_pooling = true,
            None => self.bare_mean = true,
        }
        self
    }

    /// Whether a classifier sees the mean of all positions.
    pub(crate) fn pools_mean(&self) -> bool {
        self.bare_mean || self.modern.is_some_and(|modern| modern.mean_pooling)
    }

    /// The prefix of the encoder's tensors in a model with a classifier.
    pub(crate) fn prefix(&self) -> &'static str {
        match self.family {
            EncoderFamily::Bert => "bert.",
            EncoderFamily::DistilBert => "distilbert.",
            EncoderFamily::ModernBert => "model.",
        }
    }

    /// Whether a layer of ModernBERT attends to everything.
    pub(crate) fn attends_globally(&self, layer: usize) -> bool {
        self.modern.is_none_or(|modern| layer.is_multiple_of(modern.global_every))
    }

    /// Names and shapes of the encoder's tensors, without the prefix.
    pub(crate) fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (h, f) = (self.hidden, self.intermediate);
        let mut all: Vec<(String, Vec<usize>)> = Vec::new();
        let mut add = |name: String, shape: &[usize]| all.push((name, shape.to_vec()));
        let norm = |add: &mut dyn FnMut(String, &[usize]), name: &str| {
            add(format!("{name}.weight"), &[h]);
            add(format!("{name}.bias"), &[h]);
        };
        let linear = |add: &mut dyn FnMut(String, &[usize]), name: &str, rows: usize, columns: usize| {
            add(format!("{name}.weight"), &[rows, columns]);
            add(format!("{name}.bias"), &[rows]);
        };
        match self.family {
            EncoderFamily::Bert | EncoderFamily::DistilBert => {
                add("embeddings.word_embeddings.weight".into(), &[self.vocabulary, h]);
                add("embeddings.position_embeddings.weight".into(), &[self.positions, h]);
                if self.segments > 0 {
                    add("embeddings.token_type_embeddings.weight".into(), &[self.segments, h]);
                }
                norm(&mut add, "embeddings.LayerNorm");
                for layer in 0..self.layers {
                    let names = self.layer(layer);
                    for name in &names[..4] {
                        linear(&mut add, name, h, h);
                    }
                    norm(&mut add, &names[4]);
                    linear(&mut add, &names[5], f, h);
                    linear(&mut add, &names[6], h, f);
                    norm(&mut add, &names[7]);
                }
            }
            EncoderFamily::ModernBert => {
                add("embeddings.tok_embeddings.weight".into(), &[self.vocabulary, h]);
                add("embeddings.norm.weight".into(), &[h]);
                for layer in 0..self.layers {
                    if layer > 0 {
                        add(format!("layers.{layer}.attn_norm.weight"), &[h]);
                    }
                    add(format!("layers.{layer}.attn.Wqkv.weight"), &[3 * h, h]);
                    add(format!("layers.{layer}.attn.Wo.weight"), &[h, h]);
                    add(format!("layers.{layer}.mlp_norm.weight"), &[h]);
                    add(format!("layers.{layer}.mlp.Wi.weight"), &[2 * f, h]);
                    add(format!("layers.{layer}.mlp.Wo.weight"), &[h, f]);
                }
                add("final_norm.weight".into(), &[h]);
            }
        }
        all
    }

    /// Names of a layer's parts in BERT and DistilBERT: query, key, value, output, its norm, the widening and the narrowing
    /// product, and their norm.
    pub(crate) fn layer(&self, layer: usize) -> [String; 8] {
        let names = match self.family {
            EncoderFamily::DistilBert => [
                "attention.q_lin",
                "attention.k_lin",
                "attention.v_lin",
                "attention.out_lin",
                "sa_layer_norm",
                "ffn.lin1",
                "ffn.lin2",
                "output_layer_norm",
            ],
            _ => [
                "attention.self.query",
                "attention.self.key",
                "attention.self.value",
                "attention.output.dense",
                "attention.output.LayerNorm",
                "intermediate.dense",
                "output.dense",
                "output.LayerNorm",
            ],
        };
        let stem = if self.family == EncoderFamily::DistilBert { "transformer.layer" } else { "encoder.layer" };
        names.map(|name| format!("{stem}.{layer}.{name}"))
    }

    /// Names and shapes of the classifier's tensors above the encoder, with their full names: the layer before, and the
    /// output itself. They are those of transformers' `...ForSequenceClassification`.
    pub(crate) fn head(&self, outputs: usize) -> Vec<(String, Vec<usize>)> {
        let h = self.hidden;
        let named = |name: &str, shape: &[usize]| (name.to_owned(), shape.to_vec());
        let mut all = match self.family {
            _ if self.bare_mean => Vec::new(),
            EncoderFamily::Bert => {
                vec![named("bert.pooler.dense.weight", &[h, h]), named("bert.pooler.dense.bias", &[h])]
            }
            EncoderFamily::DistilBert => {
                vec![named("pre_classifier.weight", &[h, h]), named("pre_classifier.bias", &[h])]
            }
            EncoderFamily::ModernBert => vec![named("head.dense.weight", &[h, h]), named("head.norm.weight", &[h])],
        };
        all.extend([named("classifier.weight", &[outputs, h]), named("classifier.bias", &[outputs])]);
        all
    }

    /// The class that transformers loads a folder of this family as.
    pub(crate) fn class(&self) -> &'static str {
        match self.family {
            EncoderFamily::Bert => "BertForSequenceClassification",
            EncoderFamily::DistilBert => "DistilBertForSequenceClassification",
            EncoderFamily::ModernBert => "ModernBertForSequenceClassification",
        }
    }
}
