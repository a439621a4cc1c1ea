//! What the command line says of encryption.

use std::path::PathBuf;

use clap::Subcommand;

use crate::domain::secret::SecretSource;

#[derive(Subcommand, Debug)]
pub(in super::super) enum StoreVerb {
    /// Encrypt the store with the key that `[encryption]` in goldsmith.toml names. Nobody else may have it open.
    #[command(after_help = "Example:\n  goldsmith store encrypt")]
    Encrypt,
    /// Make the store a plain one.
    #[command(after_help = "Example:\n  goldsmith store decrypt")]
    Decrypt,
    /// Give the store another key. The old one is where goldsmith.toml says.
    #[command(
        after_help = "Examples:\n  goldsmith store rekey --new-ask\n  goldsmith store rekey --new-file new.key\n  goldsmith store rekey --new-env GOLDSMITH_NEW_KEY"
    )]
    Rekey(RekeyArgs),
}

/// Where the new key comes from; the key itself is never an argument, which others could see.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
pub(in super::super) struct RekeyArgs {
    /// Type the new key.
    #[arg(long)]
    new_ask: bool,
    /// The new key is in this environment variable.
    #[arg(long, value_name = "VARIABLE")]
    new_env: Option<String>,
    /// The new key is the first line of this file.
    #[arg(long, value_name = "FILE")]
    new_file: Option<PathBuf>,
    /// The new key is the first line that this program prints; all that follows belongs to it.
    #[arg(long, value_name = "PROGRAM", num_args = 1.., allow_hyphen_values = true)]
    new_command: Option<Vec<String>>,
}

impl RekeyArgs {
    pub(in super::super) fn source(self) -> SecretSource {
        let variable = self.new_env.map(SecretSource::Variable);
        let file = self.new_file.map(|path| SecretSource::File(std::path::absolute(&path).unwrap_or(path)));
        let command = self.new_command.map(SecretSource::Command);
        variable.or(file).or(command).unwrap_or(SecretSource::Ask)
    }
}
