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

/// Phrases by their first letter, the longest first. A `!` at the end marks those that announce something by themselves.
pub(super) struct Phrases([Vec<(&'static str, bool)>; 26]);

impl Phrases {
    pub(super) fn new(file: &'static str) -> Self {
        let mut by_letter: [Vec<(&'static str, bool)>; 26] = Default::default();
        for entry in entries(file) {
            let phrase = entry.trim_end_matches('!');
            if let Some(phrases) = letter(phrase).and_then(|letter| by_letter.get_mut(letter)) {
                phrases.push((phrase, phrase != entry));
            }
        }
        for phrases in &mut by_letter {
            phrases.sort_by_key(|(phrase, alone)| (std::cmp::Reverse(phrase.len()), !alone));
        }
        Self(by_letter)
    }

    /// Whether a word is one of the phrases, in any case.
    pub(super) fn has(&self, word: &str) -> bool {
        let phrases = letter(word).and_then(|letter| self.0.get(letter));
        phrases.is_some_and(|phrases| phrases.iter().any(|(phrase, _)| phrase.eq_ignore_ascii_case(word)))
    }

    /// The end of the longest phrase at `at`, and whether it needs no other word.
    pub(super) fn end(&self, scan: Scan<'_>, at: usize) -> Option<(usize, bool)> {
        let rest = scan.rest(at).as_bytes();
        // Most phrases differ within three letters; to part a phrase into its words takes longer.
        let begins = |phrase: &str| {
            let few = phrase.len().min(3);
            rest.get(..few).is_some_and(|start| start.eq_ignore_ascii_case(&phrase.as_bytes()[..few]))
        };
        let mut phrases = self.0.get(letter(scan.rest(at))?)?.iter().filter(|(phrase, _)| begins(phrase));
        phrases.find_map(|(phrase, alone)| Some((scan.phrase(at, phrase)?, *alone)))
    }
}

/// The place of a text's first letter in the alphabet.
fn letter(text: &str) -> Option<usize> {
    let first = text.bytes().next()?.to_ascii_lowercase();
    first.is_ascii_lowercase().then(|| usize::from(first - b'a'))
}
