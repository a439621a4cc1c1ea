//! Rows changed behind the program's back, one at a time, by someone who can write the store and puts every trigger back:
//! `audit` finds and names each. `GOLDSMITH_TAMPERINGS=5000 cargo test tampering` tries longer.

use std::fs;
use std::path::Path;

use proptest::test_runner::{RngAlgorithm, TestRng};
use rand::RngExt;
use rusqlite::Connection;
use rusqlite::types::Value;

use super::golden::Study;
use super::support::goldsmith;

/// Whom `audit` must name when a row of a table was changed: a word of its sentence.
const NAMED: [(&str, &str); 22] = [
    ("assignments", "the assignment"),
    ("chain", "event "),
    ("documents", "note "),
    ("doubts", "the label in doubt"),
    ("egress", "the record of what left the machine"),
    ("embeddings", "the embedding"),
    ("events", "event "),
    ("failures", "the record of a failure"),
    ("meta", "the setting"),
    ("patients", "patient "),
    ("predictions", "the prediction"),
    ("proposals", "a machine's label"),
    ("replies", "the kept reply"),
    ("runs", "run "),
    ("seals", "seal "),
    ("sentences", "note "),
    ("settled", "the adjudicators"),
    ("spending", "the cost of run"),
    ("standing", "what is shown as the label"),
    ("tally", "the count of what"),
    ("taxonomies", "version of the guideline"),
    ("verdicts", "the verdict of the quality gate"),
];

/// Writes behind the program's back: triggers out of the way, and as they were afterwards.
fn forge(store: &Path, work: impl FnOnce(&Connection) -> rusqlite::Result<bool>) -> bool {
    let c = Connection::open(store).unwrap();
    c.pragma_update(None, "foreign_keys", false).unwrap();
    let triggers: Vec<(String, String)> = c
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .and_then(|mut read| read.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .unwrap();
    for (name, _) in &triggers {
        c.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    let done = work(&c);
    for (_, sql) in &triggers {
        c.execute_batch(sql).unwrap();
    }
    // What a constraint of the table refuses changes nothing.
    done.unwrap_or(false)
}

fn columns(c: &Connection, table: &str) -> Vec<String> {
    let named = format!("SELECT name FROM pragma_table_info('{table}')");
    c.prepare(&named).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Something else of the same type.
fn other(value: Value, random: &mut impl RngExt) -> Value {
    match value {
        Value::Null => Value::Integer(random.random_range(0..1_000)),
        Value::Integer(number) => Value::Integer(number + random.random_range(1..1_000)),
        Value::Real(number) => Value::Real(number + 0.125),
        Value::Text(text) => match random.random_range(0..3) {
            0 => Value::Text(text + "x"),
            1 if !text.is_empty() => Value::Text(text.chars().skip(1).collect()),
            _ => Value::Text(format!(" {text}")),
        },
        Value::Blob(bytes) => Value::Blob(match bytes.split_first() {
            Some((first, rest)) => [&[first ^ 1][..], rest].concat(),
            None => vec![1],
        }),
    }
}

/// Changes, deletes or copies one row; says how, or nothing where the table's constraints forbid it.
fn change(c: &Connection, table: &str, random: &mut impl RngExt) -> rusqlite::Result<Option<String>> {
    let columns = columns(c, table);
    let count: i64 = c.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
    if count == 0 {
        return Ok(None);
    }
    let row: Vec<Value> =
        c.query_row(&format!("SELECT * FROM {table} LIMIT 1 OFFSET {}", random.random_range(0..count)), [], |row| {
            (0..columns.len()).map(|at| row.get(at)).collect()
        })?;
    let is_row = columns.iter().map(|column| format!("{column} IS ?")).collect::<Vec<_>>().join(" AND ");
    let at = random.random_range(0..columns.len());
    let mut changed = row.clone();
    changed[at] = other(changed[at].clone(), random);
    let (sql, values) = match random.random_range(0..6) {
        0 => (format!("DELETE FROM {table} WHERE {is_row}"), row.clone()),
        1 => {
            // A copy with another key.
            changed[0] = other(changed[0].clone(), random);
            (format!("INSERT INTO {table} VALUES ({})", vec!["?"; columns.len()].join(", ")), changed)
        }
        _ => {
            let mut values = vec![changed[at].clone()];
            values.extend(row.clone());
            (format!("UPDATE {table} SET {} = ? WHERE {is_row}", columns[at]), values)
        }
    };
    let said = format!("{sql} -- {values:?}");
    let done = c.execute(&sql, rusqlite::params_from_iter(values))?;
    // A column of numbers takes "0 " for 0.
    Ok((done == 1).then_some(said))
}

/// A store of an earlier version in the form of today, with its log on no side file.
fn study() -> Study {
    let study = Study::of_version(8);
    assert!(study.prints(&["audit"]).contains("intact"));
    study.connection().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    study
}

fn snapshot(c: &Connection, table: &str) -> Vec<Vec<Value>> {
    let count = columns(c, table).len();
    let mut read = c.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let rows = read.query_map([], |row| (0..count).map(|at| row.get(at)).collect()).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn a_hundred_rows_changed_behind_the_programs_back_are_found_and_named() {
    let tries: usize = std::env::var("GOLDSMITH_TAMPERINGS").ok().and_then(|n| n.parse().ok()).unwrap_or(120);
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]);
    let study = study();
    let store = Path::new(&study.root).join("goldsmith.db");
    let clean = fs::read(&store).unwrap();
    let (mut found, mut tables) = (0, std::collections::BTreeSet::new());
    while found < tries {
        let (table, name) = NAMED[random.random_range(0..NAMED.len())];
        let mut done = None;
        forge(&store, |c| {
            let before = snapshot(c, table);
            done = change(c, table, &mut random)?;
            // Deleting and counting what was zero, or a value that SQLite reads as the old one.
            done = done.take().filter(|_| snapshot(c, table) != before);
            Ok(done.is_some())
        });
        if let Some(done) = done {
            let output = goldsmith(&["audit", "--project", &study.root]);
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "not found: {done}\n{said}");
            let named = said.lines().any(|line| line.starts_with("wrong: ") && line.contains(name));
            assert!(named, "not named `{name}`: {done}\n{said}");
            found += 1;
            tables.insert(table);
        }
        for side in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{side}", store.display()));
        }
        fs::write(&store, &clean).unwrap();
    }
    println!("{found} changes of one row in {} tables, all found and named", tables.len());
    assert!(tables.len() > 18, "{tables:?}");
}

/// What somebody would change to move a number, each with what `audit` says of it.
#[test]
fn what_a_claim_rests_on_cannot_be_changed_unnoticed() {
    let study = study();
    let store = Path::new(&study.root).join("goldsmith.db");
    let clean = fs::read(&store).unwrap();
    let cases = [
        ("UPDATE proposals SET label = 'mood' WHERE id = 1", "the label, its confidence or its reasons were changed"),
        (
            "UPDATE proposals SET confidence = 0.99 WHERE id = 1",
            "the label, its confidence or its reasons were changed",
        ),
        ("UPDATE standing SET blind = 1 - blind", "is not what the events come to"),
        ("UPDATE standing SET commented = 1 - commented", "is not what the events come to"),
        ("UPDATE runs SET scores = replace(scores, '0.', '0.9') WHERE scores <> ''", "outcome or scores were changed"),
        ("UPDATE runs SET config = '{}'", "its model, configuration"),
        ("DELETE FROM egress", "the record of what left the machine, number 1 was removed"),
        ("UPDATE egress SET host = '127.0.0.1:1'", "the record of what left the machine"),
        ("UPDATE patients SET split = 'train'", "the split was changed"),
        ("UPDATE patients SET key = 'another' WHERE id = 1", "patient another"),
        ("UPDATE documents SET patient = 2 WHERE patient = 1", "its text, its heading"),
        ("UPDATE sentences SET end = end - 1 WHERE id = 1", "where its sentences begin and end was changed"),
        ("UPDATE documents SET title = 'Exam' WHERE id = 1", "its heading"),
        ("UPDATE documents SET date = '2026-01-01' WHERE id = 1", "its heading"),
        ("DELETE FROM documents WHERE id = (SELECT max(id) FROM documents)", "was removed"),
        ("UPDATE taxonomies SET content = content || '# '", "its text was changed"),
        ("DELETE FROM assignments", "the assignment"),
        ("UPDATE predictions SET label = 'mood'", "the prediction"),
        ("UPDATE events SET seq = seq + 100000 WHERE seq = 3", "event 4 ("),
        (
            "CREATE TRIGGER search_quiet AFTER INSERT ON egress BEGIN DELETE FROM egress WHERE id = NEW.id; END",
            "search_quiet (a table",
        ),
        ("UPDATE totals SET sentences = 1", "the count of sentences"),
        ("DELETE FROM seals WHERE position = (SELECT max(position) FROM seals)", "has no seal"),
        (
            "CREATE TRIGGER quiet AFTER INSERT ON events BEGIN UPDATE standing SET label = 'mood'; END",
            "quiet (a table, an index, a view or a trigger)",
        ),
        ("DROP INDEX proposals_of_run", "proposals_of_run (a table"),
    ];
    for (sql, expected) in cases {
        forge(&store, |c| c.execute_batch(sql).map(|()| true));
        let output = goldsmith(&["audit", "--project", &study.root]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{sql}: {said}");
        assert!(said.contains(expected), "{sql}: {said}");
        for side in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{side}", store.display()));
        }
        fs::write(&store, &clean).unwrap();
    }
    assert!(study.prints(&["audit"]).contains("intact"));
    // An index that says something else than its table: what goes by it sees neither the row nor its absence.
    let c = rusqlite::Connection::open(&store).unwrap();
    let root: i64 = c
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'proposals_of_run'", [], |row| row.get(0))
        .unwrap();
    let page: i64 = c.pragma_query_value(None, "page_size", |row| row.get(0)).unwrap();
    c.pragma_update(None, "journal_mode", "DELETE").unwrap();
    drop(c);
    let mut bytes = fs::read(&store).unwrap();
    let at = ((root - 1) * page) as usize;
    // A leaf of an index without a cell.
    bytes[at..at + 8].copy_from_slice(&[10, 0, 0, 0, 0, 0, 0, 0]);
    bytes[at + 5..at + 7].copy_from_slice(&(page as u16).to_be_bytes());
    fs::write(&store, bytes).unwrap();
    let output = goldsmith(&["audit", "--project", &study.root]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("proposals_of_run"), "{said}");
}
