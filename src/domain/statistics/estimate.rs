//! Estimates with their 95 % intervals: of anything by the bootstrap, of a mean by Student, of a ratio of means by the
//! jackknife, of a share by Wilson.

use serde::Serialize;

use super::distribution::{NORMAL_975, student_975};

/// A value with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// On the data as it is; `None` where undefined.
    pub value: Option<f64>,
    /// 2.5 % and 97.5 % points of the bootstrap; `None` where fewer than two patients or no interval was asked for.
    pub interval: Option<(f64, f64)>,
}

/// A mean of independent values with Student's 95 % interval; no interval for fewer than two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SampleMean {
    pub mean: f64,
    /// Half the width of the interval: the mean is known to this much either way.
    pub either_way: Option<f64>,
    /// How many values: one a seed.
    pub seeds: usize,
}

impl SampleMean {
    /// Of values: the interval is `mean +- t(n - 1) s / sqrt(n)`.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares = sum_of_squares(values.iter().copied(), mean);
        let either_way = (n > 1).then(|| student_975(n - 1) * (squares / (n - 1) as f64 / n as f64).sqrt());
        (n > 0).then_some(Self { mean, either_way, seeds: n })
    }

    /// The ratio of the mean of the firsts to that of the seconds. Its interval is the jackknife's (Quenouille 1956; Tukey
    /// 1958): with r(i) the ratio without pair i, the variance is `(n - 1) / n sum (r(i) - mean r)^2`.
    pub(crate) fn ratio(pairs: &[(f64, f64)]) -> Option<Self> {
        let n = pairs.len();
        let without = |left_out: Option<usize>| {
            let kept = pairs.iter().enumerate().filter(|(i, _)| Some(*i) != left_out);
            let (first, second) = kept.fold((0.0, 0.0), |sums, (_, pair)| (sums.0 + pair.0, sums.1 + pair.1));
            first / second
        };
        let each: Vec<f64> = (0..n).map(|i| without(Some(i))).collect();
        let middle = each.iter().sum::<f64>() / n as f64;
        let squares = sum_of_squares(each.iter().copied(), middle);
        let either_way = (n > 1).then(|| student_975(n - 1) * (squares * (n - 1) as f64 / n as f64).sqrt());
        (n > 0).then(|| Self { mean: without(None), either_way, seeds: n })
    }
}

/// A share with its 95 % interval by Wilson (1927): the shares that a normal test at that level would not reject.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Proportion {
    pub part: u64,
    pub whole: u64,
    /// `None` of nothing.
    pub share: Option<f64>,
    /// `None` of nothing.
    pub interval: Option<(f64, f64)>,
}

impl Proportion {
    /// Of counts.
    pub(crate) fn of(part: u64, whole: u64) -> Self {
        let z = NORMAL_975;
        let (n, share) = (whole as f64, part as f64 / whole as f64);
        let stretch = 1.0 + z * z / n;
        let centre = (share + z * z / (2.0 * n)) / stretch;
        let half = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt() / stretch;
        let any = whole > 0;
        Self {
            part,
            whole,
            share: any.then_some(share),
            interval: any.then_some(((centre - half).max(0.0), (centre + half).min(1.0))),
        }
    }
}

/// The mean; `None` of nothing, or where one value is undefined.
pub(in crate::domain) fn mean(values: &[Option<f64>]) -> Option<f64> {
    let sum: f64 = values.iter().copied().sum::<Option<f64>>()?;
    (!values.is_empty()).then(|| sum / values.len() as f64)
}

/// The sum of squared distances from a mean.
pub(in crate::domain) fn sum_of_squares(values: impl Iterator<Item = f64>, mean: f64) -> f64 {
    values.map(|value| (value - mean).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy.stats.t.interval(0.95, 4, mean, sem) of 1, 2, 3, 4, 10: 4 either way 4.389945.
    #[test]
    fn intervals_of_means_are_students() {
        let of = SampleMean::of(&[1.0, 2.0, 3.0, 4.0, 10.0]).unwrap();
        assert!((of.mean - 4.0).abs() < 1e-12 && (of.either_way.unwrap() - 4.389_945).abs() < 1e-4, "{of:?}");
        assert_eq!(SampleMean::of(&[]), None);
        assert_eq!(SampleMean::of(&[2.0]).unwrap().either_way, None);
    }

    /// Over denominators that are all 1 the ratio is a mean, and the jackknife's interval is Student's.
    #[test]
    fn the_jackknife_of_a_mean_is_students() {
        let values = [1.0, 2.0, 3.0, 4.0, 10.0];
        let (mean, ratio) = (SampleMean::of(&values).unwrap(), SampleMean::ratio(&values.map(|v| (v, 1.0))).unwrap());
        assert!((mean.mean - ratio.mean).abs() < 1e-12);
        assert!((mean.either_way.unwrap() - ratio.either_way.unwrap()).abs() < 1e-12, "{ratio:?}");
        assert_eq!(SampleMean::ratio(&[]), None);
    }

    /// statsmodels' proportion_confint(method="wilson").
    #[test]
    fn wilson_is_that_of_statsmodels() {
        let reference: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/data/agreement.json")).unwrap();
        for case in reference["wilson"].as_array().unwrap() {
            let found = Proportion::of(case["part"].as_u64().unwrap(), case["whole"].as_u64().unwrap());
            let (low, high) = found.interval.unwrap();
            let expected = [0, 1].map(|i| case["interval"][i].as_f64().unwrap());
            assert!((low - expected[0]).abs() < 1e-12 && (high - expected[1]).abs() < 1e-12, "{found:?}: {expected:?}");
        }
        assert_eq!(Proportion::of(0, 0).interval, None);
    }
}
