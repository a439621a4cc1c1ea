//! The state of a run under way, in one file that appears whole or not at all: what is taken up goes on bit for bit as if
//! it had never stopped, since order and masks are functions of seed and step.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::Checkpointing;
use super::adamw::AdamW;
use crate::classifier::artifact::make_private_folder;
use crate::classifier::encoder::Parameters;
use crate::classifier::tensors::{self, StoredTensor};
use crate::classifier::{ClassifierError, Epoch};
use crate::domain::text::Cause;

/// Where a run stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct CheckpointState {
    /// Epochs that are over.
    pub epochs: Vec<Epoch>,
    /// Steps of the one under way, and its loss so far with its divisor.
    pub step_in_epoch: usize,
    pub loss: f64,
    pub divisor: f64,
    /// Macro-F1 and loss of the best epoch, and epochs since.
    pub best: Option<(f32, f32)>,
    pub waited: usize,
    #[serde(skip)]
    pub best_values: Option<Vec<Vec<f32>>>,
}

#[derive(Serialize, Deserialize)]
struct CheckpointHeader {
    fingerprint: String,
    step: u64,
    untouched: f64,
    state: CheckpointState,
}

/// The tensors of a state by name: values, both moments, and the best epoch's values.
const KINDS: [&str; 4] = ["value", "first", "second", "best"];

impl CheckpointState {
    pub(crate) fn save(
        &self,
        keep: &Checkpointing<'_>,
        parameters: &Parameters,
        optimiser: &AdamW,
    ) -> Result<(), ClassifierError> {
        let unwritable = |cause: Cause| ClassifierError::Unwritable { path: keep.file.into(), cause };
        let header = CheckpointHeader {
            fingerprint: keep.fingerprint.clone(),
            step: optimiser.step,
            untouched: optimiser.untouched,
            state: self.clone(),
        };
        let header = serde_json::to_string(&header).map_err(|e| unwritable(e.into()))?;
        let mut bytes: Vec<(String, Vec<u8>)> = Vec::new();
        for (i, parameter) in parameters.all().iter().enumerate() {
            let best = self.best_values.as_ref().map(|all| &all[i]);
            let kinds = [Some(&parameter.value), Some(&optimiser.first[i]), Some(&optimiser.second[i]), best];
            for (kind, values) in KINDS.iter().zip(kinds) {
                if let Some(values) =
                    values.filter(|values| !values.is_empty() && (parameter.trained || *kind == "best"))
                {
                    bytes.push((format!("{kind}.{i}"), values.iter().flat_map(|v| v.to_le_bytes()).collect()));
                }
            }
        }
        let mut views = Vec::with_capacity(bytes.len());
        for (name, raw) in &bytes {
            let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![raw.len() / 4], raw)
                .map_err(|e| unwritable(e.into()))?;
            views.push((name.clone(), view));
        }
        let metadata = HashMap::from([("state".to_owned(), header)]);
        let file = safetensors::serialize(views, Some(metadata)).map_err(|e| unwritable(e.into()))?;
        let parent = keep.file.parent().unwrap_or(keep.file);
        make_private_folder(parent).map_err(|e| unwritable(e.into()))?;
        let mut staged = tempfile::NamedTempFile::new_in(parent).map_err(|e| unwritable(e.into()))?;
        std::io::Write::write_all(&mut staged, &file).map_err(|e| unwritable(e.into()))?;
        staged.persist(keep.file).map_err(|e| unwritable(e.error.into()))?;
        Ok(())
    }

    /// The state that a run with the same fingerprint left, if there is one that can be read. Anything else is as if there
    /// were none: training begins anew.
    pub(crate) fn load(
        keep: &Checkpointing<'_>,
        parameters: &mut Parameters,
        optimiser: &mut AdamW,
    ) -> Result<Option<Self>, ClassifierError> {
        let Ok(bytes) = crate::plain_file::read(keep.file, u64::MAX) else {
            return Ok(None);
        };
        let header = safetensors::SafeTensors::read_metadata(&bytes).ok().and_then(|(_, metadata)| {
            serde_json::from_str::<CheckpointHeader>(metadata.metadata().as_ref()?.get("state")?).ok()
        });
        let Some(header) = header.filter(|header| header.fingerprint == keep.fingerprint) else {
            return Ok(None);
        };
        let tensors = tensors::read(&bytes).map_err(candle_core::Error::msg)?;
        let take = |kind: &str, i: usize, size: usize| -> Result<Option<Vec<f32>>, ClassifierError> {
            let tensor = tensors.get(&format!("{kind}.{i}"));
            let values = tensor.map(StoredTensor::numbers::<f32>).transpose().map_err(candle_core::Error::msg)?;
            Ok(values.filter(|values| values.len() == size))
        };
        let mut state = header.state;
        let mut best = Vec::new();
        let mut found = Vec::new();
        for (i, parameter) in parameters.all().iter().enumerate() {
            let (size, moments) = (parameter.value.len(), optimiser.first[i].len());
            best.extend(take("best", i, size)?);
            if parameter.trained {
                let parts = (take("value", i, size)?, take("first", i, moments)?, take("second", i, moments)?);
                let (Some(value), Some(first), Some(second)) = parts else {
                    return Ok(None);
                };
                found.push((i, value, first, second));
            }
        }
        for (i, value, first, second) in found {
            parameters.get_mut(i).value = value;
            optimiser.first[i] = first;
            optimiser.second[i] = second;
        }
        (optimiser.step, optimiser.untouched) = (header.step, header.untouched);
        state.best_values = (best.len() == parameters.all().len()).then_some(best);
        Ok(Some(state))
    }
}
