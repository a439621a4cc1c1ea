//! Dispatching against a model made of a function, with no network.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::domain::egress::{Destination, Host};
use crate::domain::label::{Outcome, Run, RunKind};
use crate::factory;
use crate::llm::{AnswerFormat, ChatMessage, DecodingParams, ModelInfo, PendingAnswer, Role};

/// What the model answers to the n-th attempt at a question.
type Script = fn(question: &str, attempt: usize) -> Result<u64, LlmError>;

struct Scripted {
    card: ModelInfo,
    destination: Option<Destination>,
    script: Script,
    /// Attempts by question.
    asked: Mutex<BTreeMap<String, usize>>,
}

impl Scripted {
    fn new(script: Script) -> Arc<Self> {
        let card = ModelInfo {
            name: "scripted".into(),
            provider: "test".into(),
            identity: "scripted".into(),
            details: serde_json::Value::Null,
        };
        Arc::new(Self { card, destination: None, script, asked: Mutex::default() })
    }

    fn attempts(&self) -> BTreeMap<String, usize> {
        self.asked.lock().unwrap().clone()
    }
}

impl LanguageModel for Scripted {
    fn card(&self) -> &ModelInfo {
        &self.card
    }

    fn destination(&self) -> Option<&Destination> {
        self.destination.as_ref()
    }

    fn write<'a>(&'a self, request: &'a WriteRequest, _: Option<&'a EgressRecord>) -> PendingAnswer<'a, Reply> {
        Box::pin(async move {
            let question = request.turns[0].content.clone();
            let attempt = {
                let mut asked = self.asked.lock().unwrap();
                let attempt = asked.entry(question.clone()).or_default();
                *attempt += 1;
                *attempt
            };
            let completion = (self.script)(&question, attempt)?;
            let usage = Usage { prompt: 10, completion, ..Usage::default() };
            Ok(Reply { text: question, complete: true, tokens: Vec::new(), usage })
        })
    }

    fn choose<'a>(&'a self, _: &'a ChooseRequest, _: Option<&'a EgressRecord>) -> PendingAnswer<'a, Vec<ChoiceReply>> {
        Box::pin(async { Err(LlmError::Stopped) })
    }
}

/// Asks questions 0, 1, 2 and so on, and writes nothing.
struct Questions {
    next: u64,
    end: u64,
    answered: Vec<String>,
    failed: Vec<String>,
}

impl Questions {
    fn new(end: u64) -> Self {
        Self { next: 0, end, answered: Vec::new(), failed: Vec::new() }
    }
}

impl RequestJob for Questions {
    type Tag = u64;

    fn next(&mut self, _: &mut Store) -> Result<NextRequest<u64>, WorkflowError> {
        if self.next == self.end {
            return Ok(NextRequest::Done);
        }
        let tag = self.next;
        self.next += 1;
        let question = Question::Write(WriteRequest {
            turns: vec![ChatMessage::new(Role::User, tag.to_string())],
            shape: AnswerFormat::Text,
            sampling: DecodingParams::greedy(5),
            logprobs: false,
        });
        Ok(NextRequest::Send(Box::new(JobRequest { tag, question, purpose: "test", sentences: Vec::new() })))
    }

    fn take(
        &mut self,
        _: &mut Store,
        tag: u64,
        answer: Result<Answer, String>,
    ) -> Result<Vec<JobRequest<u64>>, WorkflowError> {
        match answer {
            Ok(_) => self.answered.push(tag.to_string()),
            Err(why) => self.failed.push(format!("{tag}: {why}")),
        }
        Ok(Vec::new())
    }

    fn flush(&mut self, _: &mut Store) -> Result<(), WorkflowError> {
        Ok(())
    }

    fn done(&self) -> (u64, u64) {
        (self.answered.len() as u64, self.failed.len() as u64)
    }
}

fn store() -> (Store, RunId) {
    let mut store = Store::in_memory().unwrap();
    let id = RunId("run".into());
    let run =
        Run { id: id.clone(), model: "scripted".into(), outcome: Outcome::Running, ..factory::run("", RunKind::Label) };
    store.put_run(&run).unwrap();
    (store, id)
}

const LIMITS: RateLimits = RateLimits {
    concurrency: 4,
    requests_per_minute: 0,
    tokens_per_minute: 0,
    attempts: 3,
    first_wait: Duration::from_millis(1),
};

fn ask(store: &mut Store, run: &RunId, model: &Arc<Scripted>, job: &mut Questions, budget: Budget) -> JobEnd {
    let policy = EgressPolicy::default();
    let setup =
        Dispatch { model: model.clone(), limits: LIMITS, budget, prices: Prices::default(), policy: &policy, run };
    dispatch(&setup, store, job, &Cancel::default(), &mut |_| {}).unwrap()
}

fn later(what: &str) -> LlmError {
    LlmError::Later { what: what.into(), after: None }
}

#[test]
fn every_question_is_answered_once_and_then_from_kept_replies() {
    let (mut store, run) = store();
    let model = Scripted::new(|_, _| Ok(1));
    let mut job = Questions::new(100);
    assert_eq!(ask(&mut store, &run, &model, &mut job, Budget::default()), JobEnd::Finished);
    assert_eq!((job.answered.len(), model.attempts().len()), (100, 100));
    assert!(model.attempts().values().all(|n| *n == 1));
    let mut again = Questions::new(100);
    assert_eq!(ask(&mut store, &run, &model, &mut again, Budget::default()), JobEnd::Finished);
    assert_eq!(again.answered.len(), 100);
    assert!(model.attempts().values().all(|n| *n == 1), "asked again although the reply was kept");
    let spent = store.spending(&run).unwrap();
    assert_eq!((spent.requests, spent.cached, spent.prompt_tokens, spent.completion_tokens), (100, 100, 1000, 100));
}

#[test]
fn a_busy_server_is_asked_again_and_one_that_never_answers_one_question_fails_it_alone() {
    let (mut store, run) = store();
    let model = Scripted::new(|question, attempt| match question {
        "7" => Err(later("500")),
        // That is how it is asked whether it is there at all.
        "Say hello." => Ok(1),
        _ if attempt < 3 => Err(later("busy")),
        _ => Ok(1),
    });
    let mut job = Questions::new(20);
    assert_eq!(ask(&mut store, &run, &model, &mut job, Budget::default()), JobEnd::Finished);
    assert_eq!(job.answered.len(), 19);
    assert_eq!(job.failed, ["7: 500"]);
    // Three attempts, and three more when others had been answered.
    assert_eq!(model.attempts()["7"], 6);
    assert_eq!(store.spending(&run).unwrap().retries, 19 * 2 + 4);
}

#[test]
fn a_server_that_is_away_ends_the_run_and_fails_nothing() {
    let (mut store, run) = store();
    let model = Scripted::new(|_, _| Err(later("connection refused")));
    let mut job = Questions::new(1000);
    let ended = ask(&mut store, &run, &model, &mut job, Budget::default());
    assert_eq!(ended, JobEnd::Halted("connection refused".into()));
    assert_eq!((job.answered.len(), job.failed.len()), (0, 0));
    assert!(model.attempts().len() < 20, "went on asking");
}

#[test]
fn a_fatal_answer_ends_the_run_at_once_and_an_unanswerable_one_fails_alone() {
    let (mut store, run) = store();
    let model = Scripted::new(|question, _| match question {
        "3" => Err(LlmError::Unanswerable("too long".into())),
        "50" => Err(LlmError::Fatal("wrong key".into())),
        _ => Ok(1),
    });
    let mut job = Questions::new(1000);
    assert_eq!(ask(&mut store, &run, &model, &mut job, Budget::default()), JobEnd::Halted("wrong key".into()));
    assert_eq!(job.failed, ["3: too long"]);
    assert!(job.answered.len() < 70);
}

#[test]
fn the_budget_is_never_passed_and_a_larger_one_goes_on() {
    let (mut store, run) = store();
    let model = Scripted::new(|_, _| Ok(5));
    let mut job = Questions::new(100);
    let tokens = |n| Budget { tokens: Some(n), ..Budget::default() };
    assert!(matches!(ask(&mut store, &run, &model, &mut job, tokens(500)), JobEnd::Budget(_)));
    let spent = store.spending(&run).unwrap().tokens();
    assert!((400..=500).contains(&spent), "{spent} spent");
    let mut rest = Questions::new(100);
    assert_eq!(ask(&mut store, &run, &model, &mut rest, tokens(5_000)), JobEnd::Finished);
    assert_eq!(store.spending(&run).unwrap().tokens(), 1_500);
}

#[test]
fn a_stop_before_the_start_sends_nothing() {
    let (mut store, run) = store();
    let model = Scripted::new(|_, _| Ok(1));
    let cancel = Cancel::default();
    cancel.cancel();
    let limits = RateLimits { concurrency: 2, attempts: 1, ..LIMITS };
    let (policy, mut job) = (EgressPolicy::default(), Questions::new(10));
    let setup = Dispatch {
        model: model.clone(),
        limits,
        budget: Budget::default(),
        prices: Prices::default(),
        policy: &policy,
        run: &run,
    };
    assert_eq!(dispatch(&setup, &mut store, &mut job, &cancel, &mut |_| {}).unwrap(), JobEnd::Stopped);
    assert!(model.attempts().is_empty());
}

#[test]
fn what_is_not_allowed_is_refused_and_written_down() {
    let (mut store, run) = store();
    let destination = Some(Destination { host: Host::new("api.example.org"), port: 443, protected: true });
    let model = Arc::new(Scripted { destination, ..Arc::into_inner(Scripted::new(|_, _| Ok(1))).unwrap() });
    let (policy, mut job) = (EgressPolicy::default(), Questions::new(10));
    let limits = RateLimits { concurrency: 2, attempts: 1, ..LIMITS };
    let setup = Dispatch {
        model: model.clone(),
        limits,
        budget: Budget::default(),
        prices: Prices::default(),
        policy: &policy,
        run: &run,
    };
    let refused = dispatch(&setup, &mut store, &mut job, &Cancel::default(), &mut |_| {}).unwrap_err();
    assert!(refused.to_string().contains("allow_hosts = [\"api.example.org:443\"]"), "{refused}");
    assert!(model.attempts().is_empty());
    assert!(store.egress(10).unwrap()[0].outcome.starts_with("refused"));
}

#[test]
fn requests_are_spaced_evenly_and_tokens_count() {
    let limits = |requests, tokens| RateLimits {
        concurrency: 1,
        requests_per_minute: requests,
        tokens_per_minute: tokens,
        attempts: 1,
        first_wait: Duration::ZERO,
    };
    let start = Instant::now();
    let waits = |mut pace: RateLimiter, tokens: u64| -> Vec<u64> {
        (0..4).map(|_| (pace.reserve(start, tokens) - start).as_millis() as u64).collect()
    };
    assert_eq!(waits(RateLimiter::new(&limits(60, 0)), 1), [0, 1_000, 2_000, 3_000]);
    assert_eq!(waits(RateLimiter::new(&limits(0, 6_000)), 50), [0, 500, 1_000, 1_500]);
    assert_eq!(waits(RateLimiter::new(&limits(60, 6_000)), 200), [0, 2_000, 4_000, 6_000]);
    assert_eq!(waits(RateLimiter::new(&limits(0, 0)), 200), [0, 0, 0, 0]);
}

/// Replies are kept in users' stores under these keys and in this form, and so are the forms of requests that runs are known
/// by: none is ever edited, or what was paid for is asked again.
#[test]
fn a_reply_is_kept_under_the_key_and_in_the_form_that_it_always_was() {
    let (mut store, run) = store();
    let model = Scripted::new(|_, _| Ok(1));
    assert_eq!(ask(&mut store, &run, &model, &mut Questions::new(1), Budget::default()), JobEnd::Finished);
    let key = <sha2::Sha256 as sha2::Digest>::digest(
        r#"scripted
{"turns":[{"role":"user","content":"0"}],"shape":"text","sampling":{"max_tokens":5,"temperature":0.0,"top_p":1.0,"seed":0},"logprobs":false}"#,
    );
    assert_eq!(hex::encode(key), "be1b13cb12799712ae02f9fed4dd89ef0857906b806974ddc00f7380c5125f2d");
    let kept = r#"{"written":{"text":"0","complete":true,"tokens":[],"usage":{"prompt":10,"cached":0,"completion":1,"estimated":false}}}"#;
    assert_eq!(store.kept_reply(&key.into()).unwrap().as_deref(), Some(kept));

    fn form<T: serde::Serialize + serde::de::DeserializeOwned>(text: &str) {
        let value: T = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), text);
    }
    form::<super::cache::CachedReply>(
        r#"{"chosen":{"logprobs":[-0.5,null],"usage":{"prompt":1,"cached":2,"completion":3,"estimated":true}}}"#,
    );
    form::<ChooseRequest>(r#"{"turns":[{"role":"system","content":"s"}],"asks":["a"],"options":["A","B"]}"#);
    form::<ChatMessage>(r#"{"role":"assistant","content":"t"}"#);
    form::<AnswerFormat>(r#"{"object":[{"name":"n","kind":{"word":["a","b"]}},{"name":"m","kind":{"words":["a"]}}]}"#);
    form::<AnswerFormat>(r#"{"objects":[2,[{"name":"n","kind":{"text":160}},{"name":"m","kind":{"texts":[3,400]}}]]}"#);
    form::<AnswerFormat>(r#"{"object":[{"name":"n","kind":"share"}]}"#);
}
