//! What an import would do, found out without writing anything.

use std::path::{Path, PathBuf};

use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use super::reader::{ImportReader, Row, name_of, number_of};
use super::survey::LabelSurvey;
use super::{Examples, ImportOptions, LabelsBy, Unit, each_file, reading};
use crate::domain::split::Split;
use crate::formats::notes::{ColumnUse, NoteReader, PassedOver};
use crate::store::{Known, Likeness, Store};
use crate::workflow::project::Project;
use crate::workflow::{Cancel, WorkflowError};

/// What an import would do.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ImportPlan {
    pub files: Vec<FilePlan>,
    /// What stands in a folder and would not be read.
    pub passed_over: PassedOver,
    /// Labels as they are written, with what they say.
    pub labels: Vec<PlannedLabel>,
    /// Whose labels they would be.
    pub labels_by: Option<String>,
    /// Why the labels could not be taken so.
    pub refused: Option<String>,
    pub patients: u64,
    /// Records without one: each counts as a patient of its own.
    pub without_patient: u64,
    /// How patients and records fall.
    pub splits: Vec<PlannedSplit>,
    /// Records that stand in these files before, with the same id, patient and text.
    pub repeated: u64,
    /// Notes that are here already.
    pub known: u64,
    /// Notes that are here with another text.
    pub other_text: Examples,
    /// Notes whose text is here word for word, of the same patient, under another id.
    pub other_id: Examples,
    /// Notes that are here under another patient, or under none.
    pub other_patient: Examples,
}

/// One file of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FilePlan {
    pub file: PathBuf,
    /// What it was recognised as.
    pub kind: String,
    pub encoding: String,
    /// What stands between the cells of a table.
    pub separator: Option<String>,
    pub columns: Vec<ColumnUse>,
    pub records: u64,
    /// Sentences, if each note is cut.
    pub sentences: u64,
    /// Records with a label.
    pub labels: u64,
    pub in_error: u64,
    /// By what it is known to be MIMIC's.
    pub mimic: Option<String>,
    pub bad: u64,
    /// The first of them: line and message.
    pub bad_shown: Vec<(u64, String)>,
    /// The first records.
    pub first: Vec<PlannedRecord>,
}

/// A record as it would come in.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedRecord {
    pub line: u64,
    pub id: String,
    /// Nothing where it would count as a patient of its own.
    pub patient: Option<String>,
    pub text: String,
    /// As written.
    pub label: Option<String>,
}

/// A label of these files.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedLabel {
    pub written: String,
    pub count: u64,
    /// The keys that it says, `none`, or nothing where the taxonomy does not have it.
    pub says: Option<String>,
}

/// A part of the patients.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedSplit {
    pub split: Split,
    pub patients: u64,
    pub records: u64,
}

/// Shown of each file.
const SHOWN: usize = 5;

/// Looks through everything that the options name.
pub fn plan(project: &Project, options: &ImportOptions, cancel: &Cancel) -> Result<ImportPlan, WorkflowError> {
    let store = Store::open_to_read(&project.file.store, project.store_key()?)?;
    let mut options = options.clone();
    let labels_by = match &options.labels {
        Some(LabelsBy::Annotator(name)) => Some(format!("annotator {name}")),
        Some(LabelsBy::Model(name)) => Some(format!("model {name}")),
        Some(LabelsBy::LeftOut) | None => None,
    };
    // What each label says is shown, whoever gave it.
    let asked = options.labels.replace(LabelsBy::LeftOut);
    let reading = reading(project, &options, false)?;
    let mut planner = Planner {
        project,
        store: &store,
        options: &options,
        plan: ImportPlan { labels_by, ..ImportPlan::default() },
        labels: LabelSurvey::default(),
        patients: FxHashMap::default(),
        records: [0; 3],
        seen: FxHashSet::default(),
    };
    let mut passed_over = PassedOver::new();
    each_file(&options, &reading, &mut passed_over, |root, file, notes| {
        planner.file(root, file, notes, cancel)?;
        Ok(!cancel.is_cancelled())
    })?;
    let Planner { mut plan, labels, patients, records, .. } = planner;
    plan.passed_over = passed_over;
    plan.refused = match asked {
        Some(LabelsBy::Annotator(_) | LabelsBy::Model(_)) if options.unit == Unit::Document => {
            Some("labels belong to sentences, and these are whole notes".into())
        }
        Some(LabelsBy::Annotator(_) | LabelsBy::Model(_)) => labels.refusal(&options.paths).map(|no| no.to_string()),
        Some(LabelsBy::LeftOut) => None,
        None => (labels.found > 0).then(|| "the files have labels, and nobody is named who gave them".into()),
    };
    plan.labels = labels
        .labels
        .into_iter()
        .map(|(written, of)| PlannedLabel {
            written,
            count: of.count,
            says: of.label.map(|label| if label.is_none() { "none".into() } else { label.join() }),
        })
        .collect();
    plan.labels.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.written.cmp(&b.written)));
    plan.patients = patients.len() as u64;
    plan.splits = Split::ALL
        .into_iter()
        .zip(records)
        .map(|(split, records)| {
            let patients = patients.values().filter(|of| **of == split).count() as u64;
            PlannedSplit { split, patients, records }
        })
        .collect();
    Ok(plan)
}

struct Planner<'a> {
    project: &'a Project,
    store: &'a Store,
    options: &'a ImportOptions,
    plan: ImportPlan,
    labels: LabelSurvey,
    /// The split of each, by a number that stands for its key.
    patients: FxHashMap<u64, Split>,
    records: [u64; 3],
    /// Numbers that stand for patient, id and text of each record.
    seen: FxHashSet<u64>,
}

impl Planner<'_> {
    fn file(&mut self, root: &Path, file: &Path, mut notes: NoteReader, cancel: &Cancel) -> Result<(), WorkflowError> {
        let upto = self.store.ready_to_compare()?;
        self.labels.next_file();
        let mut reader = ImportReader {
            taxonomy: &self.project.taxonomy,
            options: self.options,
            root,
            file,
            name: name_of(file),
            layout: notes.layout,
            occurrences: FxHashMap::default(),
        };
        let mut plan = FilePlan {
            file: file.into(),
            kind: notes.layout.to_string(),
            encoding: notes.encoding.to_string(),
            separator: notes.delimiter.clone(),
            columns: notes.columns.clone(),
            ..FilePlan::default()
        };
        for record in notes.by_ref() {
            if cancel.is_cancelled() {
                break;
            }
            let record = match record {
                Ok(record) => record,
                Err(bad) => {
                    plan.bad += 1;
                    if plan.bad_shown.len() < SHOWN {
                        plan.bad_shown.push((bad.line, bad.message));
                    }
                    if bad.fatal {
                        break;
                    }
                    continue;
                }
            };
            self.labels.add(file, &record, &self.project.taxonomy);
            let (line, label) = (record.line, record.labels.as_ref().map(|words| words.shown()));
            let mut row = Row::default();
            let document = reader.document(record, &mut row);
            plan.records += 1;
            plan.labels += u64::from(label.is_some());
            plan.sentences += document.sentences.len() as u64;
            let split = self.project.file.split.split(&document.patient);
            self.patients.insert(number_of(&[&document.patient.0]), split);
            self.plan.without_patient += u64::from(row.no_patient);
            let at = Split::ALL.iter().position(|other| *other == split).unwrap_or_default();
            self.records[at] += 1;
            let known =
                Known { no_patient: row.no_patient, occurrence: row.occurrence, earlier_id: row.earlier_id.as_deref() };
            if !self.seen.insert(number_of(&[&document.patient.0, &document.external_id, &document.text])) {
                self.plan.repeated += 1;
            } else if upto.0 > 0 {
                let id = || document.external_id.clone();
                match self.store.like(&document, known, upto)? {
                    Likeness::Nothing => {}
                    Likeness::Same(_) => self.plan.known += 1,
                    Likeness::OtherPatient(_) => {
                        self.plan.known += 1;
                        if !row.no_patient {
                            self.plan.other_patient.add(id);
                        }
                    }
                    Likeness::OtherText => self.plan.other_text.add(id),
                    Likeness::OtherId(other) => self.plan.other_id.add(|| format!("{} is {other}", id())),
                }
            }
            if plan.first.len() < SHOWN {
                let patient = (!row.no_patient).then_some(document.patient.0);
                plan.first.push(PlannedRecord { line, id: document.external_id, patient, text: document.text, label });
            }
        }
        (plan.mimic, plan.in_error) = (notes.mimic, notes.in_error);
        self.plan.files.push(plan);
        Ok(())
    }
}
