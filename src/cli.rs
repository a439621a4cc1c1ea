//! One function for each verb, progress bars and messages. Data goes to standard output, talk to standard error.

mod agreement;
mod arguments;
mod audit;
mod backup;
mod bundle;
mod doubt;
mod exit;
mod experiment;
mod export;
mod guideline;
mod import;
mod language;
mod log;
mod migration;
mod output;
mod people;
mod protocol;
mod queue;
mod simulate;
mod store;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

pub use arguments::Cli;
use arguments::{EncoderVerb, ExportVerb, StyleArgs, TaxonomyVerb, TrainArgs, Verb};
pub(crate) use exit::Exit;
use exit::complain;
use output::{print, print_json};

use crate::domain::experiment::Task;
use crate::domain::label::Source;
use crate::domain::metrics::ScoreReport;
use crate::domain::spending::Spending;
use crate::domain::text::visible;
use crate::formats;
use crate::formats::project::ProjectFile;
use crate::formats::project::language::ModelSettings;
use crate::formats::project::training::{TrainSettings, TrainingMethod};
use crate::formats::tables::{self, NamedScores, TableStyle};
use crate::tui;
use crate::workflow::access::Unrecorded;
use crate::workflow::audit::Tampering;
use crate::workflow::label_index::LabelIndex;
use crate::workflow::metrics::NewestScores;
use crate::workflow::migration::MigrationRequest;
use crate::workflow::project::{self, Project};
use crate::workflow::refusal::{Refusal, RefusalKind};
use crate::workflow::scores::Scored;
use crate::workflow::session::Session;
use crate::workflow::store_key::StoreKey;
use crate::workflow::{
    Cancel, Progress, WorkflowError, anchor, demo, diagnostics, encoders, models, ownership, place, train,
};

/// Runs what the command line asks for.
pub fn run(mut cli: Cli) -> Exit {
    log::open(cli.log_file.as_deref(), cli.log_level);
    #[cfg(feature = "embedded")]
    models::examine::by_this_program();
    let verb = cli.verb.as_ref().map_or_else(|| "workbench".into(), |verb| diagnostics::variant(verb).to_lowercase());
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(verb, version, process = std::process::id(), "started");
    let start = Instant::now();
    // Whoever was asked for the store's key is not asked again.
    let key = StoreKey::asked_by(tui::ask);
    let exit = match dispatch(&mut cli, &key) {
        Ok(exit) => exit,
        Err(Failure::Closed) => Exit::Done,
        Err(Failure::Workflow(error)) => {
            diagnostics::failed(&error);
            complain(&error)
        }
    };
    if exit == Exit::Done {
        note_how_far(&cli, &key);
    }
    tracing::info!(verb, exit = exit.code(), ms = start.elapsed().as_millis(), "ended");
    log::close();
    exit
}

/// The threads that a language model in this process is to compute with, where the command line or the project file says a
/// number: it must be known before the first computation.
pub fn threads(cli: &Cli) -> Option<usize> {
    let (model, by_default): (_, fn(&ProjectFile) -> &str) = match &cli.verb {
        Some(Verb::Label(args)) => (&args.model, |file| &file.label.model),
        Some(Verb::Generate(args)) => (&args.model, |file| &file.generate.model),
        Some(_) => return None,
        None => {
            // The workbench may run any of them.
            let project = here(cli, &StoreKey::default()).ok()?;
            return project.file.models.values().filter_map(ModelSettings::threads).max();
        }
    };
    if model.threads.is_some() || model.gguf.is_some() || model.url.is_some() {
        return model.threads.filter(|n| *n > 0);
    }
    let project = here(cli, &StoreKey::default()).ok()?;
    let name = model.model.as_deref().unwrap_or_else(|| by_default(&project.file));
    models::settings(&project, name).ok()?.1.threads()
}

fn here(cli: &Cli, key: &StoreKey) -> Result<Project, WorkflowError> {
    let folder = match &cli.project {
        Some(folder) if folder.join(formats::project::FILE_NAME).is_file() => folder.clone(),
        Some(folder) => return Err(WorkflowError::NoProject(folder.clone())),
        None => project::find(Path::new("."))?,
    };
    Project::read_asking(&folder, cli.annotator.as_deref(), key.clone())
}

/// The same for a verb, with a word where the project's files are not their owner's alone, or lie where decisions can be lost.
fn here_with_a_word(cli: &Cli, key: &StoreKey) -> Result<Project, WorkflowError> {
    let project = here(cli, key)?;
    warn_of_place(&project.file.store);
    ownership::warnings(&project).iter().for_each(|said| say(&format!("warning: {said}")));
    Ok(project)
}

fn warn_of_place(store: &Path) {
    place::warnings(store).iter().for_each(|warning| say(&format!("warning: {warning}")));
}

enum Failure {
    /// Whoever read our output has gone; that is no fault.
    Closed,
    Workflow(WorkflowError),
}

impl<E: Into<WorkflowError>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        if let WorkflowError::Format(formats::FormatError::Io { doing: "write", cause, .. }) = &error
            && cause.kind() == io::ErrorKind::BrokenPipe
        {
            return Self::Closed;
        }
        Self::Workflow(error)
    }
}

/// Writes down how far the log has come, where the project names a file for that.
fn note_how_far(cli: &Cli, key: &StoreKey) {
    let project = here(cli, key).ok().filter(|project| project.file.anchor.is_some());
    if let Some(Err(error)) = project.map(|project| anchor::drop(&project)) {
        say("warning: what was done is saved, but how far the log has come could not be written down:");
        complain(&error);
    }
}

fn dispatch(cli: &mut Cli, key: &StoreKey) -> Result<Exit, Failure> {
    let verb = cli.verb.take();
    let cli = &*cli;
    let here = || here_with_a_word(cli, key);
    match verb {
        None => open(here()?),
        Some(Verb::Init { folder, taxonomy }) => {
            let file = project::init(&folder, &taxonomy)?;
            warn_of_place(&folder.join("goldsmith.db"));
            say(&format!("made {}\nnext: goldsmith import NOTES --project {}", file.display(), folder.display()));
            Ok(Exit::Done)
        }
        Some(Verb::Demo { folder }) => show_demo(folder),
        #[cfg(feature = "embedded")]
        Some(Verb::ExamineModel { file }) => {
            models::examine::examined(&file)?;
            Ok(Exit::Done)
        }
        Some(Verb::Import(args)) => import::run(&here()?, *args),
        Some(Verb::Taxonomy(TaxonomyVerb::Check { file })) => {
            let taxonomy = formats::taxonomy::read(&file)?;
            print(&format!(
                "{}: `{}`, {} categories, selection {}, no fault\n",
                file.display(),
                taxonomy.name(),
                taxonomy.categories().len(),
                taxonomy.selection()
            ))?;
            Ok(Exit::Done)
        }
        Some(Verb::Taxonomy(TaxonomyVerb::Versions)) => guideline::versions(&here()?),
        Some(Verb::Taxonomy(TaxonomyVerb::Rename { category, key, name, how })) => {
            migration::run(&here()?, how, &MigrationRequest::Rename { category, key, name })
        }
        Some(Verb::Taxonomy(TaxonomyVerb::Merge { categories, into, name, how })) => {
            migration::run(&here()?, how, &MigrationRequest::Merge { categories, into, name })
        }
        Some(Verb::Taxonomy(TaxonomyVerb::Split { category, into, how })) => {
            migration::run(&here()?, how, &MigrationRequest::Split { category, into })
        }
        Some(Verb::Taxonomy(TaxonomyVerb::Undo { how })) => migration::run(&here()?, how, &MigrationRequest::Undo),
        Some(Verb::Taxonomy(TaxonomyVerb::Migrate { how })) => {
            migration::run(&here()?, how, &MigrationRequest::FromFile)
        }
        Some(Verb::Taxonomy(TaxonomyVerb::Diff { before, after, json })) => {
            guideline::diff(&here()?, before.as_deref(), after.as_deref(), json)
        }
        Some(Verb::Metrics { style }) => metrics(&here()?, &style),
        Some(Verb::Assign(args)) => protocol::assign(&here()?, &args),
        Some(Verb::Status(args)) => protocol::status(&here()?, &args),
        Some(Verb::Agreement(args)) => agreement::run(&here()?, &args),
        Some(Verb::Train(args)) => {
            let mut project = here()?;
            train_settings(&mut project.file.train, args);
            train_verb(&project)
        }
        Some(Verb::Doubt(args)) => doubt::doubt(&here()?, &args),
        Some(Verb::Experiment(args)) => experiment::run(&here()?, &args),
        Some(Verb::Queue(args)) => queue::queue(&here()?, &args),
        Some(Verb::Simulate(args)) => simulate::run(here, *args),
        Some(Verb::Score { model, style }) => score(&here()?, model.as_deref(), &style),
        Some(Verb::Encoder(EncoderVerb::Fetch { name })) => {
            let bar = Bar::default();
            let folder = encoders::fetch(&name, &mut |progress| bar.show(progress))?;
            print(&format!("{}\n", folder.display()))?;
            Ok(Exit::Done)
        }
        Some(Verb::Export(ExportVerb::Gold(args))) => export::gold(&here()?, &args),
        Some(Verb::Export(ExportVerb::Model { out, model })) => export::model(&here()?, &out, model.as_deref()),
        Some(Verb::Predict(args)) => export::predictions(here, args),
        Some(Verb::Label(args)) => language::label(&here()?, &args),
        Some(Verb::Generate(args)) => language::generate(&here()?, &args),
        Some(Verb::Bronze { run, json }) => language::bronze(&here()?, run.as_deref(), json),
        Some(Verb::Egress { json, limit }) => language::show_egress(&here()?, json, limit),
        Some(Verb::Runs { verb }) => language::runs(&here()?, verb),
        Some(Verb::Bundle(args)) => bundle::write(&here()?, *args),
        Some(Verb::Merge(args)) => bundle::take_in(&here()?, args),
        Some(Verb::Key(args)) => people::key(&here()?, &args),
        Some(Verb::People(args)) => people::people(&here()?, args),
        Some(Verb::Backup(args)) => backup::make(&here()?, &args),
        Some(Verb::Restore(args)) => backup::put_back(cli, key, &args),
        Some(Verb::Audit(args)) => audit::audit(&here()?, &args),
        Some(Verb::Check) => check(&here()?),
        Some(Verb::Store { verb }) => store::change(&here()?, verb),
    }
}

fn write_error(cause: io::Error) -> WorkflowError {
    formats::FormatError::Io { doing: "write", path: "standard output".into(), cause }.into()
}

/// Talk, to standard error. What comes from data is made visible line by line.
fn say(text: &str) {
    let mut err = io::stderr().lock();
    for line in text.lines() {
        // Nobody is left to tell if standard error is closed.
        let _ = writeln!(err, "{}", visible(line).text);
    }
}

/// Says why a reading is not on record.
fn say_unrecorded(unrecorded: Unrecorded) {
    if let Unrecorded(Some(why)) = unrecorded {
        say(&format!("warning: {why}"));
    }
}

fn cancel_on_signal() -> Cancel {
    let cancel = Cancel::default();
    let shared = cancel.clone();
    // A second handler cannot be set; then the first one, from this same process, does the same.
    let _ = ctrlc::set_handler(move || shared.cancel());
    cancel
}

/// A progress bar that speaks `Progress`; silent where standard error is no terminal.
struct Bar(std::cell::RefCell<ProgressBar>);

impl Default for Bar {
    fn default() -> Self {
        Self(std::cell::RefCell::new(ProgressBar::hidden()))
    }
}

impl Bar {
    fn show(&self, progress: Progress) {
        match progress {
            Progress::Started { what, total, unit } => {
                let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
                let count = if unit == "bytes" { "{bytes}/{total_bytes}" } else { "{pos}/{len}" };
                let shape = match total {
                    Some(_) => format!(
                        "{{msg}} {{wide_bar}} {count} {unit}, {{eta}} left, {{per_sec}} {{prefix}} (Ctrl-C stops, the same command goes on)"
                    ),
                    None => format!("{{spinner}} {{msg}} {{pos}} {unit} (Ctrl-C stops, the same command goes on)"),
                };
                if let Ok(style) = ProgressStyle::with_template(&shape) {
                    bar.set_style(style);
                }
                bar.set_message(visible(&what).text);
                self.0.replace(bar);
            }
            Progress::Advanced(done) => self.0.borrow().set_position(done),
            Progress::Spent { spending, failed } => self.0.borrow().set_prefix(spent(&spending, failed)),
            Progress::Noted(note) => self.0.borrow().suspend(|| say(&note)),
            Progress::Finished => self.0.borrow().finish_and_clear(),
        }
    }
}

/// What a run has cost, in a few words.
fn spent(spending: &Spending, failed: u64) -> String {
    let mut said = format!("{} requests, {} tokens", spending.requests, spending.tokens());
    if spending.micros > 0 {
        said.push_str(&format!(", {:.2} spent", spending.micros as f64 / 1e6));
    }
    if spending.cached > 0 {
        said.push_str(&format!(", {} from kept replies", spending.cached));
    }
    if spending.retries > 0 {
        said.push_str(&format!(", {} retries", spending.retries));
    }
    if failed > 0 {
        said.push_str(&format!(", {failed} failed"));
    }
    said
}

/// What is left out of an output because of the rule of who sees what.
fn withheld_from(project: &Project, n: usize, what: &str) -> String {
    let what = tables::counted(n, what);
    format!(
        "{what} left out: {} may not see these labels yet; whoever decides on no sentence sees all (--as NAME)",
        project.annotator
    )
}

fn open(project: Project) -> Result<Exit, Failure> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Refusal::new(RefusalKind::Unavailable { what: "terminal" }, "the workbench needs a terminal")
            .hint("`goldsmith metrics` prints numbers, `goldsmith --help` lists the verbs")
            .into());
    }
    tui::run(project)?;
    Ok(Exit::Done)
}

fn show_demo(folder: Option<PathBuf>) -> Result<Exit, Failure> {
    let temporary = match &folder {
        Some(_) => None,
        None => Some(tempfile::tempdir().map_err(|cause| WorkflowError::Folder { path: std::env::temp_dir(), cause })?),
    };
    let root = match (&folder, &temporary) {
        (Some(folder), _) => folder.clone(),
        (None, Some(dir)) => dir.path().join("demo"),
        (None, None) => PathBuf::from("demo"),
    };
    say(&format!("building the demo in {}", root.display()));
    let (project, trained) = demo::build(&root, &mut |event| {
        if let train::TrainRunEvent::Prepared { rows, held_out, .. } = event {
            say(&format!("training on {} gold sentences, {} held out for the test", rows[0].1, held_out.1));
        }
    })?;
    say(&format!("trained in {:.1} s", trained.seconds));
    if io::stdout().is_terminal() && io::stdin().is_terminal() {
        tui::run(project)?;
    } else {
        metrics(&project, &StyleArgs { json: false, csv: false, markdown: false })?;
    }
    if let Some(folder) = folder {
        say(&format!(
            "the demo stays in {}; open it again with `goldsmith --project {}`",
            folder.display(),
            folder.display()
        ));
    }
    Ok(Exit::Done)
}

fn style_of(args: &StyleArgs) -> TableStyle {
    match args {
        StyleArgs { csv: true, .. } => TableStyle::Csv,
        StyleArgs { markdown: true, .. } => TableStyle::Markdown,
        _ => TableStyle::Plain,
    }
}

fn metrics(project: &Project, style: &StyleArgs) -> Result<Exit, Failure> {
    let store = project.store_to_read(&mut say)?;
    let index = LabelIndex::read(project, &store)?;
    let NewestScores { silver, classifier, binary } = NewestScores::of(project, &index);
    let scored: Vec<Scored> = [silver, classifier, binary].into_iter().flatten().collect();
    if style.json {
        let name = |scored: &Scored| match (scored.task, scored.source) {
            (Task::Binary, _) => "binary",
            (Task::MultiClass, Source::Llm) => "silver",
            (Task::MultiClass, _) => "classifier",
        };
        let all: Vec<serde_json::Value> = scored
            .iter()
            .map(|s| {
                let report = tables::json(&s.report, s.taxonomy(project));
                serde_json::json!({ "scored": name(s), "run": s.run, "report": report, "confusion": s.confusion })
            })
            .collect();
        let keys: Vec<&str> = project.taxonomy.categories().iter().map(|c| c.key.as_str()).collect();
        print_json(&serde_json::json!({ "categories": keys, "scores": all }))?;
        return Ok(Exit::unless_nothing(scored.is_empty()));
    }
    for scored in &scored {
        let model = store.run(&scored.run)?.model;
        let title = match (scored.task, scored.source) {
            (Task::Binary, _) => format!("whether any category applies, by {model}"),
            (Task::MultiClass, Source::Llm) => format!("silver of {model}"),
            (Task::MultiClass, _) => format!("{model} on held-out gold"),
        };
        print(&tables::scores(
            &NamedScores { title, report: &scored.report, taxonomy: scored.taxonomy(project) },
            style_of(style),
        ))?;
        print("\n")?;
    }
    if scored.is_empty() {
        say("nothing to score yet: import a model's labels with --model, or train with `goldsmith train`");
    }
    Ok(Exit::unless_nothing(scored.is_empty()))
}

fn score(project: &Project, model: Option<&Path>, style: &StyleArgs) -> Result<Exit, Failure> {
    let store = project.store_to_read(&mut say)?;
    let folder = train::latest_model(project, &store, model)?;
    let report = train::score(project, &store, &folder, project.file.bootstrap)?;
    let taxonomy = Some(&project.taxonomy);
    if style.json {
        let json = serde_json::json!({ "model": folder, "report": tables::json(&report, taxonomy) });
        print_json(&json)?;
    } else {
        let name = folder.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let title = format!("classifier {name}");
        print(&tables::scores(&NamedScores { title, report: &report, taxonomy }, style_of(style)))?;
    }
    Ok(Exit::unless_nothing(report.sentences == 0))
}

/// An encoder's folder is meant from where the command was typed, not from the project on.
fn encoder_argument(named: &str) -> String {
    match std::path::absolute(named) {
        Ok(folder) if folder.is_dir() => folder.display().to_string(),
        _ => named.to_owned(),
    }
}

/// What the command line says goes before what the project file says.
fn train_settings(settings: &mut TrainSettings, args: TrainArgs) {
    if let Some(tiers) = args.tiers {
        settings.tiers = tiers.into_iter().map(Into::into).collect();
    }
    let by_encoder = args.encoder.is_some() && settings.method == TrainingMethod::Ngram;
    let method = args.method.map_or(if by_encoder { TrainingMethod::Finetune } else { settings.method }, Into::into);
    if method != settings.method {
        *settings = settings.of(method);
    }
    if let Some(encoder) = args.encoder {
        settings.encoder = encoder_argument(&encoder);
    }
    settings.epochs = args.epochs.map(|n| n.max(1)).or(settings.epochs);
    settings.learning_rate = args.learning_rate.or(settings.learning_rate);
    settings.last_layers = args.last_layers.or(settings.last_layers);
    settings.seed = args.seed.unwrap_or(settings.seed);
}

fn train_verb(project: &Project) -> Result<Exit, Failure> {
    let mut store = project.store()?;
    let cancel = cancel_on_signal();
    let bar = Bar::default();
    let trained = train::train(
        Session::new(project, &mut store, &cancel, &mut |event| match event {
            train::TrainRunEvent::Prepared { rows, held_out, leaks } => {
                let rows: Vec<String> =
                    rows.iter().filter(|(_, n)| *n > 0).map(|(tier, n)| format!("{n} {tier}")).collect();
                say(&format!(
                    "training on {}; {} for validation, {} for the test",
                    rows.join(" + "),
                    held_out.0,
                    held_out.1
                ));
                if leaks > 0 {
                    say(&format!("warning: {leaks} test sentences stand nearly word for word in the training set"));
                }
            }
            train::TrainRunEvent::Heard(train::TrainingEvent::Epoch(epoch)) => {
                let f1 = tables::percent(epoch.validation_macro_f1.map(f64::from));
                let best = if epoch.best { " *" } else { "" };
                say(&format!("epoch {:>3}: loss {:.4}, validation macro-F1 {f1}{best}", epoch.epoch, epoch.train_loss));
            }
            train::TrainRunEvent::Heard(train::TrainingEvent::Step { .. }) => {}
            train::TrainRunEvent::Progress(progress) => bar.show(progress),
        }),
        &project.file.train,
    )?;
    say(&format!("trained in {:.2} s; the model is in {}", trained.seconds, trained.folder.display()));
    if let Some(off) = trained.calibration_error {
        say(&format!(
            "probabilities on held-out gold are off by {} % (expected calibration error)",
            tables::percent(Some(off))
        ));
    }
    match &trained.scored {
        Some(scored) => show_report("classifier on held-out gold", &scored.report, project)?,
        None => say("no gold of test patients yet, so there is nothing to score on; decide more sentences"),
    }
    Ok(if trained.stopped { Exit::Stopped } else { Exit::Done })
}

fn show_report(title: &str, report: &ScoreReport, project: &Project) -> Result<(), WorkflowError> {
    let scores = NamedScores { title: title.into(), report, taxonomy: Some(&project.taxonomy) };
    print(&tables::scores(&scores, TableStyle::Plain))
}

fn check(project: &Project) -> Result<Exit, Failure> {
    let mut store = project.store_to_read(&mut say)?;
    let said = store.integrity_check()?;
    print(&format!("{}\n", said.join("\n")))?;
    if said != ["ok"] {
        let what = store.path().display().to_string();
        let said = format!("{what} is damaged");
        return Err(Refusal::new(RefusalKind::Damaged { what }, said).hint("restore a copy").into());
    }
    let (labels, other): (Vec<_>, Vec<_>) = store.audit(None)?.tampering.into_iter().partition(Tampering::is_of_labels);
    if !other.is_empty() {
        let what = store.path().display().to_string();
        let said =
            format!("{what} is not as this program wrote it; it is left as it is, so that it can be looked into");
        return Err(Refusal::new(RefusalKind::Damaged { what }, said)
            .hint("`goldsmith audit` names what was changed")
            .into());
    }
    if store.is_read_only() {
        say("current labels were not made anew from the log, because nothing can be written");
    } else {
        store.rebuild()?;
        if !labels.is_empty() {
            say(&format!(
                "{} were not what the log comes to, and are now: somebody changed them behind the program's back",
                tables::counted(labels.len(), "current label or count")
            ));
        }
    }
    say("the file is sound, and as this program wrote it");
    Ok(Exit::Done)
}
