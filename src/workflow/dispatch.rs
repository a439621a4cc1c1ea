//! Errands to a language model: so many at once, no faster than allowed, again when the server is busy, within a budget,
//! from kept replies where there are any, and nothing leaves before it is written down.
//!
//! The calling thread owns the store and the job. It prepares errands ahead of the workers (tokio tasks, one for each
//! request under way), so that no slot waits for the disk, and writes down what comes back in batches.

mod worker;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::worker::{LOOK, RateLimiter, WorkItem, WorkResult, WorkerContext, work};
use super::{Cancel, Progress, Watch, WorkflowError, now};
use crate::domain::corpus::SentenceId;
use crate::domain::egress::{EgressPolicy, EgressRecord, Payload};
use crate::domain::label::RunId;
use crate::domain::spending::{Budget, Prices, Spending};
use crate::domain::text::with_causes;
use crate::llm::{
    AnswerFormat, ChatMessage, ChoiceReply, ChooseRequest, DecodingParams, LanguageModel, LlmError, Reply, Role, Usage,
    WriteRequest,
};
use crate::store::Store;
use crate::workflow::refusal::{Refusal, RefusalKind};

/// How hard a model may be asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RateLimits {
    /// Requests under way at once.
    pub concurrency: usize,
    /// 0 for no limit.
    pub requests_per_minute: u64,
    /// 0 for no limit.
    pub tokens_per_minute: u64,
    /// Of each request, while the server is busy or away.
    pub attempts: u32,
    /// The first wait between two attempts; each further one is up to twice as long.
    pub first_wait: Duration,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Question {
    Write(WriteRequest),
    Choose(ChooseRequest),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Written(Reply),
    /// A choice for each ask.
    Chosen(Vec<ChoiceReply>),
}

impl Answer {
    fn usage(&self) -> Usage {
        match self {
            Self::Written(reply) => reply.usage,
            Self::Chosen(choices) => choices.iter().fold(Usage::default(), |mut sum, choice| {
                sum.add(choice.usage);
                sum
            }),
        }
    }
}

/// One request of a job.
#[derive(Clone, Debug)]
pub(crate) struct JobRequest<T> {
    /// What the job knows it by.
    pub tag: T,
    pub ask: Question,
    /// What for, for the record of what left.
    pub purpose: &'static str,
    /// The sentences of real notes in it.
    pub sentences: Vec<SentenceId>,
}

/// What a job wants next.
pub(crate) enum NextRequest<T> {
    Ask(Box<JobRequest<T>>),
    /// To see what comes back first.
    Wait,
    /// Nothing more.
    Done,
}

/// Something that is done by asking a model many times.
pub(crate) trait RequestJob {
    /// What the job knows an errand by.
    type Tag;

    /// The next errand. Called until it says `Wait` or `Done`, and again when something has come back.
    fn next(&mut self, store: &mut Store) -> Result<NextRequest<Self::Tag>, WorkflowError>;

    /// Takes an answer, or why there will be none; what it returns is asked before anything new.
    fn take(
        &mut self,
        store: &mut Store,
        tag: Self::Tag,
        said: Result<Answer, String>,
    ) -> Result<Vec<JobRequest<Self::Tag>>, WorkflowError>;

    /// Writes what has been taken since the last time.
    fn flush(&mut self, store: &mut Store) -> Result<(), WorkflowError>;

    /// Items done and items failed.
    fn done(&self) -> (u64, u64);
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JobEnd {
    /// The job wanted nothing more.
    Finished,
    /// A person stopped it.
    Stopped,
    /// The budget is spent.
    Budget(String),
    /// The model is away or refuses; what was done is kept and the same command goes on.
    Halted(String),
}

/// All that dispatching needs to know.
pub(crate) struct Dispatch<'a> {
    pub model: Arc<dyn LanguageModel>,
    /// How hard it may be asked.
    pub limits: RateLimits,
    /// What may be spent.
    pub budget: Budget,
    pub prices: Prices,
    /// Where text may go.
    pub gate: &'a EgressPolicy,
    pub run: &'a RunId,
}

/// What is known of a parcel that is out.
struct InFlight<T> {
    errand: JobRequest<T>,
    keys: Vec<[u8; 32]>,
    departure: Option<i64>,
    bytes: usize,
    read: u64,
    written: u64,
    second: bool,
}

/// After so many requests in a row that failed, each tried `attempts` times, a server may be away; it is asked.
const AWAY: usize = 3;
/// After so many in a row, asking more of them is no use, whatever else the server answers.
const HOPELESS: usize = 24;
/// How long requests under way may take to end after a wish to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How often the store hears of progress at least.
const SETTLE: Duration = Duration::from_millis(250);

/// The kept form of an answer to one ask.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CachedReply {
    Written(Reply),
    Chosen(ChoiceReply),
}

/// Runs a job to its end.
pub(crate) fn dispatch<J: RequestJob>(
    setup: &Dispatch<'_>,
    store: &mut Store,
    job: &mut J,
    cancel: &Cancel,
    watch: &mut Watch<'_>,
) -> Result<JobEnd, WorkflowError> {
    let shared = Arc::new(WorkerContext {
        model: setup.model.clone(),
        limits: setup.limits,
        pace: Mutex::new(RateLimiter::new(&setup.limits)),
        cancel: cancel.clone(),
        halt: AtomicBool::new(false),
    });
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|cause| {
            Refusal::new(RefusalKind::Unavailable { what: "threads" }, "no worker threads can be had").because(cause)
        })?;
    // Twice the slots may be out: as many under way and as many ready behind them.
    let (to_workers, parcels) = tokio::sync::mpsc::channel::<WorkItem>(2 * setup.limits.concurrency.max(1));
    let parcels = Arc::new(tokio::sync::Mutex::new(parcels));
    let (back, returned) = channel();
    for _ in 0..setup.limits.concurrency.max(1) {
        let (shared, parcels, back) = (shared.clone(), parcels.clone(), back.clone());
        runtime.spawn(work(shared, parcels, back));
    }
    drop(back);
    store.lean()?;
    let spending = store.spending(setup.run)?;
    let mut worklist = Dispatcher {
        setup,
        cancel,
        shared,
        runtime: runtime.handle().clone(),
        to_workers: Some(to_workers),
        returned,
        out: rustc_hash::FxHashMap::default(),
        waiting: VecDeque::new(),
        put_off: Vec::new(),
        number: 0,
        spending,
        before: spending.milliseconds,
        began: Instant::now(),
        tokens_per_byte: 0.5,
        measured: false,
        away: 0,
        ended: Vec::new(),
        keep: Vec::new(),
    };
    let result = worklist.run(store, job, watch);
    let kept = worklist.settle(store, job);
    drop(worklist);
    runtime.shutdown_background();
    let ended = result?;
    kept?;
    Ok(ended)
}

/// The calling thread's side.
struct Dispatcher<'a, T> {
    setup: &'a Dispatch<'a>,
    cancel: &'a Cancel,
    shared: Arc<WorkerContext>,
    runtime: tokio::runtime::Handle,
    to_workers: Option<tokio::sync::mpsc::Sender<WorkItem>>,
    returned: Receiver<WorkResult>,
    out: rustc_hash::FxHashMap<u64, InFlight<T>>,
    /// To be asked before anything new.
    waiting: VecDeque<(JobRequest<T>, bool)>,
    /// Failed all attempts while the server may have been away; asked once more when it answers again.
    put_off: Vec<(JobRequest<T>, String)>,
    number: u64,
    spending: Spending,
    /// Milliseconds that earlier sessions of the run took.
    before: u64,
    began: Instant,
    /// The most tokens that a byte of prompt has been so far.
    tokens_per_byte: f64,
    /// Whether that was measured, not guessed.
    measured: bool,
    /// Failed requests since the last one that was answered.
    away: usize,
    ended: Vec<(i64, String)>,
    keep: Vec<([u8; 32], String)>,
}

impl<T> Dispatcher<'_, T> {
    fn run<J: RequestJob<Tag = T>>(
        &mut self,
        store: &mut Store,
        job: &mut J,
        watch: &mut Watch<'_>,
    ) -> Result<JobEnd, WorkflowError> {
        let mut settled = Instant::now();
        let mut end = None;
        loop {
            if end == Some(JobEnd::Finished) && !self.waiting.is_empty() {
                // An answer to the last of them made more to ask.
                end = None;
            }
            if end.is_none() {
                end = self.fill(store, job)?;
            }
            if self.out.is_empty()
                && let Some(end) = end.take()
            {
                // What was put off gets its second chance once everything else is done.
                if end == JobEnd::Finished && !self.put_off.is_empty() {
                    if !self.is_there(store)? {
                        return Ok(self.given_up(self.put_off[0].1.clone()));
                    }
                    self.waiting.extend(self.put_off.drain(..).map(|(errand, _)| (errand, true)));
                    continue;
                }
                return Ok(end);
            }
            let mut heard = self.listen(store, job, Duration::from_millis(100))?;
            while let Some(more) = heard {
                if more.1.is_some() {
                    self.shared.halt.store(true, Ordering::Relaxed);
                    end = more.1;
                }
                heard = if more.0 { self.listen(store, job, Duration::ZERO)? } else { None };
            }
            if self.cancel.is_cancelled() {
                self.call_in(store, job)?;
                return Ok(end.filter(|end| *end != JobEnd::Finished).unwrap_or(JobEnd::Stopped));
            }
            if settled.elapsed() >= SETTLE || self.keep.len() >= self.setup.limits.concurrency.clamp(1, 16) {
                self.settle(store, job)?;
                settled = Instant::now();
                let (done, failed) = job.done();
                watch(Progress::Advanced(done + failed));
                watch(Progress::Spent { spending: self.spending, failed });
            }
        }
    }

    /// Prepares errands until enough are out; returns how the run is to end when nothing more is to be asked.
    fn fill<J: RequestJob<Tag = T>>(
        &mut self,
        store: &mut Store,
        job: &mut J,
    ) -> Result<Option<JobEnd>, WorkflowError> {
        let most = 2 * self.setup.limits.concurrency.max(1);
        let mut batch: Vec<InFlight<T>> = Vec::new();
        let mut end = None;
        while self.out.len() + batch.len() < most && !self.cancel.is_cancelled() {
            let (errand, second) = match self.waiting.pop_front() {
                Some(first) => first,
                None => match job.next(store)? {
                    NextRequest::Ask(errand) => (*errand, false),
                    // A job that waits for nothing is done.
                    NextRequest::Wait if self.out.is_empty() && batch.is_empty() => {
                        end = Some(JobEnd::Finished);
                        break;
                    }
                    NextRequest::Wait => break,
                    NextRequest::Done => {
                        end = Some(JobEnd::Finished);
                        break;
                    }
                },
            };
            let keys = self.keys(&errand.ask);
            if let Some(said) = kept(store, &keys, &errand.ask)? {
                self.spending.cached += 1;
                let more = job.take(store, errand.tag, Ok(said))?;
                self.waiting.extend(more.into_iter().map(|errand| (errand, false)));
                // Now and then the caller must hear of it, however much comes from kept replies.
                if self.spending.cached.is_multiple_of(256) {
                    break;
                }
                continue;
            }
            let (read, written) = self.estimate(&errand.ask);
            let committed = self
                .out
                .values()
                .chain(&batch)
                .fold((read, written), |sum, out| (sum.0 + out.read, sum.1 + out.written));
            self.spending.milliseconds = self.before + self.began.elapsed().as_millis() as u64;
            let forbids = self.setup.budget.forbids(&self.spending, &self.setup.prices, committed.0, committed.1);
            if let Some(why) = forbids {
                self.waiting.push_front((errand, second));
                if self.out.is_empty() && batch.is_empty() {
                    end = Some(JobEnd::Budget(why));
                }
                break;
            }
            let bytes = text_bytes(&errand.ask);
            batch.push(InFlight { errand, keys, departure: None, bytes, read, written, second });
        }
        self.send(store, batch)?;
        Ok(end)
    }

    /// Writes down what is about to leave, then hands it to the workers.
    fn send(&mut self, store: &mut Store, mut batch: Vec<InFlight<T>>) -> Result<(), WorkflowError> {
        let mut departures: VecDeque<EgressRecord> = VecDeque::new();
        if let Some(host) = self.setup.model.host() {
            let mut cleared = Vec::with_capacity(batch.len());
            for out in &batch {
                let bytes = out.bytes;
                let (purpose, sentences) = (out.errand.purpose, out.errand.sentences.clone());
                match self.setup.gate.clear(host, Payload { purpose, sentences, bytes }) {
                    Ok(clearance) => cleared.push(clearance),
                    Err(refusal) => {
                        let sentences = &out.errand.sentences;
                        store.record_refusal(Some(self.setup.run), now(), host, purpose, sentences, &refusal)?;
                        return Err(LlmError::Refused(refusal).into());
                    }
                }
            }
            departures.extend(store.record_departures(Some(self.setup.run), now(), cleared)?);
        }
        for mut out in batch.drain(..) {
            let departure = departures.pop_front();
            out.departure = departure.as_ref().map(EgressRecord::id);
            self.number += 1;
            let (number, ask) = (self.number, out.errand.ask.clone());
            let tokens = out.read + out.written;
            self.out.insert(number, out);
            // There is room: never more are out than the channel holds.
            if let Some(to_workers) = &self.to_workers {
                let _ = to_workers.try_send(WorkItem { number, ask, departure, tokens });
            }
        }
        Ok(())
    }

    /// Takes one return. `None` when nothing came in time; else whether there may be more, and how the run is to end if
    /// this was the last straw.
    fn listen<J: RequestJob<Tag = T>>(
        &mut self,
        store: &mut Store,
        job: &mut J,
        wait: Duration,
    ) -> Result<Option<(bool, Option<JobEnd>)>, WorkflowError> {
        if self.out.is_empty() {
            return Ok(None);
        }
        match self.returned.recv_timeout(wait) {
            Ok(returned) => Ok(Some((true, self.take(store, job, returned)?))),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                self.out.clear();
                Ok(Some((false, Some(JobEnd::Halted("the workers ended without a word".into())))))
            }
        }
    }

    fn take<J: RequestJob<Tag = T>>(
        &mut self,
        store: &mut Store,
        job: &mut J,
        returned: WorkResult,
    ) -> Result<Option<JobEnd>, WorkflowError> {
        let Some(out) = self.out.remove(&returned.number) else {
            return Ok(None);
        };
        self.spending.retries += u64::from(returned.attempts.saturating_sub(1));
        let outcome = match &returned.said {
            Ok(_) => "answered".to_owned(),
            Err(LlmError::Stopped) if returned.attempts == 0 => "not sent".to_owned(),
            Err(error) => format!("failed: {}", with_causes(error)),
        };
        self.ended.extend(out.departure.map(|id| (id, outcome)));
        let InFlight { errand, keys, second, bytes, .. } = out;
        let more = match returned.said {
            Ok(said) => {
                self.away = 0;
                self.count(&said, bytes);
                self.keep.extend(keep(&keys, &said));
                job.take(store, errand.tag, Ok(said))?
            }
            Err(LlmError::Unanswerable(why)) => job.take(store, errand.tag, Err(why))?,
            Err(LlmError::Later { what, .. }) => {
                self.away += 1;
                // Nothing is held against a sentence while the server is away.
                let in_doubt = second || self.away.is_multiple_of(AWAY);
                if self.away >= HOPELESS || (in_doubt && !self.is_there(store)?) {
                    return Ok(Some(self.given_up(what)));
                }
                if second {
                    job.take(store, errand.tag, Err(what))?
                } else {
                    self.put_off.push((errand, what));
                    if in_doubt {
                        self.waiting.extend(self.put_off.drain(..).map(|(errand, _)| (errand, true)));
                    }
                    return Ok(None);
                }
            }
            Err(LlmError::Stopped) => Vec::new(),
            Err(fatal) => return Ok(Some(JobEnd::Halted(fatal.to_string()))),
        };
        self.waiting.extend(more.into_iter().map(|errand| (errand, false)));
        Ok(None)
    }

    /// Whether the server answers at all. When requests fail one after the other, a request without a word of a note tells
    /// whether the server is away or these requests are what it cannot bear.
    fn is_there(&mut self, store: &mut Store) -> Result<bool, WorkflowError> {
        let request = WriteRequest {
            turns: vec![ChatMessage::new(Role::User, "Say hello.")],
            shape: AnswerFormat::Text,
            sampling: DecodingParams::greedy(8),
            logprobs: false,
        };
        let mut departure = None;
        if let Some(host) = self.setup.model.host() {
            let cargo = Payload { purpose: "probe", sentences: Vec::new(), bytes: request.turns[0].content.len() };
            let cleared = self.setup.gate.clear(host, cargo).map_err(LlmError::Refused)?;
            departure = store.record_departures(Some(self.setup.run), now(), vec![cleared])?.pop();
        }
        let said = self.runtime.block_on(async {
            if !self.shared.wait(Instant::now()).await {
                return Err(LlmError::Stopped);
            }
            let mut said = self.setup.model.write(&request, departure.as_ref());
            loop {
                match tokio::time::timeout(LOOK, &mut said).await {
                    Ok(said) => return said,
                    Err(_) if self.cancel.is_cancelled() => return Err(LlmError::Stopped),
                    Err(_) => {}
                }
            }
        });
        let outcome =
            said.as_ref().map_or_else(|error| format!("failed: {}", with_causes(error)), |_| "answered".to_owned());
        self.ended.extend(departure.map(|departure| (departure.id(), outcome)));
        let there = said.is_ok();
        if let Ok(reply) = said {
            self.count(&Answer::Written(reply), 0);
        }
        Ok(there)
    }

    /// How a run ends that cannot go on, unless a person wanted it to end.
    fn given_up(&self, why: String) -> JobEnd {
        if self.cancel.is_cancelled() { JobEnd::Stopped } else { JobEnd::Halted(why) }
    }

    /// After a wish to stop: hears out what is under way, for a while.
    fn call_in<J: RequestJob<Tag = T>>(&mut self, store: &mut Store, job: &mut J) -> Result<(), WorkflowError> {
        self.to_workers = None;
        let until = Instant::now() + GRACE;
        while !self.out.is_empty() && Instant::now() < until {
            self.listen(store, job, LOOK)?;
        }
        Ok(())
    }

    fn settle<J: RequestJob<Tag = T>>(&mut self, store: &mut Store, job: &mut J) -> Result<(), WorkflowError> {
        self.spending.milliseconds = self.before + self.began.elapsed().as_millis() as u64;
        store.settle(self.setup.run, now(), &self.ended, &self.keep, &self.spending)?;
        self.ended.clear();
        self.keep.clear();
        job.flush(store)
    }

    fn count(&mut self, said: &Answer, bytes: usize) {
        let usage = said.usage();
        self.spending.requests += 1;
        self.spending.prompt_tokens += usage.prompt;
        self.spending.cached_tokens += usage.cached;
        self.spending.completion_tokens += usage.completion;
        self.spending.estimated |= usage.estimated;
        self.spending.micros += self.setup.prices.micros(usage.prompt, usage.completion);
        if bytes > 0 && !usage.estimated {
            let rate = usage.prompt as f64 / bytes as f64 * 1.05;
            // The first answer corrects a guess that was high on purpose.
            self.tokens_per_byte = if self.measured { self.tokens_per_byte.max(rate) } else { rate };
            self.measured = true;
        }
    }

    fn estimate(&self, ask: &Question) -> (u64, u64) {
        let read = (text_bytes(ask) as f64 * self.tokens_per_byte) as u64 + 8;
        match ask {
            Question::Write(request) => (read, request.sampling.max_tokens.into()),
            Question::Choose(choose) => (read, choose.asks.len() as u64),
        }
    }

    /// What kept replies are known by, one for each ask.
    fn keys(&self, ask: &Question) -> Vec<[u8; 32]> {
        let identity = &self.setup.model.card().identity;
        let key = |what: serde_json::Value| Sha256::digest(format!("{identity}\n{what}")).into();
        match ask {
            Question::Write(request) => vec![key(serde_json::json!(request))],
            Question::Choose(choose) => {
                choose.asks.iter().map(|ask| key(serde_json::json!([choose.turns, ask, choose.options]))).collect()
            }
        }
    }
}

fn text_bytes(ask: &Question) -> usize {
    match ask {
        Question::Write(request) => request.turns.iter().map(|turn| turn.content.len() + 12).sum(),
        Question::Choose(choose) => {
            let shared: usize = choose.turns.iter().map(|turn| turn.content.len() + 12).sum();
            choose.asks.iter().map(|ask| ask.len() + 12 + shared).sum()
        }
    }
}

/// The answer from kept replies, if all of it is there. A reply that cannot be read any more is asked for again.
fn kept(store: &Store, keys: &[[u8; 32]], ask: &Question) -> Result<Option<Answer>, WorkflowError> {
    let mut choices = Vec::new();
    for key in keys {
        let Some(text) = store.kept_reply(key)? else {
            return Ok(None);
        };
        match (serde_json::from_str(&text), ask) {
            (Ok(CachedReply::Written(reply)), Question::Write(_)) => return Ok(Some(Answer::Written(reply))),
            (Ok(CachedReply::Chosen(choice)), Question::Choose(_)) => choices.push(choice),
            _ => return Ok(None),
        }
    }
    Ok(Some(Answer::Chosen(choices)))
}

fn keep(keys: &[[u8; 32]], said: &Answer) -> Vec<([u8; 32], String)> {
    let kept: Vec<CachedReply> = match said {
        Answer::Written(reply) => vec![CachedReply::Written(reply.clone())],
        Answer::Chosen(choices) => choices.iter().cloned().map(CachedReply::Chosen).collect(),
    };
    keys.iter().zip(kept).filter_map(|(key, kept)| Some((*key, serde_json::to_string(&kept).ok()?))).collect()
}

#[cfg(test)]
mod tests;
