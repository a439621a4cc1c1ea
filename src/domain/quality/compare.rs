//! Generated sentences beside real ones: diversity, vocabulary, length, labels.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashSet;
use serde::Serialize;

use super::super::label::Label;
use super::super::statistics::jensen_shannon;
use super::{Lengths, self_bleu, words};

/// One of the two sets that are compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentenceSet<'a> {
    /// Its sentences.
    pub texts: &'a [&'a str],
    /// How many sentences have each label.
    pub labels: &'a BTreeMap<Label, u64>,
}

/// How sentences are drawn where all would be unfair or too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Sampling {
    /// Seed of the draw.
    pub seed: u64,
    /// At most so many sentences of each side count in self-BLEU.
    pub self_bleu: usize,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { seed: 1, self_bleu: 10_000 }
    }
}

/// Sentence lengths in words.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct LengthStats {
    pub mean: f64,
    /// Standard deviation, as of a population.
    pub sd: f64,
    /// Least, 5 %, 25 %, 50 %, 75 %, 95 % and greatest.
    pub quantiles: [usize; 7],
}

impl LengthStats {
    /// The shares that [`LengthStats::quantiles`] stand for.
    pub(crate) const SHARES: [f64; 7] = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0];

    /// The statistics of a histogram; `None` of an empty one.
    pub(crate) fn of(lengths: &Lengths) -> Option<Self> {
        let quantiles = Self::SHARES.map(|q| lengths.quantile(q).unwrap_or_default());
        Some(Self { mean: lengths.mean()?, sd: lengths.sd()?, quantiles })
    }
}

/// One side in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Profile {
    pub sentences: usize,
    pub words: usize,
    /// How many different words.
    pub vocabulary: usize,
    /// Distinct-1, -2 and -3: different n-grams over all n-grams (Li et al. 2016).
    pub distinct: [Option<f64>; 3],
    /// How many sentences `distinct` is on: as many as the smaller side has, because the share falls as a set grows.
    pub distinct_on: usize,
    /// Self-BLEU: high where sentences repeat one another.
    pub self_bleu: Option<f64>,
    /// How many sentences `self_bleu` is on: at most [`Sampling::self_bleu`], and the same on both sides, because it
    /// rises as a set grows.
    pub self_bleu_on: usize,
    pub lengths: Option<LengthStats>,
}

/// Both sides, and how far apart they are. What can't be told from an empty side is `None`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Comparison {
    /// Real sentences.
    pub real: Profile,
    /// Generated sentences.
    pub bronze: Profile,
    /// The share of the generated sentences' different words that occur in real ones.
    pub vocabulary_share: Option<f64>,
    /// Words of both over words of either.
    pub vocabulary_jaccard: Option<f64>,
    /// Kolmogorov-Smirnov distance of the lengths, 0 to 1.
    pub length_ks: Option<f64>,
    /// Jensen-Shannon divergence of the labels in bits, 0 to 1.
    pub label_divergence: Option<f64>,
}

/// Compares generated sentences with real ones. The same sides, sampling and seed give the same numbers.
pub(crate) fn compare(real: SentenceSet<'_>, bronze: SentenceSet<'_>, sampling: Sampling) -> Comparison {
    let even = real.texts.len().min(bronze.texts.len());
    let (real_profile, real_words, real_lengths) = profile(real.texts, even, sampling);
    let (bronze_profile, bronze_words, bronze_lengths) = profile(bronze.texts, even, sampling);
    let both = bronze_words.intersection(&real_words).count();
    let either = real_words.len() + bronze_words.len() - both;
    let keys: BTreeSet<&Label> = real.labels.keys().chain(bronze.labels.keys()).collect();
    let counts = |side: SentenceSet<'_>| -> Vec<u64> {
        keys.iter().map(|key| side.labels.get(key).copied().unwrap_or_default()).collect()
    };
    Comparison {
        real: real_profile,
        bronze: bronze_profile,
        vocabulary_share: share(both, bronze_words.len()),
        vocabulary_jaccard: share(both, either),
        length_ks: real_lengths.ks(&bronze_lengths),
        label_divergence: jensen_shannon(&counts(real), &counts(bronze)),
    }
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn profile(texts: &[&str], even: usize, sampling: Sampling) -> (Profile, FxHashSet<String>, Lengths) {
    let mut lengths = Lengths::default();
    let mut vocabulary = FxHashSet::default();
    let mut total = 0;
    for text in texts {
        let words = words(text);
        lengths.add(words.len());
        total += words.len();
        vocabulary.extend(words);
    }
    let drawn: Vec<Vec<String>> = sample(texts, even, sampling.seed).iter().map(|text| words(text)).collect();
    let fewer: Vec<&Vec<String>> = sample(&drawn.iter().collect::<Vec<_>>(), sampling.self_bleu, sampling.seed);
    let profile = Profile {
        sentences: texts.len(),
        words: total,
        vocabulary: vocabulary.len(),
        distinct: [1, 2, 3].map(|n| distinct(&drawn, n)),
        distinct_on: drawn.len(),
        self_bleu: self_bleu(&fewer),
        self_bleu_on: fewer.len(),
        lengths: LengthStats::of(&lengths),
    };
    (profile, vocabulary, lengths)
}

/// `size` of the items in their order, each choice as likely as another (Knuth's algorithm S); all if there are no more.
fn sample<T: Copy>(items: &[T], size: usize, seed: u64) -> Vec<T> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut wanted = size.min(items.len());
    let mut drawn = Vec::with_capacity(wanted);
    for (at, item) in items.iter().enumerate() {
        if wanted > 0 && rng.random_range(0..items.len() - at) < wanted {
            drawn.push(*item);
            wanted -= 1;
        }
    }
    drawn
}

/// Different n-grams of words over all n-grams (Li et al. 2016); `None` if there are none, or `n` is 0.
pub(crate) fn distinct<S: AsRef<[String]>>(sentences: &[S], n: usize) -> Option<f64> {
    let ngrams = || sentences.iter().filter(|_| n > 0).flat_map(|words| words.as_ref().windows(n.max(1)));
    let all = ngrams().count();
    share(ngrams().collect::<FxHashSet<_>>().len(), all)
}
