//! Encoders against transformers, and the fused pass against the plain one and against finite differences.
//!
//! `tests/reference/encoders.py` made the folders and the numbers.

use std::path::PathBuf;

use candle_core::Device;

use super::*;
use crate::domain::text::with_causes;

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/encoders").join(name)
}

fn expected() -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(data("expected.json")).unwrap()).unwrap()
}

fn rows(value: &serde_json::Value) -> Vec<Vec<f32>> {
    serde_json::from_value(value.clone()).unwrap()
}

fn texts(expected: &serde_json::Value) -> Vec<String> {
    serde_json::from_value(expected["texts"].clone()).unwrap()
}

#[track_caller]
fn near(found: &[f32], wanted: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(wanted).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what} at {i}: {a} is not {b}");
    }
}

/// Both passes, where there are two.
fn passes(encoder: &Encoder, threads: usize) -> Vec<Pass> {
    let shape = encoder.architecture();
    let plain = Pass::Plain(Box::new(plain::Plain::new(shape, Device::Cpu)));
    let best = Pass::for_architecture(shape, encoder.parameters(), &Arc::new(Threads::new(threads)));
    vec![best, plain]
}

#[test]
fn hidden_states_are_those_of_transformers() {
    let expected = expected();
    let texts = texts(&expected);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for (folder, name) in [
        ("bert", "bert"),
        ("bert-bin", "bert"),
        ("bert-bin-hub", "bert"),
        ("distilbert", "distilbert"),
        ("modernbert", "modernbert"),
    ] {
        let encoder = Encoder::open(&data(folder), 512, 1).unwrap();
        let ids = encoder.ids(&texts).unwrap();
        let wanted: Vec<Vec<u32>> = serde_json::from_value(expected["ids"].clone()).unwrap();
        assert_eq!(ids, wanted, "{folder}");
        let wanted = &expected[name];
        let (first, last, mean) = (rows(&wanted["first"]), rows(&wanted["last"]), rows(&wanted["mean"]));
        // All at once, and one by one: a batch equals its texts.
        let batches: Vec<Vec<usize>> =
            std::iter::once((0..texts.len()).collect()).chain((0..texts.len()).map(|i| vec![i])).collect();
        for (mut pass, kind) in passes(&encoder, 2).into_iter().zip(["best", "plain"]) {
            for numbers in &batches {
                let batch = PackedBatch::of(numbers.iter().map(|i| ids[*i].as_slice()));
                let hidden = pass.forward(encoder.parameters(), &batch, Queries::All, false, None).unwrap();
                let h = encoder.architecture().hidden;
                for ((start, len), i) in batch.spans().zip(numbers) {
                    let what = format!("{folder} {kind} text {i} of {}", numbers.len());
                    near(&hidden[start * h..][..h], &first[*i], 3e-5, &what);
                    near(&hidden[(start + len - 1) * h..][..h], &last[*i], 3e-5, &what);
                    near(
                        &mean_pool(&batch, &hidden, h)[numbers.iter().position(|n| n == i).unwrap() * h..][..h],
                        &mean[*i],
                        3e-5,
                        &what,
                    );
                }
            }
        }
    }
}

/// A network over a folder that has a classifier.
fn network(encoder: &Encoder, pass: Pass) -> (Network, Parameters) {
    let mut parameters = encoder.parameters().clone();
    parameters.restore_head(encoder.architecture(), 3, encoder.found()).unwrap();
    (Network::new(encoder.architecture(), &parameters, 3, pass), parameters)
}

#[test]
fn logits_are_those_of_transformers() {
    let expected = expected();
    let texts = texts(&expected);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for folder in ["bert-classifier", "distilbert-classifier", "modernbert-classifier"] {
        let encoder = Encoder::open(&data(folder), 512, 1).unwrap();
        let ids = encoder.ids(&texts).unwrap();
        let batch = PackedBatch::of(ids.iter().map(Vec::as_slice));
        for pass in passes(&encoder, 1) {
            let (mut network, parameters) = network(&encoder, pass);
            let logits = network.forward(&parameters, &batch, false, None).unwrap();
            near(&logits, &rows(&expected[folder]["logits"]).concat(), 3e-5, folder);
        }
    }
}

fn ready(parameters: &mut Parameters, batch: &PackedBatch) {
    for parameter in parameters.all_mut() {
        let width = parameter.shape.last().copied().unwrap();
        let word = parameter.name.contains("word_embeddings") || parameter.name.contains("tok_embeddings");
        parameter.rows = word.then(|| UsedRows::of(batch.ids.iter().copied(), parameter.shape[0]));
        let size = parameter.rows.as_ref().map_or(parameter.value.len(), |rows| rows.used.len() * width);
        parameter.gradient = vec![0.0; size];
    }
}

/// A batch's logits and all gradients, for a fixed gradient by the logits.
fn pass_once(
    encoder: &Encoder,
    pass: Pass,
    batch: &PackedBatch,
    dropout: Option<Dropout>,
) -> (Vec<f32>, Vec<f32>, Parameters) {
    let (mut network, mut parameters) = network(encoder, pass);
    ready(&mut parameters, batch);
    let logits = network.forward(&parameters, batch, true, dropout).unwrap();
    let by: Vec<f32> = (0..logits.len()).map(|i| (i as f32 * 0.7).sin() / logits.len() as f32).collect();
    network.backward(&mut parameters, &by).unwrap();
    (logits, by, parameters)
}

/// A batch of texts of different lengths, dropout or not, one thread or two: both passes give the same numbers, and every
/// tensor has a gradient.
#[test]
fn the_fused_pass_is_the_plain_one() {
    let expected = expected();
    let texts = texts(&expected);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for (folder, mean) in [("bert-classifier", false), ("bert-classifier", true), ("distilbert-classifier", false)] {
        let mut encoder = Encoder::open(&data(folder), 512, 1).unwrap();
        if mean {
            encoder.architecture = encoder.architecture.with_mean();
        }
        encoder.architecture.dropout = [0.1, 0.2, 0.3];
        let ids = encoder.ids(&texts).unwrap();
        let batch = PackedBatch::of(ids.iter().map(Vec::as_slice));
        for dropout in [None, Dropout::new(3, 17, 0.1)] {
            for threads in [1, 2] {
                let [fused, plain] = <[Pass; 2]>::try_from(passes(&encoder, threads)).unwrap();
                let (logits, _, ours) = pass_once(&encoder, fused, &batch, dropout);
                let (wanted, _, theirs) = pass_once(&encoder, plain, &batch, dropout);
                near(&logits, &wanted, 2e-5, folder);
                for (a, b) in ours.all().iter().zip(theirs.all()) {
                    // A shift of all keys changes no softmax.
                    let silent = a.name.contains(".key.bias") || a.name.contains("k_lin.bias");
                    assert!(
                        silent || a.gradient.iter().any(|g| g.abs() > 1e-7),
                        "{folder}: {} has no gradient",
                        a.name
                    );
                    let most = b.gradient.iter().fold(0.0f32, |most, g| most.max(g.abs()));
                    for (x, y) in a.gradient.iter().zip(&b.gradient) {
                        assert!((x - y).abs() < 1e-5 + 1e-4 * most, "{folder} {}: {x} is not {y}", a.name);
                    }
                }
            }
        }
    }
}

/// The sum of `by * logits` against a step to both sides of some values of every tensor, with dropout held fixed.
#[test]
fn gradients_agree_with_finite_differences() {
    let expected = expected();
    let texts = texts(&expected);
    let texts: Vec<&str> = texts[..4].iter().map(String::as_str).collect();
    for (folder, mean) in [
        ("bert-classifier", false),
        ("bert-classifier", true),
        ("distilbert-classifier", false),
        ("modernbert-classifier", false),
    ] {
        let mut encoder = Encoder::open(&data(folder), 512, 1).unwrap();
        if mean {
            encoder.architecture = encoder.architecture.with_mean();
        }
        encoder.architecture.dropout = [0.1, 0.1, 0.1];
        let ids = encoder.ids(&texts).unwrap();
        let batch = PackedBatch::of(ids.iter().map(Vec::as_slice));
        let dropout = Dropout::new(5, 1, 0.1);
        let pass = || passes(&encoder, 1).remove(0);
        let (_, by, mut parameters) = pass_once(&encoder, pass(), &batch, dropout);
        let mut network = Network::new(encoder.architecture(), &parameters, 3, pass());
        let mut value = |parameters: &Parameters| -> f64 {
            let logits = network.forward(parameters, &batch, false, dropout).unwrap();
            logits.iter().zip(&by).map(|(l, b)| f64::from(*l) * f64::from(*b)).sum()
        };
        for at in 0..parameters.all().len() {
            let parameter = &parameters.all()[at];
            let (name, size) = (parameter.name.clone(), parameter.gradient.len());
            let width = *parameter.shape.last().unwrap();
            // The place with the largest gradient, and one in the middle.
            let largest =
                (0..size).max_by(|a, b| parameter.gradient[*a].abs().total_cmp(&parameter.gradient[*b].abs()));
            for i in [largest.unwrap(), size / 2] {
                let analytic = f64::from(parameters.all()[at].gradient[i]);
                let place = match &parameters.all()[at].rows {
                    Some(rows) => rows.used[i / width] as usize * width + i % width,
                    None => i,
                };
                let step = 1e-2f32;
                let before = parameters.all()[at].value[place];
                let mut moved = |by: f32| {
                    parameters.all_mut()[at].value[place] = before + by;
                    value(&parameters)
                };
                let numeric = (moved(step) - moved(-step)) / f64::from(2.0 * step);
                moved(0.0);
                assert!(
                    (analytic - numeric).abs() < 2e-3 * (0.05 + analytic.abs()),
                    "{folder} {name} {i}: {analytic} by the way back, {numeric} by a step"
                );
            }
        }
    }
}

#[test]
fn texts_are_embedded_alike_alone_and_together() {
    let encoder = Encoder::open(&data("bert"), 512, 2).unwrap();
    let texts = ["she forgot", "", "mood calm and good today", "she forgot"];
    let all = encoder.embed(&texts).unwrap();
    assert_eq!(all[0], all[3]);
    for (text, wanted) in texts.iter().zip(&all) {
        near(&encoder.embed(&[text]).unwrap()[0], wanted, 1e-5, text);
        assert!((wanted.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
    }
    // What is remembered is not computed again.
    assert_eq!(encoder.unknown(&texts), ["she forgot", "", "mood calm and good today"]);
    encoder.remember(vec![(Encoder::hash(""), vec![0.5; 32]), (Encoder::hash("she forgot"), vec![0.5; 3])]);
    assert_eq!(encoder.unknown(&texts), ["she forgot", "mood calm and good today"]);
    let again = encoder.embed(&texts).unwrap();
    assert_eq!((&again[1], &again[0]), (&vec![0.5; 32], &all[0]));
    let cut = Encoder::open(&data("bert"), 4, 1).unwrap();
    assert_ne!(cut.fingerprint(), encoder.fingerprint());
    assert!(cut.ids(&["she forgot her keys again"]).unwrap()[0].len() == 4);
}

#[test]
fn a_folder_that_is_no_encoder_says_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let said = |folder: &Path| with_causes(&Encoder::open(folder, 512, 1).unwrap_err());
    assert!(said(folder.path()).contains("config.json"));
    let copy = |name: &str| std::fs::copy(data("bert").join(name), folder.path().join(name)).unwrap();
    copy("config.json");
    assert!(said(folder.path()).contains("tokenizer.json"));
    copy("tokenizer.json");
    assert!(said(folder.path()).contains("neither model.safetensors nor pytorch_model.bin"));
    std::fs::write(folder.path().join("model.safetensors"), b"no tensors").unwrap();
    assert!(said(folder.path()).contains("model.safetensors"));
    copy("model.safetensors");
    let config = std::fs::read_to_string(data("bert").join("config.json")).unwrap();
    let vocabulary = Architecture::parse(&config).unwrap().vocabulary;
    for (from, to, what) in [
        ("\"model_type\": \"bert\"", "\"model_type\": \"t5\"", "`t5`"),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "it lacks the tensor `encoder.layer.2"),
        ("\"intermediate_size\": 64", "\"intermediate_size\": 65", "config.json says"),
        (&format!("\"vocab_size\": {vocabulary}"), "\"vocab_size\": 100", "vocabulary of 100"),
        ("\"num_attention_heads\": 4", "\"num_attention_heads\": 5", "no multiple"),
        (
            "\"max_position_embeddings\": ",
            "\"max_position_embeddings\": 1, \"ignored\": ",
            "max_position_embeddings is 1",
        ),
        ("\"hidden_dropout_prob\": ", "\"hidden_dropout_prob\": 1.0, \"ignored\": ", "dropout is 1"),
        ("\"layer_norm_eps\": ", "\"layer_norm_eps\": -1.0, \"ignored\": ", "layer_norm_eps is -1"),
    ] {
        assert!(config.contains(from), "{from}");
        std::fs::write(folder.path().join("config.json"), config.replace(from, to)).unwrap();
        assert!(said(folder.path()).contains(what), "{}", said(folder.path()));
    }
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    // The last number of the last tensor: four bytes that are no number.
    let mut weights = std::fs::read(data("bert").join("model.safetensors")).unwrap();
    let end = weights.len();
    weights[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(folder.path().join("model.safetensors"), weights).unwrap();
    assert!(said(folder.path()).contains("no numbers"), "{}", said(folder.path()));
}
