//! A fine-tuned model. Its folder is one that transformers loads as it is, with goldsmith's `model.json` beside.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::read;
use crate::classifier::artifact::{self, ModelKind, ModelManifest};
use crate::classifier::encoder::{Encoder, Network, Parameters, Pass};
use crate::classifier::{Classifier, ClassifierError, targets};
use crate::domain::taxonomy::Selection;
use crate::domain::text::Cause;
use crate::plain_file;

/// Files of an encoder's folder that a model's folder has too, where they are there.
const COPIED: [&str; 3] = ["special_tokens_map.json", "vocab.txt", "LICENSE"];

/// A fine-tuned encoder with its classifier. The temperature is part of the last weights, so the logits are calibrated
/// wherever the folder is loaded.
pub(crate) struct TunedModel {
    encoder: Arc<Encoder>,
    outputs: Vec<String>,
    selection: Selection,
    parameters: Parameters,
    network: Mutex<Network>,
    temperature: f32,
    thresholds: Vec<f32>,
    mean_pooling: bool,
    /// What the encoder is called, and the licence that its folder says.
    name: String,
    licence: Option<String>,
}

impl TunedModel {
    /// Takes what training made; divides the last layer by the temperature.
    pub(super) fn new(
        encoder: &Arc<Encoder>,
        outputs: &[String],
        selection: Selection,
        (mut parameters, network): (Parameters, Network),
        (temperature, thresholds): (f32, Vec<f32>),
        mean_pooling: bool,
    ) -> Self {
        for name in ["classifier.weight", "classifier.bias"] {
            let at = parameters.index(name);
            parameters.get_mut(at).value.iter_mut().for_each(|value| *value /= temperature);
        }
        Self {
            encoder: Arc::clone(encoder),
            outputs: outputs.to_vec(),
            selection,
            parameters,
            network: Mutex::new(network),
            temperature,
            thresholds,
            mean_pooling,
            name: encoder.name(),
            licence: encoder.licence(),
        }
    }

    /// The model that a folder and its description make.
    pub(in crate::classifier) fn restore(folder: &Path, description: ModelManifest) -> Result<Self, ClassifierError> {
        let fail = |cause: Cause| ClassifierError::Unreadable { path: folder.into(), cause };
        // Its hash first: the tensors are read by the encoder.
        artifact::weights(folder, &description)?;
        let most = description.details["max_tokens"].as_u64().unwrap_or(512) as usize;
        let encoder = Encoder::open(folder, most, crate::classifier::encoder::Threads::available())?;
        let mut shape = encoder.architecture().clone();
        let mean_pooling = description.details["mean_pooling"].as_bool() == Some(true);
        if mean_pooling {
            shape = shape.with_mean();
        }
        let mut parameters = encoder.parameters().clone();
        let outputs = description.outputs.len();
        if parameters.restore_head(&shape, outputs, encoder.found()).is_none() {
            return Err(fail(format!("its weights have no classifier for {outputs} outputs").into()));
        }
        let pass = Pass::for_architecture(&shape, &parameters, encoder.threads());
        Ok(Self {
            network: Mutex::new(Network::new(&shape, &parameters, outputs, pass)),
            encoder: Arc::new(encoder),
            outputs: description.outputs,
            selection: description.selection,
            parameters,
            temperature: description.details["temperature"].as_f64().unwrap_or(1.0) as f32,
            thresholds: description.thresholds,
            mean_pooling,
            name: description.details["encoder"].as_str().unwrap_or_default().to_owned(),
            licence: description.details["licence"].as_str().map(str::to_owned),
        })
    }

    /// What was trained.
    #[cfg(test)]
    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Calibrated logits `[texts][outputs]`: those that transformers computes from the saved folder.
    pub(crate) fn logits(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ClassifierError> {
        let ids = self.encoder.ids(texts)?;
        let mut network = self.network.lock().unwrap_or_else(PoisonError::into_inner);
        read(&mut network, &self.parameters, &ids, self.outputs.len())
    }

    /// `config.json` as transformers wants it of a classifier.
    fn config(&self) -> Result<Value, Cause> {
        let text = plain_file::read_text(&self.encoder.folder().join("config.json"), plain_file::SMALL)?;
        let mut config: Value = serde_json::from_str(&text)?;
        let names = || self.outputs.iter().enumerate();
        let by_id: serde_json::Map<String, Value> = names().map(|(i, name)| (i.to_string(), json!(name))).collect();
        let by_label: serde_json::Map<String, Value> = names().map(|(i, name)| (name.clone(), json!(i))).collect();
        config["architectures"] = json!([self.encoder.architecture().class()]);
        config["id2label"] = Value::Object(by_id);
        config["label2id"] = Value::Object(by_label);
        config["problem_type"] = json!(match self.selection {
            Selection::Single => "single_label_classification",
            Selection::Multiple => "multi_label_classification",
        });
        if let Some(config) = config.as_object_mut() {
            config.remove("_name_or_path");
            config.remove("torch_dtype");
            config.insert("dtype".into(), json!("float32"));
        }
        Ok(config)
    }

    /// `tokenizer_config.json` whose longest text is that of training.
    fn tokenizer_config(&self) -> Result<Value, Cause> {
        let path = self.encoder.folder().join("tokenizer_config.json");
        let text = if path.is_file() { plain_file::read_text(&path, plain_file::SMALL)? } else { "{}".into() };
        let mut config: Value = serde_json::from_str(&text)?;
        if let Some(config) = config.as_object_mut() {
            config.remove("name_or_path");
            config.entry("tokenizer_class").or_insert_with(|| json!("PreTrainedTokenizerFast"));
            config.insert("model_max_length".into(), json!(self.encoder.most()));
        }
        Ok(config)
    }

    /// `tokenizer.json` that cuts texts as training did, and does not pad each one to a fixed length.
    fn tokenizer(&self) -> Result<Value, Cause> {
        let text = plain_file::read_text(&self.encoder.folder().join("tokenizer.json"), u64::MAX)?;
        let mut tokenizer: Value = serde_json::from_str(&text)?;
        tokenizer["padding"] = Value::Null;
        tokenizer["truncation"] = json!({
            "direction": "Right", "max_length": self.encoder.most(), "strategy": "LongestFirst", "stride": 0,
        });
        Ok(tokenizer)
    }
}

impl Classifier for TunedModel {
    fn outputs(&self) -> &[String] {
        &self.outputs
    }

    fn selection(&self) -> Selection {
        self.selection
    }

    fn predict(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ClassifierError> {
        Ok(targets::probabilities(self.selection, &self.logits(texts)?, 1.0))
    }

    fn choose(&self, probabilities: &[f32]) -> Vec<usize> {
        targets::choose(self.selection, probabilities, &self.thresholds)
    }

    fn save(&self, folder: &Path, card: &Value) -> Result<String, ClassifierError> {
        let unwritable = |cause: Cause| ClassifierError::Unwritable { path: folder.into(), cause };
        let mut description =
            ModelManifest::new(ModelKind::Tuned, &self.outputs, self.selection, card).calibrated(1.0, &self.thresholds);
        description.details = json!({
            "encoder": self.name, "encoder_fingerprint": self.encoder.fingerprint(), "licence": self.licence,
            "max_tokens": self.encoder.most(), "temperature": self.temperature,
            "mean_pooling": self.mean_pooling,
        });
        let (config, tokenizer) = (self.config().map_err(unwritable)?, self.tokenizer().map_err(unwritable)?);
        let of_tokenizer = self.tokenizer_config().map_err(unwritable)?;
        artifact::save(folder, description, |_, weights| {
            let beside = weights.parent().unwrap_or(weights);
            let io = |e: std::io::Error| unwritable(e.into());
            for (name, value) in
                [("config.json", &config), ("tokenizer.json", &tokenizer), ("tokenizer_config.json", &of_tokenizer)]
            {
                let text = serde_json::to_string_pretty(value).map_err(|e| unwritable(e.into()))?;
                std::fs::write(beside.join(name), text + "\n").map_err(io)?;
            }
            for name in COPIED {
                let from = self.encoder.folder().join(name);
                if from.is_file() {
                    std::fs::copy(from, beside.join(name)).map_err(io)?;
                }
            }
            self.parameters.save(self.encoder.architecture().prefix(), weights)
        })
    }

    fn describe(&self) -> Value {
        json!({
            "kind": ModelKind::Tuned, "encoder": self.name,
            "parameters": self.parameters.all().iter().map(|p| p.value.len()).sum::<usize>(),
            "max_tokens": self.encoder.most(), "temperature": self.temperature, "licence": self.licence,
            "loads_elsewhere": !(self.mean_pooling && self.encoder.architecture().modern.is_none()), "multiple": self.selection == Selection::Multiple, "thresholds": self.thresholds,
        })
    }
}
