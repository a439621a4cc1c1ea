//! A labelled set plays the expert: learning curves of orders and protocols, before anyone has labelled anything.
//!
//! Everything random hangs on the seed. Two orders with the same seed start from the same sentences, and an expert errs on
//! the same sentence in the same way under both, so that they can be compared pair by pair.

mod expert;
mod report;

use std::ops::ControlFlow;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::acquisition::{self, Candidate, CandidatePool, LabelledCandidate, StrategyMix};
use super::corpus::SentenceId;
use super::taxonomy::Selection;
pub(crate) use expert::{SimulatedExpert, SimulatedProtocol};
pub(crate) use report::{LabelsNeeded, SimulationReport};

/// A sentence of the labelled set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    /// What holds: the truth that experts see, as well as they can.
    pub outputs: Vec<usize>,
    /// What a language model said.
    pub silver: Option<Vec<usize>>,
}

/// What is played on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage<'a> {
    /// Names of the outputs.
    pub outputs: &'a [String],
    /// Whether exactly one output holds, or any.
    pub selection: Selection,
    /// The sentences that can be labelled, in note order.
    pub rows: &'a [Row],
}

/// What is to be played.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulationPlan {
    /// Orders, each of which is compared with the first.
    pub mixes: Vec<StrategyMix>,
    /// One game of each order for each seed.
    pub seeds: Vec<u64>,
    /// Sentences drawn at random to start with.
    pub start: usize,
    /// Sentences decided between two trainings.
    pub batch: usize,
    /// At most so many sentences; `None` for all.
    pub most: Option<usize>,
    /// The share of the macro-F1 of all labels that is to be reached.
    pub share: f64,
    /// Whether a game ends once that is reached.
    pub stop: bool,
    /// Who decides, and how.
    pub protocol: SimulatedProtocol,
}

/// What a classifier is to learn, and what it is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lesson<'a> {
    /// Rows in rising order with the outputs that the experts settled on.
    pub labels: &'a [(usize, Vec<usize>)],
    /// Rows whose probabilities are wanted.
    pub open: &'a [usize],
    /// Seed of training.
    pub seed: u64,
}

/// What came of a lesson.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Learnt {
    /// Of the open rows.
    pub probabilities: Vec<Vec<f32>>,
    /// On the test set.
    pub macro_f1: f64,
    /// On the test set.
    pub accuracy: f64,
}

/// Trains and scores; `None` where there is too little to train on.
pub(crate) type Learn<'a, E> = dyn FnMut(&Lesson<'_>) -> Result<Option<Learnt>, E> + 'a;

/// One stop on a learning curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Point {
    /// Sentences that somebody has decided.
    pub sentences: usize,
    /// Decisions: more than sentences where they overlap.
    pub decisions: usize,
    /// Time of all experts together.
    pub minutes: f64,
    /// Sentences that came to gold.
    pub gold: usize,
    /// Gold that is wrong.
    pub wrong: usize,
    /// On the test set; `None` where there was too little to train on.
    pub macro_f1: Option<f64>,
    /// On the test set.
    pub accuracy: Option<f64>,
}

/// One game: an order with a seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Game {
    /// The order, by its place in the plan.
    pub mix: usize,
    pub seed: u64,
    /// Macro-F1 of all labels, all of them right.
    pub full: f64,
    /// The curve.
    pub points: Vec<Point>,
    /// The first point that reaches the wanted share of [`Game::full`].
    pub reached: Option<Point>,
}

/// What is told after every training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Told {
    /// Which order.
    pub mix: usize,
    pub seed: u64,
    /// Sentences decided in this game.
    pub sentences: usize,
    /// Games that have ended.
    pub games: usize,
}

/// Plays every game of the plan, seed by seed, so that what is done when it breaks off can be compared. A game that was
/// broken off is left out.
pub(crate) fn play<E>(
    stage: &Stage<'_>,
    plan: &SimulationPlan,
    learn: &mut Learn<'_, E>,
    watch: &mut dyn FnMut(Told) -> ControlFlow<()>,
) -> Result<Vec<Game>, E> {
    let truth: Vec<(usize, Vec<usize>)> =
        stage.rows.iter().enumerate().map(|(at, row)| (at, row.outputs.clone())).collect();
    let mut games = Vec::new();
    for seed in &plan.seeds {
        let full = learn(&Lesson { labels: &truth, open: &[], seed: *seed })?.map_or(0.0, |learnt| learnt.macro_f1);
        for mix in 0..plan.mixes.len() {
            let ended = games.len();
            let mut tell = |sentences| watch(Told { mix, seed: *seed, sentences, games: ended });
            match game(stage, plan, (mix, *seed, full), learn, &mut tell)? {
                Some(game) => games.push(game),
                None => return Ok(games),
            }
        }
    }
    Ok(games)
}

fn game<E>(
    stage: &Stage<'_>,
    plan: &SimulationPlan,
    (mix, seed, full): (usize, u64, f64),
    learn: &mut Learn<'_, E>,
    tell: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Game>, E> {
    let n = stage.rows.len();
    let most = plan.most.unwrap_or(n).min(n);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut next: Vec<usize> = (0..n).collect();
    next.shuffle(&mut random);
    next.truncate(plan.start.clamp(1, most.max(1)));
    let mut game = Game { mix, seed, full, points: Vec::new(), reached: None };
    let mut decided = vec![false; n];
    let mut labels: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut point = Point::default();
    let mut guesses: FxHashMap<usize, Vec<f32>> = FxHashMap::default();
    while !next.is_empty() {
        for at in next.drain(..) {
            let shown = guesses.get(&at).map(|row| acquisition::predicted(stage.selection, row));
            let decision = plan.protocol.decide(stage, at, point.sentences, shown.as_deref(), seed);
            decided[at] = true;
            point.sentences += 1;
            point.decisions += decision.decisions;
            point.minutes += decision.seconds / 60.0;
            if let Some(outputs) = decision.gold {
                point.gold += 1;
                point.wrong += usize::from(outputs != stage.rows[at].outputs);
                labels.push((at, outputs));
            }
        }
        labels.sort_unstable_by_key(|(at, _)| *at);
        let open: Vec<usize> = (0..n).filter(|at| !decided[*at]).collect();
        let learnt = learn(&Lesson { labels: &labels, open: &open, seed })?;
        (point.macro_f1, point.accuracy) = learnt.as_ref().map(|l| (l.macro_f1, l.accuracy)).unzip();
        game.points.push(point);
        // A hair below still reaches it: the same model, scored in another order of additions.
        if game.reached.is_none() && point.macro_f1.is_some_and(|f1| f1 + 1e-12 >= plan.share * full) {
            game.reached = Some(point);
        }
        if tell(point.sentences).is_break() {
            return Ok(None);
        }
        if point.sentences >= most || (plan.stop && game.reached.is_some()) {
            break;
        }
        guesses =
            learnt.map_or_else(FxHashMap::default, |learnt| open.iter().copied().zip(learnt.probabilities).collect());
        let wanted = plan.batch.max(1).min(most - point.sentences);
        // The number of rows that are decided goes into the seed: chance must not draw by the same numbers each time.
        let draw = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(point.sentences as u64);
        next = choose(stage, &plan.mixes[mix], (&open, &guesses), &labels, draw, wanted);
    }
    Ok(Some(game))
}

fn choose(
    stage: &Stage<'_>,
    mix: &StrategyMix,
    (open, guesses): (&[usize], &FxHashMap<usize, Vec<f32>>),
    labels: &[(usize, Vec<usize>)],
    seed: u64,
    wanted: usize,
) -> Vec<usize> {
    let candidate = |at: &usize| {
        let row = &stage.rows[*at];
        Candidate {
            sentence: SentenceId(*at as i64),
            probabilities: guesses.get(at).map(Vec::as_slice),
            silver: row.silver.as_deref(),
            doubt: None,
        }
    };
    let candidates: Vec<Candidate<'_>> = open.iter().map(candidate).collect();
    let labelled = labels.iter().map(|(at, outputs)| {
        let row = &stage.rows[*at];
        LabelledCandidate { outputs, silver: row.silver.as_deref() }
    });
    let labelled: Vec<LabelledCandidate<'_>> = labelled.collect();
    let pool = CandidatePool {
        outputs: stage.outputs,
        selection: stage.selection,
        candidates: &candidates,
        labelled: &labelled,
    };
    let ranked = acquisition::order(&pool, mix, seed, wanted);
    ranked.into_iter().map(|ranked| ranked.sentence.0 as usize).collect()
}

#[cfg(test)]
mod tests;
