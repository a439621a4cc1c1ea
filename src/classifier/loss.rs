//! The loss of every model, and its gradient by the logits.

use super::Example;
use crate::domain::taxonomy::Selection;

/// How examples count.
#[derive(Clone, Debug)]
pub(super) struct ExampleWeights {
    pub selection: Selection,
    /// (absent, present) of each output.
    pub outputs: Vec<[f32; 2]>,
    pub smoothing: f32,
}

impl ExampleWeights {
    /// What an example adds to the divisor of its step's loss.
    ///
    /// Softmax: its weight times that of its class, as PyTorch's `CrossEntropyLoss(weight)` divides. Sigmoid: its weight
    /// times the number of outputs, as the mean of `BCEWithLogitsLoss` divides.
    #[cfg(feature = "encoders")]
    pub(crate) fn divisor(&self, outputs: &[usize], weight: f32) -> f32 {
        match self.selection {
            Selection::Single => weight * outputs.first().map_or(1.0, |output| self.outputs[*output][1]),
            Selection::Multiple => weight * self.outputs.len() as f32,
        }
    }

    /// An example's loss before division; its gradient by the logits is written to `grad`, multiplied by `scale`.
    ///
    /// Softmax with smoothing e: `(1 - e) w[y] (-ln p[y]) + e / K sum_k w[k] (-ln p[k])`, which is PyTorch's. Sigmoid: the
    /// stable form of binary cross-entropy, with the weight of present or absent.
    pub(crate) fn loss(&self, logits: &[f32], outputs: &[usize], weight: f32, scale: f32, grad: &mut [f32]) -> f32 {
        let k = logits.len() as f32;
        match self.selection {
            Selection::Single => {
                let truth = outputs.first().copied().unwrap_or(0);
                let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let log_sum = logits.iter().map(|l| (l - most).exp()).sum::<f32>().ln() + most;
                let share = |output: usize| {
                    let smooth = self.smoothing / k * self.outputs[output][1];
                    if output == truth { smooth + (1.0 - self.smoothing) * self.outputs[output][1] } else { smooth }
                };
                let total: f32 = (0..logits.len()).map(share).sum();
                let mut loss = 0.0;
                for (output, grad) in grad.iter_mut().enumerate() {
                    let log_p = logits[output] - log_sum;
                    loss -= share(output) * log_p;
                    // Of -sum_k share(k) ln p[k], by logit o: p[o] sum_k share(k) - share(o).
                    *grad = weight * scale * (total * log_p.exp() - share(output));
                }
                weight * loss
            }
            Selection::Multiple => {
                let mut loss = 0.0;
                for (output, grad) in grad.iter_mut().enumerate() {
                    let present = outputs.contains(&output);
                    let (x, t) = (logits[output], f32::from(u8::from(present)));
                    let t = t * (1.0 - self.smoothing) + 0.5 * self.smoothing;
                    let cell = self.outputs[output][usize::from(present)];
                    // -t ln s(x) - (1 - t) ln(1 - s(x)) without a large exponential; by x it is s(x) - t.
                    loss += cell * (x.max(0.0) - x * t + (-x.abs()).exp().ln_1p());
                    *grad = weight * scale * cell * (1.0 / (1.0 + (-x).exp()) - t);
                }
                weight * loss
            }
        }
    }
}

/// The mean loss of examples that count alike: how well logits fit a validation set.
pub(super) fn mean_loss(selection: Selection, logits: &[Vec<f32>], examples: &[Example<'_>]) -> f32 {
    let outputs = logits.first().map_or(0, Vec::len);
    let even = ExampleWeights { selection, outputs: vec![[1.0, 1.0]; outputs], smoothing: 0.0 };
    let mut unused = vec![0.0; outputs];
    let rows = logits.iter().zip(examples);
    let sum: f32 = rows.map(|(row, example)| even.loss(row, &example.outputs, 1.0, 0.0, &mut unused)).sum();
    sum / examples.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weighing(selection: Selection) -> ExampleWeights {
        ExampleWeights { selection, outputs: vec![[0.5, 2.0], [1.0, 1.0], [0.7, 1.5]], smoothing: 0.1 }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let logits = [0.3f32, -1.2, 0.8];
        for selection in [Selection::Single, Selection::Multiple] {
            let mut unused = [0.0; 3];
            let mut gradient = [0.0; 3];
            weighing(selection).loss(&logits, &[2], 1.3, 1.0, &mut gradient);
            for output in 0..3 {
                let mut moved = |by: f32| {
                    let mut logits = logits;
                    logits[output] += by;
                    weighing(selection).loss(&logits, &[2], 1.3, 1.0, &mut unused)
                };
                let numeric = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!((gradient[output] - numeric).abs() < 1e-3, "{selection:?} {output}: {gradient:?} {numeric}");
            }
        }
    }

    #[test]
    fn saturated_losses_are_finite() {
        for selection in [Selection::Single, Selection::Multiple] {
            let mut gradient = [0.0; 3];
            let loss = weighing(selection).loss(&[1e4, -1e4, 0.0], &[1], 1.0, 1.0, &mut gradient);
            assert!(loss.is_finite() && gradient.iter().all(|g| g.is_finite()), "{selection:?}: {loss} {gradient:?}");
        }
    }
}
