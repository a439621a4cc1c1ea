//! Requests to a language model: so many at once, no faster than allowed, again when the server is busy, within a budget,
//! from kept replies where there are any (`cache`), and nothing leaves before it is written down.
//!
//! The calling thread owns the store and the job. It prepares requests ahead of the workers (tokio tasks, one for each
//! request under way), so that no slot waits for the disk, and writes down what comes back in batches.

mod cache;
mod worker;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use self::worker::{POLL, RateLimiter, WorkItem, WorkResult, WorkerContext, work};
use super::{Cancel, Progress, Watch, WorkflowError, now};
use crate::domain::corpus::SentenceId;
use crate::domain::egress::{EgressPolicy, EgressRecord, Payload, Place};
use crate::domain::label::RunId;
use crate::domain::spending::{Budget, Prices, Spending};
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
    /// A choice for each sentence.
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
    pub question: Question,
    /// What for, for the record of what left.
    pub purpose: &'static str,
    /// The sentences of real notes in it.
    pub sentences: Vec<SentenceId>,
}

/// What a job wants next.
pub(crate) enum NextRequest<T> {
    Send(Box<JobRequest<T>>),
    /// To see what comes back first.
    Wait,
    /// Nothing more.
    Done,
}

/// Something that is done by asking a model many times.
pub(crate) trait RequestJob {
    /// What the job knows a request by.
    type Tag;

    /// The next request. Called until it says `Wait` or `Done`, and again when something has come back.
    fn next(&mut self, store: &mut Store) -> Result<NextRequest<Self::Tag>, WorkflowError>;

    /// Takes an answer, or why there will be none; what it returns is asked before anything new.
    fn take(
        &mut self,
        store: &mut Store,
        tag: Self::Tag,
        answer: Result<Answer, String>,
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
    pub policy: &'a EgressPolicy,
    pub run: &'a RunId,
}

/// What is known of a request that is under way.
struct InFlight<T> {
    request: JobRequest<T>,
    keys: Vec<[u8; 32]>,
    record: Option<i64>,
    bytes: usize,
    read: u64,
    written: u64,
    second: bool,
}

/// After so many requests in a row that failed, each tried `attempts` times, a server may be away; it is asked.
const PROBE_EVERY: usize = 3;
/// After so many in a row, asking more of them is no use, whatever else the server answers.
const GIVE_UP_AFTER: usize = 24;
/// How long requests under way may take to end after a wish to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How often the store hears of progress at least.
const SAVE_EVERY: Duration = Duration::from_millis(250);

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
    let (to_workers, items) = tokio::sync::mpsc::channel::<WorkItem>(2 * setup.limits.concurrency.max(1));
    let items = Arc::new(tokio::sync::Mutex::new(items));
    let (back, returned) = channel();
    for _ in 0..setup.limits.concurrency.max(1) {
        let (shared, items, back) = (shared.clone(), items.clone(), back.clone());
        runtime.spawn(work(shared, items, back));
    }
    drop(back);
    store.lean()?;
    let spending = store.spending(setup.run)?;
    let mut dispatcher = Dispatcher {
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
    let result = dispatcher.run(store, job, watch);
    let kept = dispatcher.save(store, job);
    drop(dispatcher);
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
        let mut saved = Instant::now();
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
                        return Ok(self.halted(self.put_off[0].1.clone()));
                    }
                    self.waiting.extend(self.put_off.drain(..).map(|(request, _)| (request, true)));
                    continue;
                }
                return Ok(end);
            }
            let mut received = self.receive(store, job, Duration::from_millis(100))?;
            while let Some(more) = received {
                if more.1.is_some() {
                    self.shared.halt.store(true, Ordering::Relaxed);
                    end = more.1;
                }
                received = if more.0 { self.receive(store, job, Duration::ZERO)? } else { None };
            }
            if self.cancel.is_cancelled() {
                self.drain(store, job)?;
                return Ok(end.filter(|end| *end != JobEnd::Finished).unwrap_or(JobEnd::Stopped));
            }
            if saved.elapsed() >= SAVE_EVERY || self.keep.len() >= self.setup.limits.concurrency.clamp(1, 16) {
                self.save(store, job)?;
                saved = Instant::now();
                let (done, failed) = job.done();
                watch(Progress::Advanced(done + failed));
                watch(Progress::Spent { spending: self.spending, failed });
            }
        }
    }

    /// Prepares requests until enough are out; returns how the run is to end when nothing more is to be asked.
    fn fill<J: RequestJob<Tag = T>>(
        &mut self,
        store: &mut Store,
        job: &mut J,
    ) -> Result<Option<JobEnd>, WorkflowError> {
        let most = 2 * self.setup.limits.concurrency.max(1);
        let mut batch: Vec<InFlight<T>> = Vec::new();
        let mut end = None;
        while self.out.len() + batch.len() < most && !self.cancel.is_cancelled() {
            let (request, second) = match self.waiting.pop_front() {
                Some(first) => first,
                None => match job.next(store)? {
                    NextRequest::Send(request) => (*request, false),
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
            let keys = cache::keys(&self.setup.model.card().identity, &request.question);
            if let Some(answer) = cache::read(store, &keys, &request.question)? {
                self.spending.cached += 1;
                let more = job.take(store, request.tag, Ok(answer))?;
                self.waiting.extend(more.into_iter().map(|request| (request, false)));
                // Now and then the caller must hear of it, however much comes from kept replies.
                if self.spending.cached.is_multiple_of(256) {
                    break;
                }
                continue;
            }
            let (read, written) = self.estimate(&request.question);
            let committed = self
                .out
                .values()
                .chain(&batch)
                .fold((read, written), |sum, out| (sum.0 + out.read, sum.1 + out.written));
            self.spending.milliseconds = self.before + self.began.elapsed().as_millis() as u64;
            let forbids = self.setup.budget.forbids(&self.spending, &self.setup.prices, committed.0, committed.1);
            if let Some(why) = forbids {
                self.waiting.push_front((request, second));
                if self.out.is_empty() && batch.is_empty() {
                    end = Some(JobEnd::Budget(why));
                }
                break;
            }
            let bytes = text_bytes(&request.question);
            batch.push(InFlight { request, keys, record: None, bytes, read, written, second });
        }
        self.send(store, batch)?;
        Ok(end)
    }

    /// Writes down what is about to leave, then hands it to the workers.
    fn send(&mut self, store: &mut Store, mut batch: Vec<InFlight<T>>) -> Result<(), WorkflowError> {
        let mut records: VecDeque<EgressRecord> = VecDeque::new();
        if let Some(to) = self.setup.model.destination() {
            let mut permits = Vec::with_capacity(batch.len());
            for out in &batch {
                let bytes = out.bytes;
                let (purpose, sentences) = (out.request.purpose, out.request.sentences.clone());
                match self.setup.policy.permit(to, Payload { purpose, sentences, bytes }) {
                    Ok(permit) => permits.push(permit),
                    Err(refusal) => {
                        let sentences = &out.request.sentences;
                        store.record_refusal(
                            Some(self.setup.run),
                            now(),
                            &Place::Server(to.clone()),
                            purpose,
                            sentences,
                            &refusal,
                        )?;
                        return Err(LlmError::Refused(refusal).into());
                    }
                }
            }
            records.extend(store.record_egress(Some(self.setup.run), now(), permits)?);
        }
        for mut out in batch.drain(..) {
            let record = records.pop_front();
            out.record = record.as_ref().map(EgressRecord::id);
            self.number += 1;
            let (number, question) = (self.number, out.request.question.clone());
            let tokens = out.read + out.written;
            self.out.insert(number, out);
            // There is room: never more are out than the channel holds.
            if let Some(to_workers) = &self.to_workers {
                let _ = to_workers.try_send(WorkItem { number, question, record, tokens });
            }
        }
        Ok(())
    }

    /// Takes one return. `None` when nothing came in time; else whether there may be more, and how the run is to end if
    /// this was the last straw.
    fn receive<J: RequestJob<Tag = T>>(
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
        let outcome = match &returned.answer {
            Ok(_) => "answered".to_owned(),
            Err(LlmError::Stopped) if returned.attempts == 0 => "not sent".to_owned(),
            // Not what the server said: it may quote a note.
            Err(error) => format!("failed: {}", error.kind()),
        };
        self.ended.extend(out.record.map(|id| (id, outcome)));
        let InFlight { request, keys, second, bytes, .. } = out;
        let more = match returned.answer {
            Ok(answer) => {
                self.away = 0;
                self.count(&answer, bytes);
                self.keep.extend(cache::rows(&keys, &answer));
                job.take(store, request.tag, Ok(answer))?
            }
            Err(LlmError::Unanswerable(why)) => job.take(store, request.tag, Err(why))?,
            Err(LlmError::Later { what, .. }) => {
                self.away += 1;
                // Nothing is held against a sentence while the server is away.
                let in_doubt = second || self.away.is_multiple_of(PROBE_EVERY);
                if self.away >= GIVE_UP_AFTER || (in_doubt && !self.is_there(store)?) {
                    return Ok(Some(self.halted(what)));
                }
                if second {
                    job.take(store, request.tag, Err(what))?
                } else {
                    self.put_off.push((request, what));
                    if in_doubt {
                        self.waiting.extend(self.put_off.drain(..).map(|(request, _)| (request, true)));
                    }
                    return Ok(None);
                }
            }
            Err(LlmError::Stopped) => Vec::new(),
            Err(fatal) => return Ok(Some(JobEnd::Halted(fatal.to_string()))),
        };
        self.waiting.extend(more.into_iter().map(|request| (request, false)));
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
        let mut record = None;
        if let Some(to) = self.setup.model.destination() {
            let payload = Payload { purpose: "probe", sentences: Vec::new(), bytes: request.turns[0].content.len() };
            let permit = self.setup.policy.permit(to, payload).map_err(LlmError::Refused)?;
            record = store.record_egress(Some(self.setup.run), now(), vec![permit])?.pop();
        }
        let answer = self.runtime.block_on(async {
            if !self.shared.wait(Instant::now()).await {
                return Err(LlmError::Stopped);
            }
            let mut answer = self.setup.model.write(&request, record.as_ref());
            loop {
                match tokio::time::timeout(POLL, &mut answer).await {
                    Ok(answer) => return answer,
                    Err(_) if self.cancel.is_cancelled() => return Err(LlmError::Stopped),
                    Err(_) => {}
                }
            }
        });
        let outcome =
            answer.as_ref().map_or_else(|error| format!("failed: {}", error.kind()), |_| "answered".to_owned());
        self.ended.extend(record.map(|record| (record.id(), outcome)));
        let there = answer.is_ok();
        if let Ok(reply) = answer {
            self.count(&Answer::Written(reply), 0);
        }
        Ok(there)
    }

    /// How a run ends that cannot go on, unless a person wanted it to end.
    fn halted(&self, why: String) -> JobEnd {
        if self.cancel.is_cancelled() { JobEnd::Stopped } else { JobEnd::Halted(why) }
    }

    /// After a wish to stop: hears out what is under way, for a while.
    fn drain<J: RequestJob<Tag = T>>(&mut self, store: &mut Store, job: &mut J) -> Result<(), WorkflowError> {
        self.to_workers = None;
        let until = Instant::now() + GRACE;
        while !self.out.is_empty() && Instant::now() < until {
            self.receive(store, job, POLL)?;
        }
        Ok(())
    }

    fn save<J: RequestJob<Tag = T>>(&mut self, store: &mut Store, job: &mut J) -> Result<(), WorkflowError> {
        self.spending.milliseconds = self.before + self.began.elapsed().as_millis() as u64;
        store.record_answers(self.setup.run, now(), &self.ended, &self.keep, &self.spending)?;
        self.ended.clear();
        self.keep.clear();
        job.flush(store)
    }

    fn count(&mut self, answer: &Answer, bytes: usize) {
        let usage = answer.usage();
        self.spending.requests += 1;
        self.spending.prompt_tokens += usage.prompt;
        self.spending.cached_tokens += usage.cached;
        self.spending.completion_tokens += usage.completion;
        self.spending.estimated |= usage.estimated;
        self.spending.micros += self.setup.prices.micros(usage.prompt, usage.completion);
        if bytes > 0 && !usage.estimated {
            // No token is less than half a byte: a template around the turns is not more of them for more text.
            let rate = (usage.prompt as f64 / bytes as f64 * 1.05).min(2.0);
            // The first answer corrects a guess that was high on purpose.
            self.tokens_per_byte = if self.measured { self.tokens_per_byte.max(rate) } else { rate };
            self.measured = true;
        }
    }

    fn estimate(&self, question: &Question) -> (u64, u64) {
        let read = (text_bytes(question) as f64 * self.tokens_per_byte) as u64 + 8;
        match question {
            Question::Write(request) => (read, request.sampling.max_tokens.into()),
            Question::Choose(choose) => (read, choose.questions.len() as u64),
        }
    }
}

fn text_bytes(question: &Question) -> usize {
    match question {
        Question::Write(request) => request.turns.iter().map(|turn| turn.content.len() + 12).sum(),
        Question::Choose(choose) => {
            let shared: usize = choose.turns.iter().map(|turn| turn.content.len() + 12).sum();
            choose.questions.iter().map(|q| q.len() + 12 + shared).sum()
        }
    }
}

#[cfg(test)]
mod tests;
