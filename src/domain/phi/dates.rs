//! Dates: in figures, and with the month's name.

use std::sync::LazyLock;

use super::super::text::Span;
use super::lists::Phrases;
use super::scan::Scan;

static MONTHS: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(include_str!("../../../data/phi/months.txt")));

/// Words after which `03/15` is a day and no score.
const ON: [&str; 6] = ["on", "since", "dated", "until", "till", "dob"];

/// `2024-03-01`, `3/1/24`, `01.03.2024`, `10/2020`. One separator throughout, so `2-1/2` and `4-5/10` are none. With `-`
/// or `.` a year of two digits needs two digits everywhere. Month and day alone look like a score (`24/30`, `GDS 03/15`)
/// and like an amount (`3/4`): they are a date only after *on*, *since*, *dated*, *until*, and with a leading zero.
pub(super) fn numeric(scan: Scan<'_>, at: usize) -> Option<Span> {
    // The tail of `4/5/24` or `1.5` is no date of its own.
    if scan.before(at).is_some_and(|c| matches!(c, '/' | '-' | '.' | ',')) && follows_digit(scan, at) {
        return None;
    }
    let (first, first_end) = scan.number(at)?;
    let separator = scan.char(first_end).filter(|c| matches!(c, '/' | '-' | '.'))?;
    let (second, second_end) = scan.number(first_end + 1)?;
    let widths = (first_end - at, second_end - first_end - 1);
    let third = (scan.char(second_end) == Some(separator)).then(|| scan.number(second_end + 1)).flatten();
    let (valid, end) = match third {
        Some((third, end)) => {
            let width = end - second_end - 1;
            let year_first = widths.0 == 4 && year(first) && widths.1 <= 2 && width <= 2 && day_month(third, second);
            let short = widths.0 <= 2 && widths.1 <= 2 && (day_month(first, second) || day_month(second, first));
            let padded =
                separator == '/' || widths == (2, 2) || widths.0 <= 2 && widths.1 <= 2 && is_dated(scan, at, 0);
            (year_first || short && (width == 4 && year(third) || width == 2 && padded), end)
        }
        None if separator != '/' => return None,
        None if widths.1 == 4 => (widths.0 <= 2 && (1..=12).contains(&first) && year(second), second_end),
        None => {
            let zero = [at, first_end + 1].iter().any(|&at| scan.char(at) == Some('0'));
            let date = widths.0 <= 2 && widths.1 == 2 && (day_month(second, first) || day_month(first, second));
            let padded = zero && date && scan.follows(at, &ON);
            let plain = || day_month(second, first) && !is_score(scan, at, second_end) && is_dated(scan, at, second);
            (padded || plain(), second_end)
        }
    };
    let goes_on = scan.char(end).is_some_and(|c| matches!(c, '/' | '-' | '.' | ',' | '%'))
        && scan.char(end + 1).is_some_and(|c| c.is_ascii_digit());
    let time = scan.char(end).is_some_and(|c| matches!(c, 'T' | 't' | 'Z'));
    (valid && !goes_on && (time || scan.ends_word(end))).then(|| Span::new(at, end))
}

/// What happens on a day.
const DATED: [&str; 30] = [
    "on",
    "dated",
    "date",
    "seen",
    "admitted",
    "discharged",
    "visit",
    "scheduled",
    "appointment",
    "appt",
    "due",
    "dob",
    "dos",
    "surgery",
    "since",
    "evaluated",
    "met",
    "returned",
    "follow-up",
    "f/u",
    "started",
    "stopped",
    "clinic",
    "labs",
    "called",
    "presented",
    "until",
    "fell",
    "exam",
    "hospitalized",
];

/// Whether `3/15` is a day: right behind such a word, or near one where it is no common score.
fn is_dated(scan: Scan<'_>, at: usize, second: u32) -> bool {
    // "6/12" is half a year and "3/7" three days in British notes.
    if matches!(second, 7 | 12) {
        return scan.follows(at, &["on", "since", "dated", "dob", "seen", "admitted", "discharged"]);
    }
    scan.follows(at, &DATED) || !matches!(second, 5 | 6 | 10 | 12 | 15 | 24 | 28 | 30) && scan.near(at, &DATED)
}

/// "pain 3/10", "strength 4/5", "on 3/5 of days".
fn is_score(scan: Scan<'_>, at: usize, end: usize) -> bool {
    const SCORES: [&str; 24] = [
        "pain",
        "score",
        "scored",
        "scores",
        "scale",
        "strength",
        "power",
        "motor",
        "reflexes",
        "pulses",
        "murmur",
        "mmse",
        "moca",
        "gds",
        "recall",
        "apgar",
        "items",
        "points",
        "correct",
        "rated",
        "rates",
        "grade",
        "level",
        "orientation",
    ];
    scan.near(at, &SCORES)
        || scan.any_word(scan.skip_spaces(end), &["of", "pain", "strength", "points", "murmur"]).is_some()
}

fn follows_digit(scan: Scan<'_>, at: usize) -> bool {
    scan.before(at.saturating_sub(1)).is_some_and(|c| c.is_ascii_digit())
}

fn day_month(day: u32, month: u32) -> bool {
    (1..=31).contains(&day) && (1..=12).contains(&month)
}

fn year(number: u32) -> bool {
    (1900..=2099).contains(&number)
}

/// `March 3rd, 2024`, `3 Mar 2024`, `the 3rd of July`, and, because the safe harbour keeps nothing but the year,
/// `March 2024`. A month alone is none. Month names need their capital where no year follows: "may 2 tablets".
pub(super) fn named_month(scan: Scan<'_>, at: usize) -> Option<Span> {
    let end =
        if scan.char(at).is_some_and(|c| c.is_ascii_digit()) { day_first(scan, at)? } else { month_first(scan, at)? };
    Some(Span::new(at, end))
}

fn day_first(scan: Scan<'_>, at: usize) -> Option<usize> {
    if scan.before(at).is_some_and(|c| matches!(c, '/' | '-' | '.' | ',')) && follows_digit(scan, at) {
        return None;
    }
    if let Some(end) = run_together(scan, at) {
        return Some(end);
    }
    let mut month_at = gap(scan, day(scan, at)?)?;
    if let Some(of) = scan.word(month_at, "of") {
        month_at = gap(scan, of)?;
    }
    let end = month(scan, month_at)?;
    match year_after(scan, end) {
        Some(end) => Some(end),
        None => capital(scan, month_at).then_some(end).filter(|&end| scan.ends_word(end)),
    }
}

/// `05MAR2021`.
fn run_together(scan: Scan<'_>, at: usize) -> Option<usize> {
    let (_, day) = scan.number(at).filter(|(day, end)| (1..=31).contains(day) && end - at <= 2)?;
    let letters = scan.run(day, |c| c.is_ascii_alphabetic()).filter(|end| end - day >= 3)?;
    let named = MONTHS.has(scan.slice(day, letters));
    let (_, end) = scan.number(letters).filter(|(value, end)| end - letters == 4 && year(*value))?;
    (named && scan.ends_word(end)).then_some(end)
}

fn month_first(scan: Scan<'_>, at: usize) -> Option<usize> {
    let month_end = month(scan, at)?;
    if let Some(end) = year_after(scan, month_end) {
        return Some(end);
    }
    let end = day(scan, gap(scan, month_end)?)?;
    match year_after(scan, end) {
        Some(end) => Some(end),
        None => {
            let amount = scan.char(end).is_some_and(|c| matches!(c, '/' | '%' | ':'))
                || matches!(scan.char(end), Some('.' | ',')) && scan.char(end + 1).is_some_and(|c| c.is_ascii_digit());
            (capital(scan, at) && !amount).then_some(end)
        }
    }
}

/// The end of a month's name.
fn month(scan: Scan<'_>, at: usize) -> Option<usize> {
    MONTHS.end(scan, at).map(|(end, _)| end)
}

/// The end of a day with or without its ordinal ending.
fn day(scan: Scan<'_>, at: usize) -> Option<usize> {
    let (value, end) = scan.number(at)?;
    if !(1..=31).contains(&value) || end - at > 2 {
        return None;
    }
    scan.any_word(end, &["st", "nd", "rd", "th"]).or_else(|| scan.ends_word(end).then_some(end))
}

/// The end of what may part day, month and year: one hyphen, or spaces with or without a stop.
fn gap(scan: Scan<'_>, at: usize) -> Option<usize> {
    let stop = scan.skip(at, '.');
    let end = scan.skip_spaces(stop);
    if end > stop { Some(end) } else { (stop == at && scan.char(at) == Some('-')).then_some(at + 1) }
}

/// The end of a year of four digits after `, `, ` of ` or a gap; after a hyphen two digits will do (`3-Mar-24`).
fn year_after(scan: Scan<'_>, at: usize) -> Option<usize> {
    let mut start = gap(scan, scan.skip(at, ','))?;
    if let Some(of) = scan.word(start, "of") {
        start = gap(scan, of)?;
    }
    let (value, end) = scan.number(start)?;
    let written = match end - start {
        4 => year(value),
        2 => scan.char(at) == Some('-'),
        _ => false,
    };
    (written && scan.ends_word(end)).then_some(end)
}

fn capital(scan: Scan<'_>, at: usize) -> bool {
    scan.char(at).is_some_and(char::is_uppercase)
}
