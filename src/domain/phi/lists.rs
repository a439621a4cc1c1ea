//! Word lists that are asked about every word of a text: by hash or by first letter, so that their length costs nothing.

use rustc_hash::FxHashSet;

use super::super::words::entries;
use super::scan::Scan;

/// Words and short phrases in small letters.
pub(super) struct Words(FxHashSet<String>);

impl Words {
    pub(super) fn new(file: &'static str) -> Self {
        Self(entries(file).into_iter().map(|entry| entry.trim_end_matches('!').to_lowercase()).collect())
    }

    pub(super) fn has(&self, word: &str) -> bool {
        self.0.contains(word) || word.contains(char::is_uppercase) && self.0.contains(&word.to_lowercase())
    }

    /// Whether the word before `at`, or the two or three before it, stand in the list.
    pub(super) fn before(&self, scan: Scan<'_>, at: usize) -> bool {
        let end = scan.gap_before(at);
        let mut start = end;
        (0..3).any(|_| {
            start = scan.word_before(start);
            let phrase = scan.slice(start, end);
            !phrase.is_empty() && self.has(phrase)
        })
    }
}

/// Phrases by their first two letters, the longest first. A `!` at the end marks those that announce something by
/// themselves.
pub(super) struct Phrases(Vec<Vec<(&'static str, bool)>>);

impl Phrases {
    pub(super) fn new(file: &'static str) -> Self {
        let mut by_letters = vec![Vec::new(); 26 * 27];
        for entry in entries(file) {
            let phrase = entry.trim_end_matches('!');
            if let Some(phrases) = letters(phrase).and_then(|letters| by_letters.get_mut(letters)) {
                phrases.push((phrase, phrase != entry));
            }
        }
        for phrases in &mut by_letters {
            phrases.sort_by_key(|(phrase, alone): &(&str, bool)| (std::cmp::Reverse(phrase.len()), !alone));
        }
        Self(by_letters)
    }

    /// Whether a word is one of the phrases, in any case.
    pub(super) fn has(&self, word: &str) -> bool {
        let phrases = letters(word).and_then(|letters| self.0.get(letters));
        phrases.is_some_and(|phrases| phrases.iter().any(|(phrase, _)| phrase.eq_ignore_ascii_case(word)))
    }

    /// The end of the longest phrase at `at`, and whether it needs no other word.
    pub(super) fn end(&self, scan: Scan<'_>, at: usize) -> Option<(usize, bool)> {
        let rest = scan.rest(at).as_bytes();
        // Most phrases differ within four letters; to part a phrase into its words takes longer.
        let begins = |phrase: &str| {
            let few = phrase.len().min(4);
            rest.get(..few).is_some_and(|start| start.eq_ignore_ascii_case(&phrase.as_bytes()[..few]))
        };
        let mut phrases = self.0.get(letters(scan.rest(at))?)?.iter().filter(|(phrase, _)| begins(phrase));
        phrases.find_map(|(phrase, alone)| Some((scan.phrase(at, phrase)?, *alone)))
    }
}

/// The place of a text's first two letters in a list of all pairs; whatever is no letter shares the last place.
fn letters(text: &str) -> Option<usize> {
    let place = |byte: u8| {
        let small = byte.to_ascii_lowercase();
        small.is_ascii_lowercase().then(|| usize::from(small - b'a'))
    };
    let mut bytes = text.bytes();
    let first = place(bytes.next()?)?;
    Some(first * 27 + bytes.next().and_then(place).unwrap_or(26))
}
