//! Sentences of clinical text.
//!
//! A general splitter goes by punctuation and capitals; clinical notes break its assumptions: lines are wrapped in
//! mid-sentence, headings and list items end without a stop, "Dr." and "q.d." end with one, and `[**2151-7-16**]` holds
//! what a de-identifier left. Two steps: lines are joined to blocks where a line only wraps, and each block is cut at
//! sentence ends. Every character that is not white space lies in exactly one sentence. Time is linear in the text.

use super::text::Span;

/// Cuts a text into sentences: spans in order, without white space at their ends, that together hold all of the text but
/// white space.
pub fn segment(text: &str) -> Vec<Span> {
    let mut sentences = Vec::new();
    let protected = Protected::of(text);
    for block in blocks(text, &protected) {
        cut(text, block, &protected, &mut sentences);
    }
    sentences
}

/// Spans inside which nothing ends: de-identified `[** ... **]`. An opening without an end within a few lines protects
/// nothing.
struct Protected(Vec<Span>);

impl Protected {
    fn of(text: &str) -> Self {
        let mut spans = Vec::new();
        let mut from = 0;
        while let Some(start) = text[from..].find("[**").map(|at| from + at) {
            let Some(end) = text[start..].find("**]").map(|at| start + at + 3) else {
                break;
            };
            // A span this long is no de-identified name but a stray opening.
            if end - start <= 200 {
                spans.push(Span { start, end });
                from = end;
            } else {
                from = start + 3;
            }
        }
        Self(spans)
    }

    fn holds(&self, at: usize) -> bool {
        let next = self.0.partition_point(|span| span.start < at);
        next > 0 && self.0[next - 1].end > at
    }
}

struct Line<'a> {
    /// Without white space at its ends.
    text: &'a str,
    /// Columns from the true start of the line, for telling a wrapped line from a short one.
    width: usize,
}

/// Joins lines that only wrap.
fn blocks(text: &str, protected: &Protected) -> Vec<Span> {
    let mut blocks: Vec<Span> = Vec::new();
    let mut start = 0;
    let mut previous: Option<Line<'_>> = None;
    let wrap = wrap_column(text);
    for raw in text.split_inclusive('\n') {
        let trimmed = raw.trim();
        let lead = raw.len() - raw.trim_start().len();
        let span = Span { start: start + lead, end: start + lead + trimmed.len() };
        let line = Line { text: trimmed, width: raw.trim_end().chars().count() };
        let line_start = start;
        start += raw.len();
        if trimmed.is_empty() {
            previous = None;
            continue;
        }
        let joins =
            protected.holds(line_start) || previous.as_ref().is_some_and(|before| continues(before, &line, wrap));
        match blocks.last_mut() {
            Some(block) if joins => block.end = span.end,
            _ => blocks.push(span),
        }
        previous = Some(line);
    }
    blocks
}

/// The column at which the writer's lines wrap: the longest line, if many lines come near it; `None` where lines end
/// where their content ends.
fn wrap_column(text: &str) -> Option<usize> {
    let widths: Vec<usize> = text.lines().map(|l| l.trim_end().chars().count()).filter(|w| *w > 0).collect();
    let widest = *widths.iter().max()?;
    let near = widths.iter().filter(|w| **w + 14 >= widest).count();
    ((50..=110).contains(&widest) && near >= 2 && near * 4 >= widths.len()).then_some(widest)
}

fn continues(before: &Line<'_>, line: &Line<'_>, wrap: Option<usize>) -> bool {
    if starts_item(line.text) || is_heading(line.text) || is_heading(before.text) || starts_labelled(line.text) {
        return false;
    }
    let ends_sentence = before.text.ends_with(['.', '!', '?', ':', ';'])
        || (before.text.ends_with([')', '"', '\u{201d}'])
            && before.text.trim_end_matches([')', '"', '\u{201d}']).ends_with('.'));
    let Some(first) = line.text.chars().next() else {
        return false;
    };
    if first.is_lowercase() {
        return !before.text.ends_with(['!', '?', ':']) || before.text.ends_with("i.e.");
    }
    if before.text.ends_with([',', '-', '/', '(', '&', '+']) {
        return true;
    }
    // A next line that would not have fitted on this one: the writer's editor wrapped here.
    let first_word = line.text.split_whitespace().next().map_or(0, |w| w.chars().count());
    let full = wrap.is_some_and(|wrap| before.width + 1 + first_word > wrap.saturating_sub(2));
    if full {
        // A sentence may end at the wrap; joining is harmless, since the block is cut again at its stops.
        return true;
    }
    if ends_sentence {
        return false;
    }
    let last = before.text.rsplit(' ').next().unwrap_or("");
    wrap.is_some() && before.width >= 40 && is_connective(last)
}

/// A word that no sentence ends with.
fn is_connective(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "a", "an", "the", "and", "or", "of", "to", "in", "on", "at", "by", "for", "with", "from", "her", "his",
        "their", "is", "was", "are", "were", "has", "had", "have", "that", "which", "who", "as", "but", "not", "no",
        "than", "Mr.", "Mrs.", "Ms.", "Dr.",
    ];
    WORDS.contains(&word)
}

/// `- `, `* `, `• `, `1. `, `2) `, `a) `, `[ ] `: a list item, or a nursing log's `08:15 `.
fn starts_item(line: &str) -> bool {
    item_marker(line).is_some() || time_stamp(line).is_some()
}

/// The length of a list marker with its space.
fn item_marker(line: &str) -> Option<usize> {
    let bullets = [
        "\u{2022}", "\u{25cf}", "\u{25e6}", "\u{00b7}", "\u{2013}", "\u{2014}", "-", "*", "+", "#", ">", "o ", "[ ]",
        "[x]",
    ];
    for bullet in bullets {
        if let Some(rest) = line.strip_prefix(bullet) {
            let gap = rest.len() - rest.trim_start().len();
            if gap > 0 || bullet.ends_with(' ') || bullet.starts_with('\u{2022}') {
                return Some(bullet.len() + gap);
            }
            // "#1 Hypertension"
            if bullet == "#" && rest.starts_with(|c: char| c.is_ascii_digit()) {
                return Some(1);
            }
        }
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let marker = match digits {
        1 | 2 => digits,
        0 if line.starts_with(|c: char| c.is_ascii_alphabetic()) => 1,
        _ => return None,
    };
    let rest = &line[marker..];
    let stop = if digits > 0 { rest.strip_prefix(['.', ')', ':']) } else { rest.strip_prefix(')') }?;
    let gap = stop.len() - stop.trim_start().len();
    (gap > 0 && !stop.trim_start().is_empty()).then_some(marker + 1 + gap)
}

/// `08:15 `, `0815 `, `08.15 - ` at the start of a line.
fn time_stamp(line: &str) -> Option<usize> {
    let word = line.split([' ', '\t']).next()?;
    let digits: String = word.trim_end_matches([':', '-', 'h']).chars().filter(|c| *c != ':' && *c != '.').collect();
    let numeric = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit());
    let hour = numeric && digits[..2] <= *"24" && digits[2..] < *"60";
    (hour && word.len() < line.len() && (word.contains(':') || word.starts_with('0') || word.ends_with('h')))
        .then_some(word.len())
}

/// "Doctor: ", "BP: 120/80", "Plan: ...": a line that starts with its own label.
fn starts_labelled(line: &str) -> bool {
    let Some(colon) = line.find(':') else {
        return false;
    };
    let label = &line[..colon];
    let words = label.split_whitespace().count();
    let after = &line[colon + 1..];
    (1..=5).contains(&words)
        && label.starts_with(|c: char| c.is_uppercase() || c == '[')
        && label.len() <= 48
        && !label.contains(['.', ','])
        && (after.is_empty() || after.starts_with(char::is_whitespace))
}

/// A line that is nothing but a heading: "ASSESSMENT AND PLAN", "Results:", "PLAN".
fn is_heading(line: &str) -> bool {
    let words = line.split_whitespace().count();
    if words > 9 || line.len() > 80 {
        return false;
    }
    if line.ends_with(':') {
        return !line.contains(". ");
    }
    let letters = line.chars().filter(|c| c.is_alphabetic()).count();
    let upper = line.chars().filter(|c| c.is_uppercase()).count();
    letters >= 3 && upper == letters && !line.ends_with(['.', ',', ';', '!', '?']) && !line.contains(char::is_numeric)
}

/// Cuts a block at its sentence ends.
fn cut(text: &str, block: Span, protected: &Protected, sentences: &mut Vec<Span>) {
    let source = block.of(text);
    let mut start = 0;
    // The number of a list item is no sentence.
    let marker = item_marker(source).or_else(|| time_stamp(source)).unwrap_or(0);
    for (at, c) in source.char_indices() {
        if at < marker || at < start || !matches!(c, '.' | '!' | '?' | '\u{2026}' | '\u{3002}') {
            continue;
        }
        if protected.holds(block.start + at) {
            continue;
        }
        if let Some(end) = sentence_end(source, start.max(marker), at, c) {
            push(text, block.start + start, block.start + end, sentences);
            start = end;
        }
    }
    push(text, block.start + start, block.end, sentences);
}

fn push(text: &str, start: usize, end: usize, sentences: &mut Vec<Span>) {
    let piece = &text[start..end];
    let trimmed = piece.trim();
    if !trimmed.is_empty() {
        let lead = piece.len() - piece.trim_start().len();
        sentences.push(Span { start: start + lead, end: start + lead + trimmed.len() });
    }
}

/// Where the sentence ends that the stop at `at` may end, or `None` if it does not end one.
fn sentence_end(source: &str, start: usize, at: usize, stop: char) -> Option<usize> {
    let after_stops = at
        + source[at..]
            .chars()
            .take_while(|c| matches!(c, '.' | '!' | '?' | '\u{2026}'))
            .map(char::len_utf8)
            .sum::<usize>();
    let closing = source[after_stops..]
        .chars()
        .take_while(|c| matches!(c, ')' | '"' | '\'' | '\u{201d}' | '\u{2019}' | ']'))
        .map(char::len_utf8)
        .sum::<usize>();
    let end = after_stops + closing;
    let rest = &source[end..];
    let gap = rest.len() - rest.trim_start().len();
    let next = rest.trim_start();
    if next.is_empty() {
        return Some(end);
    }
    let word = next.split_whitespace().next().unwrap_or("");
    let next_char = next.chars().next()?;
    if gap == 0 {
        return glued(source, at, end, stop, next_char).then_some(end);
    }
    let opener = next.trim_start_matches(['"', '\u{201c}', '\'', '(', '[', '*']).chars().next().unwrap_or(next_char);
    let starts_anew = opener.is_uppercase()
        || opener.is_numeric()
        || next.starts_with("[**")
        || !opener.is_alphabetic()
        || is_shorthand_start(word);
    if stop != '.' {
        return (stop == '\u{3002}' || starts_anew).then_some(end);
    }
    let dots = after_stops - at;
    if dots > 1 {
        // An ellipsis goes on in lower case.
        return (opener.is_uppercase()).then_some(end);
    }
    let last = last_word(source, start, at);
    if abbreviation(last, next, opener) {
        return None;
    }
    starts_anew.then_some(end)
}

/// A stop without space behind it: "well.She denies" ends a sentence, "0.5", "b.i.d", "e.g." and "www.x.org" do not.
fn glued(source: &str, at: usize, end: usize, stop: char, next: char) -> bool {
    let before = source[..at].chars().next_back().unwrap_or(' ');
    let word_before: usize = source[..at].chars().rev().take_while(|c| c.is_alphabetic()).count();
    let word_after: usize = source[end..].chars().take_while(|c| c.is_lowercase() || c.is_uppercase()).count();
    let next_is_word = next.is_uppercase() && source[end..].chars().nth(1).is_some_and(char::is_lowercase);
    (before.is_lowercase() || before.is_ascii_digit() || before == ')')
        && (word_before >= 3 || !before.is_alphabetic())
        && (next_is_word && word_after >= 2)
        && (stop != '.' || !source[..at].rsplit(char::is_whitespace).next().is_some_and(|w| w.contains(['@', '/'])))
}

/// The word that ends at `at`, with the stops inside it ("q.d", "e.g").
fn last_word(source: &str, start: usize, at: usize) -> &str {
    let from = source[start.min(at)..at]
        .char_indices()
        .rev()
        .find(|(_, c)| c.is_whitespace() || matches!(c, '(' | '[' | ',' | ';' | '"' | '\u{201c}' | '-' | '/'))
        .map_or(start.min(at), |(i, c)| start.min(at) + i + c.len_utf8());
    &source[from..at]
}

/// A sentence of shorthand starts in lower case in these words only.
fn is_shorthand_start(word: &str) -> bool {
    matches!(word, "pt" | "pt." | "c/o" | "s/p" | "w/" | "pH" | "o/e" | "h/o" | "y/o")
}

/// Never at a sentence's end: a name or number follows.
const TITLES: &[&str] = &[
    "dr", "drs", "mr", "mrs", "ms", "miss", "mx", "prof", "rev", "fr", "sr", "jr", "st", "sgt", "capt", "lt", "hon",
    "vs", "v", "e.g", "eg", "i.e", "ie", "cf", "viz", "approx", "ca", "no", "nos", "fig", "figs", "tel", "ext", "est",
    "dept", "univ", "c",
];

/// At a sentence's end only if what follows cannot go on.
const SHORT: &[&str] = &[
    "q.d", "b.i.d", "t.i.d", "q.i.d", "q.h.s", "h.s", "q.o.d", "p.r.n", "prn", "p.o", "i.v", "i.m", "s.c", "s.l",
    "p.r", "a.m", "p.m", "a.c", "p.c", "o.d", "b.d", "t.d.s", "q.a.m", "q.p.m", "q.4h", "q.6h", "q.8h", "etc", "hx",
    "rx", "dx", "tx", "sx", "pt", "pts", "wt", "ht", "temp", "tab", "tabs", "cap", "caps", "inj", "mg", "mcg", "ml",
    "kg", "cm", "mm", "lb", "lbs", "oz", "in", "ft", "hr", "hrs", "min", "mins", "sec", "wk", "wks", "mo", "mos", "yr",
    "yrs", "y.o", "y/o", "u.s", "u.k", "n.b", "m.d", "r.n", "ph.d", "d.o", "inc", "ltd", "co", "al", "lab", "labs",
    "appt", "ave", "rd", "bilat", "cont", "freq", "max", "neg", "pos", "resp", "sig", "jan", "feb", "mar", "apr",
    "jun", "jul", "aug", "sept", "sep", "oct", "nov", "dec", "mon", "tue", "tues", "wed", "thu", "thurs", "fri", "sat",
    "sun",
];

/// Of [`SHORT`], those that are ordinary words too: at a sentence's end before any capital.
const ALSO_WORDS: &[&str] = &[
    "in", "max", "sat", "sun", "mar", "co", "labs", "lab", "min", "temp", "prn", "tabs", "caps", "mg", "ml", "kg",
    "mcg", "cm", "mm", "lbs", "hrs", "mins", "yrs", "wks", "mos", "etc", "neg", "pos", "cap", "al",
];

/// Whether the stop behind `word` belongs to an abbreviation that the sentence goes on after.
fn abbreviation(word: &str, next: &str, opener: char) -> bool {
    let lower = word.to_lowercase();
    if lower.is_empty() {
        return false;
    }
    if TITLES.contains(&lower.as_str()) {
        // "No." before a number is "number"; else it is the answer "no".
        return match lower.as_str() {
            "no" | "nos" | "fig" | "ext" | "c" => opener.is_ascii_digit(),
            "miss" | "hon" | "est" | "v" => word != "miss" && opener.is_uppercase(),
            _ => true,
        };
    }
    // An initial: "John F. Smith", but "vitamin D. She" and "hepatitis B. Denies" end.
    let mut letters = word.chars();
    if let (Some(letter), None) = (letters.next(), letters.next()) {
        return letter.is_uppercase() && !starts_sentence(next) && !opener.is_ascii_digit() && opener.is_alphabetic();
    }
    if SHORT.contains(&lower.as_str()) {
        if opener.is_lowercase() || opener.is_ascii_digit() && !ALSO_WORDS.contains(&lower.as_str()) {
            return true;
        }
        if ALSO_WORDS.contains(&lower.as_str()) || lower.contains('.') {
            return false;
        }
        return !starts_sentence(next);
    }
    false
}

/// Whether the text opens with a word that commonly opens a sentence of a note.
fn starts_sentence(next: &str) -> bool {
    const OPENERS: &[&str] = &[
        "A",
        "An",
        "The",
        "This",
        "That",
        "These",
        "There",
        "He",
        "She",
        "It",
        "They",
        "We",
        "I",
        "You",
        "His",
        "Her",
        "Their",
        "Patient",
        "Pt",
        "Mr",
        "Mrs",
        "Ms",
        "Dr",
        "No",
        "Not",
        "Denies",
        "Reports",
        "States",
        "Has",
        "Had",
        "Is",
        "Was",
        "Will",
        "Continue",
        "Continues",
        "Plan",
        "Follow",
        "On",
        "In",
        "At",
        "As",
        "For",
        "With",
        "Since",
        "After",
        "Before",
        "When",
        "If",
        "Also",
        "And",
        "But",
        "Daughter",
        "Son",
        "Wife",
        "Husband",
        "Family",
        "Lives",
        "Takes",
        "Start",
        "Started",
        "Stop",
        "Review",
        "Reviewed",
        "Discussed",
        "Advised",
        "Noted",
        "Seen",
        "Using",
        "Needs",
        "Does",
        "Did",
        "Can",
        "Still",
        "Now",
        "Both",
        "All",
        "Some",
        "Today",
        "Otherwise",
        "However",
        "Slept",
        "Ate",
        "Given",
    ];
    let word =
        next.trim_start_matches(['"', '\u{201c}', '(', '*']).split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
    OPENERS.contains(&word)
}
