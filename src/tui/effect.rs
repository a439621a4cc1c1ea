//! Fulfils effects: the one place of the workbench that touches store, threads and models. A failure is said and leaves
//! what is shown as it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use rustc_hash::{FxHashMap, FxHashSet};

use super::compare::ComparedRun;
use super::jobs::{JobKind, JobSpec};
use super::message::{Effect, Message, SeekTarget};
use crate::domain::corpus::{DocumentId, Origin, SentenceId};
use crate::domain::guideline::Outdated;
use crate::domain::label::{Judgement, RunId, Source};
use crate::domain::queue::SentenceFilter;
use crate::domain::sight::{Cue, InSight};
use crate::domain::text::visible;
use crate::domain::visibility::{SentenceFacts, gives_away};
use crate::formats::project::training::{TrainSettings, TrainingMethod};
use crate::store::{SeekDirection, Store, TextRow};
use crate::workflow::access::{self, Access, Unrecorded};
use crate::workflow::background::in_background;
use crate::workflow::dispatch::JobEnd;
use crate::workflow::label_index::LabelIndex;
use crate::workflow::metrics::MetricsReader;
use crate::workflow::project::Project;
use crate::workflow::review::{self, ReviewItem, Taking, Worklist};
use crate::workflow::scores::score;
use crate::workflow::session::Session;
use crate::workflow::{
    Cancel, WorkflowError, diagnostics, experiment, generate, guideline, label, models, queue, train,
};

/// What the effects work on.
pub(crate) struct EffectContext {
    project: Arc<Project>,
    store: Store,
    to_app: Sender<Message>,
    to_metrics: Sender<MetricsRequest>,
    training: Cancel,
    experimenting: Cancel,
    jobs: std::collections::BTreeMap<JobSpec, Cancel>,
    shown: [Option<SentenceId>; 3],
    /// Notes that are on record as read since the workbench was opened.
    read: FxHashSet<DocumentId>,
    /// What has been shown of sentences so far, wherever that was: it sways whoever decides on one of them later.
    seen: FxHashMap<SentenceId, InSight>,
    version: i64,
    /// Whether the order of the queue is being thought over, or could not be.
    planning: Arc<AtomicBool>,
    /// Asked for when the workbench is left: nobody waits for that order any more.
    leaving: Cancel,
}

impl Drop for EffectContext {
    fn drop(&mut self) {
        self.leaving.cancel();
    }
}

/// What the footer says of an error; the log has it, too.
fn failed(error: &WorkflowError) -> String {
    diagnostics::failed(error);
    error.line()
}

/// A filter's matches are counted up to here; beyond, "more than".
pub(crate) const COUNT_LIMIT: u64 = 10_000;

impl EffectContext {
    /// Opens the store and starts the thread that keeps the metrics.
    pub(crate) fn open(project: Arc<Project>, to_app: Sender<Message>) -> Result<Self, WorkflowError> {
        let store = project.store()?;
        let (to_metrics, requests) = channel();
        store.leave_checkpoints()?;
        let (its_store, its_project, its_app) = (store.again()?, project.clone(), to_app.clone());
        in_background(move || metrics_thread(&its_project, &its_store, &requests, &its_app));
        let version = store.data_version()?;
        let (training, experimenting, jobs) = Default::default();
        let shown = [None; 3];
        let context = Self {
            project,
            store,
            to_app,
            to_metrics,
            training,
            experimenting,
            jobs,
            shown,
            read: FxHashSet::default(),
            seen: FxHashMap::default(),
            version,
            planning: Arc::default(),
            leaving: Cancel::default(),
        };
        context.refresh();
        context.plan_if_due();
        Ok(context)
    }

    /// What changes of the guideline put in question.
    pub(crate) fn outdated(&self) -> Result<Vec<Outdated>, WorkflowError> {
        guideline::outdated(&self.project, &self.store)
    }

    /// Thinks the order of the queue over on a thread of its own, once enough has been decided.
    fn plan_if_due(&self) {
        let due = || queue::is_due(&self.project, &self.store).unwrap_or(false);
        if self.planning.load(Ordering::Relaxed) || !due() {
            return;
        }
        self.planning.store(true, Ordering::Relaxed);
        let (project, app, planning) = (self.project.clone(), self.to_app.clone(), self.planning.clone());
        let leaving = self.leaving.clone();
        in_background(move || {
            let plan = || queue::plan(Session::new(&project, &mut project.store()?, &leaving, &mut |_| {}));
            let message = match plan() {
                Ok(_) => {
                    planning.store(false, Ordering::Relaxed);
                    Message::QueuePlanned
                }
                // What failed once would fail after every decision.
                Err(error) => Message::Failed(format!("the queue's order is unchanged: {}", failed(&error))),
            };
            let _ = app.send(message);
        });
    }

    fn refresh(&self) {
        // A metrics thread that has ended has said why.
        let _ = self.to_metrics.send(MetricsRequest::Refresh);
    }

    /// Looks whether another process has written; if so, what is shown is fetched anew and the numbers follow.
    pub(crate) fn poll(&mut self) -> Vec<Message> {
        match self.store.data_version() {
            Ok(version) if version != self.version => {
                self.version = version;
                self.refresh();
                let mut messages = Vec::new();
                for (worklist, id) in Worklist::ALL.into_iter().zip(self.shown) {
                    messages.extend(id.map(|id| self.item(worklist, id, false)).unwrap_or_default());
                }
                messages
            }
            Ok(_) => Vec::new(),
            Err(error) => vec![Message::Failed(failed(&error.into()))],
        }
    }

    /// Does what an effect asks and says what came of it.
    pub(crate) fn fulfil(&mut self, effect: Effect) -> Vec<Message> {
        let done = match effect {
            Effect::Fetch { worklist, target, filter, show } => self.fetch(worklist, target, &filter, show),
            Effect::Decide { worklist, item, judgement, took, then, filter } => {
                self.decide(worklist, &item, judgement, took, then, &filter)
            }
            Effect::Settle { item, judgement, took, filter } => self.settle(&item, judgement, took, &filter),
            Effect::Example { case, label, text } => {
                guideline::add_example(&self.project, &self.store, case, &label, &text).map(|()| {
                    let what = self.project.taxonomy.describe(&label);
                    vec![Message::Saved {
                        line: format!("added to the guideline as an example of {what}; used from the next start"),
                    }]
                })
            }
            Effect::Undo => self.turn_back("nothing to undo", review::undo),
            Effect::Redo => self.turn_back("nothing to redo", review::redo),
            Effect::List { title, ids } => self.list(&ids).map(|(rows, Unrecorded(why))| {
                ids.iter().for_each(|id| self.note(*id, InSight::NOTHING.with(Cue::Search)));
                let rows = rows.into_iter().map(|row| (row.id, visible(&row.text).text)).collect();
                std::iter::once(Message::Rows { title, rows }).chain(why.map(Message::Failed)).collect()
            }),
            Effect::Train(settings) => {
                self.train(*settings);
                Ok(Vec::new())
            }
            Effect::Experiment(method) => {
                self.experiment(method);
                Ok(Vec::new())
            }
            Effect::StopExperiment => {
                self.experimenting.cancel();
                Ok(Vec::new())
            }
            Effect::ReadExperiment(method) => {
                self.read_experiment(method);
                Ok(Vec::new())
            }
            Effect::Compare(one, other) => {
                let _ = self.to_metrics.send(MetricsRequest::Compare(one, other));
                Ok(Vec::new())
            }
            Effect::StartJob(spec) => {
                self.start(spec);
                Ok(Vec::new())
            }
            Effect::PauseJob(spec, wait) => {
                if let Some(job) = self.jobs.get(&spec) {
                    job.pause(wait);
                }
                Ok(Vec::new())
            }
            Effect::StopJob(spec) => {
                if let Some(job) = self.jobs.get(&spec) {
                    job.cancel();
                }
                Ok(Vec::new())
            }
            Effect::StopTraining => {
                self.training.cancel();
                Ok(Vec::new())
            }
        };
        done.unwrap_or_else(|error| vec![Message::Failed(failed(&error))])
    }

    fn decide(
        &mut self,
        worklist: Worklist,
        item: &ReviewItem,
        judgement: Judgement,
        took: Option<u32>,
        then: SeekTarget,
        filter: &SentenceFilter,
    ) -> Result<Vec<Message>, WorkflowError> {
        let taking = self.taking(item, judgement.clone(), took);
        review::decide(&self.project, &mut self.store, item, taking)?;
        let line = self.saved_line(worklist, item, &judgement);
        self.refresh();
        self.plan_if_due();
        // Committed: from here on nothing may claim that the decision failed.
        let mut messages =
            self.fetch(worklist, then, filter, false).unwrap_or_else(|error| vec![Message::Failed(failed(&error))]);
        messages.push(Message::Saved { line });
        Ok(messages)
    }

    fn settle(
        &mut self,
        item: &ReviewItem,
        judgement: Judgement,
        took: Option<u32>,
        filter: &SentenceFilter,
    ) -> Result<Vec<Message>, WorkflowError> {
        let taking = self.taking(item, judgement.clone(), took);
        review::settle(&self.project, &mut self.store, item, taking)?;
        let what = judgement.label.map(|label| self.project.taxonomy.describe(&label)).unwrap_or_default();
        self.refresh();
        let then = SeekTarget::OpenAfter(item.sentence.id);
        let mut messages = self
            .fetch(Worklist::Adjudicate, then, filter, false)
            .unwrap_or_else(|error| vec![Message::Failed(failed(&error))]);
        messages.push(Message::Saved { line: format!("settled: {what}") });
        Ok(messages)
    }

    fn note(&mut self, id: SentenceId, seen: InSight) {
        let before = self.seen.entry(id).or_default();
        *before = before.and(seen);
    }

    fn taking(&self, item: &ReviewItem, judgement: Judgement, took: Option<u32>) -> Taking {
        Taking { judgement, took, besides: self.seen.get(&item.sentence.id).copied().unwrap_or_default() }
    }

    fn saved_line(&self, worklist: Worklist, item: &ReviewItem, judgement: &Judgement) -> String {
        let taxonomy = &self.project.taxonomy;
        let what = match &judgement.label {
            _ if judgement.rejected => "rejected".to_owned(),
            Some(label) => taxonomy.describe(label),
            None if judgement.skipped => "skipped".to_owned(),
            None if judgement.flagged => "flagged".to_owned(),
            None => "flag and comment".to_owned(),
        };
        // After a blind decision the proposal may be shown; reading it here, once committed, is the reveal.
        let after = SentenceFacts {
            sentence: item.sentence.id,
            origin: item.document.origin,
            split: item.split,
            decided: judgement.label.is_some(),
        };
        let reveal = !item.shown.machines && self.project.viewer(worklist.face()).shown(after).machines;
        let revealed = if reveal { self.store.proposals(item.sentence.id).ok() } else { None };
        let revealed = revealed.and_then(|all| all.into_iter().find(|p| p.source == Source::Llm));
        let reveal =
            revealed.map_or_else(String::new, |p| format!("; silver said {}", taxonomy.describe(&p.content.label)));
        format!("saved: {what}{reveal}")
    }

    fn fetch(
        &mut self,
        worklist: Worklist,
        target: SeekTarget,
        filter: &SentenceFilter,
        show: bool,
    ) -> Result<Vec<Message>, WorkflowError> {
        let (project, store) = (&self.project, &self.store);
        let seek = |from, direction| review::seek(project, store, filter, from, direction);
        let found = match target {
            SeekTarget::Exactly(id) => Some(id),
            SeekTarget::After(id) => seek(Some(id), SeekDirection::Forward)?,
            SeekTarget::Before(id) => seek(Some(id), SeekDirection::Back)?,
            SeekTarget::Resume => match review::next_open(project, store, worklist, filter, None)? {
                Some(id) => Some(id),
                None => seek(None, SeekDirection::Forward)?,
            },
            // What was disputed is no longer once it is settled; then there is nothing to stay on.
            SeekTarget::OpenAfter(id) => review::next_open(project, store, worklist, filter, Some(id))?
                .or((worklist != Worklist::Adjudicate).then_some(id)),
        };
        let mut messages = match found {
            Some(id) => {
                if gives_away(filter).next().is_some() {
                    self.note(id, InSight::NOTHING.with(Cue::Search));
                }
                if filter.doubted.is_some() {
                    self.note(id, InSight::NOTHING.with(Cue::Doubt));
                }
                self.item(worklist, id, show)
            }
            None => {
                let at_all = target == SeekTarget::Resume
                    || worklist == Worklist::Adjudicate && matches!(target, SeekTarget::OpenAfter(_));
                if at_all {
                    self.shown[worklist as usize] = None;
                }
                vec![Message::Nothing { worklist, at_all }]
            }
        };
        messages.push(self.worklist_progress(worklist, filter)?);
        Ok(messages)
    }

    /// The texts of a list. That they were read is on record before they are shown.
    fn list(&mut self, ids: &[SentenceId]) -> Result<(Vec<TextRow>, Unrecorded), WorkflowError> {
        let unrecorded = access::sentences(&self.project, &mut self.store, Access::Listed, ids)?;
        Ok((self.store.texts(ids)?, unrecorded))
    }

    /// Puts on record that a note is opened, once.
    fn opened(&mut self, item: &ReviewItem) -> Result<Unrecorded, WorkflowError> {
        let note = item.document.id;
        if item.document.origin == Origin::Synthetic || self.read.contains(&note) {
            return Ok(Unrecorded::default());
        }
        let unrecorded = access::record(&self.project, &mut self.store, Access::Opened, [note])?;
        if unrecorded.0.is_none() {
            self.read.insert(note);
        }
        Ok(unrecorded)
    }

    fn item(&mut self, worklist: Worklist, id: SentenceId, show: bool) -> Vec<Message> {
        match review::item(&self.project, &self.store, worklist, id) {
            Ok(item) => {
                let unrecorded = match self.opened(&item) {
                    Ok(Unrecorded(why)) => why,
                    Err(error) => return vec![Message::Failed(failed(&error))],
                };
                self.note(id, item.in_sight());
                self.shown[worklist as usize] = Some(id);
                let item = Message::Item { worklist, item: Box::new(item), show };
                std::iter::once(item).chain(unrecorded.map(Message::Failed)).collect()
            }
            Err(error) => vec![Message::Failed(failed(&error))],
        }
    }

    fn worklist_progress(&self, worklist: Worklist, filter: &SentenceFilter) -> Result<Message, WorkflowError> {
        let (progression, took) = review::progress(&self.project, &self.store, worklist)?;
        let matches = if *filter == worklist.all(&self.project) {
            None
        } else {
            Some(review::count(&self.project, &self.store, filter, COUNT_LIMIT)?)
        };
        let held = review::why_held(&self.project, filter);
        Ok(Message::WorklistProgress {
            worklist,
            decided: progression.decided,
            total: progression.total,
            took,
            matches,
            held,
        })
    }

    fn turn_back(
        &mut self,
        nothing: &'static str,
        turn: fn(&Project, &mut Store) -> Result<Option<crate::store::UndoneDecision>, WorkflowError>,
    ) -> Result<Vec<Message>, WorkflowError> {
        let Some(undone) = turn(&self.project, &mut self.store)? else {
            return Ok(vec![Message::NothingToUndo(nothing)]);
        };
        self.refresh();
        let origin = self.store.document(self.store.sentence(undone.sentence)?.document)?.origin;
        let worklist = if undone.settlement { Worklist::Adjudicate } else { Worklist::of(origin) };
        let mut messages = self.item(worklist, undone.sentence, true);
        messages.push(self.worklist_progress(worklist, &worklist.all(&self.project))?);
        Ok(messages)
    }

    /// Starts a job on a thread of its own, with a store of its own: what it proposes is seen like another process's work.
    fn start(&mut self, spec: JobSpec) {
        let cancel = Cancel::default();
        self.jobs.insert(spec.clone(), cancel.clone());
        let (project, app, metrics) = (self.project.clone(), self.to_app.clone(), self.to_metrics.clone());
        in_background(move || {
            // The workbench may have been left while the job goes on to its next safe point.
            let mut watch = |progress| drop(app.send(Message::Job(spec.clone(), progress)));
            let done = work(&project, &spec, &cancel, &mut watch).map_err(|error| failed(&error));
            let _ = metrics.send(MetricsRequest::Refresh);
            let _ = app.send(Message::JobEnded(spec, done.and_then(|done| done)));
        });
    }

    fn train(&mut self, settings: TrainSettings) {
        self.training = Cancel::default();
        let (project, cancel, app, metrics) =
            (self.project.clone(), self.training.clone(), self.to_app.clone(), self.to_metrics.clone());
        in_background(move || {
            let run = || -> Result<_, WorkflowError> {
                let mut store = project.store()?;
                // The workbench may have been left while training ends.
                train::train(
                    Session::new(&project, &mut store, &cancel, &mut |event| drop(app.send(Message::Training(event)))),
                    &settings,
                )
            };
            let result = run().map_err(|error| failed(&error));
            let _ = metrics.send(MetricsRequest::Refresh);
            let _ = app.send(Message::Trained(Box::new(result)));
        });
    }
}

impl EffectContext {
    /// Runs the grid that the command line runs by default, so that either goes on where the other stopped.
    fn experiment(&mut self, method: TrainingMethod) {
        self.experimenting = Cancel::default();
        let (project, cancel, app, metrics) =
            (self.project.clone(), self.experimenting.clone(), self.to_app.clone(), self.to_metrics.clone());
        in_background(move || {
            let run = || -> Result<_, WorkflowError> {
                let mut store = project.store()?;
                let options = experiment::ExperimentOptions::grid(&project, &[method], experiment::SEEDS);
                experiment::experiment(
                    Session::new(&project, &mut store, &cancel, &mut |event| {
                        drop(app.send(Message::Experiment(event)))
                    }),
                    &options,
                )
            };
            let result = run().map_err(|error| failed(&error));
            let _ = metrics.send(MetricsRequest::Refresh);
            let _ = app.send(Message::Experimented(Box::new(result)));
        });
    }

    /// Reads what is done of it; on a thread of its own, since the intervals take a while.
    fn read_experiment(&self, method: TrainingMethod) {
        let (project, app) = (self.project.clone(), self.to_app.clone());
        in_background(move || {
            let read = || -> Result<_, WorkflowError> {
                experiment::partial(
                    &project,
                    &project.store()?,
                    &experiment::ExperimentOptions::grid(&project, &[method], experiment::SEEDS),
                )
            };
            let message = match read() {
                Ok(report) => {
                    Message::Experiment(experiment::ExperimentEvent::Planned { report: Box::new(report), jobs: 0 })
                }
                Err(error) => Message::Failed(format!("experiment: {}", failed(&error))),
            };
            let _ = app.send(message);
        });
    }
}

/// Does a job as the project file says, and says how it ended.
fn work(
    project: &Project,
    spec: &JobSpec,
    cancel: &Cancel,
    watch: &mut crate::workflow::Watch<'_>,
) -> Result<Result<String, String>, WorkflowError> {
    let mut store = project.store()?;
    let model = models::settings(project, &spec.model)?.1.clone();
    let (said, ended) = match spec.work {
        JobKind::Label => {
            let options = label::LabelOptions {
                model,
                settings: project.file.label.clone(),
                budget: Default::default(),
                which: label::SentenceChoice::All,
                limit: None,
                fresh: false,
                retry_failed: false,
            };
            let report = label::label(Session::new(project, &mut store, cancel, watch), &options)?;
            (format!("{} labelled, {} failed", report.labelled, report.failed), report.ended)
        }
        JobKind::Generate => {
            let options = generate::GenerateOptions {
                model,
                settings: project.file.generate.clone(),
                budget: Default::default(),
                categories: Vec::new(),
                fresh: false,
            };
            let report = generate::generate(Session::new(project, &mut store, cancel, watch), &options)?;
            let passed: usize = report.targets.iter().map(|t| t.passed).sum();
            let written: usize = report.targets.iter().map(|t| t.written).sum();
            (format!("{passed} of {written} sentences passed"), report.ended)
        }
    };
    Ok(match ended {
        JobEnd::Finished => Ok(said),
        JobEnd::Stopped => Ok(format!("{said}; stopped, start it again to resume")),
        JobEnd::Budget(why) => Ok(format!("{said}; {why}")),
        JobEnd::Halted(why) => Err(format!("{why}; {said}, start it again to resume")),
    })
}

/// What is asked of the thread that keeps the metrics.
enum MetricsRequest {
    /// The newest numbers.
    Refresh,
    /// Two runs side by side.
    Compare(RunId, RunId),
}

/// Measures on request: one refresh, and the last comparison, for however many requests have come meanwhile.
fn metrics_thread(project: &Project, store: &Store, requests: &Receiver<MetricsRequest>, app: &Sender<Message>) {
    let mut reader = MetricsReader::default();
    while let Ok(first) = requests.recv() {
        let (mut numbers, mut pair) = (false, None);
        for request in std::iter::once(first).chain(requests.try_iter()) {
            match request {
                MetricsRequest::Refresh => numbers = true,
                MetricsRequest::Compare(one, other) => pair = Some([one, other]),
            }
        }
        let refreshed = reader.index.refresh(project, store);
        if let (Some(pair), Ok(_)) = (pair, &refreshed) {
            let message = match compare_runs(project, store, &reader.index, pair) {
                Ok(sides) => Message::Compared(Box::new(sides)),
                Err(error) => Message::Failed(format!("comparison: {}", failed(&error))),
            };
            if app.send(message).is_err() {
                break;
            }
        }
        if !numbers && refreshed.is_ok() {
            continue;
        }
        let message = match refreshed.and_then(|_| reader.snapshot(project, store)) {
            Ok(snapshot) => Message::Metrics(Box::new(snapshot)),
            Err(error) => Message::Failed(format!("metrics: {}", failed(&error))),
        };
        if app.send(message).is_err() {
            break;
        }
        // Nobody waits for this thread. Where it fails, the next writer does it.
        if let Err(error) = store.checkpoint() {
            tracing::warn!(%error, "the write-ahead log stays as it is");
        }
    }
}

fn compare_runs(
    project: &Project,
    store: &Store,
    index: &LabelIndex,
    [one, other]: [RunId; 2],
) -> Result<[ComparedRun; 2], WorkflowError> {
    let side = |id: RunId| -> Result<ComparedRun, WorkflowError> {
        let scored = score(project, index, &id, project.file.bootstrap).filter(|s| s.report.sentences > 0);
        Ok(ComparedRun::of(store.run(&id)?, scored.as_ref(), &project.taxonomy))
    };
    Ok([side(one)?, side(other)?])
}
