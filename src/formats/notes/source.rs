//! Where notes come from: files, folders, standard input. What is found in a folder is read only if it is a plain file of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::{Layout, MAX_RECORD};
use crate::formats::FormatError;
use crate::plain_file;

/// What there is to read under a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NoteFiles {
    /// Sorted.
    pub files: Vec<PathBuf>,
    pub passed_over: PassedOver,
}

/// What stands in a folder and is not read: the kinds, how many of each, and the first of them by name.
pub type PassedOver = BTreeMap<String, (u64, PathBuf)>;

/// Counts one more that is not read.
pub(crate) fn pass_over(passed: &mut PassedOver, kind: String, path: PathBuf) {
    let (count, first) = passed.entry(kind).or_insert_with(|| (0, path.clone()));
    *count += 1;
    if path < *first {
        *first = path;
    }
}

/// What a layout reads from.
pub(super) type Input = Box<dyn BufRead + Send>;

/// So much of a file's beginning is looked at to know what it is.
const HEAD: u64 = 1 << 16;

/// The beginning of an input, which stays to be read.
pub(super) fn peek(mut input: Input) -> io::Result<(Vec<u8>, Input)> {
    let mut head = Vec::new();
    (&mut input).take(HEAD).read_to_end(&mut head)?;
    Ok((head.clone(), Box::new(Cursor::new(head).chain(input))))
}

/// Sees through gzip.
pub(super) fn unzipped(mut input: Input) -> io::Result<Input> {
    Ok(if input.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(input)))
    } else {
        input
    })
}

/// A file a second time, from its beginning; nothing where what is read is gone, as from a pipe.
pub(super) fn again(path: &Path) -> Result<Option<Box<dyn Read>>, FormatError> {
    let fail = |cause| FormatError::Io { doing: "read", path: path.into(), cause };
    if !path.is_file() {
        return Ok(None);
    }
    let file = plain_file::open(path).map_err(fail)?;
    Ok(Some(Box::new(unzipped(Box::new(BufReader::new(file))).map_err(fail)?)))
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
                continue;
            }
            let why = if kind.is_symlink() {
                "links; name what they lead to, if that is wanted".to_owned()
            } else if !kind.is_file() {
                "not files, but pipes, sockets or devices".to_owned()
            } else if layout_of(&path).is_none() {
                ending(&path).map_or_else(|| "no ending".to_owned(), |ending| format!(".{ending}"))
            } else {
                found.files.push(path);
                continue;
            };
            pass_over(&mut found.passed_over, why, path);
        }
    }
    found.files.sort();
    Ok(found)
}

/// A file's ending in small letters, without that of gzip.
pub(super) fn ending(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let (stem, ending) = name.rsplit_once('.')?;
    (!stem.is_empty() && !ending.is_empty()).then(|| ending.to_owned())
}

/// The layout that a file's name tells.
pub(super) fn layout_of(path: &Path) -> Option<Layout> {
    match ending(path)?.as_str() {
        "txt" | "text" => Some(Layout::Text),
        "jsonl" | "ndjson" | "json" => Some(Layout::JsonLines),
        "csv" => Some(Layout::Csv),
        "tsv" => Some(Layout::Tsv),
        _ => None,
    }
}

/// Whether it is no file with a name of its own: standard input, or what a shell has opened for us (`<(zcat notes.gz)`).
pub(super) fn is_piped(path: &Path) -> bool {
    path == Path::new("-") || ["/dev/fd", "/dev/stdin", "/proc/self/fd"].iter().any(|folder| path.starts_with(folder))
}

/// Opens a file, or standard input for `-`, with the file's size. A pipe without a writer would hold the program for ever,
/// and a device has no end, so that only those pass that a shell has opened for us.
pub(super) fn open(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>), FormatError> {
    let fail = |cause| FormatError::Io { doing: "read", path: path.into(), cause };
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let file = if is_piped(path) { File::open(path) } else { plain_file::open(path) };
    let file = file.map_err(fail)?;
    let about = file.metadata().map_err(fail)?;
    Ok((Box::new(file), about.is_file().then_some(about.len())))
}

/// Standard input may be this long where it has to be read twice.
const MOST_KEPT: u64 = 256 << 20;

/// All of standard input, in memory: text of patients is not left in a file on its way.
pub(super) fn keep_standard_input() -> Result<Arc<[u8]>, FormatError> {
    let fail = |cause| FormatError::Io { doing: "read", path: "-".into(), cause };
    let mut bytes = Vec::new();
    io::stdin().take(MOST_KEPT + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > MOST_KEPT {
        let message = format!("more than {} MiB to be read twice; write it to a file and name that", MOST_KEPT >> 20);
        return Err(FormatError::Unfit { path: "-".into(), message });
    }
    Ok(bytes.into())
}

/// The same, to be read.
pub(super) fn kept(bytes: &Arc<[u8]>) -> (Box<dyn Read + Send>, Option<u64>) {
    (Box::new(Cursor::new(bytes.clone())), Some(bytes.len() as u64))
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
