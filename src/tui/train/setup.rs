//! What to train with: the project's settings, and what is chosen before a run starts.

use crate::domain::split::Tier;
use crate::formats::project::TrainSettings;

/// A line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Starts.
    Start,
    /// Learns from these labels, or not.
    Tier(Tier),
    /// Starts the experiment.
    Experiment,
}

/// What starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Begin {
    /// One run with these settings.
    Training(Box<TrainSettings>),
    /// The experiment, with the project's.
    Experiment,
}

/// See the module. It lasts for the session; the project file stays as it is.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The settings as chosen.
    pub settings: TrainSettings,
    /// The line chosen.
    pub selected: usize,
}

/// Something starts, or choosing goes on; or why it cannot start.
type Chosen = Result<Option<Begin>, &'static str>;

impl Setup {
    /// What the project file says.
    pub fn new(settings: &TrainSettings) -> Self {
        Self { settings: settings.clone(), selected: 0 }
    }

    /// The lines in order.
    pub fn choices() -> Vec<Choice> {
        let tiers = [Tier::Gold, Tier::Silver, Tier::Bronze].map(Choice::Tier);
        std::iter::once(Choice::Start).chain(tiers).chain([Choice::Experiment]).collect()
    }

    /// Moves the choice.
    pub fn step(&mut self, by: isize) {
        self.selected = self.selected.saturating_add_signed(by).min(Self::choices().len() - 1);
    }

    /// Whether a line's choice is taken; `None` for one that is done at once.
    pub fn taken(&self, choice: Choice) -> Option<bool> {
        match choice {
            Choice::Start | Choice::Experiment => None,
            Choice::Tier(tier) => Some(self.settings.tiers.contains(&tier)),
        }
    }

    /// Does what the line says.
    pub fn choose(&mut self) -> Chosen {
        match Self::choices().get(self.selected) {
            Some(Choice::Tier(tier)) => {
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
            Some(Choice::Experiment) => Ok(Some(Begin::Experiment)),
            Some(Choice::Start) | None => self.start(),
        }
    }

    /// The settings to start with.
    pub fn start(&self) -> Chosen {
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
        let mut setup = Setup::new(&TrainSettings::default());
        setup.step(1);
        assert_eq!(setup.taken(Choice::Tier(Tier::Gold)), Some(true));
        assert_eq!(setup.choose(), Ok(None));
        assert!(setup.start().unwrap_err().contains("at least one"));
        setup.step(9);
        assert_eq!(setup.choose(), Ok(Some(Begin::Experiment)), "which trains on every set whatever is chosen here");
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
