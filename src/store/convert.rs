//! How values of the domain stand in columns: every `ToSql` and `FromSql` of the program.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::corpus::{DocumentId, DocumentUid, Origin, PatientKey, SentenceId};
use crate::domain::label::{
    Annotator, ConfidenceKind, EventId, Label, Outcome, ProposalId, RunId, RunKind, Source, Stand, Timestamp,
};
use crate::domain::lineage::Recast;
use crate::domain::record::EventKind;
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
name!(PatientKey, Annotator, RunId, EventId);
word!(Origin, Source, RunKind, Outcome, ConfidenceKind, Split, Tier, EventKind);
json!(Stand, Recast);

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

/// Floats as little-endian bytes.
pub(super) fn pack(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Reads what [`pack`] writes; a torn last value is left out.
pub(super) fn unpack(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
