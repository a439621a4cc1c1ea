//! Several experts on one project: blind reading, adjudication in real terminals, gold out.

use std::fs;

use super::support::{Screen, ends, fails, goldsmith, succeeds};

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

fn worklist(root: &str, who: &str) -> Screen {
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
    let mut ann = worklist(&root, "ann");
    ann.shows("no sentences are assigned to ann yet");
    ann.type_keys("q");
    ann.wait();
    assert!(succeeds(&["assign", "--project", &root]).contains("ben"));

    let (mut ann, mut ben) = (worklist(&root, "ann"), worklist(&root, "ben"));
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
    ann.shows("only the adjudicators that goldsmith.toml names");
    let mut eve = worklist(&root, "eve");
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
    assert!(log.contains("intact: 15 events") && log.contains("eve settles"), "{log}");
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
    let mut worklists: Vec<Screen> = names.iter().map(|name| worklist(&root, name)).collect();
    for worklist in &mut worklists {
        worklist.shows("0 of 20 decided");
    }
    for (n, worklist) in worklists.iter_mut().enumerate() {
        worklist.type_keys(&((n % 9) + 1).to_string().repeat(20));
    }
    for worklist in &worklists {
        worklist.shows("20 of 20 decided");
    }
    worklists.into_iter().for_each(Screen::kill);
    let lines = gold(&root);
    assert_eq!(lines.len(), 200);
    assert!(lines.iter().all(|line| line["by"].as_array().is_some_and(|by| by.len() == 1)));
    let status: serde_json::Value = serde_json::from_str(&succeeds(&["status", "--json", "--project", &root])).unwrap();
    assert!(status["experts"].as_array().unwrap().iter().all(|e| e["decided"] == 20 && e["given"] == 20), "{status}");
}

/// So many labelled sentences of three kinds, a few of them rare.
fn labelled(path: &str, from: usize, to: usize) {
    let kinds = [
        ("She forgets the names of her neighbours", "cognitive_impairment"),
        ("Her son fills the pill box and drives her", "requires_assistance"),
        ("Knee pain on stairs, no swelling", "none"),
        ("MMSE and clock drawing were done", "cognitive_assessment"),
    ];
    let mut text = "id,patient,text,label\n".to_owned();
    for i in from..to {
        let (said, label) = kinds[if i % 10 == 0 { 3 } else { i % 3 }];
        text.push_str(&format!("{i},p{},\"{said}, visit {i}.\",{label}\n", i % 20));
    }
    fs::write(path, text).unwrap();
}

#[test]
fn what_to_label_next_has_reasons_and_a_labelled_set_plays_the_expert() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (root, gold, open) = (at("study"), at("gold.csv"), at("open.csv"));
    succeeds(&["init", &root]);
    labelled(&gold, 0, 80);
    labelled(&open, 80, 200);
    succeeds(&["import", &gold, "--unit", "sentence", "--annotator", "ann", "--project", &root]);
    succeeds(&["import", &open, "--unit", "sentence", "--model", "some-llm", "--project", &root]);
    let order = succeeds(&["queue", "--csv", "--limit", "0", "--project", &root]);
    assert_eq!(order.lines().count(), 121, "{order}");
    assert!(order.contains("classifier may be wrong") && order.contains("drawn at random"), "{order}");
    assert_eq!(succeeds(&["queue", "--csv", "--limit", "0", "--last", "--project", &root]), order);
    let again = succeeds(&["queue", "--csv", "--limit", "0", "--project", &root]);
    assert_eq!(again, order, "the same gold and seed give the same order");

    let (csv, json) = (at("curves.csv"), at("games.json"));
    let arguments = ["simulate", "--train", &open, "--test", &gold, "--strategies", "random,margin", "--seeds", "2"];
    let table = succeeds(&[&arguments[..], &["--labels", "60", "--csv", &csv, "--json", &json]].concat());
    assert!(table.contains("random") && table.contains("margin") && table.contains("macro-F1"), "{table}");
    let games: serde_json::Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(games["report"]["games"].as_array().unwrap().len(), 4, "{games}");
    assert!(fs::read_to_string(&csv).unwrap().lines().count() > 8);
    let unknown = ends(&["simulate", "--train", &open, "--test", &gold, "--strategies", "luck"], 2);
    assert!(unknown.contains("--strategies: `luck` is no order"), "{unknown}");
}

#[test]
fn a_change_of_the_guideline_says_what_it_puts_in_question() {
    let folder = tempfile::tempdir().unwrap();
    let (root, gold) = (folder.path().join("study"), folder.path().join("gold.csv"));
    let (root, gold) = (root.to_str().unwrap().to_owned(), gold.to_str().unwrap().to_owned());
    succeeds(&["init", &root]);
    labelled(&gold, 0, 30);
    succeeds(&["import", &gold, "--unit", "sentence", "--annotator", "ann", "--project", &root]);
    assert!(fails(&["taxonomy", "diff", "--project", &root]).contains("only one version"));
    let file = format!("{root}/taxonomy.toml");
    let text = fs::read_to_string(&file).unwrap();
    let from = text.find("key = \"requires_assistance\"").unwrap();
    let at = from + text[from..].find("definition = ").unwrap() + "definition = ".len();
    let quote = text[at..].find('"').unwrap() + at + 1;
    let quote = quote + text[quote..].chars().take_while(|c| *c == '"').count();
    fs::write(&file, format!("{}Every day: {}", &text[..quote], &text[quote..])).unwrap();
    let diff: serde_json::Value =
        serde_json::from_str(&succeeds(&["taxonomy", "diff", "--json", "--project", &root])).unwrap();
    assert_eq!(diff["outdated"], 9, "the labels of one category: {diff}");
    let said = succeeds(&["taxonomy", "diff", "--project", &root]);
    assert!(said.contains("requires_assistance, definition\n") && said.contains("+ Every day: "), "{said}");
    let versions = succeeds(&["taxonomy", "versions", "--project", &root]);
    assert!(versions.lines().count() == 3 && versions.contains("in use"), "{versions}");
    // Each expert finds theirs, and one that is looked at again leaves the list.
    let mut ann = worklist(&root, "ann");
    ann.shows("visit");
    ann.type_keys("/outdated\r");
    ann.shows("filter `outdated`: 9");
    ann.type_keys("3");
    ann.shows("filter `outdated`: 8");
    ann.type_keys("3");
    ann.shows("filter `outdated`: 7");
    ann.type_keys("q");
    ann.wait();
}

/// Ann has the workbench open while the categories are changed behind her.
#[test]
fn categories_are_renamed_and_split_and_it_is_undone() {
    let (_folder, root) = project(4, "annotators = []\n");
    let run = |arguments: &[&str]| succeeds(&[arguments, &["--project", &root]].concat());
    let file = format!("{root}/taxonomy.toml");
    let before = fs::read_to_string(&file).unwrap();
    let labels = || gold(&root).iter().map(|line| line["labels"].to_string()).collect::<Vec<_>>();
    let mut ann = worklist(&root, "ann");
    ann.shows("blind: shown after you decide");
    ann.type_keys("30");
    ann.shows("2 of 4 decided");
    let (old, old_name) = {
        let label = labels()[0].trim_matches(['[', ']', '"']).to_owned();
        let at = before.find(&format!("key = \"{label}\"")).unwrap();
        let name = before[at..].split("name = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        (label, name)
    };

    let plan = run(&["taxonomy", "rename", &old_name, "needs_help", "--name", "Needs help"]);
    assert!(plan.contains(&format!("{old} is now needs_help")), "{plan}");
    assert_eq!(fs::read_to_string(&file).unwrap(), before, "a plan does nothing");
    run(&["taxonomy", "rename", &old, "needs_help", "--name", "Needs help", "--yes"]);
    assert_eq!(labels(), ["[\"needs_help\"]", "[\"none\"]"]);
    ann.type_keys("3");
    ann.shows("categories have changed in the meantime");
    ann.type_keys("q");
    ann.wait();
    assert_eq!(gold(&root).len(), 2, "nothing was saved by the old categories");
    let ann = worklist(&root, "ann");
    ann.shows("2 of 4 decided");
    ann.shows("Needs help");

    run(&["taxonomy", "split", "needs_help", "--into", "needs_reminders,needs_hands", "--yes"]);
    assert_eq!(labels(), ["[\"none\"]"]);
    let log = run(&["audit", "--log"]);
    assert!(log.contains("needs_help is needs_hands or needs_reminders") && log.contains("intact: "), "{log}");
    run(&["taxonomy", "undo", "--yes"]);
    assert_eq!(labels(), ["[\"needs_help\"]", "[\"none\"]"]);

    // By hand: nothing else is done before it has been looked at.
    let by_hand = fs::read_to_string(&file).unwrap().replace("key = \"needs_help\"", "key = \"help\"");
    let by_hand = by_hand.replacen("was = [", "was = [\"needs_help\", ", 1);
    fs::write(&file, by_hand).unwrap();
    assert!(fails(&["status", "--project", &root]).contains("goldsmith taxonomy migrate"));
    run(&["taxonomy", "migrate", "--yes"]);
    assert_eq!(labels(), ["[\"help\"]", "[\"none\"]"]);
}
