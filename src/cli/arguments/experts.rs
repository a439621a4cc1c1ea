//! What the command line says of experts: who decides on what, how far they are, how they agree, and their gold.

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct GoldArgs {
    /// Each expert's label as a line of its own, settled or not.
    #[arg(long)]
    pub(in crate::cli) votes: bool,
    /// As CSV.
    #[arg(long)]
    pub(in crate::cli) csv: bool,
}

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct AssignArgs {
    /// Say what would be given out, and give out nothing.
    #[arg(long)]
    pub(in crate::cli) plan: bool,
    /// As JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct StatusArgs {
    /// As JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct AgreementArgs {
    /// Sentences shown of each two categories that are confused.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(in crate::cli) sentences: usize,
    /// All numbers as JSON.
    #[arg(long, conflicts_with = "csv")]
    pub(in crate::cli) json: bool,
    /// All numbers as CSV.
    #[arg(long)]
    pub(in crate::cli) csv: bool,
}
