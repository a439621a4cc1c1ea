//! Files that are written whole or not at all, and files that wait beside another to take its place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::FormatError;

fn unwritable(path: &Path, cause: io::Error) -> FormatError {
    FormatError::Io { doing: "write", path: path.into(), cause }
}

/// The folder that a file lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a file, or empties one that is there, readable by its owner alone.
fn create_private(path: &Path) -> Result<File, FormatError> {
    private().create(true).truncate(true).open(path).map_err(|cause| unwritable(path, cause))
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

/// Puts a text in a file's place, all of it or nothing; readable by its owner alone.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), FormatError> {
    write_whole(path, |file| file.write_all(text.as_bytes()).map_err(|cause| unwritable(path, cause)))
}

/// Puts what `work` writes in a file's place, all of it or, if anything fails, nothing; readable by its owner alone. A pipe or
/// a device has no place to be put in: it is written as it goes.
pub(crate) fn write_whole<T, E: From<FormatError>>(
    path: &Path,
    work: impl FnOnce(&mut File) -> Result<T, E>,
) -> Result<T, E> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return work(&mut create_private(path)?);
    }
    let fail = |cause| unwritable(path, cause);
    let mut staged = tempfile::NamedTempFile::new_in(folder_of(path)).map_err(fail)?;
    let done = work(staged.as_file_mut())?;
    staged.as_file().sync_all().map_err(fail)?;
    staged.persist(path).map_err(|error| fail(error.error))?;
    sync_folder(path)?;
    Ok(done)
}

/// Waits until the names in a file's folder are on the disk, as they are now.
pub(crate) fn sync_folder(path: &Path) -> Result<(), FormatError> {
    // Elsewhere a folder cannot be opened, and the file system sees to its names.
    #[cfg(unix)]
    File::open(folder_of(path)).and_then(|folder| folder.sync_all()).map_err(|cause| unwritable(path, cause))?;
    let _ = path;
    Ok(())
}

/// The name of a text that waits beside `path`, without what is between.
fn waiting_name(path: &Path) -> (String, &'static str) {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    (format!(".{name}."), ".waiting")
}

/// Writes a text beside a file whose place it may take later, all of it and on the disk, or nothing. `tag` tells it from others
/// that wait there.
pub(crate) fn put_beside(path: &Path, tag: &str, text: &str) -> Result<(), FormatError> {
    let (before, after) = waiting_name(path);
    let beside = folder_of(path).join(format!("{before}{tag}{after}"));
    let mut file = private().create_new(true).open(&beside).map_err(|cause| unwritable(&beside, cause))?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|cause| unwritable(path, cause)).and_then(|()| sync_folder(path)).inspect_err(|_| {
        // A part of it must not be taken for the whole. If even that cannot be done, nothing speaks for it all the same.
        let _ = fs::remove_file(&beside);
    })
}

/// The texts that wait beside a file, by their tags.
pub(crate) fn waiting_beside(path: &Path) -> Result<Vec<(String, PathBuf)>, FormatError> {
    let unreadable = |cause| FormatError::Io { doing: "read", path: folder_of(path).into(), cause };
    let (before, after) = waiting_name(path);
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder_of(path)) {
        // Whoever then reads the file itself says which one is missing.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries.map_err(unreadable)?,
    };
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(tag) = name.strip_prefix(&before).and_then(|rest| rest.strip_suffix(after)) {
            found.push((tag.to_owned(), entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Lets a text that waited take the place of its file.
pub(crate) fn take_place(waiting: &Path, path: &Path) -> Result<(), FormatError> {
    fs::rename(waiting, path).map_err(|cause| unwritable(path, cause))?;
    sync_folder(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_whole_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        replace(&path, "before").unwrap();
        let broken = write_whole(&path, |file| {
            file.write_all(b"aft").unwrap();
            Err::<(), _>(unwritable(&path, io::Error::other("no more")))
        });
        assert!(broken.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        #[cfg(unix)]
        write_whole(Path::new("/dev/null"), |file| {
            file.write_all(b"gone").unwrap();
            Ok::<_, FormatError>(())
        })
        .unwrap();
    }

    #[test]
    fn a_text_waits_under_its_tag_until_it_takes_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        replace(&path, "before").unwrap();
        replace(&folder.path().join(".b.txt.7.waiting"), "another's").unwrap();
        put_beside(&path, "7", "after").unwrap();
        assert!(put_beside(&path, "7", "again").is_err());
        let waiting = waiting_beside(&path).unwrap();
        assert_eq!(waiting.iter().map(|(tag, _)| tag.as_str()).collect::<Vec<_>>(), ["7"]);
        take_place(&waiting[0].1, &path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after");
        assert!(waiting_beside(&path).unwrap().is_empty());
    }
}
