//! A model file is read by another process first. Readers refuse what they can see to be wrong; what they cannot see, such as a
//! template that doubles a text until memory ends, would take the workbench with it, and the terminal.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::llm::embedded;
use crate::workflow::WorkflowError;
use crate::workflow::refusal::{Refusal, RefusalKind};

/// The verb by which the program looks at a model file for itself.
pub(crate) const VERB: &str = "examine-model";

/// What the other process may take. A vocabulary of 256,000 pieces takes half a GiB.
const MEMORY: u64 = 4 << 30;
const TIME: Duration = Duration::from_secs(60);

/// The program that is asked; none where this is the library of another program.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Has this very program look at model files before it loads them.
pub(crate) fn by_this_program() {
    // By this name it is found also when the file was replaced meanwhile.
    let own = Path::new("/proc/self/exe");
    let program = if own.exists() { Some(own.into()) } else { std::env::current_exe().ok() };
    if let Some(program) = program {
        let _ = PROGRAM.set(program);
    }
}

/// Refuses a model file that ends whoever reads it. What a reader refuses by itself is refused, with its own words, when it is
/// loaded.
pub(super) fn examine(file: &Path) -> Result<(), WorkflowError> {
    let Some(program) = PROGRAM.get() else { return Ok(()) };
    let hostile = |why: String| {
        Refusal::new(RefusalKind::Damaged { what: "model file".into() }, format!("{}: {why}", file.display()))
            .hint("it may have been made to do harm: take the model from those who publish it")
    };
    let failed =
        |cause| Refusal::new(RefusalKind::Failed, "no process for reading model files can be had").because(cause);
    let (none, begun) = (Stdio::null, Instant::now());
    let mut reader = Command::new(program)
        .arg(VERB)
        .arg(file)
        .stdin(none())
        .stdout(none())
        .stderr(none())
        .spawn()
        .map_err(failed)?;
    loop {
        match reader.try_wait().map_err(failed)? {
            Some(ended) if ended.code().is_some() => return Ok(()),
            Some(_) => {
                return Err(hostile(format!(
                    "a process that reads it comes to harm, or needs more than {} GiB",
                    MEMORY >> 30
                ))
                .into());
            }
            None if begun.elapsed() > TIME => {
                let _ = reader.kill().and_then(|()| reader.wait());
                return Err(hostile(format!("it is not read in {} seconds", TIME.as_secs())).into());
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Reads a model file but for its weights, with little memory: in the process that is there for it.
pub(crate) fn examined(file: &Path) -> Result<(), WorkflowError> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let unlimited =
            |cause: rustix::io::Errno| Refusal::new(RefusalKind::Failed, "memory cannot be limited").because(cause);
        setrlimit(Resource::As, Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) }).map_err(unlimited)?;
        // No image of its memory is left behind when it fails.
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(unlimited)?;
    }
    Ok(embedded::examine(file)?)
}
