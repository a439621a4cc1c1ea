//! The state of Jobs: what language models are doing, and what they could be set to.

use std::collections::BTreeMap;

use crate::domain::spending::Spending;
use crate::workflow::Progress;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum JobKind {
    /// Labels sentences of notes: silver.
    Label,
    /// Writes sentences: bronze.
    Generate,
}

/// Something that can be started: work, by a model of the project file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JobSpec {
    pub work: JobKind,
    pub model: String,
}

impl JobSpec {
    /// What it is called.
    pub(crate) fn name(&self) -> String {
        match self.work {
            JobKind::Label => format!("label with {}", self.model),
            JobKind::Generate => format!("write with {}", self.model),
        }
    }
}

/// A job of this session.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct JobState {
    /// The step it is at.
    pub what: String,
    /// Done of the step.
    pub done: u64,
    /// All of the step, where that is known.
    pub total: Option<u64>,
    /// What is counted.
    pub unit: &'static str,
    /// What the run has cost.
    pub spending: Spending,
    /// Items that failed.
    pub failed: u64,
    /// When the step began.
    pub since: u64,
    /// When it was heard of last.
    pub heard: u64,
    /// It waits.
    pub paused: bool,
    /// How it ended, and whether well.
    pub ended: Option<(String, bool)>,
}

impl JobState {
    /// Items a minute in this step.
    pub(crate) fn pace(&self) -> Option<f64> {
        let minutes = self.heard.saturating_sub(self.since) as f64 / 60_000.0;
        (self.done > 0 && minutes > 0.0).then(|| self.done as f64 / minutes)
    }

    /// Milliseconds that the step will take yet at this pace.
    pub(crate) fn left(&self) -> Option<u64> {
        let left = self.total?.saturating_sub(self.done);
        Some((left as f64 / self.pace()? * 60_000.0) as u64)
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobsState {
    /// What can be started, in order.
    pub specs: Vec<JobSpec>,
    /// Jobs of this session.
    pub jobs: BTreeMap<JobSpec, JobState>,
    /// The line chosen.
    pub selected: usize,
}

impl JobsState {
    /// Both kinds of work for each model of the project.
    pub(crate) fn new<'a>(models: impl Iterator<Item = &'a String>) -> Self {
        let specs = models
            .flat_map(|model| [JobKind::Label, JobKind::Generate].map(|work| JobSpec { work, model: model.clone() }))
            .collect();
        Self { specs, ..Self::default() }
    }

    /// The spec chosen.
    pub(crate) fn chosen(&self) -> Option<&JobSpec> {
        self.specs.get(self.selected)
    }

    /// Moves the choice.
    pub(crate) fn step(&mut self, by: isize) {
        let last = self.specs.len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(by).min(last);
    }

    /// Whether a job is under way.
    pub(crate) fn runs(&self, spec: &JobSpec) -> bool {
        self.jobs.get(spec).is_some_and(|job| job.ended.is_none())
    }

    /// Notes that the chosen job begins; says which, or why not.
    pub(crate) fn start(&mut self, now: u64) -> Result<JobSpec, &'static str> {
        let spec = self.chosen().cloned().ok_or("no model yet: write one under [models] in goldsmith.toml")?;
        if self.runs(&spec) {
            return Err("it is already running");
        }
        self.jobs
            .insert(spec.clone(), JobState { what: "opening the model".into(), since: now, ..JobState::default() });
        Ok(spec)
    }

    /// Pauses the chosen job, or lets it go on; says which and which of the two.
    pub(crate) fn pause(&mut self) -> Result<(JobSpec, bool), &'static str> {
        let spec = self.chosen().cloned().ok_or("no job to pause")?;
        match self.jobs.get_mut(&spec).filter(|job| job.ended.is_none()) {
            Some(job) => {
                job.paused = !job.paused;
                Ok((spec, job.paused))
            }
            None => Err("it is not running"),
        }
    }

    /// Takes what a job says.
    pub(crate) fn update(&mut self, spec: &JobSpec, progress: Progress, now: u64) {
        let Some(job) = self.jobs.get_mut(spec) else {
            return;
        };
        job.heard = now;
        match progress {
            Progress::Started { what, total, unit } => {
                (job.what, job.total, job.unit) = (what, total, unit);
                (job.done, job.since) = (0, now);
            }
            Progress::Advanced(done) => job.done = done,
            Progress::Spent { spending, failed } => (job.spending, job.failed) = (spending, failed),
            Progress::Noted(_) | Progress::Finished => {}
        }
    }

    /// Notes that a job is over.
    pub(crate) fn finish(&mut self, spec: &JobSpec, how: Result<String, String>) {
        if let Some(job) = self.jobs.get_mut(spec) {
            job.paused = false;
            job.ended = Some(match how {
                Ok(said) => (said, true),
                Err(said) => (said, false),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_started_paused_heard_and_finished() {
        let models = ["local".to_owned()];
        let mut state = JobsState::new(models.iter());
        assert_eq!(state.specs.iter().map(JobSpec::name).collect::<Vec<_>>(), ["label with local", "write with local"]);
        assert_eq!(state.pause(), Err("it is not running"));
        let spec = state.start(0).unwrap();
        assert_eq!(state.start(1), Err("it is already running"));
        state.update(&spec, Progress::Started { what: "labelling".into(), total: Some(100), unit: "sentences" }, 1_000);
        state.update(&spec, Progress::Advanced(20), 61_000);
        let job = &state.jobs[&spec];
        assert_eq!((job.pace(), job.left()), (Some(20.0), Some(240_000)));
        assert!(state.pause().unwrap().1);
        assert!(!state.pause().unwrap().1);
        state.finish(&spec, Ok("done".into()));
        assert!(!state.runs(&spec));
        assert!(state.start(2).is_ok());
    }

    #[test]
    fn without_a_model_it_says_where_to_write_one() {
        let mut state = JobsState::new(std::iter::empty());
        state.step(1);
        assert!(state.start(0).unwrap_err().contains("[models] in goldsmith.toml"));
    }
}
