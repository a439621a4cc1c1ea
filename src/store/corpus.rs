//! SQL for patients, documents and sentences, and the full-text index over them.

use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use rustc_hash::FxHashMap;

use super::seals::Touched;
use super::{Store, StoreError};
use crate::domain::corpus::{Document, DocumentId, NewDocument, Origin, Sentence, SentenceId};
use crate::domain::split::SplitPlan;
use crate::domain::text::Span;

/// What became of a document handed to [`Store::insert_documents`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Insert {
    /// New: its sentences' numbers run from the first on, in order.
    New(DocumentId, SentenceId),
    /// The store had it already, with these sentences.
    Known(DocumentId, SentenceId),
}

impl Insert {
    /// The document's number.
    pub(crate) fn document(&self) -> DocumentId {
        match self {
            Self::New(document, _) | Self::Known(document, _) => *document,
        }
    }

    /// The number of the document's first sentence.
    pub(crate) fn first_sentence(&self) -> SentenceId {
        match self {
            Self::New(_, first) | Self::Known(_, first) => *first,
        }
    }
}

/// A sentence with its text, for training, search results and export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextRow {
    pub id: SentenceId,
    pub text: String,
}

/// More patients than this are forgotten and asked for again, so that memory stays the same for any number of them.
const PATIENTS_KEPT: usize = 1 << 16;

impl Store {
    /// Inserts documents with their sentences in one transaction; those already there are left as they are.
    pub fn insert_documents(
        &mut self,
        documents: &[NewDocument],
        origin: Origin,
        plan: &SplitPlan,
    ) -> Result<Vec<Insert>, StoreError> {
        // Numbers given out in a transaction that fails are forgotten with it.
        let mut patients = std::mem::take(&mut self.patients);
        if patients.len() > PATIENTS_KEPT {
            patients.clear();
        }
        let touched = self.touched.clone();
        let done = self.write(|c| insert_documents(c, &touched, documents, origin, plan, &mut patients))?;
        self.patients = patients;
        Ok(done)
    }

    /// The whole document.
    pub(crate) fn document(&self, id: DocumentId) -> Result<Document, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT d.id, p.key, d.external_id, d.title, d.kind, d.date, d.source, d.origin, d.text
                 FROM documents d JOIN patients p ON p.id = d.patient WHERE d.id = ?",
            )?
            .query_row([id], document)
            .optional()
        })?
        .ok_or_else(|| StoreError::NotFound { what: "document", id: id.0.to_string() })
    }

    /// Takes titles from a column that the project names, of notes that are there already too.
    pub(crate) fn put_titles(&mut self, column: &str, titles: &[(DocumentId, &str)]) -> Result<(), StoreError> {
        self.write(|c| {
            let mut title = c.prepare_cached("UPDATE documents SET title = ?2 WHERE id = ?1 AND title <> ?2")?;
            let mut from = c.prepare_cached("INSERT OR REPLACE INTO title_columns VALUES (?, ?)")?;
            for (document, text) in titles {
                title.execute(params![document, text])?;
                from.execute(params![document, column])?;
            }
            Ok(())
        })
    }

    /// The column that a note's title was read from; `None` where it was guessed, or is not known.
    pub(crate) fn title_column(&self, id: DocumentId) -> Result<Option<String>, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT name FROM title_columns WHERE document = ?")?
                .query_row([id], |row| row.get(0))
                .optional()
        })
    }

    /// The sentences of a document, in order.
    pub(crate) fn sentences(&self, document: DocumentId) -> Result<Vec<Sentence>, StoreError> {
        self.with(|c| {
            c.prepare_cached(
                "SELECT s.id, s.document, s.position, s.start, s.end FROM documents d
                 JOIN sentences s ON s.id >= d.first_sentence AND s.id < d.first_sentence + d.sentence_count
                 WHERE d.id = ? ORDER BY s.id",
            )?
            .query_map([document], sentence)?
            .collect()
        })
    }

    /// One sentence.
    pub(crate) fn sentence(&self, id: SentenceId) -> Result<Sentence, StoreError> {
        self.with(|c| {
            c.prepare_cached("SELECT id, document, position, start, end FROM sentences WHERE id = ?")?
                .query_row([id], sentence)
                .optional()
        })?
        .ok_or_else(|| StoreError::NotFound { what: "sentence", id: id.0.to_string() })
    }

    /// The texts of sentences, in the order asked for.
    pub(crate) fn texts(&self, ids: &[SentenceId]) -> Result<Vec<TextRow>, StoreError> {
        self.with(|c| {
            let mut statement = c.prepare_cached("SELECT text FROM sentence_text WHERE id = ?")?;
            ids.iter().map(|id| Ok(TextRow { id: *id, text: statement.query_row([id], |row| row.get(0))? })).collect()
        })
    }

    /// The texts of all sentences of an origin with a number above `after`, at most `limit`, in order.
    pub(crate) fn texts_after(
        &self,
        origin: Origin,
        after: SentenceId,
        limit: usize,
    ) -> Result<Vec<TextRow>, StoreError> {
        let synthetic = i64::from(origin == Origin::Synthetic);
        self.with(|c| {
            c.prepare_cached(&format!(
                "SELECT s.id, x.text FROM sentences s JOIN sentence_text x ON x.id = s.id
                 WHERE s.synthetic = {synthetic} AND s.id > ? ORDER BY s.id LIMIT ?"
            ))?
            .query_map(params![after, limit as i64], |row| Ok(TextRow { id: row.get(0)?, text: row.get(1)? }))?
            .collect()
        })
    }

    /// The numbers of all sentences of an origin above `after`, at most `limit`, in order.
    pub(crate) fn sentence_ids(
        &self,
        origin: Origin,
        after: SentenceId,
        limit: usize,
    ) -> Result<Vec<SentenceId>, StoreError> {
        let synthetic = i64::from(origin == Origin::Synthetic);
        self.with(|c| {
            c.prepare_cached(&format!(
                "SELECT id FROM sentences WHERE synthetic = {synthetic} AND id > ? ORDER BY id LIMIT ?"
            ))?
            .query_map(params![after, limit as i64], |row| row.get(0))?
            .collect()
        })
    }

    /// How many sentences of an origin the store has.
    pub(crate) fn sentence_count(&self, origin: Origin) -> Result<u64, StoreError> {
        self.with(|c| c.query_row("SELECT sentences FROM totals WHERE origin = ?", [origin], |row| row.get(0)))
    }

    /// Whether the patients fall as a plan has it.
    pub(crate) fn has_splits(&self, plan: &SplitPlan) -> Result<bool, StoreError> {
        let known: Option<String> = self.with(|c| {
            c.query_row("SELECT value FROM meta WHERE key = 'split_plan'", [], |row| row.get(0)).optional()
        })?;
        Ok(known.is_some_and(|known| known == words(plan)))
    }

    /// Makes the splits of patients those of the plan; a change of the plan rewrites them all.
    pub(crate) fn apply_splits(&mut self, plan: &SplitPlan) -> Result<bool, StoreError> {
        if self.has_splits(plan)? {
            return Ok(false);
        }
        let wanted = words(plan);
        self.write(|c| {
            let mut read = c.prepare("SELECT id, key FROM patients")?;
            let mut update = c.prepare("UPDATE patients SET split = ? WHERE id = ?")?;
            let mut rows = read.query([])?;
            while let Some(row) = rows.next()? {
                update.execute(params![plan.split(&row.get(1)?), row.get::<_, i64>(0)?])?;
            }
            c.execute("INSERT OR REPLACE INTO meta VALUES ('split_plan', ?)", [wanted])?;
            Ok(true)
        })
    }

    /// Takes up to `limit` sentences that the full-text index does not have yet; returns how many were taken.
    pub(crate) fn index_more(&mut self, limit: usize) -> Result<usize, StoreError> {
        if self.with(search_upto)? >= self.with(last_sentence)? {
            return Ok(0);
        }
        self.write(|c| {
            let after = search_upto(c)?;
            let mut read = c.prepare_cached("SELECT id, text FROM sentence_text WHERE id > ? ORDER BY id LIMIT ?")?;
            let mut insert = c.prepare_cached("INSERT INTO search (rowid, text) VALUES (?, ?)")?;
            let mut rows = read.query(params![after, limit as i64])?;
            let (mut taken, mut last) = (0, after);
            while let Some(row) = rows.next()? {
                last = row.get(0)?;
                insert.execute(params![last, row.get_ref(1)?.as_str()?])?;
                taken += 1;
            }
            c.execute("INSERT OR REPLACE INTO meta VALUES ('search_upto', ?)", [last.to_string()])?;
            Ok(taken)
        })
    }
}

/// A plan as the store keeps it.
fn words(plan: &SplitPlan) -> String {
    format!("{} {} {}", plan.seed, plan.validation, plan.test)
}

pub(super) fn insert_documents(
    c: &Connection,
    touched: &Touched,
    documents: &[NewDocument],
    origin: Origin,
    plan: &SplitPlan,
    patients: &mut FxHashMap<String, i64>,
) -> rusqlite::Result<Vec<Insert>> {
    let mut known = c.prepare_cached("SELECT id, first_sentence FROM documents WHERE external_id = ? AND uid = ?")?;
    let mut insert = c.prepare_cached(
        "INSERT INTO documents
             (uid, patient, external_id, first_sentence, sentence_count, text, title, kind, date, source, origin)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (external_id, uid) DO NOTHING",
    )?;
    insert.raw_bind_parameter(11, origin)?;
    let mut bound: [Option<&str>; 4] = [None; 4];
    // The write lock is held: no one else takes these numbers.
    let mut next = last_sentence(c)? + 1;
    let synthetic = i64::from(origin == Origin::Synthetic);
    let mut sentences = Vec::new();
    let mut done = Vec::with_capacity(documents.len());
    for document in documents {
        let uid = document.uid();
        let patient = match patients.get(document.patient.0.as_str()) {
            Some(patient) => *patient,
            None => {
                let number = patient_number(c, document, plan)?;
                patients.insert(document.patient.0.clone(), number);
                number
            }
        };
        insert.raw_bind_parameter(1, uid)?;
        insert.raw_bind_parameter(2, patient)?;
        insert.raw_bind_parameter(3, &document.external_id)?;
        insert.raw_bind_parameter(4, next)?;
        insert.raw_bind_parameter(5, document.sentences.len() as i64)?;
        insert.raw_bind_parameter(6, &document.text)?;
        // What is as it was in the document before stays bound.
        let heading: [&str; 4] = [&document.title, &document.kind, &document.date, &document.source];
        for (at, (value, bound)) in heading.into_iter().zip(&mut bound).enumerate() {
            // The lengths first: an empty string points nowhere, and the C library's comparison is slow there.
            let same = bound.is_some_and(|b| b.len() == value.len() && (value.is_empty() || b == value));
            if !same {
                insert.raw_bind_parameter(7 + at, value)?;
                *bound = Some(value);
            }
        }
        let inserted = insert.raw_execute()?;
        if inserted == 0 {
            done.push(
                known
                    .query_row(params![document.external_id, uid], |row| Ok(Insert::Known(row.get(0)?, row.get(1)?)))?,
            );
            continue;
        }
        let id = DocumentId(c.last_insert_rowid());
        done.push(Insert::New(id, SentenceId(next)));
        let (first, count, from) = (next, document.sentences.len() as i64, sentences.len());
        for (position, span) in document.sentences.iter().enumerate() {
            sentences.push([next, id.0, position as i64, span.start as i64, span.end as i64]);
            next += 1;
        }
        let [title, kind, date, source] = &heading;
        touched.inserted_note(
            id.0,
            &[
                &id,
                &uid,
                &patient,
                &origin,
                &document.external_id,
                title,
                kind,
                date,
                source,
                &first,
                &count,
                &document.text,
            ],
            sentences[from..].iter().map(|&[a, b, c, d, e]| [a, b, c, d, e, synthetic]),
        )?;
    }
    insert_sentences(c, &sentences, synthetic)?;
    c.prepare_cached("UPDATE totals SET sentences = sentences + ? WHERE origin = ?")?
        .execute(params![sentences.len() as i64, origin])?;
    Ok(done)
}

/// Rows of number, document, position, start, end. Many to a statement: one by one takes a third longer.
fn insert_sentences(c: &Connection, rows: &[[i64; 5]], synthetic: i64) -> rusqlite::Result<()> {
    const AT_ONCE: usize = 64;
    let row = format!("(?, ?, ?, ?, ?, {synthetic})");
    for chunk in rows.chunks(AT_ONCE) {
        let values = vec![row.as_str(); chunk.len()].join(", ");
        c.prepare_cached(&format!(
            "INSERT INTO sentences (id, document, position, start, end, synthetic) VALUES {values}"
        ))?
        .execute(params_from_iter(chunk.as_flattened()))?;
    }
    Ok(())
}

fn patient_number(c: &Connection, document: &NewDocument, plan: &SplitPlan) -> rusqlite::Result<i64> {
    let key = &document.patient;
    let inserted = c
        .prepare_cached("INSERT INTO patients (key, split) VALUES (?, ?) ON CONFLICT (key) DO NOTHING")?
        .execute(params![key, plan.split(key)])?;
    if inserted == 1 {
        return Ok(c.last_insert_rowid());
    }
    c.prepare_cached("SELECT id FROM patients WHERE key = ?")?.query_row([key], |row| row.get(0))
}

fn search_upto(c: &Connection) -> rusqlite::Result<i64> {
    let text: Option<String> =
        c.query_row("SELECT value FROM meta WHERE key = 'search_upto'", [], |row| row.get(0)).optional()?;
    Ok(text.and_then(|t| t.parse().ok()).unwrap_or(0))
}

fn last_sentence(c: &Connection) -> rusqlite::Result<i64> {
    c.query_row("SELECT coalesce(max(id), 0) FROM sentences", [], |row| row.get(0))
}

fn document(row: &Row<'_>) -> rusqlite::Result<Document> {
    Ok(Document {
        id: row.get(0)?,
        patient: row.get(1)?,
        external_id: row.get(2)?,
        title: row.get(3)?,
        kind: row.get(4)?,
        date: row.get(5)?,
        source: row.get(6)?,
        origin: row.get(7)?,
        text: row.get(8)?,
    })
}

fn sentence(row: &Row<'_>) -> rusqlite::Result<Sentence> {
    Ok(Sentence {
        id: row.get(0)?,
        document: row.get(1)?,
        position: row.get(2)?,
        span: Span { start: row.get::<_, i64>(3)? as usize, end: row.get::<_, i64>(4)? as usize },
    })
}
