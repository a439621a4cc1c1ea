//! The key of the store: where it comes from, and who is asked for it.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::WorkflowError;
use crate::domain::secret::{Secret, SecretSource};
use crate::formats::project::{FILE_NAME, ProjectFile};
use crate::formats::secret;
use crate::store::Store;
use crate::workflow::refusal::{Refusal, RefusalKind};

/// Asks a person for a secret without showing it; the text says what for.
pub(crate) type Ask = fn(&str) -> io::Result<String>;

/// Fewer characters than this can be guessed by trying.
const SHORTEST: usize = 12;

/// The store's key, once it is known, for all who share the project; and who asks for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreKey {
    found: Arc<OnceLock<Secret>>,
    ask: Option<Ask>,
}

impl StoreKey {
    /// With somebody at the terminal who can be asked.
    pub(crate) fn asked_by(ask: Ask) -> Self {
        Self { ask: Some(ask), ..Self::default() }
    }

    /// Whether somebody can be asked.
    pub(super) fn can_ask(&self) -> bool {
        self.ask.is_some()
    }

    /// Asks for something else; none where nobody can be asked.
    pub(super) fn ask(&self, question: &str) -> Option<io::Result<Secret>> {
        self.ask.map(|ask| Ok(Secret::new(ask(question)?, SecretSource::Ask)))
    }

    /// The key of a store, where the project in a folder names one. It is looked for once, and not before there is something
    /// to open.
    pub(super) fn find(&self, file: &ProjectFile, folder: &Path) -> Result<Option<&Secret>, WorkflowError> {
        self.find_for(file, folder, &file.store)
    }

    /// The same for a copy of the store.
    pub(super) fn find_for(
        &self,
        file: &ProjectFile,
        folder: &Path,
        store: &Path,
    ) -> Result<Option<&Secret>, WorkflowError> {
        let Some(source) = &file.key else {
            return Ok(None);
        };
        if let Some(found) = self.found.get() {
            return Ok(Some(found));
        }
        Store::ensure_encrypted(store)?;
        let found = self.read(source, folder, "key of the store: ")?;
        Ok(Some(self.found.get_or_init(|| found)))
    }

    fn read(&self, source: &SecretSource, folder: &Path, question: &str) -> Result<Secret, WorkflowError> {
        match source {
            SecretSource::Variable(name) => Ok(secret::from_variable(name)?),
            SecretSource::File(path) => Ok(secret::from_file(path)?),
            SecretSource::Command(words) => {
                ensure_own(&folder.join(FILE_NAME))?;
                Ok(secret::from_command(words)?)
            }
            SecretSource::Ask => {
                let asked = self.ask.map_or_else(|| Err(io::ErrorKind::NotConnected.into()), |ask| ask(question));
                match asked {
                    Ok(value) => Ok(Secret::new(value, SecretSource::Ask)),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(WorkflowError::Stopped),
                    Err(e) => Err(Refusal::new(
                        RefusalKind::Unavailable { what: "terminal" },
                        "the key of the store is to be typed, and there is no terminal",
                    )
                    .hint("name another place under [encryption] in goldsmith.toml: { env = \"...\" } or { file = \"...\" }")
                    .because(e)
                    .into()),
                }
            }
        }
    }

    /// A key that is to be the store's: not one that can be guessed, and typed twice where it is typed.
    pub(super) fn make(&self, source: &SecretSource, folder: &Path) -> Result<Secret, WorkflowError> {
        let key = self.read(source, folder, "new key of the store: ")?;
        if key.value().chars().count() < SHORTEST {
            return Err(Refusal::invalid("key", format!("the key {source} has fewer than {SHORTEST} characters"))
                .hint("take four words that nobody would guess, or `openssl rand -hex 32`")
                .into());
        }
        if *source == SecretSource::Ask && self.read(source, folder, "the same once more: ")?.value() != key.value() {
            return Err(Refusal::invalid("key", "the two are not the same; nothing was changed").into());
        }
        Ok(key)
    }
}

/// A project file that others can write would have us run what they like.
fn ensure_own(file: &Path) -> Result<(), WorkflowError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let fail = |cause| crate::formats::FormatError::Io { doing: "read", path: file.into(), cause };
        let found = std::fs::metadata(file).map_err(fail)?;
        // Whoever makes a file owns it; the library has no other way to say who we are.
        let us = tempfile::tempfile().and_then(|own| own.metadata()).map_err(fail)?.uid();
        if found.uid() != us || found.mode() & 0o022 != 0 {
            let said = format!("{} names a command, and others than you can change it; it was not run", file.display());
            return Err(Refusal::new(RefusalKind::Protected, said)
                .hint(format!("look at it; then `chmod go-w {0}`, or copy it if it is another's", file.display()))
                .into());
        }
    }
    Ok(())
}
