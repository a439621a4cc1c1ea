//! A labelled set plays the expert: the gold of a project, or files with a text and a label a line.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::label_index::LabelIndex;
use super::project::Project;
use super::train;
use super::{Cancel, Progress, Watch, WorkflowError};
use crate::classifier::{Classifier, ClassifierError, Encoder, Example, FitConfig, HeadConfig, Threads, Trainer};
use crate::domain::acquisition::StrategyMix;
use crate::domain::corpus::SentenceId;
use crate::domain::gold::Gold;
use crate::domain::metrics::Counts;
use crate::domain::simulation::{
    Learnt, Lesson, Row, SimulatedProtocol, SimulationPlan, SimulationReport, Stage, play,
};
use crate::domain::split::Split;
use crate::domain::taxonomy::Selection;
use crate::formats::notes::{self, Columns, Reading};
use crate::formats::project::training::{TrainSettings, TrainingMethod};
use crate::formats::simulation;
use crate::workflow::refusal::{Refusal, RefusalKind};

/// What is played on.
#[derive(Clone)]
pub enum Data {
    /// The gold of a project: that of training patients plays the expert, that of test patients is scored on.
    Project(Box<Project>),
    /// Files.
    Files {
        /// Plays the expert.
        train: PathBuf,
        /// Is scored on.
        test: PathBuf,
        /// Which columns hold what.
        columns: Columns,
    },
}

/// How to play.
#[derive(Clone, Debug)]
pub struct SimulateOptions {
    /// What is trained; the tiers do not matter.
    pub train: TrainSettings,
    /// Orders; each is compared with the first.
    pub mixes: Vec<StrategyMix>,
    /// From 1 on.
    pub seeds: usize,
    /// Sentences drawn at random to start with.
    pub start: usize,
    /// Sentences decided between two trainings.
    pub batch: usize,
    /// At most so many sentences.
    pub most: Option<usize>,
    /// The share of the macro-F1 of all labels that is to be reached.
    pub share: f64,
    /// Whether a game ends once that is reached.
    pub stop: bool,
    /// Who plays the experts; without it, one who does not err.
    pub experts: Option<PathBuf>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// In numbers.
    pub report: SimulationReport,
    /// What was trained.
    pub model: String,
    /// Sentences that were scored on.
    pub test: usize,
    pub plan: SimulationPlan,
    /// Whether a person stopped it.
    pub stopped: bool,
}

/// A labelled set.
struct Set {
    outputs: Vec<String>,
    /// As the queue shows them.
    names: Vec<String>,
    selection: Selection,
    texts: Vec<String>,
    rows: Vec<Row>,
    test_texts: Vec<String>,
    /// A label that the set does not train has a number behind those of the outputs.
    truth: Vec<Vec<usize>>,
}

/// Plays all games. Stopped, it reports those that had come to their end.
pub fn simulate(
    data: &Data,
    options: &SimulateOptions,
    cancel: &Cancel,
    watch: &mut Watch<'_>,
) -> Result<Simulated, WorkflowError> {
    let _span = tracing::info_span!("simulate").entered();
    let (set, learner) = match data {
        Data::Project(project) => (of_project(project, watch)?, train::learner(project, &options.train)?),
        Data::Files { train, test, columns } => (of_files(train, test, columns)?, learner(&options.train)?),
    };
    if set.rows.is_empty() || set.truth.is_empty() {
        let said = format!(
            "there are {} labelled sentences to learn from and {} to score on; both are needed",
            set.rows.len(),
            set.truth.len()
        );
        return Err(Refusal::too_early("labelled sentences", said)
            .hint("a project takes the gold of its training and of its test patients")
            .into());
    }
    let protocol = match &options.experts {
        Some(file) => simulation::read(file, &set.outputs)?,
        None => SimulatedProtocol::default(),
    };
    let plan = SimulationPlan {
        mixes: options.mixes.clone(),
        seeds: (1..=options.seeds.max(1) as u64).collect(),
        start: options.start,
        batch: options.batch,
        most: options.most,
        share: options.share,
        stop: options.stop,
        protocol,
    };
    if let Some(encoder) = learner.frozen_encoder() {
        read_once(encoder, &set, cancel, watch)?;
    }
    let games = play_all(&set, &plan, &learner, cancel, watch)?;
    let report = SimulationReport::of(&plan, set.rows.len(), games);
    let stopped = report.games.len() < report.planned;
    Ok(Simulated { report, model: learner.name(), test: set.truth.len(), plan, stopped })
}

fn play_all(
    set: &Set,
    plan: &SimulationPlan,
    learner: &Trainer,
    cancel: &Cancel,
    watch: &mut Watch<'_>,
) -> Result<Vec<crate::domain::simulation::Game>, WorkflowError> {
    let selection = set.selection;
    let test: Vec<&str> = set.test_texts.iter().map(String::as_str).collect();
    let mut learn = |lesson: &Lesson<'_>| -> Result<Option<Learnt>, WorkflowError> {
        let example = |(at, outputs): &(usize, Vec<usize>)| Example {
            text: &set.texts[*at],
            outputs: outputs.clone(),
            weight: 1.0,
        };
        let examples: Vec<Example<'_>> = lesson.labels.iter().map(example).collect();
        let fitted = learner.fit(&set.outputs, selection, &examples, &[], lesson.seed, &mut |_| {
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let model = match fitted {
            Ok(model) => model,
            Err(ClassifierError::TooLittle(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (macro_f1, accuracy) = score(&*model, &test, &set.truth)?;
        let open: Vec<&str> = lesson.open.iter().map(|at| set.texts[*at].as_str()).collect();
        Ok(Some(Learnt { probabilities: model.predict(&open)?, macro_f1, accuracy }))
    };
    let stage = Stage { outputs: &set.names, selection: set.selection, rows: &set.rows };
    let most = plan.most.unwrap_or(set.rows.len()).min(set.rows.len()) as u64;
    let total = Some(most * (plan.mixes.len() * plan.seeds.len()) as u64);
    watch(Progress::Started { what: "playing".into(), total, unit: "sentences" });
    let games = play(&stage, plan, &mut learn, &mut |told| {
        watch(Progress::Advanced(told.games as u64 * most + told.sentences as u64));
        if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    watch(Progress::Finished);
    Ok(games)
}

/// Macro-F1 over the labels that occur in truth or prediction, as scikit-learn has it, and the share of texts whose labels
/// are exactly right.
fn score(model: &dyn Classifier, texts: &[&str], truth: &[Vec<usize>]) -> Result<(f64, f64), WorkflowError> {
    let mut counts: FxHashMap<usize, Counts> = FxHashMap::default();
    let mut right = 0;
    for (row, truth) in model.predict(texts)?.iter().zip(truth) {
        let said = model.choose(row);
        right += usize::from(said == *truth);
        for output in said.iter().chain(truth).collect::<BTreeSet<_>>() {
            let count = counts.entry(*output).or_default();
            match (truth.contains(output), said.contains(output)) {
                (true, true) => count.tp += 1,
                (false, _) => count.fp += 1,
                (true, false) => count.fn_ += 1,
            }
        }
    }
    let each: f64 = counts.values().filter_map(Counts::f1).sum();
    Ok((each / counts.len().max(1) as f64, right as f64 / truth.len().max(1) as f64))
}

/// What trains where there is no project.
fn learner(settings: &TrainSettings) -> Result<Trainer, WorkflowError> {
    match settings.method {
        TrainingMethod::Ngram => Ok(Trainer::ngram(FitConfig::default())),
        TrainingMethod::Frozen if !settings.encoder.is_empty() => {
            let encoder = Encoder::open(Path::new(&settings.encoder), settings.max_tokens, Threads::available())?;
            Ok(Trainer::frozen(Arc::new(encoder), HeadConfig::default()))
        }
        TrainingMethod::Frozen => {
            Err(Refusal::unset("encoder", "the method `frozen` needs an encoder").hint("pass --encoder DIR").into())
        }
        TrainingMethod::Finetune | TrainingMethod::Vote => {
            let said = "a simulation trains hundreds of times, so the method must be `ngram` or `frozen`";
            Err(Refusal::new(RefusalKind::Unsupported { with: "method" }, said).hint("pass --method ngram").into())
        }
    }
}

/// Computes every embedding before the games begin.
fn read_once(encoder: &Encoder, set: &Set, cancel: &Cancel, watch: &mut Watch<'_>) -> Result<(), WorkflowError> {
    let all: Vec<&str> = set.texts.iter().chain(&set.test_texts).map(String::as_str).collect();
    let total = Some(all.len() as u64);
    watch(Progress::Started { what: "reading texts with the encoder".into(), total, unit: "texts" });
    for (i, part) in all.chunks(256).enumerate() {
        if cancel.is_cancelled() {
            return Err(WorkflowError::Stopped);
        }
        let rows = part.iter().map(|text| Encoder::hash(text)).zip(encoder.embed(part)?).collect();
        encoder.remember(rows);
        watch(Progress::Advanced((i * 256 + part.len()) as u64));
    }
    watch(Progress::Finished);
    Ok(())
}

fn of_project(project: &Project, watch: &mut Watch<'_>) -> Result<Set, WorkflowError> {
    let store = project.store_to_read(&mut |said| watch(Progress::Noted(said.to_owned())))?;
    let index = LabelIndex::read(project, &store)?;
    let taxonomy = &project.taxonomy;
    let gold = index.gold();
    let part = |part: Split| -> Vec<&Gold> {
        gold.iter().copied().filter(|gold| project.file.split.split(gold.patient()) == part).collect()
    };
    let (played, scored) = (part(Split::Train), part(Split::Test));
    let texts = |gold: &[&Gold]| -> Result<Vec<String>, WorkflowError> {
        let ids: Vec<SentenceId> = gold.iter().map(|gold| gold.sentence()).collect();
        Ok(store.texts(&ids)?.into_iter().map(|row| row.text).collect())
    };
    let proposed = index.silver(taxonomy).into_iter();
    let silver: FxHashMap<SentenceId, Vec<usize>> =
        proposed.map(|silver| (silver.sentence(), train::positions(taxonomy, silver.label()))).collect();
    let rows = played.iter().map(|gold| Row {
        outputs: train::positions(taxonomy, gold.label()),
        silver: silver.get(&gold.sentence()).cloned(),
    });
    let rows = rows.collect();
    let (outputs, _) = train::outputs(taxonomy);
    let mut names: Vec<String> = taxonomy.categories().iter().map(|category| category.name.clone()).collect();
    if taxonomy.selection() == Selection::Single {
        names.insert(0, train::NONE.to_owned());
    }
    Ok(Set {
        outputs,
        names,
        selection: taxonomy.selection(),
        texts: texts(&played)?,
        rows,
        test_texts: texts(&scored)?,
        truth: scored.iter().map(|gold| train::positions(taxonomy, gold.label())).collect(),
    })
}

/// Texts with the names of their labels.
pub(crate) type Named = Vec<(String, String)>;

/// What a project's games are played on and scored on, as texts with their labels, so that another program can play as well.
pub fn labelled_texts(project: &Project) -> Result<(Named, Named), WorkflowError> {
    let set = of_project(project, &mut |_| {})?;
    let named = |outputs: &[usize]| -> String {
        let names: Vec<&str> = outputs.iter().filter_map(|at| set.outputs.get(*at)).map(String::as_str).collect();
        names.join(",")
    };
    let played = set.texts.iter().cloned().zip(set.rows.iter().map(|row| named(&row.outputs))).collect();
    let scored = set.test_texts.iter().cloned().zip(set.truth.iter().map(|outputs| named(outputs))).collect();
    Ok((played, scored))
}

fn of_files(train: &Path, test: &Path, columns: &Columns) -> Result<Set, WorkflowError> {
    let (train, test) = (labelled(train, columns)?, labelled(test, columns)?);
    let several = train.iter().chain(&test).any(|(_, labels)| labels.len() > 1);
    let selection = if several { Selection::Multiple } else { Selection::Single };
    let of = |labels: &[String]| match (selection, labels) {
        (Selection::Single, []) => vec![train::NONE.to_owned()],
        _ => labels.to_vec(),
    };
    let outputs: BTreeSet<String> = train.iter().flat_map(|(_, labels)| of(labels)).collect();
    let mut numbers: FxHashMap<String, usize> = outputs.iter().cloned().zip(0..).collect();
    let mut number = |labels: &[String]| -> Vec<usize> {
        let all = of(labels).into_iter().map(|label| {
            let next = numbers.len();
            *numbers.entry(label).or_insert(next)
        });
        all.collect::<BTreeSet<_>>().into_iter().collect()
    };
    let rows = train.iter().map(|(_, labels)| Row { outputs: number(labels), silver: None }).collect();
    let truth = test.iter().map(|(_, labels)| number(labels)).collect();
    let outputs: Vec<String> = outputs.into_iter().collect();
    Ok(Set {
        names: outputs.clone(),
        outputs,
        selection,
        texts: train.into_iter().map(|(text, ..)| text).collect(),
        rows,
        test_texts: test.into_iter().map(|(text, ..)| text).collect(),
        truth,
    })
}

type LabelledText = (String, Vec<String>);

/// Texts with labels; what has no label says nothing.
fn labelled(path: &Path, columns: &Columns) -> Result<Vec<LabelledText>, WorkflowError> {
    let mut all = Vec::new();
    let reading = Reading { columns: columns.clone(), ..Reading::default() };
    for record in notes::open(path, &reading)? {
        let record =
            record.map_err(|bad| WorkflowError::Record { path: path.into(), line: bad.line, message: bad.message })?;
        all.extend(record.labels.map(|labels| (record.text, labels.words())));
    }
    if all.is_empty() {
        return Err(Refusal::too_early("labels", format!("no line of {} has a label", path.display()))
            .hint("--label-column names the column")
            .into());
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
