//! SQL for what a store has that is like a note which comes in: the same note, another text under its id, its text under
//! another id.

use rusqlite::{OptionalExtension, params};
use rustc_hash::FxHashMap;

use super::{Insert, Store, StoreError};
use crate::domain::corpus::{DocumentId, NewDocument, SentenceId};

/// What is known of a note that comes in beside what it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known<'a> {
    /// The file names no patient; the note counts as one of its own.
    pub no_patient: bool,
    /// The file gives no id: which one this is, from 0, of the rows with its text and patient.
    pub occurrence: Option<u32>,
    /// The id that it had in stores of earlier versions.
    pub earlier_id: Option<&'a str>,
}

/// What the store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Likeness {
    Nothing,
    /// The note itself.
    Same(Insert),
    /// The note itself, under another patient: it had none when it came in, or has none now.
    OtherPatient(Insert),
    /// A note of the patient with its id and another text.
    OtherText,
    /// A note of the patient with its text and this id.
    OtherId(String),
}

/// Rows of earlier versions that have neither id nor patient, by their text: `file:line` stands in the place of both.
pub(crate) type RowsOfBefore = FxHashMap<u64, Vec<(DocumentId, SentenceId)>>;

impl Store {
    /// Makes ready for [`Store::like`] and gives the number of the newest note. Where a patient's notes of one length stand is
    /// kept beside the store while it is open: it is made in a second for a million notes, and an index in the store would
    /// slow down every import.
    pub(crate) fn ready_to_compare(&self) -> Result<DocumentId, StoreError> {
        let last = self.with(|c| c.query_row("SELECT coalesce(max(id), 0) FROM documents", [], |row| row.get(0)))?;
        if last > 0 {
            self.with(|c| {
                c.execute_batch(
                    "CREATE TEMP TABLE IF NOT EXISTS alike (
                         patient INTEGER, length INTEGER, document INTEGER, PRIMARY KEY (patient, length, document)
                     ) WITHOUT ROWID;
                     CREATE TEMP TABLE IF NOT EXISTS alike_upto (document INTEGER);
                     INSERT INTO alike SELECT patient, octet_length(text), id FROM documents
                         WHERE id > (SELECT coalesce(max(document), 0) FROM alike_upto);
                     INSERT INTO alike_upto SELECT max(id) FROM documents;",
                )
            })?;
        }
        Ok(DocumentId(last))
    }

    /// What the store has that is like this note, among those up to a number.
    pub(crate) fn like(&self, new: &NewDocument, known: Known<'_>, upto: DocumentId) -> Result<Likeness, StoreError> {
        let (mut other_patient, mut other_text) = (None, false);
        // Line ends are the file's, not the note's.
        let text = new.text.replace("\r\n", "\n");
        for id in std::iter::once(new.external_id.as_str()).chain(known.earlier_id) {
            let rows: Vec<(DocumentId, SentenceId, String, bool)> = self.with(|c| {
                c.prepare_cached(
                    "SELECT d.id, d.first_sentence, p.key,
                            d.text = ?2 OR replace(d.text, char(13) || char(10), char(10)) = ?3
                     FROM documents d JOIN patients p ON p.id = d.patient WHERE d.external_id = ?1 AND d.id <= ?4
                     LIMIT 1000",
                )?
                .query_map(params![id, new.text, text, upto.0], |row| {
                    Ok((DocumentId(row.get(0)?), SentenceId(row.get(1)?), row.get(2)?, row.get(3)?))
                })?
                .collect()
            })?;
            for (document, first, patient, same_text) in rows {
                let same_patient = patient == new.patient.0;
                match same_text {
                    true if same_patient => return Ok(Likeness::Same(Insert::Known(document, first))),
                    true if known.no_patient || patient == id => other_patient = Some(Insert::Known(document, first)),
                    false if same_patient => other_text = true,
                    _ => {}
                }
            }
        }
        if let Some(insert) = other_patient {
            return Ok(Likeness::OtherPatient(insert));
        }
        if other_text {
            return Ok(Likeness::OtherText);
        }
        if known.no_patient {
            return Ok(Likeness::Nothing);
        }
        let same_text: Option<(DocumentId, SentenceId, String)> = self.with(|c| {
            c.prepare_cached(
                "SELECT d.id, d.first_sentence, d.external_id
                 FROM patients p CROSS JOIN alike a ON a.patient = p.id CROSS JOIN documents d ON d.id = a.document
                 WHERE p.key = ?1 AND a.length = octet_length(?2) AND d.text = ?2 AND d.id <= ?3
                 ORDER BY a.document LIMIT 1 OFFSET ?4",
            )?
            .query_row(params![new.patient.0, new.text, upto.0, known.occurrence.unwrap_or(0)], |row| {
                Ok((DocumentId(row.get(0)?), SentenceId(row.get(1)?), row.get(2)?))
            })
            .optional()
        })?;
        Ok(match (same_text, known.occurrence) {
            (None, _) => Likeness::Nothing,
            // A row without an id is known by what stands in it.
            (Some((document, first, _)), Some(_)) => Likeness::Same(Insert::Known(document, first)),
            (Some((.., id)), None) => Likeness::OtherId(id),
        })
    }

    /// The rows of earlier versions with neither id nor patient, by the number that `hash` makes of their text.
    pub(crate) fn rows_of_before(&self, hash: impl Fn(&str) -> u64) -> Result<RowsOfBefore, StoreError> {
        self.with(|c| {
            let mut found = RowsOfBefore::default();
            let mut read = c.prepare(
                "SELECT d.id, d.first_sentence, d.text FROM documents d JOIN patients p ON p.id = d.patient
                 WHERE p.key = d.external_id AND substr(d.external_id, 1, length(d.source) + 1) = d.source || ':'
                 ORDER BY d.id",
            )?;
            let mut rows = read.query([])?;
            while let Some(row) = rows.next()? {
                let place = (DocumentId(row.get(0)?), SentenceId(row.get(1)?));
                found.entry(hash(row.get_ref(2)?.as_str()?)).or_default().push(place);
            }
            Ok(found)
        })
    }
}
