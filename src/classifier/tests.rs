//! The classifier from outside: it learns, repeats itself, survives odd input, and comes back from disk the same.

use std::ops::ControlFlow;

use super::*;
use crate::domain::taxonomy::Selection;

fn toy() -> Vec<Example<'static>> {
    let mut all = Vec::new();
    for (i, text) in [
        "She forgets names and appointments.",
        "Forgets what day it is.",
        "Cannot remember her address.",
        "Memory is worse than last year.",
        "Low mood since the spring.",
        "Tearful and low most days.",
        "Anxious when left alone, mood flat.",
        "Mood low, no interest in bingo.",
        "Knee pain on stairs.",
        "Blood pressure 130/80.",
        "Knee swollen, ice and rest.",
        "Blood test next week.",
    ]
    .into_iter()
    .enumerate()
    {
        all.push(Example { text, outputs: vec![i / 4], weight: 1.0 });
    }
    all
}

fn names() -> Vec<String> {
    ["memory", "mood", "none"].map(String::from).to_vec()
}

fn config() -> FitConfig {
    FitConfig { min_df: 1, epochs: 10, learning_rate: 0.5, l2: 0.0, ..FitConfig::default() }
}

fn keep_on(_: &Epoch) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn it_learns_and_the_loss_falls() {
    let mut losses = Vec::new();
    let mut watch = |epoch: &Epoch| {
        losses.push(epoch.train_loss);
        ControlFlow::Continue(())
    };
    let model = fit(&names(), Selection::Single, &toy(), &[], &config(), &mut watch).unwrap();
    assert!(losses.len() == 10 && losses[9] < losses[0] / 2.0, "{losses:?}");
    let guesses = model.predict(&["keeps forgetting", "mood is low", "pain in the knee"]).unwrap();
    let chosen: Vec<usize> = guesses.iter().flat_map(|p| model.choose(p)).collect();
    assert_eq!(chosen, [0, 1, 2]);
    assert!(guesses.iter().all(|p| (p.iter().sum::<f32>() - 1.0).abs() < 1e-5));
}

#[test]
fn the_same_seed_gives_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let save = |name: &str, seed| {
        let model =
            fit(&names(), Selection::Single, &toy(), &toy()[2..9], &FitConfig { seed, ..config() }, &mut keep_on)
                .unwrap();
        model.save(&folder.path().join(name), &serde_json::json!({"made": "here"})).unwrap();
        std::fs::read(folder.path().join(name).join("model.safetensors")).unwrap()
    };
    assert_eq!(save("a", 1), save("b", 1));
    assert_ne!(save("c", 1), save("d", 2));
}

#[test]
fn a_saved_model_comes_back_the_same_and_a_damaged_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("models/m");
    let model = fit(&names(), Selection::Single, &toy(), &toy()[2..9], &config(), &mut keep_on).unwrap();
    let card = serde_json::json!({"scores": {"macro_f1": 0.5}});
    model.save(&path, &card).unwrap();
    let (again, read) = load(&path).unwrap();
    assert_eq!(read, card);
    let texts = ["low mood", "", "schön 漢字"];
    assert_eq!(model.predict(&texts).unwrap(), again.predict(&texts).unwrap());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
    }
    assert!(model.save(&path, &card).is_err(), "a model is never written over another");
    let weights = path.join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(load(&path), Err(ClassifierError::Unreadable { .. })));
    std::fs::write(path.join("model.json"), "{").unwrap();
    assert!(matches!(load(&path), Err(ClassifierError::Unreadable { .. })));
    assert!(load(&folder.path().join("nowhere")).is_err());
}

#[test]
fn a_batch_equals_one_by_one() {
    let model = fit(&names(), Selection::Single, &toy(), &[], &config(), &mut keep_on).unwrap();
    let toy = toy();
    let texts: Vec<&str> = toy.iter().map(|e| e.text).collect();
    let together = model.predict(&texts).unwrap();
    for (text, row) in texts.iter().zip(together) {
        assert_eq!(model.predict(&[text]).unwrap()[0], row);
    }
}

#[test]
fn several_outputs_may_hold() {
    let examples = [
        Example { text: "memory and mood worse", outputs: vec![0, 1], weight: 1.0 },
        Example { text: "memory worse", outputs: vec![0], weight: 1.0 },
        Example { text: "mood worse", outputs: vec![1], weight: 1.0 },
        Example { text: "knee pain", outputs: vec![], weight: 1.0 },
    ];
    let model =
        fit(&names()[..2], Selection::Multiple, &examples, &[], &FitConfig { epochs: 60, ..config() }, &mut keep_on)
            .unwrap();
    let chosen: Vec<Vec<usize>> =
        model.predict(&["mood and memory", "knee"]).unwrap().iter().map(|p| model.choose(p)).collect();
    assert_eq!(chosen, [vec![0, 1], vec![]]);
}

#[test]
fn too_little_is_said_and_odd_texts_are_borne() {
    let said = |examples: &[Example<'_>]| {
        fit(&names(), Selection::Single, examples, &[], &config(), &mut keep_on).err().map(|e| e.to_string())
    };
    assert!(said(&[]).unwrap().contains("no labelled sentence"));
    assert!(said(&toy()[..4]).unwrap().contains("all 4 training sentences are `memory`"));
    let long = "word ".repeat(20_000);
    let mut odd = toy();
    odd.extend([
        Example { text: "", outputs: vec![2], weight: 1.0 },
        Example { text: "\u{202e}\u{0}\u{1b}[2J", outputs: vec![2], weight: 1.0 },
        Example { text: &long, outputs: vec![2], weight: 1.0 },
    ]);
    let model = fit(&names(), Selection::Single, &odd, &[], &config(), &mut keep_on).unwrap();
    assert!(model.predict(&["", &long]).unwrap().iter().flatten().all(|p| p.is_finite()));
}

#[test]
fn stopping_keeps_the_best_so_far() {
    let mut best = None;
    let mut watch = |epoch: &Epoch| {
        if epoch.best {
            best = epoch.validation_macro_f1;
        }
        if epoch.epoch == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let toy = toy();
    let model = fit(&names(), Selection::Single, &toy, &toy, &config(), &mut watch).unwrap();
    let right = toy.iter().filter(|e| model.choose(&model.predict(&[e.text]).unwrap()[0]) == e.outputs).count();
    assert!(best.is_some_and(|b| b > 0.5) && right > 6, "{best:?} {right}");
}
