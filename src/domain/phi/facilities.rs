//! Hospitals, clinics, homes and other places of care by their names.

use std::sync::LazyLock;

use super::super::text::Span;
use super::lists::{Phrases, Words};
use super::scan::Scan;
use super::towns::place;
use super::vocabulary::{is_eponym, is_kind, is_led_astray, is_no_name, is_no_place, is_plain_word, title_case};

static FACILITIES: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(include_str!("../../../data/phi/facilities.txt")));

/// "transferred", "bed": with "from" or "at" behind them they announce a place of care.
static ADMITS: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/admits.txt")));
/// "nursing home", "pharmacy": a name follows their colon, their comma or "called".
static FIELDS: LazyLock<Words> = LazyLock::new(|| Words::new(include_str!("../../../data/phi/facility-fields.txt")));

/// A short name after the words that announce it: "transferred from Mercy", "her nursing home, Lakeview,", `St. Luke's`.
pub(super) fn short(scan: Scan<'_>, at: usize) -> Option<Span> {
    if let Some(end) = saint(scan, at) {
        return Some(Span::new(at, end));
    }
    let before = scan.last_word(at);
    let led = ["at", "from", "to", "through", "via", "by", "into", "with", "the"].contains(&before);
    let chosen = before.ends_with(['s', 'r', 'd', 'e', 'n']) && !led;
    if !led
        && !chosen
        && !matches!(scan.before(at), Some('('))
        && !scan.slice(scan.gap_before(at), at).contains([':', ',', '('])
    {
        return None;
    }
    let (first, end) = place(scan, at)?;
    let word = scan.slice(at, first);
    let common = |word: &str| is_kind(word) || is_plain_word(word);
    let named = scan.slice(at, end).split([' ', '.']).any(|word| !word.is_empty() && !common(word));
    if is_no_name(word, false)
        || !named
        || is_no_place(scan, at, word)
        || is_eponym(scan, end)
        || is_led_astray(scan, at)
    {
        return None;
    }
    let start = if before == "the" { at - 4 } else { at };
    let led_by = scan.last_word(start);
    let moved = || scan.any_near(start, |word| ADMITS.has(word));
    let given = || scan.near(start, &["accepted", "declined", "provided", "managed", "supplied", "run", "cared"]);
    let told = match led_by {
        // "died at Mercy"
        "at" => before != "the" || moved(),
        "from" | "to" | "through" | "via" | "into" => moved(),
        "by" => given(),
        "called" | "phoned" | "contacted" | "notified" => {
            scan.any_word(scan.skip_spaces(end), &["about", "regarding", "re", "for", "to"]).is_some()
        }
        _ => is_chosen(scan, at, end),
    };
    (told || !led && FIELDS.before(scan, at)).then(|| Span::new(at, end))
}

/// "prefers Mercy for rehab".
fn is_chosen(scan: Scan<'_>, at: usize, end: usize) -> bool {
    let chosen =
        ["prefers", "prefer", "preferred", "chose", "chosen", "selected", "requests", "requested", "wants", "toured"];
    let aim = scan.word(scan.skip_spaces(end), "for").map(|end| scan.skip_spaces(end));
    let cared = |at: usize| scan.letters(at).is_some_and(|end| ADMITS.has(scan.slice(at, end)));
    chosen.iter().any(|word| word.eq_ignore_ascii_case(scan.last_word(at))) && aim.is_some_and(cared)
}

/// `St. Luke's`, but not `St. John's wort`.
fn saint(scan: Scan<'_>, at: usize) -> Option<usize> {
    let end = scan.any_word(at, &["St", "Saint"])?;
    let start = scan.skip_spaces(scan.skip(end, '.'));
    let end = scan.run(start, |c| c.is_alphabetic() || matches!(c, '\'' | '’'))?;
    let word = scan.slice(start, end);
    let own = word.ends_with("'s") || word.ends_with("’s");
    (own && title_case(word) && scan.word(scan.skip_spaces(end), "wort").is_none()).then_some(end)
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
        // "the Lakeside emergency room"
        let small =
            ["emergency room", "emergency department", "hospital", "nursing home", "care home", "medical center"];
        let led = || matches!(scan.last_word(at), "the" | "at" | "from" | "to" | "in" | "by");
        if count > 0 && proper && !capital && led() {
            found = small.iter().find_map(|kind| scan.phrase(start, kind)).or(found);
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
        proper |= !joins && !is_kind(word) && !is_plain_word(word) && !is_no_name(word, false);
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
