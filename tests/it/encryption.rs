//! A project under a key: no word of a note in any file, each way to hold the key, and what is said where it does not fit.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use super::model_server::Server;
use super::support::{PROGRAM, Screen, command, ends, fails, goldsmith, succeeds};

/// Nobody would write this by chance.
const PLANTED: &str = "zqxplanted";
const KEY: &str = "qvxkey horse battery staple";

/// A project with planted sentences in a plain store, with a label each; beside it, what is no part of it.
struct Study {
    folder: tempfile::TempDir,
    root: String,
}

impl Study {
    fn of(sentences: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("study").to_str().unwrap().to_owned();
        succeeds(&["init", &root]);
        let study = Self { folder, root };
        let row = |i: usize| {
            let (text, label) = match i % 2 {
                0 => ("forgets the names of her children", "cognitive_impairment"),
                _ => ("came by bus", "none"),
            };
            format!("id-{i},patient-{},\"{PLANTED} {text}, visit {i}.\",{label}\n", i / 2 % 40)
        };
        let file = study.beside("notes.csv");
        fs::write(&file, format!("id,patient,text,label\n{}", (0..sentences).map(row).collect::<String>())).unwrap();
        study.succeeds(&["import", &file, "--unit", "sentence", "--annotator", "ann"]);
        study
    }

    /// A file that is no part of the project.
    fn beside(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Says where the key comes from.
    fn key_is(&self, setting: &str) {
        let path = format!("{}/goldsmith.toml", self.root);
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with("key = "));
        let lines = lines.map(|line| if line == "[encryption]" { format!("{line}\n{setting}") } else { line.into() });
        fs::write(&path, lines.collect::<Vec<String>>().join("\n")).unwrap();
    }

    /// Writes a key beside the project and names it.
    fn key_in_a_file(&self, name: &str, key: &str) -> String {
        let path = self.beside(name);
        fs::write(&path, format!("{key}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self.key_is(&format!("key = {{ file = {path:?} }}"));
        path
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["--project", &self.root], more].concat()
    }

    #[track_caller]
    fn succeeds(&self, more: &[&str]) -> String {
        succeeds(&self.arguments(more))
    }

    #[track_caller]
    fn fails(&self, more: &[&str]) -> String {
        fails(&self.arguments(more))
    }

    /// Whether the store opens with the key that is named.
    fn setting_fits(&self) -> bool {
        goldsmith(&self.arguments(&["audit"])).status.success()
    }

    fn sentences(&self) -> String {
        self.succeeds(&["export", "gold"])
    }
}

/// The files below a folder that hold one of some words, in small letters or as they are.
fn holding(folder: &Path, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, words));
            continue;
        }
        let bytes = fs::read(&path).unwrap().to_ascii_lowercase();
        let has = |word: &&str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
        if words.iter().any(has) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn no_file_of_an_encrypted_project_holds_a_word_of_a_note_or_the_key() {
    let study = Study::of(80);
    let (root, secret) = (Path::new(&study.root), [PLANTED, "her children", "came by", "qvxkey"]);
    assert_eq!(holding(root, &[PLANTED]), [format!("{}/goldsmith.db", study.root)], "a plain store is readable");
    study.key_in_a_file("store.key", KEY);
    study.succeeds(&["store", "encrypt"]);
    assert_eq!(holding(root, &secret), Vec::<String>::new());

    // Everything that works on notes, with its log and its temporary files in the project's folder.
    let (log, temporary) = (format!("{}/log", study.root), format!("{}/tmp", study.root));
    fs::create_dir(&temporary).unwrap();
    let run = |more: &[&str]| -> Output {
        let all = [&["--project", &study.root, "--log-file", &log, "--log-level", "trace"], more].concat();
        let output = command(&all).env("TMPDIR", &temporary).env("WORD", "hush, hush").output().unwrap();
        assert!(output.status.success(), "{more:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    };
    let more = study.beside("more.jsonl");
    let line =
        |i: usize| format!("{{\"id\": \"m{i}\", \"patient\": \"q{i}\", \"text\": \"{PLANTED} came by bus {i}.\"}}\n");
    fs::write(&more, (0..200).map(line).collect::<String>()).unwrap();
    run(&["import", &more, "--unit", "sentence"]);
    let server = Server::willing();
    run(&["label", "--url", &server.url(), "--model", "made-up", "--limit", "60"]);
    assert!(server.log().iter().any(|seen| seen.body.to_string().contains(PLANTED)), "the sentences were sent");
    run(&["train"]);
    run(&["score"]);
    run(&["doubt"]);
    run(&["queue"]);
    let paper = format!("{}/paper", study.root);
    run(&["experiment", "--sets", "gold", "--seeds", "1", "--tasks", "multi", "--out", &paper]);
    run(&["audit"]);
    run(&["bundle", &format!("{}/ward.age", study.root), "--with-text", "--passphrase-env", "WORD"]);
    assert_eq!(holding(root, &secret), Vec::<String>::new());

    // In the workbench: decisions and a search; then it is killed, so that its write-ahead log stays behind.
    let temporary = format!("TMPDIR={temporary}");
    let arguments = [&temporary, PROGRAM, "--project", &study.root, "--as", "ben", "--log-file", &log];
    let mut screen = Screen::run("/usr/bin/env", &arguments, 120, 40);
    screen.shows("0 of 280");
    for (n, key) in ["0", "1", "0"].iter().enumerate() {
        screen.type_keys(key);
        screen.shows(&format!("{} of 280", n + 1));
    }
    screen.type_keys(&format!("/{PLANTED} bus\r"));
    screen.shows(&format!("filter `{PLANTED} bus`"));
    screen.kill();
    assert!(fs::metadata(format!("{}/goldsmith.db-wal", study.root)).unwrap().len() > 0);
    assert_eq!(holding(root, &secret), Vec::<String>::new());
    assert!(study.succeeds(&["status"]).contains("ben"), "what was decided is there");

    // What is asked for in plain text is plain, and says so.
    let batch = study.beside("batch.jsonl");
    let output =
        run(&["label", "--url", &server.url(), "--model", "made-up", "--limit", "70", "--export-batch", &batch]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("it contains text of notes"));
    assert!(fs::read_to_string(&batch).unwrap().contains(PLANTED));
}

#[test]
fn the_key_changes_and_the_store_stays_the_same() {
    let study = Study::of(40);
    let before = study.sentences();
    assert!(before.contains(PLANTED));
    study.key_in_a_file("store.key", KEY);
    study.succeeds(&["store", "encrypt"]);
    assert_eq!(study.sentences(), before);
    ends(&study.arguments(&["store", "encrypt"]), 3);

    // To another file, with random digits as `openssl rand -hex 32` gives them, which are taken as they are.
    let digits = "0123456789abcdef".repeat(4);
    let old = study.key_in_a_file("new.key", &digits);
    study.key_in_a_file("store.key", KEY);
    study.succeeds(&["store", "rekey", "--new-file", &old]);
    assert!(study.fails(&["status"]).contains("does not open"), "the old key opens nothing");
    study.key_in_a_file("new.key", &digits);
    assert_eq!(study.sentences(), before);

    // To a variable of the environment, and to a program.
    study.key_is("key = { command = [\"printf\", \"qvx%s\\n\", \"correct horse\"] }");
    let refused = study.fails(&["status"]);
    assert!(refused.contains("the key that `printf` printed does not open") && !refused.contains("qvx"), "{refused}");
    study.key_in_a_file("new.key", &digits);
    study.succeeds(&["store", "rekey", "--new-command", "printf", "qvx%s\\n", "correct horse"]);
    study.key_is("key = { command = [\"printf\", \"qvx%s\\n\", \"correct horse\"] }");
    assert_eq!(study.sentences(), before);
    // A file that others can write would have us run what they like.
    let file = format!("{}/goldsmith.toml", study.root);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(study.fails(&["status"]).contains("others than you can change it"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();

    study.succeeds(&["store", "decrypt"]);
    assert!(study.fails(&["status"]).contains("is not encrypted"), "no word is written in plain by mistake");
    study.key_is("");
    assert_eq!(study.sentences(), before);
    assert!(study.succeeds(&["check"]).starts_with("ok"));
    study.succeeds(&["audit"]);
}

#[test]
fn what_is_wrong_with_a_key_is_said_with_what_to_do() {
    let study = Study::of(4);
    assert!(study.fails(&["store", "encrypt"]).contains("under [encryption] in goldsmith.toml"));
    study.key_is("key = { env = \"GOLDSMITH_TEST_KEY\" }");
    let with = |key: Option<&str>, more: &[&str], code: i32| {
        let mut command = command(&study.arguments(more));
        match key {
            Some(key) => command.env("GOLDSMITH_TEST_KEY", key),
            None => command.env_remove("GOLDSMITH_TEST_KEY"),
        };
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{more:?}: {said}");
        assert!(!said.contains("qvx") && !said.contains("panicked"), "{said}");
        said
    };
    assert!(with(Some(KEY), &["status"], 1).contains("`goldsmith store encrypt` encrypts it"));
    assert!(with(None, &["store", "encrypt"], 1).contains("the environment has no GOLDSMITH_TEST_KEY"));
    assert!(with(Some("qvxshort"), &["store", "encrypt"], 2).contains("fewer than 12 characters"));
    with(Some(KEY), &["store", "encrypt"], 0);
    with(Some(KEY), &["status"], 0);
    assert!(with(None, &["status"], 1).contains("export GOLDSMITH_TEST_KEY="));
    let wrong = with(Some("qvx another key"), &["status"], 1);
    assert!(wrong.contains("the key in GOLDSMITH_TEST_KEY does not open"), "{wrong}");
    study.key_is("");
    let unnamed = with(None, &["status"], 1);
    assert!(unnamed.contains("or it is encrypted") && unnamed.contains("under [encryption]"), "{unnamed}");
    with(None, &["store", "rekey"], 2);

    let path = study.key_in_a_file("store.key", KEY);
    study.succeeds(&["status"]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(study.fails(&["status"]).contains("`chmod 600 "));
    fs::remove_file(&path).unwrap();
    assert!(study.fails(&["status"]).contains("cannot read"));

    // Without a terminal nobody can be asked.
    study.key_is("key = \"ask\"");
    let mut alone = std::process::Command::new("setsid");
    alone.arg(PROGRAM).args(study.arguments(&["status"])).stdin(Stdio::null());
    let output = alone.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("there is no terminal"), "{said}");
}

#[test]
fn a_key_is_typed_unseen_and_a_store_in_use_keeps_its_own() {
    let study = Study::of(4);
    study.key_is("key = \"ask\"");
    let type_keys = |arguments: &[&str], keys: &[&str]| {
        let mut screen = Screen::open(&study.arguments(arguments), 80, 24);
        for (n, key) in keys.iter().enumerate() {
            // The question is on the screen as often as it was asked.
            screen.until("the question", |text| {
                text.matches("of the store: ").count() + text.matches("more: ").count() > n
            });
            screen.type_keys(&format!("{key}\r"));
        }
        screen
    };
    let said = type_keys(&["store", "encrypt"], &[KEY, "something else"]).shows("are not the same");
    assert!(!said.contains("qvx"), "{said}");
    let said = type_keys(&["store", "encrypt"], &[KEY, KEY]).shows("is encrypted with the key that was typed");
    assert!(!said.contains("qvx"), "{said}");
    type_keys(&["status"], &["qvx the wrong one"]).shows("the key that was typed does not open");
    let mut screen = Screen::open(&study.arguments(&["status"]), 80, 24);
    screen.shows("key of the store: ");
    screen.type_keys("\u{3}");
    screen.shows("stopped");

    let mut workbench = type_keys(&["--as", "ben"], &[KEY]);
    workbench.shows("0 of 4");
    type_keys(&["store", "rekey", "--new-ask"], &[KEY, "qvx another key", "qvx another key"])
        .until("a refusal", |text| text.contains("hint: close every workbench"));
    workbench.type_keys("0");
    workbench.shows("1 of 4");
    workbench.type_keys("q");
    assert_eq!(workbench.wait().0, 0);
}

#[test]
fn a_store_that_was_killed_on_its_way_is_there_and_whole() {
    let study = Study::of(5_000);
    let before = study.sentences();
    let key = study.key_in_a_file("store.key", KEY);
    let (store, copy) = (format!("{}/goldsmith.db", study.root), format!("{}/goldsmith.db.new", study.root));
    let size = fs::metadata(&store).unwrap().len();
    let mut killed = 0;
    for share in [0, 1, 3, 5, 8] {
        let mut running = command(&study.arguments(&["store", "encrypt"])).stderr(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        let ended = loop {
            if running.try_wait().unwrap().is_some() {
                break true;
            }
            if fs::metadata(&copy).is_ok_and(|file| file.len() >= size / 10 * share) {
                break false;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "it does not end");
        };
        if ended {
            break;
        }
        running.kill().unwrap();
        running.wait().unwrap();
        killed += 1;
        if study.setting_fits() {
            // It had the new name already.
            break;
        }
        study.key_is("");
        assert_eq!(study.sentences(), before);
        study.key_is(&format!("key = {{ file = {key:?} }}"));
    }
    assert!(killed > 0, "nothing was ever killed");
    if !study.setting_fits() {
        study.succeeds(&["store", "encrypt"]);
    }
    assert_eq!(study.sentences(), before);
    assert!(study.succeeds(&["check"]).starts_with("ok"));
    let left = fs::read_dir(&study.root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(left.filter(|name| name.contains(".new")).collect::<Vec<_>>(), Vec::<String>::new());
}
