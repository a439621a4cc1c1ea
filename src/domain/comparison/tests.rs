//! Against scikit-learn, scipy and every resample there is: `tests/reference/comparison.py`.

use crate::domain::sight::Blindness;
use serde_json::Value;

use super::paired::compare_drawn;
use super::*;
use crate::domain::metrics::{ClassLayout, ClusterCounts, TestSentence, pairs};
use crate::domain::statistics::Bootstrap;

fn reference() -> Value {
    serde_json::from_str(include_str!("../../../tests/data/comparison.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn tested(patient: u32, gold: LabelSet) -> TestSentence {
    TestSentence { patient, gold, blindness: Blindness::Blind }
}

fn close(value: f64, expected: f64, within: f64) {
    assert!((value - expected).abs() <= within, "{value} is not {expected}");
}

#[test]
fn the_majority_of_seeds_decides_and_the_earliest_breaks_ties() {
    let sets = |bits: &[u64]| bits.iter().copied().map(LabelSet::from_bits).collect::<Vec<_>>();
    assert_eq!(majority(&[&sets(&[1, 4, 0]), &sets(&[2, 5, 0]), &sets(&[2, 4, 8])]), sets(&[2, 4, 0]));
    assert_eq!(majority(&[&sets(&[1, 4]), &sets(&[2, 4])]), sets(&[1, 4]));
    assert_eq!(majority(&[]), []);
}

#[test]
fn spread_is_the_sample_standard_deviation_and_undefined_stays_undefined() {
    let spread = SeedSpread::of(vec![Some(0.2), Some(0.4), Some(0.6)]);
    close(spread.mean.unwrap(), 0.4, 1e-12);
    close(spread.deviation.unwrap(), 0.2, 1e-12);
    assert_eq!(SeedSpread::of(vec![Some(0.2)]).deviation, None);
    assert_eq!(SeedSpread::of(vec![Some(0.2), None]).mean, None);
    assert_eq!(SeedSpread::of(vec![]).mean, None);
}

#[test]
fn a_gain_on_few_patients_is_no_more_than_chance() {
    let tested: Vec<TestSentence> = (0..6).map(|i| tested(i / 2, LabelSet::of(0))).collect();
    let (right, wrong) = ([LabelSet::of(0); 6], [LabelSet::NONE; 6]);
    let first = ComparedSystem { seeds: vec![(1, &wrong)], against: None };
    let second = ComparedSystem { seeds: vec![(1, &right)], against: Some(0) };
    let compared = compare(&tested, &[first, second], 1, true, Bootstrap::default());
    let gain = compared[1].gains[ClassLayout::ACCURACY];
    assert_eq!((gain.difference, gain.p), (Some(1.0), Some(0.25)), "three patients, whatever the resamples say");
}

#[test]
fn verdicts_follow_the_corrected_p() {
    assert_eq!(ComparisonVerdict::of(Some(0.1), Some(0.049)), ComparisonVerdict::Gained);
    assert_eq!(ComparisonVerdict::of(Some(-0.1), Some(0.049)), ComparisonVerdict::Lost);
    assert_eq!(ComparisonVerdict::of(Some(0.1), Some(0.05)), ComparisonVerdict::Chance);
    assert_eq!(ComparisonVerdict::of(Some(0.0), Some(1.0)), ComparisonVerdict::Chance);
    assert_eq!(ComparisonVerdict::of(None, None), ComparisonVerdict::Unknown);
}

struct Made {
    tested: Vec<TestSentence>,
    labels: [Vec<Vec<LabelSet>>; 2],
}

/// The label of one class; 0 is *None*.
fn of_class(class: usize) -> LabelSet {
    class.checked_sub(1).into_iter().collect()
}

/// The reference's labels; its class 0 is *None*.
fn made(reference: &Value) -> Made {
    let sets = |value: &Value| numbers(value).into_iter().map(|class| of_class(class as usize)).collect::<Vec<_>>();
    let gold = sets(&reference["gold"]);
    let tested = numbers(&reference["patient"]).into_iter().zip(gold);
    Made {
        tested: tested.map(|(patient, gold)| self::tested(patient as u32, gold)).collect(),
        labels: ["first", "second"].map(|system| reference[system].as_array().unwrap().iter().map(sets).collect()),
    }
}

fn systems(made: &Made) -> Vec<ComparedSystem<'_>> {
    fn seeds(labels: &[Vec<LabelSet>]) -> Vec<(u64, &[LabelSet])> {
        (1..).zip(labels.iter().map(Vec::as_slice)).collect()
    }
    let [first, second] = &made.labels;
    vec![
        ComparedSystem { seeds: seeds(first), against: None },
        ComparedSystem { seeds: seeds(second), against: Some(0) },
    ]
}

/// Where accuracy, F1 of *None* and three categories, and macro-F1 stand among the values.
fn places(layout: ClassLayout) -> Vec<usize> {
    let mut places = vec![ClassLayout::ACCURACY];
    places.extend((0..4).map(|class| ClassLayout::class(class) + 2));
    places.push(layout.averages() + 2);
    places
}

/// Every resample of five patients: 5^5 of them, each as likely.
fn all_draws() -> Vec<Vec<u32>> {
    (0..3125u32)
        .map(|number| {
            let mut times = vec![0; 5];
            (0..5).for_each(|place| times[(number / 5u32.pow(place) % 5) as usize] += 1);
            times
        })
        .collect()
}

#[test]
fn over_every_resample_the_bootstrap_is_exact() {
    let reference = reference();
    let made = made(&reference);
    let systems = systems(&made);
    let layout = ClassLayout { categories: 3, none_in_averages: true };
    let tables: Vec<Vec<ClusterCounts>> = systems
        .iter()
        .map(|system| {
            let table = |labels: &[LabelSet]| ClusterCounts::of(pairs(&made.tested, labels.iter().copied()), 3);
            system.seeds.iter().map(|(_, labels)| table(labels)).collect()
        })
        .collect();
    let compared = compare_drawn(&tables, &systems, layout, Some((all_draws(), 0)), |(all, next)| {
        *next += 1;
        all.get(*next - 1).map(Vec::as_slice)
    });
    let second = &compared[1];
    for (i, at) in places(layout).into_iter().enumerate() {
        close(second.scores[at].mean.unwrap(), numbers(&reference["mean"])[i], 1e-12);
        close(second.scores[at].deviation.unwrap(), numbers(&reference["deviation"])[i], 1e-12);
        close(second.gains[at].difference.unwrap(), numbers(&reference["difference"])[i], 1e-12);
        close(second.gains[at].p.unwrap(), reference["p"][i].as_f64().unwrap(), 1e-12);
        let pairs = [("interval", second.scores[at].interval), ("difference_interval", second.gains[at].interval)];
        for (name, interval) in pairs {
            let (low, high) = interval.unwrap();
            let expected = numbers(&reference[name][i]);
            close(low, expected[0], 1e-6);
            close(high, expected[1], 1e-6);
        }
    }
    assert!(compared[0].gains.is_empty());
}

#[test]
fn drawn_resamples_come_near_all_of_them() {
    let reference = reference();
    let made = made(&reference);
    let layout = ClassLayout { categories: 3, none_in_averages: true };
    let drawn = |seed| compare(&made.tested, &systems(&made), 3, true, Bootstrap { resamples: 20_000, seed });
    let compared = drawn(3);
    assert_eq!(compared, drawn(3));
    assert_ne!(compared, drawn(4));
    for (i, at) in places(layout).into_iter().enumerate() {
        // Four standard errors of a share of 20,000, twice.
        let p = reference["p"][i].as_f64().unwrap();
        close(compared[1].gains[at].p.unwrap(), p, 8.0 * (p * (1.0 - p / 2.0) / 2.0 / 20_000.0).sqrt() + 2e-4);
    }
}

#[test]
fn seeds_pair_up_and_what_only_one_has_is_no_difference() {
    let tested: Vec<TestSentence> = (0..4).map(|i| tested(i, LabelSet::of(0))).collect();
    let (right, wrong) = ([LabelSet::of(0); 4], [LabelSet::NONE; 4]);
    let first = ComparedSystem { seeds: vec![(1, &wrong), (2, &right)], against: None };
    let second = ComparedSystem { seeds: vec![(2, &right), (3, &wrong)], against: Some(0) };
    let none = ComparedSystem { seeds: vec![(9, &right)], against: Some(0) };
    let compared = compare(&tested, &[first, second, none], 1, true, Bootstrap::default());
    let gain = compared[1].gains[ClassLayout::ACCURACY];
    assert_eq!(
        (gain.difference, gain.interval, gain.p),
        (Some(0.0), Some((0.0, 0.0)), Some(1.0)),
        "seed 2 with seed 2"
    );
    assert!(compared[2].gains.is_empty(), "no seed in common");
}

#[test]
fn undefined_is_never_zero() {
    let tested: Vec<TestSentence> = (0..4).map(|i| tested(i, LabelSet::NONE)).collect();
    let nothing = [LabelSet::NONE; 4];
    let system = |against| ComparedSystem { seeds: vec![(1, nothing.as_slice())], against };
    let compared = compare(&tested, &[system(None), system(Some(0))], 1, true, Bootstrap::default());
    let f1 = ClassLayout::class(1) + 2;
    assert_eq!(compared[1].scores[f1].mean, None);
    assert_eq!((compared[1].scores[f1].interval, compared[1].gains[f1]), (None, Difference::default()));
    let empty = compare(&[], &[system(None)], 1, true, Bootstrap::default());
    assert_eq!(empty[0].scores[ClassLayout::ACCURACY].mean, None);
    let one = compare(&tested[..1], &[system(None), system(Some(0))], 1, true, Bootstrap::default());
    assert_eq!(one[1].gains[ClassLayout::ACCURACY].p, None, "one patient says nothing of chance");
}
