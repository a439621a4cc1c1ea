//! Names of people, where a title, a form's field or a degree gives them away.

use std::sync::LazyLock;

use super::super::text::Span;
use super::super::words::{WordList, entries};
use super::lists::Phrases;
use super::scan::Scan;
use super::vocabulary::{is_kind, is_no_name, is_plain_word, title_case};

/// Titles as they are written. Case tells `Ms` from multiple sclerosis and `Mr` from magnetic resonance; in capitals they
/// need their stop.
static TITLES: WordList = WordList::new(|| entries(include_str!("../../../data/phi/titles.txt")));
const CAPITAL_TITLES: [&str; 5] = ["MR.", "MRS.", "MS.", "DR.", "PROF."];

/// A form's fields, before a colon.
static FIELDS: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(include_str!("../../../data/phi/name-fields.txt")));

/// Degrees after a comma. Two are states as well, and a town before a state is an identifier too.
pub(super) static DEGREES: WordList = WordList::new(|| entries(include_str!("../../../data/phi/degrees.txt")));

/// `Mr. Smith`, `Dr J. de la Cruz`, `Patient name: Ann Other`.
pub(super) fn announced(scan: Scan<'_>, at: usize) -> Option<Span> {
    let start = title(scan, at).or_else(|| field(scan, at))?;
    let span = name(scan, start, 4)?;
    (!placeholder(scan.slice(span.start, span.end))).then_some(span)
}

/// The start of what follows a title.
fn title(scan: Scan<'_>, at: usize) -> Option<usize> {
    let exact = |word: &&&str| scan.rest(at).starts_with(**word);
    let capitals = CAPITAL_TITLES.iter().find(exact).map(|title| at + title.len());
    let mixed = || TITLES.iter().filter(exact).map(|title| at + title.len()).find(|&end| scan.ends_word(end));
    let end = capitals.or_else(mixed)?;
    let stop = scan.skip(end, '.');
    // `Dr.Smith` is written too, and dictated letters wrap after a title.
    let start = scan.skip_spaces(scan.skip(scan.skip_spaces(stop), '\n'));
    (start > end).then_some(start)
}

/// The start of what follows a field's colon; plain `Name:` is a field where a line starts, not in `Drug name:`.
fn field(scan: Scan<'_>, at: usize) -> Option<usize> {
    let starts_line = || {
        let line = scan.before(at).is_none_or(|c| c == '\n');
        scan.word(at, "name").filter(|_| line)
    };
    let end = FIELDS.end(scan, at).map(|(end, _)| end).or_else(starts_line)?;
    let end = scan.skip_spaces(end);
    let start = (scan.char(end) == Some(':')).then(|| scan.skip_spaces(end + 1))?;
    Some(title(scan, start).unwrap_or(start))
}

/// `Ann Other, MD` and `Ann Other is a 64-year-old`: two words at least, and what makes them a person.
pub(super) fn introduced(scan: Scan<'_>, at: usize) -> Option<Span> {
    let span = name(scan, at, 3)?;
    let (first, last) = scan.slice(span.start, span.end).rsplit_once(' ')?;
    // "Speech Therapy, SLP"
    if is_plain_word(last) || is_kind(first) || is_kind(last) {
        return None;
    }
    if placeholder(scan.slice(span.start, span.end)) {
        return None;
    }
    let comma = scan.skip(span.end, ',');
    let degree = comma > span.end && scan.any_word(scan.skip_spaces(comma), &DEGREES).is_some();
    (degree || aged(scan, span.end)).then_some(span)
}

/// `is a 64-year-old`, `is a pleasant 91 y.o.`
fn aged(scan: Scan<'_>, at: usize) -> bool {
    let next = |at: usize, words: &[&str]| scan.any_word(scan.skip_spaces(at), words);
    let Some(article) = next(at, &["is", "was"]).and_then(|end| next(end, &["a", "an"])) else { return false };
    let end = next(article, &["pleasant", "very pleasant", "lovely", "delightful"]).unwrap_or(article);
    scan.number(scan.skip_spaces(end)).is_some_and(|(_, end)| {
        let unit = scan.run(end, |c| matches!(c, ' ' | '-')).unwrap_or(end);
        scan.any_word(unit, &["year", "years", "yo", "y.o", "y/o", "yr", "month", "months"]).is_some()
    })
}

/// Up to `most` words of a name: initials, capitalised words, and particles between them.
pub(super) fn name(scan: Scan<'_>, at: usize, most: usize) -> Option<Span> {
    let mut end = None;
    let mut start = at;
    let mut capitals = None;
    for word in 0..most {
        let particle = particles(scan, start);
        let Some(word_end) = scan.run(particle, |c| c.is_alphabetic() || matches!(c, '-' | '\'' | '’')) else {
            break;
        };
        let text = scan.slice(particle, word_end);
        let text = ["'s", "’s", "'S", "'", "’", "-"].iter().fold(text, |t, tail| t.strip_suffix(tail).unwrap_or(t));
        let possessive = particle + text.len() < word_end;
        let initial = text.chars().count() == 1 && text.starts_with(char::is_uppercase);
        let shout = !initial && text.chars().all(|c| c.is_uppercase() || !c.is_alphabetic());
        let stopped = initial && scan.char(word_end) == Some('.');
        let listed = is_no_name(text, shout);
        // "Dr. Smith MRI today": what follows a name in other letters than its own is no part of it.
        let fits = match (word, initial) {
            (0, true) => stopped || !listed,
            (_, true) => stopped,
            (0, false) => !listed && (title_case(text) || shout),
            (_, false) => !listed && (title_case(text) || shout) && (capitals == Some(shout) || capitals.is_none()),
        };
        if !fits || !scan.ends_word(word_end) {
            break;
        }
        if !initial {
            capitals = Some(shout);
        }
        end = Some(particle + text.len());
        let next = if initial { scan.skip(word_end, '.') } else { word_end };
        start = scan.skip_spaces(next);
        // "seen by Dr. X.  Two weeks ago": dictation parts sentences by two spaces.
        if possessive || initial && start > next + 1 || start == next && !(initial && next > word_end) {
            break;
        }
    }
    end.map(|end| Span::new(at, end))
}

/// The start of the word after `van der`, `de la` and the like, if a capital follows them.
fn particles(scan: Scan<'_>, at: usize) -> usize {
    static PARTICLES: WordList = WordList::new(|| entries(include_str!("../../../data/phi/name-particles.txt")));
    let mut start = at;
    for _ in 0..2 {
        let lower = PARTICLES.iter().find(|p| scan.rest(start).starts_with(**p)).map(|p| start + p.len());
        match lower.filter(|&end| scan.skip_spaces(end) > end) {
            Some(end) => start = scan.skip_spaces(end),
            None => break,
        }
    }
    if scan.char(start).is_some_and(char::is_uppercase) { start } else { at }
}

/// Letters that de-identified notes put for a name: `X`, `XYZ`, `ABC`, `A`. A lone initial says as little.
fn placeholder(name: &str) -> bool {
    name.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).all(|word| {
        word.chars().count() == 1
            || matches!(word, "XYZ" | "ABC" | "DEF" | "Xyz" | "Abc" | "ABCD" | "XXYY" | "AAA")
            || word.chars().all(|c| matches!(c, 'X' | 'x'))
    })
}
