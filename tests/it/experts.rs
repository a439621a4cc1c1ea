//! Several experts on one project: blind reading, adjudication in real terminals, gold out.

use std::fs;

use super::support::{Screen, fails, goldsmith, succeeds};

/// A project of so many sentences with silver, with a protocol.
pub(super) fn project(sentences: usize, protocol: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("study").to_str().unwrap().to_owned();
    succeeds(&["init", &root]);
    let lines: Vec<String> = (0..sentences)
        .map(|i| {
            serde_json::json!({
                "id": i.to_string(), "patient": format!("p{}", i % 7), "text": format!("Sentence number {i}."),
                "label": "requires_assistance",
            })
            .to_string()
        })
        .collect();
    let notes = format!("{root}/notes.jsonl");
    fs::write(&notes, lines.join("\n")).unwrap();
    let done = goldsmith(&["import", &notes, "--unit", "sentence", "--model", "some-llm", "--project", &root]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let file = format!("{root}/goldsmith.toml");
    let text = fs::read_to_string(&file).unwrap();
    let (before, after) = text.split_once("[protocol]").unwrap();
    let rest = &after[after.find("\n[").unwrap()..];
    fs::write(&file, format!("{before}[protocol]\n{protocol}{rest}").replace("blind = \"test\"", "blind = \"always\""))
        .unwrap();
    (folder, root)
}

fn desk(root: &str, who: &str) -> Screen {
    Screen::open(&["--project", root, "--as", who], 80, 24)
}

fn gold(root: &str) -> Vec<serde_json::Value> {
    succeeds(&["export", "gold", "--project", root]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn two_experts_blind_one_adjudicator_and_gold_comes_out() {
    let people = "annotators = [\"ann\", \"ben\"]\nadjudicators = [\"eve\"]\noverlap = 2\n";
    let (_folder, root) = project(5, people);
    assert!(fails(&["export", "gold", "--project", "/nowhere"]).contains("goldsmith.toml"));
    let mut ann = desk(&root, "ann");
    ann.shows("nothing is given to ann yet");
    ann.type_keys("q");
    ann.wait();
    assert!(succeeds(&["assign", "--project", &root]).contains("ben"));

    let (mut ann, mut ben) = (desk(&root, "ann"), desk(&root, "ben"));
    let text = ann.shows("blind: shown after you decide");
    assert!(!text.contains("some-llm"), "{text}");
    ann.type_keys("33300");
    ann.shows("5 of 5 decided");
    // Ben decides with all of Ann's labels in the store, and sees none of them.
    let text = ben.shows("blind: shown after you decide");
    assert!(!text.contains("ann "), "{text}");
    ben.type_keys("31308");
    ben.shows("5 of 5 decided");
    // Two agree on three sentences; the others are no gold yet.
    assert_eq!(gold(&root).len(), 3);
    let status = succeeds(&["status", "--project", &root]);
    assert!(status.contains("ann                  5       0"), "{status}");

    // An expert cannot settle, an adjudicator cannot decide.
    ann.type_keys("\t\t");
    ann.shows("2 disputed, 0 settled");
    ann.type_keys("3\r");
    ann.shows("not among the `adjudicators`");
    let mut eve = desk(&root, "eve");
    eve.type_keys("3");
    eve.shows("not among the `annotators`");
    eve.type_keys("\t\t");
    let text = eve.shows("2 disputed, 0 settled");
    assert!(
        text.contains("expert 1") && !text.contains("some-llm") && text.contains("what the guideline says"),
        "{text}"
    );
    eve.type_keys("1son fills the pill box\r");
    eve.shows("1 disputed, 1 settled");
    eve.type_keys("8\r");
    eve.shows("nothing is disputed; 2 settled so far");
    for screen in [&mut ann, &mut ben, &mut eve] {
        screen.type_keys("q");
    }
    for screen in [ann, ben, eve] {
        assert_eq!(screen.wait().0, 0);
    }
    let lines = gold(&root);
    assert_eq!(lines.len(), 5);
    assert_eq!(lines.iter().filter(|line| line["adjudicated"] == true && line["by"][0] == "eve").count(), 2);
    assert!(lines.iter().all(|line| line["blind"] == true), "nobody had seen silver: {lines:?}");
    let votes = succeeds(&["export", "gold", "--votes", "--project", &root]);
    assert_eq!(votes.lines().count(), 10, "the experts' labels stay as they were");
    assert!(succeeds(&["check", "--project", &root]).starts_with("ok"));

    // The log says who decided what and settled what, and that it is whole.
    let log = succeeds(&["audit", "--log", "--project", &root]);
    assert!(log.contains("all is well: 12 events") && log.contains("eve settles"), "{log}");
    assert!(log.contains("son fills the pill box"), "the reason is on record: {log}");
    // Someone turns one of Ben's labels into another, behind the program's back.
    let store = rusqlite::Connection::open(format!("{root}/goldsmith.db")).unwrap();
    let (id, position): (String, i64) = store
        .query_row(
            "SELECT e.id, c.position FROM events e JOIN chain c ON c.event = e.id
             WHERE e.annotator = 'ben' AND e.stand LIKE '%cognitive_impairment%'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let tampering = format!(
        "DROP TRIGGER events_are_never_changed;
         UPDATE events SET stand = replace(stand, 'cognitive_impairment', 'coping_strategy') WHERE id = '{id}'"
    );
    store.execute_batch(&tampering).unwrap();
    drop(store);
    let output = goldsmith(&["audit", "--project", &root]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&id) && said.contains(&position.to_string()), "{said}");
    assert!(said.contains("shown"), "and what is shown by it: {said}");
}

/// Where one expert is enough, ten people at once decide every sentence once.
#[test]
fn ten_at_once_lose_nothing_and_decide_nothing_twice() {
    let names: Vec<String> = (0..10).map(|n| format!("expert{n}")).collect();
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let (_folder, root) = project(200, &format!("annotators = [{}]\n", quoted.join(", ")));
    succeeds(&["assign", "--project", &root]);
    let mut desks: Vec<Screen> = names.iter().map(|name| desk(&root, name)).collect();
    for desk in &mut desks {
        desk.shows("0 of 20 decided");
    }
    for (n, desk) in desks.iter_mut().enumerate() {
        desk.type_keys(&((n % 9) + 1).to_string().repeat(20));
    }
    for desk in &desks {
        desk.shows("20 of 20 decided");
    }
    desks.into_iter().for_each(Screen::kill);
    let lines = gold(&root);
    assert_eq!(lines.len(), 200);
    assert!(lines.iter().all(|line| line["by"].as_array().is_some_and(|by| by.len() == 1)));
    let status: serde_json::Value = serde_json::from_str(&succeeds(&["status", "--json", "--project", &root])).unwrap();
    assert!(status["experts"].as_array().unwrap().iter().all(|e| e["decided"] == 20 && e["given"] == 20), "{status}");
}
