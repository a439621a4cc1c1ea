//! Files in and out: taxonomy and project files, notes, tables, bundles.
//!
//! Reading is two steps: what the file says (raw), then what it means (checked). Every fault of a text file has its line
//! and column.

pub(crate) mod bundle;
pub(crate) mod experiment;
pub mod notes;
pub(crate) mod person_key;
pub mod project;
pub(crate) mod secret;
pub mod simulation;
pub(crate) mod tables;
pub mod taxonomy;
pub(crate) mod theme;
mod toml_source;
mod whole;

use std::fmt;
use std::path::PathBuf;

use crate::domain::taxonomy::TaxonomyError;
use crate::plain_file;

pub(crate) use whole::{put_beside, replace, take_place, waiting_beside, write_whole};

/// One fault of a text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFault {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// What can go wrong with files.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The file cannot be read or written.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        path: PathBuf,
        /// The system's word for it.
        #[source]
        cause: std::io::Error,
    },
    /// The file says something that cannot be meant.
    #[error("{}", list(.path, .faults))]
    Faulty {
        path: PathBuf,
        /// All its faults, in the order of the file.
        faults: Vec<FileFault>,
    },
    /// The file as a whole is not what the options say.
    #[error("{}: {message}", .path.display())]
    Unfit {
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// A table whose header cannot be read.
    #[error("{}: the header cannot be read", .path.display())]
    Header {
        path: PathBuf,
        /// Why not.
        #[source]
        cause: csv::Error,
    },
    /// A file of another kind than notes.
    #[error("{}: this is {kind}; nothing of it was taken in", .path.display())]
    Foreign {
        path: PathBuf,
        /// What it is.
        kind: notes::Foreign,
    },
    /// A file of which the name does not say what it is.
    #[error("{}: {}, so that it is not known what this is; nothing of it was taken in", .path.display(), unknown(.ending))]
    UnknownEnding {
        path: PathBuf,
        /// In small letters, without the dot.
        ending: Option<String>,
    },
    /// A file whose content is not what its name says.
    #[error("{}: the ending says {ending}, and what stands in it looks like {seems}; nothing of it was taken in", .path.display())]
    OtherLayout {
        path: PathBuf,
        /// What its ending says.
        ending: &'static str,
        /// What it looks like.
        seems: notes::Layout,
    },
    /// A file that is not in the encoding that it was taken to be in.
    #[error("{}:{line}:{column}: this is not {not}{}; nothing of it was taken in", .path.display(), perhaps(.likely))]
    Encoding {
        path: PathBuf,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// The encoding that it is not in.
        not: String,
        /// The one that it may be in.
        likely: Option<String>,
    },
    /// A table in which no column looks like the text.
    #[error("{}: no column looks like the text", .path.display())]
    NoTextColumn {
        path: PathBuf,
        /// Its columns.
        header: Vec<String>,
    },
    /// A taxonomy whose parts are sound and whose whole is not.
    #[error("{}", .path.display())]
    Taxonomy {
        path: PathBuf,
        /// What is wrong.
        #[source]
        cause: TaxonomyError,
    },
    /// A file that is no bundle.
    #[error("{}: this is no bundle", .0.display())]
    NoBundle(PathBuf),
    /// A bundle that a newer program wrote.
    #[error("{}: a newer goldsmith wrote this bundle (form {found}, this one reads {known})", .path.display())]
    NewerBundle {
        path: PathBuf,
        /// Its form.
        found: u64,
        /// The newest that this program knows.
        known: u64,
    },
    /// A template of ours that does not fit what it is given.
    #[error("the report cannot be set")]
    Template(#[from] minijinja::Error),
    /// A key, a password or a signature that is missing or does not fit.
    #[error("{message}")]
    Key {
        /// What is wrong; never the secret itself.
        message: String,
        /// What would mend it.
        needs: Needs,
    },
}

/// What opens or closes a bundle or a store, where it is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing that could be named.
    Nothing,
    /// A variable of the environment with the secret in it.
    Variable(String),
    /// A file that its owner alone can read.
    Private(PathBuf),
    /// A public key in the place of a secret one.
    PublicKey,
    /// Either recipients or a passphrase.
    OneOfBoth,
    /// A secret key or a passphrase.
    IdentityOrPassphrase,
    /// A secret key.
    Identity,
    Passphrase,
    /// The password of a key to sign with.
    SignPassword,
    /// A signature from whoever sent it.
    Signature,
    /// A feature of this crate that the program was built without.
    Feature(&'static str),
}

impl FormatError {
    /// Whether a file is not of the kind that it was taken for, and nothing else is wrong.
    pub(crate) fn is_of_another_kind(&self) -> bool {
        matches!(
            self,
            Self::Foreign { .. }
                | Self::UnknownEnding { .. }
                | Self::OtherLayout { .. }
                | Self::Encoding { .. }
                | Self::NoTextColumn { .. }
        )
    }

    /// What such a file is, in a few words.
    pub(crate) fn kind_in_words(&self) -> String {
        match self {
            Self::Foreign { kind, .. } => kind.to_string(),
            Self::OtherLayout { ending, seems, .. } => format!("{seems} where the ending says {ending}"),
            Self::Encoding { not, likely, .. } => format!("not {not}{}", perhaps(likely)),
            Self::NoTextColumn { .. } => "a table in which no column looks like the text".into(),
            other => other.to_string(),
        }
    }

    fn key(message: impl Into<String>, needs: Needs) -> Self {
        Self::Key { message: message.into(), needs }
    }
}

fn unknown(ending: &Option<String>) -> String {
    ending.as_ref().map_or_else(|| "its name has no ending".into(), |ending| format!("notes do not end in .{ending}"))
}

fn perhaps(likely: &Option<String>) -> String {
    likely.as_ref().map_or_else(String::new, |likely| format!(", but perhaps {likely}"))
}

fn list(path: &std::path::Path, faults: &[FileFault]) -> String {
    faults.iter().map(|fault| format!("{}:{fault}", path.display())).collect::<Vec<_>>().join("\n")
}

/// Reads a text file of settings, saying where its first byte is that is no UTF-8.
pub(crate) fn read_text(path: &std::path::Path) -> Result<String, FormatError> {
    let bytes = plain_file::read(path, plain_file::SMALL);
    let bytes = bytes.map_err(|cause| FormatError::Io { doing: "read", path: path.into(), cause })?;
    String::from_utf8(bytes).map_err(|error| {
        let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
        let (line, column) = place(&good, good.len());
        let faults = vec![FileFault { line, column, message: "this is not UTF-8 text".into() }];
        FormatError::Faulty { path: path.into(), faults }
    })
}

/// Line and column of a byte in a text, both from 1, the column in characters.
pub(crate) fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
