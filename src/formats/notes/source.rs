//! Where notes come from: files, folders, standard input. What is found in a folder is read only if it is a plain file of it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::{Layout, MAX_RECORD};
use crate::formats::FormatError;

/// What there is to read under a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NoteFiles {
    /// Sorted.
    pub files: Vec<PathBuf>,
    /// What looks like notes and is not read, with the reason. Sorted.
    pub passed_over: Vec<(PathBuf, &'static str)>,
}

/// Lists the files to read under a path: itself, or all files with a known ending below a folder. Links are not followed:
/// they may lead round in a circle, to a file that is read already, or out of the folder.
pub(crate) fn files(path: &Path) -> Result<NoteFiles, FormatError> {
    let mut found = NoteFiles::default();
    if path == Path::new("-") || !path.is_dir() {
        found.files.push(path.into());
        return Ok(found);
    }
    let mut folders = vec![path.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let io = |cause| FormatError::Io { doing: "read", path: folder.clone(), cause };
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(io)?);
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_symlink() {
                if path.is_dir() || layout_of(&path).is_some() {
                    found.passed_over.push((path, "a link; name what it leads to, if that is wanted"));
                }
            } else if layout_of(&path).is_some() {
                if kind.is_file() {
                    found.files.push(path);
                } else {
                    found.passed_over.push((path, "not a file, but a pipe, a socket or a device"));
                }
            }
        }
    }
    found.files.sort();
    found.passed_over.sort();
    Ok(found)
}

/// The layout that a file's name tells.
pub(super) fn layout_of(path: &Path) -> Option<Layout> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match name.rsplit_once('.')?.1 {
        "txt" | "text" => Some(Layout::Text),
        "jsonl" | "ndjson" => Some(Layout::JsonLines),
        "csv" => Some(Layout::Csv),
        "tsv" => Some(Layout::Tsv),
        _ => None,
    }
}

/// Opens a file, or standard input for `-`, with the file's size. A pipe without a writer would hold the program for ever,
/// and a device has no end, so that only those pass that a shell has opened for us (`<(zcat notes.gz)`).
pub(super) fn open(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>), FormatError> {
    let fail = |cause| FormatError::Io { doing: "read", path: path.into(), cause };
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let about = std::fs::metadata(path).map_err(fail)?;
    let opened = ["/dev/fd", "/dev/stdin", "/proc/self/fd"].iter().any(|folder| path.starts_with(folder));
    if !about.is_file() && !about.is_dir() && !opened {
        let message = "not a file, but a pipe, a socket or a device".into();
        return Err(FormatError::Unfit { path: path.into(), message });
    }
    let file = File::open(path).map_err(fail)?;
    Ok((Box::new(file), about.is_file().then_some(about.len())))
}

/// Counts what is read.
pub(super) struct Counted<R> {
    pub inner: R,
    pub read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.read.fetch_add(got as u64, Ordering::Relaxed);
        Ok(got)
    }
}

/// Fails where one record goes on for more than [`MAX_RECORD`] bytes: a quote that is never closed would take all memory.
pub(super) struct Bounded<R> {
    inner: R,
    left: Arc<AtomicUsize>,
}

impl<R> Bounded<R> {
    /// The reader, and what sets the count anew before each record.
    pub(super) fn new(inner: R) -> (Self, impl Fn() + Send) {
        let left = Arc::new(AtomicUsize::new(MAX_RECORD));
        let counter = left.clone();
        (Self { inner, left }, move || counter.store(MAX_RECORD, Ordering::Relaxed))
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            let message = format!("a record of more than {} MiB; is a quote missing?", MAX_RECORD >> 20);
            return Err(io::Error::other(message));
        }
        let most = buffer.len().min(left);
        let got = self.inner.read(&mut buffer[..most])?;
        self.left.fetch_sub(got, Ordering::Relaxed);
        Ok(got)
    }
}
