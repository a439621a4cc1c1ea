//! Opening a GGUF file: metadata with a clear word for what is missing, tensors, and the file's hash.

use std::error::Error;
use std::fs;
use std::io::{BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use sha2::{Digest, Sha256};

use super::super::LlmError;
use crate::plain_file;

/// An open GGUF file.
pub(super) struct GgufFile {
    path: PathBuf,
    reader: BufReader<fs::File>,
    /// Metadata and the table of tensors.
    pub(super) content: Content,
}

/// Any whole number that is not negative.
pub(super) fn whole(value: &Value) -> Option<usize> {
    match value {
        Value::I8(n) => usize::try_from(*n).ok(),
        Value::I16(n) => usize::try_from(*n).ok(),
        Value::I32(n) => usize::try_from(*n).ok(),
        Value::I64(n) => usize::try_from(*n).ok(),
        other => other.to_u64().ok().and_then(|n| usize::try_from(n).ok()),
    }
}

/// How many numbers a shape has; none where that is no number.
fn count(shape: &candle_core::Shape) -> Option<usize> {
    shape.dims().iter().try_fold(1_usize, |n, size| n.checked_mul(*size))
}

impl GgufFile {
    /// Opens it and reads its head.
    pub(super) fn open(path: &Path) -> Result<Self, LlmError> {
        let wrong = |cause: Box<dyn Error + Send + Sync>| LlmError::File { path: path.into(), cause: cause.into() };
        let file = plain_file::open(path).map_err(|error| wrong(error.into()))?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        // A damaged head can make the reader overflow or divide by zero.
        let content = catch_unwind(AssertUnwindSafe(|| Content::read(&mut reader)))
            .map_err(|_| wrong("the head of this GGUF file is damaged; fetch the file again".into()))?
            .map_err(|error| wrong(format!("no GGUF file, or a damaged one ({error}); fetch the file again").into()))?;
        Ok(Self { path: path.into(), reader, content })
    }

    /// An error about this file.
    pub(super) fn wrong(&self, what: impl std::fmt::Display) -> LlmError {
        LlmError::File { path: self.path.clone(), cause: Box::<dyn Error + Send + Sync>::from(what.to_string()).into() }
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.content.metadata.get(key)
    }

    /// A whole number, if it is there.
    pub(super) fn number(&self, key: &str) -> Option<usize> {
        self.value(key).and_then(whole)
    }

    /// A whole number that must be there and above zero.
    pub(super) fn count(&self, key: &str) -> Result<usize, LlmError> {
        match self.number(key) {
            Some(n) if n > 0 => Ok(n),
            _ => Err(self.wrong(format!("its metadata has no {key}; convert the model again"))),
        }
    }

    /// A real number, if it is there.
    pub(super) fn real(&self, key: &str) -> Option<f32> {
        match self.value(key)? {
            Value::F32(x) => Some(*x),
            Value::F64(x) => Some(*x as f32),
            _ => None,
        }
    }

    /// A text, if it is there.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.value(key).and_then(|v| v.to_string().ok()).map(String::as_str)
    }

    /// A truth value, if it is there.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.value(key).and_then(|v| v.to_bool().ok())
    }

    /// A list, if it is there.
    pub(super) fn list(&self, key: &str) -> Option<&[Value]> {
        self.value(key).and_then(|v| v.to_vec().ok()).map(Vec::as_slice)
    }

    /// Whether it has a tensor.
    pub(super) fn has(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    /// A tensor as it is stored.
    pub(super) fn tensor(&mut self, name: &str) -> Result<QTensor, LlmError> {
        let Self { reader, content, .. } = self;
        // candle makes a slice of what is not there, which is not allowed even where it is empty.
        if content.tensor_infos.get(name).is_some_and(|info| matches!(count(&info.shape), None | Some(0))) {
            return Err(self.wrong(format!("tensor {name} is empty, or has more numbers than there can be")));
        }
        catch_unwind(AssertUnwindSafe(|| content.tensor(reader, name, &Device::Cpu)))
            .map_err(|_| format!("tensor {name} is damaged; fetch the file again"))
            .and_then(|read| read.map_err(|error| format!("{error}; the file is cut short or of another kind")))
            .map_err(|what| self.wrong(what))
    }

    /// A small tensor as plain numbers, of so many elements.
    pub(super) fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>, LlmError> {
        let tensor = self.tensor(name)?;
        let values = tensor
            .dequantize(&Device::Cpu)
            .and_then(|t| t.flatten_all()?.to_vec1::<f32>())
            .map_err(|error| self.wrong(error))?;
        if values.len() == len {
            Ok(values)
        } else {
            Err(self.wrong(format!("tensor {name} has {} numbers where {len} belong", values.len())))
        }
    }

    /// How many parameters it holds, and how many of them in which kind of block, the most first.
    pub(super) fn parameters(&self) -> (usize, Vec<(String, usize)>) {
        let mut kinds: Vec<(GgmlDType, usize)> = Vec::new();
        for info in self.content.tensor_infos.values() {
            let numbers = count(&info.shape).unwrap_or(usize::MAX);
            match kinds.iter_mut().find(|(kind, _)| *kind == info.ggml_dtype) {
                Some((_, sum)) => *sum = sum.saturating_add(numbers),
                None => kinds.push((info.ggml_dtype, numbers)),
            }
        }
        kinds.sort_by_key(|(kind, sum)| (std::cmp::Reverse(*sum), format!("{kind:?}")));
        (
            kinds.iter().fold(0, |all: usize, (_, sum)| all.saturating_add(*sum)),
            kinds.into_iter().map(|(k, n)| (format!("{k:?}"), n)).collect(),
        )
    }
}

/// The SHA-256 of a file, in hexadecimal digits.
pub(super) fn hash(path: &Path) -> Result<String, LlmError> {
    let wrong = |error: std::io::Error| LlmError::File { path: path.into(), cause: Arc::new(error) };
    let mut file = plain_file::open(path).map_err(wrong)?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(wrong)? {
            0 => return Ok(hex::encode(sum.finalize())),
            n => sum.update(&buffer[..n]),
        }
    }
}
