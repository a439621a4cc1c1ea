//! `export gold`, `export model` and `predict`: what goes out for other programs.

use std::io::Write;
use std::path::Path;

use super::arguments::{GoldArgs, PredictArgs};
use super::output::{StandardOutput, print};
use super::{Bar, Exit, Failure, cancel_on_signal, say, say_unrecorded, withheld_from, write_error};
use crate::workflow::export::{gold, model, predictions};
use crate::workflow::project::Project;
use crate::workflow::saved_model::{self, Loaded};
use crate::workflow::{WorkflowError, train};

pub(super) fn gold(project: &Project, args: &GoldArgs) -> Result<Exit, Failure> {
    let exported = gold::export(project, &mut project.store_to_read(&mut say)?, args.votes)?;
    print(&if args.csv { exported.csv() } else { exported.jsonl() })?;
    let gold::Exported { lines, disputed, withheld, unrecorded } = exported;
    say_unrecorded(unrecorded);
    let what = if args.votes { "labels of experts" } else { "sentences of gold" };
    say(&format!("{} {what}; {disputed} sentences are disputed and not settled", lines.len()));
    if withheld > 0 {
        say(&withheld_from(project, withheld, "labelled sentence"));
    }
    Ok(Exit::unless_nothing(lines.is_empty()))
}

pub(super) fn model(project: &Project, out: &Path, named: Option<&Path>) -> Result<Exit, Failure> {
    let store = project.store_to_read(&mut say)?;
    let folder = train::latest_model(project, &store, named)?;
    let written = model::export(project, &store, &folder, out)?;
    say(&format!("wrote {}; transformers loads it, and so does --encoder", written.display()));
    Ok(Exit::Done)
}

/// Needs no project where a model's folder is named.
pub(super) fn predictions(
    here: impl FnOnce() -> Result<Project, WorkflowError>,
    args: PredictArgs,
) -> Result<Exit, Failure> {
    let (folder, store) = match args.model {
        Some(folder) => (folder, None),
        None => {
            let project = here()?;
            let store = project.store_to_read(&mut say)?;
            (train::latest_model(&project, &store, None)?, Some(store))
        }
    };
    let Loaded { model, signer, .. } = saved_model::load(&folder, store.as_ref())?;
    say(&signer.map_or_else(
        || format!("{} is not signed: whoever can write that folder can have changed the model", folder.display()),
        |name| format!("the model is as {name} signed it"),
    ));
    let cancel = cancel_on_signal();
    let mut out = StandardOutput::new();
    let bar = Bar::default();
    let input = predictions::PredictInput { path: args.input, reading: args.reading.into() };
    let written = predictions::predict(&*model, &input, args.csv, &mut out, &cancel, &mut |p| bar.show(p))?;
    out.flush().map_err(write_error)?;
    say(&format!("labelled {written} records with {}", folder.display()));
    Ok(if cancel.is_cancelled() { Exit::Stopped } else { Exit::unless_nothing(written == 0) })
}
