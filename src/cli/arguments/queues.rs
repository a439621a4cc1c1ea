//! Arguments of `queue` and `simulate`.

use std::path::PathBuf;

use super::{ColumnArgs, MethodArg};

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct QueueArgs {
    /// Show the order that stands and do not make a new one.
    #[arg(long)]
    pub(in crate::cli) last: bool,
    /// The first so many; 0 shows all.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(in crate::cli) limit: usize,
    /// As JSON.
    #[arg(long, conflicts_with = "csv")]
    pub(in crate::cli) json: bool,
    /// As CSV.
    #[arg(long)]
    pub(in crate::cli) csv: bool,
}

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct SimulateArgs {
    /// Texts with labels that play the expert, in place of the project's gold of training patients.
    #[arg(long, value_name = "FILE", requires = "test")]
    pub(in crate::cli) train: Option<PathBuf>,
    /// Texts with labels that are scored on.
    #[arg(long, value_name = "FILE", requires = "train")]
    pub(in crate::cli) test: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) columns: ColumnArgs,
    /// Orders, each compared with the first: words of `[queue]` in goldsmith.toml, mixes such as margin=0.8+random=0.2, or mix,
    /// which is the project's own; without it, random,mix.
    #[arg(long, value_delimiter = ',', value_name = "ORDERS")]
    pub(in crate::cli) strategies: Option<Vec<String>>,
    /// Games of each order.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(in crate::cli) seeds: usize,
    /// Sentences drawn at random to start with.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub(in crate::cli) start: usize,
    /// Sentences decided between two trainings.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub(in crate::cli) batch: usize,
    /// At most so many sentences in a game; without it, all.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) labels: Option<usize>,
    /// The share of the macro-F1 of all labels that is to be reached.
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    pub(in crate::cli) share: f64,
    /// End a game once that is reached.
    #[arg(long)]
    pub(in crate::cli) until_reached: bool,
    /// Who plays the experts: error rates, confusions and times, overlap and gold policy, as TOML.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) experts: Option<PathBuf>,
    /// What is trained: ngram or frozen.
    #[arg(long)]
    pub(in crate::cli) method: Option<MethodArg>,
    /// The encoder of `frozen`.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) encoder: Option<String>,
    /// Write every stop of every game into this file.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) csv: Option<PathBuf>,
    /// Write everything into this file.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) json: Option<PathBuf>,
}
