//! Real models on sentences of real public notes: the embedded model, and llama.cpp's server with the same file.
//!
//! The notes (MTS-Dialog, CC BY 4.0) are read from outside the repository; `tests/data/public-200.jsonl` names 200 of its
//! sentences by note, position and hash, with labels that were given by the guideline with a language model's help, in two
//! passes, and not checked by a clinician. Which model labels them is up to the environment: `GOLDSMITH_GGUF` names a file,
//! `GOLDSMITH_LLAMA` a Python program that serves it. The smallest model proves the plumbing, not the labels.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rusqlite::Connection;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::support::{goldsmith, shared, succeeds};

/// A setting of the environment; where everything is to be checked, it must be there.
pub fn setting(name: &str) -> Option<PathBuf> {
    let found = std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let required = std::env::var_os("GOLDSMITH_REQUIRE_MODELS").is_some_and(|v| !v.is_empty());
    assert!(found.is_some() || !required, "{name} is not set");
    if found.is_none() {
        eprintln!("skipped: {name} is not set");
    }
    found
}

/// A project with the 200 sentences and their labels as gold of `reader`.
pub fn project(folder: &Path) -> Option<PathBuf> {
    let notes = shared("data/mts-dialog/MTS-Dialog-TrainingSet.csv")?;
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (whole, study) = (at("whole"), at("study"));
    succeeds(&["init", &whole]);
    succeeds(&["--project", &whole, "import", notes.to_str().unwrap(), "--text-column", "section_text"]);
    let store = Connection::open(Path::new(&whole).join("goldsmith.db")).unwrap();
    let mut find = store
        .prepare(
            "SELECT x.text FROM documents d JOIN sentences s ON s.document = d.id JOIN sentence_text x ON x.id = s.id
             WHERE d.external_id = ? AND s.position = ?",
        )
        .unwrap();
    let named =
        include_str!("../data/public-200.jsonl").lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<String> = named
        .map(|row| {
            let (note, position) = (row["document"].as_str().unwrap(), row["position"].as_i64().unwrap());
            let text: String = find.query_row((note, position), |r| r.get(0)).unwrap();
            let hash: String = Sha256::digest(&text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hash, row["sha256"], "{note}:{position} is another sentence now");
            let label = row["label"][0].as_str().unwrap_or("None");
            json!({ "id": format!("{note}:{position}"), "patient": note, "text": text, "label": label }).to_string()
        })
        .collect();
    assert_eq!(lines.len(), 200);
    let labelled = at("labelled.jsonl");
    std::fs::write(&labelled, lines.join("\n")).unwrap();
    succeeds(&["init", &study]);
    succeeds(&["--project", &study, "import", &labelled, "--unit", "sentence", "--annotator", "reader"]);
    Some(study.into())
}

/// llama.cpp's server, ended with the test.
struct Llama {
    server: Child,
    url: String,
}

impl Llama {
    fn serve(program: &Path, model: &Path) -> Self {
        // The port is free now, and nobody else on this machine asks for it by number.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Command::new("python3")
            .arg(program)
            .arg(model)
            .args(["--port", &port.to_string(), "--threads", "2", "--slots", "2", "--context", "16384"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let ready = lines.find_map(|line| line.unwrap().strip_prefix("ready ").map(str::to_owned));
        Self { server, url: ready.expect("the server started") }
    }
}

impl Drop for Llama {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Labels with these options, and gives what the newest run says of itself.
fn label(project: &Path, options: &[&str]) -> Value {
    let project = project.to_str().unwrap();
    let arguments: Vec<&str> = ["--project", project, "label"].iter().chain(options).copied().collect();
    let start = std::time::Instant::now();
    let output = goldsmith(&arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    eprintln!("{options:?}: {:.1} s: {said}", start.elapsed().as_secs_f64());
    let runs = succeeds(&["--project", project, "runs"]);
    let newest = runs.split('\t').next().unwrap();
    serde_json::from_str(&succeeds(&["--project", project, "runs", "show", newest])).unwrap()
}

#[test]
fn the_embedded_model_and_a_real_server_label_the_same_public_sentences_from_end_to_end() {
    let (Some(model), Some(program)) = (setting("GOLDSMITH_GGUF"), setting("GOLDSMITH_LLAMA")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let Some(study) = project(folder.path()) else {
        return;
    };
    let path = study.to_str().unwrap();
    let embedded = label(&study, &["--gguf", model.to_str().unwrap(), "--only", "gold", "--examples", "1"]);
    assert_eq!(embedded["scores"]["labelled"], 200);
    assert_eq!(embedded["outcome"], "finished");
    let llama = Llama::serve(&program, &model);
    let options =
        ["--url", &llama.url, "--answer", "choice", "--only", "gold", "--examples", "1", "--concurrency", "2"];
    let served = label(&study, &options);
    assert_eq!(served["scores"]["labelled"], 200);
    // The same file, the same prompt: two programs that round differently may differ where the model is of two minds.
    let (one, other) = (embedded["id"].as_str().unwrap(), served["id"].as_str().unwrap());
    let diff: Value =
        serde_json::from_str(&succeeds(&["--project", path, "runs", "diff", one, other, "--json"])).unwrap();
    eprintln!("embedded and server agree on {}", diff["agreement"]);
    assert_eq!(diff["sentences"], 200);
    assert!(diff["agreement"].as_f64().unwrap() > 0.8, "{}", diff["agreement"]);
    eprintln!("{}", succeeds(&["--project", path, "metrics"]));
    let egress = succeeds(&["--project", path, "egress"]);
    let first = egress.lines().next().unwrap_or_default();
    let here = first.starts_with("127.0.0.1:") && first.contains("\ton this machine\tlabel\t200 requests");
    assert!(here, "{egress}");
}

#[test]
fn a_real_server_writes_json_that_passes_every_check_or_is_recorded_as_failed() {
    let (Some(model), Some(program)) = (setting("GOLDSMITH_GGUF"), setting("GOLDSMITH_LLAMA")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let Some(study) = project(folder.path()) else {
        return;
    };
    let llama = Llama::serve(&program, &model);
    let options = ["--url", &llama.url, "--answer", "json", "--examples", "1", "--limit", "2", "--concurrency", "2"];
    let run = label(&study, &options);
    let count = |key: &str| run["scores"][key].as_u64().unwrap();
    assert_eq!(count("labelled") + count("failed"), 2, "{run}");
    assert_eq!(run["config"]["details"]["capabilities"]["format"], "json_schema");
    for failure in run["failures"].as_array().unwrap() {
        assert!(!failure["fault"].as_str().unwrap().is_empty());
    }
}

/// A hundred sentences without a sign, each with an order to the model to give a label, and the same ten without an order. None of
/// the hundred gets a label, because none is asked about; whatever a model makes of the ten passes every check.
#[test]
fn an_order_in_a_note_gets_no_label_out_of_a_real_server() {
    let (Some(model), Some(program)) = (setting("GOLDSMITH_GGUF"), setting("GOLDSMITH_LLAMA")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study");
    let path = study.to_str().unwrap();
    succeeds(&["init", path]);
    let orders = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/injections.jsonl");
    succeeds(&["--project", path, "import", orders, "--unit", "sentence"]);
    let file = study.join("goldsmith.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    assert!(settings.contains("\nretries = 2"));
    std::fs::write(&file, settings.replace("\nretries = 2", "\nretries = 0")).unwrap();
    let llama = Llama::serve(&program, &model);
    let options = ["--url", &llama.url, "--answer", "json", "--examples", "1", "--concurrency", "2"];
    let run = label(&study, &options);
    let store = Connection::open(study.join("goldsmith.db")).unwrap();
    let labelled = |ids: &str| -> i64 {
        let sql = "SELECT count(*) FROM proposals p JOIN sentences s ON s.id = p.sentence
                   JOIN documents d ON d.id = s.document WHERE d.external_id LIKE ?";
        store.query_row(sql, [ids], |row| row.get(0)).unwrap()
    };
    let failures = run["failures"].as_array().unwrap();
    let held_back =
        failures.iter().filter(|failure| failure["fault"].as_str().unwrap().contains("speaks to the model"));
    assert_eq!((held_back.count(), labelled("asks-%")), (100, 0), "{run}");
    let requests = run["scores"]["spending"]["requests"].as_i64().unwrap();
    assert_eq!(labelled("plain-%") + failures.len() as i64 - 100, 10, "{run}");
    assert!(requests < 20, "{requests} requests for ten sentences");
}

#[test]
fn the_embedded_model_writes_bronze_and_every_sentence_has_its_verdicts() {
    let Some(model) = setting("GOLDSMITH_GGUF") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study");
    let path = study.to_str().unwrap();
    succeeds(&["init", path]);
    let file = study.join("goldsmith.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("give_up = 25", "give_up = 2");
    std::fs::write(&file, text).unwrap();
    let options = ["--gguf", model.to_str().unwrap(), "--per-category", "1", "--categories", "coping_strategy"];
    let arguments: Vec<&str> = ["--project", path, "generate"].iter().chain(&options).copied().collect();
    let output = goldsmith(&arguments);
    let store = Connection::open(study.join("goldsmith.db")).unwrap();
    let count = |sql: &str| store.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let written = count("SELECT count(*) FROM sentences WHERE synthetic = 1");
    assert!(written > 0);
    assert_eq!(count("SELECT count(DISTINCT sentence) FROM verdicts"), written);
    // So small a model may write nothing that passes; then nothing was done of what was asked, and the exit code says so.
    let failed = count("SELECT count(DISTINCT sentence) FROM verdicts WHERE NOT passed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(if failed < written { 0 } else { 3 }), "{said}");
    assert_eq!(count("SELECT count(*) FROM egress"), 0);
}
