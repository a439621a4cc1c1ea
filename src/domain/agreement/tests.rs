//! Against scikit-learn, statsmodels, krippendorff, nltk, irrCAC and every resample there is: `tests/reference/agreement.py`.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

const NO_BOOTSTRAP: Bootstrap = Bootstrap { resamples: 0, seed: 0 };

fn reference() -> Value {
    serde_json::from_str(include_str!("../../../tests/data/agreement.json")).unwrap()
}

/// Rows of raters, `null` where one did not see the sentence; each sentence a patient of its own, unless said.
fn ratings(rows: &Value, patients: Option<&Value>) -> Vec<Rating> {
    let mut all = Vec::new();
    for (rater, row) in rows.as_array().unwrap().iter().enumerate() {
        for (item, label) in (0..).zip(row.as_array().unwrap()) {
            let patient = patients.map_or(item, |p| p[item as usize].as_u64().unwrap() as u32);
            all.extend(label.as_u64().map(|bits| Rating { item, patient, rater, label: LabelSet::from_bits(bits) }));
        }
    }
    all
}

fn same(measure: &Coefficient, expected: &Value, what: &str) {
    match (measure.value(), expected.as_f64()) {
        (Some(value), Some(expected)) => assert!((value - expected).abs() < 1e-12, "{what}: {value} is not {expected}"),
        (None, None) => assert!(measure.undefined.is_some(), "{what} does not say why"),
        (value, expected) => panic!("{what}: {value:?} is not {expected:?}"),
    }
}

#[test]
fn coefficients_are_those_of_the_reference_programs() {
    for case in reference()["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let selection = if case["multiple"].as_bool().unwrap() { Selection::Multiple } else { Selection::Single };
        let categories = case["categories"].as_u64().unwrap() as usize;
        let found = agreement(&ratings(&case["rows"], None), categories, selection, NO_BOOTSTRAP);
        assert_eq!(found.items as u64, case["items"], "{name}");
        same(&found.raw, &case["raw"], &format!("{name}: raw"));
        same(&found.kappa, &case["kappa"], &format!("{name}: mean kappa"));
        same(&found.alpha, &case["alpha"], &format!("{name}: alpha"));
        same(&found.ac1, &case["ac1"], &format!("{name}: AC1"));
        same(&found.fleiss.kappa, &case["fleiss"]["kappa"], &format!("{name}: Fleiss"));
        let Fleiss { raters, items, left_out, .. } = found.fleiss;
        let fleiss = [("raters", raters), ("items", items), ("left_out", left_out)];
        assert!(fleiss.iter().all(|(key, n)| case["fleiss"][key] == *n), "{name}: {fleiss:?}");
        assert_eq!(found.alpha_masi.is_some(), selection == Selection::Multiple);
        if let Some(masi) = &found.alpha_masi {
            same(masi, &case["alpha_masi"], &format!("{name}: alpha with MASI"));
        }
        assert_eq!(found.classes.len(), case["classes"].as_array().unwrap().len());
        for (i, class) in found.classes.iter().enumerate() {
            let expected = &case["classes"][i];
            same(&class.kappa, &expected["kappa"], &format!("{name}: kappa of class {i}"));
            same(&class.alpha, &expected["alpha"], &format!("{name}: alpha of class {i}"));
            same(&class.ac1, &expected["ac1"], &format!("{name}: AC1 of class {i}"));
            assert_eq!((&expected["chosen"], &expected["items"]), (&class.chosen.into(), &class.items.into()));
        }
        assert_eq!(found.pairs.len(), case["pairs"].as_array().unwrap().len(), "{name}");
        for (i, pair) in found.pairs.iter().enumerate() {
            let expected = &case["pairs"][i];
            let who = [("first", pair.first), ("second", pair.second), ("items", pair.items)];
            assert!(who.iter().all(|(key, n)| expected[key] == *n), "{name}: {who:?}");
            same(&pair.raw, &expected["raw"], &format!("{name}: raw of {i}"));
            same(&pair.kappa, &expected["kappa"], &format!("{name}: kappa of {i}"));
        }
    }
}

/// Values published with the coefficients: Cohen's textbook table, Fleiss' and Krippendorff's own examples.
#[test]
fn coefficients_are_those_of_the_textbooks() {
    let reference = reference();
    let of = |name: &str| {
        let case = reference["cases"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap().clone();
        agreement(&ratings(&case["rows"], None), 5, Selection::Single, NO_BOOTSTRAP)
    };
    let close = |value: Option<f64>, expected: f64| assert!((value.unwrap() - expected).abs() < 1e-12, "{value:?}");
    let two = of("two experts, 2 by 2");
    close(two.raw.value(), 0.7);
    close(two.pairs[0].kappa.value(), 0.4);
    close(of("two experts, 3 by 3").pairs[0].kappa.value(), 0.4507042253521127);
    close(of("Fleiss' ten items of fourteen").fleiss.kappa.value(), 0.20993070442195524);
    close(of("Krippendorff's three with gaps").alpha.value(), 0.691358024691358);
    // AC1 of a scale of two labels: the category and None, which nobody chose.
    let pairs = [(1, 1, 20), (1, 0, 5), (0, 1, 10), (0, 0, 15)];
    let both = pairs.iter().flat_map(|(a, b, n)| std::iter::repeat_n([*a, *b], *n));
    let ratings: Vec<Rating> = (0..)
        .zip(both)
        .flat_map(|(item, labels)| {
            [0, 1].map(|rater| Rating { item, patient: item, rater, label: LabelSet::from_bits(labels[rater]) })
        })
        .collect();
    close(agreement(&ratings, 1, Selection::Single, NO_BOOTSTRAP).ac1.value(), 0.40594059405940586);
}

#[test]
fn intervals_are_those_of_every_resample_there_is() {
    let case = &reference()["bootstrap"];
    let ratings = ratings(&case["rows"], Some(&case["patient"]));
    let found = agreement(&ratings, 2, Selection::Single, Bootstrap { resamples: 40_000, seed: 3 });
    for (measure, expected) in
        [found.raw, found.alpha, found.pairs[0].kappa].iter().zip(case["intervals"].as_array().unwrap())
    {
        let (low, high) = measure.estimate.interval.unwrap();
        let expected = [0, 1].map(|i| expected[i].as_f64().unwrap());
        assert!((low - expected[0]).abs() < 0.01 && (high - expected[1]).abs() < 0.01, "{low} {high}: {expected:?}");
        assert_eq!(measure.left_out, 0);
    }
    assert_eq!((found.patients, found.raters), (5, 3));
}

#[test]
fn undefined_says_why_and_undefined_resamples_are_counted() {
    let of = |rows: &[&[Option<u64>]]| {
        agreement(&ratings(&serde_json::json!(rows), None), 2, Selection::Single, Bootstrap { resamples: 400, seed: 1 })
    };
    let apart = of(&[&[Some(1), None], &[None, Some(1)]]);
    assert_eq!((apart.items, apart.alone, apart.pairs.len()), (0, 2, 0));
    assert!(
        [apart.raw, apart.kappa, apart.alpha, apart.ac1, apart.fleiss.kappa]
            .iter()
            .all(|m| m.undefined == Some(Undefined::NoOverlap))
    );
    let alike = of(&[&[Some(1); 4], &[Some(1); 4]]);
    assert_eq!(alike.raw.value(), Some(1.0));
    assert_eq!(
        (alike.alpha.undefined, alike.pairs[0].kappa.undefined),
        (Some(Undefined::OneLabel), Some(Undefined::OneLabel))
    );
    assert_eq!(alike.ac1.value(), Some(1.0), "AC1 is 1 where all agree, whatever they chose");
    assert_eq!(alike.classes[2].alpha.undefined, Some(Undefined::Unused));
    assert_eq!(serde_json::json!(alike.alpha)["undefined"], "only one label was used");
    // The one sentence with another label is in most resamples, not in all.
    let rare = of(&[&[Some(1), Some(1), Some(1), Some(2)], &[Some(1), Some(1), Some(1), Some(2)]]);
    let missed = rare.alpha.left_out as f64 / 400.0;
    // It is missed by (3/4)^4 of them, and alone in (1/4)^4.
    assert!((missed - 82.0 / 256.0).abs() < 0.08, "{missed}");
    assert_eq!(rare.alpha.estimate.interval, Some((1.0, 1.0)));
    assert_eq!(rare.raw.left_out, 0);
    let one_patient: Vec<Rating> = (0..4)
        .flat_map(|item| {
            let label = LabelSet::from_bits(u64::from(item) % 2);
            [0, 1].map(|rater| Rating { item, patient: 7, rater, label })
        })
        .collect();
    let one = agreement(&one_patient, 2, Selection::Single, Bootstrap::default());
    assert_eq!((one.alpha.value(), one.alpha.estimate.interval), (Some(1.0), None), "one patient gives no interval");
}

#[test]
fn an_expert_who_rates_twice_is_one_expert_and_the_last_counts() {
    let rate = |rater, bits| Rating { item: 0, patient: 0, rater, label: LabelSet::from_bits(bits) };
    let found = agreement(&[rate(0, 1), rate(1, 2), rate(0, 2)], 2, Selection::Single, NO_BOOTSTRAP);
    assert_eq!((found.raw.value(), found.raters), (Some(1.0), 2));
}

#[test]
fn what_is_confused_most_stands_first() {
    let rate = |item, labels: &[u64]| -> Vec<Rating> {
        let sets = labels.iter().copied().map(LabelSet::from_bits);
        (0..).zip(sets).map(|(rater, label)| Rating { item, patient: item, rater, label }).collect()
    };
    // Three experts differ in two pairs of them, or in three.
    let all =
        [rate(5, &[1, 2, 2]), rate(6, &[1, 1, 1]), rate(7, &[2, 1]), rate(8, &[0, 1, 4]), rate(9, &[4, 1])].concat();
    let found = confusions(&all);
    let shown: Vec<(usize, usize, u64, &[u32])> =
        found.iter().map(|pair| (pair.one, pair.other, pair.count, pair.items.as_slice())).collect();
    assert_eq!(shown, [(1, 2, 3, &[5, 7][..]), (1, 3, 2, &[8, 9]), (0, 1, 1, &[8]), (0, 3, 1, &[8])]);
    assert!((found[0].share - 3.0 / 7.0).abs() < 1e-12);
    // Sets: what one alone chose against what the other alone chose, or against None.
    let sets = confusions(&[rate(1, &[0b011, 0b001]), rate(2, &[0b101, 0b110])].concat());
    assert_eq!(sets.iter().map(|pair| (pair.one, pair.other)).collect::<Vec<_>>(), [(0, 2), (1, 2)]);
    assert!(confusions(&rate(1, &[3, 3])).is_empty());
}

#[test]
fn an_expert_beside_their_own_earlier_labels() {
    let set = LabelSet::from_bits;
    let look = |patient, earlier, later| RepeatedJudgement { patient, earlier: set(earlier), later: set(later) };
    let looks = [look(0, 1, 1), look(0, 0, 1), look(1, 0, 0), look(2, 1, 1)];
    let pair = SelfAgreement::of(&looks, 2, Selection::Single, Bootstrap::default()).unwrap();
    assert_eq!((pair.items, pair.raw.value(), pair.kappa.value()), (4, Some(0.75), Some(0.5)));
    assert!(pair.raw.estimate.interval.is_some());
    assert_eq!(SelfAgreement::of(&[], 2, Selection::Single, NO_BOOTSTRAP), None);
}

/// So many patients with ten decisions of either kind, of which so many agree with silver.
fn sights(patients: u32, seen: u32, hidden: u32) -> Vec<SilverDecision> {
    let of = |patient, share, seen| (0..10).map(move |i| SilverDecision { patient, seen, agrees: i < share });
    (0..patients).flat_map(|patient| of(patient, seen, true).chain(of(patient, hidden, false))).collect()
}

#[test]
fn the_pull_of_silver_is_said_in_words() {
    let of = |patients, seen, hidden| Anchoring::of(&sights(patients, seen, hidden), Bootstrap::default());
    let pulled = of(8, 9, 6);
    assert_eq!(pulled.pull(), AnchoringVerdict::Pulled);
    assert!(
        pulled.sentence().starts_with(
            "Experts gave silver's label in 90.0 % of the decisions with silver in sight and in 60.0 % without: 30.0 \
             points more (95 % interval +30.0 to +30.0). That is more than chance"
        ),
        "{}",
        pulled.sentence()
    );
    assert_eq!(of(8, 6, 9).pull(), AnchoringVerdict::Against);
    assert!(of(8, 6, 9).sentence().contains("30.0 points less"), "{}", of(8, 6, 9).sentence());
    // Half of the patients one way, half the other.
    let even: Vec<SilverDecision> = sights(6, 9, 8)
        .into_iter()
        .chain(sights(6, 8, 9).into_iter().map(|sight| SilverDecision { patient: sight.patient + 6, ..sight }))
        .collect();
    let even = Anchoring::of(&even, Bootstrap::default());
    assert_eq!(even.pull(), AnchoringVerdict::Chance);
    assert!(even.sentence().ends_with("Chance can explain that: no pull is seen."), "{}", even.sentence());
    // As sure as can be, but of few patients.
    assert_eq!(of(5, 9, 1).pull(), AnchoringVerdict::Unknown);
    assert!(
        of(5, 9, 1).sentence().contains("50 decisions with silver in sight and 50 without, of 5 and 5 patients"),
        "{}",
        of(5, 9, 1).sentence()
    );
    let blind: Vec<SilverDecision> = sights(8, 9, 9).into_iter().filter(|sight| !sight.seen).collect();
    let blind = Anchoring::of(&blind, Bootstrap::default());
    assert_eq!((blind.difference.undefined, blind.pull()), (Some(Undefined::NeverSeen), AnchoringVerdict::Unknown));
    assert_eq!(Anchoring::of(&[], Bootstrap::default()).pull(), AnchoringVerdict::Unknown);
}

/// Ratings of up to five experts with gaps; labels of sets of three categories.
fn any_ratings() -> impl Strategy<Value = Vec<Vec<Option<u64>>>> {
    prop::collection::vec(prop::collection::vec(prop::option::weighted(0.8, 0u64..8), 12), 2..5)
}

fn flat(rows: &[Vec<Option<u64>>]) -> Vec<Rating> {
    ratings(&serde_json::json!(rows), None)
}

/// Every number that is no pair's.
fn numbers(found: &Agreement) -> Vec<Option<f64>> {
    let classes = found.classes.iter().flat_map(|class| [class.kappa, class.alpha, class.ac1]);
    let overall = [found.raw, found.kappa, found.fleiss.kappa, found.alpha, found.ac1];
    overall.into_iter().chain(found.alpha_masi).chain(classes).map(|measure| measure.value()).collect()
}

proptest! {
    #[test]
    fn the_order_of_experts_and_sentences_is_nothing(rows in any_ratings(), turn in 1usize..11) {
        let of = |rows: &[Vec<Option<u64>>]| agreement(&flat(rows), 3, Selection::Multiple, NO_BOOTSTRAP);
        let mut others = rows.clone();
        others.reverse();
        others.iter_mut().for_each(|row| row.rotate_left(turn));
        let (one, other) = (of(&rows), of(&others));
        prop_assert_eq!(one.pairs.len(), other.pairs.len());
        for (a, b) in numbers(&one).into_iter().zip(numbers(&other)) {
            prop_assert!(a.is_none() == b.is_none() && (a.unwrap_or(0.0) - b.unwrap_or(0.0)).abs() < 1e-9, "{:?} {:?}", a, b);
        }
        let mut shuffled = flat(&rows);
        shuffled.reverse();
        let bootstrap = Bootstrap { resamples: 20, seed: 1 };
        let of = |ratings: &[Rating]| agreement(ratings, 3, Selection::Multiple, bootstrap);
        prop_assert_eq!(of(&flat(&rows)), of(&shuffled));
    }

    #[test]
    fn those_who_always_agree_have_one_throughout(labels in prop::collection::vec(0u64..8, 2..12), raters in 2usize..5) {
        prop_assume!(labels.iter().any(|label| *label != labels[0]));
        let rows = vec![labels.iter().copied().map(Some).collect::<Vec<_>>(); raters];
        let found = agreement(&flat(&rows), 3, Selection::Multiple, Bootstrap { resamples: 20, seed: 1 });
        for value in numbers(&found).into_iter().flatten() {
            prop_assert!((value - 1.0).abs() < 1e-12, "{}", value);
        }
        prop_assert_eq!(found.raw.value(), Some(1.0));
        prop_assert!(found.alpha.value().is_some() && found.alpha_masi.unwrap().value().is_some());
        prop_assert!(confusions(&flat(&rows)).is_empty());
    }
}

#[test]
fn those_who_guess_have_none() {
    use rand::{RngExt, SeedableRng};
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let ratings: Vec<Rating> = (0..20_000)
        .flat_map(|item| [0, 1, 2].map(|rater| (item, rater)))
        .map(|(item, rater)| Rating {
            item,
            patient: item / 50,
            rater,
            label: LabelSet::from_bits(1 << random.random_range(0..4) >> 1),
        })
        .collect();
    let found = agreement(&ratings, 3, Selection::Single, Bootstrap { resamples: 200, seed: 1 });
    for measure in [found.alpha, found.kappa, found.fleiss.kappa, found.ac1] {
        assert!(measure.value().unwrap().abs() < 0.02, "{measure:?}");
        let (low, high) = measure.estimate.interval.unwrap();
        assert!(low < 0.01 && high > -0.01 && high - low < 0.03, "{measure:?}");
    }
    assert!((found.raw.value().unwrap() - 0.25).abs() < 0.01);
}

/// Prints how long ten experts on so many sentences take: `cargo test agreement::tests::ten -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn ten_experts_on_a_hundred_thousand_sentences() {
    use rand::{RngExt, SeedableRng};
    for (name, selection) in [("single", Selection::Single), ("multiple", Selection::Multiple)] {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let mut ratings = Vec::new();
        for item in 0..100_000 {
            let mut label = || match random.random_range(0..10) {
                0..6 => 0,
                6..9 => 1 << random.random_range(0..9),
                _ if selection == Selection::Single => 1 << random.random_range(0..9),
                _ => 1 << random.random_range(0..9) | 1 << random.random_range(0..9),
            };
            ratings.extend((0..10).map(|rater| Rating {
                item,
                patient: item / 50,
                rater,
                label: LabelSet::from_bits(label()),
            }));
        }
        let start = std::time::Instant::now();
        let found = agreement(&ratings, 9, selection, Bootstrap::default());
        let measured = start.elapsed();
        let confused = confusions(&ratings).len();
        println!(
            "{name}: {measured:?}, confusions {:?}; {} pairs, {confused}",
            start.elapsed() - measured,
            found.pairs.len()
        );
    }
}
