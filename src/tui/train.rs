//! The state of Train: what the run under way has said.

use crate::classifier::{Epoch, Heard};
use crate::domain::split::Tier;
use crate::workflow::Progress;
use crate::workflow::train::Event;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct TrainState {
    /// Whether a run is under way.
    pub running: bool,
    /// When it began.
    pub since: u64,
    /// Rows of each tier.
    pub rows: Vec<(Tier, usize)>,
    /// Validation and test sentences.
    pub held_out: (usize, usize),
    /// Near-duplicates of test sentences in training.
    pub leaks: usize,
    /// Every pass so far.
    pub epochs: Vec<Epoch>,
    /// The step after training: what, done, of.
    pub step: Option<(String, u64, Option<u64>)>,
    /// How the last run ended.
    pub ended: Option<String>,
    /// When the last pass ended.
    pub last: u64,
}

impl TrainState {
    /// Notes that a run begins; false when one is under way.
    pub fn start(&mut self, now: u64) -> bool {
        if self.running {
            return false;
        }
        *self = Self { running: true, since: now, last: now, ..Self::default() };
        true
    }

    /// Takes what the run says.
    pub fn hear(&mut self, event: Event, now: u64) {
        match event {
            Event::Prepared { rows, held_out, leaks } => {
                self.rows = rows.to_vec();
                self.held_out = held_out;
                self.leaks = leaks;
            }
            Event::Heard(Heard::Epoch(epoch)) => {
                self.last = now;
                self.epochs.push(epoch);
            }
            Event::Heard(Heard::Step { .. }) => {}
            Event::Progress(Progress::Started { what, total, .. }) => self.step = Some((what, 0, total)),
            Event::Progress(Progress::Advanced(done)) => {
                if let Some(step) = &mut self.step {
                    step.1 = done;
                }
            }
            Event::Progress(Progress::Noted(_) | Progress::Spent { .. }) => {}
            Event::Progress(Progress::Finished) => self.step = None,
        }
    }

    /// Milliseconds that the passes to come may take at most, by the mean of those done.
    pub fn left(&self) -> Option<u64> {
        let epoch = self.epochs.last()?;
        let mean = self.last.saturating_sub(self.since) / self.epochs.len() as u64;
        Some(mean * epoch.epochs.saturating_sub(epoch.epoch) as u64)
    }

    /// Notes that the run is over.
    pub fn finish(&mut self, how: String) {
        self.running = false;
        self.step = None;
        self.ended = Some(how);
    }
}
