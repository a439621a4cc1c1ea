//! The pass on a processor: BERT and DistilBERT forward and back over packed batches, every step of the way back written
//! out, with nothing padded and all memory reused from one batch to the next.
//!
//! The plain path computes the same from candle's differentiable operations; a test holds both to the same numbers.
//! Texts differ in length by a factor of ten, so packing saves most of the work of an unsorted batch; and since a
//! classifier sees the first position alone, the last layer computes that position alone.

use super::architecture::{Activation, Architecture};
use super::attention::{self, Heads, Queries};
use super::numbers::{self, Dropout, Matrix, Threads, gelu, gelu_tanh, multiply, vectorised};
use super::tokens::PackedBatch;
use super::weights::Parameters;

/// Where a linear layer's or a layer norm's two tensors are.
#[derive(Clone, Copy, Debug)]
struct Pair {
    weight: usize,
    bias: usize,
}

impl Pair {
    fn find(parameters: &Parameters, name: &str) -> Self {
        Self { weight: parameters.index(&format!("{name}.weight")), bias: parameters.index(&format!("{name}.bias")) }
    }
}

#[derive(Clone, Debug)]
struct Layer {
    query: Pair,
    key: Pair,
    value: Pair,
    output: Pair,
    output_norm: Pair,
    widen: Pair,
    narrow: Pair,
    last_norm: Pair,
}

/// What one layer keeps for the way back.
#[derive(Debug, Default)]
struct LayerActivations {
    /// `[tokens, hidden]` each.
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    attention: Vec<f32>,
    context: Vec<f32>,
    first: Normed,
    /// `[rows, intermediate]`: the activation's slope (before it the activation's argument), and its value.
    slope: Vec<f32>,
    wide: Vec<f32>,
    second: Normed,
}

/// A layer norm's values before scale and shift, one over the deviation of each row, and its result.
#[derive(Debug, Default)]
struct Normed {
    normal: Vec<f32>,
    scale: Vec<f32>,
    out: Vec<f32>,
}

/// The pass; see the module.
#[derive(Debug)]
pub(in crate::classifier) struct Fused {
    shape: Architecture,
    threads: std::sync::Arc<Threads>,
    words: usize,
    positions: usize,
    segments: Option<usize>,
    embedding_norm: Pair,
    layers: Vec<Layer>,
    embedded: Normed,
    kept: Vec<LayerActivations>,
    /// Gradients on the way back.
    back: Vec<Vec<f32>>,
    /// Where nothing is kept: what the layer before the last one left, to be written over.
    spent: Vec<f32>,
    batch: PackedBatch,
    dropout: Option<Dropout>,
    queries: Queries,
}

/// Makes a vector at least so long and gives its beginning, holding anything.
fn sized(values: &mut Vec<f32>, size: usize) -> &mut [f32] {
    if values.len() < size {
        values.resize(size, 0.0);
    }
    &mut values[..size]
}

/// What a place of dropout is called: the layer and which of its three it is.
fn place(layer: usize, which: u32) -> u32 {
    layer as u32 * 4 + which
}

impl Fused {
    /// A pass over an encoder of this shape.
    pub fn new(shape: &Architecture, parameters: &Parameters, threads: std::sync::Arc<Threads>) -> Self {
        let pair = |name: &str| Pair::find(parameters, name);
        let layers = (0..shape.layers)
            .map(|layer| {
                let [query, key, value, output, output_norm, widen, narrow, last_norm] =
                    shape.layer(layer).map(|name| pair(&name));
                Layer { query, key, value, output, output_norm, widen, narrow, last_norm }
            })
            .collect();
        Self {
            threads,
            words: parameters.index("embeddings.word_embeddings.weight"),
            positions: parameters.index("embeddings.position_embeddings.weight"),
            segments: (shape.segments > 0).then(|| parameters.index("embeddings.token_type_embeddings.weight")),
            embedding_norm: pair("embeddings.LayerNorm"),
            layers,
            embedded: Normed::default(),
            kept: Vec::new(),
            back: Vec::new(),
            spent: Vec::new(),
            batch: PackedBatch::default(),
            dropout: None,
            queries: Queries::All,
            shape: shape.clone(),
        }
    }

    /// The last hidden state: `[tokens, hidden]`, or `[texts, hidden]` of first positions. With `keep` the way back is
    /// open until the next call.
    pub fn forward(
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
        &self.kept[at].second.out[..queries.rows(batch) * self.shape.hidden]
    }

    fn embed(&mut self, parameters: &Parameters) {
        let h = self.shape.hidden;
        let rows = self.batch.tokens();
        let words = parameters.value(self.words);
        let positions = parameters.value(self.positions);
        let segment = self.segments.map(|at| &parameters.value(at)[..h]);
        let sums = sized(&mut self.embedded.normal, rows * h);
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
        let dropout = self.hidden_dropout().map(|dropout| (dropout, place(0, 3)));
        drop_rows(&self.threads, dropout, &|row| row, &mut self.embedded.out[..rows * h], h);
    }

    fn hidden_dropout(&self) -> Option<Dropout> {
        self.dropout.and_then(|dropout| dropout.at(self.shape.dropout[0]))
    }

    fn heads(&self, layer: usize) -> Heads {
        let queries = if layer + 1 == self.shape.layers { self.queries } else { Queries::All };
        Heads {
            count: self.shape.heads,
            width: self.shape.hidden / self.shape.heads,
            queries,
            place: place(layer, 0),
            dropout: self.dropout.and_then(|dropout| dropout.at(self.shape.dropout[1])),
        }
    }

    /// The rows of `[tokens, hidden]` that ask in a layer, gathered where they are not all.
    fn asking<'a>(&self, queries: Queries, x: &'a [f32]) -> std::borrow::Cow<'a, [f32]> {
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

    fn layer(&mut self, parameters: &Parameters, layer: usize, at: usize) {
        let (h, f, tokens) = (self.shape.hidden, self.shape.intermediate, self.batch.tokens());
        let heads = self.heads(layer);
        let names = self.layers[layer].clone();
        // What the layer before has left is taken out while this one writes its own.
        let mut kept = std::mem::take(&mut self.kept[at]);
        let input = match (layer, at) {
            (0, _) => std::mem::take(&mut self.embedded.out),
            (_, 0) => std::mem::replace(&mut kept.second.out, std::mem::take(&mut self.spent)),
            _ => std::mem::take(&mut self.kept[at - 1].second.out),
        };
        let x = &input[..tokens * h];
        let threads = &self.threads;
        let asking = self.asking(heads.queries, x);
        let rows = asking.len() / h;

        linear(threads, parameters, names.query, &asking, rows, sized(&mut kept.q, rows * h));
        linear(threads, parameters, names.key, x, tokens, sized(&mut kept.k, tokens * h));
        linear(threads, parameters, names.value, x, tokens, sized(&mut kept.v, tokens * h));
        let weights = sized(&mut kept.attention, heads.weights(&self.batch));
        let context = sized(&mut kept.context, rows * h);
        attention::forward(threads, &self.batch, heads, [&kept.q, &kept.k, &kept.v], context, weights);

        let hidden = self.hidden_dropout();
        let first_row = |row: usize| self.row(heads.queries, row);
        let sums = sized(&mut kept.first.normal, rows * h);
        product(threads, parameters, names.output, context, rows, sums);
        add_residual(
            threads,
            parameters,
            names.output,
            hidden.map(|d| (d, place(layer, 1))),
            &first_row,
            &asking,
            sums,
            h,
        );
        normalise(threads, parameters, names.output_norm, self.shape.eps, &mut kept.first, rows, h);

        let middle = &kept.first.out[..rows * h];
        let slope = sized(&mut kept.slope, rows * f);
        product(threads, parameters, names.widen, middle, rows, slope);
        activate(
            threads,
            parameters.value(names.widen.bias),
            self.shape.activation,
            slope,
            sized(&mut kept.wide, rows * f),
        );
        let sums = sized(&mut kept.second.normal, rows * h);
        product(threads, parameters, names.narrow, &kept.wide[..rows * f], rows, sums);
        add_residual(
            threads,
            parameters,
            names.narrow,
            hidden.map(|d| (d, place(layer, 2))),
            &first_row,
            middle,
            sums,
            h,
        );
        normalise(threads, parameters, names.last_norm, self.shape.eps, &mut kept.second, rows, h);
        drop(asking);
        match (layer, at) {
            (0, _) => self.embedded.out = input,
            (_, 0) => self.spent = input,
            _ => self.kept[at - 1].second.out = input,
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
    pub fn backward(&mut self, parameters: &mut Parameters, by_output: &[f32]) {
        let threads = std::sync::Arc::clone(&self.threads);
        let trained = |at: usize, parameters: &Parameters| parameters.all().get(at).is_some_and(|p| p.trained);
        let lowest = (0..self.shape.layers).find(|layer| trained(self.layers[*layer].query.weight, parameters));
        let words = trained(self.words, parameters);
        let Some(lowest) = (if words { Some(0) } else { lowest }) else {
            return;
        };
        let spent = threads.run(|| {
            let mut by = by_output.to_vec();
            for layer in (lowest..self.shape.layers).rev() {
                by = self.layer_back(parameters, layer, by, layer > lowest || words);
            }
            if words {
                self.embed_back(parameters, &mut by);
            }
            by
        });
        self.back.push(spent);
    }

    /// A vector from those used before.
    fn spare(&mut self, size: usize) -> Vec<f32> {
        let mut spare = self.back.pop().unwrap_or_default();
        if spare.len() < size {
            spare.resize(size, 0.0);
        }
        spare.truncate(size);
        spare
    }

    fn layer_back(&mut self, parameters: &mut Parameters, layer: usize, by_out: Vec<f32>, further: bool) -> Vec<f32> {
        let (h, f, tokens) = (self.shape.hidden, self.shape.intermediate, self.batch.tokens());
        let heads = self.heads(layer);
        let names = self.layers[layer].clone();
        let mut kept = std::mem::take(&mut self.kept[layer]);
        let input =
            std::mem::take(if layer == 0 { &mut self.embedded.out } else { &mut self.kept[layer - 1].second.out });
        let x = &input[..tokens * h];
        let rows = heads.queries.rows(&self.batch);
        let hidden = self.hidden_dropout();
        let threads = std::sync::Arc::clone(&self.threads);
        let mut by = by_out;
        let mut branch = self.spare(rows * h);
        let mut wide = self.spare(rows * f);

        // Second half. `by` becomes the gradient by the sum before the norm: also that by the residual.
        normalise_back(&threads, parameters, names.last_norm, &kept.second, &mut by, h);
        let first_row = |row: usize| self.row(heads.queries, row);
        branch.copy_from_slice(&by);
        drop_rows(&threads, hidden.map(|d| (d, place(layer, 2))), &first_row, &mut branch, h);
        linear_back(
            &threads,
            parameters,
            names.narrow,
            &kept.wide[..rows * f],
            &branch,
            rows,
            Some((&mut wide, false)),
        );
        threads.rows2((&mut wide, f), (&mut kept.slope[..rows * f], f), |_, wide, slope| {
            vectorised(
                #[inline(always)]
                || wide.iter_mut().zip(slope).for_each(|(by, slope)| *by *= *slope),
            );
        });
        linear_back(&threads, parameters, names.widen, &kept.first.out[..rows * h], &wide, rows, Some((&mut by, true)));

        // First half.
        normalise_back(&threads, parameters, names.output_norm, &kept.first, &mut by, h);
        branch.copy_from_slice(&by);
        drop_rows(&threads, hidden.map(|d| (d, place(layer, 1))), &first_row, &mut branch, h);
        wide.truncate(rows * h);
        linear_back(
            &threads,
            parameters,
            names.output,
            &kept.context[..rows * h],
            &branch,
            rows,
            Some((&mut wide, false)),
        );
        let (mut by_q, mut by_k, mut by_v) = (branch, self.spare(tokens * h), self.spare(tokens * h));
        let weights = &mut kept.attention[..heads.weights(&self.batch)];
        attention::backward(
            &threads,
            &self.batch,
            heads,
            [&kept.q, &kept.k, &kept.v],
            weights,
            &wide,
            [&mut by_q, &mut by_k, &mut by_v],
        );
        let asking = self.asking(heads.queries, x);
        let mut by_asking = further.then_some(by);
        linear_back(
            &threads,
            parameters,
            names.query,
            &asking,
            &by_q,
            rows,
            by_asking.as_deref_mut().map(|by| (by, true)),
        );
        drop(asking);
        // Spread over all positions, where only the first ones asked.
        let mut by_x = match (by_asking, heads.queries) {
            (Some(by), Queries::First) => {
                let mut all = self.spare(tokens * h);
                all.fill(0.0);
                for (row, (start, _)) in self.batch.spans().enumerate() {
                    all[start * h..(start + 1) * h].copy_from_slice(&by[row * h..(row + 1) * h]);
                }
                self.back.push(by);
                Some(all)
            }
            (by, _) => by,
        };
        linear_back(&threads, parameters, names.key, x, &by_k, tokens, by_x.as_deref_mut().map(|by| (by, true)));
        linear_back(&threads, parameters, names.value, x, &by_v, tokens, by_x.as_deref_mut().map(|by| (by, true)));
        *(if layer == 0 { &mut self.embedded.out } else { &mut self.kept[layer - 1].second.out }) = input;
        self.kept[layer] = kept;
        self.back.extend([by_q, by_k, by_v, wide]);
        by_x.unwrap_or_default()
    }

    fn embed_back(&mut self, parameters: &mut Parameters, by: &mut [f32]) {
        let h = self.shape.hidden;
        let dropout = self.hidden_dropout().map(|dropout| (dropout, place(0, 3)));
        drop_rows(&self.threads, dropout, &|row| row, by, h);
        normalise_back(&self.threads, parameters, self.embedding_norm, &self.embedded, by, h);
        for (start, len) in self.batch.spans() {
            for i in 0..len {
                let row = &by[(start + i) * h..][..h];
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

fn add(sum: &mut [f32], values: &[f32]) {
    vectorised(
        #[inline(always)]
        || sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
    );
}

/// Multiplies rows by their masks: on the way there and, since the masks are the same, on the way back.
fn drop_rows(
    threads: &Threads,
    dropout: Option<(Dropout, u32)>,
    position: &(impl Fn(usize) -> usize + Sync),
    by: &mut [f32],
    width: usize,
) {
    let Some((dropout, place)) = dropout else {
        return;
    };
    threads.rows(by, width, |first, rows| {
        vectorised(
            #[inline(always)]
            || {
                for (i, row) in rows.chunks_exact_mut(width).enumerate() {
                    dropout.apply(place, position(first + i), row);
                }
            },
        );
    });
}

/// `out = x w'`, without the bias.
fn product(threads: &Threads, parameters: &Parameters, pair: Pair, x: &[f32], rows: usize, out: &mut [f32]) {
    let (inner, outer) = (x.len() / rows.max(1), out.len() / rows.max(1));
    let weight = Matrix::new(parameters.value(pair.weight), outer, inner).transposed();
    multiply((out, outer), Matrix::new(x, rows, inner), weight, 1.0, false, threads.count());
}

/// `out = x w' + b`.
fn linear(threads: &Threads, parameters: &Parameters, pair: Pair, x: &[f32], rows: usize, out: &mut [f32]) {
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
fn linear_back(
    threads: &Threads,
    parameters: &mut Parameters,
    pair: Pair,
    x: &[f32],
    by: &[f32],
    rows: usize,
    by_x: Option<(&mut [f32], bool)>,
) {
    let (inner, outer) = (x.len() / rows.max(1), by.len() / rows.max(1));
    if let Some((by_x, add)) = by_x {
        let weight = Matrix::new(parameters.value(pair.weight), outer, inner);
        multiply((by_x, inner), Matrix::new(by, rows, outer), weight, 1.0, add, threads.count());
    }
    let weight = parameters.get_mut(pair.weight);
    if !weight.trained {
        return;
    }
    let by_rows = Matrix::new(by, rows, outer).transposed();
    multiply((&mut weight.gradient, inner), by_rows, Matrix::new(x, rows, inner), 1.0, true, threads.count());
    let bias = &mut parameters.get_mut(pair.bias).gradient;
    add_columns(threads, bias, |sums, first| {
        for row in by.chunks_exact(outer) {
            sums.iter_mut().zip(&row[first..]).for_each(|(sum, value)| *sum += value);
        }
    });
}

/// Adds to sums over rows, a range of columns at a time; each column is summed in the order of rows.
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
fn add_residual(
    threads: &Threads,
    parameters: &Parameters,
    pair: Pair,
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
                        Some((dropout, place)) => {
                            let base = dropout.base(place, position(first + i));
                            for c in 0..width {
                                row[c] = (row[c] + bias[c]) * dropout.factor(base, c as u32) + residual[c];
                            }
                        }
                    }
                }
            },
        );
    });
}

/// The activation of `slope + b` into `out`, and its derivative in place.
fn activate(threads: &Threads, bias: &[f32], activation: Activation, slope: &mut [f32], out: &mut [f32]) {
    let width = bias.len();
    threads.rows2((slope, width), (out, width), |_, slope, out| {
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
fn normalise(
    threads: &Threads,
    parameters: &Parameters,
    pair: Pair,
    eps: f32,
    normed: &mut Normed,
    rows: usize,
    width: usize,
) {
    let (weight, bias) = (parameters.value(pair.weight), parameters.value(pair.bias));
    let normal = &mut normed.normal[..rows * width];
    let scale = sized(&mut normed.scale, rows);
    threads.rows2((normal, width), (scale, 1), |_, normal, scale| {
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
    threads.rows(sized(&mut normed.out, rows * width), width, |first, out| {
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
fn normalise_back(
    threads: &Threads,
    parameters: &mut Parameters,
    pair: Pair,
    normed: &Normed,
    by: &mut [f32],
    width: usize,
) {
    let (normal, scale) = (&normed.normal, &normed.scale);
    if parameters.all()[pair.weight].trained {
        let rows = by.len() / width;
        add_columns(threads, &mut parameters.get_mut(pair.weight).gradient, |sums, first| {
            for row in 0..rows {
                let (by, normal) = (&by[row * width + first..], &normal[row * width + first..]);
                sums.iter_mut().zip(by).zip(normal).for_each(|((sum, by), normal)| *sum += by * normal);
            }
        });
        add_columns(threads, &mut parameters.get_mut(pair.bias).gradient, |sums, first| {
            for row in 0..rows {
                sums.iter_mut().zip(&by[row * width + first..]).for_each(|(sum, by)| *sum += by);
            }
        });
    }
    let weight = parameters.value(pair.weight);
    threads.rows(by, width, |first, by| {
        vectorised(
            #[inline(always)]
            || {
                for (i, by) in by.chunks_exact_mut(width).enumerate() {
                    let normal = &normal[(first + i) * width..][..width];
                    for c in 0..width {
                        by[c] *= weight[c];
                    }
                    numbers::normalise_back(by, normal, scale[first + i]);
                }
            },
        );
    });
}
