//! The workers of dispatching: each carries one request at a time, at the pace allowed, and again while the server is busy.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::{Answer, Question, RateLimits};
use crate::domain::egress::EgressRecord;
use crate::llm::{LanguageModel, LlmError};
use crate::workflow::Cancel;

/// What a worker is given.
pub(super) struct WorkItem {
    pub(super) number: u64,
    pub(super) question: Question,
    pub(super) record: Option<EgressRecord>,
    pub(super) tokens: u64,
}

/// What a worker brings back.
pub(super) struct WorkResult {
    pub(super) number: u64,
    pub(super) answer: Result<Answer, LlmError>,
    pub(super) attempts: u32,
}

/// How often a waiting worker looks whether it should stop.
pub(super) const POLL: Duration = Duration::from_millis(50);

/// Spaces requests evenly: the generic cell rate algorithm with room for one.
#[derive(Debug, Default)]
pub(super) struct RateLimiter {
    per_request: Duration,
    per_token: Duration,
    next_request: Option<Instant>,
    next_tokens: Option<Instant>,
    /// Nobody sends before this: the server asked for it.
    not_before: Option<Instant>,
}

impl RateLimiter {
    pub(super) fn new(limits: &RateLimits) -> Self {
        let each = |per_minute: u64| match per_minute {
            0 => Duration::ZERO,
            n => Duration::from_secs(60).div_f64(n as f64),
        };
        Self {
            per_request: each(limits.requests_per_minute),
            per_token: each(limits.tokens_per_minute),
            ..Self::default()
        }
    }

    /// Takes a place and says when it is.
    pub(super) fn reserve(&mut self, now: Instant, tokens: u64) -> Instant {
        let at = [self.next_request, self.next_tokens].into_iter().flatten().fold(now, Instant::max);
        if !self.per_request.is_zero() {
            self.next_request = Some(at + self.per_request);
        }
        if !self.per_token.is_zero() {
            self.next_tokens = Some(at + self.per_token.mul_f64(tokens as f64));
        }
        at
    }
}

/// What workers share.
pub(super) struct WorkerContext {
    pub(super) model: Arc<dyn LanguageModel>,
    pub(super) limits: RateLimits,
    pub(super) pace: Mutex<RateLimiter>,
    pub(super) cancel: Cancel,
    /// The run is to end although nobody asked: what is ready must not leave any more.
    pub(super) halt: AtomicBool,
}

impl WorkerContext {
    fn pace(&self) -> std::sync::MutexGuard<'_, RateLimiter> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `at` and until nobody wants a pause; false when it is time to stop instead.
    pub(super) async fn wait(&self, at: Instant) -> bool {
        loop {
            if self.cancel.is_cancelled() || self.halt.load(Ordering::Relaxed) {
                return false;
            }
            let now = Instant::now();
            let until = self.pace().not_before.map_or(at, |not_before| at.max(not_before));
            if now >= until && !self.cancel.is_paused() {
                return true;
            }
            let left = until.saturating_duration_since(now);
            let left = if self.cancel.is_paused() { POLL } else { left.min(POLL) };
            tokio::time::sleep(left).await;
        }
    }

    async fn deliver(&self, item: &WorkItem) -> (Result<Answer, LlmError>, u32) {
        for attempt in 1.. {
            let at = self.pace().reserve(Instant::now(), item.tokens);
            if !self.wait(at).await {
                return (Err(LlmError::Stopped), attempt - 1);
            }
            let record = item.record.as_ref();
            let start = Instant::now();
            let answer = match &item.question {
                Question::Write(request) => self.model.write(request, record).await.map(Answer::Written),
                Question::Choose(request) => self.model.choose(request, record).await.map(Answer::Chosen),
            };
            let ms = start.elapsed().as_millis();
            match &answer {
                Ok(answer) => tracing::debug!(
                    request = item.number,
                    attempt,
                    ms,
                    tokens = answer.usage().prompt + answer.usage().completion,
                    "answered"
                ),
                Err(error) => tracing::info!(request = item.number, attempt, ms, failed = error.kind(), "no answer"),
            }
            match answer {
                Err(LlmError::Later { after, .. }) if attempt < self.limits.attempts => {
                    if let Some(after) = after {
                        let at = Instant::now() + after;
                        let mut pace = self.pace();
                        pace.not_before = Some(pace.not_before.map_or(at, |before| before.max(at)));
                    }
                    let wait = after.unwrap_or_else(|| self.backoff(item.number, attempt));
                    if !self.wait(Instant::now() + wait).await {
                        return (Err(LlmError::Stopped), attempt);
                    }
                }
                answer => return (answer, attempt),
            }
        }
        (Err(LlmError::Stopped), 0)
    }

    /// Between half and the whole of a wait that doubles, so that requests turned away together do not come back together.
    fn backoff(&self, number: u64, attempt: u32) -> Duration {
        let whole = self.limits.first_wait.saturating_mul(1 << attempt.saturating_sub(1).min(6));
        let hash = Sha256::digest([number.to_le_bytes(), u64::from(attempt).to_le_bytes()].concat());
        whole.mul_f64(0.5 + f64::from(hash[0]) / 512.0).min(Duration::from_secs(60))
    }
}

pub(super) async fn work(
    shared: Arc<WorkerContext>,
    items: Arc<tokio::sync::Mutex<tokio::sync::mpsc::Receiver<WorkItem>>>,
    back: Sender<WorkResult>,
) {
    loop {
        let item = items.lock().await.recv().await;
        let Some(item) = item else {
            return;
        };
        let (answer, attempts) = shared.deliver(&item).await;
        if matches!(answer, Err(LlmError::Fatal(_) | LlmError::Refused(_))) {
            // Nothing may be sent between this answer and the moment when the dispatcher hears of it.
            shared.halt.store(true, Ordering::Relaxed);
        }
        if back.send(WorkResult { number: item.number, answer, attempts }).is_err() {
            return;
        }
    }
}
