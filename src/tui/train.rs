//! The state of Train: what to train with, what the run under way has said, and the runs before it.

mod experiment;
mod setup;

use super::compare::{ComparedRun, comparable};
use super::keymap::Action;
use super::message::{Effect, Effects};
use crate::domain::label::{Run, RunId};
use crate::domain::split::Tier;
use crate::formats::project::training::TrainSettings;
use crate::workflow::Progress;
use crate::workflow::train::{Epoch, TrainRunEvent, TrainingEvent};
pub(crate) use experiment::ExperimentState;
pub(crate) use setup::{Begin, Setup, SetupLine};

/// More losses than this are not kept one by one: two become their mean, so that the whole curve stays in sight.
const LOSSES: usize = 1_024;

/// The losses of a run's steps, from first to last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Losses {
    kept: Vec<f32>,
    /// Steps that one kept value is the mean of.
    each: usize,
    waiting: Vec<f32>,
}

impl Losses {
    /// Adds a step's.
    pub(crate) fn push(&mut self, loss: f32) {
        self.waiting.push(loss);
        if self.waiting.len() < self.each.max(1) {
            return;
        }
        self.kept.push(mean(&self.waiting));
        self.waiting.clear();
        if self.kept.len() >= LOSSES {
            self.kept = self.kept.chunks(2).map(mean).collect();
            self.each = 2 * self.each.max(1);
        }
    }

    /// At most so many values for the whole curve, each the mean of a stretch of it.
    pub(crate) fn shown(&self, width: usize) -> Vec<f32> {
        stretches(&self.kept, width)
    }
}

/// At most so many values for all of them, each the mean of a stretch.
pub(crate) fn stretches(values: &[f32], width: usize) -> Vec<f32> {
    values.chunks(values.len().div_ceil(width.max(1)).max(1)).map(mean).collect()
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}

/// The newest step of the optimiser.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OptimiserStep {
    /// From 1.
    pub step: usize,
    /// At most.
    pub steps: usize,
    pub loss: f32,
    /// Step size.
    pub learning_rate: f64,
}

/// What the run under way, or the last one, has said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    /// Whether it is under way.
    pub running: bool,
    /// When it began to train.
    pub since: u64,
    /// When it was heard of last.
    pub last: u64,
    pub rows: Vec<(Tier, usize)>,
    /// Validation and test sentences.
    pub held_out: (usize, usize),
    /// Near-duplicates of test sentences in training.
    pub leaks: usize,
    /// The newest step, where steps are told.
    pub step: Option<OptimiserStep>,
    /// The losses of all steps.
    pub losses: Losses,
    /// Every pass so far.
    pub epochs: Vec<Epoch>,
    /// The work around training: what, done, of.
    pub work: Option<(String, u64, Option<u64>)>,
    /// How it ended, and whether well.
    pub ended: Option<(String, bool)>,
}

impl Live {
    /// Takes what the run says.
    pub(crate) fn hear(&mut self, event: TrainRunEvent, now: u64) {
        match event {
            TrainRunEvent::Prepared { rows, held_out, leaks } => {
                (self.since, self.last) = (now, now);
                self.rows = rows.to_vec();
                self.held_out = held_out;
                self.leaks = leaks;
            }
            TrainRunEvent::Heard(TrainingEvent::Step { step, steps, loss, learning_rate }) => {
                self.last = now;
                self.losses.push(loss);
                self.step = Some(OptimiserStep { step, steps, loss, learning_rate });
            }
            TrainRunEvent::Heard(TrainingEvent::Epoch(epoch)) => {
                self.last = now;
                self.epochs.push(epoch);
            }
            TrainRunEvent::Progress(Progress::Started { what, total, .. }) => self.work = Some((what, 0, total)),
            TrainRunEvent::Progress(Progress::Advanced(done)) => {
                if let Some(work) = &mut self.work {
                    work.1 = done;
                }
            }
            TrainRunEvent::Progress(Progress::Noted(_) | Progress::Spent { .. }) => {}
            TrainRunEvent::Progress(Progress::Finished) => {
                self.work = None;
                // What was done before the first step says nothing of the pace of steps.
                if self.step.is_none() && self.epochs.is_empty() {
                    (self.since, self.last) = (now, now);
                }
            }
        }
    }

    /// Milliseconds that training may take yet at most, by the pace so far; it may stop earlier.
    pub(crate) fn left(&self) -> Option<u64> {
        let (done, all) = match (self.step, self.epochs.last()) {
            (Some(step), _) => (step.step, step.steps),
            (None, Some(epoch)) => (epoch.epoch, epoch.epochs),
            (None, None) => return None,
        };
        let spent = self.last.saturating_sub(self.since) as f64;
        (done > 0).then(|| (spent / done as f64 * all.saturating_sub(done) as f64) as u64)
    }
}

/// What the screen is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pane {
    /// One run, and the runs before it.
    #[default]
    Run,
    /// The experiment's table.
    Experiment,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct TrainState {
    /// What the screen is about.
    pub pane: Pane,
    pub experiment: ExperimentState,
    /// What to train with.
    pub setup: Setup,
    /// The run under way, or the last one of this session.
    pub live: Live,
    /// The run under the cursor; the newest, until it is moved.
    cursor: Option<RunId>,
    /// Runs marked to be compared, at most two.
    pub marked: Vec<RunId>,
    /// Both of them scored.
    pub compared: Option<Box<[ComparedRun; 2]>>,
}

impl TrainState {
    /// Nothing has been trained yet.
    pub(crate) fn new(settings: &TrainSettings) -> Self {
        Self {
            pane: Pane::default(),
            experiment: ExperimentState::default(),
            setup: Setup::new(settings),
            live: Live::default(),
            cursor: None,
            marked: Vec::new(),
            compared: None,
        }
    }

    /// Notes that something begins, and shows it.
    pub(crate) fn start(&mut self, begin: Begin, now: u64) -> Effect {
        match begin {
            Begin::Training(settings) => {
                self.live = Live { running: true, since: now, last: now, ..Live::default() };
                self.pane = Pane::Run;
                self.unmark();
                Effect::Train(settings)
            }
            Begin::Experiment(method) => {
                self.experiment.start(now);
                self.pane = Pane::Experiment;
                Effect::Experiment(method)
            }
        }
    }

    /// What is under way here, if anything.
    pub(crate) fn under_way(&self) -> Option<&'static str> {
        match (self.live.running, self.experiment.running) {
            (true, _) => Some("training is in progress"),
            (_, true) => Some("the experiment is in progress"),
            _ => None,
        }
    }

    /// Stops what is under way.
    pub(crate) fn stop(&self) -> Effects {
        match (self.live.running, self.experiment.running) {
            (true, _) => Ok(vec![Effect::StopTraining]),
            (_, true) => Ok(vec![Effect::StopExperiment]),
            _ => Err("no training is running"),
        }
    }

    /// Notes that it is over.
    pub(crate) fn finish(&mut self, how: String, well: bool) {
        self.live.running = false;
        self.live.work = None;
        self.live.ended = Some((how, well));
    }

    /// What an action does here.
    pub(crate) fn act(&mut self, action: Action, runs: &[Run]) -> Effects {
        match action {
            Action::Toggle => return Ok(self.turn()),
            Action::Close if self.pane == Pane::Experiment => self.pane = Pane::Run,
            Action::Next if self.pane == Pane::Experiment => self.experiment.scroll(1),
            Action::Previous if self.pane == Pane::Experiment => self.experiment.scroll(-1),
            _ if self.pane == Pane::Experiment => {}
            Action::Next => self.step(1, runs),
            Action::Previous => self.step(-1, runs),
            Action::Accept => return self.mark(runs),
            Action::Close => self.unmark(),
            _ => {}
        }
        Ok(Vec::new())
    }

    /// The other pane; the experiment is read from the store where none has been seen yet.
    fn turn(&mut self) -> Vec<Effect> {
        self.pane = if self.pane == Pane::Run { Pane::Experiment } else { Pane::Run };
        let unread = self.pane == Pane::Experiment && self.experiment.report.is_none() && !self.experiment.running;
        if unread { vec![Effect::ReadExperiment(self.setup.settings.method)] } else { Vec::new() }
    }

    /// Takes the scores of the two that are marked; those of others come too late.
    pub(crate) fn take(&mut self, sides: Box<[ComparedRun; 2]>) {
        if sides.iter().map(|side| &side.run.id).eq(&self.marked) {
            self.compared = Some(sides);
        }
    }

    /// Where the cursor is in the list.
    pub(crate) fn selected(&self, runs: &[Run]) -> usize {
        runs.iter().position(|run| Some(&run.id) == self.cursor.as_ref()).unwrap_or(0)
    }

    fn step(&mut self, by: isize, runs: &[Run]) {
        let at = self.selected(runs).saturating_add_signed(by).min(runs.len().saturating_sub(1));
        self.cursor = runs.get(at).map(|run| run.id.clone());
    }

    /// Marks the run under the cursor, or takes its mark away. The third drops the first.
    fn mark(&mut self, runs: &[Run]) -> Effects {
        let run = runs.get(self.selected(runs)).ok_or("no run yet")?;
        if !comparable(run) {
            return Err("this run names no categories of sentences; mark one that labels or trains");
        }
        self.compared = None;
        match self.marked.iter().position(|marked| *marked == run.id) {
            Some(at) => drop(self.marked.remove(at)),
            None => self.marked.push(run.id.clone()),
        }
        if self.marked.len() > 2 {
            self.marked.remove(0);
        }
        Ok(self.wish())
    }

    fn unmark(&mut self) {
        self.marked.clear();
        self.compared = None;
    }

    /// Asks for both runs' scores as they are now, where two are marked.
    pub(crate) fn wish(&self) -> Vec<Effect> {
        match self.marked.as_slice() {
            [one, other] => vec![Effect::Compare(one.clone(), other.clone())],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: usize, loss: f32) -> TrainRunEvent {
        TrainRunEvent::Heard(TrainingEvent::Step { step, steps: 100, loss, learning_rate: 2e-5 })
    }

    #[test]
    fn the_time_left_follows_the_pace_of_steps() {
        let mut live = Live::default();
        assert_eq!(live.left(), None);
        let rows = [(Tier::Gold, 10), (Tier::Silver, 0), (Tier::Bronze, 0)];
        live.hear(TrainRunEvent::Prepared { rows, held_out: (1, 1), leaks: 0 }, 5_000);
        live.hear(step(10, 0.7), 6_000);
        assert_eq!(live.left(), Some(9_000));
        live.hear(step(100, 0.1), 15_000);
        assert_eq!(live.left(), Some(0));
    }

    #[test]
    fn a_long_curve_is_kept_whole_in_little_room() {
        let mut losses = Losses::default();
        (0..10_000).for_each(|i| losses.push(10_000.0 - i as f32));
        assert!(losses.kept.len() <= LOSSES);
        let shown = losses.shown(20);
        assert!(shown.len() <= 20 && shown.windows(2).all(|pair| pair[0] > pair[1]), "{shown:?}");
        assert!(shown[0] > 9_500.0 && shown[shown.len() - 1] < 600.0, "{shown:?}");
        assert_eq!(Losses::default().shown(9), Vec::<f32>::new());
    }
}
