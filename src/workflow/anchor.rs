//! Anchors: how far log and seals had come at a moment, signed, in a file of the steward's choice. Whoever can write the store can
//! make its chain anew, or cut its end off; whoever cannot write that file as well is found out.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::project::Project;
use super::{WorkflowError, identity, iso, now};
use crate::domain::label::{Annotator, Timestamp};
use crate::domain::signature::{PublicKey, verifies_bytes};
use crate::formats::FormatError;
use crate::store::{ChainEnds, Store};
use crate::workflow::refusal::Refusal;

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
    let mut store = project.store_as_it_is()?;
    // The store's name is part of it, and is itself sealed; so is that there are anchors.
    let site = identity::site(project, &mut store)?;
    store.note_anchored()?;
    let ends = store.ends()?;
    let all = read(path)?.unwrap_or_default();
    if matches!(all.last(), Some(Ok(last)) if last.ends == ends) {
        return Ok(false);
    }
    if !all.is_empty() && all.iter().all(Result::is_err) {
        return Err(Refusal::invalid(
            "anchor",
            format!("{} is no file of anchors; nothing was added to it", path.display()),
        )
        .hint("`anchor` under [audit] in goldsmith.toml names a file of its own, or one that is not there yet")
        .into());
    }
    let key = identity::own_key(project)?;
    let (by, public) = (project.annotator.clone(), key.public());
    let mut anchor = Anchor { site, at: now(), by, ends, key: public, signature: String::new() };
    anchor.signature = key.sign_bytes(&anchor.signed_bytes());
    let fail = |cause| FormatError::Io { doing: "write", path: path.into(), cause };
    let mut line = serde_json::to_vec(&anchor).map_err(|error| fail(error.into()))?;
    line.push(b'\n');
    let mut file = OpenOptions::new().append(true).create(true).open(path).map_err(fail)?;
    // A line that was torn stays a line of its own.
    if !ends_with_a_line(path).map_err(fail)? {
        line.insert(0, b'\n');
    }
    file.write_all(&line).and_then(|()| file.sync_all()).map_err(fail)?;
    Ok(true)
}

/// Whether a file is empty, or its last line has an end.
fn ends_with_a_line(path: &Path) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// The lines of a file, with the number of each that is no anchor; none where there is no file.
fn read(path: &Path) -> Result<Option<Vec<Result<Anchor, usize>>>, FormatError> {
    let fail = |cause| FormatError::Io { doing: "read", path: path.into(), cause };
    let file = match crate::plain_file::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    if file.metadata().map_err(fail)?.len() > LONGEST {
        return Err(fail(std::io::Error::other("it has more lines than this program ever wrote; name another file")));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(fail)?;
    let lines = bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    Ok(Some(lines.map(|(number, line)| serde_json::from_slice(line).map_err(|_| number + 1)).collect()))
}

/// What came of holding the store to its anchors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnchorAudit {
    /// Lines that hold.
    pub held: u64,
    /// Lines of other stores.
    pub others: u64,
    /// What does not, in words.
    pub wrong: Vec<String>,
    /// The file is named and is not there.
    pub missing: bool,
}

/// Holds the store to every anchor; nothing where the project names no file, and never had one.
pub(crate) fn check(project: &Project, store: &Store) -> Result<Option<AnchorAudit>, WorkflowError> {
    let mut audit = AnchorAudit::default();
    let Some(path) = &project.file.anchor else {
        if store.is_anchored()? {
            audit.wrong.push("this store has anchors, and goldsmith.toml does not say any more where they are".into());
            return Ok(Some(audit));
        }
        return Ok(None);
    };
    let Some(all) = read(path)? else {
        if store.is_anchored()? {
            audit.wrong.push(format!("this store has anchors, and {} is not there", path.display()));
        }
        return Ok(Some(AnchorAudit { missing: true, ..audit }));
    };
    let (people, own) = (store.registry()?, store.site()?.unwrap_or_default());
    for anchor in all {
        let anchor = match anchor {
            Ok(anchor) => anchor,
            Err(line) => {
                audit.wrong.push(format!("line {line} of {} is no anchor of goldsmith", path.display()));
                continue;
            }
        };
        if anchor.site != own {
            audit.others += 1;
            continue;
        }
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
    // Lines of another store say nothing of this one; none of its own says that they were taken away, or that it is no longer the
    // store that it was. The first command that changes something adds the first.
    if audit.held == 0 && audit.wrong.is_empty() && (audit.others > 0 || store.is_anchored()?) {
        audit.wrong.push(format!(
            "no line of {} is of this store: it was made anew, its name was changed, or its lines were taken away",
            path.display()
        ));
    }
    Ok(Some(audit))
}
