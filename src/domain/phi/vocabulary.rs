//! What the lists say of single words, and what stands around a word: asked by the rules for names, towns and hospitals.

use std::sync::LazyLock;

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::words::{WordList, entries};
use super::lists::{Phrases, Words};
use super::scan::Scan;

pub(super) const FIRST: u8 = 1;
pub(super) const SURNAME: u8 = 2;
/// May, Grace and Hill, and names of medicine: they count only beside another name.
pub(super) const WEAK: u8 = 4;
pub(super) const EPONYM: u8 = 8;
pub(super) const WORD: u8 = 16;

/// What all lists say of a word in small letters, in one look.
static LISTS: LazyLock<FxHashMap<String, u8>> = LazyLock::new(|| {
    let files = [
        (FIRST, include_str!("../../../data/phi/first-names.txt")),
        (FIRST, include_str!("../../../data/phi/first-names-other.txt")),
        (SURNAME, include_str!("../../../data/phi/surnames.txt")),
        (SURNAME, include_str!("../../../data/phi/surnames-other.txt")),
        (WEAK, include_str!("../../../data/phi/ordinary-names.txt")),
        (WEAK | EPONYM, include_str!("../../../data/phi/eponyms.txt")),
        (WORD, include_str!("../../../data/phi/no-bare-names.txt")),
    ];
    let mut lists: FxHashMap<String, u8> = FxHashMap::default();
    for (says, file) in files {
        for entry in entries(file) {
            *lists.entry(entry.to_lowercase()).or_default() |= says;
        }
    }
    lists
});

pub(super) fn listed(word: &str) -> u8 {
    LISTS.get(&word.to_lowercase()).copied().unwrap_or_default()
}

/// Whether a word is a first name or a surname of the lists, and no ordinary word.
pub(super) fn is_listed_name(word: &str) -> bool {
    let says = listed(word);
    says & (FIRST | SURNAME) > 0 && says & WORD == 0
}

/// Whether a word is in the lists of first names.
pub(super) fn is_first_name(word: &str) -> bool {
    listed(word) & FIRST > 0
}

/// The same, and no ordinary word.
pub(super) fn is_strong_first_name(word: &str) -> bool {
    listed(word) & (FIRST | WEAK | WORD) == FIRST
}

/// Whether a word is none of a name unless something announces it: "Denies", "Neurology".
pub(super) fn is_plain_word(word: &str) -> bool {
    listed(word) & WORD > 0
}

static EPONYM_NOUNS: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/eponym-nouns.txt")));

/// Whether a sentence may start here, whose first word has a capital whatever it is.
pub(super) fn starts(scan: Scan<'_>, at: usize) -> bool {
    let end = scan.gap_before(at);
    scan.before(end).is_none_or(|c| !c.is_alphanumeric()) || scan.before(at).is_some_and(|c| !matches!(c, ' ' | '('))
}

/// `Thomas test`: what follows is the thing that the name stands for.
pub(super) fn is_eponym(scan: Scan<'_>, at: usize) -> bool {
    let possessive =
        ["'s", "’s"].iter().find(|tail| scan.rest(at).starts_with(**tail)).map_or(at, |tail| at + tail.len());
    let start = scan.skip_spaces(possessive);
    scan.letters(start).is_some_and(|end| EPONYM_NOUNS.has(scan.slice(start, end)))
}

/// Capitalised words that start a new sentence after "the Dr." or "Miss", or stand for a name that was removed.
static NO_NAMES: LazyLock<[FxHashSet<String>; 2]> = LazyLock::new(|| {
    let words = || entries(include_str!("../../../data/phi/no-names.txt")).into_iter();
    [words().map(str::to_owned).collect(), words().map(str::to_uppercase).collect()]
});

/// Whether a word starts a sentence rather than a name.
pub(super) fn is_no_name(text: &str, shout: bool) -> bool {
    NO_NAMES[usize::from(shout)].contains(text)
}

/// A capital first, and a lower-case letter after it: `Osei`, `O'Brien`, `McKay`, not `MRI`.
pub(super) fn title_case(word: &str) -> bool {
    word.starts_with(char::is_uppercase) && word.chars().any(char::is_lowercase)
}

/// "General", "Memory": they make no name of a hospital or clinic.
static KINDS: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/facility-words.txt")));

/// Whether a word says of what kind a hospital or clinic is, and names none.
pub(super) fn is_kind(word: &str) -> bool {
    KINDS.has(word)
}

/// American states and territories.
pub(super) static STATES: WordList = WordList::new(|| entries(include_str!("../../../data/phi/states.txt")));

pub(super) static STATE_NAMES: LazyLock<Phrases> =
    LazyLock::new(|| Phrases::new(include_str!("../../../data/phi/state-names.txt")));

static NO_PLACES: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/no-places.txt")));

/// "allergic", "switched".
static ASTRAY: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/led-astray.txt")));

/// Whether a word begins no town: a state, a country, a kind of home.
pub(super) fn is_no_place(scan: Scan<'_>, at: usize, word: &str) -> bool {
    NO_PLACES.has(word) || STATE_NAMES.end(scan, at).is_some()
}

/// "allergic to Keflex", "switched to Tarka": what "to" and "from" announce is no place.
pub(super) fn is_led_astray(scan: Scan<'_>, at: usize) -> bool {
    let mut before = scan.word_before(scan.gap_before(at));
    if scan.slice(before, at).trim() == "the" {
        before = scan.word_before(before);
    }
    ASTRAY.has(scan.last_word(before + usize::from(scan.char(before) == Some(' '))))
}
