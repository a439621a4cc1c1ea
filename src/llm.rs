//! The language model side: what a model is asked, what it answers, and the providers behind one trait of plain values.

pub(crate) mod chat;
pub(crate) mod egress;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "servers")]
pub(crate) mod hub;
pub(crate) mod orders;
pub(crate) mod prompt;
pub(crate) mod reply;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::egress::{Destination, EgressRecord, EgressRefusal};

/// Who speaks in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The guideline.
    System,
    /// Us.
    User,
    /// The model.
    Assistant,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChatMessage {
    pub role: Role,
    pub content: String,
}

impl ChatMessage {
    /// A turn.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// What a written answer must look like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerFormat {
    /// Any text.
    Text,
    /// A JSON object with these fields, in this order.
    Object(Vec<Field>),
    /// `{"answers": [...]}` with so many such objects, one for each thing asked about, in order.
    Objects(usize, Vec<Field>),
}

/// A field of a JSON answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Its key.
    pub name: String,
    /// What may stand in it.
    pub kind: FieldKind,
}

/// What may stand in a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// One of these words.
    Word(Vec<String>),
    /// A list of any of these words, none twice.
    Words(Vec<String>),
    /// A text of at most so many characters.
    Text(usize),
    /// A list of at most so many texts of at most so many characters.
    Texts(usize, usize),
    /// A number from 0 to 1.
    Share,
}

/// How an answer is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecodingParams {
    /// Most tokens to write.
    pub max_tokens: u32,
    /// 0 takes the likeliest token each time.
    pub temperature: f32,
    /// The least set of tokens with this much probability is drawn from.
    pub top_p: f32,
    /// Seed of the draw.
    pub seed: u64,
}

impl DecodingParams {
    /// The likeliest answer, of at most so many tokens.
    pub(crate) fn greedy(max_tokens: u32) -> Self {
        Self { max_tokens, temperature: 0.0, top_p: 1.0, seed: 0 }
    }
}

/// A request to write something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WriteRequest {
    /// The conversation so far; what many requests share comes first, so that its reading can be reused.
    pub turns: Vec<ChatMessage>,
    /// What the answer must look like.
    pub shape: AnswerFormat,
    /// How it is drawn.
    pub sampling: DecodingParams,
    /// Ask for the log-probability of each token written, where the provider has it.
    pub logprobs: bool,
}

/// A token that was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrittenToken {
    pub text: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
}

/// What an answer cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read, among them those that were cached.
    pub prompt: u64,
    /// Tokens of the prompt whose reading was reused.
    pub cached: u64,
    /// Tokens written.
    pub completion: u64,
    /// The provider did not say, and the numbers are an estimate from the text's length.
    pub estimated: bool,
}

impl Usage {
    /// Adds another answer's.
    pub(crate) fn add(&mut self, other: Self) {
        self.prompt = self.prompt.saturating_add(other.prompt);
        self.cached = self.cached.saturating_add(other.cached);
        self.completion = self.completion.saturating_add(other.completion);
        self.estimated |= other.estimated;
    }
}

/// What a model wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    pub text: String,
    /// Whether it came to its end, rather than to `max_tokens`.
    pub complete: bool,
    /// Its tokens, where they were asked for and the provider has them.
    pub tokens: Vec<WrittenToken>,
    /// What it cost.
    pub usage: Usage,
}

/// A request to choose between given answers, for several last turns after one shared beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChooseRequest {
    /// The shared beginning: guideline and examples.
    pub turns: Vec<ChatMessage>,
    /// The last user turn; each is answered by itself.
    #[serde(rename = "asks")]
    pub questions: Vec<String>,
    /// The answers to choose between, each the whole of what the model would say.
    pub options: Vec<String>,
}

/// How likely each option is as an answer to one question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChoiceReply {
    /// Natural logarithm of the probability that the model would give each option, in their order; minus infinity (as
    /// `None`) where the provider names only the likeliest tokens and the option is not among them. They need not sum to
    /// one: the rest is what the model would rather have said.
    pub logprobs: Vec<Option<f32>>,
    /// What it cost.
    pub usage: Usage,
}

/// What a model is, for the record of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// The model's name, such as `Qwen2.5 1.5B Instruct`.
    pub name: String,
    /// `chat` or `embedded`.
    pub provider: String,
    /// What tells this model from any other: endpoint and model name, or the file's hash. Answers are cached under it.
    pub identity: String,
    /// Everything else worth a record: capabilities found, quantisation, context, threads.
    pub details: serde_json::Value,
}

/// What can go wrong between a model and us. What a server or the way to it says is kept in words: the errors behind it may
/// hold an address with a key in it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LlmError {
    /// The policy said no.
    #[error(transparent)]
    Refused(#[from] EgressRefusal),
    /// Worth trying again: the server is busy, away or broken.
    #[error("{what}; tried again later")]
    Later {
        /// What happened.
        what: String,
        /// How long the server asks to wait.
        after: Option<Duration>,
    },
    /// This request will never work, others may: too long a prompt, say.
    #[error("{0}")]
    Unanswerable(String),
    /// No request will work: a wrong key, a wrong address, no such model.
    #[error("{0}")]
    Fatal(String),
    /// A model file that cannot be read.
    #[error("{path}")]
    File {
        path: PathBuf,
        /// What is wrong, and what to do.
        #[source]
        cause: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// Whoever asked no longer wants the answer.
    #[error("stopped")]
    Stopped,
}

impl LlmError {
    /// What kind it is, in a word for the log; without what the server said, which may quote a note.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Refused(_) => "not allowed",
            Self::Later { .. } => "busy or away",
            Self::Unanswerable(_) => "not to be answered",
            Self::Fatal(_) => "not to be used",
            Self::File { .. } => "not to be read",
            Self::Stopped => "stopped",
        }
    }
}

/// An answer that is on its way. Dropping it calls the request off.
pub(crate) type PendingAnswer<'a, T> = Pin<Box<dyn Future<Output = Result<T, LlmError>> + Send + 'a>>;

/// A language model, wherever it runs.
pub trait LanguageModel: Send + Sync {
    /// What it is.
    fn card(&self) -> &ModelInfo;

    /// Where requests go; `None` for a model in this process. A request to a host needs a [`EgressRecord`] for it.
    fn destination(&self) -> Option<&Destination>;

    /// How many questions one [`ChooseRequest`] may usefully hold.
    fn questions_at_once(&self) -> usize {
        1
    }

    /// Writes an answer. One attempt: trying again is the caller's business.
    fn write<'a>(&'a self, request: &'a WriteRequest, record: Option<&'a EgressRecord>) -> PendingAnswer<'a, Reply>;

    /// Scores the options as answers to each question, in the order of the questions.
    fn choose<'a>(
        &'a self,
        request: &'a ChooseRequest,
        record: Option<&'a EgressRecord>,
    ) -> PendingAnswer<'a, Vec<ChoiceReply>>;
}
