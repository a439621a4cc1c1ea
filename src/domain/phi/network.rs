//! What leads to a person on the web and in a network: addresses of machines, names of accounts.

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use super::super::text::Span;
use super::lists::Phrases;
use super::scan::Scan;

static HANDLES: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(include_str!("../../../data/phi/handles.txt")));

/// `192.168.0.12`, `2001:db8::1`.
pub(super) fn ip(scan: Scan<'_>, at: usize) -> Option<Span> {
    let end = scan.run(at, |c| c.is_ascii_hexdigit() || matches!(c, '.' | ':'))?;
    let text = scan.slice(at, end).trim_end_matches(['.', ':']);
    if text.len() < 5 {
        return None;
    }
    if !scan.ends_word(end) && !text.contains("::") {
        return None;
    }
    let host = text.split(':').next().unwrap_or(text);
    let figures = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if host.split('.').count() == 4 && host.split('.').all(figures) {
        return Some(Span::new(at, at + host.len()));
    }
    (text.contains(':') && text.parse::<Ipv6Addr>().is_ok()).then(|| Span::new(at, at + text.len()))
}

/// `00:1A:2B:3C:4D:5E`.
pub(super) fn hardware_address(scan: Scan<'_>, at: usize) -> Option<Span> {
    if scan.char(at + 2) != Some(':') {
        return None;
    }
    let end = scan.run(at, |c| c.is_ascii_hexdigit() || c == ':').filter(|end| end - at == 17)?;
    let formed = scan.slice(at, end).split(':').map(str::len).eq([2; 6]);
    (formed && scan.ends_word(end)).then(|| Span::new(at, end))
}

/// `@maria_g82`, `Instagram: maria_g82`.
pub(super) fn handle(scan: Scan<'_>, at: usize) -> Option<Span> {
    let signed = scan.char(at) == Some('@') || scan.rest(at).starts_with("u/");
    if signed {
        let start = if scan.char(at) == Some('@') { at + 1 } else { at + 2 };
        let end = token(scan, start)?;
        let led = scan.char(start).is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let marked = start == at + 1 || scan.slice(start, end).contains(|c: char| c.is_ascii_digit() || c == '_');
        return (led && marked && end - start >= 3).then(|| Span::new(at, end));
    }
    let (mut end, _) = HANDLES.end(scan, at)?;
    end = scan.any_word(scan.skip_spaces(end), &["name", "handle", "id", "account"]).unwrap_or(end);
    let spaces = scan.skip_spaces(end);
    let colon = scan.run(spaces, |c| matches!(c, ':' | '=')).unwrap_or(spaces);
    let start = scan.skip_spaces(colon);
    let start = scan.word(start, "is").map_or(start, |end| scan.skip_spaces(end));
    if start == end {
        return None;
    }
    let end = token(scan, scan.skip(start, '@'))?;
    let text = scan.slice(start, end);
    let mixed = text.contains(|c: char| c.is_ascii_digit() || matches!(c, '_' | '.' | '@' | ':'));
    let letters = text.contains(|c: char| c.is_ascii_alphabetic());
    (letters && text.len() >= 4 && (mixed || colon > spaces && text.len() >= 5)).then(|| Span::new(start, end))
}

fn token(scan: Scan<'_>, at: usize) -> Option<usize> {
    let end = scan.run(at, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | ':'))?;
    Some(at + scan.slice(at, end).trim_end_matches(['.', '-', ':']).len())
}
