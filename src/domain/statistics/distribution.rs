//! Points and tails of distributions.

/// The 97.5 % point of the normal distribution: 95 % of it lie within so many standard deviations.
pub(crate) const NORMAL_975: f64 = 1.959_963_984_540_054;

/// The 97.5 % point of Student's t for so many degrees of freedom.
pub(crate) fn student_975(freedom: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.7062, 4.30265, 3.18245, 2.77645, 2.57058, 2.44691, 2.36462, 2.306, 2.26216, 2.22814, 2.20099, 2.17881,
        2.16037, 2.14479, 2.13145, 2.11991, 2.10982, 2.10092, 2.09302, 2.08596, 2.07961, 2.07387, 2.06866, 2.0639,
        2.05954, 2.05553, 2.05183, 2.04841, 2.04523, 2.04227,
    ];
    match freedom {
        0 => f64::INFINITY,
        1..=30 => TABLE[freedom - 1],
        // The expansion by Cornish and Fisher around the normal's 1.96: right to four places from here on.
        _ => {
            let n = freedom as f64;
            1.959_964 + 2.372_27 / n + 2.822_5 / (n * n)
        }
    }
}

/// `P[Bin(n, 1/2) <= k]` and `P[Bin(n, 1/2) = k]`; terms in logarithms, since 2^-n is 0 for a large test set.
pub(super) fn binomial_half(k: u64, n: u64) -> (f64, f64) {
    let mut log = -(n as f64) * std::f64::consts::LN_2;
    let mut sum = log.exp();
    for i in 1..=k {
        log += ((n - i + 1) as f64).ln() - (i as f64).ln();
        sum += log.exp();
    }
    (sum, log.exp())
}

/// The complementary error function for x >= 0: Taylor's series where it converges fast, else the continued fraction
/// (Abramowitz and Stegun, 7.1.5 and 7.1.14).
pub(super) fn erfc(x: f64) -> f64 {
    let root_pi = std::f64::consts::PI.sqrt();
    if x < 2.0 {
        let (mut term, mut sum) = (x, x);
        for n in 1..100 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return 1.0 - 2.0 / root_pi * sum;
    }
    let tail = (1..=100).rev().fold(x, |tail, n| x + f64::from(n) / 2.0 / tail);
    (-x * x).exp() / root_pi / tail
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy.stats.t.ppf(0.975, n) for 1, 9, 30, 31 and 100.
    #[test]
    fn points_of_student_are_those_of_scipy() {
        for (n, expected) in [(1, 12.7062), (9, 2.262157), (30, 2.042272), (31, 2.039513), (100, 1.983972)] {
            assert!((student_975(n) - expected).abs() < 1e-4, "{n}: {}", student_975(n));
        }
    }
}
