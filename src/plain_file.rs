//! Opens files that are read: plain ones alone. A pipe would be waited for, a device has no end, and a file that is longer than
//! any of its kind would take all memory.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// No file of settings, no theme and no key is longer, in bytes.
pub(crate) const SMALL: u64 = 16 << 20;

/// Why a file is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotPlain {
    /// It holds files and is none.
    #[error("this is a folder, not a file")]
    Folder,
    /// A pipe, a socket, a device.
    #[error("this is not a file, but a pipe, a socket or a device")]
    Endless,
    /// It is longer than so many bytes.
    #[error("it is longer than {} MiB, which no file of this kind is", .0 >> 20)]
    TooLong(u64),
}

impl NotPlain {
    /// What an error of this module says, if it is one.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }

    fn told_by(about: &Metadata) -> io::Error {
        io::Error::other(if about.is_dir() { Self::Folder } else { Self::Endless })
    }
}

/// Opens a plain file, or the one that a link leads to. What was opened is what is looked at: nothing can come to stand in its
/// place in between.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        // Opening a pipe waits for its writer, and opening a terminal can take it over. A plain file knows neither.
        options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    }
    let file = options.open(path).map_err(|error| match fs::metadata(path) {
        // A socket cannot even be opened, nor a folder everywhere.
        Ok(about) if !about.is_file() => NotPlain::told_by(&about),
        _ => error,
    })?;
    let about = file.metadata()?;
    if about.is_file() { Ok(file) } else { Err(NotPlain::told_by(&about)) }
}

/// All of a plain file that is no longer than `most`.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(io::Error::other(NotPlain::TooLong(most))) } else { Ok(bytes) }
}

/// The same, as text.
pub(crate) fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_file_is_read_up_to_a_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "four").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"four");
        assert_eq!(read_text(&path, u64::MAX).unwrap(), "four");
        assert_eq!(NotPlain::of(&read(&path, 3).unwrap_err()), Some(NotPlain::TooLong(3)));
        assert_eq!(NotPlain::of(&open(folder.path()).unwrap_err()), Some(NotPlain::Folder));
        let gone = open(&folder.path().join("b")).unwrap_err();
        assert_eq!((gone.kind(), NotPlain::of(&gone)), (io::ErrorKind::NotFound, None));
        // Of a file that claims more than there is memory no more is read than the limit.
        File::create(&path).unwrap().set_len(1 << 42).unwrap();
        assert_eq!(NotPlain::of(&read(&path, SMALL).unwrap_err()), Some(NotPlain::TooLong(SMALL)));
    }

    #[cfg(unix)]
    #[test]
    fn pipes_sockets_devices_and_links_to_them_are_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink(at("pipe"), at("link")).unwrap();
        for path in [at("pipe"), at("socket"), at("link"), "/dev/zero".into()] {
            let refused = open(&path).unwrap_err();
            assert_eq!(NotPlain::of(&refused), Some(NotPlain::Endless), "{}: {refused}", path.display());
        }
        fs::write(at("file"), "").unwrap();
        std::os::unix::fs::symlink(at("file"), at("good")).unwrap();
        assert!(open(&at("good")).is_ok());
    }
}
