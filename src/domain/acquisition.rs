//! Which sentences are to be labelled next, and why each: strategies of active learning, and mixes of them by shares.
//!
//! The same pool, mix and seed give the same order. A strategy that lacks what it goes by draws at random and says so.

mod belief;
mod mix;
mod rare;
mod uncertainty;

use std::fmt;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::corpus::SentenceId;
use super::taxonomy::Selection;
pub(crate) use mix::{Strategy, StrategyMix};
#[cfg(test)]
use uncertainty::margin;

/// A sentence that may be labelled next, with what is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub sentence: SentenceId,
    /// What the classifier gives each output: a softmax where one holds, sigmoids where any may.
    pub probabilities: Option<&'a [f32]>,
    /// The outputs that a language model named.
    pub silver: Option<&'a [usize]>,
    /// How sure a classifier is of the label that it has, where that label is in doubt.
    pub doubt: Option<f64>,
}

/// A sentence that has its label.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LabelledCandidate<'a> {
    /// The outputs that hold.
    pub outputs: &'a [usize],
    /// The outputs that a language model named.
    pub silver: Option<&'a [usize]>,
}

/// What is chosen from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CandidatePool<'a> {
    /// Names of the outputs; under [`Selection::Single`] *None* is one of them.
    pub outputs: &'a [String],
    /// Whether exactly one output holds, or any.
    pub selection: Selection,
    /// In note order.
    pub candidates: &'a [Candidate<'a>],
    /// What has been labelled so far.
    pub labelled: &'a [LabelledCandidate<'a>],
}

/// A sentence in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ranked {
    pub sentence: SentenceId,
    /// Whose pick it is.
    pub strategy: Strategy,
    pub why: QueueReason,
}

/// Why a sentence is in its place, in a short phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueueReason {
    /// What may be said before a blind decision: it names no category that a machine gave this sentence.
    pub veiled: String,
    /// All of it; empty where the veiled phrase says all.
    pub detail: String,
}

impl QueueReason {
    fn new(veiled: impl Into<String>) -> Self {
        Self { veiled: veiled.into(), detail: String::new() }
    }

    fn with_detail(veiled: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { veiled: veiled.into(), detail: detail.into() }
    }
}

impl fmt::Display for QueueReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.detail.is_empty() { &self.veiled } else { &self.detail })
    }
}

/// One strategy at work.
trait SelectionStrategy {
    /// The next of those that are free.
    fn next(&mut self, free: &[bool]) -> Option<(usize, QueueReason)>;

    /// A candidate has been taken, by whatever strategy.
    fn mark_taken(&mut self, _at: usize) {}
}

/// Candidates in an order that nothing changes.
struct PresortedStrategy<F> {
    order: std::vec::IntoIter<usize>,
    why: F,
}

impl<F: FnMut(usize) -> QueueReason> PresortedStrategy<F> {
    fn new(order: Vec<usize>, why: F) -> Self {
        Self { order: order.into_iter(), why }
    }
}

impl<F: FnMut(usize) -> QueueReason> SelectionStrategy for PresortedStrategy<F> {
    fn next(&mut self, free: &[bool]) -> Option<(usize, QueueReason)> {
        let at = self.order.find(|at| free[*at])?;
        Some((at, (self.why)(at)))
    }
}

/// A strategy, and chance for when it has nothing more to say.
struct StrategyRun<'p> {
    strategy: Strategy,
    picker: Option<Box<dyn SelectionStrategy + 'p>>,
    chance: std::vec::IntoIter<usize>,
    /// Why chance has to help.
    lacks: String,
}

impl StrategyRun<'_> {
    fn next(&mut self, free: &[bool]) -> Option<(usize, QueueReason)> {
        let picked = self.picker.as_mut().and_then(|picker| picker.next(free));
        picked.or_else(|| {
            let at = self.chance.find(|at| free[*at])?;
            Some((at, QueueReason::new(format!("drawn at random: {}", self.lacks))))
        })
    }
}

/// The candidates in the order in which they are to be labelled, at most so many. Shares are kept in every part of the order
/// that starts at its beginning, to within one sentence, and a sentence comes once.
pub(crate) fn order(pool: &CandidatePool<'_>, mix: &StrategyMix, seed: u64, limit: usize) -> Vec<Ranked> {
    let shares = mix.shares();
    let mut turns: Vec<StrategyRun<'_>> = (0u64..).zip(shares).map(|(i, (s, _))| turn(pool, *s, seed, i)).collect();
    let mut took = vec![0usize; turns.len()];
    let mut free = vec![true; pool.candidates.len()];
    let mut ranked = Vec::with_capacity(limit.min(free.len()));
    while ranked.len() < limit.min(free.len()) {
        let due = |i: usize| shares[i].1 * (ranked.len() + 1) as f64 - took[i] as f64;
        let next = (0..turns.len()).reduce(|best, i| if due(i) > due(best) + 1e-9 { i } else { best });
        let Some((i, (at, why))) = next.and_then(|i| Some((i, turns[i].next(&free)?))) else {
            break;
        };
        free[at] = false;
        took[i] += 1;
        turns.iter_mut().filter_map(|turn| turn.picker.as_mut()).for_each(|picker| picker.mark_taken(at));
        ranked.push(Ranked { sentence: pool.candidates[at].sentence, strategy: turns[i].strategy, why });
    }
    ranked
}

/// The numbers below `n` in an order that hangs on the seed alone.
pub fn draw(n: usize, seed: u64) -> Vec<usize> {
    shuffled(n, &mut ChaCha8Rng::seed_from_u64(seed))
}

fn shuffled(n: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(random);
    order
}

fn turn<'p>(pool: &'p CandidatePool<'p>, strategy: Strategy, seed: u64, stream: u64) -> StrategyRun<'p> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream);
    let n = pool.candidates.len();
    let has = |what: fn(&Candidate<'_>) -> bool| pool.candidates.iter().any(what);
    let (classifier, silver) = (has(|c| c.probabilities.is_some()), has(|c| c.silver.is_some()));
    let no_classifier = (!classifier).then_some("no classifier yet");
    let lack = match strategy {
        Strategy::Note | Strategy::Random => None,
        Strategy::Margin | Strategy::Contested => no_classifier,
        Strategy::Balanced => no_classifier.filter(|_| !silver),
        Strategy::Doubts => (!has(|c| c.doubt.is_some())).then_some("no label is in doubt"),
    };
    let picker: Option<Box<dyn SelectionStrategy + 'p>> = match (lack, strategy) {
        (Some(_), _) => None,
        (None, Strategy::Note) => {
            Some(Box::new(PresortedStrategy::new((0..n).collect(), |_| QueueReason::new("next in its note"))))
        }
        (None, Strategy::Random) => {
            Some(Box::new(PresortedStrategy::new(shuffled(n, &mut random), |_| QueueReason::new("drawn at random"))))
        }
        (None, Strategy::Margin) => Some(uncertainty::by_margin(pool)),
        (None, Strategy::Contested) => Some(uncertainty::by_contest(pool)),
        (None, Strategy::Doubts) => Some(uncertainty::by_doubt(pool)),
        (None, Strategy::Balanced) => Some(Box::new(rare::RareFirst::new(pool))),
    };
    let lacks = lack.unwrap_or(match strategy {
        Strategy::Doubts => "no other label is in doubt",
        _ => "nothing more is known of the rest",
    });
    StrategyRun { strategy, picker, chance: shuffled(n, &mut random).into_iter(), lacks: lacks.to_owned() }
}

fn name<'p>(pool: &CandidatePool<'p>, output: usize) -> &'p str {
    pool.outputs.get(output).map_or("?", String::as_str)
}

fn percent(p: f32) -> String {
    format!("{:.0} %", f64::from(p) * 100.0)
}

/// Names of outputs in a row; *None* where no category holds.
fn output_names(pool: &CandidatePool<'_>, outputs: &[usize]) -> String {
    let names: Vec<&str> = outputs.iter().map(|output| name(pool, *output)).collect();
    if names.is_empty() { "None".into() } else { names.join(" and ") }
}

/// The outputs that probabilities speak for: the likeliest, or all of one half and more.
pub(super) fn predicted(selection: Selection, row: &[f32]) -> Vec<usize> {
    match selection {
        Selection::Single => by_probability(row).first().copied().into_iter().collect(),
        Selection::Multiple => (0..row.len()).filter(|i| row[*i] >= 0.5).collect(),
    }
}

/// Outputs by falling probability.
fn by_probability(row: &[f32]) -> Vec<usize> {
    let mut outputs: Vec<usize> = (0..row.len()).collect();
    outputs.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
    outputs
}

#[cfg(test)]
mod tests;
