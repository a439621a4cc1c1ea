//! Against statsmodels: `tests/reference/comparison.py`.

use serde_json::Value;

use super::*;

fn reference() -> Value {
    serde_json::from_str(include_str!("../../../../tests/data/comparison.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn close(value: f64, expected: f64, within: f64) {
    assert!((value - expected).abs() <= within, "{value} is not {expected}");
}

#[test]
fn mcnemar_is_that_of_statsmodels() {
    for case in reference()["mcnemar"].as_array().unwrap() {
        let of = |key: &str| case[key].as_f64().unwrap();
        let test = McNemar::of(case["b"].as_u64().unwrap(), case["c"].as_u64().unwrap());
        close(test.exact, of("exact"), 1e-11 * of("exact"));
        close(test.mid_p, of("mid_p"), 1e-11 * of("mid_p"));
        close(test.chi2_corrected.unwrap(), of("chi2"), 1e-12 * of("chi2"));
        close(test.chi2_p.unwrap(), of("chi2_p"), 1e-10 * of("chi2_p"));
    }
    let same = McNemar::of(0, 0);
    assert_eq!((same.exact, same.mid_p, same.chi2_corrected, same.chi2_p), (1.0, 1.0, None, None));
    assert_eq!(McNemar::of(5_000, 200).exact, 0.0, "too small for a float, and no NaN");
    let sets = |bits: [u64; 4]| bits.map(LabelSet::from_bits);
    let test = McNemar::from_labels(sets([1, 1, 2, 0]), &sets([1, 0, 0, 0]), &sets([1, 1, 2, 1]));
    assert_eq!((test.first_only, test.second_only), (1, 2));
}

#[test]
fn holm_is_that_of_statsmodels_and_leaves_out_what_is_undefined() {
    let reference = reference();
    let mut p: Vec<Option<f64>> = numbers(&reference["holm"]["p"]).into_iter().map(Some).collect();
    p.insert(2, None);
    let corrected = holm(&p);
    assert_eq!(corrected[2], None);
    for (corrected, expected) in corrected.iter().flatten().zip(numbers(&reference["holm"]["corrected"])) {
        close(*corrected, expected, 1e-12);
    }
}

#[test]
fn few_patients_cannot_promise_much() {
    assert_eq!([1, 2, 5, 11].map(least_p), [1.0, 0.5, 0.0625, 1.0 / 1024.0]);
}
