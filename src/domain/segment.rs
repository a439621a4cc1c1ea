//! Sentences of clinical text.
//!
//! The Unicode rules split "Dr. Smith" and "b.i.d. with meals", and know nothing of headings, list items and the hard
//! wraps of dictated letters. Here lines are read first (which breaks end something?), then the full stops within what
//! the lines leave together. Every decision looks at a bounded stretch of text around it, so time is linear.

use super::text::Span;

use abbreviations::{
    Abbreviation, abbreviation, goes_on, is_careless_starter, is_starter, takes_a_letter, takes_a_number,
};

mod abbreviations;
mod lines;

/// The sentences of `text` in order. They don't overlap, have no white space around them, and together hold every
/// character of `text` that is not white space.
#[must_use]
pub(crate) fn segment(text: &str) -> Vec<Span> {
    let sealed = deidentified(text);
    let mut sentences = Vec::new();
    let mut first = 0;
    for block in lines::blocks(text, &sealed) {
        while sealed.get(first).is_some_and(|span| span.end <= block.start) {
            first += 1;
        }
        split(text, block, &sealed[first..], &mut sentences);
    }
    sentences
}

/// Spans such as `[**Hospital 7**]` that stand for a removed name. What is within them is no sentence's punctuation.
pub(super) fn deidentified(text: &str) -> Vec<Span> {
    let bytes = text.as_bytes();
    let mut spans = Vec::new();
    let mut open = None;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"[**") {
            open = Some(at);
            at += 3;
        } else if bytes[at..].starts_with(b"**]") {
            at += 3;
            spans.extend(open.take().map(|start| Span::new(start, at)));
        } else {
            at += 1;
        }
    }
    spans
}

/// Splits one block at the stops that end sentences.
fn split(text: &str, block: Span, sealed: &[Span], sentences: &mut Vec<Span>) {
    let mut sealed = sealed.iter().peekable();
    let mut start = block.start;
    let mut at = block.start;
    // The number of the last list item, for lists that run on in one line: "1. hypothermia 2. CAP".
    let mut item = None;
    while at < block.end {
        while sealed.next_if(|span| span.end <= at).is_some() {}
        if let Some(span) = sealed.peek().filter(|span| span.contains(at)) {
            at = span.end;
            continue;
        }
        let Some(c) = text[at..block.end].chars().next() else {
            break;
        };
        let end = if is_stop(c) {
            let stop = Stop::read(text, Span::new(start, block.end), at);
            at = stop.end;
            if stop.kind == StopKind::Period && stop.rest.starts_with(char::is_whitespace) && stop.is_item_number() {
                item = stop.word.parse::<u32>().ok();
                continue;
            }
            let next = item.map(|last| last + 1);
            if let Some(number) = next.and_then(|next| stop.number_before(next)) {
                item = next;
                start + number
            } else if stop.ends_sentence() {
                stop.end
            } else {
                continue;
            }
        } else if c == '•' && text[start..at].ends_with(char::is_whitespace) {
            at
        } else {
            at += c.len_utf8();
            continue;
        };
        sentences.push(Span::new(start, start + text[start..end].trim_end().len()));
        start = end + (text[end..block.end].len() - text[end..block.end].trim_start().len());
        at = if c == '•' { start + c.len_utf8() } else { start };
    }
    if start < block.end {
        sentences.push(Span::new(start, block.end));
    }
}

/// Whether `c` can end a sentence.
fn is_stop(c: char) -> bool {
    matches!(c, '.' | '?' | '!' | '…')
}

/// Quotes and brackets that close after a stop.
fn is_closer(c: char) -> bool {
    matches!(c, '"' | '\'' | '”' | '’' | '»' | ')' | ']' | '}')
}

fn is_opener(c: char) -> bool {
    matches!(c, '"' | '\'' | '“' | '‘' | '«' | '(' | '[' | '{')
}

/// Words longer than this decide nothing.
const LONGEST_WORD: usize = 100;

/// The word that ends at `end`, without the quotes and brackets that open it.
fn word_before(text: &str, end: usize) -> &str {
    let mut start = end;
    for (offset, c) in text[..end].char_indices().rev() {
        if c.is_whitespace() || end - offset > LONGEST_WORD {
            break;
        }
        start = offset;
    }
    text[start..end].trim_start_matches(is_opener)
}

/// The word at the start of `text`.
fn word_after(text: &str) -> &str {
    let ends = |&(offset, c): &(usize, char)| {
        offset >= LONGEST_WORD || !(c.is_alphanumeric() || matches!(c, '\'' | '’' | '-'))
    };
    &text[..text.char_indices().find(ends).map_or(text.len(), |(offset, _)| offset)]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum StopKind {
    Period,
    /// A question or exclamation mark among the stops.
    Loud,
    Ellipsis,
}

/// One or more stops in a row, and what is around them.
struct Stop<'a> {
    kind: StopKind,
    /// What the sentence says before the stop.
    sentence: &'a str,
    word: &'a str,
    /// Whether a quote or bracket closes right after the stop.
    closed: bool,
    /// Offset after the stop and its closers.
    end: usize,
    rest: &'a str,
}

impl<'a> Stop<'a> {
    /// Reads the stop at `at` within `sentence`, which runs from the sentence's start to the end of its block.
    fn read(text: &'a str, sentence: Span, at: usize) -> Self {
        let tail = &text[at..sentence.end];
        let stops = tail.len() - tail.trim_start_matches(is_stop).len();
        let run = &tail[..stops];
        let rest = tail[stops..].trim_start_matches(is_closer);
        let kind = if run.contains(['?', '!']) {
            StopKind::Loud
        } else if run == "." {
            StopKind::Period
        } else {
            StopKind::Ellipsis
        };
        Self {
            kind,
            sentence: &text[sentence.start..at],
            word: word_before(&text[sentence.start..at], at - sentence.start),
            closed: tail.len() - stops > rest.len(),
            end: sentence.end - rest.len(),
            rest,
        }
    }

    fn ends_sentence(&self) -> bool {
        if self.rest.is_empty() {
            // The block's end is the sentence's.
            return false;
        }
        if !self.rest.starts_with(char::is_whitespace) {
            return self.ends_without_space();
        }
        let next = Next::read(self.rest.trim_start());
        match self.kind {
            StopKind::Loud => self.loud_ends(&next),
            StopKind::Ellipsis => next.opens || next.first.is_uppercase(),
            StopKind::Period => self.period_ends(&next),
        }
    }

    /// "well.She": the space was forgotten. Everything else that goes on without one is a number, an address or an
    /// abbreviation.
    fn ends_without_space(&self) -> bool {
        let after: &str = self.rest;
        let whole_word = self.word.chars().filter(|c| c.is_alphabetic()).count() >= 3
            && self.word.chars().all(|c| c.is_alphabetic() || matches!(c, '-' | '\'' | '’' | ',' | ')' | '"'));
        let number = self.word.ends_with(|c: char| c.is_ascii_digit() || matches!(c, '%' | ')' | ']'))
            && !self.word.contains(['@', '=', '&'])
            && !self.word.contains("//");
        if self.kind == StopKind::Ellipsis || abbreviation(self.word).is_some() {
            return false;
        }
        let word = word_after(after);
        // What stands right after the word: an address goes on, a sentence has a space or an apostrophe.
        let free = after[word.len()..].chars().next().is_none_or(|c| c.is_whitespace() || matches!(c, ',' | ':' | '/'));
        if after.starts_with("[**") {
            return whole_word;
        }
        let mut letters = word.chars();
        let capital = letters.next().is_some_and(char::is_uppercase);
        let then_small = letters.next().is_none_or(char::is_lowercase);
        if capital {
            return free && (whole_word && (then_small || is_starter(word)) || number && then_small && word.len() > 1);
        }
        self.kind == StopKind::Period
            && whole_word
            && is_careless_starter(word)
            && after[word.len()..].starts_with(char::is_whitespace)
    }

    fn loud_ends(&self, next: &Next) -> bool {
        let spaced = self.sentence.is_empty() || self.sentence.ends_with(char::is_whitespace);
        if spaced {
            // "dx ? MCI" is doubt, not a question.
            return !self.sentence.is_empty() && is_starter(next.word);
        }
        if self.closed {
            // '"What day is it?" four times' goes on, and "still driving (!) despite advice" does.
            return !self.sentence.ends_with('(') && !next.first.is_lowercase();
        }
        next.begins_sentence() || next.first.is_lowercase()
    }

    fn period_ends(&self, next: &Next) -> bool {
        let kind = if self.closed { None } else { abbreviation(self.word) };
        match kind {
            Some(Abbreviation::Opens) => false,
            Some(Abbreviation::Counts) => {
                next.begins_sentence()
                    && !next.first.is_ascii_digit()
                    && !next.word.contains(|c: char| c.is_ascii_digit())
                    && next.first != '#'
            }
            Some(Abbreviation::Leads) if self.names_a_thing() => next.begins_sentence(),
            Some(Abbreviation::Leads) => is_starter(next.word) && next.first.is_uppercase(),
            Some(Abbreviation::Closes) => {
                (next.first.is_uppercase() && !goes_on(next.word)) || next.is_item || next.first == '?'
            }
            None if next.first.is_lowercase() && !next.opens => self.careless_ends(next),
            None => next.begins_sentence(),
        }
    }

    /// A small letter after a full stop: a sentence that was typed in haste, or an abbreviation that no list has.
    fn careless_ends(&self, next: &Next) -> bool {
        let letters = self.word.chars().filter(|c| c.is_alphabetic()).count();
        let ordinary = letters >= 5 && self.word.contains(['a', 'e', 'i', 'o', 'u', 'y']);
        let number = self.word.ends_with(|c: char| c.is_ascii_digit() || c == '%');
        !self.closed && (ordinary || number || letters > 1 && is_careless_starter(next.word))
    }

    /// "1." at the start of an item, also behind a bullet or an inline heading.
    fn is_item_number(&self) -> bool {
        let numbered = self.word.len() <= 5 && {
            let mut word = self.word.to_owned();
            word.push('.');
            lines::is_number(&word)
        };
        if !numbered {
            return false;
        }
        let before = self.sentence[..self.sentence.len() - self.word.len()].trim_end();
        before.is_empty() || before.len() <= 60 && before.ends_with([':', '-', '#', '*', '•', '('])
    }

    /// Where `number` begins in the sentence, if it is the next item's in a list that runs on.
    fn number_before(&self, number: u32) -> Option<usize> {
        let begins = self.sentence.len() - self.word.len();
        let spaced = self.sentence[..begins].ends_with(char::is_whitespace);
        if self.word != number.to_string() || !spaced || !self.rest.starts_with(char::is_whitespace) {
            return None;
        }
        let before = self.sentence[..begins].trim_end();
        let before = word_before(before, before.len());
        let said = before.chars().filter(|c| c.is_alphabetic()).count() >= 3;
        (said && !takes_a_letter(before) && !takes_a_number(before)).then_some(begins)
    }

    /// "vitamin C.", where one capital is no initial.
    fn names_a_thing(&self) -> bool {
        let before = self.sentence[..self.sentence.len() - self.word.len()].trim_end();
        self.word.len() == 1 && takes_a_letter(word_before(before, before.len()))
    }
}

/// What follows a stop and a space.
struct Next<'a> {
    /// Whether a quote, a bracket or a removed name opens.
    opens: bool,
    /// The first character within what opens.
    first: char,
    word: &'a str,
    /// Whether a list item's number or bullet follows.
    is_item: bool,
}

impl<'a> Next<'a> {
    fn read(rest: &'a str) -> Self {
        let inner = rest.trim_start_matches(|c| is_opener(c) || c == '*');
        let token = rest.split(char::is_whitespace).next().unwrap_or_default();
        Self {
            opens: inner.len() < rest.len(),
            first: inner.chars().next().unwrap_or(' '),
            word: word_after(inner),
            is_item: lines::is_number(token) && rest[token.len()..].trim_start().starts_with(char::is_uppercase),
        }
    }

    fn begins_sentence(&self) -> bool {
        let c = self.first;
        self.opens
            || (c.is_alphanumeric() && !c.is_lowercase())
            || matches!(
                c,
                '#' | '?' | '•' | '-' | '–' | '—' | '~' | '>' | '<' | '+' | '$' | '£' | '€' | '.' | '≥' | '≤'
            )
    }
}

#[cfg(test)]
mod evaluation;
#[cfg(test)]
mod tests;
