//! The program's log: what it did, when, and for how long, so that "it hung" can be answered. A file a day under the user's
//! state folder, or the one that `--log-file` names. Only our own crate writes to it: others' most verbose lines hold headers and
//! bodies of requests. And ours say nothing of notes: see `workflow::diagnostics`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;

use super::say;
use crate::workflow::project::make_private_folder;

/// So many days are kept.
const DAYS: usize = 14;

/// Whether a line was lost. It is said at the end: meanwhile the workbench may have the screen.
static LOST: AtomicBool = AtomicBool::new(false);

/// Opens the log. One that cannot be had stops nothing: a line on standard error says so.
pub(super) fn open(file: Option<&Path>, level: LevelFilter) {
    if level == LevelFilter::OFF {
        return;
    }
    let writer = match file {
        Some(path) => named(path).map_err(|cause| format!("{}: {cause}", path.display())),
        None => daily(),
    };
    match writer {
        Ok(writer) => install(writer, level),
        Err(why) => say(&format!("warning: no log is kept ({why})")),
    }
}

/// Says so if a line could not be written.
pub(super) fn close() {
    if LOST.load(Ordering::Relaxed) {
        say("warning: the log could not be written to its end");
    }
}

fn named(path: &Path) -> io::Result<Box<dyn Write + Send>> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    Ok(Box::new(options.open(path)?))
}

fn daily() -> Result<Box<dyn Write + Send>, String> {
    let folder = folder().ok_or("there is no home folder; --log-file FILE names a file")?;
    make_private_folder(&folder).map_err(|error| error.words())?;
    let appender = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("goldsmith")
        .filename_suffix("log")
        .max_log_files(DAYS)
        .build(&folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(Box::new(appender))
}

/// `$XDG_STATE_HOME/goldsmith`, or what stands for it where the variable is not set.
fn folder() -> Option<PathBuf> {
    let set = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let state = set.or_else(|| Some(std::env::home_dir()?.join(".local/state")))?;
    Some(state.join("goldsmith"))
}

fn install(writer: Box<dyn Write + Send>, level: LevelFilter) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(Mutex::new(Lenient(writer)))
        .with_ansi(false)
        .log_internal_errors(false)
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
        .with_filter(Targets::new().with_target(env!("CARGO_CRATE_NAME"), level));
    // A second log in one process is not wanted; then the first goes on.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // The place and not the message, which may quote what it failed on.
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
        previous(info);
    }));
}

/// Writes what it can. A full disk disturbs neither the work nor the screen.
struct Lenient(Box<dyn Write + Send>);

impl Write for Lenient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.write_all(bytes).is_err() {
            LOST.store(true, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.0.flush().is_err() {
            LOST.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
