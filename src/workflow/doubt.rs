//! Where labels may be wrong: each gold label, and each of the language model's on sentences that nobody has decided,
//! beside what a classifier says that has not seen it.
//!
//! All gold is shared out by patient; each part is predicted by a model of the others, and what has no gold by a model of
//! all. Patients of the test split take part like any other. That is no leak: these models are thrown away, never scored,
//! and what they say enters no training set. All that comes of it is a queue for experts, whose decisions say that they had
//! seen a machine's label.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::label_index::LabelIndex;
use super::project::Project;
use super::train;
use super::{Cancel, Progress, Watch, WorkflowError, encoders, new_run_id, now};
use crate::classifier::{Example, Trainer};
use crate::domain::confident::{self, Doubt, Suspect};
use crate::domain::corpus::{PatientKey, SentenceId};
use crate::domain::gold::Gold;
use crate::domain::label::{Label, Outcome, Run, RunKind, Source};
use crate::domain::split::{Split, SplitPlan, Tier, fold};
use crate::domain::taxonomy::Selection;
use crate::domain::taxonomy::Taxonomy;
use crate::domain::visibility::Face;
use crate::store::Store;
use crate::workflow::refusal::Refusal;
use crate::workflow::session::Session;

/// How to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DoubtOptions {
    /// So many parts, each predicted by a model of the others.
    pub folds: usize,
    /// Shares the patients out, and is the seed of everything else random.
    pub seed: u64,
}

/// How many labels of a tier were looked at, and how many are in doubt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Looked {
    /// Labels looked at.
    pub labels: usize,
    /// Labels in doubt.
    pub doubted: usize,
}

/// What a search came to; a run's scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Labels in doubt.
    pub doubted: usize,
    /// Experts' labels.
    pub gold: Looked,
    /// The language model's labels on sentences that no expert has settled.
    pub silver: Looked,
}

/// A search and what it found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub run: Run,
    /// In numbers.
    pub summary: Summary,
    /// Worst first.
    pub doubts: Vec<Doubt>,
}

/// Leaves out what whoever asks may not know yet; returns how many.
pub(crate) fn withhold(project: &Project, store: &Store, found: &mut Found) -> Result<usize, WorkflowError> {
    let viewer = project.viewer(Face::Report);
    let all = found.doubts.len();
    let mut kept = Vec::with_capacity(all);
    for doubt in std::mem::take(&mut found.doubts) {
        let shown = viewer.shown(store.facts(doubt.sentence, &project.annotator)?);
        if shown.machines && (doubt.tier != Tier::Gold || shown.colleagues) {
            kept.push(doubt);
        }
    }
    found.doubts = kept;
    Ok(all - found.doubts.len())
}

/// A sentence with a label to look at.
struct Asked {
    patient: PatientKey,
    gold: Option<Label>,
    silver: Option<Label>,
}

/// Looks for labels that may be wrong, and keeps what it finds as a run. Stopped half-way it leaves nothing behind and gives
/// `None`: a part of the probabilities says nothing.
pub(crate) fn search(session: Session<'_>, options: &DoubtOptions) -> Result<Option<Found>, WorkflowError> {
    let Session { project, store, cancel, progress: watch } = session;
    let _span = tracing::info_span!("doubt").entered();
    let started = now();
    let index = LabelIndex::read(project, store)?;
    let taxonomy = &project.taxonomy;
    let gold = index.gold();
    let silver_run = index.latest(Source::Llm).cloned();
    let mut asked: BTreeMap<SentenceId, Asked> = BTreeMap::new();
    for gold in &gold {
        let (patient, label) = (gold.patient().clone(), Some(gold.label().clone()));
        asked.insert(gold.sentence(), Asked { patient, gold: label, silver: None });
    }
    for silver in index.silver(taxonomy) {
        let patient = silver.patient().clone();
        let entry = asked.entry(silver.sentence()).or_insert_with(|| Asked { patient, gold: None, silver: None });
        entry.silver = Some(silver.label().clone());
    }
    let settings = &project.file.train;
    let learner = train::learner(project, settings)?;
    let work = CrossValidation { project, learner: &learner, gold: &gold, asked: &asked, options };
    let Some((models, data)) = work.predict(store, cancel, watch)? else {
        return Ok(None);
    };
    let of = |tier: Tier| suspects(taxonomy, &asked, &models, tier);
    let (gold_labels, mut doubts) = of(Tier::Gold);
    let mut summary = Summary { gold: Looked { labels: gold_labels, doubted: doubts.len() }, ..Summary::default() };
    // Where experts have settled a sentence, nothing is learnt from its silver, and nobody need look at it again.
    let (_, silver) = of(Tier::Silver);
    doubts.extend(silver.into_iter().filter(|doubt| asked[&doubt.sentence].gold.is_none()));
    doubts.sort_by(|a, b| a.self_confidence.total_cmp(&b.self_confidence).then(a.sentence.cmp(&b.sentence)));
    summary.doubted = doubts.len();
    summary.silver = Looked {
        labels: asked.values().filter(|asked| asked.gold.is_none()).count(),
        doubted: doubts.len() - summary.gold.doubted,
    };
    let mut run = Run {
        id: new_run_id(),
        kind: RunKind::Doubt,
        model: format!("confident learning, {}", learner.name()),
        config: json!({
            "folds": options.folds, "seed": options.seed, "settings": settings, "recipe": learner.recipe(),
            "encoder": learner.encoder().map(|encoder| encoder.fingerprint()),
            "gold": project.file.gold_rule(),
            "silver": silver_run, "data": data,
        })
        .to_string(),
        taxonomy: taxonomy.hash(),
        started,
        finished: None,
        outcome: Outcome::Running,
        scores: String::new(),
    };
    store.put_run(&run)?;
    store.put_doubts(&run.id, &doubts)?;
    run.finished = Some(now());
    run.outcome = Outcome::Finished;
    run.scores = json!(summary).to_string();
    store.put_run(&run)?;
    Ok(Some(Found { run, summary, doubts }))
}

/// What the newest search found.
pub(crate) fn last(store: &Store) -> Result<Option<Found>, WorkflowError> {
    let newest = store.runs()?.into_iter().find(|run| run.kind == RunKind::Doubt && run.outcome == Outcome::Finished);
    let Some(run) = newest else {
        return Ok(None);
    };
    let doubts = store.doubts(&run.id)?;
    let summary = serde_json::from_str(&run.scores).unwrap_or_default();
    Ok(Some(Found { run, summary, doubts }))
}

type ProbabilityRows = FxHashMap<SentenceId, Vec<f64>>;

/// What there is to do.
struct CrossValidation<'a> {
    project: &'a Project,
    learner: &'a Trainer,
    gold: &'a [&'a Gold],
    asked: &'a BTreeMap<SentenceId, Asked>,
    options: &'a DoubtOptions,
}

impl CrossValidation<'_> {
    /// Probabilities for every sentence asked about, each by a model that saw no gold of its patient; with the hash of what was
    /// learnt from. `None` when it was stopped.
    fn predict(
        &self,
        store: &mut Store,
        cancel: &Cancel,
        watch: &mut Watch<'_>,
    ) -> Result<Option<(ProbabilityRows, String)>, WorkflowError> {
        let Self { project, learner, gold, asked, options } = *self;
        let taxonomy = &project.taxonomy;
        let with_gold: FxHashSet<&PatientKey> = gold.iter().map(|gold| gold.patient()).collect();
        let part_of = |patient: &PatientKey| fold(patient, options.folds, options.seed);
        let mut parts: BTreeMap<Option<usize>, Vec<SentenceId>> = BTreeMap::new();
        for (sentence, row) in asked {
            let part = with_gold.contains(&row.patient).then(|| part_of(&row.patient));
            parts.entry(part).or_default().push(*sentence);
        }
        if parts.keys().flatten().count() < 2 {
            let (said, hint) = if with_gold.len() < 2 {
                (
                    "each label is looked at by a classifier that has not seen its patient, so gold of at least two patients is \
                     needed",
                    "decide more sentences",
                )
            } else {
                ("all gold fell in one part", "another --seed or more --folds share the patients out anew")
            };
            return Err(Refusal::too_early("gold of two patients", said).hint(hint).into());
        }
        let all: Vec<SentenceId> = asked.keys().copied().collect();
        let texts: FxHashMap<SentenceId, String> =
            store.texts(&all)?.into_iter().map(|row| (row.id, row.text)).collect();
        let text = |id: SentenceId| texts.get(&id).map_or("", String::as_str);
        let read: Vec<&str> = all.iter().map(|id| text(*id)).collect();
        match encoders::embed(store, learner, &read, cancel, watch) {
            Err(WorkflowError::Stopped) => return Ok(None),
            done => done?,
        }
        let example = |gold: &Gold| {
            let outputs = train::positions(taxonomy, gold.label());
            Example { text: text(gold.sentence()), outputs, weight: 1.0 }
        };
        let examples: Vec<Example<'_>> = gold.iter().copied().map(example).collect();
        let data = train::data_hash(&examples, &[]);
        let (outputs, selection) = train::outputs(taxonomy);
        // Stopping early and calibrating must not look at the part that is asked about either.
        let inner = SplitPlan { seed: options.seed, validation: project.file.split.validation, test: 0.0 };
        let mut models = ProbabilityRows::default();
        let total = Some(asked.len() as u64);
        let what = format!("asking {} classifiers that have not seen the labels", parts.len());
        watch(Progress::Started { what, total, unit: "sentences" });
        for (part, sentences) in &parts {
            let (mut learnt, mut validation) = (Vec::new(), Vec::new());
            for (gold, example) in gold.iter().zip(&examples).filter(|(gold, _)| Some(part_of(gold.patient())) != *part)
            {
                match inner.split(gold.patient()) {
                    Split::Validation => validation.push(example.clone()),
                    Split::Train | Split::Test => learnt.push(example.clone()),
                }
            }
            if learnt.is_empty() {
                std::mem::swap(&mut learnt, &mut validation);
            }
            let model = learner.fit(&outputs, selection, &learnt, &validation, options.seed, &mut |_| {
                if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            for ids in sentences.chunks(2_000) {
                if cancel.is_cancelled() {
                    return Ok(None);
                }
                let texts: Vec<&str> = ids.iter().map(|id| text(*id)).collect();
                let rows = model.predict(&texts)?.into_iter().map(|row| row.into_iter().map(f64::from).collect());
                models.extend(ids.iter().copied().zip(rows));
                watch(Progress::Advanced(models.len() as u64));
            }
        }
        watch(Progress::Finished);
        Ok((!cancel.is_cancelled()).then_some((models, data)))
    }
}

/// How many labels of a tier there are, and those in doubt.
fn suspects(
    taxonomy: &Taxonomy,
    asked: &BTreeMap<SentenceId, Asked>,
    models: &ProbabilityRows,
    tier: Tier,
) -> (usize, Vec<Doubt>) {
    let (mut ids, mut labels, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for (sentence, row) in asked {
        let label = if tier == Tier::Gold { &row.gold } else { &row.silver };
        if let (Some(label), Some(row)) = (label, models.get(sentence)) {
            ids.push(*sentence);
            labels.push(label);
            rows.push(row.clone());
        }
    }
    let given = labels.iter().map(|label| train::positions(taxonomy, label));
    let (outputs, selection) = train::outputs(taxonomy);
    let found = match selection {
        // A label of a category that the taxonomy has no more is no class; it is left out.
        Selection::Single => {
            let given: Vec<usize> = given.map(|at| at.first().copied().unwrap_or(usize::MAX)).collect();
            confident::single(&given, &rows)
        }
        Selection::Multiple => confident::multiple(&given.collect::<Vec<_>>(), &rows),
    };
    let doubt = |suspect: Suspect| Doubt {
        sentence: ids[suspect.item],
        tier,
        given: labels[suspect.item].clone(),
        suggested: train::label_of(&outputs, &suspect.suggested),
        confidence: suspect.confidence,
        self_confidence: suspect.self_confidence,
        margin: suspect.margin,
    };
    (ids.len(), found.suspects.into_iter().map(doubt).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::corpus::Origin;
    use crate::domain::label::{Decision, EntryId, Judgement, NewProposal, Timestamp};
    use crate::factory;
    use crate::factory::run;
    use crate::workflow::project::init;

    const KINDS: [(&str, &str); 3] = [
        ("She forgets names and dates again", "cognitive_impairment"),
        ("Her daughter bathes and dresses her", "requires_assistance"),
        ("Knee pain after a long walk", ""),
    ];

    /// Twenty patients, the first fourteen with gold, all with silver. Six sentences of each are clear, three are of two
    /// kinds at once and have the label of the one or the other. Patient 3 is a trap: a word of its own stands in all its
    /// sentences, and the gold of the clear ones says the same thing throughout, so a model that had seen it would agree.
    fn study(selection: &str) -> (tempfile::TempDir, Project, Store, Vec<(SentenceId, usize, usize)>) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("study");
        init(&root, "ad-signs").unwrap();
        let file = root.join("taxonomy.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("selection = \"single\"", &format!("selection = \"{selection}\""))).unwrap();
        let project = Project::read(&root, Some("ann")).unwrap();
        let mut store = project.store().unwrap();
        let mut sentences = Vec::new();
        for patient in 0..20 {
            let text = |i: usize| {
                let own = if patient == 3 { " zebra" } else { "" };
                let other = if i < 6 { "" } else { KINDS[(i + 1) % 3].0 };
                format!("{}, {other}{own}.", KINDS[i % 3].0)
            };
            let texts: Vec<String> = (0..9).map(text).collect();
            let note = factory::note(&format!("p{patient}"), &format!("n{patient}"), &texts);
            let first = store.insert_documents(&[note], Origin::Real, &project.file.split).unwrap()[0].first_sentence();
            sentences.extend((0..9).map(|i| (SentenceId(first.0 + i as i64), patient, i)));
        }
        let label = |kind: usize| Label::parse(KINDS[kind % 3].1).unwrap();
        let usual = |patient: usize, i: usize| if i < 6 { i } else { i + patient % 2 };
        let gold = sentences.iter().filter(|(_, patient, _)| *patient < 14).map(|(id, patient, i)| {
            let kind = match (*patient, *i) {
                (3, 0..6) => 1,
                (7, 1) => 2,
                (patient, i) => usual(patient, i),
            };
            Decision {
                id: EntryId(format!("{:08}", id.0)),
                at: Timestamp(id.0),
                judgement: Judgement { label: Some(label(kind)), ..Judgement::default() },
                taxonomy: String::new(),
                ..factory::decision("ann", *id)
            }
        });
        store.append_decisions(&gold.collect::<Vec<_>>()).unwrap();
        let run = run("0", RunKind::Label);
        store.put_run(&run).unwrap();
        let silver: Vec<NewProposal> = sentences
            .iter()
            // Wrong at one sentence without gold, and at one with.
            .map(|(id, patient, i)| {
                (id, if [(16, 2), (2, 2)].contains(&(*patient, *i)) { 0 } else { usual(*patient, *i) })
            })
            .map(|(id, kind)| NewProposal::bare(*id, label(kind)))
            .collect();
        store.propose(&run.id, Source::Llm, &silver).unwrap();
        (folder, project, store, sentences)
    }

    const OPTIONS: DoubtOptions = DoubtOptions { folds: 4, seed: 1 };

    #[test]
    fn wrong_labels_are_found_by_models_that_have_not_seen_the_patient() {
        for selection in ["single", "multiple"] {
            let (_folder, project, mut store, sentences) = study(selection);
            let found =
                search(Session::new(&project, &mut store, &Cancel::default(), &mut |_| {}), &OPTIONS).unwrap().unwrap();
            let mut at: Vec<(Tier, usize, usize)> = found
                .doubts
                .iter()
                .map(|doubt| {
                    let (_, patient, i) = sentences.iter().find(|(id, _, _)| *id == doubt.sentence).unwrap();
                    (doubt.tier, *patient, *i)
                })
                .collect();
            // Whether one of two kinds at once is in doubt is a matter of taste.
            at.retain(|(_, _, i)| *i < 6);
            at.sort_unstable();
            let trap = [0, 2, 3, 5].map(|i| (Tier::Gold, 3, i));
            let expected: Vec<_> = trap.into_iter().chain([(Tier::Gold, 7, 1), (Tier::Silver, 16, 2)]).collect();
            assert_eq!(at, expected, "{selection}: {:?}", found.doubts);
            let said = found.doubts.iter().find(|doubt| doubt.tier == Tier::Silver).unwrap();
            assert_eq!((said.given.join().as_str(), said.suggested.join().as_str()), ("cognitive_impairment", ""));
            assert!(said.confidence > 0.5 && said.self_confidence < 0.5, "{said:?}");
            assert!(found.doubts.windows(2).all(|pair| pair[0].self_confidence <= pair[1].self_confidence));
            let Summary { doubted, gold, silver } = found.summary;
            assert_eq!((gold.labels, silver.labels), (126, 54));
            assert_eq!((doubted, gold.doubted + silver.doubted), (found.doubts.len(), found.doubts.len()));
        }
    }

    #[test]
    fn the_same_seed_finds_the_same_and_the_newest_search_stands() {
        let (_folder, project, mut store, _) = study("single");
        assert!(last(&store).unwrap().is_none());
        let mut look =
            || search(Session::new(&project, &mut store, &Cancel::default(), &mut |_| {}), &OPTIONS).unwrap().unwrap();
        let (one, two) = (look(), look());
        assert_eq!(one.doubts, two.doubts);
        assert_eq!(one.run.config, two.run.config);
        let newest = last(&store).unwrap().unwrap();
        assert_eq!((newest.run.id, newest.summary), (two.run.id, two.summary));
        assert_eq!(newest.doubts, two.doubts);
        let worst = store.doubt_about(two.doubts[0].sentence).unwrap();
        assert_eq!(worst.as_ref(), two.doubts.first());
    }

    #[test]
    fn a_search_that_is_stopped_leaves_nothing() {
        let (_folder, project, mut store, _) = study("single");
        let cancel = Cancel::default();
        let stop = cancel.clone();
        let found = search(
            Session::new(&project, &mut store, &cancel, &mut |progress| {
                if matches!(progress, Progress::Advanced(_)) {
                    stop.cancel();
                }
            }),
            &OPTIONS,
        );
        assert!(found.unwrap().is_none());
        assert!(store.runs().unwrap().iter().all(|run| run.kind != RunKind::Doubt));
    }

    #[test]
    fn one_patient_is_too_few() {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path(), "ad-signs").unwrap();
        let project = Project::read(folder.path(), Some("ann")).unwrap();
        let mut store = project.store().unwrap();
        let error = search(Session::new(&project, &mut store, &Cancel::default(), &mut |_| {}), &OPTIONS)
            .unwrap_err()
            .to_string();
        assert!(error.contains("gold of at least two patients"), "{error}");
    }
}
