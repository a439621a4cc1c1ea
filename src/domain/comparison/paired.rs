//! The paired bootstrap by patient: the same drawn patients for every system and seed.

use serde::Serialize;

use super::SeedSpread;
use crate::domain::label_set::LabelSet;
use crate::domain::metrics::{ClassLayout, ClusterCounts, TestSentence, pairs};
use crate::domain::statistics::{Bootstrap, Resamples, bootstrap_p, least_p, mean, percentiles};

/// A system to compare: labels of the test sentences, in their order, from each seed.
#[derive(Clone, Debug, Default)]
pub(crate) struct ComparedSystem<'a> {
    pub seeds: Vec<(u64, &'a [LabelSet])>,
    /// The system that it is compared with, by its place in the list.
    pub against: Option<usize>,
}

/// The difference of a score from that of the system compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Difference {
    /// Mean over the seeds that both have.
    pub difference: Option<f64>,
    /// 95 % interval over the bootstrap by patient.
    pub interval: Option<(f64, f64)>,
    /// Two-sided p of the bootstrap (`bootstrap_p`), never below [`least_p`].
    pub p: Option<f64>,
}

/// One system's scores, each in the order of `ClassLayout::values`, and how they differ from the other's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SystemScores {
    /// Each score over the seeds.
    pub scores: Vec<SeedSpread>,
    /// Each score's difference; empty where there is nothing to compare with.
    pub gains: Vec<Difference>,
}

/// Scores systems on the same test sentences and compares each with the one that it names. In each resample a system's score
/// is the mean over its seeds, and a difference is the mean over the seeds that both have; a resample in which one of them is
/// undefined says nothing and is left out.
pub(crate) fn compare(
    tested: &[TestSentence],
    systems: &[ComparedSystem<'_>],
    categories: usize,
    none_in_averages: bool,
    bootstrap: Bootstrap,
) -> Vec<SystemScores> {
    let layout = ClassLayout { categories, none_in_averages };
    let tables: Vec<Vec<ClusterCounts>> = systems
        .iter()
        .map(|system| {
            system
                .seeds
                .iter()
                .map(|(_, labels)| ClusterCounts::of(pairs(tested, labels.iter().copied()), categories))
                .collect()
        })
        .collect();
    let clusters = tables.iter().flatten().next().map_or(0, |table| table.clusters);
    let draws = Resamples::new(clusters, bootstrap);
    compare_drawn(&tables, systems, layout, draws, Resamples::draw)
}

/// The pairs of seeds that a system shares with the one it is compared with, by their places.
fn shared(systems: &[ComparedSystem<'_>], at: usize) -> Vec<(usize, usize, usize)> {
    let Some((other, against)) = systems[at].against.and_then(|other| Some((other, systems.get(other)?))) else {
        return Vec::new();
    };
    let mine = systems[at].seeds.iter().enumerate();
    mine.filter_map(|(i, (seed, _))| Some((i, other, against.seeds.iter().position(|(s, _)| s == seed)?))).collect()
}

/// A sum that ought to be nothing may be left with its last bits.
fn round_to_zero(difference: f64) -> f64 {
    if difference.abs() < 1e-12 { 0.0 } else { difference }
}

/// As [`compare`], with any source of resamples.
pub(super) fn compare_drawn<D>(
    tables: &[Vec<ClusterCounts>],
    systems: &[ComparedSystem<'_>],
    layout: ClassLayout,
    mut draws: Option<D>,
    mut draw: impl FnMut(&mut D) -> Option<&[u32]>,
) -> Vec<SystemScores> {
    let values = |sum: &[u32]| {
        let mut values = Vec::new();
        layout.values(sum, &mut values);
        values
    };
    let paired: Vec<Vec<(usize, usize, usize)>> = (0..systems.len()).map(|at| shared(systems, at)).collect();
    let differences = |each: &[Vec<Vec<Option<f64>>>], at: usize, value: usize| -> Option<f64> {
        let of = |(mine, other, theirs): &(usize, usize, usize)| {
            Some(each[at][*mine][value]? - each[*other][*theirs][value]?)
        };
        mean(&paired[at].iter().map(of).collect::<Vec<_>>()).map(round_to_zero)
    };
    let width = layout.averages() + 9;
    let least = least_p(tables.iter().flatten().next().map_or(0, |table| table.clusters));
    let whole: Vec<Vec<Vec<Option<f64>>>> =
        tables.iter().map(|seeds| seeds.iter().map(|table| values(&table.total())).collect()).collect();
    let mut compared: Vec<SystemScores> = whole
        .iter()
        .enumerate()
        .map(|(at, seeds)| SystemScores {
            scores: (0..width).map(|value| SeedSpread::of(seeds.iter().map(|seed| seed[value]).collect())).collect(),
            gains: match paired[at].is_empty() {
                true => Vec::new(),
                false => (0..width)
                    .map(|value| Difference { difference: differences(&whole, at, value), ..Difference::default() })
                    .collect(),
            },
        })
        .collect();

    let mut scores: Vec<Vec<Vec<f32>>> = vec![vec![Vec::new(); width]; systems.len()];
    let mut gains = scores.clone();
    let mut each = whole;
    let mut sum = Vec::new();
    while let Some(times) = draws.as_mut().and_then(&mut draw) {
        for (table, into) in tables.iter().flatten().zip(each.iter_mut().flatten()) {
            table.weighted_sum(times, &mut sum);
            layout.values(&sum, into);
        }
        for at in 0..systems.len() {
            for value in 0..width {
                let over_seeds: Option<f64> = each[at].iter().map(|seed| seed[value]).sum();
                scores[at][value].extend(over_seeds.map(|sum| (sum / each[at].len() as f64) as f32));
                if !paired[at].is_empty() {
                    gains[at][value].extend(differences(&each, at, value).map(|d| d as f32));
                }
            }
        }
    }
    for (compared, (scores, gains)) in compared.iter_mut().zip(scores.into_iter().zip(gains)) {
        for (spread, drawn) in compared.scores.iter_mut().zip(scores) {
            spread.interval = spread.mean.and(percentiles(drawn));
        }
        for (gain, drawn) in compared.gains.iter_mut().zip(gains) {
            if gain.difference.is_some() && !drawn.is_empty() {
                gain.p = Some(bootstrap_p(&drawn).max(least));
                gain.interval = percentiles(drawn);
            }
        }
    }
    compared
}
