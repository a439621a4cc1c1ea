//! Keys and values that were computed before, and attention over them under a tree-shaped mask.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};

use super::product::values;

/// Keys and values of some consecutive tokens, for each layer of shape (key heads, tokens, head size).
pub(super) struct Segment {
    pub(super) len: usize,
    pub(super) layers: Vec<(Tensor, Tensor)>,
}

/// What the model has read: cheap to copy, to lengthen and to cut.
#[derive(Clone, Default)]
pub(super) struct Cache {
    segments: Vec<Arc<Segment>>,
    len: usize,
}

impl Cache {
    /// How many tokens it holds.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds what was just read.
    pub(super) fn push(&mut self, segment: Segment) -> Result<()> {
        self.len += segment.len;
        let mut new = Arc::new(segment);
        // Like a binary counter: each token is copied a few times only, and few segments remain.
        while let Some(last) = self.segments.pop_if(|last| last.len <= 2 * new.len && last.len < 4096) {
            new = Arc::new(join(&[&last, &new])?);
        }
        self.segments.push(new);
        Ok(())
    }

    /// Makes one segment of all, for a beginning that is read often.
    pub(super) fn compact(&mut self) -> Result<()> {
        if self.segments.len() > 1 {
            let parts: Vec<&Segment> = self.segments.iter().map(AsRef::as_ref).collect();
            self.segments = vec![Arc::new(join(&parts)?)];
        }
        Ok(())
    }

    /// Forgets all but the first tokens.
    pub(super) fn truncate(&mut self, len: usize) -> Result<()> {
        while self.len > len {
            let Some(last) = self.segments.pop() else { break };
            self.len -= last.len;
            if self.len < len {
                let keep = len - self.len;
                let cut = |t: &Tensor| t.narrow(1, 0, keep);
                let layers = last.layers.iter().map(|(k, v)| Ok((cut(k)?, cut(v)?))).collect::<Result<_>>()?;
                self.segments.push(Arc::new(Segment { len: keep, layers }));
                self.len = len;
            }
        }
        Ok(())
    }
}

fn join(parts: &[&Segment]) -> Result<Segment> {
    let layers = parts.first().map_or(0, |part| part.layers.len());
    let all = |pick: &dyn Fn(&(Tensor, Tensor)) -> Tensor, layer: usize| {
        let tensors: Vec<Tensor> = parts.iter().map(|part| pick(&part.layers[layer])).collect();
        Tensor::cat(&tensors, 1)?.contiguous()
    };
    Ok(Segment {
        len: parts.iter().map(|part| part.len).sum(),
        layers: (0..layers)
            .map(|layer| Ok((all(&|(k, _)| k.clone(), layer)?, all(&|(_, v)| v.clone(), layer)?)))
            .collect::<Result<_>>()?,
    })
}

/// Tokens to be read after a cache. Each follows its parent, or the cache where it has none: a chain is a text, a tree is
/// many continuations at once, a forest is several texts after one beginning. Parents stand before their children.
pub(super) struct Feed {
    pub(super) tokens: Vec<u32>,
    pub(super) parents: Vec<Option<usize>>,
}

impl Feed {
    /// A plain text.
    pub(super) fn chain(tokens: &[u32]) -> Self {
        Self { tokens: tokens.to_vec(), parents: (0..tokens.len()).map(|at| at.checked_sub(1)).collect() }
    }

    /// How many tokens stand between each token and the cache.
    pub(super) fn depths(&self) -> Vec<usize> {
        let mut depths: Vec<usize> = Vec::with_capacity(self.parents.len());
        for parent in &self.parents {
            depths.push(parent.map_or(0, |at| depths[at] + 1));
        }
        depths
    }

    /// For each token those of this feed that it sees, itself last.
    pub(super) fn seen(&self) -> Vec<Vec<usize>> {
        let mut seen: Vec<Vec<usize>> = Vec::with_capacity(self.parents.len());
        for (at, parent) in self.parents.iter().enumerate() {
            let mut line = parent.map_or_else(Vec::new, |parent| seen[parent].clone());
            line.push(at);
            seen.push(line);
        }
        seen
    }
}

/// What a layer's attention needs to know beside its numbers.
pub(super) struct Scope<'a> {
    /// The tokens of the feed whose attention is wanted, in order.
    pub(super) rows: &'a [usize],
    pub(super) seen: &'a [Vec<usize>],
    pub(super) depths: &'a [usize],
    /// Tokens further back than this are not seen.
    pub(super) window: Option<usize>,
}

/// Heads and their size.
#[derive(Clone, Copy)]
pub(super) struct Heads {
    pub(super) queries: usize,
    pub(super) keys: usize,
    pub(super) size: usize,
}

/// From rows of all heads to (heads, rows, size).
pub(super) fn by_head(x: &[f32], heads: usize, size: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    for head in 0..heads {
        for row in x.chunks_exact(heads * size) {
            out.extend_from_slice(&row[head * size..][..size]);
        }
    }
    out
}

/// Attention of query rows (rows, query heads * size, already scaled) over the cache and the feed's own keys and values.
pub(super) fn attend(
    cache: &Cache,
    layer: usize,
    own: &(Tensor, Tensor),
    queries: &[f32],
    heads: Heads,
    scope: &Scope<'_>,
) -> Result<Vec<f32>> {
    let Heads { queries: all, keys, size } = heads;
    let (group, rows, fed) = (all / keys, scope.rows.len(), scope.depths.len());
    // (key heads, group * rows, size): the heads that share keys go over them together.
    let q = Tensor::from_vec(by_head(queries, all, size), (keys, group * rows, size), &Device::Cpu)?;
    let parts: Vec<&(Tensor, Tensor)> =
        cache.segments.iter().map(|segment| &segment.layers[layer]).chain([own]).collect();
    let mut scores = Vec::with_capacity(parts.len());
    for (k, _) in &parts {
        scores.push((values(q.matmul(&k.transpose(1, 2)?)?)?, k.dim(1)?));
    }
    soften(&mut scores, cache.len, fed, scope, keys * group * rows);
    let mut out: Option<Vec<f32>> = None;
    for ((score, len), (_, v)) in scores.into_iter().zip(&parts) {
        let part = values(Tensor::from_vec(score, (keys, group * rows, len), &Device::Cpu)?.matmul(v)?)?;
        match &mut out {
            Some(sum) => sum.iter_mut().zip(&part).for_each(|(a, b)| *a += b),
            None => out = Some(part),
        }
    }
    let out = out.unwrap_or_default();
    let mut by_row = vec![0.0; rows * all * size];
    for (at, piece) in out.chunks_exact(size).enumerate() {
        by_row[(at % rows * all + at / rows) * size..][..size].copy_from_slice(piece);
    }
    Ok(by_row)
}

/// Softmax over all parts together, under the mask; the last part is the feed's own.
fn soften(scores: &mut [(Vec<f32>, usize)], cached: usize, fed: usize, scope: &Scope<'_>, lines: usize) {
    let rows = scope.rows.len();
    let mut own = vec![0.0; fed];
    for line in 0..lines {
        let row = scope.rows[line % rows];
        if let Some((last, len)) = scores.last_mut() {
            let last = &mut last[line * *len..][..*len];
            own.copy_from_slice(last);
            last.fill(f32::NEG_INFINITY);
            for &at in &scope.seen[row] {
                if scope.window.is_none_or(|window| scope.depths[row] - scope.depths[at] < window) {
                    last[at] = own[at];
                }
            }
        }
        if let Some(window) = scope.window {
            // The first position that is seen.
            let mut hidden = (cached + scope.depths[row] + 1).saturating_sub(window).min(cached);
            let parts = scores.len() - 1;
            for (part, len) in &mut scores[..parts] {
                let cut = hidden.min(*len);
                part[line * *len..][..cut].fill(f32::NEG_INFINITY);
                hidden -= cut;
            }
        }
        let most = scores
            .iter()
            .flat_map(|(part, len)| &part[line * len..][..*len])
            .fold(f32::NEG_INFINITY, |most, x| most.max(*x));
        let mut sum = 0.0;
        for (part, len) in scores.iter_mut() {
            for x in &mut part[line * *len..][..*len] {
                *x = super::product::exp(*x - most);
                sum += *x;
            }
        }
        for (part, len) in scores.iter_mut() {
            part[line * *len..][..*len].iter_mut().for_each(|x| *x /= sum);
        }
    }
}
