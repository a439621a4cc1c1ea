//! Anchors: how far log and seals had come at a moment, signed, in a file of the steward's choice. Whoever can write the store can
//! make its chain anew, or cut its end off; whoever cannot write that file as well is found out.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::project::Project;
use super::{WorkflowError, identity, iso, now};
use crate::domain::label::{Annotator, Timestamp};
use crate::domain::signature::{PublicKey, verifies_bytes};
use crate::formats::{FileFault, FormatError};
use crate::store::{ChainEnds, Store};

/// No file of anchors is longer: a line for every second of some years.
const LONGEST: u64 = 1 << 28;

/// A line of the file. Its JSON is what is signed: names and order are never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Anchor {
    /// What the store is called elsewhere.
    site: String,
    at: Timestamp,
    by: Annotator,
    #[serde(flatten)]
    ends: ChainEnds,
    key: PublicKey,
    /// Over all of the above.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    signature: String,
}

impl Anchor {
    fn signed_bytes(&self) -> Vec<u8> {
        let unsigned = Self { signature: String::new(), ..self.clone() };
        // Strings and numbers: JSON has a form for all of them.
        [&b"goldsmith anchor\n"[..], &serde_json::to_vec(&unsigned).unwrap_or_default()].concat()
    }
}

/// Adds a line to the file that the project names, if log or seals have grown since its last one; tells whether it did.
pub fn drop(project: &Project) -> Result<bool, WorkflowError> {
    let Some(path) = &project.file.anchor else {
        return Ok(false);
    };
    let mut store = Store::open_with(&project.file.store, project.store_key()?)?;
    // The store's name is part of it, and is itself sealed.
    let site = identity::site(project, &mut store)?;
    let ends = store.ends()?;
    if read(path)?.is_some_and(|all| all.last().is_some_and(|last| last.ends == ends)) {
        return Ok(false);
    }
    let key = identity::own_key(project)?;
    let (by, public) = (project.annotator.clone(), key.public());
    let mut anchor = Anchor { site, at: now(), by, ends, key: public, signature: String::new() };
    anchor.signature = key.sign_bytes(&anchor.signed_bytes());
    let fail = |cause| FormatError::Io { doing: "write", path: path.into(), cause };
    let mut line = serde_json::to_vec(&anchor).map_err(|error| fail(error.into()))?;
    line.push(b'\n');
    let mut file = OpenOptions::new().append(true).create(true).open(path).map_err(fail)?;
    file.write_all(&line).and_then(|()| file.sync_all()).map_err(fail)?;
    Ok(true)
}

/// The lines of a file; none where there is no file.
fn read(path: &Path) -> Result<Option<Vec<Anchor>>, FormatError> {
    let fail = |cause| FormatError::Io { doing: "read", path: path.into(), cause };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(fail)?;
    let fault = |number: usize, error: serde_json::Error| {
        let message = format!("this is no anchor of goldsmith: {error}");
        let faults = vec![FileFault { line: number + 1, column: error.column().max(1), message }];
        FormatError::Faulty { path: path.into(), faults }
    };
    let lines = text.lines().enumerate();
    lines
        .map(|(number, line)| serde_json::from_str(line).map_err(|error| fault(number, error)))
        .collect::<Result<_, _>>()
        .map(Some)
}

/// What came of holding the store to its anchors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnchorAudit {
    /// Lines that hold.
    pub held: u64,
    /// What does not, in words.
    pub wrong: Vec<String>,
    /// The file is named and is not there.
    pub missing: bool,
}

/// Holds the store to every anchor; nothing where the project names no file.
pub(crate) fn check(project: &Project, store: &Store) -> Result<Option<AnchorAudit>, WorkflowError> {
    let Some(path) = &project.file.anchor else {
        return Ok(None);
    };
    let mut audit = AnchorAudit::default();
    let Some(all) = read(path)? else {
        return Ok(Some(AnchorAudit { missing: true, ..audit }));
    };
    let people = store.registry()?;
    for anchor in all {
        let of = format!("the anchor of {} by {}", iso(anchor.at), anchor.by);
        let speaks = people.get(&anchor.by).is_none_or(|person| person.speaks(&anchor.key));
        if !verifies_bytes(&anchor.key, &anchor.signed_bytes(), &anchor.signature) || !speaks {
            audit.wrong.push(format!("{of} is not as {} signed it", anchor.by));
        } else if !store.has_ends(&anchor.ends)? {
            let ChainEnds { events, seals, .. } = anchor.ends;
            audit.wrong.push(format!(
                "{of} does not fit: then there were {events} events and {seals} seals that are not in this store; it was made anew, its end was cut off, or it is another store"
            ));
        } else {
            audit.held += 1;
        }
    }
    Ok(Some(audit))
}
