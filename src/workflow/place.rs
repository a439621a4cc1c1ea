//! Where a store lies, and what is told of that before anybody relies on it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Kinds of file systems behind which another machine stands, as Linux calls them.
const SHARES: [&str; 17] = [
    "9p",
    "afs",
    "ceph",
    "cifs",
    "davfs",
    "fuse.ceph",
    "fuse.davfs2",
    "fuse.glusterfs",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.sshfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
];

/// What is to be said of a store's place, a sentence each; nothing where all is as it should be.
pub(crate) fn warnings(store: &Path) -> Vec<String> {
    let mut said = Vec::new();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let place = store.canonicalize().unwrap_or_else(|_| store.into());
    if let Some(kind) = share(&mounts, &place) {
        said.push(format!(
            "{} is on a network share ({kind}): if two machines write it, decisions are lost; keep the project on a local disk",
            store.display()
        ));
    }
    let beside = |end: &str| {
        let mut name = OsString::from(store);
        name.push(end);
        PathBuf::from(name)
    };
    // Whoever closes a store takes both away, the log first; whoever is killed leaves both.
    if beside("-shm").exists() && !beside("-wal").exists() && beside("-shm").exists() {
        said.push(format!(
            "{0} was not closed, and {0}-wal is not here: the latest decisions may be in it; `goldsmith audit --expect` with the last link that you noted tells",
            store.display()
        ));
    }
    said
}

/// The kind of the network share that a path lies on, if it does; by the text of `/proc/self/mountinfo`.
fn share<'a>(mountinfo: &'a str, path: &Path) -> Option<&'a str> {
    let mut found: Option<(usize, &str)> = None;
    for line in mountinfo.lines() {
        let (Some(point), Some(kind)) =
            (line.split(' ').nth(4), line.split_once(" - ").and_then(|(_, rest)| rest.split(' ').next()))
        else {
            continue;
        };
        let point = unescaped(point);
        let depth = Path::new(&point).components().count();
        // Of several at one place, the last covers the others.
        if path.starts_with(&point) && found.is_none_or(|(deepest, _)| depth >= deepest) {
            found = Some((depth, kind));
        }
    }
    found.map(|(_, kind)| kind).filter(|kind| SHARES.contains(kind))
}

/// Spaces, tabs, line ends and backslashes stand as three octal digits in a mount point.
fn unescaped(point: &str) -> String {
    let pairs = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    pairs.into_iter().fold(point.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:40 / /home rw,nosuid - nfs4 server:/home rw,vers=4.2
41 40 8:2 / /home/ann/local rw - xfs /dev/sdb1 rw
42 22 0:42 / /mnt/old\\040share rw shared:9 master:2 - cifs //server/notes rw
43 22 0:43 / /mnt/far rw - ext4 /dev/sdc1 rw
44 22 0:44 / /mnt/far rw - fuse.sshfs ann@server: rw
a line that says nothing
";

    #[test]
    fn a_network_share_is_known_by_the_mount_that_a_path_lies_on() {
        for (path, kind) in [
            ("/srv/study/goldsmith.db", None),
            ("/home/ann/study/goldsmith.db", Some("nfs4")),
            ("/home/ann/local/study/goldsmith.db", None),
            ("/homes/ann/goldsmith.db", None),
            ("/mnt/old share/goldsmith.db", Some("cifs")),
            ("/mnt/far/goldsmith.db", Some("fuse.sshfs")),
        ] {
            assert_eq!(share(MOUNTS, Path::new(path)), kind, "{path}");
        }
        assert_eq!(share("", Path::new("/home")), None);
        assert!(SHARES.is_sorted());
    }
}
