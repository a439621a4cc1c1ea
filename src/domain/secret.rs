//! A secret that somebody gave: a passphrase or a key, with where it came from.

use std::fmt;
use std::path::PathBuf;

/// Where a secret comes from. It says nothing of the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A variable of the environment, by its name.
    Variable(String),
    /// The first line of a file.
    File(PathBuf),
    /// The first line that a program prints: its name and its arguments.
    Command(Vec<String>),
    /// A person at the terminal.
    Ask,
}

impl fmt::Display for SecretSource {
    /// What stands behind "the key" in a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "in {name}"),
            Self::File(path) => write!(f, "in {}", path.display()),
            // The arguments may name what nobody else should know of.
            Self::Command(words) => write!(f, "that `{}` printed", words.first().map_or("", String::as_str)),
            Self::Ask => f.write_str("that was typed"),
        }
    }
}

/// A secret: it cannot be printed, written or compared.
#[derive(Clone)]
pub(crate) struct Secret {
    value: String,
    source: SecretSource,
}

impl Secret {
    pub(crate) fn new(value: String, source: SecretSource) -> Self {
        Self { value, source }
    }

    /// The secret itself, for what opens or closes by it.
    pub(crate) fn value(&self) -> &str {
        &self.value
    }

    pub(crate) fn source(&self) -> &SecretSource {
        &self.source
    }

    #[cfg(test)]
    pub(crate) fn of(value: &str) -> Self {
        Self::new(value.into(), SecretSource::Variable("WORD".into()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}, not shown)", self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_secret_came_from_is_said_and_the_secret_is_not() {
        let words = vec!["vault".into(), "read".into(), "--token=hush".into()];
        let secret = Secret::new("hush".into(), SecretSource::Command(words));
        assert_eq!(format!("{secret:?}"), "Secret(that `vault` printed, not shown)");
        let sources = [SecretSource::Variable("KEY".into()), SecretSource::File("/k".into()), SecretSource::Ask];
        assert_eq!(sources.map(|source| source.to_string()), ["in KEY", "in /k", "that was typed"]);
    }
}
