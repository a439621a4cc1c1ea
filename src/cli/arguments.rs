//! What the command line says: verbs, options and their help.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::domain::split::Tier;
use crate::formats::notes::{Columns, Layout};

/// What the command line says.
#[derive(Parser, Debug)]
#[command(
    name = "goldsmith",
    version,
    about = "Turns a language model's labels of clinical sentences into expert gold",
    after_help = "Examples:\n  goldsmith demo                    look at every screen with made-up notes\n  goldsmith init study && cd study  start a project\n  goldsmith import notes/           bring notes in\n  goldsmith                         open the workbench"
)]
pub struct Cli {
    /// The project's folder; without it, the nearest goldsmith.toml from here upwards.
    #[arg(long, global = true, value_name = "DIR", env = "GOLDSMITH_PROJECT")]
    pub(super) project: Option<PathBuf>,
    /// Who decides; without it, what goldsmith.toml says, or the name you are logged in with.
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub(super) annotator: Option<String>,
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,
}

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// Make a project: goldsmith.toml, a taxonomy and an empty store.
    #[command(after_help = "Example:\n  goldsmith init study --taxonomy ad-signs")]
    Init {
        /// Where.
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// ad-signs, note-sections, or a taxonomy file of your own.
        #[arg(long, default_value = "ad-signs")]
        taxonomy: String,
    },
    /// Build a project from made-up notes, train on it, and open it.
    #[command(after_help = "Example:\n  goldsmith demo /tmp/demo")]
    Demo {
        /// Where to build it; without it, a temporary folder that is gone afterwards.
        folder: Option<PathBuf>,
    },
    /// Bring in notes and labels. Running it again adds nothing twice.
    #[command(
        after_help = "Examples:\n  goldsmith import notes/\n  goldsmith import NOTEEVENTS.csv.gz\n  goldsmith import MTS-Dialog.csv --text-column section_text\n  goldsmith import labelled.jsonl --unit sentence --annotator ann\n  zcat notes.jsonl.gz | goldsmith import -"
    )]
    Import {
        /// Files and folders; `-` is standard input.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// The layout, where the file's name does not tell.
        #[arg(long)]
        layout: Option<LayoutArg>,
        #[command(flatten)]
        columns: ColumnArgs,
        /// Whether a record is a note to be cut into sentences, or one sentence.
        #[arg(long, default_value = "document")]
        unit: UnitArg,
        /// Take the label column in as this expert's decisions.
        #[arg(long, value_name = "NAME", conflicts_with = "model")]
        annotator: Option<String>,
        /// Take the label column in as this model's proposals.
        #[arg(long, value_name = "NAME")]
        model: Option<String>,
        /// What a bad record does.
        #[arg(long, default_value = "skip")]
        on_error: OnError,
    },
    /// Look after taxonomy files.
    #[command(subcommand)]
    Taxonomy(TaxonomyVerb),
    /// Print the scores of silver and of the classifier against gold.
    #[command(after_help = "Examples:\n  goldsmith metrics\n  goldsmith metrics --json > scores.json")]
    Metrics {
        #[command(flatten)]
        style: StyleArgs,
    },
    /// Train the default classifier on what the experts decided, and score it on held-out gold.
    #[command(after_help = "Examples:\n  goldsmith train\n  goldsmith train --tiers gold,bronze")]
    Train {
        /// What to learn from.
        #[arg(long, value_delimiter = ',', value_name = "TIERS")]
        tiers: Option<Vec<TierArg>>,
        /// At most this many passes.
        #[arg(long)]
        epochs: Option<usize>,
        /// Seed of everything random.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Score a trained model on held-out gold as it stands now.
    #[command(after_help = "Example:\n  goldsmith score --markdown")]
    Score {
        /// The model's folder; without it, the newest.
        #[arg(long, value_name = "DIR")]
        model: Option<PathBuf>,
        #[command(flatten)]
        style: StyleArgs,
    },
    /// Label texts from a file with a trained model.
    #[command(
        after_help = "Examples:\n  goldsmith predict new.jsonl > labelled.jsonl\n  echo '{\"text\": \"She forgets names.\"}' | goldsmith predict -"
    )]
    Predict {
        /// A jsonl, csv or text file; `-` is standard input.
        input: PathBuf,
        /// The model's folder; without it, the newest.
        #[arg(long, value_name = "DIR")]
        model: Option<PathBuf>,
        /// The layout, where the file's name does not tell.
        #[arg(long)]
        layout: Option<LayoutArg>,
        #[command(flatten)]
        columns: ColumnArgs,
        /// Write CSV.
        #[arg(long)]
        csv: bool,
    },
    /// List what has been run: labelling, generation, training.
    #[command(after_help = "Example:\n  goldsmith runs")]
    Runs,
    /// Check the store's file and fold its log anew.
    #[command(after_help = "Example:\n  goldsmith check")]
    Check,
    /// Print completions for a shell.
    #[command(
        after_help = "Example:\n  goldsmith completions bash > ~/.local/share/bash-completion/completions/goldsmith"
    )]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the man page.
    #[command(after_help = "Example:\n  goldsmith man | man -l -")]
    Man,
}

#[derive(Subcommand, Debug)]
pub(super) enum TaxonomyVerb {
    /// Name every fault of a taxonomy file by line and column.
    #[command(after_help = "Example:\n  goldsmith taxonomy check taxonomy.toml")]
    Check {
        /// The file.
        file: PathBuf,
    },
}

#[derive(clap::Args, Debug)]
pub(super) struct ColumnArgs {
    /// The column with the text.
    #[arg(long, value_name = "NAME")]
    pub(super) text_column: Option<String>,
    /// The column with the id.
    #[arg(long, value_name = "NAME")]
    pub(super) id_column: Option<String>,
    /// The column with the patient.
    #[arg(long, value_name = "NAME")]
    pub(super) patient_column: Option<String>,
    /// The column with the label.
    #[arg(long, value_name = "NAME")]
    pub(super) label_column: Option<String>,
}

impl From<ColumnArgs> for Columns {
    fn from(args: ColumnArgs) -> Self {
        Self { text: args.text_column, id: args.id_column, patient: args.patient_column, label: args.label_column }
    }
}

#[derive(clap::Args, Debug)]
pub(super) struct StyleArgs {
    /// All numbers as JSON.
    #[arg(long, conflicts_with_all = ["csv", "markdown"])]
    pub(super) json: bool,
    /// CSV.
    #[arg(long, conflicts_with = "markdown")]
    pub(super) csv: bool,
    /// Markdown.
    #[arg(long)]
    pub(super) markdown: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LayoutArg {
    Text,
    Jsonl,
    Csv,
    Tsv,
}

impl From<LayoutArg> for Layout {
    fn from(arg: LayoutArg) -> Self {
        match arg {
            LayoutArg::Text => Self::Text,
            LayoutArg::Jsonl => Self::JsonLines,
            LayoutArg::Csv => Self::Csv,
            LayoutArg::Tsv => Self::Tsv,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum UnitArg {
    Document,
    Sentence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OnError {
    Skip,
    Stop,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum TierArg {
    Gold,
    Silver,
    Bronze,
}

impl From<TierArg> for Tier {
    fn from(tier: TierArg) -> Self {
        match tier {
            TierArg::Gold => Self::Gold,
            TierArg::Silver => Self::Silver,
            TierArg::Bronze => Self::Bronze,
        }
    }
}
