//! An event as every store understands it: nothing in it is a number of one store. What is chained, audited and carried from
//! site to site.

use serde::{Deserialize, Serialize};

use super::corpus::DocumentUid;
use super::label::{Annotator, EventId, Label, RunId, Stand, Timestamp};

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// An expert took a stand.
    Decide,
    /// An adjudicator settled a sentence.
    Settle,
    /// One of these was withdrawn.
    Undo,
    /// And restored.
    Redo,
}

impl EventKind {
    /// Its word in the store.
    pub fn word(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Settle => "settle",
            Self::Undo => "undo",
            Self::Redo => "redo",
        }
    }
}

/// A sentence by its note and its place there, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SentenceRef {
    /// The note.
    pub document: DocumentUid,
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// A proposal by its run; a run proposes once for a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalRef {
    /// The run.
    pub run: RunId,
    /// What it proposed.
    pub label: Label,
}

/// An event. What does not belong to its kind is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Time-ordered unique id.
    pub id: EventId,
    /// What it is.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub annotator: Annotator,
    /// The store that it came from; absent for the store's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// On which sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentence: Option<SentenceRef>,
    /// What.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stand: Option<Stand>,
    /// Milliseconds on the screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<u32>,
    /// Whether a machine's label could be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal_visible: Option<bool>,
    /// Which, if it was one that is accepted or corrected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<ProposalRef>,
    /// The taxonomy's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taxonomy: Option<String>,
    /// What it takes the place of; see [`super::heads`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<Vec<EventId>>,
    /// What it withdraws or restores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<EventId>,
}
