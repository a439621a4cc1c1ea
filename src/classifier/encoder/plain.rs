//! The pass in candle's own differentiable operations: every family, any device, texts padded to the longest. It is the
//! reference of the fused pass, and the way for devices and families that it does not know.
//!
//! candle's layer norm and softmax have no backward pass (nothing is trained, and nothing says so), and its dropout cannot be
//! seeded; so the three are composed here.

use candle_core::{D, Device, Tensor, Var};

use super::architecture::{Activation, Architecture, ModernBertConfig};
use super::attention::Queries;
use super::numbers::Dropout;
use super::tokens::PackedBatch;
use super::weights::Parameters;

type Result<T> = candle_core::Result<T>;

/// The pass; see the module.
#[derive(Debug)]
pub(in crate::classifier) struct Plain {
    shape: Architecture,
    device: Device,
    variables: Vec<Var>,
    /// The last hidden state of the rows asked for, for the backward pass.
    output: Option<Tensor>,
}

/// A padded batch.
struct Padded {
    texts: usize,
    longest: usize,
    /// `[texts, 1, 1, longest]`: 0, or a large negative number on padding.
    mask: Tensor,
    /// For each packed row its padded one.
    rows: Vec<u32>,
}

impl Plain {
    /// A pass over an encoder of this shape.
    pub(crate) fn new(shape: &Architecture, device: Device) -> Self {
        Self { shape: shape.clone(), device, variables: Vec::new(), output: None }
    }

    /// The last hidden state, `[tokens, hidden]` or `[texts, hidden]` of first positions.
    pub(crate) fn forward(
        &mut self,
        parameters: &Parameters,
        batch: &PackedBatch,
        queries: Queries,
        dropout: Option<Dropout>,
    ) -> Result<Vec<f32>> {
        self.take(parameters)?;
        let padded = self.pad(batch)?;
        let run = PlainForward { plain: self, parameters, padded: &padded, batch, dropout };
        let hidden = if self.shape.modern.is_some() { run.modern()? } else { run.classic()? };
        let rows = match queries {
            Queries::All => padded.rows.clone(),
            Queries::First => (0..padded.texts).map(|text| (text * padded.longest) as u32).collect(),
        };
        let rows = Tensor::new(rows, &self.device)?;
        let output = hidden.reshape((padded.texts * padded.longest, self.shape.hidden))?.index_select(&rows, 0)?;
        let values = output.flatten_all()?.to_vec1()?;
        self.output = Some(output);
        Ok(values)
    }

    /// Adds the gradients of everything that is trained, from that by what `forward` returned.
    pub(crate) fn backward(&mut self, parameters: &mut Parameters, grad_output: &[f32]) -> Result<()> {
        let Some(output) = self.output.take() else {
            return Ok(());
        };
        let grad = Tensor::from_slice(grad_output, output.dims(), &self.device)?;
        // Its gradient by the output is `by`.
        let gradients = (output * grad)?.sum_all()?.backward()?;
        for (at, variable) in self.variables.iter().enumerate() {
            let Some(gradient) = gradients.get(variable).filter(|_| parameters.all()[at].trained) else {
                continue;
            };
            let values = gradient.flatten_all()?.to_vec1::<f32>()?;
            let parameter = parameters.get_mut(at);
            let width = parameter.shape.last().copied().unwrap_or(1);
            match &parameter.rows {
                None => parameter.gradient.iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
                Some(rows) => {
                    for (sum, row) in parameter.gradient.chunks_exact_mut(width).zip(&rows.used) {
                        let values = &values[*row as usize * width..][..width];
                        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                    }
                }
            }
        }
        Ok(())
    }

    /// Copies the encoder's parameters to the device: they change at every step.
    fn take(&mut self, parameters: &Parameters) -> Result<()> {
        let encoder = self.shape.tensors().len();
        self.variables.clear();
        for parameter in &parameters.all()[..encoder] {
            let tensor = Tensor::from_slice(&parameter.value, parameter.shape.as_slice(), &self.device)?;
            self.variables.push(Var::from_tensor(&tensor)?);
        }
        Ok(())
    }

    fn pad(&self, batch: &PackedBatch) -> Result<Padded> {
        let texts = batch.len();
        let longest = batch.spans().map(|(_, len)| len).max().unwrap_or(1);
        let mut mask = vec![0.0f32; texts * longest];
        let mut rows = Vec::with_capacity(batch.tokens());
        for (text, (_, len)) in batch.spans().enumerate() {
            mask[text * longest + len..(text + 1) * longest].fill(-1e30);
            rows.extend((0..len).map(|i| (text * longest + i) as u32));
        }
        Ok(Padded { texts, longest, mask: Tensor::from_vec(mask, (texts, 1, 1, longest), &self.device)?, rows })
    }
}

struct PlainForward<'a> {
    plain: &'a Plain,
    parameters: &'a Parameters,
    padded: &'a Padded,
    batch: &'a PackedBatch,
    dropout: Option<Dropout>,
}

impl PlainForward<'_> {
    fn get(&self, name: &str) -> Result<&Tensor> {
        match self.plain.variables.get(self.parameters.index(name)) {
            Some(variable) => Ok(variable.as_tensor()),
            None => candle_core::bail!("no tensor `{name}`"),
        }
    }

    fn linear(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        let x = x.broadcast_matmul(&self.get(&format!("{name}.weight"))?.t()?)?;
        if self.plain.shape.modern.is_some() { Ok(x) } else { x.broadcast_add(self.get(&format!("{name}.bias"))?) }
    }

    fn norm(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let variance = x.sqr()?.mean_keepdim(D::Minus1)?;
        let x = x.broadcast_div(&(variance + f64::from(self.plain.shape.eps))?.sqrt()?)?;
        let x = x.broadcast_mul(self.get(&format!("{name}.weight"))?)?;
        if self.plain.shape.modern.is_some() { Ok(x) } else { x.broadcast_add(self.get(&format!("{name}.bias"))?) }
    }

    fn activate(&self, x: &Tensor) -> Result<Tensor> {
        match self.plain.shape.activation {
            Activation::Gelu => x.gelu_erf(),
            Activation::GeluTanh => x.gelu(),
            Activation::Relu => x.relu(),
        }
    }

    /// The fused pass's masks, at the places where padding has moved the values to.
    fn drop(&self, x: Tensor, rate: usize, place: u32) -> Result<Tensor> {
        let Some(dropout) = self.dropout.and_then(|dropout| dropout.at(self.plain.shape.dropout[rate])) else {
            return Ok(x);
        };
        let width = x.dim(D::Minus1)?;
        let mut mask = vec![1.0f32; x.elem_count()];
        for (text, (start, len)) in self.batch.spans().enumerate() {
            for i in 0..len {
                if rate == 0 {
                    let row = (text * self.padded.longest + i) * width;
                    dropout.apply(place, start + i, &mut mask[row..row + width]);
                    continue;
                }
                let heads = self.plain.shape.heads;
                for head in 0..heads {
                    let row = ((text * heads + head) * self.padded.longest + i) * width;
                    dropout.apply(place, (start + i) * heads + head, &mut mask[row..row + len]);
                }
            }
        }
        let mask = Tensor::from_vec(mask, x.dims(), &self.plain.device)?;
        x * mask
    }

    /// `[texts, longest, hidden]` as `[texts, heads, longest, width]`.
    fn split(&self, x: &Tensor) -> Result<Tensor> {
        let (texts, longest, hidden) = x.dims3()?;
        let heads = self.plain.shape.heads;
        x.reshape((texts, longest, heads, hidden / heads))?.transpose(1, 2)?.contiguous()
    }

    fn attend(&self, [q, k, v]: [&Tensor; 3], mask: &Tensor, layer: usize) -> Result<Tensor> {
        let width = q.dim(D::Minus1)?;
        let scores = (q.matmul(&k.t()?)? / (width as f64).sqrt())?.broadcast_add(mask)?;
        let shifted = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
        let weights = shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)?;
        let context = self.drop(weights, 1, layer as u32 * 4)?.matmul(v)?;
        let (texts, heads, longest, width) = context.dims4()?;
        context.transpose(1, 2)?.reshape((texts, longest, heads * width))
    }

    fn words(&self, name: &str) -> Result<Tensor> {
        let mut ids = vec![0u32; self.padded.texts * self.padded.longest];
        for (id, row) in self.batch.ids.iter().zip(&self.padded.rows) {
            ids[*row as usize] = *id;
        }
        let rows = self.get(name)?.index_select(&Tensor::new(ids, &self.plain.device)?, 0)?;
        rows.reshape((self.padded.texts, self.padded.longest, self.plain.shape.hidden))
    }

    fn classic(&self) -> Result<Tensor> {
        let shape = &self.plain.shape;
        let positions =
            self.get("embeddings.position_embeddings.weight")?.narrow(0, 0, self.padded.longest)?.unsqueeze(0)?;
        let mut x = self.words("embeddings.word_embeddings.weight")?.broadcast_add(&positions)?;
        if shape.segments > 0 {
            x = x.broadcast_add(&self.get("embeddings.token_type_embeddings.weight")?.narrow(0, 0, 1)?)?;
        }
        x = self.drop(self.norm(&x, "embeddings.LayerNorm")?, 0, 3)?;
        for layer in 0..shape.layers {
            let [query, key, value, output, output_norm, widen, narrow, last_norm] = shape.layer(layer);
            let (q, k, v) = (self.linear(&x, &query)?, self.linear(&x, &key)?, self.linear(&x, &value)?);
            let (q, k, v) = (self.split(&q)?, self.split(&k)?, self.split(&v)?);
            let context = self.attend([&q, &k, &v], &self.padded.mask, layer)?;
            let attended = self.drop(self.linear(&context, &output)?, 0, layer as u32 * 4 + 1)?;
            x = self.norm(&(attended + &x)?, &output_norm)?;
            let wide = self.activate(&self.linear(&x, &widen)?)?;
            let narrow = self.drop(self.linear(&wide, &narrow)?, 0, layer as u32 * 4 + 2)?;
            x = self.norm(&(narrow + &x)?, &last_norm)?;
        }
        Ok(x)
    }

    /// ModernBERT: norms before, no biases, rotary positions, gated activation, windows between the layers that see all.
    fn modern(&self) -> Result<Tensor> {
        let shape = &self.plain.shape;
        let Some(modern) = shape.modern else {
            candle_core::bail!("not a ModernBERT");
        };
        let (hidden, longest) = (shape.hidden, self.padded.longest);
        let local = self.window(modern)?;
        let mut x = self.norm(&self.words("embeddings.tok_embeddings.weight")?, "embeddings.norm")?;
        x = self.drop(x, 0, 3)?;
        for layer in 0..shape.layers {
            let global = shape.attends_globally(layer);
            let theta = if global { modern.global_theta } else { modern.local_theta };
            let (cos, sin) = self.rotation(theta, longest, hidden / shape.heads)?;
            let normed = if layer == 0 { x.clone() } else { self.norm(&x, &format!("layers.{layer}.attn_norm"))? };
            let qkv = self.linear(&normed, &format!("layers.{layer}.attn.Wqkv"))?;
            let part = |i: usize| self.split(&qkv.narrow(2, i * hidden, hidden)?);
            let (q, k, v) = (rotate(&part(0)?, &cos, &sin)?, rotate(&part(1)?, &cos, &sin)?, part(2)?);
            let mask = if global { self.padded.mask.clone() } else { self.padded.mask.broadcast_add(&local)? };
            let context = self.attend([&q, &k, &v], &mask, layer)?;
            let attended = self.linear(&context, &format!("layers.{layer}.attn.Wo"))?;
            x = (x + self.drop(attended, 0, layer as u32 * 4 + 1)?)?;
            let normed = self.norm(&x, &format!("layers.{layer}.mlp_norm"))?;
            let wide = self.linear(&normed, &format!("layers.{layer}.mlp.Wi"))?;
            let (left, gate) =
                (wide.narrow(2, 0, shape.intermediate)?, wide.narrow(2, shape.intermediate, shape.intermediate)?);
            let gated = (self.activate(&left.contiguous()?)? * gate)?;
            let gated = self.drop(gated, 0, layer as u32 * 4 + 2)?;
            x = (x + self.linear(&gated, &format!("layers.{layer}.mlp.Wo"))?)?;
        }
        self.norm(&x, "final_norm")
    }

    /// `[longest, longest]`: a large negative number beyond the window.
    fn window(&self, modern: ModernBertConfig) -> Result<Tensor> {
        let n = self.padded.longest;
        let far = |i: usize, j: usize| if i.abs_diff(j) > modern.reach { -1e30f32 } else { 0.0 };
        let cells: Vec<f32> = (0..n * n).map(|at| far(at / n, at % n)).collect();
        Tensor::from_vec(cells, (1, 1, n, n), &self.plain.device)
    }

    /// Cosines and sines of rotary positions, `[longest, width]` with both halves alike.
    fn rotation(&self, theta: f64, longest: usize, width: usize) -> Result<(Tensor, Tensor)> {
        let angle = |position: usize, column: usize| {
            let pair = column % (width / 2);
            (position as f64 / theta.powf(2.0 * pair as f64 / width as f64)) as f32
        };
        let angles: Vec<f32> = (0..longest * width).map(|at| angle(at / width, at % width)).collect();
        let angles = Tensor::from_vec(angles, (1, 1, longest, width), &self.plain.device)?;
        Ok((angles.cos()?, angles.sin()?))
    }
}

/// `x cos + rotate_half(x) sin`.
fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let half = x.dim(D::Minus1)? / 2;
    let (first, second) = (x.narrow(D::Minus1, 0, half)?, x.narrow(D::Minus1, half, half)?);
    let turned = Tensor::cat(&[&second.neg()?, &first], D::Minus1)?;
    x.broadcast_mul(cos)? + turned.broadcast_mul(sin)?
}
