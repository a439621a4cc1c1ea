//! Orders that spread: over strata, over space, over clusters.

use std::collections::{BTreeMap, VecDeque};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Picker, Pool, Sorted, Why, names, said, shuffled};

/// Passes of k-means; its centres move little after the first few.
const PASSES: usize = 10;
/// At most so many clusters.
const MOST_CLUSTERS: usize = 100;

/// A stratum: what a machine says of a sentence, or whose it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stratum {
    Classifier(Vec<usize>),
    Silver(Vec<usize>),
    Patient(u32),
}

pub(super) fn stratified<'p>(pool: &'p Pool<'p>, random: &mut ChaCha8Rng) -> Box<dyn Picker + 'p> {
    let stratum = |at: usize| {
        let candidate = &pool.candidates[at];
        match (candidate.probabilities, candidate.silver) {
            (Some(row), _) => Stratum::Classifier(said(pool.selection, row)),
            (None, Some(silver)) => Stratum::Silver(silver.to_vec()),
            (None, None) => Stratum::Patient(candidate.patient),
        }
    };
    let mut strata: BTreeMap<Stratum, VecDeque<usize>> = BTreeMap::new();
    for at in shuffled(pool.candidates.len(), random) {
        strata.entry(stratum(at)).or_default().push_back(at);
    }
    let mut strata: Vec<VecDeque<usize>> = strata.into_values().collect();
    let turns = shuffled(strata.len(), random);
    let mut order = Vec::with_capacity(pool.candidates.len());
    while order.len() < pool.candidates.len() {
        order.extend(turns.iter().filter_map(|turn| strata[*turn].pop_front()));
    }
    Box::new(Sorted::new(order, move |at| match stratum(at) {
        Stratum::Classifier(outputs) => Why::with(
            "each category in turn",
            format!("each category in turn: the classifier says {}", names(pool, &outputs)),
        ),
        Stratum::Silver(outputs) => {
            Why::with("each category in turn", format!("each category in turn: silver says {}", names(pool, &outputs)))
        }
        Stratum::Patient(_) => Why::plain("each patient in turn"),
    }))
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The mean of some rows, which there are.
fn mean<'a>(rows: impl Iterator<Item = &'a [f32]>) -> Vec<f32> {
    let (mut sum, mut n) = (Vec::new(), 0.0f32);
    for row in rows {
        sum.resize(row.len().max(sum.len()), 0.0);
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        n += 1.0;
    }
    sum.iter_mut().for_each(|sum| *sum /= n.max(1.0));
    sum
}

/// Greedy k-center: always the one whose nearest neighbour among all labelled and taken is farthest.
pub(super) struct Farthest<'p> {
    pool: &'p Pool<'p>,
    /// Squared distance of each candidate to the nearest that is labelled or taken.
    nearest: Vec<f32>,
    taken: Vec<usize>,
    alone: bool,
}

impl<'p> Farthest<'p> {
    pub(super) fn new(pool: &'p Pool<'p>) -> Self {
        let known: Vec<&[f32]> = pool.labelled.iter().filter_map(|labelled| labelled.embedding).collect();
        let nearest =
            |embedding: &[f32]| known.iter().map(|row| distance(embedding, row)).fold(f32::INFINITY, f32::min);
        let nearest = pool.candidates.iter().map(|c| c.embedding.map_or(f32::NAN, nearest)).collect();
        Self { pool, nearest, taken: Vec::new(), alone: known.is_empty() }
    }

    fn hear(&mut self) {
        for at in std::mem::take(&mut self.taken) {
            let Some(row) = self.pool.candidates[at].embedding else {
                continue;
            };
            self.alone = false;
            for (nearest, candidate) in self.nearest.iter_mut().zip(self.pool.candidates) {
                if let Some(embedding) = candidate.embedding {
                    *nearest = nearest.min(distance(embedding, row));
                }
            }
        }
    }
}

impl Picker for Farthest<'_> {
    fn next(&mut self, free: &[bool]) -> Option<(usize, Why)> {
        self.hear();
        let candidates = self.pool.candidates;
        let open = (0..candidates.len()).filter(|at| free[*at] && candidates[*at].embedding.is_some());
        if self.alone {
            let middle = mean(candidates.iter().filter_map(|candidate| candidate.embedding));
            let far = |at: usize| distance(candidates[at].embedding.unwrap_or_default(), &middle);
            let first = open.min_by(|a, b| far(*a).total_cmp(&far(*b)))?;
            return Some((first, Why::plain("nearest to the middle of all")));
        }
        let farthest = open.reduce(|best, at| if self.nearest[at] > self.nearest[best] { at } else { best })?;
        Some((farthest, Why::plain("unlike anything labelled so far")))
    }

    fn taken(&mut self, at: usize) {
        self.taken.push(at);
    }
}

/// Clusters by k-means; the next is of the cluster with the fewest labels, and the nearest to its middle.
pub(super) struct Typical {
    /// Candidates by cluster, the most typical last.
    members: Vec<Vec<usize>>,
    sizes: Vec<usize>,
    /// Labelled or taken.
    known: Vec<usize>,
    cluster: Vec<Option<usize>>,
}

impl Typical {
    pub(super) fn new(pool: &Pool<'_>, random: &mut ChaCha8Rng) -> Self {
        let rows: Vec<(usize, &[f32])> =
            pool.candidates.iter().enumerate().filter_map(|(at, c)| Some((at, c.embedding?))).collect();
        let points: Vec<&[f32]> = rows.iter().map(|(_, row)| *row).collect();
        let centres = k_means(&points, (points.len() as f64).sqrt().ceil() as usize, random);
        let mut members: Vec<Vec<(f32, usize)>> = vec![Vec::new(); centres.len()];
        let mut cluster = vec![None; pool.candidates.len()];
        for (at, row) in rows {
            let (of, far) = nearest(&centres, row);
            members[of].push((far, at));
            cluster[at] = Some(of);
        }
        let mut known = vec![0; centres.len()];
        for row in pool.labelled.iter().filter_map(|labelled| labelled.embedding) {
            known[nearest(&centres, row).0] += 1;
        }
        let sorted = |mut members: Vec<(f32, usize)>| {
            members.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
            members.into_iter().map(|(_, at)| at).collect::<Vec<usize>>()
        };
        let members: Vec<Vec<usize>> = members.into_iter().map(sorted).collect();
        Self { sizes: members.iter().map(Vec::len).collect(), members, known, cluster }
    }
}

impl Picker for Typical {
    fn next(&mut self, free: &[bool]) -> Option<(usize, Why)> {
        for members in &mut self.members {
            while members.last().is_some_and(|at| !free[*at]) {
                members.pop();
            }
        }
        // Among clusters with as many labels the largest comes first.
        let open = (0..self.members.len()).filter(|c| !self.members[*c].is_empty());
        let next = open.min_by_key(|c| (self.known[*c], std::cmp::Reverse(self.sizes[*c])))?;
        let at = *self.members[next].last()?;
        let known = match self.known[next] {
            0 => "none has been".to_owned(),
            1 => "1 has been".to_owned(),
            n => format!("{n} have been"),
        };
        let of = format!("typical of {} that are alike, of which {known} chosen so far", self.sizes[next]);
        Some((at, Why::plain(of)))
    }

    fn taken(&mut self, at: usize) {
        if let Some(cluster) = self.cluster[at] {
            self.known[cluster] += 1;
        }
    }
}

/// The nearest centre and the squared distance to it.
fn nearest(centres: &[Vec<f32>], row: &[f32]) -> (usize, f32) {
    let far = centres.iter().map(|centre| distance(centre, row)).enumerate();
    far.fold((0, f32::INFINITY), |best, (i, far)| if far < best.1 { (i, far) } else { best })
}

/// Lloyd's k-means from the start of k-means++ (Arthur and Vassilvitskii, 2007).
fn k_means(points: &[&[f32]], k: usize, random: &mut ChaCha8Rng) -> Vec<Vec<f32>> {
    let k = k.min(MOST_CLUSTERS).min(points.len());
    let mut centres: Vec<Vec<f32>> = Vec::with_capacity(k);
    let mut far = vec![1.0f32; points.len()];
    while centres.len() < k {
        let all: f64 = far.iter().map(|far| f64::from(*far)).sum();
        let mut left = random.random::<f64>() * all;
        let drawn = far.iter().position(|far| {
            left -= f64::from(*far);
            left < 0.0
        });
        // Where all that is left stands on a centre already, there are no more clusters.
        let Some(drawn) = drawn else {
            break;
        };
        let centre = points[drawn].to_vec();
        let before = if centres.is_empty() { f32::INFINITY } else { 0.0 };
        for (far, point) in far.iter_mut().zip(points) {
            *far = far.max(before).min(distance(&centre, point));
        }
        centres.push(centre);
    }
    for _ in 0..PASSES {
        let mut members: Vec<Vec<&[f32]>> = vec![Vec::new(); centres.len()];
        for point in points {
            members[nearest(&centres, point).0].push(point);
        }
        for (centre, members) in centres.iter_mut().zip(members).filter(|(_, members)| !members.is_empty()) {
            *centre = mean(members.into_iter());
        }
    }
    centres
}
