//! Who read which notes: on record before they are shown.

use std::collections::BTreeSet;

use super::project::Project;
use super::{WorkflowError, identity, now};
use crate::domain::corpus::{DocumentId, SentenceId};
use crate::domain::label::{Annotator, Timestamp};
use crate::domain::person::Role;
pub(crate) use crate::store::AccessRow;
use crate::store::{Store, StoreError};

/// In which way notes were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// The whole note, in the workbench.
    Opened,
    /// Sentences of it in a list of the workbench.
    Listed,
    /// Sentences of it on a terminal or into a pipe.
    Printed,
    /// Sentences of it, or all of it, into a file for others.
    Exported,
}

impl Access {
    fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Listed => "listed",
            Self::Printed => "printed",
            Self::Exported => "exported",
        }
    }

    /// Whether it is on the disk before the notes are read. What is read at the workbench is there with the next decision at the
    /// latest: a second wait for the disk would be felt at each new note.
    fn waits(self) -> bool {
        matches!(self, Self::Printed | Self::Exported)
    }
}

/// Why a reading is not on record, for whoever reads: where the store cannot be written, notes are read all the same, and it is
/// said.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unrecorded(pub Option<String>);

/// Writes down that the annotator reads these sentences.
pub(crate) fn sentences(
    project: &Project,
    store: &mut Store,
    how: Access,
    ids: &[SentenceId],
) -> Result<Unrecorded, WorkflowError> {
    let notes = store.notes_of_sentences(ids)?;
    record(project, store, how, notes)
}

/// Writes down that the annotator reads these notes.
pub(crate) fn record(
    project: &Project,
    store: &mut Store,
    how: Access,
    notes: impl IntoIterator<Item = DocumentId>,
) -> Result<Unrecorded, WorkflowError> {
    let notes = notes.into_iter().collect::<BTreeSet<_>>();
    if notes.is_empty() {
        return Ok(Unrecorded::default());
    }
    match store.record_access(now(), &project.annotator, how.word(), &notes, how.waits()) {
        Ok(()) => Ok(Unrecorded::default()),
        Err(StoreError::Unwritable(_, cause)) => {
            Ok(Unrecorded(Some(format!("the store cannot be written ({cause}): that you read this is not on record"))))
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes down that notes go into a file for others. Where that cannot be written, it is refused.
pub(crate) fn exported(
    project: &Project,
    store: &mut Store,
    notes: &BTreeSet<DocumentId>,
) -> Result<(), WorkflowError> {
    let how = Access::Exported;
    if notes.is_empty() {
        return Ok(());
    }
    Ok(store.record_access(now(), &project.annotator, how.word(), notes, how.waits())?)
}

/// Hands on who read what, oldest first; for stewards and leads.
pub(crate) fn each(
    project: &Project,
    person: Option<&Annotator>,
    since: Option<Timestamp>,
    each: &mut dyn FnMut(AccessRow) -> Result<(), WorkflowError>,
) -> Result<(), WorkflowError> {
    let store = project.store_to_audit(&mut |_| {})?;
    identity::require(project, &store, &[Role::Steward, Role::Lead], "see who read what")?;
    store.access_each(person, since, each)
}
