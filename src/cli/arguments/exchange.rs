//! What the command line says of bundles and of the audit.

use std::path::PathBuf;

use super::ReadingArgs;

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct BundleArgs {
    /// The file to write; ending in .gz or .gz.age it is compressed. It must not be there yet.
    pub(in crate::cli) out: PathBuf,
    /// Only what this expert decided.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) annotator: Option<String>,
    /// Only what comes from this site; `here` is this store.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) site: Option<String>,
    /// Only what is newer than the last bundle that was written with --new and the same options.
    #[arg(long)]
    pub(in crate::cli) new: bool,
    /// With the whole notes that the decisions are on.
    #[arg(long)]
    pub(in crate::cli) with_text: bool,
    /// With comments and reworded sentences, which may quote a note.
    #[arg(long)]
    pub(in crate::cli) comments: bool,
    /// For anyone to open, whatever goldsmith.toml says.
    #[arg(long, conflicts_with_all = ["to", "passphrase_env"])]
    pub(in crate::cli) plain: bool,
    /// Encrypt it to this public key of age (age1...), or to those in a file; may be given several times.
    #[arg(long, value_name = "RECIPIENT")]
    pub(in crate::cli) to: Vec<String>,
    /// Encrypt it with the passphrase in this environment variable.
    #[arg(long, value_name = "VARIABLE", conflicts_with = "to")]
    pub(in crate::cli) passphrase_env: Option<String>,
    /// Sign it with this minisign secret key; the signature is written beside it.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) sign: Option<PathBuf>,
    /// The environment variable with that key's password.
    #[arg(long, value_name = "VARIABLE", requires = "sign")]
    pub(in crate::cli) sign_password_env: Option<String>,
}

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct MergeArgs {
    /// Bundles.
    #[arg(required = true)]
    pub(in crate::cli) files: Vec<PathBuf>,
    /// A file with your identity of age (AGE-SECRET-KEY-1...); may be given several times.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) identity: Vec<PathBuf>,
    /// The environment variable with the passphrase.
    #[arg(long, value_name = "VARIABLE")]
    pub(in crate::cli) passphrase_env: Option<String>,
    /// Take it in only if this minisign public key (RW..., or a file) has signed it; of several, any.
    #[arg(long, value_name = "KEY")]
    pub(in crate::cli) signed_by: Vec<String>,
    /// Take in also what is not signed, or is signed by keys that this project does not know. Ask these people first.
    #[arg(long)]
    pub(in crate::cli) trust: bool,
}

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct BackupArgs {
    /// Where each backup gets a folder of its own, named by the moment. Default: the project's folder `backups`.
    #[arg(long, value_name = "FOLDER")]
    pub(in crate::cli) to: Option<PathBuf>,
    /// Keep only so many of the backups there, the newest. Default: all.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) keep: Option<usize>,
}

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct RestoreArgs {
    /// The backup's folder.
    pub(in crate::cli) backup: PathBuf,
    /// Put it in the place of what is there, which is kept beside under another name.
    #[arg(long)]
    pub(in crate::cli) replace: bool,
}

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct AuditArgs {
    /// The last link as an earlier audit or a bundle said it: is that log still the beginning of this one?
    #[arg(long, value_name = "LINK")]
    pub(in crate::cli) expect: Option<String>,
    /// Print every event.
    #[arg(long)]
    pub(in crate::cli) log: bool,
    /// Write every event as CSV; `-` is standard output.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "log"])]
    pub(in crate::cli) csv: Option<PathBuf>,
    /// Print who read which notes: of one person with --annotator, from a day on with --since.
    #[arg(long, conflicts_with_all = ["csv", "log", "expect"])]
    pub(in crate::cli) access: bool,
    /// As JSON; with --log, followed by a line for each event.
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Events of this expert alone.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) annotator: Option<String>,
    /// Events on this sentence alone, by its number.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) sentence: Option<i64>,
    /// Events from this day or moment on, in UTC.
    #[arg(long, value_name = "DATE")]
    pub(in crate::cli) since: Option<String>,
    /// Sentence by sentence, not by time alone.
    #[arg(long)]
    pub(in crate::cli) by_sentence: bool,
    /// With the text of the sentences.
    #[arg(long)]
    pub(in crate::cli) with_text: bool,
}

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct PredictArgs {
    /// A jsonl, csv or text file; `-` is standard input.
    pub(in crate::cli) input: PathBuf,
    /// The model's folder. Default: the newest.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) model: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) reading: ReadingArgs,
    /// Write CSV.
    #[arg(long)]
    pub(in crate::cli) csv: bool,
}
