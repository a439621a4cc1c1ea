//! Numbers that lead to a person: records, accounts, telephones, and ages over 89.

use super::super::text::Span;
use super::super::words::{WordList, entries};
use super::scan::Scan;

/// Words that announce an identifier by themselves.
const IDENTIFIERS: [&str; 5] = ["mrn", "ssn", "medical record number", "social security number", "nhs number"];

/// Things that have a number; the word for it, or `#`, must follow.
static NUMBERED: WordList = WordList::new(|| entries(include_str!("../../../data/phi/numbered.txt")));

/// An identifier has at least this many digits; "patient no. 12" of a study has fewer.
const DIGITS: usize = 4;

/// `MRN 1234567`, `Record #: A-12345`, `NHS number 943 476 5919`.
pub(super) fn announced(scan: Scan<'_>, at: usize) -> Option<Span> {
    let alone = IDENTIFIERS.iter().find_map(|phrase| scan.phrase(at, phrase));
    let mut end = alone.or_else(|| NUMBERED.iter().find_map(|phrase| scan.phrase(at, phrase)))?;
    let mut announced = alone.is_some();
    loop {
        let next = scan.run(end, |c| matches!(c, ' ' | '\t' | ':' | '.' | '=' | '-')).unwrap_or(end);
        if let Some(word) = scan.any_word(next, &["number", "no", "num", "nr", "id", "identifier"]) {
            (end, announced) = (word, true);
        } else if scan.char(next) == Some('#') {
            (end, announced) = (next + 1, true);
        } else {
            end = scan.word(next, "is").unwrap_or(next);
            end = scan.skip_spaces(end);
            break;
        }
    }
    if announced { identifier(scan, end) } else { None }
}

/// Letters, digits and hyphens with enough digits, and further groups of digits after single spaces.
fn identifier(scan: Scan<'_>, at: usize) -> Option<Span> {
    let mut end = scan.run(at, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '/'))?;
    while scan.char(end) == Some(' ') && scan.slice(at, end).ends_with(|c: char| c.is_ascii_digit()) {
        match scan.run(end + 1, |c| c.is_ascii_digit()) {
            Some(next) if scan.ends_word(next) && next - end > 2 && next - at < 40 => end = next,
            _ => break,
        }
    }
    let found = scan.slice(at, end).trim_end_matches(['-', '/']);
    let digits = found.bytes().filter(u8::is_ascii_digit).count();
    (digits >= DIGITS && scan.ends_word(end)).then(|| Span::new(at, at + found.len()))
}

/// `123-45-6789`.
pub(super) fn social_security(scan: Scan<'_>, at: usize) -> Option<Span> {
    let groups = Groups::read(scan, at)?;
    (groups.widths == [3, 2, 4] && groups.separators == "--").then(|| Span::new(at, groups.end))
}

/// What announces a number that has no telephone's form.
static TELEPHONE: WordList = WordList::new(|| entries(include_str!("../../../data/phi/telephone.txt")));

/// `(555) 123-4567`, `+44 20 7946 0958`, `07700 900123`; after a telephone's word also `555-1234` and ten plain digits.
/// The forms are those of the North American plan, where no area starts with 0 or 1 (nor, in life, does an exchange; an
/// invented number does), of Britain, and of anything international.
pub(super) fn phone(scan: Scan<'_>, at: usize) -> Option<Span> {
    if scan.before(at).is_some_and(|c| matches!(c, '/' | '-' | '.' | '+' | '(')) {
        return None;
    }
    let groups = Groups::read(scan, at)?;
    let digits: usize = groups.widths.iter().sum();
    let leads = |i: usize| groups.text.get(i).is_some_and(|g| g.starts_with(|c: char| ('2'..='9').contains(&c)));
    let told = || scan.follows(at, &TELEPHONE);
    let plain = match groups.widths.as_slice() {
        [3, 3, 4] => leads(0) && (leads(1) || groups.separators != "  "),
        [1, 3, 3, 4] => groups.text.first() == Some(&"1") && leads(1),
        [3, 4] => told(),
        [10] => told(),
        widths => {
            let trunk = groups.text.first().is_some_and(|g| g.starts_with('0') && !g.starts_with("00"));
            let whole = widths.len() == 1 && digits == 11 && groups.text[0].starts_with("07");
            let parted = (2..=4).contains(&widths.len()) && (3..=5).contains(&widths[0]) && (10..=11).contains(&digits);
            trunk && (whole || parted) && !groups.separators.contains('.')
        }
    };
    let international = groups.plus && (8..=15).contains(&digits);
    (plain && !groups.plus || international).then(|| Span::new(at, groups.end))
}

/// Groups of digits with one separator between, as telephone numbers are written.
struct Groups<'a> {
    text: Vec<&'a str>,
    widths: Vec<usize>,
    /// One character for each gap.
    separators: String,
    plus: bool,
    end: usize,
}

impl<'a> Groups<'a> {
    fn read(scan: Scan<'a>, at: usize) -> Option<Self> {
        let plus = scan.char(at) == Some('+');
        let mut start = scan.skip(at, '+');
        let mut open = scan.char(start) == Some('(');
        start = scan.skip(start, '(');
        let mut groups = Self { text: Vec::new(), widths: Vec::new(), separators: String::new(), plus, end: start };
        while let Some(end) = scan.run(start, |c| c.is_ascii_digit()) {
            groups.text.push(scan.slice(start, end));
            groups.widths.push(end - start);
            groups.end = end;
            start = if open { scan.skip(end, ')') } else { end };
            if groups.text.len() == 6 {
                break;
            }
            let closed = open && start > end;
            open = !closed && open;
            match scan.char(start) {
                Some(c @ (' ' | '-' | '.')) => {
                    groups.separators.push(c);
                    start += 1;
                }
                Some(c) if closed && c.is_ascii_digit() => groups.separators.push(')'),
                _ => break,
            }
            if scan.char(start) == Some('(') {
                open = true;
                start += 1;
            }
        }
        // A sentence may end in a separator; a number that goes on as a word or a date is something else.
        let goes_on = scan.char(groups.end).is_some_and(|c| matches!(c, '/' | '%' | ':'))
            || scan.char(groups.end) == Some('.') && scan.char(groups.end + 1).is_some_and(|c| c.is_ascii_digit());
        groups.separators.truncate(groups.text.len().saturating_sub(1));
        (!groups.text.is_empty() && !goes_on && scan.ends_word(groups.end)).then_some(groups)
    }
}

const UNITS: [&str; 9] = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// `92-year-old`, `92 y.o.`, `aged 93`, `ninety-two years old`. "90 or older" is the group that the safe harbour asks for.
pub(super) fn age_over_89(scan: Scan<'_>, at: usize) -> Option<Span> {
    let announced = ["age", "aged"].iter().find_map(|word| scan.word(at, word));
    if let Some(end) = announced {
        let mut start = scan.skip_spaces(scan.skip(scan.skip_spaces(end), ':'));
        if let Some(of) = scan.any_word(start, &["of", "is", "was"]) {
            start = scan.skip_spaces(of);
        }
        let end = old_age(scan, start)?;
        let goes_on = scan.char(end).is_some_and(|c| matches!(c, '-' | '+' | '%' | '/' | '.'))
            && scan.char(end + 1).is_some_and(|c| c.is_ascii_digit());
        let grouped = scan.char(end) == Some('+')
            || ["or older", "or over", "or above", "and older", "and over", "and above"]
                .iter()
                .any(|group| scan.phrase(scan.skip_spaces(end), group).is_some());
        return (scan.ends_word(end) && !goes_on && !grouped).then(|| Span::new(start, end));
    }
    // "1.92 years old" and "18-92 years" are no age of one person.
    if scan.before(at).is_some_and(|c| matches!(c, '.' | '-' | '/' | '–')) {
        return None;
    }
    let end = old_age(scan, at)?;
    years_old(scan, end)?;
    Some(Span::new(at, end))
}

/// The end of a number from 90 to 125, in figures or words.
fn old_age(scan: Scan<'_>, at: usize) -> Option<usize> {
    if let Some((age, end)) = scan.number(at) {
        return (90..=125).contains(&age).then_some(end);
    }
    let end = scan.word(at, "ninety")?;
    let unit = scan.char(end).filter(|c| matches!(c, ' ' | '-')).and_then(|_| scan.any_word(end + 1, &UNITS));
    Some(unit.unwrap_or(end))
}

/// The end of the words that make a number an age.
fn years_old(scan: Scan<'_>, at: usize) -> Option<usize> {
    let hyphen = |at: usize| scan.skip_spaces(scan.skip(scan.skip_spaces(at), '-'));
    let start = hyphen(at);
    if let Some(end) = scan.any_word(start, &["yo", "y/o", "y.o", "yof", "yom"]) {
        return Some(end);
    }
    let year = scan.any_word(start, &["years", "year", "yrs", "yr"])?;
    let year = hyphen(scan.skip(year, '.'));
    scan.any_word(year, &["old", "olds"]).or_else(|| scan.phrase(year, "of age"))
}
