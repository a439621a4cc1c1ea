//! Games whose course is known.

use std::convert::Infallible;

use super::*;
use crate::domain::gold::Policy;
use crate::domain::statistics::SampleMean;

fn names() -> Vec<String> {
    ["None", "Memory", "Mood"].map(String::from).to_vec()
}

/// Two hundred sentences, of which every tenth is *Memory* and every twentieth *Mood*.
fn rows() -> Vec<Row> {
    let output = |i: usize| if i % 20 == 7 { 2 } else { usize::from(i % 10 == 3) };
    (0..200).map(|i| Row { outputs: vec![output(i)], ..Row::default() }).collect()
}

/// A classifier that scores by how many labels of the rarest output it has, and wavers on what is rare.
fn learn(rows: &[Row]) -> impl FnMut(&Lesson<'_>) -> Result<Option<Learnt>, Infallible> {
    |lesson: &Lesson<'_>| {
        let of = |output| lesson.labels.iter().filter(|(_, outputs)| outputs == &[output]).count();
        let row = |at: &usize| if rows[*at].outputs == [0] { vec![0.9, 0.05, 0.05] } else { vec![0.4, 0.3, 0.3] };
        Ok(Some(Learnt {
            probabilities: lesson.open.iter().map(row).collect(),
            macro_f1: of(1).min(of(2)) as f64 / 10.0,
            accuracy: 0.5,
        }))
    }
}

fn plan(mixes: &[&str]) -> SimulationPlan {
    SimulationPlan {
        mixes: mixes.iter().map(|mix| mix.parse().unwrap()).collect(),
        seeds: vec![1, 2, 3],
        start: 10,
        batch: 5,
        most: None,
        share: 0.8,
        stop: false,
        protocol: SimulatedProtocol::default(),
    }
}

fn play_all(rows: &[Row], plan: &SimulationPlan) -> Vec<Game> {
    let outputs = names();
    let stage = Stage { outputs: &outputs, selection: Selection::Single, rows };
    play(&stage, plan, &mut learn(rows), &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn an_order_that_finds_the_rare_needs_fewer_labels_than_chance() {
    let (rows, plan) = (rows(), plan(&["random", "margin"]));
    let games = play_all(&rows, &plan);
    assert_eq!(games, play_all(&rows, &plan), "the same seeds give the same games");
    let report = SimulationReport::of(&plan, rows.len(), games);
    assert_eq!((report.planned, report.orders.len(), report.games.len()), (6, 2, 6));
    let [random, margin] = &report.orders[..] else { panic!() };
    assert_eq!(random.share_of_means, random.share);
    assert_eq!(random.share.unwrap(), SampleMean { mean: 1.0, either_way: Some(0.0), seeds: 3 });
    // Thirty sentences are of a rare category, and ten were drawn to start with: forty hold them all.
    assert!(margin.decisions.unwrap().mean <= 40.0 && margin.share.unwrap().mean < 0.5, "{margin:?}");
    assert_eq!(margin.reached, 3);
    for game in &report.games {
        let last = game.points.last().unwrap();
        assert_eq!((last.sentences, last.gold, last.wrong), (200, 200, 0));
        assert_eq!(last.macro_f1, Some(game.full), "with all labels it is what it is with all labels");
        let first = game.points.iter().find(|p| p.macro_f1.unwrap() >= 0.8 * game.full).unwrap();
        assert_eq!(game.reached.as_ref(), Some(first));
        assert!((last.minutes - 200.0 * 6.0 / 60.0).abs() < 1e-9);
    }
    let starts: Vec<Option<f64>> = report.games[..2].iter().map(|game| game.points[0].macro_f1).collect();
    assert_eq!(starts[0], starts[1], "both orders start from the same sentences");
}

/// A classifier that knows nothing, and silver that always errs in the same way: what silver says of the labelled sentences
/// tells what it means on the open ones.
#[test]
fn a_game_learns_what_silver_is_worth() {
    let plain = rows();
    let rows: Vec<Row> =
        plain.iter().map(|row| Row { silver: Some(vec![(row.outputs[0] + 1) % 3]), ..row.clone() }).collect();
    let plan = SimulationPlan { start: 30, stop: true, ..plan(&["contested"]) };
    let outputs = names();
    let needed = |rows: &[Row]| -> usize {
        let stage = Stage { outputs: &outputs, selection: Selection::Single, rows };
        let mut learn = learn(rows);
        let mut blunt = |lesson: &Lesson<'_>| -> Result<Option<Learnt>, Infallible> {
            let learnt = learn(lesson)?;
            Ok(learnt.map(|l| Learnt { probabilities: vec![vec![0.8, 0.1, 0.1]; lesson.open.len()], ..l }))
        };
        let games = play(&stage, &plan, &mut blunt, &mut |_| ControlFlow::Continue(())).unwrap();
        games.iter().map(|game: &Game| game.reached.unwrap().sentences).sum()
    };
    let (with, without) = (needed(&rows), needed(&plain));
    assert!(2 * with < without, "{with} {without}");
}

#[test]
fn a_game_ends_where_it_is_told_to() {
    let rows = rows();
    let stopped = play_all(&rows, &SimulationPlan { stop: true, ..plan(&["margin"]) });
    assert!(stopped.iter().all(|game| game.reached.as_ref() == game.points.last()));
    let short = play_all(&rows, &SimulationPlan { most: Some(23), ..plan(&["random"]) });
    let sentences: Vec<usize> = short[0].points.iter().map(|point| point.sentences).collect();
    assert_eq!(sentences, [10, 15, 20, 23]);
    let outputs = names();
    let stage = Stage { outputs: &outputs, selection: Selection::Single, rows: &rows };
    let mut left = 60;
    let games = play(&stage, &plan(&["random", "margin"]), &mut learn(&rows), &mut |_| {
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    // A game has 39 stops; the second was broken off.
    assert_eq!(games.unwrap().len(), 1);
}

#[test]
fn experts_err_as_often_as_they_are_said_to_and_cost_their_time() {
    let outputs = names();
    let rows: Vec<Row> = (0..4_000).map(|_| Row { outputs: vec![1], ..Row::default() }).collect();
    let stage = Stage { outputs: &outputs, selection: Selection::Single, rows: &rows };
    let expert = |error| SimulatedExpert { error, seconds: 8.0, seconds_accept: 3.0, ..SimulatedExpert::default() };
    let one = SimulatedProtocol { experts: vec![expert(0.1)], assisted: true, ..SimulatedProtocol::default() };
    let decided: Vec<_> = (0..4_000).map(|row| one.decide(&stage, row, row, Some(&[1]), 1)).collect();
    let wrong = decided.iter().filter(|d| d.gold != Some(vec![1])).count();
    // 400 expected; the deviation of the binomial is 19.
    assert!((320..480).contains(&wrong), "{wrong}");
    assert!(decided.iter().all(|d| d.seconds == if d.gold == Some(vec![1]) { 3.0 } else { 8.0 }));
    assert_eq!(decided[7], one.decide(&stage, 7, 7, Some(&[1]), 1), "the same sentence, the same error");

    // Two of three must err alike for wrong gold: 3 * 0.1^2 * 0.9 / 2 + 0.1^3 / 4, some 55 of 4,000; all three differ nowhere
    // or leave it open.
    let three = SimulatedProtocol { experts: vec![expert(0.1); 3], overlap: 3, ..SimulatedProtocol::default() };
    let decided: Vec<_> = (0..4_000).map(|row| three.decide(&stage, row, row, None, 1)).collect();
    let wrong = decided.iter().filter(|d| d.gold.as_ref().is_some_and(|gold| gold != &[1])).count();
    assert!((25..90).contains(&wrong), "{wrong}");
    assert!(decided.iter().all(|d| d.decisions == 3 && d.seconds == 24.0));
    let all = SimulatedProtocol { policy: Policy::Unanimous, ..three };
    let open = (0..4_000).filter(|row| all.decide(&stage, *row, *row, None, 1).gold.is_none()).count();
    // 1 - 0.9^3 - 2 (0.05)^3 = 0.271 of 4,000.
    assert!((970..1200).contains(&open), "{open}");
}

#[test]
fn confusions_are_as_they_are_said() {
    let outputs = names();
    let rows: Vec<Row> = (0..4_000).map(|i| Row { outputs: vec![1 + i % 2], ..Row::default() }).collect();
    let stage = Stage { outputs: &outputs, selection: Selection::Single, rows: &rows };
    let expert =
        SimulatedExpert { confusions: vec![(1, 0, 0.2), (1, 2, 0.1)], error: 0.9, ..SimulatedExpert::default() };
    let protocol = SimulatedProtocol { experts: vec![expert], ..SimulatedProtocol::default() };
    let gold: Vec<_> = (0..4_000).map(|row| protocol.decide(&stage, row, row, None, 3).gold.unwrap()).collect();
    let of = |truth: usize, said: usize| {
        (0..4_000).filter(|row| rows[*row].outputs == [truth] && gold[*row] == [said]).count()
    };
    assert!((330..470).contains(&of(1, 0)) && (145..255).contains(&of(1, 2)), "{} {}", of(1, 0), of(1, 2));
    assert_eq!(of(2, 2), 2_000, "confusions take the place of the error rate");
}
