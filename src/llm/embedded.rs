//! A GGUF file run in this process, so that a machine with no server and no network can label.
//!
//! One thread owns the model and everything it has read. A beginning that requests share is read once and kept; options are
//! scored as a tree of tokens in one pass, for several asks together.

mod attention;
mod config;
mod engine;
mod file;
mod product;
mod sentencepiece;
pub(crate) mod template;
#[cfg(test)]
mod tests;
mod tokenizer;
mod transformer;
mod tree;
mod write;

use std::path::Path;
use std::sync::mpsc;

use tokio::sync::oneshot;

use super::{ChoiceReply, ChooseRequest, LanguageModel, LlmError, ModelInfo, PendingAnswer, Reply, WriteRequest};
use crate::domain::egress::{Destination, EgressRecord};
use engine::Engine;

/// Asks that are read in one pass where nobody says otherwise.
const BATCH: usize = 4;

/// How a model is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Threads for attention and all that is no quantised product; 0 for as many as there are cores. The quantised products
    /// run on a pool of the process that has a thread for each physical core, or as many as `CANDLE_NUM_THREADS` says when
    /// the process starts; the program sets it from the same setting.
    pub threads: usize,
    /// Most tokens of prompt and answer together; 0 for what the model was trained for, up to 8192.
    pub context: usize,
    /// Keeps what requests share from one to the next. Off for measuring only.
    pub reuse_prefix: bool,
    /// Asks that are read in one pass; 0 for what was measured to be good.
    pub batch: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { threads: 0, context: 0, reuse_prefix: true, batch: 0 }
    }
}

enum EngineJob {
    Write(Box<WriteRequest>, oneshot::Sender<Result<Reply, LlmError>>),
    Choose(Box<ChooseRequest>, oneshot::Sender<Result<Vec<ChoiceReply>, LlmError>>),
}

/// A model in this process.
pub struct Embedded {
    card: ModelInfo,
    batch: usize,
    jobs: mpsc::Sender<EngineJob>,
}

/// Reads all of a model file but its weights, and has its template write conversations of every length that is asked for.
///
/// # Errors
/// [`LlmError::File`] as when it is loaded.
pub(crate) fn examine(path: &Path) -> Result<(), LlmError> {
    let (_, _, template) = engine::front(path)?;
    template.try_all();
    Ok(())
}

impl Embedded {
    /// Loads a model file: a few seconds for each gigabyte. Weights are kept as stored and, once used, in the order in which
    /// the processor takes them, so that it needs about three times the file's length in memory.
    ///
    /// # Errors
    /// [`LlmError::File`] for a file that is none, is damaged, or holds a model that cannot be run here.
    pub fn load(path: &Path, mut settings: Settings) -> Result<Self, LlmError> {
        if settings.threads == 0 {
            settings.threads = std::thread::available_parallelism().map_or(1, usize::from);
        }
        if settings.batch == 0 {
            settings.batch = BATCH;
        }
        let fatal = |error: &dyn std::fmt::Display| LlmError::Fatal(format!("the model cannot be run: {error}"));
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(settings.threads)
            .thread_name(|at| format!("model-{at}"))
            .build()
            .map_err(|error| fatal(&error))?;
        let (mut engine, card) = pool.install(|| Engine::load(path, settings))?;
        let (jobs, inbox) = mpsc::channel::<EngineJob>();
        let batch = settings.batch;
        let run = move || {
            // Ends when the last sender is gone, which is when the model is dropped.
            for job in inbox {
                // Whoever asked may have gone: then nothing is computed and nobody told.
                match job {
                    EngineJob::Write(request, reply) if !reply.is_closed() => {
                        let answer = pool.install(|| engine.write(&request, &|| reply.is_closed()));
                        reply.send(answer).ok();
                    }
                    EngineJob::Choose(request, reply) if !reply.is_closed() => {
                        let answer = pool.install(|| engine.choose(&request, &|| reply.is_closed()));
                        reply.send(answer).ok();
                    }
                    _ => {}
                }
            }
        };
        std::thread::Builder::new().name("model".into()).spawn(run).map_err(|error| fatal(&error))?;
        Ok(Self { card, batch, jobs })
    }

    fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, LlmError>>) -> EngineJob,
    ) -> PendingAnswer<'static, T> {
        let (reply, answer) = oneshot::channel();
        let sent = self.jobs.send(job(reply));
        Box::pin(async move {
            let gone = || LlmError::Fatal("the model's thread has ended; start again".into());
            sent.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        })
    }
}

impl LanguageModel for Embedded {
    fn card(&self) -> &ModelInfo {
        &self.card
    }

    fn destination(&self) -> Option<&Destination> {
        None
    }

    fn questions_at_once(&self) -> usize {
        self.batch
    }

    fn write<'a>(&'a self, request: &'a WriteRequest, _: Option<&'a EgressRecord>) -> PendingAnswer<'a, Reply> {
        self.ask(|reply| EngineJob::Write(Box::new(request.clone()), reply))
    }

    fn choose<'a>(
        &'a self,
        request: &'a ChooseRequest,
        _: Option<&'a EgressRecord>,
    ) -> PendingAnswer<'a, Vec<ChoiceReply>> {
        self.ask(|reply| EngineJob::Choose(Box::new(request.clone()), reply))
    }
}
