//! What the command line says: verbs, options and their help.

mod exchange;
mod experts;
mod import;
mod language;
mod people;
mod queues;
mod store;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::filter::LevelFilter;

use crate::domain::experiment::TrainingSetSpec;
use crate::domain::split::Tier;
use crate::formats::project::training::TrainingMethod;
use crate::workflow::experiment;
pub(super) use exchange::{AuditArgs, BackupArgs, BundleArgs, MergeArgs, PredictArgs, RestoreArgs};
pub(super) use experts::{AgreementArgs, AssignArgs, GoldArgs, StatusArgs};
pub(super) use import::{ColumnArgs, ImportArgs, ReadingArgs};
pub(super) use language::{
    AnswerArg, BudgetArgs, ExplainArg, FewShotArg, GenerateArgs, LabelArgs, ModelArgs, QuotaArg, WhichArg,
};
pub(super) use people::{KeyArgs, PeopleArgs, PeopleVerb};
pub(super) use queues::{QueueArgs, SimulateArgs};
pub(super) use store::StoreVerb;

/// What the command line says.
#[derive(Parser, Debug)]
#[command(
    name = "goldsmith",
    version,
    about = "Turns a language model's labels of clinical sentences into expert gold",
    after_help = format!("Examples:\n  goldsmith demo                    look at every screen with made-up notes\n  goldsmith init study && cd study  start a project\n  goldsmith import notes/           bring notes in\n  goldsmith                         open the workbench\n\n{}", super::exit::CODES)
)]
pub struct Cli {
    /// The project's folder. Default: where the nearest goldsmith.toml is, from here upwards.
    #[arg(long, global = true, value_name = "DIR", env = "GOLDSMITH_PROJECT")]
    pub(super) project: Option<PathBuf>,
    /// Who decides. Default: what goldsmith.toml says, or your login name.
    // Its own id: `--annotator` of a verb is somebody else.
    #[arg(id = "as", long = "as", global = true, value_name = "NAME")]
    pub(super) annotator: Option<String>,
    /// Write the log to this file, not to a daily file under ~/.local/state/goldsmith. It never contains a word of a note.
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) log_file: Option<PathBuf>,
    /// How much to log: off, error, warn, info, debug or trace.
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info", env = "GOLDSMITH_LOG_LEVEL")]
    pub(super) log_level: LevelFilter,
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,
}

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// Make a project: goldsmith.toml, a taxonomy and an empty store.
    #[command(after_help = "Example:\n  goldsmith init study --taxonomy ad-signs")]
    Init {
        /// The new project's folder.
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// ad-signs, note-sections, or a taxonomy file of your own.
        #[arg(long, default_value = "ad-signs")]
        taxonomy: String,
    },
    /// Build a project from made-up notes, train on it, and open it.
    #[command(after_help = "Example:\n  goldsmith demo /tmp/demo")]
    Demo {
        /// Where to build it. Default: a temporary folder, removed afterwards.
        folder: Option<PathBuf>,
    },
    /// Bring in notes and labels. Running it again adds nothing twice.
    #[command(
        after_help = "Examples:\n  goldsmith import notes/ --patient-from folder\n  goldsmith import NOTEEVENTS.csv.gz\n  goldsmith import MTS-Dialog.csv --text-column section_text\n  goldsmith import labelled.jsonl --unit sentence --annotator ann --plan\n  goldsmith import labelled.jsonl --unit sentence --annotator ann\n  zcat notes.jsonl.gz | goldsmith import -"
    )]
    Import(Box<ImportArgs>),
    /// Reads a model file with little memory: how the program looks at one before it loads it.
    #[cfg(feature = "embedded")]
    #[command(hide = true)]
    ExamineModel { file: PathBuf },
    /// Check, compare and change the taxonomy.
    #[command(subcommand)]
    Taxonomy(TaxonomyVerb),
    /// Print the scores of silver and of the classifier against gold.
    #[command(after_help = "Examples:\n  goldsmith metrics\n  goldsmith metrics --json > scores.json")]
    Metrics {
        #[command(flatten)]
        style: StyleArgs,
    },
    /// Assign sentences to experts, as `[protocol]` in goldsmith.toml says. Existing assignments stay.
    #[command(after_help = "Examples:\n  goldsmith assign --plan\n  goldsmith assign")]
    Assign(AssignArgs),
    /// Print how far each expert has come: done, left, pace, and agreement with others, with silver, and with themselves.
    #[command(after_help = "Examples:\n  goldsmith status\n  goldsmith status --json")]
    Status(StatusArgs),
    /// Print how far the experts agree with each other, with silver, and with what they said before; what they confuse; and
    /// whether silver in sight pulls them.
    #[command(
        after_help = "Examples:\n  goldsmith agreement\n  goldsmith agreement --sentences 10 | less\n  goldsmith agreement --csv > agreement.csv"
    )]
    Agreement(AgreementArgs),
    /// Train a classifier on what the experts decided, and score it on held-out gold. Fine-tuning that was stopped is
    /// resumed.
    #[command(
        after_help = "Examples:\n  goldsmith train\n  goldsmith train --tiers gold,bronze\n  goldsmith train --encoder ~/models/all-MiniLM-L6-v2 --method frozen\n  goldsmith train --encoder ~/models/Bio_ClinicalBERT --last-layers 4"
    )]
    Train(TrainArgs),
    /// Compare training on gold alone with gold and silver, bronze or both, tested on held-out gold. Run the same command
    /// again to resume.
    #[command(
        after_help = "Examples:\n  goldsmith experiment\n  goldsmith experiment --curve --out paper\n  goldsmith experiment --tasks multi --sets gold,gold+bronze --seeds 10 --format latex\n  goldsmith experiment --models ngram,frozen --encoder ~/models/all-MiniLM-L6-v2"
    )]
    Experiment(Box<ExperimentArgs>),
    /// Score a trained model on held-out gold as it stands now.
    #[command(after_help = "Example:\n  goldsmith score --markdown")]
    Score {
        /// The model's folder. Default: the newest.
        #[arg(long, value_name = "DIR")]
        model: Option<PathBuf>,
        #[command(flatten)]
        style: StyleArgs,
    },
    /// Find gold and silver labels that may be wrong: those that classifiers trained without them disagree with.
    #[command(
        after_help = "Examples:\n  goldsmith doubt\n  goldsmith doubt --last --limit 0 | less\n  goldsmith doubt --last --csv > doubts.csv"
    )]
    Doubt(DoubtArgs),
    /// Rank the open sentences by how much the classifier can learn from them, and show the first with reasons.
    #[command(after_help = "Examples:\n  goldsmith queue\n  goldsmith queue --last --limit 0 --csv > queue.csv")]
    Queue(QueueArgs),
    /// Let a labelled set play the expert: how many labels each order of the queue needs, as learning curves over seeds.
    #[command(
        after_help = "Examples:\n  goldsmith simulate\n  goldsmith simulate --strategies random,mix,margin,balanced=0.8+random=0.2 --csv curves.csv\n  goldsmith simulate --train train.csv --test test.csv --text-column dialogue --label-column section_header\n  goldsmith simulate --experts experts.toml --until-reached"
    )]
    Simulate(Box<SimulateArgs>),
    /// Manage encoders.
    #[command(subcommand)]
    Encoder(EncoderVerb),
    /// Export for other programs.
    #[command(subcommand)]
    Export(ExportVerb),
    /// Label texts from a file with a trained model.
    #[command(
        after_help = "Examples:\n  goldsmith predict new.jsonl > labelled.jsonl\n  echo '{\"text\": \"She forgets names.\"}' | goldsmith predict -"
    )]
    Predict(PredictArgs),
    /// Let a language model label sentences of notes: silver. Run the same command again to resume.
    #[command(
        after_help = "Examples:\n  goldsmith label --gguf qwen2.5-1.5b-instruct-q4_k_m.gguf\n  goldsmith label --url http://127.0.0.1:8080/v1 --plan\n  goldsmith label --model server --only gold --budget-tokens 200000\n  goldsmith label --model server --export-batch requests.jsonl"
    )]
    Label(Box<LabelArgs>),
    /// Let a language model write sentences for each category: bronze. Run the same command again to resume.
    #[command(
        after_help = "Examples:\n  goldsmith generate --gguf qwen2.5-1.5b-instruct-q4_k_m.gguf --per-category 20\n  goldsmith generate --model server --quota inverse --budget-money 5\n  goldsmith bronze"
    )]
    Generate(Box<GenerateArgs>),
    /// Compare the sentences that a model wrote with those of real notes.
    #[command(after_help = "Examples:\n  goldsmith bronze\n  goldsmith bronze --json")]
    Bronze {
        /// Only this run's.
        #[arg(long, value_name = "RUN")]
        run: Option<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what left this machine, and what was kept from leaving.
    #[command(after_help = "Examples:\n  goldsmith egress\n  goldsmith egress --json > egress.jsonl")]
    Egress {
        /// Every record as a line of JSON.
        #[arg(long)]
        json: bool,
        /// Only this many, the newest.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// List runs (labelling, generation, training), show one, or compare two.
    #[command(
        after_help = "Examples:\n  goldsmith runs\n  goldsmith runs show 0198\n  goldsmith runs diff 0198a 0198b"
    )]
    Runs {
        #[command(subcommand)]
        verb: Option<RunsVerb>,
    },
    /// Write decisions to a file for another site; without the text of notes, unless you ask for it.
    #[command(
        after_help = "Examples:\n  goldsmith bundle ward.gz\n  goldsmith bundle ward-2.gz.age --new --to age1... --sign minisign.key\n  goldsmith bundle ann.gz.age --annotator ann --with-text --passphrase-env WORDS"
    )]
    Bundle(Box<BundleArgs>),
    /// Merge another site's bundle. Nothing is overwritten, the order does not matter, and merging a bundle twice changes
    /// nothing; where experts contradict each other, an adjudicator decides.
    #[command(
        after_help = "Examples:\n  goldsmith merge ward.gz clinic.gz\n  goldsmith merge ward-2.gz.age --identity key.txt --signed-by RW...\n  goldsmith merge first-of-ward.gz --trust"
    )]
    Merge(MergeArgs),
    /// Print your public key, by which others know what you signed. The key is made at first use, in your own home.
    #[command(after_help = "Example:\n  goldsmith key")]
    Key(KeyArgs),
    /// List whose key is whose and who may do what; a lead changes it.
    #[command(after_help = "Examples:\n  goldsmith people\n  goldsmith people set kim --role lead --role steward")]
    People(PeopleArgs),
    /// Copy store, taxonomy and project file into a folder, while others work; the copy is looked through before it counts.
    #[command(after_help = "Examples:\n  goldsmith backup\n  goldsmith backup --to /mnt/safe/study --keep 14")]
    Backup(BackupArgs),
    /// Put a backup in the place of the project's store and taxonomy, once it was looked through.
    #[command(
        after_help = "Examples:\n  goldsmith restore backups/2026-11-28T15-32-29Z --project study\n  goldsmith restore backups/2026-11-28T15-32-29Z --replace"
    )]
    Restore(RestoreArgs),
    /// Find out whether anyone changed anything behind the program's back, and print who decided what, when, having seen what.
    #[command(
        after_help = "Examples:\n  goldsmith audit\n  goldsmith audit --expect LINK\n  goldsmith audit --log --annotator ann --since 2026-01-31\n  goldsmith audit --csv log.csv"
    )]
    Audit(AuditArgs),
    /// Check the store's file and rebuild current labels from its log; `goldsmith audit` finds tampering.
    #[command(after_help = "Example:\n  goldsmith check")]
    Check,
    /// Encrypt the store, or change its key.
    #[command(
        after_help = "Examples:\n  goldsmith store encrypt\n  goldsmith store rekey --new-file new.key\n  goldsmith store decrypt"
    )]
    Store {
        #[command(subcommand)]
        verb: StoreVerb,
    },
}

#[derive(Subcommand, Debug)]
pub(super) enum TaxonomyVerb {
    /// Name every fault of a taxonomy file by line and column.
    #[command(after_help = "Example:\n  goldsmith taxonomy check taxonomy.toml")]
    Check {
        /// The file.
        file: PathBuf,
    },
    /// List every version of the guideline that this project has used.
    #[command(after_help = "Example:\n  goldsmith taxonomy versions")]
    Versions,
    /// Say what changed between two versions of the guideline, and how many decisions that puts in question.
    #[command(
        after_help = "Examples:\n  goldsmith taxonomy diff\n  goldsmith taxonomy diff 3fa2 \n  goldsmith taxonomy diff old.toml new.toml"
    )]
    Diff {
        /// The earlier one: a file, or the beginning of a version's hash. Without it, the one used before.
        before: Option<String>,
        /// The later one; without it, the one in use.
        after: Option<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Give a category another key; labels that have the old one are read with the new one.
    #[command(
        after_help = "Examples:\n  goldsmith taxonomy rename mood affect\n  goldsmith taxonomy rename mood affect --name Affect --yes"
    )]
    Rename {
        /// The category, by its key or name.
        category: String,
        /// The new key.
        key: String,
        /// The name that people read; without it, it stays.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        how: MigrationArgs,
    },
    /// Merge categories into one; labels that have any of them are read with that one.
    #[command(after_help = "Example:\n  goldsmith taxonomy merge anger sadness --into mood --name Mood")]
    Merge {
        /// The categories, by their keys or names.
        #[arg(required = true)]
        categories: Vec<String>,
        /// The key of the one: one of them, another category, or a new one.
        #[arg(long, value_name = "KEY")]
        into: String,
        /// The name that people read.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        how: MigrationArgs,
    },
    /// Split a category into several; whatever was labelled with it is open again.
    #[command(after_help = "Example:\n  goldsmith taxonomy split cognition --into memory,orientation")]
    Split {
        /// The category, by its key or name.
        category: String,
        /// The keys of its parts: new ones, or such as are there already.
        #[arg(long, value_name = "KEY,KEY", required = true, value_delimiter = ',')]
        into: Vec<String>,
        #[command(flatten)]
        how: MigrationArgs,
    },
    /// Undo the latest change of categories that is not undone; labels that were given since go back to what their category came
    /// from.
    #[command(after_help = "Examples:\n  goldsmith taxonomy undo\n  goldsmith taxonomy undo --yes")]
    Undo {
        #[command(flatten)]
        how: MigrationArgs,
    },
    /// Take over what the taxonomy file says by `was = ["earlier_key"]` of categories that somebody changed by hand.
    #[command(after_help = "Examples:\n  goldsmith taxonomy migrate\n  goldsmith taxonomy migrate --yes")]
    Migrate {
        #[command(flatten)]
        how: MigrationArgs,
    },
}

/// Of a change of categories.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct MigrationArgs {
    /// Do it; without it, what it would do is shown and nothing is done.
    #[arg(long)]
    pub(super) yes: bool,
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Subcommand, Debug)]
pub(super) enum RunsVerb {
    /// Print one run's whole configuration and scores.
    Show {
        /// The run's id, or its beginning or end.
        run: String,
    },
    /// Compare the labels of two runs on the sentences that both have.
    Diff {
        /// The first run.
        before: String,
        /// The second run.
        after: String,
        /// Everything as JSON, with the sentences whose label differs.
        #[arg(long)]
        json: bool,
        /// Show this many of the sentences whose label differs.
        #[arg(long, value_name = "N", default_value_t = 20)]
        show: usize,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum TaskArg {
    /// Whether any category applies.
    Binary,
    /// Which.
    Multi,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum FormatArg {
    Table,
    Markdown,
    Latex,
    Csv,
    Json,
    Html,
}

#[derive(clap::Args, Debug)]
pub(super) struct ExperimentArgs {
    /// What to train; without it, the method of goldsmith.toml.
    #[arg(long, value_delimiter = ',', value_name = "METHODS")]
    pub(super) models: Option<Vec<MethodArg>>,
    /// The encoder of `frozen` and `finetune`: a Hugging Face folder, or a name in the hub's cache.
    #[arg(long, value_name = "DIR")]
    pub(super) encoder: Option<String>,
    /// What to learn; without it, both.
    #[arg(long, value_delimiter = ',', value_name = "TASKS")]
    pub(super) tasks: Option<Vec<TaskArg>>,
    /// What to learn from, tiers joined by +; without it, gold,gold+silver,gold+bronze,gold+silver+bronze.
    #[arg(long, value_delimiter = ',', value_name = "SETS")]
    pub(super) sets: Option<Vec<TrainingSetSpec>>,
    /// Trainings of each cell, counting up from the seed in goldsmith.toml.
    #[arg(long, value_name = "N", default_value_t = experiment::SEEDS)]
    pub(super) seeds: usize,
    /// Also with 10, 25 and 50 % of the gold.
    #[arg(long)]
    pub(super) curve: bool,
    /// Trainings at once. Default: one per processor.
    #[arg(long, value_name = "N")]
    pub(super) jobs: Option<usize>,
    /// How to print it.
    #[arg(long, default_value = "table")]
    pub(super) format: FormatArg,
    /// Write it in every format into this folder.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub(super) enum EncoderVerb {
    /// Fetch an encoder by its name on the hub, where there is a network, into the cache that the hub's tools share. Only the
    /// name is sent. Prints the folder.
    #[command(after_help = "Example:\n  goldsmith encoder fetch sentence-transformers/all-MiniLM-L6-v2")]
    Fetch {
        /// Owner and model.
        name: String,
    },
}

#[derive(Subcommand, Debug)]
pub(super) enum ExportVerb {
    /// Gold as JSON lines that `import --unit sentence` reads: sentence, label, who stands behind it, whether it was blind.
    #[command(
        after_help = "Examples:\n  goldsmith export gold > gold.jsonl\n  goldsmith export gold --votes --csv > experts.csv"
    )]
    Gold(GoldArgs),
    /// A fine-tuned model as a folder that transformers, and servers built on it, load as it is, with a model card.
    #[command(
        after_help = "Examples:\n  goldsmith export model clinic-labels\n  goldsmith export model --model models/ID clinic-labels"
    )]
    Model {
        /// The folder to write; it must not be there yet.
        out: PathBuf,
        /// The model's folder. Default: the newest.
        #[arg(long, value_name = "DIR")]
        model: Option<PathBuf>,
    },
}

#[derive(clap::Args, Debug)]
pub(super) struct TrainArgs {
    /// What to learn from.
    #[arg(long, value_delimiter = ',', value_name = "TIERS")]
    pub(super) tiers: Option<Vec<TierArg>>,
    /// What to train; with --encoder and without this, `finetune`.
    #[arg(long)]
    pub(super) method: Option<MethodArg>,
    /// A Hugging Face folder of a BERT, DistilBERT or ModernBERT, or a name in the hub's cache.
    #[arg(long, value_name = "DIR")]
    pub(super) encoder: Option<String>,
    /// At most this many passes.
    #[arg(long)]
    pub(super) epochs: Option<usize>,
    /// Step size.
    #[arg(long)]
    pub(super) learning_rate: Option<f64>,
    /// Fine-tuning: train only so many of the encoder's last layers.
    #[arg(long, value_name = "N")]
    pub(super) last_layers: Option<usize>,
    /// Seed of everything random.
    #[arg(long)]
    pub(super) seed: Option<u64>,
}

/// What to train.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum MethodArg {
    /// A linear model over n-grams: a second.
    Ngram,
    /// A head on an encoder that stays as it is: a second, once texts are read.
    Frozen,
    /// An encoder with its head: minutes to hours.
    Finetune,
    /// The three of them, their probabilities averaged.
    Vote,
}

impl From<MethodArg> for TrainingMethod {
    fn from(arg: MethodArg) -> Self {
        match arg {
            MethodArg::Ngram => Self::Ngram,
            MethodArg::Frozen => Self::Frozen,
            MethodArg::Finetune => Self::Finetune,
            MethodArg::Vote => Self::Vote,
        }
    }
}

#[derive(clap::Args, Debug)]
pub(super) struct DoubtArgs {
    /// The patients in so many parts, each predicted by a model of the others.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..=100))]
    pub(super) folds: usize,
    /// Seed of everything random.
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Show what the last search found and do not look again.
    #[arg(long)]
    pub(super) last: bool,
    /// The worst so many in the table; 0 shows all.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(super) limit: usize,
    /// All of them as JSON.
    #[arg(long, conflicts_with = "csv")]
    pub(super) json: bool,
    /// All of them as CSV.
    #[arg(long)]
    pub(super) csv: bool,
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
