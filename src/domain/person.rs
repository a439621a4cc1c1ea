//! What an entry of the log says of somebody: their key, their roles.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::label::Annotator;
use super::signature::PublicKey;

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Decides on sentences.
    Annotator,
    /// Settles what is disputed.
    Adjudicator,
    /// Changes the guideline's categories, shares out sentences, names people.
    Lead,
    /// Takes notes and others' work in and out, and sees who read what.
    Steward,
}

impl Role {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Annotator, Self::Adjudicator, Self::Lead, Self::Steward];

    /// Its word, on disk and typed.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Annotator => "annotator",
            Self::Adjudicator => "adjudicator",
            Self::Lead => "lead",
            Self::Steward => "steward",
        }
    }

    /// Reads its word.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What an entry says of somebody. Its JSON is hashed into the chain: names are never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonChange {
    pub name: Annotator,
    /// Their key from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PublicKey>,
    /// Their roles from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<BTreeSet<Role>>,
}
