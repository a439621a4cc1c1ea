//! What left this machine, for whoever answers for it.

use serde::Serialize;

use super::WorkflowError;
use crate::domain::corpus::SentenceId;
use crate::domain::egress::Place;
use crate::domain::label::Timestamp;
use crate::store::Store;

/// One request, or one that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct EgressLine {
    pub at: Timestamp,
    pub host: String,
    pub purpose: String,
    pub run: Option<String>,
    /// The sentences of real notes in it.
    pub sentences: Vec<SentenceId>,
    /// Bytes of text.
    pub bytes: u64,
    /// How it ended.
    pub outcome: String,
}

/// What went to one host for one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct EgressTotal {
    pub host: String,
    /// Whether that is this machine.
    pub loopback: bool,
    pub purpose: String,
    pub requests: u64,
    /// Bytes of text.
    pub bytes: u64,
}

/// The newest records first.
pub(crate) fn records(store: &Store, limit: usize) -> Result<Vec<EgressLine>, WorkflowError> {
    let rows = store.egress(limit)?.into_iter();
    Ok(rows
        .map(|row| EgressLine {
            at: row.at,
            host: row.host,
            purpose: row.purpose,
            run: row.run.map(|run| run.0),
            sentences: row.sentences,
            bytes: row.bytes,
            outcome: row.outcome,
        })
        .collect())
}

/// Sums by host and purpose of what was not refused.
pub(crate) fn totals(store: &Store) -> Result<Vec<EgressTotal>, WorkflowError> {
    let rows = store.egress_totals()?.into_iter();
    Ok(rows
        .map(|(host, purpose, requests, bytes)| EgressTotal {
            loopback: Place::is_here(&host),
            host,
            purpose,
            requests,
            bytes,
        })
        .collect())
}
