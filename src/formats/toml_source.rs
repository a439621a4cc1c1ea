//! Reads TOML table by table and collects every fault with its place, where serde would stop at the first.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::FileFault;

/// A TOML text under reading, with the faults found so far.
pub(super) struct TomlSource<'t> {
    text: &'t str,
    faults: Vec<(usize, String)>,
}

/// A table whose keys are taken one by one; what is left is unknown.
pub(super) struct TomlTable<'a, 't> {
    table: &'a DeTable<'t>,
    span: Range<usize>,
    taken: Vec<&'static str>,
}

impl<'t> TomlSource<'t> {
    /// Parses the text; syntax faults are collected like any other.
    pub(super) fn parse(text: &'t str) -> (Self, Spanned<DeTable<'t>>) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut source = Self { text, faults: Vec::new() };
        for error in errors {
            source.fault(error.span().unwrap_or(0..0), error.message().to_owned());
        }
        (source, table)
    }

    /// Notes a fault.
    pub(super) fn fault(&mut self, at: Range<usize>, message: impl Into<String>) {
        self.faults.push((at.start, message.into()));
    }

    /// The faults in the order of the text. The text is gone through once, whatever their number: a file may be nothing else.
    pub(super) fn into_faults(mut self) -> Vec<FileFault> {
        self.faults.sort_by_key(|(at, _)| *at);
        let (mut seen, mut line, mut column) = (0, 1, 1);
        let placed = self.faults.into_iter().map(|(at, message)| {
            let passed = self.text.get(seen..at).unwrap_or_default();
            seen += passed.len();
            let lines = passed.matches('\n').count();
            line += lines;
            column = if lines == 0 { column } else { 1 };
            column += passed.rsplit('\n').next().unwrap_or_default().chars().count();
            FileFault { line, column, message }
        });
        placed.collect()
    }

    fn wrong_type<T>(&mut self, key: &str, value: &Spanned<DeValue<'t>>, wanted: &str) -> Option<T> {
        self.fault(value.span(), format!("`{key}` must be {wanted}, not {}", article(value.get_ref().type_str())));
        None
    }
}

fn article(word: &str) -> String {
    let article = if word.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {word}")
}

impl<'a, 't> TomlTable<'a, 't> {
    pub(super) fn new(table: &'a DeTable<'t>, span: Range<usize>) -> Self {
        Self { table, span, taken: Vec::new() }
    }

    /// Where the table stands, for faults about what it lacks.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'t>>> {
        self.taken.push(key);
        self.table.iter().find(|(k, _)| k.get_ref() == key).map(|(_, value)| value)
    }

    /// A text with its place.
    pub(super) fn text(&mut self, source: &mut TomlSource<'t>, key: &'static str) -> Option<(String, Range<usize>)> {
        let value = self.take(key)?;
        match value.get_ref().as_str() {
            Some(text) => Some((text.to_owned(), value.span())),
            None => source.wrong_type(key, value, "a text in quotes"),
        }
    }

    /// A text that must be there and not blank.
    pub(super) fn required(
        &mut self,
        source: &mut TomlSource<'t>,
        key: &'static str,
    ) -> Option<(String, Range<usize>)> {
        let present = self.table.iter().any(|(k, _)| k.get_ref() == key);
        let found = self.text(source, key);
        match &found {
            None if !present => source.fault(self.span(), format!("`{key}` is missing")),
            Some((text, at)) if text.trim().is_empty() => source.fault(at.clone(), format!("`{key}` is empty")),
            _ => {}
        }
        found
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, source: &mut TomlSource<'t>, key: &'static str) -> Option<Vec<String>> {
        Some(self.placed_texts(source, key)?.into_iter().map(|(text, _)| text).collect())
    }

    /// A list of texts, each with its place.
    pub(super) fn placed_texts(
        &mut self,
        source: &mut TomlSource<'t>,
        key: &'static str,
    ) -> Option<Vec<(String, Range<usize>)>> {
        let value = self.take(key)?;
        let Some(array) = value.get_ref().as_array() else {
            return source.wrong_type(key, value, "a list of texts");
        };
        let mut texts = Vec::new();
        for item in array {
            match item.get_ref().as_str() {
                Some(text) => texts.push((text.to_owned(), item.span())),
                None => return source.wrong_type(key, item, "a list of texts"),
            }
        }
        Some(texts)
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, source: &mut TomlSource<'t>, key: &'static str) -> Option<bool> {
        let value = self.take(key)?;
        value.get_ref().as_bool().or_else(|| source.wrong_type(key, value, "true or false"))
    }

    /// Whether the key holds a text.
    pub(super) fn is_text(&self, key: &str) -> bool {
        self.table.iter().any(|(k, value)| k.get_ref() == key && value.get_ref().is_str())
    }

    /// Whether the key holds `true` or `false`.
    pub(super) fn is_flag(&self, key: &str) -> bool {
        self.table.iter().any(|(k, value)| k.get_ref() == key && value.get_ref().as_bool().is_some())
    }

    /// A number within limits.
    pub(super) fn number(
        &mut self,
        source: &mut TomlSource<'t>,
        key: &'static str,
        limits: std::ops::RangeInclusive<f64>,
    ) -> Option<f64> {
        let value = self.take(key)?;
        number(source, key, value, &limits)
    }

    /// Every key with a number within limits; for tables whose keys are the user's.
    pub(super) fn numbers(
        self,
        source: &mut TomlSource<'t>,
        limits: std::ops::RangeInclusive<f64>,
    ) -> Vec<(String, f64, Range<usize>)> {
        let mut all = Vec::new();
        for (key, value) in self.table {
            let found = number(source, key.get_ref(), value, &limits);
            all.extend(found.map(|number| (key.get_ref().to_string(), number, key.span())));
        }
        all
    }

    /// A whole number within limits.
    pub(super) fn whole(
        &mut self,
        source: &mut TomlSource<'t>,
        key: &'static str,
        limits: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let at = self.table.iter().find(|(k, _)| k.get_ref() == key).map(|(_, v)| v.span());
        let number = self.number(source, key, *limits.start() as f64..=*limits.end() as f64)?;
        if number.fract() != 0.0 {
            source.fault(at?, format!("`{key}` must be a whole number"));
            return None;
        }
        Some(number as u64)
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(
        &mut self,
        source: &mut TomlSource<'t>,
        key: &'static str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let (text, at) = self.text(source, key)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            source.fault(at, format!("`{key}` must be {}, not \"{text}\"", known.join(" or ")));
        }
        found
    }

    /// A table inside this one.
    pub(super) fn table(&mut self, source: &mut TomlSource<'t>, key: &'static str) -> Option<TomlTable<'a, 't>> {
        let value = self.take(key)?;
        match value.get_ref().as_table() {
            Some(table) => Some(TomlTable::new(table, value.span())),
            None => source.wrong_type(key, value, &format!("a table: [{key}]")),
        }
    }

    /// A list of tables.
    pub(super) fn tables(&mut self, source: &mut TomlSource<'t>, key: &'static str) -> Vec<TomlTable<'a, 't>> {
        let Some(value) = self.take(key) else {
            return Vec::new();
        };
        let wanted = format!("a list of tables: [[{key}]]");
        let Some(array) = value.get_ref().as_array() else {
            source.wrong_type::<()>(key, value, &wanted);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in array {
            match item.get_ref().as_table() {
                Some(table) => tables.push(TomlTable::new(table, item.span())),
                None => drop(source.wrong_type::<()>(key, item, &wanted)),
            }
        }
        tables
    }

    /// Every key with the table that it holds; for tables whose keys are the user's.
    pub(super) fn named_tables(self, source: &mut TomlSource<'t>) -> Vec<(String, TomlTable<'a, 't>)> {
        let mut all = Vec::new();
        for (key, value) in self.table {
            match value.get_ref().as_table() {
                Some(table) => all.push((key.get_ref().to_string(), TomlTable::new(table, value.span()))),
                None => drop(source.wrong_type::<()>(key.get_ref(), value, "a table")),
            }
        }
        all
    }

    /// Every key with a list of texts or one text; for tables whose keys are the user's.
    pub(super) fn open(self, source: &mut TomlSource<'t>) -> Vec<(String, Vec<String>, Range<usize>)> {
        let mut all = Vec::new();
        for (key, value) in self.table {
            let texts = match value.get_ref() {
                DeValue::String(one) => Some(vec![one.to_string()]),
                DeValue::Array(many) => many.iter().map(|v| v.get_ref().as_str().map(str::to_owned)).collect(),
                _ => None,
            };
            match texts {
                Some(texts) => all.push((key.get_ref().to_string(), texts, key.span())),
                None => drop(source.wrong_type::<()>(key.get_ref(), value, "a text or a list of texts")),
            }
        }
        all
    }

    /// Says which keys are unknown, and which known one each may have meant.
    pub(super) fn close(self, source: &mut TomlSource<'t>) {
        for (key, _) in self.table {
            let key_text: &str = key.get_ref();
            if self.taken.contains(&key_text) {
                continue;
            }
            let near = self.taken.iter().map(|known| (strsim::levenshtein(key_text, known), *known)).min();
            let hint = match near {
                Some((distance, known)) if distance <= 1 + known.len() / 4 => format!("; did you mean `{known}`?"),
                _ => format!("; known are {}", self.taken.join(", ")),
            };
            source.fault(key.span(), format!("`{key_text}` is not known here{hint}"));
        }
    }
}

fn number<'t>(
    source: &mut TomlSource<'t>,
    key: &str,
    value: &Spanned<DeValue<'t>>,
    limits: &std::ops::RangeInclusive<f64>,
) -> Option<f64> {
    let number: Option<f64> = match value.get_ref() {
        DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix()).ok().map(|i| i as f64),
        DeValue::Float(f) => f.as_str().parse().ok(),
        _ => return source.wrong_type(key, value, "a number"),
    };
    let fits = number.filter(|n| limits.contains(n));
    if fits.is_none() {
        source.fault(value.span(), format!("`{key}` must be between {} and {}", limits.start(), limits.end()));
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::place;

    #[test]
    fn every_fault_has_its_own_place() {
        let text = "a = 1\n\u{e9} = 2\r\n\nb = \"\u{301}x\" # \u{1f600} c\n\n";
        let (mut source, _) = TomlSource::parse(text);
        let places: Vec<usize> = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect();
        let syntax = source.faults.len();
        places.iter().rev().for_each(|at| source.fault(*at..*at, "here"));
        let found = source.into_faults().into_iter().filter(|fault| fault.message == "here");
        let found: Vec<(usize, usize)> = found.map(|fault| (fault.line, fault.column)).collect();
        assert_eq!(found, places.iter().map(|at| place(text, *at)).collect::<Vec<_>>());
        assert!(syntax > 0, "a key that is no bare key is a fault of syntax");
    }
}
