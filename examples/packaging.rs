//! The man page and completions for shells, for those who package the program; the program itself need not carry them.
//!
//!     cargo run --example packaging -- man > goldsmith.1
//!     cargo run --example packaging -- bash > goldsmith.bash     # or elvish, fish, powershell, zsh

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;
use goldsmith::cli::Cli;

fn main() -> ExitCode {
    let asked = std::env::args().nth(1).unwrap_or_default();
    match write(&asked, &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            let _ = writeln!(io::stderr(), "say `man` or a shell: {:?}", Shell::value_variants());
            ExitCode::from(2)
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(1)
        }
    }
}

/// Writes what was asked for; false where there is no such thing.
fn write(asked: &str, out: &mut impl Write) -> io::Result<bool> {
    let mut command = Cli::command();
    if asked == "man" {
        clap_mangen::Man::new(command).render(out)?;
    } else if let Ok(shell) = Shell::from_str(asked, false) {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command, "goldsmith", &mut text);
        out.write_all(&text)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

#[test]
fn the_man_page_and_completions_of_each_shell_know_the_verbs() {
    for asked in ["man", "bash", "elvish", "fish", "powershell", "zsh"] {
        let mut text = Vec::new();
        assert!(write(asked, &mut text).unwrap(), "{asked}");
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("goldsmith") && text.contains("taxonomy"), "{asked}: {text}");
    }
    assert!(!write("tcsh", &mut Vec::new()).unwrap());
}
