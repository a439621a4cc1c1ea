//! Weights by name: read from a Hugging Face folder, initialised where a folder has none, written back as one file.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::architecture::{Architecture, EncoderFamily};
use crate::classifier::ClassifierError;
use crate::classifier::InFile;
use crate::domain::text::Cause;

/// One tensor with its gradient.
#[derive(Clone, Debug)]
pub(in crate::classifier) struct Parameter {
    /// Its name in the file.
    pub name: String,
    pub shape: Vec<usize>,
    /// Its values, one row after the other.
    pub value: Vec<f32>,
    /// The gradient of the loss by it; empty until training begins. Of the word embeddings, only rows that occur.
    pub gradient: Vec<f32>,
    /// Whether weight decay pulls at it: matrices alone, neither biases nor layer norms.
    pub decays: bool,
    /// Whether it is trained.
    pub trained: bool,
    /// Of the word embeddings: which rows can have a gradient. All others have none in the whole training.
    pub rows: Option<UsedRows>,
}

/// The rows of a table that occur.
#[derive(Clone, Debug, Default)]
pub(in crate::classifier) struct UsedRows {
    /// Ascending.
    pub used: Vec<u32>,
    /// Where a row stands among the used ones; `u32::MAX` for the others.
    pub position: Vec<u32>,
}

impl UsedRows {
    /// The rows that these tokens take.
    pub(crate) fn of(tokens: impl Iterator<Item = u32>, vocabulary: usize) -> Self {
        let mut position = vec![u32::MAX; vocabulary];
        for token in tokens {
            if let Some(seen) = position.get_mut(token as usize) {
                *seen = 0;
            }
        }
        let used: Vec<u32> = (0..vocabulary as u32).filter(|row| position[*row as usize] == 0).collect();
        for (i, row) in used.iter().enumerate() {
            position[*row as usize] = i as u32;
        }
        Self { used, position }
    }
}

/// All tensors of a model, in the order of its architecture: the encoder's, then the head's.
#[derive(Clone, Debug, Default)]
pub(in crate::classifier) struct Parameters {
    all: Vec<Parameter>,
    by_name: HashMap<String, usize>,
}

impl Parameters {
    fn push(&mut self, name: String, shape: Vec<usize>, value: Vec<f32>) {
        let decays = shape.len() > 1;
        self.by_name.insert(name.clone(), self.all.len());
        self.all.push(Parameter { name, shape, value, gradient: Vec::new(), decays, trained: true, rows: None });
    }

    /// Where a tensor is; the architecture names only what [`read`] has put there.
    pub(crate) fn index(&self, name: &str) -> usize {
        self.by_name.get(name).copied().unwrap_or(usize::MAX)
    }

    /// A tensor's values.
    pub(crate) fn value(&self, at: usize) -> &[f32] {
        &self.all[at].value
    }

    /// A tensor to be changed.
    pub(crate) fn get_mut(&mut self, at: usize) -> &mut Parameter {
        &mut self.all[at]
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Parameter] {
        &self.all
    }

    /// All of them.
    pub(crate) fn all_mut(&mut self) -> &mut [Parameter] {
        &mut self.all
    }

    /// Adds a head for so many outputs: what the folder has of the layer before the outputs, and small random numbers
    /// (normal, deviation 0.02, as transformers does) for the rest.
    pub(crate) fn add_head(&mut self, architecture: &Architecture, outputs: usize, found: &FolderTensors, seed: u64) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        for (name, shape) in architecture.head(outputs) {
            let size: usize = shape.iter().product();
            let fresh = if name.ends_with("norm.weight") {
                vec![1.0; size]
            } else if shape.len() == 1 {
                vec![0.0; size]
            } else {
                (0..size).map(|_| 0.02 * normal(&mut random)).collect()
            };
            let known = found.head.get(&name).filter(|(s, _)| *s == shape && !name.starts_with("classifier."));
            let value = known.map_or(fresh, |(_, values)| values.clone());
            self.push(name, shape, value);
        }
    }

    /// Takes the whole head from the folder; `None` when it has none of this shape.
    pub(crate) fn restore_head(
        &mut self,
        architecture: &Architecture,
        outputs: usize,
        found: &FolderTensors,
    ) -> Option<()> {
        for (name, shape) in architecture.head(outputs) {
            let (_, values) = found.head.get(&name).filter(|(s, _)| *s == shape)?;
            self.push(name, shape, values.clone());
        }
        Some(())
    }

    /// Writes everything as transformers names it. The file does not depend on the order of a hash map.
    pub(crate) fn save(&self, prefix: &str, path: &Path) -> Result<(), ClassifierError> {
        let unwritable =
            |cause: Cause| ClassifierError::Unwritable { path: path.parent().unwrap_or(path).into(), cause };
        let mut bytes: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
        for parameter in &self.all {
            let name = if is_of_head(&parameter.name) {
                parameter.name.clone()
            } else {
                format!("{prefix}{}", parameter.name)
            };
            let raw = parameter.value.iter().flat_map(|v| v.to_le_bytes()).collect();
            bytes.insert(name, (parameter.shape.clone(), raw));
        }
        let mut views = Vec::with_capacity(bytes.len());
        for (name, (shape, raw)) in &bytes {
            let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), raw)
                .map_err(|e| unwritable(e.into()))?;
            views.push((name.clone(), view));
        }
        // transformers refuses a file that does not say so.
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let file = safetensors::serialize(views, Some(metadata)).map_err(|e| unwritable(e.into()))?;
        std::fs::write(path, file).map_err(|e| unwritable(e.into()))
    }
}

/// Whether a full name is that of a tensor above the encoder.
fn is_of_head(name: &str) -> bool {
    ["classifier.", "pre_classifier.", "head.", "bert.pooler."].iter().any(|own| name.starts_with(own))
}

/// A normal number by Box and Muller.
fn normal(random: &mut ChaCha8Rng) -> f32 {
    let (a, b): (f64, f64) = (random.random(), random.random());
    ((-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos()) as f32
}

/// Tensors of a folder, their names without the encoder's prefix; those above the encoder apart, with full names.
#[derive(Clone, Debug, Default)]
pub(in crate::classifier) struct FolderTensors {
    encoder: HashMap<String, (Vec<usize>, Vec<f32>)>,
    head: HashMap<String, (Vec<usize>, Vec<f32>)>,
}

/// Reads `model.safetensors`, or else `pytorch_model.bin`.
pub(in crate::classifier) fn read(folder: &Path, architecture: &Architecture) -> Result<FolderTensors, Cause> {
    let named: Vec<(String, Tensor)> = if folder.join("model.safetensors").is_file() {
        let tensors = candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu);
        tensors.map_err(|e| InFile::cause("model.safetensors", e))?.into_iter().collect()
    } else if folder.join("pytorch_model.bin").is_file() {
        candle_core::pickle::read_all(folder.join("pytorch_model.bin"))
            .map_err(|e| InFile::cause("pytorch_model.bin", e))?
    } else if folder.join("model.safetensors.index.json").is_file() {
        return Err("its weights are cut into several files; save the model with one".into());
    } else {
        return Err("it has neither model.safetensors nor pytorch_model.bin".into());
    };
    let mut found = FolderTensors::default();
    for (name, tensor) in named {
        // Old BERTs call the two parts of a layer norm gamma and beta.
        let name = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias");
        let whole = match architecture.family {
            EncoderFamily::Bert if name.starts_with("pooler.") => format!("bert.{name}"),
            _ => name.clone(),
        };
        let bare = name.strip_prefix(architecture.prefix()).unwrap_or(&name).to_owned();
        let values = || -> candle_core::Result<(Vec<usize>, Vec<f32>)> {
            let flat = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
            Ok((tensor.dims().to_vec(), flat))
        };
        // Numbers of positions and such are stored as integers and not needed.
        if !matches!(tensor.dtype(), DType::F32 | DType::F16 | DType::BF16 | DType::F64) {
            continue;
        }
        let values = values().map_err(|e| format!("{name}: {e}"))?;
        if !values.1.iter().all(|value| value.is_finite()) {
            return Err(format!("its tensor `{name}` holds values that are no numbers").into());
        }
        if is_of_head(&whole) {
            found.head.insert(whole, values)
        } else {
            found.encoder.insert(bare, values)
        };
    }
    Ok(found)
}

impl FolderTensors {
    /// The encoder's parameters, all there and all of the right shape.
    pub(crate) fn take_encoder(&mut self, architecture: &Architecture) -> Result<Parameters, Cause> {
        let mut parameters = Parameters::default();
        for (name, shape) in architecture.tensors() {
            match self.encoder.remove(&name) {
                Some((found, values)) if found == shape => parameters.push(name, shape, values),
                Some((found, _)) => {
                    return Err(format!("its tensor `{name}` is {found:?} and config.json says {shape:?}").into());
                }
                None => return Err(format!("it lacks the tensor `{name}`").into()),
            }
        }
        Ok(parameters)
    }
}
