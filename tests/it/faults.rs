//! What a hospital's machine does to a program: full and read-only disks, damaged and newer stores, interrupted imports.
//! Each time the message says what to do, the terminal is put back, and nothing that was saved is lost.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::support::{PROGRAM, Screen, command, fails, goldsmith, program, succeeds};
use super::terminal::{numbered, project};

fn two_sentences() -> (tempfile::TempDir, String) {
    project(&["She forgets names.", "Walks with a stick."])
}

fn sentences(root: &str) -> i64 {
    let store = rusqlite::Connection::open(format!("{root}/goldsmith.db")).unwrap();
    store.query_row("SELECT count(*) FROM sentences", [], |row| row.get(0)).unwrap()
}

/// Writes beyond this many blocks of a file fail, as they do on a full disk.
fn with_room_for(blocks: u32) -> Vec<String> {
    ["-c".into(), format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""), "sh".into(), PROGRAM.into()].into()
}

#[test]
fn an_import_onto_a_full_disk_says_so_and_goes_on_when_there_is_room() {
    let (_folder, root) = two_sentences();
    let path = format!("{root}/many.jsonl");
    let lines: Vec<String> = (0..20_000)
        .map(|i| format!("{{\"id\": \"m{i}\", \"patient\": \"q{}\", \"text\": \"Number {i}.\"}}", i % 50))
        .collect();
    fs::write(&path, lines.join("\n")).unwrap();
    let mut arguments = with_room_for(1_500);
    arguments.extend(["import", &path, "--unit", "sentence", "--project", &root].map(str::to_owned));
    let output = program("sh", &arguments.iter().map(String::as_str).collect::<Vec<_>>()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write") && said.contains("make room"), "{said}");
    assert!(succeeds(&["check", "--project", &root]).starts_with("ok"));
    let before = sentences(&root);
    assert!((2..20_002).contains(&before), "{before}");
    assert!(goldsmith(&["import", &path, "--unit", "sentence", "--project", &root]).status.success());
    assert_eq!(sentences(&root), 20_002);
}

#[test]
fn a_decision_onto_a_full_disk_is_not_shown_as_saved() {
    let (_folder, root) = project(&numbered(5).iter().map(String::as_str).collect::<Vec<_>>());
    let mut arguments = with_room_for(64);
    arguments.extend(["--project", &root, "--as", "ann"].map(str::to_owned));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut screen = Screen::run("sh", &arguments, 80, 24);
    screen.shows("Sentence number 0");
    screen.type_keys("1");
    let text = screen.shows("cannot write");
    assert!(!text.contains("saved:") && text.contains("0 of 5 decided"), "{text}");
    screen.type_keys("q");
    let (code, sent) = screen.wait();
    assert_eq!(code, 0);
    assert!(sent.contains("\u{1b}[?1049l"), "the terminal is put back");
    let mut screen = Screen::open(&["--project", &root, "--as", "ann"], 80, 24);
    screen.shows("0 of 5 decided");
    screen.type_keys("1");
    screen.shows("1 of 5 decided");
    screen.kill();
}

/// Root may write anything, so the program runs as nobody where the test runs as root.
#[test]
fn a_read_only_folder_is_named() {
    let (folder, root) = two_sentences();
    let copy = folder.path().join("goldsmith");
    fs::copy(PROGRAM, &copy).unwrap();
    let mode = |path: &str, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(folder.path().to_str().unwrap(), 0o755);
    for file in fs::read_dir(&root).unwrap() {
        let path = file.unwrap().path();
        mode(path.to_str().unwrap(), if path.is_dir() { 0o555 } else { 0o444 });
    }
    mode(&root, 0o555);
    let import = [copy.to_str().unwrap(), "import", &format!("{root}/notes.jsonl"), "--project", &root];
    let id = String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap();
    let output = if id.trim() == "0" {
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        match program("setpriv", &[&nobody[..], &import].concat()).output() {
            Ok(output) => output,
            Err(error) => return eprintln!("skipped: as root without setpriv ({error})"),
        }
    } else {
        program(import[0], &import[1..]).output().unwrap()
    };
    mode(&root, 0o755);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write") && said.contains("allow writing"), "{said}");
}

#[test]
fn a_damaged_store_is_named_and_the_screen_never_opens() {
    let (_folder, root) = two_sentences();
    let path = format!("{root}/goldsmith.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[..64].fill(b'x');
    fs::write(&path, &bytes).unwrap();
    let _ = fs::remove_file(format!("{path}-wal"));
    let said = fails(&["metrics", "--project", &root]);
    assert!(said.contains("is damaged or no goldsmith store") && said.contains("restore a copy"), "{said}");
    let screen = Screen::open(&["--project", &root], 80, 24);
    screen.shows("restore a copy");
}

#[test]
fn a_store_from_a_newer_version_is_left_alone() {
    let (_folder, root) = two_sentences();
    let path = format!("{root}/goldsmith.db");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 9_000).unwrap();
    let before = fs::read(&path).unwrap();
    let said = fails(&["metrics", "--project", &root]);
    assert!(said.contains("is of version 9000") && said.contains("install a newer goldsmith"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn an_interrupted_import_goes_on_without_doubles() {
    let (_folder, root) = two_sentences();
    let line = |i: usize| format!("{{\"id\": \"m{i}\", \"patient\": \"q{}\", \"text\": \"Number {i}.\"}}\n", i % 50);
    let all: String = (0..20_000).map(line).collect();
    let mut child = command(&["import", "-", "--unit", "sentence", "--project", &root])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let first: String = (0..10_000).map(line).collect();
    input.write_all(first.as_bytes()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while sentences(&root) < 1_000 {
        assert!(Instant::now() < deadline, "nothing arrives");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    // The input goes on until nobody reads it: at its end the import would be done, and right to say so.
    while input.write_all(first.as_bytes()).is_ok() {
        assert!(Instant::now() < deadline, "the signal stops nothing");
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("run the same command again to resume"), "{said}");
    let path = format!("{root}/all.jsonl");
    fs::write(&path, all).unwrap();
    assert!(goldsmith(&["import", &path, "--unit", "sentence", "--project", &root]).status.success());
    assert_eq!(sentences(&root), 20_002);
    assert!(succeeds(&["check", "--project", &root]).starts_with("ok"));
}

/// Both selection modes, from labels to scores: here sentences carry several categories.
#[test]
fn sentences_with_several_categories_train_and_score() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("study").to_str().unwrap().to_owned();
    succeeds(&["init", &root]);
    let taxonomy = format!("{root}/taxonomy.toml");
    let text = fs::read_to_string(&taxonomy).unwrap().replace("selection = \"single\"", "selection = \"multiple\"");
    fs::write(&taxonomy, text).unwrap();
    let mut lines = String::new();
    for i in 0..160 {
        let (text, labels) = match i % 4 {
            0 => ("forgets her tablets and her names", "[\"cognitive_impairment\"]"),
            1 => ("needs help to dress", "[\"requires_assistance\"]"),
            2 => ("forgets names and needs help to wash", "[\"cognitive_impairment\", \"requires_assistance\"]"),
            _ => ("blood pressure is fine", "[\"none\"]"),
        };
        lines += &format!(
            "{{\"id\": \"{i}\", \"patient\": \"p{}\", \"text\": \"She {text} {i}.\", \"label\": {labels}}}\n",
            i % 40
        );
    }
    let path = format!("{root}/labelled.jsonl");
    fs::write(&path, lines).unwrap();
    let output = goldsmith(&["import", &path, "--unit", "sentence", "--annotator", "ann", "--project", &root]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("160 labels taken in"));
    assert!(goldsmith(&["train", "--project", &root]).status.success());
    let score: serde_json::Value = serde_json::from_str(&succeeds(&["score", "--json", "--project", &root])).unwrap();
    let of = |key: &str| {
        let rows = score["report"]["categories"].as_array().unwrap();
        rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("{score}")).clone()
    };
    for key in ["cognitive_impairment", "requires_assistance"] {
        assert!(of(key)["f1"]["value"].as_f64().unwrap() > 0.8, "{score}");
    }
    let predicted = succeeds(&["predict", &path, "--project", &root]);
    let third: serde_json::Value = serde_json::from_str(predicted.lines().nth(2).unwrap()).unwrap();
    assert_eq!(third["label"], serde_json::json!(["cognitive_impairment", "requires_assistance"]));
    assert!(third.get("probabilities").is_some(), "{third}");
}

#[test]
fn the_demo_prints_its_summary_where_there_is_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("demo").to_str().unwrap().to_owned();
    let said = succeeds(&["demo", &root]);
    assert!(said.contains("silver of Qwen2.5 Coder 1.5B Instruct") && said.contains("on held-out gold"), "{said}");
    let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&root), mode(&format!("{root}/goldsmith.db"))), (0o700, 0o600));
    let store = rusqlite::Connection::open(format!("{root}/goldsmith.db")).unwrap();
    let count = |sql: &str| store.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert!(
        count(
            "SELECT count(*) FROM patients p WHERE EXISTS (SELECT 1 FROM documents WHERE patient = p.id AND origin = 'real')"
        ) >= 24
    );
    assert!(count("SELECT count(*) FROM documents WHERE origin = 'real'") >= 120);
    assert!(count("SELECT count(*) FROM sentences WHERE synthetic = 0") >= 2_500);
    assert!(count("SELECT count(*) FROM sentences WHERE synthetic = 1") >= 50);
    assert_eq!(count("SELECT count(DISTINCT label) FROM standing WHERE label NOT LIKE '%,%'"), 10, "nine and None");
    let double =
        "SELECT count(*) FROM standing a JOIN standing b ON a.sentence = b.sentence AND a.annotator < b.annotator";
    let (both, differ) = (count(double), count(&format!("{double} WHERE a.label <> b.label")));
    assert!(both >= 200 && differ > 0 && differ * 2 < both, "{differ} of {both}");
}
