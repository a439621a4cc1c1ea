//! Notes and labels in: files to documents, sentences, expert decisions and machine proposals. Running it again adds
//! nothing twice, so an interrupted import goes on by the same command.

mod labels;
mod patient;
pub mod plan;
mod reader;
mod survey;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use rustc_hash::FxHashMap;

use self::labels::Labelled;
use self::reader::{AHEAD, Batch, ImportReader, number_of};
use super::project::Project;
use super::{Cancel, Progress, Watch, WorkflowError, identity};
use crate::domain::corpus::{DocumentId, NewDocument, Origin};
use crate::domain::label::{Annotator, RunId};
use crate::domain::person::Role;
use crate::formats::notes::{self, BadRecord, Columns, NoteFiles, NoteReader, PassedOver, Reading};
use crate::store::{Insert, Known, Likeness, RowsOfBefore, Store};
use crate::workflow::refusal::{Refusal, RefusalKind};
use crate::workflow::session::Session;
pub use patient::PatientFrom;
pub use survey::{LabelSurvey, WrittenLabel};

/// What one record of a file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// A note, to be cut into sentences.
    #[default]
    Document,
    /// One sentence (or passage) that is labelled as a whole.
    Sentence,
}

/// Whose labels a label column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelsBy {
    /// An expert: gold.
    Annotator(String),
    /// A model: proposals.
    Model(String),
    /// Nobody whose labels are wanted: they stay out.
    LeftOut,
}

/// What becomes of a note that is here under the same id with another text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Changed {
    /// It stays out, and is told.
    #[default]
    Leave,
    /// It comes in as a note of its own.
    Add,
}

/// What to import and how.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Files and folders; `-` is standard input.
    pub paths: Vec<PathBuf>,
    /// What is known of how the files are written.
    pub reading: Reading,
    /// Note or sentence.
    pub unit: Unit,
    /// Whose labels the files hold; where nobody says so, files with labels are refused.
    pub labels: Option<LabelsBy>,
    /// Where the patient stands, for files that have no column for it.
    pub patient_from: Option<PatientFrom>,
    pub changed: Changed,
    /// Stop at the first bad record.
    pub stop_on_error: bool,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// Documents that are new.
    pub documents: u64,
    /// Documents that were there already.
    pub known: u64,
    /// Sentences that are new.
    pub sentences: u64,
    /// Labels taken in.
    pub labels: u64,
    /// Labels that were there already.
    pub known_labels: u64,
    /// Labels written otherwise than key and name, in case or space.
    pub loose_labels: u64,
    /// Labels given by a category's place on the screen.
    pub numbered_labels: u64,
    /// Labels that the taxonomy does not have, with how often.
    pub unknown_labels: BTreeMap<String, u64>,
    /// Records without a patient: each counts as a patient of its own.
    pub without_patient: u64,
    /// Notes that are here with another text, and stayed out or came in beside it.
    pub other_text: Examples,
    /// New notes whose text is here word for word, of the same patient.
    pub other_id: Examples,
    /// Notes that are here under another patient, or under none.
    pub other_patient: Examples,
    /// Notes left out because the file says that they were written in error.
    pub in_error: u64,
    /// Bad records, all counted.
    pub bad: u64,
    /// The first of them: file, line, message.
    pub bad_shown: Vec<(PathBuf, u64, String)>,
    /// What each file was recognised as.
    pub recognised: Vec<(PathBuf, String)>,
    /// What stands in a folder and was not read.
    pub passed_over: PassedOver,
    /// By what a file was recognised as MIMIC's.
    pub mimic: Option<(PathBuf, String)>,
    /// Whether it was stopped before its end.
    pub cancelled: bool,
}

/// How many, and the first few by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Examples {
    pub count: u64,
    pub first: Vec<String>,
}

impl Examples {
    fn add(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < 5 {
            self.first.push(name());
        }
    }
}

impl ImportSummary {
    /// Whether no record came in. One that was there already counts as come in: what was asked for holds.
    pub(crate) fn came_to_nothing(&self) -> bool {
        self.documents + self.known + self.labels + self.known_labels == 0
    }
}

/// Bad records shown in full; the rest are counted.
const BAD_SHOWN: usize = 20;

/// Imports everything that the options name.
pub fn import(session: Session<'_>, options: &ImportOptions) -> Result<ImportSummary, WorkflowError> {
    let Session { project, store, cancel, progress: watch } = session;
    let _span = tracing::info_span!("import").entered();
    let labelled = matches!(options.labels, Some(LabelsBy::Annotator(_) | LabelsBy::Model(_)));
    if labelled && options.unit == Unit::Document {
        return Err(Refusal::invalid("--unit", "labels belong to sentences, and these are whole notes")
            .hint("pass --unit sentence with --annotator or --model, or import the notes without labels")
            .into());
    }
    let allowed: &[Role] = match &options.labels {
        Some(LabelsBy::Annotator(name)) if *name == project.annotator.0 => {
            &[Role::Annotator, Role::Steward, Role::Lead]
        }
        _ => &[Role::Steward, Role::Lead],
    };
    identity::require(project, store, allowed, "take notes and labels in")?;
    let reading = reading(project, options, labelled)?;
    let mut passed_over = PassedOver::new();
    if labelled {
        let mut survey = LabelSurvey::default();
        each_file(options, &reading, &mut PassedOver::new(), |_, file, notes| {
            survey.next_file();
            for record in notes.filter_map(Result::ok) {
                survey.add(file, &record, &project.taxonomy);
            }
            Ok(!cancel.is_cancelled())
        })?;
        if let Some(refusal) = survey.refusal(&options.paths).filter(|_| !cancel.is_cancelled()) {
            return Err(refusal.into());
        }
    }
    store.in_bulk(|store| {
        let report = ImportSummary::default();
        let mut importer =
            Importer { project, store, options, report, run: None, upto: DocumentId(0), rows_of_before: None };
        each_file(options, &reading, &mut passed_over, |root, file, notes| {
            importer.file(root, file, notes, cancel, watch)?;
            importer.report.cancelled = cancel.is_cancelled();
            Ok(!importer.report.cancelled)
        })?;
        let report = ImportSummary { passed_over, ..importer.report };
        let ImportSummary { documents, sentences, labels, bad, cancelled, .. } = report;
        tracing::info!(documents, sentences, labels, bad, cancelled, "imported");
        index(store, cancel, watch)?;
        Ok(report)
    })?
}

/// How to read the files, with what the project says. Standard input is kept where it has to be read twice.
fn reading(project: &Project, options: &ImportOptions, twice: bool) -> Result<Reading, WorkflowError> {
    let named = Some(&project.file.title_column).filter(|name| !name.is_empty());
    let mut reading = options.reading.clone();
    reading.columns = Columns { title: named.cloned(), ..reading.columns };
    if twice && options.paths.iter().any(|path| path == Path::new("-")) {
        reading.keep_standard_input()?;
    }
    Ok(reading)
}

/// Opens one file after the other, until it is enough. What was named must be notes; what is only found in a folder is
/// passed over if it is not.
fn each_file(
    options: &ImportOptions,
    reading: &Reading,
    passed: &mut PassedOver,
    mut take: impl FnMut(&Path, &Path, NoteReader) -> Result<bool, WorkflowError>,
) -> Result<(), WorkflowError> {
    for root in &options.paths {
        let NoteFiles { files, passed_over } = notes::files(root)?;
        for (kind, (count, first)) in passed_over {
            let (all, known) = passed.entry(kind).or_insert_with(|| (0, first.clone()));
            *all += count;
            *known = first.min(std::mem::take(known));
        }
        for file in files {
            let notes = match notes::open(&file, reading) {
                Ok(notes) => notes,
                Err(error) if file != *root && error.is_of_another_kind() => {
                    notes::pass_over(passed, error.kind_in_words(), file);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if !take(root, &file, notes)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Brings the full-text index up to date.
pub fn index(store: &mut Store, cancel: &Cancel, watch: &mut Watch<'_>) -> Result<(), WorkflowError> {
    let mut done = 0;
    loop {
        let taken = store.index_more(5_000)?;
        if taken == 0 {
            break;
        }
        if done == 0 {
            watch(Progress::Started { what: "indexing for search".into(), total: None, unit: "sentences" });
        }
        done += taken as u64;
        watch(Progress::Advanced(done));
        if cancel.is_cancelled() {
            break;
        }
    }
    if done > 0 {
        watch(Progress::Finished);
    }
    Ok(())
}

struct Importer<'a> {
    project: &'a Project,
    store: &'a mut Store,
    options: &'a ImportOptions,
    report: ImportSummary,
    run: Option<RunId>,
    /// The last note before this file.
    upto: DocumentId,
    /// Rows that earlier versions took in by their line, once one of this file may be among them.
    rows_of_before: Option<RowsOfBefore>,
}

/// Whether a note that comes in is here.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    New,
    Here(Insert),
    /// It is not, and stays out.
    Left,
}

/// A label, and nobody is named who gave it.
fn whose_labels(file: &Path, line: u64, unit: Unit, begun: bool) -> Refusal {
    let so_far = if begun { "what came before it is done" } else { "nothing was taken in" };
    let said = format!("{}:{line}: here is a label, and nobody is named who gave it; {so_far}", file.display());
    let unit = if unit == Unit::Document { "--unit sentence " } else { "" };
    Refusal::new(RefusalKind::Unset { setting: "--annotator" }, said)
        .hint(format!(
            "{unit}--annotator NAME takes the labels for a person's, {unit}--model NAME for a model's proposals"
        ))
        .hint("--without-labels leaves them out")
}

impl Importer<'_> {
    fn file(
        &mut self,
        root: &Path,
        file: &Path,
        notes: NoteReader,
        cancel: &Cancel,
        watch: &mut Watch<'_>,
    ) -> Result<(), WorkflowError> {
        self.report.recognised.push((file.into(), notes.recognised()));
        self.upto = self.store.ready_to_compare()?;
        let what = format!("importing {}", file.display());
        watch(Progress::Started { what, total: notes.size, unit: "bytes" });
        let reader = ImportReader {
            taxonomy: &self.project.taxonomy,
            options: self.options,
            root,
            file,
            name: reader::name_of(file),
            layout: notes.layout,
            occurrences: FxHashMap::default(),
        };
        let in_error = self.report.in_error;
        let (sender, batches) = sync_channel(AHEAD);
        std::thread::scope(|scope| {
            scope.spawn(move || reader.run(notes, &sender));
            for batch in batches {
                self.report.in_error = in_error + batch.in_error;
                self.flush(file, &batch)?;
                watch(Progress::Advanced(batch.read));
                if cancel.is_cancelled() {
                    break;
                }
            }
            Ok::<(), WorkflowError>(())
        })?;
        watch(Progress::Finished);
        Ok(())
    }

    fn bad(&mut self, file: &Path, bad: &BadRecord) -> Result<(), WorkflowError> {
        if self.options.stop_on_error || bad.fatal {
            return Err(WorkflowError::Record { path: file.into(), line: bad.line, message: bad.message.clone() });
        }
        self.report.bad += 1;
        if self.report.bad_shown.len() < BAD_SHOWN {
            self.report.bad_shown.push((file.into(), bad.line, bad.message.clone()));
        }
        Ok(())
    }

    /// Whether the store has each of them, or what is like it. A note that is to stay out has nothing in its place.
    fn recognise(&mut self, batch: &Batch) -> Result<Vec<Found>, WorkflowError> {
        if self.upto.0 == 0 {
            return Ok(batch.documents.iter().map(|_| Found::New).collect());
        }
        let mut found = Vec::with_capacity(batch.documents.len());
        for (document, row) in batch.documents.iter().zip(&batch.rows) {
            let known =
                Known { no_patient: row.no_patient, occurrence: row.occurrence, earlier_id: row.earlier_id.as_deref() };
            let id = || document.external_id.clone();
            found.push(match self.store.like(document, known, self.upto)? {
                Likeness::Same(insert) => Found::Here(insert),
                Likeness::OtherPatient(insert) => {
                    if !row.no_patient {
                        self.report.other_patient.add(id);
                    }
                    Found::Here(insert)
                }
                Likeness::OtherText => {
                    self.report.other_text.add(id);
                    if self.options.changed == Changed::Add { Found::New } else { Found::Left }
                }
                Likeness::OtherId(other) => {
                    self.report.other_id.add(|| format!("{} is {other}", id()));
                    Found::New
                }
                Likeness::Nothing => match row.occurrence.filter(|_| row.no_patient) {
                    Some(occurrence) => self.row_of_before(document, occurrence)?.map_or(Found::New, Found::Here),
                    None => Found::New,
                },
            });
        }
        Ok(found)
    }

    fn row_of_before(&mut self, document: &NewDocument, occurrence: u32) -> Result<Option<Insert>, WorkflowError> {
        let rows = match &mut self.rows_of_before {
            Some(rows) => rows,
            rows @ None => rows.insert(self.store.rows_of_before(|text| number_of(&[text]))?),
        };
        let place = rows.get(&number_of(&[&document.text])).and_then(|places| places.get(occurrence as usize));
        Ok(place.map(|(document, first)| Insert::Known(*document, *first)))
    }

    /// Puts in what is new; gives each document's place, or nothing where it stays out.
    fn insert(&mut self, batch: &Batch) -> Result<Vec<Option<Insert>>, WorkflowError> {
        let found = self.recognise(batch)?;
        let all_new = found.iter().all(|found| *found == Found::New);
        let kept: Vec<NewDocument>;
        let new: &[NewDocument] = if all_new {
            &batch.documents
        } else {
            let new = batch.documents.iter().zip(&found).filter(|(_, found)| **found == Found::New);
            kept = new.map(|(document, _)| document.clone()).collect();
            &kept
        };
        let mut inserts = self.store.insert_documents(new, Origin::Real, &self.project.file.split)?.into_iter();
        Ok(found
            .into_iter()
            .map(|found| match found {
                Found::New => inserts.next(),
                Found::Here(insert) => Some(insert),
                Found::Left => None,
            })
            .collect())
    }

    fn flush(&mut self, file: &Path, batch: &Batch) -> Result<(), WorkflowError> {
        if let Some(line) = batch.unnamed {
            return Err(whose_labels(file, line, self.options.unit, self.report.documents > 0).into());
        }
        if let (None, Some(by)) = (&self.report.mimic, &batch.mimic) {
            // PhysioNet's terms forbid passing MIMIC to ordinary services; the policy reads this before anything leaves.
            self.store.restrict("notes of MIMIC (PhysioNet)")?;
            self.report.mimic = Some((file.into(), by.clone()));
        }
        for words in &batch.unknown {
            *self.report.unknown_labels.entry(words.clone()).or_default() += 1;
        }
        let inserts = self.insert(batch)?;
        let column = &self.project.file.title_column;
        if !column.is_empty() {
            let titles = batch.documents.iter().zip(&batch.rows).zip(&inserts);
            let titles = titles.filter(|((_, row), _)| row.has_title);
            let titles: Vec<_> = titles
                .filter_map(|((new, _), insert)| Some((insert.as_ref()?.document(), new.title.as_str())))
                .collect();
            self.store.put_titles(column, &titles)?;
        }
        let mut labelled: Vec<Labelled> = Vec::new();
        for ((document, row), insert) in batch.documents.iter().zip(&batch.rows).zip(&inserts) {
            let Some(insert) = insert else { continue };
            let new = matches!(insert, Insert::New(..));
            if new {
                self.report.documents += 1;
                self.report.sentences += document.sentences.len() as u64;
            } else {
                self.report.known += 1;
            }
            self.report.without_patient += u64::from(row.no_patient);
            if let (Some((label, in_sight)), false) = (&row.label, document.sentences.is_empty()) {
                self.report.loose_labels += u64::from(row.spelling.loose);
                self.report.numbered_labels += u64::from(row.spelling.number);
                let (label, in_sight) = (label.clone(), *in_sight);
                labelled.push(Labelled { sentence: insert.first_sentence(), label, in_sight, new });
            }
        }
        match self.options.labels.clone() {
            Some(LabelsBy::Annotator(name)) => self.decide(&Annotator(name), labelled)?,
            Some(LabelsBy::Model(model)) => self.propose(&model, labelled)?,
            Some(LabelsBy::LeftOut) | None => {}
        }
        batch.bad.iter().try_for_each(|bad| self.bad(file, bad))
    }
}
