//! A saved model: a folder with `model.json` (what it is, was trained on and scores) and its weights.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ClassifierError;
use super::tensors::{self, StoredTensor};
use crate::classifier::InFile;
use crate::domain::taxonomy::Selection;
use crate::domain::text::Cause;
use crate::plain_file;

/// The file with the weights.
pub(super) const WEIGHTS: &str = "model.safetensors";

/// What a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ModelKind {
    /// See [`super::NgramModel`].
    #[serde(rename = "word and character n-grams, linear")]
    Ngram,
    /// A head on an encoder that stays as it is.
    #[serde(rename = "frozen encoder, linear")]
    Frozen,
    /// An encoder trained together with its head.
    #[serde(rename = "fine-tuned encoder")]
    Tuned,
    /// See [`super::VotingModel`].
    #[serde(rename = "vote of several models")]
    Vote,
}

/// What `model.json` says.
#[derive(Serialize, Deserialize)]
pub(super) struct ModelManifest {
    format: u32,
    pub kind: ModelKind,
    /// The outputs' names.
    pub outputs: Vec<String>,
    /// Softmax or sigmoids.
    #[serde(rename = "mode")]
    pub selection: Selection,
    /// Divides the logits.
    pub temperature: f32,
    /// Of each output under `multiple`; empty for one half.
    #[serde(default)]
    pub thresholds: Vec<f32>,
    /// What this kind alone has.
    #[serde(default)]
    pub details: serde_json::Value,
    /// SHA-256 of the weights.
    weights: String,
    pub card: serde_json::Value,
}

impl ModelManifest {
    /// A description without calibration or details.
    pub(crate) fn new(kind: ModelKind, outputs: &[String], selection: Selection, card: &serde_json::Value) -> Self {
        Self {
            format: 1,
            kind,
            outputs: outputs.to_vec(),
            selection,
            temperature: 1.0,
            thresholds: Vec::new(),
            details: serde_json::Value::Null,
            weights: String::new(),
            card: card.clone(),
        }
    }

    /// With what was set on validation.
    pub(crate) fn calibrated(self, temperature: f32, thresholds: &[f32]) -> Self {
        Self { temperature, thresholds: thresholds.to_vec(), ..self }
    }
}

/// What a saved model's `model.json` says.
pub(super) fn read_manifest(folder: &Path) -> Result<ModelManifest, ClassifierError> {
    let fail = |cause: Cause| ClassifierError::Unreadable { path: folder.into(), cause };
    let text = plain_file::read_text(&folder.join("model.json"), u64::MAX);
    let text = text.map_err(|e| fail(InFile::cause("model.json", e)))?;
    let description: ModelManifest = serde_json::from_str(&text).map_err(|e| fail(InFile::cause("model.json", e)))?;
    if description.format != 1 {
        return Err(fail(format!("it is of format {}, this goldsmith reads 1", description.format).into()));
    }
    Ok(description)
}

/// The SHA-256 of the weights that a saved model says of itself.
pub(super) fn fingerprint(folder: &Path) -> Result<String, ClassifierError> {
    Ok(read_manifest(folder)?.weights)
}

/// The tensors of a saved model, if they are those that it was described with.
pub(super) fn tensors(
    folder: &Path,
    description: &ModelManifest,
) -> Result<HashMap<String, StoredTensor>, ClassifierError> {
    let fail = |cause: Cause| ClassifierError::Unreadable { path: folder.into(), cause };
    tensors::read(&weights(folder, description)?).map_err(|e| fail(InFile::cause(WEIGHTS, e)))
}

/// The bytes of a saved model's weights, if they are those that it was described with.
pub(super) fn weights(folder: &Path, description: &ModelManifest) -> Result<Vec<u8>, ClassifierError> {
    let fail = |cause: Cause| ClassifierError::Unreadable { path: folder.into(), cause };
    let bytes = plain_file::read(&folder.join(WEIGHTS), u64::MAX).map_err(|e| fail(InFile::cause(WEIGHTS, e)))?;
    if hex::encode(Sha256::digest(&bytes)) != description.weights {
        return Err(fail(format!("{WEIGHTS} is not the file that model.json describes").into()));
    }
    Ok(bytes)
}

/// Writes a folder that appears whole or not at all; `weights` writes the file it is given, and others beside it if it
/// likes. Returns the SHA-256 of the weights.
pub(super) fn save(
    folder: &Path,
    mut description: ModelManifest,
    weights: impl FnOnce(&mut ModelManifest, &Path) -> Result<(), ClassifierError>,
) -> Result<String, ClassifierError> {
    let fail = |cause: Cause| ClassifierError::Unwritable { path: folder.into(), cause };
    let parent = folder.parent().unwrap_or(Path::new("."));
    make_private_folder(parent).map_err(|e| fail(e.into()))?;
    let staged = tempfile::Builder::new().prefix(".model-").tempdir_in(parent).map_err(|e| fail(e.into()))?;
    own(staged.path()).map_err(|e| fail(e.into()))?;
    let file = staged.path().join(WEIGHTS);
    weights(&mut description, &file)?;
    let bytes = std::fs::read(&file).map_err(|e| fail(e.into()))?;
    let fingerprint = hex::encode(Sha256::digest(&bytes));
    description.weights.clone_from(&fingerprint);
    let text = serde_json::to_string_pretty(&description).map_err(|e| fail(e.into()))?;
    std::fs::write(staged.path().join("model.json"), text + "\n").map_err(|e| fail(e.into()))?;
    std::fs::rename(staged.keep(), folder).map_err(|e| fail(e.into()))?;
    Ok(fingerprint)
}

/// Makes a folder, and those above it, for its owner alone.
pub(super) fn make_private_folder(path: &Path) -> std::io::Result<()> {
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
