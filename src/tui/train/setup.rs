//! What to train with: the project's settings, and what is chosen before a run starts.

use crate::domain::split::Tier;
use crate::formats::project::training::{TrainSettings, TrainingMethod};

/// A line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetupLine {
    Start,
    Method(TrainingMethod),
    /// Learns from these labels, or not.
    Tier(Tier),
    /// Starts the experiment.
    Experiment,
}

/// What starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Begin {
    /// One run with these settings.
    Training(Box<TrainSettings>),
    Experiment(TrainingMethod),
}

/// See the module. It lasts for the session; the project file stays as it is.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The settings as chosen.
    pub settings: TrainSettings,
    /// The line chosen.
    pub selected: usize,
    /// What the project file says.
    file: TrainSettings,
}

/// Something starts, or choosing goes on; or why it cannot start.
type Chosen = Result<Option<Begin>, &'static str>;

impl Setup {
    /// What the project file says.
    pub(crate) fn new(settings: &TrainSettings) -> Self {
        Self { settings: settings.clone(), selected: 0, file: settings.clone() }
    }

    /// The lines in order.
    pub(crate) fn choices() -> Vec<SetupLine> {
        let tiers = [Tier::Gold, Tier::Silver, Tier::Bronze].map(SetupLine::Tier);
        let methods = TrainingMethod::ALL.map(SetupLine::Method);
        std::iter::once(SetupLine::Start).chain(methods).chain(tiers).chain([SetupLine::Experiment]).collect()
    }

    /// Moves the choice.
    pub(crate) fn step(&mut self, by: isize) {
        self.selected = self.selected.saturating_add_signed(by).min(Self::choices().len() - 1);
    }

    /// Whether a line's choice is taken; `None` for one that is done at once.
    pub(crate) fn taken(&self, choice: SetupLine) -> Option<bool> {
        match choice {
            SetupLine::Start | SetupLine::Experiment => None,
            SetupLine::Method(method) => Some(self.settings.method == method),
            SetupLine::Tier(tier) => Some(self.settings.tiers.contains(&tier)),
        }
    }

    /// Does what the line says.
    pub(crate) fn choose(&mut self) -> Chosen {
        match Self::choices().get(self.selected) {
            Some(SetupLine::Method(method)) => {
                // What the file sets for one method fits no other.
                let file = if *method == self.file.method { self.file.clone() } else { self.file.of(*method) };
                self.settings = TrainSettings { tiers: std::mem::take(&mut self.settings.tiers), ..file };
                Ok(None)
            }
            Some(SetupLine::Tier(tier)) => {
                let tiers = &mut self.settings.tiers;
                match tiers.iter().position(|taken| taken == tier) {
                    Some(at) => drop(tiers.remove(at)),
                    None => {
                        tiers.push(*tier);
                        tiers.sort_unstable();
                    }
                }
                Ok(None)
            }
            Some(SetupLine::Experiment) => Ok(Some(Begin::Experiment(self.settings.method))),
            Some(SetupLine::Start) | None => self.start(),
        }
    }

    /// The settings to start with.
    pub(crate) fn start(&self) -> Chosen {
        if self.settings.tiers.is_empty() {
            return Err("choose at least one of gold, silver and bronze to learn from");
        }
        Ok(Some(Begin::Training(Box::new(self.settings.clone()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_are_taken_and_left_and_one_must_be() {
        let mut setup = Setup::new(&TrainSettings { epochs: Some(7), ..TrainSettings::default() });
        setup.step(2);
        assert_eq!(setup.choose(), Ok(None));
        assert_eq!((setup.settings.method, setup.settings.epochs), (TrainingMethod::Frozen, None));
        setup.step(-1);
        setup.choose().unwrap();
        assert_eq!(
            (setup.settings.method, setup.settings.epochs),
            (TrainingMethod::Ngram, Some(7)),
            "the file's own again"
        );
        setup.step(TrainingMethod::ALL.len() as isize);
        assert_eq!(setup.taken(SetupLine::Tier(Tier::Gold)), Some(true));
        assert_eq!(setup.choose(), Ok(None));
        assert!(setup.start().unwrap_err().contains("at least one"));
        setup.step(9);
        assert_eq!(setup.choose(), Ok(Some(Begin::Experiment(TrainingMethod::Ngram))), "which trains on every set");
        setup.step(-1);
        setup.choose().unwrap();
        setup.step(-2);
        setup.choose().unwrap();
        setup.step(-9);
        let Ok(Some(Begin::Training(settings))) = setup.choose() else {
            panic!("the first line starts");
        };
        assert_eq!(settings.tiers, [Tier::Gold, Tier::Bronze], "always in this order");
    }
}
