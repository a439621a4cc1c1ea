//! Word and character n-grams with TF-IDF, as scikit-learn's `TfidfVectorizer(sublinear_tf=True)` makes them: words of
//! two characters and more in runs of 1 and 2, and character runs of 3 to 5 inside words (`char_wb`); each of the two
//! blocks scaled to length 1.
//!
//! n-grams are known by 64 bits of a fixed hash, never by their letters: a saved model holds no word of a note. Two of a
//! million n-grams share a hash with probability 3e-8.

use rustc_hash::FxHashMap;

/// The two kinds of n-gram keep apart in hash and in scaling.
const BLOCKS: usize = 2;

/// A text as a sparse vector: ascending feature numbers and their values.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SparseRow {
    pub(super) indices: Vec<u32>,
    pub(super) values: Vec<f32>,
}

/// The n-grams known, with their inverse document frequencies.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NgramVectorizer {
    /// Ascending.
    hashes: Vec<u64>,
    idf: Vec<f32>,
    numbers: FxHashMap<u64, u32>,
}

impl NgramVectorizer {
    /// Learns the n-grams of the texts and their weights: `ln((1 + n) / (1 + df)) + 1`.
    pub(super) fn learn(texts: &[&str], min_df: u32) -> (Self, Vec<SparseRow>) {
        let counted: Vec<Vec<(u64, f32)>> = texts.iter().map(|text| counts(text)).collect();
        let mut frequency: FxHashMap<u64, u32> = FxHashMap::default();
        for (hash, _) in counted.iter().flatten() {
            *frequency.entry(*hash).or_default() += 1;
        }
        let mut kept: Vec<(u64, u32)> = frequency.into_iter().filter(|(_, df)| *df >= min_df).collect();
        kept.sort_unstable();
        let n = texts.len() as f32;
        let idf = kept.iter().map(|(_, df)| ((1.0 + n) / (1.0 + *df as f32)).ln() + 1.0).collect();
        let features = Self::of(kept.into_iter().map(|(hash, _)| hash).collect(), idf);
        let rows = counted.iter().map(|counts| features.weigh(counts)).collect();
        (features, rows)
    }

    /// From what a saved model holds.
    pub(super) fn of(hashes: Vec<u64>, idf: Vec<f32>) -> Self {
        let numbers = hashes.iter().enumerate().map(|(i, hash)| (*hash, i as u32)).collect();
        Self { hashes, idf, numbers }
    }

    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }

    pub(super) fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    pub(super) fn idf(&self) -> &[f32] {
        &self.idf
    }

    /// A text's vector.
    pub(super) fn row(&self, text: &str) -> SparseRow {
        self.weigh(&counts(text))
    }

    fn weigh(&self, counts: &[(u64, f32)]) -> SparseRow {
        let mut cells: Vec<(u32, f32, usize)> = counts
            .iter()
            .filter_map(|(hash, count)| {
                let number = *self.numbers.get(hash)?;
                Some((number, (1.0 + count.ln()) * self.idf[number as usize], block(*hash)))
            })
            .collect();
        cells.sort_unstable_by_key(|(number, _, _)| *number);
        let mut lengths = [0.0f32; BLOCKS];
        for (_, value, block) in &cells {
            lengths[*block] += value * value;
        }
        let lengths = lengths.map(f32::sqrt);
        SparseRow {
            indices: cells.iter().map(|(number, _, _)| *number).collect(),
            values: cells.iter().map(|(_, value, block)| value / lengths[*block]).collect(),
        }
    }
}

/// The top bit of a hash tells words (0) from characters (1).
fn block(hash: u64) -> usize {
    (hash >> 63) as usize
}

/// FNV-1a with a last mix: fixed for ever, since saved models depend on it.
fn hash(bytes: impl IntoIterator<Item = u8>, block: u64) -> u64 {
    let mut h: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in bytes {
        h = (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    h ^= h >> 32;
    h = h.wrapping_mul(0xd6e8_feb8_6659_fd93);
    h ^= h >> 32;
    h >> 1 | block << 63
}

/// Every n-gram of a text with its count, ascending by hash.
fn counts(text: &str) -> Vec<(u64, f32)> {
    let lower = text.to_lowercase();
    let mut hashes = Vec::new();
    let mut previous: Option<&str> = None;
    for word in lower.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| w.chars().nth(1).is_some()) {
        hashes.push(hash(word.bytes(), 0));
        if let Some(previous) = previous {
            hashes.push(hash(previous.bytes().chain([b' ']).chain(word.bytes()), 0));
        }
        previous = Some(word);
    }
    let mut padded = String::new();
    let mut bounds: Vec<usize> = Vec::new();
    for word in lower.split_whitespace() {
        padded.clear();
        padded.push(' ');
        padded.push_str(word);
        padded.push(' ');
        bounds.clear();
        bounds.extend(padded.char_indices().map(|(i, _)| i));
        bounds.push(padded.len());
        let chars = bounds.len() - 1;
        for n in 3..=5 {
            // A word shorter than n counts once, whole, and has no longer runs.
            let runs = (chars + 1).saturating_sub(n).max(1);
            for start in 0..runs {
                let end = (start + n).min(chars);
                hashes.push(hash(padded.as_bytes()[bounds[start]..bounds[end]].iter().copied(), 1));
            }
            if chars <= n {
                break;
            }
        }
    }
    hashes.sort_unstable();
    let mut counts: Vec<(u64, f32)> = Vec::new();
    for hash in hashes {
        match counts.last_mut() {
            Some((last, count)) if *last == hash => *count += 1.0,
            _ => counts.push((hash, 1.0)),
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=1) on ["She forgets names", "She forgets she
    /// forgets", "Knee pain"]: the second row has `forgets` and `she` at 0.5283 each (tf 2), `forgets she` at 0.4104 and
    /// `she forgets` at 0.5283; computed with scikit-learn 1.7.
    #[test]
    fn words_are_weighed_as_scikit_learn_does() {
        let (features, rows) =
            NgramVectorizer::learn(&["She forgets names", "She forgets she forgets", "Knee pain"], 1);
        let value = |row: &SparseRow, word: &str| {
            let number = features.numbers[&hash(word.bytes(), 0)];
            row.values[row.indices.iter().position(|i| *i == number).unwrap()]
        };
        // tf 2: 1 + ln 2 = 1.6931; idf of df 2 of 3: ln(4/3) + 1 = 1.2877; of df 1: ln(4/2) + 1 = 1.6931.
        let (a, b) = (1.693_147_2 * 1.287_682, 1.693_147_2);
        let length = f32::sqrt(3.0 * a * a + b * b);
        for (word, expected) in [("she", a), ("forgets", a), ("she forgets", a), ("forgets she", b)] {
            assert!((value(&rows[1], word) - expected / length).abs() < 1e-5, "{word}");
        }
    }

    /// CountVectorizer(analyzer="char_wb", ngram_range=(3, 5)).build_analyzer()("ab cdef") gives " ab", "ab ", " ab ",
    /// " cd", "cde", "def", "ef ", " cde", "cdef", "def ", " cdef", "cdef ".
    #[test]
    fn characters_run_inside_words() {
        let expected = [" ab", "ab ", " ab ", " cd", "cde", "def", "ef ", " cde", "cdef", "def ", " cdef", "cdef "];
        let mut expected: Vec<u64> = expected.iter().map(|g| hash(g.bytes(), 1)).collect();
        expected.sort_unstable();
        let found: Vec<u64> = counts("ab cdef").into_iter().map(|(h, _)| h).filter(|h| block(*h) == 1).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_block_has_length_one() {
        let (_, rows) = NgramVectorizer::learn(&["some words here", "some other words"], 1);
        let squared: f32 = rows[0].values.iter().map(|v| v * v).sum();
        assert!((squared - 2.0).abs() < 1e-5);
    }

    /// Saved models know n-grams by these alone: they are on users' disks and never edited.
    #[test]
    fn an_n_gram_has_the_hash_that_it_always_had() {
        for (gram, block, expected) in [
            ("she", 0, 0x0fa8_c7f2_b1ff_ede6),
            ("forgets names", 0, 0x7394_f863_a6fa_ebc1),
            ("größe", 0, 0x37cc_c2ee_de96_b5a8),
            (" she ", 1, 0xa2fa_9bec_94ea_346c),
            ("names", 1, 0x9a3f_20a3_9217_90ab),
            ("漢字 ", 1, 0xa6e2_6998_a10b_3065),
        ] {
            assert_eq!(hash(gram.bytes(), block), expected, "{gram}");
        }
    }
}
