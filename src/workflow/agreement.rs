//! How far the experts of a project agree: with each other, with silver, and with what they said before.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::WorkflowError;
use super::label_index::LabelIndex;
use super::project::Project;
use crate::domain::agreement::{
    Agreement, Anchoring, Rating, RepeatedJudgement, SelfAgreement, SilverDecision, agreement, confusions,
};
use crate::domain::corpus::SentenceId;
use crate::domain::gold::Vote;
use crate::domain::label::{Annotator, Decision, RunId, Source};
use crate::domain::label_set::Assigned;
use crate::domain::sight::InSight;
use crate::domain::statistics::Proportion;
use crate::domain::visibility::Face;
use crate::formats::tables::counted;
use crate::store::Store;

/// A decision on the same sentence is a second look, and no correction, after so many milliseconds: an hour.
const SECOND_LOOK: i64 = 3_600_000;

/// One expert beside the others, silver, and themselves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct AnnotatorAgreement {
    pub annotator: Annotator,
    /// Real sentences with a label of theirs.
    pub sentences: usize,
    /// Of the labels that others gave to these, how many are the same.
    pub others: Proportion,
    /// Of the newest silver labels of these, how many are the same.
    pub silver: Proportion,
    /// Beside their own earlier labels; `None` where they looked at nothing twice, or where that was not asked for.
    pub earlier: Option<SelfAgreement>,
}

/// Two categories that experts choose one for the other; see [`crate::domain::agreement::Confusable`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ConfusedPair {
    /// The one; 0 is *None*.
    pub one: usize,
    pub other: usize,
    /// How often two experts of a sentence differ in this.
    pub count: u64,
    /// Of all such differences.
    pub share: f64,
    /// The sentences, most disputed first.
    pub sentences: Vec<SentenceId>,
    /// Sentences left out of the list because whoever asks may not see their labels.
    pub withheld: usize,
}

/// What agreement cannot be measured on. A label that was given with a colleague's in sight does not confirm it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Independence {
    /// Pairs of labels of two experts on one sentence that are left out, since one was given with a colleague's in sight.
    pub pairs_left_out: u64,
    /// Pairs that are counted and of which it is not known whether a colleague's label had been in sight: imported, or decided by
    /// a version that did not record it.
    pub pairs_unknown: u64,
    /// Labels on sentences with silver that are left out of the pull, since it is not known whether silver had been in sight.
    pub pull_unknown: u64,
}

/// How far the experts agree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct AgreementReport {
    /// By name. Their places are the experts' numbers in the agreement.
    pub experts: Vec<AnnotatorAgreement>,
    /// The numbers.
    pub agreement: Agreement,
    /// What is confused most, first.
    pub confused: Vec<ConfusedPair>,
    /// The newest run of a language model, which agreement with silver is about.
    pub silver: Option<RunId>,
    /// Agreement with silver where it was seen against where it was not.
    pub anchoring: Anchoring,
    /// What was left out.
    pub independence: Independence,
}

impl AgreementReport {
    /// The name of an expert by number.
    pub(crate) fn name(&self, rater: usize) -> &str {
        self.experts.get(rater).map_or("?", |expert| expert.annotator.0.as_str())
    }
}

/// Measures it all. Labels of an expert who contradicts themselves across sites take no part: which one holds is not known. Nor do those that name a category of another guideline.
pub(crate) fn of(project: &Project, store: &Store, index: &LabelIndex) -> Result<AgreementReport, WorkflowError> {
    let mut report = from_index(project, index);
    let patients: FxHashMap<SentenceId, u32> =
        index.votes().into_iter().map(|(id, patient, _)| (id, patient)).collect();
    let (categories, selection) = (project.taxonomy.categories().len(), project.taxonomy.selection());
    let set = |decision: &Decision| project.taxonomy.set(decision.judgement.label.as_ref()?);
    let mut looks: BTreeMap<Annotator, Vec<RepeatedJudgement>> = BTreeMap::new();
    for (earlier, later) in looked_again(&store.all_decisions()?) {
        let labels = set(earlier).zip(set(later));
        let Some((patient, (earlier, now))) = patients.get(&later.sentence).zip(labels) else {
            continue;
        };
        let look = RepeatedJudgement { patient: *patient, earlier, later: now };
        looks.entry(later.annotator.clone()).or_default().push(look);
    }
    for expert in &mut report.experts {
        let looks = looks.get(&expert.annotator).map_or(&[][..], Vec::as_slice);
        expert.earlier = SelfAgreement::of(looks, categories, selection, project.file.bootstrap);
    }
    Ok(report)
}

/// What the index alone can say, without the log: for numbers that follow each decision.
pub(crate) fn from_index(project: &Project, index: &LabelIndex) -> AgreementReport {
    let votes = index.votes();
    let counts = &|vote: &Vote| if vote.forked { None } else { project.taxonomy.set(&vote.label) };
    let held = || {
        let all = votes.iter();
        all.map(|(id, patient, votes)| (*id, *patient, votes.iter().filter_map(|vote| Some((vote, counts(vote)?)))))
    };
    let names: BTreeSet<&Annotator> = held().flat_map(|(.., votes)| votes.map(|(vote, _)| &vote.annotator)).collect();
    let number: BTreeMap<&Annotator, usize> = names.iter().enumerate().map(|(at, name)| (*name, at)).collect();
    let silver = index.latest(Source::Llm).cloned();
    let proposed = silver.as_ref().map_or_else(FxHashMap::default, |run| index.labels(run));

    let (mut ratings, mut sights) = (Vec::new(), Vec::new());
    // Of each expert: sentences, those with silver, and silver's label.
    let mut counts = vec![(0, 0, 0); names.len()];
    let mut independence = Independence::default();
    for (item, (id, patient, votes)) in (0..).zip(held()) {
        let (mut all, mut independent, mut known) = (0u64, 0u64, 0u64);
        for (vote, label) in votes {
            let rater = number[&vote.annotator];
            let colleague = vote.in_sight.and_then(InSight::colleague);
            all += 1;
            if colleague != Some(true) {
                independent += 1;
                known += u64::from(colleague.is_some());
                ratings.push(Rating { item, patient, rater, label });
            }
            counts[rater].0 += 1;
            if let Some(silver) = proposed.get(&id) {
                let agrees = *silver == Assigned::Categories(label);
                match vote.in_sight.and_then(InSight::machine) {
                    Some(seen) => sights.push(SilverDecision { patient, seen, agrees }),
                    None => independence.pull_unknown += 1,
                }
                counts[rater].1 += 1;
                counts[rater].2 += u64::from(agrees);
            }
        }
        let pairs = |n: u64| n * n.saturating_sub(1) / 2;
        independence.pairs_left_out += pairs(all) - pairs(independent);
        independence.pairs_unknown += pairs(independent) - pairs(known);
    }
    let (categories, bootstrap) = (project.taxonomy.categories().len(), project.file.bootstrap);
    let agreement = agreement(&ratings, categories, project.taxonomy.selection(), bootstrap);
    let experts = names.iter().zip(counts).enumerate().map(|(rater, (name, (sentences, with_silver, same)))| {
        let (mut equal, mut beside) = (0.0, 0);
        for pair in agreement.pairs.iter().filter(|pair| pair.first == rater || pair.second == rater) {
            equal += (pair.raw.value().unwrap_or_default() * pair.items as f64).round();
            beside += pair.items as u64;
        }
        AnnotatorAgreement {
            annotator: (*name).clone(),
            sentences,
            others: Proportion::of(equal as u64, beside),
            silver: Proportion::of(same, with_silver),
            earlier: None,
        }
    });
    let confused = confusions(&ratings).into_iter().map(|pair| ConfusedPair {
        one: pair.one,
        other: pair.other,
        count: pair.count,
        share: pair.share,
        sentences: pair.items.iter().filter_map(|item| Some(votes.get(*item as usize)?.0)).collect(),
        withheld: 0,
    });
    AgreementReport {
        experts: experts.collect(),
        confused: confused.collect(),
        silver,
        anchoring: Anchoring::of(&sights, bootstrap),
        independence,
        agreement,
    }
}

impl AgreementReport {
    /// Leaves out of the lists what the annotator may not see at this face.
    pub(crate) fn withhold(&mut self, project: &Project, index: &LabelIndex, face: Face) {
        for pair in &mut self.confused {
            let all = pair.sentences.len();
            pair.sentences.retain(|id| index.shown(project, face, *id).colleagues);
            pair.withheld = all - pair.sentences.len();
        }
    }
}

impl Independence {
    /// In words; nothing where nothing is to be said.
    pub(crate) fn words(&self) -> Option<String> {
        let mut said = Vec::new();
        let pairs = |n: u64| format!("{} of labels", counted(n as usize, "pair"));
        if self.pairs_left_out > 0 {
            said.push(format!(
                "{} left out: one of the two had been given with a colleague's label in sight",
                pairs(self.pairs_left_out)
            ));
        }
        if self.pairs_unknown > 0 {
            said.push(format!(
                "of {} it is not known whether a colleague's label had been in sight",
                pairs(self.pairs_unknown)
            ));
        }
        (!said.is_empty()).then(|| said.join("; "))
    }
}

/// Decisions, each with the one that the same expert made on the same sentence before; handed in by expert, sentence and time.
fn looked_again(decisions: &[Decision]) -> Vec<(&Decision, &Decision)> {
    let mut decisions: Vec<&Decision> = decisions.iter().collect();
    // A comment or a flag put to what was decided is no look at the label.
    let marks = |d: &Decision| (d.judgement.flagged, d.judgement.comment.clone());
    decisions.dedup_by(|later, earlier| {
        let one = (&later.annotator, later.sentence) == (&earlier.annotator, earlier.sentence);
        one && later.judgement.label == earlier.judgement.label && marks(later) != marks(earlier)
    });
    let both = decisions.windows(2).map(|two| (two[0], two[1]));
    both.filter(|(earlier, later)| {
        (&earlier.annotator, earlier.sentence) == (&later.annotator, later.sentence)
            && later.at.0 - earlier.at.0 >= SECOND_LOOK
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agreement::AnchoringVerdict;
    use crate::domain::corpus::{NewDocument, Origin};
    use crate::domain::label::{EntryId, Judgement, Label, NewProposal, RunKind, Timestamp};
    use crate::domain::sight::Cue;
    use crate::domain::text::Span;
    use crate::factory;
    use crate::factory::run;
    use crate::workflow::project::init;

    const HOUR: i64 = 3_600_000;

    /// Eight patients with ten sentences each, silver *None* on all of them.
    struct Study {
        _folder: tempfile::TempDir,
        project: Project,
        store: Store,
        sentences: Vec<SentenceId>,
        events: i64,
    }

    impl Study {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            init(folder.path(), "ad-signs").unwrap();
            let project = Project::read(folder.path(), Some("ann")).unwrap();
            let mut store = project.store().unwrap();
            let mut sentences = Vec::new();
            let mut note = |patient: usize, origin| {
                let note = NewDocument {
                    text: "A word. ".repeat(10),
                    sentences: (0..10).map(|i| Span::new(8 * i, 8 * i + 7)).collect(),
                    ..factory::empty_note(&format!("patient {patient}"), &format!("{origin:?} {patient}"))
                };
                let first = store.insert_documents(&[note], origin, &project.file.split).unwrap()[0].first_sentence();
                sentences.extend((0..10).map(|i| SentenceId(first.0 + i)));
            };
            (0..8).for_each(|patient| note(patient, Origin::Real));
            note(8, Origin::Synthetic);
            let run = run("silver", RunKind::Label);
            store.put_run(&run).unwrap();
            let silver: Vec<NewProposal> =
                sentences[..80].iter().map(|id| NewProposal::bare(*id, Label::none())).collect();
            store.propose(&run.id, Source::Llm, &silver).unwrap();
            Self { _folder: folder, project, store, sentences, events: 0 }
        }

        fn judgement(&mut self, who: &str, sentence: usize, at: i64, seen: bool, judgement: Judgement) -> EntryId {
            self.events += 1;
            let decision = Decision {
                id: EntryId(format!("{:08}", self.events)),
                at: Timestamp(at),
                judgement,
                in_sight: Some(InSight::NOTHING.with_if(Cue::Machine, seen)),
                taxonomy: String::new(),
                ..factory::decision(who, self.sentences[sentence])
            };
            let id = decision.id.clone();
            self.store.append_decisions(&[decision]).unwrap();
            id
        }

        fn decide(&mut self, who: &str, sentence: usize, at: i64, seen: bool, label: &str) -> EntryId {
            let label = Some(Label::parse(label).unwrap());
            self.judgement(who, sentence, at, seen, Judgement { label, ..Judgement::default() })
        }

        fn report(&self) -> AgreementReport {
            let index = LabelIndex::read(&self.project, &self.store).unwrap();
            of(&self.project, &self.store, &index).unwrap()
        }
    }

    #[test]
    fn what_experts_decided_is_measured_and_synthetic_sentences_are_not() {
        let mut study = Study::new();
        for i in 0..80 {
            study.decide("ann", i, 0, false, if i % 2 == 0 { "" } else { "coping_strategy" });
        }
        for i in 0..20 {
            study.decide("bob", i, 0, false, if i % 2 == 0 || i == 3 { "" } else { "coping_strategy" });
        }
        study.decide("bob", 85, 0, false, "coping_strategy");
        study.decide("ann", 85, 0, false, "");
        let report = study.report();
        let agreement = &report.agreement;
        assert_eq!((agreement.items, agreement.alone, agreement.patients, agreement.raters), (20, 60, 2, 2));
        assert_eq!(agreement.raw.value(), Some(0.95));
        assert_eq!(agreement.pairs[0].kappa.value(), Some(0.9));
        assert_eq!((report.name(0), report.name(1)), ("ann", "bob"));
        let [ann, bob] = &report.experts[..] else { panic!("{:?}", report.experts) };
        assert_eq!((ann.sentences, ann.others.part, ann.others.whole), (80, 19, 20));
        assert_eq!((ann.silver.part, ann.silver.whole), (40, 80));
        assert_eq!((bob.sentences, bob.silver.part, &bob.earlier), (20, 11, &None));
        let [confused] = &report.confused[..] else { panic!("{:?}", report.confused) };
        let coping = study.project.taxonomy.categories().iter().position(|c| c.key.as_str() == "coping_strategy");
        assert_eq!((confused.one, confused.other, confused.count), (0, coping.unwrap() + 1, 1));
        assert_eq!(confused.sentences, [study.sentences[3]]);
        assert_eq!(report.silver, Some(RunId("silver".into())));
        assert_eq!(report.anchoring.pull(), AnchoringVerdict::Unknown);
    }

    #[test]
    fn silver_in_sight_pulls() {
        let mut study = Study::new();
        for i in 0..80 {
            let seen = i % 2 == 0;
            study.decide("ann", i, 0, seen, if seen || i % 3 == 0 { "" } else { "coping_strategy" });
        }
        let anchoring = study.report().anchoring;
        assert_eq!((anchoring.seen.part, anchoring.seen.whole, anchoring.hidden.whole), (40, 40, 40));
        assert_eq!(anchoring.pull(), AnchoringVerdict::Pulled, "{}", anchoring.sentence());
    }

    #[test]
    fn a_second_look_is_no_correction_no_mark_and_nothing_withdrawn() {
        let mut study = Study::new();
        // Looked at again after a day: once the same, once not.
        study.decide("ann", 0, 0, false, "");
        study.decide("ann", 0, 24 * HOUR, false, "");
        study.decide("ann", 1, 0, false, "");
        study.decide("ann", 1, 24 * HOUR, false, "coping_strategy");
        // Corrected a minute later.
        study.decide("ann", 2, 0, false, "");
        study.decide("ann", 2, HOUR / 60, false, "coping_strategy");
        // Flagged a day later.
        study.decide("ann", 3, 0, false, "");
        let flagged = Judgement { label: Some(Label::none()), flagged: true, ..Judgement::default() };
        study.judgement("ann", 3, 24 * HOUR, false, flagged);
        // Withdrawn.
        study.decide("ann", 4, 0, false, "");
        let target = study.decide("ann", 4, 24 * HOUR, false, "coping_strategy");
        let undone = study.store.undo(&Annotator("ann".into()), EntryId("99999999".into()), Timestamp(25 * HOUR));
        assert_eq!(undone.unwrap().map(|undone| undone.target), Some(target));
        // Another's.
        study.decide("bob", 5, 0, false, "");
        study.decide("ann", 5, 24 * HOUR, false, "coping_strategy");
        let report = study.report();
        let earlier = report.experts[0].earlier.as_ref().unwrap();
        assert_eq!((earlier.items, earlier.raw.value(), &report.experts[1].earlier), (2, Some(0.5), &None));
    }

    #[test]
    fn without_decisions_nothing_is_said() {
        let report = Study::new().report();
        assert_eq!((report.experts.len(), report.agreement.items), (0, 0));
        assert!(report.agreement.alpha.undefined.is_some() && report.confused.is_empty());
    }
}
