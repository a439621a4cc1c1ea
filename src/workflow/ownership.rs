//! Whose the project's files are: what belongs to somebody else, or can be changed or read by others, is not used in silence.

use super::identity;
use super::project::Project;
use crate::formats::project::FILE_NAME;

/// What there is to say of the rights on the project's files, in sentences; empty where they are for their owner alone.
#[cfg(unix)]
pub(crate) fn warnings(project: &Project) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;

    let (settings, me) = (project.folder.join(FILE_NAME), rustix::process::geteuid().as_raw());
    let key = identity::key_file(project).ok();
    let files = [
        (Some(settings.as_path()), None),
        (Some(project.file.taxonomy.as_path()), None),
        (Some(project.file.store.as_path()), Some("notes")),
        (key.as_deref(), Some("your secret key")),
    ];
    let of = |(path, holds): (Option<&std::path::Path>, Option<&str>)| {
        let file = std::fs::metadata(path?).ok()?;
        said(&path?.display().to_string(), (file.uid(), me), file.mode(), holds)
    };
    files.into_iter().filter_map(of).collect()
}

#[cfg(not(unix))]
pub(crate) fn warnings(_: &Project) -> Vec<String> {
    Vec::new()
}

/// What of a file's owner and mode is worth a word.
fn said(path: &str, (owner, me): (u32, u32), mode: u32, holds: Option<&str>) -> Option<String> {
    const GROUP_WRITES: u32 = 0o020;
    const OTHERS_WRITE: u32 = 0o002;
    const GROUP_OR_OTHERS_READ: u32 = 0o044;
    let mut faults = Vec::new();
    // The system's own account can change everything anyway.
    if owner != me && owner != 0 {
        faults.push(format!("belongs to another user (number {owner})"));
    }
    if mode & OTHERS_WRITE != 0 {
        faults.push("can be changed by anyone on this machine".to_owned());
    } else if mode & GROUP_WRITES != 0 {
        faults.push("can be changed by its group".to_owned());
    }
    if let Some(what) = holds.filter(|_| mode & GROUP_OR_OTHERS_READ != 0) {
        let who = if mode & 0o004 != 0 { "anyone on this machine" } else { "its group" };
        faults.push(format!("holds {what} and can be read by {who}"));
    }
    (!faults.is_empty()).then(|| format!("{path} {}", faults.join(", and ")))
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn what_others_may_do_is_said() {
        let say = |owner, mode, has_notes: bool| {
            said("f", (owner, 7), mode, has_notes.then_some("notes")).unwrap_or_default()
        };
        assert_eq!(say(7, 0o100600, true), "");
        assert_eq!(say(7, 0o100644, false), "");
        assert_eq!(say(0, 0o100644, false), "");
        assert_eq!(say(7, 0o100644, true), "f holds notes and can be read by anyone on this machine");
        assert_eq!(say(7, 0o100640, true), "f holds notes and can be read by its group");
        assert_eq!(say(7, 0o100664, false), "f can be changed by its group");
        assert_eq!(
            say(8, 0o100666, true),
            "f belongs to another user (number 8), and can be changed by anyone on this machine, and holds notes and can be read by anyone on this machine"
        );
    }
}
