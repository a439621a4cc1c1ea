//! The default classifier against scikit-learn's TF-IDF with logistic regression, in turn in one run: seconds for features
//! and training, accuracy and macro-F1, on MTS-Dialog (`dialogue` to `section_header`, test set 1).
//!
//! The notes are read from `../shared/data/mts-dialog` (or `$GOLDSMITH_SHARED/data/mts-dialog`); without them there is
//! nothing to measure.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use goldsmith::classifier::{Classifier, Example, FitConfig, Selection, fit};

fn read(path: &Path) -> Vec<(String, String)> {
    let mut reader = csv::Reader::from_path(path).expect("the set is readable");
    reader.records().map(|r| r.expect("a row")).map(|r| (r[3].to_owned(), r[1].to_owned())).collect()
}

fn examples<'a>(rows: &'a [(String, String)], outputs: &[String]) -> Vec<Example<'a>> {
    let find = |label: &str| outputs.iter().position(|o| o == label);
    rows.iter().filter_map(|(text, label)| Some(Example { text, outputs: vec![find(label)?], weight: 1.0 })).collect()
}

/// Mean F1 over labels that occur in truth or prediction, as scikit-learn has it.
fn macro_f1(pairs: &[(usize, usize)]) -> f64 {
    let labels: BTreeSet<usize> = pairs.iter().flat_map(|(t, g)| [*t, *g]).collect();
    let each = labels.iter().map(|l| {
        let both = pairs.iter().filter(|(t, g)| t == l && g == l).count() as f64;
        let either = pairs.iter().filter(|(t, g)| t == l || g == l).count() as f64;
        2.0 * both / (both + either)
    });
    each.sum::<f64>() / labels.len() as f64
}

fn main() {
    let root = std::env::var_os("GOLDSMITH_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let folder = root.join("data/mts-dialog");
    let train_path = folder.join("MTS-Dialog-TrainingSet.csv");
    let test_path = folder.join("MTS-Dialog-TestSet-1-MEDIQA-Chat-2023.csv");
    if !train_path.is_file() {
        println!("skipped: no {}", train_path.display());
        return;
    }
    let (train, test) = (read(&train_path), read(&test_path));
    let validation = read(&folder.join("MTS-Dialog-ValidationSet.csv"));
    let outputs: Vec<String> = train.iter().map(|(_, l)| l.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    let (train, validation, test) =
        (examples(&train, &outputs), examples(&validation, &outputs), examples(&test, &outputs));
    let quick = std::env::args().any(|a| a == "--validation");
    let scored = if quick { &validation } else { &test };
    let mut ours = Vec::new();
    for seed in 1..=5 {
        let config = FitConfig { seed, ..FitConfig::default() };
        let start = Instant::now();
        let mut epochs = 0;
        let mut watch = |epoch: &goldsmith::classifier::Epoch| {
            epochs = epoch.epoch;
            ControlFlow::Continue(())
        };
        let stop = if quick { &[][..] } else { &validation[..] };
        let model = fit(&outputs, Selection::Single, &train, stop, &config, &mut watch).expect("trains");
        let seconds = start.elapsed().as_secs_f64();
        let texts: Vec<&str> = scored.iter().map(|e| e.text).collect();
        let pairs: Vec<(usize, usize)> = model
            .predict(&texts)
            .expect("predicts")
            .iter()
            .zip(scored)
            .map(|(p, e)| (e.outputs[0], model.choose(p)[0]))
            .collect();
        let accuracy = pairs.iter().filter(|(t, g)| t == g).count() as f64 / pairs.len() as f64;
        println!(
            "goldsmith     seed {seed}: {seconds:6.2} s, accuracy {accuracy:.3}, macro-F1 {:.3} ({epochs} epochs, {} n-grams)",
            macro_f1(&pairs),
            model.feature_count()
        );
        ours.push((seconds, accuracy, macro_f1(&pairs)));
    }
    let mean = |f: fn(&(f64, f64, f64)) -> f64| ours.iter().map(f).sum::<f64>() / ours.len() as f64;
    println!(
        "goldsmith     mean:   {:6.2} s, accuracy {:.3}, macro-F1 {:.3}",
        mean(|r| r.0),
        mean(|r| r.1),
        mean(|r| r.2)
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/reference/ngram_logreg.py");
    match Command::new("python3").arg(script).arg(&train_path).arg(&test_path).output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            let numbers: Vec<f64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
            println!(
                "scikit-learn:         {:6.2} s, accuracy {:.3}, macro-F1 {:.3}",
                numbers[0], numbers[1], numbers[2]
            );
            println!("time, ours / theirs:  {:.3}", mean(|r| r.0) / numbers[0]);
        }
        _ => println!("scikit-learn is not installed; `pip install scikit-learn` for the reference"),
    }
}
