//! Fine-tuning: every step against PyTorch's, and what makes a run repeat itself, stop, and go on.

use std::ops::ControlFlow;
use std::path::PathBuf;

use serde_json::Value;

use super::*;
use crate::classifier::load;
use crate::domain::taxonomy::Selection;
use crate::domain::text::with_causes;

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// The examples of `tests/reference/losses.py`: text, labels, source.
fn written() -> (Value, Vec<(String, Vec<usize>, String)>) {
    let all: Value = serde_json::from_str(&std::fs::read_to_string(data("losses.json")).unwrap()).unwrap();
    let texts: Vec<String> = serde_json::from_value(all["examples"]["texts"].clone()).unwrap();
    let labels: Vec<Vec<usize>> = serde_json::from_value(all["examples"]["labels"].clone()).unwrap();
    let sources: Vec<String> = serde_json::from_value(all["examples"]["sources"].clone()).unwrap();
    let rows =
        texts.into_iter().zip(labels).zip(sources).map(|((text, labels), source)| (text, labels, source)).collect();
    (all, rows)
}

fn numbers(value: &Value) -> Vec<f32> {
    serde_json::from_value(value.clone()).unwrap()
}

/// `tests/reference/losses.py`: the same weights, batches and settings in PyTorch, with every way to weigh a loss, through
/// accumulated batches, and for each family.
#[test]
fn twenty_steps_are_those_of_pytorch() {
    let (all, examples) = written();
    for (name, run) in all["runs"].as_object().unwrap() {
        let setup = &run["setup"];
        let folder = setup["folder"].as_str().unwrap();
        let mut encoder = Encoder::open(&data("encoders").join(folder), 64, 1).unwrap();
        if setup["pooling"] == "cls" {
            encoder.pool_first();
        }
        let encoder = Arc::new(encoder);
        let accumulate = setup["accumulate"].as_u64().unwrap_or(1) as usize;
        let config = TuneConfig {
            learning_rate: 1e-3,
            warmup: 0.2,
            accumulate,
            label_smoothing: setup["smoothing"].as_f64().unwrap_or(0.0) as f32,
            ..TuneConfig::default()
        };
        let multiple = setup["loss"] == "sigmoid";
        let selection = if multiple { Selection::Multiple } else { Selection::Single };
        let weights = match (multiple, setup.get("class_weights").filter(|w| !w.is_null())) {
            (true, _) => {
                numbers(&setup["negative"]).into_iter().zip(numbers(&setup["positive"])).map(<[f32; 2]>::from).collect()
            }
            (_, Some(weights)) => numbers(weights).into_iter().map(|w| [1.0, w]).collect(),
            _ => vec![[1.0, 1.0]; 3],
        };
        let of_source = |source: &str| match source {
            _ if setup["sources"] != true => 1.0,
            "gold" => 1.0,
            "silver" => 0.5,
            _ => 0.25,
        };
        let texts: Vec<&str> = examples.iter().map(|(text, ..)| text.as_str()).collect();
        let task = FineTuneData {
            ids: encoder.ids(&texts).unwrap(),
            outputs: examples
                .iter()
                .map(|(_, labels, _)| if multiple { labels.clone() } else { labels[..1].to_vec() })
                .collect(),
            weights: examples.iter().map(|(.., source)| of_source(source)).collect(),
            weighing: ExampleWeights { selection, outputs: weights, smoothing: config.label_smoothing },
            validation_ids: Vec::new(),
            validation: &[],
        };
        let mut parameters = encoder.parameters().clone();
        parameters.restore_head(encoder.architecture(), 3, encoder.found()).unwrap();
        let pass = Pass::for_architecture(encoder.architecture(), &parameters, encoder.threads());
        let network = Network::new(encoder.architecture(), &parameters, 3, pass);
        allocate_gradients(&mut parameters, &task.ids);
        let before = parameters.clone();
        let optimiser = AdamW::new(&parameters);
        let mut fit =
            FineTuneLoop { config: &config, seed: 1, encoder: &encoder, data: &task, network, optimiser, parameters };
        let (losses, rates) = (numbers(&run["losses"]), numbers(&run["learning_rates"]));
        assert_eq!(losses.len(), 20);
        let mut next = 0;
        for step in 0..20 {
            let batches: Vec<Vec<usize>> = (0..accumulate)
                .map(|_| {
                    let batch = (next..next + 6).map(|i| i % examples.len()).collect();
                    next += 6;
                    batch
                })
                .collect();
            let rate = plan::rate(&config, step, 20);
            assert!((rate - f64::from(rates[step])).abs() < 1e-9, "{name} step {step}: rate {rate}");
            let (loss, divisor) = fit.step(&batches, rate).unwrap();
            assert!(
                (loss / divisor - losses[step]).abs() < 1e-4 * (1.0 + losses[step]),
                "{name} step {step}: {} is not {}",
                loss / divisor,
                losses[step]
            );
            if step == 1 {
                // The first step has rate 0; after the second every tensor has moved.
                for (now, then) in fit.parameters.all().iter().zip(before.all()) {
                    assert!(now.value != then.value, "{name}: {} has not moved", now.name);
                }
            }
        }
        let with_decay_applied = fit.optimiser.with_decay_applied(&fit.parameters);
        for (parameter, value) in run["final"].as_object().unwrap() {
            let bare = parameter.strip_prefix(encoder.architecture().prefix()).unwrap_or(parameter);
            let at = [bare, parameter].map(|name| fit.parameters.index(name)).into_iter().find(|at| *at != usize::MAX);
            // See the reference program: the bias of keys moves by rounding alone.
            let noise = parameter.contains("key.bias") || parameter.contains("k_lin.bias");
            for (found, wanted) in with_decay_applied[at.unwrap()].iter().zip(numbers(value)).filter(|_| !noise) {
                assert!((found - wanted).abs() < 2e-3, "{name} {parameter}: {found} is not {wanted}");
            }
        }
    }
}

fn names() -> Vec<String> {
    ["recall", "mood", "other"].map(String::from).to_vec()
}

fn examples(rows: &[(String, Vec<usize>, String)]) -> Vec<Example<'_>> {
    rows.iter().map(|(text, labels, _)| Example { text, outputs: labels[..1].to_vec(), weight: 1.0 }).collect()
}

fn small() -> TuneConfig {
    TuneConfig { epochs: 6, learning_rate: 3e-3, batch: 6, dropout: Some(0.1), patience: 9, ..TuneConfig::default() }
}

fn encoder() -> Arc<Encoder> {
    Arc::new(Encoder::open(&data("encoders/bert"), 64, 2).unwrap())
}

/// The mean of n-grams, a frozen head and a fine-tuned encoder; saved as one folder.
#[test]
fn a_vote_is_the_mean_of_its_parts_and_comes_back_from_disk() {
    use crate::classifier::{FitConfig, HeadConfig, Trainer};
    let (_, rows) = written();
    let (all, names, encoder) = (examples(&rows), names(), encoder());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("models/vote");
    for selection in [Selection::Single, Selection::Multiple] {
        let parts = || {
            let tune = TuneConfig { epochs: 2, ..small() };
            let ngram = FitConfig { min_df: 1, ..FitConfig::default() };
            let frozen = Trainer::frozen(Arc::clone(&encoder), HeadConfig::default());
            vec![Trainer::ngram(ngram), frozen, Trainer::fine_tune(Arc::clone(&encoder), tune, None)]
        };
        let fit = |learner: &Trainer| learner.fit(&names, selection, &all[..16], &all[16..], 3, &mut go_on).unwrap();
        let vote = fit(&Trainer::vote(parts()));
        let texts: Vec<&str> = all.iter().map(|example| example.text).collect();
        let found = vote.predict(&texts).unwrap();
        let alone: Vec<_> = parts().iter().map(|part| fit(part).predict(&texts).unwrap()).collect();
        for (i, row) in found.iter().enumerate() {
            for (k, p) in row.iter().enumerate() {
                let mean = alone.iter().map(|part| part[i][k]).sum::<f32>() / 3.0;
                assert!((p - mean).abs() < 1e-6, "{p} is not {mean}");
            }
        }
        vote.save(&path, &Value::Null).unwrap();
        let (again, _) = load(&path).unwrap();
        assert_eq!(again.predict(&texts).unwrap().len(), found.len());
        for (a, b) in again.predict(&texts).unwrap().iter().flatten().zip(found.iter().flatten()) {
            assert!((a - b).abs() < 1e-6);
        }
        assert_eq!(again.choose(&found[0]), vote.choose(&found[0]));
        // A part that was exchanged is noticed.
        std::fs::remove_dir_all(path.join("part-0")).unwrap();
        fit(&parts()[1]).save(&path.join("part-0"), &Value::Null).unwrap();
        assert!(with_causes(&load(&path).err().unwrap()).contains("not the model that voted"));
        std::fs::remove_dir_all(&path).unwrap();
    }
}

/// Cancelling keeps what was best so far; silver may count for less; every mode of weighing trains.
#[test]
fn stopping_keeps_the_best_and_the_model_comes_back_from_disk() {
    let (_, rows) = written();
    let names = names();
    let mut all = examples(&rows);
    for (example, (.., source)) in all.iter_mut().zip(&rows) {
        example.weight = if source == "gold" { 1.0 } else { 0.25 };
    }
    let encoder = encoder();
    let folder = tempfile::tempdir().unwrap();
    for selection in [Selection::Single, Selection::Multiple] {
        let task = TrainingTask { outputs: &names, selection, train: &all[..16], validation: &all[16..], seed: 1 };
        let config = TuneConfig { oversample: 0.5, accumulate: 2, last_layers: Some(1), ..small() };
        let (mut epochs, mut best) = (Vec::new(), 0);
        let mut on_event = |heard: &TrainingEvent| {
            if let TrainingEvent::Epoch(epoch) = heard {
                best = if epoch.best { epoch.epoch } else { best };
                epochs.push(epoch.train_loss);
            }
            if epochs.len() == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let stopped = fit(&encoder, &task, &config, None, &mut on_event).unwrap();
        assert!(epochs.len() == 5 && epochs[4] < epochs[0], "{epochs:?}");
        // The lower layer and the embeddings stay as they were.
        for (now, then) in stopped.parameters().all().iter().zip(encoder.parameters().all()) {
            assert_eq!(now.value == then.value, !now.name.contains("layer.1."), "{}", now.name);
        }
        // The same run, stopped right after its best epoch, is the same model.
        let mut on_event = |heard: &TrainingEvent| match heard {
            TrainingEvent::Epoch(epoch) if epoch.epoch == best => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        let at_best = fit(&encoder, &task, &config, None, &mut on_event).unwrap();
        let path = folder.path().join(format!("{selection:?}"));
        assert!(saved(&stopped, &path) == saved(&at_best, &folder.path().join("other")));
        std::fs::remove_dir_all(folder.path().join("other")).unwrap();

        let texts: Vec<&str> = all.iter().map(|example| example.text).collect();
        let (again, _) = load(&path).unwrap();
        let (found, wanted) = (again.predict(&texts).unwrap(), stopped.predict(&texts).unwrap());
        for (found, wanted) in found.iter().flatten().zip(wanted.iter().flatten()) {
            assert!((found - wanted).abs() < 1e-6);
        }
        assert!(wanted.iter().all(|row| !stopped.choose(row).is_empty() || selection == Selection::Multiple));
        // And the folder is an encoder again, with what was learnt.
        let encoder = Encoder::open(&path, 64, 1).unwrap();
        assert!(encoder.parameters().all().iter().zip(stopped.parameters().all()).all(|(a, b)| a.value == b.value));
        std::fs::write(path.join("model.safetensors"), b"other").unwrap();
        assert!(with_causes(&load(&path).err().unwrap()).contains("not the file that model.json describes"));
    }
}

fn go_on(_: &TrainingEvent) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// What a model saves, without the folder that it was made from.
fn saved(model: &TunedModel, folder: &Path) -> Vec<u8> {
    model.save(folder, &Value::Null).unwrap();
    std::fs::read(folder.join("model.safetensors")).unwrap()
}

#[test]
fn a_run_repeats_itself_and_one_that_was_broken_off_goes_on_bit_for_bit() {
    let (_, rows) = written();
    let all = examples(&rows);
    let names = names();
    let task = TrainingTask {
        outputs: &names,
        selection: Selection::Single,
        train: &all[..16],
        validation: &all[16..],
        seed: 4,
    };
    let (encoder, config) = (encoder(), small());
    let folder = tempfile::tempdir().unwrap();
    let whole = fit(&encoder, &task, &config, None, &mut go_on).unwrap();
    let again = fit(&encoder, &task, &config, None, &mut go_on).unwrap();
    let wanted = saved(&whole, &folder.path().join("a"));
    assert!(wanted == saved(&again, &folder.path().join("b")));
    let other = fit(&encoder, &TrainingTask { seed: 5, ..task }, &config, None, &mut go_on).unwrap();
    assert!(wanted != saved(&other, &folder.path().join("c")));

    let fingerprint = fingerprint(&encoder, &task, &config);
    let file = state_file(folder.path(), &fingerprint);
    let keep = Checkpointing { file: &file, fingerprint, every: Duration::ZERO };
    // Broken off in the middle of an epoch, twice.
    for stop in [4, 11] {
        let mut on_event = |heard: &TrainingEvent| match heard {
            TrainingEvent::Step { step, .. } if *step == stop => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        fit(&encoder, &task, &config, Some(&keep), &mut on_event).unwrap();
        assert!(file.is_file());
    }
    let mut steps = Vec::new();
    let mut on_event = |heard: &TrainingEvent| {
        if let TrainingEvent::Step { step, .. } = heard {
            steps.push(*step);
        }
        ControlFlow::Continue(())
    };
    let resumed = fit(&encoder, &task, &config, Some(&keep), &mut on_event).unwrap();
    assert_eq!(steps.first(), Some(&12));
    assert!(wanted == saved(&resumed, &folder.path().join("d")));
    assert!(!file.exists(), "a finished run leaves no state");

    // A state of another configuration, or a torn one, is not taken up.
    for torn in [false, true] {
        let mut on_event = |heard: &TrainingEvent| {
            if matches!(heard, TrainingEvent::Step { step: 4, .. }) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        fit(&encoder, &task, &config, Some(&keep), &mut on_event).unwrap();
        if torn {
            let bytes = std::fs::read(&file).unwrap();
            std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        }
        let other = Checkpointing {
            file: &file,
            fingerprint: if torn { keep.fingerprint.clone() } else { "other".into() },
            every: keep.every,
        };
        let mut first = None;
        let mut on_event = |heard: &TrainingEvent| {
            if let TrainingEvent::Step { step, .. } = heard {
                first.get_or_insert(*step);
            }
            ControlFlow::Continue(())
        };
        fit(&encoder, &task, &config, Some(&other), &mut on_event).unwrap();
        assert_eq!(first, Some(1));
    }
}
