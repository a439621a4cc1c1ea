//! The tensors of a saved model, as its file has them: numbers, little-endian (<https://github.com/huggingface/safetensors>).

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{SafeTensors, View, serialize_to_file};
use safetensors::{Dtype, SafeTensorError};

use super::ClassifierError;
use crate::domain::text::Cause;

/// A tensor in a file.
pub(crate) struct StoredTensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// A number that a tensor may hold.
pub(crate) trait Number: Sized {
    const DTYPE: Dtype;
    fn write(&self, bytes: &mut Vec<u8>);
    fn read(bytes: &[u8]) -> Option<Self>;
}

macro_rules! number {
    ($kind:ty, $dtype:expr) => {
        impl Number for $kind {
            const DTYPE: Dtype = $dtype;

            fn write(&self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }

            fn read(bytes: &[u8]) -> Option<Self> {
                Some(Self::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    };
}
number!(f32, Dtype::F32);
number!(i64, Dtype::I64);
number!(u32, Dtype::U32);

impl StoredTensor {
    /// Of numbers in the order of rows.
    pub(crate) fn of<T: Number>(numbers: &[T], shape: &[usize]) -> Self {
        let mut bytes = Vec::with_capacity(size_of_val(numbers));
        numbers.iter().for_each(|number| number.write(&mut bytes));
        Self { dtype: T::DTYPE, shape: shape.to_vec(), bytes }
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers, if they are of this kind.
    pub(crate) fn numbers<T: Number>(&self) -> Result<Vec<T>, Cause> {
        if self.dtype != T::DTYPE {
            return Err(format!("a tensor holds {:?}, not {:?}", self.dtype, T::DTYPE).into());
        }
        Ok(self.bytes.chunks_exact(size_of::<T>()).filter_map(T::read).collect())
    }
}

impl View for &StoredTensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes tensors under their names.
pub(super) fn write(file: &Path, tensors: &[(&str, StoredTensor)]) -> Result<(), ClassifierError> {
    let written = serialize_to_file(tensors.iter().map(|(name, tensor)| (*name, tensor)), None, file);
    written.map_err(|e| ClassifierError::Unwritable { path: file.into(), cause: e.into() })
}

/// The tensors in a file's bytes.
pub(crate) fn read(bytes: &[u8]) -> Result<HashMap<String, StoredTensor>, SafeTensorError> {
    let stored = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        let tensor = StoredTensor { dtype: view.dtype(), shape: view.shape().to_vec(), bytes: view.data().to_vec() };
        (name, tensor)
    };
    Ok(SafeTensors::deserialize(bytes)?.tensors().into_iter().map(stored).collect())
}
