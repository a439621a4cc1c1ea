//! Encoders of the BERT family from a Hugging Face folder as it is: `config.json`, `tokenizer.json`, and the weights as
//! `model.safetensors` or `pytorch_model.bin`.

pub(crate) mod architecture;
mod attention;
mod fused;
mod network;
mod numbers;
mod plain;
mod tokens;
mod weights;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::ClassifierError;
use crate::classifier::InFile;
use crate::domain::text::Cause;
use crate::plain_file;
use architecture::Architecture;
pub(super) use attention::Queries;
pub(super) use network::{Network, Pass, mean_pool};
pub use numbers::{Dropout, Threads};
pub(super) use numbers::{Matrix, dot, multiply, vectorised};
pub(super) use tokens::{PackedBatch, Tokens, by_padded_tokens};
pub(super) use weights::{FolderTensors, Parameters, UsedRows};

/// The most padded tokens of a batch that is only read.
const READ_TOKENS: usize = 4_096;

/// Embeddings in memory, at most: 300 MB of a small encoder.
const MOST_KNOWN: usize = 200_000;

/// An encoder, ready to read texts.
pub struct Encoder {
    folder: PathBuf,
    architecture: Architecture,
    tokens: Tokens,
    parameters: Parameters,
    found: FolderTensors,
    fingerprint: String,
    most: usize,
    threads: Arc<Threads>,
    pass: Mutex<Pass>,
    /// Embeddings by the hash of their text.
    known: Mutex<HashMap<[u8; 32], Arc<[f32]>>>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Encoder({})", self.folder.display())
    }
}

impl Encoder {
    /// Opens a folder. Texts are cut to `most` tokens (their marks counted), or to what the encoder can take.
    pub fn open(folder: &Path, most: usize, threads: usize) -> Result<Self, ClassifierError> {
        let fail = |cause: Cause| ClassifierError::Encoder { folder: folder.into(), cause };
        let config = plain_file::read_text(&folder.join("config.json"), plain_file::SMALL);
        let config = config.map_err(|e| fail(InFile::cause("config.json", e)))?;
        let architecture = Architecture::parse(&config).map_err(|e| fail(InFile::cause("config.json", e)))?;
        let most = most.clamp(3, architecture.positions);
        let tokens = Tokens::read(folder, architecture.vocabulary, most).map_err(fail)?;
        let mut found = weights::read(folder, &architecture).map_err(fail)?;
        let parameters = found.take_encoder(&architecture).map_err(fail)?;
        let threads = Arc::new(Threads::new(threads));
        let pass = Mutex::new(Pass::for_architecture(&architecture, &parameters, &threads));
        let mut hasher = Sha256::new();
        for parameter in parameters.all() {
            parameter.value.iter().for_each(|value| hasher.update(value.to_le_bytes()));
        }
        let tokenizer = plain_file::read(&folder.join("tokenizer.json"), u64::MAX);
        hasher.update(tokenizer.map_err(|e| fail(InFile::cause("tokenizer.json", e)))?);
        hasher.update(most.to_le_bytes());
        let fingerprint = hex::encode(hasher.finalize());
        Ok(Self {
            folder: folder.into(),
            architecture,
            tokens,
            parameters,
            found,
            fingerprint,
            most,
            threads,
            pass,
            known: Mutex::default(),
        })
    }

    /// The folder it was opened from.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it is called: the folder's name, or in the hub's cache the repository's.
    pub(crate) fn name(&self) -> String {
        let parts: Vec<_> = self.folder.components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
        let repository = parts.iter().rev().find_map(|part| part.strip_prefix("models--"));
        let last = || parts.last().cloned().unwrap_or_else(|| "encoder".into());
        repository.map_or_else(last, |name| name.replace("--", "/"))
    }

    /// The licence that the head of its README says.
    pub(crate) fn licence(&self) -> Option<String> {
        let text = plain_file::read_text(&self.folder.join("README.md"), plain_file::SMALL).ok()?;
        let head = text.strip_prefix("---")?.split("\n---").next()?;
        let line = head.lines().find_map(|line| line.strip_prefix("license:"))?;
        Some(line.trim().to_owned()).filter(|licence| !licence.is_empty())
    }

    /// Its shape.
    pub(crate) fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Texts are cut to so many tokens.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// SHA-256 of weights, tokenizer and the most tokens of a text: what an embedding depends on beside the text.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub(super) fn found(&self) -> &FolderTensors {
        &self.found
    }

    pub(super) fn threads(&self) -> &Arc<Threads> {
        &self.threads
    }

    /// As if the configuration said that a classifier sees the first position.
    #[cfg(test)]
    pub(super) fn pool_first(&mut self) {
        if let Some(modern) = &mut self.architecture.modern {
            modern.mean_pooling = false;
        }
    }

    /// The ids of texts.
    pub(super) fn ids(&self, texts: &[&str]) -> Result<Vec<Vec<u32>>, ClassifierError> {
        let cut = |text: &&str| self.tokens.ids(text);
        let ids: Result<Vec<_>, Cause> = texts.iter().map(cut).collect();
        ids.map_err(|detail| ClassifierError::Encoder { folder: self.folder.clone(), cause: detail })
    }

    /// What a text's embedding is known by.
    pub fn hash(text: &str) -> [u8; 32] {
        Sha256::digest(text).into()
    }

    /// The texts whose embeddings would have to be computed, each once.
    pub(crate) fn unknown<'a>(&self, texts: &[&'a str]) -> Vec<&'a str> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = std::collections::HashSet::new();
        texts.iter().copied().filter(|text| seen.insert(*text) && !known.contains_key(&Self::hash(text))).collect()
    }

    /// Takes embeddings that were computed before. Past a bound it forgets the earlier ones, which costs time and nothing else.
    pub fn remember(&self, rows: Vec<([u8; 32], Vec<f32>)>) {
        let fits = |row: &([u8; 32], Vec<f32>)| row.1.len() == self.architecture.hidden;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > MOST_KNOWN {
            known.clear();
        }
        known.extend(rows.into_iter().filter(fits).map(|(hash, vector)| (hash, vector.into())));
    }

    /// Embeddings `[texts, hidden]`: the mean of the last hidden state over a text's tokens, scaled to length 1.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ClassifierError> {
        let h = self.architecture.hidden;
        let mut all = vec![Vec::new(); texts.len()];
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            for (text, row) in texts.iter().zip(&mut all).filter(|_| !known.is_empty()) {
                if let Some(vector) = known.get(&Self::hash(text)) {
                    *row = vector.to_vec();
                }
            }
        }
        let missing: Vec<usize> = (0..texts.len()).filter(|at| all[*at].is_empty()).collect();
        let ids = self.ids(&missing.iter().map(|at| texts[*at]).collect::<Vec<_>>())?;
        // One text spoils nothing for another: a poisoned lock holds buffers alone.
        let mut pass = self.pass.lock().unwrap_or_else(PoisonError::into_inner);
        for group in reading_order(&ids) {
            let batch = PackedBatch::of(group.iter().map(|at| ids[*at].as_slice()));
            let hidden = pass.forward(&self.parameters, &batch, Queries::All, false, None)?;
            for (at, mean) in group.iter().zip(mean_pool(&batch, &hidden, h).chunks_exact(h)) {
                let length = mean.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
                all[missing[*at]] = mean.iter().map(|v| v / length).collect();
            }
        }
        Ok(all)
    }
}

/// Groups of texts to read together: sorted by length, so that nothing is wasted on padding where there is any.
pub(super) fn reading_order(ids: &[Vec<u32>]) -> Vec<Vec<usize>> {
    let lengths: Vec<usize> = ids.iter().map(Vec::len).collect();
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|at| lengths[*at]);
    by_padded_tokens(&lengths, &order, 256, READ_TOKENS)
}

#[cfg(test)]
mod tests;
