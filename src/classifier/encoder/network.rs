//! An encoder with a classifier on top: logits forward, gradients back. The head is the one that transformers'
//! `...ForSequenceClassification` has for the family, so that a saved model loads there as it is.

use std::sync::Arc;

use candle_core::Device;

use super::architecture::{Architecture, EncoderFamily};
use super::attention::Queries;
use super::fused::Fused;
use super::numbers::{self, Dropout, Matrix, Threads, gelu, multiply};
use super::plain::Plain;
use super::tokens::PackedBatch;
use super::weights::Parameters;
use crate::classifier::ClassifierError;

/// The place of the dropout before the outputs.
const HEAD: u32 = u32::MAX >> 8;

/// Which pass computes the encoder.
#[derive(Debug)]
pub(in crate::classifier) enum Pass {
    /// Packed, fused, on this processor.
    Fused(Box<Fused>),
    /// candle's operations.
    Plain(Box<Plain>),
}

impl Pass {
    /// The fused pass where it knows the family, else the plain one on this processor.
    pub(crate) fn for_architecture(shape: &Architecture, parameters: &Parameters, threads: &Arc<Threads>) -> Self {
        match shape.family {
            EncoderFamily::Bert | EncoderFamily::DistilBert => {
                Self::Fused(Box::new(Fused::new(shape, parameters, Arc::clone(threads))))
            }
            EncoderFamily::ModernBert => Self::Plain(Box::new(Plain::new(shape, Device::Cpu))),
        }
    }

    /// The last hidden state of the rows asked for.
    pub(crate) fn forward(
        &mut self,
        parameters: &Parameters,
        batch: &PackedBatch,
        queries: Queries,
        keep: bool,
        dropout: Option<Dropout>,
    ) -> Result<Vec<f32>, ClassifierError> {
        Ok(match self {
            Self::Fused(fused) => fused.forward(parameters, batch, queries, keep, dropout).to_vec(),
            Self::Plain(plain) => plain.forward(parameters, batch, queries, dropout)?,
        })
    }

    /// Adds gradients.
    pub(crate) fn backward(&mut self, parameters: &mut Parameters, grad_output: &[f32]) -> Result<(), ClassifierError> {
        match self {
            Self::Fused(fused) => fused.backward(parameters, grad_output),
            Self::Plain(plain) => plain.backward(parameters, grad_output)?,
        }
        Ok(())
    }
}

/// What the head keeps for the backward pass.
#[derive(Debug, Default)]
struct HeadActivations {
    batch: PackedBatch,
    pooled: Vec<f32>,
    /// The slope of the activation after the dense layer.
    slope: Vec<f32>,
    /// ModernBERT: the normed values before scale, and one over their deviation.
    normal: Vec<f32>,
    scale: Vec<f32>,
    /// What the outputs are computed from.
    last: Vec<f32>,
    dropout: Option<Dropout>,
}

/// See the module.
#[derive(Debug)]
pub(in crate::classifier) struct Network {
    shape: Architecture,
    outputs: usize,
    pass: Pass,
    /// The layer before the outputs: its weight, and its bias or the norm's weight.
    dense: Option<[usize; 2]>,
    /// The outputs' weight and bias.
    last: [usize; 2],
    kept: HeadActivations,
}

impl Network {
    /// A network over parameters that have a head for so many outputs.
    pub(crate) fn new(shape: &Architecture, parameters: &Parameters, outputs: usize, pass: Pass) -> Self {
        let head: Vec<usize> = shape.head(outputs).iter().map(|(name, _)| parameters.index(name)).collect();
        let (dense, last) = match head[..] {
            [weight, other, ref last @ ..] if last.len() == 2 => (Some([weight, other]), [last[0], last[1]]),
            _ => (None, [head[0], head[1]]),
        };
        Self { shape: shape.clone(), outputs, pass, dense, last, kept: HeadActivations::default() }
    }

    fn queries(&self) -> Queries {
        if self.shape.pools_mean() { Queries::All } else { Queries::First }
    }

    /// Logits `[texts, outputs]`.
    pub(crate) fn forward(
        &mut self,
        parameters: &Parameters,
        batch: &PackedBatch,
        keep: bool,
        dropout: Option<Dropout>,
    ) -> Result<Vec<f32>, ClassifierError> {
        let (h, texts) = (self.shape.hidden, batch.len());
        let hidden = self.pass.forward(parameters, batch, self.queries(), keep, dropout)?;
        let pooled = match self.queries() {
            Queries::First => hidden,
            Queries::All => mean_pool(batch, &hidden, h),
        };
        let mut kept = HeadActivations { batch: batch.clone(), ..HeadActivations::default() };
        let mut dense = match self.dense {
            Some(layer) => self.dense(parameters, layer, &pooled, &mut kept),
            None => pooled.clone(),
        };
        kept.pooled = pooled;
        kept.dropout = dropout.and_then(|dropout| dropout.at(self.shape.dropout[2]));
        if let Some(dropout) = kept.dropout {
            dense.chunks_exact_mut(h).enumerate().for_each(|(row, values)| dropout.apply(HEAD, row, values));
        }
        let mut logits: Vec<f32> = parameters.value(self.last[1]).repeat(texts);
        let weight = Matrix::new(parameters.value(self.last[0]), self.outputs, h);
        multiply((&mut logits, self.outputs), Matrix::new(&dense, texts, h), weight.transposed(), 1.0, true, 1);
        kept.last = dense;
        self.kept = kept;
        Ok(logits)
    }

    /// The layer before the outputs.
    fn dense(
        &self,
        parameters: &Parameters,
        [weight, second]: [usize; 2],
        pooled: &[f32],
        kept: &mut HeadActivations,
    ) -> Vec<f32> {
        let h = self.shape.hidden;
        let texts = pooled.len() / h;
        let mut dense = vec![0.0; texts * h];
        let weight = Matrix::new(parameters.value(weight), h, h);
        multiply((&mut dense, h), Matrix::new(pooled, texts, h), weight.transposed(), 1.0, false, 1);
        kept.slope = vec![0.0; texts * h];
        let second = parameters.value(second);
        for (row, slope) in dense.chunks_exact_mut(h).zip(kept.slope.chunks_exact_mut(h)) {
            for c in 0..h {
                (row[c], slope[c]) = match self.shape.family {
                    EncoderFamily::Bert => {
                        let y = (row[c] + second[c]).tanh();
                        (y, 1.0 - y * y)
                    }
                    EncoderFamily::DistilBert => {
                        let x = row[c] + second[c];
                        if x > 0.0 { (x, 1.0) } else { (0.0, 0.0) }
                    }
                    EncoderFamily::ModernBert => gelu(row[c]),
                };
            }
        }
        if self.shape.family == EncoderFamily::ModernBert {
            for row in dense.chunks_exact_mut(h) {
                kept.scale.push(numbers::normalise(row, self.shape.eps));
                kept.normal.extend_from_slice(row);
                row.iter_mut().zip(second).for_each(|(value, weight)| *value *= weight);
            }
        }
        dense
    }

    /// Adds gradients, from that by the logits of the last `forward`.
    pub(crate) fn backward(&mut self, parameters: &mut Parameters, grad_logits: &[f32]) -> Result<(), ClassifierError> {
        let (h, k) = (self.shape.hidden, self.outputs);
        let kept = std::mem::take(&mut self.kept);
        let texts = kept.batch.len();
        let mut grad = vec![0.0; texts * h];
        let grad_rows = Matrix::new(grad_logits, texts, k);
        multiply((&mut grad, h), grad_rows, Matrix::new(parameters.value(self.last[0]), k, h), 1.0, false, 1);
        let last = Matrix::new(&kept.last, texts, h);
        multiply((&mut parameters.get_mut(self.last[0]).gradient, h), grad_rows.transposed(), last, 1.0, true, 1);
        add_rows(&mut parameters.get_mut(self.last[1]).gradient, grad_logits);
        if let Some(dropout) = kept.dropout {
            grad.chunks_exact_mut(h).enumerate().for_each(|(row, values)| dropout.apply(HEAD, row, values));
        }
        let grad_pooled = match self.dense {
            Some(layer) => self.dense_backward(parameters, layer, &kept, grad),
            None => grad,
        };
        match self.queries() {
            Queries::First => self.pass.backward(parameters, &grad_pooled),
            Queries::All => {
                let mut spread = Vec::with_capacity(kept.batch.tokens() * h);
                for ((_, len), grad) in kept.batch.spans().zip(grad_pooled.chunks_exact(h)) {
                    (0..len).for_each(|_| spread.extend(grad.iter().map(|value| value / len as f32)));
                }
                self.pass.backward(parameters, &spread)
            }
        }
    }

    /// The gradient by what was pooled, from that by the dense layer's result.
    fn dense_backward(
        &self,
        parameters: &mut Parameters,
        [weight, second]: [usize; 2],
        kept: &HeadActivations,
        grad: Vec<f32>,
    ) -> Vec<f32> {
        let h = self.shape.hidden;
        // What stands between is the activation (its slope is kept) of `pooled W'`: with a bias inside for BERT (tanh) and
        // DistilBERT (ReLU), with GELU and a norm without shift after it for ModernBERT. The last step is undone first.
        let (texts, mut grad) = (grad.len() / h, grad);
        if self.shape.family == EncoderFamily::ModernBert {
            let gradient = &mut parameters.get_mut(second).gradient;
            for (grad, normal) in grad.chunks_exact(h).zip(kept.normal.chunks_exact(h)) {
                gradient.iter_mut().zip(grad).zip(normal).for_each(|((sum, grad), normal)| *sum += grad * normal);
            }
            let weight = parameters.value(second);
            for ((grad, normal), scale) in grad.chunks_exact_mut(h).zip(kept.normal.chunks_exact(h)).zip(&kept.scale) {
                grad.iter_mut().zip(weight).for_each(|(grad, weight)| *grad *= weight);
                numbers::normalise_backward(grad, normal, *scale);
            }
        }
        grad.iter_mut().zip(&kept.slope).for_each(|(grad, slope)| *grad *= slope);
        if self.shape.family != EncoderFamily::ModernBert {
            add_rows(&mut parameters.get_mut(second).gradient, &grad);
        }
        let mut grad_pooled = vec![0.0; texts * h];
        let grad_rows = Matrix::new(&grad, texts, h);
        multiply((&mut grad_pooled, h), grad_rows, Matrix::new(parameters.value(weight), h, h), 1.0, false, 1);
        let pooled = Matrix::new(&kept.pooled, texts, h);
        multiply((&mut parameters.get_mut(weight).gradient, h), grad_rows.transposed(), pooled, 1.0, true, 1);
        grad_pooled
    }
}

fn add_rows(sums: &mut [f32], rows: &[f32]) {
    for row in rows.chunks_exact(sums.len()) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
}

/// The mean over each text's rows, `[texts, hidden]`.
pub(in crate::classifier) fn mean_pool(batch: &PackedBatch, hidden: &[f32], width: usize) -> Vec<f32> {
    let mut all = vec![0.0; batch.len() * width];
    for ((start, len), mean) in batch.spans().zip(all.chunks_exact_mut(width)) {
        add_rows(mean, &hidden[start * width..(start + len) * width]);
        mean.iter_mut().for_each(|value| *value /= len as f32);
    }
    all
}
