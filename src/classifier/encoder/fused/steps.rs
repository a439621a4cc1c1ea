//! The steps of the pass over rows of packed batches, each with its backward step: linear layers, layer norms, the
//! activation, dropout and what is added back in between.
//!
//! Arrays are row-major, `rows` rows of a width. A gradient is that of the loss by what it is named after; `grad` without
//! a name is the one that a step is given, by its result, and where it is said, turned in place into that by its argument.

use super::super::architecture::Activation;
use super::super::numbers::{self, Dropout, Matrix, Threads, gelu, gelu_tanh, multiply, vectorised};
use super::super::weights::Parameters;

/// Where a linear layer's or a layer norm's two tensors are.
#[derive(Clone, Copy, Debug)]
pub(super) struct WeightAndBias {
    pub weight: usize,
    pub bias: usize,
}

impl WeightAndBias {
    pub(crate) fn find(parameters: &Parameters, name: &str) -> Self {
        Self { weight: parameters.index(&format!("{name}.weight")), bias: parameters.index(&format!("{name}.bias")) }
    }
}

/// A layer norm's values before scale and shift, one over the deviation of each row, and its result.
#[derive(Debug, Default)]
pub(super) struct NormActivations {
    pub normal: Vec<f32>,
    pub scale: Vec<f32>,
    pub out: Vec<f32>,
}

/// Makes a vector at least so long and gives its beginning, holding anything.
pub(super) fn resized(values: &mut Vec<f32>, size: usize) -> &mut [f32] {
    if values.len() < size {
        values.resize(size, 0.0);
    }
    &mut values[..size]
}

pub(super) fn add(sum: &mut [f32], values: &[f32]) {
    vectorised(
        #[inline(always)]
        || sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
    );
}

/// Multiplies rows by their masks: on the way there and, since the masks are the same, on the backward pass.
pub(super) fn drop_rows(
    threads: &Threads,
    dropout: Option<(Dropout, u32)>,
    position: &(impl Fn(usize) -> usize + Sync),
    grad: &mut [f32],
    width: usize,
) {
    let Some((dropout, dropout_place)) = dropout else {
        return;
    };
    threads.rows(grad, width, |first, rows| {
        vectorised(
            #[inline(always)]
            || {
                for (i, row) in rows.chunks_exact_mut(width).enumerate() {
                    dropout.apply(dropout_place, position(first + i), row);
                }
            },
        );
    });
}

/// `out = x w'`, without the bias.
pub(super) fn product(
    threads: &Threads,
    parameters: &Parameters,
    pair: WeightAndBias,
    x: &[f32],
    rows: usize,
    out: &mut [f32],
) {
    let (inner, outer) = (x.len() / rows.max(1), out.len() / rows.max(1));
    let weight = Matrix::new(parameters.value(pair.weight), outer, inner).transposed();
    multiply((out, outer), Matrix::new(x, rows, inner), weight, 1.0, false, threads.count());
}

/// `out = x w' + b`.
pub(super) fn linear(
    threads: &Threads,
    parameters: &Parameters,
    pair: WeightAndBias,
    x: &[f32],
    rows: usize,
    out: &mut [f32],
) {
    let bias = parameters.value(pair.bias);
    product(threads, parameters, pair, x, rows, out);
    threads.rows(out, bias.len(), |_, rows| {
        vectorised(
            #[inline(always)]
            || {
                for row in rows.chunks_exact_mut(bias.len()) {
                    row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
                }
            },
        );
    });
}

/// The gradients of a linear layer by weight, bias and (where wanted, added or not) argument, from that by its result.
pub(super) fn linear_backward(
    threads: &Threads,
    parameters: &mut Parameters,
    pair: WeightAndBias,
    x: &[f32],
    grad: &[f32],
    rows: usize,
    grad_x: Option<(&mut [f32], bool)>,
) {
    // Of `out = x w' + b`, with x `[rows, inner]` and w `[outer, inner]`: by x it is `grad w`, by w `grad' x`, by b the sum
    // of grad's rows. Each product is one call, so that its sums have one order however many threads there are.
    let (inner, outer) = (x.len() / rows.max(1), grad.len() / rows.max(1));
    if let Some((grad_x, add)) = grad_x {
        let weight = Matrix::new(parameters.value(pair.weight), outer, inner);
        multiply((grad_x, inner), Matrix::new(grad, rows, outer), weight, 1.0, add, threads.count());
    }
    let weight = parameters.get_mut(pair.weight);
    if !weight.trained {
        return;
    }
    let grad_rows = Matrix::new(grad, rows, outer).transposed();
    multiply((&mut weight.gradient, inner), grad_rows, Matrix::new(x, rows, inner), 1.0, true, threads.count());
    let bias = &mut parameters.get_mut(pair.bias).gradient;
    add_columns(threads, bias, |sums, first| {
        for row in grad.chunks_exact(outer) {
            sums.iter_mut().zip(&row[first..]).for_each(|(sum, value)| *sum += value);
        }
    });
}

/// Adds to sums over rows. Threads share the columns and not the rows, so that each column is summed in the order of rows
/// and the same data give the same bits on any number of threads.
fn add_columns(threads: &Threads, sums: &mut [f32], work: impl Fn(&mut [f32], usize) + Sync) {
    threads.rows(sums, 1, |first, sums| {
        vectorised(
            #[inline(always)]
            || work(sums, first),
        );
    });
}

/// `sums = dropout(sums + b) + residual`.
#[expect(clippy::too_many_arguments, reason = "the shapes and buffers of one step, which nothing else holds together")]
pub(super) fn add_residual(
    threads: &Threads,
    parameters: &Parameters,
    pair: WeightAndBias,
    dropout: Option<(Dropout, u32)>,
    position: &(impl Fn(usize) -> usize + Sync),
    residual: &[f32],
    sums: &mut [f32],
    width: usize,
) {
    let bias = parameters.value(pair.bias);
    threads.rows(sums, width, |first, rows| {
        vectorised(
            #[inline(always)]
            || {
                for (i, row) in rows.chunks_exact_mut(width).enumerate() {
                    let residual = &residual[(first + i) * width..][..width];
                    match dropout {
                        None => {
                            for c in 0..width {
                                row[c] = row[c] + bias[c] + residual[c];
                            }
                        }
                        Some((dropout, dropout_place)) => {
                            let mask_seed = dropout.mask_seed(dropout_place, position(first + i));
                            for c in 0..width {
                                row[c] = (row[c] + bias[c]) * dropout.factor(mask_seed, c as u32) + residual[c];
                            }
                        }
                    }
                }
            },
        );
    });
}

/// The activation of `slope + b` into `out`, and its derivative in place.
pub(super) fn activate(threads: &Threads, bias: &[f32], activation: Activation, slope: &mut [f32], out: &mut [f32]) {
    let width = bias.len();
    threads.row_pairs((slope, width), (out, width), |_, slope, out| {
        vectorised(
            #[inline(always)]
            || {
                for (slope, out) in slope.chunks_exact_mut(width).zip(out.chunks_exact_mut(width)) {
                    match activation {
                        Activation::Gelu => {
                            for c in 0..width {
                                (out[c], slope[c]) = gelu(slope[c] + bias[c]);
                            }
                        }
                        Activation::GeluTanh => {
                            for c in 0..width {
                                (out[c], slope[c]) = gelu_tanh(slope[c] + bias[c]);
                            }
                        }
                        Activation::Relu => {
                            for c in 0..width {
                                let x = slope[c] + bias[c];
                                (out[c], slope[c]) = if x > 0.0 { (x, 1.0) } else { (0.0, 0.0) };
                            }
                        }
                    }
                }
            },
        );
    });
}

/// A layer norm of the rows of `normal`, which it leaves normalised.
pub(super) fn normalise(
    threads: &Threads,
    parameters: &Parameters,
    pair: WeightAndBias,
    eps: f32,
    normed: &mut NormActivations,
    rows: usize,
    width: usize,
) {
    let (weight, bias) = (parameters.value(pair.weight), parameters.value(pair.bias));
    let normal = &mut normed.normal[..rows * width];
    let scale = resized(&mut normed.scale, rows);
    threads.row_pairs((normal, width), (scale, 1), |_, normal, scale| {
        vectorised(
            #[inline(always)]
            || {
                for (row, scale) in normal.chunks_exact_mut(width).zip(scale) {
                    *scale = numbers::normalise(row, eps);
                }
            },
        );
    });
    let normal = &normed.normal[..rows * width];
    threads.rows(resized(&mut normed.out, rows * width), width, |first, out| {
        vectorised(
            #[inline(always)]
            || {
                for (i, out) in out.chunks_exact_mut(width).enumerate() {
                    let row = &normal[(first + i) * width..][..width];
                    for c in 0..width {
                        out[c] = row[c] * weight[c] + bias[c];
                    }
                }
            },
        );
    });
}

/// The gradients of a layer norm by scale and shift, and in place by its argument.
pub(super) fn normalise_backward(
    threads: &Threads,
    parameters: &mut Parameters,
    pair: WeightAndBias,
    normed: &NormActivations,
    grad: &mut [f32],
    width: usize,
) {
    // Of `out = n * weight + bias`, with n = (x - mean) / deviation: by weight it is the sum over rows of `grad * n`, by bias
    // that of grad, by n `grad * weight`; `numbers::normalise_backward` goes on from n to x.
    let (normal, scale) = (&normed.normal, &normed.scale);
    if parameters.all()[pair.weight].trained {
        let rows = grad.len() / width;
        add_columns(threads, &mut parameters.get_mut(pair.weight).gradient, |sums, first| {
            for row in 0..rows {
                let (grad, normal) = (&grad[row * width + first..], &normal[row * width + first..]);
                sums.iter_mut().zip(grad).zip(normal).for_each(|((sum, grad), normal)| *sum += grad * normal);
            }
        });
        add_columns(threads, &mut parameters.get_mut(pair.bias).gradient, |sums, first| {
            for row in 0..rows {
                sums.iter_mut().zip(&grad[row * width + first..]).for_each(|(sum, grad)| *sum += grad);
            }
        });
    }
    let weight = parameters.value(pair.weight);
    threads.rows(grad, width, |first, grad| {
        vectorised(
            #[inline(always)]
            || {
                for (i, grad) in grad.chunks_exact_mut(width).enumerate() {
                    let normal = &normal[(first + i) * width..][..width];
                    for c in 0..width {
                        grad[c] *= weight[c];
                    }
                    numbers::normalise_backward(grad, normal, scale[first + i]);
                }
            },
        );
    });
}
