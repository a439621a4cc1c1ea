//! Two sites that cannot share a database, and a third that takes both in: `bundle`, `merge`, `audit`, by the command line.

use std::fs;
use std::path::Path;
use std::process::Output;

use super::support::{command, ends, fails, goldsmith, succeeds};

const KINDS: [(&str, &str); 3] = [
    ("She forgets names and dates", "cognitive_impairment"),
    ("He needs help to dress", "requires_assistance"),
    ("Blood pressure is fine today", "None"),
];

/// Sixty sentences; at the second site one of ten is called otherwise.
fn labelled(folder: &Path, site: usize) -> String {
    let path = folder.join(format!("gold-{site}.csv"));
    let mut text = "id,patient,text,label\n".to_owned();
    for i in 0..60 {
        let (said, label) = KINDS[i % 3];
        let label = if site == 1 && i % 10 == 0 { "coping_strategy" } else { label };
        text += &format!("{i},p{},{said} number {i}.,{label}\n", i % 20);
    }
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

struct Site {
    root: String,
}

impl Site {
    fn new(folder: &Path, name: &str) -> Self {
        let root = folder.join(name).to_str().unwrap().to_owned();
        succeeds(&["init", &root]);
        Self { root }
    }

    /// A site with notes, an expert's labels on them, and a model's.
    fn with_gold(folder: &Path, name: &str, site: usize, expert: &str) -> Self {
        let new = Self::new(folder, name);
        let file = labelled(folder, site);
        new.says(&["import", &file, "--unit", "sentence", "--annotator", expert]);
        new.says(&["import", &file, "--unit", "sentence", "--model", "some-llm"]);
        new
    }

    fn run(&self, arguments: &[&str]) -> Output {
        goldsmith(&[arguments, &["--project", &self.root]].concat())
    }

    /// Expects success; gives standard error.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    }

    /// Expects an exit code; gives standard error.
    #[track_caller]
    fn ends(&self, arguments: &[&str], code: i32) -> String {
        ends(&[arguments, &["--project", &self.root]].concat(), code)
    }

    fn prints(&self, arguments: &[&str]) -> String {
        succeeds(&[arguments, &["--project", &self.root]].concat())
    }

    fn fails(&self, arguments: &[&str]) -> String {
        fails(&[arguments, &["--project", &self.root]].concat())
    }

    /// What it shows, without the names of its runs: the gold of each sentence, and the scores that are made against it.
    fn shown(&self) -> Vec<String> {
        let store = rusqlite::Connection::open(format!("{}/goldsmith.db", self.root)).unwrap();
        let mut all: Vec<String> = store
            .prepare(
                "SELECT d.external_id || ' ' || t.annotator || ' ' || t.label || ' ' || t.forked FROM standing t
                 JOIN sentences s ON s.id = t.sentence JOIN documents d ON d.id = s.document",
            )
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        all.sort();
        let metrics: serde_json::Value = serde_json::from_str(&self.prints(&["metrics", "--json"])).unwrap();
        for scored in metrics["scores"].as_array().unwrap() {
            all.push(format!("{} {}", scored["scored"], scored["report"]));
        }
        all
    }

    fn audit(&self) -> serde_json::Value {
        serde_json::from_slice(&self.run(&["audit", "--json"]).stdout).unwrap()
    }
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

#[test]
fn two_sites_are_merged_into_a_third_in_either_order() {
    let folder = tempfile::tempdir().unwrap();
    let ward = Site::with_gold(folder.path(), "ward", 0, "ann");
    let clinic = Site::with_gold(folder.path(), "clinic", 1, "ben");
    let (from_ward, from_clinic) = (path(&folder, "ward.gz"), path(&folder, "clinic.jsonl"));
    let said = ward.says(&["bundle", &from_ward]);
    assert!(said.contains("61 events from ward-") && said.contains("it holds no text of notes"), "{said}");
    clinic.says(&["bundle", &from_clinic]);
    let plain = fs::read_to_string(&from_clinic).unwrap();
    assert!(!plain.contains("names and dates") && !plain.contains("fine today"), "no word of a note");
    assert_eq!(plain.lines().count(), 1 + 1 + 1 + 60 + 1, "header, guideline, a key, events, sum");
    let said = ward.fails(&["bundle", &from_ward]);
    assert!(said.contains("already exists; nothing was written"), "{said}");

    let hubs: Vec<Site> = [[&from_ward, &from_clinic], [&from_clinic, &from_ward]]
        .iter()
        .enumerate()
        .map(|(n, order)| {
            let hub = Site::new(folder.path(), &format!("hub-{n}"));
            // Without the notes nothing comes in, and nothing is lost.
            let said = hub.ends(&["merge", order[0], "--trust"], 3);
            assert!(
                said.contains("0 new events") && said.contains("60 events are on notes that are not here"),
                "{said}"
            );
            hub.says(&["import", &labelled(folder.path(), 0), "--unit", "sentence", "--without-labels"]);
            hub.says(&["import", &labelled(folder.path(), 0), "--unit", "sentence", "--model", "some-llm"]);
            let said = hub.says(&["merge", order[0], order[1], "--trust"]);
            assert_eq!(said.matches("60 new events, 0 already here").count(), 2, "{said}");
            assert!(said.contains("6 sentences are disputed now; open the workbench, screen Adjudicate"), "{said}");
            let said = hub.says(&["merge", order[0]]);
            assert!(said.contains("0 new events, 60 already here"), "{said}");
            hub
        })
        .collect();
    assert_eq!(hubs[0].shown(), hubs[1].shown());
    assert!(hubs[0].shown().iter().any(|line| line == "10 ben coping_strategy 0"));
    for site in [&ward, &clinic, &hubs[0], &hubs[1]] {
        assert_eq!(site.audit()["well"], true);
    }
    let audit = hubs[0].audit();
    assert_eq!(audit["events"], 122);
    assert_eq!(audit["annotators"][1]["from_other_sites"], 60);
    let runs = hubs[0].prints(&["runs"]);
    assert!(runs.contains("merge") && runs.contains("60 new events"), "{runs}");
    // What was taken in goes on to others, and comes back as what it was.
    let onward = path(&folder, "onward.gz");
    hubs[0].says(&["bundle", &onward]);
    let said = ward.says(&["merge", &onward, "--trust"]);
    assert!(said.contains("60 new events, 60 already here (ann 60, ben 60)"), "{said}");
    assert_eq!(ward.shown(), hubs[0].shown());
}

#[test]
fn only_what_is_new_of_one_expert() {
    let folder = tempfile::tempdir().unwrap();
    let ward = Site::with_gold(folder.path(), "ward", 0, "ann");
    ward.says(&["import", &labelled(folder.path(), 1), "--unit", "sentence", "--annotator", "cid"]);
    let bundle = |name: &str, more: &[&str]| ward.says(&[&["bundle", &path(&folder, name)], more].concat());
    assert!(bundle("1", &["--new", "--annotator", "ann"]).contains("60 events"));
    let nothing = ward.ends(&["bundle", &path(&folder, "2"), "--new", "--annotator", "ann"], 3);
    assert!(nothing.contains("nothing was decided since"), "{nothing}");
    assert!(!folder.path().join("2").exists());
    ward.says(&["import", &labelled(folder.path(), 1), "--unit", "sentence", "--annotator", "ann"]);
    assert!(bundle("3", &["--new", "--annotator", "ann"]).contains("6 events"));
    assert!(bundle("4", &["--new"]).contains("127 events"));
    assert!(bundle("5", &["--site", "here"]).contains("127 events"));
    let nothing = ward.ends(&["bundle", &path(&folder, "6"), "--site", "elsewhere"], 3);
    assert!(nothing.contains("nothing to bundle"), "{nothing}");
}

#[test]
fn notes_travel_only_when_asked_and_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let ward = Site::with_gold(folder.path(), "ward", 0, "ann");
    let out = path(&folder, "ward.gz.age");
    let said = ward.fails(&["bundle", &out, "--with-text"]);
    assert!(said.contains("encrypt it with --to RECIPIENT") && !Path::new(&out).exists(), "{said}");
    let words = |verb: &[&str], site: &Site, word: &str| {
        let all = [verb, &["--project", &site.root, "--passphrase-env", "GOLDSMITH_TEST_WORDS"]].concat();
        command(&all).env("GOLDSMITH_TEST_WORDS", word).output().unwrap()
    };
    let output = words(&["bundle", &out, "--with-text"], &ward, "correct horse");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("encrypted") && said.contains("the text of 60 notes with 60 sentences"), "{said}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o077, 0);
    }
    let egress = ward.prints(&["egress", "--json"]);
    assert!(egress.contains("ward.gz.age") && egress.contains("\"bundle\""), "{egress}");

    let hub = Site::new(folder.path(), "hub");
    let said = hub.fails(&["merge", &out]);
    assert!(said.contains("it is encrypted with a passphrase") || said.contains("it is encrypted"), "{said}");
    let output = words(&["merge", &out], &hub, "battery staple");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("is not the one that it was written with") && !said.contains("battery"), "{said}");
    let output = words(&["merge", &out, "--trust"], &hub, "correct horse");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("60 new events") && said.contains("60 new notes with 60 sentences"), "{said}");
    assert_eq!(hub.audit()["well"], true);
}

#[test]
fn a_bundle_that_must_be_signed_is_refused_without() {
    let folder = tempfile::tempdir().unwrap();
    let ward = Site::with_gold(folder.path(), "ward", 0, "ann");
    let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let key = path(&folder, "key");
    fs::write(&key, pair.sk.to_box(None).unwrap().to_bytes()).unwrap();
    let public = pair.pk.to_base64();
    let (signed, unsigned) = (path(&folder, "signed"), path(&folder, "unsigned"));
    assert!(ward.says(&["bundle", &signed, "--sign", &key]).contains("signed by key"));
    ward.says(&["bundle", &unsigned]);
    let hub = Site::new(folder.path(), "hub");
    hub.says(&["import", &labelled(folder.path(), 0), "--unit", "sentence", "--without-labels"]);
    let settings = format!("{}/goldsmith.toml", hub.root);
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, text.replace("require_signature = []", &format!("require_signature = [\"{public}\"]")))
        .unwrap();
    let said = hub.fails(&["merge", &unsigned]);
    assert!(said.contains("is not signed") && said.contains("nothing was taken in"), "{said}");
    let good = fs::read(&signed).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    fs::write(&signed, bad).unwrap();
    let said = hub.fails(&["merge", &signed]);
    assert!(said.contains("the file is not the one that was signed"), "{said}");
    assert_eq!(hub.audit()["events"], 0);
    fs::write(&signed, good).unwrap();
    assert!(hub.says(&["merge", &signed]).contains("60 new events"));
}

#[test]
fn a_torn_bundle_brings_nothing_in() {
    let folder = tempfile::tempdir().unwrap();
    let ward = Site::with_gold(folder.path(), "ward", 0, "ann");
    let out = path(&folder, "ward.jsonl");
    ward.says(&["bundle", &out]);
    let good = fs::read_to_string(&out).unwrap();
    let hub = Site::new(folder.path(), "hub");
    hub.says(&["import", &labelled(folder.path(), 0), "--unit", "sentence", "--without-labels"]);
    for (bad, expected) in [
        (good[..good.len() / 2].to_owned(), "it is torn; fetch it again"),
        (good.replacen("requires_assistance", "coping_strategy", 1), "the file was changed; fetch it again"),
    ] {
        fs::write(&out, bad).unwrap();
        let said = hub.fails(&["merge", &out]);
        assert!(said.contains(expected) && said.contains("ward.jsonl:"), "{said}");
        assert_eq!(hub.audit()["events"], 0);
    }
}

/// Someone writes a label of their own into the database.
#[test]
fn a_row_changed_behind_the_programs_back_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let ward = Site::with_gold(folder.path(), "ward", 0, "ann");
    let before = ward.prints(&["audit"]);
    assert!(
        before.contains("ann: 60 decisions, 0 of them blind, not known for 60") && before.contains("intact: 61 events"),
        "{before}"
    );
    let link = before.lines().find_map(|line| line.strip_prefix("last link: ")).unwrap().to_owned();
    ward.says(&["import", &labelled(folder.path(), 1), "--unit", "sentence", "--annotator", "cid"]);
    ward.prints(&["audit", "--expect", &link]);
    let said = ward.ends(&["audit", "--expect", "abc"], 2);
    assert!(said.contains("`abc` is no link of a chain"), "{said}");
    let output = ward.run(&["audit", "--expect", &"0".repeat(64)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("the link that you noted is not in this store"));

    let log = ward.prints(&["audit", "--log", "--sentence", "1"]);
    let (first, second) = (log.lines().next().unwrap(), log.lines().nth(1).unwrap());
    assert!(
        first.contains(
            "ann decides on sentence 1 (note 0, 0..37): Cognitive impairment; what was in sight is not known"
        ),
        "{log}"
    );
    assert!(
        second.contains("cid decides on sentence 1 (note 0, 0..37): Coping strategy; what was in sight is not known"),
        "{log}"
    );
    assert!(!log.contains("forgets"), "{log}");
    assert!(ward.prints(&["audit", "--log", "--sentence", "1", "--with-text"]).contains("She forgets names"));
    let csv = ward.prints(&["audit", "--csv", "-", "--annotator", "cid", "--by-sentence"]);
    assert!(csv.starts_with("position,event,kind,time,annotator,site,note,sentence,place,label,comment,"), "{csv}");
    assert_eq!(csv.lines().count(), 61);
    assert!(csv.lines().nth(1).unwrap().starts_with("62,") && csv.contains(",decide,20"), "{csv}");
    assert_eq!(ward.prints(&["audit", "--csv", "-", "--since", "2100-01-01"]).lines().count(), 1);

    let store = rusqlite::Connection::open(format!("{}/goldsmith.db", ward.root)).unwrap();
    store
        .execute_batch(
            "DROP TRIGGER events_are_never_changed;
             UPDATE events SET stand = replace(stand, 'cognitive_impairment', 'coping_strategy') WHERE seq = 5;",
        )
        .unwrap();
    let output = ward.run(&["audit"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("wrong: event 5 (") && said.contains("was changed after it was written"), "{said}");
    assert!(said.contains("the label that ann gave sentence 4 (note 3) is not what the events come to"), "{said}");
    assert!(said.contains("what to do: keep") && !said.contains("intact:"), "{said}");
    assert_eq!(ward.audit()["well"], false);
}
