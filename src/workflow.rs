//! The use cases, one file each. This layer alone knows the clock and makes ids; both faces call it and add no rule.

pub(crate) mod access;
mod advice;
pub(crate) mod agreement;
pub mod anchor;
pub mod audit;
pub(crate) mod background;
pub(crate) mod backup;
pub mod bundle;
pub mod demo;
pub(crate) mod diagnostics;
pub(crate) mod dispatch;
pub(crate) mod doubt;
pub(crate) mod egress;
pub(crate) mod encoders;
pub mod encryption;
pub(crate) mod experiment;
pub mod export;
pub(crate) mod generate;
pub(crate) mod guideline;
pub(crate) mod identity;
pub mod import;
pub(crate) mod label;
pub mod label_index;
pub(crate) mod metrics;
pub(crate) mod migration;
pub(crate) mod models;
pub(crate) mod ownership;
pub(crate) mod place;
pub mod project;
pub mod protocol;
pub(crate) mod queue;
pub(crate) mod refusal;
pub mod review;
pub(crate) mod runs;
pub(crate) mod saved_model;
pub mod scores;
pub mod session;
pub mod simulate;
pub(crate) mod store_key;
pub(crate) mod train;
mod unfinished;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::classifier::ClassifierError;
use crate::domain::label::{EntryId, RunId, Timestamp};
use crate::domain::spending::Spending;
use crate::domain::taxonomy::TaxonomyError;
use crate::domain::text::with_causes;
use crate::formats::FormatError;
use crate::llm::LlmError;
use crate::store::StoreError;
use refusal::Refusal;

/// What a long job says of itself. A progress bar and a panel render the same events.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// A step began; the total is in `unit`s where it is known.
    Started {
        /// What is done, such as `importing notes.csv`.
        what: String,
        /// How much there is to do.
        total: Option<u64>,
        /// What is counted.
        unit: &'static str,
    },
    /// So much of the step is done.
    Advanced(u64),
    /// What the step has cost so far, and how many items could not be done.
    Spent {
        /// Requests, tokens, money.
        spending: Spending,
        /// Items that could not be done.
        failed: u64,
    },
    /// Something worth a line.
    Noted(String),
    /// The step is over.
    Finished,
}

/// Takes progress events.
pub(crate) type Watch<'a> = dyn FnMut(Progress) + 'a;

/// A wish to stop or to pause, shared between who wishes and who works.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    stop: Arc<AtomicBool>,
    pause: Arc<AtomicBool>,
}

impl Cancel {
    /// Asks the job to stop at its next safe point.
    pub(crate) fn cancel(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether someone asked.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Asks the job to wait, or to go on. Jobs that end in seconds take no notice.
    pub(crate) fn pause(&self, wait: bool) {
        self.pause.store(wait, Ordering::Relaxed);
    }

    /// Whether the job is to wait.
    pub(crate) fn is_paused(&self) -> bool {
        self.pause.load(Ordering::Relaxed)
    }
}

/// What can go wrong in a use case.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    /// No project here or above.
    #[error("there is no goldsmith.toml in {0} or any folder above it")]
    NoProject(PathBuf),
    /// A folder that has a project already.
    #[error("{0} is a project already; nothing was changed")]
    AlreadyProject(PathBuf),
    /// A folder that cannot be made.
    #[error("cannot make {path}")]
    Folder {
        path: PathBuf,
        /// The system's word for it.
        #[source]
        cause: std::io::Error,
    },
    /// Files.
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Classifier(#[from] ClassifierError),
    /// A language model.
    #[error(transparent)]
    Llm(#[from] LlmError),
    /// A label under the taxonomy.
    #[error(transparent)]
    Taxonomy(#[from] TaxonomyError),
    /// A bad record, where the user wants to stop at one.
    #[error("{path}:{line}: {message}; what came before it is done")]
    Record {
        path: PathBuf,
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// Stopped by a person before there was anything to show; the same command goes on.
    #[error("stopped")]
    Stopped,
    /// Something that the user asked for and cannot have.
    #[error(transparent)]
    Refused(Box<Refusal>),
}

impl From<Refusal> for WorkflowError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl WorkflowError {
    /// What is wrong and what is behind it, in one line.
    pub(crate) fn words(&self) -> String {
        with_causes(self)
    }

    /// What to try next, the likeliest first.
    pub(crate) fn hints(&self) -> Vec<String> {
        advice::of(self)
    }

    /// What is wrong and the first hint, for where there is room for one line.
    pub(crate) fn line(&self) -> String {
        let hint = self.hints().into_iter().next();
        hint.map_or_else(|| self.words(), |hint| format!("{}; {hint}", self.words()))
    }
}

/// Milliseconds since 1970.
pub(crate) fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

/// A new time-ordered id.
pub(crate) fn new_entry_id() -> EntryId {
    EntryId(new_id(&ORDER, jiff::Timestamp::now()))
}

/// A moment as ISO 8601 in UTC.
pub(crate) fn iso(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |moment| moment.to_string())
}

/// A new time-ordered id.
pub(crate) fn new_run_id() -> RunId {
    RunId(new_id(&ORDER, jiff::Timestamp::now()))
}

/// Ids of one process are in the order in which they were made, whatever the clock does.
static ORDER: Mutex<uuid::ContextV7> = Mutex::new(uuid::ContextV7::new());

/// A clock that has lost its battery may stand before 1970, where such ids begin.
fn new_id(order: &Mutex<uuid::ContextV7>, now: jiff::Timestamp) -> String {
    let now = now.max(jiff::Timestamp::UNIX_EPOCH);
    let seconds = now.as_second().unsigned_abs();
    let time = uuid::Timestamp::from_unix(order, seconds, now.subsec_nanosecond().unsigned_abs());
    uuid::Uuid::new_v7(time).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::new_id;

    #[test]
    fn ids_are_in_order_whatever_the_clock_says() {
        for seconds in [-62_135_596_800, -1, 0, 1_700_000_000, 253_402_200_000] {
            let now = jiff::Timestamp::from_second(seconds).unwrap();
            let order = Mutex::new(uuid::ContextV7::new());
            let ids = [(); 3].map(|()| new_id(&order, now));
            assert!(ids.is_sorted() && ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
        }
        // Back in time, the later id is still behind.
        let order = Mutex::new(uuid::ContextV7::new());
        let at = |seconds| new_id(&order, jiff::Timestamp::from_second(seconds).unwrap());
        assert!(at(1_800_000_000) < at(1_700_000_000));
    }
}
