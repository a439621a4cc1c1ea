//! A file that is one note.

use std::io::Read;

use super::source::Input;
use super::{BadRecord, MAX_RECORD, NoteRecord, bad, broken, not_utf8};

pub(super) fn read(mut input: Input) -> Result<NoteRecord, BadRecord> {
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
