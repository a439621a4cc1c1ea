//! The head against scikit-learn, and against itself from disk.

use super::*;
use crate::domain::taxonomy::Selection;

fn data(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// `tests/reference/head.py`: scikit-learn's logistic regression (C 2, balanced) on the tiny encoder's embeddings.
#[test]
fn the_head_is_scikit_learns() {
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(data("head.json")).unwrap()).unwrap();
    let encoder = Arc::new(Encoder::open(&data("encoders/bert"), 64, 1).unwrap());
    let rows: Vec<(String, usize)> = serde_json::from_value(expected["examples"].clone()).unwrap();
    let examples: Vec<Example<'_>> =
        rows.iter().map(|(text, label)| Example { text, outputs: vec![*label], weight: 1.0 }).collect();
    let names: Vec<String> = ["recall", "mood", "other"].map(String::from).to_vec();
    let config = HeadConfig { c: 2.0, ..HeadConfig::default() };
    let mut steps = 0;
    let mut on_event = |heard: &TrainingEvent| {
        steps += usize::from(matches!(heard, TrainingEvent::Step { .. }));
        ControlFlow::Continue(())
    };
    let task =
        TrainingTask { outputs: &names, selection: Selection::Single, train: &examples, validation: &[], seed: 0 };
    let model = fit(&encoder, &task, &config, &mut on_event).unwrap();
    assert!(steps > 3);
    let wanted: Vec<Vec<f32>> = serde_json::from_value(expected["probabilities"].clone()).unwrap();
    let texts: Vec<&str> = rows.iter().map(|(text, _)| text.as_str()).collect();
    let found = model.predict(&texts).unwrap();
    for (found, wanted) in found.iter().flatten().zip(wanted.iter().flatten()) {
        assert!((found - wanted).abs() < 3e-3, "{found} is not {wanted}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("models/frozen");
    model.save(&path, &json!({"made": "here"})).unwrap();
    let (again, card) = crate::classifier::load(&path).unwrap();
    assert_eq!((again.predict(&texts).unwrap(), card), (found, json!({"made": "here"})));
}
