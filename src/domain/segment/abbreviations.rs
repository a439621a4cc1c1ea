//! What the word before a full stop says about it.

use super::super::words::{WordList, entries};

/// How a full stop after an abbreviation is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Abbreviation {
    /// Says something of what follows, so it never ends a sentence: "Dr.", "e.g.".
    Opens,
    /// Belongs to a number, and is an ordinary word or an ending without one: "no. 4", "On balance, no."
    Counts,
    /// Mostly goes on, often before a capital ("St. Mary's", "Wt. 61"): ends only before a word that begins sentences.
    Leads,
    /// Ends as often as not: ends before any capital ("b.i.d. Melatonin was stopped").
    Closes,
}

static OPENS: WordList = WordList::new(|| entries(include_str!("../../../data/segment/opens.txt")));
static COUNTS: WordList = WordList::new(|| entries(include_str!("../../../data/segment/counts.txt")));
static LEADS: WordList = WordList::new(|| entries(include_str!("../../../data/segment/leads.txt")));
static CLOSES: WordList = WordList::new(|| entries(include_str!("../../../data/segment/closes.txt")));

/// How `word`, as written before its full stop, abbreviates; nothing if it is an ordinary word.
pub(super) fn abbreviation(word: &str) -> Option<Abbreviation> {
    // A longer word is in no list, and lowering it would cost more than it tells.
    if word.is_empty() || word.len() > 24 {
        return None;
    }
    let mut letters = word.chars();
    if let (Some(only), None) = (letters.next(), letters.next())
        && only.is_uppercase()
    {
        // An initial, before the lists read "H." as hours.
        return Some(Abbreviation::Leads);
    }
    let lower = word.to_lowercase();
    let last = lower.rsplit('-').next().unwrap_or(&lower);
    for (list, kind) in [
        (&OPENS, Abbreviation::Opens),
        (&COUNTS, Abbreviation::Counts),
        (&LEADS, Abbreviation::Leads),
        (&CLOSES, Abbreviation::Closes),
    ] {
        if list.contains(&lower.as_str()) || list.contains(&last) {
            return Some(kind);
        }
    }
    let dotted = word.contains('.')
        && word.split('.').all(|part| part.chars().count() <= 3 && part.chars().all(char::is_alphanumeric))
        && word.chars().any(char::is_alphabetic);
    dotted.then(|| {
        // "q.6h." is a dose; "U.S." and "J.R." go before names.
        if word.starts_with(char::is_lowercase) { Abbreviation::Closes } else { Abbreviation::Leads }
    })
}

/// Words that begin sentences and hardly ever names.
static STARTERS: WordList = WordList::new(|| entries(include_str!("../../../data/segment/starters.txt")));

/// Whether a sentence is likely to begin with `word`.
pub(super) fn is_starter(word: &str) -> bool {
    word.len() <= 9 && STARTERS.binary_search(&word.to_lowercase().as_str()).is_ok()
}

/// Words that begin a sentence even where haste left out its capital.
static CARELESS: WordList = WordList::new(|| entries(include_str!("../../../data/segment/careless-starters.txt")));

/// Whether `word`, in small letters after a full stop, is likely to begin a sentence.
pub(super) fn is_careless_starter(word: &str) -> bool {
    CARELESS.contains(&word)
}

/// After a dose or a time, these go on with it despite their capitals: "9 a.m. Monday", "5 mg. PO BID".
static GOES_ON: WordList = WordList::new(|| entries(include_str!("../../../data/segment/goes-on.txt")));

/// Whether `word` carries on a dose or a time.
pub(super) fn goes_on(word: &str) -> bool {
    GOES_ON.contains(&word)
}

/// "vitamin C." and "Part A." name things with one capital, which then is no initial.
static LETTERED: WordList = WordList::new(|| entries(include_str!("../../../data/segment/lettered.txt")));

/// Whether `word` makes the single capital after it a name of a thing.
pub(super) fn takes_a_letter(word: &str) -> bool {
    word.len() <= 9 && LETTERED.contains(&word.to_lowercase().as_str())
}

static NUMBERED: WordList = WordList::new(|| entries(include_str!("../../../data/segment/numbered.txt")));

/// Words that a number belongs to: "day 2.", "and 2.".
pub(super) fn takes_a_number(word: &str) -> bool {
    NUMBERED.binary_search(&word.to_lowercase().as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn lists_that_are_searched_are_sorted() {
        assert!(super::STARTERS.is_sorted());
        assert!(super::NUMBERED.is_sorted());
    }
}
