//! The gate, the index and the comparison; numbers from nltk, numpy and scipy.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::compare::distinct;
use super::*;
use crate::domain::category::CategoryKey;
use crate::domain::taxonomy::tests::small;
use crate::domain::taxonomy::{Category, Selection};

fn taxonomy() -> Taxonomy {
    let category = |key: &str, name: &str, shortcut| Category {
        key: CategoryKey::new(key).unwrap(),
        name: name.into(),
        shortcut,
        definition: String::new(),
        includes: Vec::new(),
        excludes: Vec::new(),
        examples: Vec::new(),
        was: Vec::new(),
    };
    let categories = vec![
        category("requires_assistance", "Requires assistance", 'r'),
        category("concern_others", "Notice/concern by others", 'n'),
        category("mood", "Mood", 'm'),
    ];
    Taxonomy::new("t".into(), String::new(), Selection::Multiple, categories, Vec::new()).unwrap()
}

fn label(key: &str) -> Label {
    Label::of(CategoryKey::new(key).unwrap())
}

fn reference(texts: &[&str]) -> RealSentences {
    let mut reference = RealSentences::new(Limits::default());
    texts.iter().for_each(|text| reference.add(text));
    reference
}

const REAL: [&str; 4] = [
    "She forgets recent conversations and repeats the same questions several times a day.",
    "He needs help with dressing and bathing, and his daughter fills his pill box.",
    "No acute distress.",
    "BP 130/80 at the clinic today, pulse regular, no oedema.",
];

/// The verdict of one check on a text for no label, with `accepted` before it.
fn verdict(check: Check, accepted: &[&str], text: &str) -> Verdict {
    let (reference, taxonomy) = (reference(&REAL), taxonomy());
    let mut gate = QualityGate::new(&reference, &taxonomy);
    accepted.iter().for_each(|text| gate.accept(text));
    gate.judge(text, &Label::none()).into_iter().find(|v| v.check == check).unwrap()
}

#[test]
fn words_keep_apostrophes_and_numbers_whole() {
    assert_eq!(words("Can't dress; T 37.5."), ["can't", "dress", "t", "37.5"]);
}

#[test]
fn keys_are_stable_and_read_back() {
    for check in Check::ALL {
        assert_eq!(Check::parse(check.key()), Some(check));
        assert_eq!(serde_json::to_value(check).unwrap(), check.to_string());
    }
    assert_eq!(Check::parse("Duplicate"), None);
    let verdict = verdict(Check::Overlap, &[], "x");
    let json = serde_json::to_string(&verdict).unwrap();
    assert_eq!(serde_json::from_str::<Verdict>(&json).unwrap(), verdict);
    assert_eq!(serde_json::from_str::<Limits>("{}").unwrap(), Limits::default());
    assert!(serde_json::from_str::<Limits>(r#"{"shared_word": 3}"#).is_err());
}

#[test]
fn duplicates_ignore_case_and_punctuation() {
    let early = ["Loses his way at home; forgets names."];
    assert!(!verdict(Check::Duplicate, &early, "loses his way - at home, forgets names").passed);
    assert!(verdict(Check::Duplicate, &early, "Loses her way at home; forgets names.").passed);
    assert!(!verdict(Check::DuplicateOfReal, &[], "no acute distress").passed);
    assert!(verdict(Check::DuplicateOfReal, &early, early[0]).passed);
}

#[test]
fn near_duplicates_share_their_words() {
    let found = verdict(Check::NearDuplicateOfReal, &[], "BP 145/92 at the clinic today, pulse regular, no oedema.");
    assert_eq!((found.passed, found.value), (false, Some(1.0)));
    // 12 of 13 words are the same, and one is new: 12 / 14.
    let text = "She forgets recent conversations and repeats the same questions several times a week.";
    let found = verdict(Check::NearDuplicateOfReal, &[], text);
    assert!((found.value.unwrap() - 12.0 / 14.0).abs() < 1e-12);
    assert_eq!(found.reason, "its words and those of another real sentence are 86 % the same (less than 80 % allowed)");
    assert!(verdict(Check::NearDuplicateOfReal, &[], "She forgets recent events and asks again.").passed);
    assert!(!verdict(Check::NearDuplicate, &[text], text).passed);
}

#[test]
fn overlap_counts_words_in_a_row() {
    let seven = "Forgets recent conversations and repeats the same things.";
    assert!(verdict(Check::Overlap, &[], seven).passed);
    let nine = "Today forgets recent conversations and repeats the same questions several weekends.";
    let found = verdict(Check::Overlap, &[], nine);
    assert_eq!((found.passed, found.value), (false, Some(9.0)));
    assert_eq!(found.reason, "shares 9 words in a row with real sentences (at most 7 allowed)");
    let reference = reference(&REAL);
    assert_eq!(reference.longest(&words(seven)), 0);
    assert_eq!(reference.longest(&words(REAL[0])), 13);
}

#[test]
fn a_label_may_not_be_said() {
    let (reference, taxonomy) = (reference(&REAL), taxonomy());
    let gate = QualityGate::new(&reference, &taxonomy);
    let passes = |key: &str, text: &str| {
        gate.judge(text, &label(key)).into_iter().find(|v| v.check == Check::LabelEcho).unwrap().passed
    };
    for text in [
        "She requires assistance with meals.",
        "REQUIRED, assistance!",
        "Label: requires_assistance.",
        "He is requiring assistance.",
    ] {
        assert!(!passes("requires_assistance", text), "{text}");
        assert!(passes("mood", text), "{text}");
    }
    assert!(passes("requires_assistance", "She needs assistance and requires time."));
    assert!(passes("requires_assistance", "Assistance: requires none."));
    assert!(!passes("concern_others", "Notice, concern by others was voiced."));
    assert!(passes("concern_others", "Her son voiced concern; others did not."));
    assert!(passes("mood", "Her mood is low."));
    assert!(!passes("mood", "Mood: low."));
    assert!(passes("of_no_taxonomy", "Anything."));
    assert!(!passes("of_no_taxonomy", "It is of_no_taxonomy."));
}

#[test]
fn length_and_phi() {
    assert!(verdict(Check::Length, &[], "Sleeps well now.").passed);
    let long = verdict(Check::Length, &[], &"word ".repeat(30));
    assert_eq!((long.passed, long.reason.as_str()), (false, "has 30 words; nearly all real sentences have 3 to 14"));
    assert!(!verdict(Check::Length, &[], "?!").passed);
    let found = verdict(Check::Phi, &[], "Mrs. Hill, 92 years old, came on 3/1/24.");
    assert_eq!(found.reason, "may tell who a patient is: name, date and age over 89");
    assert!(verdict(Check::Phi, &[], "MMSE 24/30.").passed);
    let (none, taxonomy) = (RealSentences::new(Limits::default()), taxonomy());
    assert!(QualityGate::new(&none, &taxonomy).judge("Well.", &Label::none()).iter().all(|v| v.passed));
}

#[test]
fn skipped_checks_give_no_verdict_and_models_verdicts_are_the_callers() {
    let taxonomy = taxonomy();
    let reference = RealSentences::new(Limits { skip: vec![Check::LabelEcho, Check::Phi], ..Limits::default() });
    let checks: Vec<Check> =
        QualityGate::new(&reference, &taxonomy).judge("x", &Label::none()).iter().map(|v| v.check).collect();
    assert_eq!(checks, [&Check::ALL[..5], &[Check::Length]].concat());

    let small = small(Selection::Single);
    let none = Label::none();
    let verdict = Verdict::round_trip(&small, &label("mood"), &none, Some(0.7));
    assert_eq!((verdict.passed, verdict.value), (false, Some(0.7)));
    assert_eq!(
        verdict.reason,
        format!("written for {}, but a second reading gives None", small.describe(&label("mood")))
    );
    assert!(Verdict::round_trip(&small, &none, &none, None).passed);
    let verdict = Verdict::classifier(&small, &none, 0.05, &Limits::default());
    assert_eq!(
        (verdict.passed, verdict.reason.as_str()),
        (false, "the classifier gives None 5 % (at least 10 % wanted)")
    );
}

#[test]
fn lengths_are_drawn_as_they_occur() {
    let lengths: Lengths = [3, 3, 3, 8].into_iter().collect();
    assert_eq!(lengths.counts().collect::<Vec<_>>(), [(3, 3), (8, 1)]);
    assert_eq!(
        [0.0, 0.5, 0.75, 0.76, 1.0, f64::NAN].map(|q| lengths.quantile(q)),
        [Some(3), Some(3), Some(3), Some(8), Some(8), Some(3)]
    );
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let eights = (0..4_000).filter(|_| lengths.draw(&mut rng) == Some(8)).count();
    assert!((900..1_100).contains(&eights), "{eights}");
    assert_eq!(Lengths::default().draw(&mut rng), None);
}

fn close(a: Option<f64>, b: f64) {
    assert!((a.unwrap() - b).abs() < 1e-12, "{a:?} is not {b}");
}

// nltk 3.10.4, numpy 2.4.6, scipy 1.17.1:
//
// import numpy as np
// from nltk.translate.bleu_score import sentence_bleu, SmoothingFunction
// from scipy.stats import ks_2samp
// from scipy.spatial.distance import jensenshannon
// tok = lambda t: t.lower().rstrip('.').split()
// m1 = SmoothingFunction().method1
// for side in real, bronze:  # the sentences below
//     w = [tok(t) for t in side]
//     print(np.mean([sentence_bleu(w[:i] + w[i+1:], h, smoothing_function=m1) for i, h in enumerate(w)]))
//     for n in 1, 2, 3:
//         g = [tuple(s[i:i+n]) for s in w for i in range(len(s)-n+1)]
//         print(len(set(g)) / len(g))
//     l = [len(s) for s in w]
//     print(np.mean(l), np.std(l), np.quantile(l, (0, .05, .25, .5, .75, .95, 1), method='inverted_cdf'))
// R, B = ({x for t in s for x in tok(t)} for s in (real, bronze))
// print(len(R & B) / len(B), len(R & B) / len(R | B))
// print(ks_2samp([len(tok(t)) for t in real], [len(tok(t)) for t in bronze]).statistic)
// print(jensenshannon([5, 3, 0], [2, 2, 4], base=2) ** 2)
#[test]
fn the_comparison_agrees_with_nltk_numpy_and_scipy() {
    let real = [
        "She forgets recent conversations and repeats questions.",
        "He needs help with dressing and bathing.",
        "She forgets the names of her grandchildren.",
        "No acute distress.",
        "Sleeps well and eats well.",
        "He needs help with his tablets and with bathing.",
    ];
    let bronze = [
        "She forgets recent conversations and repeats questions often.",
        "She forgets recent events and repeats questions.",
        "He needs help with dressing.",
        "He gets lost on familiar streets.",
        "Well.",
    ];
    let split = |texts: &[&str]| -> Vec<Vec<String>> { texts.iter().map(|text| words(text)).collect() };
    let (r, b) = (split(&real), split(&bronze));
    close(self_bleu(&r), 0.1643663344887595);
    close(self_bleu(&b), 0.1181906089664962);
    for (sentences, wanted) in [
        (&r, [0.6842105263157895, 0.875, 0.9230769230769231]),
        (&b, [0.7407407407407407, 0.8181818181818182, 0.8888888888888888]),
    ] {
        (1..).zip(wanted).for_each(|(n, wanted)| close(distinct(sentences, n), wanted));
    }

    let labels = |none, mood, care| -> BTreeMap<Label, u64> {
        [(Label::none(), none), (label("mood"), mood), (label("care"), care)].into_iter().collect()
    };
    let (real_labels, bronze_labels) = (labels(5, 3, 0), labels(2, 2, 4));
    let sides =
        (SentenceSet { texts: &real, labels: &real_labels }, SentenceSet { texts: &bronze, labels: &bronze_labels });
    let found = compare(sides.0, sides.1, Sampling::default());
    close(found.vocabulary_share, 0.65);
    close(found.vocabulary_jaccard, 0.3939393939393939);
    close(found.length_ks, 0.26666666666666666);
    close(found.label_divergence, 0.318962690485015);
    assert_eq!((found.real.sentences, found.real.distinct_on, found.real.self_bleu_on), (6, 5, 5));
    close(found.bronze.self_bleu, 0.1181906089664962);
    let (real, bronze) = (found.real.lengths.unwrap(), found.bronze.lengths.unwrap());
    close(Some(real.mean), 6.333333333333333);
    close(Some(real.sd), 1.8856180831641267);
    assert_eq!(real.quantiles, [3, 3, 5, 7, 7, 9, 9]);
    close(Some(bronze.mean), 5.4);
    close(Some(bronze.sd), 2.4166091947189146);
    assert_eq!(bronze.quantiles, [1, 1, 5, 6, 7, 8, 8]);
    assert_eq!(compare(sides.0, sides.1, Sampling::default()).real, found.real);
}

#[test]
fn empty_sides_have_no_numbers() {
    let labels = BTreeMap::new();
    let empty = SentenceSet { texts: &[], labels: &labels };
    let found = compare(empty, empty, Sampling::default());
    assert_eq!((found.real.self_bleu, found.real.distinct, found.real.lengths), (None, [None; 3], None));
    assert_eq!((found.vocabulary_share, found.length_ks, found.label_divergence), (None, None, None));
    assert_eq!(self_bleu(&[words("Only one."), Vec::new()]), None);
    assert_eq!(distinct(&[words("a b")], 0), None);
}

/// Sentences of few words, so that they meet often.
fn phrase() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("she"),
        Just("forgets"),
        Just("names"),
        Just("of"),
        Just("friends"),
        Just("and"),
        Just("3"),
        Just("24/30"),
        Just("the"),
        Just("daughter"),
        Just("often"),
        Just("repeats"),
        Just("é"),
        Just("Dr. Osei"),
        Just("mood:")
    ];
    proptest::collection::vec(word, 0..16).prop_map(|words| words.join(" "))
}

/// The definition, over all pairs.
fn nearest_by_search(real: &[String], text: &str, threshold: f64) -> Option<f64> {
    use std::collections::BTreeSet;
    let set = |text: &str| -> BTreeSet<String> {
        let number = |w: &String| w.chars().all(|c| c.is_ascii_digit());
        words(text).into_iter().map(|w| if number(&w) { "0".into() } else { w }).collect()
    };
    let a = set(text);
    real.iter()
        .map(|text| set(text))
        .filter(|b| !b.is_empty())
        .map(|b| a.intersection(&b).count() as f64 / a.union(&b).count() as f64)
        .filter(|s| *s >= threshold)
        .reduce(f64::max)
}

proptest! {
    #[test]
    fn no_sentence_brings_the_gate_down(text in any::<String>(), early in any::<String>(), limits in (0.0..1.5, 0usize..9)) {
        let mut reference = RealSentences::new(
            Limits { near_duplicate: limits.0, shared_words: limits.1, ..Limits::default() });
        reference.add(&early);
        let taxonomy = taxonomy();
        let mut gate = QualityGate::new(&reference, &taxonomy);
        prop_assert_eq!(gate.judge(&text, &label("mood")).len(), 8);
        gate.accept(&text);
        let verdicts = gate.judge(&text, &label("mood"));
        prop_assert!(!verdicts[0].passed);
    }

    #[test]
    fn a_text_shares_all_its_words_with_itself(texts in proptest::collection::vec(phrase(), 1..8)) {
        let mut reference = RealSentences::new(Limits { shared_words: 2, ..Limits::default() });
        texts.iter().for_each(|text| reference.add(text));
        for text in &texts {
            let count = words(text).len();
            prop_assert_eq!(reference.longest(&words(text)), if count >= 3 { count } else { 0 });
            prop_assert!(reference.index().contains(&words(text)));
        }
    }

    #[test]
    fn the_nearest_is_that_of_a_full_search(
        real in proptest::collection::vec(phrase(), 0..12), text in phrase(), threshold in 0.1..1.0
    ) {
        let mut reference = RealSentences::new(Limits { near_duplicate: threshold, ..Limits::default() });
        real.iter().for_each(|text| reference.add(text));
        prop_assert_eq!(reference.index().nearest(&words(&text)), nearest_by_search(&real, &text, threshold));
    }

    #[test]
    fn shares_stay_between_0_and_1(
        texts in proptest::collection::vec(phrase(), 0..12),
    ) {
        let split: Vec<Vec<String>> = texts.iter().map(|text| words(text)).collect();
        let numbers = [self_bleu(&split), distinct(&split, 2)];
        prop_assert!(numbers.iter().flatten().all(|n| (0.0..=1.0 + 1e-12).contains(n)));
    }
}
