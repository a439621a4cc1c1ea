//! Notes in: `.txt`, `.jsonl`, `.csv`, `.tsv` and MIMIC-III's `NOTEEVENTS.csv`, each plain or gzipped, from a file or
//! standard input, one record at a time.

mod source;

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use flate2::bufread::MultiGzDecoder;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use self::source::{Bounded, Counted, layout_of};
use super::FormatError;
use crate::domain::sight::{Cue, InSight};
pub(crate) use source::{NoteFiles, files};

/// One line or record may be this long; a longer one is a broken file, not a note.
const MAX_RECORD: usize = 64 << 20;

/// How a file is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The whole file is one note.
    Text,
    /// One JSON object a line.
    JsonLines,
    /// Comma-separated, with a header.
    Csv,
    /// Tab-separated, with a header.
    Tsv,
}

/// Which columns or fields hold what; what is not named is guessed from the header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// The note or sentence.
    pub text: Option<String>,
    pub id: Option<String>,
    pub patient: Option<String>,
    pub label: Option<String>,
    /// Its title; a file that does not have this column has no titles.
    pub title: Option<String>,
}

/// A note or sentence as the file has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NoteRecord {
    /// Line of the file on which it begins, from 1.
    pub line: u64,
    /// Its id, if the file has one.
    pub id: Option<String>,
    /// Whose note it is, if the file says.
    pub patient: Option<String>,
    /// Heading or title.
    pub title: String,
    pub kind: String,
    /// Its date as written.
    pub date: String,
    pub text: String,
    /// Its categories as written: `None` where the file says nothing, empty where it says that none applies.
    pub labels: Option<Vec<String>>,
    /// What had been in sight when the label was given, as far as the file says.
    pub in_sight: Option<InSight>,
}

/// A record that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadRecord {
    /// Line of the file on which it begins, from 1.
    pub line: u64,
    /// Why not.
    pub message: String,
    /// Whether nothing can be read behind it.
    pub fatal: bool,
}

/// An open file of notes.
pub(crate) struct NoteReader {
    /// What was recognised, for the user: `MIMIC-III NOTEEVENTS`, `csv (text: dialogue, ...)`.
    pub recognised: String,
    /// Whether the file is MIMIC-III's, whose terms forbid passing it on.
    pub mimic: bool,
    /// Bytes in the file as stored; `None` for standard input.
    pub size: Option<u64>,
    /// Bytes read so far.
    pub read: Arc<AtomicU64>,
    records: Box<dyn Iterator<Item = Result<NoteRecord, BadRecord>> + Send>,
}

impl Iterator for NoteReader {
    type Item = Result<NoteRecord, BadRecord>;
    fn next(&mut self) -> Option<Self::Item> {
        self.records.next()
    }
}

type Input = Box<dyn BufRead + Send>;

/// Opens a file of notes, or standard input for `-`.
pub(crate) fn open(path: &Path, layout: Option<Layout>, columns: &Columns) -> Result<NoteReader, FormatError> {
    let fail = |cause| FormatError::Io { doing: "read", path: path.into(), cause };
    let read = Arc::new(AtomicU64::new(0));
    let (raw, size) = source::open(path)?;
    let mut buffered = BufReader::with_capacity(1 << 18, Counted { inner: raw, read: read.clone() });
    let zipped = buffered.fill_buf().map_err(fail)?.starts_with(&[0x1f, 0x8b]);
    let mut input: Input = if zipped {
        Box::new(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(buffered)))
    } else {
        Box::new(buffered)
    };
    let start = input.fill_buf().map_err(fail)?;
    if start.starts_with(b"\xef\xbb\xbf") {
        input.consume(3);
    }
    let layout = match layout.or_else(|| layout_of(path)) {
        Some(layout) => layout,
        None => sniff(input.fill_buf().map_err(fail)?),
    };
    let (records, recognised, mimic): (Box<dyn Iterator<Item = _> + Send>, String, bool) = match layout {
        Layout::Text => (Box::new(std::iter::once_with(move || whole(input))), "text, one note a file".into(), false),
        Layout::JsonLines => {
            (Box::new(JsonLines::new(input, columns.clone())), "jsonl, one record a line".into(), false)
        }
        Layout::Csv | Layout::Tsv => {
            let delimiter = if layout == Layout::Csv { b',' } else { b'\t' };
            let table = DelimitedRows::new(input, delimiter, path, columns)?;
            let (said, mimic) = (table.roles.said.clone(), table.roles.mimic);
            (Box::new(table), said, mimic)
        }
    };
    Ok(NoteReader { recognised, mimic, size, read, records })
}

/// Guesses the layout of standard input from its first bytes.
fn sniff(start: &[u8]) -> Layout {
    let first_line = start.split(|b| *b == b'\n').next().unwrap_or_default();
    let text = String::from_utf8_lossy(first_line).to_ascii_lowercase();
    if text.trim_start().starts_with('{') {
        return Layout::JsonLines;
    }
    let has_text_column = |delimiter| text.split(delimiter).any(|cell| TEXT.contains(&cell.trim().trim_matches('"')));
    match () {
        () if has_text_column(',') => Layout::Csv,
        () if has_text_column('\t') => Layout::Tsv,
        () => Layout::Text,
    }
}

fn bad(line: u64, message: impl Into<String>) -> BadRecord {
    BadRecord { line, message: message.into(), fatal: false }
}

fn broken(line: u64, error: &io::Error) -> BadRecord {
    BadRecord { line, message: format!("reading stops here: {error}"), fatal: true }
}

fn not_utf8(bytes: &[u8], valid: usize) -> String {
    let byte = bytes.get(valid).copied().unwrap_or_default();
    format!(
        "byte 0x{byte:02x} at position {} of the record is not UTF-8; convert the file, for example with `iconv -f WINDOWS-1252 -t UTF-8`",
        valid + 1
    )
}

fn whole(mut input: Input) -> Result<NoteRecord, BadRecord> {
    let mut bytes = Vec::new();
    (&mut input).take(MAX_RECORD as u64 + 1).read_to_end(&mut bytes).map_err(|e| broken(1, &e))?;
    if bytes.len() > MAX_RECORD {
        return Err(bad(1, format!("a note of more than {} MiB", MAX_RECORD >> 20)));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..valid].iter().filter(|b| **b == b'\n').count() as u64;
        bad(line, not_utf8(error.as_bytes(), valid))
    })?;
    Ok(NoteRecord { line: 1, text, ..NoteRecord::default() })
}

const TEXT: &[&str] = &["text", "sentence", "note", "note_text", "section_text", "dialogue", "report", "content"];
const ID: &[&str] = &["id", "row_id", "note_id", "sentence_id", "doc_id", "document_id", "encounter_id"];
const PATIENT: &[&str] = &["patient", "patient_id", "subject_id", "patient_key", "pid", "mrn"];
const LABEL: &[&str] = &["label", "labels", "categories"];
const TITLE: &[&str] = &["title", "description", "section_header"];
const KIND: &[&str] = &["kind", "note_type", "type"];
const DATE: &[&str] = &["date", "charttime", "chartdate"];
const MIMIC: [&str; 11] = [
    "ROW_ID",
    "SUBJECT_ID",
    "HADM_ID",
    "CHARTDATE",
    "CHARTTIME",
    "STORETIME",
    "CATEGORY",
    "DESCRIPTION",
    "CGID",
    "ISERROR",
    "TEXT",
];

/// Which column has which role.
struct Roles {
    text: usize,
    id: Option<usize>,
    patient: Option<usize>,
    label: Option<usize>,
    title: Option<usize>,
    kind: Option<usize>,
    date: Option<usize>,
    error: Option<usize>,
    in_sight: Option<usize>,
    blind: Option<usize>,
    mimic: bool,
    said: String,
}

impl Roles {
    fn of(header: &[String], path: &Path, columns: &Columns) -> Result<Self, FormatError> {
        let unfit = |message| FormatError::Unfit { path: path.into(), message };
        let find = |names: &[&str]| {
            names.iter().find_map(|name| header.iter().position(|cell| cell.eq_ignore_ascii_case(name)))
        };
        let named = |name: &Option<String>, guesses: &[&str]| match name {
            Some(name) => match header.iter().position(|cell| cell == name) {
                Some(at) => Ok(Some(at)),
                None => Err(unfit(format!("no column `{name}`; the header has {}", header.join(", ")))),
            },
            None => Ok(find(guesses)),
        };
        let mimic = header.iter().map(String::as_str).eq(MIMIC);
        let text = named(&columns.text, TEXT)?
            .ok_or_else(|| FormatError::NoTextColumn { path: path.into(), header: header.to_vec() })?;
        let mut roles = Self {
            text,
            id: named(&columns.id, ID)?,
            patient: named(&columns.patient, PATIENT)?,
            label: named(&columns.label, LABEL)?,
            title: match &columns.title {
                Some(name) => find(&[name]),
                None => find(TITLE),
            },
            kind: if mimic { find(&["CATEGORY"]) } else { find(KIND) },
            date: find(DATE),
            error: if mimic { find(&["ISERROR"]) } else { None },
            in_sight: find(&["in_sight"]),
            blind: find(&["blind"]),
            mimic,
            said: String::new(),
        };
        // What holds the label is nothing else besides: it would be shown before the decision.
        for other in [&mut roles.title, &mut roles.kind, &mut roles.date] {
            *other = other.filter(|at| Some(*at) != roles.label);
        }
        let role = |name: &str, at: Option<usize>| at.map(|at| format!("{name}: {}", header[at]));
        let said: Vec<String> = [
            role("text", Some(roles.text)),
            role("id", roles.id),
            role("patient", roles.patient),
            role("label", roles.label),
            role("title", roles.title),
        ]
        .into_iter()
        .flatten()
        .collect();
        roles.said = format!("{} ({})", if mimic { "MIMIC-III NOTEEVENTS" } else { "table" }, said.join(", "));
        Ok(roles)
    }
}

/// Rows of a delimited file.
struct DelimitedRows {
    reader: csv::Reader<Bounded<Input>>,
    /// Called before each record.
    begin: Box<dyn Fn() + Send>,
    row: csv::ByteRecord,
    roles: Roles,
    ended: bool,
}

impl DelimitedRows {
    fn new(input: Input, delimiter: u8, path: &Path, columns: &Columns) -> Result<Self, FormatError> {
        let (input, begin) = Bounded::new(input);
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).buffer_capacity(1 << 18).from_reader(input);
        let header = reader.byte_headers().map_err(|cause| FormatError::Header { path: path.into(), cause })?;
        if header.is_empty() {
            let message = "the file is empty; a table needs a header".into();
            return Err(FormatError::Unfit { path: path.into(), message });
        }
        let header: Vec<String> = header.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect();
        let roles = Roles::of(&header, path, columns)?;
        Ok(Self { reader, begin: Box::new(begin), row: csv::ByteRecord::new(), roles, ended: false })
    }

    fn record(&self, line: u64) -> Result<NoteRecord, BadRecord> {
        let cell = |at: usize| -> Result<&str, BadRecord> {
            let bytes = self.row.get(at).unwrap_or_default();
            std::str::from_utf8(bytes).map_err(|e| bad(line, not_utf8(bytes, e.valid_up_to())))
        };
        let optional = |at: Option<usize>| at.map(cell).transpose();
        let filled = |at: Option<usize>| Ok(optional(at)?.map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned));
        let roles = &self.roles;
        Ok(NoteRecord {
            line,
            id: filled(roles.id)?,
            patient: filled(roles.patient)?,
            title: filled(roles.title)?.unwrap_or_default(),
            kind: filled(roles.kind)?.unwrap_or_default(),
            date: filled(roles.date)?.unwrap_or_default(),
            text: cell(roles.text)?.to_owned(),
            labels: optional(roles.label)?.map(split_labels),
            in_sight: in_sight_of(
                filled(roles.in_sight)?.map(Value::from).as_ref(),
                filled(roles.blind)?.map(Value::from).as_ref(),
            ),
        })
    }
}

/// What a file says had been in sight when a label was given: cue by cue, or at least whether it was blind. Anything else says
/// nothing.
fn in_sight_of(in_sight: Option<&Value>, blind: Option<&Value>) -> Option<InSight> {
    // An empty cell says nothing; an empty list says that there was nothing.
    let said = in_sight.filter(|value| !value.is_null() && **value != Value::String(String::new()));
    let cues = said.map(|value| match value {
        Value::String(words) => InSight::parse(words),
        list => serde_json::from_value(list.clone()).ok(),
    });
    let is = |word: &str| match blind {
        Some(Value::Bool(said)) => said.to_string() == word,
        Some(Value::String(said)) => said.eq_ignore_ascii_case(word),
        _ => false,
    };
    match cues {
        Some(Some(cues)) if !cues.is_nothing() || !is("false") => Some(cues),
        // A cue that has no name here was something all the same.
        Some(None) if !is("false") => None,
        None if is("true") => Some(InSight::NOTHING),
        _ => is("false").then(|| InSight::NOTHING.with(Cue::Something)),
    }
}

/// Labels in one cell: separated by `;`, `|`, `+` or `,`; `None`, `none` or nothing is the empty set.
fn split_labels(cell: &str) -> Vec<String> {
    cell.split([';', '|', '+', ','])
        .map(str::trim)
        .filter(|w| !w.is_empty() && !w.eq_ignore_ascii_case("none"))
        .map(str::to_owned)
        .collect()
}

impl Iterator for DelimitedRows {
    type Item = Result<NoteRecord, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.ended {
                return None;
            }
            (self.begin)();
            match self.reader.read_byte_record(&mut self.row) {
                Ok(false) => return None,
                Ok(true) => {
                    let line = self.row.position().map_or(0, csv::Position::line);
                    let erroneous = self.roles.error.and_then(|at| self.row.get(at)) == Some(b"1");
                    if erroneous {
                        continue;
                    }
                    return Some(self.record(line));
                }
                Err(error) => {
                    let line = error.position().map_or_else(|| self.reader.position().line(), csv::Position::line);
                    if let csv::ErrorKind::Io(cause) = error.kind() {
                        self.ended = true;
                        return Some(Err(broken(line, cause)));
                    }
                    let message = match error.kind() {
                        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                            format!("{len} cells where the header has {expected_len}; is a quote missing?")
                        }
                        _ => error.to_string(),
                    };
                    return Some(Err(bad(line, message)));
                }
            }
        }
    }
}

/// The fields of one JSON object, their values still unread: a record may carry many that nobody asks for.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Object<'a> {
    /// The value of the last field that fits, as in any JSON reader that keeps one of two.
    fn get(&self, fits: impl Fn(&str) -> bool) -> Option<&'a RawValue> {
        self.0.iter().rfind(|(field, _)| fits(field)).map(|(_, raw)| *raw)
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
struct JsonLines {
    input: Input,
    line: u64,
    buffer: Vec<u8>,
    columns: Columns,
    /// Names of the fields of title, kind and date, without the label's: it would be shown before the decision.
    guesses: [Vec<&'static str>; 3],
    ended: bool,
}

impl JsonLines {
    fn new(input: Input, mut columns: Columns) -> Self {
        let is_label = |name: &str| columns.label.as_deref().is_some_and(|label| name.eq_ignore_ascii_case(label));
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
                None => guesses.iter().find_map(|guess| object.get(|field| field.eq_ignore_ascii_case(guess))),
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
            Some(Value::String(one)) => Some(split_labels(&one)),
            Some(Value::Array(many)) => {
                let words: Option<Vec<String>> = many.iter().map(|v| v.as_str().map(str::to_owned)).collect();
                Some(words.ok_or_else(|| bad(line, "a label that is no string"))?)
            }
            Some(other) => return Err(bad(line, format!("the label is {other}, not a string or a list of strings"))),
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
            text,
            labels,
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

#[cfg(test)]
mod tests;
