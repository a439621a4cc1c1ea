//! `import`, and how a file is written, which `predict` is told in the same words.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::formats::notes::{Columns, Layout, Reading, TextEncoding};
use crate::workflow::import::{Changed, ImportOptions, LabelsBy, PatientFrom, Unit};

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct ImportArgs {
    /// Files and folders; `-` is standard input.
    #[arg(required = true)]
    pub(in crate::cli) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) reading: ReadingArgs,
    /// Whether a record is a note to be cut into sentences, or one sentence.
    #[arg(long, default_value = "document")]
    pub(in crate::cli) unit: UnitArg,
    /// Import the label column as this expert's decisions.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["model", "without_labels"])]
    pub(in crate::cli) annotator: Option<String>,
    /// Import the label column as this model's proposals.
    #[arg(long, value_name = "NAME", conflicts_with = "without_labels")]
    pub(in crate::cli) model: Option<String>,
    /// Leave the label column out.
    #[arg(long)]
    pub(in crate::cli) without_labels: bool,
    /// Whose note it is, where no column says so: the name of the file's folder (`folder`), its own (`file`), or what a pattern
    /// finds in its own, such as '^([0-9]+)_'.
    #[arg(long, value_name = "folder|file|REGEX")]
    pub(in crate::cli) patient_from: Option<PatientFrom>,
    /// What to do with a note that is here under the same id with another text.
    #[arg(long, default_value = "leave")]
    pub(in crate::cli) changed: ChangedArg,
    /// Show what it would do, and write nothing.
    #[arg(long)]
    pub(in crate::cli) plan: bool,
    /// With --plan: as JSON.
    #[arg(long, requires = "plan")]
    pub(in crate::cli) json: bool,
    /// What to do with a bad record.
    #[arg(long, default_value = "skip")]
    pub(in crate::cli) on_error: OnError,
}

impl From<ImportArgs> for ImportOptions {
    fn from(args: ImportArgs) -> Self {
        let left_out = args.without_labels.then_some(LabelsBy::LeftOut);
        Self {
            paths: args.paths,
            reading: args.reading.into(),
            unit: match args.unit {
                UnitArg::Document => Unit::Document,
                UnitArg::Sentence => Unit::Sentence,
            },
            labels: args.annotator.map(LabelsBy::Annotator).or(args.model.map(LabelsBy::Model)).or(left_out),
            patient_from: args.patient_from,
            changed: match args.changed {
                ChangedArg::Leave => Changed::Leave,
                ChangedArg::Add => Changed::Add,
            },
            stop_on_error: args.on_error == OnError::Stop,
        }
    }
}

/// How a file is written; what is not said is found out.
#[derive(clap::Args, Clone, Debug, Default)]
pub(in crate::cli) struct ReadingArgs {
    /// The layout, if the file's name does not tell.
    #[arg(long)]
    layout: Option<LayoutArg>,
    /// The encoding of the text, such as windows-1252 or utf-16le. Default: UTF-8, or as the file's first bytes say.
    #[arg(long, value_name = "NAME")]
    encoding: Option<TextEncoding>,
    /// What stands between the cells of a table: one character, or `tab`. Default: as its header looks.
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    delimiter: Option<u8>,
    #[command(flatten)]
    columns: ColumnArgs,
}

#[derive(clap::Args, Clone, Debug, Default)]
pub(in crate::cli) struct ColumnArgs {
    /// The column with the text.
    #[arg(long, value_name = "NAME")]
    text_column: Option<String>,
    /// The column with the id.
    #[arg(long, value_name = "NAME")]
    id_column: Option<String>,
    /// The column with the patient.
    #[arg(long, value_name = "NAME")]
    patient_column: Option<String>,
    /// The column with the label.
    #[arg(long, value_name = "NAME")]
    label_column: Option<String>,
}

impl From<ColumnArgs> for Columns {
    fn from(args: ColumnArgs) -> Self {
        Self {
            text: args.text_column,
            id: args.id_column,
            patient: args.patient_column,
            label: args.label_column,
            title: None,
        }
    }
}

fn delimiter(word: &str) -> Result<u8, String> {
    match word.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [one] if one.is_ascii() && !matches!(one, b'"' | b'\n' | b'\r') => Ok(*one),
        _ => Err("one character such as ; or |, or the word tab".into()),
    }
}

impl From<ReadingArgs> for Reading {
    fn from(args: ReadingArgs) -> Self {
        Self {
            layout: args.layout.map(Into::into),
            columns: args.columns.into(),
            encoding: args.encoding,
            delimiter: args.delimiter,
            ..Self::default()
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum ChangedArg {
    /// It stays out, and is told.
    Leave,
    /// It comes in as a note of its own.
    Add,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum LayoutArg {
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
pub(in crate::cli) enum UnitArg {
    Document,
    Sentence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum OnError {
    Skip,
    Stop,
}
