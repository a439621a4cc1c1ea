//! Whether experts agree more with silver where they saw it: the pull of the machine's label.

use serde::Serialize;

use super::{Coefficient, Undefined};
use crate::domain::statistics::{
    Bootstrap, Clusters, LEVEL, MAX_CLUSTERS, Proportion, Resamples, least_p, weighted_sum,
};

/// Fewer decisions of either kind say nothing.
const ENOUGH: u64 = 30;

/// One expert's decision on a sentence with silver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SilverDecision {
    pub patient: u32,
    /// Whether a machine's label could be seen before the decision.
    pub seen: bool,
    /// Whether the decision is silver's label.
    pub agrees: bool,
}

/// What the difference says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AnchoringVerdict {
    /// Experts agree more with silver that they saw, by more than chance.
    Pulled,
    /// Chance can explain the difference.
    Chance,
    /// Experts agree less with silver that they saw, by more than chance.
    Against,
    /// There are too few decisions or patients.
    Unknown,
}

/// Agreement with silver where it was seen against where it was not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Anchoring {
    /// Decisions with a machine's label in sight.
    pub seen: Proportion,
    /// Blind ones.
    pub hidden: Proportion,
    /// The share of the first less that of the second, with its interval by patient.
    pub difference: Coefficient,
    /// Patients of the first and of the second.
    pub patients: (usize, usize),
}

impl Anchoring {
    /// Of decisions on sentences that have silver.
    pub(crate) fn of(sights: &[SilverDecision], bootstrap: Bootstrap) -> Self {
        let clusters = Clusters::of(sights.iter().map(|sight| sight.patient), MAX_CLUSTERS);
        let mut cells = vec![0u32; 4 * clusters.count];
        for sight in sights {
            let at = 4 * clusters.at(sight.patient) + if sight.seen { 0 } else { 2 };
            cells[at] += u32::from(sight.agrees);
            cells[at + 1] += 1;
        }
        let mut sum = Vec::new();
        weighted_sum(&cells, 4, &vec![1; clusters.count], &mut sum);
        let difference = |sum: &[u32]| match sum {
            [_, 0, ..] => Err(Undefined::NeverSeen),
            [_, _, _, 0] => Err(Undefined::NeverHidden),
            [a, seen, b, hidden] => Ok(f64::from(*a) / f64::from(*seen) - f64::from(*b) / f64::from(*hidden)),
            _ => Err(Undefined::NeverSeen),
        };
        let value = difference(&sum);
        let mut again = Vec::new();
        let said = Resamples::new(clusters.count, bootstrap).filter(|_| value.is_ok()).and_then(|draws| {
            let all = draws.intervals(|times, values| {
                weighted_sum(&cells, 4, times, &mut again);
                values.clear();
                values.push(difference(&again).ok());
            });
            all.first().copied()
        });
        let patients = |seen| {
            let of = sights.iter().filter(|sight| sight.seen == seen).map(|sight| sight.patient);
            Clusters::of(of, MAX_CLUSTERS).patients()
        };
        Self {
            seen: Proportion::of(sum[0].into(), sum[1].into()),
            hidden: Proportion::of(sum[2].into(), sum[3].into()),
            difference: Coefficient::new(value, said),
            patients: (patients(true), patients(false)),
        }
    }

    /// What the difference says.
    pub(crate) fn pull(&self) -> AnchoringVerdict {
        let enough =
            self.seen.whole.min(self.hidden.whole) >= ENOUGH && least_p(self.patients.0.min(self.patients.1)) < LEVEL;
        match self.difference.estimate.interval {
            Some((low, _)) if enough && low > 0.0 => AnchoringVerdict::Pulled,
            Some((_, high)) if enough && high < 0.0 => AnchoringVerdict::Against,
            Some(_) if enough => AnchoringVerdict::Chance,
            _ => AnchoringVerdict::Unknown,
        }
    }

    /// What it means.
    pub(crate) fn sentence(&self) -> String {
        let percent = |share: Option<f64>| 100.0 * share.unwrap_or_default();
        let pull = self.pull();
        if pull == AnchoringVerdict::Unknown {
            let patients = (1..).find(|n| least_p(*n) < LEVEL).unwrap_or_default();
            return format!(
                "Whether silver pulls the experts cannot be said: {} decisions with silver in sight and {} without, of {} \
                 and {} patients. It takes {ENOUGH} decisions of {patients} patients each.",
                self.seen.whole, self.hidden.whole, self.patients.0, self.patients.1
            );
        }
        let (low, high) = self.difference.estimate.interval.unwrap_or_default();
        let points = percent(self.difference.value());
        let means = match pull {
            AnchoringVerdict::Pulled => {
                "That is more than chance: silver in sight pulls the experts, unless it stood on easier sentences. Score \
                 silver on blind decisions."
            }
            AnchoringVerdict::Against => {
                "They agree less with what they see, so it does not pull them; its sentences may be harder."
            }
            AnchoringVerdict::Chance | AnchoringVerdict::Unknown => "Chance can explain that: no pull is seen.",
        };
        format!(
            "Experts gave silver's label in {:.1} % of the decisions with silver in sight and in {:.1} % without: {:.1} \
             points {} (95 % interval {:+.1} to {:+.1}). {means}",
            percent(self.seen.share),
            percent(self.hidden.share),
            points.abs(),
            if points < 0.0 { "less" } else { "more" },
            100.0 * low,
            100.0 * high
        )
    }
}
