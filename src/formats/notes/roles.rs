//! Which column or field holds what: as it is named, or as its name tells.

use std::path::Path;

use serde_json::Value;

use super::{Columns, mimic, same};
use crate::domain::sight::{Cue, InSight};
use crate::formats::FormatError;

pub(super) const TEXT: &[&str] =
    &["text", "sentence", "note", "note_text", "section_text", "dialogue", "report", "content"];
pub(super) const ID: &[&str] = &["id", "row_id", "note_id", "sentence_id", "doc_id", "document_id", "encounter_id"];
pub(super) const PATIENT: &[&str] = &["patient", "patient_id", "subject_id", "patient_key", "pid", "mrn"];
pub(super) const LABEL: &[&str] = &["label", "labels", "categories"];
pub(super) const TITLE: &[&str] = &["title", "description", "section_header"];
pub(super) const KIND: &[&str] = &["kind", "note_type", "type"];
/// MIMIC's column of kinds; elsewhere a category may be the label.
const MIMIC_KIND: &[&str] = &["category"];
pub(super) const DATE: &[&str] = &["date", "charttime", "chartdate"];
pub(super) const ERROR: &[&str] = &["iserror"];

/// Whether a table with this header may be one of notes: a column is the text, and with `more` another one is known, too.
pub(super) fn is_of_notes(header: &[String], more: bool) -> bool {
    let has = |names: &[&str]| header.iter().any(|cell| names.iter().any(|name| same(cell, name)));
    has(TEXT) && (!more || [ID, PATIENT, LABEL, TITLE, KIND, DATE].iter().any(|names| has(names)))
}

/// A column and what it is taken for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ColumnUse {
    pub column: String,
    /// `text`, `id`, `patient`, `label`, `title`, `kind`, `date`, `in sight`, `error`; nothing where it is left out.
    pub taken_for: Option<&'static str>,
}

/// Which column has which role.
pub(super) struct Roles {
    pub text: usize,
    pub id: Option<usize>,
    pub patient: Option<usize>,
    pub label: Option<usize>,
    pub title: Option<usize>,
    pub kind: Option<usize>,
    pub date: Option<usize>,
    pub error: Option<usize>,
    pub in_sight: Option<usize>,
    pub blind: Option<usize>,
    /// By which columns it is a table of MIMIC's.
    pub mimic: Option<String>,
    pub columns: Vec<ColumnUse>,
}

impl Roles {
    pub(super) fn of(header: &[String], path: &Path, columns: &Columns) -> Result<Self, FormatError> {
        let unfit = |message| FormatError::Unfit { path: path.into(), message };
        let find = |names: &[&str]| names.iter().find_map(|name| header.iter().position(|cell| same(cell, name)));
        let named = |name: &Option<String>, guesses: &[&str]| match name {
            Some(name) => match header.iter().position(|cell| cell == name) {
                Some(at) => Ok(Some(at)),
                None => Err(unfit(format!("no column `{name}`; the header has {}", header.join(", ")))),
            },
            None => Ok(find(guesses)),
        };
        let mimic = mimic::by_columns(header.iter().map(String::as_str));
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
            kind: find(KIND).or_else(|| mimic.as_ref().and_then(|_| find(MIMIC_KIND))),
            date: find(DATE),
            error: find(ERROR),
            in_sight: find(&["in_sight"]),
            blind: find(&["blind"]),
            mimic,
            columns: Vec::new(),
        };
        // What holds the label is nothing else besides: it would be shown before the decision.
        for other in [&mut roles.title, &mut roles.kind, &mut roles.date] {
            *other = other.filter(|at| Some(*at) != roles.label);
        }
        let taken = [
            ("text", Some(roles.text)),
            ("id", roles.id),
            ("patient", roles.patient),
            ("label", roles.label),
            ("title", roles.title),
            ("kind", roles.kind),
            ("date", roles.date),
            ("error", roles.error),
            ("in sight", roles.in_sight),
            ("in sight", roles.blind),
        ];
        let taken_for = |at| taken.iter().find(|(_, column)| *column == Some(at)).map(|(role, _)| *role);
        let uses = header.iter().enumerate();
        roles.columns = uses.map(|(at, name)| ColumnUse { column: name.clone(), taken_for: taken_for(at) }).collect();
        Ok(roles)
    }
}

/// The columns that are taken for something, in a few words.
pub(super) fn said(columns: &[ColumnUse]) -> String {
    let taken = columns.iter().filter_map(|of| of.taken_for.map(|role| format!("{role}: {}", of.column)));
    taken.collect::<Vec<_>>().join(", ")
}

/// Whether MIMIC's column of errors says that the note is one.
pub(super) fn is_error(cell: &str) -> bool {
    matches!(cell.trim(), "1" | "1.0" | "true" | "True" | "TRUE")
}

/// What a file says had been in sight when a label was given: cue by cue, or at least whether it was blind. Anything else says
/// nothing.
pub(super) fn in_sight_of(in_sight: Option<&Value>, blind: Option<&Value>) -> Option<InSight> {
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
