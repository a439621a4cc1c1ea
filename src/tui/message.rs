//! What can happen to the state, and what the state asks to be done.

use crossterm::event::KeyEvent;

use super::compare::ComparedRun;
use super::jobs::JobSpec;
use crate::domain::corpus::SentenceId;
use crate::domain::label::{Judgement, Label, RunId};
use crate::domain::queue::SentenceFilter;
use crate::formats::project::training::{TrainSettings, TrainingMethod};
use crate::workflow::metrics::MetricsSnapshot;
use crate::workflow::review::{ReviewItem, Worklist};
use crate::workflow::train::{TrainRunEvent, Trained};
use crate::workflow::{Progress, experiment};

/// Everything that can happen.
#[derive(Debug)]
pub(crate) enum Message {
    Key(KeyEvent),
    /// A sentence to show; the screen goes to it if asked for by the user.
    Item {
        /// Where it is looked at.
        worklist: Worklist,
        /// The sentence.
        item: Box<ReviewItem>,
        /// Whether its screen comes to the front.
        show: bool,
    },
    /// The filter has no sentence where one was asked for.
    Nothing {
        worklist: Worklist,
        /// Whether the filter has none at all.
        at_all: bool,
    },
    /// How far the annotator is and how many pass the filter.
    WorklistProgress {
        worklist: Worklist,
        /// Decided or settled.
        decided: u64,
        /// All that there is to do at this worklist.
        total: u64,
        /// Milliseconds of the latest decisions.
        took: Vec<u32>,
        /// How many pass the filter, if it is one.
        matches: Option<u64>,
        /// Why the filter lists less than all that passes it.
        held: Option<&'static str>,
    },
    /// A decision is on the disk.
    Saved {
        /// What was decided on which sentence.
        line: String,
    },
    /// Undo or redo found nothing.
    NothingToUndo(&'static str),
    /// Sentences behind a cell.
    Rows {
        /// Where they come from.
        title: String,
        rows: Vec<(SentenceId, String)>,
    },
    /// New numbers.
    Metrics(Box<MetricsSnapshot>),
    /// Training says something.
    Training(TrainRunEvent),
    /// Training is over.
    Trained(Box<Result<Trained, String>>),
    /// Two runs side by side.
    Compared(Box<[ComparedRun; 2]>),
    /// The experiment says something.
    Experiment(experiment::ExperimentEvent),
    /// The experiment is over.
    Experimented(Box<Result<experiment::ExperimentResult, String>>),
    /// A language model's job says something.
    Job(JobSpec, Progress),
    /// A language model's job is over.
    JobEnded(JobSpec, Result<String, String>),
    /// The queue has a new order.
    QueuePlanned,
    /// An effect failed; nothing was changed.
    Failed(String),
    /// Leave.
    Quit,
}

/// Which sentence is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeekTarget {
    /// The first that is open, or the first.
    Resume,
    /// The next after this.
    After(SentenceId),
    Before(SentenceId),
    /// The next open one after this, from the start again if there is none.
    OpenAfter(SentenceId),
    Exactly(SentenceId),
}

/// What is to be done outside the state.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Fetch a sentence.
    Fetch {
        /// Where it is looked at.
        worklist: Worklist,
        target: SeekTarget,
        /// Among which.
        filter: SentenceFilter,
        /// Bring its screen to the front.
        show: bool,
    },
    /// Commit a decision on the item and then fetch.
    Decide {
        worklist: Worklist,
        item: Box<ReviewItem>,
        judgement: Judgement,
        /// Milliseconds on the screen.
        took: Option<u32>,
        /// What to show next.
        then: SeekTarget,
        /// Among which.
        filter: SentenceFilter,
    },
    /// Settle the item as an adjudicator and go on to the next dispute.
    Settle {
        /// What is disputed.
        item: Box<ReviewItem>,
        /// The label, with the reason as its comment.
        judgement: Judgement,
        /// Milliseconds on the screen.
        took: Option<u32>,
        /// Among which.
        filter: SentenceFilter,
    },
    /// Make a settled case an example in the guideline.
    Example {
        case: SentenceId,
        /// What it is an example of.
        label: Label,
        /// In these words.
        text: String,
    },
    /// Take back the last decision and show where.
    Undo,
    /// Restore it.
    Redo,
    /// Fetch texts for a list.
    List {
        title: String,
        ids: Vec<SentenceId>,
    },
    /// Start training with these settings.
    Train(Box<TrainSettings>),
    StopTraining,
    /// Start the experiment with this method, or go on with it.
    Experiment(TrainingMethod),
    /// Stop it; what is trained is kept.
    StopExperiment,
    /// Read what is done of it.
    ReadExperiment(TrainingMethod),
    /// Score two runs against gold as it stands now.
    Compare(RunId, RunId),
    /// Start a language model's job.
    StartJob(JobSpec),
    /// Let it wait, or go on.
    PauseJob(JobSpec, bool),
    /// Stop it at its next safe point.
    StopJob(JobSpec),
}

/// What an action leads to, or why it cannot be done.
pub(crate) type Effects = Result<Vec<Effect>, &'static str>;
