//! Label-to-data: a language model writes sentences for each category by the guideline alone. What passes the quality gate
//! is bronze; what does not is kept with the reason.
//!
//! The same command goes on where it stopped: the run is found again by its configuration, and every sentence has a number
//! of its own from which everything that was drawn for it follows.

mod job;

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use super::access::{self, Access, Unrecorded};
use super::dispatch::{Dispatch, JobEnd, dispatch};
use super::label_index::LabelIndex;
use super::project::Project;
use super::{Progress, Watch, WorkflowError, label, models, runs, train};
use crate::classifier::{self, Classifier};
use crate::domain::category::CategoryKey;
use crate::domain::corpus::{Origin, SentenceId};
use crate::domain::gold::Gold;
use crate::domain::label::{Label, RunId, RunKind};
use crate::domain::quality::{
    Comparison, Limits, QualityGate, RealSentences, Sampling as Sample, SentenceSet, compare,
};
use crate::domain::quota::{inverse, share_out};
use crate::domain::spending::{Budget, Spending};
use crate::domain::split::Split;
use crate::domain::taxonomy::Taxonomy;
use crate::domain::visibility::Face;
use crate::formats::project::language::{ClassifierCheck, GenerateSettings, ModelSettings, Provider, Quota};
use crate::llm::DecodingParams;
use crate::llm::prompt::{FewShotExample, LabelPrompt, LabelTask, WriteBrief, WritePrompt, guideline_shots};
use crate::store::Store;
use crate::workflow::session::Session;
use job::GenerateJob;

/// What to write and how.
#[derive(Clone, Debug)]
pub(crate) struct GenerateOptions {
    /// How the model is reached.
    pub model: ModelSettings,
    /// What is written.
    pub settings: GenerateSettings,
    /// What may be spent.
    pub budget: Budget,
    /// Only these categories; empty for all.
    pub categories: Vec<CategoryKey>,
    /// Begin a new run although one with this configuration is there.
    pub fresh: bool,
}

/// How far one category is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct CategoryQuota {
    /// The category; `None` for sentences without one.
    pub key: Option<CategoryKey>,
    /// Passed sentences wanted.
    pub quota: usize,
    /// Sentences that passed.
    pub passed: usize,
    /// Sentences written, whether they passed or not.
    pub written: usize,
    /// Too many in a row did not pass.
    pub given_up: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GenerateSummary {
    pub run: RunId,
    /// The model's name.
    pub model: String,
    pub ended: JobEnd,
    pub targets: Vec<CategoryQuota>,
    /// Why sentences did not pass: check and how often.
    pub failed_checks: Vec<(String, u64)>,
    /// Replies that could not be used at all.
    pub unusable: u64,
    /// What the run has cost by now.
    pub spending: Spending,
}

/// The label that a target stands for.
pub(crate) fn label_of(target: Option<&CategoryKey>) -> Label {
    target.cloned().map_or_else(Label::none, Label::of)
}

/// Quotas by category, and for sentences without one.
pub(crate) fn quotas(taxonomy: &Taxonomy, settings: &GenerateSettings, gold: &[usize], only: &[CategoryKey]) -> Quotas {
    let wanted: Vec<(usize, CategoryKey)> = taxonomy
        .categories()
        .iter()
        .enumerate()
        .filter(|(_, category)| only.is_empty() || only.contains(&category.key))
        .map(|(at, category)| (gold.get(at + 1).copied().unwrap_or(0), category.key.clone()))
        .collect();
    let counts: Vec<usize> = wanted.iter().map(|(n, _)| *n).collect();
    let weights = match settings.quota {
        Quota::Equal => vec![1.0; counts.len()],
        Quota::Gold => counts.iter().map(|n| *n as f64).collect(),
        Quota::Inverse => inverse(&counts),
    };
    let parts = share_out(settings.per_category * counts.len(), &weights);
    let mut quotas: Quotas = wanted.into_iter().zip(parts).map(|((_, key), part)| (Some(key), part)).collect();
    let none = (settings.none * settings.per_category as f64).round() as usize;
    if none > 0 && only.is_empty() {
        quotas.push((None, none));
    }
    quotas
}

/// Gold sentences of training patients to be shown, where the project lets them be.
fn real_shots(
    project: &Project,
    store: &Store,
    index: &LabelIndex,
    model: &ModelSettings,
) -> Result<Vec<(SentenceId, FewShotExample)>, WorkflowError> {
    let keeps_back = models::keeps_back(project, model)?;
    if !project.file.privacy.real_sentences {
        return Ok(Vec::new());
    }
    const EACH: usize = 3;
    let mut picked: Vec<&Gold> = Vec::new();
    for gold in index.gold() {
        let train = project.file.split.split(gold.patient()) == Split::Train;
        if train && !gold.label().is_none() && picked.iter().filter(|g| g.label() == gold.label()).count() < EACH {
            picked.push(gold);
        }
    }
    label::shown(project, store, &picked, keeps_back)
}

/// Indexes the real sentences that written ones are compared with.
fn reference(store: &Store, watch: &mut Watch<'_>) -> Result<RealSentences, WorkflowError> {
    let mut reference = RealSentences::new(Limits::default());
    let total = store.sentence_count(Origin::Real)?;
    watch(Progress::Started { what: "reading real sentences".into(), total: Some(total), unit: "sentences" });
    let (mut after, mut done) = (SentenceId(0), 0);
    loop {
        let rows = store.texts_after(Origin::Real, after, 4_000)?;
        let Some(last) = rows.last() else {
            break;
        };
        after = last.id;
        done += rows.len() as u64;
        rows.iter().for_each(|row| reference.add(&row.text));
        watch(Progress::Advanced(done));
    }
    watch(Progress::Finished);
    Ok(reference)
}

/// The newest classifier, where it is to be asked and there is one.
fn classifier(project: &Project, store: &Store, settings: &GenerateSettings) -> Option<Box<dyn Classifier>> {
    if settings.classifier == ClassifierCheck::Off {
        return None;
    }
    // A project without a classifier yet is no fault; the check is left out, and the verdicts show that.
    let folder = train::latest_model(project, store, None).ok()?;
    let (model, _) = classifier::load(&folder).ok()?;
    // One that was trained for other categories says nothing of these.
    (model.outputs() == train::outputs(&project.taxonomy).0).then_some(model)
}

/// Generates.
pub(crate) fn generate(session: Session<'_>, options: &GenerateOptions) -> Result<GenerateSummary, WorkflowError> {
    let Session { project, store, cancel, progress: watch } = session;
    let _span = tracing::info_span!("generate").entered();
    let (settings, taxonomy) = (&options.settings, &project.taxonomy);
    let index = LabelIndex::read(project, store)?;
    let real = real_shots(project, store, &index, &options.model)?;
    let quotas = quotas(taxonomy, settings, &index.gold_counts(taxonomy).by_category, &options.categories);
    let model = models::open(project, store, &options.model, !real.is_empty())?;
    let embedded = matches!(options.model.provider, Provider::Embedded { .. });
    let style = label::style(&project.file.label, embedded);
    let shots = guideline_shots(taxonomy, project.file.label.examples, project.file.label.seed);
    let checker = LabelPrompt::new(taxonomy, LabelTask::Categories, style, &shots);
    let shows: Vec<SentenceId> = real.iter().map(|(id, _)| *id).collect();
    let prompt = WritePrompt::new(taxonomy, real.into_iter().map(|(_, shot)| shot).collect());

    let card = model.card();
    let config = json!({
        "model": card.identity, "details": label::lasting(&card.details), "prompt": prompt.hash(taxonomy), "settings": settings,
        "round_trip_prompt": checker.hash(), "variety": taxonomy.variety(), "limits": Limits::default(),
        "categories": options.categories,
    })
    .to_string();
    let mut run = runs::find_or_new(store, RunKind::Generate, &card.name, config, taxonomy, options.fresh)?;
    runs::begin(store, &mut run)?;

    let reference = reference(store, watch)?;
    let mut gate = QualityGate::new(&reference, taxonomy);
    // A model that repeats the guideline's examples has written nothing.
    for category in taxonomy.categories() {
        category.examples.iter().for_each(|example| gate.accept(example));
    }
    taxonomy.none().examples.iter().for_each(|example| gate.accept(example));
    let classifier = classifier(project, store, settings);
    let mut job = GenerateJob {
        project,
        settings,
        run: &run.id,
        prompt: &prompt,
        checker: &checker,
        shows: &shows,
        lengths: reference.lengths(),
        gate,
        classifier: classifier.as_deref(),
        targets: quotas.into_iter().map(job::Progressing::new).collect(),
        waiting: Vec::new(),
        unusable: 0,
    };
    store.bronze_each(None, |row| job.remember(&row))?;
    let total: usize = job.targets.iter().map(|t| t.target.quota.saturating_sub(t.target.passed)).sum();
    watch(Progress::Started {
        what: format!("writing with {}", run.model),
        total: Some(total as u64),
        unit: "passed sentences",
    });
    let rules = models::policy(project, store)?;
    let setup = Dispatch {
        model: Arc::clone(&model),
        limits: models::limits(&options.model),
        budget: options.budget,
        prices: models::prices(&options.model),
        policy: &rules,
        run: &run.id,
    };
    let ended = dispatch(&setup, store, &mut job, cancel, watch);
    watch(Progress::Finished);
    let unusable = job.unusable;
    let targets: Vec<CategoryQuota> = job.targets.into_iter().map(|t| t.target).collect();
    let (spending, failed_checks) = (store.spending(&run.id)?, store.failed_checks(&run.id)?);
    let passed: usize = targets.iter().map(|t| t.passed).sum();
    let scores = json!({
        "passed": passed, "targets": targets, "failed_checks": failed_checks, "unusable": unusable, "spending": spending,
    })
    .to_string();
    runs::end(store, &mut run, &ended, scores)?;
    let model = run.model;
    Ok(GenerateSummary { run: run.id, model, ended: ended?, targets, failed_checks, unusable, spending })
}

/// A quota for each category, and one for sentences without any.
pub(crate) type Quotas = Vec<(Option<CategoryKey>, usize)>;

/// Quotas and one whole prompt, without sending anything.
pub(crate) fn forecast(
    project: &Project,
    store: &mut Store,
    options: &GenerateOptions,
) -> Result<(Quotas, String, Unrecorded), WorkflowError> {
    let taxonomy = &project.taxonomy;
    let index = LabelIndex::read(project, store)?;
    let real = real_shots(project, store, &index, &options.model)?;
    let withheld = real.iter().filter(|(id, _)| !index.shown(project, Face::Report, *id).colleagues).count();
    let shown: Vec<SentenceId> = real.iter().map(|(id, _)| *id).filter(|_| withheld == 0).collect();
    let real = real.into_iter().map(|(_, shot)| shot).collect();
    let gold = index.gold_counts(taxonomy).by_category;
    let quotas = quotas(taxonomy, &options.settings, &gold, &options.categories);
    let target = quotas.first().and_then(|(key, _)| key.clone());
    let brief = WriteBrief::draw(taxonomy, target, 12, options.settings.seed);
    let request = WritePrompt::new(taxonomy, real).write(taxonomy, &brief, DecodingParams::greedy(1));
    let turns: Vec<String> = request.turns.iter().map(|t| format!("[{:?}]\n{}", t.role, t.content)).collect();
    let prompt = if withheld > 0 { label::prompt_withheld(project, withheld) } else { turns.join("\n\n") };
    let unrecorded = access::sentences(project, store, Access::Printed, &shown)?;
    Ok((quotas, prompt, unrecorded))
}

/// Compares the sentences that passed, of one run or of all, with those of real notes. The label distribution of real
/// sentences is that of gold.
pub(crate) fn compare_with_real(
    project: &Project,
    store: &Store,
    run: Option<&RunId>,
) -> Result<(Comparison, u64), WorkflowError> {
    let (mut texts, mut labels) = (Vec::new(), std::collections::BTreeMap::<Label, u64>::new());
    let mut left_out = 0;
    store.bronze_each(run, |row| match train::bronze_label(&row) {
        Some((label, text)) => {
            *labels.entry(label).or_default() += 1;
            texts.push(text);
        }
        None => left_out += 1,
    })?;
    let (mut real, mut after) = (Vec::new(), SentenceId(0));
    // More would not change the comparison, and memory stays bounded.
    while real.len() < 200_000 {
        let rows = store.texts_after(Origin::Real, after, 4_000)?;
        let Some(last) = rows.last() else {
            break;
        };
        after = last.id;
        real.extend(rows.into_iter().map(|row| row.text));
    }
    let index = LabelIndex::read(project, store)?;
    let mut gold = std::collections::BTreeMap::<Label, u64>::new();
    for one in index.gold() {
        // Bronze is written for categories; to compare it with gold, None is left out on both sides.
        if !one.label().is_none() {
            *gold.entry(one.label().clone()).or_default() += 1;
        }
    }
    labels.remove(&Label::none());
    let (real, texts): (Vec<&str>, Vec<&str>) =
        (real.iter().map(String::as_str).collect(), texts.iter().map(String::as_str).collect());
    let comparison = compare(
        SentenceSet { texts: &real, labels: &gold },
        SentenceSet { texts: &texts, labels: &labels },
        Sample { seed: 1, self_bleu: 2_000 },
    );
    Ok((comparison, left_out))
}
