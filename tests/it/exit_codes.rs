//! What a shell sees at the end: every code that `goldsmith --help` lists, and that nothing achieved is never 0.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::model_server::{Act, Server};
use super::support::{command, ends, succeeds};

struct Study {
    _folder: tempfile::TempDir,
    root: String,
}

impl Study {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("study").to_str().unwrap().to_owned();
        succeeds(&["init", &root]);
        Self { _folder: folder, root }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = format!("{}/{name}", self.root);
        fs::write(&path, text).unwrap();
        path
    }

    /// Runs a verb here and expects a code; gives what it said on standard error.
    #[track_caller]
    fn ends(&self, arguments: &[&str], code: i32) -> String {
        ends(&[arguments, &["--project", &self.root]].concat(), code)
    }

    fn with_sentences() -> Self {
        let study = Self::new();
        let notes = study.file("notes.csv", "id,patient,text\n1,p1,She forgets names.\n2,p2,She came by bus.\n");
        study.ends(&["import", &notes, "--unit", "sentence"], 0);
        study
    }
}

#[test]
fn help_lists_the_codes() {
    let help = succeeds(&["--help"]);
    for code in
        ["  0    done", "  1    refused", "  2    the command line", "  3    nothing was done", "  130  stopped"]
    {
        assert!(help.contains(code), "{code}: {help}");
    }
}

#[test]
fn a_refusal_is_1_and_its_hints_stand_apart() {
    let study = Study::new();
    let said = study.ends(&["runs", "show", "nowhere"], 1);
    assert_eq!(said, "error: there is no run `nowhere`\n\nhint: `goldsmith runs` lists them\n");
    let said = study.ends(&["label", "--model", "nowhere"], 1);
    assert!(said.contains("\n\nhint: it has none; or pass --gguf FILE or --url URL\n"), "{said}");
    study.ends(&["assign"], 1);
    study.ends(&["experiment"], 1);
    study.ends(&[], 1);
    let missing = study.ends(&["import", "nowhere.csv"], 1);
    assert!(missing.contains("nowhere.csv: No such file"), "what is behind an error is said once: {missing}");
    ends(&["metrics", "--project", "/nowhere"], 1);
}

#[test]
fn what_is_found_wrong_is_1() {
    let study = Study::with_sentences();
    let labels = study.file("labels.csv", "id,patient,text,label\n1,p1,She forgets names.,cognitive_impairment\n");
    study.ends(&["import", &labels, "--unit", "sentence", "--annotator", "ann"], 0);
    study.ends(&["audit"], 0);
    let faulty = study.file("faulty.toml", "name = \"t\"\n[[category]]\nkey = \"A\"\n");
    study.ends(&["taxonomy", "check", &faulty], 1);
    let store = Connection::open(format!("{}/goldsmith.db", study.root)).unwrap();
    let guards = "SELECT group_concat('DROP TRIGGER ' || name, ';') FROM sqlite_master WHERE type = 'trigger'";
    let guards: Option<String> = store.query_row(guards, [], |row| row.get(0)).unwrap();
    store.execute_batch(&guards.unwrap_or_default()).unwrap();
    store.execute_batch("UPDATE events SET stand = replace(stand, 'cognitive_impairment', 'coping_strategy')").unwrap();
    study.ends(&["audit"], 1);
}

#[test]
fn a_command_line_that_cannot_be_meant_is_2() {
    let study = Study::with_sentences();
    study.ends(&["nonsense"], 2);
    study.ends(&["import"], 2);
    study.ends(&["audit", "--log", "--since", "yesterday"], 2);
    study.ends(&["audit", "--expect", "0123"], 2);
    let notes = format!("{}/notes.csv", study.root);
    let said = study.ends(&["import", &notes, "--annotator", "ann"], 2);
    assert!(said.contains("\nhint: pass --unit sentence"), "{said}");
    study.ends(&["taxonomy", "merge", "coping_strategy", "--into", "coping_strategy"], 2);
    study.ends(&["simulate", "--strategies", "alphabetical"], 2);
}

#[test]
fn an_import_in_which_no_record_came_in_is_3() {
    let study = Study::new();
    let empty = study.file("empty.csv", "id,patient,text\n");
    study.ends(&["import", &empty], 3);
    let bad = study.file("bad.jsonl", "{\"no\": \"text\"}\n{\"no\": \"text\"}\n");
    let said = study.ends(&["import", &bad], 3);
    assert!(said.contains("2 bad records were left out"), "{said}");
    let notes = study.file("notes.csv", "id,patient,text\n1,p1,She forgets names.\n");
    study.ends(&["import", &notes], 0);
    // Nothing is new, but what was asked for holds: a script may import again what it is not sure of.
    let said = study.ends(&["import", &notes], 0);
    assert!(said.contains("0 new notes with 0 sentences; 1 were there already"), "{said}");
}

#[test]
fn a_run_in_which_every_sentence_failed_is_3() {
    let study = Study::with_sentences();
    let willing = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let ready = willing.clone();
    let server = Server::start(move |query| {
        let whole = ready.load(std::sync::atomic::Ordering::Relaxed) && query.has("bus");
        if whole { Act::Ok } else { Act::TenMegabytes }
    });
    let url = server.url();
    let label = ["label", "--url", &url, "--model", "made-up"];
    let said = study.ends(&label, 3);
    assert!(said.contains(" 0 sentences labelled") && said.contains("2 sentences failed"), "{said}");
    // It is no better for being asked again.
    study.ends(&label, 3);
    willing.store(true, std::sync::atomic::Ordering::Relaxed);
    let said = study.ends(&[&label[..], &["--retry-failed"]].concat(), 0);
    assert!(said.contains(" 1 sentences labelled") && said.contains("1 sentences failed"), "{said}");
}

#[test]
fn generation_that_kept_nothing_is_3() {
    let study = Study::with_sentences();
    let server = Server::start(|_| Act::Prose);
    let url = server.url();
    let said = study.ends(
        &["generate", "--url", &url, "--model", "made-up", "--per-category", "1", "--categories", "coping_strategy"],
        3,
    );
    assert!(said.contains("0 of 1 passed"), "{said}");
}

#[test]
fn what_has_nothing_to_work_on_is_3() {
    let study = Study::with_sentences();
    study.ends(&["export", "gold"], 3);
    study.ends(&["metrics"], 3);
    study.ends(&["metrics", "--json"], 3);
    study.ends(&["agreement"], 3);
    study.ends(&["taxonomy", "undo"], 3);
    let out = format!("{}/out.bundle", study.root);
    study.ends(&["bundle", &out], 3);
    assert!(!fs::exists(&out).unwrap());
    // These were asked a question, and `none` answers it.
    study.ends(&["runs"], 0);
    study.ends(&["egress"], 0);
    study.ends(&["status"], 0);
    study.ends(&["audit"], 0);
}

#[test]
fn who_stops_it_gets_130() {
    let study = Study::with_sentences();
    let server = Server::start(|_| Act::Hang);
    let child = command(&["label", "--url", &server.url(), "--model", "made-up", "--project", &study.root])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while server.asked().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing is asked");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("stopped; run the same command again to resume"), "{said}");
}
