//! A saved model is signed by whoever trained it: every file of its folder is under the signature, and so are its categories,
//! thresholds and weights. A folder that was changed since is not loaded.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::project::Project;
use super::{WorkflowError, identity};
use crate::classifier::{self, Classifier};
use crate::domain::label::{Annotator, RunId};
use crate::domain::signature::{PublicKey, verifies_bytes};
use crate::formats::{FormatError, replace};
use crate::plain_file;
use crate::store::Store;
use crate::workflow::refusal::{Refusal, RefusalKind};

/// The file with the signature, in the model's folder.
const FILE: &str = "signature.json";
/// No model has more files.
const MOST_FILES: usize = 1_000;

/// What the file says. Its JSON without the signature is what is signed: names and order are never changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelSignature {
    by: Annotator,
    key: PublicKey,
    /// SHA-256 of every file, by its path in the folder.
    files: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    signature: String,
}

impl ModelSignature {
    fn signed_bytes(&self) -> Vec<u8> {
        let unsigned = Self { signature: String::new(), ..self.clone() };
        // Strings: JSON has a form for all of them.
        [&b"goldsmith model\n"[..], &serde_json::to_vec(&unsigned).unwrap_or_default()].concat()
    }
}

/// A saved model, with its card.
pub(crate) struct Loaded {
    pub model: Box<dyn Classifier>,
    pub card: serde_json::Value,
    /// Who signed it; none for a model of before there were keys, which whoever can write its folder can have changed.
    pub signer: Option<Annotator>,
}

/// Signs a model's folder as the project's annotator; the store notes the signature of its run.
pub(super) fn sign(project: &Project, store: &mut Store, run: &RunId, folder: &Path) -> Result<(), WorkflowError> {
    let key = identity::own_key(project)?;
    let (by, public) = (project.annotator.clone(), key.public());
    let mut signed = ModelSignature { by, key: public, files: digests(folder)?, signature: String::new() };
    signed.signature = key.sign_bytes(&signed.signed_bytes());
    let path = folder.join(FILE);
    let fail = |cause| FormatError::Io { doing: "write", path: path.clone(), cause };
    let text = serde_json::to_string_pretty(&signed).map_err(|error| fail(error.into()))?;
    replace(&path, &(text + "\n"))?;
    Ok(store.note_model(run, &signed.signature)?)
}

/// Loads a saved model, if it is as it was signed, and as the store noted it, where it is one of that store's runs.
pub(crate) fn load(folder: &Path, store: Option<&Store>) -> Result<Loaded, WorkflowError> {
    let signer = verify(folder, store)?;
    let (model, card) = classifier::load(folder)?;
    Ok(Loaded { model, card, signer })
}

fn verify(folder: &Path, store: Option<&Store>) -> Result<Option<Annotator>, WorkflowError> {
    let path = folder.join(FILE);
    let refused = |why: String| {
        Refusal::new(RefusalKind::Damaged { what: "model".into() }, format!("{}: {why}", folder.display()))
            .hint("train it again, or ask whoever trained it for another copy")
    };
    let run = folder.file_name().map(|name| RunId(name.to_string_lossy().into_owned()));
    let noted = match (store, run) {
        (Some(store), Some(run)) => store.noted_model(&run)?,
        _ => None,
    };
    let text = match plain_file::read_text(&path, plain_file::SMALL) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return if noted.is_some() { Err(refused(format!("{FILE} is gone")).into()) } else { Ok(None) };
        }
        Err(cause) => return Err(FormatError::Io { doing: "read", path, cause }.into()),
    };
    let signed: ModelSignature =
        serde_json::from_str(&text).map_err(|error| refused(format!("{FILE} cannot be read: {error}")))?;
    let by = &signed.by;
    if !verifies_bytes(&signed.key, &signed.signed_bytes(), &signed.signature) {
        return Err(refused(format!("{FILE} is not as {by} signed it")).into());
    }
    if noted.is_some_and(|noted| noted != signed.signature) {
        return Err(refused(format!("{FILE} is not the one that was made when it was trained")).into());
    }
    let people = store.map(Store::registry).transpose()?;
    if people.as_ref().and_then(|people| people.get(by)).is_some_and(|person| !person.speaks(&signed.key)) {
        return Err(refused(format!("it is signed as {by}, by a key that is not {by}'s")).into());
    }
    let found = digests(folder)?;
    let mut names = found.keys().chain(signed.files.keys());
    match names.find(|name| found.get(*name) != signed.files.get(*name)) {
        Some(name) => Err(refused(format!("{name} is not as {by} signed it")).into()),
        None => Ok(Some(signed.by)),
    }
}

/// SHA-256 of every file in a folder and those below, but for the signature itself.
fn digests(folder: &Path) -> Result<BTreeMap<String, String>, WorkflowError> {
    let fail = |path: &Path, cause| WorkflowError::from(FormatError::Io { doing: "read", path: path.into(), cause });
    let (mut all, mut waiting) = (BTreeMap::new(), vec![PathBuf::new()]);
    while let Some(inside) = waiting.pop() {
        let here = folder.join(&inside);
        for entry in fs::read_dir(&here).map_err(|cause| fail(&here, cause))? {
            let entry = entry.map_err(|cause| fail(&here, cause))?;
            let (name, path) = (inside.join(entry.file_name()), entry.path());
            let kind = entry.file_type().map_err(|cause| fail(&path, cause))?;
            if kind.is_dir() {
                waiting.push(name);
            } else if !kind.is_file() {
                let said = format!("{} is no file, and a model has nothing but files", path.display());
                return Err(Refusal::new(RefusalKind::Damaged { what: "model".into() }, said)
                    .hint("put the file itself there, or train the model again")
                    .into());
            } else if name != Path::new(FILE) {
                let digest = digest(&path).map_err(|cause| fail(&path, cause))?;
                all.insert(name.to_string_lossy().replace('\\', "/"), digest);
            }
            if all.len() + waiting.len() > MOST_FILES {
                let said = format!("{} has more files than a model has", folder.display());
                return Err(Refusal::new(RefusalKind::Damaged { what: "model".into() }, said).into());
            }
        }
    }
    Ok(all)
}

fn digest(path: &Path) -> std::io::Result<String> {
    let (mut file, mut hash, mut buffer) = (plain_file::open(path)?, Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}
