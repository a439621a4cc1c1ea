//! A change of categories is two things: an entry of the log, and a taxonomy file. The new file waits beside the old one until
//! the entry is in the log, and then takes its place. Whatever breaks off in between, the log says how it ends.

use std::path::Path;

use super::WorkflowError;
use crate::domain::label::EntryId;
use crate::domain::secret::Secret;
use crate::formats::{FormatError, read_text, take_place, waiting_beside};
use crate::store::{Store, StoreError};

/// Finds the key of the store, if it has one; asked only where there is something to open.
pub(super) type FindKey<'a> = &'a dyn Fn() -> Result<Option<&'a Secret>, WorkflowError>;

/// Ends what was broken off: a file whose entry is in the log takes its place, any other one goes. With no file waiting, the
/// store is not opened.
pub(super) fn settle(taxonomy: &Path, store: &Path, key: FindKey<'_>) -> Result<(), WorkflowError> {
    if waiting_beside(taxonomy)?.is_empty() {
        return Ok(());
    }
    // Whoever is between the two holds the store, so that nothing is taken from under their hands.
    Store::open_with(store, key()?)?.hold(|store| {
        for (entry, file) in waiting_beside(taxonomy)? {
            if store.has_entry(&EntryId(entry))? {
                take_place(&file, taxonomy)?;
            } else {
                let removed = std::fs::remove_file(&file);
                removed.map_err(|cause| FormatError::Io { doing: "write", path: file, cause })?;
            }
        }
        Ok(())
    })
}

/// The text of the taxonomy file as the log has it, after what was broken off is ended. Where nothing can be written, a text that
/// waits for its place is read where it waits.
pub(super) fn taxonomy_text(taxonomy: &Path, store: &Path, key: FindKey<'_>) -> Result<String, WorkflowError> {
    match settle(taxonomy, store, key) {
        // The store says so itself when it is opened, and the taxonomy can be looked at without it.
        Ok(()) | Err(WorkflowError::Store(StoreError::Missing(_))) => Ok(read_text(taxonomy)?),
        Err(WorkflowError::Store(StoreError::Unwritable(..))) => {
            let store = Store::open_to_read(store, key()?)?;
            let mut read = taxonomy.to_path_buf();
            for (entry, file) in waiting_beside(taxonomy)? {
                if store.has_entry(&EntryId(entry))? {
                    read = file;
                }
            }
            Ok(read_text(&read)?)
        }
        Err(error) => Err(error),
    }
}
