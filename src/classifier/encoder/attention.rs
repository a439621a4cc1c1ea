//! Attention within each text of a batch, forward and back.

use std::cell::RefCell;

use rayon::prelude::*;

use super::numbers::{Dropout, Matrix, Threads, dot, multiply, softmax, vectorised};
use super::tokens::PackedBatch;

/// Which positions ask: all, or only the first of each text (all that a classifier looks at in the last layer).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::classifier) enum Queries {
    All,
    First,
}

impl Queries {
    /// How many rows ask.
    pub(crate) fn rows(self, batch: &PackedBatch) -> usize {
        match self {
            Self::All => batch.tokens(),
            Self::First => batch.len(),
        }
    }
}

/// Sizes that every call needs.
#[derive(Clone, Copy)]
pub(super) struct AttentionShape {
    pub count: usize,
    pub width: usize,
    pub queries: Queries,
    /// What names the dropout of this layer's attention.
    pub place: u32,
    pub dropout: Option<Dropout>,
}

impl AttentionShape {
    fn hidden(&self) -> usize {
        self.count * self.width
    }

    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }

    /// How many attention weights a batch has.
    pub(crate) fn weights(&self, batch: &PackedBatch) -> usize {
        batch.spans().map(|(_, len)| self.count * self.query_count(len) * len).sum()
    }

    fn query_count(&self, len: usize) -> usize {
        if self.queries == Queries::All { len } else { 1 }
    }

    /// The number that a query's dropout row has: the same whether texts are packed or padded, all or first.
    fn row(&self, position: usize, head: usize) -> usize {
        position * self.count + head
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work` with so many values that hold anything.
fn with_scratch<R>(size: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < size {
            scratch.resize(size, 0.0);
        }
        work(&mut scratch[..size])
    })
}

/// One text's part of the arrays.
struct TextSlices<'a> {
    start: usize,
    len: usize,
    /// Where its rows begin among those that ask.
    asks: usize,
    out: [&'a mut [f32]; 3],
    weights: &'a mut [f32],
}

fn split_by_text<'a>(
    batch: &PackedBatch,
    heads: AttentionShape,
    out: [(&'a mut [f32], bool); 3],
    weights: &'a mut [f32],
) -> Vec<TextSlices<'a>> {
    let h = heads.hidden();
    let mut rest = out;
    let mut weights = weights;
    let mut asks = 0;
    batch
        .spans()
        .map(|(start, len)| {
            let queries = heads.query_count(len);
            let out = rest.each_mut().map(|(slice, per_query)| {
                let rows = if slice.is_empty() {
                    0
                } else if *per_query {
                    queries
                } else {
                    len
                };
                let (mine, others) = std::mem::take(slice).split_at_mut(rows * h);
                *slice = others;
                mine
            });
            let (mine, others) = std::mem::take(&mut weights).split_at_mut(heads.count * queries * len);
            weights = others;
            let part = TextSlices { start, len, asks, out, weights: mine };
            asks += queries;
            part
        })
        .collect()
}

fn for_each_text(threads: &Threads, parts: Vec<TextSlices<'_>>, work: impl Fn(TextSlices<'_>) + Sync + Send) {
    if threads.count() == 1 {
        parts.into_iter().for_each(work);
    } else {
        parts.into_par_iter().for_each(work);
    }
}

/// `context = dropout(softmax(q k' / sqrt(width))) v` of each head. The softmax stays in `weights` for the backward pass.
pub(super) fn forward(
    threads: &Threads,
    batch: &PackedBatch,
    heads: AttentionShape,
    [q, k, v]: [&[f32]; 3],
    context: &mut [f32],
    weights: &mut [f32],
) {
    let (h, d) = (heads.hidden(), heads.width);
    let texts = split_by_text(batch, heads, [(context, true), (&mut [], true), (&mut [], true)], weights);
    for_each_text(threads, texts, |part| {
        let (len, queries) = (part.len, heads.query_count(part.len));
        let [context, ..] = part.out;
        for head in 0..heads.count {
            let column = head * d;
            let query = Matrix::strided(&q[part.asks * h + column..], queries, d, h);
            let key = Matrix::strided(&k[part.start * h + column..], len, d, h);
            let value = Matrix::strided(&v[part.start * h + column..], len, d, h);
            let weights = &mut part.weights[head * queries * len..(head + 1) * queries * len];
            multiply((weights, len), query, key.transposed(), heads.scale(), false, 1);
            vectorised(
                #[inline(always)]
                || {
                    for row in weights.chunks_exact_mut(len) {
                        softmax(row);
                    }
                },
            );
            match heads.dropout {
                None => {
                    multiply((&mut context[column..], h), Matrix::new(weights, queries, len), value, 1.0, false, 1);
                }
                Some(dropout) => with_scratch(queries * len, |dropped| {
                    dropped.copy_from_slice(weights);
                    drop_rows(heads, dropout, part.start, head, dropped, len);
                    multiply((&mut context[column..], h), Matrix::new(dropped, queries, len), value, 1.0, false, 1);
                }),
            }
        }
    });
}

fn drop_rows(heads: AttentionShape, dropout: Dropout, start: usize, head: usize, rows: &mut [f32], len: usize) {
    vectorised(
        #[inline(always)]
        || {
            for (i, row) in rows.chunks_exact_mut(len).enumerate() {
                dropout.apply(heads.place, heads.row(start + i, head), row);
            }
        },
    );
}

/// The gradients by q, k and v from that by the context.
pub(super) fn backward(
    threads: &Threads,
    batch: &PackedBatch,
    heads: AttentionShape,
    [q, k, v]: [&[f32]; 3],
    weights: &mut [f32],
    grad_context: &[f32],
    [grad_q, grad_k, grad_v]: [&mut [f32]; 3],
) {
    let (h, d) = (heads.hidden(), heads.width);
    let texts = split_by_text(batch, heads, [(grad_q, true), (grad_k, false), (grad_v, false)], weights);
    for_each_text(threads, texts, |part| {
        let (len, queries) = (part.len, heads.query_count(part.len));
        let [grad_q, grad_k, grad_v] = part.out;
        for head in 0..heads.count {
            let column = head * d;
            let query = Matrix::strided(&q[part.asks * h + column..], queries, d, h);
            let key = Matrix::strided(&k[part.start * h + column..], len, d, h);
            let value = Matrix::strided(&v[part.start * h + column..], len, d, h);
            let grad_context = Matrix::strided(&grad_context[part.asks * h + column..], queries, d, h);
            let weights = &mut part.weights[head * queries * len..(head + 1) * queries * len];
            with_scratch(queries * len, |scratch| {
                let dropped: &[f32] = match heads.dropout {
                    None => weights,
                    Some(dropout) => {
                        scratch.copy_from_slice(weights);
                        drop_rows(heads, dropout, part.start, head, scratch, len);
                        scratch
                    }
                };
                // For one head, with p = softmax(s), s = q k' / sqrt(d), context c = (p m) v and m the mask of dropout:
                // dv = (p m)' dc, then d(p m) = dc v' into the scratch, and dp = d(p m) m with the same mask.
                let dropped = Matrix::new(dropped, queries, len);
                multiply((&mut grad_v[column..], h), dropped.transposed(), grad_context, 1.0, false, 1);
                multiply((scratch, len), grad_context, value.transposed(), 1.0, false, 1);
                if let Some(dropout) = heads.dropout {
                    drop_rows(heads, dropout, part.start, head, scratch, len);
                }
                vectorised(
                    #[inline(always)]
                    || {
                        for (weights, grad) in weights.chunks_exact(len).zip(scratch.chunks_exact_mut(len)) {
                            // The softmax: ds = p (dp - sum of p dp), row by row.
                            let mean = dot(weights, grad);
                            for (grad, weight) in grad.iter_mut().zip(weights) {
                                *grad = weight * (*grad - mean);
                            }
                        }
                    },
                );
                // dq = ds k / sqrt(d), dk = ds' q / sqrt(d).
                let grad_scores = Matrix::new(scratch, queries, len);
                multiply((&mut grad_q[column..], h), grad_scores, key, heads.scale(), false, 1);
                multiply((&mut grad_k[column..], h), grad_scores.transposed(), query, heads.scale(), false, 1);
            });
        }
    });
}
