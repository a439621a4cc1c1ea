//! Towns, and hospitals and other places of care by their names.

use std::sync::LazyLock;

use super::super::text::Span;
use super::lists::{Phrases, Words};
use super::names::{is_no_name, title_case};
use super::places::STATES;
use super::scan::Scan;

static STATE_NAMES: LazyLock<Phrases> =
    LazyLock::new(|| Phrases::new(include_str!("../../../data/phi/state-names.txt")));
static TOWNS: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(include_str!("../../../data/phi/towns.txt")));
static LIVES_IN: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/lives-in.txt")));
static NO_PLACES: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/no-places.txt")));
static FACILITIES: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(include_str!("../../../data/phi/facilities.txt")));
/// "General", "Memory": they make no name of a hospital or clinic.
static KINDS: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/facility-words.txt")));

/// `Springfield, IL`, "lives in Eastport", "near Boston". States and countries are no identifiers.
pub(super) fn town(scan: Scan<'_>, at: usize) -> Option<Span> {
    let (first, end) = place(scan, at)?;
    let word = scan.slice(at, first);
    if is_no_name(word, false) {
        return None;
    }
    if let Some(state) = in_state(scan, end) {
        return Some(Span::new(at, state));
    }
    let told = LIVES_IN.before(scan, at);
    if told && !NO_PLACES.has(word) && STATE_NAMES.end(scan, at).is_none() {
        let state = scan.skip_spaces(first);
        let code = scan.letters(state).filter(|&end| STATES.contains(&scan.slice(state, end)));
        return Some(Span::new(at, code.unwrap_or(end)));
    }
    let (listed, _) = TOWNS.end(scan, at)?;
    let goes_on = scan.char(scan.skip_spaces(listed)).is_some_and(char::is_uppercase) && listed == end;
    let near = ["in", "from", "to", "near", "at", "of", "outside", "around", "toward", "towards", "through", "left"];
    (!goes_on && end <= listed && scan.follows(at, &near)).then(|| Span::new(at, listed))
}

/// The end of the first word and of all words of a name of one to three, `St. Louis` and `Cedar Falls`.
fn place(scan: Scan<'_>, at: usize) -> Option<(usize, usize)> {
    let mut first = None;
    let mut end = at;
    let mut start = at;
    for _ in 0..3 {
        let Some(next) = scan.run(start, |c| c.is_alphabetic() || c == '-' || c == '\'') else { break };
        let word = scan.slice(start, next);
        if !title_case(word)
            || !scan.ends_word(next)
            || word.contains("'s")
            || word.chars().nth(1).is_some_and(char::is_uppercase)
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

/// `Mercy General Hospital`, `St. Luke's Medical Center`: at least one word that is a name of its own.
pub(super) fn facility(scan: Scan<'_>, at: usize) -> Option<Span> {
    let mut proper = false;
    let mut start = at;
    let mut found = None;
    for count in 0..7 {
        let capital = scan.char(start).is_some_and(char::is_uppercase);
        if count > 0
            && proper
            && capital
            && let Some((end, _)) = FACILITIES.end(scan, start)
        {
            found = Some(end);
        }
        let Some(end) = scan.run(start, |c| c.is_alphabetic() || matches!(c, '-' | '\'' | '’')) else { break };
        let word = scan.slice(start, end);
        let saint = matches!(word, "St" | "Ste" | "Mt");
        let joins = count > 0 && matches!(word, "of" | "the" | "and" | "for");
        if !title_case(word) && !joins {
            break;
        }
        if count == 0 && is_no_name(word, false) {
            return None;
        }
        proper |= !joins && !KINDS.has(word) && !is_no_name(word, false);
        let stop = if saint { scan.skip(end, '.') } else { end };
        start = scan.skip_spaces(stop);
        if scan.char(start) == Some('&') {
            start = scan.skip_spaces(start + 1);
        }
        if start == stop {
            break;
        }
    }
    found.map(|end| Span::new(at, end))
}
