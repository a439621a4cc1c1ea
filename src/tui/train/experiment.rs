//! The experiment as it fills: what is planned, what is done, and the table so far.

use crate::domain::experiment::ExperimentReport;
use crate::tui::theme::StyleRole;
use crate::workflow::Progress;
use crate::workflow::experiment::{ExperimentEvent, ExperimentResult};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExperimentState {
    /// Whether it is under way.
    pub running: bool,
    /// The table as it stands; `None` before the first plan.
    pub report: Option<Box<ExperimentReport>>,
    /// Trainings at once.
    pub jobs: usize,
    /// First line shown.
    pub top: usize,
    pub ended: Option<(String, StyleRole)>,
    since: u64,
    last: u64,
    /// Cells trained by this session.
    done: u64,
}

impl ExperimentState {
    /// Notes that it begins.
    pub(crate) fn start(&mut self, now: u64) {
        *self = Self { running: true, since: now, last: now, ..Self::default() };
    }

    /// Takes what it says.
    pub(crate) fn hear(&mut self, event: ExperimentEvent, now: u64) {
        match event {
            ExperimentEvent::Planned { report, jobs } => {
                (self.since, self.last) = (now, now);
                (self.report, self.jobs) = (Some(report), jobs);
            }
            ExperimentEvent::Cell { report, .. } => {
                self.last = now;
                self.done += 1;
                self.report = Some(report);
            }
            ExperimentEvent::Progress(Progress::Noted(_) | Progress::Started { .. } | Progress::Advanced(_)) => {}
            ExperimentEvent::Progress(Progress::Spent { .. } | Progress::Finished) => {}
        }
    }

    /// Milliseconds that the cells to come will take, by the pace so far.
    pub(crate) fn left(&self) -> Option<u64> {
        let report = self.report.as_ref().filter(|_| self.running && self.done > 0)?;
        let open = report.planned.saturating_sub(report.finished) as u64;
        Some(self.last.saturating_sub(self.since) * open / self.done)
    }

    /// Notes that it is over, and says how. A report that came at the end has the intervals.
    pub(crate) fn finish(&mut self, result: Result<ExperimentResult, String>) -> (String, StyleRole) {
        self.running = false;
        let ended = match result {
            Ok(ExperimentResult { report, stopped }) => {
                let cells = format!("{} of {} cells", report.finished, report.planned);
                self.report = Some(Box::new(report));
                match stopped {
                    true => (format!("stopped with {cells}; start it again to resume"), StyleRole::Warn),
                    false => (format!("the experiment is done: {cells}"), StyleRole::Good),
                }
            }
            Err(error) => (error, StyleRole::Bad),
        };
        self.ended = Some(ended.clone());
        ended
    }

    /// Moves the table; its last line stays in sight.
    pub(crate) fn scroll(&mut self, by: isize) {
        let grids = self.report.iter().flat_map(|report| &report.grids);
        let lines: usize = grids.map(|grid| grid.rows.len() + 4).sum();
        self.top = self.top.saturating_add_signed(by).min(lines.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_anything_is_planned_there_is_nothing_to_move_or_to_wait_for() {
        let mut state = ExperimentState::default();
        state.start(5);
        state.scroll(3);
        assert_eq!((state.top, state.left(), state.running), (0, None, true));
        let (said, meaning) = state.finish(Err("no gold to test on".into()));
        assert_eq!((said.as_str(), meaning), ("no gold to test on", StyleRole::Bad));
        assert!(!state.running);
    }
}
