//! Labelling by a language model's server, whatever the server does: every sentence ends with one label or one named
//! failure, nothing is asked twice that was answered, and nothing goes where it may not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};

use super::model_server::{Act, Dialect, FLUENT, Json, Seen, Server, answer_to, completion, label_of};
use super::support::{PROGRAM, fails, goldsmith, succeeds};

/// A project with made-up sentences.
struct Study {
    _folder: tempfile::TempDir,
    root: String,
}

const PHRASES: [&str; 4] =
    ["forgets the names of her children", "needs help to dress", "lost weight since spring", "came by bus"];

/// Made-up sentences; some carry a word that decides of their label.
fn made_up(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("Person {i:03} {}.", PHRASES[i % PHRASES.len()])).collect()
}

impl Study {
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("study").to_str().unwrap().to_owned();
        succeeds(&["init", &root]);
        Self { _folder: folder, root }
    }

    fn of(sentences: &[String]) -> Self {
        let study = Self::empty();
        let line = |(i, text): (usize, &String)| {
            json!({ "id": i.to_string(), "patient": format!("p{}", i % 5), "text": text }).to_string()
        };
        let path = format!("{}/notes.jsonl", study.root);
        fs::write(&path, sentences.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")).unwrap();
        assert!(goldsmith(&["import", &path, "--unit", "sentence", "--project", &study.root]).status.success());
        study
    }

    /// Puts settings in the place of others of the project file.
    fn set(&self, before: &str, after: &str) {
        let path = format!("{}/goldsmith.toml", self.root);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(before), "{text}");
        fs::write(&path, text.replacen(before, after, 1)).unwrap();
    }

    fn command(&self, url: &str, more: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["label", "--project", &self.root, "--url", url, "--model", "made-up"]).args(more);
        command.env("NO_COLOR", "1").env_remove("GOLDSMITH_PROJECT");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn label(&self, url: &str, more: &[&str]) -> Ended {
        Ended::of(self.command(url, more).spawn().unwrap())
    }

    fn store(&self) -> Connection {
        Connection::open(format!("{}/goldsmith.db", self.root)).unwrap()
    }

    fn count(&self, sql: &str) -> usize {
        self.store().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn texts(&self, sql: &str) -> Vec<String> {
        let store = self.store();
        let mut rows = store.prepare(sql).unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// The label of each labelled sentence in the newest run, by its text.
    fn labels(&self) -> BTreeMap<String, String> {
        let store = self.store();
        let mut rows = store
            .prepare(&format!(
                "SELECT x.text, p.label FROM proposals p JOIN sentence_text x ON x.id = p.sentence {OF_RUN}"
            ))
            .unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// The fault and the reply of each failed sentence in the newest run, by its text.
    fn failures(&self) -> BTreeMap<String, (String, String)> {
        let store = self.store();
        let mut rows = store
            .prepare(&format!(
                "SELECT x.text, p.fault, p.reply FROM failures p JOIN sentence_text x ON x.id = p.sentence {OF_RUN}"
            ))
            .unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// Every sentence has one right label or one failure in the newest run; gives how many of each.
    fn accounted(&self) -> (usize, usize) {
        let (labels, failures) = (self.labels(), self.failures());
        for (text, label) in &labels {
            let right = label_of(text).0;
            assert_eq!(label, if right == "none" { "" } else { right }, "{text}");
            assert!(!failures.contains_key(text), "{text} was labelled and failed");
        }
        assert_eq!(labels.len() + failures.len(), self.count("SELECT count(*) FROM sentences"), "{failures:?}");
        assert_eq!(labels.len(), self.count(&format!("SELECT count(*) FROM proposals p {OF_RUN}")), "labelled twice");
        (labels.len(), failures.len())
    }

    /// The newest run, as `goldsmith runs show` has it.
    fn run(&self) -> Value {
        let id = self.texts("SELECT max(id) FROM runs").remove(0);
        serde_json::from_str(&succeeds(&["runs", "show", &id, "--project", &self.root])).unwrap()
    }
}

const OF_RUN: &str = "WHERE p.run = (SELECT max(id) FROM runs)";

/// How the program ended.
struct Ended {
    code: Option<i32>,
    said: String,
}

impl Ended {
    /// Waits for the end; nothing here takes longer than a minute unless it hangs.
    fn of(child: Child) -> Self {
        let pid = child.id();
        let (tell, told) = mpsc::channel();
        let waiting = thread::spawn(move || {
            let output = child.wait_with_output();
            let _ = tell.send(());
            output
        });
        if told.recv_timeout(Duration::from_secs(60)).is_err() {
            signal(pid, "-KILL");
            let output = waiting.join().unwrap().unwrap();
            panic!("the program does not end: {}", String::from_utf8_lossy(&output.stderr));
        }
        let Output { status, stdout, stderr } = waiting.join().unwrap().unwrap();
        let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
        Self { code: status.code(), said }
    }

    #[track_caller]
    fn with(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}", self.said);
        self.said
    }
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

/// No sentence was asked about again after an answer that could be used.
#[track_caller]
fn none_asked_again(asked: &[Seen]) {
    let mut answered = BTreeSet::new();
    for seen in asked {
        for sentence in &seen.sentences {
            assert!(!answered.contains(sentence), "{sentence} was sent again after its answer");
        }
        if seen.act.is_usable() {
            answered.extend(seen.sentences.clone());
        }
    }
}

/// How many sentences were asked about more than once.
fn asked_twice(asked: &[Seen]) -> usize {
    let mut times: BTreeMap<&String, usize> = BTreeMap::new();
    asked.iter().flat_map(|seen| &seen.sentences).for_each(|sentence| *times.entry(sentence).or_default() += 1);
    times.values().filter(|times| **times > 1).count()
}

/// Everything that can go wrong, and whether the answer came whole and only its content is at fault.
fn faults() -> Vec<(Act, bool)> {
    vec![
        (Act::Status(429, Some("1")), false),
        (Act::Status(429, None), false),
        (Act::Status(500, None), false),
        (Act::Status(503, None), false),
        (Act::Hang, false),
        (Act::Truncated, false),
        (Act::MalformedJson, false),
        (Act::SlowDrip, false),
        (Act::Close, false),
        (Act::CutJson, true),
        (Act::WrongLabel, true),
        (Act::BadEvidence, true),
        (Act::Prose, true),
    ]
}

/// Does something for each of many at once: nearly all of it is waiting.
fn each<T: Send>(all: Vec<T>, what: impl Fn(T) + Sync) {
    let what = &what;
    thread::scope(|scope| {
        let running: Vec<_> = all.into_iter().map(|one| scope.spawn(move || what(one))).collect();
        running.into_iter().for_each(|one| one.join().unwrap());
    });
}

#[test]
fn a_fault_that_passes_costs_nothing() {
    each(faults(), |(act, _)| {
        let study = Study::of(&made_up(8));
        let fault = act.clone();
        let server = Server::start(move |query| match query.attempt {
            1 if query.has("forgets") || query.has("bus") => fault.clone(),
            _ => Act::Ok,
        });
        let said = study.label(&server.url(), &["--concurrency", "3", "--timeout", "2", "--attempts", "4"]).with(0);
        assert_eq!(study.accounted(), (8, 0), "{act:?}: {said}");
        none_asked_again(&server.asked());
        assert_eq!(server.asked().len(), 12, "{act:?}: {said}");
    });
}

#[test]
fn a_fault_that_stays_costs_its_sentences_alone_and_is_named() {
    each(faults(), |(act, by_content)| {
        let study = Study::of(&made_up(16));
        let fault = act.clone();
        let server = Server::start(move |query| if query.has("forgets") { fault.clone() } else { Act::Ok });
        let arguments = ["--concurrency", "4", "--timeout", "1", "--attempts", "2"];
        let said = study.label(&server.url(), &arguments).with(0);
        assert_eq!(study.accounted(), (12, 4), "{act:?}: {said}");
        none_asked_again(&server.asked());
        for (sentence, (fault, reply)) in study.failures() {
            assert!(sentence.contains("forgets") && !fault.is_empty(), "{act:?}: {sentence}: {fault}");
            assert_eq!(reply.is_empty(), !by_content, "{act:?}: {reply}");
        }
        // What failed is left alone until it is asked for.
        let before = server.asked().len();
        study.label(&server.url(), &arguments).with(0);
        assert_eq!(server.asked().len(), before, "{act:?}");
    });
}

#[test]
fn a_wrong_answer_is_asked_again_with_its_fault_named_and_then_kept_as_failed() {
    let cases = [
        (Act::WrongLabel, "`dizziness` is no category", "dizziness"),
        (Act::BadEvidence, "\"words of another sentence\" does not stand word for word", "words of another sentence"),
        (Act::CutJson, "breaks off before its end", "{\"label\""),
        (Act::Prose, "no JSON object", "weather"),
    ];
    each(cases.to_vec(), |(act, fault, reply)| {
        let study = Study::of(&made_up(1));
        let script = act.clone();
        let server = Server::start(move |_| script.clone());
        let said = study.label(&server.url(), &["--timeout", "2"]).with(0);
        assert!(said.contains("1 sentences failed") && said.contains("--retry-failed"), "{said}");
        let asked = server.asked();
        assert_eq!(asked.len(), 3, "once, and twice again");
        assert!(asked[0].last_turn().starts_with("Sentence: "), "{}", asked[0].last_turn());
        for again in &asked[1..] {
            assert!(again.last_turn().contains(fault), "{}", again.last_turn());
            let turns = again.body["messages"].as_array().unwrap();
            assert!(turns[turns.len() - 2]["content"].as_str().unwrap().contains(reply), "{turns:?}");
        }
        let failed = study.failures().into_values().next().unwrap();
        assert!(failed.0.contains(fault) && failed.1.contains(reply), "{failed:?}");
        let run = study.run();
        assert!(run["failures"][0]["fault"].as_str().unwrap().contains(fault), "{run}");
    });
}

#[test]
fn what_failed_is_tried_again_when_that_is_asked_for() {
    let study = Study::of(&made_up(8));
    let server = Server::start(|query| match query.attempt {
        1 if query.has("forgets") => Act::TenMegabytes,
        _ => Act::Ok,
    });
    study.label(&server.url(), &[]).with(0);
    assert_eq!(study.accounted(), (6, 2));
    assert!(study.failures().values().all(|(fault, _)| fault.contains("more than")), "{:?}", study.failures());
    study.label(&server.url(), &["--retry-failed"]).with(0);
    assert_eq!(study.accounted(), (8, 0));
    none_asked_again(&server.asked());
}

#[test]
fn nobody_asks_before_the_server_said() {
    let study = Study::of(&made_up(24));
    let server = Server::start(|query| match query.number {
        6 => Act::Status(429, Some("2")),
        _ => Act::Latency(Duration::from_millis(10)),
    });
    study.label(&server.url(), &["--concurrency", "4"]).with(0);
    assert_eq!(study.accounted(), (24, 0));
    let asked = server.asked();
    let turned_away = asked.iter().find(|seen| !seen.act.is_usable()).unwrap().at;
    // What was on its way already may still come, in the moment that the word takes to get round.
    let (round, until) = (Duration::from_millis(500), Duration::from_millis(1_990));
    let early: Vec<Duration> = asked
        .iter()
        .map(|seen| seen.at.saturating_duration_since(turned_away))
        .filter(|t| (round..until).contains(t))
        .collect();
    assert!(early.is_empty(), "{early:?}");
    assert!(asked.iter().any(|seen| seen.at >= turned_away + until), "the rest came after");
}

#[test]
fn a_budget_is_never_passed_and_a_larger_one_goes_on() {
    let study = Study::of(&made_up(40));
    let server = Server::willing();
    let spent = || server.asked().iter().map(|seen| seen.tokens).sum::<u64>();
    let mut budget = 30_000;
    let label = |budget: u64| {
        study.label(&server.url(), &["--concurrency", "3", "--budget-tokens", &budget.to_string()]).with(0)
    };
    let said = label(budget);
    assert!(said.contains("the budget of 30000 tokens is spent") && said.contains("larger budget goes on"), "{said}");
    let first = study.labels().len();
    assert!(first > 0 && first < 40 && spent() <= budget, "{first} labelled for {}", spent());
    assert!(spent() * 2 > budget, "{} of {budget} used", spent());
    while study.labels().len() < 40 {
        budget += 60_000;
        assert!(budget < 1_000_000, "it never ends");
        label(budget);
        assert!(spent() <= budget, "{} of {budget}", spent());
    }
    assert_eq!(study.accounted(), (40, 0));
    none_asked_again(&server.asked());
}
