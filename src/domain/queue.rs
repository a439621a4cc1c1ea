//! What is asked of the queue: which sentences, in which order.

use serde::{Deserialize, Serialize};

use super::category::CategoryKey;
use super::corpus::Origin;
use super::gold::GoldRule;
use super::guideline::Outdated;
use super::label::{Annotator, RunId};
use super::split::{Split, Tier};

/// What a category filter looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LabelMatch {
    /// Sentences with this category.
    Category(CategoryKey),
    /// Sentences with no category.
    None,
    /// Sentences with any category.
    Any,
}

/// Whose label a category filter looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LabelOwner {
    /// The annotator's own current label.
    Mine,
    /// Any expert's current label.
    Expert,
    /// The language model's proposal (bronze: the target).
    Llm,
    /// The classifier's proposal.
    Classifier,
}

/// Which part of the queue is wanted by its state for this annotator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecisionState {
    #[default]
    All,
    /// Not yet decided by this annotator.
    Open,
    /// Decided by this annotator.
    Decided,
    /// Put off by this annotator.
    Skipped,
    /// Flagged by this annotator.
    Flagged,
}

/// Whose labels are in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DoubtFilter {
    /// Anyone's.
    Any,
    /// Those of one tier.
    Tier(Tier),
}

/// Which of the sentences that the protocol gives to an annotator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AssignmentFilter {
    /// All of them.
    All,
    /// Those that everyone decides, before the others.
    Calibration,
}

/// Among which sentences labels in doubt are listed, by whose label it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoubtsAmong {
    pub gold: Among,
    pub silver: Among,
}

/// The sentences that a search may list, from the most to the fewest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Among {
    #[default]
    All,
    /// Those that the annotator has decided, and those of patients outside the test split.
    DecidedOrUnscored,
    /// Those that the annotator has decided.
    Decided,
    /// None.
    Nothing,
}

/// A filter over sentences; all parts must hold. The default is every real sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentenceFilter {
    /// Real or synthetic.
    pub origin: Origin,
    /// Words that the sentence contains (full-text; the last word may be a prefix). Empty for no search.
    pub text: String,
    /// A category by someone's label.
    pub category: Option<(LabelOwner, LabelMatch)>,
    /// State for the annotator who asks.
    pub progress: DecisionState,
    /// Decided by this person.
    pub decided_by: Option<Annotator>,
    /// Patients of this split.
    pub split: Option<Split>,
    /// Proposed or written in this run.
    pub run: Option<RunId>,
    /// Where the language model's label is not the expert's.
    pub disagreement: bool,
    /// With a label that the newest search for label errors doubts. These come worst first, and one that its annotator has
    /// decided is open until it has been decided again since the search.
    pub doubted: Option<DoubtFilter>,
    /// In the order of the newest plan of the queue, and only what is in it.
    pub planned: bool,
    /// Only what the protocol gives to the annotator who asks.
    pub assigned: Option<AssignmentFilter>,
    /// Only what experts dispute under this rule and no adjudicator has settled, or what adjudicators contradict each other on.
    pub disputed: Option<GoldRule>,
    /// Only what this annotator decided by an earlier version of the guideline and a change puts in question; empty for no such
    /// condition.
    pub outdated: Vec<Outdated>,
    /// Only those of which the annotator may see the labels that the search goes by; see [`super::visibility`].
    pub among: Among,
    /// Likewise for labels in doubt, where the search goes by these.
    pub doubts: DoubtsAmong,
}

impl Default for SentenceFilter {
    fn default() -> Self {
        Self {
            origin: Origin::Real,
            text: String::new(),
            category: None,
            progress: DecisionState::All,
            decided_by: None,
            split: None,
            run: None,
            disagreement: false,
            doubted: None,
            planned: false,
            assigned: None,
            disputed: None,
            outdated: Vec::new(),
            among: Among::All,
            doubts: DoubtsAmong::default(),
        }
    }
}

impl SentenceFilter {
    /// Whether it lets every sentence of its origin pass.
    pub(crate) fn is_open(&self) -> bool {
        *self == Self { origin: self.origin, ..Self::default() }
    }
}

/// Pace over the last decisions.
///
/// The median of the last `took` values: one coffee break does not change it. `None` with fewer than three.
pub(crate) fn pace_ms(took: &[u32]) -> Option<u32> {
    let mut last: Vec<u32> = took.iter().rev().take(25).copied().collect();
    last.sort_unstable();
    (last.len() >= 3).then(|| last[last.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::pace_ms;

    #[test]
    fn pace_is_the_median_of_the_latest() {
        assert_eq!(pace_ms(&[1_000, 2_000]), None);
        assert_eq!(pace_ms(&[1_000, 600_000, 2_000]), Some(2_000));
        let mut long = vec![9_000; 100];
        long.extend([1_000; 25]);
        assert_eq!(pace_ms(&long), Some(1_000));
    }
}
