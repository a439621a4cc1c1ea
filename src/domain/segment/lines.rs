//! Which line breaks end a sentence, and which only wrap it.

use crate::domain::text::Span;

use super::abbreviations::{Abbreviation, abbreviation};
use super::{is_closer, is_stop, word_before};

/// A line that is not blank.
struct Line<'a> {
    /// Without the white space around it.
    span: Span,
    text: &'a str,
    /// Columns from the left edge to the last character.
    width: usize,
    indent: usize,
    /// Whether a blank line comes before it.
    apart: bool,
}

/// Joins the lines of `text` into blocks such that no sentence crosses from one into the next. `sealed` are spans that
/// must not be split.
pub(super) fn blocks(text: &str, sealed: &[Span]) -> Vec<Span> {
    let lines = lines(text);
    let wrap = Wrap::of(&lines);
    let mut blocks: Vec<Span> = Vec::new();
    let mut sealed = sealed.iter().peekable();
    let mut last: Option<&Line> = None;
    for line in &lines {
        while sealed.next_if(|span| span.end <= line.span.start).is_some() {}
        let within = sealed.peek().is_some_and(|span| span.start < line.span.start);
        match (last, blocks.last_mut()) {
            (Some(last), Some(block)) if within || !wrap.ends(last, line) => block.end = line.span.end,
            _ => blocks.push(line.span),
        }
        last = Some(line);
    }
    blocks
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut apart = false;
    // "\r\n" reads as a line and an empty remainder; only the remainder after "\n" may count as a blank line.
    for raw in text.split_inclusive(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        let content = raw.trim();
        if content.is_empty() {
            let second_half = raw == "\n" && text[..start].ends_with('\r');
            apart |= !second_half;
        } else {
            let indent = raw.len() - raw.trim_start().len();
            let from = start + indent;
            let span = Span::new(from, from + content.len());
            lines.push(Line { span, text: content, width: indent + content.chars().count(), indent, apart });
            apart = false;
        }
        start += raw.len();
    }
    lines
}

/// What the note shows of where it was wrapped.
struct Wrap {
    /// The widest line that a small letter carries on: proof that the note is wrapped near there.
    column: Option<usize>,
}

/// Wider lines were not wrapped by a typist or a dictation system.
const WIDEST_WRAP: usize = 140;
/// Narrower lines are fields and list items whatever follows.
const NARROWEST_WRAP: usize = 40;

impl Wrap {
    fn of(lines: &[Line]) -> Self {
        // Dictation in capitals has no small letters to prove anything; its long lines have to.
        let capitals = !lines.iter().any(|line| line.text.contains(char::is_lowercase));
        let column = lines
            .windows(2)
            .filter(|pair| {
                pair[0].width <= WIDEST_WRAP
                    && !pair[1].apart
                    && !ends_with_stop(pair[0].text)
                    && (capitals || pair[1].text.starts_with(char::is_lowercase))
            })
            .map(|pair| pair[0].width)
            .max()
            .filter(|&column| column >= NARROWEST_WRAP);
        Self { column }
    }

    /// Whether the first word of `next` did not fit on the line of `last`.
    fn is_full(&self, last: &Line, next: &Line) -> bool {
        let word = next.text.split_whitespace().next().map_or(0, |word| word.chars().count());
        last.width >= NARROWEST_WRAP && self.column.is_some_and(|column| last.width + 1 + word > column)
    }

    /// Whether the break between two lines ends a sentence, or at least does so if the last line's stop is one.
    fn ends(&self, last: &Line, next: &Line) -> bool {
        if next.apart || is_speaker(next.text) {
            return true;
        }
        if is_bare_marker(last.text) {
            return false;
        }
        let full = self.is_full(last, next);
        let hangs = ends_hanging(last.text);
        if begins_item(next.text) || label(next.text).is_some() {
            return !(hangs && full);
        }
        if ends_with_stop(last.text) {
            return stop_ends_line(last.text, full);
        }
        let small = next.text.starts_with(char::is_lowercase);
        if last.text.ends_with(':') || is_heading(last.text) {
            return !(small && full);
        }
        if closes_letter(last.text) {
            return true;
        }
        if hangs || unclosed(last.text) || next.text.starts_with('(') {
            return false;
        }
        if next.text.starts_with("[**") {
            // The name that was removed was shorter or longer, so whether it fitted can't be told.
            return last.width < NARROWEST_WRAP || self.column.is_none();
        }
        if small {
            // "metformin 500 mg" above "lisinopril 10 mg" is a list, though neither is marked or begins with a capital.
            return self.column.is_some()
                && !full
                && last.text.contains(|c: char| c.is_ascii_digit())
                && last.width * 2 < self.column.unwrap_or(0)
                || last.text.starts_with(char::is_lowercase)
                    && looks_like_dose(last.text)
                    && looks_like_dose(next.text);
        }
        if begins_item(last.text) && next.indent > last.indent {
            return false;
        }
        !full || is_heading(next.text)
    }
}

/// Whether a line's closing stop ends it for good. Where it doesn't, the stop is weighed with the words around it.
fn stop_ends_line(line: &str, full: bool) -> bool {
    let word_end = line.trim_end_matches(|c| is_closer(c) || is_stop(c)).len();
    match abbreviation(word_before(line, word_end)) {
        Some(Abbreviation::Opens | Abbreviation::Counts | Abbreviation::Leads) => false,
        Some(Abbreviation::Closes) => !full,
        None => false,
    }
}

fn ends_with_stop(line: &str) -> bool {
    line.trim_end_matches(is_closer).ends_with(is_stop)
}

/// Words that want another after them.
const HANGING: &[&str] = &[
    "a", "an", "the", "of", "to", "at", "by", "for", "with", "from", "and", "or", "but", "nor", "that", "which", "who",
    "whose", "is", "was", "were", "are", "be", "been", "has", "have", "had", "his", "their", "its", "my", "our",
    "your", "this", "these", "than", "as", "if", "when", "while", "because", "into", "onto", "between", "per", "via",
    "without", "until",
];

/// Whether a line can't end here: it stops at a comma, a slash or a word that wants another.
fn ends_hanging(line: &str) -> bool {
    if line.ends_with([',', '/', '&', '+', '=', '(']) {
        return true;
    }
    let word = line.rsplit(char::is_whitespace).next().unwrap_or_default();
    // "PT OF" in capitals hangs too, but "A" and "AS" alone are initials and shorthand.
    // "Her" with a capital owns what follows; in small letters it may be the end of "I spoke to her".
    word == "Her" || HANGING.contains(&word) || word.len() > 2 && HANGING.contains(&word.to_lowercase().as_str())
}

/// "Dear Dr. Osei," and "With thanks," end at their comma.
fn closes_letter(line: &str) -> bool {
    line.len() <= 60
        && line.strip_suffix(',').is_some_and(|line| {
            let last = line.rsplit(' ').next().unwrap_or_default().to_lowercase();
            line.starts_with("Dear ")
                || ["sincerely", "faithfully", "truly", "regards", "wishes", "thanks", "respectfully", "cordially"]
                    .contains(&last.as_str())
        })
}

fn unclosed(line: &str) -> bool {
    line.matches('(').count() > line.matches(')').count()
}

/// A heading in capitals.
fn is_heading(line: &str) -> bool {
    let letters = line.chars().filter(|c| c.is_alphabetic()).count();
    letters >= 4
        && line.len() <= 60
        && !line.contains(|c: char| c.is_lowercase() || c.is_ascii_digit())
        && line.starts_with(char::is_alphabetic)
        && !ends_with_stop(line)
        && !ends_hanging(line)
}

/// The words of a field or inline heading at the start of a line: "Chief Complaint:", "Sex:", `Attending:[**Name**]`.
fn label(line: &str) -> Option<&str> {
    let (label, rest) = line.split_once(':')?;
    let fits = label.len() <= 48
        && label.starts_with(char::is_uppercase)
        && label.split_whitespace().count() <= 5
        && label.chars().all(|c| c.is_alphanumeric() || " -/&().,'’#".contains(c));
    let goes_on = rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || c == '[');
    (fits && goes_on).then_some(label)
}

const SPEAKERS: &[&str] = &[
    "doctor",
    "dr",
    "physician",
    "clinician",
    "nurse",
    "therapist",
    "interviewer",
    "examiner",
    "patient",
    "pt",
    "guest",
    "guest_family",
    "guest_clinician",
    "family",
    "wife",
    "husband",
    "partner",
    "son",
    "daughter",
    "mother",
    "father",
    "brother",
    "sister",
    "carer",
    "caregiver",
];

/// A turn of a dialogue. It cuts off whoever spoke before, even in the middle of a sentence.
fn is_speaker(line: &str) -> bool {
    line.split_once(':').is_some_and(|(name, rest)| {
        name.len() <= 16
            && name.starts_with(|c: char| c.is_uppercase() || c == 'g')
            && rest.starts_with(char::is_whitespace)
            && SPEAKERS.contains(&name.trim_end_matches('.').to_lowercase().as_str())
    })
}

/// Whether a line begins with a bullet, a number or the time of a log entry.
fn begins_item(line: &str) -> bool {
    let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    if rest.is_empty() {
        return is_number(first);
    }
    is_bullet(first) || is_number(first) || is_time(first) || line.starts_with(['•', '◦', '▪', '●', '‣'])
}

fn is_bare_marker(line: &str) -> bool {
    is_bullet(line) || is_number(line)
}

fn is_bullet(word: &str) -> bool {
    matches!(word, "-" | "–" | "—" | "*" | "+" | "#" | "o" | "•" | "◦" | "▪" | "●" | "‣" | "·" | ">" | "->" | "--")
}

/// The number of a list item: "1.", "2)", "(3)", "a)", "iv.", "#4".
pub(super) fn is_number(word: &str) -> bool {
    let Some(bare) = word.strip_suffix(['.', ')']) else {
        let Some(digits) = word.strip_prefix('#') else {
            return false;
        };
        let digits = digits.trim_end_matches([':', '.']);
        return matches!(digits.len(), 1 | 2) && digits.bytes().all(|b| b.is_ascii_digit());
    };
    let bare = bare.strip_prefix('(').unwrap_or(bare);
    let digits = matches!(bare.len(), 1 | 2) && bare.bytes().all(|b| b.is_ascii_digit());
    let letter = matches!(bare.as_bytes(), [b'a'..=b'h']);
    let roman = matches!(bare, "i" | "ii" | "iii" | "iv" | "v" | "vi" | "vii" | "viii" | "ix" | "x");
    digits || letter || roman
}

/// The time of a log entry: "08:15", "7.30", "0815h".
fn is_time(word: &str) -> bool {
    let bare = word.trim_end_matches([':', '-', 'h']);
    let (hours, minutes) = match bare.split_once([':', '.']) {
        Some(parts) => parts,
        None if bare.len() == 4 && bare != word => bare.split_at_checked(2).unwrap_or_default(),
        None => return false,
    };
    let number = |part: &str, below: u8| part.parse::<u8>().is_ok_and(|value| value < below);
    matches!(hours.len(), 1 | 2) && minutes.len() == 2 && number(hours, 24) && number(minutes, 60)
}

/// A drug and its dose: a word, then a number.
fn looks_like_dose(line: &str) -> bool {
    line.split_whitespace().nth(1).is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
}
