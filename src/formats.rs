//! Files in and out: taxonomy and project files, notes, tables, bundles.
//!
//! Reading is two steps: what the file says (raw), then what it means (checked). Every fault of a text file has its line
//! and column.

pub mod bundle;
pub mod experiment;
pub mod notes;
pub mod project;
pub mod simulation;
pub mod tables;
pub mod taxonomy;
pub mod theme;
mod toml_source;

use std::fmt;
use std::path::PathBuf;

/// One fault of a text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// What can go wrong with files.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The file cannot be read or written.
    #[error("cannot {doing} {}: {cause}", .path.display())]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's word for it.
        #[source]
        cause: std::io::Error,
    },
    /// The file says something that cannot be meant.
    #[error("{}", list(.path, .faults))]
    Faulty {
        /// Which file.
        path: PathBuf,
        /// All its faults, in the order of the file.
        faults: Vec<Fault>,
    },
    /// The file as a whole is not what the options say.
    #[error("{}: {message}", .path.display())]
    Unfit {
        /// Which file.
        path: PathBuf,
        /// Why, and what to type.
        message: String,
    },
    /// A key, a password or a signature that is missing or does not fit; never the secret itself.
    #[error("{0}")]
    Key(String),
    /// A template of ours that does not fit what it is given.
    #[error("the report cannot be set: {0:#}")]
    Template(#[from] minijinja::Error),
}

fn list(path: &std::path::Path, faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{}:{fault}", path.display())).collect::<Vec<_>>().join("\n")
}

/// Reads a text file, saying where its first byte is that is no UTF-8.
pub fn read_text(path: &std::path::Path) -> Result<String, FormatError> {
    let bytes = std::fs::read(path).map_err(|cause| FormatError::Io { doing: "read", path: path.into(), cause })?;
    String::from_utf8(bytes).map_err(|error| {
        let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
        let (line, column) = place(&good, good.len());
        let faults = vec![Fault { line, column, message: "this is not UTF-8 text".into() }];
        FormatError::Faulty { path: path.into(), faults }
    })
}

/// Makes a file, or empties one that is there, readable by its owner alone.
pub fn create_private(path: &std::path::Path) -> Result<std::fs::File, FormatError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path).map_err(|cause| FormatError::Io { doing: "write", path: path.into(), cause })
}

/// Puts a text in a file's place, all of it or nothing; readable by its owner alone.
pub fn replace(path: &std::path::Path, text: &str) -> Result<(), FormatError> {
    use std::io::Write;
    let fail = |cause| FormatError::Io { doing: "write", path: path.into(), cause };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    let mut staged = tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
    staged.write_all(text.as_bytes()).map_err(fail)?;
    staged.as_file().sync_all().map_err(fail)?;
    staged.persist(path).map_err(|error| fail(error.error)).map(drop)
}

/// Line and column of a byte in a text, both from 1, the column in characters.
pub fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
