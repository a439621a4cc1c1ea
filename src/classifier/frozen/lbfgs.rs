//! L-BFGS (Nocedal and Wright, algorithm 7.5) for a smooth convex cost, with steps that are halved until the cost has
//! fallen enough (Armijo).

use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Differences of the last steps that are kept.
const KEPT: usize = 10;

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum()
}

fn add(to: &mut [f32], factor: f64, values: &[f32]) {
    to.iter_mut().zip(values).for_each(|(to, value)| *to += factor as f32 * value);
}

/// Minimises `cost`, which writes its gradient, from `start`; stops when the cost falls by less than a millionth of itself,
/// after `steps`, or when `watch` breaks.
pub(super) fn minimise(
    start: Vec<f32>,
    steps: usize,
    mut cost: impl FnMut(&[f32], &mut [f32]) -> f64,
    watch: &mut dyn FnMut(usize, f64) -> ControlFlow<()>,
) -> Vec<f32> {
    let mut at = start;
    let mut gradient = vec![0.0; at.len()];
    let mut value = cost(&at, &mut gradient);
    let mut pairs: VecDeque<(Vec<f32>, Vec<f32>, f64)> = VecDeque::new();
    for step in 1..=steps {
        let mut direction: Vec<f32> = gradient.iter().map(|g| -g).collect();
        let mut factors = Vec::with_capacity(pairs.len());
        for (moved, turned, rho) in pairs.iter().rev() {
            let factor = rho * dot(moved, &direction);
            add(&mut direction, -factor, turned);
            factors.push(factor);
        }
        let first = 1.0 / dot(&gradient, &gradient).sqrt().max(1.0);
        let scale = pairs.back().map_or(first, |(moved, turned, _)| dot(moved, turned) / dot(turned, turned));
        direction.iter_mut().for_each(|d| *d *= scale as f32);
        for ((moved, turned, rho), factor) in pairs.iter().zip(factors.into_iter().rev()) {
            let back = factor - rho * dot(turned, &direction);
            add(&mut direction, back, moved);
        }
        let slope = dot(&gradient, &direction);
        if slope >= 0.0 {
            break;
        }
        let mut length = 1.0;
        let mut next = at.clone();
        let mut next_gradient = vec![0.0; at.len()];
        let found = (0..30).find_map(|_| {
            next.copy_from_slice(&at);
            add(&mut next, length, &direction);
            let value_there = cost(&next, &mut next_gradient);
            let enough = value_there <= value + 1e-4 * length * slope;
            length /= 2.0;
            enough.then_some(value_there)
        });
        let Some(lower) = found else {
            break;
        };
        let moved: Vec<f32> = next.iter().zip(&at).map(|(a, b)| a - b).collect();
        let turned: Vec<f32> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&moved, &turned);
        if curvature > 1e-12 {
            pairs.push_back((moved, turned, 1.0 / curvature));
        }
        if pairs.len() > KEPT {
            pairs.pop_front();
        }
        let fell = value - lower;
        (at, gradient, value) = (next, next_gradient, lower);
        if watch(step, value).is_break() || fell <= 1e-6 * value.abs() {
            break;
        }
    }
    at
}
