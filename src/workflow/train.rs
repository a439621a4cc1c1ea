//! One training run: gold (and what else is asked for) to a model, its scores on held-out gold, and its labels for every
//! real sentence, so that Review can show them and the metrics can follow.

mod sets;

use std::ops::ControlFlow;
use std::path::PathBuf;

use serde_json::json;

use super::label_index::LabelIndex;
use super::project::Project;
use super::scores::{self, Scored};
use super::{Cancel, Progress, Watch, WorkflowError, encoders, identity, new_run_id, now, saved_model};
use crate::classifier::{ClassWeights, Classifier, Example, FitConfig, HeadConfig, Trainer, TuneConfig};
pub(crate) use crate::classifier::{Epoch, TrainingEvent};
use crate::domain::category::CategoryKey;
use crate::domain::corpus::{Origin, SentenceId};
use crate::domain::gold::Gold;
use crate::domain::label::{Confidence, ConfidenceKind, Label, NewProposal, Outcome, Run, RunId, RunKind, Source};
use crate::domain::metrics::{LabelPair, ScoreReport, pairs, report};
use crate::domain::split::{Leak, Split, TestSet, Tier, TrainSet, leaks};
use crate::domain::statistics::{Bootstrap, expected_calibration_error};
use crate::domain::taxonomy::{Selection, Taxonomy};
use crate::formats::project::training::{TrainSettings, TrainingMethod, Weights};
use crate::store::Store;
use crate::workflow::refusal::{Refusal, RefusalKind};
use crate::workflow::session::Session;
pub(crate) use sets::bronze_label;
pub(super) use sets::{LabelledSentences, data_hash, examples, held_out_examples};

/// The name that the *None* output has in a saved model. No category key can be it.
pub(crate) const NONE: &str = "None";

/// What a training run says while it runs.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainRunEvent {
    /// The sets are made.
    Prepared {
        rows: [(Tier, usize); 3],
        /// Validation and test sentences.
        held_out: (usize, usize),
        /// Test sentences that stand in the training set nearly word for word.
        leaks: usize,
    },
    /// What training says.
    Heard(TrainingEvent),
    /// A step of the work around training.
    Progress(Progress),
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Trained {
    pub run: RunId,
    /// The saved model.
    pub folder: PathBuf,
    /// Scores on the gold of test patients; `None` when there is none.
    pub scored: Option<Scored>,
    /// How far the probabilities on held-out gold are off: the expected calibration error.
    pub calibration_error: Option<f64>,
    /// Near-duplicates of test sentences in training.
    pub leaks: Vec<Leak>,
    /// Seconds spent in training proper.
    pub seconds: f64,
    /// Whether it was stopped early by a person.
    pub stopped: bool,
}

/// The outputs of a model under a taxonomy: *None* first under `single`, the categories alone under `multiple`.
pub(crate) fn outputs(taxonomy: &Taxonomy) -> (Vec<String>, Selection) {
    let selection = taxonomy.selection();
    let none = (selection == Selection::Single).then(|| NONE.to_owned());
    (none.into_iter().chain(taxonomy.categories().iter().map(|c| c.key.to_string())).collect(), selection)
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
pub(crate) fn with_none(selection: Selection, row: &[f32]) -> Vec<f32> {
    match selection {
        Selection::Single => row.to_vec(),
        Selection::Multiple => {
            std::iter::once(row.iter().map(|p| 1.0 - p).product()).chain(row.iter().copied()).collect()
        }
    }
}

struct Sets {
    train: TrainSet,
    validation: TestSet,
    test: TestSet,
}

/// Trains, saves, labels every real sentence, and scores.
pub(crate) fn train(session: Session<'_, TrainRunEvent>, settings: &TrainSettings) -> Result<Trained, WorkflowError> {
    let Session { project, store, cancel, progress: watch } = session;
    let _span = tracing::info_span!("train").entered();
    // What a model is signed with is looked for before hours are spent.
    identity::own_key(project)?;
    let mut index = LabelIndex::read(project, store)?;
    let labels = LabelledSentences::read(project, store, &index, &settings.tiers)?;
    let sets = Sets {
        train: labels.train_set(&settings.tiers, |_| true),
        validation: labels.held_out(Split::Validation),
        test: labels.held_out(Split::Test),
    };
    let taxonomy = &project.taxonomy;
    let ids: Vec<SentenceId> = sets.train.rows().iter().map(|row| row.sentence).collect();
    let texts = labels.texts(store, &ids)?;
    let held_out = |set: &TestSet| -> Result<Vec<(SentenceId, String)>, WorkflowError> {
        let ids: Vec<SentenceId> = set.gold().iter().map(Gold::sentence).collect();
        Ok(store.texts(&ids)?.into_iter().map(|row| (row.id, row.text)).collect())
    };
    let (validation_texts, test_texts) = (held_out(&sets.validation)?, held_out(&sets.test)?);
    let rows = sets.train.rows();
    let found = leaks(
        rows.iter().zip(&texts).map(|(row, text)| (row.sentence, row.tier, text.as_str())),
        test_texts.iter().map(|(id, text)| (*id, text.as_str())),
        8,
    );
    watch(TrainRunEvent::Prepared {
        rows: [Tier::Gold, Tier::Silver, Tier::Bronze].map(|tier| (tier, sets.train.count(tier))),
        held_out: (validation_texts.len(), test_texts.len()),
        leaks: found.len(),
    });

    let (outputs, selection) = outputs(taxonomy);
    let positions = |label: &Label| positions(taxonomy, label);
    let examples = examples(rows, texts.iter().map(String::as_str), positions, settings);
    let texts_of = validation_texts.iter().map(|(_, text)| text.as_str());
    let validation = held_out_examples(&sets.validation, texts_of, positions);
    let learner = learner(project, settings)?;
    let read: Vec<&str> = examples.iter().chain(&validation).map(|example| example.text).collect();
    encoders::embed(store, &learner, &read, cancel, &mut |progress| watch(TrainRunEvent::Progress(progress)))?;
    let mut run = Run {
        id: new_run_id(),
        kind: RunKind::Train,
        model: learner.name(),
        config: json!({
            "settings": settings, "recipe": learner.recipe(),
            "encoder": learner.encoder().map(|encoder| encoder.fingerprint()), "split": project.file.split, "gold": project.file.gold_rule(),
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
    let fitted = learner.fit(&outputs, selection, &examples, &validation, settings.seed, &mut |heard| {
        watch(TrainRunEvent::Heard(heard.clone()));
        if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let seconds = clock.elapsed().as_secs_f64();
    // Whoever could not train leaves no run behind; there is nothing that it could be asked about.
    let model = fitted?;
    store.put_run(&run)?;
    let folder = project.models().join(&run.id.0);
    let labelled = label_all(store, taxonomy, &*model, &learner, &run.id, &mut |progress| {
        watch(TrainRunEvent::Progress(progress))
    });
    let finished = labelled.and_then(|()| {
        index.refresh(project, store)?;
        let scored = scores::score(project, &index, &run.id, project.file.bootstrap)
            .filter(|scored| scored.report.sentences > 0);
        let texts_of = test_texts.iter().map(|(_, text)| text.as_str());
        let off = calibration_error(&*model, &held_out_examples(&sets.test, texts_of, positions))?;
        let card = card(&run, project, &sets, &*model, (scored.as_ref(), off), seconds);
        model.save(&folder, &card)?;
        saved_model::sign(project, store, &run.id, &folder)?;
        Ok((scored, off))
    });
    run.finished = Some(now());
    match finished {
        Ok((scored, calibration_error)) => {
            let stopped = cancel.is_cancelled();
            run.outcome = if stopped { Outcome::Stopped } else { Outcome::Finished };
            run.scores = scored
                .as_ref()
                .map_or_else(String::new, |scored| summary(&scored.report, calibration_error).to_string());
            // It may have taken hours: the model stays, although the store does not know of it.
            store.put_run(&run).map_err(|error| {
                let said = format!("the model is in {}, but its run could not be ended", folder.display());
                Refusal::new(RefusalKind::OutOfDate { path: folder.clone() }, said)
                    .hint("make room or allow writing; --model with that folder uses it")
                    .because(error)
            })?;
            Ok(Trained { run: run.id, folder, scored, calibration_error, leaks: found, seconds, stopped })
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
    learner: &Trainer,
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
        // A stop ends training, not this: a model without its labels could not be looked at.
        encoders::embed(store, learner, &texts, &Cancel::default(), &mut |_| {})?;
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
pub(crate) fn chosen_label(model: &dyn Classifier, row: &[f32]) -> Label {
    label_of(model.outputs(), &model.choose(row))
}

/// Positions of [`outputs`] as a label. In a model of the binary task one of them stands for any category.
pub(super) fn label_of(outputs: &[String], positions: &[usize]) -> Label {
    let names = || positions.iter().filter_map(|at| outputs.get(*at)).map(String::as_str);
    if names().any(|name| name == Label::ANY) {
        return Label::any();
    }
    names().filter(|name| *name != NONE).filter_map(|name| CategoryKey::new(name).ok()).collect()
}

fn proposal(taxonomy: &Taxonomy, model: &dyn Classifier, row: &[f32], sentence: SentenceId) -> NewProposal {
    let label = chosen_label(model, row);
    let probabilities = with_none(model.selection(), row);
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
pub(crate) fn learner(project: &Project, settings: &TrainSettings) -> Result<Trainer, WorkflowError> {
    let class_weights = |by_default| match settings.class_weights {
        None => by_default,
        Some(Weights::None) => ClassWeights::None,
        Some(Weights::Balanced) => ClassWeights::Balanced,
        Some(Weights::Sqrt) => ClassWeights::Sqrt,
    };
    Ok(match settings.method {
        TrainingMethod::Ngram => {
            let default = FitConfig::default();
            Trainer::ngram(FitConfig {
                epochs: settings.epochs.unwrap_or(default.epochs),
                learning_rate: settings.learning_rate.unwrap_or(default.learning_rate),
                patience: settings.patience.unwrap_or(default.patience),
                class_weights: class_weights(default.class_weights),
                ..default
            })
        }
        TrainingMethod::Frozen => {
            let default = HeadConfig::default();
            let class_weights = class_weights(default.class_weights);
            Trainer::frozen(encoders::open(project, settings)?, HeadConfig { c: settings.c, class_weights, ..default })
        }
        TrainingMethod::Finetune => {
            let default = TuneConfig::default();
            let config = TuneConfig {
                epochs: settings.epochs.unwrap_or(default.epochs),
                learning_rate: settings.learning_rate.unwrap_or(default.learning_rate),
                patience: settings.patience.unwrap_or(default.patience),
                class_weights: class_weights(default.class_weights),
                warmup: settings.warmup,
                weight_decay: settings.weight_decay,
                clip: settings.clip,
                dropout: settings.dropout.map(|rate| rate as f32),
                label_smoothing: settings.label_smoothing as f32,
                oversample: settings.oversample,
                batch: settings.batch,
                accumulate: settings.accumulate,
                mean_pooling: settings.mean_pooling,
                last_layers: settings.last_layers,
                ..default
            };
            Trainer::fine_tune(encoders::open(project, settings)?, config, Some(project.models()))
        }
        TrainingMethod::Vote => {
            // What is set for the vote is meant for the part that takes hours; the others are as they are.
            let of = |method| match method {
                TrainingMethod::Finetune => TrainSettings { method, ..settings.clone() },
                _ => settings.of(method),
            };
            let parts = [TrainingMethod::Ngram, TrainingMethod::Frozen, TrainingMethod::Finetune];
            let learners: Result<Vec<Trainer>, WorkflowError> =
                parts.into_iter().map(|method| learner(project, &of(method))).collect();
            Trainer::vote(learners?)
        }
    })
}

/// Bins of the expected calibration error, as Guo and others (2017) have them.
const BINS: usize = 15;

/// Of the chosen output under `single`; of each output's yes or no under `multiple`.
fn calibration_error(model: &dyn Classifier, test: &[Example<'_>]) -> Result<Option<f64>, WorkflowError> {
    let texts: Vec<&str> = test.iter().map(|example| example.text).collect();
    let (mut confidence, mut correct) = (Vec::new(), Vec::new());
    for (row, example) in model.predict(&texts)?.iter().zip(test) {
        for (output, p) in row.iter().enumerate() {
            match model.selection() {
                Selection::Single if model.choose(row) == [output] => {
                    confidence.push(*p);
                    correct.push(example.outputs == [output]);
                }
                Selection::Single => {}
                Selection::Multiple => {
                    confidence.push(p.max(1.0 - p));
                    correct.push((*p >= 0.5) == example.outputs.contains(&output));
                }
            }
        }
    }
    Ok(expected_calibration_error(&confidence, &correct, BINS))
}

fn summary(report: &ScoreReport, calibration_error: Option<f64>) -> serde_json::Value {
    json!({
        "sentences": report.sentences, "patients": report.patients, "accuracy": report.accuracy.value,
        "macro_f1": report.averages.macro_.f1.value, "micro_f1": report.averages.micro.f1.value,
        "binary_f1": report.binary.f1.value, "calibration_error": calibration_error,
        "f1": report.categories.iter().map(|row| row.f1.value).collect::<Vec<_>>(),
    })
}

fn card(
    run: &Run,
    project: &Project,
    sets: &Sets,
    model: &dyn Classifier,
    (scored, calibration_error): (Option<&Scored>, Option<f64>),
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
        "scores_on_test": scored.map(|scored| summary(&scored.report, calibration_error)),
    })
}

/// The saved model to use: the one named, or that of the newest finished training run.
pub(crate) fn latest_model(
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
            Refusal::too_early("a trained model", "no model has been trained here yet")
                .hint("`goldsmith train` trains one")
                .into()
        })
}

/// Scores a saved model on the gold of test patients as it stands now.
pub(crate) fn score(
    project: &Project,
    store: &Store,
    folder: &std::path::Path,
    bootstrap: Bootstrap,
) -> Result<ScoreReport, WorkflowError> {
    let _span = tracing::info_span!("score").entered();
    let model = saved_model::load(folder, Some(store))?.model;
    let index = LabelIndex::read(project, store)?;
    let test = TestSet::from_gold(index.gold().into_iter().cloned(), &project.file.split, Split::Test);
    let taxonomy = &project.taxonomy;
    let (expected, _) = outputs(taxonomy);
    if model.outputs() != expected {
        let said = format!(
            "the model in {} was trained for other categories ({})",
            folder.display(),
            model.outputs().join(", ")
        );
        return Err(Refusal::new(RefusalKind::Unsupported { with: "taxonomy" }, said)
            .hint("train one for this project's taxonomy")
            .into());
    }
    let ids: Vec<SentenceId> = test.gold().iter().map(Gold::sentence).collect();
    let texts = store.texts(&ids)?;
    let texts: Vec<&str> = texts.iter().map(|row| row.text.as_str()).collect();
    let rows = model.predict(&texts)?;
    // The model has this taxonomy's outputs, so its labels are known.
    let predicted = rows.iter().map(|row| taxonomy.set(&chosen_label(&*model, row)).unwrap_or_default());
    let pairs: Vec<LabelPair> = pairs(&test.sentences(), predicted).collect();
    let multi_class = taxonomy.selection() == Selection::Single;
    Ok(report(&pairs, taxonomy.categories().len(), multi_class, bootstrap))
}
