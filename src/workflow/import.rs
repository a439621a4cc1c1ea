//! Notes and labels in: files to documents, sentences, expert decisions and machine proposals. Running it again adds
//! nothing twice, so an interrupted import goes on by the same command.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};

use rustc_hash::FxHashMap;

use super::project::Project;
use super::{Cancel, Progress, Watch, WorkflowError, identity, new_entry_id, new_run_id, now};
use crate::domain::corpus::{NewDocument, Origin, PatientKey, SentenceId};
use crate::domain::label::{Annotator, Decision, Judgement, Label, NewProposal, Outcome, Run, RunId, RunKind, Source};
use crate::domain::person::Role;
use crate::domain::segment::segment;
use crate::domain::sight::InSight;
use crate::domain::taxonomy::{Taxonomy, TaxonomyError};
use crate::domain::text::Span;
use crate::formats::notes::{self, BadRecord, Columns, Layout, NoteFiles, NoteReader, NoteRecord};
use crate::store::{Insert, Store};
use crate::workflow::refusal::Refusal;
use crate::workflow::session::Session;

/// What one record of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A note, to be cut into sentences.
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
}

/// What to import and how.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// Files and folders; `-` is standard input.
    pub paths: Vec<PathBuf>,
    /// The layout, where the name does not tell.
    pub layout: Option<Layout>,
    /// Named columns.
    pub columns: Columns,
    /// Note or sentence.
    pub unit: Unit,
    /// Whose labels the label column holds; without it labels stay out.
    pub labels: Option<LabelsBy>,
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
    /// Labels that the taxonomy does not have, with how often.
    pub unknown_labels: BTreeMap<String, u64>,
    /// Records without a patient: each counts as a patient of its own.
    pub without_patient: u64,
    /// Bad records, all counted.
    pub bad: u64,
    /// The first of them: file, line, message.
    pub bad_shown: Vec<(PathBuf, u64, String)>,
    /// What each file was recognised as.
    pub recognised: Vec<(PathBuf, String)>,
    /// What looks like notes and was not read, with the reason.
    pub passed_over: Vec<(PathBuf, &'static str)>,
    /// Whether a file was MIMIC's.
    pub mimic: bool,
    /// Whether it was stopped before its end.
    pub cancelled: bool,
}

impl ImportSummary {
    /// Whether no record came in. One that was there already counts as come in: what was asked for holds.
    pub(crate) fn came_to_nothing(&self) -> bool {
        self.documents + self.known + self.labels + self.known_labels == 0
    }
}

/// Bad records shown in full; the rest are counted.
const BAD_SHOWN: usize = 20;
/// A transaction takes up to this many records or bytes: some 20 ms for whoever waits for the write lock.
const BATCH_RECORDS: usize = 4_000;
const BATCH_BYTES: usize = 2 << 20;
/// Batches read ahead of the writer: what waits in memory does not grow with the file.
const AHEAD: usize = 2;

/// Imports everything that the options name.
pub fn import(session: Session<'_>, options: &ImportOptions) -> Result<ImportSummary, WorkflowError> {
    let Session { project, store, cancel, progress: watch } = session;
    let _span = tracing::info_span!("import").entered();
    if options.labels.is_some() && options.unit == Unit::Document {
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
    store.in_bulk(|store| {
        let mut importer = Importer { project, store, options, report: ImportSummary::default(), run: None };
        'files: for path in &options.paths {
            let NoteFiles { files, passed_over } = notes::files(path)?;
            importer.report.passed_over.extend(passed_over);
            for file in files {
                importer.file(path, &file, cancel, watch)?;
                if cancel.is_cancelled() {
                    importer.report.cancelled = true;
                    break 'files;
                }
            }
        }
        let report = importer.report;
        let ImportSummary { documents, sentences, labels, bad, cancelled, .. } = report;
        tracing::info!(documents, sentences, labels, bad, cancelled, "imported");
        index(store, cancel, watch)?;
        Ok(report)
    })?
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
}

/// What goes into the store in one transaction, and what was found to be bad on the way.
#[derive(Default)]
struct Batch {
    documents: Vec<NewDocument>,
    /// The label of each document, where it has one.
    labels: Vec<Option<(Label, Option<InSight>)>>,
    /// Whether the file itself has a title for it.
    has_title: Vec<bool>,
    /// Labels that the taxonomy does not have.
    unknown: Vec<String>,
    without_patient: u64,
    bad: Vec<BadRecord>,
    /// Bytes of text in it, and bytes of the file up to its end.
    bytes: usize,
    read: u64,
}

/// A label of a file, found on its sentence.
struct Labelled {
    sentence: SentenceId,
    label: Label,
    in_sight: Option<InSight>,
    /// The sentence has only come with this file.
    new: bool,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.documents.len() >= BATCH_RECORDS || self.bytes >= BATCH_BYTES || self.bad.len() >= BATCH_RECORDS
    }
}

/// Records of one file to documents: what can be done without the store, on a thread of its own.
struct ImportReader<'a> {
    taxonomy: &'a Taxonomy,
    options: &'a ImportOptions,
    root: &'a Path,
    file: &'a Path,
    /// The file's name without its folder.
    name: Arc<str>,
}

impl ImportReader<'_> {
    fn run(&self, mut notes: NoteReader, batches: &SyncSender<Arc<Batch>>) {
        // A batch is kept until the writer is done with it, so that its many small strings are freed by the thread that
        // made them: the allocator is several times slower otherwise.
        let mut kept = VecDeque::new();
        loop {
            let (mut batch, mut stop) = (Batch::default(), false);
            while !stop && !batch.is_full() {
                match notes.next() {
                    Some(Ok(record)) => self.take(record, &mut batch),
                    Some(Err(bad)) => {
                        stop = bad.fatal || self.options.stop_on_error;
                        batch.bad.push(bad);
                    }
                    None => stop = true,
                }
            }
            batch.read = notes.read.load(Ordering::Relaxed);
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

    fn take(&self, record: NoteRecord, batch: &mut Batch) {
        let name = &self.name;
        let whole_file = record.id.is_none() && record.line == 1 && name.ends_with("txt");
        let stem = name.split('.').next().unwrap_or(name);
        let external_id =
            record.id.unwrap_or_else(|| if whole_file { stem.into() } else { format!("{name}:{}", record.line) });
        // A folder of notes below the one named is taken for a patient's.
        let folder = self.file.parent().filter(|parent| whole_file && *parent != self.root && self.root.is_dir());
        let patient = record.patient.or_else(|| Some(folder?.file_name()?.to_string_lossy().into_owned()));
        batch.without_patient += u64::from(patient.is_none());
        batch.bytes += record.text.len();
        let sentences = match self.options.unit {
            Unit::Document => segment(&record.text),
            Unit::Sentence => {
                let start = record.text.len() - record.text.trim_start().len();
                let end = record.text.trim_end().len();
                if start < end { vec![Span { start, end }] } else { Vec::new() }
            }
        };
        let label = self
            .options
            .labels
            .as_ref()
            .and(record.labels)
            .and_then(|words| self.label(&words).map_err(|_| batch.unknown.push(words.join(" + "))).ok());
        batch.has_title.push(!record.title.is_empty());
        batch.labels.push(label.map(|label| (label, record.in_sight)));
        batch.documents.push(NewDocument {
            patient: PatientKey(patient.unwrap_or_else(|| external_id.clone())),
            external_id,
            title: if record.title.is_empty() && whole_file { stem.into() } else { record.title },
            kind: record.kind,
            date: record.date,
            source: name.clone(),
            text: record.text,
            sentences,
        });
    }

    /// A label whose every word the taxonomy has: one that has not stays out whole, never cut down.
    fn label(&self, words: &[String]) -> Result<Label, TaxonomyError> {
        let label = words.iter().map(|word| self.taxonomy.find(word)).collect::<Result<Label, _>>()?;
        self.taxonomy.check(&label)?;
        Ok(label)
    }
}

impl Importer<'_> {
    fn file(&mut self, root: &Path, file: &Path, cancel: &Cancel, watch: &mut Watch<'_>) -> Result<(), WorkflowError> {
        let named = Some(&self.project.file.title_column).filter(|name| !name.is_empty());
        let columns = Columns { title: named.cloned(), ..self.options.columns.clone() };
        let notes = notes::open(file, self.options.layout, &columns)?;
        self.report.recognised.push((file.into(), notes.recognised.clone()));
        if notes.mimic {
            // PhysioNet's terms forbid passing MIMIC to ordinary services; the policy reads this before anything leaves.
            self.store.restrict("notes of MIMIC (PhysioNet)")?;
            self.report.mimic = true;
        }
        let what = format!("importing {}", file.display());
        watch(Progress::Started { what, total: notes.size, unit: "bytes" });
        let name = file.file_name().map_or_else(|| "stdin".into(), |n| n.to_string_lossy().into());
        let reader = ImportReader { taxonomy: &self.project.taxonomy, options: self.options, root, file, name };
        let (sender, batches) = sync_channel(AHEAD);
        std::thread::scope(|scope| {
            scope.spawn(move || reader.run(notes, &sender));
            for batch in batches {
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

    fn flush(&mut self, file: &Path, batch: &Batch) -> Result<(), WorkflowError> {
        self.report.without_patient += batch.without_patient;
        for words in &batch.unknown {
            *self.report.unknown_labels.entry(words.clone()).or_default() += 1;
        }
        let inserts = self.store.insert_documents(&batch.documents, Origin::Real, &self.project.file.split)?;
        let column = &self.project.file.title_column;
        if !column.is_empty() {
            let titles = batch.documents.iter().zip(&batch.has_title).zip(&inserts);
            let titles = titles.filter(|((_, has_title), _)| **has_title);
            let titles: Vec<_> = titles.map(|((new, _), insert)| (insert.document(), new.title.as_str())).collect();
            self.store.put_titles(column, &titles)?;
        }
        let mut labelled: Vec<Labelled> = Vec::new();
        for ((document, insert), label) in batch.documents.iter().zip(&inserts).zip(&batch.labels) {
            let new = matches!(insert, Insert::New(..));
            if new {
                self.report.documents += 1;
                self.report.sentences += document.sentences.len() as u64;
            } else {
                self.report.known += 1;
            }
            if let (Some((label, in_sight)), false) = (label, document.sentences.is_empty()) {
                let (label, in_sight) = (label.clone(), *in_sight);
                labelled.push(Labelled { sentence: insert.first_sentence(), label, in_sight, new });
            }
        }
        match self.options.labels.clone() {
            Some(LabelsBy::Annotator(name)) => self.decide(&Annotator(name), labelled)?,
            Some(LabelsBy::Model(model)) => self.propose(&model, labelled)?,
            None => {}
        }
        batch.bad.iter().try_for_each(|bad| self.bad(file, bad))
    }

    fn decide(&mut self, annotator: &Annotator, labelled: Vec<Labelled>) -> Result<(), WorkflowError> {
        identity::speak_for(self.project, self.store, annotator)?;
        let taxonomy = self.project.taxonomy.hash();
        let mut decisions = Vec::with_capacity(labelled.len());
        // What is said in this batch is not in the store yet.
        let mut said: FxHashMap<SentenceId, Option<InSight>> = FxHashMap::default();
        for Labelled { sentence, label, in_sight, new } in labelled {
            let current = if new { None } else { self.store.decision(sentence, annotator)? };
            if current.is_some_and(|decision| decision.judgement.label.as_ref() == Some(&label)) {
                self.report.known_labels += 1;
                continue;
            }
            // What was in sight at an earlier label of theirs still was, whatever a file says of a later one; and what is not
            // known of the earlier one is not known of both to have been nothing.
            let before = match said.get(&sentence) {
                Some(before) => *before,
                None if new => Some(InSight::NOTHING),
                None => {
                    let said = self.store.has_said(sentence, annotator)?;
                    (said.recorded || !said.in_sight.is_nothing()).then_some(said.in_sight)
                }
            };
            let in_sight = match (in_sight, before) {
                (Some(now), Some(before)) => Some(now.and(before)),
                (Some(now), None) => (!now.is_nothing()).then_some(now),
                (None, _) => None,
            };
            said.insert(sentence, in_sight);
            decisions.push(Decision {
                id: new_entry_id(),
                at: now(),
                annotator: annotator.clone(),
                sentence,
                judgement: Judgement { label: Some(label), ..Judgement::default() },
                took: None,
                in_sight,
                proposal: None,
                taxonomy: taxonomy.clone(),
                supersedes: None,
            });
        }
        self.report.labels += decisions.len() as u64;
        Ok(self.store.append_decisions(&decisions)?)
    }

    fn propose(&mut self, model: &str, labelled: Vec<Labelled>) -> Result<(), WorkflowError> {
        let run = match &self.run {
            Some(run) => run.clone(),
            None => {
                let config = serde_json::json!({ "imported": true }).to_string();
                let run = match self.store.find_run(RunKind::Label, model, &config)? {
                    Some(run) => run,
                    None => {
                        let run = Run {
                            id: new_run_id(),
                            kind: RunKind::Label,
                            model: model.to_owned(),
                            config,
                            taxonomy: self.project.taxonomy.hash(),
                            started: now(),
                            finished: Some(now()),
                            outcome: Outcome::Finished,
                            scores: String::new(),
                        };
                        self.store.put_run(&run)?;
                        run.id
                    }
                };
                self.run.insert(run).clone()
            }
        };
        let proposals: Vec<NewProposal> =
            labelled.into_iter().map(|of| NewProposal::bare(of.sentence, of.label)).collect();
        let new = self.store.propose(&run, Source::Llm, &proposals)?;
        self.report.labels += new as u64;
        self.report.known_labels += (proposals.len() - new) as u64;
        Ok(())
    }
}
