//! What is believed of a sentence when the classifier and silver are heard together.
//!
//! By Bayes' rule, as if the two erred apart from each other: q(y) ∝ p(y) P(s | y), where p is the classifier's, s is what
//! silver says and P(s | y) is counted on the sentences that have a label and silver. A silver that speaks at random changes
//! nothing; one that is right more often than the classifier wins over it.

use super::{Candidate, CandidatePool, LabelledCandidate};
use crate::domain::taxonomy::Selection;

/// Labels that each row of the counts starts with, as long as little is known of silver.
const START: f64 = 2.0;
/// The share of them in which silver is right; the others fall to what it says as often as it says that anyway.
const RIGHT: f64 = 0.5;

/// What silver says where this or that holds.
struct SilverConfusion {
    /// `[holds][said]`, of the labels so far.
    counts: Vec<Vec<f64>>,
    /// How often silver says each, wherever it speaks.
    shares: Vec<f64>,
}

impl SilverConfusion {
    fn of(k: usize, labelled: impl Iterator<Item = (usize, usize)>, said: impl Iterator<Item = usize>) -> Self {
        let mut counts = vec![vec![0.0; k]; k];
        labelled.for_each(|(holds, said)| counts[holds][said] += 1.0);
        let mut shares = vec![1.0 / k as f64; k];
        said.for_each(|said| shares[said] += 1.0);
        let all: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= all);
        Self { counts, shares }
    }

    /// P(said | holds).
    fn likelihood(&self, holds: usize, said: usize) -> f64 {
        let right = if holds == said { RIGHT } else { 0.0 };
        let start = START * (right + (1.0 - RIGHT) * self.shares[said]);
        (self.counts[holds][said] + start) / (self.counts[holds].iter().sum::<f64>() + START)
    }

    /// The classifier counts as so many labels, and one more is spread over all that may hold: what it has never seen it
    /// must not rule out.
    fn posterior(&self, row: impl Fn(usize) -> f64, labels: f64, said: usize) -> Vec<f64> {
        let k = self.shares.len();
        let prior = |holds: usize| (labels * row(holds) + 1.0 / k as f64) / (labels + 1.0);
        let joint: Vec<f64> = (0..k).map(|holds| prior(holds) * self.likelihood(holds, said)).collect();
        let all: f64 = joint.iter().sum();
        joint.into_iter().map(|joint| joint / all).collect()
    }
}

/// What each candidate is believed to be, an entry for each output: by classifier and silver together, by one of them where
/// the other has nothing to say, `None` where both have not.
pub(super) fn beliefs(pool: &CandidatePool<'_>) -> Vec<Option<Vec<f32>>> {
    match pool.selection {
        Selection::Single => single(pool),
        Selection::Multiple => multiple(pool),
    }
}

/// Silver that there is, of candidates and of what is labelled.
fn silver<'p>(pool: &'p CandidatePool<'p>) -> impl Iterator<Item = &'p [usize]> {
    let labelled = pool.labelled.iter().filter_map(|labelled| labelled.silver);
    pool.candidates.iter().filter_map(|candidate| candidate.silver).chain(labelled)
}

/// A row as long as there are outputs; the same for all where there is no classifier.
fn row(candidate: &Candidate<'_>, output: usize, without: f64) -> f64 {
    let of = |row: &[f32]| row.get(output).copied().map_or(0.0, f64::from);
    candidate.probabilities.map_or(without, of)
}

fn single(pool: &CandidatePool<'_>) -> Vec<Option<Vec<f32>>> {
    let (k, labels) = (pool.outputs.len(), pool.labelled.len() as f64);
    let one = |outputs: &[usize]| outputs.first().copied().filter(|output| outputs.len() == 1 && *output < k);
    let both = |labelled: &LabelledCandidate<'_>| one(labelled.outputs).zip(one(labelled.silver?));
    let habits = SilverConfusion::of(k, pool.labelled.iter().filter_map(both), silver(pool).filter_map(one));
    let belief = |candidate: &Candidate<'_>| {
        let of = |output: usize| row(candidate, output, 1.0 / k as f64);
        match candidate.silver.and_then(one) {
            Some(said) => Some(habits.posterior(of, labels, said).into_iter().map(|q| q as f32).collect()),
            None => candidate.probabilities.map(|_| (0..k).map(|output| of(output) as f32).collect()),
        }
    };
    pool.candidates.iter().map(belief).collect()
}

/// Each output's yes and no by itself.
fn multiple(pool: &CandidatePool<'_>) -> Vec<Option<Vec<f32>>> {
    let (k, labels) = (pool.outputs.len(), pool.labelled.len() as f64);
    let yes = |outputs: &[usize], output: usize| usize::from(outputs.contains(&output));
    let habits = |output: usize| {
        let both = move |labelled: &LabelledCandidate<'_>| {
            Some((yes(labelled.outputs, output), yes(labelled.silver?, output)))
        };
        SilverConfusion::of(2, pool.labelled.iter().filter_map(both), silver(pool).map(move |said| yes(said, output)))
    };
    let habits: Vec<SilverConfusion> = (0..k).map(habits).collect();
    let belief = |candidate: &Candidate<'_>| {
        let of = |output: usize| {
            let p = row(candidate, output, 0.5);
            let by = |said: &[usize]| {
                habits[output].posterior(|holds| if holds == 1 { p } else { 1.0 - p }, labels, yes(said, output))[1]
            };
            candidate.silver.map_or(p, by) as f32
        };
        let known = candidate.probabilities.is_some() || candidate.silver.is_some();
        known.then(|| (0..k).map(of).collect())
    };
    pool.candidates.iter().map(belief).collect()
}
