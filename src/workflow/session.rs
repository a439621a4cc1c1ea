//! Opening a project for work: its store, with labels read as its guideline says.

use super::project::Project;
use super::{WorkflowError, now, recast};
use crate::store::Store;

impl Project {
    /// Opens the store, brings its splits in line with the project file, and keeps the version of the guideline. Refused
    /// where the guideline reads the labels that there are otherwise than the store: that is to be looked at first.
    pub fn store(&self) -> Result<Store, WorkflowError> {
        let mut store = self.store_as_it_is()?;
        recast::agree(self, &mut store)?;
        store.use_taxonomy(&self.taxonomy.hash(), now(), &self.guideline)?;
        Ok(store)
    }
}
