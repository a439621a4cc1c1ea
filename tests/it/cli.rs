//! The verbs: what they print, where, and how they end.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use super::support::{command, ends, fails, goldsmith, shared, succeeds};

const TAXONOMY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/taxonomy/ad-signs.toml");

fn project(taxonomy: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("study");
    let root = root.to_str().unwrap().to_owned();
    succeeds(&["init", &root, "--taxonomy", taxonomy]);
    (folder, root)
}

#[test]
fn help_of_every_verb_has_an_example() {
    let help = succeeds(&["--help"]);
    let verbs = [
        "init",
        "demo",
        "import",
        "metrics",
        "assign",
        "status",
        "agreement",
        "queue",
        "simulate",
        "train",
        "experiment",
        "score",
        "doubt",
        "predict",
        "runs",
        "bundle",
        "merge",
        "audit",
        "check",
    ];
    for verb in verbs {
        assert!(help.contains(verb), "{help}");
        let help = succeeds(&[verb, "--help"]);
        assert!(help.contains("Example"), "{verb}: {help}");
    }
    assert!(succeeds(&["taxonomy", "check", "--help"]).contains("Example"));
}

#[test]
fn the_two_commands_of_the_readme_are_what_ci_runs() {
    let read = |name: &str| fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (readme, ci) = (read("README.md"), read(".ci/run").replace(" --locked", ""));
    let commands = readme.lines().filter(|line| line.trim_start().starts_with("cargo "));
    let commands: Vec<_> = commands.map(|line| line.split('#').next().unwrap().trim()).take(2).collect();
    assert_eq!(commands, ["cargo run -- demo", "cargo test"]);
    for command in commands {
        assert!(ci.lines().any(|line| line.starts_with(command)), "{command}");
    }
}

#[test]
fn without_a_project_the_next_step_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let said = fails(&["metrics", "--project", folder.path().to_str().unwrap()]);
    assert!(said.contains("`goldsmith init` makes a project"), "{said}");
}

#[test]
fn faults_of_a_project_file_are_named_by_place() {
    let (_folder, root) = project("ad-signs");
    let path = format!("{root}/goldsmith.toml");
    let text = fs::read_to_string(&path).unwrap().replace("policy = \"majority\"", "policy = \"most\"");
    fs::write(&path, text).unwrap();
    let said = fails(&["metrics", "--project", &root]);
    assert!(said.contains("goldsmith.toml:26:10: `policy` must be"), "{said}");
}

#[test]
fn a_taxonomy_is_checked_by_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    fs::write(&path, "name = \"t\"\n[[category]]\nkey = \"a\"\nname = \"A\"\nshortcut = \"ab\"\ndefinition = \"d\"\n")
        .unwrap();
    let said = fails(&["taxonomy", "check", path.to_str().unwrap()]);
    assert!(said.contains("t.toml:5:12: the shortcut \"ab\" must be one letter or digit"), "{said}");
}

#[test]
fn notes_come_in_once_and_bad_records_are_reported() {
    let (_folder, root) = project("ad-signs");
    let notes = format!("{root}/notes.csv");
    fs::write(
        &notes,
        b"note_id,patient,text\nn1,p1,\"She forgets names. Dr. Ruiz agrees.\"\nn2,p1,caf\xe9\nn3,p2,Knee pain.\n",
    )
    .unwrap();
    let import = ["import", &notes, "--project", &root, "--encoding", "utf-8"];
    let said = ends(&import, 0);
    assert!(said.contains("2 new notes with 3 sentences"), "{said}");
    assert!(said.contains("notes.csv:3: byte 0xe9"), "{said}");
    assert!(ends(&import, 0).contains("0 new notes with 0 sentences; 2 were there already"));
    let said = fails(&[&import[..], &["--on-error", "stop"]].concat());
    assert!(said.contains("notes.csv:3") && said.contains("--on-error skip"), "{said}");
}

/// Two experts on ten sentences of five patients, eight times the same: kappa is (0.8 - 0.5) / (1 - 0.5).
#[test]
fn agreement_of_two_experts_is_a_table_json_and_csv() {
    let (_folder, root) = project("ad-signs");
    let said = ends(&["agreement", "--project", &root], 3);
    assert!(said.contains("no expert has decided"), "{said}");
    let import = |who: &str, labelled: &[usize]| {
        let rows = (0..10).map(|i| {
            let label = if labelled.contains(&i) { "coping_strategy" } else { "none" };
            format!("s{i},p{},\"Sentence \u{1b}[31m{i}, \u{e9}crit.\",{label}\n", i / 2)
        });
        let file = format!("{root}/{who}.csv");
        fs::write(&file, format!("id,patient,text,label\n{}", rows.collect::<String>())).unwrap();
        succeeds(&["import", &file, "--unit", "sentence", "--annotator", who, "--project", &root]);
    };
    import("ann", &[0, 1, 2, 3, 4]);
    import("a very long name of an expert", &[0, 1, 2, 3, 9]);
    let table = succeeds(&["agreement", "--project", &root]);
    let line = |start: &str| {
        let line = table.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}:\n{table}"));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(table.starts_with("2 experts; 10 sentences of 5 patients labelled by two or more, 0 by one"), "{table}");
    assert!(line("raw agreement").starts_with("raw agreement, % 80.0 "), "{table}");
    assert!(line("Cohen's kappa").starts_with("Cohen's kappa, mean 0.60 ") && line("Cohen").ends_with("of 1 pair"));
    assert_eq!(line("Diagnostic tests"), "Diagnostic tests - nobody chose it");
    assert_eq!(line("None / Coping strategy"), "None / Coping strategy 2 100 %");
    assert!(table.contains("Sentence \u{241b}[31m4, \u{e9}crit."), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(!succeeds(&["agreement", "--sentences", "0", "--project", &root]).contains("Sentence"));

    let json: serde_json::Value =
        serde_json::from_str(&succeeds(&["agreement", "--json", "--project", &root])).unwrap();
    assert_eq!(json["agreement"]["pairs"][0]["first"], "a very long name of an expert");
    assert!((json["agreement"]["kappa"]["value"].as_f64().unwrap() - 0.6).abs() < 1e-12, "{json:#}");
    assert_eq!(json["agreement"]["classes"][1]["alpha"]["undefined"], "nobody chose it");
    assert_eq!(json["confused"][0]["other"], "coping_strategy");
    assert_eq!(json["anchoring"]["pull"], "unknown");
    let csv = succeeds(&["agreement", "--csv", "--project", &root]);
    assert!(
        csv.starts_with("what,first,second,measure,value,low,high,undefined,left_out,over\nall,,,raw,0.8,"),
        "{csv}"
    );
    assert!(csv.contains("\nconfused,none,coping_strategy,share,1,,,,,2\n"), "{csv}");
}

#[test]
fn who_types_is_not_who_labelled() {
    let (_folder, root) = project("ad-signs");
    let notes = format!("{root}/notes.csv");
    fs::write(&notes, "id,patient,text\n1,p1,She forgets names.\n").unwrap();
    succeeds(&["--as", "ann", "import", &notes, "--project", &root]);
    let log: serde_json::Value =
        serde_json::from_str(&succeeds(&["--as", "ann", "audit", "--json", "--project", &root])).unwrap();
    assert_eq!(log["events"], 0, "notes without labels make no decision of whoever imports them");
}

#[test]
fn standard_input_is_sniffed_and_a_closed_pipe_is_no_fault() {
    let (_folder, root) = project("ad-signs");
    let mut child =
        command(&["import", "-", "--project", &root]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"{\"text\": \"She forgets names.\", \"patient\": \"p\"}\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 new notes with 1 sentences"));

    let mut child = command(&["taxonomy", "check", TAXONOMY]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn without_a_terminal_the_workbench_says_what_to_type() {
    let (_folder, root) = project("ad-signs");
    let said = fails(&["--project", &root]);
    assert!(said.contains("needs a terminal"), "{said}");
}

/// Labels come in as gold and as silver, train a classifier, and every verb prints the same numbers; under a taxonomy that
/// has nothing to do with the first one.
#[test]
fn any_taxonomy_works_from_import_to_predict() {
    let (_folder, root) = project("note-sections");
    let labelled = format!("{root}/labelled.jsonl");
    let mut lines = String::new();
    for i in 0..120 {
        let (text, label) = match i % 4 {
            0 => (format!("No known drug allergies, visit {i}."), "ALLERGY"),
            1 => (format!("Father had a stroke, she smokes {i} a day."), "FAM/SOCHX"),
            2 => (format!("Takes metformin {i} mg twice a day."), "MEDICATIONS"),
            _ => (format!("Nothing of note today, call {i}."), "none"),
        };
        lines += &format!(
            "{{\"id\": \"{i}\", \"patient\": \"p{}\", \"text\": \"{text}\", \"label\": \"{label}\"}}\n",
            i % 40
        );
    }
    fs::write(&labelled, lines).unwrap();
    let import = |who: &[&str]| {
        let mut arguments = vec!["import", &labelled, "--project", &root, "--unit", "sentence"];
        arguments.extend(who);
        let output = goldsmith(&arguments);
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(import(&["--annotator", "ann"]).contains("120 labels taken in"));
    assert!(import(&["--annotator", "ann"]).contains("0 labels taken in; 120 were there already"));
    assert!(import(&["--model", "some-llm"]).contains("120 labels taken in"));
    let output = goldsmith(&["train", "--project", &root]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metrics: serde_json::Value =
        serde_json::from_str(&succeeds(&["metrics", "--json", "--project", &root])).unwrap();
    let scores = metrics["scores"].as_array().unwrap();
    assert_eq!(scores[0]["scored"], "silver");
    assert_eq!(scores[0]["report"]["accuracy"]["value"], 1.0);
    let score: serde_json::Value = serde_json::from_str(&succeeds(&["score", "--json", "--project", &root])).unwrap();
    assert_eq!(score["report"]["accuracy"], scores[1]["report"]["accuracy"], "score and metrics agree");
    assert!(score["report"]["accuracy"]["value"].as_f64().unwrap() > 0.8);
    let table = succeeds(&["metrics", "--markdown", "--project", &root]);
    assert!(table.contains("| ALLERGY "), "{table}");
    let predicted = succeeds(&["predict", &labelled, "--project", &root]);
    assert_eq!(predicted.lines().count(), 120);
    let first: serde_json::Value = serde_json::from_str(predicted.lines().next().unwrap()).unwrap();
    assert_eq!(first["label"][0], "allergy");
    let csv = succeeds(&["predict", &labelled, "--csv", "--project", &root]);
    assert!(csv.starts_with("id,text,label,p_None,p_allergy"), "{csv}");
    // A line comes out for each that goes in, also for those without a word.
    let blank = format!("{root}/blank.jsonl");
    fs::write(&blank, "{\"text\": \"peanuts\"}\n{\"text\": \"\"}\n{\"text\": \" \"}\n{\"text\": \"milk\"}\n").unwrap();
    assert_eq!(succeeds(&["predict", &blank, "--project", &root]).lines().count(), 4);
    assert!(succeeds(&["check", "--project", &root]).starts_with("ok"));
}

/// The same commands on the same labels give the same weights and the same scores.
#[test]
fn training_twice_gives_the_same_model() {
    let (_folder, root) = project("ad-signs");
    let labelled = format!("{root}/labelled.csv");
    let mut text = "id,patient,text,label\n".to_owned();
    for i in 0..90 {
        let label = ["cognitive_impairment", "requires_assistance", "None"][i % 3];
        let said = ["forgets her appointments", "needs help to dress", "blood pressure is fine"][i % 3];
        text += &format!("{i},p{},She {said} number {i},{label}\n", i % 30);
    }
    fs::write(&labelled, text).unwrap();
    goldsmith(&["import", &labelled, "--project", &root, "--unit", "sentence", "--annotator", "ann"]);
    let weights = || {
        let output = goldsmith(&["train", "--project", &root]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let folder = said.lines().find_map(|l| l.split_once("the model is in ")).unwrap().1.to_owned();
        (fs::read(format!("{folder}/model.safetensors")).unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(weights(), weights());
}

#[test]
fn wrong_labels_are_pointed_at_worst_first() {
    let (_folder, root) = project("ad-signs");
    let said = fails(&["doubt", "--project", &root]);
    assert!(said.contains("gold of at least two patients"), "{said}");
    assert!(fails(&["doubt", "--last", "--project", &root]).contains("`goldsmith doubt` makes one"));
    let kinds = [
        ("She forgets names and dates", "cognitive_impairment"),
        ("Her daughter bathes and dresses her", "requires_assistance"),
        ("Knee pain after a long walk", "None"),
    ];
    // Every third is of two kinds at once and has the label of the one or the other; number 40 is clear, and wrong.
    let lines: Vec<String> = (0..90)
        .map(|i| {
            let two = i % 9 >= 6;
            let text =
                if two { format!("{}, {}", kinds[i % 3].0, kinds[(i + 1) % 3].0) } else { kinds[i % 3].0.to_owned() };
            let kind = match i {
                40 => 2,
                _ if two => i + i / 9 % 2,
                _ => i,
            };
            let (patient, text) = (format!("p{}", i / 6), format!("{text}, {i}\u{1b}[2J."));
            serde_json::json!({ "id": i.to_string(), "patient": patient, "text": text, "label": kinds[kind % 3].1 })
                .to_string()
        })
        .collect();
    let path = format!("{root}/gold.jsonl");
    fs::write(&path, lines.join("\n")).unwrap();
    succeeds(&["import", &path, "--unit", "sentence", "--annotator", "ann", "--project", &root]);
    let table = succeeds(&["doubt", "--project", &root]);
    let shown: Vec<&str> = table.lines().collect();
    assert!(
        shown[2].contains("1  gold") && shown[2].contains("None") && shown[2].contains("Requires assistance"),
        "{table}"
    );
    assert!(shown[3].contains("Her daughter bathes and dresses her, 40\u{241b}[2J."), "{table}");
    let found: serde_json::Value =
        serde_json::from_str(&succeeds(&["doubt", "--last", "--json", "--project", &root])).unwrap();
    let doubts = found["doubts"].as_array().unwrap();
    assert_eq!(found["summary"]["gold"], serde_json::json!({ "labels": 90, "doubted": doubts.len() }));
    let worst = &doubts[0];
    assert_eq!(
        (&worst["given"], &worst["suggested"]),
        (&serde_json::json!([]), &serde_json::json!(["requires_assistance"]))
    );
    assert!(worst["self_confidence"].as_f64().unwrap() < worst["confidence"].as_f64().unwrap());
    let csv = succeeds(&["doubt", "--last", "--csv", "--project", &root]);
    assert!(csv.starts_with("rank,sentence,tier,given,suggested,confidence,self_confidence,margin,text\n1,"), "{csv}");
    let runs = succeeds(&["runs", "--project", &root]);
    assert!(runs.contains("doubt") && runs.contains(&format!("{} labels in doubt", doubts.len())), "{runs}");
}

#[test]
fn public_dialogues_come_in_train_and_score() {
    let Some(path) = shared("data/mts-dialog/MTS-Dialog-TrainingSet.csv") else {
        return;
    };
    let (_folder, root) = project("note-sections");
    let output = goldsmith(&[
        "import",
        path.to_str().unwrap(),
        "--project",
        &root,
        "--text-column",
        "dialogue",
        "--label-column",
        "section_header",
        "--unit",
        "sentence",
        "--annotator",
        "mts",
    ]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("1201 labels taken in"));
    succeeds(&["train", "--project", &root]);
    let score: serde_json::Value = serde_json::from_str(&succeeds(&["score", "--json", "--project", &root])).unwrap();
    let accuracy = score["report"]["accuracy"]["value"].as_f64().unwrap();
    assert!(accuracy > 0.65, "{accuracy}");
}
