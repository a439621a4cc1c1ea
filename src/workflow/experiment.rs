//! The experiment: a grid of trainings on gold alone and on what is added to it, each tested on the same held-out gold.
//!
//! A cell is stored when it ends, in one transaction and under its whole configuration: so the same command finds what is
//! done, whatever stopped it, and trains the rest. Cells propose nothing; Review and the metrics never meet them.

mod grid;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use super::project::Project;
use super::train::{TrainingEvent, chosen_label};
use super::{Cancel, Progress, WorkflowError, encoders, now};
use crate::domain::experiment::{Cell, ExperimentReport, Task, TrainingSetSpec, TrainingSize};
use crate::domain::label::{Label, RunId, Timestamp};
use crate::domain::statistics::Bootstrap;
use crate::formats::project::training::{TrainSettings, TrainingMethod};
use crate::store::Store;
use crate::workflow::refusal::{Refusal, RefusalKind};
use crate::workflow::session::Session;
use grid::ExperimentGrid;

/// A way to train that takes part.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ComparedModel {
    /// Its name in tables.
    pub name: String,
    /// How it trains; tiers and seed are the cell's.
    pub settings: TrainSettings,
    /// Whether many can train at once; one that holds an encoder takes memory, and threads of its own.
    pub light: bool,
}

/// What to compare.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExperimentOptions {
    pub entrants: Vec<ComparedModel>,
    pub tasks: Vec<Task>,
    pub sets: Vec<TrainingSetSpec>,
    pub seeds: Vec<u64>,
    /// Per cent of gold for learning curves; empty for none.
    pub shares: Vec<u32>,
    /// Trainings at once; `None` for as many as there are processors, or one with an encoder.
    pub jobs: Option<usize>,
}

impl ExperimentOptions {
    /// The paper's grid of some methods with the project's settings and seeds from theirs on; without methods, the project's.
    pub(crate) fn grid(project: &Project, methods: &[TrainingMethod], seeds: usize) -> Self {
        let settings = &project.file.train;
        let first = settings.seed;
        let methods = if methods.is_empty() { &[settings.method][..] } else { methods };
        let entrant = |method: &TrainingMethod| ComparedModel {
            name: method.word().into(),
            // What is set for one method fits no other.
            settings: if *method == settings.method { settings.clone() } else { settings.of(*method) },
            light: matches!(method, TrainingMethod::Ngram | TrainingMethod::Frozen),
        };
        Self {
            entrants: methods.iter().map(entrant).collect(),
            tasks: Task::ALL.into(),
            sets: TrainingSetSpec::grid(),
            seeds: (0..seeds as u64).map(|n| first.saturating_add(n)).collect(),
            shares: Vec::new(),
            jobs: None,
        }
    }
}

/// Seeds of each cell, where nobody says how many: fewer say little of chance in training.
pub(crate) const SEEDS: usize = 5;

/// Shares of gold on a learning curve.
pub(crate) const SHARES: [u32; 4] = [10, 25, 50, 100];

/// What an experiment says while it runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ExperimentEvent {
    /// The grid is planned, the leaks are counted, and this much was done before.
    Planned {
        /// Means and deviations so far, and the warnings.
        report: Box<ExperimentReport>,
        /// Trainings at once.
        jobs: usize,
    },
    /// How far it is.
    Progress(Progress),
    /// A cell is trained and stored.
    Cell {
        cell: Cell,
        /// The run that keeps its predictions.
        run: RunId,
        /// The table as it stands: means and deviations, without intervals, which come at the end.
        report: Box<ExperimentReport>,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExperimentResult {
    /// The report, with intervals.
    pub report: ExperimentReport,
    /// Whether a person stopped it before every cell was done.
    pub stopped: bool,
}

/// The report of what is done, training nothing.
pub(crate) fn partial(
    project: &Project,
    store: &Store,
    options: &ExperimentOptions,
) -> Result<ExperimentReport, WorkflowError> {
    let grid = ExperimentGrid::plan(project, store, options)?;
    Ok(ExperimentReport::of(&grid.subject, &grid.done(store)?, project.file.bootstrap))
}

/// What a worker hands back.
struct CellResult {
    labels: Vec<Label>,
    trained: TrainingSize,
    started: Timestamp,
}

/// Trains every cell that is not done yet, and reports on all.
pub(crate) fn experiment(
    session: Session<'_, ExperimentEvent>,
    options: &ExperimentOptions,
) -> Result<ExperimentResult, WorkflowError> {
    let Session { project, store, cancel, progress: watch } = session;
    let _span = tracing::info_span!("experiment").entered();
    let mut grid = ExperimentGrid::plan(project, store, options)?;
    let mut done = grid.done(store)?;
    let no_resamples = Bootstrap { resamples: 0, ..project.file.bootstrap };
    let cells = grid.subject.cells.clone();
    let todo: Vec<usize> = (0..cells.len()).filter(|at| done.iter().all(|done| done.cell != cells[*at])).collect();
    let light = options.entrants.iter().all(|entrant| entrant.light);
    let processors = if light { std::thread::available_parallelism().map_or(1, usize::from) } else { 1 };
    let jobs = options.jobs.unwrap_or(processors).clamp(1, todo.len().max(1));
    watch(ExperimentEvent::Planned {
        report: Box::new(ExperimentReport::of(&grid.subject, &done, no_resamples)),
        jobs,
    });
    if !todo.is_empty() {
        let texts = grid.all_texts();
        for learner in grid.learners() {
            match encoders::embed(store, learner, &texts, cancel, &mut |progress| {
                watch(ExperimentEvent::Progress(progress))
            }) {
                Err(WorkflowError::Stopped) => break,
                other => other?,
            }
        }
    }
    let what = match done.len() {
        0 => "training".to_owned(),
        kept => format!("training the rest ({kept} done before)"),
    };
    watch(ExperimentEvent::Progress(Progress::Started { what, total: Some(todo.len() as u64), unit: "cells" }));

    let mut failed = Vec::new();
    let next = AtomicUsize::new(0);
    // A cell is handed over and stored before its worker begins the next, so a crash loses what was under way alone.
    let (send, receive) = mpsc::sync_channel::<(usize, Result<Option<CellResult>, WorkflowError>)>(0);
    let stored = std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (send, grid, todo, next) = (send.clone(), &grid, &todo, &next);
            scope.spawn(move || {
                while let Some(at) = todo.get(next.fetch_add(1, Ordering::Relaxed)).filter(|_| !cancel.is_cancelled()) {
                    // Whoever listened has met an error; there is nobody to work for.
                    if send.send((*at, fit(grid, *at, cancel))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        // An error ends this loop and with it the receiver; the workers end with the cell that they are at.
        let mut count = 0;
        for (at, fitted) in receive {
            let cell = &cells[at];
            match fitted {
                Ok(Some(fitted)) => {
                    let (run, predictions, finished) = grid.run(at, fitted);
                    store.put_cell(&run, &predictions)?;
                    done.push(finished);
                    count += 1;
                    watch(ExperimentEvent::Progress(Progress::Advanced(count)));
                    let report = Box::new(ExperimentReport::of(&grid.subject, &done, no_resamples));
                    watch(ExperimentEvent::Cell { cell: cell.clone(), run: run.id, report });
                }
                Ok(None) => {}
                Err(error) => failed.push(format!("{cell} could not be trained: {}", error.words())),
            }
        }
        Ok::<(), WorkflowError>(())
    });
    watch(ExperimentEvent::Progress(Progress::Finished));
    stored?;
    if done.is_empty()
        && let Some(first) = failed.first()
    {
        return Err(Refusal::new(RefusalKind::Failed, first.clone()).into());
    }
    grid.subject.warnings.append(&mut failed);
    let stopped = cancel.is_cancelled() && done.len() < cells.len();
    Ok(ExperimentResult { report: ExperimentReport::of(&grid.subject, &done, project.file.bootstrap), stopped })
}

/// Trains one cell and labels the test sentences; `None` where a person stopped it.
fn fit(grid: &ExperimentGrid<'_>, at: usize, cancel: &Cancel) -> Result<Option<CellResult>, WorkflowError> {
    let started = now();
    let clock = Instant::now();
    let cell = &grid.subject.cells[at];
    let data = grid.data(cell);
    let (mut passes, mut stopped) = (0, false);
    let (outputs, mode) = grid.outputs(cell.task);
    let model = grid.learner(cell)?.fit(&outputs, mode, &data.train, &data.validation, cell.seed, &mut |heard| {
        if let TrainingEvent::Epoch(epoch) = heard {
            passes = epoch.epoch;
        }
        stopped = cancel.is_cancelled();
        if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if stopped {
        return Ok(None);
    }
    let rows = model.predict(&grid.test_texts())?;
    let labels = rows.iter().map(|row| chosen_label(&*model, row)).collect();
    let trained = TrainingSize { passes, seconds: clock.elapsed().as_secs_f64(), ..data.rows };
    Ok(Some(CellResult { labels, trained, started }))
}

#[cfg(test)]
mod tests;
