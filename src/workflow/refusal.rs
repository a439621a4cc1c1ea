//! What a use case answers when it does not do what was asked: a kind that a face or a test can act on, what is wrong in one
//! sentence, and apart from it what to try next.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use crate::domain::label::Annotator;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// This person may not do it under the project's protocol.
    NotAllowed {
        /// Who asked.
        who: Annotator,
    },
    /// Nothing goes by that name.
    NotFound {
        /// The kind of thing, such as `run`.
        what: &'static str,
        /// The name as it was given.
        name: String,
    },
    /// Several things go by that name, or none was named and there are several.
    Ambiguous {
        /// The kind of thing.
        what: &'static str,
        /// The name as it was given; empty where none was.
        name: String,
    },
    /// What was to be made is there already; it was left as it is.
    Exists {
        /// The file, the folder or the key.
        what: String,
    },
    /// A setting that this needs is not set.
    Unset {
        /// The setting's name in `goldsmith.toml`, or the option's.
        setting: &'static str,
    },
    /// What was typed cannot be meant.
    Invalid {
        /// The option or the part of the request.
        what: &'static str,
    },
    /// Each part is sound, but this cannot be done with that.
    Unsupported {
        /// What it cannot be done with, such as `server`.
        with: &'static str,
    },
    /// Something else has to be there first.
    TooEarly {
        /// What is missing, such as `gold of test patients`.
        missing: &'static str,
    },
    /// It is as was asked already, or there is nothing to do it to.
    NothingToDo,
    /// The file and the store, or the file and what was read of it, no longer agree.
    OutOfDate { path: PathBuf },
    /// It would let out a patient's words, or let the test set into the training.
    Protected,
    /// What was read is not what was written.
    Damaged {
        /// The file or the data.
        what: String,
    },
    /// It was tried, and none of it came about.
    Failed,
    /// The machine does not give what this needs.
    Unavailable {
        /// What, such as `terminal`.
        what: &'static str,
    },
}

/// See the module. `Display` is what is wrong; a face adds the hints.
#[derive(Debug)]
pub struct Refusal {
    /// Why.
    pub kind: RefusalKind,
    /// What to try next, the likeliest first; each a sentence without its full stop.
    pub hints: Vec<String>,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Refusal {
    /// What is wrong, in words.
    pub(crate) fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self { kind, hints: Vec::new(), message: message.into(), source: None }
    }

    /// This person may not.
    pub(crate) fn not_allowed(who: &Annotator, message: impl Into<String>) -> Self {
        Self::new(RefusalKind::NotAllowed { who: who.clone() }, message)
    }

    /// Nothing goes by that name.
    pub(crate) fn not_found(what: &'static str, name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(RefusalKind::NotFound { what, name: name.into() }, message)
    }

    /// Several things go by that name.
    pub(crate) fn ambiguous(what: &'static str, name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Ambiguous { what, name: name.into() }, message)
    }

    /// It is there already.
    pub(crate) fn exists(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Exists { what: what.into() }, message)
    }

    /// A setting is missing.
    pub(crate) fn unset(setting: &'static str, message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Unset { setting }, message)
    }

    /// What was typed cannot be meant.
    pub(crate) fn invalid(what: &'static str, message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Invalid { what }, message)
    }

    /// Something else has to be there first.
    pub(crate) fn too_early(missing: &'static str, message: impl Into<String>) -> Self {
        Self::new(RefusalKind::TooEarly { missing }, message)
    }

    /// A feature of this crate that the program was built without; `what` it then cannot do is a noun.
    #[cfg(not(all(feature = "embedded", feature = "encoders", feature = "sealed-bundles", feature = "servers")))]
    pub(crate) fn left_out(feature: &'static str, what: &str) -> Self {
        Self::new(RefusalKind::Unavailable { what: feature }, format!("this goldsmith was built without {what}"))
            .hint(format!("build it again with `--features {feature}`"))
    }

    /// Adds what to try next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds what is behind it.
    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Refusal {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
