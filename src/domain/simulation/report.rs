//! What the games come to: curves with their means over seeds, and what each order needs beside the first.

use serde::Serialize;

use super::{Game, Point, SimulationPlan};
use crate::domain::statistics::SampleMean;

/// The games of one order after so many sentences.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CurveStep {
    /// Sentences decided.
    pub sentences: usize,
    /// Decisions made.
    pub decisions: Option<SampleMean>,
    /// Time of all experts together.
    pub minutes: Option<SampleMean>,
    /// On the test set.
    pub macro_f1: Option<SampleMean>,
    /// On the test set.
    pub accuracy: Option<SampleMean>,
    /// The share of gold that is wrong.
    pub wrong: Option<SampleMean>,
}

/// What one order needed to reach the wanted share of the macro-F1 of all labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelsNeeded {
    pub order: String,
    /// Games, and those of them that reached it.
    pub games: usize,
    /// See `games`.
    pub reached: usize,
    /// Decisions until then, over the games that reached it.
    pub decisions: Option<SampleMean>,
    /// Minutes until then.
    pub minutes: Option<SampleMean>,
    /// Decisions as a share of what the first order needed with the same seed, over the seeds where both reached it.
    pub share: Option<SampleMean>,
    /// The mean of decisions as a share of the first order's mean, over the same seeds, with the jackknife's interval. The mean
    /// of shares leans to seeds in which the first order was lucky; this does not.
    pub share_of_means: Option<SampleMean>,
    /// Minutes as a share of what the first order needed.
    pub share_of_minutes: Option<SampleMean>,
    /// Macro-F1 of all labels.
    pub full: Option<SampleMean>,
    pub curve: Vec<CurveStep>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulationReport {
    /// The share of the macro-F1 of all labels that was to be reached.
    pub share: f64,
    /// Sentences that could be labelled.
    pub rows: usize,
    /// Games that the plan asked for.
    pub planned: usize,
    pub orders: Vec<LabelsNeeded>,
    /// Every game.
    pub games: Vec<Game>,
}

impl SimulationReport {
    /// Sums up games.
    pub(crate) fn of(plan: &SimulationPlan, rows: usize, games: Vec<Game>) -> Self {
        let orders = (0..plan.mixes.len()).map(|mix| reach(plan, mix, &games)).collect();
        Self { share: plan.share, rows, planned: plan.mixes.len() * plan.seeds.len(), orders, games }
    }
}

fn reach(plan: &SimulationPlan, mix: usize, games: &[Game]) -> LabelsNeeded {
    let mine: Vec<&Game> = games.iter().filter(|game| game.mix == mix).collect();
    let at: Vec<Point> = mine.iter().filter_map(|game| game.reached).collect();
    let of = |number: fn(&Point) -> f64| SampleMean::of(&at.iter().map(number).collect::<Vec<_>>());
    let pairs = |number: fn(&Point) -> f64| -> Vec<(f64, f64)> {
        let pairs = mine.iter().filter_map(|game| {
            let first = games.iter().find(|first| first.mix == 0 && first.seed == game.seed)?;
            Some((number(&game.reached?), number(&first.reached?)))
        });
        pairs.filter(|(_, first)| *first > 0.0).collect()
    };
    let share = |number| SampleMean::of(&pairs(number).into_iter().map(|(own, first)| own / first).collect::<Vec<_>>());
    let decisions = |point: &Point| point.decisions as f64;
    LabelsNeeded {
        order: plan.mixes[mix].to_string(),
        games: mine.len(),
        reached: at.len(),
        decisions: of(decisions),
        minutes: of(|point| point.minutes),
        share: share(decisions),
        share_of_means: SampleMean::ratio(&pairs(decisions)),
        share_of_minutes: share(|point| point.minutes),
        full: SampleMean::of(&mine.iter().map(|game| game.full).collect::<Vec<_>>()),
        curve: curve(&mine),
    }
}

fn curve(games: &[&Game]) -> Vec<CurveStep> {
    let mut stops: Vec<usize> = games.iter().flat_map(|game| game.points.iter().map(|p| p.sentences)).collect();
    stops.sort_unstable();
    stops.dedup();
    let step = |sentences: usize| {
        let at = || games.iter().filter_map(move |game| game.points.iter().find(|p| p.sentences == sentences));
        let all = |number: fn(&Point) -> Option<f64>| SampleMean::of(&at().filter_map(number).collect::<Vec<_>>());
        CurveStep {
            sentences,
            decisions: all(|p| Some(p.decisions as f64)),
            minutes: all(|p| Some(p.minutes)),
            macro_f1: all(|p| p.macro_f1),
            accuracy: all(|p| p.accuracy),
            wrong: all(|p| (p.gold > 0).then(|| p.wrong as f64 / p.gold as f64)),
        }
    };
    stops.into_iter().map(step).collect()
}
