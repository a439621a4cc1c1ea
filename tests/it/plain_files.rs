//! What stands where a file belongs and is none: the program says so, and neither waits for it nor reads it for ever.

#![cfg(unix)]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::support::{command, succeeds};

/// Nothing here takes this long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(30);

/// Runs the program, which must refuse and end; gives standard error.
#[track_caller]
fn refuses(arguments: &[&str]) -> String {
    let mut child =
        command(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > DEADLINE {
            child.kill().unwrap();
            panic!("{arguments:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert_eq!(status.code(), Some(1), "{arguments:?}: {said}");
    said
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// A project with a sentence, and a pipe beside it.
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        succeeds(&["init", &place.path("p")]);
        fs::write(place.path("gold.csv"), "id,patient,text,label\n1,a,She forgets names.,cognitive_impairment\n")
            .unwrap();
        let gold = ["import", &place.path("gold.csv"), "--unit", "sentence", "--annotator", "ann"];
        succeeds(&[&gold[..], &["--project", &place.path("p")]].concat());
        assert!(Command::new("mkfifo").arg(place.path("pipe")).status().unwrap().success());
        place
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

#[test]
fn no_verb_waits_for_a_pipe_or_reads_a_device() {
    let place = Place::new();
    let (project, gold) = (place.path("p"), place.path("gold.csv"));
    let (out, bundle) = (place.path("new.bundle"), place.path("a.bundle"));
    succeeds(&["bundle", &bundle, "--project", &project]);
    symlink("/dev/zero", place.path("link")).unwrap();
    for file in [&place.path("pipe"), &place.path("link"), "/dev/zero"] {
        for arguments in [
            &["import", file, "--layout", "csv"][..],
            &["merge", file],
            &["merge", &bundle, "--identity", file],
            &["bundle", &out, "--to", file],
            &["bundle", &out, "--sign", file],
            &["taxonomy", "check", file],
            &["label", "--import-batch", file],
            &["label", "--gguf", file],
            &["simulate", "--train", &gold, "--test", &gold, "--experts", file],
            &["simulate", "--train", file, "--test", file],
        ] {
            let said = refuses(&[arguments, &["--project", &project]].concat());
            assert!(said.contains("not a file, but a pipe, a socket or a device"), "{arguments:?}: {said}");
        }
    }
    let said = refuses(&["merge", &project, "--project", &project]);
    assert!(said.contains("this is a folder") && said.contains("name a file in it"), "{said}");
    assert!(!fs::exists(&out).unwrap());
}

#[test]
fn no_file_of_a_project_is_waited_for() {
    let place = Place::new();
    let project = place.path("p");
    let (settings, taxonomy) = (place.path("p/goldsmith.toml"), place.path("p/taxonomy.toml"));
    let text = fs::read_to_string(&settings).unwrap();
    let other = text.replace("\"taxonomy.toml\"", "\"/dev/zero\"");
    assert_ne!(text, other);
    fs::write(&settings, other).unwrap();
    let said = refuses(&["status", "--project", &project]);
    assert!(said.contains("/dev/zero") && said.contains("not a file"), "{said}");
    assert!(said.contains("write what it holds to a file"), "{said}");
    fs::write(&settings, text).unwrap();
    for (path, wanted) in [(&taxonomy, "not a file"), (&settings, "there is no goldsmith.toml")] {
        let kept = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        let said = refuses(&["status", "--project", &project]);
        assert!(said.contains(wanted), "{said}");
        fs::remove_file(path).unwrap();
        fs::write(path, kept).unwrap();
    }
    succeeds(&["status", "--project", &project]);
}

/// A file without content that says that it is of any length: it costs whoever makes it nothing.
#[test]
fn a_file_that_is_longer_than_any_of_its_kind_is_not_read() {
    let place = Place::new();
    let (project, gold, long) = (place.path("p"), place.path("gold.csv"), place.path("long"));
    File::create(&long).unwrap().set_len(6 << 30).unwrap();
    for arguments in [
        &["taxonomy", "check", &long][..],
        &["merge", &long, "--identity", &long],
        &["bundle", &place.path("new.bundle"), "--to", &long],
        &["bundle", &place.path("new.bundle"), "--sign", &long],
        &["simulate", "--train", &gold, "--test", &gold, "--experts", &long],
    ] {
        let said = refuses(&[arguments, &["--project", &project]].concat());
        assert!(said.contains("longer than 16 MiB"), "{arguments:?}: {said}");
    }
    let said = refuses(&["label", "--import-batch", &long, "--project", &project]);
    assert!(said.contains("long:1: this line is longer than 64 MiB"), "{said}");
}
