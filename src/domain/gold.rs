//! Gold, silver and bronze as types: one constructor for each provenance, so that none can be built as another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::corpus::{Origin, PatientKey, SentenceId};
use super::label::{Annotator, Label, RunId};

/// How several experts' labels become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// One expert is enough; where several differ the sentence is open.
    Any,
    /// More than half of those who decided.
    #[default]
    Majority,
    /// All who decided.
    Unanimous,
}

/// What the policy makes of the experts' labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Nobody has decided.
    Undecided,
    /// They agree as far as the policy asks.
    Gold(Label),
    /// They do not; adjudication is due.
    Disputed,
}

/// Settles one sentence from each expert's standing label.
///
/// `any` and `unanimous` agree on conflicts (never a silent pick); they differ from `majority` when a minority dissents.
pub fn settle<'a>(labels: impl IntoIterator<Item = &'a Label>, policy: Policy) -> Settled {
    let mut votes: BTreeMap<&Label, usize> = BTreeMap::new();
    let mut total = 0;
    for label in labels {
        *votes.entry(label).or_default() += 1;
        total += 1;
    }
    let Some((label, most)) = votes.iter().max_by_key(|(_, n)| **n) else {
        return Settled::Undecided;
    };
    let agreed = match policy {
        Policy::Any | Policy::Unanimous => votes.len() == 1,
        Policy::Majority => 2 * most > total,
    };
    if agreed { Settled::Gold((*label).clone()) } else { Settled::Disputed }
}

/// One expert's standing label on a sentence, as settlement takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Who.
    pub annotator: Annotator,
    /// What.
    pub label: Label,
    /// Whether no machine label could be seen.
    pub blind: bool,
}

/// An expert label on a real sentence, settled by the policy. The only thing that scores are made against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoldReal {
    sentence: SentenceId,
    patient: PatientKey,
    label: Label,
    blind: bool,
}

impl GoldReal {
    /// Settles the votes on a sentence. `None` where nobody decided, the votes are disputed, or the sentence is
    /// synthetic: a verdict on a synthetic sentence curates it, and is never gold.
    pub fn settle(
        sentence: SentenceId,
        patient: PatientKey,
        origin: Origin,
        votes: &[Vote],
        policy: Policy,
    ) -> Option<Self> {
        if origin != Origin::Real {
            return None;
        }
        match settle(votes.iter().map(|vote| &vote.label), policy) {
            Settled::Gold(label) => {
                // Blind only if nobody who stands behind this label had seen a suggestion.
                let blind = votes.iter().filter(|vote| vote.label == label).all(|vote| vote.blind);
                Some(Self { sentence, patient, label, blind })
            }
            Settled::Undecided | Settled::Disputed => None,
        }
    }

    /// The sentence.
    pub fn sentence(&self) -> SentenceId {
        self.sentence
    }

    /// Whose note it is.
    pub fn patient(&self) -> &PatientKey {
        &self.patient
    }

    /// The settled label.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// Whether it was decided without sight of a machine's label.
    pub fn blind(&self) -> bool {
        self.blind
    }
}

/// A language model's label on a real sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silver {
    sentence: SentenceId,
    patient: PatientKey,
    label: Label,
    run: RunId,
}

impl Silver {
    /// Takes a proposal on a real sentence; `None` for a synthetic one.
    pub fn propose(
        sentence: SentenceId,
        patient: PatientKey,
        origin: Origin,
        label: Label,
        run: RunId,
    ) -> Option<Self> {
        (origin == Origin::Real).then_some(Self { sentence, patient, label, run })
    }

    /// The sentence.
    pub fn sentence(&self) -> SentenceId {
        self.sentence
    }

    /// Whose note it is.
    pub fn patient(&self) -> &PatientKey {
        &self.patient
    }

    /// The label proposed.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// The run that proposed it.
    pub fn run(&self) -> &RunId {
        &self.run
    }
}

/// A sentence that a language model wrote for a label, perhaps edited and accepted by an expert since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bronze {
    sentence: SentenceId,
    label: Label,
    text: String,
    run: RunId,
}

impl Bronze {
    /// Takes a generated sentence with its target label, or an expert's corrected one; `None` for a real sentence.
    pub fn generate(sentence: SentenceId, origin: Origin, label: Label, text: String, run: RunId) -> Option<Self> {
        (origin == Origin::Synthetic).then_some(Self { sentence, label, text, run })
    }

    /// The sentence.
    pub fn sentence(&self) -> SentenceId {
        self.sentence
    }

    /// The label it stands for.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// Its text, as edited.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The run that wrote it.
    pub fn run(&self) -> &RunId {
        &self.run
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::taxonomy::CategoryKey;

    fn label(key: &str) -> Label {
        Label::parse(key).unwrap()
    }

    #[test]
    fn policies_settle() {
        use Policy::{Any, Majority, Unanimous};
        let cases: [(&[&str], Policy, Settled); 9] = [
            (&[], Any, Settled::Undecided),
            (&["a"], Any, Settled::Gold(label("a"))),
            (&["a", "b"], Any, Settled::Disputed),
            (&["a", "b"], Majority, Settled::Disputed),
            (&["a", "a", "b"], Majority, Settled::Gold(label("a"))),
            (&["a", "a", "b", "b"], Majority, Settled::Disputed),
            (&["a", "a", "b"], Unanimous, Settled::Disputed),
            (&["", ""], Unanimous, Settled::Gold(Label::none())),
            (&["a"], Majority, Settled::Gold(label("a"))),
        ];
        for (votes, policy, expected) in cases {
            let labels: Vec<Label> = votes.iter().map(|v| label(v)).collect();
            assert_eq!(settle(&labels, policy), expected, "{votes:?} under {policy:?}");
        }
    }

    #[test]
    fn a_verdict_on_a_synthetic_sentence_is_never_gold() {
        let vote = Vote { annotator: Annotator("a".into()), label: Label::none(), blind: true };
        let gold = |origin| {
            GoldReal::settle(SentenceId(1), PatientKey("p".into()), origin, std::slice::from_ref(&vote), Policy::Any)
        };
        assert!(gold(Origin::Real).is_some());
        assert!(gold(Origin::Synthetic).is_none());
    }

    #[test]
    fn silver_and_bronze_cannot_trade_places() {
        let key = CategoryKey::new("a").unwrap();
        let run = RunId("r".into());
        let silver = |origin| {
            Silver::propose(SentenceId(1), PatientKey("p".into()), origin, Label::of(key.clone()), run.clone())
        };
        let bronze = |origin| Bronze::generate(SentenceId(1), origin, Label::of(key.clone()), "t".into(), run.clone());
        assert!(silver(Origin::Real).is_some() && silver(Origin::Synthetic).is_none());
        assert!(bronze(Origin::Synthetic).is_some() && bronze(Origin::Real).is_none());
    }

    #[test]
    fn gold_is_blind_only_if_all_behind_it_were() {
        let vote = |blind, key: &str| Vote { annotator: Annotator("a".into()), label: label(key), blind };
        let blind = |votes: &[Vote]| {
            GoldReal::settle(SentenceId(1), PatientKey("p".into()), Origin::Real, votes, Policy::Majority)
                .unwrap()
                .blind()
        };
        assert!(blind(&[vote(true, "a"), vote(true, "a"), vote(false, "b")]));
        assert!(!blind(&[vote(true, "a"), vote(false, "a")]));
    }
}
