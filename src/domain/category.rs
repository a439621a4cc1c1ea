//! A category by its key, and where a text of the guideline names it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A category's stable name in data and files, such as `requires_assistance`.
///
/// Lower-case ASCII letters, digits and `_`, starting with a letter, at most 64 bytes: so a set of keys can be joined by
/// commas anywhere without quoting.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CategoryKey(Arc<str>);

impl CategoryKey {
    /// Checks and wraps a key.
    pub(crate) fn new(key: &str) -> Result<Self, BadKey> {
        let mut chars = key.chars();
        let starts_well = chars.next().is_some_and(|c| c.is_ascii_lowercase());
        let goes_on_well = chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if starts_well && goes_on_well && key.len() <= 64 { Ok(Self(key.into())) } else { Err(BadKey(key.to_owned())) }
    }

    /// The key as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CategoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for CategoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for CategoryKey {
    type Error = BadKey;
    fn try_from(key: String) -> Result<Self, BadKey> {
        Self::new(&key)
    }
}

impl From<CategoryKey> for String {
    fn from(key: CategoryKey) -> Self {
        key.0.to_string()
    }
}

/// A key outside the permitted form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no category key: use lower-case letters, digits and `_`, starting with a letter, 64 bytes at most")]
pub struct BadKey(String);

/// Whether a text of the guideline names a key.
pub(crate) fn names(text: &str, key: &CategoryKey) -> bool {
    words(text).any(|(word, named, _)| named && word == key.as_str())
}

/// The words of a text, such as keys could be; whether each is meant as one, and not as plain English; and what stands between it
/// and the next one. A key is meant by a word with `_`, or in parentheses or backticks: `Tears alone (mood)`.
pub(super) fn words(text: &str) -> impl Iterator<Item = (&str, bool, &str)> {
    let of_a_key = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (mut before, mut rest) = ("", text);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (word, after) = rest.split_at(rest.find(|c| !of_a_key(c)).unwrap_or(rest.len()));
        let (between, next) = after.split_at(after.find(of_a_key).unwrap_or(after.len()));
        let within = |open, close| before.ends_with(open) && between.starts_with(close);
        let named = word.contains('_') || within('(', ')') || within('`', '`');
        (before, rest) = (between, next);
        Some((word, named, between))
    })
}
