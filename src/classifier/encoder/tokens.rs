//! Texts as token ids, and batches of them without padding.

use std::path::Path;

use tokenizers::{Tokenizer, TruncationParams};

use crate::classifier::InFile;
use crate::domain::text::Cause;
use crate::plain_file;

/// A tokenizer that neither pads nor runs over the encoder's positions.
pub(in crate::classifier) struct Tokens {
    tokenizer: Tokenizer,
}

impl Tokens {
    /// Reads `tokenizer.json` of a folder, whose ids must be below `vocabulary`. `most` counts the marks at both ends.
    pub(crate) fn read(folder: &Path, vocabulary: usize, most: usize) -> Result<Self, Cause> {
        let path = folder.join("tokenizer.json");
        let bytes = plain_file::read(&path, u64::MAX).map_err(|e| InFile::cause("tokenizer.json", e))?;
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|e| InFile::cause("tokenizer.json", e))?;
        let largest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0);
        if largest as usize >= vocabulary {
            return Err(format!(
                "its tokenizer has a token {largest}, and config.json has a vocabulary of {vocabulary}"
            )
            .into());
        }
        // Some folders pad every text to 128 tokens.
        tokenizer.with_padding(None);
        let truncation = TruncationParams { max_length: most, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(|e| InFile::cause("tokenizer.json", e))?;
        Ok(Self { tokenizer })
    }

    /// The ids of a text, with its marks; never none.
    pub(crate) fn ids(&self, text: &str) -> Result<Vec<u32>, Cause> {
        let encoding =
            self.tokenizer.encode_fast(text, true).map_err(|e| format!("a text cannot be cut into tokens: {e}"))?;
        match encoding.get_ids() {
            [] => Err("its tokenizer makes no token of a text; it must add marks at both ends".into()),
            ids => Ok(ids.to_vec()),
        }
    }
}

/// Texts one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::classifier) struct PackedBatch {
    pub ids: Vec<u32>,
    /// Where each text begins, and the end of the last.
    pub starts: Vec<usize>,
}

impl PackedBatch {
    /// A batch of these texts.
    pub(crate) fn of<'a>(texts: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let mut batch = Self { ids: Vec::new(), starts: vec![0] };
        for text in texts {
            batch.ids.extend_from_slice(text);
            batch.starts.push(batch.ids.len());
        }
        batch
    }

    /// How many texts.
    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// How many tokens.
    pub(crate) fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Begin and length of each text.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.starts.windows(2).map(|pair| (pair[0], pair[1] - pair[0]))
    }
}

/// Groups texts by length: the numbers of texts in groups whose padded size (texts times the longest) stays within
/// `tokens` and whose count within `texts`. `order` is taken as it is inside a group.
pub(in crate::classifier) fn by_padded_tokens(
    lengths: &[usize],
    order: &[usize],
    texts: usize,
    tokens: usize,
) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut longest = 0;
    for at in order {
        let length = lengths[*at];
        let padded = |group: &Vec<usize>| (group.len() + 1) * longest.max(length);
        match groups.last_mut() {
            Some(group) if group.len() < texts && padded(group) <= tokens => {
                group.push(*at);
                longest = longest.max(length);
            }
            _ => {
                groups.push(vec![*at]);
                longest = length;
            }
        }
    }
    groups
}
