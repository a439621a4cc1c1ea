//! The label index: gold, silver and the classifier's labels in memory, brought up to date by what changed.
//!
//! Whatever learns, scores, shows or exports labels takes them from here, so that gold is settled in one place, once for each
//! change, and what is scored against it is put together in one place too ([`LabelIndex::pairs`]).

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::WorkflowError;
use super::project::Project;
use crate::domain::corpus::{Origin, PatientKey, SentenceId};
use crate::domain::experiment::Task;
use crate::domain::gold::{Gold, HumanLabels, NotGold, Silver, Vote};
use crate::domain::label::{Outcome, RunId, RunKind, Source};
use crate::domain::label_set::{Assigned, LabelSet};
use crate::domain::metrics::LabelPair;
use crate::domain::split::Split;
use crate::domain::taxonomy::Taxonomy;
use crate::domain::visibility::{Face, SentenceFacts, VisibleLabels};
use crate::store::{ReadMark, Store};

/// What people say of one sentence, and what that comes to.
struct PeoplesLabels {
    patient: u32,
    origin: Origin,
    labels: HumanLabels,
    gold: Result<Gold, NotGold>,
}

/// What a run says.
#[derive(Default)]
struct RunLabels {
    source: Option<Source>,
    /// It only says whether there is a category.
    binary: bool,
    /// It ran at another site and only a part of it is here; `None` until that is looked up.
    elsewhere: Option<bool>,
    /// Of each real sentence.
    labels: FxHashMap<SentenceId, RunLabel>,
}

#[derive(Clone, Copy)]
struct RunLabel {
    patient: u32,
    assigned: Assigned,
}

/// A patient by its number in the store; neither ever changes.
struct Patient {
    key: PatientKey,
    split: Split,
}

/// All labels of a project; see [`LabelIndex::refresh`].
#[derive(Default)]
pub struct LabelIndex {
    mark: ReadMark,
    sentences: FxHashMap<SentenceId, PeoplesLabels>,
    runs: BTreeMap<RunId, RunLabels>,
    patients: FxHashMap<u32, Patient>,
    synthetic: Vec<LabelSet>,
}

/// How much gold there is, by category.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct GoldCounts {
    /// Settled sentences.
    pub settled: usize,
    /// Sentences that experts dispute.
    pub disputed: usize,
    /// *None* first, then the categories.
    pub by_category: Vec<usize>,
}

/// A run's labels beside gold, in order of sentences.
pub(crate) struct RunPairs {
    /// Language model or classifier.
    pub source: Source,
    /// Each sentence that has both.
    pub pairs: Vec<(SentenceId, LabelPair)>,
}

impl LabelIndex {
    /// The index as the store is now.
    pub(crate) fn read(project: &Project, store: &Store) -> Result<Self, WorkflowError> {
        let mut index = Self::default();
        index.refresh(project, store)?;
        Ok(index)
    }

    /// Reads what has changed since the last time; says whether anything has.
    pub fn refresh(&mut self, project: &Project, store: &Store) -> Result<bool, WorkflowError> {
        let before = self.mark;
        let taxonomy = &project.taxonomy;
        let mut touched: Vec<SentenceId> = Vec::new();
        let (sentences, patients) = (&mut self.sentences, &self.patients);
        let mut unknown = false;
        let since = self.mark.event;
        self.mark.event = store.current_labels_since(since, |row| {
            unknown |= !patients.contains_key(&row.patient);
            let HumanLabels { votes, flags, .. } = &mut entry(sentences, row.sentence, row.patient, row.origin).labels;
            votes.retain(|vote| vote.annotator != row.annotator);
            flags.retain(|annotator| *annotator != row.annotator);
            if row.flagged {
                flags.push(row.annotator.clone());
            }
            if let Some(label) = row.label {
                votes.push(Vote { annotator: row.annotator, label, in_sight: row.in_sight, forked: row.forked });
            }
            touched.push(row.sentence);
        })?;
        // One that comes while this is read is read twice, never lost.
        store.settlements_since(since, |row| {
            unknown |= !patients.contains_key(&row.patient);
            entry(sentences, row.sentence, row.patient, row.origin).labels.settlement = row.settlement;
            touched.push(row.sentence);
        })?;
        let (runs, synthetic) = (&mut self.runs, &mut self.synthetic);
        self.mark.proposal = store.proposals_since(self.mark.proposal, |row| {
            let Some(assigned) = taxonomy.assigned(&row.label) else {
                return;
            };
            if row.origin == Origin::Synthetic {
                synthetic.extend(assigned.categories().filter(|_| row.source == Source::Llm));
                return;
            }
            unknown |= !patients.contains_key(&row.patient);
            let run = runs.entry(row.run).or_default();
            run.source = Some(row.source);
            run.binary |= assigned == Assigned::Any;
            run.labels.insert(row.sentence, RunLabel { patient: row.patient, assigned });
        })?;
        for (id, run) in self.runs.iter_mut().filter(|(_, run)| run.elsewhere.is_none()) {
            let stored = store.run(id)?;
            run.elsewhere = Some(stored.outcome == Outcome::Elsewhere);
            // One that has found no category yet is a binary run all the same.
            run.binary |= stored.kind == RunKind::Screen;
        }
        if unknown {
            let plan = &project.file.split;
            let keys = store.patient_keys()?.into_iter();
            self.patients = keys.map(|(number, key)| (number, Patient { split: plan.split(&key), key })).collect();
        }
        let rule = project.file.gold_rule();
        touched.sort_unstable();
        touched.dedup();
        for sentence in touched {
            if let Some(entry) = self.sentences.get_mut(&sentence)
                && let Some(Patient { key, .. }) = self.patients.get(&entry.patient)
            {
                entry.gold = Gold::settle((sentence, key, entry.origin), &entry.labels, rule, taxonomy);
            }
        }
        Ok(self.mark != before)
    }

    /// How far it has read.
    pub(crate) fn read_mark(&self) -> ReadMark {
        self.mark
    }

    /// The newest run of a source that named categories on real sentences; one of another site, of which only a part is here,
    /// if this site has none.
    pub fn latest(&self, source: Source) -> Option<&RunId> {
        self.newest(|run| run.source == Some(source) && !run.binary)
    }

    /// The newest run that only said whether there is a category; one of this site before others, likewise.
    pub(crate) fn latest_binary(&self) -> Option<&RunId> {
        self.newest(|run| run.binary)
    }

    fn newest(&self, fits: impl Fn(&RunLabels) -> bool) -> Option<&RunId> {
        let newest = |elsewhere| {
            let mut runs = self.runs.iter().rev();
            runs.find(|(_, run)| run.elsewhere == Some(elsewhere) && fits(run)).map(|(id, _)| id)
        };
        newest(false).or_else(|| newest(true))
    }

    /// Whether a run only said whether there is a category.
    pub(crate) fn is_binary(&self, run: &RunId) -> bool {
        self.runs.get(run).is_some_and(|run| run.binary)
    }

    /// A run's labels of real sentences.
    pub(crate) fn labels(&self, run: &RunId) -> FxHashMap<SentenceId, Assigned> {
        let labels = self.runs.get(run).into_iter().flat_map(|run| &run.labels);
        labels.map(|(id, label)| (*id, label.assigned)).collect()
    }

    /// A run's labels beside gold, as a task sees both; `None` for a run that is not known, or that did not name the categories
    /// that the task asks for. A language model stands beside all gold; a classifier beside that of test patients alone, since
    /// it was trained on the others'.
    pub(crate) fn pairs(&self, run: &RunId, task: Task) -> Option<RunPairs> {
        let run = self.runs.get(run).filter(|run| task == Task::Binary || !run.binary)?;
        let source = run.source?;
        let tested = |patient: &u32| self.patients.get(patient).is_some_and(|p| p.split == Split::Test);
        let pair = |(sentence, entry): (&SentenceId, &PeoplesLabels)| {
            let (gold, label) = (entry.gold.as_ref().ok()?, run.labels.get(sentence)?);
            let predicted = task.predicted(label.assigned)?;
            let held_out = source != Source::Classifier || tested(&entry.patient);
            held_out.then(|| (*sentence, task.sees(gold.tested(entry.patient)).with(predicted)))
        };
        let mut pairs: Vec<(SentenceId, LabelPair)> = self.sentences.iter().filter_map(pair).collect();
        pairs.sort_unstable_by_key(|(sentence, _)| *sentence);
        Some(RunPairs { source, pairs })
    }

    /// All gold, in order of sentences.
    pub(crate) fn gold(&self) -> Vec<&Gold> {
        let mut all: Vec<&Gold> = self.sentences.values().filter_map(|entry| entry.gold.as_ref().ok()).collect();
        all.sort_unstable_by_key(|gold| gold.sentence());
        all
    }

    /// The gold of a sentence, if it is settled.
    pub(crate) fn gold_of(&self, sentence: SentenceId) -> Option<&Gold> {
        self.sentences.get(&sentence)?.gold.as_ref().ok()
    }

    /// How much gold there is.
    pub(crate) fn gold_counts(&self, taxonomy: &Taxonomy) -> GoldCounts {
        let mut counts = GoldCounts { by_category: vec![0; taxonomy.categories().len() + 1], ..GoldCounts::default() };
        for entry in self.sentences.values() {
            match &entry.gold {
                Ok(gold) => {
                    counts.settled += 1;
                    count(gold.set(), &mut counts.by_category);
                }
                Err(NotGold::Disputed) => counts.disputed += 1,
                Err(NotGold::Synthetic | NotGold::Open | NotGold::UnknownCategory) => {}
            }
        }
        counts
    }

    /// Whether experts dispute a sentence.
    pub(crate) fn is_disputed(&self, sentence: SentenceId) -> bool {
        self.sentences.get(&sentence).is_some_and(|entry| entry.gold == Err(NotGold::Disputed))
    }

    /// How many synthetic sentences were written for *None* and each category.
    pub(crate) fn bronze_counts(&self, taxonomy: &Taxonomy) -> Vec<usize> {
        let mut counts = vec![0; taxonomy.categories().len() + 1];
        self.synthetic.iter().for_each(|set| count(*set, &mut counts));
        counts
    }

    /// Whether more than one annotator has labelled real sentences.
    pub(crate) fn has_several_annotators(&self) -> bool {
        let real = self.sentences.values().filter(|entry| entry.origin == Origin::Real);
        let mut names = real.flat_map(|entry| &entry.labels.votes).map(|vote| &vote.annotator);
        names.next().is_some_and(|first| names.any(|name| name != first))
    }

    /// What this annotator may see of a sentence at a face; of one that nobody has labelled, as if they had not decided.
    pub(crate) fn shown(&self, project: &Project, face: Face, id: SentenceId) -> VisibleLabels {
        let who = &project.annotator;
        let entry = self.sentences.get(&id);
        let split = entry.and_then(|e| Some(self.patients.get(&e.patient)?.split));
        let facts = SentenceFacts {
            sentence: id,
            origin: entry.map_or(Origin::Real, |entry| entry.origin),
            // Of a patient that is not known, as of one that is scored on.
            split: split.unwrap_or(Split::Test),
            decided: entry.is_some_and(|entry| entry.labels.votes.iter().any(|vote| vote.annotator == *who)),
        };
        project.viewer(face).shown(facts)
    }

    /// What annotators say of each real sentence, with its patient's number; in order of sentences.
    pub(crate) fn votes(&self) -> Vec<(SentenceId, u32, &[Vote])> {
        let decided = |entry: &PeoplesLabels| entry.origin == Origin::Real && !entry.labels.votes.is_empty();
        let real = self.sentences.iter().filter(|(_, entry)| decided(entry));
        let mut all: Vec<_> = real.map(|(id, entry)| (*id, entry.patient, entry.labels.votes.as_slice())).collect();
        all.sort_unstable_by_key(|(id, ..)| *id);
        all
    }

    /// All that people say of a sentence.
    pub(crate) fn human_labels(&self, sentence: SentenceId) -> Option<&HumanLabels> {
        self.sentences.get(&sentence).map(|entry| &entry.labels)
    }

    /// The sentences of real notes that nobody has decided, in order.
    pub(crate) fn undecided(&self, store: &Store) -> Result<Vec<SentenceId>, WorkflowError> {
        let (mut all, mut after) = (Vec::new(), SentenceId(0));
        loop {
            let ids = store.sentence_ids(Origin::Real, after, 4_000)?;
            let Some(last) = ids.last() else {
                return Ok(all);
            };
            after = *last;
            let decided = |id: &SentenceId| self.sentences.get(id).is_some_and(|entry| !entry.labels.votes.is_empty());
            all.extend(ids.into_iter().filter(|id| !decided(id)));
        }
    }

    /// Silver: what the newest run of a language model says of real sentences, in their order.
    pub(crate) fn silver(&self, taxonomy: &Taxonomy) -> Vec<Silver> {
        let run = self.latest(Source::Llm).and_then(|id| self.runs.get(id));
        let labels = run.into_iter().flat_map(|run| &run.labels);
        let silver = labels.filter_map(|(sentence, RunLabel { patient, assigned })| {
            let (patient, label) = (self.patients.get(patient)?.key.clone(), taxonomy.label(assigned.categories()?));
            Silver::propose(*sentence, patient, Origin::Real, label)
        });
        let mut all: Vec<Silver> = silver.collect();
        all.sort_unstable_by_key(Silver::sentence);
        all
    }
}

/// What is known of a sentence, or that nothing is.
fn entry(
    sentences: &mut FxHashMap<SentenceId, PeoplesLabels>,
    sentence: SentenceId,
    patient: u32,
    origin: Origin,
) -> &mut PeoplesLabels {
    let (labels, gold) = (HumanLabels::default(), Err(NotGold::Open));
    sentences.entry(sentence).or_insert_with(|| PeoplesLabels { patient, origin, labels, gold })
}

fn count(set: LabelSet, counts: &mut [usize]) {
    for (class, count) in counts.iter_mut().enumerate() {
        *count += usize::from(set.has_class(class));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::corpus::{DocumentUid, NewDocument};
    use crate::domain::entry::SentenceRef;
    use crate::domain::label::{Annotator, Decision, EntryId, Judgement, Label, NewProposal, Timestamp};
    use crate::domain::statistics::Bootstrap;
    use crate::domain::text::Span;
    use crate::factory;
    use crate::factory::run;
    use crate::workflow::project::init;
    use crate::workflow::scores::{score, score_in};

    /// Two patients with three sentences each.
    pub(crate) struct Study {
        _folder: tempfile::TempDir,
        pub project: Project,
        pub store: Store,
        pub sentences: Vec<SentenceId>,
        events: u32,
    }

    impl Study {
        pub(crate) fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().join("study");
            init(&root, "ad-signs").unwrap();
            let project = Project::read(&root, Some("ann")).unwrap();
            let mut store = project.store().unwrap();
            let mut sentences = Vec::new();
            for patient in ["p", "q"] {
                let notes = store.insert_documents(&[note(patient)], Origin::Real, &project.file.split).unwrap();
                sentences.extend((0..3).map(|i| SentenceId(notes[0].first_sentence().0 + i)));
            }
            Self { _folder: folder, project, store, sentences, events: 0 }
        }

        fn decision(&mut self, who: &str, at: usize, label: &str) -> Decision {
            self.events += 1;
            Decision {
                id: EntryId(format!("{:08}", self.events)),
                judgement: Judgement { label: Some(Label::parse(label).unwrap()), ..Judgement::default() },
                taxonomy: String::new(),
                ..factory::decision(who, self.sentences[at])
            }
        }

        pub(crate) fn decide(&mut self, who: &str, at: usize, label: &str) {
            let decision = self.decision(who, at, label);
            self.store.append_decisions(&[decision]).unwrap();
        }

        /// Labels of the sentences in their order.
        pub(crate) fn propose(&mut self, id: &str, kind: RunKind, labels: &[&str]) -> RunId {
            let run = run(id, kind);
            self.store.put_run(&run).unwrap();
            let labels = self.sentences.iter().zip(labels);
            let proposals: Vec<NewProposal> =
                labels.map(|(id, label)| NewProposal::bare(*id, Label::parse(label).unwrap())).collect();
            self.store.propose(&run.id, Source::Llm, &proposals).unwrap();
            run.id
        }

        fn index(&self) -> LabelIndex {
            LabelIndex::read(&self.project, &self.store).unwrap()
        }
    }

    fn note(patient: &str) -> NewDocument {
        NewDocument {
            text: "One. Two. Three.".into(),
            sentences: vec![Span::new(0, 4), Span::new(5, 9), Span::new(10, 16)],
            ..factory::empty_note(patient, patient)
        }
    }

    /// What has changed is settled anew, with its patient, and comes to what reading everything comes to.
    #[test]
    fn gold_follows_each_change_and_knows_its_patient() {
        let mut study = Study::new();
        let mut index = study.index();
        let mut follow = |study: &Study| -> Vec<String> {
            assert!(index.refresh(&study.project, &study.store).unwrap());
            assert!(!index.refresh(&study.project, &study.store).unwrap(), "and nothing since");
            let fresh = study.index();
            assert_eq!((index.gold(), index.votes()), (fresh.gold(), fresh.votes()));
            let taxonomy = &study.project.taxonomy;
            assert_eq!(index.gold_counts(taxonomy), fresh.gold_counts(taxonomy));
            let shown = |gold: &&Gold| format!("{} {}", gold.patient().0, gold.label().join());
            index.gold().iter().map(shown).collect()
        };
        study.decide("ann", 0, "coping_strategy");
        assert_eq!(follow(&study), ["p coping_strategy"]);
        study.decide("ann", 4, "");
        assert_eq!(follow(&study), ["p coping_strategy", "q "]);
        study.decide("bob", 0, "");
        assert_eq!(follow(&study), ["q "], "disputed");
        let settlement = study.decision("eve", 0, "requires_assistance");
        study.store.append_settlements(&[settlement]).unwrap();
        assert_eq!(follow(&study), ["p requires_assistance", "q "]);
        study.store.undo(&Annotator("ann".into()), EntryId("9".into()), Timestamp(0)).unwrap();
        assert_eq!(follow(&study), ["p requires_assistance"]);
        study.decide("bob", 5, "strange");
        assert_eq!(follow(&study), ["p requires_assistance"], "of no category here");
        study.propose("silver", RunKind::Label, &["coping_strategy", "", "strange"]);
        assert_eq!(follow(&study), ["p requires_assistance"]);
        let silver = study.index().silver(&study.project.taxonomy);
        let silver: Vec<(&str, String)> = silver.iter().map(|s| (s.patient().0.as_str(), s.label().join())).collect();
        assert_eq!(silver, [("p", "coping_strategy".into()), ("p", String::new())]);
    }

    /// Each of them against gold in what it can say, and both in whether any category applies.
    #[test]
    fn a_binary_run_is_scored_in_the_binary_task_alone() {
        let mut study = Study::new();
        for (at, label) in ["coping_strategy", "", "requires_assistance", ""].into_iter().enumerate() {
            study.decide("ann", at, label);
        }
        let silver = study.propose("1", RunKind::Label, &["requires_assistance", "", "requires_assistance", ""]);
        let binary = study.propose("2", RunKind::Screen, &["any", "", "", "any"]);
        let nothing = study.propose("3", RunKind::Screen, &["", ""]);
        let index = study.index();
        assert_eq!((index.latest(Source::Llm), index.latest_binary()), (Some(&silver), Some(&nothing)));
        let none = Bootstrap { resamples: 0, seed: 0 };
        let scored = |run| score(&study.project, &index, run, none).unwrap();
        let of = scored(&binary);
        assert_eq!((of.task, of.report.sentences, of.report.accuracy.value), (Task::Binary, 4, Some(0.5)));
        let counts = |row: &crate::domain::metrics::ScoreRow| (row.counts.tp, row.counts.fp, row.counts.fn_);
        assert_eq!((counts(&of.report.binary), counts(&of.report.categories[0])), ((1, 1, 1), (1, 1, 1)));
        assert_eq!((of.confusion.size, of.confusion.get(0, 1), of.confusion.get(1, 0)), (2, 1, 1));
        assert_eq!(of.cell(1, 0), [study.sentences[2]]);
        assert_eq!((scored(&nothing).task, scored(&nothing).report.accuracy.value), (Task::Binary, Some(0.5)));
        let of = scored(&silver);
        assert_eq!((of.task, of.report.accuracy.value), (Task::MultiClass, Some(0.75)));
        let task = |task, run| score_in(task, &study.project, &index, run, none);
        assert_eq!(task(Task::Binary, &silver).unwrap().report.accuracy.value, Some(1.0));
        assert!(task(Task::MultiClass, &binary).is_none() && task(Task::MultiClass, &nothing).is_none());
    }

    /// What was seen at another site is no run of this one, however new it is.
    #[test]
    fn a_run_of_another_site_stands_behind_those_of_this_one() {
        let Study { _folder, project, mut store, sentences, .. } = Study::new();
        let (sentence, note) = (sentences[0], note("p"));
        let uid = DocumentUid::of("p", "p", &note.text);
        let run = |id: &str| run(id, RunKind::Label);
        let proposal = NewProposal::bare(sentence, Label::none());
        let place = SentenceRef { document: uid, start: 0, end: 4 };
        store.merge(&[], &[(run("2"), vec![(place, Source::Llm, proposal.clone())])]).unwrap();
        let latest = |store: &Store| {
            let index = LabelIndex::read(&project, store).unwrap();
            index.latest(Source::Llm).map(|run| run.0.clone())
        };
        assert_eq!(latest(&store).as_deref(), Some("2"), "better than none");
        store.put_run(&run("1")).unwrap();
        store.propose(&RunId("1".into()), Source::Llm, &[proposal]).unwrap();
        assert_eq!(latest(&store).as_deref(), Some("1"));
        assert_eq!(store.run(&RunId("2".into())).unwrap().outcome, Outcome::Elsewhere);
    }
}
