//! Orders against references, and what must hold of every order.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;

use super::{Strategy, *};

/// What tests/reference/acquisition.py wrote: small-text's scores and core-sets, and numpy's orders.
#[derive(Deserialize)]
struct Reference {
    probabilities: Vec<Vec<f32>>,
    margin: Vec<f64>,
    by_margin: Vec<usize>,
    labels: Vec<usize>,
    balanced: Vec<usize>,
    silver_of_labels: Vec<usize>,
    silver: Vec<usize>,
    belief: Vec<Vec<f64>>,
    contested: Vec<usize>,
    balanced_with_silver: Vec<usize>,
    sigmoids: Vec<Vec<f32>>,
    sigmoid_labels: Vec<Vec<usize>>,
    sigmoid_silver_of_labels: Vec<Vec<usize>>,
    sigmoid_silver: Vec<Vec<usize>>,
    sigmoid_belief: Vec<Vec<f64>>,
    sigmoids_contested: Vec<usize>,
    sigmoids_by_margin: Vec<usize>,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("../../../tests/data/acquisition.json")).unwrap()
}

fn bare(at: usize) -> Candidate<'static> {
    Candidate { sentence: SentenceId(at as i64), probabilities: None, silver: None, doubt: None }
}

fn of_rows(rows: &[Vec<f32>]) -> Vec<Candidate<'_>> {
    rows.iter().enumerate().map(|(at, row)| Candidate { probabilities: Some(row), ..bare(at) }).collect()
}

fn outputs(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn labels(counts: &[usize]) -> Vec<Vec<usize>> {
    counts.iter().enumerate().flat_map(|(output, n)| vec![vec![output]; *n]).collect()
}

fn known(labels: &[Vec<usize>]) -> Vec<LabelledCandidate<'_>> {
    labels.iter().map(|outputs| LabelledCandidate { outputs, silver: None }).collect()
}

fn ids(ranked: &[Ranked]) -> Vec<usize> {
    ranked.iter().map(|ranked| ranked.sentence.0 as usize).collect()
}

fn whys(ranked: &[Ranked]) -> Vec<String> {
    ranked.iter().map(|ranked| ranked.why.to_string()).collect()
}

#[test]
fn margins_are_those_of_small_text() {
    let reference = reference();
    for (row, expected) in reference.probabilities.iter().zip(&reference.margin) {
        assert!((margin(Selection::Single, row) - expected).abs() < 1e-12);
    }
}

#[test]
fn orders_are_those_of_small_text_and_numpy() {
    let reference = reference();
    let names = outputs(&["a", "b", "c", "d", "e", "f"]);
    let labels = labels(&reference.labels);
    let (candidates, labelled) = (of_rows(&reference.probabilities), known(&labels));
    let pool =
        CandidatePool { outputs: &names, selection: Selection::Single, candidates: &candidates, labelled: &labelled };
    let by = |strategy, limit| ids(&order(&pool, &StrategyMix::of(strategy), 1, limit));
    assert_eq!(by(Strategy::Margin, usize::MAX), reference.by_margin);
    assert_eq!(by(Strategy::Balanced, reference.balanced.len()), reference.balanced);
    let candidates = of_rows(&reference.sigmoids);
    let pool = CandidatePool { selection: Selection::Multiple, candidates: &candidates, ..pool };
    let by = |strategy| ids(&order(&pool, &StrategyMix::of(strategy), 1, usize::MAX));
    assert_eq!(by(Strategy::Margin), reference.sigmoids_by_margin);
}

/// What is believed, to six digits, and the orders by it.
#[test]
fn silver_and_the_classifier_are_heard_together_as_numpy_has_it() {
    let reference = reference();
    let near = |beliefs: &[Option<Vec<f32>>], expected: &[Vec<f64>]| {
        assert_eq!(beliefs.len(), expected.len());
        for (row, expected) in beliefs.iter().zip(expected) {
            let row = row.as_ref().unwrap();
            assert_eq!(row.len(), expected.len());
            assert!(row.iter().zip(expected).all(|(q, e)| (f64::from(*q) - e).abs() < 1e-6), "{row:?} {expected:?}");
        }
    };
    let names = outputs(&["a", "b", "c", "d", "e", "f"]);
    let labels = labels(&reference.labels);
    let said = |outputs: &[usize]| -> Vec<Vec<usize>> { outputs.iter().map(|output| vec![*output]).collect() };
    let (of_labels, silver) = (said(&reference.silver_of_labels), said(&reference.silver));
    let labelled: Vec<LabelledCandidate<'_>> = known(&labels)
        .into_iter()
        .zip(&of_labels)
        .map(|(l, silver)| LabelledCandidate { silver: Some(silver), ..l })
        .collect();
    let mut candidates = of_rows(&reference.probabilities);
    candidates.iter_mut().zip(&silver).for_each(|(candidate, silver)| candidate.silver = Some(silver));
    let pool =
        CandidatePool { outputs: &names, selection: Selection::Single, candidates: &candidates, labelled: &labelled };
    near(&belief::beliefs(&pool), &reference.belief);
    let by = |strategy, limit| ids(&order(&pool, &StrategyMix::of(strategy), 1, limit));
    assert_eq!(by(Strategy::Contested, usize::MAX), reference.contested);
    assert_eq!(by(Strategy::Balanced, 40), reference.balanced_with_silver);
    assert_eq!(by(Strategy::Margin, usize::MAX), reference.by_margin, "breaking ties asks the classifier alone");

    let names = outputs(&["a", "b", "c", "d"]);
    let of_labels = reference.sigmoid_labels.iter().zip(&reference.sigmoid_silver_of_labels);
    let labelled: Vec<LabelledCandidate<'_>> =
        of_labels.map(|(outputs, silver)| LabelledCandidate { outputs, silver: Some(silver) }).collect();
    let mut candidates = of_rows(&reference.sigmoids);
    candidates.iter_mut().zip(&reference.sigmoid_silver).for_each(|(c, silver)| c.silver = Some(silver));
    let pool =
        CandidatePool { outputs: &names, selection: Selection::Multiple, candidates: &candidates, labelled: &labelled };
    near(&belief::beliefs(&pool), &reference.sigmoid_belief);
    assert_eq!(ids(&order(&pool, &StrategyMix::of(Strategy::Contested), 1, 80)), reference.sigmoids_contested);
}

/// What silver is worth is learned from the labels: nothing if it speaks at random, much if it errs always in the same way.
#[test]
fn silver_counts_for_as_much_as_it_has_been_right() {
    let names = outputs(&["None", "Memory", "Mood"]);
    let single = [vec![0], vec![1], vec![2]];
    let row = [vec![0.5, 0.3, 0.2]];
    let mood = [2usize];
    let believed = |silver_of: fn(usize) -> usize| -> Vec<f32> {
        let labelled: Vec<LabelledCandidate<'_>> = (0..900)
            .map(|i| LabelledCandidate { outputs: &single[i % 3], silver: Some(&single[silver_of(i)]) })
            .collect();
        let mut candidates = of_rows(&row);
        candidates[0].silver = Some(&mood);
        let pool = CandidatePool {
            outputs: &names,
            selection: Selection::Single,
            candidates: &candidates,
            labelled: &labelled,
        };
        belief::beliefs(&pool).remove(0).unwrap()
    };
    let at_random = believed(|i| i / 3 % 3);
    assert!(at_random.iter().zip(&row[0]).all(|(q, p)| (q - p).abs() < 0.01), "{at_random:?}");
    assert!(believed(|i| i % 3)[2] > 0.95, "silver that is always right");
    assert!(believed(|i| (i + 1) % 3)[1] > 0.95, "silver that says Mood where it is Memory");
}

#[test]
fn each_sentence_says_why_it_is_here() {
    let names = outputs(&["None", "Memory", "Mood", "Coping"]);
    let labels = labels(&[60, 30, 20, 4]);
    let labelled = known(&labels);
    let rows = [vec![0.38, 0.41, 0.2, 0.01], vec![0.05, 0.9, 0.03, 0.02], vec![0.3, 0.05, 0.05, 0.6]];
    let (mood, memory) = ([2usize], [1usize]);
    let silver = [&mood[..], &mood[..], &memory[..]];
    let candidates: Vec<Candidate<'_>> =
        of_rows(&rows).into_iter().zip(silver).map(|(c, silver)| Candidate { silver: Some(silver), ..c }).collect();
    let pool =
        CandidatePool { outputs: &names, selection: Selection::Single, candidates: &candidates, labelled: &labelled };
    let first = |strategy| order(&pool, &StrategyMix::of(strategy), 1, 1).remove(0);
    let said = |strategy| first(strategy).why.to_string();
    assert_eq!(said(Strategy::Margin), "the classifier wavers: Memory 41 %, None 38 %");
    assert_eq!(said(Strategy::Note), "next in its note");
    let contested = "the classifier may be wrong: Memory 41 %, None 38 %; silver says Mood";
    assert_eq!(said(Strategy::Contested), contested);
    let balanced = "the classifier may be wrong: Coping 60 %, with silver 51 %; Coping has 4 labels so far";
    assert_eq!(said(Strategy::Balanced), balanced);
    let veiled = [Strategy::Margin, Strategy::Contested, Strategy::Balanced];
    for strategy in veiled {
        let ranked = order(&pool, &StrategyMix::of(strategy), 1, 3);
        assert!(ranked.iter().all(|r| !names.iter().any(|name| r.why.veiled.contains(name.as_str()))), "{ranked:?}");
    }
    let [two, none] = [vec![0.45f32, 0.02, 0.97], vec![0.0; 3]];
    let (rows_of_any, silver_of_two) = ([two, none], [0usize, 1]);
    let mut any = of_rows(&rows_of_any);
    any[0].silver = Some(&silver_of_two);
    let any = CandidatePool { outputs: &names[1..], selection: Selection::Multiple, candidates: &any, labelled: &[] };
    let why = order(&any, &StrategyMix::of(Strategy::Contested), 1, 1).remove(0).why.to_string();
    assert_eq!(
        why, "the classifier may be wrong: Mood 2 %; silver says Memory and Mood",
        "not the nearest to one half"
    );
    let bare_rows = of_rows(&rows);
    let without = CandidatePool { candidates: &bare_rows, ..pool };
    let said = |strategy| order(&without, &StrategyMix::of(strategy), 1, 1).remove(0).why.to_string();
    assert_eq!(said(Strategy::Contested), "the classifier may be wrong: Memory 41 %, None 38 %");
    assert_eq!(said(Strategy::Balanced), "the classifier wavers: Coping 60 %, None 30 %; Coping has 4 labels so far");
    let doubted = [Candidate { doubt: Some(0.4), ..bare(0) }, Candidate { doubt: Some(0.02), ..bare(1) }, bare(2)];
    let pool = CandidatePool { candidates: &doubted, ..pool };
    let all = order(&pool, &StrategyMix::of(Strategy::Doubts), 1, 9);
    assert_eq!(ids(&all), [1, 0, 2]);
    assert_eq!(all[0].why.to_string(), "its label may be wrong: the classifier gives it 2 %");
    assert_eq!(all[2].why.to_string(), "drawn at random: no other label is in doubt");
}

#[test]
fn what_is_lacking_is_said_and_chance_helps() {
    let candidates: Vec<Candidate<'_>> = (0..30).map(bare).collect();
    let names = outputs(&["None", "Memory"]);
    let pool = CandidatePool { outputs: &names, selection: Selection::Single, candidates: &candidates, labelled: &[] };
    let cases = [
        (Strategy::Margin, "drawn at random: no classifier yet"),
        (Strategy::Contested, "drawn at random: no classifier yet"),
        (Strategy::Balanced, "drawn at random: no classifier yet"),
        (Strategy::Doubts, "drawn at random: no label is in doubt"),
    ];
    for (strategy, why) in cases {
        let ranked = order(&pool, &StrategyMix::of(strategy), 3, 30);
        assert!(whys(&ranked).iter().all(|said| said == why), "{:?}", whys(&ranked));
        let mut found = ids(&ranked);
        assert_ne!(found, (0..30).collect::<Vec<_>>());
        found.sort_unstable();
        assert_eq!(found, (0..30).collect::<Vec<_>>());
    }
}

/// A category that nothing has been learned of is found through silver.
#[test]
fn silver_speaks_for_a_category_without_labels() {
    let names = outputs(&["None", "Memory", "Coping"]);
    let labels = labels(&[9, 9, 0]);
    let labelled = known(&labels);
    let rows = [vec![0.9, 0.1, 0.0], vec![0.9, 0.1, 0.0], vec![0.1, 0.9, 0.0]];
    let coping = [2usize];
    let mut candidates = of_rows(&rows);
    candidates[1].silver = Some(&coping);
    let pool =
        CandidatePool { outputs: &names, selection: Selection::Single, candidates: &candidates, labelled: &labelled };
    let first = order(&pool, &StrategyMix::of(Strategy::Balanced), 1, 1).remove(0);
    assert_eq!(first.sentence, SentenceId(1));
    assert_eq!(first.why.to_string(), "rare: Coping has no label so far, and silver says it");
}

#[test]
fn mixes_are_read_and_written() {
    for text in ["margin", "margin=0.6+random=0.2+balanced=0.2", "contested=0.5+balanced=0.4+random=0.1"] {
        assert_eq!(text.parse::<StrategyMix>().unwrap().to_string(), text);
    }
    assert_eq!("balanced=4+random=1".parse::<StrategyMix>().unwrap().to_string(), "balanced=0.8+random=0.2");
    assert_eq!(StrategyMix::usual(), "random=1+balanced=4+contested=5".parse().unwrap());
    for (text, fault) in [
        ("margn", "`margn` is no order; known are note, random, margin, contested"),
        ("margin=0+random=1", "the share of `margin` must be a number above 0"),
        ("margin=x", "the share of `margin` must be a number above 0"),
        ("margin+margin", "`margin` stands twice in one mix"),
    ] {
        let said = text.parse::<StrategyMix>().unwrap_err().to_string();
        assert!(said.starts_with(fault), "{said}");
    }
}

/// Probabilities and outputs.
type Drawn = (Vec<Vec<f32>>, Vec<Vec<usize>>);

fn any_pool(seed: u64, n: usize) -> Drawn {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let rows = (0..n).map(|_| (0..4).map(|_| random.random::<f32>()).collect()).collect();
    let silver = (0..n).map(|_| vec![random.random_range(0..4)]).collect();
    (rows, silver)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every prefix of a mix keeps the shares, a sentence comes once, and the seed is all that chance hangs on.
    #[test]
    fn a_mix_keeps_its_shares(seed in any::<u64>(), n in 1usize..60, limit in 0usize..80, weights in prop::array::uniform6(0u32..5)) {
        let weights: Vec<(Strategy, f64)> =
            Strategy::ALL.into_iter().zip(weights.map(f64::from)).filter(|(_, weight)| *weight > 0.0).collect();
        prop_assume!(!weights.is_empty());
        let mix = StrategyMix::new(weights).unwrap();
        let (rows, silver) = any_pool(seed, n);
        let candidates: Vec<Candidate<'_>> = (0..n)
            .map(|at| Candidate {
                probabilities: (at % 5 > 0).then_some(rows[at].as_slice()),
                silver: (at % 3 > 0).then_some(silver[at].as_slice()),
                doubt: (at % 4 == 0).then_some(f64::from(rows[at][0])),
                ..bare(at)
            })
            .collect();
        let names = outputs(&["None", "a", "b", "c"]);
        let selection = if seed % 2 == 0 { Selection::Single } else { Selection::Multiple };
        let labelled = [LabelledCandidate { outputs: &[1], silver: Some(&[2]) }];
        let pool = CandidatePool { outputs: &names, selection, candidates: &candidates, labelled: &labelled };
        let ranked = order(&pool, &mix, seed, limit);
        prop_assert_eq!(ranked.len(), limit.min(n));
        for (strategy, share) in mix.shares() {
            let mut took = 0.0;
            for (i, ranked) in ranked.iter().enumerate() {
                took += f64::from(u8::from(ranked.strategy == *strategy));
                prop_assert!((took - share * (i + 1) as f64).abs() < mix.shares().len() as f64);
            }
        }
        let mut once = ids(&ranked);
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), ranked.len());
        prop_assert!(ranked.iter().all(|ranked| !ranked.why.to_string().is_empty()));
        prop_assert_eq!(&ranked, &order(&pool, &mix, seed, limit));
        prop_assert_eq!(ids(&ranked[..ranked.len() / 2]), ids(&order(&pool, &mix, seed, ranked.len() / 2)));
    }

    /// Ragged rows, outputs that are not there, what is no number: something comes of it, and never a panic.
    #[test]
    fn nothing_makes_it_fall(
        rows in prop::collection::vec(prop::collection::vec(any::<f32>(), 0..5), 1..20),
        outputs_known in prop::collection::vec(0usize..9, 0..4),
        at in 0usize..6,
    ) {
        let names = outputs(&["None", "a", "b"]);
        let candidates: Vec<Candidate<'_>> = of_rows(&rows)
            .into_iter()
            .map(|c| Candidate { silver: Some(&outputs_known), ..c })
            .collect();
        let labelled = [LabelledCandidate {
            outputs: &outputs_known,
            silver: Some(&outputs_known),
        }];
        for selection in [Selection::Single, Selection::Multiple] {
            let pool = CandidatePool { outputs: &names, selection, candidates: &candidates, labelled: &labelled };
            prop_assert_eq!(order(&pool, &StrategyMix::of(Strategy::ALL[at]), 1, 99).len(), rows.len());
        }
    }
}
