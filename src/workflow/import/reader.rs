//! Records of one file to documents: what can be done without the store, on a thread of its own.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;

use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};

use super::patient::{PatientFrom, stem};
use super::{ImportOptions, LabelsBy, Unit};
use crate::domain::corpus::{NewDocument, PatientKey};
use crate::domain::label::Label;
use crate::domain::label_words::Spelling;
use crate::domain::segment::segment;
use crate::domain::sight::InSight;
use crate::domain::taxonomy::Taxonomy;
use crate::domain::text::Span;
use crate::formats::notes::{BadRecord, Layout, NoteReader, NoteRecord};

/// A transaction takes up to this many records or bytes: some 20 ms for whoever waits for the write lock.
const BATCH_RECORDS: usize = 4_000;
const BATCH_BYTES: usize = 2 << 20;
/// Batches read ahead of the writer: what waits in memory does not grow with the file.
pub(super) const AHEAD: usize = 2;

/// What goes into the store in one transaction, and what was found to be bad on the way.
#[derive(Default)]
pub(super) struct Batch {
    pub documents: Vec<NewDocument>,
    /// What else is known of each.
    pub rows: Vec<Row>,
    /// Labels that the taxonomy does not have.
    pub unknown: Vec<String>,
    /// The line of a label, where nobody is named who gave it.
    pub unnamed: Option<u64>,
    pub bad: Vec<BadRecord>,
    /// By what the file was recognised as MIMIC's so far.
    pub mimic: Option<String>,
    /// Notes of the file so far that were written in error.
    pub in_error: u64,
    /// Bytes of text in it, and bytes of the file up to its end.
    bytes: usize,
    pub read: u64,
}

/// What is known of a record beside its document.
#[derive(Default)]
pub(super) struct Row {
    pub label: Option<(Label, Option<InSight>)>,
    pub spelling: Spelling,
    /// Whether the file itself has a title for it.
    pub has_title: bool,
    pub no_patient: bool,
    /// Without an id of its own: which one it is, from 0, of the rows with its text and patient.
    pub occurrence: Option<u32>,
    /// The id that earlier versions gave it.
    pub earlier_id: Option<String>,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.documents.len() >= BATCH_RECORDS || self.bytes >= BATCH_BYTES || self.bad.len() >= BATCH_RECORDS
    }
}

/// A number that stands for some texts.
pub(super) fn number_of(parts: &[&str]) -> u64 {
    let mut hasher = Sha256::new();
    for part in parts {
        // Line ends are the file's, not the text's.
        let part = part.replace("\r\n", "\n");
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut number = [0; 8];
    number.copy_from_slice(&hasher.finalize()[..8]);
    u64::from_be_bytes(number)
}

/// A file's name without its folder.
pub(super) fn name_of(file: &Path) -> Arc<str> {
    file.file_name().map_or_else(|| "stdin".into(), |name| name.to_string_lossy().into())
}

/// See the module.
pub(super) struct ImportReader<'a> {
    pub taxonomy: &'a Taxonomy,
    pub options: &'a ImportOptions,
    /// What was named: the file, or a folder above it.
    pub root: &'a Path,
    pub file: &'a Path,
    /// The file's name without its folder.
    pub name: Arc<str>,
    pub layout: Layout,
    /// How many rows without an id had this text and patient: 16 bytes for each such row of the file.
    pub occurrences: FxHashMap<u64, u32>,
}

impl ImportReader<'_> {
    pub(super) fn run(mut self, mut notes: NoteReader, batches: &SyncSender<Arc<Batch>>) {
        // A batch is kept until the writer is done with it, so that its many small strings are freed by the thread that
        // made them: the allocator is several times slower otherwise.
        let mut kept = VecDeque::new();
        loop {
            let (mut batch, mut stop) = (Batch::default(), false);
            while !stop && !batch.is_full() {
                match notes.next() {
                    Some(Ok(record)) if record.labels.is_some() && self.options.labels.is_none() => {
                        batch.unnamed = Some(record.line);
                        stop = true;
                    }
                    Some(Ok(record)) => self.take(record, &mut batch),
                    Some(Err(bad)) => {
                        stop = bad.fatal || self.options.stop_on_error;
                        batch.bad.push(bad);
                    }
                    None => stop = true,
                }
            }
            batch.read = notes.read.load(Ordering::Relaxed);
            batch.mimic = notes.mimic.clone();
            batch.in_error = notes.in_error;
            let batch = Arc::new(batch);
            if batches.send(batch.clone()).is_err() || stop {
                break;
            }
            kept.push_back(batch);
            if kept.len() > AHEAD + 2 {
                kept.pop_front();
            }
        }
    }

    pub(super) fn take(&mut self, record: NoteRecord, batch: &mut Batch) {
        let mut row = Row { has_title: !record.title.is_empty(), ..Row::default() };
        if let (Some(LabelsBy::Annotator(_) | LabelsBy::Model(_)), Some(words)) = (&self.options.labels, &record.labels)
        {
            match words.read(self.taxonomy) {
                Some((label, spelling)) => (row.label, row.spelling) = (Some((label, record.in_sight)), spelling),
                None => batch.unknown.push(words.shown()),
            }
        }
        batch.bytes += record.text.len();
        batch.documents.push(self.document(record, &mut row));
        batch.rows.push(row);
    }

    /// The record's document, with what it is known by.
    pub(super) fn document(&mut self, record: NoteRecord, row: &mut Row) -> NewDocument {
        let whole_file = self.layout == Layout::Text;
        let patient = record.patient.map(PatientKey);
        let patient = patient.or_else(|| self.options.patient_from.as_ref()?.of(self.file));
        let external_id = match record.id {
            Some(id) => id,
            None if whole_file => {
                let (id, earlier) = self.file_id();
                row.earlier_id = earlier;
                id
            }
            None => {
                let named = patient.as_ref().map_or("", |patient| patient.0.as_str());
                let number = number_of(&[named, &record.text]);
                let next = self.occurrences.entry(number).or_default();
                row.occurrence = Some(*next);
                *next += 1;
                // The first of them keeps its id when a second one comes.
                if *next == 1 { format!("{number:016x}") } else { format!("{number:016x}-{next}") }
            }
        };
        row.no_patient = patient.is_none();
        let sentences = match self.options.unit {
            Unit::Document => segment(&record.text),
            Unit::Sentence => {
                let start = record.text.len() - record.text.trim_start().len();
                let end = record.text.trim_end().len();
                if start < end { vec![Span { start, end }] } else { Vec::new() }
            }
        };
        let title = if record.title.is_empty() && whole_file { stem(&self.name).into() } else { record.title };
        NewDocument {
            patient: patient.unwrap_or_else(|| PatientKey(external_id.clone())),
            external_id,
            title,
            kind: record.kind,
            date: record.date,
            source: self.name.clone(),
            text: record.text,
            sentences,
        }
    }

    /// The id of a file that is one note: its name, with the folders below the one that was named, for two of them may hold
    /// files of one name; and the id that earlier versions gave it. A folder that is a patient's says which one it is already.
    fn file_id(&self) -> (String, Option<String>) {
        let stem = stem(&self.name).to_owned();
        let folders = self.file.strip_prefix(self.root).ok().and_then(Path::parent);
        let folders = folders.filter(|_| !matches!(self.options.patient_from, Some(PatientFrom::Folder)));
        let folders: Vec<_> = folders.into_iter().flatten().map(|name| name.to_string_lossy()).collect();
        let gzipped = self.name.to_lowercase().ends_with(".gz").then(|| format!("{}:1", self.name));
        if folders.is_empty() {
            (stem, gzipped)
        } else {
            (format!("{}/{stem}", folders.join("/")), gzipped.or(Some(stem)))
        }
    }
}
