//! Byte spans, and text made safe to show.

use serde::{Deserialize, Serialize};
use unicode_width::UnicodeWidthChar;

/// A half-open range of bytes in a text, on character boundaries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One beyond the last byte.
    pub end: usize,
}

impl Span {
    /// The text under the span; empty if the span does not fit the text.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or("")
    }

    /// Length in bytes.
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether it spans nothing.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// At most this many combining marks are shown on one base character; more are a way to draw over other lines.
const MAX_MARKS: usize = 4;

/// A text as it may be shown: no control character, no override of direction, one line; with a map from the bytes of the
/// source to the bytes of what is shown, so that evidence is highlighted where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visible {
    /// What is shown.
    pub text: String,
    /// `(byte of the source, byte of the text)` wherever the distance between the two changes; ascending.
    map: Vec<(usize, usize)>,
}

impl Visible {
    /// Where a span of the source is shown.
    pub fn span(&self, source: Span) -> Span {
        Span { start: self.at(source.start), end: self.at(source.end) }
    }

    fn at(&self, byte: usize) -> usize {
        let after = self.map.partition_point(|(source, _)| *source <= byte);
        let Some((source, shown)) = after.checked_sub(1).and_then(|i| self.map.get(i)) else {
            return 0;
        };
        let here = shown + (byte - source);
        // Inside a replaced character there is no counterpart; its end is the next mapped byte.
        let next = self.map.get(after).map_or(self.text.len(), |(_, shown)| *shown);
        here.min(next)
    }
}

/// Makes a text safe to show: control characters as their pictures (`␛`), format characters that reorder or hide text as
/// `⟨U+202E⟩`, line ends and tabs as one space.
pub fn visible(text: &str) -> Visible {
    let mut shown = Visible { text: String::with_capacity(text.len()), map: vec![(0, 0)] };
    let mut marks = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let before = shown.text.len();
        let mut end = at + c.len_utf8();
        marks = if c.width() == Some(0) && !c.is_control() { marks + 1 } else { 0 };
        match c {
            '\r' if chars.peek().is_some_and(|(_, next)| *next == '\n') => {
                chars.next();
                end += 1;
                shown.text.push(' ');
            }
            '\n' | '\t' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => shown.text.push(' '),
            '\u{0}'..='\u{1f}' => shown.text.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('?')),
            '\u{7f}' => shown.text.push('\u{2421}'),
            c if c.is_control() || reorders_or_hides(c) || marks > MAX_MARKS => {
                shown.text.push_str(&format!("\u{27e8}U+{:04X}\u{27e9}", u32::from(c)));
            }
            c => shown.text.push(c),
        }
        if shown.text.len() - before != end - at || shown.text.as_bytes()[before..] != text.as_bytes()[at..end] {
            shown.map.push((at, before));
            shown.map.push((end, shown.text.len()));
        }
    }
    shown.map.dedup();
    shown
}

/// Bidirectional controls, zero-width and other invisible format characters. The joiners U+200C and U+200D stay: scripts
/// and emoji need them, and they neither hide nor reorder letters.
fn reorders_or_hides(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_as_control() {
        for (text, expected) in [
            ("a\x1b[2Jb", "a\u{241b}[2Jb"),
            ("line\r\nbreak\ttab", "line break tab"),
            ("\u{202e}abc", "\u{27e8}U+202E\u{27e9}abc"),
            ("\u{9b}31m", "\u{27e8}U+009B\u{27e9}31m"),
            ("zero\u{200b}width", "zero\u{27e8}U+200B\u{27e9}width"),
            ("é, 漢字, \u{1f469}\u{200d}\u{2695}", "é, 漢字, \u{1f469}\u{200d}\u{2695}"),
        ] {
            assert_eq!(visible(text).text, expected);
        }
    }

    #[test]
    fn evidence_stays_on_its_words() {
        let text = "\x1b\x1bshe \u{202e}forgets\r\nnames";
        let start = text.find("forgets").unwrap();
        let shown = visible(text);
        assert_eq!(shown.span(Span { start, end: start + 14 }).of(&shown.text), "forgets names".to_owned() + "");
    }

    proptest! {
        #[test]
        fn spans_stay_in_order_and_on_characters(text in "\\PC*|[\\x00-\\x7f\u{200b}\u{202e}é漢]*", a in 0usize..40, b in 0usize..40) {
            let shown = visible(&text);
            prop_assert!(!shown.text.chars().any(|c| c.is_control() || reorders_or_hides(c)));
            let floor = |at: usize| (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
            let (a, b) = (floor(a.min(b)), floor(a.max(b)));
            let span = shown.span(Span { start: a, end: b });
            prop_assert!(span.start <= span.end);
            prop_assert!(shown.text.is_char_boundary(span.start) && shown.text.is_char_boundary(span.end));
        }
    }
}
