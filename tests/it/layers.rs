//! Holds the sources to the layers: who may use whom, and which crates are whose.

use std::path::{Path, PathBuf};

/// Each layer, what it may use of ours, and the external crates that it alone (or with others named) may use.
const LAYERS: &[(&str, &[&str], &[&str])] = &[
    ("domain", &[], &[]),
    ("store", &["domain"], &["rusqlite", "serde_json"]),
    ("formats", &["domain"], &["toml", "toml_edit", "csv", "serde_json", "flate2", "age", "minisign"]),
    (
        "llm",
        &["domain"],
        &["reqwest", "rustls", "tokio", "candle_core", "tokenizers", "minijinja", "rayon", "serde_json", "jiff"],
    ),
    ("classifier", &["domain"], &["candle_core", "tokenizers", "safetensors", "gemm", "pulp", "rayon", "serde_json"]),
    (
        "workflow",
        &["domain", "store", "formats", "llm", "classifier"],
        &["jiff", "uuid", "serde_json", "csv", "tokio", "hf_hub"],
    ),
    (
        "cli",
        &["domain", "formats", "workflow", "tui"],
        &["clap", "clap_complete", "clap_mangen", "indicatif", "ctrlc", "serde_json", "jiff"],
    ),
    (
        "tui",
        &["domain", "formats", "workflow", "store", "classifier"],
        &["ratatui", "crossterm", "terminal_colorsaurus", "ctrlc", "serde_json"],
    ),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn all() -> Vec<(String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            let layer = name.split(['/', '.']).next().unwrap().to_owned();
            (name, layer, std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// Files that hold nothing but tests.
fn is_test(file: &str) -> bool {
    file.ends_with("tests.rs") || file.ends_with("evaluation.rs")
}

/// The part of a file that is no test.
fn program(source: &str) -> &str {
    source.split("#[cfg(test)]").next().unwrap_or(source)
}

#[test]
fn layers_use_only_those_below_them() {
    let names: Vec<&str> = LAYERS.iter().map(|(name, _, _)| *name).collect();
    let mut wrong = Vec::new();
    for (file, layer, source) in all() {
        let Some((_, uses, _)) = LAYERS.iter().find(|(name, _, _)| *name == layer) else {
            assert!(["lib", "main"].contains(&layer.as_str()), "{file} belongs to no layer");
            continue;
        };
        for other in names.iter().filter(|other| **other != layer && !uses.contains(other)) {
            if program(&source).contains(&format!("crate::{other}")) {
                wrong.push(format!("{file} uses {other}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn each_crate_has_its_layer() {
    let mut wrong = Vec::new();
    for (file, layer, source) in all().into_iter().filter(|(file, _, _)| !is_test(file)) {
        for krate in LAYERS.iter().flat_map(|(_, _, crates)| *crates) {
            let may = LAYERS.iter().any(|(name, _, crates)| *name == layer && crates.contains(krate));
            let uses = [format!("use {krate}::"), format!("{krate}::")].iter().any(|text| {
                program(&source).match_indices(text.as_str()).any(|(at, _)| {
                    // `self::toml::` or `my_toml::` is something else.
                    !program(&source)[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
                })
            });
            if uses && !may && layer != "main" {
                wrong.push(format!("{file} uses {krate}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_module_says_what_it_is_and_nothing_is_left_to_do() {
    for (file, _, source) in all() {
        assert!(source.starts_with("//!"), "{file} does not say what it is");
        for mark in ["TODO", "FIXME", "dbg!(", "todo!(", "unimplemented!("] {
            assert!(!source.contains(mark), "{file} has {mark}");
        }
        for mark in ["println!(", "eprintln!(", ".unwrap()", ".expect(", "process::exit"] {
            assert!(is_test(&file) || !program(&source).contains(mark), "{file} has {mark}");
        }
    }
}

#[test]
fn nothing_in_the_code_knows_a_disease() {
    for (file, _, source) in all().into_iter().filter(|(file, _, _)| file != "workflow/demo.rs") {
        let text = program(&source).to_lowercase();
        for word in ["alzheimer", "dementia", "cognitive_", "neuropsych"] {
            assert!(file.contains("tests") || !text.contains(word), "{file} speaks of {word}");
        }
    }
}

#[test]
fn every_test_file_is_in_the_binary() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let main = std::fs::read_to_string(root.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(root.join("it")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(main.contains(&format!("mod {};", name.trim_end_matches(".rs"))), "{name} is forgotten");
    }
}
