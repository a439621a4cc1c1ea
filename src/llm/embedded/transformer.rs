//! The transformer of the llama, qwen and gemma families, for any tree of tokens after anything read before.

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use super::super::LlmError;
use super::attention::{Cache, Feed, Heads, Scope, Segment, attend, by_head};
use super::config::{Config, Family, GateActivation};
use super::file::GgufFile;
use super::product::{Weight, exp, rms};

struct Layer {
    attention_norm: Vec<f32>,
    q: Weight,
    k: Weight,
    v: Weight,
    biases: Option<[Vec<f32>; 3]>,
    /// Norms of each query's and each key's head.
    head_norms: Option<[Vec<f32>; 2]>,
    out: Weight,
    /// Norms of what attention and feed-forward add.
    post_norms: Option<[Vec<f32>; 2]>,
    feed_norm: Vec<f32>,
    gate: Weight,
    up: Weight,
    down: Weight,
}

/// A model's weights.
pub(super) struct Transformer {
    pub(super) config: Config,
    embedding: Weight,
    /// None where the embedding serves as the output too.
    output: Option<Weight>,
    norm: Vec<f32>,
    layers: Vec<Layer>,
    /// Divisors of the rotary frequencies, for models that were stretched to longer texts.
    divisors: Option<Vec<f32>>,
}

fn weight(file: &mut GgufFile, name: &str, shape: (usize, usize)) -> std::result::Result<Weight, LlmError> {
    let weight = Weight::new(file.tensor(name)?).map_err(|error| file.wrong(format!("tensor {name}: {error}")))?;
    if (weight.outputs, weight.inputs) == shape {
        Ok(weight)
    } else {
        let found = (weight.outputs, weight.inputs);
        Err(file.wrong(format!("tensor {name} has shape {found:?} where {shape:?} belongs")))
    }
}

impl Transformer {
    /// Reads all weights; `words` is the size of the vocabulary.
    pub(super) fn read(file: &mut GgufFile, words: usize) -> std::result::Result<Self, LlmError> {
        let config = Config::read(file)?;
        let Heads { queries, keys, size } = config.heads;
        let (hidden, wide) = (config.hidden, config.feed_forward);
        let embedding = weight(file, "token_embd.weight", (words, hidden))?;
        let output =
            if file.has("output.weight") { Some(weight(file, "output.weight", (words, hidden))?) } else { None };
        let norm = file.vector("output_norm.weight", hidden)?;
        let divisors = if file.has("rope_freqs.weight") {
            Some(file.vector("rope_freqs.weight", config.turned / 2)?)
        } else {
            None
        };
        let mut layers = Vec::new();
        for at in 0..config.layers {
            let name = |part: &str| format!("blk.{at}.{part}");
            let biases = if file.has(&name("attn_q.bias")) {
                Some([
                    file.vector(&name("attn_q.bias"), queries * size)?,
                    file.vector(&name("attn_k.bias"), keys * size)?,
                    file.vector(&name("attn_v.bias"), keys * size)?,
                ])
            } else {
                None
            };
            let head_norms = if file.has(&name("attn_q_norm.weight")) {
                Some([file.vector(&name("attn_q_norm.weight"), size)?, file.vector(&name("attn_k_norm.weight"), size)?])
            } else {
                None
            };
            let post_norms = if config.family == Family::Gemma3 {
                Some([
                    file.vector(&name("post_attention_norm.weight"), hidden)?,
                    file.vector(&name("post_ffw_norm.weight"), hidden)?,
                ])
            } else {
                None
            };
            layers.push(Layer {
                attention_norm: file.vector(&name("attn_norm.weight"), hidden)?,
                q: weight(file, &name("attn_q.weight"), (queries * size, hidden))?,
                k: weight(file, &name("attn_k.weight"), (keys * size, hidden))?,
                v: weight(file, &name("attn_v.weight"), (keys * size, hidden))?,
                biases,
                head_norms,
                out: weight(file, &name("attn_output.weight"), (hidden, queries * size))?,
                post_norms,
                feed_norm: file.vector(&name("ffn_norm.weight"), hidden)?,
                gate: weight(file, &name("ffn_gate.weight"), (wide, hidden))?,
                up: weight(file, &name("ffn_up.weight"), (wide, hidden))?,
                down: weight(file, &name("ffn_down.weight"), (hidden, wide))?,
            });
        }
        Ok(Self { config, embedding, output, norm, layers, divisors })
    }

    /// How many tokens the model knows.
    pub(super) fn words(&self) -> usize {
        self.embedding.outputs
    }

    /// Reads a feed after what is cached. Gives the feed's keys and values, and the logits (rows of the vocabulary's size)
    /// of what follows each wanted token; `wanted` is ascending.
    pub(super) fn read_on(&self, cache: &Cache, feed: &Feed, wanted: &[usize]) -> Result<(Segment, Vec<f32>)> {
        let config = &self.config;
        let (depths, seen) = (feed.depths(), feed.seen());
        let positions: Vec<usize> = depths.iter().map(|depth| cache.len() + depth).collect();
        let turns = Turns::new(&positions, config, config.base, config.stretch, self.divisors.as_deref());
        let local = config.window.map(|_| Turns::new(&positions, config, config.local_base, 1.0, None));
        let every: Vec<usize> = (0..feed.tokens.len()).collect();
        let mut x = self.embedding.rows(&feed.tokens)?;
        if config.family == Family::Gemma3 {
            let scale = (config.hidden as f32).sqrt();
            x.iter_mut().for_each(|v| *v *= scale);
        }
        let mut layers = Vec::with_capacity(self.layers.len());
        for (at, layer) in self.layers.iter().enumerate() {
            let turns = local.as_ref().filter(|_| config.local(at)).unwrap_or(&turns);
            // After the last layer's keys and values only the wanted rows matter.
            let rows = if at + 1 == self.layers.len() { wanted } else { every.as_slice() };
            let window = config.window.filter(|_| config.local(at));
            let scope = Scope { rows, seen: &seen, depths: &depths, window };
            let (own, next) = self.layer(layer, at, cache, x, turns, &scope)?;
            layers.push(own);
            x = next;
        }
        let logits = if wanted.is_empty() {
            Vec::new()
        } else {
            rms(&mut x, &self.norm, config.epsilon);
            let x = Tensor::from_vec(x, (wanted.len(), config.hidden), &Device::Cpu)?;
            self.output.as_ref().unwrap_or(&self.embedding).apply(&x)?
        };
        Ok((Segment { len: feed.tokens.len(), layers }, logits))
    }

    fn layer(
        &self,
        layer: &Layer,
        at: usize,
        cache: &Cache,
        x: Vec<f32>,
        turns: &Turns,
        scope: &Scope<'_>,
    ) -> Result<((Tensor, Tensor), Vec<f32>)> {
        let Config { hidden, epsilon, heads, family, .. } = self.config;
        let Heads { queries, keys, size } = heads;
        let fed = x.len() / hidden;
        let rows = scope.rows.len();
        let tensor = |x: Vec<f32>| {
            let width = x.len() / rows.max(1);
            Tensor::from_vec(x, (rows, width), &Device::Cpu)
        };
        let mut h = x.clone();
        rms(&mut h, &layer.attention_norm, epsilon);
        let all = Tensor::from_vec(h, (fed, hidden), &Device::Cpu)?;
        let mut k = layer.k.apply(&all)?;
        let mut v = layer.v.apply(&all)?;
        if let Some([_, of_k, of_v]) = &layer.biases {
            add_each(&mut k, of_k);
            add_each(&mut v, of_v);
        }
        if let Some([_, of_k]) = &layer.head_norms {
            rms(&mut k, of_k, epsilon);
        }
        turns.turn(&mut k, None, keys, size, family);
        let own = |x: &[f32]| Tensor::from_vec(by_head(x, keys, size), (keys, fed, size), &Device::Cpu);
        let own = (own(&k)?, own(&v)?);
        if rows == 0 {
            return Ok((own, Vec::new()));
        }
        let (mut x, picked) = if rows == fed {
            (x, all)
        } else {
            let at: Vec<u32> = scope.rows.iter().map(|row| *row as u32).collect();
            let picked = scope.rows.iter().flat_map(|row| &x[row * hidden..][..hidden]).copied().collect();
            (picked, all.index_select(&Tensor::new(at, &Device::Cpu)?, 0)?)
        };
        let mut q = layer.q.apply(&picked)?;
        if let Some([of_q, ..]) = &layer.biases {
            add_each(&mut q, of_q);
        }
        if let Some([of_q, _]) = &layer.head_norms {
            rms(&mut q, of_q, epsilon);
        }
        turns.turn(&mut q, Some(scope.rows), queries, size, family);
        let scale = 1.0 / (size as f32).sqrt();
        q.iter_mut().for_each(|v| *v *= scale);
        let attended = attend(cache, at, &own, &q, heads, scope)?;
        let mut out = layer.out.apply(&tensor(attended)?)?;
        if let Some([norm, _]) = &layer.post_norms {
            rms(&mut out, norm, epsilon);
        }
        x.iter_mut().zip(&out).for_each(|(a, b)| *a += b);
        let mut h = x.clone();
        rms(&mut h, &layer.feed_norm, epsilon);
        let h = tensor(h)?;
        let mut gate = layer.gate.apply(&h)?;
        let up = layer.up.apply(&h)?;
        gate.par_chunks_mut(8192).zip(up.par_chunks(8192)).for_each(|(gate, up)| match self.config.gate {
            GateActivation::Gelu => gate.iter_mut().zip(up).for_each(|(g, u)| *g = gelu(*g) * u),
            GateActivation::Silu => gate.iter_mut().zip(up).for_each(|(g, u)| *g = *g / (1.0 + exp(-*g)) * u),
        });
        let mut out = layer.down.apply(&tensor(gate)?)?;
        if let Some([_, norm]) = &layer.post_norms {
            rms(&mut out, norm, epsilon);
        }
        x.iter_mut().zip(&out).for_each(|(a, b)| *a += b);
        Ok((own, x))
    }
}

/// The tanh form of GELU (Hendrycks and Gimpel 2016).
pub(super) fn gelu(x: f32) -> f32 {
    let inner = 0.797_884_6 * (x + 0.044_715 * x * x * x);
    x / (1.0 + exp(-2.0 * inner))
}

fn add_each(x: &mut [f32], bias: &[f32]) {
    for row in x.chunks_exact_mut(bias.len()) {
        row.iter_mut().zip(bias).for_each(|(v, b)| *v += b);
    }
}

/// Cosines and sines of the rotary positions, for each token of a feed.
struct Turns {
    half: usize,
    waves: Vec<(f32, f32)>,
}

impl Turns {
    fn new(positions: &[usize], config: &Config, base: f32, stretch: f32, divisors: Option<&[f32]>) -> Self {
        let half = config.turned / 2;
        let frequency = |i: usize| {
            let plain = 1.0 / base.powf(2.0 * i as f32 / config.turned as f32);
            plain / divisors.and_then(|d| d.get(i)).unwrap_or(&1.0) / stretch
        };
        let frequencies: Vec<f32> = (0..half).map(frequency).collect();
        let wave = |position: usize, frequency: f32| {
            let (sin, cos) = (position as f32 * frequency).sin_cos();
            (cos, sin)
        };
        let waves = positions.iter().flat_map(|p| frequencies.iter().map(|f| wave(*p, *f))).collect();
        Self { half, waves }
    }

    /// Turns each head of each row; `rows` says which tokens the rows are, all of them if none.
    fn turn(&self, x: &mut [f32], rows: Option<&[usize]>, heads: usize, size: usize, family: Family) {
        let half = self.half;
        for (at, row) in x.chunks_exact_mut(heads * size).enumerate() {
            let token = rows.map_or(at, |rows| rows[at]);
            let waves = &self.waves[token * half..][..half];
            for head in row.chunks_exact_mut(size) {
                if family == Family::Llama {
                    // Converters store these models so that neighbours turn together.
                    for (pair, (cos, sin)) in head.chunks_exact_mut(2).zip(waves) {
                        let (a, b) = (pair[0], pair[1]);
                        (pair[0], pair[1]) = (a * cos - b * sin, a * sin + b * cos);
                    }
                } else {
                    let (first, second) = head.split_at_mut(half);
                    for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(waves) {
                        (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
                    }
                }
            }
        }
    }
}
