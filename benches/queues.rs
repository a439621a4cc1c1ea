//! Labels until a classifier scores 95 % of what it scores with all of them: our orders beside random, and small-text's breaking
//! ties on the same features, starting from the same sentences. Ten seeds; on MTS-Dialog (`dialogue` to `section_header`, test
//! set 1) and on the demo's gold, split by patient.
//!
//! `$GOLDSMITH_ENCODER` names an encoder's folder; without it n-grams learn, and small-text has nothing to compare with. The
//! notes are read from `../shared/data/mts-dialog` (or `$GOLDSMITH_SHARED/data/mts-dialog`), small-text by `$PYTHON` (python3).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use goldsmith::classifier::{Encoder, Threads};
use goldsmith::domain::acquisition::draw;
use goldsmith::domain::statistics::SampleMean;
use goldsmith::formats::notes::Columns;
use goldsmith::formats::project::training::{TrainSettings, TrainingMethod};
use goldsmith::formats::simulation::table;
use goldsmith::workflow::simulate::{Data, SimulateOptions, simulate};
use goldsmith::workflow::{Cancel, demo};

const SEEDS: usize = 10;
const START: usize = 20;
const BATCH: usize = 10;
const SHARE: f64 = 0.95;
const ORDERS: [&str; 4] = ["random", "contested=0.5+balanced=0.4+random=0.1", "margin", "balanced"];

type Labelled = Vec<(String, String)>;

fn read(path: &Path, text: &str, label: &str) -> Labelled {
    let mut reader = csv::Reader::from_path(path).expect("the set is readable");
    let header = reader.headers().expect("a header").clone();
    let at = |name: &str| header.iter().position(|column| column == name).expect("the column");
    let (text, label) = (at(text), at(label));
    reader.records().map(|r| r.expect("a row")).map(|r| (r[text].to_owned(), r[label].to_owned())).collect()
}

/// NumPy's format 1.0.
fn write_npy(path: &Path, rows: &[Vec<f32>]) {
    let shape = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows.len(), rows[0].len());
    let header = format!("{shape:<117}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    rows.iter().flatten().for_each(|x| bytes.extend(x.to_le_bytes()));
    std::fs::write(path, bytes).expect("the folder is writable");
}

fn small_text(encoder: &Encoder, train: &Labelled, test: &Labelled) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, rows) in [("train", train), ("test", test)] {
        let texts: Vec<&str> = rows.iter().map(|(text, _)| text.as_str()).collect();
        write_npy(&folder.path().join(format!("{name}.npy")), &encoder.embed(&texts).expect("reads"));
    }
    let names: Vec<&String> =
        train.iter().chain(test).map(|(_, label)| label).collect::<BTreeSet<_>>().into_iter().collect();
    let numbers = |rows: &Labelled| -> Vec<usize> {
        rows.iter().map(|(_, label)| names.iter().position(|name| *name == label).unwrap_or(0)).collect()
    };
    let starts: Vec<Vec<usize>> =
        (1..=SEEDS as u64).map(|seed| draw(train.len(), seed).into_iter().take(START).collect()).collect();
    let set = serde_json::json!({ "train": numbers(train), "test": numbers(test), "starts": starts });
    std::fs::write(folder.path().join("set.json"), set.to_string()).expect("the folder is writable");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/reference/breaking_ties.py");
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let (batch, share) = (BATCH.to_string(), SHARE.to_string());
    match Command::new(python).arg(script).arg(folder.path()).args([&batch, &share]).output() {
        Ok(output) if output.status.success() => {
            let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            let needed = |name: &str| -> Vec<f64> {
                said["needed"][name].as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64).collect()
            };
            let (random, ties) = (needed("random"), needed("breaking ties"));
            let shares: Vec<f64> = random.iter().zip(&ties).map(|(random, ties)| ties / random).collect();
            let show = |values: &[f64], scale: f64| {
                let of = SampleMean::of(values).expect("seeds");
                format!("{:.0} ± {:.0}", of.mean * scale, of.either_way.unwrap_or(0.0) * scale)
            };
            println!(
                "small-text, the same features: random {}, breaking ties {}, which is {} % of random; macro-F1 of all labels {:.1}",
                show(&random, 1.0),
                show(&ties, 1.0),
                show(&shares, 100.0),
                said["full"].as_f64().unwrap_or(0.0) * 100.0
            );
        }
        _ => println!("small-text is not installed; `pip install small-text` for the reference"),
    }
}

fn compare(name: &str, data: &Data, train: &Labelled, test: &Labelled, encoder: Option<&Path>) {
    let settings = TrainSettings::default();
    let train_settings = match encoder {
        Some(folder) => TrainSettings { encoder: folder.display().to_string(), ..settings.of(TrainingMethod::Frozen) },
        None => settings,
    };
    let options = SimulateOptions {
        train: train_settings,
        mixes: ORDERS.iter().map(|mix| mix.parse().expect("an order")).collect(),
        seeds: SEEDS,
        start: START,
        batch: BATCH,
        most: None,
        share: SHARE,
        stop: true,
        experts: None,
    };
    let done = simulate(data, &options, &Cancel::default(), &mut |_| {}).expect("plays");
    let full = done.report.orders[0].full.map_or(0.0, |full| full.mean * 100.0);
    println!(
        "\n{name}: {} to label, {} to score on, {}; all labels: {full:.1}",
        done.report.rows, done.test, done.model
    );
    println!("{}", table(&done.report));
    if let Some(folder) = encoder {
        let encoder = Encoder::open(folder, 256, Threads::available()).expect("an encoder");
        small_text(&encoder, train, test);
    }
}

fn main() {
    let root = std::env::var_os("GOLDSMITH_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let encoder = std::env::var_os("GOLDSMITH_ENCODER").map(PathBuf::from);
    let folder = root.join("data/mts-dialog");
    let (train, test) =
        (folder.join("MTS-Dialog-TrainingSet.csv"), folder.join("MTS-Dialog-TestSet-1-MEDIQA-Chat-2023.csv"));
    if train.is_file() {
        let (text, label) = ("dialogue", "section_header");
        let columns = Columns {
            text: Some(text.into()),
            label: Some(label.into()),
            patient: Some("ID".into()),
            id: None,
            title: None,
        };
        let rows = (read(&train, text, label), read(&test, text, label));
        compare("MTS-Dialog", &Data::Files { train, test, columns }, &rows.0, &rows.1, encoder.as_deref());
    } else {
        println!("skipped: no {}", train.display());
    }
    let place = tempfile::tempdir().expect("a folder");
    let (project, _) = demo::build(&place.path().join("demo"), &mut |_| {}).expect("the demo");
    let (rows, scored) = goldsmith::workflow::simulate::labelled_texts(&project).expect("gold");
    compare("demo", &Data::Project(Box::new(project)), &rows, &scored, encoder.as_deref());
}
