//! What is on users' disks is read by today's program as it was by the one that wrote it. `tests/golden/README.md` says
//! what the files are and how each was made; they are never made again.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::{command, fails, goldsmith, succeeds};

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path)
}

/// A golden file, unpacked if only its `.gz` is there.
fn bytes(path: &str) -> Vec<u8> {
    match fs::read(golden(path)) {
        Ok(bytes) => bytes,
        Err(_) => {
            let mut bytes = Vec::new();
            GzDecoder::new(fs::File::open(golden(&format!("{path}.gz"))).unwrap()).read_to_end(&mut bytes).unwrap();
            bytes
        }
    }
}

fn text(path: &str) -> String {
    String::from_utf8(bytes(path)).unwrap()
}

/// Says which line differs, not all of both.
#[track_caller]
fn assert_same(what: &str, found: &str, expected: &str) {
    let lines = || found.lines().zip(expected.lines()).enumerate();
    if let Some((at, (found, expected))) = lines().find(|(_, (found, expected))| found != expected) {
        panic!("{what}, line {}:\n   now {found}\ngolden {expected}", at + 1);
    }
    assert_eq!(found.len(), expected.len(), "{what} has {} lines now", found.lines().count());
}

/// A project in a folder that goes when it does.
pub(super) struct Study {
    _folder: TempDir,
    pub(super) root: String,
}

impl Study {
    /// A copy of a golden store.
    pub(super) fn of_version(version: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap().to_owned();
        for name in ["goldsmith.toml", "taxonomy.toml", "goldsmith.db"] {
            let mut file = tempfile::NamedTempFile::new_in(folder.path()).unwrap();
            file.write_all(&bytes(&format!("stores/v{version}/{name}"))).unwrap();
            file.persist(folder.path().join(name)).unwrap();
        }
        Self { _folder: folder, root }
    }

    /// A new project with a golden taxonomy.
    fn new(taxonomy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("study").to_str().unwrap().to_owned();
        succeeds(&["init", &root, "--taxonomy", golden(taxonomy).to_str().unwrap()]);
        Self { _folder: folder, root }
    }

    pub(super) fn prints(&self, arguments: &[&str]) -> String {
        succeeds(&[arguments, &["--project", &self.root]].concat())
    }

    /// Expects success; gives standard error.
    fn says(&self, arguments: &[&str]) -> String {
        let output = goldsmith(&[arguments, &["--project", &self.root]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    }

    fn fails(&self, arguments: &[&str]) -> String {
        fails(&[arguments, &["--project", &self.root]].concat())
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.prints(arguments)).unwrap()
    }

    pub(super) fn connection(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(format!("{}/goldsmith.db", self.root)).unwrap()
    }

    /// The first column of each row.
    fn rows(&self, sql: &str) -> Vec<String> {
        let connection = self.connection();
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn count(&self, of: &str) -> i64 {
        self.connection().query_row(&format!("SELECT count(*) FROM {of}"), [], |row| row.get(0)).unwrap()
    }

    /// The current label of every expert on every sentence: note, position, expert, label.
    fn labels(&self) -> String {
        let table = self.prints(&["export", "gold", "--votes", "--csv"]);
        let mut reader = csv::Reader::from_reader(table.as_bytes());
        let header = reader.headers().unwrap().clone();
        let columns = ["note", "position", "by", "label"].map(|name| header.iter().position(|h| h == name).unwrap());
        let line = |row: csv::StringRecord| columns.map(|at| row[at].to_owned()).join(" ") + "\n";
        reader.records().map(|row| line(row.unwrap())).collect()
    }
}

/// What a golden store holds.
struct Known {
    version: i64,
    events: i64,
    /// What the log's last link is once every event is chained.
    link: &'static str,
    gold: usize,
    disputed: i64,
    settled: i64,
    /// Labels of language models on sentences of notes, and sentences that they wrote.
    silver: i64,
    bronze: i64,
    /// Rows of the tables that came with versions 2 to 5, in the order of [`TABLES`].
    rows: [i64; 11],
}

const TABLES: [&str; 11] = [
    "egress",
    "replies",
    "failures",
    "spending",
    "verdicts",
    "predictions",
    "embeddings",
    "doubts",
    "assignments",
    "ranking",
    "taxonomies WHERE hash = 'e3973fcf0e61265b7934537db5f4bb01d908dd357583ac4736bb5364b2f6e8fb'",
];

const UNSETTLED: &str = "203700dbd777bb9970671e86a2244d15dcbac967b16a314cc928f6dee328751d";

const KNOWN: [Known; 8] = [
    Known {
        version: 1,
        events: 190,
        link: "ba1e43603df90cfc2d575055985c7d904af593c6268781fce6652427a124f09d",
        gold: 101,
        disputed: 9,
        settled: 0,
        silver: 117,
        bronze: 0,
        rows: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    },
    Known {
        version: 2,
        events: 195,
        link: UNSETTLED,
        gold: 101,
        disputed: 9,
        settled: 0,
        silver: 128,
        bronze: 23,
        rows: [42, 42, 1, 2, 218, 0, 0, 0, 0, 0, 1],
    },
    Known {
        version: 3,
        events: 195,
        link: UNSETTLED,
        gold: 101,
        disputed: 9,
        settled: 0,
        silver: 128,
        bronze: 23,
        rows: [42, 42, 1, 2, 218, 24, 1, 0, 0, 0, 1],
    },
    Known {
        version: 4,
        events: 195,
        link: UNSETTLED,
        gold: 101,
        disputed: 9,
        settled: 0,
        silver: 128,
        bronze: 23,
        rows: [42, 42, 1, 2, 218, 24, 1, 13, 0, 0, 1],
    },
    Known {
        version: 5,
        events: 241,
        link: "6d24bbe3c4000f5214a0b8e059b0fbd9e960ce7a288540b594ef6098187facf8",
        gold: 82,
        disputed: 10,
        settled: 2,
        silver: 130,
        bronze: 23,
        rows: [44, 42, 1, 2, 218, 24, 0, 13, 322, 89, 1],
    },
    Known {
        version: 6,
        events: 248,
        link: "62c3761daed4bde997a42d298487fd6fc6fa8b6e77a1a8fa74084ee9ce22177b",
        gold: 60,
        disputed: 6,
        settled: 1,
        silver: 130,
        bronze: 23,
        rows: [45, 42, 1, 2, 218, 50, 0, 13, 322, 96, 1],
    },
    Known {
        version: 7,
        events: 296,
        link: "fa0ea2350b7884960c02a71952450ed843696d88a4fd82ddcf396512099ba3b0",
        gold: 63,
        disputed: 8,
        settled: 3,
        silver: 130,
        bronze: 23,
        rows: [45, 42, 1, 2, 218, 50, 0, 13, 322, 90, 1],
    },
    Known {
        version: 8,
        events: 296,
        link: "fa0ea2350b7884960c02a71952450ed843696d88a4fd82ddcf396512099ba3b0",
        gold: 63,
        disputed: 8,
        settled: 3,
        silver: 130,
        bronze: 23,
        rows: [45, 42, 1, 2, 218, 50, 0, 13, 322, 90, 1],
    },
];

#[test]
fn a_store_of_every_version_opens_and_means_the_same() {
    for known in KNOWN {
        let study = Study::of_version(known.version);
        let version = || study.connection().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        let (before, of): (i64, i64) = (version(), known.version);
        assert_eq!(before, of);
        // Exit code 0 says that the log is intact.
        let audit = study.json(&["audit", "--json", "--expect", known.link]);
        assert!(version() >= 8, "version {of} was migrated");
        assert_eq!(audit["events"], known.events, "version {of}");
        assert_eq!(audit["last_link"], known.link, "version {of}");
        let status = study.json(&["status", "--json"]);
        let counts = ["sentences", "gold", "disputed", "settled"].map(|key| status[key].as_i64().unwrap());
        assert_eq!(counts, [161, known.gold as i64, known.disputed, known.settled], "version {of}");
        assert_eq!(study.prints(&["export", "gold"]).lines().count(), known.gold, "version {of}");
        assert_same(&format!("labels of version {of}"), &study.labels(), &text(&format!("stores/v{of}/labels.txt")));
        let on = |synthetic| {
            format!(
                "proposals p JOIN sentences s ON s.id = p.sentence WHERE source = 'llm' AND synthetic = {synthetic}"
            )
        };
        assert_eq!((study.count(&on(0)), study.count(&on(1))), (known.silver, known.bronze), "version {of}");
        assert_eq!(TABLES.map(|table| study.count(table)), known.rows, "version {of}");
        assert!(study.prints(&["check"]).starts_with("ok"), "version {of}");
        assert!(study.says(&["metrics"]).is_empty(), "version {of}");
    }
}

/// Three of its notes have a title from the column that its project names.
#[test]
fn where_titles_come_from_is_read_as_it_was_written() {
    let study = Study::of_version(8);
    assert!(study.prints(&["check"]).starts_with("ok"));
    let titles =
        "SELECT d.title || ' from ' || t.name FROM title_columns t JOIN documents d ON d.id = t.document ORDER BY 1";
    assert_eq!(study.rows(titles), ["Exam from section", "History from section", "Plan from section"]);
}

/// Its log has signed entries, and seals stand over the rest.
#[test]
fn signatures_and_seals_are_read_as_they_were_written() {
    let study = Study::of_version(9);
    let keys = golden("keys");
    let as_kim = |arguments: &[&str]| {
        let all = [arguments, &["--as", "kim", "--project", &study.root]].concat();
        let output = command(&all).env("GOLDSMITH_KEYS", &keys).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let audit: Value = serde_json::from_str(&as_kim(&["audit", "--json"])).unwrap();
    assert_eq!(audit["last_link"], "767472db02b6bb145db4ba7e67f7f6a8af8b7b53f81ed4bebf53db133b001c3e");
    assert_eq!(audit["last_seal"], "253fd0b4e9383db396714fa706a20dc536bed6660c192acf2a50335604f856ed");
    assert_eq!((&audit["well"], &audit["events"], &audit["unsigned"]), (&json!(true), &json!(303), &json!(297)));
    let people: Value = serde_json::from_str(&as_kim(&["people", "--json"])).unwrap();
    assert_eq!(people["people"][1]["roles"], json!(["lead", "steward"]));
    let read = as_kim(&["audit", "--access"]);
    assert!(read.contains("kim exported"), "{read}");
    // Its entries are taken in elsewhere, and fit.
    let bundle = format!("{}/study-9.jsonl", study.root);
    fs::write(&bundle, bytes("bundles/study-9.jsonl")).unwrap();
    let before = Study::of_version(8);
    let said = before.says(&["merge", &bundle, "--trust"]);
    assert!(said.contains("4 events are on notes that are not here"), "{said}");
    assert!(before.prints(&["audit"]).contains("intact"));
}

#[test]
fn a_store_of_a_version_to_come_is_refused_and_left_alone() {
    let study = Study::of_version(6);
    study.connection().pragma_update(None, "user_version", 99).unwrap();
    for verb in [&["audit"][..], &["status"], &["export", "gold"], &["check"]] {
        let said = study.fails(verb);
        assert!(said.contains("is of version 99") && said.contains("newer goldsmith"), "{said}");
    }
    let version: i64 = study.connection().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
}

const EXPERIMENT: [&str; 9] =
    ["experiment", "--tasks", "multi", "--sets", "gold,gold+silver", "--seeds", "1", "--jobs", "1"];

/// An export as it is written now: its newest form, where that was changed on purpose.
fn exported(name: &str) -> String {
    let is_there = |file: &String| golden(file).exists() || golden(&format!("{file}.gz")).exists();
    let newer = ["9", "7"].map(|version| format!("exports/{version}/{name}")).into_iter().find(is_there);
    text(&newer.unwrap_or_else(|| format!("exports/{name}")))
}

/// What `audit --json` says first, without the keys that came with store version 9.
fn without_what_audit_gained(said: &str) -> String {
    let Some((first, rest)) = said.split_once('\n').filter(|(first, _)| first.starts_with("{\"well\"")) else {
        return said.to_owned();
    };
    let mut verdict: serde_json::Map<String, Value> = serde_json::from_str(first).unwrap();
    for gained in ["seals", "last_seal", "unsigned", "anchors"] {
        verdict.shift_remove(gained);
    }
    format!("{}\n{rest}", serde_json::to_string(&verdict).unwrap())
}

#[test]
fn what_goes_out_is_written_as_it_was() {
    let study = Study::of_version(6);
    let outputs: [(&str, &[&str]); 16] = [
        ("gold.jsonl", &["export", "gold"]),
        ("gold.csv", &["export", "gold", "--csv"]),
        ("votes.jsonl", &["export", "gold", "--votes"]),
        ("votes.csv", &["export", "gold", "--votes", "--csv"]),
        ("audit.csv", &["audit", "--csv", "-"]),
        ("audit.json", &["audit", "--json"]),
        ("log.jsonl", &["audit", "--log", "--json"]),
        ("metrics.json", &["metrics", "--json"]),
        ("metrics.csv", &["metrics", "--csv"]),
        ("metrics.md", &["metrics", "--markdown"]),
        ("agreement.csv", &["agreement", "--csv"]),
        ("doubts.json", &["doubt", "--last", "--json"]),
        ("doubts.csv", &["doubt", "--last", "--csv"]),
        ("queue.json", &["queue", "--last", "--json", "--limit", "0"]),
        ("queue.csv", &["queue", "--last", "--csv", "--limit", "0"]),
        ("egress.json", &["egress", "--json"]),
    ];
    for (name, arguments) in outputs {
        assert_same(name, &without_what_audit_gained(&study.prints(arguments)), &exported(name));
    }
    // These may gain a number; none may go.
    for (name, arguments) in [("agreement.json", &["agreement", "--json"]), ("status.json", &["status", "--json"])] {
        let mut lost = keys(&serde_json::from_str(&exported(name)).unwrap());
        let now = keys(&study.json(arguments));
        lost.retain(|key| !now.contains(key));
        assert!(lost.is_empty(), "{name} has lost {lost:?}");
    }
}

/// Entries of every kind, of both sites, with what had been in sight.
#[test]
fn a_log_with_what_had_been_in_sight_is_read_and_bundled_as_it_was() {
    let study = Study::of_version(7);
    let log = without_what_audit_gained(&study.prints(&["audit", "--log", "--json"]));
    assert_same("log", &log, &text("exports/7/log-v7.jsonl"));
    let kinds =
        "SELECT DISTINCT kind || ' ' || (site IS NULL) || ' ' || coalesce(in_sight, '?') FROM events ORDER BY 1";
    let found = study.rows(kinds);
    for expected in ["decide 1 ", "decide 1 machine,colleague,doubt", "decide 0 classifier", "settle 1 colleague"] {
        assert!(found.iter().any(|kind| kind == expected), "{expected} is not in {found:?}");
    }
    for kind in ["undo 1 ?", "undo 0 ?", "redo 1 ?", "redo 0 ?", "recast 1 ?", "recast 0 ?"] {
        assert!(found.iter().any(|found| found == kind), "{kind} is not in {found:?}");
    }
    let out = format!("{}/out.jsonl", study.root);
    study.says(&["bundle", &out, "--comments", "--with-text", "--plain"]);
    let made = fs::read_to_string(&out).unwrap();
    assert_same("bundle", &without_its_time(&made), &without_its_time(&text("bundles/study-7.jsonl")));
    // The store of version 6 was the other site's beginning, and this one's.
    let before = Study::of_version(6);
    let ward = format!("{}/ward-2.jsonl", before.root);
    fs::write(&ward, text("bundles/ward-2.jsonl")).unwrap();
    let said = before.says(&["merge", &ward, "--trust"]);
    assert!(said.contains("11 new events, 206 already here"), "{said}");
    let from_there = "SELECT id || ' ' || kind || ' ' || coalesce(in_sight, '?') FROM events WHERE site LIKE 'ward-2%'";
    assert_eq!(before.rows(from_there), study.rows(from_there));
}

/// A bundle without when it was made, and the sum over that.
fn without_its_time(text: &str) -> String {
    let (head, rest) = text.split_once('\n').unwrap();
    let (lines, end) = rest.trim_end().rsplit_once('\n').unwrap();
    let (mut head, mut end): (Value, Value) = (serde_json::from_str(head).unwrap(), serde_json::from_str(end).unwrap());
    assert!(head["made"].take().is_i64() && end["end"]["sha256"].take().is_string());
    format!("{head}\n{lines}\n{end}\n")
}

/// The keys of an object, and of those in it.
fn keys(value: &Value) -> BTreeSet<String> {
    let below = |name: &str, value: &Value| -> Vec<String> {
        [name.to_owned()].into_iter().chain(keys(value).iter().map(|key| format!("{name}.{key}"))).collect()
    };
    match value {
        Value::Object(all) => all.iter().flat_map(|(name, value)| below(name, value)).collect(),
        Value::Array(all) => all.iter().flat_map(|value| below("[]", value)).collect(),
        _ => BTreeSet::new(),
    }
}

/// A cell is known by the hash of its whole configuration: what was trained is found again, and not trained anew.
#[test]
fn an_experiment_finds_its_cells_again() {
    let study = Study::of_version(6);
    let said = study.says(&EXPERIMENT);
    assert!(said.contains("experiment 1059c40a: 2 cells, 2 done before"), "{said}");
    for (format, name) in [("json", "experiment.json"), ("csv", "experiment.csv")] {
        let printed = study.prints(&[&EXPERIMENT[..], &["--format", format]].concat());
        assert_same(name, &printed, &exported(name));
    }
}

#[test]
fn gold_that_went_out_comes_in_again() {
    let labels = |study: &Study| {
        let mut lines: Vec<String> =
            study.labels().lines().map(|line| line.rsplit(' ').next().unwrap().into()).collect();
        lines.sort();
        lines
    };
    let out = text("exports/gold.csv");
    let mut reader = csv::Reader::from_reader(out.as_bytes());
    let column = reader.headers().unwrap().iter().position(|name| name == "label").unwrap();
    let mut expected: Vec<String> = reader.records().map(|row| row.unwrap()[column].to_owned()).collect();
    expected.sort();
    for file in ["exports/gold.jsonl", "exports/gold.csv", "exports/7/gold.jsonl", "exports/9/gold.jsonl"] {
        let study = Study::new("stores/v6/taxonomy.toml");
        study.says(&["import", golden(file).to_str().unwrap(), "--unit", "sentence", "--annotator", "gold"]);
        assert_eq!(labels(&study), expected, "{file}");
    }
}

#[test]
fn bundles_of_before_are_taken_in_and_mean_the_same() {
    let at = |name: &str| golden(&format!("bundles/{name}")).to_str().unwrap().to_owned();
    let (plain, sealed) = (at("ward.jsonl"), at("ward.gz.age"));
    let keys = ["--identity", &at("identity.txt"), "--signed-by", &at("minisign.pub")].map(str::to_owned);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    // The store of version 4 has the notes; with the ward's labels it says what that of version 5 does.
    let (one, other) = (Study::of_version(4), Study::of_version(4));
    let said = one.says(&["merge", &plain, "--trust"]);
    assert!(said.contains("42 new events, 0 already here (ann 6, cay 36)"), "{said}");
    let said = other.says(&[&["merge", &sealed][..], &keys].concat());
    assert!(said.contains("signed by key 5270D8F880B7929B") && said.contains("42 new events"), "{said}");
    for (study, then) in [(&one, &sealed), (&other, &plain)] {
        let said = study.says(&["merge", then, "--identity", keys[1]]);
        assert!(said.contains("0 new events, 42 already here"), "{said}");
        assert_same("labels after a merge", &study.labels(), &text("stores/v5/labels.txt"));
    }
    // What the plain one has and the sealed one has not are comments; links are over all that an event says.
    let link = |study: &Study| study.json(&["audit", "--json"])["last_link"].clone();
    assert_eq!(link(&one), "f8076d76b85a9f53a025caf7be365373f0c0d999e8feb6f3ecf8bfd15f51f2bb");
    assert_eq!(link(&other), "2d5866c193d3a8dcab7afc2efa4963d9f048e14f104cdc1702a128fbdfcc6dca");
    // Notes come along in these.
    let empty = Study::new("stores/v5/taxonomy.toml");
    let said = empty.says(&["merge", &at("ward-text.gz"), "--trust"]);
    assert!(said.contains("6 new events") && said.contains("6 new notes with 6 sentences"), "{said}");
    let labels = ["s081 0 ann care", "s082 0 ann mood", "s083 0 ann none", "s084 0 ann care", "s085 0 ann none"];
    assert_eq!(empty.labels(), labels.join("\n") + "\ns086 0 ann mood\n");
    let empty = Study::new("stores/v6/taxonomy.toml");
    let said = empty.says(&["merge", &at("study.jsonl.gz"), "--trust"]);
    assert!(said.contains("248 new events") && said.contains("112 new notes with 131 sentences"), "{said}");
    assert_same("labels of the whole study", &empty.labels(), &text("stores/v6/labels.txt"));
}

#[test]
fn a_bundle_is_written_as_it_was() {
    let study = Study::of_version(6);
    let out = format!("{}/out.jsonl", study.root);
    study.says(&["bundle", &out, "--comments", "--with-text", "--plain"]);
    let made = fs::read_to_string(&out).unwrap();
    assert_same("bundle", &without_its_time(&made), &without_its_time(&text("bundles/study.jsonl")));
}

/// A run is known by its whole configuration, the prompt among it: one that was begun goes on only if none of that changes.
#[test]
fn a_batch_is_written_as_it_was_and_its_answers_are_read() {
    let study = Study::of_version(5);
    let [requests, answers] = ["batch.jsonl", "answers.jsonl"].map(|name| format!("{}/{name}", study.root));
    let server = ["--url", "http://127.0.0.1:9/v1", "--model", "golden-model"];
    study.says(&[&["label", "--export-batch", &requests, "--limit", "2"][..], &server].concat());
    let run = study.rows("SELECT id FROM runs WHERE model = 'golden-model'").concat();
    let config = study.rows("SELECT config FROM runs WHERE model = 'golden-model'").concat() + "\n";
    assert_same("configuration of a run", &config, &text("exports/9/batch-run.json"));
    let written = fs::read_to_string(&requests).unwrap().replace(&run, "RUN");
    assert_same("requests of a batch", &written, &text("exports/9/batch.jsonl"));
    fs::write(&answers, text("exports/batch-answers.jsonl").replace("RUN", &run)).unwrap();
    study.says(&[&["label", "--import-batch", &answers][..], &server].concat());
    let labels =
        format!("SELECT sentence || ' ' || label || ' ' || confidence FROM proposals WHERE run = '{run}' ORDER BY 1");
    assert_eq!(study.rows(&labels), ["1  0.9", "2 mood 0.8"]);
}

/// Models with the sentences' probabilities. Encoders compute with the widest instructions that a processor has, so
/// their sums may come in another order.
#[test]
fn saved_models_predict_what_they_did() {
    let predict = |folder: &Path, taxonomy: &str| -> Vec<Value> {
        let study = Study::new(taxonomy);
        let sentences = golden("models/sentences.jsonl");
        let folder = folder.to_str().unwrap();
        let printed = study.prints(&["predict", sentences.to_str().unwrap(), "--model", folder]);
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let one = "stores/v5/taxonomy.toml";
    let several = tempfile::tempdir().unwrap();
    let several = several.path().join("several.toml");
    fs::write(&several, text(one).replace("selection = \"single\"", "selection = \"multiple\"")).unwrap();
    let several = several.to_str().unwrap();
    let encoder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/encoders/bert");
    let close = |a: &Value, b: &Value, most: f64| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() <= most;
    for (name, taxonomy, most) in [
        ("ngram-single", one, 1e-6),
        ("ngram-several", several, 1e-6),
        ("frozen", several, 1e-4),
        ("finetune", several, 1e-4),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for file in fs::read_dir(golden(&format!("models/{name}"))).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        // A frozen encoder is named by its folder, which is another on every machine.
        let card = folder.path().join("model.json");
        let told = fs::read_to_string(&card).unwrap();
        fs::write(&card, told.replace("ENCODER", encoder.to_str().unwrap())).unwrap();
        let expected = text(&format!("models/{name}.predicted.jsonl"));
        let expected: Vec<Value> = expected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let found = predict(folder.path(), taxonomy);
        assert_eq!((found.len(), expected.len()), (7, 7), "{name}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(keys(found), keys(expected), "{name}");
            assert_eq!((&found["id"], &found["label"]), (&expected["id"], &expected["label"]), "{name}");
            let (now, before) = (&found["probabilities"], &expected["probabilities"]);
            let wrong = before.as_object().unwrap().iter().find(|(key, p)| !close(&now[key.as_str()], p, most));
            assert!(wrong.is_none(), "{name}: {now}, and it was {before}");
        }
    }
}

/// Notes, their ids, their patients' splits and where their sentences begin and end; labels.
#[test]
fn notes_of_every_format_are_read_as_they_were() {
    let study = Study::new("notes/taxonomy.toml");
    let at = |names: &[&str]| -> Vec<String> {
        names.iter().map(|name| golden(&format!("notes/{name}")).to_str().unwrap().to_owned()).collect()
    };
    let notes = at(&["letter.txt", "visit.txt.gz", "notes.jsonl", "sheet.csv", "sheet.tsv.gz", "NOTEEVENTS.csv"]);
    study.says(&[&["import"][..], &notes.iter().map(String::as_str).collect::<Vec<_>>()].concat());
    // An empty list was *None* once; it says nothing now.
    for (file, whose, n) in
        [("labelled.jsonl", ["--annotator", "ann"], 2), ("labelled.csv", ["--model", "some-llm"], 3)]
    {
        let said = study.says(&[&["import", &at(&[file])[0], "--unit", "sentence"][..], &whose].concat());
        assert!(said.contains(&format!("{n} labels taken in")), "{said}");
    }
    let documents = "SELECT lower(hex(d.uid)) || ' '
            || json_array(p.key, p.split, d.external_id, d.title, d.kind, d.date, d.source) || ' '
            || (SELECT json_group_array(s.start || '-' || s.end) FROM sentences s WHERE s.document = d.id)
        FROM documents d JOIN patients p ON p.id = d.patient ORDER BY d.id";
    let decisions = "SELECT json_array(e.kind, e.annotator, d.external_id, json(e.stand)) FROM events e
        JOIN sentences s ON s.id = e.sentence JOIN documents d ON d.id = s.document ORDER BY e.seq";
    let proposals = "SELECT json_array(p.source, r.model, d.external_id, p.label) FROM proposals p
        JOIN runs r ON r.id = p.run JOIN sentences s ON s.id = p.sentence JOIN documents d ON d.id = s.document
        ORDER BY p.id";
    let found = [documents, decisions, proposals].map(|sql| study.rows(sql)).concat();
    assert_same("imported notes", &(found.join("\n") + "\n"), &text("notes/9/imported.txt"));
}
