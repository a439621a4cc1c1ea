//! The experiment as a user runs it on the demo: killed, gone on with, and written in every format.

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::support::{command, fails, goldsmith, succeeds};

fn demo() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("demo").to_str().unwrap().to_owned();
    succeeds(&["demo", &root]);
    (folder, root)
}

/// The runs of cells that are stored, with what they came to.
fn cells(root: &str) -> Vec<String> {
    let runs = succeeds(&["runs", "--project", root]);
    runs.lines().filter(|line| line.contains("\texperiment\t")).map(str::to_owned).collect()
}

#[test]
fn killed_it_goes_on_and_every_format_says_the_same() {
    let (_folder, root) = demo();
    let out = format!("{root}/paper");
    let arguments = ["experiment", "--tasks", "multi", "--sets", "gold,gold+bronze", "--seeds", "2", "--out", &out];
    let arguments = [&arguments[..], &["--format", "json", "--project", &root]].concat();
    let mut child = command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while cells(&root).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60), "no cell ends");
        sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = cells(&root);
    assert!(!kept.is_empty() && kept.iter().all(|run| run.contains("Finished")), "{kept:?}");

    let output = goldsmith(&arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("4 cells, {} done before", kept.len())) || kept.len() == 4, "{said}");
    assert!(said.contains("test patients are rough"), "{said}");
    let all = cells(&root);
    assert_eq!(all.len(), 4);
    assert!(kept.iter().all(|run| all.contains(run)), "what was done is done");

    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["finished"], &json["planned"]), (&4.into(), &4.into()));
    let bronze = &json["grids"][0]["sets"][1];
    for run in bronze["runs"].as_array().unwrap() {
        let shown = succeeds(&["runs", "show", run.as_str().unwrap(), "--project", &root]);
        assert!(shown.contains("\"gold+bronze\"") && shown.contains("macro_f1"), "{shown}");
    }
    let gain = &bronze["rows"].as_array().unwrap().iter().find(|row| row["gain"].is_object()).unwrap()["gain"];
    assert!(gain["interval"].is_array() && gain["p_holm"].is_number(), "{gain:#}");
    let again = succeeds(&arguments);
    assert_eq!(again.as_bytes(), output.stdout, "the same command says the same");
    for name in ["txt", "md", "tex", "csv", "json", "html"] {
        let text = fs::read_to_string(format!("{out}/experiment.{name}")).unwrap();
        assert!(text.contains("Physiological changes") || text.contains("physiological_changes"), "{name}");
        assert!(text.contains(json["experiment"].as_str().unwrap()), "{name}");
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(format!("{out}/experiment.{name}")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o077, 0, "{name} is its owner's alone");
    }
}

#[test]
fn what_cannot_be_asked_for_is_named_with_what_can() {
    let (_folder, root) = {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("study").to_str().unwrap().to_owned();
        succeeds(&["init", &root]);
        (folder, root)
    };
    let said = fails(&["experiment", "--project", &root]);
    assert!(said.contains("no gold of test patients yet") && said.contains("decide more sentences"), "{said}");
    let output = goldsmith(&["experiment", "--sets", "gold,iron", "--project", &root]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("`iron` is no training set; write tiers with +"), "{said}");
}
