//! Numbers of records, licences, vehicles, devices: by what announces them, and by a form that no measured value has.

use std::sync::LazyLock;

use super::super::text::Span;
use super::dates::numeric;
use super::lists::{Phrases, Words};
use super::scan::Scan;

static RECORDS: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(include_str!("../../../data/phi/numbered.txt")));
static LICENCES: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(include_str!("../../../data/phi/licences.txt")));
/// "case", "specimen": what a code near them counts.
static LABELS: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/numbered.txt")));
static VEHICLES: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(include_str!("../../../data/phi/vehicles.txt")));
/// Units: a number before them counts something.
static UNITS: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/units.txt")));
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
    // "visit 07/2021"
    if numeric(scan, start).is_some() {
        return None;
    }
    let found = identifier(scan, start)?;
    (told || alone || is_code(scan, found)).then_some(found)
}

/// The start of what follows the words for a number, and whether there were such words.
fn number_words(scan: Scan<'_>, at: usize) -> (usize, bool) {
    const FILLERS: [&str; 20] = [
        "on the form",
        "on the card",
        "on the label",
        "on file",
        "last 4",
        "listed",
        "in",
        "is",
        "was",
        "ref",
        "reads",
        "read",
        "of",
        "last",
        "four",
        "digits",
        "4 digits",
        "with",
        "as",
        "the",
    ];
    let (mut end, mut told) = (at, false);
    for _ in 0..6 {
        let next = scan.run(end, |c| matches!(c, ' ' | '\t' | ':' | '.' | '=' | '-' | ',' | '(' | '"')).unwrap_or(end);
        if let Some(word) = scan.any_word(next, &NUMBER).or_else(|| scan.any_word(next, &["ending", "ends"])) {
            (end, told) = (word, true);
        } else if scan.char(next) == Some('#') {
            (end, told) = (next + 1, true);
        } else if let Some(word) = FILLERS.iter().find_map(|filler| scan.phrase(next, filler)) {
            end = word;
        } else {
            return (next, told);
        }
    }
    (end, told)
}

/// Words for a number.
const NUMBER: [&str; 8] = ["number", "no", "num", "nr", "id", "identifier", "code", "locator"];

/// Whether `number`, `no.`, `#` or the like stands right before `at`.
fn is_numbered(scan: Scan<'_>, at: usize) -> bool {
    let mut end = at;
    for _ in 0..4 {
        match scan.before(end) {
            Some('#') => return true,
            Some(c @ (' ' | ':' | '.' | '(' | '=' | ',' | '\u{a0}')) => end -= c.len_utf8(),
            _ => break,
        }
    }
    let verb = ["is", "was"].iter().find(|verb| scan.slice(0, end).ends_with(&format!(" {verb}")));
    let end = verb.map_or(end, |verb| end - verb.len());
    // "CPT code 99213" is what was done, not to whom.
    let public = || scan.near(end, &["cpt", "icd", "icd-10", "icd-9", "hcpcs", "drg", "snomed", "loinc", "procedure"]);
    scan.follows(end, &NUMBER) && !public()
}

/// `12-345678`, `AB-1234`, `123456`: no amount, no range, no span of years. Behind "case" it needs no other word.
fn is_code(scan: Scan<'_>, span: Span) -> bool {
    let text = scan.slice(span.start, span.end);
    let after = scan.skip_spaces(span.end);
    let unit =
        scan.letters(after).is_some_and(|end| UNITS.has(scan.slice(after, end))) || scan.char(after) == Some('%');
    let (count, groups) = (digits(scan, span), text.split(['-', ' ', '/']).collect::<Vec<_>>());
    let year = |group: &&str| group.len() == 4 && (group.starts_with("19") || group.starts_with("20"));
    let years = groups.first().is_some_and(year) && count <= 8;
    if unit || years || text.ends_with("000") {
        return false;
    }
    if text.contains(|c: char| c.is_ascii_alphabetic()) {
        return !text.contains(|c: char| c.is_ascii_lowercase()) && count >= DIGITS;
    }
    match groups.as_slice() {
        [_] => count >= 5,
        [first, second] if text.contains('-') => count >= 6 && first.len() != second.len(),
        groups => groups.len() > 2 && count >= 6,
    }
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
    let Some((end, _)) = VEHICLES.end(scan, at) else { return plate(scan, at) };
    let (start, _) = number_words(scan, end);
    let end = signs(scan, start)?;
    let text = scan.slice(start, end);
    let count = digits(scan, Span::new(start, end));
    let letters = text.bytes().filter(u8::is_ascii_uppercase).count();
    let formed = count >= 2 && letters >= 1 && count + letters >= 5 || count >= 5;
    let goes_on =
        matches!(scan.char(end), Some('/' | '%' | '.')) && scan.char(end + 1).is_some_and(|c| c.is_ascii_digit());
    (formed && !goes_on && scan.ends_word(end)).then(|| Span::new(start, end))
}

/// The end of one to three groups of capitals and figures, as on a plate.
fn signs(scan: Scan<'_>, at: usize) -> Option<usize> {
    let sign = |at: usize| scan.run(at, |c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-');
    let mut end = sign(at)?;
    for _ in 0..2 {
        // "ABC 1234 BP 130/80": a plate has no more than three groups, and no slash.
        let goes_on = |next: &usize| {
            let parted = scan.char(end) == Some(' ') && end - at < 5 && next - end <= 6;
            parted && scan.ends_word(*next) && !matches!(scan.char(*next), Some('/' | '%'))
        };
        let Some(next) = sign(end + 1).filter(goes_on) else { break };
        end = next;
    }
    Some(end)
}

/// `ABC-1234` near "car" or before "plates": figures and capitals in two or three runs.
fn plate(scan: Scan<'_>, at: usize) -> Option<Span> {
    if !scan.char(at)?.is_ascii_uppercase() && !scan.char(at)?.is_ascii_digit() {
        return None;
    }
    let end = signs(scan, at).filter(|&end| scan.ends_word(end))?;
    let text = scan.slice(at, end).trim_end_matches('-');
    let plain: Vec<u8> = text.bytes().filter(u8::is_ascii_alphanumeric).collect();
    let figures = plain.iter().filter(|b| b.is_ascii_digit()).count();
    let runs = plain.windows(2).filter(|w| w[0].is_ascii_digit() != w[1].is_ascii_digit()).count();
    let year = text.rsplit([' ', '-']).next().is_some_and(|last| last.len() == 4 && last.starts_with("20"));
    let formed = (5..=8).contains(&plain.len()) && (2..=6).contains(&figures) && (1..=3).contains(&runs) && !year;
    let car = || {
        let words = [
            "car",
            "truck",
            "van",
            "suv",
            "sedan",
            "vehicle",
            "motorcycle",
            "pickup",
            "jeep",
            "minivan",
            "moped",
            "scooter",
            "trailer",
            "ford",
            "honda",
            "toyota",
            "chevy",
            "chevrolet",
            "nissan",
            "subaru",
            "bmw",
            "dodge",
            "hyundai",
            "kia",
            "plates",
            "tags",
            "plate",
            "tag",
        ];
        scan.near(at, &words) || scan.any_word(scan.skip_spaces(end), &["plates", "plate", "tags", "tag"]).is_some()
    };
    (formed && plain.len() > figures && car()).then(|| Span::new(at, at + text.len()))
}

/// What has the form of an identifier and of no measured value: eight digits without a stop, `A1234567`, `0044-22-8812`,
/// four groups of four, what stands after "number" or `#`, a code
/// near "specimen", and six digits near "record" or "chart".
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
    if small > 1 || !scan.ends_word(end) {
        return None;
    }
    // `QRT482` behind "confirmation code"
    if figures == 3 && capitals >= 2 && text.len() >= 5 && is_numbered(scan, at) {
        return Some(Span::new(at, end));
    }
    if figures < DIGITS {
        return None;
    }
    if figures == 4 && text.len() == 4 && card(scan, at).is_some() {
        return card(scan, at).map(|end| Span::new(at, end));
    }
    let goes_on = scan.char(end).is_some_and(|c| matches!(c, '.' | ',' | '/' | '%'))
        && scan.char(end + 1).is_some_and(|c| c.is_ascii_digit());
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
    let coded = || is_code(scan, Span::new(at, end));
    let told = || text.len() <= 20 && (coded() || is_figure(scan, at, end)) && is_numbered(scan, at);
    let labelled = || (capitals > 0 || groups.len() > 1) && coded() && scan.any_near(at, |word| LABELS.has(word));
    (!goes_on && (whole || lettered || parted || told() || filed() || labelled())).then(|| Span::new(at, end))
}

/// Four figures that are neither a year nor an amount.
fn is_figure(scan: Scan<'_>, at: usize, end: usize) -> bool {
    let after = scan.skip_spaces(end);
    let unit =
        scan.letters(after).is_some_and(|end| UNITS.has(scan.slice(after, end))) || scan.char(after) == Some('%');
    let text = scan.slice(at, end);
    !unit && text.len() >= DIGITS && !text.ends_with("00") && !text.starts_with("19") && !text.starts_with("20")
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
