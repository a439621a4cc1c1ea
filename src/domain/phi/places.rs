//! Where a person lives or can be written to: addresses, email, the web.

use super::super::text::Span;
use super::super::words::{WordList, entries};
use super::names::title_case;
use super::scan::Scan;

/// Kinds of street.
static STREETS: WordList = WordList::new(|| entries(include_str!("../../../data/phi/streets.txt")));

/// American states and territories.
pub(super) static STATES: WordList = WordList::new(|| entries(include_str!("../../../data/phi/states.txt")));

/// Areas of British postcodes.
static AREAS: WordList = WordList::new(|| entries(include_str!("../../../data/phi/postcode-areas.txt")));

/// `http://...`, `https://...`, `www....`.
pub(super) fn url(scan: Scan<'_>, at: usize) -> Option<Span> {
    let rest = scan.rest(at);
    let scheme = ["https://", "http://", "ftp://", "sftp://", "www."]
        .iter()
        .find(|s| rest.get(..s.len()).is_some_and(|start| start.eq_ignore_ascii_case(s)));
    let Some(scheme) = scheme else { return host(scan, at) };
    let address = rest.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"')).next()?;
    let address = address.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '\'']);
    let host = address.get(scheme.len()..)?;
    host.starts_with(char::is_alphanumeric).then(|| Span::new(at, at + address.len()))
}

/// `example.org/page`: a domain without its scheme, by the endings that are no word.
fn host(scan: Scan<'_>, at: usize) -> Option<Span> {
    if scan.before(at) == Some('@') {
        return None;
    }
    let end = scan.run(at, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))?;
    let (name, top) = scan.slice(at, end).trim_end_matches('.').rsplit_once('.')?;
    let known = TOP_DOMAINS.iter().any(|domain| domain.eq_ignore_ascii_case(top));
    let formed = known && name.contains(|c: char| c.is_ascii_alphabetic()) && scan.char(end) != Some('@');
    let path = scan.run(end, |c| c.is_ascii_alphanumeric() || "/~?=&%_.-#".contains(c));
    let end = path.filter(|_| scan.char(end) == Some('/')).unwrap_or(end);
    let text = scan.slice(at, end).trim_end_matches(['.', '-']);
    formed.then(|| Span::new(at, at + text.len()))
}

const TOP_DOMAINS: [&str; 9] = ["com", "org", "net", "edu", "gov", "info", "biz", "io", "uk"];

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
    let end = street(scan, at).or_else(|| post_box(scan, at)).or_else(|| zip(scan, at)).or_else(|| postcode(scan, at));
    end.map(|end| Span::new(at, end)).or_else(|| announced_zip(scan, at))
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
        let shout = text.len() > 1 && text.bytes().all(|b| b.is_ascii_uppercase());
        let street = STREETS.contains(&text) || shout && STREETS.iter().any(|s| s.eq_ignore_ascii_case(text));
        if word > 0 && street {
            // "Elm Grove Road": the last one is the kind of street.
            found = Some(scan.skip(next, '.'));
        }
        let direction = matches!(text, "N" | "S" | "E" | "W" | "NE" | "NW" | "SE" | "SW");
        if !(title_case(text) || direction || shout) {
            break;
        }
        end = if direction { scan.skip(next, '.') } else { next };
    }
    found
}

fn post_box(scan: Scan<'_>, at: usize) -> Option<usize> {
    let end = scan.word(at, "po").or_else(|| scan.phrase(at, "p o")).or_else(|| scan.word(at, "p.o"))?;
    let end = scan.word(scan.skip_spaces(scan.skip(end, '.')), "box")?;
    scan.run(scan.skip_spaces(end), |c| c.is_ascii_digit())
}

/// `zip code 02139`, `RR 2 Box 14`.
fn announced_zip(scan: Scan<'_>, at: usize) -> Option<Span> {
    if let Some(end) = scan.any_word(at, &["rr", "hc"]) {
        let (_, end) = scan.number(scan.skip_spaces(end))?;
        let (_, end) = scan.number(scan.skip_spaces(scan.word(scan.skip_spaces(end), "box")?))?;
        return Some(Span::new(at, end));
    }
    if !scan.char(at).is_some_and(|c| matches!(c, 'z' | 'Z' | 'p' | 'P')) {
        return None;
    }
    let end = ["zip code", "zipcode", "zip", "postal code", "postcode"].iter().find_map(|p| scan.phrase(at, p))?;
    let start = scan.run(end, |c| matches!(c, ' ' | ':' | '#')).unwrap_or(end);
    let end = scan.run(start, |c| c.is_ascii_digit()).filter(|end| end - start == 5)?;
    let more = (scan.char(end) == Some('-')).then(|| scan.run(end + 1, |c| c.is_ascii_digit())).flatten();
    Some(Span::new(start, more.filter(|more| more - end == 5).unwrap_or(end)))
}

fn zip(scan: Scan<'_>, at: usize) -> Option<usize> {
    let state = scan.letters(at).filter(|end| end - at == 2)?;
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
