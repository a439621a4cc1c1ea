//! Bronze quality: the gate that a generated sentence passes, and how generated sentences compare with real ones.
//!
//! All numbers are on word tokens, by one function: [`words`]. Whether a sentence that fails a check is dropped, shown or
//! kept is not decided here; a [`Verdict`] says what was found, in words that quote no real text.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

pub(crate) use compare::{Comparison, Profile, Sampling, SentenceSet, compare};
pub(crate) use gate::QualityGate;
pub(crate) use lengths::Lengths;
pub(crate) use reference::RealSentences;
pub(crate) use self_bleu::self_bleu;

use super::label::Label;
use super::taxonomy::Taxonomy;

mod compare;
mod gate;
mod lengths;
mod reference;
mod self_bleu;

/// The words of a text in lower case, as Unicode's word boundaries (UAX 29) part them; punctuation is none.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.unicode_words().map(str::to_lowercase).collect()
}

/// What a generated sentence is checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The words of an earlier generated sentence.
    Duplicate,
    /// Nearly the words of an earlier generated sentence.
    NearDuplicate,
    /// The words of a real sentence.
    DuplicateOfReal,
    /// Nearly the words of a real sentence.
    NearDuplicateOfReal,
    /// A long run of words taken from real sentences.
    Overlap,
    /// The name of the wanted category said in so many words.
    LabelEcho,
    /// Shorter or longer than real sentences are.
    Length,
    /// What looks like protected health information.
    Phi,
    /// A second reading by the language model, blind to the wanted label.
    RoundTrip,
    /// The trained classifier's probability of the wanted label.
    Classifier,
}

impl Check {
    /// All, in the order in which verdicts are given.
    pub(crate) const ALL: [Self; 10] = [
        Self::Duplicate,
        Self::NearDuplicate,
        Self::DuplicateOfReal,
        Self::NearDuplicateOfReal,
        Self::Overlap,
        Self::LabelEcho,
        Self::Length,
        Self::Phi,
        Self::RoundTrip,
        Self::Classifier,
    ];

    /// The name in data and files.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::NearDuplicate => "near_duplicate",
            Self::DuplicateOfReal => "duplicate_of_real",
            Self::NearDuplicateOfReal => "near_duplicate_of_real",
            Self::Overlap => "overlap",
            Self::LabelEcho => "label_echo",
            Self::Length => "length",
            Self::Phi => "phi",
            Self::RoundTrip => "round_trip",
            Self::Classifier => "classifier",
        }
    }

    /// The check of a [`Check::key`].
    pub(crate) fn parse(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.key() == key)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub check: Check,
    /// Whether the sentence may pass.
    pub passed: bool,
    /// Why, for a reader who knows notes and not programs. Never quotes real text.
    pub reason: String,
    /// The number that was compared with the limit, where there is one.
    pub value: Option<f64>,
}

impl Verdict {
    /// The model was asked for `target`; reading the sentence without knowing that, it gave `given`, with this confidence
    /// if it told one.
    pub(crate) fn round_trip(taxonomy: &Taxonomy, target: &Label, given: &Label, probability: Option<f64>) -> Self {
        let (wanted, read) = (taxonomy.describe(target), taxonomy.describe(given));
        let passed = target == given;
        let reason = if passed {
            format!("a second reading gives {wanted} too")
        } else {
            format!("written for {wanted}, but a second reading gives {read}")
        };
        Self { check: Check::RoundTrip, passed, reason, value: probability }
    }

    /// The trained classifier gives `target` this probability; it must reach [`Limits::classifier`].
    pub(crate) fn classifier(taxonomy: &Taxonomy, target: &Label, probability: f64, limits: &Limits) -> Self {
        let wanted = taxonomy.describe(target);
        Self {
            check: Check::Classifier,
            passed: probability >= limits.classifier,
            reason: format!(
                "the classifier gives {wanted} {} (at least {} wanted)",
                percent(probability),
                percent(limits.classifier)
            ),
            value: Some(probability),
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Where the gate draws its lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// From this Jaccard similarity of their words on, two sentences are near-duplicates; above 0, at most 1.
    pub near_duplicate: f64,
    /// So many words in a row may stand in real sentences too; more would pass on what a patient's note says.
    pub shared_words: usize,
    /// The quantile of real sentence lengths below which a sentence is too short.
    pub length_low: f64,
    /// The quantile above which it is too long.
    pub length_high: f64,
    /// The least probability that the classifier may give to the wanted label. Low, because a sentence that it is unsure
    /// of is worth more to it than one that it knows.
    pub classifier: f64,
    /// Checks that are left out, such as `label_echo` where a category's name is plain speech.
    pub skip: Vec<Check>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            near_duplicate: 0.8,
            shared_words: 7,
            length_low: 0.01,
            length_high: 0.99,
            classifier: 0.1,
            skip: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
