//! The order that counts each output the more the fewer labels it has: how likely the classifier misses it, q (1 - p), where q
//! is what is believed and p the classifier's, over the square root of its labels. Without silver q is p, and q (1 - p) the
//! variance of its yes or no.
//!
//! The one that is worth most is taken, and what is believed of it is added to the counts as if it had been labelled by
//! chance; so a run of sentences of one rare category does not fill the queue.

use super::{Candidate, CandidatePool, QueueReason, SelectionStrategy, belief, name, percent};

/// What silver's word counts for where no label of a category is there that the classifier could have learned it from: a toss.
const TOSS: f32 = 0.5;

/// The order at work; see the module.
pub(super) struct RareFirst<'p> {
    pool: &'p CandidatePool<'p>,
    /// `[candidates][outputs]`; empty where nothing is known.
    beliefs: Vec<Vec<f32>>,
    /// Labels of each output, and those expected of what has been taken.
    counts: Vec<f64>,
    labels: Vec<usize>,
}

impl<'p> RareFirst<'p> {
    pub(super) fn new(pool: &'p CandidatePool<'p>) -> Self {
        let mut labels = vec![0; pool.outputs.len()];
        for output in pool.labelled.iter().flat_map(|labelled| labelled.outputs) {
            if let Some(count) = labels.get_mut(*output) {
                *count += 1;
            }
        }
        let of = |(belief, candidate): (Option<Vec<f32>>, &Candidate<'_>)| {
            let mut row = belief.unwrap_or_default();
            for (output, q) in row.iter_mut().enumerate().filter(|(output, _)| labels[*output] == 0) {
                *q = if candidate.silver.is_some_and(|silver| silver.contains(&output)) { TOSS } else { 0.0 };
            }
            row
        };
        let beliefs = belief::beliefs(pool).into_iter().zip(pool.candidates).map(of).collect();
        Self { pool, beliefs, counts: labels.iter().map(|n| *n as f64).collect(), labels }
    }

    /// What the classifier gives an output of a candidate, if it has learned of that output.
    fn learned(&self, at: usize, output: usize) -> Option<f32> {
        let row = self.pool.candidates[at].probabilities.filter(|_| self.labels[output] > 0)?;
        Some(row.get(output).copied().unwrap_or(0.0))
    }

    fn value(&self, at: usize, output: usize) -> f64 {
        let q = self.beliefs[at][output];
        f64::from(q) * (1.0 - f64::from(self.learned(at, output).unwrap_or(q)))
    }

    fn why(&self, at: usize, weights: &[f64]) -> QueueReason {
        let row = &self.beliefs[at];
        let worth = |output: usize| self.value(at, output) * weights[output];
        let Some(most) = (0..row.len()).reduce(|best, i| if worth(i) > worth(best) { i } else { best }) else {
            return QueueReason::new("rare");
        };
        let labels = match self.labels[most] {
            0 => "no label".to_owned(),
            1 => "1 label".to_owned(),
            n => format!("{n} labels"),
        };
        let category = name(self.pool, most);
        let silver = self.pool.candidates[at].silver;
        let (q, so_far) = (percent(row[most]), format!("{category} has {labels} so far"));
        match self.learned(at, most) {
            None if silver.is_some_and(|silver| silver.contains(&most)) => {
                QueueReason::with_detail("rare, by silver", format!("rare: {so_far}, and silver says it"))
            }
            Some(p) if silver.is_some() => QueueReason::with_detail(
                "the classifier may be wrong",
                format!("the classifier may be wrong: {category} {}, with silver {q}; {so_far}", percent(p)),
            ),
            Some(_) => {
                let rival = (0..row.len()).filter(|i| *i != most).reduce(|a, b| if row[b] > row[a] { b } else { a });
                let rival = rival.map_or_else(String::new, |i| format!(", {} {}", name(self.pool, i), percent(row[i])));
                QueueReason::with_detail(
                    "the classifier wavers",
                    format!("the classifier wavers: {category} {q}{rival}; {so_far}"),
                )
            }
            None => QueueReason::with_detail("rare", format!("rare: {so_far}; {q} here")),
        }
    }
}

impl SelectionStrategy for RareFirst<'_> {
    fn next(&mut self, free: &[bool]) -> Option<(usize, QueueReason)> {
        let weights: Vec<f64> = self.counts.iter().map(|count| (1.0 + count).sqrt().recip()).collect();
        let mut best: Option<(f64, usize)> = None;
        for (at, _) in self.beliefs.iter().enumerate().filter(|(at, row)| free[*at] && !row.is_empty()) {
            let worth: f64 = weights.iter().enumerate().map(|(output, weight)| self.value(at, output) * weight).sum();
            if best.is_none_or(|(most, _)| worth > most) {
                best = Some((worth, at));
            }
        }
        best.map(|(_, at)| (at, self.why(at, &weights)))
    }

    fn mark_taken(&mut self, at: usize) {
        for (count, q) in self.counts.iter_mut().zip(&self.beliefs[at]) {
            *count += f64::from(*q);
        }
    }
}
