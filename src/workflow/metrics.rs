//! The board behind the metrics: gold, silver and the classifier's labels in memory, brought up to date by what changed.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::WorkflowError;
use super::project::Project;
use crate::domain::corpus::{Origin, PatientKey, SentenceId};
use crate::domain::gold::{GoldReal, GoldRule, GoldStatus, HumanLabels, Vote};
use crate::domain::label::{Label, Outcome, RunId, Source};
use crate::domain::metrics::{Confusion, Pair, Report, confused, report};
use crate::domain::sight::Blindness;
use crate::domain::split::Split;
use crate::domain::statistics::Bootstrap;
use crate::domain::taxonomy::{Selection, Taxonomy};
use crate::domain::visibility::{Face, Facts, Shown};
use crate::store::{ReadMark, Store};

/// One sentence's gold as the board holds it.
struct SettledSentence {
    patient: u32,
    origin: Origin,
    case: HumanLabels,
    settled: Option<(u64, Blindness)>,
}

/// Stands for the label of a binary run: some category, which one is not said. No run has both kinds of label.
const ANY: u64 = 1 << 63;

/// What a run proposed.
#[derive(Default)]
struct RunLabels {
    source: Option<Source>,
    /// It only says whether there is a category.
    binary: bool,
    /// It ran at another site and only a part of it is here; `None` until that is looked up.
    elsewhere: Option<bool>,
    /// Each sentence's patient and label.
    labels: FxHashMap<SentenceId, (u32, u64)>,
}

/// A patient by its number in the store; neither ever changes.
struct Patient {
    key: PatientKey,
    split: Split,
}

/// Everything that scores are made of; see [`Board::refresh`].
#[derive(Default)]
pub struct Board {
    mark: ReadMark,
    gold: FxHashMap<SentenceId, SettledSentence>,
    runs: BTreeMap<RunId, RunLabels>,
    patients: FxHashMap<u32, Patient>,
    synthetic: Vec<(SentenceId, u64)>,
}

/// A labeller's scores against gold, with the sentences behind them.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Language model or classifier.
    pub source: Source,
    /// The run scored.
    pub run: RunId,
    /// The numbers.
    pub report: Report,
    /// Gold against proposed.
    pub confusion: Confusion,
    /// Sentence, gold and proposed of each pair, in order of sentences.
    pub pairs: Vec<(SentenceId, u64, u64)>,
}

impl Scored {
    /// The sentences behind a cell of the confusion matrix.
    pub fn cell(&self, gold: usize, proposed: usize) -> Vec<SentenceId> {
        self.pairs
            .iter()
            .filter(|(_, g, p)| confused(*g, *p).contains(&(gold, proposed)))
            .map(|(id, _, _)| *id)
            .collect()
    }
}

/// How much gold there is, by category.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GoldCounts {
    /// Settled sentences.
    pub settled: usize,
    /// Sentences that experts dispute.
    pub disputed: usize,
    /// *None* first, then the categories.
    pub by_category: Vec<usize>,
}

impl Board {
    /// Reads what has changed since the last time; says whether anything has.
    pub fn refresh(&mut self, project: &Project, store: &Store) -> Result<bool, WorkflowError> {
        let before = self.mark;
        let (taxonomy, rule) = (&project.taxonomy, project.file.rule());
        let mut touched: Vec<SentenceId> = Vec::new();
        let (gold, patients) = (&mut self.gold, &self.patients);
        let mut unknown = false;
        let since = self.mark.event;
        self.mark.event = store.gold_since(since, |row| {
            unknown |= !patients.contains_key(&row.patient);
            let HumanLabels { votes, flags, .. } = &mut entry(gold, row.sentence, row.patient, row.origin).case;
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
        store.settled_since(since, |row| {
            unknown |= !patients.contains_key(&row.patient);
            entry(gold, row.sentence, row.patient, row.origin).case.ruling = row.ruling;
            touched.push(row.sentence);
        })?;
        for sentence in touched {
            if let Some(entry) = gold.get_mut(&sentence) {
                let patient = PatientKey(String::new());
                entry.settled = GoldReal::settle(sentence, patient, entry.origin, &entry.case, rule)
                    .filter(|gold| taxonomy.knows(gold.label()))
                    .map(|gold| (taxonomy.bits(gold.label()), gold.blindness()));
            }
        }
        let (runs, synthetic) = (&mut self.runs, &mut self.synthetic);
        self.mark.proposal = store.proposals_since(self.mark.proposal, |row| {
            let any = row.label.is_any();
            if !any && !taxonomy.knows(&row.label) {
                return;
            }
            let bits = if any { ANY } else { taxonomy.bits(&row.label) };
            if row.origin == Origin::Synthetic {
                if row.source == Source::Llm {
                    synthetic.push((row.sentence, bits));
                }
                return;
            }
            unknown |= !patients.contains_key(&row.patient);
            let run = runs.entry(row.run).or_default();
            run.source = Some(row.source);
            run.binary |= any;
            run.labels.insert(row.sentence, (row.patient, bits));
        })?;
        for (id, run) in self.runs.iter_mut().filter(|(_, run)| run.elsewhere.is_none()) {
            run.elsewhere = Some(store.run(id)?.outcome == Outcome::Elsewhere);
        }
        if unknown {
            let plan = &project.file.split;
            let keys = store.patient_keys()?.into_iter();
            self.patients = keys.map(|(number, key)| (number, Patient { split: plan.split(&key), key })).collect();
        }
        Ok(self.mark != before)
    }

    /// The newest run of a source that named categories on real sentences; one of another site, of which only a part is here,
    /// if this site has none.
    pub fn latest(&self, source: Source) -> Option<&RunId> {
        let newest = |elsewhere| {
            let fits = |run: &RunLabels| run.source == Some(source) && !run.binary && run.elsewhere == Some(elsewhere);
            self.runs.iter().rev().find(|(_, run)| fits(run)).map(|(id, _)| id)
        };
        newest(false).or_else(|| newest(true))
    }

    /// The newest run that only said whether there is a category.
    pub fn latest_binary(&self) -> Option<&RunId> {
        self.runs.iter().rev().find(|(_, run)| run.binary).map(|(id, _)| id)
    }

    /// Scores a run in the binary task alone: one category, which is that there is any.
    pub fn score_binary(&self, run: &RunId, bootstrap: Bootstrap) -> Option<Report> {
        let proposed = self.runs.get(run)?;
        let pairs: Vec<Pair> = self
            .gold
            .iter()
            .filter_map(|(sentence, entry)| {
                let ((gold, blindness), (_, predicted)) = (entry.settled?, *proposed.labels.get(sentence)?);
                let any = |bits| u64::from(bits != 0);
                Some(Pair { patient: entry.patient, gold: any(gold), predicted: any(predicted), blindness })
            })
            .collect();
        Some(report(&pairs, 1, true, bootstrap))
    }

    /// A run's labels on real sentences, as bits.
    pub fn labels(&self, run: &RunId) -> FxHashMap<SentenceId, u64> {
        let labels = self.runs.get(run).into_iter().flat_map(|run| &run.labels);
        labels.map(|(id, (_, bits))| (*id, *bits)).collect()
    }

    /// The label of bits of [`Board::labels`].
    pub fn label_of(&self, taxonomy: &Taxonomy, bits: u64) -> Label {
        if bits == ANY { Label::binary(true) } else { taxonomy.label(bits) }
    }

    /// Scores a run against gold. A language model is scored on all gold; a classifier on the gold of test patients alone,
    /// since it was trained on the others'.
    pub fn score(&self, project: &Project, run: &RunId, bootstrap: Bootstrap) -> Option<Scored> {
        let proposed = self.runs.get(run).filter(|run| !run.binary)?;
        let source = proposed.source?;
        let tested = |patient: &u32| self.patients.get(patient).is_some_and(|p| p.split == Split::Test);
        let mut rows: Vec<(SentenceId, Pair)> = self
            .gold
            .iter()
            .filter_map(|(sentence, entry)| {
                let (gold, blindness) = entry.settled?;
                let (_, predicted) = *proposed.labels.get(sentence)?;
                let held_out = source != Source::Classifier || tested(&entry.patient);
                held_out.then_some((*sentence, Pair { patient: entry.patient, gold, predicted, blindness }))
            })
            .collect();
        rows.sort_unstable_by_key(|(sentence, _)| *sentence);
        let pairs: Vec<Pair> = rows.iter().map(|(_, pair)| *pair).collect();
        let categories = project.taxonomy.categories().len();
        let multi_class = project.taxonomy.selection() == Selection::Single;
        Some(Scored {
            source,
            run: run.clone(),
            report: report(&pairs, categories, multi_class, bootstrap),
            confusion: Confusion::of(&pairs, categories),
            pairs: rows.into_iter().map(|(id, pair)| (id, pair.gold, pair.predicted)).collect(),
        })
    }

    /// How much gold there is.
    pub fn gold_counts(&self, taxonomy: &Taxonomy, rule: GoldRule) -> GoldCounts {
        let mut counts = GoldCounts { by_category: vec![0; taxonomy.categories().len() + 1], ..GoldCounts::default() };
        for entry in self.gold.values().filter(|entry| entry.origin == Origin::Real) {
            match entry.settled {
                Some((bits, _)) => {
                    counts.settled += 1;
                    count_bits(bits, &mut counts.by_category);
                }
                None if entry.case.settle(rule) == GoldStatus::Disputed => counts.disputed += 1,
                None => {}
            }
        }
        counts
    }

    /// Whether experts dispute a sentence.
    pub fn is_disputed(&self, sentence: SentenceId, rule: GoldRule) -> bool {
        self.gold.get(&sentence).is_some_and(|entry| entry.case.settle(rule) == GoldStatus::Disputed)
    }

    /// How many synthetic sentences were written for *None* and each category.
    pub fn bronze_counts(&self, taxonomy: &Taxonomy) -> Vec<usize> {
        let mut counts = vec![0; taxonomy.categories().len() + 1];
        self.synthetic.iter().for_each(|(_, bits)| count_bits(*bits, &mut counts));
        counts
    }

    /// How far the board has read.
    pub fn mark(&self) -> ReadMark {
        self.mark
    }

    /// Whether more than one expert has labelled real sentences.
    pub fn several(&self) -> bool {
        let real = self.gold.values().filter(|entry| entry.origin == Origin::Real);
        let mut names = real.flat_map(|entry| &entry.case.votes).map(|vote| &vote.annotator);
        names.next().is_some_and(|first| names.any(|name| name != first))
    }

    /// What this annotator may see of a sentence at a face; of one that nobody has labelled, as if they had not decided.
    pub fn shown(&self, project: &Project, face: Face, id: SentenceId) -> Shown {
        let who = &project.annotator;
        let entry = self.gold.get(&id);
        let split = entry.and_then(|e| Some(self.patients.get(&e.patient)?.split));
        let facts = Facts {
            sentence: id,
            origin: entry.map_or(Origin::Real, |entry| entry.origin),
            // Of a patient that is not known, as of one that is scored on.
            split: split.unwrap_or(Split::Test),
            decided: entry.is_some_and(|entry| entry.case.votes.iter().any(|vote| vote.annotator == *who)),
        };
        project.viewer(face).shown(facts)
    }

    /// What experts say of each real sentence, with its patient's number; in order of sentences.
    pub fn votes(&self) -> Vec<(SentenceId, u32, &[Vote])> {
        let real = self.gold.iter().filter(|(_, entry)| entry.origin == Origin::Real && !entry.case.votes.is_empty());
        let mut all: Vec<_> = real.map(|(id, entry)| (*id, entry.patient, entry.case.votes.as_slice())).collect();
        all.sort_unstable_by_key(|(id, ..)| *id);
        all
    }

    /// All that people say of a sentence.
    pub fn case(&self, sentence: SentenceId) -> Option<&HumanLabels> {
        self.gold.get(&sentence).map(|entry| &entry.case)
    }

    /// Settled gold as the domain's type, for training and testing.
    pub fn gold(&self, project: &Project) -> Vec<GoldReal> {
        let mut all: Vec<GoldReal> = self
            .gold
            .iter()
            .filter_map(|(sentence, entry)| {
                let patient = self.patients.get(&entry.patient)?.key.clone();
                entry.settled?;
                GoldReal::settle(*sentence, patient, entry.origin, &entry.case, project.file.rule())
            })
            .collect();
        all.sort_unstable_by_key(GoldReal::sentence);
        all
    }

    /// The sentences of real notes that nobody has decided, in order.
    pub fn open(&self, store: &Store) -> Result<Vec<SentenceId>, WorkflowError> {
        let (mut all, mut after) = (Vec::new(), SentenceId(0));
        loop {
            let ids = store.sentence_ids(Origin::Real, after, 4_000)?;
            let Some(last) = ids.last() else {
                return Ok(all);
            };
            after = *last;
            all.extend(ids.into_iter().filter(|id| self.gold.get(id).is_none_or(|entry| entry.case.votes.is_empty())));
        }
    }

    /// A run's labels on real sentences with their patients, for training; ascending.
    pub fn proposed(&self, run: &RunId, taxonomy: &Taxonomy) -> Vec<(SentenceId, PatientKey, Label)> {
        let labels = self.runs.get(run).into_iter().flat_map(|run| &run.labels);
        let mut all: Vec<(SentenceId, PatientKey, Label)> = labels
            .filter_map(|(id, (patient, bits))| {
                Some((*id, self.patients.get(patient)?.key.clone(), taxonomy.label(*bits)))
            })
            .collect();
        all.sort_unstable_by_key(|(id, ..)| *id);
        all
    }
}

/// What is known of a sentence, or that nothing is.
fn entry(
    gold: &mut FxHashMap<SentenceId, SettledSentence>,
    sentence: SentenceId,
    patient: u32,
    origin: Origin,
) -> &mut SettledSentence {
    gold.entry(sentence).or_insert_with(|| SettledSentence {
        patient,
        origin,
        case: HumanLabels::default(),
        settled: None,
    })
}

fn count_bits(bits: u64, counts: &mut [usize]) {
    if bits == 0 {
        counts[0] += 1;
    }
    for (i, count) in counts.iter_mut().skip(1).enumerate() {
        *count += (bits >> i & 1) as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::corpus::{DocumentUid, NewDocument};
    use crate::domain::label::tests::run;
    use crate::domain::label::{NewProposal, RunKind};
    use crate::domain::record::SentenceRef;
    use crate::domain::text::Span;
    use crate::workflow::project::init;

    /// What was seen at another site is no run of this one, however new it is.
    #[test]
    fn a_run_of_another_site_stands_behind_those_of_this_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("study");
        init(&root, "ad-signs").unwrap();
        let project = Project::read(&root, Some("ann")).unwrap();
        let mut store = project.store().unwrap();
        let note = NewDocument {
            patient: PatientKey("p".into()),
            external_id: "1".into(),
            title: String::new(),
            kind: String::new(),
            date: String::new(),
            source: "test".into(),
            text: "She forgets.".into(),
            sentences: vec![Span { start: 0, end: 12 }],
        };
        let uid = DocumentUid::of("p", "1", &note.text);
        let sentence = store.insert_documents(&[note], Origin::Real, &project.file.split).unwrap()[0].first_sentence();
        let run = |id: &str| run(id, RunKind::Label);
        let proposal = NewProposal::bare(sentence, Label::none());
        let place = SentenceRef { document: uid, start: 0, end: 12 };
        store.merge(&[], &[(run("2"), vec![(place, Source::Llm, proposal.clone())])]).unwrap();
        let latest = |store: &Store| {
            let mut board = Board::default();
            board.refresh(&project, store).unwrap();
            board.latest(Source::Llm).map(|run| run.0.clone())
        };
        assert_eq!(latest(&store).as_deref(), Some("2"), "better than none");
        store.put_run(&run("1")).unwrap();
        store.propose(&RunId("1".into()), Source::Llm, &[proposal]).unwrap();
        assert_eq!(latest(&store).as_deref(), Some("1"));
        assert_eq!(store.run(&RunId("2".into())).unwrap().outcome, Outcome::Elsewhere);
    }
}
