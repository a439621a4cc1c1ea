//! The labelled sentences that are most like a given one: cosine over words weighted by how rare they are (TF-IDF with
//! Laplace-smoothed document frequencies, as scikit-learn's `TfidfVectorizer` has it by default).

use rustc_hash::FxHashMap;
use unicode_segmentation::UnicodeSegmentation;

/// An index over sentences, by their position in the order given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Similar {
    /// For each word its weight by rarity, and the sentences that have it with their share of the cosine.
    words: FxHashMap<String, (f64, Vec<(u32, f64)>)>,
}

fn counts(text: &str) -> FxHashMap<String, f64> {
    let mut counts = FxHashMap::default();
    for word in text.unicode_words() {
        *counts.entry(word.to_lowercase()).or_insert(0.0) += 1.0;
    }
    counts
}

impl Similar {
    /// Indexes sentences.
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let counted: Vec<FxHashMap<String, f64>> = texts.into_iter().map(counts).collect();
        let mut words: FxHashMap<String, (f64, Vec<(u32, f64)>)> = FxHashMap::default();
        for (at, counts) in (0u32..).zip(&counted) {
            for (word, n) in counts {
                words.entry(word.clone()).or_default().1.push((at, *n));
            }
        }
        for (weight, holders) in words.values_mut() {
            *weight = ((1.0 + counted.len() as f64) / (1.0 + holders.len() as f64)).ln() + 1.0;
        }
        let mut norms = vec![0.0; counted.len()];
        for (weight, holders) in words.values() {
            for (at, n) in holders {
                norms[*at as usize] += (n * weight).powi(2);
            }
        }
        for (weight, holders) in words.values_mut() {
            for (at, n) in holders {
                *n *= *weight / norms[*at as usize].sqrt();
            }
        }
        Self { words }
    }

    /// Up to `most` sentences with their cosine to `text`, the likest first; those that share no word are left out. Of equal
    /// ones the earlier comes first.
    pub(crate) fn nearest(&self, text: &str, most: usize) -> Vec<(usize, f64)> {
        let mut scores: FxHashMap<u32, f64> = FxHashMap::default();
        let mut norm = 0.0;
        for (word, n) in counts(text) {
            let Some((weight, holders)) = self.words.get(&word) else {
                continue;
            };
            norm += (n * weight).powi(2);
            for (at, share) in holders {
                *scores.entry(*at).or_default() += n * weight * share;
            }
        }
        let norm = norm.sqrt();
        let mut found: Vec<(usize, f64)> = scores.into_iter().map(|(at, s)| (at as usize, s / norm)).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found.truncate(most);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // from sklearn.feature_extraction.text import TfidfVectorizer
    // t = ["she forgets names", "he forgets dates and names", "knee pain on stairs", "pain in the knee"]
    // v = TfidfVectorizer(); m = v.fit_transform(t)
    // print((v.transform(["forgets names and faces"]) @ m.T).toarray().round(6))
    // [[0.554205 0.727087 0.       0.      ]]
    #[test]
    fn cosines_are_those_of_scikit_learn() {
        let texts = ["she forgets names", "he forgets dates and names", "knee pain on stairs", "pain in the knee"];
        let found = Similar::new(texts).nearest("forgets names and faces", 4);
        let rounded: Vec<(usize, f64)> = found.iter().map(|(at, s)| (*at, (s * 1e6).round() / 1e6)).collect();
        assert_eq!(rounded, [(1, 0.727087), (0, 0.554205)]);
    }
}
