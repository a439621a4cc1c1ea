//! Numbers of records, licences, vehicles, devices: by what announces them, and by a form that no measured value has.

use std::sync::LazyLock;

use super::super::text::Span;
use super::dates::numeric;
use super::lists::Phrases;
use super::scan::Scan;

static RECORDS: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(include_str!("../../../data/phi/numbered.txt")));
static LICENCES: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(include_str!("../../../data/phi/licences.txt")));
static VEHICLES: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(include_str!("../../../data/phi/vehicles.txt")));
static DEVICES: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(include_str!("../../../data/phi/devices.txt")));

/// An identifier has at least this many digits; "patient no. 12" of a study has fewer.
const DIGITS: usize = 4;

/// `MRN 1234567`, `Record #: A-12345`, `NHS number 943 476 5919`, `member ID XYZ123456789`.
pub(super) fn record(scan: Scan<'_>, at: usize) -> Option<Span> {
    announced(scan, at, &RECORDS)
}

/// `DEA AB1234563`, `driver's license S530-4601-0123`.
pub(super) fn licence(scan: Scan<'_>, at: usize) -> Option<Span> {
    announced(scan, at, &LICENCES)
}

/// `pacemaker serial no. PM-8842913`.
pub(super) fn device(scan: Scan<'_>, at: usize) -> Option<Span> {
    announced(scan, at, &DEVICES)
}

fn announced(scan: Scan<'_>, at: usize, list: &Phrases) -> Option<Span> {
    let (end, alone) = list.end(scan, at)?;
    let (start, told) = number_words(scan, end);
    if !told && !alone {
        return None;
    }
    // "visit 07/2021"
    if numeric(scan, start).is_some() {
        return None;
    }
    identifier(scan, start)
}

/// The start of what follows the words for a number, and whether there were such words.
fn number_words(scan: Scan<'_>, at: usize) -> (usize, bool) {
    let (mut end, mut told) = (at, false);
    for _ in 0..5 {
        let next = scan.run(end, |c| matches!(c, ' ' | '\t' | ':' | '.' | '=' | '-')).unwrap_or(end);
        if let Some(word) = scan.any_word(next, &["number", "no", "num", "nr", "id", "identifier", "code"]) {
            (end, told) = (word, true);
        } else if scan.char(next) == Some('#') {
            (end, told) = (next + 1, true);
        } else if let Some(word) = scan.any_word(next, &["ending", "ends", "in", "is", "was", "ref"]) {
            end = word;
        } else {
            return (next, told);
        }
    }
    (end, told)
}

/// Letters, digits and hyphens with enough digits, and further groups of digits after single spaces.
fn identifier(scan: Scan<'_>, at: usize) -> Option<Span> {
    let part = |at: usize| scan.run(at, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '/'));
    let mut end = part(at)?;
    // `MA.123456`
    while scan.char(end) == Some('.') && scan.char(end + 1).is_some_and(|c| c.is_ascii_digit()) && end - at < 40 {
        end = part(end + 1)?;
    }
    // `GB12 ABCD 1234`
    let mut groups = 0;
    while scan.char(end) == Some(' ') && scan.slice(at, end).contains(|c: char| c.is_ascii_digit()) && groups < 8 {
        let digits = scan.run(end + 1, |c| c.is_ascii_digit()).filter(|next| next - end > 2);
        let code = scan.run(end + 1, |c| c.is_ascii_uppercase()).filter(|next| next - end == 5);
        match digits.or(code) {
            Some(next) if scan.ends_word(next) && next - at < 50 => end = next,
            _ => break,
        }
        groups += 1;
    }
    let found = scan.slice(at, end).trim_end_matches(['-', '/']);
    let span = Span::new(at, at + found.len());
    (digits(scan, span) >= DIGITS && scan.ends_word(end)).then_some(span)
}

fn digits(scan: Scan<'_>, span: Span) -> usize {
    scan.slice(span.start, span.end).bytes().filter(u8::is_ascii_digit).count()
}

/// `license plate 7ABC123`, and the seventeen signs of a vehicle's own number wherever they stand.
pub(super) fn vehicle(scan: Scan<'_>, at: usize) -> Option<Span> {
    if let Some(end) = scan.run(at, |c| c.is_ascii_uppercase() || c.is_ascii_digit()).filter(|end| end - at == 17) {
        let digits = digits(scan, Span::new(at, end));
        return ((4..=14).contains(&digits) && scan.ends_word(end)).then(|| Span::new(at, end));
    }
    let (end, _) = VEHICLES.end(scan, at)?;
    let (start, _) = number_words(scan, end);
    let sign = |at: usize| scan.run(at, |c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-');
    let mut end = sign(start)?;
    let parted = |next: &usize| scan.char(end) == Some(' ') && next - end <= 5 && scan.ends_word(*next);
    if let Some(next) = sign(end + 1).filter(parted) {
        end = next;
    }
    let text = scan.slice(start, end);
    let count = digits(scan, Span::new(start, end));
    let letters = text.bytes().filter(u8::is_ascii_uppercase).count();
    let formed = count >= 2 && letters >= 1 && count + letters >= 5 || count >= 5;
    (formed && scan.ends_word(end)).then(|| Span::new(start, end))
}

/// What has the form of an identifier and of no measured value: eight digits without a stop, `A1234567`, `0044-22-8812`,
/// four groups of four, five digits after "number" or `#`, and six near
/// "record" or "chart".
pub(super) fn bare(scan: Scan<'_>, at: usize) -> Option<Span> {
    if scan.before(at).is_some_and(|c| matches!(c, '.' | '/' | '-' | ',' | '+')) {
        return None;
    }
    let end = scan.run(at, |c| c.is_ascii_alphanumeric() || c == '-').filter(|end| end - at <= 40)?;
    let text = scan.slice(at, end).trim_end_matches('-');
    let end = at + text.len();
    let count = |is: fn(&u8) -> bool| text.bytes().filter(is).count();
    let (figures, small, capitals) =
        (count(u8::is_ascii_digit), count(u8::is_ascii_lowercase), count(u8::is_ascii_uppercase));
    if figures < DIGITS || small > 1 || !scan.ends_word(end) {
        return None;
    }
    if figures == 4 && text.len() == 4 && card(scan, at).is_some() {
        return card(scan, at).map(|end| Span::new(at, end));
    }
    let goes_on = scan.char(end).is_some_and(|c| matches!(c, '.' | ',' | '/' | '%'))
        && scan.char(end + 1).is_some_and(|c| c.is_ascii_digit());
    if capitals + small == 0 && figures == text.len() && figures < 5 {
        return None;
    }
    let groups: Vec<&str> = text.split('-').collect();
    let longest = groups.iter().filter(|g| g.bytes().all(|b| b.is_ascii_digit())).map(|g| g.len()).max();
    let whole = capitals + small == 0 && groups.len() == 1 && figures >= 8 && !text.ends_with("000");
    let lettered =
        capitals > 0 && (figures >= 6 || figures == 5 && (longest == Some(5) || groups.len() == 1) || mixed(&groups));
    let parted = groups.len() >= 3 && figures >= 7;
    let filed = || {
        let words =
            ["record", "records", "chart", "file", "mr", "mrn", "registration", "hospital", "unit", "identifier"];
        groups.len() == 1 && matches!(figures, 6 | 7) && !text.ends_with("000") && scan.near(at, &words)
    };
    let told = || {
        let words = ["number", "no", "id", "#", "identifier"];
        (figures >= 5 || capitals > 0) && text.len() <= 20 && scan.follows(at, &words)
    };
    (!goes_on && (whole || lettered || parted || told() || filed())).then(|| Span::new(at, end))
}

/// `1EG4-TE5-MK73`: letters and figures in turn, nine signs at least.
fn mixed(groups: &[&str]) -> bool {
    let signs: String = groups.concat();
    let turns = signs.as_bytes().windows(2).filter(|w| w[0].is_ascii_digit() != w[1].is_ascii_digit()).count();
    signs.len() >= 9 && turns >= 3
}

/// `4111 1111 1111 1111`.
fn card(scan: Scan<'_>, at: usize) -> Option<usize> {
    let mut end = scan.run(at, |c| c.is_ascii_digit()).filter(|end| end - at == 4)?;
    for _ in 0..3 {
        let start = end;
        end = scan.run(end + 1, |c| c.is_ascii_digit()).filter(|end| end - start == 5)?;
        scan.char(start).filter(|c| matches!(c, ' ' | '-'))?;
    }
    scan.ends_word(end).then_some(end)
}
