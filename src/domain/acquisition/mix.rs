//! Strategies by name, and mixes of them by shares.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// By what the next sentence is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// As the notes run.
    Note,
    /// By chance.
    Random,
    /// Where the two likeliest outputs are nearest to each other: breaking ties.
    Margin,
    /// Where the classifier is likeliest to be wrong, as far as it and silver together can tell.
    Contested,
    /// Where the classifier is likely to miss a category, as far as it and silver together can tell, the more so the fewer
    /// labels that has.
    Balanced,
    /// Labels that may be wrong, worst first.
    Doubts,
}

impl Strategy {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Note, Self::Random, Self::Margin, Self::Contested, Self::Balanced, Self::Doubts];

    /// Its word in files and on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Random => "random",
            Self::Margin => "margin",
            Self::Contested => "contested",
            Self::Balanced => "balanced",
            Self::Doubts => "doubts",
        }
    }

    /// Whether it goes by a classifier.
    pub(crate) fn needs_classifier(self) -> bool {
        matches!(self, Self::Margin | Self::Contested | Self::Balanced)
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What is no mix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MixError {
    /// Not a strategy.
    #[error("`{word}` is no order; known are {}", Strategy::ALL.map(Strategy::word).join(", "))]
    Unknown { word: String },
    #[error("the share of `{0}` must be a number above 0")]
    Share(Strategy),
    /// The same twice.
    #[error("`{0}` stands twice in one mix")]
    Twice(Strategy),
    /// No strategy at all.
    #[error("a mix needs at least one order")]
    Empty,
}

/// Strategies by shares, which add up to 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct StrategyMix(Vec<(Strategy, f64)>);

impl StrategyMix {
    /// One strategy alone.
    pub(crate) fn of(strategy: Strategy) -> Self {
        Self(vec![(strategy, 1.0)])
    }

    /// The order of a project that does not say otherwise: what the classifier may be wrong on, seen in two ways, so that
    /// the one finds what the other does not; and chance, which finds what no classifier knows to ask for.
    pub(crate) fn usual() -> Self {
        Self::scaled(vec![(Strategy::Contested, 0.5), (Strategy::Balanced, 0.4), (Strategy::Random, 0.1)])
    }

    /// Strategies by weights.
    pub(crate) fn new(weights: Vec<(Strategy, f64)>) -> Result<Self, MixError> {
        let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
        for (i, (strategy, weight)) in weights.iter().enumerate() {
            if !(*weight > 0.0 && sum.is_finite()) {
                return Err(MixError::Share(*strategy));
            }
            if weights[..i].iter().any(|(other, _)| other == strategy) {
                return Err(MixError::Twice(*strategy));
            }
        }
        if weights.is_empty() {
            return Err(MixError::Empty);
        }
        Ok(Self::scaled(weights))
    }

    /// The largest share first, so that a mix is the same however it was written.
    fn scaled(mut weights: Vec<(Strategy, f64)>) -> Self {
        weights.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
        Self(weights.into_iter().map(|(strategy, weight)| (strategy, weight / sum)).collect())
    }

    /// Each strategy with its share.
    pub(crate) fn shares(&self) -> &[(Strategy, f64)] {
        &self.0
    }

    /// Whether one of its strategies does something.
    pub(crate) fn any(&self, does: fn(Strategy) -> bool) -> bool {
        self.0.iter().any(|(strategy, _)| does(*strategy))
    }
}

/// `margin`, or `margin=0.6+random=0.4`.
impl fmt::Display for StrategyMix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (strategy, share)) in self.0.iter().enumerate() {
            let plus = if i == 0 { "" } else { "+" };
            match self.0.len() {
                1 => write!(f, "{strategy}")?,
                _ => write!(f, "{plus}{strategy}={}", (share * 1e4).round() / 1e4)?,
            }
        }
        Ok(())
    }
}

impl FromStr for StrategyMix {
    type Err = MixError;

    fn from_str(text: &str) -> Result<Self, MixError> {
        let part = |part: &str| {
            let (word, share) = part.split_once('=').unwrap_or((part, "1"));
            let strategy = Strategy::ALL.into_iter().find(|strategy| strategy.word() == word.trim());
            let strategy = strategy.ok_or_else(|| MixError::Unknown { word: word.trim().to_owned() })?;
            Ok((strategy, share.trim().parse().map_err(|_| MixError::Share(strategy))?))
        };
        Self::new(text.split('+').map(part).collect::<Result<_, MixError>>()?)
    }
}
