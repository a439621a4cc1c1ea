//! Labels, who gave them (proposals and decisions), and the runs that machine labels come from.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::category::{BadKey, CategoryKey};
use super::corpus::SentenceId;
use super::sight::InSight;

/// A set of category keys, kept sorted. The empty set is *None*: no category applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<CategoryKey>", into = "Vec<CategoryKey>")]
pub struct Label(Vec<CategoryKey>);

impl Label {
    /// The empty set.
    pub fn none() -> Self {
        Self::default()
    }

    /// The set of one.
    pub fn of(key: CategoryKey) -> Self {
        Self(vec![key])
    }

    /// Stands in a binary run's label for a category that is not named; no taxonomy may have it as a key.
    pub const ANY: &'static str = "any";

    /// The label of a binary run: none, or a category that is not named.
    pub fn binary(any: bool) -> Self {
        if any { CategoryKey::new(Self::ANY).into_iter().collect() } else { Self::none() }
    }

    /// Whether it says only that there is a category.
    pub fn is_any(&self) -> bool {
        self.0.iter().any(|key| key.as_str() == Self::ANY)
    }

    /// The keys in order.
    pub fn keys(&self) -> &[CategoryKey] {
        &self.0
    }

    /// Whether the set is empty.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the key is in the set.
    pub fn contains(&self, key: &CategoryKey) -> bool {
        self.0.binary_search(key).is_ok()
    }

    /// Adds the key, or takes it out.
    pub fn toggle(&mut self, key: &CategoryKey) {
        match self.0.binary_search(key) {
            Ok(at) => {
                self.0.remove(at);
            }
            Err(at) => self.0.insert(at, key.clone()),
        }
    }

    /// Keys joined by commas; the empty string is *None*. The store's and the tables' form.
    pub fn join(&self) -> String {
        self.0.iter().map(CategoryKey::as_str).collect::<Vec<_>>().join(",")
    }

    /// Reads what [`Label::join`] writes.
    pub fn parse(joined: &str) -> Result<Self, BadKey> {
        joined.split(',').filter(|k| !k.is_empty()).map(CategoryKey::new).collect()
    }
}

impl FromIterator<CategoryKey> for Label {
    fn from_iter<I: IntoIterator<Item = CategoryKey>>(keys: I) -> Self {
        Self::from(keys.into_iter().collect::<Vec<_>>())
    }
}

impl From<Vec<CategoryKey>> for Label {
    fn from(mut keys: Vec<CategoryKey>) -> Self {
        keys.sort();
        keys.dedup();
        Self(keys)
    }
}

impl From<Label> for Vec<CategoryKey> {
    fn from(label: Label) -> Self {
        label.0
    }
}

/// Who gave a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A person.
    Human,
    /// A language model.
    Llm,
    /// A classifier trained here.
    Classifier,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Human => "human",
            Self::Llm => "llm",
            Self::Classifier => "classifier",
        })
    }
}

/// The name of a person who decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Annotator(pub String);

impl fmt::Display for Annotator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. The domain has no clock; it is handed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

/// The id of a run: a time-ordered UUID in text form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId(pub String);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// A language model labelled real sentences: silver.
    Label,
    /// A language model said of real sentences whether any category applies: the binary task.
    Screen,
    /// A language model wrote sentences: bronze.
    Generate,
    /// A classifier was trained.
    Train,
    /// Labels that may be wrong were looked for.
    Doubt,
    /// A classifier was trained for one cell of an experiment, and labelled the test sentences.
    Experiment,
    /// Sentences were put in an order for review.
    Queue,
    /// Sentences were shared out among experts.
    Assign,
    /// Another store's events were taken in.
    Merge,
}

impl fmt::Display for RunKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Label => "label",
            Self::Screen => "screen",
            Self::Generate => "generate",
            Self::Train => "train",
            Self::Doubt => "doubt",
            Self::Experiment => "experiment",
            Self::Queue => "queue",
            Self::Assign => "assign",
            Self::Merge => "merge",
        })
    }
}

/// How a run ended, or that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Under way, or broken off without a word.
    Running,
    /// Came to its end.
    Finished,
    /// Stopped by a person; what it had done is kept.
    Stopped,
    /// Ended in an error.
    Failed,
    /// Ran at another site; of what it proposed, only what had been seen there by those who decided is here.
    Elsewhere,
}

/// One execution of labelling, generation or training: enough to know where every number comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Time-ordered id.
    pub id: RunId,
    /// What it did.
    pub kind: RunKind,
    /// The model's name.
    pub model: String,
    /// The full configuration as JSON text: prompt, parameters, seeds, data and taxonomy hashes.
    pub config: String,
    /// The taxonomy's hash when it ran.
    pub taxonomy: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended, if it has.
    pub finished: Option<Timestamp>,
    /// How it ended.
    pub outcome: Outcome,
    /// What it measured, as JSON text; empty when it measured nothing.
    pub scores: String,
}

/// How a confidence was obtained; the kinds are never mixed in one statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfidenceKind {
    /// From token probabilities.
    TokenProbability,
    /// The model said a number.
    Stated,
    /// The share of several samples that agreed.
    SelfConsistency,
    /// A classifier's calibrated probability.
    Calibrated,
    /// Imported without saying how.
    Unknown,
}

/// How sure the machine was, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confidence {
    /// 0 to 1.
    pub value: f64,
    /// How it was obtained.
    pub kind: ConfidenceKind,
}

/// A machine's label for one sentence, before it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewProposal {
    /// The sentence.
    pub sentence: SentenceId,
    /// The label proposed.
    pub label: Label,
    /// `None` when the machine gave none: unknown is never shown as 0.
    pub confidence: Option<Confidence>,
    /// Probability of *None* first, then of each category in taxonomy order; empty when not known.
    pub probabilities: Vec<f32>,
    /// Why, in the model's words.
    pub rationale: String,
    /// Verbatim quotes of the sentence.
    pub evidence: Vec<String>,
}

impl NewProposal {
    /// A label of which no more is known.
    pub fn bare(sentence: SentenceId, label: Label) -> Self {
        Self {
            sentence,
            label,
            confidence: None,
            probabilities: Vec::new(),
            rationale: String::new(),
            evidence: Vec::new(),
        }
    }
}

/// The number of a stored proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProposalId(pub i64);

/// A stored proposal.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// Number in this store.
    pub id: ProposalId,
    /// The run that made it.
    pub run: RunId,
    /// Language model or classifier.
    pub source: Source,
    /// The model's name.
    pub model: String,
    /// What was proposed.
    pub content: NewProposal,
}

/// The id of an event: a time-ordered UUID in text form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId(pub String);

/// A person's whole stand on one sentence, as one key press leaves it.
///
/// A decision replaces the annotator's earlier one on the same sentence, in the fold, never in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The label; `None` when the person has not decided (only skipped, flagged or commented).
    pub label: Option<Label>,
    /// For a synthetic sentence: the person threw it out.
    #[serde(default)]
    pub rejected: bool,
    /// For a synthetic sentence: the person's wording in place of the model's.
    #[serde(default)]
    pub edited: Option<String>,
    /// Put off.
    #[serde(default)]
    pub skipped: bool,
    /// Marked for another look.
    #[serde(default)]
    pub flagged: bool,
    /// A remark.
    #[serde(default)]
    pub comment: String,
}

/// A decision: who took which stand on which sentence, having seen what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Time-ordered unique id.
    pub id: EventId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub annotator: Annotator,
    /// On which sentence.
    pub sentence: SentenceId,
    /// What.
    pub stand: Judgement,
    /// Milliseconds that the sentence was on the screen; `None` when not known (imported).
    pub took: Option<u32>,
    /// What had been in sight; `None` where that is not known (imported, or decided by a version that did not record it).
    pub in_sight: Option<InSight>,
    /// The proposal that it accepts or corrects.
    pub proposal: Option<ProposalId>,
    /// The taxonomy's hash at the time.
    pub taxonomy: String,
    /// The decisions that this one was made in the knowledge of and takes the place of; see [`super::heads`]. `None` where
    /// that is not known: then it takes the place of all before it.
    pub supersedes: Option<Vec<EventId>>,
}

/// What the append-only log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A stand taken.
    Decide(Decision),
    /// An adjudicator's word on a sentence, which overrides the experts' and leaves theirs as they are. The comment of its
    /// stand is the reason.
    Settle(Decision),
    /// A decision withdrawn.
    Undo {
        /// This event's id.
        id: EventId,
        /// When.
        at: Timestamp,
        /// Who.
        annotator: Annotator,
        /// The decision withdrawn.
        target: EventId,
    },
    /// A withdrawn decision restored.
    Redo {
        /// This event's id.
        id: EventId,
        /// When.
        at: Timestamp,
        /// Who.
        annotator: Annotator,
        /// The decision restored.
        target: EventId,
    },
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A finished run of `some-llm`, for tests.
    pub(crate) fn run(id: &str, kind: RunKind) -> Run {
        Run {
            id: RunId(id.into()),
            kind,
            model: "some-llm".into(),
            config: "{}".into(),
            taxonomy: String::new(),
            started: Timestamp(0),
            finished: None,
            outcome: Outcome::Finished,
            scores: String::new(),
        }
    }
}
