//! Tables: cells between separators, with a header.

use std::io::{BufRead, Read};
use std::path::Path;

use serde_json::Value;

use super::roles::{self, Roles, in_sight_of};
use super::source::{Bounded, Input};
use super::{BadRecord, Columns, NoteRecord, bad, broken, not_utf8};
use crate::domain::label_words::LabelWords;
use crate::formats::FormatError;

/// How the rows of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// Between cells.
    pub delimiter: u8,
    /// A first line as Excel has it, `sep=;`, which is no header.
    pub sep_line: bool,
    /// Lines end in two characters. The reader of rows counts a line behind then.
    two_characters: bool,
}

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

impl Dialect {
    /// The separator that somebody names or the first line, or else that with which the header looks most like one of notes;
    /// `usual` where none is better.
    pub(super) fn of(head: &[u8], usual: u8, named: Option<u8>, text: Option<&str>) -> Self {
        let first_line = head.split(|b| *b == b'\n').next().unwrap_or_default();
        let said = sep_line(first_line);
        let body = if said.is_some() { head.get(first_line.len() + 1..).unwrap_or_default() } else { head };
        let score = |delimiter: &u8| {
            let mut rows = rows(body, *delimiter);
            let header = rows.next().unwrap_or_default();
            let has_text = text.is_some_and(|text| header.iter().any(|cell| cell == text));
            let fits = rows.next().is_none_or(|row| row.len() == header.len());
            (
                has_text || roles::is_of_notes(&header, false),
                header.len() > 1 && fits,
                header.len(),
                *delimiter == usual,
            )
        };
        let found = || DELIMITERS.into_iter().max_by_key(score).unwrap_or(usual);
        let two_characters = end_of_row(body).is_some_and(|at| body[at..].starts_with(b"\r\n"));
        Self { delimiter: named.or(said).unwrap_or_else(found), sep_line: said.is_some(), two_characters }
    }

    /// The separator in words.
    pub(super) fn said(&self) -> String {
        match self.delimiter {
            b'\t' => "tab".into(),
            other => char::from(other).to_string(),
        }
    }
}

fn sep_line(line: &[u8]) -> Option<u8> {
    let line = line.trim_ascii_end();
    let line = line.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(line);
    let (name, rest) = line.split_at_checked(4)?;
    match rest {
        [delimiter] if name.eq_ignore_ascii_case(b"sep=") => Some(*delimiter),
        // A tab at the end of the line went with what was trimmed.
        [] if name.eq_ignore_ascii_case(b"sep=") => Some(b'\t'),
        _ => None,
    }
}

/// Where the first row ends: a line end within quotes is text.
fn end_of_row(head: &[u8]) -> Option<usize> {
    let mut quoted = false;
    head.iter().position(|byte| {
        quoted ^= *byte == b'"';
        !quoted && matches!(byte, b'\n' | b'\r')
    })
}

/// The rows of a beginning, if they were separated so.
fn rows(head: &[u8], delimiter: u8) -> impl Iterator<Item = Vec<String>> {
    let reader = csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(head);
    let cell = |cell: &[u8]| String::from_utf8_lossy(cell).trim().to_owned();
    reader.into_byte_records().map_while(Result::ok).map(move |row| row.iter().map(cell).collect())
}

/// The header of a beginning, with the separator that fits best.
pub(super) fn header_of(head: &[u8]) -> Vec<String> {
    let dialect = Dialect::of(head, b',', None, None);
    rows(head, dialect.delimiter).nth(usize::from(dialect.sep_line)).unwrap_or_default()
}

/// Rows of a table.
pub(super) struct DelimitedRows {
    reader: csv::Reader<Bounded<Input>>,
    /// Called before each record.
    begin: Box<dyn Fn() + Send>,
    row: csv::ByteRecord,
    pub roles: Roles,
    /// Lines that the reader does not count.
    uncounted: u64,
    ended: bool,
}

impl DelimitedRows {
    pub(super) fn new(mut input: Input, dialect: Dialect, path: &Path, columns: &Columns) -> Result<Self, FormatError> {
        if dialect.sep_line {
            let fail = |cause| FormatError::Io { doing: "read", path: path.into(), cause };
            (&mut input).take(16).read_until(b'\n', &mut Vec::new()).map_err(fail)?;
        }
        let (input, begin) = Bounded::new(input);
        let mut builder = csv::ReaderBuilder::new();
        let mut reader = builder.delimiter(dialect.delimiter).buffer_capacity(1 << 18).from_reader(input);
        let header = reader.byte_headers().map_err(|cause| FormatError::Header { path: path.into(), cause })?;
        if header.is_empty() {
            let message = "the file is empty; a table needs a header".into();
            return Err(FormatError::Unfit { path: path.into(), message });
        }
        let header: Vec<String> = header.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect();
        let roles = Roles::of(&header, path, columns)?;
        let uncounted = u64::from(dialect.sep_line) + u64::from(dialect.two_characters);
        let (begin, row) = (Box::new(begin), csv::ByteRecord::new());
        Ok(Self { reader, begin, row, roles, uncounted, ended: false })
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
            labels: optional(roles.label)?.and_then(LabelWords::cell),
            in_sight: in_sight_of(
                filled(roles.in_sight)?.map(Value::from).as_ref(),
                filled(roles.blind)?.map(Value::from).as_ref(),
            ),
            mimic: None,
            error: optional(roles.error)?.is_some_and(roles::is_error),
        })
    }
}

impl Iterator for DelimitedRows {
    type Item = Result<NoteRecord, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        (self.begin)();
        match self.reader.read_byte_record(&mut self.row) {
            Ok(false) => None,
            Ok(true) => {
                let line = self.row.position().map_or(0, csv::Position::line);
                Some(self.record(line + self.uncounted))
            }
            Err(error) => {
                let line = error.position().map_or_else(|| self.reader.position().line(), csv::Position::line);
                let line = line + self.uncounted;
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
                Some(Err(bad(line, message)))
            }
        }
    }
}
