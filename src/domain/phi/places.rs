//! Where a person lives or can be written to: addresses, email, the web.

use super::super::text::Span;
use super::super::words::{WordList, entries};
use super::names::title_case;
use super::scan::Scan;

/// Kinds of street.
static STREETS: WordList = WordList::new(|| entries(include_str!("../../../data/phi/streets.txt")));

/// American states and territories.
static STATES: WordList = WordList::new(|| entries(include_str!("../../../data/phi/states.txt")));

/// Areas of British postcodes.
static AREAS: WordList = WordList::new(|| entries(include_str!("../../../data/phi/postcode-areas.txt")));

/// `http://...`, `https://...`, `www....`.
pub(super) fn url(scan: Scan<'_>, at: usize) -> Option<Span> {
    let rest = scan.rest(at);
    let scheme = ["https://", "http://", "www."]
        .iter()
        .find(|s| rest.get(..s.len()).is_some_and(|start| start.eq_ignore_ascii_case(s)))?;
    let address = rest.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"')).next()?;
    let address = address.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '\'']);
    let host = address.get(scheme.len()..)?;
    host.starts_with(char::is_alphanumeric).then(|| Span::new(at, at + address.len()))
}

/// `someone@somewhere.org`.
pub(super) fn email(scan: Scan<'_>, at: usize) -> Option<Span> {
    let domain = scan.run(at, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-'))?;
    if scan.char(domain) != Some('@') {
        return None;
    }
    let end = scan.run(domain + 1, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))?;
    let host = scan.slice(domain + 1, end).trim_end_matches(['.', '-']);
    let (_, top) = host.rsplit_once('.')?;
    (top.len() >= 2 && top.bytes().all(|b| b.is_ascii_alphabetic())).then(|| Span::new(at, domain + 1 + host.len()))
}

/// `12 Mill Lane`, `P.O. Box 12`, `MA 02139`, `SW1A 1AA`.
pub(super) fn address(scan: Scan<'_>, at: usize) -> Option<Span> {
    let end =
        street(scan, at).or_else(|| post_box(scan, at)).or_else(|| zip(scan, at)).or_else(|| postcode(scan, at))?;
    Some(Span::new(at, end))
}

fn street(scan: Scan<'_>, at: usize) -> Option<usize> {
    if scan.before(at).is_some_and(|c| matches!(c, '.' | '/' | '-' | ',')) {
        return None;
    }
    let (_, number) = scan.number(at).filter(|(_, end)| end - at <= 5)?;
    let number = scan.run(number, |c| c.is_ascii_alphabetic()).filter(|end| end - number == 1).unwrap_or(number);
    let mut end = number;
    let mut found = None;
    // Direction, one to three words of name, and the kind of street.
    for word in 0..5 {
        let start = scan.skip_spaces(end);
        let Some(next) = scan.letters(start).filter(|_| start > end) else { break };
        let text = scan.slice(start, next);
        if word > 0 && STREETS.contains(&text) {
            // "Elm Grove Road": the last one is the kind of street.
            found = Some(scan.skip(next, '.'));
        }
        let direction = matches!(text, "N" | "S" | "E" | "W" | "NE" | "NW" | "SE" | "SW");
        if !(title_case(text) || direction) {
            break;
        }
        end = if direction { scan.skip(next, '.') } else { next };
    }
    found
}

fn post_box(scan: Scan<'_>, at: usize) -> Option<usize> {
    let end = scan.word(at, "po").or_else(|| scan.word(at, "p.o").map(|end| scan.skip(end, '.')))?;
    let end = scan.word(scan.skip_spaces(end), "box")?;
    scan.run(scan.skip_spaces(end), |c| c.is_ascii_digit())
}

fn zip(scan: Scan<'_>, at: usize) -> Option<usize> {
    let state = scan.letters(at)?;
    let start = scan.skip_spaces(state);
    if start == state || !STATES.contains(&scan.slice(at, state)) {
        return None;
    }
    let end = scan.run(start, |c| c.is_ascii_digit()).filter(|end| end - start == 5)?;
    let more = (scan.char(end) == Some('-')).then(|| scan.run(end + 1, |c| c.is_ascii_digit())).flatten();
    let end = more.filter(|more| more - end == 5).unwrap_or(end);
    scan.ends_word(end).then_some(end)
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
