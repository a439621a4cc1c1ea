//! AdamW (Loshchilov and Hutter, 2019) with clipping, in one sweep over memory.
//!
//! It is the dense one: rows of the word embeddings that the training set never uses have no gradient, ever, so that all
//! they feel is decay; it is kept as one factor and applied at the end, and no memory is touched for them until then.

use crate::classifier::encoder::{Parameters, Threads, vectorised};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f32 = 1e-8;

/// Moments of every trained tensor, in the order of the parameters.
#[derive(Clone, Debug, Default)]
pub(super) struct AdamW {
    pub first: Vec<Vec<f32>>,
    pub second: Vec<Vec<f32>>,
    /// Steps taken.
    pub step: u64,
    /// What decay has left of rows without a gradient.
    pub untouched: f64,
}

impl AdamW {
    pub(crate) fn new(parameters: &Parameters) -> Self {
        let zeros = || parameters.all().iter().map(|p| vec![0.0; p.gradient.len()]).collect();
        Self { first: zeros(), second: zeros(), step: 0, untouched: 1.0 }
    }

    /// One step. Gradients are scaled down to a common norm of at most `clip` first and are zero afterwards. Returns the
    /// norm before.
    pub(crate) fn update(
        &mut self,
        parameters: &mut Parameters,
        rate: f64,
        decay: f64,
        clip: f64,
        threads: &Threads,
    ) -> f64 {
        let norm = norm(parameters);
        // PyTorch's clip_grad_norm_.
        let scale = (clip / (norm + 1e-6)).min(1.0) as f32;
        self.step += 1;
        let correct = |beta: f64| 1.0 - beta.powf(self.step as f64);
        let step = (rate / correct(BETA1)) as f32;
        let root = correct(BETA2).sqrt() as f32;
        self.untouched *= 1.0 - rate * decay;
        let moments = self.first.iter_mut().zip(&mut self.second);
        threads.run(|| {
            for (parameter, (first, second)) in parameters.all_mut().iter_mut().zip(moments) {
                if !parameter.trained {
                    continue;
                }
                // m = b1 m + (1 - b1) g and v = b2 v + (1 - b2) g^2, each divided by 1 - b^t for their start at zero; then
                // x = (1 - rate decay) x - rate m / (sqrt(v) + eps). The division by 1 - b1^t is in `step`, the other in `root`.
                let keep = if parameter.decays { (1.0 - rate * decay) as f32 } else { 1.0 };
                let sweep = |value: &mut [f32], gradient: &mut [f32], first: &mut [f32], second: &mut [f32]| {
                    vectorised(
                        #[inline(always)]
                        || {
                            let rows = value.iter_mut().zip(gradient).zip(first.iter_mut().zip(second));
                            for ((value, gradient), (first, second)) in rows {
                                let g = *gradient * scale;
                                *gradient = 0.0;
                                *first = BETA1 as f32 * *first + (1.0 - BETA1) as f32 * g;
                                *second = BETA2 as f32 * *second + (1.0 - BETA2) as f32 * g * g;
                                *value = *value * keep - step * *first / (second.sqrt() / root + EPS);
                            }
                        },
                    );
                };
                match &parameter.rows {
                    None => threads.chunks4(&mut parameter.value, &mut parameter.gradient, first, second, sweep),
                    Some(rows) => {
                        let width = parameter.shape.last().copied().unwrap_or(1);
                        for (i, row) in rows.used.iter().enumerate() {
                            let (at, compact) = (*row as usize * width, i * width..(i + 1) * width);
                            sweep(
                                &mut parameter.value[at..at + width],
                                &mut parameter.gradient[compact.clone()],
                                &mut first[compact.clone()],
                                &mut second[compact],
                            );
                        }
                    }
                }
            }
        });
        norm
    }

    /// Every tensor's values, with the decay that rows without a gradient have missed.
    pub(crate) fn with_decay_applied(&self, parameters: &Parameters) -> Vec<Vec<f32>> {
        let mut all: Vec<Vec<f32>> = parameters.all().iter().map(|parameter| parameter.value.clone()).collect();
        for (parameter, values) in parameters.all().iter().zip(&mut all).filter(|(p, _)| p.trained && p.decays) {
            let Some(rows) = &parameter.rows else {
                continue;
            };
            let width = parameter.shape.last().copied().unwrap_or(1);
            for (row, position) in values.chunks_exact_mut(width).zip(&rows.position) {
                if *position == u32::MAX {
                    row.iter_mut().for_each(|value| *value = (f64::from(*value) * self.untouched) as f32);
                }
            }
        }
        all
    }
}

/// The norm over all gradients together.
fn norm(parameters: &Parameters) -> f64 {
    let squares = |values: &[f32]| -> f64 {
        let dot = |part: &[f32]| crate::classifier::encoder::dot(part, part);
        vectorised(
            #[inline(always)]
            || values.chunks(4_096).map(|part| f64::from(dot(part))).sum(),
        )
    };
    parameters.all().iter().filter(|p| p.trained).map(|p| squares(&p.gradient)).sum::<f64>().sqrt()
}
