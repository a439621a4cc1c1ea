//! Documents and sentences: what is labelled, where it comes from, and whose note it is.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::text::Span;

/// A document's number in one store. Across stores a document is known by its [`DocumentUid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DocumentId(pub i64);

/// A sentence's number in one store; ascending in document order, then in the order of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SentenceId(pub i64);

/// Whose note it is: the unit of splits and of the bootstrap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PatientKey(pub String);

/// Whether a person's note or a language model is behind the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A sentence of a real note.
    Real,
    /// A sentence that a language model wrote for a label.
    Synthetic,
}

/// The first 16 bytes of SHA-256 over patient, external id and text: the same note read twice is one document, in any
/// store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DocumentUid(pub [u8; 16]);

impl From<DocumentUid> for String {
    fn from(uid: DocumentUid) -> Self {
        uid.hex()
    }
}

impl TryFrom<String> for DocumentUid {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let mut uid = [0; 16];
        match hex::decode_to_slice(&text, &mut uid) {
            Ok(()) => Ok(Self(uid)),
            Err(_) => Err(format!("`{text}` is no id of a note: 32 hexadecimal digits")),
        }
    }
}

impl DocumentUid {
    /// Computes the id from what makes a document itself.
    pub(crate) fn of(patient: &str, external_id: &str, text: &str) -> Self {
        let mut hasher = Sha256::new();
        for part in [patient, external_id, text] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let mut uid = [0; 16];
        uid.copy_from_slice(&hasher.finalize()[..16]);
        Self(uid)
    }

    /// In hexadecimal.
    pub(crate) fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

/// A note as read from a file, before it has a number. The text is kept byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDocument {
    pub patient: PatientKey,
    /// The id that the source gave it, or one made from file and position.
    pub external_id: String,
    /// Heading or title shown in Review.
    pub title: String,
    /// The kind of note, such as `discharge`.
    pub kind: String,
    /// The note's date as the source writes it.
    pub date: String,
    /// The file that it came from, shared by all of its documents.
    pub source: Arc<str>,
    /// The whole text.
    pub text: String,
    /// Sentences as spans of the text, in order.
    pub sentences: Vec<Span>,
}

impl NewDocument {
    /// The id that makes importing idempotent.
    pub(crate) fn uid(&self) -> DocumentUid {
        DocumentUid::of(&self.patient.0, &self.external_id, &self.text)
    }

    /// Checks the lossless cover: spans in order, on character boundaries, inside the text, and nothing but white space
    /// between them.
    pub(crate) fn covers_losslessly(&self) -> bool {
        let mut end = 0;
        let blank = |from: usize, to: usize| self.text.get(from..to).is_some_and(|gap| gap.trim().is_empty());
        for span in &self.sentences {
            if span.start < end || span.end <= span.start || !blank(end, span.start) {
                return false;
            }
            if self.text.get(span.start..span.end).is_none() {
                return false;
            }
            end = span.end;
        }
        blank(end, self.text.len())
    }
}

/// A document as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Number in this store.
    pub id: DocumentId,
    pub patient: PatientKey,
    /// The source's id.
    pub external_id: String,
    /// Heading or title.
    pub title: String,
    pub kind: String,
    /// The note's date as the source writes it.
    pub date: String,
    /// The file that it came from.
    pub source: String,
    /// Real note or synthetic text.
    pub origin: Origin,
    /// The whole text.
    pub text: String,
}

/// A sentence: a span of its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// Number in this store.
    pub id: SentenceId,
    /// The document that it is a span of.
    pub document: DocumentId,
    /// Position among the document's sentences, from 0.
    pub position: u32,
    /// Where in the document's text.
    pub span: Span,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ids of notes are on users' disks, in stores and bundles: these values are never edited.
    #[test]
    fn the_id_of_a_note_is_the_same_for_ever() {
        for (patient, external_id, text, uid) in [
            ("p1", "n1", "She forgets names.\n", "f4483e26c7c226a68e152c99982d74b8"),
            ("", "Größe/7", "漢字\r\n", "45a91b0de37aa7eb564e8307693360fd"),
            ("p", "1n", "1", "2f6eb9dceb4e1e02aa70e35be3b2de0c"),
        ] {
            assert_eq!(DocumentUid::of(patient, external_id, text).hex(), uid, "{external_id}");
            assert_eq!(DocumentUid::try_from(uid.to_owned()), Ok(DocumentUid::of(patient, external_id, text)));
        }
    }
}
