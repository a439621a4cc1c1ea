//! Gold, silver and bronze as types: one constructor for each provenance, so that none can be built as another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::corpus::{Origin, PatientKey, SentenceId};
use super::label::{Annotator, Label};
use super::label_set::LabelSet;
use super::metrics::TestSentence;
use super::sight::{Blindness, Cue, InSight};
use super::taxonomy::Taxonomy;

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

/// What goes to adjudication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdjudicationScope {
    /// What experts dispute.
    #[default]
    Disputed,
    /// And what one of them has flagged, whatever they say.
    Flagged,
    /// All that they have decided: gold is what adjudicators say.
    All,
}

/// When experts' labels are gold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoldRule {
    /// How several become one.
    pub policy: Policy,
    /// How many experts a sentence needs before a majority or unanimity counts; under `any`, one is enough.
    pub experts: usize,
    /// What is no gold before an adjudicator has spoken.
    pub adjudicate: AdjudicationScope,
}

impl Default for GoldRule {
    fn default() -> Self {
        Self { policy: Policy::default(), experts: 1, adjudicate: AdjudicationScope::default() }
    }
}

/// What the rule makes of the experts' labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GoldStatus {
    /// Nobody has decided.
    Undecided,
    /// Too few have decided as yet.
    Waiting,
    /// They agree as far as the policy asks, or an adjudicator has spoken.
    Gold(Label),
    /// They do not, or the rule asks for an adjudicator all the same: adjudication is due.
    Disputed,
}

/// One expert's current label on a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vote {
    pub annotator: Annotator,
    pub label: Label,
    /// What had been in sight; `None` where that is not known.
    pub in_sight: Option<InSight>,
    /// Whether the same expert decided otherwise at another site, neither knowing of the other.
    pub forked: bool,
}

/// What adjudicators say of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Their label; `None` where two of them contradict each other, neither knowing of the other.
    pub label: Option<Label>,
    /// What had been in sight; `None` where that is not known.
    pub in_sight: Option<InSight>,
}

/// All that people say of a sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HumanLabels {
    /// Each expert's label.
    pub votes: Vec<Vote>,
    /// Who has flagged it, with a label or without.
    pub flags: Vec<Annotator>,
    /// The adjudicators'.
    pub settlement: Option<Settlement>,
}

impl HumanLabels {
    /// Settles the sentence. An adjudicator overrides all; where experts differ beyond what the rule allows, or one contradicts
    /// themselves across sites, it is disputed, and never silently decided; so is what the rule keeps for adjudicators.
    pub(crate) fn settle(&self, rule: GoldRule) -> GoldStatus {
        if let Some(settlement) = &self.settlement {
            return settlement.label.clone().map_or(GoldStatus::Disputed, GoldStatus::Gold);
        }
        let flagged = !self.flags.is_empty() && rule.adjudicate != AdjudicationScope::Disputed;
        if flagged || self.votes.iter().any(|vote| vote.forked) {
            return GoldStatus::Disputed;
        }
        let mut counts: BTreeMap<&Label, usize> = BTreeMap::new();
        for vote in &self.votes {
            *counts.entry(&vote.label).or_default() += 1;
        }
        let Some((label, most)) = counts.iter().max_by_key(|(_, n)| **n) else {
            return GoldStatus::Undecided;
        };
        let all = self.votes.len() >= rule.experts;
        match rule.policy {
            Policy::Any | Policy::Unanimous if counts.len() > 1 => GoldStatus::Disputed,
            Policy::Unanimous | Policy::Majority if !all => GoldStatus::Waiting,
            Policy::Majority if 2 * most <= self.votes.len() => GoldStatus::Disputed,
            _ if rule.adjudicate == AdjudicationScope::All => GoldStatus::Disputed,
            _ => GoldStatus::Gold((*label).clone()),
        }
    }

    /// Whether gold of this label is blind: nobody who stands behind it had anything in sight. That an adjudicator sees the experts'
    /// labels is their office, and does not count.
    fn blindness(&self, label: &Label) -> Blindness {
        let votes = self.votes.iter().filter(|vote| vote.label == *label).map(|vote| vote.in_sight);
        let settlement =
            self.settlement.iter().map(|settlement| settlement.in_sight.map(|cues| cues.without(Cue::Colleague)));
        settlement.chain(votes).map(Blindness::of).max().unwrap_or(Blindness::Unknown)
    }
}

/// Why a sentence has no gold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotGold {
    /// It was written by a language model: what people say of it curates it.
    Synthetic,
    /// Nobody has decided, or too few.
    Open,
    /// Adjudication is due.
    Disputed,
    /// It is settled with a category that the taxonomy does not have.
    UnknownCategory,
}

/// An expert label on a real sentence, settled by the rule. The only thing that scores are made against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gold {
    sentence: SentenceId,
    patient: PatientKey,
    label: Label,
    set: LabelSet,
    blindness: Blindness,
}

impl Gold {
    /// Settles what people say of a sentence.
    ///
    /// # Errors
    /// Why it is no gold: it is synthetic, open or disputed, or its label names a category that the taxonomy does not have.
    pub(crate) fn settle(
        (sentence, patient, origin): (SentenceId, &PatientKey, Origin),
        labels: &HumanLabels,
        rule: GoldRule,
        taxonomy: &Taxonomy,
    ) -> Result<Self, NotGold> {
        if origin != Origin::Real {
            return Err(NotGold::Synthetic);
        }
        let label = match labels.settle(rule) {
            GoldStatus::Gold(label) => label,
            GoldStatus::Undecided | GoldStatus::Waiting => return Err(NotGold::Open),
            GoldStatus::Disputed => return Err(NotGold::Disputed),
        };
        let set = taxonomy.set(&label).ok_or(NotGold::UnknownCategory)?;
        Ok(Self { sentence, patient: patient.clone(), blindness: labels.blindness(&label), label, set })
    }

    /// The sentence.
    pub(crate) fn sentence(&self) -> SentenceId {
        self.sentence
    }

    /// Whose note it is.
    pub(crate) fn patient(&self) -> &PatientKey {
        &self.patient
    }

    /// The settled label.
    pub(crate) fn label(&self) -> &Label {
        &self.label
    }

    /// The settled label as the taxonomy's categories by position.
    pub(crate) fn set(&self) -> LabelSet {
        self.set
    }

    /// Whether it was decided with nothing in sight.
    pub(crate) fn blindness(&self) -> Blindness {
        self.blindness
    }

    /// The sentence as it is scored on; its patient is numbered by the caller.
    pub(crate) fn tested(&self, patient: u32) -> TestSentence {
        TestSentence { patient, gold: self.set, blindness: self.blindness }
    }
}

/// A language model's label on a real sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Silver {
    sentence: SentenceId,
    patient: PatientKey,
    label: Label,
}

impl Silver {
    /// Takes a proposal on a real sentence; `None` for a synthetic one.
    pub(crate) fn propose(sentence: SentenceId, patient: PatientKey, origin: Origin, label: Label) -> Option<Self> {
        (origin == Origin::Real).then_some(Self { sentence, patient, label })
    }

    /// The sentence.
    pub(crate) fn sentence(&self) -> SentenceId {
        self.sentence
    }

    /// Whose note it is.
    pub(crate) fn patient(&self) -> &PatientKey {
        &self.patient
    }

    /// The label proposed.
    pub(crate) fn label(&self) -> &Label {
        &self.label
    }
}

/// A sentence that a language model wrote for a label, perhaps edited and accepted by an expert since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bronze {
    sentence: SentenceId,
    label: Label,
    text: String,
}

impl Bronze {
    /// Takes a generated sentence with its target label, or an expert's corrected one; `None` for a real sentence.
    pub(crate) fn generate(sentence: SentenceId, origin: Origin, label: Label, text: String) -> Option<Self> {
        (origin == Origin::Synthetic).then_some(Self { sentence, label, text })
    }

    /// The sentence.
    pub(crate) fn sentence(&self) -> SentenceId {
        self.sentence
    }

    /// The label it stands for.
    pub(crate) fn label(&self) -> &Label {
        &self.label
    }

    /// Its text, as edited.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::category::CategoryKey;
    use crate::domain::taxonomy::Selection;
    use crate::domain::taxonomy::tests::small;

    fn label(key: &str) -> Label {
        Label::parse(key).unwrap()
    }

    fn vote(key: &str) -> Vote {
        Vote { annotator: Annotator("a".into()), label: label(key), in_sight: Some(InSight::NOTHING), forked: false }
    }

    fn case(votes: &[&str]) -> HumanLabels {
        HumanLabels { votes: votes.iter().map(|key| vote(key)).collect(), ..HumanLabels::default() }
    }

    fn settle(origin: Origin, labels: &HumanLabels) -> Result<Gold, NotGold> {
        let taxonomy = small(Selection::Multiple);
        Gold::settle((SentenceId(1), &PatientKey("p".into()), origin), labels, GoldRule::default(), &taxonomy)
    }

    #[test]
    fn policies_settle() {
        use Policy::{Any, Majority, Unanimous};
        let cases: [(&[&str], Policy, usize, GoldStatus); 15] = [
            (&[], Any, 1, GoldStatus::Undecided),
            (&["a"], Any, 1, GoldStatus::Gold(label("a"))),
            (&["a", "b"], Any, 1, GoldStatus::Disputed),
            (&["a", "b"], Majority, 1, GoldStatus::Disputed),
            (&["a", "a", "b"], Majority, 1, GoldStatus::Gold(label("a"))),
            (&["a", "a", "b", "b"], Majority, 1, GoldStatus::Disputed),
            (&["a", "a", "b"], Unanimous, 1, GoldStatus::Disputed),
            (&["", ""], Unanimous, 1, GoldStatus::Gold(Label::none())),
            (&["a"], Majority, 1, GoldStatus::Gold(label("a"))),
            // Several experts are asked for.
            (&["a"], Any, 3, GoldStatus::Gold(label("a"))),
            (&["a", "a"], Majority, 3, GoldStatus::Waiting),
            (&["a", "b"], Majority, 3, GoldStatus::Waiting),
            (&["a", "b", "a"], Majority, 3, GoldStatus::Gold(label("a"))),
            (&["a", "a"], Unanimous, 3, GoldStatus::Waiting),
            (&["a", "b"], Unanimous, 3, GoldStatus::Disputed),
        ];
        for (votes, policy, experts, expected) in cases {
            assert_eq!(
                case(votes).settle(GoldRule { policy, experts, ..GoldRule::default() }),
                expected,
                "{votes:?} under {policy:?} of {experts}"
            );
        }
    }

    #[test]
    fn an_adjudicator_overrides_all_but_not_another_one() {
        let rule = GoldRule { policy: Policy::Unanimous, experts: 2, adjudicate: AdjudicationScope::All };
        let ruled = |key: Option<&str>| HumanLabels {
            settlement: Some(Settlement { label: key.map(label), in_sight: Some(InSight::NOTHING) }),
            ..case(&["a", "b"])
        };
        assert_eq!(ruled(Some("c")).settle(rule), GoldStatus::Gold(label("c")));
        assert_eq!(ruled(None).settle(rule), GoldStatus::Disputed);
    }

    #[test]
    fn the_rule_says_what_waits_for_an_adjudicator() {
        use AdjudicationScope::{All, Disputed, Flagged};
        let gold = || GoldStatus::Gold(label("a"));
        let cases: [(&[&str], bool, AdjudicationScope, GoldStatus); 9] = [
            (&["a", "a"], false, Disputed, gold()),
            (&["a", "a"], true, Disputed, gold()),
            (&["a", "a"], false, Flagged, gold()),
            (&["a", "a"], true, Flagged, GoldStatus::Disputed),
            // Whoever flags without a label asks for help.
            (&[], true, Flagged, GoldStatus::Disputed),
            (&[], true, Disputed, GoldStatus::Undecided),
            (&["a", "a"], false, All, GoldStatus::Disputed),
            (&["a"], false, All, GoldStatus::Waiting),
            (&[], false, All, GoldStatus::Undecided),
        ];
        for (votes, flagged, adjudicate, expected) in cases {
            let flags = flagged.then(|| Annotator("a".into())).into_iter().collect();
            let case = HumanLabels { flags, ..case(votes) };
            let rule = GoldRule { policy: Policy::Majority, experts: 2, adjudicate };
            assert_eq!(case.settle(rule), expected, "{votes:?} {flagged} {adjudicate:?}");
            let settlement = Some(Settlement { label: Some(label("b")), in_sight: None });
            assert_eq!(HumanLabels { settlement, ..case }.settle(rule), GoldStatus::Gold(label("b")));
        }
    }

    /// Decided otherwise at two worklists that did not know of each other: whoever came last does not win.
    #[test]
    fn an_expert_who_contradicts_themselves_across_sites_is_disputed() {
        for policy in [Policy::Any, Policy::Majority, Policy::Unanimous] {
            let mut case = case(&["a", "a", "a"]);
            case.votes[2].forked = true;
            assert_eq!(case.settle(GoldRule { policy, ..GoldRule::default() }), GoldStatus::Disputed, "{policy:?}");
        }
    }

    #[test]
    fn a_verdict_on_a_synthetic_sentence_is_never_gold() {
        assert_eq!(settle(Origin::Real, &case(&[""])).map(|gold| gold.set()), Ok(LabelSet::NONE));
        assert_eq!(settle(Origin::Synthetic, &case(&[""])), Err(NotGold::Synthetic));
    }

    #[test]
    fn what_is_no_gold_says_why() {
        assert_eq!(settle(Origin::Real, &case(&[])), Err(NotGold::Open));
        assert_eq!(settle(Origin::Real, &case(&["memory", "mood"])), Err(NotGold::Disputed));
        assert_eq!(settle(Origin::Real, &case(&["strange"])), Err(NotGold::UnknownCategory));
        assert_eq!(settle(Origin::Real, &case(&["any"])), Err(NotGold::UnknownCategory));
        let gold = settle(Origin::Real, &case(&["mood"])).unwrap();
        assert_eq!((gold.label(), gold.set(), gold.patient().0.as_str()), (&label("mood"), LabelSet::of(1), "p"));
    }

    #[test]
    fn silver_and_bronze_cannot_trade_places() {
        let key = CategoryKey::new("a").unwrap();
        let silver = |origin| Silver::propose(SentenceId(1), PatientKey("p".into()), origin, Label::of(key.clone()));
        let bronze = |origin| Bronze::generate(SentenceId(1), origin, Label::of(key.clone()), "t".into());
        assert!(silver(Origin::Real).is_some() && silver(Origin::Synthetic).is_none());
        assert!(bronze(Origin::Synthetic).is_some() && bronze(Origin::Real).is_none());
    }

    #[test]
    fn gold_is_blind_only_if_all_behind_it_were() {
        use Blindness::{Blind, Seen, Unknown};
        let nothing = Some(InSight::NOTHING);
        let silver = Some(InSight::NOTHING.with(Cue::Machine));
        let others = Some(InSight::NOTHING.with(Cue::Colleague));
        let blindness = |votes: &[(Option<InSight>, &str)], settlement: Option<Option<InSight>>| {
            let votes = votes.iter().map(|(in_sight, key)| Vote { in_sight: *in_sight, ..vote(key) }).collect();
            let settlement = settlement.map(|in_sight| Settlement { label: Some(label("memory")), in_sight });
            let case = HumanLabels { votes, settlement, ..HumanLabels::default() };
            settle(Origin::Real, &case).unwrap().blindness()
        };
        assert_eq!(blindness(&[(nothing, "memory"), (nothing, "memory"), (silver, "mood")], None), Blind);
        assert_eq!(blindness(&[(nothing, "memory"), (silver, "memory")], None), Seen);
        assert_eq!(blindness(&[(nothing, "memory"), (others, "memory")], None), Seen, "a colleague sways too");
        assert_eq!(
            blindness(&[(nothing, "memory"), (None, "memory")], None),
            Unknown,
            "what is not known is not blind"
        );
        assert_eq!(blindness(&[(silver, "memory"), (None, "memory")], None), Seen);
        assert_eq!(blindness(&[(nothing, "memory"), (silver, "mood")], Some(nothing)), Blind);
        assert_eq!(
            blindness(&[(nothing, "memory"), (nothing, "mood")], Some(others)),
            Blind,
            "an adjudicator sees the experts"
        );
        assert_eq!(blindness(&[(nothing, "memory"), (nothing, "mood")], Some(silver)), Seen);
        assert_eq!(blindness(&[(nothing, "memory"), (nothing, "mood")], Some(None)), Unknown);
    }
}
