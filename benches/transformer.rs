//! Fine-tuning and reading with a real encoder, against PyTorch and transformers on the same token ids in the same batches
//! and order, in turn in one run; how good a recipe is on MTS-Dialog; and how fast many sentences are read.
//!
//! ```text
//! GOLDSMITH_ENCODER=all-MiniLM-L6-v2 GOLDSMITH_PYTHON=python cargo bench --bench transformer -- speed [ROUNDS]
//! GOLDSMITH_ENCODER=all-MiniLM-L6-v2 cargo bench --bench transformer -- quality [SEEDS]
//! GOLDSMITH_ENCODER=all-MiniLM-L6-v2 cargo bench --bench transformer -- bulk [SENTENCES]
//! GOLDSMITH_ENCODER=all-MiniLM-L6-v2 cargo bench --bench transformer -- frozen
//! ```
//!
//! The notes are read from `../shared/data/mts-dialog` (or `$GOLDSMITH_SHARED/data/mts-dialog`).

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use goldsmith::classifier::{
    ClassWeights, Encoder, Example, FitConfig, HeadConfig, Selection, Threads, Trainer, TrainingEvent, TuneConfig,
};

type Rows = Vec<(String, usize)>;

/// `section_text` and `dialogue` of a part of MTS-Dialog with its section.
fn read(folder: &Path, file: &str, column: usize, outputs: &mut Vec<String>) -> Rows {
    let mut reader = csv::Reader::from_path(folder.join(file)).expect("the set is readable");
    let rows: Vec<(String, String)> =
        reader.records().map(|r| r.expect("a row")).map(|r| (r[column].to_owned(), r[1].to_owned())).collect();
    if outputs.is_empty() {
        *outputs = rows.iter().map(|(_, label)| label.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    }
    let find = |label: &str| outputs.iter().position(|o| o == label);
    rows.iter().filter_map(|(text, label)| Some((text.clone(), find(label)?))).collect()
}

fn examples(rows: &Rows) -> Vec<Example<'_>> {
    rows.iter().map(|(text, label)| Example { text, outputs: vec![*label], weight: 1.0 }).collect()
}

/// Sentences of `section_text` of 10 to 45 words.
fn sentences(rows: &Rows) -> Rows {
    let cut = |(text, label): &(String, usize)| {
        let ends = text.split_inclusive(['.', '?', '!']).map(|s| s.trim().to_owned());
        ends.filter(|s| (10..=45).contains(&s.split_whitespace().count())).map(|s| (s, *label)).collect::<Vec<_>>()
    };
    rows.iter().flat_map(cut).collect()
}

fn argument(at: usize, default: usize) -> usize {
    let given: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    given.get(at).and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// Texts a second of one epoch after three steps, by the program's own training.
fn ours_train(encoder: &Arc<Encoder>, rows: &Rows, outputs: &[String], config: &TuneConfig) -> f64 {
    let train = examples(rows);
    let learner = Trainer::fine_tune(Arc::clone(encoder), config.clone(), None);
    let sizes: Vec<usize> = learner.batches(&train, 1).expect("batches").iter().map(Vec::len).collect();
    let (mut start, mut seconds) = (None, 0.0);
    learner
        .fit(outputs, Selection::Single, &train, &[], 1, &mut |heard| {
            if let TrainingEvent::Step { step, .. } = heard {
                if *step == 3 {
                    start = Some(Instant::now());
                }
                if *step == sizes.len() {
                    seconds = start.map_or(f64::NAN, |start| start.elapsed().as_secs_f64());
                }
            }
            ControlFlow::Continue(())
        })
        .expect("trains");
    sizes[3..].iter().sum::<usize>() as f64 / seconds
}

fn ours_read(encoder: &Encoder, rows: &Rows) -> f64 {
    let texts: Vec<&str> = rows.iter().map(|(text, _)| text.as_str()).collect();
    encoder.embed(&texts[..texts.len().min(48)]).expect("reads");
    let start = Instant::now();
    encoder.embed(&texts).expect("reads");
    texts.len() as f64 / start.elapsed().as_secs_f64()
}

/// PyTorch's texts a second on the same batches.
fn theirs(input: &Path, mode: &str, dtype: &str, threads: usize) -> Option<f64> {
    let python = std::env::var_os("GOLDSMITH_PYTHON")?;
    let mut all: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(input).ok()?).ok()?;
    all["mode"] = mode.into();
    all["dtype"] = dtype.into();
    all["threads"] = threads.into();
    all["heap"] = true.into();
    let file = input.with_extension(format!("{mode}.{dtype}.{threads}.json"));
    std::fs::write(&file, all.to_string()).ok()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/reference/torch_speed.py");
    let output = Command::new(python).arg(script).arg(&file).env("HF_HUB_OFFLINE", "1").output().ok()?;
    let line = String::from_utf8_lossy(&output.stdout).lines().last()?.to_owned();
    let said: serde_json::Value = serde_json::from_str(&line).ok()?;
    Some(said["sentences"].as_f64()? / said["seconds"].as_f64()?)
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn speed(folder: &Path, model: &Path) {
    let mut outputs = Vec::new();
    let dialogues = read(folder, "MTS-Dialog-TrainingSet.csv", 3, &mut outputs);
    let sections = read(folder, "MTS-Dialog-TrainingSet.csv", 2, &mut outputs);
    let spread = |rows: Rows, count: usize| -> Rows {
        let step = (rows.len() / count).max(1);
        rows.into_iter().step_by(step).take(count).collect()
    };
    let sets = [("sentences", spread(sentences(&sections), 640)), ("dialogues", spread(dialogues, 128))];
    let config = TuneConfig { epochs: 1, class_weights: ClassWeights::None, ..TuneConfig::default() };
    let rounds = argument(1, 3);
    let scratch = tempfile::tempdir().expect("a folder");
    for (name, rows) in &sets {
        for threads in [1, 2] {
            let encoder = Arc::new(Encoder::open(model, 256, threads).expect("an encoder"));
            let learner = Trainer::fine_tune(Arc::clone(&encoder), config.clone(), None);
            let batches = learner.batches(&examples(rows), 1).expect("batches");
            let ids: Vec<Vec<&Vec<u32>>> = batches.iter().map(|b| b.iter().map(|(_, ids)| ids).collect()).collect();
            let labels: Vec<Vec<usize>> =
                batches.iter().map(|b| b.iter().map(|(at, _)| rows[*at].1).collect()).collect();
            let input = scratch.path().join(format!("{name}.json"));
            let text = serde_json::json!({"batches": ids, "labels": labels, "model": model, "outputs": outputs.len()});
            std::fs::write(&input, text.to_string()).expect("writes");
            // For reading, both sides get everything sorted by length.
            let mut sorted: Vec<&(usize, Vec<u32>)> = batches.iter().flatten().collect();
            sorted.sort_by_key(|(_, ids)| ids.len());
            let reading = scratch.path().join(format!("{name}-read.json"));
            let ids: Vec<Vec<&Vec<u32>>> = sorted.chunks(32).map(|b| b.iter().map(|(_, ids)| ids).collect()).collect();
            let labels: Vec<Vec<usize>> =
                sorted.chunks(32).map(|b| b.iter().map(|(at, _)| rows[*at].1).collect()).collect();
            let text = serde_json::json!({"batches": ids, "labels": labels, "model": model, "outputs": outputs.len()});
            std::fs::write(&reading, text.to_string()).expect("writes");
            for mode in ["train", "infer"] {
                let mut found: [Vec<f64>; 3] = Default::default();
                for _ in 0..rounds {
                    found[0].push(match mode {
                        "train" => ours_train(&encoder, rows, &outputs, &config),
                        _ => ours_read(&encoder, rows),
                    });
                    let file = if mode == "train" { &input } else { &reading };
                    found[1].extend(theirs(file, mode, "fp32", threads));
                    found[2].extend(theirs(file, mode, "bf16", threads));
                }
                let ratios =
                    |theirs: &[f64]| median(&found[0].iter().zip(theirs).map(|(a, b)| a / b).collect::<Vec<_>>());
                println!(
                    "{name:<9} {mode:<5} {threads} thread(s): goldsmith {:6.1} texts/s; PyTorch fp32 {:6.1} (ratio {:.2}); PyTorch bf16 {:6.1} (ratio {:.2})",
                    median(&found[0]),
                    median(&found[1]),
                    ratios(&found[1]),
                    median(&found[2]),
                    ratios(&found[2]),
                );
            }
        }
    }
}

/// Accuracy and macro-F1 over labels that occur in truth or prediction, as scikit-learn has it.
fn scores(pairs: &[(usize, usize)]) -> (f64, f64) {
    let labels: BTreeSet<usize> = pairs.iter().flat_map(|(t, g)| [*t, *g]).collect();
    let each = labels.iter().map(|l| {
        let both = pairs.iter().filter(|(t, g)| t == l && g == l).count() as f64;
        let either = pairs.iter().filter(|(t, g)| t == l || g == l).count() as f64;
        2.0 * both / (both + either)
    });
    let right = pairs.iter().filter(|(t, g)| t == g).count() as f64;
    (right / pairs.len() as f64, each.sum::<f64>() / labels.len() as f64)
}

fn quality(folder: &Path, model: &Path) {
    let mut outputs = Vec::new();
    let train = read(folder, "MTS-Dialog-TrainingSet.csv", 3, &mut outputs);
    let validation = read(folder, "MTS-Dialog-ValidationSet.csv", 3, &mut outputs);
    let test = read(folder, "MTS-Dialog-TestSet-1-MEDIQA-Chat-2023.csv", 3, &mut outputs);
    let (train, validation, test) = (examples(&train), examples(&validation), examples(&test));
    let texts: Vec<&str> = test.iter().map(|example| example.text).collect();
    let config: TuneConfig = match std::env::var("GOLDSMITH_RECIPE") {
        Ok(text) => serde_json::from_str(&text).expect("a recipe"),
        Err(_) => TuneConfig::default(),
    };
    let most = std::env::var("GOLDSMITH_MAX_TOKENS").ok().and_then(|n| n.parse().ok()).unwrap_or(256);
    let encoder = Arc::new(Encoder::open(model, most, Threads::available()).expect("an encoder"));
    let learners = [
        Trainer::ngram(FitConfig::default()),
        Trainer::frozen(Arc::clone(&encoder), HeadConfig::default()),
        Trainer::fine_tune(Arc::clone(&encoder), config, None),
    ];
    let names: Vec<String> = learners.iter().map(Trainer::name).chain(["vote of all three".into()]).collect();
    let mut all: Vec<Vec<(f64, f64)>> = vec![Vec::new(); names.len()];
    for seed in 1..=argument(1, 5) as u64 {
        // A vote is the mean of calibrated probabilities.
        let mut votes = vec![vec![0.0; outputs.len()]; test.len()];
        let mut say = |at: usize, rows: &[Vec<f32>], seconds: f64| {
            let best = |row: &[f32]| row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |best| best.0);
            let pairs: Vec<(usize, usize)> = rows.iter().zip(&test).map(|(row, e)| (e.outputs[0], best(row))).collect();
            let (accuracy, macro_f1) = scores(&pairs);
            println!("{:<28} seed {seed}: {seconds:6.1} s, accuracy {accuracy:.3}, macro-F1 {macro_f1:.3}", names[at]);
            all[at].push((accuracy, macro_f1));
        };
        for (at, learner) in learners.iter().enumerate() {
            let start = Instant::now();
            let model = learner
                .fit(&outputs, Selection::Single, &train, &validation, seed, &mut |heard| {
                    if let TrainingEvent::Epoch(epoch) = heard
                        && at == 2
                    {
                        let (loss, f1) = (epoch.train_loss, epoch.validation_macro_f1);
                        eprintln!("epoch {}: loss {loss:.3}, macro-F1 {f1:?}", epoch.epoch);
                    }
                    ControlFlow::Continue(())
                })
                .expect("trains");
            let seconds = start.elapsed().as_secs_f64();
            let rows = model.predict(&texts).expect("predicts");
            for (votes, row) in votes.iter_mut().zip(&rows) {
                votes.iter_mut().zip(row).for_each(|(vote, p)| *vote += p / learners.len() as f32);
            }
            say(at, &rows, seconds);
        }
        say(learners.len(), &votes, 0.0);
    }
    for (name, all) in names.iter().zip(&all) {
        let mean = |f: fn(&(f64, f64)) -> f64| all.iter().map(f).sum::<f64>() / all.len() as f64;
        println!("{name:<28} mean:   accuracy {:.3}, macro-F1 {:.3}", mean(|r| r.0), mean(|r| r.1));
    }
}

/// The most memory that this process has had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn bulk(folder: &Path, model: &Path) {
    let rows = sentences(&read(folder, "MTS-Dialog-TrainingSet.csv", 2, &mut Vec::new()));
    let encoder = Encoder::open(model, 256, Threads::available()).expect("an encoder");
    let count = argument(1, 100_000);
    let before = peak();
    let start = Instant::now();
    let mut done = 0;
    while done < count {
        let part: Vec<&str> = rows
            .iter()
            .map(|(text, _)| text.as_str())
            .cycle()
            .skip(done % rows.len())
            .take(2_000.min(count - done))
            .collect();
        encoder.embed(&part).expect("reads");
        done += part.len();
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{count} sentences read in {seconds:.0} s: {:.0} a second; memory {} MiB, {before} before",
        count as f64 / seconds,
        peak()
    );
}

fn frozen(folder: &Path, model: &Path) {
    let mut outputs = Vec::new();
    let mut rows = sentences(&read(folder, "MTS-Dialog-TrainingSet.csv", 2, &mut outputs));
    rows.truncate(2_000);
    let encoder = Arc::new(Encoder::open(model, 256, Threads::available()).expect("an encoder"));
    let train = examples(&rows);
    let texts: Vec<&str> = train.iter().map(|example| example.text).collect();
    let vectors = encoder.embed(&texts).expect("reads");
    encoder.remember(texts.iter().map(|text| Encoder::hash(text)).zip(vectors).collect());
    let learner = Trainer::frozen(encoder, HeadConfig::default());
    for _ in 0..5 {
        let mut steps = 0;
        let start = Instant::now();
        learner
            .fit(&outputs, Selection::Single, &train[200..], &train[..200], 1, &mut |heard| {
                steps += usize::from(matches!(heard, TrainingEvent::Step { .. }));
                ControlFlow::Continue(())
            })
            .expect("trains");
        println!(
            "a head on {} kept embeddings, {} outputs: {:.3} s, {steps} steps",
            rows.len(),
            outputs.len(),
            start.elapsed().as_secs_f64()
        );
    }
}

fn main() {
    let root = std::env::var_os("GOLDSMITH_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let folder = root.join("data/mts-dialog");
    let Some(model) = std::env::var_os("GOLDSMITH_ENCODER").map(PathBuf::from) else {
        println!("skipped: GOLDSMITH_ENCODER names no encoder's folder");
        return;
    };
    if !folder.is_dir() {
        println!("skipped: no {}", folder.display());
        return;
    }
    match std::env::args().skip(1).find(|a| a != "--bench").as_deref() {
        Some("quality") => quality(&folder, &model),
        Some("bulk") => bulk(&folder, &model),
        Some("frozen") => frozen(&folder, &model),
        _ => speed(&folder, &model),
    }
}
