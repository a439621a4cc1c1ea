//! Where a person lives: streets, boxes, ZIP codes and postcodes.

use std::sync::LazyLock;

use super::super::text::Span;
use super::super::words::{WordList, entries};
use super::lists::Phrases;
use super::scan::Scan;
use super::vocabulary::{STATE_NAMES, STATES, is_no_name, is_plain_word, title_case};

/// Kinds of street.
static STREETS: WordList = WordList::new(|| entries(include_str!("../../../data/phi/streets.txt")));

/// Areas of British postcodes.
static AREAS: WordList = WordList::new(|| entries(include_str!("../../../data/phi/postcode-areas.txt")));

/// `County Road`, `Apt`: roads and dwellings that have a number.
static NUMBERED: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(include_str!("../../../data/phi/roads.txt")));

/// `12 Mill Lane`, "lives on Mill Lane", `Route 9`, `P.O. Box 12`, `MA 02139`, `SW1A 1AA`.
pub(super) fn address(scan: Scan<'_>, at: usize) -> Option<Span> {
    let end = street(scan, at)
        .or_else(|| named_street(scan, at))
        .or_else(|| numbered_road(scan, at))
        .or_else(|| post_box(scan, at))
        .or_else(|| zip(scan, at))
        .or_else(|| postcode(scan, at))
        .or_else(|| canadian(scan, at));
    end.map(|end| Span::new(at, end)).or_else(|| announced_zip(scan, at))
}

/// Words that say that somebody lives behind "at", or that an address follows.
const HOMES: [&str; 22] = [
    "lives",
    "live",
    "lived",
    "living",
    "resides",
    "resided",
    "residing",
    "stays",
    "staying",
    "home",
    "house",
    "apartment",
    "address",
    "located",
    "residence",
    "mail",
    "mailing",
    "moved",
    "dwelling",
    "delivered",
    "condo",
    "property",
];

/// Kinds of street that are written small as well, and that need no number before them.
const PLAIN: [&str; 9] = ["street", "avenue", "road", "lane", "drive", "boulevard", "highway", "parkway", "turnpike"];
const SHORT: [&str; 9] = ["St", "Ave", "Rd", "Ln", "Dr", "Blvd", "Hwy", "Pkwy", "Tpke"];

/// `12 Mill Lane`, `221B Baker St.`, `45 5th Avenue`, `lives at 12 mill street`, `resides at 12 Mill`.
fn street(scan: Scan<'_>, at: usize) -> Option<usize> {
    if scan.before(at).is_some_and(|c| matches!(c, '.' | '/' | '-' | ',')) {
        return None;
    }
    let (_, first) = scan.number(at).filter(|(_, end)| end - at <= 5)?;
    if scan.any_word(first, &ORDINALS).is_some() {
        return ordinal(scan, at)
            .filter(|&end| is_kind(scan, end, &["St", "Rd", "Ave"]))
            .and_then(|end| kind_end(scan, end));
    }
    let second = scan.skip(first, '-');
    let number = scan.number(second).filter(|_| second > first).map_or(first, |(_, end)| end);
    let number = scan.run(number, |c| c.is_ascii_alphabetic()).filter(|end| end - number == 1).unwrap_or(number);
    let at_home = scan.near(at, &HOMES) && matches!(scan.last_word(at), "at" | "to" | "is" | "address" | "of")
        || scan.follows(at, &["address"]);
    let mut end = scan.phrase(scan.skip_spaces(number), "block of").unwrap_or(number);
    let (mut found, mut named) = (None, None);
    // Direction, one to three words of name, and the kind of street.
    for word in 0..5 {
        let start = scan.skip_spaces(end);
        let letters = |c: char| c.is_alphabetic() || matches!(c, '\'' | '’' | '-');
        let Some(next) = ordinal(scan, start).or_else(|| scan.run(start, letters)).filter(|_| start > end) else {
            break;
        };
        let text = scan.slice(start, next);
        let shout = text.len() > 1 && text.bytes().all(|b| b.is_ascii_uppercase());
        let small = (named.is_some() || at_home) && PLAIN.contains(&text);
        let street = STREETS.contains(&text) || small || shout && STREETS.iter().any(|s| s.eq_ignore_ascii_case(text));
        if word > 0 && street && (at_home || text != "Dr" || !begins_name(scan, next)) {
            // "Elm Grove Road": the last one is the kind of street.
            found = Some(scan.skip(next, '.'));
        }
        let direction = matches!(text, "N" | "S" | "E" | "W" | "NE" | "NW" | "SE" | "SW");
        let written = title_case(text) || direction || shout || text.starts_with(|c: char| c.is_ascii_digit());
        if !(written || at_home && word < 2 && found.is_none()) {
            break;
        }
        if title_case(text) && !is_plain_word(text) {
            named = Some(next);
        }
        end = if direction { scan.skip(next, '.') } else { next };
    }
    found.or(named.filter(|_| at_home))
}

const ORDINALS: [&str; 4] = ["st", "nd", "rd", "th"];

/// The end of `5th`.
fn ordinal(scan: Scan<'_>, at: usize) -> Option<usize> {
    let (_, end) = scan.number(at)?;
    scan.any_word(end, &ORDINALS)
}

/// "12 Elm Dr Smith said": a title, and no drive.
fn begins_name(scan: Scan<'_>, at: usize) -> bool {
    scan.char(scan.skip_spaces(scan.skip(at, '.'))).is_some_and(char::is_uppercase)
}

/// Those that are something else as well: only behind "on", "off", "along" and "end of".
const ELSE: [&str; 14] = [
    "Court", "Ct", "Way", "Place", "Pl", "Circle", "Cir", "Terrace", "Trail", "Loop", "Square", "Crescent", "Alley",
    "Row",
];

/// Whether a kind of street that needs no number stands behind `at`.
fn is_kind(scan: Scan<'_>, at: usize, short: &[&str]) -> bool {
    let start = scan.skip_spaces(at);
    let Some(end) = scan.letters(start).filter(|_| start > at) else { return false };
    let text = scan.slice(start, end);
    let long = PLAIN.iter().any(|kind| kind.eq_ignore_ascii_case(text)) && title_case(text);
    long || short.contains(&text) && !(text == "Dr" && begins_name(scan, end))
}

fn kind_end(scan: Scan<'_>, at: usize) -> Option<usize> {
    scan.letters(scan.skip_spaces(at)).map(|end| scan.skip(end, '.'))
}

/// "lives on Mill Lane", "the corner of Mill and High".
fn named_street(scan: Scan<'_>, at: usize) -> Option<usize> {
    if !scan.char(at)?.is_uppercase() {
        return None;
    }
    const BEFORE: [&str; 18] = [
        "on", "off", "along", "down", "at", "of", "near", "from", "to", "across", "past", "between", "onto", "up",
        "around", "behind", "opposite", "via",
    ];
    let before = scan.last_word(at);
    let told = || before == "is" && scan.near(at, &["street", "address", "road"]);
    if !BEFORE.contains(&before) && !told() && !scan.follows(at, &["street", "address"]) {
        return None;
    }
    let mut end = at;
    for _ in 0..4 {
        let start = scan.skip_spaces(end);
        let next = scan.letters(start).filter(|_| start > end || end == at)?;
        if !title_case(scan.slice(start, next)) || end == at && is_no_name(scan.slice(start, next), false) {
            return None;
        }
        let along = matches!(before, "on" | "off" | "along" | "down") || scan.near(at, &["end"]);
        if is_kind(scan, next, &SHORT) || along && is_kind(scan, next, &ELSE) {
            return kind_end(scan, next);
        }
        let and = scan.skip_spaces(next);
        let crossing = scan.word(and, "and").or((scan.char(and) == Some('&')).then_some(and + 1));
        if scan.near(
            at,
            &["corner", "intersection", "junction", "crossing", "stop", "light", "lights", "store", "between"],
        ) && let Some(and) = crossing
        {
            let other = scan.skip_spaces(and);
            let words = |at: usize| scan.letters(at).filter(|&end| title_case(scan.slice(at, end)));
            let first = words(other)?;
            return words(scan.skip_spaces(first)).or(Some(first));
        }
        end = next;
    }
    None
}

/// `County Road 14`, `Route 9`, `Apt 4B`; with `!` in the list nothing else has such a number.
fn numbered_road(scan: Scan<'_>, at: usize) -> Option<usize> {
    let (end, sure) = NUMBERED.end(scan, at)?;
    let start = scan.run(end, |c| matches!(c, ' ' | '.' | '#' | ':')).filter(|&start| start > end)?;
    let start = scan.word(start, "no").map_or(start, |end| scan.skip_spaces(scan.skip(end, '.')));
    let end = scan.run(start, |c| c.is_ascii_alphanumeric() || c == '-').filter(|end| end - start <= 6)?;
    let formed = scan.slice(start, end).bytes().filter(u8::is_ascii_digit).count() > 0;
    let capital = scan.char(at).is_some_and(char::is_uppercase);
    let told = sure && (capital || scan.rest(at).starts_with("ap")) || scan.near(at, &HOMES);
    let end = scan
        .word(scan.skip_spaces(end), "box")
        .and_then(|end| Some(scan.number(scan.skip_spaces(end))?.1))
        .unwrap_or(end);
    (formed && told && scan.ends_word(end)).then_some(end)
}

/// `P.O. Box 12`, `RR 2 Box 14`.
fn post_box(scan: Scan<'_>, at: usize) -> Option<usize> {
    if let Some(end) = scan.any_word(at, &["rr", "hc"]) {
        let (_, end) = scan.number(scan.skip_spaces(end))?;
        let (_, end) = scan.number(scan.skip_spaces(scan.word(scan.skip_spaces(end), "box")?))?;
        return Some(end);
    }
    let office = scan.word(at, "po").or_else(|| scan.phrase(at, "p o")).or_else(|| scan.word(at, "p.o"));
    let office = office.or_else(|| scan.phrase(at, "post office")).map(|end| scan.skip_spaces(scan.skip(end, '.')));
    let lone = || scan.rest(at).starts_with("Box") && scan.near(at, &HOMES);
    let end = scan.word(office.or_else(|| lone().then_some(at))?, "box")?;
    scan.run(scan.run(end, |c| matches!(c, ' ' | '#')).unwrap_or(end), |c| c.is_ascii_digit())
}

/// `zip code 02139`, `her ZIP is 02139`.
fn announced_zip(scan: Scan<'_>, at: usize) -> Option<Span> {
    if !scan.char(at).is_some_and(|c| matches!(c, 'z' | 'Z' | 'p' | 'P')) {
        return None;
    }
    let end = ["zip code", "zipcode", "zip", "postal code", "postcode", "post code"]
        .iter()
        .find_map(|p| scan.phrase(at, p))?;
    let mut start = end;
    for _ in 0..4 {
        start = scan.run(start, |c| matches!(c, ' ' | ':' | '#' | ',' | '(' | '=' | '"')).unwrap_or(start);
        match scan.any_word(start, &["is", "was", "of", "code", "listed", "as", "now", "reads", "no", "number"]) {
            Some(word) => start = word,
            None => break,
        }
    }
    if let Some(end) = five(scan, start) {
        return Some(Span::new(start, end));
    }
    let part = |at: usize| scan.run(at, |c| c.is_ascii_uppercase() || c.is_ascii_digit()).filter(|end| end - at <= 7);
    let end = part(start)?;
    let end = part(scan.skip_spaces(end)).unwrap_or(end);
    let text = scan.slice(start, end);
    let formed = (5..=8).contains(&text.len()) && text.contains(|c: char| c.is_ascii_digit());
    (formed && text.contains(|c: char| c.is_ascii_alphabetic()) && scan.ends_word(end)).then(|| Span::new(start, end))
}

/// The end of five digits, and of four more behind a hyphen.
fn five(scan: Scan<'_>, at: usize) -> Option<usize> {
    let end = scan.run(at, |c| c.is_ascii_digit()).filter(|end| end - at == 5)?;
    let more = (scan.char(end) == Some('-')).then(|| scan.run(end + 1, |c| c.is_ascii_digit())).flatten();
    let end = more.filter(|more| more - end == 5).unwrap_or(end);
    scan.ends_word(end).then_some(end)
}

/// `MA 02139`, `Massachusetts 02139`.
fn zip(scan: Scan<'_>, at: usize) -> Option<usize> {
    if !scan.char(at)?.is_uppercase() {
        return None;
    }
    let code = scan.letters(at).filter(|&end| end - at == 2 && STATES.contains(&scan.slice(at, end)));
    let state = code.or_else(|| STATE_NAMES.end(scan, at).map(|(end, _)| end))?;
    let start = scan.skip_spaces(scan.skip(state, ','));
    five(scan, start).filter(|_| start > state)
}

/// `K1A 0B1`.
fn canadian(scan: Scan<'_>, at: usize) -> Option<usize> {
    let end = at + 7;
    let signs = scan.slice(at, end).as_bytes();
    let [a, b, c, b' ', d, e, f] = signs else { return None };
    let letters = [a, c, e].iter().all(|sign| sign.is_ascii_uppercase());
    (letters && [b, d, f].iter().all(|sign| sign.is_ascii_digit()) && scan.ends_word(end)).then_some(end)
}

/// Outward and inward code with their space, upper case: `L4 5` of a spine and `B12 1` of a vitamin lack the two letters
/// of the inward code, which are never C, I, K, M, O or V: so `8AM` and `5MG` are none.
fn postcode(scan: Scan<'_>, at: usize) -> Option<usize> {
    let area = scan.run(at, |c| c.is_ascii_uppercase())?;
    if !AREAS.contains(&scan.slice(at, area)) {
        return None;
    }
    let district = scan.run(area, |c| c.is_ascii_digit()).filter(|end| end - area <= 2)?;
    let outward = scan.run(district, |c| c.is_ascii_uppercase()).filter(|end| end - district == 1).unwrap_or(district);
    if scan.char(outward) != Some(' ') {
        return None;
    }
    let end = outward + 4;
    let inward = scan.slice(outward + 1, end).as_bytes();
    let formed = matches!(inward, [b'0'..=b'9', a, b] if [a, b].iter().all(|c| c.is_ascii_uppercase() && !b"CIKMOV".contains(c)));
    (formed && scan.ends_word(end)).then_some(end)
}
