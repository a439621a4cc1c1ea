//! Settings of the language model side: `[privacy]`, `[models]`, `[label]` and `[generate]` of the project file.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::domain::egress::{AllowedHost, DataUse};
use crate::formats::toml_source::{TomlSource, TomlTable};

/// What is done about passages that look like a person's data before a sentence leaves this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PhiPolicy {
    /// Count them and say so.
    Warn,
    /// Keep such sentences here.
    #[default]
    Block,
    /// Do not look.
    Off,
}

/// Where text may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrivacySettings {
    /// The terms.
    pub data_use: DataUse,
    /// The hosts that are named.
    pub allow_hosts: Vec<AllowedHost>,
    /// The screen.
    pub phi: PhiPolicy,
    /// Whether prompts that write sentences may show real ones.
    pub real_sentences: bool,
}

/// How a model is reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// A GGUF file in this process.
    Embedded {
        file: PathBuf,
        /// Threads; 0 for all cores.
        threads: usize,
        /// Tokens of context.
        context: usize,
    },
    /// An OpenAI-compatible server.
    Chat {
        /// Base address.
        url: String,
        /// The model's name there.
        model: String,
        /// Environment variable of the key.
        key_env: String,
        key_header: String,
        /// Further query parameters.
        query: Vec<(String, String)>,
        /// Seconds for a request.
        timeout: u64,
        /// The only certificate authorities that are trusted to vouch for it, a file in PEM.
        #[serde(skip)]
        ca_file: Option<PathBuf>,
        /// Whether text may go there without TLS.
        #[serde(skip)]
        insecure: bool,
    },
}

/// A model of the project.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelSettings {
    /// How it is reached.
    pub provider: Provider,
    /// Requests under way at once.
    pub concurrency: usize,
    /// 0 for no limit.
    pub requests_per_minute: u64,
    /// 0 for no limit.
    pub tokens_per_minute: u64,
    /// Of each request.
    pub attempts: u32,
    /// For a million tokens read; 0 where not known.
    pub price_in: f64,
    /// For a million tokens written; 0 where not known.
    pub price_out: f64,
}

impl ModelSettings {
    /// A model with the settings that the template gives.
    pub(crate) fn new(provider: Provider) -> Self {
        Self {
            provider,
            concurrency: 8,
            requests_per_minute: 0,
            tokens_per_minute: 0,
            attempts: 6,
            price_in: 0.0,
            price_out: 0.0,
        }
    }

    /// The threads of a model in this process, where a number is set.
    pub(crate) fn threads(&self) -> Option<usize> {
        match self.provider {
            Provider::Embedded { threads, .. } if threads > 0 => Some(threads),
            _ => None,
        }
    }

    /// A GGUF file.
    pub(crate) fn embedded(file: PathBuf) -> Self {
        Self::new(Provider::Embedded { file, threads: 0, context: 8192 })
    }

    /// A server.
    pub(crate) fn chat(url: &str, model: &str) -> Self {
        let (key_env, key_header) = (String::new(), "authorization".to_owned());
        let (url, model, query) = (url.to_owned(), model.to_owned(), Vec::new());
        Self::new(Provider::Chat {
            url,
            model,
            key_env,
            key_header,
            query,
            timeout: 120,
            ca_file: None,
            insecure: false,
        })
    }
}

/// How a labelling run answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerBy {
    /// What suits the model.
    Auto,
    /// A letter.
    Choice,
    Json,
}

/// How few-shot examples are picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FewShotBy {
    /// As many of each category.
    Balanced,
    /// The likest to each sentence.
    Nearest,
}

/// Which choices are explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Explain {
    /// None of them.
    None,
    /// Those with little probability.
    Doubtful,
    All,
}

/// Settings of labelling.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelSettings {
    /// A name of `[models]`; empty for the only one.
    #[serde(skip)]
    pub model: String,
    /// The binary task instead of categories.
    pub binary: bool,
    /// How the model answers.
    pub answer: AnswerBy,
    /// Examples of the guideline for each category.
    pub examples: usize,
    /// Gold sentences shown.
    pub few_shot: usize,
    /// How they are picked.
    pub few_shot_by: FewShotBy,
    /// Neighbouring sentences on each side.
    pub context: usize,
    pub sentences_per_request: usize,
    /// Answers to each sentence.
    pub samples: usize,
    /// Which choices are explained.
    pub explain: Explain,
    /// Below this probability a choice is doubtful.
    pub doubtful: f64,
    /// Times that a reply that cannot be used is asked for again.
    pub retries: usize,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for LabelSettings {
    fn default() -> Self {
        Self {
            model: String::new(),
            binary: false,
            answer: AnswerBy::Auto,
            examples: 2,
            few_shot: 0,
            few_shot_by: FewShotBy::Balanced,
            context: 0,
            sentences_per_request: 1,
            samples: 1,
            explain: Explain::None,
            doubtful: 0.6,
            retries: 2,
            seed: 1,
        }
    }
}

/// How quotas are shared out over categories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Quota {
    Equal,
    /// In gold's proportions.
    Gold,
    /// More for what gold has little of.
    Inverse,
}

/// What the classifier's disagreement does to a written sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassifierCheck {
    /// It is not asked.
    Off,
    Warn,
    /// The sentence does not pass.
    On,
}

/// Settings of generation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GenerateSettings {
    /// A name of `[models]`; empty for the only one.
    #[serde(skip)]
    pub model: String,
    /// Passed sentences for each category, on average.
    pub per_category: usize,
    /// How they are shared out.
    pub quota: Quota,
    /// Sentences without a category, as a share of `per_category`.
    pub none: f64,
    /// Of the draw.
    pub temperature: f64,
    /// Of the draw.
    pub top_p: f64,
    /// Seed of everything random.
    pub seed: u64,
    /// Whether the model must agree with itself.
    pub round_trip: bool,
    /// Whether the classifier must agree.
    pub classifier: ClassifierCheck,
    /// Sentences in a row that did not pass, before a category is given up.
    pub give_up: usize,
}

impl Default for GenerateSettings {
    fn default() -> Self {
        Self {
            model: String::new(),
            per_category: 20,
            quota: Quota::Equal,
            none: 0.0,
            temperature: 0.9,
            top_p: 0.95,
            seed: 1,
            round_trip: true,
            classifier: ClassifierCheck::Warn,
            give_up: 25,
        }
    }
}

pub(super) fn privacy_settings<'t>(
    s: &mut TomlSource<'t>,
    mut table: TomlTable<'_, 't>,
    privacy: &mut PrivacySettings,
) {
    privacy.data_use = table.word(s, "data_use", &DataUse::ALL).unwrap_or_default();
    for (host, at) in table.placed_texts(s, "allow_hosts").unwrap_or_default() {
        match AllowedHost::parse(&host) {
            Some(allowed) => privacy.allow_hosts.push(allowed),
            None => s.fault(
                at,
                format!(
                    "`{host}` must be a host, perhaps with a port, such as \"api.example.org\" or \"10.0.0.5:8443\""
                ),
            ),
        }
    }
    let words = [("warn", PhiPolicy::Warn), ("block", PhiPolicy::Block), ("off", PhiPolicy::Off)];
    privacy.phi = table.word(s, "phi", &words).unwrap_or_default();
    privacy.real_sentences = table.flag(s, "real_sentences_in_prompts").unwrap_or(false);
    table.close(s);
}

/// Whether a query parameter of this name is likely to carry a key, as `api-key`, `access_token` and `sig` do.
fn may_name_a_key(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["key", "token", "secret", "password", "sig", "credential"].iter().any(|word| name.contains(word))
}

pub(super) fn model_settings<'t>(
    s: &mut TomlSource<'t>,
    mut table: TomlTable<'_, 't>,
    folder: &Path,
) -> Option<ModelSettings> {
    let span = table.span();
    let file = table.text(s, "file");
    let url = table.text(s, "url");
    let provider = match (file, url) {
        (Some((file, _)), None) => Some(Provider::Embedded {
            file: folder.join(file),
            threads: table.whole(s, "threads", 0..=1024).unwrap_or(0) as usize,
            context: table.whole(s, "context", 256..=1 << 20).unwrap_or(8192) as usize,
        }),
        (None, Some((url, _))) => {
            let mut text = |key, default: &str| table.text(s, key).map_or_else(|| default.to_owned(), |(text, _)| text);
            let (model, key_env) = (text("model", ""), text("key_env", ""));
            let key_header = text("key_header", "authorization");
            let mut query = Vec::new();
            for (pair, at) in table.placed_texts(s, "query").unwrap_or_default() {
                match pair.split_once('=') {
                    Some((name, _)) if may_name_a_key(name) => s.fault(
                        at,
                        format!("`{name}` looks like a key, and keys are kept in no file: name its environment variable as key_env, and the header as key_header"),
                    ),
                    Some((name, value)) => query.push((name.to_owned(), value.to_owned())),
                    None => s.fault(at, format!("\"{pair}\" must be like \"name=value\"")),
                }
            }
            let timeout = table.whole(s, "timeout", 1..=86_400).unwrap_or(120);
            let ca_file = table.text(s, "ca_file").map(|(file, _)| folder.join(file));
            let insecure = table.flag(s, "insecure").unwrap_or(false);
            Some(Provider::Chat { url, model, key_env, key_header, query, timeout, ca_file, insecure })
        }
        _ => {
            s.fault(span, "a model needs either `file` (a GGUF file) or `url` (a server)");
            None
        }
    };
    let mut model = ModelSettings::new(provider?);
    let mut whole = |key, range, default| table.whole(s, key, range).unwrap_or(default);
    model.concurrency = whole("concurrency", 1..=4096, 8) as usize;
    model.requests_per_minute = whole("requests_per_minute", 0..=1 << 40, 0);
    model.tokens_per_minute = whole("tokens_per_minute", 0..=1 << 40, 0);
    model.attempts = whole("attempts", 1..=100, 6) as u32;
    model.price_in = table.number(s, "price_in", 0.0..=1e6).unwrap_or(0.0);
    model.price_out = table.number(s, "price_out", 0.0..=1e6).unwrap_or(0.0);
    table.close(s);
    Some(model)
}

pub(super) fn label_settings<'t>(s: &mut TomlSource<'t>, mut table: TomlTable<'_, 't>, label: &mut LabelSettings) {
    label.model = table.text(s, "model").map_or_else(String::new, |(text, _)| text);
    label.binary = table.word(s, "task", &[("categories", false), ("binary", true)]).unwrap_or(false);
    let words = [("auto", AnswerBy::Auto), ("choice", AnswerBy::Choice), ("json", AnswerBy::Json)];
    label.answer = table.word(s, "answer", &words).unwrap_or(label.answer);
    let words = [("balanced", FewShotBy::Balanced), ("nearest", FewShotBy::Nearest)];
    label.few_shot_by = table.word(s, "few_shot_by", &words).unwrap_or(label.few_shot_by);
    let words = [("none", Explain::None), ("doubtful", Explain::Doubtful), ("all", Explain::All)];
    label.explain = table.word(s, "explain", &words).unwrap_or(label.explain);
    label.doubtful = table.number(s, "doubtful", 0.0..=1.0).unwrap_or(label.doubtful);
    let mut whole = |key, range, default: usize| table.whole(s, key, range).map_or(default, |n| n as usize);
    label.examples = whole("examples", 0..=100, label.examples);
    label.few_shot = whole("few_shot", 0..=1000, label.few_shot);
    label.context = whole("context", 0..=100, label.context);
    label.sentences_per_request = whole("sentences_per_request", 1..=100, label.sentences_per_request);
    label.samples = whole("samples", 1..=100, label.samples);
    label.retries = whole("retries", 0..=20, label.retries);
    label.seed = table.whole(s, "seed", 0..=1 << 53).unwrap_or(label.seed);
    table.close(s);
}

pub(super) fn generate_settings<'t>(
    s: &mut TomlSource<'t>,
    mut table: TomlTable<'_, 't>,
    generate: &mut GenerateSettings,
) {
    generate.model = table.text(s, "model").map_or_else(String::new, |(text, _)| text);
    let words = [("equal", Quota::Equal), ("gold", Quota::Gold), ("inverse", Quota::Inverse)];
    generate.quota = table.word(s, "quota", &words).unwrap_or(generate.quota);
    let words = [("off", ClassifierCheck::Off), ("warn", ClassifierCheck::Warn), ("on", ClassifierCheck::On)];
    generate.classifier = table.word(s, "classifier", &words).unwrap_or(generate.classifier);
    generate.round_trip = table.flag(s, "round_trip").unwrap_or(generate.round_trip);
    generate.none = table.number(s, "none", 0.0..=1000.0).unwrap_or(generate.none);
    generate.temperature = table.number(s, "temperature", 0.0..=2.0).unwrap_or(generate.temperature);
    generate.top_p = table.number(s, "top_p", 0.01..=1.0).unwrap_or(generate.top_p);
    let mut whole = |key, range, default: usize| table.whole(s, key, range).map_or(default, |n| n as usize);
    generate.per_category = whole("per_category", 1..=1_000_000, generate.per_category);
    generate.give_up = whole("give_up", 1..=100_000, generate.give_up);
    generate.seed = table.whole(s, "seed", 0..=1 << 53).unwrap_or(generate.seed);
    table.close(s);
}
