//! Labelling by a language model's server, whatever the server does: every sentence ends with one label or one named
//! failure, nothing is asked twice that was answered, and nothing goes where it may not.

mod egress;

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

use super::model_server::{Act, Dialect, FLUENT, Json, Seen, Server, answer_to, completion, label_of, unquoted};
use super::support::{command, goldsmith, succeeds};

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
        let mut command =
            command(&[&["label", "--project", &self.root, "--url", url, "--model", "made-up"], more].concat());
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
        let said = study.label(&server.url(), &["--timeout", "2"]).with(3);
        assert!(said.contains("1 sentences failed") && said.contains("--retry-failed"), "{said}");
        let asked = server.asked();
        assert_eq!(asked.len(), 3, "once, and twice again");
        assert!(asked[0].last_turn().starts_with("Sentence: \""), "{}", asked[0].last_turn());
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
    assert!(
        said.contains("the budget of 30000 tokens is spent") && said.contains("with a larger budget to resume"),
        "{said}"
    );
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

#[test]
fn after_kill_9_the_same_command_finishes_what_was_begun() {
    let study = Study::of(&made_up(80));
    let server = Server::start(|_| Act::Latency(Duration::from_millis(30)));
    let arguments = ["--concurrency", "4"];
    let mut child = study.command(&server.url(), &arguments).spawn().unwrap();
    server.has_answered(20);
    child.kill().unwrap();
    child.wait().unwrap();
    // Whatever the server saw was on record before it left.
    let on_record: BTreeSet<String> =
        study.texts("SELECT sentences FROM egress").iter().flat_map(|row| row.split(',')).map(str::to_owned).collect();
    let (seen, numbers) = (server.log(), study.store());
    for sentence in seen.iter().flat_map(|seen| &seen.sentences) {
        let sql = "SELECT CAST(id AS TEXT) FROM sentence_text WHERE text = ?";
        let number: String = numbers.query_row(sql, [sentence], |row| row.get(0)).unwrap();
        assert!(on_record.contains(&number), "{sentence} left without a record");
    }
    assert!(study.count("SELECT count(*) FROM egress") >= seen.len());
    study.label(&server.url(), &arguments).with(0);
    assert_eq!(study.accounted(), (80, 0));
    assert_eq!(study.count("SELECT count(*) FROM runs"), 1, "the same run goes on");
    let twice = asked_twice(&server.asked());
    assert!(twice <= 8, "{twice} sentences were sent twice");
    assert!(study.count("SELECT count(*) FROM egress") >= server.log().len());
    assert_eq!(study.count("SELECT count(*) FROM egress WHERE outcome = 'cleared' AND run IS NOT NULL"), 0);
}

#[test]
fn ctrl_c_keeps_every_answer_and_the_same_command_goes_on() {
    let study = Study::of(&made_up(80));
    let server = Server::start(|_| Act::Latency(Duration::from_millis(30)));
    let arguments = ["--concurrency", "4"];
    let child = study.command(&server.url(), &arguments).spawn().unwrap();
    server.has_answered(12);
    let asked = Instant::now();
    signal(child.id(), "-INT");
    let said = Ended::of(child).with(130);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert!(said.contains("stopped; run the same command again to resume"), "{said}");
    let before = study.labels().len();
    assert!((12..80).contains(&before), "{before}");
    study.label(&server.url(), &arguments).with(0);
    assert_eq!(study.accounted(), (80, 0));
    none_asked_again(&server.asked());
}

#[test]
fn ctrl_c_does_not_wait_long_for_a_server_that_hangs() {
    let study = Study::of(&made_up(8));
    let server = Server::start(|_| Act::Hang);
    let child = study.command(&server.url(), &["--concurrency", "2"]).spawn().unwrap();
    server.until(|log| log.len() >= 3);
    let asked = Instant::now();
    signal(child.id(), "-INT");
    Ended::of(child).with(130);
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    assert_eq!((study.labels().len(), study.failures().len()), (0, 0));
}

#[test]
fn the_same_run_anew_comes_from_kept_replies() {
    let study = Study::of(&made_up(12));
    let server = Server::willing();
    study.label(&server.url(), &[]).with(0);
    let before = server.log().len();
    study.label(&server.url(), &["--fresh"]).with(0);
    let log = server.log();
    assert_eq!(log.len(), before + 1, "only what tells the server's abilities is asked");
    assert!(log[before].sentences.is_empty());
    assert_eq!(study.accounted(), (12, 0));
    assert_eq!(study.count("SELECT count(*) FROM runs"), 2);
}

#[test]
fn a_server_that_is_not_there_is_said_and_held_against_no_sentence() {
    let study = Study::of(&made_up(8));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/v1");
    let said = study.label(&url, &[]).with(1);
    assert!(said.contains("cannot be reached"), "{said}");
    assert_eq!(study.count("SELECT count(*) FROM failures"), 0);
    let server = Server::with(FLUENT, port, |_| Act::Ok);
    study.label(&url, &[]).with(0);
    assert_eq!(study.accounted(), (8, 0));
    assert_eq!(server.asked().len(), 8);
}

#[test]
fn a_server_that_goes_away_is_said_and_held_against_no_sentence() {
    let study = Study::of(&made_up(40));
    let mut server = Server::start(|_| Act::Latency(Duration::from_millis(30)));
    let (url, port) = (server.url(), server.port());
    let arguments = ["--concurrency", "4", "--attempts", "2", "--timeout", "2"];
    let child = study.command(&url, &arguments).spawn().unwrap();
    server.has_answered(10);
    server.stop();
    let said = Ended::of(child).with(1);
    assert!(said.contains("cannot be reached") && said.contains("run the same command again to resume"), "{said}");
    assert_eq!(study.count("SELECT count(*) FROM failures"), 0);
    let labelled = study.labels();
    assert!((6..40).contains(&labelled.len()), "{}", labelled.len());
    let again = Server::with(FLUENT, port, |_| Act::Ok);
    study.label(&url, &arguments).with(0);
    assert_eq!(study.accounted(), (40, 0));
    assert!(again.asked().iter().flat_map(|seen| &seen.sentences).all(|sentence| !labelled.contains_key(sentence)));
}

#[test]
fn a_server_that_goes_away_at_the_very_end_is_held_against_no_sentence() {
    let study = Study::of(&made_up(8));
    let mut server = Server::start(|query| if query.has("Person 007") { Act::Hang } else { Act::Ok });
    let (url, port) = (server.url(), server.port());
    let arguments = ["--concurrency", "2", "--attempts", "2", "--timeout", "30"];
    let child = study.command(&url, &arguments).spawn().unwrap();
    server.until(|log| log.iter().any(|seen| seen.act == Act::Hang) && log.iter().filter(|s| s.answered).count() == 8);
    server.stop();
    Ended::of(child).with(1);
    assert_eq!((study.labels().len(), study.failures().len()), (7, 0));
    let _again = Server::with(FLUENT, port, |_| Act::Ok);
    study.label(&url, &arguments).with(0);
    assert_eq!(study.accounted(), (8, 0));
}

#[test]
fn a_key_that_is_not_taken_ends_the_run_at_once() {
    let study = Study::of(&made_up(40));
    let server = Server::start(|query| match query.number {
        1..=10 => Act::Latency(Duration::from_millis(20)),
        _ => Act::Status(401, None),
    });
    let said = study.label(&server.url(), &["--concurrency", "4"]).with(1);
    assert!(said.contains("401") && said.contains("key_env"), "{said}");
    let refused = server.asked().iter().filter(|seen| !seen.act.is_usable()).count();
    assert!((1..=4).contains(&refused), "{refused} requests were refused");
    assert_eq!((study.labels().len(), study.failures().len()), (10, 0));
}

#[test]
fn labels_come_from_servers_of_every_dialect_and_what_they_can_do_is_on_record() {
    let plain = Dialect { json: Json::Nothing, logprobs: false, completion_tokens: true };
    let cases = vec![
        (FLUENT, "json_schema", 20, false),
        (Dialect { json: Json::SchemaIgnored, ..FLUENT }, "json_object", 20, false),
        (Dialect { json: Json::Object, ..FLUENT }, "json_object", 20, false),
        (Dialect { json: Json::Nothing, ..FLUENT }, "text", 20, false),
        (Dialect { logprobs: false, ..FLUENT }, "json_schema", 0, false),
        (Dialect { completion_tokens: true, ..FLUENT }, "json_schema", 20, true),
        (plain, "text", 0, true),
    ];
    each(cases, |(dialect, format, top_logprobs, completion_tokens)| {
        let study = Study::of(&made_up(4));
        let server = Server::with(dialect, 0, |_| Act::Ok);
        study.label(&server.url(), &[]).with(0);
        assert_eq!(study.accounted(), (4, 0), "{dialect:?}");
        let found = study.run()["config"]["details"]["capabilities"].clone();
        let expected = json!([format, top_logprobs, completion_tokens]);
        assert_eq!(json!([found["format"], found["top_logprobs"], found["max_completion_tokens"]]), expected);
        let kind = if top_logprobs > 0 { "token_probability" } else { "stated" };
        assert_eq!(study.texts("SELECT DISTINCT confidence_kind FROM proposals"), [kind], "{dialect:?}");
        assert!(server.asked().iter().all(|seen| seen.act == Act::Ok), "no sentence is spent on finding out");
    });
}

#[test]
fn several_answers_to_a_sentence_give_the_share_that_agrees() {
    let study = Study::of(&made_up(4));
    let server =
        Server::start(|query| if query.has("forgets") && query.attempt < 4 { Act::WrongLabel } else { Act::Ok });
    study.label(&server.url(), &["--samples", "3", "--concurrency", "2"]).with(0);
    assert_eq!(study.accounted(), (4, 0));
    assert_eq!(study.texts("SELECT DISTINCT confidence_kind FROM proposals"), ["self_consistency"]);
    assert_eq!(study.count("SELECT count(*) FROM proposals WHERE confidence = 1.0"), 4);
    let asked = server.asked();
    assert_eq!(asked.len(), 15, "three for each, and three again");
    let seeds: BTreeSet<String> = asked.iter().map(|seen| seen.body["seed"].to_string()).collect();
    assert_eq!(seeds.len(), 3, "{seeds:?}");
}

#[test]
fn of_several_sentences_in_one_request_only_the_faulty_one_is_asked_again() {
    let study = Study::of(&made_up(8));
    let server = Server::start(|query| if query.number == 1 { Act::WrongAt(1) } else { Act::Ok });
    study.label(&server.url(), &["--per-request", "4", "--concurrency", "1"]).with(0);
    assert_eq!(study.accounted(), (8, 0));
    let asked: Vec<usize> = server.asked().iter().map(|seen| seen.sentences.len()).collect();
    assert_eq!(asked.iter().sum::<usize>(), 9, "{asked:?}");
    assert_eq!(asked.len(), 3, "{asked:?}");
}

#[test]
fn a_choice_takes_its_confidence_from_the_letters() {
    let study = Study::of(&made_up(8));
    let server = Server::start(|query| if query.attempt == 1 { Act::Status(500, None) } else { Act::Ok });
    let said = study.label(&server.url(), &["--answer", "choice"]).with(0);
    assert!(said.contains("of the probability"), "{said}");
    assert_eq!(study.accounted(), (8, 0));
    let kinds = "SELECT DISTINCT confidence_kind || ' ' || round(confidence, 3) FROM proposals";
    assert_eq!(study.texts(kinds), ["token_probability 0.842"]);
    assert!(server.asked().iter().all(|seen| seen.body["max_tokens"] == 1 && seen.body["top_logprobs"] == 20));
    // With an explanation for each that has a category.
    study.label(&server.url(), &["--answer", "choice", "--explain", "all"]).with(0);
    assert_eq!(study.accounted(), (8, 0));
    let quoted = format!("SELECT count(*) FROM proposals p {OF_RUN} AND p.evidence <> '[]' AND p.label <> ''");
    assert_eq!(study.count(&quoted), 6);
}

#[test]
fn a_choice_from_a_server_without_probabilities_is_refused_in_words() {
    let study = Study::of(&made_up(4));
    let server = Server::with(Dialect { logprobs: false, ..FLUENT }, 0, |_| Act::Ok);
    let said = study.label(&server.url(), &["--answer", "choice"]).with(1);
    assert!(said.contains("gives no token probabilities") && said.contains("json"), "{said}");
    assert_eq!((server.asked().len(), study.failures().len()), (0, 0));
}

#[test]
fn the_binary_question_is_its_own() {
    for answer in ["json", "choice"] {
        let study = Study::of(&made_up(8));
        let server = Server::willing();
        study.label(&server.url(), &["--binary", "--answer", answer]).with(0);
        let labels = study.labels();
        assert_eq!(labels.len(), 8);
        for (text, label) in labels {
            assert_eq!(label, if label_of(&text).0 == "none" { "" } else { "any" }, "{text}");
        }
        assert_eq!(study.texts("SELECT kind FROM runs"), ["screen"]);
    }
}

/// In the verb `metrics` beside silver; by `runs diff` with a run that names categories, in what both say.
#[test]
fn a_binary_run_is_scored_and_compared() {
    let sentences = made_up(12);
    let study = Study::of(&sentences);
    let gold = |(i, text): (usize, &String)| {
        // The expert finds a sign in one sentence more than the server.
        let label = if i == 3 { "coping_strategy" } else { label_of(text).0 };
        json!({ "id": i.to_string(), "patient": format!("p{}", i % 5), "text": text, "label": label }).to_string()
    };
    let path = format!("{}/gold.jsonl", study.root);
    fs::write(&path, sentences.iter().enumerate().map(gold).collect::<Vec<_>>().join("\n")).unwrap();
    succeeds(&["import", &path, "--unit", "sentence", "--annotator", "ann", "--project", &study.root]);
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&succeeds(&[arguments, &["--json", "--project", &study.root]].concat())).unwrap()
    };
    let server = Server::willing();
    study.label(&server.url(), &[]).with(0);
    study.label(&server.url(), &["--binary"]).with(0);
    let scores = json(&["metrics"])["scores"].clone();
    let [silver, binary] = &scores.as_array().unwrap()[..] else { panic!("{scores}") };
    assert_eq!((&silver["scored"], &binary["scored"]), (&"silver".into(), &"binary".into()));
    let any = &binary["report"]["categories"][0];
    assert_eq!((&any["key"], &any["counts"]), (&"any".into(), &json!({ "tp": 9, "fp": 0, "fn": 1 })));
    assert_eq!(
        (&any["counts"], &any["f1"]),
        (&silver["report"]["binary"]["counts"], &silver["report"]["binary"]["f1"])
    );
    assert_eq!(binary["confusion"], json!({ "cells": [2, 0, 1, 9], "size": 2 }));
    let table = succeeds(&["metrics", "--project", &study.root]);
    assert!(table.contains("whether any category applies, by made-up: 12 sentences of 5 patients"), "{table}");
    let [named, whether] = [silver, binary].map(|scored| scored["run"].as_str().unwrap().to_owned());

    // With one that names categories: what both can say.
    let diff = json(&["runs", "diff", &named, &whether]);
    assert_eq!((&diff["task"], &diff["sentences"], &diff["agreement"]), (&"binary".into(), &12.into(), &1.0.into()));
    let row = json!({ "category": "any", "before": 9, "after": 9, "both": 9, "f1_before": any["f1"]["value"],
        "f1_after": any["f1"]["value"] });
    assert_eq!((&diff["categories"][1], diff["categories"].as_array().unwrap().len()), (&row, 2));

    let text = succeeds(&["runs", "diff", &named, &whether, "--project", &study.root]);
    assert!(text.contains("compared in whether any category applies"), "{text}");
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_key_goes_to_the_server_and_nowhere_else() {
    const KEY: &str = "made-up-key-7f3a";
    let study = Study::of(&made_up(4));
    let server = Server::start(|query| match query.attempt {
        1 if query.has("bus") => Act::Status(500, None),
        _ => Act::Ok,
    });
    let mut command = study.command(&server.url(), &["--key-env", "GOLDSMITH_TEST_KEY"]);
    let mut said = Ended::of(command.env("GOLDSMITH_TEST_KEY", KEY).spawn().unwrap()).with(0);
    assert!(server.log().iter().all(|seen| seen.authorization == format!("Bearer {KEY}")));
    said += &study.run().to_string();
    said += &succeeds(&["egress", "--json", "--project", &study.root]);
    assert!(!said.contains(KEY) && said.contains("GOLDSMITH_TEST_KEY"), "{said}");
    for file in files(Path::new(&study.root)) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes()), "{}", file.display());
    }
    let before = server.connected();
    let mut command = study.command(&server.url(), &["--key-env", "GOLDSMITH_TEST_KEY"]);
    let said = Ended::of(command.env_remove("GOLDSMITH_TEST_KEY").spawn().unwrap()).with(1);
    assert!(said.contains("the environment has no GOLDSMITH_TEST_KEY"), "{said}");
    assert_eq!(server.connected(), before);
}

#[test]
fn a_plan_is_made_without_the_server() {
    let study = Study::of(&made_up(8));
    let server = Server::willing();
    let said = study.label(&server.url(), &["--plan"]).with(0);
    assert!(said.contains("sentences  8") && said.contains("nothing was sent"), "{said}");
    assert_eq!((server.connected(), study.count("SELECT count(*) FROM egress")), (0, 0));
}

#[test]
fn evidence_may_run_over_the_end_of_a_line() {
    let study = Study::empty();
    let path = format!("{}/note.txt", study.root);
    fs::write(&path, "The daughter says that she forgets\nthe names of her children.\n").unwrap();
    assert!(goldsmith(&["import", &path, "--project", &study.root]).status.success());
    let file = format!("{}/answers.jsonl", study.root);
    let requests = format!("{}/requests.jsonl", study.root);
    study.label("http://127.0.0.1:9/v1", &["--export-batch", &requests]).with(0);
    let mut answer = answer_to("forgets", false);
    answer["evidence"] = json!(["she forgets the names"]);
    let lines: Vec<String> = requested(&requests).iter().map(|line| batch_answer(line, &answer.to_string())).collect();
    fs::write(&file, lines.join("\n")).unwrap();
    study.label("http://127.0.0.1:9/v1", &["--import-batch", &file]).with(0);
    assert!(study.failures().is_empty(), "{:?}", study.failures());
    assert!(study.texts("SELECT evidence FROM proposals").contains(&r#"["she forgets\nthe names"]"#.to_owned()));
}

/// The lines of a batch's requests.
fn requested(file: &str) -> Vec<Value> {
    fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The line of a batch's answers for a request, with the model's words.
fn batch_answer(request: &Value, words: &str) -> String {
    let (body, _) = completion(words, 100, None, "stop");
    let response = json!({ "status_code": 200, "request_id": "r", "body": body });
    json!({ "id": "b", "custom_id": request["custom_id"], "response": response, "error": null }).to_string()
}

#[test]
fn a_batch_goes_out_as_a_file_and_its_answers_are_checked_like_any_other() {
    let study = Study::of(&made_up(12));
    let (out, back) = (format!("{}/requests.jsonl", study.root), format!("{}/answers.jsonl", study.root));
    let url = "http://192.0.2.1:9/v1";
    study.label(url, &["--export-batch", &out]).with(0);
    let requests = requested(&out);
    let ids: BTreeSet<&str> = requests.iter().map(|line| line["custom_id"].as_str().unwrap()).collect();
    assert_eq!((requests.len(), ids.len()), (12, 12));
    let sentence = |request: &Value| {
        let turns = request["body"]["messages"].as_array().unwrap();
        unquoted(turns[turns.len() - 1]["content"].as_str().unwrap().trim_start_matches("Sentence: "))
    };
    for request in &requests {
        assert_eq!((request["method"].as_str(), request["url"].as_str()), (Some("POST"), Some("/v1/chat/completions")));
        assert_eq!(request["body"]["model"], "made-up");
        assert!(request["body"]["max_tokens"].is_number() && sentence(request).starts_with("Person"), "{request}");
    }
    let right = |request: &Value| batch_answer(request, &answer_to(&sentence(request), false).to_string());
    let mut lines: Vec<String> = requests[..9].iter().map(right).collect();
    lines.push(lines[0].clone());
    lines
        .push(batch_answer(&requests[9], r#"{"label":"dizziness: much","confidence":1,"evidence":[],"rationale":""}"#));
    let id = &requests[10]["custom_id"];
    let error = json!({ "code": "x", "message": "too long: 9" });
    lines.push(json!({ "custom_id": id, "response": null, "error": error }).to_string());
    let run = id.as_str().unwrap().rsplit_once('/').unwrap().0;
    lines.push(json!({ "custom_id": format!("{run}/999999"), "response": {}, "error": null }).to_string());
    lines.push(json!({ "custom_id": "another/1", "response": {}, "error": null }).to_string());
    lines.push(json!({ "custom_id": "nonsense", "response": {}, "error": null }).to_string());
    lines.push("{\"custom_id\": ".into());
    fs::write(&back, lines.join("\n")).unwrap();
    let said = study.label(url, &["--import-batch", &back]).with(0);
    assert!(said.contains("9 sentences labelled, 1 already labelled, 2 failed"), "{said}");
    for (line, why) in
        [(13, "no sentence 999999"), (14, "no labelling run another"), (15, "custom_id"), (16, "no JSON")]
    {
        assert!(
            said.lines().any(|said| said.contains(&format!("answers.jsonl:{line}: ")) && said.contains(why)),
            "{said}"
        );
    }
    let failures = study.failures();
    let of = |at: usize| failures[&sentence(&requests[at])].clone();
    assert!(
        of(9).0.starts_with("`dizziness: much` is no category") && of(9).1.starts_with("{\"label\""),
        "{failures:?}"
    );
    assert!(of(10).0.contains("too long: 9"), "{failures:?}");
    assert_eq!((study.labels().len(), failures.len()), (9, 2));
    let said = study.label(url, &["--import-batch", &back]).with(0);
    assert!(said.contains("0 sentences labelled, 12 already labelled, 0 failed"), "{said}");
    assert_eq!((study.labels().len(), study.failures().len()), (9, 2));
    // What is left is all that the next file asks.
    study.label(url, &["--export-batch", &out]).with(0);
    assert_eq!(requested(&out).len(), 1);
    fs::write(&back, right(&requests[11])).unwrap();
    study.label(url, &["--import-batch", &back]).with(0);
    assert_eq!(study.accounted(), (10, 2));
}
