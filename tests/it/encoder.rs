//! A real encoder from end to end: embeddings that are kept, fine-tuning, and an export that transformers loads.
//!
//! `GOLDSMITH_ENCODER` names a Hugging Face folder; `GOLDSMITH_PYTHON` a Python with torch and transformers. The sentences
//! and their labels are those of `models.rs`.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::models::{project, setting};
use super::support::{fails, goldsmith, succeeds};

const TEXTS: [&str; 6] = [
    "She forgets names and gets lost in her own street.",
    "MMSE 21/30.",
    "",
    "No fever, no cough; knee pain on stairs since the fall.",
    "His wife is worried that he repeats himself.",
    "Started on donepezil 5 mg; she keeps a diary and sets alarms so that she does not miss her appointments, and her daughter, who lives next door, comes by each evening to see to the stove and the tablets.",
];

/// Runs the program, and says how long it took.
fn timed(arguments: &[&str]) -> String {
    let start = Instant::now();
    let output = goldsmith(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    eprintln!("{arguments:?}: {:.1} s", start.elapsed().as_secs_f64());
    said
}

/// Probabilities of [`TEXTS`], outputs in the order of the program's.
fn predicted(project: &str, model: &str, folder: &Path) -> Vec<Vec<f64>> {
    let file = folder.join("texts.jsonl");
    let lines: Vec<String> = TEXTS.iter().map(|text| json!({ "text": text }).to_string()).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let out = succeeds(&["--project", project, "predict", file.to_str().unwrap(), "--model", model]);
    let row = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["probabilities"].as_object().unwrap().values().map(|p| p.as_f64().unwrap()).collect()
    };
    let rows: Vec<Vec<f64>> = out.lines().map(row).collect();
    assert_eq!(rows.len(), TEXTS.len());
    rows
}

/// Logits but for a constant of each text: what a softmax leaves of them.
fn centred(row: &[f64], log: bool) -> Vec<f64> {
    let row: Vec<f64> = row.iter().map(|v| if log { v.ln() } else { *v }).collect();
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    row.iter().map(|v| v - mean).collect()
}

#[test]
fn a_real_encoder_is_read_once_fine_tuned_exported_and_loaded_by_transformers() {
    let Some(encoder) = setting("GOLDSMITH_ENCODER") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let Some(study) = project(folder.path()) else {
        return;
    };
    let (study, encoder) = (study.to_str().unwrap(), encoder.to_str().unwrap());

    // Frozen: the second training reads its embeddings from the store.
    for _ in 0..2 {
        timed(&["--project", study, "train", "--encoder", encoder, "--method", "frozen"]);
    }
    let store = Connection::open(Path::new(study).join("goldsmith.db")).unwrap();
    let count = |sql: &str| store.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let texts = count("SELECT count(DISTINCT text) FROM sentence_text");
    assert_eq!(count("SELECT count(*) FROM embeddings"), texts);
    let models = |method: &str| -> Vec<String> {
        let runs = succeeds(&["--project", study, "runs"]);
        let id = |line: &str| line.split('\t').next().unwrap().to_owned();
        runs.lines().filter(|line| line.contains(method)).map(id).collect()
    };
    let weights =
        |run: &String| std::fs::read(Path::new(study).join("models").join(run).join("model.safetensors")).unwrap();
    let frozen = models("frozen");
    assert_eq!(frozen.len(), 2);
    assert!(weights(&frozen[0]) == weights(&frozen[1]), "the same data gives the same head");
    let said = fails(&["--project", study, "export", "model", "out"]);
    assert!(said.contains("no fine-tuned encoder") && said.contains("--method finetune"), "{said}");

    // Fine-tuned: two passes over everything.
    let said = timed(&["--project", study, "train", "--encoder", encoder, "--epochs", "2"]);
    assert!(said.contains("epoch   2"), "{said}");
    let run = models("fine-tuned").remove(0);
    let shown: Value = serde_json::from_str(&succeeds(&["--project", study, "runs", "show", &run])).unwrap();
    assert_eq!(shown["config"]["recipe"]["method"], "finetune", "{shown}");
    let out = folder.path().join("exported");
    let out_text = out.to_str().unwrap();
    succeeds(&["--project", study, "export", "model", out_text]);
    let said = fails(&["--project", study, "export", "model", out_text]);
    assert!(said.contains("already exists"), "{said}");
    let card = std::fs::read_to_string(out.join("README.md")).unwrap();
    for part in ["license: apache-2.0", "## Data", "## Scores on held-out gold", "## Limits", "macro average", &run] {
        assert!(card.contains(part), "the card lacks {part}:\n{card}");
    }

    // It comes back in: as a model with the same probabilities, and as an encoder.
    let kept = Path::new(study).join("models").join(&run);
    let ours = predicted(study, out_text, folder.path());
    assert_eq!(ours, predicted(study, kept.to_str().unwrap(), folder.path()));
    timed(&["--project", study, "train", "--encoder", out_text, "--method", "frozen"]);

    let Some(python) = setting("GOLDSMITH_PYTHON") else {
        return;
    };
    let texts = folder.path().join("texts.json");
    std::fs::write(&texts, json!(TEXTS).to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/export.py");
    let output = Command::new(python).arg(script).arg(&out).arg(&texts).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(theirs["problem_type"], "single_label_classification");
    let rows = |name: &str| -> Vec<Vec<f64>> { serde_json::from_value(theirs[name].clone()).unwrap() };
    for ((ours, logits), scores) in ours.iter().zip(rows("logits")).zip(rows("scores")) {
        for (a, b) in centred(ours, true).iter().zip(centred(&logits, false)) {
            assert!((a - b).abs() < 1e-4, "logits {a} and {b}");
        }
        for (a, b) in ours.iter().zip(scores) {
            assert!((a - b).abs() < 1e-4, "probabilities {a} and {b}");
        }
    }
}
