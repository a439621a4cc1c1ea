//! Encrypting the store, and changing its key.

use super::WorkflowError;
use super::project::Project;
use crate::domain::secret::{Secret, SecretSource};
use crate::store::{Store, StoreError};
use crate::workflow::refusal::{Refusal, RefusalKind};

/// Encrypts the store with the key that the project names; gives where that came from.
pub fn encrypt(project: &Project) -> Result<&SecretSource, WorkflowError> {
    let source = key_setting(project)?;
    match Store::ensure_encrypted(&project.file.store) {
        Err(StoreError::NotEncrypted(_)) => {}
        Ok(()) => {
            let said = format!("{} is encrypted already", project.file.store.display());
            return Err(Refusal::new(RefusalKind::NothingToDo, said)
                .hint("`goldsmith store rekey` gives it another key")
                .into());
        }
        Err(e) => return Err(e.into()),
    }
    Store::recode(&project.file.store, None, Some(&new_key(project, source)?))?;
    Ok(source)
}

/// Makes the store a plain one.
pub(crate) fn decrypt(project: &Project) -> Result<(), WorkflowError> {
    key_setting(project)?;
    Ok(Store::recode(&project.file.store, project.store_key()?, None)?)
}

/// Gives the store another key, from another place.
pub(crate) fn rekey(project: &Project, source: &SecretSource) -> Result<(), WorkflowError> {
    key_setting(project)?;
    let before = project.store_key()?;
    Ok(Store::recode(&project.file.store, before, Some(&new_key(project, source)?))?)
}

fn key_setting(project: &Project) -> Result<&SecretSource, WorkflowError> {
    project.file.key.as_ref().ok_or_else(|| {
        Refusal::unset("key", "the project does not say where the key of its store comes from")
            .hint("say it under [encryption] in goldsmith.toml: key = \"ask\", { env = \"...\" }, { file = \"...\" } or { command = [...] }")
            .into()
    })
}

fn new_key(project: &Project, source: &SecretSource) -> Result<Secret, WorkflowError> {
    project.key.make(source, &project.folder)
}
