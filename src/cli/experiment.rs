//! `goldsmith experiment`.

use std::io::{self, IsTerminal};
use std::path::Path;

use super::arguments::{ExperimentArgs, FormatArg, TaskArg};
use super::output::print;
use super::{Bar, Exit, Failure, cancel_on_signal, say};
use crate::domain::experiment::{ExperimentReport, Task};
use crate::formats::experiment::{ReportFormat, write};
use crate::formats::project::training::TrainingMethod;
use crate::formats::replace;
use crate::tui;
use crate::workflow::WorkflowError;
use crate::workflow::experiment::{ExperimentEvent, ExperimentOptions, SHARES, experiment};
use crate::workflow::project::{Project, make_private_folder};
use crate::workflow::session::Session;

pub(super) fn run(project: &Project, args: &ExperimentArgs) -> Result<Exit, Failure> {
    let mut project = project.clone();
    if let Some(encoder) = &args.encoder {
        project.file.train.encoder = super::encoder_argument(encoder);
    }
    let project = &project;
    let options = options(project, args);
    let mut store = project.store()?;
    let cancel = cancel_on_signal();
    let bar = Bar::default();
    let finished = experiment(
        Session::new(project, &mut store, &cancel, &mut |event| match event {
            ExperimentEvent::Planned { report, jobs } => {
                report.warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
                let done =
                    if report.finished > 0 { format!(", {} done before", report.finished) } else { String::new() };
                say(&format!("experiment {}: {} cells{done}, {jobs} at once", report.experiment, report.planned));
            }
            ExperimentEvent::Progress(progress) => bar.show(progress),
            ExperimentEvent::Cell { .. } => {}
        }),
        &options,
    )?;
    let report = &finished.report;
    if let Some(folder) = &args.out {
        write_all(report, folder)?;
    }
    print(&write(report, format(args.format))?)?;
    if finished.stopped {
        say(&format!(
            "stopped with {} of {} cells; run the same command again to resume",
            report.finished, report.planned
        ));
        return Ok(Exit::Stopped);
    }
    say("--format json names the run behind each number; `goldsmith runs show ID` shows one");
    Ok(Exit::Done)
}

fn options(project: &Project, args: &ExperimentArgs) -> ExperimentOptions {
    let methods: Vec<TrainingMethod> = args.models.iter().flatten().map(|model| (*model).into()).collect();
    let mut options = ExperimentOptions::grid(project, &methods, args.seeds.max(1));
    if let Some(tasks) = &args.tasks {
        let task = |arg: &TaskArg| match arg {
            TaskArg::Binary => Task::Binary,
            TaskArg::Multi => Task::MultiClass,
        };
        options.tasks = tasks.iter().map(task).collect();
    }
    if let Some(sets) = &args.sets {
        options.sets.clone_from(sets);
    }
    if args.curve {
        options.shares = SHARES.into();
    }
    options.jobs = args.jobs;
    options
}

fn format(arg: FormatArg) -> ReportFormat {
    match arg {
        FormatArg::Table => {
            let terminal = io::stdout().is_terminal().then(tui::width).flatten();
            ReportFormat::Table { width: terminal.unwrap_or(80) }
        }
        FormatArg::Markdown => ReportFormat::Markdown,
        FormatArg::Latex => ReportFormat::Latex,
        FormatArg::Csv => ReportFormat::Csv,
        FormatArg::Json => ReportFormat::Json,
        FormatArg::Html => ReportFormat::Html,
    }
}

/// Every format into a folder.
fn write_all(report: &ExperimentReport, folder: &Path) -> Result<(), WorkflowError> {
    make_private_folder(folder)?;
    for (format, name) in ReportFormat::FILES {
        let (path, text) = (folder.join(name), write(report, format)?);
        replace(&path, &text)?;
    }
    say(&format!("wrote {} files to {}", ReportFormat::FILES.len(), folder.display()));
    Ok(())
}
