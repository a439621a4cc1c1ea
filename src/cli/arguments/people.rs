//! Options of `key` and `people`.

use crate::domain::person::Role;

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct KeyArgs {
    /// Put the file with your secret key under a passphrase, which is asked for when the key is needed.
    #[arg(long)]
    pub(in crate::cli) protect: bool,
    /// Take the passphrase away.
    #[arg(long, conflicts_with = "protect")]
    pub(in crate::cli) unprotect: bool,
    /// As JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct PeopleArgs {
    /// As JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
    #[command(subcommand)]
    pub(in crate::cli) verb: Option<PeopleVerb>,
}

#[derive(clap::Subcommand, Debug)]
pub(in crate::cli) enum PeopleVerb {
    /// Say which key is somebody's, or what they may do. The first is to name a lead; from then on leads do this.
    #[command(
        after_help = "Examples:\n  goldsmith people set kim --role lead --role steward\n  goldsmith people set ann --role annotator\n  goldsmith people set ben --key 4f1c..."
    )]
    Set {
        /// The name that they decide under.
        name: String,
        /// Their public key: what `goldsmith key` prints for them.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// A role: annotator, adjudicator, lead, steward. May be given several times; replaces the roles so far.
        #[arg(long, value_name = "ROLE", value_parser = role)]
        role: Vec<Role>,
        /// Take all roles away.
        #[arg(long, conflicts_with = "role")]
        no_role: bool,
    },
}

fn role(word: &str) -> Result<Role, String> {
    let all = Role::ALL.map(Role::word).join(", ");
    Role::parse(word).ok_or_else(|| format!("the roles are {all}"))
}
