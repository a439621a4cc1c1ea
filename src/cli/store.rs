//! `goldsmith store`: encrypting the store, and changing its key.

use super::arguments::StoreVerb;
use super::{Exit, Failure, say};
use crate::domain::secret::SecretSource;
use crate::workflow::encryption;
use crate::workflow::project::Project;

pub(super) fn change(project: &Project, verb: StoreVerb) -> Result<Exit, Failure> {
    let store = project.file.store.display();
    match verb {
        StoreVerb::Encrypt => {
            let source = encryption::encrypt(project)?;
            say(&format!(
                "{store} is encrypted with the key {source}; whoever loses that key loses the store\n\
                 copies that were made before (backups, snapshots, what the disk keeps of deleted files) are plain"
            ));
        }
        StoreVerb::Decrypt => {
            encryption::decrypt(project)?;
            say(&format!(
                "{store} is plain: whoever reads the file reads the notes\n\
                 next: take `key` out of [encryption] in goldsmith.toml"
            ));
        }
        StoreVerb::Rekey(args) => {
            let source = args.source();
            encryption::rekey(project, &source)?;
            say(&format!(
                "{store} is encrypted with the key {source}; copies that were made before still open with the old key"
            ));
            if project.file.key.as_ref() != Some(&source) {
                say(&format!("next: key = {} under [encryption] in goldsmith.toml", setting(&source)));
            }
        }
    }
    Ok(Exit::Done)
}

/// As `goldsmith.toml` has it.
fn setting(source: &SecretSource) -> String {
    match source {
        SecretSource::Variable(name) => format!("{{ env = {name:?} }}"),
        SecretSource::File(path) => format!("{{ file = {path:?} }}"),
        SecretSource::Command(words) => format!("{{ command = {words:?} }}"),
        SecretSource::Ask => "\"ask\"".into(),
    }
}
