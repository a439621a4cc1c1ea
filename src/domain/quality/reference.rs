//! An index over sentences: same words, nearly the same words, long runs of the same words.

use std::hash::BuildHasher;

use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use super::{Lengths, Limits, words};

/// An index over real sentences. It holds hashes, no text.
///
/// A million different sentences of ten words take about 150 MB.
#[derive(Clone, Debug)]
pub(crate) struct RealSentences {
    limits: Limits,
    index: Index,
    /// Hashes of all runs of [`RealSentences::run`] words.
    runs: FxHashSet<u64>,
    lengths: Lengths,
}

impl RealSentences {
    /// An empty index for these limits.
    pub(crate) fn new(limits: Limits) -> Self {
        let index = Index::new(limits.near_duplicate);
        Self { limits, index, runs: FxHashSet::default(), lengths: Lengths::default() }
    }

    /// Adds a real sentence.
    pub(crate) fn add(&mut self, text: &str) {
        let words = words(text);
        self.lengths.add(words.len());
        // Stock phrases repeat in every note; their runs are known when they are.
        if self.index.add(&words) {
            let run = self.run();
            self.runs.extend(hashes(&words).windows(run).map(hash));
        }
    }

    /// The limits that it was made for.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How long the real sentences are, repeated ones counted each time.
    pub(crate) fn lengths(&self) -> &Lengths {
        &self.lengths
    }

    /// The shortest run that is looked for: one word more than the limits allow.
    pub(crate) fn run(&self) -> usize {
        self.limits.shared_words.saturating_add(1)
    }

    /// How many words in a row stand in real sentences; 0 if fewer than [`RealSentences::run`].
    ///
    /// Only runs of that one length are kept. So *whether* the limit is passed is exact but for collisions of 64 bits
    /// (one in a million million for a million sentences). *By how much* is the length covered by overlapping runs, and
    /// no less than the true one: it is greater where two real sentences share the words in the overlap and the text
    /// goes from one to the other there.
    pub(super) fn longest(&self, words: &[String]) -> usize {
        let (mut hits, mut most) = (0, 0);
        for run in hashes(words).windows(self.run()) {
            hits = if self.runs.contains(&hash(run)) { hits + 1 } else { 0 };
            most = most.max(hits);
        }
        if most > 0 { most - 1 + self.run() } else { 0 }
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }
}

fn hash<T: std::hash::Hash>(value: T) -> u64 {
    FxBuildHasher.hash_one(value)
}

fn hashes(words: &[String]) -> Vec<u64> {
    words.iter().map(hash).collect()
}

/// Sentences by their words, and those with nearly the same.
///
/// Near-duplicates are found exactly, by prefix filtering (Chaudhuri et al. 2006; Bayardo et al. 2007): sort the words of
/// every sentence in one order; two sets of words with Jaccard similarity t or more share a word among the first
/// |x| - ⌈t |x|⌉ + 1 of each. The order is long words first, because these are rare, so few sentences share one.
#[derive(Clone, Debug)]
pub(super) struct Index {
    threshold: f64,
    exact: FxHashSet<u64>,
    /// The token sets of all sentences, one after the other, each sorted.
    tokens: Vec<u32>,
    /// Where each set ends.
    ends: Vec<usize>,
    /// The sentences that have the token in their prefix.
    postings: FxHashMap<u32, Vec<u32>>,
}

impl Index {
    pub(super) fn new(threshold: f64) -> Self {
        Self {
            threshold,
            exact: FxHashSet::default(),
            tokens: Vec::new(),
            ends: Vec::new(),
            postings: FxHashMap::default(),
        }
    }

    /// Adds a sentence; `false` if it was there.
    pub(super) fn add(&mut self, words: &[String]) -> bool {
        if !self.exact.insert(hash(words)) {
            return false;
        }
        let set = tokens(words);
        if let Ok(number) = u32::try_from(self.ends.len()) {
            for token in &set[..self.prefix(set.len())] {
                self.postings.entry(*token).or_default().push(number);
            }
            self.tokens.extend(&set);
            self.ends.push(self.tokens.len());
        }
        true
    }

    /// Whether a sentence has the same words in the same order.
    pub(super) fn contains(&self, words: &[String]) -> bool {
        self.exact.contains(&hash(words))
    }

    /// The similarity of the most similar sentence, if it reaches the threshold: Jaccard's, over the sets of words, with every
    /// number counted as the same word.
    pub(super) fn nearest(&self, words: &[String]) -> Option<f64> {
        let set = tokens(words);
        let mut candidates: Vec<u32> = set[..self.prefix(set.len())]
            .iter()
            .filter_map(|token| self.postings.get(token))
            .flatten()
            .copied()
            .filter(|&number| self.fits(set.len(), self.set(number).len()))
            .collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates
            .into_iter()
            .map(|number| jaccard(&set, self.set(number)))
            .filter(|similarity| *similarity >= self.threshold)
            .reduce(f64::max)
    }

    /// Whether sets of these sizes can be similar enough at all.
    fn fits(&self, a: usize, b: usize) -> bool {
        a.min(b) as f64 >= self.threshold * a.max(b) as f64 - 1e-9
    }

    /// How many of the first tokens of a set must be looked at. The little that is taken off keeps 0.8 · 10 from being
    /// rounded up to 9.
    fn prefix(&self, size: usize) -> usize {
        let needed = (self.threshold * size as f64 - 1e-9).ceil() as usize;
        (size.saturating_sub(needed) + 1).min(size)
    }

    fn set(&self, number: u32) -> &[u32] {
        let number = number as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.tokens[start..self.ends[number]]
    }
}

/// The set of words, longest first: five bits of length over 27 bits of hash, which among 100 000 words makes a few pairs
/// the same. Numbers are one token: two visits' blood pressures are near-duplicates.
fn tokens(words: &[String]) -> Vec<u32> {
    let mut set: Vec<u32> = words
        .iter()
        .map(|word| {
            let number = word.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ','));
            let word = if number { "0" } else { word };
            (word.len().min(31) as u32) << 27 | (hash(word) >> 37) as u32
        })
        .collect();
    set.sort_unstable_by(|a, b| b.cmp(a));
    set.dedup();
    set
}

/// Shared tokens over all tokens of two sets in descending order.
fn jaccard(a: &[u32], b: &[u32]) -> f64 {
    let (mut i, mut j, mut shared) = (0, 0, 0_usize);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        shared += usize::from(x == y);
        (i, j) = (i + usize::from(x >= y), j + usize::from(y >= x));
    }
    let all = a.len() + b.len() - shared;
    if all == 0 { 0.0 } else { shared as f64 / all as f64 }
}
