//! What leads to a person on the web and in a network: email, addresses of pages and machines, names of accounts.

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use super::super::text::Span;
use super::lists::{Phrases, Words};
use super::scan::Scan;
use super::vocabulary::{is_first_name, is_listed_name, is_strong_first_name};

static HANDLES: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(include_str!("../../../data/phi/handles.txt")));

/// The same, one word each.
static SITES: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/handles.txt")));

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
    announced(scan, at).or_else(|| near_a_site(scan, at))
}

/// `Instagram: maria_g82`, "goes by maria_g82", "username mariagarcia".
fn announced(scan: Scan<'_>, at: usize) -> Option<Span> {
    const FILLERS: [&str; 17] = [
        "name", "handle", "id", "account", "profile", "user", "username", "page", "is", "was", "as", "at", "under",
        "the", "her", "his", "on",
    ];
    let (mut end, plain) = HANDLES.end(scan, at)?;
    let mut colon = false;
    for _ in 0..4 {
        let next = scan.run(end, |c| matches!(c, ' ' | ':' | '=' | '(' | ',' | '"' | '\'')).unwrap_or(end);
        colon |= scan.slice(end, next).contains([':', '=']);
        let Some(word) = scan.any_word(next, &FILLERS).filter(|_| next > end) else {
            if next == end {
                return None;
            }
            end = next;
            break;
        };
        end = word;
    }
    let start = end;
    if url(scan, start).is_some() || email(scan, start).is_some() {
        return None;
    }
    let end = token(scan, scan.skip(start, '@'))?;
    let text = scan.slice(start, end);
    let letters = text.contains(|c: char| c.is_ascii_lowercase());
    let long = plain && (colon && text.len() >= 5 || is_joined_name(text)) || is_full_name(text);
    (letters && text.len() >= 4 && (is_mixed(text) || long)).then(|| Span::new(start, end))
}

/// `maria_g82` a few words before or behind "Instagram", "portal", "user name"; with figures and `_` anywhere.
fn near_a_site(scan: Scan<'_>, at: usize) -> Option<Span> {
    if !scan.char(at)?.is_ascii_lowercase() || matches!(scan.before(at), Some('@' | '.' | '-' | '/')) {
        return None;
    }
    let end = token(scan, at)?;
    let text = scan.slice(at, end);
    // Most words have letters alone.
    if text.bytes().all(|b| b.is_ascii_alphabetic())
        || text.len() < 6
        || !is_mixed(text)
        || scan.char(end) == Some('@')
        || scan.char(end) == Some('/')
    {
        return None;
    }
    let figures = text.bytes().filter(u8::is_ascii_digit).count();
    let figured = text.contains('_') && figures > 1
        || text.split(['_', '.']).next().is_some_and(|first| first.len() < text.len() && is_strong_first_name(first))
        || figures > 0 && is_joined_name(text.trim_end_matches(|c: char| c.is_ascii_digit()))
        || figures > 1 && scan.last_word(at) == "as";
    let behind = || {
        let mut next = end;
        (0..4).any(|_| {
            next = scan.run(next, |c| matches!(c, ' ' | ',' | '(' | ')' | '"' | '\'')).unwrap_or(next);
            let told = HANDLES.end(scan, next).is_some();
            next = scan.letters(next).unwrap_or(next);
            told
        })
    };
    (figured || scan.any_near(at, |word| SITES.has(word)) || behind()).then(|| Span::new(at, end))
}

/// Letters with figures, `_` or an inner stop, as no word and no measured value has them: `maria.g`, not `2.5`.
fn is_mixed(text: &str) -> bool {
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    let mut parts = text.split(['.', '-']);
    let named = parts.clone().next().is_some_and(is_first_name);
    let parted = parts.clone().count() == 2 && parts.all(|part| part.len() > 1) && (named || text.contains('.'));
    letters >= 3 && (text.contains(|c: char| c.is_ascii_digit() || matches!(c, '_' | '@' | ':')) || parted)
}

/// `mariagarcia`, `garciamaria`: two names of the lists in small letters.
fn is_full_name(text: &str) -> bool {
    let lower = text.len() >= 8 && text.bytes().all(|b| b.is_ascii_lowercase());
    let halves = |end: usize| text.get(..end).zip(text.get(end..));
    lower && (3..=text.len() - 3).any(|end| halves(end).is_some_and(|(a, b)| is_listed_name(a) && is_listed_name(b)))
}

/// `mariagarcia`: a first name in small letters and something behind it.
fn is_joined_name(text: &str) -> bool {
    let lower = text.len() >= 7 && text.bytes().all(|b| b.is_ascii_lowercase());
    let least = if text.len() < 9 { 4 } else { 3 };
    lower && (least..=text.len() - 3).any(|end| text.get(..end).is_some_and(is_first_name))
}

fn token(scan: Scan<'_>, at: usize) -> Option<usize> {
    let end = scan.run(at, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | ':'))?;
    Some(at + scan.slice(at, end).trim_end_matches(['.', '-', ':']).len())
}
