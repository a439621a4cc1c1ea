//! What the command line says of language models: which, how much, and what is labelled and written.

use std::path::PathBuf;

use clap::ValueEnum;

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct ModelArgs {
    /// A name of `[models]` in goldsmith.toml; with --url, the model's name at the server.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) model: Option<String>,
    /// A GGUF file, run in this process.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    pub(in crate::cli) gguf: Option<PathBuf>,
    /// An OpenAI-compatible server's base address.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) url: Option<String>,
    /// The environment variable that holds the server's key.
    #[arg(long, value_name = "VARIABLE", requires = "url")]
    pub(in crate::cli) key_env: Option<String>,
    /// Threads for a GGUF file.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) threads: Option<usize>,
    /// Requests under way at once.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) concurrency: Option<usize>,
    /// At most so many requests a minute.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) requests_per_minute: Option<u64>,
    /// At most so many tokens a minute.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) tokens_per_minute: Option<u64>,
    /// Seconds for one request.
    #[arg(long, value_name = "SECONDS")]
    pub(in crate::cli) timeout: Option<u64>,
    /// Attempts of each request while the server is busy or away.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) attempts: Option<u32>,
}

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct BudgetArgs {
    /// Stop before the run has used more tokens than this.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) budget_tokens: Option<u64>,
    /// Stop before the run has cost more than this, by the prices in goldsmith.toml.
    #[arg(long, value_name = "AMOUNT")]
    pub(in crate::cli) budget_money: Option<f64>,
    /// Stop when the run has worked so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(in crate::cli) budget_time: Option<u64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum WhichArg {
    All,
    Gold,
    Open,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum AnswerArg {
    Choice,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum ExplainArg {
    None,
    Doubtful,
    All,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum FewShotArg {
    Balanced,
    Nearest,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum QuotaArg {
    Equal,
    Gold,
    Inverse,
}

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct LabelArgs {
    #[command(flatten)]
    pub(in crate::cli) model: ModelArgs,
    #[command(flatten)]
    pub(in crate::cli) budget: BudgetArgs,
    /// Which sentences.
    #[arg(long, default_value = "all")]
    pub(in crate::cli) only: WhichArg,
    /// Label at most so many sentences now.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) limit: Option<u64>,
    /// Ask only whether any category applies.
    #[arg(long)]
    pub(in crate::cli) binary: bool,
    /// choice: the model picks a letter; json: it writes label, evidence and reason.
    #[arg(long)]
    pub(in crate::cli) answer: Option<AnswerArg>,
    /// With choice: ask for evidence and reason.
    #[arg(long)]
    pub(in crate::cli) explain: Option<ExplainArg>,
    /// Examples of the guideline for each category.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) examples: Option<usize>,
    /// Gold sentences of training patients in the prompt.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) few_shot: Option<usize>,
    /// How they are picked.
    #[arg(long)]
    pub(in crate::cli) few_shot_by: Option<FewShotArg>,
    /// Neighbouring sentences on each side.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) context: Option<usize>,
    /// Sentences in one request that is answered as json.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) per_request: Option<usize>,
    /// Answers to each sentence; confidence is the share that agrees.
    #[arg(long, value_name = "K")]
    pub(in crate::cli) samples: Option<usize>,
    /// Begin a new run although this one was begun before.
    #[arg(long)]
    pub(in crate::cli) fresh: bool,
    /// Try again what failed.
    #[arg(long)]
    pub(in crate::cli) retry_failed: bool,
    /// Show rows, tokens, cost, time and one whole prompt, and send nothing.
    #[arg(long, conflicts_with_all = ["export_batch", "import_batch"])]
    pub(in crate::cli) plan: bool,
    /// Write the requests to a file in OpenAI's batch format.
    #[arg(long, value_name = "FILE", conflicts_with = "import_batch")]
    pub(in crate::cli) export_batch: Option<PathBuf>,
    /// Read the answers of a batch.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) import_batch: Option<PathBuf>,
}

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct GenerateArgs {
    #[command(flatten)]
    pub(in crate::cli) model: ModelArgs,
    #[command(flatten)]
    pub(in crate::cli) budget: BudgetArgs,
    /// Passed sentences for each category, on average.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) per_category: Option<usize>,
    /// How they are shared out.
    #[arg(long)]
    pub(in crate::cli) quota: Option<QuotaArg>,
    /// Only these categories, by key.
    #[arg(long, value_delimiter = ',', value_name = "KEYS")]
    pub(in crate::cli) categories: Vec<String>,
    /// Seed of everything random.
    #[arg(long)]
    pub(in crate::cli) seed: Option<u64>,
    /// Begin a new run although this one was begun before.
    #[arg(long)]
    pub(in crate::cli) fresh: bool,
    /// Show quotas, tokens, cost and one whole prompt, and send nothing.
    #[arg(long)]
    pub(in crate::cli) plan: bool,
}
