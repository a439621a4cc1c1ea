//! One training run: gold (and what else is asked for) to a model, its scores on held-out gold, and its labels for every
//! real sentence, so that Review can show them and the metrics can follow.

use std::ops::ControlFlow;
use std::path::PathBuf;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::metrics::{Board, Scored};
use super::project::Project;
use super::{Cancel, Progress, Watch, WorkflowError, new_run_id, now};
pub use crate::classifier::Heard;
use crate::classifier::{self, ClassWeights, Classifier, Example, FitConfig, Learner, Mode};
use crate::domain::corpus::{Origin, SentenceId};
use crate::domain::gold::{Bronze, GoldReal, Silver};
use crate::domain::label::{Confidence, ConfidenceKind, Label, NewProposal, Outcome, Run, RunId, RunKind, Source};
use crate::domain::metrics::Bootstrap;
use crate::domain::split::{Leak, Split, TestSet, Tier, TrainSet, leaks};
use crate::domain::taxonomy::{Selection, Taxonomy, hex};
use crate::formats::project::{TrainSettings, Weights};
use crate::store::{BronzeRow, Store};

/// The name that the *None* output has in a saved model. No category key can be it.
pub const NONE: &str = "None";

/// What a training run says while it runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The sets are made.
    Prepared {
        /// Rows of each tier.
        rows: [(Tier, usize); 3],
        /// Validation and test sentences.
        held_out: (usize, usize),
        /// Test sentences that stand in the training set nearly word for word.
        leaks: usize,
    },
    /// What training says.
    Heard(Heard),
    /// A step of the work around training.
    Progress(Progress),
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The run.
    pub run: RunId,
    /// The saved model.
    pub folder: PathBuf,
    /// Scores on the gold of test patients; `None` when there is none.
    pub scored: Option<Scored>,
    /// Near-duplicates of test sentences in training.
    pub leaks: Vec<Leak>,
    /// Seconds spent in training proper.
    pub seconds: f64,
    /// Whether it was stopped early by a person.
    pub stopped: bool,
}

/// The outputs of a model under a taxonomy: *None* first under `single`, the categories alone under `multiple`.
pub fn outputs(taxonomy: &Taxonomy) -> (Vec<String>, Mode) {
    let keys = taxonomy.categories().iter().map(|c| c.key.to_string());
    match taxonomy.selection() {
        Selection::Single => (std::iter::once(NONE.to_owned()).chain(keys).collect(), Mode::Single),
        Selection::Multiple => (keys.collect(), Mode::Multiple),
    }
}

/// A label as positions of [`outputs`].
pub(super) fn positions(taxonomy: &Taxonomy, label: &Label) -> Vec<usize> {
    let first = usize::from(taxonomy.selection() == Selection::Single);
    if label.is_none() && first == 1 {
        return vec![0];
    }
    label.keys().iter().filter_map(|key| Some(taxonomy.index_of(key)? + first)).collect()
}

/// Probabilities of a model's outputs as the store has them: *None* first, then each category. Under `multiple` the
/// probability of *None* is that of no category, taken as independent.
pub fn with_none(mode: Mode, row: &[f32]) -> Vec<f32> {
    match mode {
        Mode::Single => row.to_vec(),
        Mode::Multiple => std::iter::once(row.iter().map(|p| 1.0 - p).product()).chain(row.iter().copied()).collect(),
    }
}

/// A bronze sentence as it may be trained on: what an expert accepted, reworded or relabelled counts as the expert left it,
/// what none has looked at counts if the quality gate let it pass; `None` for the rest.
pub fn bronze_label(row: &BronzeRow) -> Option<(Label, String)> {
    let verdict = row.verdict.clone().unwrap_or_default();
    let decided = verdict.label.is_some();
    if verdict.rejected || !(decided || row.passed) {
        return None;
    }
    Some((verdict.label.unwrap_or_else(|| row.target.clone()), verdict.edited.unwrap_or_else(|| row.text.clone())))
}

struct Sets {
    train: TrainSet,
    validation: TestSet,
    test: TestSet,
    bronze_texts: std::collections::BTreeMap<SentenceId, String>,
}

fn sets(project: &Project, store: &Store, board: &Board, tiers: &[Tier]) -> Result<Sets, WorkflowError> {
    let plan = &project.file.split;
    let gold = board.gold(project);
    let mut silver = Vec::new();
    if let (true, Some(run)) = (tiers.contains(&Tier::Silver), board.latest(Source::Llm)) {
        for (sentence, patient, label) in board.proposed(run, &project.taxonomy) {
            silver.extend(Silver::propose(sentence, patient, Origin::Real, label, run.clone()));
        }
    }
    let mut bronze = Vec::new();
    if tiers.contains(&Tier::Bronze) {
        store.bronze_each(None, |row| {
            if let Some((label, text)) = bronze_label(&row) {
                bronze.extend(Bronze::generate(row.sentence, Origin::Synthetic, label, text, row.run));
            }
        })?;
    }
    let bronze_texts = bronze.iter().map(|b| (b.sentence(), b.text().to_owned())).collect();
    let trained_gold = if tiers.contains(&Tier::Gold) { gold.clone() } else { Vec::new() };
    Ok(Sets {
        train: TrainSet::mix(plan, trained_gold, silver, bronze),
        validation: TestSet::from_gold(gold.clone(), plan, Split::Validation),
        test: TestSet::from_gold(gold, plan, Split::Test),
        bronze_texts,
    })
}

/// Trains, saves, labels every real sentence, and scores.
pub fn train(
    project: &Project,
    store: &mut Store,
    settings: &TrainSettings,
    cancel: &Cancel,
    watch: &mut dyn FnMut(Event),
) -> Result<Trained, WorkflowError> {
    let mut board = Board::default();
    board.refresh(project, store)?;
    let sets = sets(project, store, &board, &settings.tiers)?;
    let taxonomy = &project.taxonomy;
    let ids: Vec<SentenceId> = sets.train.rows().iter().map(|row| row.sentence).collect();
    let mut texts: Vec<String> = store.texts(&ids)?.into_iter().map(|row| row.text).collect();
    for (text, id) in texts.iter_mut().zip(&ids) {
        if let Some(edited) = sets.bronze_texts.get(id) {
            text.clone_from(edited);
        }
    }
    let held_out = |set: &TestSet| -> Result<Vec<(SentenceId, String)>, WorkflowError> {
        let ids: Vec<SentenceId> = set.gold().iter().map(GoldReal::sentence).collect();
        Ok(store.texts(&ids)?.into_iter().map(|row| (row.id, row.text)).collect())
    };
    let (validation_texts, test_texts) = (held_out(&sets.validation)?, held_out(&sets.test)?);
    let rows = sets.train.rows();
    let found = leaks(
        rows.iter().zip(&texts).map(|(row, text)| (row.sentence, row.tier, text.as_str())),
        test_texts.iter().map(|(id, text)| (*id, text.as_str())),
        8,
    );
    watch(Event::Prepared {
        rows: [Tier::Gold, Tier::Silver, Tier::Bronze].map(|tier| (tier, sets.train.count(tier))),
        held_out: (validation_texts.len(), test_texts.len()),
        leaks: found.len(),
    });

    let (outputs, mode) = outputs(taxonomy);
    let examples: Vec<Example<'_>> = rows
        .iter()
        .zip(&texts)
        .map(|(row, text)| Example { text, outputs: positions(taxonomy, &row.label), weight: 1.0 })
        .collect();
    let validation: Vec<Example<'_>> = sets
        .validation
        .gold()
        .iter()
        .zip(&validation_texts)
        .map(|(gold, (_, text))| Example { text, outputs: positions(taxonomy, gold.label()), weight: 1.0 })
        .collect();
    let learner = learner(project, store, settings)?;
    let mut run = Run {
        id: new_run_id(),
        kind: RunKind::Train,
        model: learner.name(),
        config: json!({
            "settings": settings, "recipe": learner.recipe(), "split": project.file.split, "policy": project.file.policy,
            "data": data_hash(&examples, &validation),
        })
        .to_string(),
        taxonomy: taxonomy.hash(),
        started: now(),
        finished: None,
        outcome: Outcome::Running,
        scores: String::new(),
    };
    let clock = std::time::Instant::now();
    let fitted = learner.fit(&outputs, mode, &examples, &validation, settings.seed, &mut |heard| {
        watch(Event::Heard(heard.clone()));
        if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let seconds = clock.elapsed().as_secs_f64();
    // Whoever could not train leaves no run behind; there is nothing that it could be asked about.
    let model = fitted?;
    store.put_run(&run)?;
    let folder = project.models().join(&run.id.0);
    let labelled = label_all(store, taxonomy, &*model, &run.id, &mut |progress| watch(Event::Progress(progress)));
    let finished = labelled.and_then(|()| {
        board.refresh(project, store)?;
        let scored = board.score(project, &run.id, project.file.bootstrap).filter(|scored| scored.report.sentences > 0);
        let card = card(&run, project, &sets, &*model, scored.as_ref(), seconds);
        model.save(&folder, &card)?;
        Ok(scored)
    });
    run.finished = Some(now());
    match finished {
        Ok(scored) => {
            let stopped = cancel.is_cancelled();
            run.outcome = if stopped { Outcome::Stopped } else { Outcome::Finished };
            run.scores = scored.as_ref().map_or_else(String::new, |scored| summary(&scored.report).to_string());
            store.put_run(&run)?;
            Ok(Trained { run: run.id, folder, scored, leaks: found, seconds, stopped })
        }
        Err(error) => {
            run.outcome = Outcome::Failed;
            store.put_run(&run)?;
            Err(error)
        }
    }
}

/// Writes the model's label and probabilities for every real sentence.
fn label_all(
    store: &mut Store,
    taxonomy: &Taxonomy,
    model: &dyn Classifier,
    run: &RunId,
    watch: &mut Watch<'_>,
) -> Result<(), WorkflowError> {
    let total = store.sentence_count(Origin::Real)?;
    watch(Progress::Started { what: "labelling every sentence".into(), total: Some(total), unit: "sentences" });
    let (mut after, mut done) = (SentenceId(0), 0);
    loop {
        let rows = store.texts_after(Origin::Real, after, 2_000)?;
        let Some(last) = rows.last() else {
            break;
        };
        after = last.id;
        let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        let proposals: Vec<NewProposal> =
            model.predict(&texts)?.iter().zip(&rows).map(|(p, row)| proposal(taxonomy, model, p, row.id)).collect();
        store.propose(run, Source::Classifier, &proposals)?;
        done += rows.len() as u64;
        watch(Progress::Advanced(done));
    }
    watch(Progress::Finished);
    Ok(())
}

/// The label that a row of probabilities speaks for.
pub fn chosen_label(model: &dyn Classifier, row: &[f32]) -> Label {
    let keys = model.choose(row).into_iter().filter_map(|at| model.outputs().get(at));
    keys.filter_map(|key| crate::domain::taxonomy::CategoryKey::new(key).ok()).collect()
}

fn proposal(taxonomy: &Taxonomy, model: &dyn Classifier, row: &[f32], sentence: SentenceId) -> NewProposal {
    let label = chosen_label(model, row);
    let probabilities = with_none(model.mode(), row);
    let of_label = label.keys().iter().filter_map(|key| probabilities.get(taxonomy.index_of(key)? + 1)).copied();
    let value = if label.is_none() { probabilities.first().copied() } else { of_label.reduce(f32::min) };
    NewProposal {
        sentence,
        label,
        confidence: value.map(|p| Confidence { value: f64::from(p), kind: ConfidenceKind::Calibrated }),
        probabilities,
        rationale: String::new(),
        evidence: Vec::new(),
    }
}

/// What trains by these settings.
pub fn learner(_project: &Project, _store: &Store, settings: &TrainSettings) -> Result<Learner, WorkflowError> {
    let class_weights = match settings.class_weights {
        Weights::None => ClassWeights::None,
        Weights::Balanced => ClassWeights::Balanced,
        Weights::Sqrt => ClassWeights::Sqrt,
    };
    Ok(Learner::ngram(FitConfig {
        epochs: settings.epochs,
        learning_rate: settings.learning_rate,
        patience: settings.patience,
        class_weights,
        ..FitConfig::default()
    }))
}

/// SHA-256 over everything that was trained and stopped on, in order.
pub(super) fn data_hash(train: &[Example<'_>], validation: &[Example<'_>]) -> String {
    let mut hasher = Sha256::new();
    for example in train.iter().chain(validation) {
        hasher.update((example.text.len() as u64).to_le_bytes());
        hasher.update(example.text.as_bytes());
        example.outputs.iter().for_each(|i| hasher.update((*i as u64).to_le_bytes()));
        hasher.update([0xff]);
    }
    hex(&hasher.finalize())
}

fn summary(report: &crate::domain::metrics::Report) -> serde_json::Value {
    json!({
        "sentences": report.sentences, "patients": report.patients, "accuracy": report.accuracy.value,
        "macro_f1": report.averages.macro_.f1.value, "micro_f1": report.averages.micro.f1.value,
        "binary_f1": report.binary.f1.value,
        "f1": report.categories.iter().map(|row| row.f1.value).collect::<Vec<_>>(),
    })
}

fn card(
    run: &Run,
    project: &Project,
    sets: &Sets,
    model: &dyn Classifier,
    scored: Option<&Scored>,
    seconds: f64,
) -> serde_json::Value {
    let config: serde_json::Value = serde_json::from_str(&run.config).unwrap_or_default();
    json!({
        "run": run.id, "project": project.file.name, "taxonomy": { "name": project.taxonomy.name(), "hash": run.taxonomy },
        "trained_on": {
            "gold": sets.train.count(Tier::Gold), "silver": sets.train.count(Tier::Silver), "bronze": sets.train.count(Tier::Bronze),
            "validation": sets.validation.gold().len(), "test": sets.test.gold().len(), "test_patients": sets.test.patient_count(),
        },
        "model": model.describe(), "seconds": seconds, "config": config,
        "scores_on_test": scored.map(|scored| summary(&scored.report)),
    })
}

/// The saved model to use: the one named, or that of the newest finished training run.
pub fn latest_model(
    project: &Project,
    store: &Store,
    named: Option<&std::path::Path>,
) -> Result<PathBuf, WorkflowError> {
    if let Some(folder) = named {
        return Ok(folder.into());
    }
    store
        .runs()?
        .into_iter()
        .filter(|run| run.kind == RunKind::Train && matches!(run.outcome, Outcome::Finished | Outcome::Stopped))
        .map(|run| project.models().join(run.id.0))
        .find(|folder| folder.is_dir())
        .ok_or_else(|| {
            WorkflowError::Refused("no model has been trained here yet; `goldsmith train` trains one".into())
        })
}

/// Scores a saved model on the gold of test patients as it stands now.
pub fn score(
    project: &Project,
    store: &Store,
    folder: &std::path::Path,
    bootstrap: Bootstrap,
) -> Result<crate::domain::metrics::Report, WorkflowError> {
    let (model, _) = classifier::load(folder)?;
    let mut board = Board::default();
    board.refresh(project, store)?;
    let test = TestSet::from_gold(board.gold(project), &project.file.split, Split::Test);
    let taxonomy = &project.taxonomy;
    let (expected, _) = outputs(taxonomy);
    if model.outputs() != expected {
        return Err(WorkflowError::Refused(format!(
            "the model in {} was trained for other categories ({}); train one for this project's taxonomy",
            folder.display(),
            model.outputs().join(", ")
        )));
    }
    let ids: Vec<SentenceId> = test.gold().iter().map(GoldReal::sentence).collect();
    let texts = store.texts(&ids)?;
    let texts: Vec<&str> = texts.iter().map(|row| row.text.as_str()).collect();
    let mut patients = std::collections::BTreeMap::new();
    let pairs: Vec<crate::domain::metrics::Pair> = model
        .predict(&texts)?
        .iter()
        .zip(test.gold())
        .map(|(row, gold)| {
            let next = patients.len() as u32;
            crate::domain::metrics::Pair {
                patient: *patients.entry(gold.patient().clone()).or_insert(next),
                gold: taxonomy.bits(gold.label()),
                predicted: taxonomy.bits(&chosen_label(&*model, row)),
                blind: gold.blind(),
            }
        })
        .collect();
    let multi_class = taxonomy.selection() == Selection::Single;
    Ok(crate::domain::metrics::report(&pairs, taxonomy.categories().len(), multi_class, bootstrap))
}
