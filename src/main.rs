//! Parses the command line, runs it, and turns how it ended into an exit code.

use clap::Parser;
use goldsmith::cli::{Cli, Exit, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Exit::Success => ExitCode::SUCCESS,
        Exit::Fault => ExitCode::from(1),
        Exit::Stopped => ExitCode::from(130),
    }
}
