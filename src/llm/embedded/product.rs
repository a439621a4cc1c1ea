//! Products with quantised weights, and the few functions of single numbers that a transformer needs.

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device, Module, Result, Tensor};

/// A matrix of (outputs, inputs), mostly quantised.
pub(super) struct Weight {
    matrix: QMatMul,
    /// Size of an output row.
    pub(super) outputs: usize,
    /// Size of an input row.
    pub(super) inputs: usize,
}

impl Weight {
    /// Takes a stored matrix.
    ///
    /// Kinds without fast kernels become 8-bit blocks of the same length, which hold their few levels almost exactly.
    pub(super) fn new(stored: QTensor) -> Result<Self> {
        let (outputs, inputs) = stored.shape().dims2()?;
        let stored = match stored.dtype() {
            GgmlDType::Q4_1 | GgmlDType::Q5_0 | GgmlDType::Q5_1 => {
                QTensor::quantize(&stored.dequantize(&Device::Cpu)?, GgmlDType::Q8_0)?
            }
            _ => stored,
        };
        Ok(Self { matrix: QMatMul::from_qtensor(stored)?, outputs, inputs })
    }

    /// The product with each row of a (rows, inputs) tensor: rows of outputs.
    pub(super) fn apply(&self, x: &Tensor) -> Result<Vec<f32>> {
        values(self.matrix.forward(x)?)
    }

    /// The rows of the matrix of these numbers.
    pub(super) fn rows(&self, at: &[u32]) -> Result<Vec<f32>> {
        values(self.matrix.embedding(&Tensor::new(at, &Device::Cpu)?)?)
    }
}

/// A tensor's numbers, in order.
pub(super) fn values(tensor: Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

/// The exponential function to seven digits, in a form that compilers turn into vector instructions.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.3, 88.3);
    let shift = 12_582_912.0;
    let whole = x * std::f32::consts::LOG2_E + shift;
    let n = whole - shift;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 0.166_666_65;
    let p = p * r + 0.5;
    let y = p * r * r + r + 1.0;
    let power = f32::from_bits(whole.to_bits().wrapping_add(127).wrapping_shl(23));
    y * power
}

/// Root mean square norm of each row, in place.
pub(super) fn rms(x: &mut [f32], weight: &[f32], epsilon: f32) {
    for row in x.chunks_exact_mut(weight.len()) {
        let mean = row.iter().map(|v| v * v).sum::<f32>() / row.len() as f32;
        let scale = 1.0 / (mean + epsilon).sqrt();
        row.iter_mut().zip(weight).for_each(|(v, w)| *v *= scale * w);
    }
}

/// Natural logarithm of the sum of exponentials.
pub(super) fn log_sum(x: &[f32]) -> f32 {
    let most = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if most == f32::NEG_INFINITY {
        return most;
    }
    let sum: f64 = x.chunks(1024).map(|part| f64::from(part.iter().map(|v| exp(v - most)).sum::<f32>())).sum();
    most + sum.ln() as f32
}
