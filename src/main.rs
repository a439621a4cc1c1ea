//! Parses the command line, runs it, and turns how it ended into an exit code.

use clap::Parser;
use goldsmith::cli::{Cli, run, threads};
use std::process::ExitCode;

/// candle makes its pool of threads once, as large as this variable says, and has no other way to be told.
const CANDLE_THREADS: &str = "CANDLE_NUM_THREADS";

#[expect(unsafe_code, reason = "the environment is set before any thread is there that could read it")]
fn main() -> ExitCode {
    let cli = Cli::parse();
    if let (Some(threads), None) = (threads(&cli), std::env::var_os(CANDLE_THREADS)) {
        // SAFETY: this process has no other thread yet that could read the environment meanwhile.
        unsafe { std::env::set_var(CANDLE_THREADS, threads.to_string()) };
    }
    run(cli).into()
}
