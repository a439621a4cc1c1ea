//! What the games come to: curves with their means over seeds, and what each order needs beside the first.

use serde::Serialize;

use super::{Game, Plan, Point};

/// A mean over seeds with Student's 95 % interval; no interval for fewer than two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Half the width of the interval: the mean is known to this much either way.
    pub either_way: Option<f64>,
    /// How many seeds.
    pub seeds: usize,
}

/// The 97.5 % point of Student's t.
pub fn critical_t(freedom: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.7062, 4.30265, 3.18245, 2.77645, 2.57058, 2.44691, 2.36462, 2.306, 2.26216, 2.22814, 2.20099, 2.17881,
        2.16037, 2.14479, 2.13145, 2.11991, 2.10982, 2.10092, 2.09302, 2.08596, 2.07961, 2.07387, 2.06866, 2.0639,
        2.05954, 2.05553, 2.05183, 2.04841, 2.04523, 2.04227,
    ];
    match freedom {
        0 => f64::INFINITY,
        1..=30 => TABLE[freedom - 1],
        // The expansion by Cornish and Fisher around the normal's 1.96: right to four places from here on.
        _ => {
            let n = freedom as f64;
            1.959_964 + 2.372_27 / n + 2.822_5 / (n * n)
        }
    }
}

/// Mean and interval of some values.
pub fn estimate(values: &[f64]) -> Option<Estimate> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let either_way = (n > 1).then(|| critical_t(n - 1) * (squares / (n - 1) as f64 / n as f64).sqrt());
    Some(Estimate { mean, either_way, seeds: n })
}

/// The games of one order after so many sentences.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// Sentences decided.
    pub sentences: usize,
    /// Decisions made.
    pub decisions: Option<Estimate>,
    /// Time of all experts together.
    pub minutes: Option<Estimate>,
    /// On the test set.
    pub macro_f1: Option<Estimate>,
    /// On the test set.
    pub accuracy: Option<Estimate>,
    /// The share of gold that is wrong.
    pub wrong: Option<Estimate>,
}

/// What one order needed to reach the wanted share of the macro-F1 of all labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reach {
    /// The order.
    pub order: String,
    /// Games, and those of them that reached it.
    pub games: usize,
    /// See `games`.
    pub reached: usize,
    /// Decisions until then, over the games that reached it.
    pub decisions: Option<Estimate>,
    /// Minutes until then.
    pub minutes: Option<Estimate>,
    /// Decisions as a share of what the first order needed with the same seed, over the seeds where both reached it.
    pub share: Option<Estimate>,
    /// The mean of decisions as a share of the first order's mean, over the same seeds, with the jackknife's interval. The mean
    /// of shares leans to seeds in which the first order was lucky; this does not.
    pub share_of_means: Option<Estimate>,
    /// Minutes as a share of what the first order needed.
    pub share_of_minutes: Option<Estimate>,
    /// Macro-F1 of all labels.
    pub full: Option<Estimate>,
    /// The curve.
    pub curve: Vec<Step>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The share of the macro-F1 of all labels that was to be reached.
    pub share: f64,
    /// Sentences that could be labelled.
    pub rows: usize,
    /// Games that the plan asked for.
    pub planned: usize,
    /// One for each order.
    pub orders: Vec<Reach>,
    /// Every game.
    pub games: Vec<Game>,
}

impl Report {
    /// Sums up games.
    pub fn of(plan: &Plan, rows: usize, games: Vec<Game>) -> Self {
        let orders = (0..plan.mixes.len()).map(|mix| reach(plan, mix, &games)).collect();
        Self { share: plan.share, rows, planned: plan.mixes.len() * plan.seeds.len(), orders, games }
    }
}

fn reach(plan: &Plan, mix: usize, games: &[Game]) -> Reach {
    let mine: Vec<&Game> = games.iter().filter(|game| game.mix == mix).collect();
    let at: Vec<Point> = mine.iter().filter_map(|game| game.reached).collect();
    let of = |number: fn(&Point) -> f64| estimate(&at.iter().map(number).collect::<Vec<_>>());
    let pairs = |number: fn(&Point) -> f64| -> Vec<(f64, f64)> {
        let pairs = mine.iter().filter_map(|game| {
            let first = games.iter().find(|first| first.mix == 0 && first.seed == game.seed)?;
            Some((number(&game.reached?), number(&first.reached?)))
        });
        pairs.filter(|(_, first)| *first > 0.0).collect()
    };
    let share = |number| estimate(&pairs(number).into_iter().map(|(own, first)| own / first).collect::<Vec<_>>());
    let decisions = |point: &Point| point.decisions as f64;
    Reach {
        order: plan.mixes[mix].to_string(),
        games: mine.len(),
        reached: at.len(),
        decisions: of(decisions),
        minutes: of(|point| point.minutes),
        share: share(decisions),
        share_of_means: ratio(&pairs(decisions)),
        share_of_minutes: share(|point| point.minutes),
        full: estimate(&mine.iter().map(|game| game.full).collect::<Vec<_>>()),
        curve: curve(&mine),
    }
}

/// The ratio of two means over pairs, with an interval from leaving out each pair in turn.
fn ratio(pairs: &[(f64, f64)]) -> Option<Estimate> {
    let without = |left_out: Option<usize>| {
        let kept = pairs.iter().enumerate().filter(|(i, _)| Some(*i) != left_out);
        let (own, first) = kept.fold((0.0, 0.0), |sums, (_, pair)| (sums.0 + pair.0, sums.1 + pair.1));
        own / first
    };
    let n = pairs.len();
    if n == 0 {
        return None;
    }
    let each: Vec<f64> = (0..n).map(|i| without(Some(i))).collect();
    let middle = each.iter().sum::<f64>() / n as f64;
    let squares: f64 = each.iter().map(|ratio| (ratio - middle).powi(2)).sum();
    let either_way = (n > 1).then(|| critical_t(n - 1) * (squares * (n - 1) as f64 / n as f64).sqrt());
    Some(Estimate { mean: without(None), either_way, seeds: n })
}

fn curve(games: &[&Game]) -> Vec<Step> {
    let mut stops: Vec<usize> = games.iter().flat_map(|game| game.points.iter().map(|p| p.sentences)).collect();
    stops.sort_unstable();
    stops.dedup();
    let step = |sentences: usize| {
        let at = || games.iter().filter_map(move |game| game.points.iter().find(|p| p.sentences == sentences));
        let all = |number: fn(&Point) -> Option<f64>| estimate(&at().filter_map(number).collect::<Vec<_>>());
        Step {
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
