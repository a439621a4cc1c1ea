//! The program's log: it says what was done and for how long, and never a word of a note, a comment, a prompt, a reply, a
//! name or a key.

use std::fs;
use std::path::Path;

use super::model_server::{Act, Server};
use super::support::{Screen, command, ends, succeeds};

/// Nobody would write this by chance.
const PLANTED: &str = "Zqxplanted";

fn project() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("study").to_str().unwrap().to_owned();
    succeeds(&["init", &root]);
    (folder, root)
}

/// Sentences of forty patients, with a label each; all of it planted.
fn labelled(root: &str) -> String {
    let path = format!("{root}/{PLANTED}.csv");
    let row = |i: usize| {
        let (text, label) = match i % 2 {
            0 => ("forgets the names of her children", "cognitive_impairment"),
            _ => ("came by bus", "none"),
        };
        format!("{PLANTED}-id-{i},{PLANTED}-patient-{},\"{PLANTED} {text}, visit {i}.\",{label}\n", i / 2 % 40)
    };
    fs::write(&path, format!("id,patient,text,label\n{}", (0..80).map(row).collect::<String>())).unwrap();
    path
}

#[test]
fn the_log_has_no_word_of_what_it_must_not_have() {
    let (folder, root) = project();
    let log = folder.path().join("log").to_str().unwrap().to_owned();
    let expert = format!("{PLANTED}-expert");
    let run = |arguments: &[&str], code: i32| {
        let all =
            [&["--project", &root, "--as", &expert, "--log-file", &log, "--log-level", "trace"], arguments].concat();
        let output = command(&all).env("GOLDSMITH_TEST_KEY", format!("{PLANTED}-key")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    };
    let file = labelled(&root);
    run(&["import", &file, "--unit", "sentence", "--annotator", &expert], 0);
    let bad = format!("{root}/bad.jsonl");
    fs::write(&bad, format!("{{\"{PLANTED}\": \"{PLANTED}\"}}\n")).unwrap();
    run(&["import", &bad], 3);
    run(&["import", &bad, "--on-error", "stop"], 1);
    run(&["runs", "show", PLANTED], 1);

    // A server that answers, that quotes the sentence while it refuses, and that quotes what is not there.
    let server = Server::start(|query| match query.number % 4 {
        0 => Act::Quote,
        1 => Act::BadEvidence,
        2 => Act::Status(500, None),
        _ => Act::Ok,
    });
    let url = server.url();
    let key = ["--key-env", "GOLDSMITH_TEST_KEY", "--attempts", "2", "--concurrency", "2", "--limit", "16"];
    run(&[&["label", "--url", &url, "--model", "made-up", "--few-shot", "4"][..], &key].concat(), 0);
    let seen = server.log();
    assert!(seen.iter().any(|seen| seen.authorization.contains(PLANTED)), "the key was sent");
    assert!(seen.iter().any(|seen| seen.body.to_string().contains(PLANTED)), "the sentences were sent");
    run(&["train"], 0);
    run(&["score"], 0);

    let arguments = ["--project", &root, "--as", &expert, "--log-file", &log, "--log-level", "trace"];
    let mut screen = Screen::open(&arguments, 120, 40);
    screen.shows(PLANTED);
    screen.type_keys(&format!("c{PLANTED}-comment\r"));
    screen.shows(&format!("{PLANTED}-comment"));
    screen.type_keys("0");
    screen.type_keys(&format!("/{PLANTED}-search\r"));
    screen.type_keys("\t\t\t");
    screen.shows("against gold");
    screen.type_keys("q");
    assert_eq!(screen.wait().0, 0);

    let log = fs::read_to_string(&log).unwrap();
    for expected in [
        "started verb=\"import\"",
        "documents=80",
        "ended verb=\"import\" exit=0",
        "exit=3",
        "causes=\"Record\"",
        "causes=\"Refused: NotFound\"",
        "host=\"127.0.0.1\" status=200 ms=",
        "status=422",
        "status=500",
        "failed=\"busy or away\"",
        "label:",
        "train:",
        "verb=\"workbench\"",
        "screen=\"Review\"",
        "screen=\"Metrics\"",
    ] {
        assert!(log.contains(expected), "{expected}: {log}");
    }
    for word in ["zqx", "forgets", "by bus", "visit"] {
        assert!(!log.to_lowercase().contains(word), "{word}: {log}");
    }
    let others = log.lines().find(|line| !line.contains(" goldsmith::") && !line.contains(": goldsmith"));
    assert_eq!(others, None, "only our own crate writes: others' lines may hold headers and bodies");
}

/// The files of the log below a state folder.
fn logs(state: &Path) -> Vec<String> {
    let files = fs::read_dir(state.join("goldsmith"));
    files.into_iter().flatten().map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn without_a_name_the_log_is_a_file_a_day_under_the_state_folder() {
    let (folder, root) = project();
    let state = folder.path().join("state");
    let check = |level: &str| {
        let output = command(&["check", "--project", &root, "--log-level", level])
            .env("XDG_STATE_HOME", &state)
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    check("off");
    assert!(!state.exists(), "nothing is kept where nothing is wanted");
    assert!(!check("info").contains("warning"));
    let files = logs(&state);
    let [file] = &files[..] else { panic!("{files:?}") };
    let day = file.strip_prefix("goldsmith.").and_then(|rest| rest.strip_suffix(".log")).unwrap();
    assert!(day.len() == 10 && day.bytes().all(|b| b.is_ascii_digit() || b == b'-'), "{file}");
    let first = fs::read_to_string(state.join("goldsmith").join(file)).unwrap();
    assert!(first.contains("ended verb=\"check\" exit=0"), "{first}");
    check("info");
    let second = fs::read_to_string(state.join("goldsmith").join(file)).unwrap();
    assert!(second.starts_with(&first) && second.len() > first.len(), "the next run goes on in the same file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(state.join("goldsmith")).unwrap().permissions().mode() & 0o777, 0o700);
    }
    // A fortnight is kept.
    for day in 1..=20 {
        fs::write(state.join(format!("goldsmith/goldsmith.2020-01-{day:02}.log")), "").unwrap();
    }
    check("info");
    assert!(logs(&state).len() <= 14, "{:?}", logs(&state));
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let (folder, root) = project();
    let said = ends(&["check", "--project", &root, "--log-file", "/nowhere/log"], 0);
    assert!(said.starts_with("warning: no log is kept (/nowhere/log: No such file"), "{said}");
    assert_eq!(said.matches("warning").count(), 1, "{said}");
    if cfg!(target_os = "linux") {
        let said = ends(&["check", "--project", &root, "--log-file", "/dev/full"], 0);
        assert!(said.ends_with("warning: the log could not be written to its end\n"), "{said}");
        assert_eq!(said.matches("warning").count(), 1, "{said}");
    }
    let in_the_way = folder.path().join("file");
    fs::write(&in_the_way, "").unwrap();
    let output = command(&["check", "--project", &root]).env("XDG_STATE_HOME", &in_the_way).output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("warning: no log is kept (cannot make "), "{said}");
    ends(&["check", "--project", &root, "--log-level", "everything"], 2);
}
