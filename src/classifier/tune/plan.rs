//! Which examples a step sees: a pure function of seed and epoch, so that a run that is taken up again goes on as it would
//! have.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::TuneConfig;
use crate::classifier::encoder::by_padded_tokens;

/// Batches are cut from pools of so many batches, sorted by length inside: little is padded, and lengths still mix.
const POOL: usize = 32;

/// The steps of an epoch: each one or several batches (for accumulation) of numbers of examples.
pub(super) fn epoch(
    config: &TuneConfig,
    seed: u64,
    epoch: usize,
    lengths: &[usize],
    outputs: &[Vec<usize>],
) -> Vec<Vec<Vec<usize>>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(epoch as u64);
    let mut order = drawn(config.oversample, outputs, &mut random);
    order.shuffle(&mut random);
    let mut batches = Vec::new();
    for pool in order.chunks_mut(POOL * config.batch.max(1)) {
        pool.sort_by_key(|at| lengths[*at]);
        batches.extend(by_padded_tokens(lengths, pool, config.batch.max(1), config.batch_tokens));
    }
    batches.shuffle(&mut random);
    batches.chunks(config.accumulate.max(1)).map(<[_]>::to_vec).collect()
}

/// Every example once, and those of rarer outputs again: an output that n of the most frequent one's m examples have is
/// drawn (m / n)^share times as often; 0 leaves all as they are, 1 makes all equally frequent. An example with several
/// outputs goes by its rarest.
fn drawn(share: f64, outputs: &[Vec<usize>], random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..outputs.len()).collect();
    if share <= 0.0 {
        return order;
    }
    let width = outputs.iter().flatten().max().map_or(0, |most| most + 1);
    // Position `width` stands for no output at all.
    let mut counts = vec![0usize; width + 1];
    let of = |example: &Vec<usize>| if example.is_empty() { vec![width] } else { example.clone() };
    outputs.iter().for_each(|example| of(example).into_iter().for_each(|output| counts[output] += 1));
    let most = counts.iter().copied().max().unwrap_or(1) as f64;
    let mut more: Vec<usize> = Vec::new();
    for output in 0..=width {
        let rarest = |example: &Vec<usize>| of(example).into_iter().min_by_key(|o| (counts[*o], *o));
        let mut examples: Vec<usize> = (0..outputs.len()).filter(|i| rarest(&outputs[*i]) == Some(output)).collect();
        if examples.is_empty() {
            continue;
        }
        let times = (most / counts[output] as f64).powf(share.min(1.0)) - 1.0;
        let wanted = (times * examples.len() as f64).round() as usize;
        examples.shuffle(random);
        more.extend(examples.iter().cycle().take(wanted));
    }
    order.extend(more);
    order
}

/// The step size of step `at` (from 0) of `steps`: up in a line over the share that warms up, then down in a line to 0, as
/// transformers' `get_linear_schedule_with_warmup`.
pub(super) fn rate(config: &TuneConfig, at: usize, steps: usize) -> f64 {
    let warm = (config.warmup * steps as f64).round() as usize;
    if at < warm {
        return config.learning_rate * at as f64 / warm as f64;
    }
    config.learning_rate * steps.saturating_sub(at) as f64 / (steps - warm).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs() -> Vec<Vec<usize>> {
        (0..100).map(|i| vec![usize::from(i % 10 == 0)]).collect()
    }

    #[test]
    fn every_example_is_seen_once_and_the_order_repeats_itself() {
        let config = TuneConfig { batch: 8, batch_tokens: 200, accumulate: 2, ..TuneConfig::default() };
        let lengths: Vec<usize> = (0..100).map(|i| 5 + i * 7 % 60).collect();
        let plan = epoch(&config, 3, 1, &lengths, &outputs());
        let mut seen: Vec<usize> = plan.iter().flatten().flatten().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
        for batch in plan.iter().flatten() {
            let longest = batch.iter().map(|i| lengths[*i]).max().unwrap();
            assert!(batch.len() <= 8 && (batch.len() == 1 || longest * batch.len() <= 200), "{batch:?}");
        }
        assert_eq!(plan, epoch(&config, 3, 1, &lengths, &outputs()));
        assert_ne!(plan, epoch(&config, 3, 2, &lengths, &outputs()));
        assert_ne!(plan, epoch(&config, 4, 1, &lengths, &outputs()));
    }

    #[test]
    fn oversampling_lifts_the_rare() {
        let count = |share| {
            let config = TuneConfig { oversample: share, ..TuneConfig::default() };
            let plan = epoch(&config, 1, 1, &[5; 100], &outputs());
            plan.iter().flatten().flatten().filter(|i| **i % 10 == 0).count()
        };
        // 10 of 90: three times as often for the root, nine times for equality.
        assert_eq!((count(0.0), count(0.5), count(1.0)), (10, 30, 90));
    }

    #[test]
    fn the_step_size_warms_up_and_falls_to_nothing() {
        let config = TuneConfig { learning_rate: 1e-3, warmup: 0.2, ..TuneConfig::default() };
        let rates: Vec<f64> = (0..20).map(|at| rate(&config, at, 20)).collect();
        assert_eq!((rates[0], rates[2], rates[4]), (0.0, 5e-4, 1e-3));
        assert!((rates[19] - 1e-3 / 16.0).abs() < 1e-12);
    }
}
