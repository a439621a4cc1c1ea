//! Numbers that lead to a person by their form: social security, telephones, and ages over 89.

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

const UNITS: [&str; 9] = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// `92-year-old`, `92 y.o.`, `aged 93`, `she is 94`, `ninety-two years old`. "90 or older" is the group that the safe harbour asks for.
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
    let told = years_old(scan, end).is_some()
        || sexed(scan, at, end)
        || scan.any_word(end, &["st", "nd", "rd", "th"]).is_some_and(|end| birthday(scan, end))
        || scan.ends_word(end) && !measured(scan, end) && said_of_a_person(scan, at);
    told.then(|| Span::new(at, end))
}

/// `94F` and `94 M` where a sentence begins; elsewhere it may be a temperature.
fn sexed(scan: Scan<'_>, at: usize, end: usize) -> bool {
    let before = scan.slice(0, at).trim_end();
    let starts = before.is_empty() || before.ends_with(['.', '\n']) && before.len() < at;
    starts
        && ["F", "M"].iter().any(|sex| {
            scan.word(scan.skip_spaces(end), sex).is_some_and(|_| scan.rest(scan.skip_spaces(end)).starts_with(sex))
        })
}

fn birthday(scan: Scan<'_>, at: usize) -> bool {
    scan.word(scan.skip_spaces(at), "birthday").is_some()
}

/// "he turned 94", "died at 94", "she is 94".
fn said_of_a_person(scan: Scan<'_>, at: usize) -> bool {
    const PEOPLE: [&str; 14] = [
        "he",
        "she",
        "patient",
        "mother",
        "father",
        "grandmother",
        "grandfather",
        "wife",
        "husband",
        "aunt",
        "uncle",
        "mom",
        "dad",
        "who",
    ];
    let verb = scan.gap_before(at);
    let subject = scan.word_before(verb);
    match scan.slice(subject, verb).to_ascii_lowercase().as_str() {
        "turned" | "turning" | "turns" | "reached" => true,
        "to" => scan.follows(subject, &["lived", "live", "survived"]),
        "at" => scan.follows(subject, &["died", "deceased", "death", "passed", "away", "dead"]),
        "is" | "was" => {
            PEOPLE.iter().any(|word| word.eq_ignore_ascii_case(scan.slice(scan.word_before(subject), subject).trim()))
        }
        "he's" | "she's" | "who's" => true,
        _ => false,
    }
}

/// Whether a unit follows, so that the number is none of years.
fn measured(scan: Scan<'_>, at: usize) -> bool {
    let next = scan.skip_spaces(scan.skip(scan.skip_spaces(at), '-'));
    let sign =
        scan.char(scan.skip_spaces(at)).is_some_and(|c| matches!(c, '%' | '/' | '°' | ':' | '–' | '+' | '<' | '>'));
    let part = scan.char(at) == Some('.') && scan.char(at + 1).is_some_and(|c| c.is_ascii_digit());
    const UNITS: [&str; 24] = [
        "percent", "kg", "lb", "lbs", "pounds", "mg", "ml", "cm", "mm", "bpm", "degrees", "inches", "feet", "on",
        "over", "to", "minutes", "days", "hours", "weeks", "months", "beats", "mmhg", "miles",
    ];
    sign || part || scan.any_word(next, &UNITS).is_some() || scan.number(next).is_some()
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
