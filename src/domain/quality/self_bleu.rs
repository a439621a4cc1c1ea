//! Self-BLEU: how much the sentences of a set repeat one another.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

/// The longest n-grams that count.
const ORDER: usize = 4;
/// nltk's smoothing method 1 (Chen and Cherry 2014): what stands for no match at all.
const EPSILON: f64 = 0.1;

/// How often an n-gram occurs in the sentence where it is most frequent, and in the next.
#[derive(Clone, Copy, Default)]
struct Most {
    owner: u32,
    count: u32,
    second: u32,
}

impl Most {
    fn add(&mut self, owner: u32, count: u32) {
        if count > self.count {
            *self = Self { owner, count, second: self.count };
        } else {
            self.second = self.second.max(count);
        }
    }

    /// The most in any sentence but this.
    fn besides(&self, sentence: u32) -> u32 {
        if self.owner == sentence { self.second } else { self.count }
    }
}

/// The mean BLEU-4 of each sentence against all others (Zhu et al. 2018, Texygen): 0 where nothing is repeated, 1 where
/// all is. BLEU is that of nltk's `sentence_bleu` with `SmoothingFunction().method1`. `None` for fewer than two sentences;
/// sentences without words are left out.
///
/// The references of a sentence are all but itself, so its clipped counts need only the two greatest counts of each
/// n-gram: time and memory are linear in the words, where the definition is quadratic.
pub(crate) fn self_bleu<S: AsRef<[String]>>(sentences: &[S]) -> Option<f64> {
    let sentences: Vec<&[String]> = sentences.iter().map(AsRef::as_ref).filter(|s| !s.is_empty()).collect();
    if sentences.len() < 2 {
        return None;
    }
    let mut ids: FxHashMap<&str, u32> = FxHashMap::default();
    let mut lengths: BTreeMap<usize, u32> = BTreeMap::new();
    let mut most: FxHashMap<[u32; ORDER], Most> = FxHashMap::default();
    let mut counts = Vec::with_capacity(sentences.len());
    for (sentence, words) in (0..).zip(&sentences) {
        let words: Vec<u32> = words
            .iter()
            .map(|word| {
                // 0 fills up the shorter n-grams.
                let next = ids.len() as u32 + 1;
                *ids.entry(word).or_insert(next)
            })
            .collect();
        let own = ngrams(&words);
        for (&ngram, &count) in &own {
            most.entry(ngram).or_default().add(sentence, count);
        }
        *lengths.entry(words.len()).or_default() += 1;
        counts.push((words.len(), own));
    }
    let bleu = (0..).zip(&counts).map(|(sentence, (length, own))| {
        let mut matches = [0_u32; ORDER];
        for (ngram, &count) in own {
            let order = ngram.iter().filter(|id| **id > 0).count();
            matches[order - 1] += most.get(ngram).map_or(0, |most| most.besides(sentence)).min(count);
        }
        if matches[0] == 0 {
            return 0.0;
        }
        let logs: f64 = (1..)
            .zip(matches)
            .map(|(order, matched)| {
                let all = (length + 1).saturating_sub(order).max(1) as f64;
                ((if matched == 0 { EPSILON } else { f64::from(matched) }) / all).ln()
            })
            .sum();
        brevity(*length, closest(*length, &lengths)) * (logs / ORDER as f64).exp()
    });
    let sum: f64 = bleu.sum();
    Some(sum / sentences.len() as f64)
}

/// All n-grams up to [`ORDER`] words, with their counts.
fn ngrams(words: &[u32]) -> BTreeMap<[u32; ORDER], u32> {
    let mut counts = BTreeMap::new();
    for order in 1..=ORDER {
        for window in words.windows(order) {
            let mut ngram = [0; ORDER];
            ngram[..order].copy_from_slice(window);
            *counts.entry(ngram).or_default() += 1;
        }
    }
    counts
}

/// The length closest to this one among the other sentences; of two as close, the shorter.
fn closest(length: usize, lengths: &BTreeMap<usize, u32>) -> usize {
    if lengths.get(&length).is_some_and(|&count| count > 1) {
        return length;
    }
    let below = lengths.range(..length).next_back().map(|(&l, _)| l);
    let above = lengths.range(length + 1..).next().map(|(&l, _)| l);
    match (below, above) {
        (Some(b), Some(a)) => {
            if length - b <= a - length {
                b
            } else {
                a
            }
        }
        (one, other) => one.or(other).unwrap_or(length),
    }
}

fn brevity(length: usize, reference: usize) -> f64 {
    if length > reference { 1.0 } else { (1.0 - reference as f64 / length as f64).exp() }
}
