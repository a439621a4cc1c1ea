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

use super::metrics::Board;
use super::project::Project;
use super::train::{self, NONE};
use super::{Cancel, Progress, Watch, WorkflowError, new_run_id, now};
use crate::classifier::{Example, Mode};
use crate::domain::confident::{self, Doubt, Suspect};
use crate::domain::corpus::{PatientKey, SentenceId};
use crate::domain::gold::GoldReal;
use crate::domain::label::{Label, Outcome, Run, RunKind, Source};
use crate::domain::split::{Split, SplitPlan, Tier, fold};
use crate::domain::taxonomy::{CategoryKey, Taxonomy};
use crate::store::Store;

/// How to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// So many parts, each predicted by a model of the others.
    pub folds: usize,
    /// Shares the patients out, and is the seed of everything else random.
    pub seed: u64,
}

/// How many labels of a tier were looked at, and how many are in doubt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// Labels looked at.
    pub labels: usize,
    /// Labels in doubt.
    pub doubted: usize,
}

/// What a search came to; a run's scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Labels in doubt.
    pub doubted: usize,
    /// Experts' labels.
    pub gold: Looked,
    /// The language model's labels on sentences that no expert has settled.
    pub silver: Looked,
}

/// A search and what it found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The run.
    pub run: Run,
    /// In numbers.
    pub summary: Summary,
    /// Worst first.
    pub doubts: Vec<Doubt>,
}

/// A sentence with a label to look at.
struct Asked {
    patient: PatientKey,
    gold: Option<Label>,
    silver: Option<Label>,
}

/// Looks for labels that may be wrong, and keeps what it finds as a run. Stopped half-way it leaves nothing behind and gives
/// `None`: a part of the probabilities says nothing.
pub fn search(
    project: &Project,
    store: &mut Store,
    options: &Options,
    cancel: &Cancel,
    watch: &mut Watch<'_>,
) -> Result<Option<Found>, WorkflowError> {
    let started = now();
    let mut board = Board::default();
    board.refresh(project, store)?;
    let taxonomy = &project.taxonomy;
    let gold = board.gold(project);
    let silver_run = board.latest(Source::Llm).cloned();
    let mut asked: BTreeMap<SentenceId, Asked> = BTreeMap::new();
    for gold in &gold {
        let (patient, label) = (gold.patient().clone(), Some(gold.label().clone()));
        asked.insert(gold.sentence(), Asked { patient, gold: label, silver: None });
    }
    for (sentence, patient, label) in silver_run.iter().flat_map(|run| board.proposed(run, taxonomy)) {
        let entry = asked.entry(sentence).or_insert_with(|| Asked { patient, gold: None, silver: None });
        entry.silver = Some(label);
    }
    let Some((models, data)) = predict(project, store, &gold, &asked, options, cancel, watch)? else {
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
    let settings = &project.file.train;
    let mut run = Run {
        id: new_run_id(),
        kind: RunKind::Doubt,
        model: "confident learning".into(),
        config: json!({
            "folds": options.folds, "seed": options.seed, "settings": settings, "policy": project.file.policy,
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
pub fn last(store: &Store) -> Result<Option<Found>, WorkflowError> {
    let newest = store.runs()?.into_iter().find(|run| run.kind == RunKind::Doubt && run.outcome == Outcome::Finished);
    let Some(run) = newest else {
        return Ok(None);
    };
    let doubts = store.doubts(&run.id)?;
    let summary = serde_json::from_str(&run.scores).unwrap_or_default();
    Ok(Some(Found { run, summary, doubts }))
}

type Rows = FxHashMap<SentenceId, Vec<f64>>;

/// Probabilities for every sentence asked about, each by a model that saw no gold of its patient; with the hash of what was
/// learnt from. `None` when it was stopped.
fn predict(
    project: &Project,
    store: &Store,
    gold: &[GoldReal],
    asked: &BTreeMap<SentenceId, Asked>,
    options: &Options,
    cancel: &Cancel,
    watch: &mut Watch<'_>,
) -> Result<Option<(Rows, String)>, WorkflowError> {
    let taxonomy = &project.taxonomy;
    let with_gold: FxHashSet<&PatientKey> = gold.iter().map(GoldReal::patient).collect();
    let part_of = |patient: &PatientKey| fold(patient, options.folds, options.seed);
    let mut parts: BTreeMap<Option<usize>, Vec<SentenceId>> = BTreeMap::new();
    for (sentence, row) in asked {
        let part = with_gold.contains(&row.patient).then(|| part_of(&row.patient));
        parts.entry(part).or_default().push(*sentence);
    }
    if parts.keys().flatten().count() < 2 {
        let why = if with_gold.len() < 2 {
            "each label is looked at by a classifier that has not seen its patient, so gold of at least two patients is needed; \
             decide more sentences"
        } else {
            "all gold fell in one part; another --seed or more --folds share the patients out anew"
        };
        return Err(WorkflowError::Refused(why.into()));
    }
    let ids: Vec<SentenceId> = gold.iter().map(GoldReal::sentence).collect();
    let texts = store.texts(&ids)?;
    let examples: Vec<Example<'_>> = gold
        .iter()
        .zip(&texts)
        .map(|(gold, row)| Example { text: &row.text, outputs: train::positions(taxonomy, gold.label()), weight: 1.0 })
        .collect();
    let data = train::data_hash(&examples, &[]);
    let (outputs, mode) = train::outputs(taxonomy);
    // Stopping early and calibrating must not look at the part that is asked about either.
    let inner = SplitPlan { seed: options.seed, validation: project.file.split.validation, test: 0.0 };
    let learner = train::learner(project, store, &project.file.train)?;
    let mut models = Rows::default();
    let total = Some(asked.len() as u64);
    let what = format!("asking {} classifiers that have not seen the labels", parts.len());
    watch(Progress::Started { what, total, unit: "sentences" });
    for (part, sentences) in &parts {
        let (mut learnt, mut validation) = (Vec::new(), Vec::new());
        for (gold, example) in gold.iter().zip(&examples).filter(|(gold, _)| Some(part_of(gold.patient())) != *part) {
            match inner.split(gold.patient()) {
                Split::Validation => validation.push(example.clone()),
                Split::Train | Split::Test => learnt.push(example.clone()),
            }
        }
        if learnt.is_empty() {
            std::mem::swap(&mut learnt, &mut validation);
        }
        let model = learner.fit(&outputs, mode, &learnt, &validation, options.seed, &mut |_| {
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        for ids in sentences.chunks(2_000) {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            let texts = store.texts(ids)?;
            let texts: Vec<&str> = texts.iter().map(|row| row.text.as_str()).collect();
            let rows = model.predict(&texts)?.into_iter().map(|row| row.into_iter().map(f64::from).collect());
            models.extend(ids.iter().copied().zip(rows));
            watch(Progress::Advanced(models.len() as u64));
        }
    }
    watch(Progress::Finished);
    Ok((!cancel.is_cancelled()).then_some((models, data)))
}

/// How many labels of a tier there are, and those in doubt.
fn suspects(
    taxonomy: &Taxonomy,
    asked: &BTreeMap<SentenceId, Asked>,
    models: &Rows,
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
    let (outputs, mode) = train::outputs(taxonomy);
    let found = match mode {
        // A label of a category that the taxonomy has no more is no class; it is left out.
        Mode::Single => {
            let given: Vec<usize> = given.map(|at| at.first().copied().unwrap_or(usize::MAX)).collect();
            confident::single(&given, &rows)
        }
        Mode::Multiple => confident::multiple(&given.collect::<Vec<_>>(), &rows),
    };
    let doubt = |suspect: Suspect| Doubt {
        sentence: ids[suspect.item],
        tier,
        given: labels[suspect.item].clone(),
        suggested: label_of(&outputs, &suspect.suggested),
        confidence: suspect.confidence,
        self_confidence: suspect.self_confidence,
        margin: suspect.margin,
    };
    (ids.len(), found.suspects.into_iter().map(doubt).collect())
}

/// Positions of outputs as a label.
fn label_of(outputs: &[String], positions: &[usize]) -> Label {
    let names = positions.iter().filter_map(|at| outputs.get(*at)).filter(|name| *name != NONE);
    names.filter_map(|name| CategoryKey::new(name).ok()).collect()
}
