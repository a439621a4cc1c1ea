//! The workbench in a real terminal: keys, restore, resize, signals, `kill -9`, two at once.

use std::fs;

use super::support::{Screen, goldsmith, shared, succeeds};

pub(super) fn project(sentences: &[&str]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("study").to_str().unwrap().to_owned();
    succeeds(&["init", &root]);
    let lines: Vec<String> = sentences
        .iter()
        .enumerate()
        .map(|(i, text)| serde_json::json!({ "id": i.to_string(), "patient": format!("p{}", i % 7), "text": text, "label": "requires_assistance" }).to_string())
        .collect();
    let path = format!("{root}/notes.jsonl");
    fs::write(&path, lines.join("\n")).unwrap();
    let output = goldsmith(&["import", &path, "--unit", "sentence", "--model", "some-llm", "--project", &root]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Proposals are seen on patients of the test split too.
    let file = format!("{root}/goldsmith.toml");
    let text = fs::read_to_string(&file).unwrap().replace("blind = \"test\"", "blind = \"never\"");
    // And what others say, before one has decided.
    fs::write(&file, text.replace("show_others = \"after\"", "show_others = \"before\"")).unwrap();
    (folder, root)
}

pub(super) fn numbered(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("Sentence number {i} of the note.")).collect()
}

fn open(root: &str, who: &str) -> Screen {
    Screen::open(&["--project", root, "--as", who], 80, 24)
}

/// What `goldsmith metrics --json` has for the silver report's sentence count.
fn gold_sentences(root: &str) -> u64 {
    let metrics: serde_json::Value =
        serde_json::from_str(&succeeds(&["metrics", "--json", "--project", root])).unwrap();
    metrics["scores"][0]["report"]["sentences"].as_u64().unwrap_or(0)
}

#[test]
fn one_key_accepts_one_corrects_and_undo_walks_back_across_a_restart() {
    let sentences = numbered(5);
    let (_folder, root) = project(&sentences.iter().map(String::as_str).collect::<Vec<_>>());
    let mut screen = open(&root, "ann");
    screen.shows("Sentence number 0");
    screen.type_keys("\r");
    screen.shows("saved: Requires assistance");
    screen.shows("Sentence number 1");
    screen.type_keys("1");
    screen.shows("saved: Cognitive impairment");
    screen.shows("2 of 5 decided");
    screen.type_keys("q");
    let (code, sent) = screen.wait();
    assert_eq!(code, 0);
    assert!(sent.contains("\u{1b}[?1049l") && sent.contains("\u{1b}[?25h"), "the terminal is put back");

    let mut screen = open(&root, "ann");
    screen.shows("Sentence number 2");
    screen.type_keys("u");
    screen.shows("1 of 5 decided");
    screen.shows("Sentence number 1");
    screen.type_keys("u");
    screen.shows("0 of 5 decided");
    screen.type_keys("rr");
    screen.shows("2 of 5 decided");
    screen.type_keys("q");
    screen.wait();
    assert_eq!(gold_sentences(&root), 2);
}

#[test]
fn it_survives_any_size_and_hostile_text() {
    let long = "word ".repeat(20_000);
    let hostile = [
        "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}reversed\u{200b}",
        "e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301} \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} 漢字",
        &long,
    ];
    let (_folder, root) = project(&hostile);
    let mut screen = open(&root, "ann");
    let text = screen.shows("U+202E");
    assert!(text.contains("\u{241b}[2J"), "{text}");
    for (columns, rows) in [(1, 1), (200, 60), (39, 9), (3, 40), (80, 24), (40, 10), (132, 12)] {
        screen.resize(columns, rows);
        screen.type_keys("jk\t\t\t\t\t\t");
    }
    screen.resize(80, 24);
    screen.shows("decided");
    screen.type_keys("jj");
    screen.shows("word word word");
    screen.type_keys("0");
    screen.shows("1 of 3 decided");
    screen.type_keys("q");
    let (code, sent) = screen.wait();
    assert_eq!(code, 0);
    assert!(!sent.contains("\u{1b}]0;owned"), "a note's escape sequence reached the terminal");
}

#[cfg(unix)]
#[test]
fn a_signal_puts_the_terminal_back() {
    let (_folder, root) = project(&["One."]);
    let screen = open(&root, "ann");
    screen.shows("One.");
    let status = std::process::Command::new("kill").args(["-TERM", &screen.pid().to_string()]).status().unwrap();
    assert!(status.success());
    let (_, sent) = screen.wait();
    assert!(sent.contains("\u{1b}[?1049l"));
}

/// Killed a hundred times at any moment: whatever the screen showed as saved is there.
#[test]
fn kill_nine_loses_nothing_that_was_shown_as_saved() {
    let sentences = numbered(400);
    let (_folder, root) = project(&sentences.iter().map(String::as_str).collect::<Vec<_>>());
    let mut saved = 0;
    for round in 0..100 {
        let mut screen = open(&root, "ann");
        let decided = |text: &str| -> Option<u64> {
            let at = text.find(" of 400 decided")?;
            text[..at].rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        let text = screen.until("a count", |text| decided(text).is_some());
        let now = decided(&text).unwrap();
        assert!(now >= saved, "round {round}: {saved} were shown as saved, {now} are there");
        // Between one and three decisions are on their way when the process dies.
        screen.type_keys(["0", "01", "019"][round % 3]);
        let wanted = now + (round % 2) as u64;
        let text = screen.until("a decision", |text| decided(text).is_some_and(|n| n >= wanted));
        saved = decided(&text).unwrap();
        screen.kill();
    }
    assert!(succeeds(&["check", "--project", &root]).starts_with("ok"));
    assert!(gold_sentences(&root) >= saved);
}

#[test]
fn two_workbenches_and_an_import_share_a_store() {
    let sentences = numbered(40);
    let (_folder, root) = project(&sentences.iter().map(String::as_str).collect::<Vec<_>>());
    // In the order of notes both are on the same sentences; a plan would give Ben those that Ann has not made gold.
    let file = format!("{root}/goldsmith.toml");
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("order = \"mix\"", "order = \"note\"")).unwrap();
    let (mut ann, mut ben) = (open(&root, "ann"), open(&root, "ben"));
    ann.shows("Sentence number 0");
    ben.shows("Sentence number 0");
    let more = format!("{root}/more.jsonl");
    let lines: Vec<String> = (0..3_000)
        .map(|i| format!("{{\"id\": \"m{i}\", \"patient\": \"q{i}\", \"text\": \"More text {i}.\"}}"))
        .collect();
    fs::write(&more, lines.join("\n")).unwrap();
    let importing = std::thread::spawn({
        let root = root.clone();
        move || goldsmith(&["import", &more, "--unit", "sentence", "--project", &root])
    });
    ann.type_keys(&"0".repeat(20));
    ben.type_keys(&"1".repeat(20));
    ann.shows("20 of ");
    ben.shows("20 of ");
    assert!(importing.join().unwrap().status.success());
    // Ben looks at a sentence that Ann decides on: her label comes to his screen by itself.
    ben.shows("Sentence number 20");
    ann.type_keys("3");
    ann.shows("21 of ");
    ben.until("Ann's label", |text| text.contains("ann") && text.contains("Requires assistance"));
    ann.type_keys("q");
    ben.type_keys("q");
    ann.wait();
    ben.wait();
    assert!(succeeds(&["check", "--project", &root]).starts_with("ok"));
}

#[test]
fn blind_hides_every_proposal_until_decided() {
    let (_folder, root) = project(&["Sentence one.", "Sentence two."]);
    let path = format!("{root}/goldsmith.toml");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("blind = \"never\"", "blind = \"always\"")).unwrap();
    let mut screen = open(&root, "ann");
    let text = screen.shows("Sentence one.");
    assert!(text.contains("blind: shown after you decide") && !text.contains("some-llm"), "{text}");
    screen.type_keys("\r");
    screen.shows("blind: decide first");
    screen.type_keys("0");
    let text = screen.shows("silver said Requires assistance");
    assert!(text.contains("Sentence two.") && !text.contains("some-llm"), "{text}");
    screen.type_keys("k");
    screen.shows("some-llm");
    screen.type_keys("q");
    screen.wait();
    let metrics: serde_json::Value =
        serde_json::from_str(&succeeds(&["metrics", "--json", "--project", &root])).unwrap();
    assert_eq!(metrics["scores"][0]["report"]["blind"], 1);
}

#[test]
fn public_notes_are_reviewed_from_import_to_scores() {
    let Some(path) = shared("data/mts-dialog/MTS-Dialog-TrainingSet.csv") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("study").to_str().unwrap().to_owned();
    succeeds(&["init", &root]);
    let output = goldsmith(&["import", path.to_str().unwrap(), "--text-column", "section_text", "--project", &root]);
    assert!(output.status.success());
    let mut screen = Screen::open(&["--project", &root, "--as", "ann"], 120, 40);
    screen.shows("0 of 4");
    for (i, key) in "0104090290".chars().enumerate() {
        screen.type_keys(&key.to_string());
        screen.shows(&format!("{} of 4", i + 1));
    }
    screen.type_keys("\t\t\t\tSS");
    screen.until("an end of training", |text| text.contains("trained in") || text.contains("nothing to train on"));
    screen.type_keys("\u{1b}[Zv");
    screen.until("the metrics", |text| text.contains("Metrics"));
    screen.type_keys("q");
    let (code, _) = screen.wait();
    assert_eq!(code, 0);
}
