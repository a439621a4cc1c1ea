//! One JSON object a line.

use std::fmt;
use std::io::{BufRead, Read};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::roles::{self, DATE, ERROR, ID, KIND, LABEL, PATIENT, TEXT, TITLE, in_sight_of};
use super::source::Input;
use super::{BadRecord, Columns, MAX_RECORD, NoteRecord, bad, broken, mimic, not_utf8, same};
use crate::domain::label_words::LabelWords;

/// The fields of one JSON object, their values still unread: a record may carry many that nobody asks for.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Object<'a> {
    /// The value of the last field that fits, as in any JSON reader that keeps one of two.
    fn get(&self, fits: impl Fn(&str) -> bool) -> Option<&'a RawValue> {
        self.0.iter().rfind(|(field, _)| fits(field)).map(|(_, raw)| *raw)
    }

    fn has(&self, field: &str) -> bool {
        self.0.iter().any(|(name, _)| name == field)
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Objects of a JSON-lines file.
pub(super) struct JsonLines {
    input: Input,
    line: u64,
    buffer: Vec<u8>,
    columns: Columns,
    /// Names of the fields of title, kind and date, without the label's: it would be shown before the decision.
    guesses: [Vec<&'static str>; 3],
    ended: bool,
}

impl JsonLines {
    pub(super) fn new(input: Input, mut columns: Columns) -> Self {
        let is_label = |name: &str| columns.label.as_deref().is_some_and(|label| same(name, label));
        let guesses = [TITLE, KIND, DATE].map(|names| names.iter().copied().filter(|name| !is_label(name)).collect());
        // What is no field at all is found in none.
        if columns.title.as_deref().is_some_and(is_label) {
            columns.title = Some(String::new());
        }
        Self { input, line: 0, buffer: Vec::new(), columns, guesses, ended: false }
    }

    fn record(&self) -> Result<NoteRecord, BadRecord> {
        let line = self.line;
        let text = std::str::from_utf8(&self.buffer).map_err(|e| bad(line, not_utf8(&self.buffer, e.valid_up_to())))?;
        let no_json = |e: &serde_json::Error| bad(line, format!("no JSON object: {e}"));
        let object: Object<'_> = serde_json::from_str(text).map_err(|e| no_json(&e))?;
        let get = |named: &Option<String>, guesses: &[&str]| {
            let found = match named {
                Some(name) => object.get(|field| field == name),
                None => guesses.iter().find_map(|guess| object.get(|field| same(field, guess))),
            };
            found.map(|raw| serde_json::from_str::<Value>(raw.get())).transpose().map_err(|e| no_json(&e))
        };
        let word = |value: Option<Value>| match value {
            Some(Value::String(s)) => Some(s),
            Some(Value::Number(n)) => Some(n.to_string()),
            _ => None,
        };
        let text = match get(&self.columns.text, TEXT)? {
            Some(Value::String(text)) => text,
            Some(other) => return Err(bad(line, format!("the text is {other}, not a string"))),
            None => {
                let fields: Vec<&str> = object.0.iter().map(|(field, _)| field.as_ref()).collect();
                return Err(bad(line, format!("no field looks like the text, of {}", fields.join(", "))));
            }
        };
        let labels = match get(&self.columns.label, LABEL)? {
            None | Some(Value::Null) => None,
            Some(Value::String(one)) => LabelWords::cell(&one),
            Some(Value::Number(number)) => LabelWords::cell(&number.to_string()),
            // Tools list what nobody has opened with an empty list. Ours says *None* so in exports of before, whose lines have
            // these two fields.
            Some(Value::Array(many)) if many.is_empty() => {
                (object.has("by") && object.has("adjudicated")).then(|| LabelWords::List(Vec::new()))
            }
            Some(Value::Array(many)) => {
                let words: Option<Vec<String>> = many.into_iter().map(|value| word(Some(value))).collect();
                Some(LabelWords::List(words.ok_or_else(|| bad(line, "a label that is no string"))?))
            }
            Some(other) => return Err(bad(line, format!("the label is {other}, not a string or a list of strings"))),
        };
        let error = match get(&None, ERROR)? {
            Some(Value::Bool(error)) => error,
            other => word(other).is_some_and(|cell| roles::is_error(&cell)),
        };
        let [title, kind, date] = &self.guesses;
        let in_sight = in_sight_of(get(&None, &["in_sight"])?.as_ref(), get(&None, &["blind"])?.as_ref());
        Ok(NoteRecord {
            line,
            id: word(get(&self.columns.id, ID)?),
            patient: word(get(&self.columns.patient, PATIENT)?),
            title: word(get(&self.columns.title, title)?).unwrap_or_default(),
            kind: word(get(&None, kind)?).unwrap_or_default(),
            date: word(get(&None, date)?).unwrap_or_default(),
            in_sight,
            mimic: mimic::by_columns(object.0.iter().map(|(field, _)| field.as_str())),
            text,
            labels,
            error,
        })
    }
}

impl Iterator for JsonLines {
    type Item = Result<NoteRecord, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.ended {
                return None;
            }
            self.buffer.clear();
            self.line += 1;
            let limit = MAX_RECORD as u64 + 1;
            match (&mut self.input).take(limit).read_until(b'\n', &mut self.buffer) {
                Ok(0) => return None,
                Ok(n) if n as u64 == limit => {
                    self.ended = true;
                    let message = format!("a line of more than {} MiB", MAX_RECORD >> 20);
                    return Some(Err(BadRecord { line: self.line, message, fatal: true }));
                }
                Ok(_) if self.buffer.iter().all(u8::is_ascii_whitespace) => {}
                Ok(_) => return Some(self.record()),
                Err(error) => {
                    self.ended = true;
                    return Some(Err(broken(self.line, &error)));
                }
            }
        }
    }
}

/// What each field is taken for, of those that the first lines have.
pub(super) fn uses(head: &[u8], columns: &Columns) -> Vec<roles::ColumnUse> {
    let lines = head.split(|b| *b == b'\n').take(100);
    let objects = lines.filter_map(|line| serde_json::from_slice::<Object<'_>>(line).ok());
    let mut fields: Vec<String> = Vec::new();
    for (field, _) in objects.flat_map(|object| object.0) {
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    roles::Roles::of(&fields, std::path::Path::new(""), columns).map_or_else(
        |_| fields.iter().map(|field| roles::ColumnUse { column: field.clone(), taken_for: None }).collect(),
        |roles| roles.columns,
    )
}
