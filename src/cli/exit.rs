//! How the program ends: what went wrong in words on standard error, and the exit code. No other place chooses a code for an
//! error.

use std::process::ExitCode;

use super::say;
use crate::workflow::WorkflowError;
use crate::workflow::refusal::RefusalKind;

/// What the exit codes mean, for `--help`.
pub(super) const CODES: &str = "Exit codes:
  0    done, or as it was asked for already
  1    refused, or found wrong: an error, a taxonomy with faults, a log that was tampered with
  2    the command line cannot be meant
  3    nothing was done of what was asked: every sentence failed, no record came in, nothing was written
  130  stopped by you; run the same command again to resume";

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or as it was asked for already.
    Done,
    /// Refused, or found wrong.
    Refused,
    /// The command line cannot be meant. What clap finds ends with this code, too.
    Usage,
    /// Nothing was done of what was asked.
    Nothing,
    /// Stopped by the user.
    Stopped,
}

impl Exit {
    /// The code that a shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Nothing => 3,
            Self::Stopped => 130,
        }
    }

    /// Done, unless it came to nothing.
    pub(super) fn unless_nothing(nothing: bool) -> Self {
        if nothing { Self::Nothing } else { Self::Done }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<&WorkflowError> for Exit {
    fn from(error: &WorkflowError) -> Self {
        match error {
            WorkflowError::Stopped => Self::Stopped,
            WorkflowError::Refused(refusal) => match refusal.kind {
                RefusalKind::Invalid { .. } => Self::Usage,
                RefusalKind::NothingToDo | RefusalKind::Failed => Self::Nothing,
                RefusalKind::NotAllowed { .. }
                | RefusalKind::NotFound { .. }
                | RefusalKind::Ambiguous { .. }
                | RefusalKind::Exists { .. }
                | RefusalKind::Unset { .. }
                | RefusalKind::Unsupported { .. }
                | RefusalKind::TooEarly { .. }
                | RefusalKind::OutOfDate { .. }
                | RefusalKind::Protected
                | RefusalKind::Damaged { .. }
                | RefusalKind::Unavailable { .. } => Self::Refused,
            },
            _ => Self::Refused,
        }
    }
}

/// Says what went wrong and, apart from it, what to try next; gives how the program ends.
pub(super) fn complain(error: &WorkflowError) -> Exit {
    let exit = Exit::from(error);
    let said = error.words();
    say(&if exit == Exit::Stopped { said } else { format!("error: {said}") });
    let hints = error.hints();
    if !hints.is_empty() {
        say("\n");
    }
    hints.iter().for_each(|hint| say(&format!("hint: {hint}")));
    exit
}
