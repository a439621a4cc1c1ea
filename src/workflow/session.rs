//! A session: a project opened for work, and what a long use case works on.

use super::project::Project;
use super::{Cancel, Progress, WorkflowError, identity, migration, now};
use crate::domain::key_map::KeyMap;
use crate::store::{Store, StoreError};

/// What a long use case works on and with. `E` is what it reports on its way.
pub struct Session<'a, E = Progress> {
    pub project: &'a Project,
    /// The project's store.
    pub store: &'a mut Store,
    /// The wish to stop or to pause; looked at between steps, so that what is done stays done.
    pub cancel: &'a Cancel,
    /// Takes what it reports.
    pub progress: &'a mut (dyn FnMut(E) + 'a),
}

impl<'a, E> Session<'a, E> {
    /// All four.
    pub fn new(
        project: &'a Project,
        store: &'a mut Store,
        cancel: &'a Cancel,
        progress: &'a mut (dyn FnMut(E) + 'a),
    ) -> Self {
        Self { project, store, cancel, progress }
    }
}

impl Project {
    /// Opens the store for whoever can prove that the annotator's name is theirs, with its splits as the project file says,
    /// although the guideline may read its labels otherwise.
    pub(crate) fn store_as_it_is(&self) -> Result<Store, WorkflowError> {
        let mut store = self.store_untouched()?;
        store.apply_splits(&self.file.split)?;
        Ok(store)
    }

    /// Opens the store and writes nothing into it, not even what the project file says anew.
    fn store_untouched(&self) -> Result<Store, WorkflowError> {
        let mut store = Store::open_with(&self.file.store, self.store_key()?)?;
        identity::prove(self, &mut store)?;
        Ok(store)
    }

    /// The store for whoever looks for what was changed in it: nothing is mended first.
    pub(crate) fn store_to_audit(&self, tell: &mut dyn FnMut(&str)) -> Result<Store, WorkflowError> {
        self.or_as_it_stands(self.store_untouched(), tell)
    }

    /// Opens the store, brings its splits in line with the project file, and keeps the version of the guideline. Refused
    /// where the guideline reads the labels that there are otherwise than the store: that is to be looked at first.
    pub fn store(&self) -> Result<Store, WorkflowError> {
        let mut store = self.store_as_it_is()?;
        migration::ensure_migrated(self, &mut store)?;
        store.use_taxonomy(&self.taxonomy.hash(), now(), &self.guideline)?;
        Ok(store)
    }

    /// The same for whoever only reads. Where the store cannot be written (a read-only file or folder, a full disk), it is read
    /// as it stands and nothing is changed; `tell` is told so.
    pub(crate) fn store_to_read(&self, tell: &mut dyn FnMut(&str)) -> Result<Store, WorkflowError> {
        self.or_as_it_stands(self.store(), tell)
    }

    fn or_as_it_stands(
        &self,
        opened: Result<Store, WorkflowError>,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Store, WorkflowError> {
        let Err(WorkflowError::Store(StoreError::Unwritable(path, cause))) = opened else {
            return opened;
        };
        let mut store = Store::open_to_read(&path, self.store_key()?)?;
        identity::prove(self, &mut store)?;
        if !store.has_splits(&self.file.split)? || KeyMap::of(&self.taxonomy) != *store.key_map() {
            // What the project file or the guideline says anew has to be written before anything can be read by it.
            return Err(StoreError::Unwritable(path, cause).into());
        }
        tell(&format!(
            "{} cannot be written ({cause}): it is read as it stands, and nothing is changed",
            path.display()
        ));
        Ok(store)
    }
}
