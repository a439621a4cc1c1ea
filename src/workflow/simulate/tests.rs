//! Games on a small study and on files.

use super::*;

fn options(mixes: &[&str]) -> SimulateOptions {
    SimulateOptions {
        train: TrainSettings::default(),
        mixes: mixes.iter().map(|mix| mix.parse().unwrap()).collect(),
        seeds: 2,
        start: 10,
        batch: 10,
        most: Some(60),
        share: 0.95,
        stop: false,
        experts: None,
    }
}

/// A set in which nine of ten texts are *other*, and the rest are told by one word.
fn files(folder: &Path) -> Data {
    let line = |i: usize| match i % 20 {
        3 => format!("she forgets the name of visitor {i},memory\n"),
        11 => format!("low mood and tears on day {i},mood\n"),
        _ => format!("blood pressure and weight checked on day {i},other\n"),
    };
    let write = |name: &str, range: std::ops::Range<usize>| {
        let path = folder.join(name);
        let text: String = std::iter::once("text,label\n".to_owned()).chain(range.map(line)).collect();
        std::fs::write(&path, text).unwrap();
        path
    };
    Data::Files { train: write("train.csv", 0..200), test: write("test.csv", 200..300), columns: Columns::default() }
}

#[test]
fn files_play_the_expert() {
    let folder = tempfile::tempdir().unwrap();
    let data = files(folder.path());
    let play = |options: &SimulateOptions| simulate(&data, options, &Cancel::default(), &mut |_| {}).unwrap();
    let done = play(&options(&["random", "balanced", "margin"]));
    assert_eq!((done.report.rows, done.test, done.stopped), (200, 100, false));
    let [random, balanced, margin] = &done.report.orders[..] else { panic!() };
    assert!(random.full.unwrap().mean > 0.99, "{:?}", random.full);
    assert_eq!(balanced.reached, 2);
    assert!(balanced.decisions.unwrap().mean <= 60.0 && margin.games == 2);
    assert_eq!(play(&options(&["random", "balanced", "margin"])).report, done.report, "the same seeds, the same games");
}

#[test]
fn experts_of_a_file_cost_their_time() {
    let folder = tempfile::tempdir().unwrap();
    let data = files(folder.path());
    let experts = folder.path().join("experts.toml");
    let two = "overlap = 2\npolicy = \"unanimous\"\n[[expert]]\nname = \"a\"\nerror = 0.2\nseconds = 30\n[[expert]]\nname = \"b\"\n\
               seconds = 30\n";
    std::fs::write(&experts, two).unwrap();
    let done = simulate(
        &data,
        &SimulateOptions { experts: Some(experts), ..options(&["random"]) },
        &Cancel::default(),
        &mut |_| {},
    );
    let last = *done.unwrap().report.games[0].points.last().unwrap();
    assert_eq!((last.sentences, last.decisions, last.minutes, last.wrong), (60, 120, 60.0, 0));
    assert!(last.gold < 60, "where one errs they do not agree, and it is no gold");
}

#[test]
fn what_is_stopped_reports_whole_games() {
    let folder = tempfile::tempdir().unwrap();
    let data = files(folder.path());
    let cancel = Cancel::default();
    let done = simulate(&data, &options(&["random", "margin"]), &cancel, &mut |progress| {
        // In the second game.
        if progress == Progress::Advanced(60 + 30) {
            cancel.cancel();
        }
    })
    .unwrap();
    assert!(done.stopped);
    assert_eq!(done.report.games.len(), 1);
}

#[test]
fn what_cannot_be_played_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let data = files(folder.path());
    let mut of = options(&["random"]);
    of.train.method = TrainingMethod::Vote;
    let said = simulate(&data, &of, &Cancel::default(), &mut |_| {}).unwrap_err().to_string();
    assert!(said.contains("the method must be `ngram` or `frozen`"), "{said}");
    let bare = folder.path().join("bare.csv");
    std::fs::write(&bare, "text,other\nx,y\n").unwrap();
    let data = Data::Files { train: bare.clone(), test: bare, columns: Columns::default() };
    let error = simulate(&data, &options(&["random"]), &Cancel::default(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("has a label"), "{error}");
    assert_eq!(error.hints(), ["--label-column names the column"]);
}
