//! Spans of text, and text made safe to show in a terminal.

use serde::{Deserialize, Serialize};
use unicode_width::UnicodeWidthChar;

/// A half-open range of byte offsets in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

impl Span {
    /// A span from `start` up to, but without, `end`.
    #[must_use]
    pub(crate) const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// What the span covers of `text`; empty where the span does not fit it, because a stale offset must not bring down
    /// a session.
    #[must_use]
    pub(crate) fn of<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start..self.end).unwrap_or_default()
    }

    /// Bytes covered.
    #[must_use]
    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether no byte is covered.
    #[must_use]
    #[cfg(test)]
    pub(crate) const fn is_empty(&self) -> bool {
        self.end <= self.start
    }

    /// Whether the byte at `offset` is covered.
    #[must_use]
    pub(crate) const fn contains(&self, offset: usize) -> bool {
        self.start <= offset && offset < self.end
    }
}

/// A text as one safe line, and where each byte of the source went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Visible {
    /// The line to show: no control, no bidirectional override, nothing invisible that could hide or move other text.
    pub text: String,
    /// For each byte of the source, and for its end, the offset in `text`.
    map: Vec<usize>,
}

impl Visible {
    /// Where `source`, a span of the source text, is in [`Visible::text`]. Offsets past the end mean the end; an offset
    /// within a character means that character's start.
    #[must_use]
    pub(crate) fn display_span(&self, source: Span) -> Span {
        let at = |offset: usize| self.map[offset.min(self.map.len() - 1)];
        let start = at(source.start);
        Span::new(start, at(source.end).max(start))
    }
}

/// More marks than this on one base climb into the lines above and below. No living orthography needs them.
const MARKS_PER_BASE: usize = 4;

/// What the last shown character allows to follow it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing that a mark, a joiner or a selector could belong to.
    Nothing,
    Base,
    Selector,
    Joiner,
}

/// Things in a row as people say them.
pub(crate) fn listed(things: &[impl std::fmt::Display]) -> String {
    let words: Vec<String> = things.iter().map(ToString::to_string).collect();
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// Shows `text` as one line in which nothing can drive a terminal or mislead its reader.
#[must_use]
pub(crate) fn visible(text: &str) -> Visible {
    let mut shown = String::with_capacity(text.len());
    let mut map = Vec::with_capacity(text.len() + 1);
    let mut before = Before::Nothing;
    let mut marks = 0;
    let mut rest = text.char_indices().peekable();
    while let Some((offset, c)) = rest.next() {
        map.resize(offset + c.len_utf8(), shown.len());
        let next = rest.peek().map(|&(_, next)| next);
        match c {
            // The line feed that follows is shown for both.
            '\r' if next == Some('\n') => {}
            '\n' | '\t' => {
                shown.push(' ');
                before = Before::Nothing;
            }
            '\u{200c}' | '\u{200d}'
                if matches!(before, Before::Base | Before::Selector) && next.is_some_and(is_base) =>
            {
                shown.push(c);
                before = Before::Joiner;
            }
            c if is_selector(c) && before == Before::Base => {
                shown.push(c);
                before = Before::Selector;
            }
            c if is_unsafe(c) => {
                push_symbol(&mut shown, c);
                before = Before::Nothing;
            }
            c if is_mark(c) => {
                if before == Before::Nothing {
                    // A mark with no base of its own would sit on the symbol or the border before it.
                    shown.push('\u{25cc}');
                    before = Before::Base;
                    marks = 0;
                }
                marks += 1;
                if marks <= MARKS_PER_BASE {
                    shown.push(c);
                } else {
                    let mut cut = 1;
                    while let Some((offset, mark)) = rest.next_if(|&(_, next)| is_mark(next)) {
                        map.resize(offset + mark.len_utf8(), shown.len());
                        cut += 1;
                    }
                    shown.push_str(&format!("⟨+{cut} marks⟩"));
                    before = Before::Nothing;
                }
            }
            c => {
                // A joiner makes one cluster of its neighbours; it must not be a way to stack marks without end.
                if before != Before::Joiner {
                    marks = 0;
                }
                shown.push(c);
                before = if c.is_whitespace() { Before::Nothing } else { Before::Base };
            }
        }
    }
    map.push(shown.len());
    Visible { text: shown, map }
}

/// A control picture where Unicode has one, else the character's number.
fn push_symbol(shown: &mut String, c: char) {
    match c {
        '\0'..='\u{1f}' => shown.extend(char::from_u32(0x2400 + u32::from(c))),
        '\u{7f}' => shown.push('\u{2421}'),
        _ => shown.push_str(&format!("⟨U+{:04X}⟩", u32::from(c))),
    }
}

fn is_base(c: char) -> bool {
    !(c.is_whitespace() || is_unsafe(c) || is_mark(c))
}

fn is_mark(c: char) -> bool {
    c.width() == Some(0) && !is_unsafe(c)
}

fn is_selector(c: char) -> bool {
    matches!(c, '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Characters that control the terminal, reorder the line or can't be seen. Joiners and selectors are among them; the
/// caller keeps those that have neighbours to act on.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || is_selector(c)
        || matches!(c,
            // Soft hyphen, grapheme joiner, Arabic letter mark, Syriac abbreviation mark.
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{70f}'
            // Fillers: letters by category, blank to the eye.
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180e}'
            // Zero-width space, joiners, direction marks.
            | '\u{200b}'..='\u{200f}'
            // Line and paragraph separator, bidirectional embeddings and overrides.
            | '\u{2028}'..='\u{202e}'
            // Word joiner, invisible operators, bidirectional isolates, deprecated format characters.
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
            // Format characters of single scripts and notations.
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            // Tags.
            | '\u{e0000}'..='\u{e0fff}')
}

/// Letters of other alphabets that look like Latin ones, each before its double.
const LOOK_ALIKES: &str = "аaеeоoрpсcуyхxіiјjѕsԁdһhԛqԝwАAВBЕEЅSІIЈJКKМMНHОOРPСCТTУYХXοoΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧX";

fn latin_double(c: char) -> Option<char> {
    // Full width: as wide as a letter of Chinese, and otherwise the same.
    if let '\u{ff01}'..='\u{ff5e}' = c {
        return char::from_u32(u32::from(c) - 0xfee0);
    }
    let mut letters = LOOK_ALIKES.chars();
    while let (Some(other), Some(latin)) = (letters.next(), letters.next()) {
        if other == c {
            return Some(latin);
        }
    }
    None
}

/// The text as a reader takes it: names with the same look are the same here.
pub(crate) fn look(text: &str) -> String {
    text.chars().map(|c| latin_double(c).unwrap_or(c)).flat_map(char::to_lowercase).collect()
}

/// The first word with a letter in it that only looks Latin, among Latin ones.
pub(crate) fn misleading_word(text: &str) -> Option<&str> {
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    words.find(|word| word.contains(|c: char| c.is_ascii_alphabetic()) && word.contains(|c| latin_double(c).is_some()))
}

/// JSON text in which what could drive a terminal or reorder its line is escaped, as JSON allows in any string; it reads back the
/// same. Line feeds between the parts stay.
pub(crate) fn json_safe(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_unsafe(c) {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| safe.push_str(&format!("\\u{unit:04x}")));
        } else {
            safe.push(c);
        }
    }
    safe
}

/// What is behind an error: another crate's, the system's, or words.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An error and what is behind it, in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |said, error| format!("{said}: {error}"))
}

#[cfg(test)]
mod tests;
