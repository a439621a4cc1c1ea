//! Who said it: forged bundles, borrowed names, roles, and logs made anew. Each attack is one that somebody could try with a text
//! editor, another account, or SQL.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::support::command;

/// Sites side by side, and people with accounts of their own.
struct World {
    folder: TempDir,
}

/// A project, as somebody on some account uses it.
struct Desk<'a> {
    world: &'a World,
    project: &'a str,
    account: &'a str,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn path(&self, name: &str) -> String {
        self.at(name).to_str().unwrap().to_owned()
    }

    /// Somebody's own account: their keys are theirs.
    fn desk<'a>(&'a self, project: &'a str, account: &'a str) -> Desk<'a> {
        Desk { world: self, project, account }
    }

    /// Notes with labels, of which a fifth differs between two files.
    fn labels(&self, name: &str, other: bool) -> String {
        let path = self.at(name);
        let mut text = "id,patient,text,label\n".to_owned();
        for i in 0..20 {
            let label = if other && i % 5 == 0 { "coping_strategy" } else { "cognitive_impairment" };
            text += &format!("{i},p{},She forgets names number {i}.,{label}\n", i % 7);
        }
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A project with notes and somebody's labels, signed by themselves.
    fn site<'a>(&'a self, project: &'a str, who: &'a str) -> Desk<'a> {
        let desk = self.desk(project, who);
        desk.says(&["init", &self.path(project)]);
        let labels = self.labels("labels.csv", false);
        desk.says(&["import", &labels, "--unit", "sentence", "--annotator", who, "--as", who]);
        desk
    }
}

impl Desk<'_> {
    fn run(&self, arguments: &[&str]) -> Output {
        let project = self.world.path(self.project);
        let mut all = arguments.to_vec();
        if arguments[0] != "init" {
            all.extend(["--project", &project]);
        }
        command(&all).env("GOLDSMITH_KEYS", self.world.at(&format!("keys-of-{}", self.account))).output().unwrap()
    }

    fn ends(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        said
    }

    fn says(&self, arguments: &[&str]) -> String {
        self.ends(arguments, 0)
    }

    fn key(&self) -> String {
        let output = self.run(&["key", "--as", self.account]);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// What everyone's label is, in a line each.
    fn labels(&self) -> String {
        self.says(&["export", "gold", "--votes", "--csv"])
    }
}

/// The lines of a bundle, changed, and the sum at its end made anew.
fn forge(path: &str, to: &Path, change: impl FnOnce(&mut Vec<Value>)) {
    let text = fs::read_to_string(path).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.pop();
    change(&mut lines);
    let events = lines.iter().filter(|line| line.get("event").is_some()).count();
    lines[0]["events"] = json!(events);
    let mut out: String = lines.iter().map(|line| line.to_string() + "\n").collect();
    let sum = hex::encode(Sha256::digest(out.as_bytes()));
    out += &json!({ "end": { "lines": lines.len(), "sha256": sum } }).to_string();
    fs::write(to, out + "\n").unwrap();
}

fn records(lines: &mut [Value]) -> impl Iterator<Item = &mut Value> {
    lines.iter_mut().filter_map(|line| line.get_mut("event")).map(|event| &mut event["record"])
}

fn decisions(lines: &mut [Value]) -> impl Iterator<Item = &mut Value> {
    records(lines).filter(|record| record["kind"] == "decide")
}

/// Ann's labels at the ward, known at the hub; then whatever a forger makes of a bundle of hers.
#[test]
fn a_forged_bundle_brings_nothing_in() {
    let world = World::new();
    let ward = world.site("ward", "ann");
    let hub = world.site("hub", "ben");
    let first = world.path("first.jsonl");
    ward.says(&["bundle", &first, "--new", "--as", "ann"]);
    let asked = hub.ends(&["merge", &first, "--as", "ben"], 1);
    assert!(asked.contains("of ann, signed by the key") && asked.contains("take it in with --trust"), "{asked}");
    assert!(asked.contains(&ward.key()), "{asked}");
    hub.says(&["merge", &first, "--trust", "--as", "ben"]);
    let before = hub.labels();

    // What is new at the ward: twenty labels, of which four are others.
    let other = world.labels("other.csv", true);
    ward.says(&["import", &other, "--unit", "sentence", "--annotator", "ann", "--as", "ann"]);
    let news = world.path("news.jsonl");
    ward.says(&["bundle", &news, "--new", "--as", "ann"]);
    let sites = |lines: &[Value]| lines[0]["site"].as_str().unwrap().to_owned();
    let hub_site = {
        let out = world.path("hub.jsonl");
        hub.says(&["bundle", &out, "--as", "ben"]);
        let text = fs::read_to_string(&out).unwrap();
        sites(&[serde_json::from_str(text.lines().next().unwrap()).unwrap()])
    };

    type Forge<'a> = Box<dyn Fn(&mut Vec<Value>) + 'a>;
    let each = |change: fn(&mut Value)| -> Forge<'_> { Box::new(move |lines| decisions(lines).for_each(change)) };
    let cases: Vec<(&str, Forge<'_>, &str)> = vec![
        ("a label", each(|r| r["stand"]["label"] = json!(["mood_change"])), "signature does not fit"),
        ("no label", each(|r| r["stand"]["label"] = json!([])), "signature does not fit"),
        ("a time", each(|r| r["at"] = json!(1)), "signature does not fit"),
        ("a note", each(|r| r["sentence"]["end"] = json!(5)), "signature does not fit"),
        ("how long it took", each(|r| r["took"] = json!(7)), "signature does not fit"),
        ("the guideline", each(|r| r["taxonomy"] = json!("x")), "signature does not fit"),
        ("what it supersedes", each(|r| r["supersedes"] = json!([])), "cannot be what"),
        ("a comment", each(|r| r["stand"]["comment"] = json!("sure")), "signature does not fit"),
        ("a flag", each(|r| r["stand"]["flagged"] = json!(true)), "signature does not fit"),
        ("a settlement", each(|r| r["kind"] = json!("settle")), "signature does not fit"),
        ("no signature", each(|r| drop(r.as_object_mut().unwrap().remove("signature"))), "its author has a key"),
        (
            "another's key",
            each(|r| r["signature"]["key"] = json!("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")),
            "cannot be what",
        ),
        ("a new id", each(|r| r["id"] = json!("0198-ffff")), "signature does not fit"),
        ("ben's name", each(|r| r["annotator"] = json!("ben")), "signature does not fit"),
        (
            "ben's name, unsigned",
            each(|r| {
                r["annotator"] = json!("ben");
                r.as_object_mut().unwrap().remove("signature");
            }),
            "its author has a key",
        ),
        (
            "the hub's own name",
            Box::new(|lines| decisions(lines).for_each(|r| r["site"] = json!(hub_site))),
            "signature does not fit",
        ),
        (
            "an undo in her name",
            Box::new(|lines| {
                let target = decisions(lines).next().unwrap()["id"].clone();
                let site = sites(lines);
                lines.push(json!({ "event": { "record": {
                    "id": "0198-undo", "kind": "undo", "at": 5, "annotator": "ann", "site": site, "target": target,
                }}}));
            }),
            "its author has a key",
        ),
        (
            "a key in her name",
            Box::new(|lines| {
                let site = sites(lines);
                lines.push(json!({ "event": { "record": {
                    "id": "0198-key", "kind": "person", "at": 5, "annotator": "ann", "site": site,
                    "person": { "name": "ann", "key": "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a" },
                }}}));
            }),
            "its author has a key",
        ),
        (
            "an id that is known, with other content",
            Box::new(|lines| {
                let known: Vec<Value> = fs::read_to_string(&first)
                    .unwrap()
                    .lines()
                    .map(|line| serde_json::from_str(line).unwrap())
                    .filter(|line: &Value| line["event"]["record"]["kind"] == "decide")
                    .collect();
                let mut changed = known[0].clone();
                changed["event"]["record"]["stand"]["label"] = json!(["mood_change"]);
                lines.push(changed);
            }),
            "is here already and says something else",
        ),
    ];
    let mut tried = 0;
    for (what, change, expected) in &cases {
        for flags in [&["--trust"][..], &[]] {
            let to = world.at("forged.jsonl");
            forge(&news, &to, |lines| change(lines));
            let said = hub.ends(&[&["merge", to.to_str().unwrap(), "--as", "ben"], flags].concat(), 1);
            assert!(said.contains(expected) && said.contains("nothing was taken in"), "{what}: {said}");
            assert_eq!(hub.labels(), before, "{what}");
            tried += 1;
        }
    }
    println!("{tried} forged bundles, none taken in");
    // What she sent herself comes in.
    hub.says(&["merge", &news, "--as", "ben"]);
    assert_ne!(hub.labels(), before);
    hub.says(&["audit"]);
}

/// Somebody else makes a bundle with the program itself, under her name.
#[test]
fn a_bundle_by_somebody_of_the_same_name_is_refused() {
    let world = World::new();
    let hub = world.site("hub", "ben");
    let first = world.path("first.jsonl");
    world.site("ward", "ann").says(&["bundle", &first, "--as", "ann"]);
    hub.says(&["merge", &first, "--trust", "--as", "ben"]);
    let other = world.desk("another", "mallory");
    other.says(&["init", &world.path("another")]);
    let labels = world.labels("other.csv", true);
    other.says(&["import", &labels, "--unit", "sentence", "--annotator", "ann", "--as", "ann"]);
    let forged = world.path("forged.jsonl");
    other.says(&["bundle", &forged, "--as", "ann"]);
    let said = hub.ends(&["merge", &forged, "--trust", "--as", "ben"], 1);
    assert!(said.contains("signed by a key that is not its author's"), "{said}");
    // Nor in the hub's own name for whom it has: by an import.
    let said = hub.ends(&["import", &labels, "--unit", "sentence", "--annotator", "ann", "--as", "ben"], 1);
    assert!(said.contains("only ann can say what ann decided"), "{said}");
}

#[test]
fn a_name_with_a_key_is_refused_without_it() {
    let world = World::new();
    let ann = world.site("study", "ann");
    ann.says(&["status", "--as", "ann"]);
    let other = world.desk("study", "mallory");
    for verb in [&["status"][..], &["key"], &["export", "gold"], &["audit"], &["metrics"]] {
        let said = other.ends(&[verb, &["--as", "ann"]].concat(), 1);
        assert!(said.contains("ann has a key in this project") && said.contains("give your own name"), "{said}");
    }
    // Under their own name they may look, and Ann's key opens nothing once it is another.
    other.says(&["status", "--as", "mallory"]);
    fs::create_dir_all(world.at("keys-of-mallory")).unwrap();
    fs::write(
        world.at("keys-of-mallory/ann.key"),
        format!("goldsmith secret key\nname ann\nsecret {}\n", "07".repeat(32)),
    )
    .unwrap();
    let said = other.ends(&["status", "--as", "ann"], 1);
    assert!(said.contains("is another"), "{said}");
}

#[test]
fn roles_are_rights_once_somebody_leads() {
    let world = World::new();
    let ann = world.site("study", "ann");
    let kim = world.desk("study", "kim");
    let early = kim.ends(&["people", "set", "ann", "--role", "annotator", "--as", "kim"], 1);
    assert!(early.contains("has no lead yet"), "{early}");
    kim.says(&["people", "set", "kim", "--role", "lead", "--role", "steward", "--as", "kim"]);
    let refused = ann.ends(&["status", "--as", "ann"], 1);
    assert!(refused.contains("ann has no role in this project") && refused.contains("goldsmith key"), "{refused}");
    assert_eq!(ann.key().len(), 64);
    kim.says(&["people", "set", "ann", "--role", "annotator", "--as", "kim"]);
    let refused = ann.ends(&["people", "set", "ann", "--role", "lead", "--as", "ann"], 1);
    assert!(refused.contains("ann may not say who somebody is: that is for a lead"), "{refused}");
    let refused = ann.ends(&["taxonomy", "rename", "coping_strategy", "coping", "--yes", "--as", "ann"], 1);
    assert!(refused.contains("may not change the guideline's categories"), "{refused}");
    let only = kim.ends(&["people", "set", "kim", "--role", "steward", "--as", "kim"], 1);
    assert!(only.contains("kim is the only lead"), "{only}");
    // Nobody is given what nobody can use, or what is another's.
    let key = kim.key();
    for (arguments, expected) in [
        (&["lea", "--role", "lead"][..], "lea has no key yet"),
        (&["lea", "--key", &key], "that is kim's key"),
        (&["kim", "--key", &ann.key()], "that is ann's key"),
        (&["lea", "--key", &"0".repeat(64)], "is no public key"),
        (&[" lea", "--role", "annotator"], "nobody can decide under the name"),
        (&["", "--role", "annotator"], "nobody can decide under the name"),
    ] {
        let said = kim.run(&[&["people", "set"], arguments, &["--as", "kim"]].concat());
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let labels = world.labels("other.csv", true);
    for verb in [
        &["import", &labels, "--unit", "sentence", "--annotator", "list"][..],
        &["import", &labels, "--unit", "sentence"],
        &["export", "gold"],
        &["backup"],
        &["merge", &labels],
    ] {
        let refused = ann.ends(&[verb, &["--as", "ann"]].concat(), 1);
        assert!(refused.contains("ann may not take"), "{verb:?}: {refused}");
    }
    let out = world.path("notes.gz");
    let refused = ann.ends(&["bundle", &out, "--with-text", "--plain", "--as", "ann"], 1);
    assert!(refused.contains("may not take notes out"), "{refused}");
    kim.says(&["bundle", &out, "--with-text", "--plain", "--as", "kim"]);
    let listed: Value = serde_json::from_str(&kim.says(&["people", "--json", "--as", "kim"])).unwrap();
    assert_eq!(listed["people"][1]["roles"], json!(["lead", "steward"]));
    kim.says(&["audit", "--as", "kim"]);
}

/// Somebody who can write the store makes its whole log anew, with another label in it; or puts an older copy in its place.
#[test]
fn a_log_made_anew_does_not_fit_its_anchors() {
    let world = World::new();
    let ann = world.site("study", "ann");
    let settings = world.at("study/goldsmith.toml");
    let anchors = world.at("study.anchors");
    let text = fs::read_to_string(&settings).unwrap();
    let named = text.replace("anchor = \"\"", &format!("anchor = {:?}", anchors.to_str().unwrap()));
    assert_ne!(named, text);
    fs::write(&settings, named).unwrap();
    let store = world.at("study/goldsmith.db");
    assert!(ann.says(&["audit", "--as", "ann"]).contains("the file of anchors that goldsmith.toml names is not there"));
    let whole = |name: &str| {
        let c = rusqlite::Connection::open(&store).unwrap();
        c.execute("VACUUM INTO ?", [world.path(name)]).unwrap();
    };
    whole("older.db");
    let other = world.labels("other.csv", true);
    ann.says(&["import", &other, "--unit", "sentence", "--annotator", "ann", "--as", "ann"]);
    let lines = fs::read_to_string(&anchors).unwrap().lines().count();
    assert!(lines >= 1);
    ann.says(&["status", "--as", "ann"]);
    assert_eq!(fs::read_to_string(&anchors).unwrap().lines().count(), lines, "nothing new, no line");
    assert!(ann.says(&["audit", "--as", "ann"]).contains("anchors held") || lines == 1);
    whole("newer.db");
    let put = |name: &str| {
        for side in ["-wal", "-shm"] {
            let _ = fs::remove_file(world.at(&format!("study/goldsmith.db{side}")));
        }
        fs::copy(world.at(name), &store).unwrap();
    };
    put("older.db");
    let said = ann.ends(&["audit", "--as", "ann"], 1);
    assert!(said.contains("does not fit") && said.contains("its end was cut off"), "{said}");
    put("newer.db");
    // A line that somebody adds or changes is not hers.
    let all = fs::read_to_string(&anchors).unwrap();
    fs::write(&anchors, all.replacen("\"events\":", "\"events\":1", 1)).unwrap();
    let said = ann.ends(&["audit", "--as", "ann"], 1);
    assert!(said.contains("is not as ann signed it"), "{said}");
    fs::write(&anchors, all + "no anchor\n").unwrap();
    let said = ann.ends(&["audit", "--as", "ann"], 1);
    assert!(said.contains("anchors is no anchor of goldsmith"), "{said}");
    // Nor does it help to take the file away, or to name it no more.
    fs::remove_file(&anchors).unwrap();
    let said = ann.ends(&["audit", "--as", "ann"], 1);
    assert!(said.contains("this store has anchors, and") && said.contains("is not there"), "{said}");
    fs::write(&settings, text).unwrap();
    let said = ann.ends(&["audit", "--as", "ann"], 1);
    assert!(said.contains("does not say any more where they are"), "{said}");
}

/// Anchors are added to a file of anchors, and to nothing that somebody else reads or runs.
#[test]
fn anchors_are_added_to_a_file_of_anchors_alone() {
    let world = World::new();
    let ann = world.site("study", "ann");
    let settings = world.at("study/goldsmith.toml");
    let text = fs::read_to_string(&settings).unwrap();
    let name = |file: &str| {
        fs::write(&settings, text.replace("anchor = \"\"", &format!("anchor = {:?}", world.path(file)))).unwrap();
    };
    fs::write(world.at("bashrc"), "alias ls=ls\n").unwrap();
    name("bashrc");
    let said = ann.ends(&["status", "--as", "ann"], 1);
    assert!(said.contains("whose name ends in `.anchors`"), "{said}");
    assert_eq!(fs::read_to_string(world.at("bashrc")).unwrap(), "alias ls=ls\n");
    fs::write(world.at("other.anchors"), "alias ls=ls\n").unwrap();
    name("other.anchors");
    let said = ann.says(&["status", "--as", "ann"]);
    assert!(said.contains("is no file of anchors; nothing was added to it"), "{said}");
    assert_eq!(fs::read_to_string(world.at("other.anchors")).unwrap(), "alias ls=ls\n");
    // A byte that is no text spoils its own line, and no other.
    fs::write(world.at("spoilt.anchors"), "").unwrap();
    name("spoilt.anchors");
    ann.says(&["status", "--as", "ann"]);
    let mut all = fs::read(world.at("spoilt.anchors")).unwrap();
    assert!(all.starts_with(b"{"));
    all.extend_from_slice(b"\xff\n");
    fs::write(world.at("spoilt.anchors"), all).unwrap();
    let said = ann.ends(&["audit", "--as", "ann"], 1);
    assert!(said.contains("line 2 of") && said.contains("1 anchor held"), "{said}");
    // A store that calls itself another has no anchor in a file that has some.
    let lines = fs::read_to_string(world.at("study/goldsmith.toml")).unwrap();
    fs::write(&settings, lines.replace("spoilt.anchors", "theirs.anchors")).unwrap();
    let of_others = fs::read(world.at("spoilt.anchors")).unwrap();
    let of_others = String::from_utf8_lossy(&of_others[..of_others.len() - 2]).replace("\"site\":\"", "\"site\":\"x");
    fs::write(world.at("theirs.anchors"), of_others).unwrap();
    let said = ann.ends(&["audit", "--as", "ann"], 1);
    assert!(said.contains("no line of") && said.contains("is of this store"), "{said}");
}

/// Whoever may not even look at a project does not put another in its place.
#[test]
fn a_backup_is_put_in_a_projects_place_by_stewards_and_leads() {
    let world = World::new();
    let ann = world.site("study", "ann");
    ann.says(&["people", "set", "ann", "--role", "lead", "--role", "steward", "--as", "ann"]);
    let eve = world.site("eves", "eve");
    let copies = world.path("copies");
    eve.says(&["backup", "--to", &copies, "--as", "eve"]);
    let copy = fs::read_dir(&copies).unwrap().next().unwrap().unwrap().path();
    let restore = ["restore", copy.to_str().unwrap(), "--replace", "--as"];
    let said = world.desk("study", "eve").ends(&[&restore[..], &["eve"]].concat(), 1);
    assert!(said.contains("eve has no role in this project"), "{said}");
    ann.says(&["status", "--as", "ann"]);
    ann.says(&[&restore[..], &["ann"]].concat());
}

/// Roles are given by the project that takes a bundle in, whoever signed what is in it.
#[test]
fn labels_of_somebody_without_a_role_are_a_question() {
    let world = World::new();
    let bob = world.site("ward", "bob");
    let kim = world.desk("hub", "kim");
    kim.says(&["init", &world.path("hub")]);
    kim.says(&["import", &world.labels("notes.csv", false), "--unit", "sentence", "--without-labels", "--as", "kim"]);
    kim.says(&["people", "set", "kim", "--role", "lead", "--role", "steward", "--as", "kim"]);
    kim.says(&["people", "set", "bob", "--key", &bob.key(), "--as", "kim"]);
    let bundle = world.path("ward.jsonl");
    bob.says(&["bundle", &bundle, "--plain", "--as", "bob"]);
    let said = kim.ends(&["merge", &bundle, "--as", "kim"], 1);
    assert!(said.contains("of bob, who is no annotator of this project"), "{said}");
    kim.says(&["people", "set", "bob", "--role", "annotator", "--as", "kim"]);
    kim.says(&["merge", &bundle, "--as", "kim"]);
    let votes = kim.says(&["export", "gold", "--votes", "--csv", "--as", "kim"]);
    assert_eq!(votes.lines().filter(|line| line.contains("bob")).count(), 20, "{votes}");
}

#[test]
fn who_read_which_note_is_on_record() {
    let world = World::new();
    let ann = world.site("study", "ann");
    let kim = world.desk("study", "kim");
    ann.ends(&["audit", "--access", "--as", "ann"], 3);
    kim.says(&["export", "gold", "--as", "kim"]);
    let said = ann.says(&["audit", "--access", "--as", "ann"]);
    assert!(said.contains("kim exported 20 notes: 0, 1, 2, 3") && said.contains("and 12 more"), "{said}");
    ann.says(&["audit", "--log", "--with-text", "--sentence", "3", "--as", "ann"]);
    let said = ann.says(&["audit", "--access", "--annotator", "ann", "--json", "--as", "ann"]);
    let read: Value = serde_json::from_str(said.trim()).unwrap();
    assert_eq!((&read["how"], &read["notes"]), (&json!("printed"), &json!(["2"])));
    kim.says(&["people", "set", "kim", "--role", "lead", "--as", "kim"]);
    kim.says(&["people", "set", "ann", "--role", "annotator", "--as", "kim"]);
    let refused = ann.ends(&["audit", "--access", "--as", "ann"], 1);
    assert!(refused.contains("ann may not see who read what"), "{refused}");
}

#[test]
fn a_model_that_was_changed_is_not_loaded() {
    let world = World::new();
    let ann = world.desk("study", "ann");
    ann.says(&["init", &world.path("study")]);
    let notes = world.labels("labels.csv", true);
    ann.says(&["import", &notes, "--unit", "sentence", "--annotator", "ann", "--as", "ann"]);
    ann.says(&["train", "--as", "ann"]);
    let models = world.at("study/models");
    let model = fs::read_dir(&models).unwrap().next().unwrap().unwrap().path();
    let said = ann.says(&["predict", &notes, "--as", "ann"]);
    assert!(said.contains("the model is as ann signed it"), "{said}");
    let description = model.join("model.json");
    let whole = fs::read_to_string(&description).unwrap();
    // What no hash of the weights would find.
    fs::write(&description, whole.replacen("\"temperature\": ", "\"temperature\": 9", 1)).unwrap();
    for verb in [&["predict", &notes][..], &["score"]] {
        let said = ann.ends(&[verb, &["--as", "ann"]].concat(), 1);
        assert!(said.contains("model.json is not as ann signed it") && said.contains("train it again"), "{said}");
    }
    fs::write(&description, &whole).unwrap();
    fs::write(model.join("more"), "").unwrap();
    let said = ann.ends(&["score", "--as", "ann"], 1);
    assert!(said.contains("more is not as ann signed it"), "{said}");
    fs::remove_file(model.join("more")).unwrap();
    fs::remove_file(model.join("signature.json")).unwrap();
    let said = ann.ends(&["score", "--as", "ann"], 1);
    assert!(said.contains("signature.json is gone"), "{said}");
    let elsewhere = world.path("model");
    fs::rename(&model, &elsewhere).unwrap();
    let said = ann.says(&["predict", &notes, "--model", &elsewhere]);
    assert!(said.contains("is not signed"), "{said}");
}

/// Ann's key is known at the hub. What she can write with it says nothing of others, and gives her nothing.
#[test]
fn a_known_key_speaks_for_its_owner_alone() {
    let world = World::new();
    let hub = world.site("hub", "ben");
    let ward = world.site("ward", "ann");
    let first = world.path("first.jsonl");
    ward.says(&["bundle", &first, "--as", "ann"]);
    hub.says(&["merge", &first, "--trust", "--as", "ben"]);
    // Labels of somebody without a key, which she wrote down: that is a question.
    let other = world.labels("other.csv", true);
    ward.says(&["import", &other, "--unit", "sentence", "--annotator", "prof", "--as", "ann"]);
    let second = world.path("second.jsonl");
    ward.says(&["bundle", &second, "--as", "ann"]);
    let asked = hub.ends(&["merge", &second, "--as", "ben"], 1);
    assert!(asked.contains("20 of prof, signed by the key") && !asked.contains("of ann,"), "{asked}");
    // A copy of the hub has its name; who is made lead there is none here.
    let backup = world.path("backups");
    hub.says(&["backup", "--to", &backup, "--as", "ben"]);
    let made = fs::read_dir(&backup).unwrap().next().unwrap().unwrap().path();
    let copy = world.desk("copy", "ben");
    copy.says(&["restore", made.to_str().unwrap(), "--as", "ben"]);
    copy.says(&["people", "set", "ben", "--role", "lead", "--as", "ben"]);
    let third = world.path("third.jsonl");
    copy.says(&["bundle", &third, "--as", "ben"]);
    hub.run(&["merge", &third, "--as", "ben"]);
    let people: Value = serde_json::from_str(&hub.says(&["people", "--json", "--as", "ben"])).unwrap();
    assert_eq!(people["roles_are_given"], false, "{people}");
    // A note that nobody signed is a question, too; and what a machine is said to have said comes with a decision alone.
    let forged = world.at("forged.jsonl");
    forge(&first, &forged, |lines| {
        let run = json!({ "run": {
            "id": "01990000-0000-7000-8000-000000000000", "kind": "label", "model": "gpt", "config": "{}",
            "taxonomy": "t", "started": 1, "finished": 2, "outcome": "finished", "scores": "",
        }});
        let sentence = decisions(lines).next().unwrap()["sentence"].clone();
        let proposal = json!({ "proposal": {
            "run": "01990000-0000-7000-8000-000000000000", "sentence": sentence, "source": "llm",
            "label": ["mood_change"],
        }});
        lines.extend([run, proposal]);
    });
    hub.says(&["merge", forged.to_str().unwrap(), "--as", "ben"]);
    let store = rusqlite::Connection::open(world.at("hub/goldsmith.db")).unwrap();
    let proposals: i64 = store.query_row("SELECT count(*) FROM proposals", [], |row| row.get(0)).unwrap();
    assert_eq!(proposals, 0);
    hub.says(&["audit", "--as", "ben"]);
}
