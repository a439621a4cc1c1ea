//! Holds the sources to the layers: who may use whom, which crates are whose, and that no files form a circle.

mod bites;
mod rules;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use rules::Layer;
use sources::Sources;

/// Crates that do nothing but compute: every room may use them.
pub(super) const PURE: &str =
    "hex rand rand_chacha rustc_hash serde sha2 strsim thiserror unicode_segmentation unicode_width";

/// The rooms of the program, each with what it may use of ours and of other crates: all that it uses, and no more.
pub(super) const LAYERS: &[Layer] = &[
    Layer { name: "domain", uses: "", crates: "ed25519_dalek serde_json" },
    Layer { name: "plain_file", uses: "", crates: "rustix" },
    Layer { name: "store", uses: "domain", crates: "rusqlite serde_json tracing" },
    Layer {
        name: "formats",
        uses: "domain plain_file",
        crates: "age chardetng csv encoding_rs flate2 minijinja minisign serde_json tempfile toml toml_edit",
    },
    Layer {
        name: "llm",
        uses: "domain plain_file",
        crates: "candle_core http hyper_util jiff minijinja rayon reqwest rustls serde_json tokenizers tokio tower tracing",
    },
    Layer {
        name: "classifier",
        uses: "domain plain_file",
        crates: "candle_core gemm pulp rayon safetensors serde_json tempfile tokenizers",
    },
    Layer {
        name: "workflow",
        uses: "domain plain_file store formats llm classifier",
        crates: "csv jiff regex_lite rustix serde_json tempfile tokio tracing uuid",
    },
    Layer {
        name: "tui",
        // `tui::effect` alone keeps the store open between effects, and reads by it what has no rule: texts, runs, counts.
        uses: "domain formats workflow store",
        crates: "crossterm ctrlc ratatui serde_json terminal_colorsaurus tracing",
    },
    Layer {
        name: "cli",
        uses: "domain formats workflow tui",
        crates: "clap ctrlc indicatif jiff serde_json tempfile tracing tracing_appender \
                 tracing_subscriber",
    },
    // It reads nothing itself: it names each reader once.
    Layer { name: "fuzzing", uses: "domain formats llm classifier tui", crates: "serde_json tempfile" },
    Layer { name: "main", uses: "cli", crates: "clap" },
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(folder: &Path, below: &str, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{below}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            read(&path, &format!("{name}/"), found);
        } else if name.ends_with(".rs") {
            found.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// The names in `[dependencies]`, as code writes them.
fn dependencies() -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    manifest["dependencies"].as_table().unwrap().keys().map(|name| name.replace('-', "_")).collect()
}

static PROGRAM: LazyLock<Sources> = LazyLock::new(|| {
    let mut files = BTreeMap::new();
    read(&root().join("src"), "", &mut files);
    Sources::read(&files, &dependencies())
});

const NOTHING: &[String] = &[];

#[test]
fn layers_use_what_the_table_allows() {
    assert_eq!(rules::layers(&PROGRAM, LAYERS, PURE), NOTHING);
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let found = rules::circles(&PROGRAM);
    let ways: Vec<&str> = found.iter().map(|circle| circle.way.as_str()).collect();
    assert!(ways.is_empty(), "a circle:\n{}", ways.join("\n\n"));
}

#[test]
fn every_module_says_what_it_is_and_nothing_is_left_to_do() {
    assert_eq!(rules::said(&PROGRAM), NOTHING);
}

/// A field whose name says all needs no comment; a type that others use does.
#[test]
fn every_type_that_others_use_says_what_it_is() {
    assert_eq!(rules::types_without_docs(&PROGRAM, &["cli/arguments", "without_"]), NOTHING);
}

/// A library does not know by which verb or option it is called: what to type is for `workflow::advice` to say.
#[test]
fn no_room_below_the_use_cases_says_what_to_type() {
    let mut files = BTreeMap::new();
    read(&root().join("src"), "", &mut files);
    // The text of a new project file and the page of an experiment are documents, not messages.
    let documents = |name: &str| name.starts_with("formats/project") || name == "formats/experiment/html.rs";
    let rooms = ["domain", "store", "formats", "llm", "classifier"];
    let of_a_room =
        |name: &str| rooms.iter().any(|room| name.strip_prefix(room).is_some_and(|n| n.starts_with(['/', '.'])));
    let mut wrong = Vec::new();
    for (name, text) in files.iter().filter(|(name, _)| of_a_room(name) && !documents(name)) {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let typed = lines.filter(|line| line.contains("`goldsmith ") || line.contains(" --"));
        wrong.extend(typed.map(|line| format!("{name}: {}", line.trim())));
    }
    assert_eq!(wrong, NOTHING);
}

#[test]
fn nothing_in_the_code_knows_a_disease() {
    assert_eq!(rules::diseases(&PROGRAM, &["workflow/demo.rs"]), NOTHING);
}

#[test]
fn every_test_file_is_in_the_binary() {
    let root = root().join("tests");
    let main = std::fs::read_to_string(root.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(root.join("it")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(main.contains(&format!("mod {};", name.trim_end_matches(".rs"))), "{name} is forgotten");
    }
}
