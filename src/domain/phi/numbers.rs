//! Numbers that lead to a person by their form: social security and telephones.

use super::super::text::Span;
use super::super::words::{WordList, entries};
use super::scan::Scan;

/// `123-45-6789`.
pub(super) fn social_security(scan: Scan<'_>, at: usize) -> Option<Span> {
    scan.run(at, |c| c.is_ascii_digit()).filter(|&end| end - at == 3 && scan.char(end) == Some('-'))?;
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
    // Most numbers are too short to be read in groups.
    scan.run(at, |c| c.is_ascii_digit() || matches!(c, ' ' | '-' | '.' | '·' | '‑' | '–' | '/' | '(' | ')' | '+'))
        .filter(|end| end - at >= 5)?;
    let groups = Groups::read(scan, at)?;
    let digits: usize = groups.widths.iter().sum();
    let leads = |i: usize| groups.text.get(i).is_some_and(|g| g.starts_with(|c: char| ('2'..='9').contains(&c)));
    let told = || scan.follows(at, &TELEPHONE) || scan.near(at, &TELEPHONE);
    let plain = match groups.widths.as_slice() {
        [3, 3, 4] => leads(0) && (leads(1) || groups.separators != "  "),
        [1, 3, 3, 4] => groups.text.first() == Some(&"1") && leads(1),
        [3, 4] | [3, 7] | [5] => told(),
        [10] => leads(0) || told(),
        [11] => groups.text[0].starts_with('1') && told(),
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
                Some(c @ (' ' | '-' | '.' | '·' | '‑' | '–')) => {
                    groups.separators.push(c);
                    start += c.len_utf8();
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
