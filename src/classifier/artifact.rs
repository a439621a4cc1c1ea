//! A saved model: a folder with `model.json` (what it is, was trained on and scores) and `model.safetensors`.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::features::Features;
use super::{ClassifierError, Mode, Model};
use crate::domain::taxonomy::hex;

#[derive(Serialize, Deserialize)]
struct Description {
    format: u32,
    kind: String,
    outputs: Vec<String>,
    mode: Mode,
    temperature: f32,
    /// SHA-256 of `model.safetensors`.
    weights: String,
    card: serde_json::Value,
}

impl Model {
    /// Saves the model with its card: what it was trained on, its configuration, its scores. The folder appears whole or
    /// not at all. Returns the SHA-256 of the weights.
    pub fn save(&self, folder: &Path, card: &serde_json::Value) -> Result<String, ClassifierError> {
        let fail = |cause: &dyn std::fmt::Display| ClassifierError::Unwritable {
            path: folder.into(),
            cause: cause.to_string(),
        };
        let parent = folder.parent().unwrap_or(Path::new("."));
        make_private_folder(parent).map_err(|e| fail(&e))?;
        let staged = tempfile::Builder::new().prefix(".model-").tempdir_in(parent).map_err(|e| fail(&e))?;
        own(staged.path()).map_err(|e| fail(&e))?;
        let weights = staged.path().join("model.safetensors");
        let hashes: Vec<i64> = self.features.hashes().iter().map(|h| *h as i64).collect();
        let tensors = HashMap::from([
            ("ngrams".to_owned(), Tensor::from_vec(hashes, self.features.len(), &Device::Cpu)?),
            ("idf".to_owned(), Tensor::from_vec(self.features.idf().to_vec(), self.features.len(), &Device::Cpu)?),
            ("weights".to_owned(), self.weights.clone()),
        ]);
        candle_core::safetensors::save(&tensors, &weights)?;
        let bytes = std::fs::read(&weights).map_err(|e| fail(&e))?;
        let fingerprint = hex(&Sha256::digest(&bytes));
        let description = Description {
            format: 1,
            kind: "word and character n-grams, linear".into(),
            outputs: self.outputs.clone(),
            mode: self.mode,
            temperature: self.temperature,
            weights: fingerprint.clone(),
            card: card.clone(),
        };
        let text = serde_json::to_string_pretty(&description).map_err(|e| fail(&e))?;
        std::fs::write(staged.path().join("model.json"), text + "\n").map_err(|e| fail(&e))?;
        std::fs::rename(staged.keep(), folder).map_err(|e| fail(&e))?;
        Ok(fingerprint)
    }

    /// Loads a saved model and its card.
    pub fn load(folder: &Path) -> Result<(Self, serde_json::Value), ClassifierError> {
        let fail = |detail: String| ClassifierError::Unreadable { path: folder.into(), detail };
        let text = std::fs::read_to_string(folder.join("model.json")).map_err(|e| fail(format!("model.json: {e}")))?;
        let description: Description = serde_json::from_str(&text).map_err(|e| fail(format!("model.json: {e}")))?;
        if description.format != 1 {
            return Err(fail(format!("it is of format {}, this goldsmith reads 1", description.format)));
        }
        let path = folder.join("model.safetensors");
        let bytes = std::fs::read(&path).map_err(|e| fail(format!("model.safetensors: {e}")))?;
        if hex(&Sha256::digest(&bytes)) != description.weights {
            return Err(fail("model.safetensors is not the file that model.json describes".into()));
        }
        let mut tensors =
            candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).map_err(|e| fail(e.to_string()))?;
        let mut take = |name: &str| tensors.remove(name).ok_or_else(|| fail(format!("it lacks the tensor `{name}`")));
        let hashes: Vec<u64> =
            take("ngrams")?.to_vec1::<i64>().map_err(|e| fail(e.to_string()))?.into_iter().map(|h| h as u64).collect();
        let idf = take("idf")?.to_vec1::<f32>().map_err(|e| fail(e.to_string()))?;
        let weights = take("weights")?;
        let shape = weights.dims2().map_err(|e| fail(e.to_string()))?;
        if idf.len() != hashes.len() || shape != (hashes.len() + 1, description.outputs.len()) {
            return Err(fail(format!(
                "its tensors do not fit: {} n-grams, {} weights, weights {shape:?}",
                hashes.len(),
                idf.len()
            )));
        }
        let model = Self {
            outputs: description.outputs,
            mode: description.mode,
            features: Features::of(hashes, idf),
            weights,
            temperature: description.temperature,
        };
        Ok((model, description.card))
    }
}

fn make_private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Takes everybody else's access away.
fn own(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    }
    let _ = folder;
    Ok(())
}
