//! How values of the domain stand in columns: every `ToSql` and `FromSql` of the program.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::corpus::{DocumentId, DocumentUid, Origin, PatientKey, SentenceId};
use crate::domain::entry::EntryKind;
use crate::domain::key_map::TaxonomyMigration;
use crate::domain::label::{
    Annotator, ConfidenceKind, EntryId, Judgement, Label, Outcome, ProposalId, RunId, RunKind, Source, Timestamp,
};
use crate::domain::person::PersonChange;
use crate::domain::sight::InSight;
use crate::domain::signature::EntrySignature;
use crate::domain::split::{Split, Tier};

macro_rules! number {
    ($($name:ident),*) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.0.into())
            }
        }
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_i64().map(Self)
            }
        }
    )*};
}

macro_rules! name {
    ($($name:ident),*) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.0.as_str().into())
            }
        }
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str().map(|text| Self(text.to_owned()))
            }
        }
    )*};
}

/// Enums stand as the word that serde gives them.
macro_rules! word {
    ($($name:ident),*) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                to_word(self)
            }
        }
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                from_word(value)
            }
        }
    )*};
}

/// Structures stand as JSON.
macro_rules! json {
    ($($name:ident),*) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let text = serde_json::to_string(self);
                text.map(Into::into).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
            }
        }
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                serde_json::from_str(value.as_str()?).map_err(|e| FromSqlError::Other(e.into()))
            }
        }
    )*};
}

number!(DocumentId, SentenceId, ProposalId, Timestamp);
name!(PatientKey, Annotator, RunId, EntryId);
word!(Origin, Source, RunKind, Outcome, ConfidenceKind, Split, Tier);
json!(Judgement, TaxonomyMigration, PersonChange, EntrySignature);

fn to_word<T: Serialize>(value: &T) -> rusqlite::Result<ToSqlOutput<'static>> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word.into()),
        Ok(other) => Err(rusqlite::Error::ToSqlConversionFailure(format!("{other} is no word").into())),
        Err(error) => Err(rusqlite::Error::ToSqlConversionFailure(error.into())),
    }
}

fn from_word<T: DeserializeOwned>(value: ValueRef<'_>) -> FromSqlResult<T> {
    let word = value.as_str()?;
    serde_json::from_value(serde_json::Value::String(word.to_owned())).map_err(|e| FromSqlError::Other(e.into()))
}

impl ToSql for DocumentUid {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.0)))
    }
}

impl ToSql for Label {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.join().into())
    }
}

impl FromSql for Label {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::parse(value.as_str()?).map_err(|e| FromSqlError::Other(e.into()))
    }
}

/// A kind of entry that this program does not know.
#[derive(Debug, thiserror::Error)]
#[error("an entry of the kind `{0}`")]
pub(super) struct UnknownKind(pub String);

impl ToSql for EntryKind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.word().into())
    }
}

impl FromSql for EntryKind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?;
        let known = Self::ALL.into_iter().find(|kind| kind.word() == word);
        known.ok_or_else(|| FromSqlError::Other(Box::new(UnknownKind(word.to_owned()))))
    }
}

/// Words joined by commas; the empty string is nothing in sight, and NULL is not known.
impl ToSql for InSight {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

impl FromSql for InSight {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let words = value.as_str()?;
        Self::parse(words)
            .ok_or_else(|| FromSqlError::Other(format!("`{words}` is nothing that can be in sight").into()))
    }
}

/// Floats as little-endian bytes.
pub(super) fn pack(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Reads what [`pack`] writes; a torn last value is left out.
pub(super) fn unpack(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(value: &impl ToSql) -> String {
        match value.to_sql().unwrap() {
            ToSqlOutput::Borrowed(value) => value.as_str().unwrap().to_owned(),
            ToSqlOutput::Owned(rusqlite::types::Value::Text(text)) => text,
            other => panic!("{other:?} is no text"),
        }
    }

    /// What stands in columns is on users' disks: these words are never edited. A new one is added.
    #[test]
    fn a_value_is_written_as_it_always_was() {
        fn all<T: ToSql + FromSql + PartialEq + std::fmt::Debug>(values: &[T], words: &[&str]) {
            assert_eq!(values.iter().map(column).collect::<Vec<_>>(), words);
            for (value, word) in values.iter().zip(words) {
                assert_eq!(T::column_result(ValueRef::Text(word.as_bytes())).as_ref(), Ok(value));
            }
        }
        all(&[Origin::Real, Origin::Synthetic], &["real", "synthetic"]);
        all(&[Source::Human, Source::Llm, Source::Classifier], &["human", "llm", "classifier"]);
        all(
            &[
                RunKind::Label,
                RunKind::Screen,
                RunKind::Generate,
                RunKind::Train,
                RunKind::Doubt,
                RunKind::Experiment,
                RunKind::Queue,
                RunKind::Assign,
                RunKind::Merge,
            ],
            &["label", "screen", "generate", "train", "doubt", "experiment", "queue", "assign", "merge"],
        );
        all(
            &[Outcome::Running, Outcome::Finished, Outcome::Stopped, Outcome::Failed, Outcome::Elsewhere],
            &["running", "finished", "stopped", "failed", "elsewhere"],
        );
        all(
            &[
                ConfidenceKind::TokenProbability,
                ConfidenceKind::Stated,
                ConfidenceKind::SelfConsistency,
                ConfidenceKind::Calibrated,
                ConfidenceKind::Unknown,
            ],
            &["token_probability", "stated", "self_consistency", "calibrated", "unknown"],
        );
        all(&Split::ALL, &["train", "validation", "test"]);
        all(&[Tier::Gold, Tier::Silver, Tier::Bronze], &["gold", "silver", "bronze"]);
        all(&EntryKind::ALL, &["decide", "settle", "undo", "redo", "recast", "person"]);
        assert_eq!(column(&Label::parse("mood,memory").unwrap()), "memory,mood");
        assert_eq!(column(&Label::none()), "");
        assert_eq!(
            column(&Judgement::default()),
            r#"{"label":null,"rejected":false,"edited":null,"skipped":false,"flagged":false,"comment":""}"#
        );
        let vector = [0.5, -1.25, f32::MIN_POSITIVE];
        assert_eq!(pack(&vector), [0, 0, 0, 63, 0, 0, 160, 191, 0, 0, 128, 0]);
        assert_eq!(unpack(&pack(&vector)), vector);
    }
}
