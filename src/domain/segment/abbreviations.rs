//! What the word before a full stop says about it.

/// How a full stop after an abbreviation is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Abbreviation {
    /// Says something of what follows, so it never ends a sentence: "Dr.", "e.g.".
    Opens,
    /// Belongs to a number, and is an ordinary word or an ending without one: "no. 4", "On balance, no."
    Counts,
    /// Mostly goes on, often before a capital ("St. Mary's", "Wt. 61"): ends only before a word that begins sentences.
    Leads,
    /// Ends as often as not: ends before any capital ("b.i.d. Melatonin was stopped").
    Closes,
}

const OPENS: &[&str] = &[
    // Titles stand before a name, and names have capitals.
    "dr", "drs", "mr", "mrs", "ms", "mx", "prof", "rev", "hon", "capt", "sgt", "lt", "col", "messrs", "fr", "sen",
    "gov", // These announce an example, a contrast or an amount.
    "e.g", "eg", "i.e", "ie", "vs", "v.s", "cf", "approx", "appx", "incl", "excl", "esp", "viz", "ca", "vit",
    "avg",
    // "et al." is left out: it ends sentences too.
];

const COUNTS: &[&str] =
    &["no", "nos", "fig", "figs", "ext", "vol", "ch", "sec", "rm", "apt", "tel", "max", "min", "p", "pp", "para", "eq"];

const LEADS: &[&str] = &[
    "st", "mt", "ft", "pt", "pts", "hx", "pmhx", "fhx", "shx", "wt", "ht", "temp", "resp", "y.o", "y/o", "dept",
    "hosp", "univ", "asst", "assoc",
];

const CLOSES: &[&str] = &[
    // Doses, as dotted Latin and as units.
    "b.i.d", "bid", "t.i.d", "tid", "q.i.d", "qid", "q.d", "qd", "q.h.s", "qhs", "h.s", "p.r.n", "prn", "p.o", "i.v",
    "i.m", "s.c", "o.d", "a.c", "p.c", "stat", "mg", "mcg", "ml", "cc", "gm", "kg", "lb", "lbs", "oz", "cm", "mm",
    "in", "tab", "tabs", "cap", "caps", "gtt", "inj", // Time.
    "a.m", "am", "p.m", "pm", "hr", "hrs", "h", "mins", "wk", "wks", "mo", "mos", "yr", "yrs", "jan", "feb", "mar",
    "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "mon", "tue", "tues", "wed", "thu", "thur",
    "thurs", "fri", "sat", "sun", "yest", // Clinical shorthand.
    "dx", "ddx", "rx", "tx", "sx", "fx", "bx", "cx", "abd", "gen", "neuro", "exam", "eval", "appt", "appts", "bilat",
    "neg", "pos", "abn", "nl", "wnl", "n.a.d", "meds", "rehab", "freq", "cont", "prev", "hosp", "lat", "med", "inf",
    "sup", "post", "ant", "dist", "prox", // Of names and of writing.
    "jr", "sr", "inc", "ltd", "co", "corp", "bros", "rd", "ave", "blvd", "etc", "al", "ed", "ph.d", "m.d", "r.n",
    "d.o",
];

/// How `word`, as written before its full stop, abbreviates; nothing if it is an ordinary word.
pub(super) fn abbreviation(word: &str) -> Option<Abbreviation> {
    // A longer word is in no list, and lowering it would cost more than it tells.
    if word.is_empty() || word.len() > 24 {
        return None;
    }
    let mut letters = word.chars();
    if let (Some(only), None) = (letters.next(), letters.next())
        && only.is_uppercase()
    {
        // An initial, before the lists read "H." as hours.
        return Some(Abbreviation::Leads);
    }
    let lower = word.to_lowercase();
    let last = lower.rsplit('-').next().unwrap_or(&lower);
    for (list, kind) in [
        (OPENS, Abbreviation::Opens),
        (COUNTS, Abbreviation::Counts),
        (LEADS, Abbreviation::Leads),
        (CLOSES, Abbreviation::Closes),
    ] {
        if list.contains(&lower.as_str()) || list.contains(&last) {
            return Some(kind);
        }
    }
    let dotted = word.contains('.')
        && word.split('.').all(|part| part.chars().count() <= 3 && part.chars().all(char::is_alphanumeric))
        && word.chars().any(char::is_alphabetic);
    dotted.then(|| {
        // "q.6h." is a dose; "U.S." and "J.R." go before names.
        if word.starts_with(char::is_lowercase) { Abbreviation::Closes } else { Abbreviation::Leads }
    })
}

/// Words that begin sentences and hardly ever names.
const STARTERS: &[&str] = &[
    "a",
    "add",
    "after",
    "also",
    "an",
    "and",
    "as",
    "at",
    "before",
    "but",
    "can",
    "continue",
    "could",
    "currently",
    "denies",
    "did",
    "do",
    "does",
    "during",
    "family",
    "follow",
    "for",
    "had",
    "has",
    "have",
    "he",
    "her",
    "his",
    "how",
    "however",
    "husband",
    "i",
    "if",
    "in",
    "is",
    "it",
    "its",
    "may",
    "mother",
    "mr",
    "mrs",
    "ms",
    "my",
    "no",
    "not",
    "on",
    "one",
    "our",
    "patient",
    "per",
    "please",
    "pt",
    "reports",
    "returns",
    "she",
    "should",
    "since",
    "so",
    "some",
    "son",
    "start",
    "states",
    "stop",
    "that",
    "the",
    "their",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "today",
    "two",
    "unable",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "why",
    "wife",
    "will",
    "with",
    "would",
    "you",
    "your",
];

/// Whether a sentence is likely to begin with `word`.
pub(super) fn is_starter(word: &str) -> bool {
    word.len() <= 9 && STARTERS.binary_search(&word.to_lowercase().as_str()).is_ok()
}

/// Words that begin a sentence even where haste left out its capital.
const CARELESS: &[&str] = &["denies", "he", "it", "no", "patient", "pt", "she", "the", "there", "they", "we", "will"];

/// Whether `word`, in small letters after a full stop, is likely to begin a sentence.
pub(super) fn is_careless_starter(word: &str) -> bool {
    CARELESS.contains(&word)
}

/// After a dose or a time, these go on with it despite their capitals: "9 a.m. Monday", "5 mg. PO BID".
const GOES_ON: &[&str] = &[
    "PO",
    "BID",
    "TID",
    "QID",
    "QD",
    "QHS",
    "PRN",
    "IV",
    "IM",
    "SC",
    "SL",
    "EST",
    "EDT",
    "PST",
    "GMT",
    "UTC",
    "CT",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "January",
    "February",
    "March",
    "April",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Whether `word` carries on a dose or a time.
pub(super) fn goes_on(word: &str) -> bool {
    GOES_ON.contains(&word)
}

/// "vitamin C." and "Part A." name things with one capital, which then is no initial.
const LETTERED: &[&str] = &[
    "vitamin",
    "hepatitis",
    "grade",
    "type",
    "part",
    "stage",
    "trial",
    "group",
    "protein",
    "class",
    "bed",
    "ward",
    "plan",
    "option",
];

/// Whether `word` makes the single capital after it a name of a thing.
pub(super) fn takes_a_letter(word: &str) -> bool {
    word.len() <= 9 && LETTERED.contains(&word.to_lowercase().as_str())
}

/// Words that a number belongs to: "day 2.", "and 2.".
pub(super) fn takes_a_number(word: &str) -> bool {
    const NUMBERED: &[&str] = &[
        "about", "above", "age", "aged", "and", "approx", "around", "at", "bed", "below", "by", "chart", "class",
        "cycle", "day", "days", "dose", "every", "factor", "for", "from", "grade", "in", "is", "level", "line",
        "month", "nearly", "number", "of", "only", "or", "over", "page", "past", "phase", "room", "scale", "score",
        "scored", "scores", "stage", "step", "than", "times", "to", "type", "under", "unit", "visit", "was", "week",
        "were", "with", "year",
    ];
    NUMBERED.binary_search(&word.to_lowercase().as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn starters_are_sorted_for_the_search() {
        assert!(super::STARTERS.is_sorted());
    }
}
