//! Notes in: plain records, one at a time, from a file or standard input, plain or gzipped. Each layout is a file below that
//! makes records of an input; [`recognise`] says which one it is, and what all of them share is done here.

mod encoding;
mod json_lines;
mod mimic;
mod recognise;
mod roles;
mod source;
mod table;
mod text;

use std::fmt;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use self::json_lines::JsonLines;
use self::mimic::MimicSigns;
use self::source::Counted;
use self::table::{DelimitedRows, Dialect};
use super::FormatError;
use crate::domain::label_words::LabelWords;
use crate::domain::sight::InSight;
pub use encoding::TextEncoding;
pub use recognise::Foreign;
pub use roles::ColumnUse;
pub use source::PassedOver;
pub(crate) use source::{NoteFiles, files, pass_over};

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

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::JsonLines => "JSON lines",
            Self::Csv => "a table",
            Self::Tsv => "a table with tabs",
        })
    }
}

/// How to read a file, as far as somebody says; the rest is found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    pub layout: Option<Layout>,
    pub columns: Columns,
    /// The encoding of its text.
    pub encoding: Option<TextEncoding>,
    /// Between the cells of a table.
    pub delimiter: Option<u8>,
    /// Whether records without a text are handed on: where each record gets an answer.
    pub(crate) with_blank: bool,
    /// What stood on standard input, where it has been read.
    pub(crate) kept: Option<Arc<[u8]>>,
}

impl Reading {
    /// Reads standard input, so that it can be opened more than once.
    pub(crate) fn keep_standard_input(&mut self) -> Result<(), FormatError> {
        self.kept = Some(source::keep_standard_input()?);
        Ok(())
    }
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
    /// Its label as written; `None` where the file says nothing.
    pub labels: Option<LabelWords>,
    /// What had been in sight when the label was given, as far as the file says.
    pub in_sight: Option<InSight>,
    /// By which of its fields it is a note of MIMIC's, where each record has fields of its own.
    mimic: Option<String>,
    /// Whether the file says that it was written in error.
    error: bool,
}

impl NoteRecord {
    /// Whether nothing stands in it, as in the rows below a spreadsheet's last.
    fn is_blank(&self) -> bool {
        let Self { line: _, id, patient, title, kind, date, text, labels, .. } = self;
        let empty = [title, kind, date].into_iter().all(String::is_empty) && text.trim().is_empty();
        empty && id.is_none() && patient.is_none() && labels.is_none()
    }
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

/// What a layout makes of an input: the one thing that a new layout has to do.
type Records = Box<dyn Iterator<Item = Result<NoteRecord, BadRecord>> + Send>;

/// An open file of notes.
pub(crate) struct NoteReader {
    pub layout: Layout,
    pub encoding: TextEncoding,
    /// Between the cells of a table, in words.
    pub delimiter: Option<String>,
    /// What each column, or field of the first records, is taken for.
    pub columns: Vec<ColumnUse>,
    /// Bytes in the file as stored; `None` for standard input.
    pub size: Option<u64>,
    /// Bytes read so far.
    pub read: Arc<AtomicU64>,
    /// By what it was recognised as notes of MIMIC's, whose terms forbid passing them on.
    pub mimic: Option<String>,
    /// Notes left out so far because the file says that they were written in error.
    pub in_error: u64,
    signs: MimicSigns,
    with_blank: bool,
    records: Records,
}

impl NoteReader {
    /// What was recognised, for the user.
    pub(crate) fn recognised(&self) -> String {
        let columns = roles::said(&self.columns);
        let mut said = match (self.layout, columns.is_empty()) {
            (Layout::Text, _) => "text, one note a file".to_owned(),
            (layout, true) => layout.to_string(),
            (layout, false) => format!("{layout} ({columns})"),
        };
        for more in
            [self.delimiter.as_ref().filter(|d| *d != ",").map(|d| format!("cells between {d}")), self.other_encoding()]
        {
            said.extend(more.map(|more| format!(", {more}")));
        }
        said
    }

    fn other_encoding(&self) -> Option<String> {
        Some(self.encoding.to_string()).filter(|name| name != "utf-8").map(|name| format!("in {name}"))
    }
}

/// What holds for the records of every layout.
impl Iterator for NoteReader {
    type Item = Result<NoteRecord, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let record = match self.records.next()? {
                Ok(record) => record,
                bad => return Some(bad),
            };
            if self.mimic.is_none() {
                self.mimic = record.mimic.clone().or_else(|| self.signs.look(record.id.as_deref(), &record.text));
            }
            self.in_error += u64::from(record.error);
            if !record.error && self.with_blank {
                return Some(Ok(record));
            }
            if record.error || (record.is_blank() && self.layout != Layout::Text) {
                continue;
            }
            if record.text.trim().is_empty() {
                let what = if record.labels.is_some() { "a label without a text" } else { "no text" };
                return Some(Err(bad(record.line, what)));
            }
            return Some(Ok(record));
        }
    }
}

/// Opens a file of notes, or standard input for `-`. Whatever is not known to be one is refused.
pub(crate) fn open(path: &Path, reading: &Reading) -> Result<NoteReader, FormatError> {
    let fail = |cause| FormatError::Io { doing: "read", path: path.into(), cause };
    let read = Arc::new(AtomicU64::new(0));
    let (raw, size) = match &reading.kept {
        Some(kept) if path == Path::new("-") => source::kept(kept),
        _ => source::open(path)?,
    };
    let counted = BufReader::with_capacity(1 << 18, Counted { inner: raw, read: read.clone() });
    let (head, input) = source::peek(source::unzipped(Box::new(counted)).map_err(fail)?).map_err(fail)?;
    if let Some(kind) = recognise::by_magic(&head) {
        return Err(FormatError::Foreign { path: path.into(), kind });
    }
    let encoding::InUtf8 { input, encoding } = encoding::in_utf8(path, input, &head, reading.encoding)?;
    let (head, input) = source::peek(input).map_err(fail)?;
    let layout = recognise::layout(path, &head, reading.layout)?;
    let (mut delimiter, mut mimic) = (None, None);
    let (records, columns): (Records, Vec<ColumnUse>) = match layout {
        Layout::Text => (Box::new(std::iter::once_with(move || text::read(input))), Vec::new()),
        Layout::JsonLines => {
            let columns = json_lines::uses(&head, &reading.columns);
            (Box::new(JsonLines::new(input, reading.columns.clone())), columns)
        }
        Layout::Csv | Layout::Tsv => {
            let usual = if layout == Layout::Csv { b',' } else { b'\t' };
            let dialect = Dialect::of(&head, usual, reading.delimiter, reading.columns.text.as_deref());
            let table = DelimitedRows::new(input, dialect, path, &reading.columns)?;
            delimiter = Some(dialect.said());
            mimic = table.roles.mimic.clone();
            let columns = table.roles.columns.clone();
            (Box::new(table), columns)
        }
    };
    let signs = MimicSigns::default();
    let with_blank = reading.with_blank;
    Ok(NoteReader { layout, encoding, delimiter, columns, size, read, mimic, in_error: 0, signs, with_blank, records })
}

/// Whether two names of columns are the same but for case, spaces, hyphens and underscores.
fn same(name: &str, wanted: &str) -> bool {
    let plain = |name| str::bytes(name).filter(|b| !matches!(b, b' ' | b'_' | b'-')).map(|b| b.to_ascii_lowercase());
    name == wanted || (!wanted.is_empty() && plain(name).eq(plain(wanted)))
}

fn bad(line: u64, message: impl Into<String>) -> BadRecord {
    BadRecord { line, message: message.into(), fatal: false }
}

fn broken(line: u64, error: &io::Error) -> BadRecord {
    BadRecord { line, message: format!("reading stops here: {error}"), fatal: true }
}

fn not_utf8(bytes: &[u8], valid: usize) -> String {
    let byte = bytes.get(valid).copied().unwrap_or_default();
    format!("byte 0x{byte:02x} at position {} of the record is not UTF-8", valid + 1)
}

#[cfg(test)]
mod tests;
