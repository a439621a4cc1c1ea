//! Towns: by a state behind them, by words of living and moving before them, by a list.

use std::sync::LazyLock;

use super::super::text::Span;
use super::lists::{Phrases, Words};

use super::scan::Scan;
use super::vocabulary::{
    STATE_NAMES, STATES, is_eponym, is_kind, is_led_astray, is_no_name, is_no_place, is_plain_word, starts, title_case,
};

static TOWNS: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(include_str!("../../../data/phi/towns.txt")));
static LIVES_IN: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/lives-in.txt")));
/// "drove", "cabin": with "to" or "near" behind them they announce a town.
static MOVES: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/moves.txt")));
static LOCALITIES: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/localities.txt")));

/// Endings that few other words have.
const ENDINGS: [&str; 7] = ["ville", "burg", "burgh", "boro", "borough", "polis", "haven"];

/// `Springfield, IL`, "lives in Eastport", "a cabin near Eastport", "near Boston", "a Boston native". States and countries
/// are no identifiers.
pub(super) fn town(scan: Scan<'_>, at: usize) -> Option<Span> {
    let (first, end) = place(scan, at)?;
    let word = scan.slice(at, first);
    if is_no_name(word, false) {
        return None;
    }
    if let Some(state) = in_state(scan, end) {
        return Some(Span::new(at, state));
    }
    let no_place = is_no_place(scan, at, word);
    if LIVES_IN.before(scan, at) && !no_place {
        return Some(Span::new(at, bare_state(scan, end).unwrap_or(end)));
    }
    if !no_place && usual(scan, word, end) && is_called_home(scan, at, end) {
        return Some(Span::new(at, end));
    }
    if !no_place && let Some(end) = local(scan, at, end) {
        return Some(Span::new(at, end));
    }
    let is_listed = || TOWNS.end(scan, at).is_some_and(|(listed, _)| listed == end);
    if !no_place
        && let Some(state) = bare_state(scan, end)
        && (is_listed() || local(scan, at, state).is_some())
    {
        return Some(Span::new(at, state));
    }
    let before = scan.last_word(at);
    let near =
        ["in", "from", "to", "near", "outside", "around", "toward", "towards", "through", "via", "into", "beyond"];
    let near = near.contains(&before);
    if near && !no_place && usual(scan, word, end) && !is_led_astray(scan, at) {
        if let Some(state) = bare_state(scan, end) {
            return Some(Span::new(at, state));
        }
        let ending = word.len() > 6 && ENDINGS.iter().any(|ending| word.ends_with(ending));
        if ending || scan.any_near(at, |word| MOVES.has(word)) {
            return Some(Span::new(at, end));
        }
    }
    if !near && !scan.follows(at, &["at", "of", "left", "in", "from", "to", "near", "outside", "around"]) {
        return None;
    }
    let (listed, _) = TOWNS.end(scan, at)?;
    let goes_on = scan.char(scan.skip_spaces(listed)).is_some_and(char::is_uppercase) && listed == end;
    (!goes_on && end <= listed && !is_eponym(scan, listed)).then(|| Span::new(at, listed))
}

fn usual(scan: Scan<'_>, word: &str, end: usize) -> bool {
    !is_kind(word) && !is_plain_word(word) && !is_eponym(scan, end)
}

/// "calls Tulsa home", "Tulsa, where she was born".
fn is_called_home(scan: Scan<'_>, at: usize, end: usize) -> bool {
    let home = scan.word(scan.skip_spaces(end), "home").is_some();
    let lived = ["where he", "where she", "where they", "where his", "where her", "where their"];
    let comma = scan.skip(end, ',');
    let where_from = ["is where", "was where"].iter().any(|words| scan.phrase(scan.skip_spaces(end), words).is_some());
    ["calls", "called", "call"].contains(&scan.last_word(at)) && home
        || where_from
        || comma > end && lived.iter().any(|words| scan.phrase(scan.skip_spaces(comma), words).is_some())
}

/// The end of `Boston` in "a Boston native", of `Lake County`. A heading has capitals everywhere, so "Affected Area" is none.
fn local(scan: Scan<'_>, at: usize, end: usize) -> Option<usize> {
    let start = scan.skip_spaces(scan.skip(end, '-'));
    let next = scan.letters(start).filter(|_| start > end)?;
    let word = scan.slice(start, next);
    if !LOCALITIES.has(word) || scan.slice(at, end).split(' ').any(|word| is_kind(word) || is_plain_word(word)) {
        return None;
    }
    let county = matches!(word, "County" | "Parish" | "Township" | "Borough");
    let own = scan.slice(at, end).split(' ').next_back().is_some_and(|word| STATES.contains(&word));
    let whole =
        word.chars().all(char::is_lowercase) || word.chars().all(char::is_uppercase) || title_case(word) && county;
    let listed = || TOWNS.end(scan, at).is_some_and(|(listed, _)| listed == end);
    (whole && (own || !starts(scan, at) || listed())).then_some(if county { next } else { end })
}

/// The end of a state's code or name right behind a town: `Tulsa OK`, `Tulsa Oklahoma`, `Tulsa in Oklahoma`.
fn bare_state(scan: Scan<'_>, end: usize) -> Option<usize> {
    let start = scan.skip_spaces(end);
    let start = scan.word(start, "in").map_or(start, |end| scan.skip_spaces(end));
    if start == end || !scan.char(start).is_some_and(char::is_uppercase) {
        return None;
    }
    let code = scan.letters(start).filter(|&end| STATES.contains(&scan.slice(start, end)));
    let state = code.or_else(|| STATE_NAMES.end(scan, start).map(|(end, _)| end))?;
    let zip = scan.char(scan.skip_spaces(state)).is_some_and(|c| c.is_ascii_digit());
    Some(if zip { end } else { state })
}

/// The end of the first word and of all words of a name of one to three, `St. Louis` and `Cedar Falls`.
pub(super) fn place(scan: Scan<'_>, at: usize) -> Option<(usize, usize)> {
    let mut first = None;
    let mut end = at;
    let mut start = at;
    for count in 0..3 {
        let Some(next) = scan.run(start, |c| c.is_alphabetic() || c == '-' || c == '\'') else { break };
        let word = scan.slice(start, next);
        if !title_case(word)
            || !scan.ends_word(next)
            || word.contains("'s")
            || word.chars().nth(1).is_some_and(char::is_uppercase)
            || count > 0 && (LOCALITIES.has(word) || STATE_NAMES.end(scan, start).is_some())
        {
            break;
        }
        first = first.or(Some(next));
        end = next;
        let saint = matches!(word, "St" | "Ste" | "Ft" | "Mt");
        let stop = if saint { scan.skip(next, '.') } else { next };
        start = scan.skip_spaces(stop);
        if start == stop {
            break;
        }
    }
    Some((first?, end))
}

/// The end of the state after a comma; the town alone where a ZIP code follows, which is found by itself.
fn in_state(scan: Scan<'_>, end: usize) -> Option<usize> {
    let comma = scan.skip(end, ',');
    let start = scan.skip_spaces(comma);
    if comma == end || start == comma {
        return None;
    }
    let code = scan.letters(start).filter(|&end| STATES.contains(&scan.slice(start, end)));
    let state = code.or_else(|| {
        let capital = scan.char(start).is_some_and(char::is_uppercase);
        STATE_NAMES.end(scan, start).filter(|_| capital).map(|(end, _)| end)
    })?;
    let zip = scan.char(scan.skip_spaces(state)).is_some_and(|c| c.is_ascii_digit());
    Some(if zip { end } else { state })
}
