//! Orders that count each output the more the fewer labels it has.
//!
//! The one that is worth most is taken, and its probabilities are added to the counts as if it had been labelled by chance;
//! so a run of sentences of one rare category does not fill the queue.

use super::{Picker, Pool, Why, name, percent};

/// What an output of a sentence is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    /// The variance of its yes or no: p (1 - p), over the square root of its labels.
    Doubt,
    /// Its probability, over its labels.
    Category,
}

/// What silver's word counts for where no label of a category is there that the classifier could have learned it from: a toss.
const TOSS: f32 = 0.5;

pub(super) struct Rare<'p> {
    pool: &'p Pool<'p>,
    worth: Worth,
    /// `[candidates][outputs]`; empty where nothing is known.
    beliefs: Vec<Vec<f32>>,
    /// Labels of each output, and those expected of what has been taken.
    counts: Vec<f64>,
    labels: Vec<usize>,
}

impl<'p> Rare<'p> {
    pub(super) fn new(pool: &'p Pool<'p>, worth: Worth) -> Self {
        let k = pool.outputs.len();
        let mut labels = vec![0; k];
        for output in pool.labelled.iter().flat_map(|labelled| labelled.outputs) {
            if let Some(count) = labels.get_mut(*output) {
                *count += 1;
            }
        }
        let belief = |output: usize, row: Option<&[f32]>, silver: Option<&[usize]>| match row {
            Some(row) if labels[output] > 0 => row.get(output).copied().unwrap_or(0.0),
            _ if silver.is_some_and(|silver| silver.contains(&output)) => TOSS,
            _ => 0.0,
        };
        let beliefs = pool.candidates.iter().map(|candidate| {
            let (row, silver) = (candidate.probabilities, candidate.silver);
            let known = row.is_some() || silver.is_some();
            if known { (0..k).map(|output| belief(output, row, silver)).collect() } else { Vec::new() }
        });
        let beliefs = beliefs.collect();
        Self { pool, worth, beliefs, counts: labels.iter().map(|n| *n as f64).collect(), labels }
    }

    fn weight(&self, count: f64) -> f64 {
        match self.worth {
            Worth::Doubt => (1.0 + count).sqrt().recip(),
            Worth::Category => (1.0 + count).recip(),
        }
    }

    fn value(&self, p: f32) -> f64 {
        let p = f64::from(p);
        match self.worth {
            Worth::Doubt => p * (1.0 - p),
            Worth::Category => p,
        }
    }

    fn why(&self, at: usize, weights: &[f64]) -> Why {
        let row = &self.beliefs[at];
        let worth = |output: usize| self.value(row[output]) * weights[output];
        let Some(most) = (0..row.len()).reduce(|best, i| if worth(i) > worth(best) { i } else { best }) else {
            return Why::plain("rare");
        };
        let labels = match self.labels[most] {
            0 => "no label".to_owned(),
            1 => "1 label".to_owned(),
            n => format!("{n} labels"),
        };
        let category = name(self.pool, most);
        let seen = self.labels[most] > 0 && self.pool.candidates[at].probabilities.is_some();
        let (p, so_far) = (percent(row[most]), format!("{category} has {labels} so far"));
        match (seen, self.worth) {
            (false, _) => Why::with("rare, by silver", format!("rare: {so_far}, and silver says it")),
            (true, Worth::Category) => Why::with("rare", format!("rare: {so_far}; {p} here")),
            (true, Worth::Doubt) => {
                let rival = (0..row.len()).filter(|i| *i != most).reduce(|a, b| if row[b] > row[a] { b } else { a });
                let rival = rival.map_or_else(String::new, |i| format!(", {} {}", name(self.pool, i), percent(row[i])));
                Why::with("the classifier wavers", format!("the classifier wavers: {category} {p}{rival}; {so_far}"))
            }
        }
    }
}

impl Picker for Rare<'_> {
    fn next(&mut self, free: &[bool]) -> Option<(usize, Why)> {
        let weights: Vec<f64> = self.counts.iter().map(|count| self.weight(*count)).collect();
        let mut best: Option<(f64, usize)> = None;
        for (at, row) in self.beliefs.iter().enumerate().filter(|(at, row)| free[*at] && !row.is_empty()) {
            let worth: f64 = row.iter().zip(&weights).map(|(p, weight)| self.value(*p) * weight).sum();
            if best.is_none_or(|(most, _)| worth > most) {
                best = Some((worth, at));
            }
        }
        best.map(|(_, at)| (at, self.why(at, &weights)))
    }

    fn taken(&mut self, at: usize) {
        for (count, p) in self.counts.iter_mut().zip(&self.beliefs[at]) {
            *count += f64::from(*p);
        }
    }
}
