//! What had been in sight when somebody decided, and whether that makes the decision a blind one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that can sway a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cue {
    /// A language model's label.
    Machine,
    /// A classifier's label, its probabilities, or a reason made from them.
    Classifier,
    /// The label of another expert or of an adjudicator.
    Colleague,
    /// That a label of the sentence may be wrong.
    Doubt,
    /// The sentence was found in a list or by a search that goes by somebody's label.
    Search,
    /// Something that was not recorded one by one.
    Something,
}

impl Cue {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Machine, Self::Classifier, Self::Colleague, Self::Doubt, Self::Search, Self::Something];

    /// Its word on disk.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Classifier => "classifier",
            Self::Colleague => "colleague",
            Self::Doubt => "doubt",
            Self::Search => "search",
            Self::Something => "something",
        }
    }
}

/// What had been in sight at a decision. Where nothing was recorded there is no such value, and it is unknown, never empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<Cue>", into = "Vec<Cue>")]
pub struct InSight(u8);

impl InSight {
    /// Nothing: a blind decision.
    pub const NOTHING: Self = Self(0);

    /// With this in sight too.
    #[must_use]
    pub(crate) fn with(self, cue: Cue) -> Self {
        Self(self.0 | 1 << cue as u8)
    }

    /// With this in sight too, if so.
    #[must_use]
    pub fn with_if(self, cue: Cue, seen: bool) -> Self {
        if seen { self.with(cue) } else { self }
    }

    /// Without this.
    #[must_use]
    pub(crate) fn without(self, cue: Cue) -> Self {
        Self(self.0 & !(1 << cue as u8))
    }

    /// What was in sight in either.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether nothing was in sight.
    pub(crate) fn is_nothing(self) -> bool {
        self.0 == 0
    }

    /// Whether this was in sight.
    pub(crate) fn has(self, cue: Cue) -> bool {
        self.0 & 1 << cue as u8 != 0
    }

    /// What was in sight, in a fixed order.
    pub(crate) fn cues(self) -> impl Iterator<Item = Cue> {
        Cue::ALL.into_iter().filter(move |cue| self.has(*cue))
    }

    /// What a record says: all that was recorded, or, before there was more, whether a machine's label was in sight. One that was
    /// may not have been all; where none was, a colleague's may have been, or the label never was on a screen.
    pub(crate) fn recorded(of_machines: bool, in_sight: Option<Self>) -> Option<Self> {
        in_sight.or_else(|| of_machines.then(|| Self::NOTHING.with(Cue::Machine).with(Cue::Something)))
    }

    /// Whether anything of machines is recorded as seen: what earlier versions recorded, and all that they did.
    pub(crate) fn of_machines(self) -> bool {
        [Cue::Machine, Cue::Classifier, Cue::Doubt].into_iter().any(|cue| self.has(cue))
    }

    /// Whether what a machine says was in sight; `None` where that was not recorded.
    pub(crate) fn machine(self) -> Option<bool> {
        if self.of_machines() { Some(true) } else { (!self.has(Cue::Something)).then_some(false) }
    }

    /// Whether a colleague's label was in sight; `None` where that was not recorded. A list that goes by somebody's label may go
    /// by a colleague's.
    pub(crate) fn colleague(self) -> Option<bool> {
        let colleague = self.has(Cue::Colleague) || self.has(Cue::Search);
        if colleague { Some(true) } else { (!self.has(Cue::Something)).then_some(false) }
    }

    /// Reads what its [`fmt::Display`] writes; `None` for a word that it does not have.
    pub(crate) fn parse(words: &str) -> Option<Self> {
        words.split(',').filter(|word| !word.is_empty()).try_fold(Self::NOTHING, |all, word| {
            Cue::ALL.into_iter().find(|cue| cue.word() == word).map(|cue| all.with(cue))
        })
    }
}

impl fmt::Display for InSight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cues().map(Cue::word).collect::<Vec<_>>().join(","))
    }
}

impl From<Vec<Cue>> for InSight {
    fn from(cues: Vec<Cue>) -> Self {
        cues.into_iter().fold(Self::NOTHING, Self::with)
    }
}

impl From<InSight> for Vec<Cue> {
    fn from(all: InSight) -> Self {
        all.cues().collect()
    }
}

/// Whether labels were given with nothing in sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Blindness {
    /// With nothing in sight.
    Blind,
    /// It was not recorded: an import, or an earlier version of this program.
    Unknown,
    /// With something in sight.
    Seen,
}

impl Blindness {
    /// Of one label.
    pub(crate) fn of(in_sight: Option<InSight>) -> Self {
        match in_sight {
            Some(cues) if cues.is_nothing() => Self::Blind,
            Some(_) => Self::Seen,
            None => Self::Unknown,
        }
    }

    /// `true`, `false`, or nothing where it is unknown: the form of our exports.
    pub(crate) fn known(self) -> Option<bool> {
        (self != Self::Unknown).then_some(self == Self::Blind)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_not_recorded_is_not_known() {
        assert_eq!(InSight::recorded(false, None), None);
        let older = InSight::recorded(true, None).unwrap();
        assert_eq!((older.machine(), older.colleague()), (Some(true), None));
        let machine = InSight::NOTHING.with(Cue::Machine);
        assert_eq!(InSight::recorded(true, Some(machine)), Some(machine));
        assert_eq!(machine.colleague(), Some(false));
        let something = InSight::NOTHING.with(Cue::Something);
        assert_eq!((something.machine(), something.colleague()), (None, None));
        assert_eq!(InSight::NOTHING.with(Cue::Search).colleague(), Some(true), "a list may go by a colleague's label");
        assert_eq!(
            [None, Some(InSight::NOTHING), Some(something)].map(|seen| Blindness::of(seen).known()),
            [None, Some(true), Some(false)]
        );
    }

    proptest! {
        #[test]
        fn what_was_in_sight_is_read_as_it_was_written(bits in 0u8..64) {
            let seen = Cue::ALL.into_iter().filter(|cue| bits >> *cue as u8 & 1 == 1).fold(InSight::NOTHING, InSight::with);
            prop_assert_eq!(InSight::parse(&seen.to_string()), Some(seen));
            prop_assert_eq!(serde_json::from_str::<InSight>(&serde_json::to_string(&seen).unwrap()).unwrap(), seen);
        }
    }
}
