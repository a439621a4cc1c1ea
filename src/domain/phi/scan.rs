//! Reading forward in a text, a little at a time.

/// A text, and questions about what stands at an offset of it. Each answer looks at a bounded stretch, so that a pass of
/// all rules over a text takes linear time.
#[derive(Clone, Copy)]
pub(super) struct Scan<'a> {
    text: &'a str,
}

/// Longer runs of letters or digits are no word that a rule knows.
const LONGEST: usize = 64;

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text }
    }

    /// The text from an offset on.
    pub(super) fn rest(self, at: usize) -> &'a str {
        self.text.get(at..).unwrap_or_default()
    }

    /// What lies between two offsets.
    pub(super) fn slice(self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// The character at an offset.
    pub(super) fn char(self, at: usize) -> Option<char> {
        self.rest(at).chars().next()
    }

    /// The character before an offset.
    pub(super) fn before(self, at: usize) -> Option<char> {
        self.text.get(..at)?.chars().next_back()
    }

    /// The offset after the character at `at`; beyond the end if there is none, so that a loop always moves.
    pub(super) fn after(self, at: usize) -> usize {
        at + self.char(at).map_or(1, char::len_utf8)
    }

    /// Whether a word, a number, or a telephone number's `+` or `(`, or an account's `@` starts here.
    pub(super) fn starts_word(self, at: usize) -> bool {
        let starts = self.char(at).is_some_and(|c| c.is_alphanumeric() || matches!(c, '+' | '(' | '@'));
        starts && !self.before(at).is_some_and(|c| c.is_alphanumeric() || c == '_')
    }

    /// Whether a word that ends at `at` ends there indeed.
    pub(super) fn ends_word(self, at: usize) -> bool {
        !self.char(at).is_some_and(|c| c.is_alphanumeric() || c == '_')
    }

    /// The end of the run of characters that `is` holds for, if there are any and not too many.
    pub(super) fn run(self, at: usize, is: impl Fn(char) -> bool) -> Option<usize> {
        let mut end = at;
        for c in self.rest(at).chars().take_while(|&c| is(c)) {
            end += c.len_utf8();
            if end - at > LONGEST {
                return None;
            }
        }
        (end > at).then_some(end)
    }

    /// The end of the white space at `at`; `at` itself if there is none. Tables are padded, but a line's end parts.
    pub(super) fn skip_spaces(self, at: usize) -> usize {
        self.run(at, |c| matches!(c, ' ' | '\t' | '\u{a0}')).unwrap_or(at)
    }

    /// The end of `c` at `at`, or `at` itself.
    pub(super) fn skip(self, at: usize, c: char) -> usize {
        if self.char(at) == Some(c) { at + c.len_utf8() } else { at }
    }

    /// The end of the letters at `at`.
    pub(super) fn letters(self, at: usize) -> Option<usize> {
        self.run(at, char::is_alphabetic)
    }

    /// The value of the digits at `at` and their end; `None` for more than nine.
    pub(super) fn number(self, at: usize) -> Option<(u32, usize)> {
        let end = self.run(at, |c| c.is_ascii_digit()).filter(|end| end - at <= 9)?;
        Some((self.slice(at, end).parse().ok()?, end))
    }

    /// The end of `word` at `at`, in any case, if it stands there as a whole word.
    pub(super) fn word(self, at: usize, word: &str) -> Option<usize> {
        let end = at + word.len();
        (self.slice(at, end).eq_ignore_ascii_case(word) && self.ends_word(end)).then_some(end)
    }

    /// The end of the first of `words` that stands at `at`.
    pub(super) fn any_word(self, at: usize, words: &[&str]) -> Option<usize> {
        words.iter().find_map(|word| self.word(at, word))
    }

    /// The end of a phrase: its words, parted by white space, each with or without a stop.
    pub(super) fn phrase(self, at: usize, phrase: &str) -> Option<usize> {
        let mut words = phrase.split(' ');
        let mut end = self.word(at, words.next()?)?;
        for word in words {
            end = self.word(self.skip_spaces(self.skip(end, '.')), word)?;
        }
        Some(end)
    }

    /// The end of what stands before the spaces, commas, colons and brackets before `at`.
    pub(super) fn gap_before(self, at: usize) -> usize {
        let mut end = at;
        for _ in 0..4 {
            match self.before(end) {
                Some(c @ (' ' | '\u{a0}' | ',' | ':' | '(' | '=')) => end -= c.len_utf8(),
                _ => break,
            }
        }
        end
    }

    /// The start of the word before `end`, of which one space may part it; `end` itself if it is too long.
    pub(super) fn word_before(self, end: usize) -> usize {
        let mut start = if self.before(end) == Some(' ') { end - 1 } else { end };
        let stop = start;
        while let Some(c) = self.before(start).filter(|c| c.is_alphanumeric() || matches!(c, '-' | '\'' | '’')) {
            start -= c.len_utf8();
            if stop - start > LONGEST {
                return end;
            }
        }
        start
    }

    /// Whether one of `words` stands in the few words before `at`, within the sentence.
    pub(super) fn near(self, at: usize, words: &[&str]) -> bool {
        self.any_near(at, |word| words.iter().any(|other| other.eq_ignore_ascii_case(word)))
    }

    /// Whether `is` holds for one of the six words before `at`.
    pub(super) fn any_near(self, at: usize, is: impl Fn(&str) -> bool) -> bool {
        let mut end = at;
        for _ in 0..6 {
            end = self.gap_before(end);
            if matches!(self.before(end), Some('#' | '.')) {
                end -= 1;
            }
            let start = self.word_before(end);
            if start == end {
                return false;
            }
            if is(self.slice(start, end).trim()) {
                return true;
            }
            end = start;
        }
        false
    }

    /// The word directly before `at`, one space away.
    pub(super) fn last_word(self, at: usize) -> &'a str {
        if self.before(at) == Some(' ') { self.slice(self.word_before(at), at - 1).trim_start() } else { "" }
    }

    /// Whether one of `words` stands among the few words before `at`, with nothing but spaces and `:.#(` between.
    pub(super) fn follows(self, at: usize, words: &[&str]) -> bool {
        let mut end = at;
        for _ in 0..4 {
            match self.before(end) {
                Some(c @ (' ' | ':' | '.' | '#' | '(' | '\u{a0}')) => end -= c.len_utf8(),
                _ => break,
            }
        }
        words.iter().any(|word| {
            end.checked_sub(word.len()).is_some_and(|start| {
                self.slice(start, end).eq_ignore_ascii_case(word)
                    && !self.before(start).is_some_and(char::is_alphanumeric)
            })
        })
    }
}
