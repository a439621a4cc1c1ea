//! The loss and its gradient by the logits.

use crate::classifier::Mode;

/// How examples count.
#[derive(Clone, Debug)]
pub(in crate::classifier) struct Weighing {
    pub mode: Mode,
    /// (absent, present) of each output.
    pub outputs: Vec<[f32; 2]>,
    pub smoothing: f32,
}

impl Weighing {
    /// What an example adds to the divisor of its step's loss.
    ///
    /// Softmax: its weight times that of its class, as PyTorch's `CrossEntropyLoss(weight)` divides. Sigmoid: its weight
    /// times the number of outputs, as the mean of `BCEWithLogitsLoss` divides.
    pub fn divisor(&self, outputs: &[usize], weight: f32) -> f32 {
        match self.mode {
            Mode::Single => weight * outputs.first().map_or(1.0, |output| self.outputs[*output][1]),
            Mode::Multiple => weight * self.outputs.len() as f32,
        }
    }

    /// An example's loss before division; its gradient by the logits is written to `by`, multiplied by `scale`.
    ///
    /// Softmax with smoothing e: `(1 - e) w[y] (-ln p[y]) + e / K sum_k w[k] (-ln p[k])`, which is PyTorch's. Sigmoid: the
    /// stable form of binary cross-entropy, with the weight of present or absent.
    pub fn loss(&self, logits: &[f32], outputs: &[usize], weight: f32, scale: f32, by: &mut [f32]) -> f32 {
        let k = logits.len() as f32;
        match self.mode {
            Mode::Single => {
                let truth = outputs.first().copied().unwrap_or(0);
                let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let log_sum = logits.iter().map(|l| (l - most).exp()).sum::<f32>().ln() + most;
                let share = |output: usize| {
                    let smooth = self.smoothing / k * self.outputs[output][1];
                    if output == truth { smooth + (1.0 - self.smoothing) * self.outputs[output][1] } else { smooth }
                };
                let total: f32 = (0..logits.len()).map(share).sum();
                let mut loss = 0.0;
                for (output, by) in by.iter_mut().enumerate() {
                    let log_p = logits[output] - log_sum;
                    loss -= share(output) * log_p;
                    *by = weight * scale * (total * log_p.exp() - share(output));
                }
                weight * loss
            }
            Mode::Multiple => {
                let mut loss = 0.0;
                for (output, by) in by.iter_mut().enumerate() {
                    let present = outputs.contains(&output);
                    let (x, t) = (logits[output], f32::from(u8::from(present)));
                    let t = t * (1.0 - self.smoothing) + 0.5 * self.smoothing;
                    let cell = self.outputs[output][usize::from(present)];
                    loss += cell * (x.max(0.0) - x * t + (-x.abs()).exp().ln_1p());
                    *by = weight * scale * cell * (1.0 / (1.0 + (-x).exp()) - t);
                }
                weight * loss
            }
        }
    }
}
