//! The pass on a processor: BERT and DistilBERT forward and back over packed batches, every step of the backward pass written
//! out, with nothing padded and all memory reused from one batch to the next.
//!
//! The plain path computes the same from candle's differentiable operations; a test holds both to the same numbers.
//! Texts differ in length by a factor of ten, so packing saves most of the work of an unsorted batch; and since a
//! classifier sees the first position alone, the last layer computes that position alone.

mod steps;

use super::architecture::Architecture;
use super::attention::{self, AttentionShape, Queries};
use super::numbers::{Dropout, Threads, vectorised};
use super::tokens::PackedBatch;
use super::weights::Parameters;
use steps::{
    NormActivations, WeightAndBias, activate, add, add_residual, drop_rows, linear, linear_backward, normalise,
    normalise_backward, product, resized,
};

#[derive(Clone, Debug)]
struct LayerSlots {
    query: WeightAndBias,
    key: WeightAndBias,
    value: WeightAndBias,
    attention_output: WeightAndBias,
    attention_norm: WeightAndBias,
    intermediate: WeightAndBias,
    output: WeightAndBias,
    output_norm: WeightAndBias,
}

/// What one layer keeps for the backward pass.
#[derive(Debug, Default)]
struct LayerActivations {
    /// `[tokens, hidden]` each.
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    attention: Vec<f32>,
    context: Vec<f32>,
    attention_norm: NormActivations,
    /// `[rows, intermediate]`: the activation's slope (before it the activation's argument), and its value.
    slope: Vec<f32>,
    intermediate: Vec<f32>,
    output_norm: NormActivations,
}

/// The pass; see the module.
#[derive(Debug)]
pub(in crate::classifier) struct Fused {
    shape: Architecture,
    threads: std::sync::Arc<Threads>,
    words: usize,
    positions: usize,
    segments: Option<usize>,
    embedding_norm: WeightAndBias,
    layers: Vec<LayerSlots>,
    embedded: NormActivations,
    kept: Vec<LayerActivations>,
    /// Vectors for gradients, to be used again.
    buffers: Vec<Vec<f32>>,
    /// Where nothing is kept: what the layer before the last one left, to be written over.
    spent: Vec<f32>,
    batch: PackedBatch,
    dropout: Option<Dropout>,
    queries: Queries,
}

/// What a place of dropout is called: the layer and which of its three it is.
fn dropout_place(layer: usize, which: u32) -> u32 {
    layer as u32 * 4 + which
}

impl Fused {
    /// A pass over an encoder of this shape.
    pub(crate) fn new(shape: &Architecture, parameters: &Parameters, threads: std::sync::Arc<Threads>) -> Self {
        let pair = |name: &str| WeightAndBias::find(parameters, name);
        let layers = (0..shape.layers)
            .map(|layer| {
                let [query, key, value, attention_output, attention_norm, intermediate, output, output_norm] =
                    shape.layer(layer).map(|name| pair(&name));
                LayerSlots { query, key, value, attention_output, attention_norm, intermediate, output, output_norm }
            })
            .collect();
        Self {
            threads,
            words: parameters.index("embeddings.word_embeddings.weight"),
            positions: parameters.index("embeddings.position_embeddings.weight"),
            segments: (shape.segments > 0).then(|| parameters.index("embeddings.token_type_embeddings.weight")),
            embedding_norm: pair("embeddings.LayerNorm"),
            layers,
            embedded: NormActivations::default(),
            kept: Vec::new(),
            buffers: Vec::new(),
            spent: Vec::new(),
            batch: PackedBatch::default(),
            dropout: None,
            queries: Queries::All,
            shape: shape.clone(),
        }
    }

    /// The last hidden state: `[tokens, hidden]`, or `[texts, hidden]` of first positions. With `keep` the backward pass is
    /// open until the next call.
    pub(crate) fn forward(
        &mut self,
        parameters: &Parameters,
        batch: &PackedBatch,
        queries: Queries,
        keep: bool,
        dropout: Option<Dropout>,
    ) -> &[f32] {
        self.batch = batch.clone();
        self.dropout = dropout;
        self.queries = queries;
        let depth = if keep { self.shape.layers } else { 1 };
        self.kept.resize_with(depth.max(self.kept.len()), LayerActivations::default);
        let threads = std::sync::Arc::clone(&self.threads);
        threads.run(|| {
            self.embed(parameters);
            for layer in 0..self.shape.layers {
                self.layer(parameters, layer, if keep { layer } else { 0 });
            }
        });
        let at = if keep { self.shape.layers - 1 } else { 0 };
        &self.kept[at].output_norm.out[..queries.rows(batch) * self.shape.hidden]
    }

    fn embed(&mut self, parameters: &Parameters) {
        let h = self.shape.hidden;
        let rows = self.batch.tokens();
        let words = parameters.value(self.words);
        let positions = parameters.value(self.positions);
        let segment = self.segments.map(|at| &parameters.value(at)[..h]);
        let sums = resized(&mut self.embedded.normal, rows * h);
        for (start, len) in self.batch.spans() {
            for i in 0..len {
                let word = &words[self.batch.ids[start + i] as usize * h..][..h];
                let position = &positions[i * h..][..h];
                let row = &mut sums[(start + i) * h..][..h];
                for c in 0..h {
                    row[c] = word[c] + position[c] + segment.map_or(0.0, |segment| segment[c]);
                }
            }
        }
        normalise(&self.threads, parameters, self.embedding_norm, self.shape.eps, &mut self.embedded, rows, h);
        let dropout = self.hidden_dropout().map(|dropout| (dropout, dropout_place(0, 3)));
        drop_rows(&self.threads, dropout, &|row| row, &mut self.embedded.out[..rows * h], h);
    }

    fn hidden_dropout(&self) -> Option<Dropout> {
        self.dropout.and_then(|dropout| dropout.at(self.shape.dropout[0]))
    }

    fn heads(&self, layer: usize) -> AttentionShape {
        let queries = if layer + 1 == self.shape.layers { self.queries } else { Queries::All };
        AttentionShape {
            count: self.shape.heads,
            width: self.shape.hidden / self.shape.heads,
            queries,
            place: dropout_place(layer, 0),
            dropout: self.dropout.and_then(|dropout| dropout.at(self.shape.dropout[1])),
        }
    }

    /// The rows of `[tokens, hidden]` that ask in a layer, gathered where they are not all.
    fn query_rows<'a>(&self, queries: Queries, x: &'a [f32]) -> std::borrow::Cow<'a, [f32]> {
        let h = self.shape.hidden;
        match queries {
            Queries::All => std::borrow::Cow::Borrowed(x),
            Queries::First => self
                .batch
                .spans()
                .flat_map(|(start, _)| &x[start * h..(start + 1) * h])
                .copied()
                .collect::<Vec<_>>()
                .into(),
        }
    }

    /// One layer, `[tokens, hidden]` in and `[rows, hidden]` out, where the norm stands after the sum (Devlin et al., 2019):
    /// `m = norm(x + dropout(attention(x) Wo' + bo))`, then `norm(m + dropout(act(m Wi' + bi) W' + b))`. What the backward
    /// pass needs is left in `kept[at]`.
    fn layer(&mut self, parameters: &Parameters, layer: usize, at: usize) {
        let (h, f, tokens) = (self.shape.hidden, self.shape.intermediate, self.batch.tokens());
        let heads = self.heads(layer);
        let names = self.layers[layer].clone();
        // What the layer before has left is taken out while this one writes its own.
        let mut kept = std::mem::take(&mut self.kept[at]);
        let input = match (layer, at) {
            (0, _) => std::mem::take(&mut self.embedded.out),
            (_, 0) => std::mem::replace(&mut kept.output_norm.out, std::mem::take(&mut self.spent)),
            _ => std::mem::take(&mut self.kept[at - 1].output_norm.out),
        };
        let x = &input[..tokens * h];
        let threads = &self.threads;
        let query_rows = self.query_rows(heads.queries, x);
        let rows = query_rows.len() / h;

        linear(threads, parameters, names.query, &query_rows, rows, resized(&mut kept.q, rows * h));
        linear(threads, parameters, names.key, x, tokens, resized(&mut kept.k, tokens * h));
        linear(threads, parameters, names.value, x, tokens, resized(&mut kept.v, tokens * h));
        let weights = resized(&mut kept.attention, heads.weights(&self.batch));
        let context = resized(&mut kept.context, rows * h);
        attention::forward(threads, &self.batch, heads, [&kept.q, &kept.k, &kept.v], context, weights);

        let hidden = self.hidden_dropout();
        let first_row = |row: usize| self.row(heads.queries, row);
        let sums = resized(&mut kept.attention_norm.normal, rows * h);
        product(threads, parameters, names.attention_output, context, rows, sums);
        add_residual(
            threads,
            parameters,
            names.attention_output,
            hidden.map(|d| (d, dropout_place(layer, 1))),
            &first_row,
            &query_rows,
            sums,
            h,
        );
        normalise(threads, parameters, names.attention_norm, self.shape.eps, &mut kept.attention_norm, rows, h);

        let middle = &kept.attention_norm.out[..rows * h];
        let slope = resized(&mut kept.slope, rows * f);
        product(threads, parameters, names.intermediate, middle, rows, slope);
        activate(
            threads,
            parameters.value(names.intermediate.bias),
            self.shape.activation,
            slope,
            resized(&mut kept.intermediate, rows * f),
        );
        let sums = resized(&mut kept.output_norm.normal, rows * h);
        product(threads, parameters, names.output, &kept.intermediate[..rows * f], rows, sums);
        add_residual(
            threads,
            parameters,
            names.output,
            hidden.map(|d| (d, dropout_place(layer, 2))),
            &first_row,
            middle,
            sums,
            h,
        );
        normalise(threads, parameters, names.output_norm, self.shape.eps, &mut kept.output_norm, rows, h);
        drop(query_rows);
        match (layer, at) {
            (0, _) => self.embedded.out = input,
            (_, 0) => self.spent = input,
            _ => self.kept[at - 1].output_norm.out = input,
        }
        self.kept[at] = kept;
    }

    /// The position in the batch of a row that asks.
    fn row(&self, queries: Queries, row: usize) -> usize {
        match queries {
            Queries::All => row,
            Queries::First => self.batch.starts[row],
        }
    }

    /// Adds the gradients of everything that is trained, from that by the last hidden state. Layers below the first trained
    /// one are left out.
    pub(crate) fn backward(&mut self, parameters: &mut Parameters, grad_output: &[f32]) {
        let threads = std::sync::Arc::clone(&self.threads);
        let trained = |at: usize, parameters: &Parameters| parameters.all().get(at).is_some_and(|p| p.trained);
        let lowest = (0..self.shape.layers).find(|layer| trained(self.layers[*layer].query.weight, parameters));
        let words = trained(self.words, parameters);
        let Some(lowest) = (if words { Some(0) } else { lowest }) else {
            return;
        };
        let spent = threads.run(|| {
            let mut grad = grad_output.to_vec();
            for layer in (lowest..self.shape.layers).rev() {
                grad = self.layer_backward(parameters, layer, grad, layer > lowest || words);
            }
            if words {
                self.embed_backward(parameters, &mut grad);
            }
            grad
        });
        self.buffers.push(spent);
    }

    /// A vector of this size from those used before, holding anything.
    fn take_buffer(&mut self, size: usize) -> Vec<f32> {
        let mut buffer = self.buffers.pop().unwrap_or_default();
        buffer.resize(size, 0.0);
        buffer
    }

    /// Adds the gradients of a layer's parameters, from that by its result, `[rows, hidden]`. Gives that by its input,
    /// `[tokens, hidden]`, where it goes `further` down, else nothing.
    fn layer_backward(
        &mut self,
        parameters: &mut Parameters,
        layer: usize,
        grad_out: Vec<f32>,
        further: bool,
    ) -> Vec<f32> {
        let (h, f, tokens) = (self.shape.hidden, self.shape.intermediate, self.batch.tokens());
        let heads = self.heads(layer);
        let names = self.layers[layer].clone();
        let mut kept = std::mem::take(&mut self.kept[layer]);
        let input =
            std::mem::take(if layer == 0 { &mut self.embedded.out } else { &mut self.kept[layer - 1].output_norm.out });
        let x = &input[..tokens * h];
        let rows = heads.queries.rows(&self.batch);
        let hidden = self.hidden_dropout();
        let threads = std::sync::Arc::clone(&self.threads);
        let mut grad = grad_out;
        let mut branch = self.take_buffer(rows * h);
        let mut grad_intermediate = self.take_buffer(rows * f);

        // The feed-forward half. Through the norm, `grad` becomes the gradient by `m + dropout(..)`: it is already that by
        // `m` along the residual, and a copy of it, `branch`, goes back through dropout, the output layer, the activation
        // (whose derivative the forward pass left in `slope`) and the intermediate layer, and is added to it.
        normalise_backward(&threads, parameters, names.output_norm, &kept.output_norm, &mut grad, h);
        let first_row = |row: usize| self.row(heads.queries, row);
        branch.copy_from_slice(&grad);
        drop_rows(&threads, hidden.map(|d| (d, dropout_place(layer, 2))), &first_row, &mut branch, h);
        linear_backward(
            &threads,
            parameters,
            names.output,
            &kept.intermediate[..rows * f],
            &branch,
            rows,
            Some((&mut grad_intermediate, false)),
        );
        threads.row_pairs(
            (&mut grad_intermediate, f),
            (&mut kept.slope[..rows * f], f),
            |_, grad_intermediate, slope| {
                vectorised(
                    #[inline(always)]
                    || grad_intermediate.iter_mut().zip(slope).for_each(|(grad, slope)| *grad *= *slope),
                );
            },
        );
        linear_backward(
            &threads,
            parameters,
            names.intermediate,
            &kept.attention_norm.out[..rows * h],
            &grad_intermediate,
            rows,
            Some((&mut grad, true)),
        );

        // The attention half, in the same way: the norm, then `grad` along the residual and `branch` through dropout and
        // the projection to the gradient by the context, `[rows, hidden]`, for which the wide buffer serves again.
        normalise_backward(&threads, parameters, names.attention_norm, &kept.attention_norm, &mut grad, h);
        branch.copy_from_slice(&grad);
        drop_rows(&threads, hidden.map(|d| (d, dropout_place(layer, 1))), &first_row, &mut branch, h);
        grad_intermediate.truncate(rows * h);
        linear_backward(
            &threads,
            parameters,
            names.attention_output,
            &kept.context[..rows * h],
            &branch,
            rows,
            Some((&mut grad_intermediate, false)),
        );
        let (mut grad_q, mut grad_k, mut grad_v) = (branch, self.take_buffer(tokens * h), self.take_buffer(tokens * h));
        let weights = &mut kept.attention[..heads.weights(&self.batch)];
        attention::backward(
            &threads,
            &self.batch,
            heads,
            [&kept.q, &kept.k, &kept.v],
            weights,
            &grad_intermediate,
            [&mut grad_q, &mut grad_k, &mut grad_v],
        );
        let query_rows = self.query_rows(heads.queries, x);
        let mut grad_query_rows = further.then_some(grad);
        linear_backward(
            &threads,
            parameters,
            names.query,
            &query_rows,
            &grad_q,
            rows,
            grad_query_rows.as_deref_mut().map(|grad| (grad, true)),
        );
        drop(query_rows);
        // x is what asked, what was looked up and what was taken: its gradient is the sum of the residual's and those
        // through queries, keys and values. Where only first positions asked, the former two are spread over all rows.
        let mut grad_x = match (grad_query_rows, heads.queries) {
            (Some(grad), Queries::First) => {
                let mut all = self.take_buffer(tokens * h);
                all.fill(0.0);
                for (row, (start, _)) in self.batch.spans().enumerate() {
                    all[start * h..(start + 1) * h].copy_from_slice(&grad[row * h..(row + 1) * h]);
                }
                self.buffers.push(grad);
                Some(all)
            }
            (grad, _) => grad,
        };
        linear_backward(
            &threads,
            parameters,
            names.key,
            x,
            &grad_k,
            tokens,
            grad_x.as_deref_mut().map(|grad| (grad, true)),
        );
        linear_backward(
            &threads,
            parameters,
            names.value,
            x,
            &grad_v,
            tokens,
            grad_x.as_deref_mut().map(|grad| (grad, true)),
        );
        *(if layer == 0 { &mut self.embedded.out } else { &mut self.kept[layer - 1].output_norm.out }) = input;
        self.kept[layer] = kept;
        self.buffers.extend([grad_q, grad_k, grad_v, grad_intermediate]);
        grad_x.unwrap_or_default()
    }

    fn embed_backward(&mut self, parameters: &mut Parameters, grad: &mut [f32]) {
        let h = self.shape.hidden;
        let dropout = self.hidden_dropout().map(|dropout| (dropout, dropout_place(0, 3)));
        drop_rows(&self.threads, dropout, &|row| row, grad, h);
        normalise_backward(&self.threads, parameters, self.embedding_norm, &self.embedded, grad, h);
        for (start, len) in self.batch.spans() {
            for i in 0..len {
                let row = &grad[(start + i) * h..][..h];
                let words = parameters.get_mut(self.words);
                let id = self.batch.ids[start + i] as usize;
                let at = words.rows.as_ref().map_or(id, |rows| rows.position[id] as usize);
                add(&mut words.gradient[at * h..][..h], row);
                add(&mut parameters.get_mut(self.positions).gradient[i * h..][..h], row);
                if let Some(segments) = self.segments {
                    add(&mut parameters.get_mut(segments).gradient[..h], row);
                }
            }
        }
    }
}
