//! Orders by what the classifier is unsure of, and by what it does not believe.

use super::{
    CandidatePool, PresortedStrategy, QueueReason, SelectionStrategy, belief, by_probability, name, output_names,
    percent,
};
use crate::domain::taxonomy::Selection;

/// How far the likeliest output is ahead of the next; where any may hold, how far the nearest is from one half, doubled.
pub(crate) fn margin(selection: Selection, row: &[f32]) -> f64 {
    match selection {
        Selection::Single => {
            let (mut first, mut second) = (0.0f32, 0.0f32);
            for p in row {
                (first, second) = if *p > first { (*p, first) } else { (first, second.max(*p)) };
            }
            f64::from(first) - f64::from(second)
        }
        Selection::Multiple => row.iter().map(|p| (2.0 * f64::from(*p) - 1.0).abs()).fold(1.0, f64::min),
    }
}

/// How far what holds is ahead in the classifier's eyes, as is to be expected of it: the sum over outputs of
/// q(y) (p(y) - p(z)), where q is what is believed and z the likeliest of the others; where any may hold, the lowest of
/// (2q - 1) (2p - 1). It is low where the classifier wavers, and below 0 where it is likely to be wrong.
pub(super) fn lead(selection: Selection, row: &[f32], belief: &[f32]) -> f64 {
    let pairs = row.iter().zip(belief).map(|(p, q)| (f64::from(*p), f64::from(*q)));
    match selection {
        Selection::Single => {
            let best = by_probability(row);
            let p = |place: usize| best.get(place).map_or(0.0, |output| f64::from(row[*output]));
            let rival = |output: usize| if best.first() == Some(&output) { p(1) } else { p(0) };
            pairs.enumerate().map(|(output, (p, q))| q * (p - rival(output))).sum()
        }
        Selection::Multiple => pairs.map(|(p, q)| yes_or_no(p, q)).fold(1.0, f64::min),
    }
}

/// The same of one output's yes and no.
fn yes_or_no(p: f64, q: f64) -> f64 {
    (2.0 * q - 1.0) * (2.0 * p - 1.0)
}

/// Candidates by a rising number; those without it are left out.
fn sorted_ascending(pool: &CandidatePool<'_>, number: impl Fn(usize) -> Option<f64>) -> Vec<usize> {
    let mut numbers: Vec<(f64, usize)> = (0..pool.candidates.len()).filter_map(|at| Some((number(at)?, at))).collect();
    numbers.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    numbers.into_iter().map(|(_, at)| at).collect()
}

/// `Memory 41 %, None 38 %`: what is in question, the likeliest first.
fn contenders(pool: &CandidatePool<'_>, row: &[f32], most: usize) -> String {
    let mut outputs = by_probability(row);
    if pool.selection == Selection::Multiple {
        outputs.sort_by(|a, b| (row[*a] - 0.5).abs().total_cmp(&(row[*b] - 0.5).abs()));
    }
    let told: Vec<String> =
        outputs.iter().take(most).map(|output| format!("{} {}", name(pool, *output), percent(row[*output]))).collect();
    told.join(", ")
}

pub(super) fn by_margin<'p>(pool: &'p CandidatePool<'p>) -> Box<dyn SelectionStrategy + 'p> {
    let order = sorted_ascending(pool, |at| Some(margin(pool.selection, pool.candidates[at].probabilities?)));
    let most = if pool.selection == Selection::Single { 2 } else { 1 };
    Box::new(PresortedStrategy::new(order, move |at| uncertain_reason(pool, at, most)))
}

fn uncertain_reason(pool: &CandidatePool<'_>, at: usize, most: usize) -> QueueReason {
    let row = pool.candidates[at].probabilities.unwrap_or_default();
    QueueReason::with_detail("the classifier wavers", format!("the classifier wavers: {}", contenders(pool, row, most)))
}

pub(super) fn by_contest<'p>(pool: &'p CandidatePool<'p>) -> Box<dyn SelectionStrategy + 'p> {
    let beliefs = belief::beliefs(pool);
    let order = sorted_ascending(pool, |at| {
        Some(lead(pool.selection, pool.candidates[at].probabilities?, beliefs[at].as_deref()?))
    });
    Box::new(PresortedStrategy::new(order, move |at| {
        let candidate = &pool.candidates[at];
        let row = candidate.probabilities.unwrap_or_default();
        let belief = beliefs[at].as_deref().unwrap_or_default();
        let of = |output: usize| yes_or_no(f64::from(row[output]), f64::from(belief[output]));
        let worst = (0..row.len().min(belief.len())).min_by(|a, b| of(*a).total_cmp(&of(*b)));
        let question = match (pool.selection, worst) {
            (Selection::Multiple, Some(worst)) => format!("{} {}", name(pool, worst), percent(row[worst])),
            _ => contenders(pool, row, 2),
        };
        let silver =
            candidate.silver.map_or_else(String::new, |silver| format!("; silver says {}", output_names(pool, silver)));
        QueueReason::with_detail(
            "the classifier may be wrong",
            format!("the classifier may be wrong: {question}{silver}"),
        )
    }))
}

pub(super) fn by_doubt<'p>(pool: &'p CandidatePool<'p>) -> Box<dyn SelectionStrategy + 'p> {
    let order = sorted_ascending(pool, |at| pool.candidates[at].doubt);
    Box::new(PresortedStrategy::new(order, move |at| {
        let sure = percent(pool.candidates[at].doubt.unwrap_or(0.0) as f32);
        QueueReason::with_detail(
            "a label may be wrong",
            format!("its label may be wrong: the classifier gives it {sure}"),
        )
    }))
}
