//! Labels, who gave them (proposals and decisions), and the runs that machine labels come from.
//!
//! A [`Label`] says one of two things: exactly which categories a sentence has, of which there may be none; or, as a binary run
//! does, that it has some, without saying which. Neither *None* nor *any* is a category: the first is the empty set, the second
//! a case of its own, which no set of keys equals. In the store, in bundles and in JSON a label stays the list of its keys,
//! and `any` is the one word in that list which is no key; it is read and written in this file alone.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use super::category::{BadKey, CategoryKey};
use super::corpus::SentenceId;
use super::sight::InSight;

/// What a sentence is said to be about: a set of category keys, of which the empty one is *None*, or [`Label::any`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "Vec<CategoryKey>")]
pub struct Label(Content);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Content {
    /// Sorted, each key once.
    Categories(Vec<CategoryKey>),
    /// Some category; which one is not said.
    Any,
}

impl Default for Content {
    fn default() -> Self {
        Self::Categories(Vec::new())
    }
}

impl Label {
    /// The empty set.
    pub fn none() -> Self {
        Self::default()
    }

    /// The set of one.
    pub fn of(key: CategoryKey) -> Self {
        Self(Content::Categories(vec![key]))
    }

    /// How [`Label::any`] is written; no taxonomy may have it as a key.
    pub(crate) const ANY: &'static str = "any";

    /// What a binary run says of a sentence to which a category applies: that there is one, and not which.
    pub(crate) fn any() -> Self {
        Self(Content::Any)
    }

    /// The label of a binary run: some category, or none.
    pub(crate) fn binary(any: bool) -> Self {
        if any { Self::any() } else { Self::none() }
    }

    /// Whether it says only that there is a category.
    pub(crate) fn is_any(&self) -> bool {
        self.0 == Content::Any
    }

    /// The keys that it names, in order; *None* and *any* name none, so ask [`Label::is_none`] whether it is *None*.
    pub(crate) fn keys(&self) -> &[CategoryKey] {
        match &self.0 {
            Content::Categories(keys) => keys,
            Content::Any => &[],
        }
    }

    /// Whether it is the empty set.
    pub(crate) fn is_none(&self) -> bool {
        matches!(&self.0, Content::Categories(keys) if keys.is_empty())
    }

    /// Whether it names the key.
    pub(crate) fn contains(&self, key: &CategoryKey) -> bool {
        self.keys().binary_search(key).is_ok()
    }

    /// Adds the key, or takes it out. From *any* on it is the key alone.
    pub(crate) fn toggle(&mut self, key: &CategoryKey) {
        match &mut self.0 {
            Content::Categories(keys) => match keys.binary_search(key) {
                Ok(at) => {
                    keys.remove(at);
                }
                Err(at) => keys.insert(at, key.clone()),
            },
            Content::Any => *self = Self::of(key.clone()),
        }
    }

    /// The words that it is written with.
    fn words(&self) -> impl Iterator<Item = &str> {
        let any = self.is_any().then_some(Self::ANY);
        self.keys().iter().map(CategoryKey::as_str).chain(any)
    }

    /// Its words joined by commas; the empty string is *None*. The store's and the tables' form.
    pub(crate) fn join(&self) -> String {
        self.words().collect::<Vec<_>>().join(",")
    }

    /// Reads what [`Label::join`] writes.
    pub(crate) fn parse(joined: &str) -> Result<Self, BadKey> {
        joined.split(',').filter(|k| !k.is_empty()).map(CategoryKey::new).collect()
    }
}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// In the order of what is written.
impl Ord for Label {
    fn cmp(&self, other: &Self) -> Ordering {
        self.words().cmp(other.words())
    }
}

impl FromIterator<CategoryKey> for Label {
    fn from_iter<I: IntoIterator<Item = CategoryKey>>(keys: I) -> Self {
        Self::from(keys.into_iter().collect::<Vec<_>>())
    }
}

/// The word for *any* alone is [`Label::any`]. Beside others it is a key that no taxonomy knows.
impl From<Vec<CategoryKey>> for Label {
    fn from(mut keys: Vec<CategoryKey>) -> Self {
        keys.sort();
        keys.dedup();
        match &keys[..] {
            [key] if key.as_str() == Self::ANY => Self::any(),
            _ => Self(Content::Categories(keys)),
        }
    }
}

impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.words())
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
pub struct EntryId(pub String);

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

/// A decision or a settlement, by this store's numbers: who said what of which sentence, having seen what. The log has it as an
/// [`Entry`](super::entry::Entry).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Time-ordered unique id.
    pub id: EntryId,
    pub at: Timestamp,
    pub annotator: Annotator,
    pub sentence: SentenceId,
    pub judgement: Judgement,
    /// Milliseconds that the sentence was on the screen; `None` when not known (imported).
    pub took: Option<u32>,
    /// What had been in sight; `None` where that is not known (imported, or decided by a version that did not record it).
    pub in_sight: Option<InSight>,
    /// The proposal that it accepts or corrects.
    pub proposal: Option<ProposalId>,
    /// The taxonomy's hash at the time.
    pub taxonomy: String,
    /// The decisions that this one was made in the knowledge of and takes the place of; see [`super::projection`]. `None` where
    /// that is not known: then it takes the place of all before it.
    pub supersedes: Option<Vec<EntryId>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Any* is written as it always was, and is no key: neither of one category, nor *None*, nor beside another.
    #[test]
    fn none_and_any_are_no_categories() {
        let (none, any, key) = (Label::none(), Label::any(), CategoryKey::new("mood").unwrap());
        assert_eq!((none.join(), any.join()), (String::new(), "any".to_owned()));
        assert_eq!(serde_json::to_string(&(&none, &any)).unwrap(), r#"[[],["any"]]"#);
        for label in [&none, &any, &Label::parse("any,mood").unwrap(), &Label::of(key.clone())] {
            assert_eq!(Label::parse(&label.join()).as_ref(), Ok(label));
            let json = serde_json::to_string(label).unwrap();
            assert_eq!(&serde_json::from_str::<Label>(&json).unwrap(), label, "{json}");
        }
        assert!(any.is_any() && !any.is_none() && any.keys().is_empty());
        assert!(!Label::parse("any,mood").unwrap().is_any());
        let mut toggled = any.clone();
        toggled.toggle(&key);
        assert_eq!(toggled, Label::of(key.clone()));
        // In the order of what is written, as ever.
        assert!(none < any && any < Label::of(key) && any > Label::parse("agitation").unwrap());
    }
}
