//! Data-to-label: a language model labels sentences of real notes by the guideline. Its labels are silver.
//!
//! The same command goes on where it stopped: the run is found again by its configuration, sentences that have a label are
//! left alone, and an answer that had come but was not used yet comes from the kept replies.

mod batch;
mod job;

use serde_json::json;

use super::access::{self, Access, Unrecorded};
use super::dispatch::{Dispatch, JobEnd, dispatch};
use super::label_index::LabelIndex;
use super::project::Project;
use super::{Progress, WorkflowError, identity, models, now, runs};
use crate::domain::corpus::{Origin, SentenceId};
use crate::domain::egress::Payload;
use crate::domain::gold::Gold;
use crate::domain::label::{Label, Outcome, Run, RunId, RunKind};
use crate::domain::person::Role;
use crate::domain::phi::screen;
use crate::domain::similar::Similar;
use crate::domain::spending::{Budget, Spending};
use crate::domain::split::Split;
use crate::domain::visibility::Face;
use crate::formats::project::language::{
    AnswerBy, Explain, FewShotBy, LabelSettings, ModelSettings, PhiPolicy, Provider,
};
use crate::formats::tables::counted;
use crate::formats::write_whole;
use crate::llm::orders::OrderScreen;
use crate::llm::prompt::{AnswerStyle, FewShotExample, LabelPrompt, LabelTask, guideline_shots};
use crate::llm::{AnswerFormat, ModelInfo, chat};
use crate::plain_file;
use crate::store::Store;
use crate::workflow::refusal::{Refusal, RefusalKind};
use crate::workflow::session::Session;
use job::LabelJob;

/// Which sentences are labelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SentenceChoice {
    /// All of real notes.
    All,
    /// Those with settled gold: to see how good a model or a prompt is.
    Gold,
    /// Those that nobody has decided.
    Open,
}

/// What to label and how.
#[derive(Clone, Debug)]
pub(crate) struct LabelOptions {
    /// How the model is reached.
    pub model: ModelSettings,
    /// How it is asked.
    pub settings: LabelSettings,
    /// What may be spent.
    pub budget: Budget,
    pub which: SentenceChoice,
    /// At most so many in this session.
    pub limit: Option<u64>,
    /// Begin a new run although one with this configuration is there.
    pub fresh: bool,
    /// Try again what failed.
    pub retry_failed: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LabelSummary {
    pub run: RunId,
    /// The model's name.
    pub model: String,
    pub ended: JobEnd,
    /// Sentences that have a label of the run by now.
    pub labelled: u64,
    /// Sentences that failed.
    pub failed: u64,
    /// Labels whose evidence could not be had.
    pub unexplained: u64,
    /// Sentences kept back by the screen for personal data, and passages found in others.
    pub phi: (u64, u64),
    /// The mean mass that the options had together, for answers by choice.
    pub mass: Option<f64>,
    /// What the run has cost by now.
    pub spending: Spending,
}

/// How the model will be asked.
pub(crate) struct LabelPlan {
    /// The prompt's shared part.
    pub prompt: LabelPrompt,
    /// The gold sentences that every prompt shows.
    pub shown: Vec<SentenceId>,
    /// Gold to show beside each sentence, where that is asked for.
    pub nearest: Option<Nearest>,
    pub ids: Option<Vec<SentenceId>>,
    /// Labels among the examples that whoever asks decides before seeing.
    pub withheld: usize,
}

/// Gold sentences to find the likest in.
pub(crate) struct Nearest {
    pub index: Similar,
    pub shots: Vec<(SentenceId, FewShotExample)>,
    /// How many are shown.
    pub most: usize,
}

/// The style of answer that the settings and the model come to.
pub(crate) fn style(settings: &LabelSettings, embedded: bool) -> AnswerStyle {
    let choice = match settings.answer {
        AnswerBy::Auto => embedded,
        AnswerBy::Choice => true,
        AnswerBy::Json => false,
    };
    // Confidence as the model states it is the last resort; several samples make it needless.
    if choice { AnswerStyle::Choice } else { AnswerStyle::Json { explain: true, confidence: settings.samples < 2 } }
}

/// Builds the prompt, with gold of training patients where the settings ask for it.
pub(crate) fn plan(project: &Project, store: &Store, options: &LabelOptions) -> Result<LabelPlan, WorkflowError> {
    plan_with(project, store, options, models::keeps_back(project, &options.model)?)
}

/// The same; with `keeps_back`, no example looks like a person's data.
fn plan_with(
    project: &Project,
    store: &Store,
    options: &LabelOptions,
    keeps_back: bool,
) -> Result<LabelPlan, WorkflowError> {
    let settings = &options.settings;
    let embedded = matches!(options.model.provider, Provider::Embedded { .. });
    let taxonomy = &project.taxonomy;
    let mut index = LabelIndex::default();
    if settings.few_shot > 0 || options.which != SentenceChoice::All {
        index.refresh(project, store)?;
    }
    let mut shots = guideline_shots(taxonomy, settings.examples, settings.seed);
    let (mut everywhere, mut nearest, mut withheld) = (Vec::new(), None, 0);
    // An example of the guideline may be a sentence of a note.
    shots.retain(|shot| !keeps_back || screen(&shot.text).is_empty());
    if settings.few_shot > 0 {
        let gold: Vec<&Gold> =
            index.gold().into_iter().filter(|gold| project.file.split.split(gold.patient()) == Split::Train).collect();
        let hidden = |gold: &&&Gold| !index.shown(project, Face::Report, gold.sentence()).colleagues;
        match settings.few_shot_by {
            FewShotBy::Balanced => {
                let picked = balanced(&gold, settings.few_shot, settings.seed);
                withheld = picked.iter().filter(hidden).count();
                for (id, shot) in shown(project, store, &picked, keeps_back)? {
                    everywhere.push(id);
                    shots.push(shot);
                }
            }
            FewShotBy::Nearest => {
                withheld = gold.iter().filter(hidden).count();
                let shots = shown(project, store, &gold, keeps_back)?;
                let index = Similar::new(shots.iter().map(|(_, shot)| shot.text.as_str()));
                nearest = Some(Nearest { index, shots, most: settings.few_shot });
            }
        }
    }
    let ids = match options.which {
        SentenceChoice::All => None,
        SentenceChoice::Gold => Some(index.gold().iter().map(|gold| gold.sentence()).collect()),
        SentenceChoice::Open => Some(index.undecided(store)?),
    };
    let task = if settings.binary { LabelTask::Binary } else { LabelTask::Categories };
    Ok(LabelPlan {
        prompt: LabelPrompt::new(taxonomy, task, style(settings, embedded), &shots),
        shown: everywhere,
        nearest,
        ids,
        withheld,
    })
}

/// Gold as examples, without what speaks to a model; with `keeps_back`, without what looks like a person's data.
pub(super) fn shown(
    project: &Project,
    store: &Store,
    gold: &[&Gold],
    keeps_back: bool,
) -> Result<Vec<(SentenceId, FewShotExample)>, WorkflowError> {
    let orders = OrderScreen::new(&project.taxonomy);
    let ids: Vec<SentenceId> = gold.iter().map(|gold| gold.sentence()).collect();
    let rows = store.texts(&ids)?.into_iter().zip(gold);
    let rows = rows.filter(|(row, _)| orders.order_in(&row.text).is_none());
    let rows = rows.filter(|(row, _)| !keeps_back || screen(&row.text).is_empty());
    Ok(rows.map(|(row, gold)| (row.id, FewShotExample { text: row.text, label: gold.label().clone() })).collect())
}

/// As many of each label as there is room for, the same ones for the same seed, whatever else is gold.
fn balanced<'a>(gold: &[&'a Gold], most: usize, seed: u64) -> Vec<&'a Gold> {
    use sha2::{Digest, Sha256};
    let mut by_label: std::collections::BTreeMap<&Label, Vec<(Vec<u8>, &Gold)>> = std::collections::BTreeMap::new();
    for gold in gold {
        let order = Sha256::digest(format!("{seed} {} {}", gold.patient().0, gold.sentence().0)).to_vec();
        by_label.entry(gold.label()).or_default().push((order, gold));
    }
    by_label.values_mut().for_each(|of_label| of_label.sort_by(|a, b| a.0.cmp(&b.0)));
    let rounds = by_label.values().map(Vec::len).max().unwrap_or(0);
    let one_of_each = |round: usize| by_label.values().filter_map(move |all| all.get(round)).map(|(_, gold)| *gold);
    (0..rounds).flat_map(one_of_each).take(most).collect()
}

/// The configuration that a run is known by: whatever could change an answer, and nothing else.
fn config(card: &ModelInfo, plan: &LabelPlan, settings: &LabelSettings) -> String {
    json!({
        "model": card.identity,
        "prompt": plan.prompt.hash(),
        "turns": plan.prompt.turns(),
        "fields": plan.prompt.fields(),
        "settings": settings,
        "details": lasting(&card.details),
    })
    .to_string()
}

/// What a model is, without how it happens to be run this time: that changes no answer.
pub(super) fn lasting(details: &serde_json::Value) -> serde_json::Value {
    let mut details = details.clone();
    for (path, setting) in [("", "threads"), ("", "batch"), ("/endpoint", "timeout")] {
        if let Some(map) = details.pointer_mut(path).and_then(serde_json::Value::as_object_mut) {
            map.remove(setting);
        }
    }
    details
}

/// Labels.
pub(crate) fn label(session: Session<'_>, options: &LabelOptions) -> Result<LabelSummary, WorkflowError> {
    let Session { project, store, cancel, progress: watch } = session;
    let _span = tracing::info_span!("label").entered();
    let plan = plan(project, store, options)?;
    refuse_withheld(project, &plan, "sent")?;
    let model = models::open(project, store, &options.model, true)?;
    let settings = &options.settings;
    let letters = plan.prompt.options().iter().all(|option| option.chars().count() == 1);
    if plan.prompt.by_choice() && model.destination().is_some() && !letters {
        let said = "a server gives the probability of one token, which is too little to choose several categories or \
                    among more than 52";
        return Err(Refusal::new(RefusalKind::Unsupported { with: "server" }, said)
            .hint("use --answer json, or a GGUF file")
            .into());
    }
    let kind = if settings.binary { RunKind::Screen } else { RunKind::Label };
    let config = config(model.card(), &plan, settings);
    let name = model.card().name.clone();
    let mut run = runs::find_or_new(store, kind, &name, config, &project.taxonomy, options.fresh)?;
    runs::begin(store, &mut run)?;
    if options.retry_failed {
        store.forget_failures(&run.id)?;
    }
    let policy = models::policy(project, store)?;
    let remote = model.destination().is_some_and(|to| !to.is_loopback());
    let screen = if remote { project.file.privacy.phi } else { PhiPolicy::Off };
    let ids = match plan.ids.as_ref() {
        Some(ids) => Some(store.unlabelled_of(&run.id, ids)?),
        None => None,
    };
    if screen == PhiPolicy::Warn
        && let Some(warning) = foresee_phi(store, &run.id, ids.as_deref())?
    {
        watch(Progress::Noted(warning));
    }
    let (done, failed) = store.labelled(&run.id)?;
    let all = match &ids {
        Some(ids) => ids.len() as u64,
        None => store.sentence_count(Origin::Real)?.saturating_sub(done + failed),
    };
    let total = options.limit.map_or(all, |limit| all.min(limit));
    watch(Progress::Started { what: format!("labelling with {}", run.model), total: Some(total), unit: "sentences" });
    let mut job = LabelJob::new(project, &run.id, &plan, settings, model.as_ref(), ids, total, screen);
    let setup = Dispatch {
        model: model.clone(),
        limits: models::limits(&options.model),
        budget: options.budget,
        prices: models::prices(&options.model),
        policy: &policy,
        run: &run.id,
    };
    let ended = dispatch(&setup, store, &mut job, cancel, watch);
    watch(Progress::Finished);
    let tally = job.tally();
    let (labelled, failed) = store.labelled(&run.id)?;
    let spending = store.spending(&run.id)?;
    let scores = json!({
        "labelled": labelled, "failed": failed, "mass": tally.mass, "unexplained": tally.unexplained,
        "phi_kept_back": tally.phi.0, "phi_passages": tally.phi.1, "spending": spending,
    })
    .to_string();
    runs::end(store, &mut run, &ended, scores)?;
    tracing::info!(labelled, failed, requests = spending.requests, tokens = spending.tokens(), "labelled");
    Ok(LabelSummary {
        run: run.id,
        model: run.model,
        ended: ended?,
        labelled,
        failed,
        unexplained: tally.unexplained,
        phi: tally.phi,
        mass: tally.mass,
        spending,
    })
}

/// Looks through what is about to leave; says what looks like a person's data in it. The first fifty thousand sentences are
/// enough to know whether notes were de-identified.
fn foresee_phi(store: &Store, run: &RunId, ids: Option<&[SentenceId]>) -> Result<Option<String>, WorkflowError> {
    const LOOKED_AT: usize = 50_000;
    let (mut seen, mut sentences, mut kinds) = (0, 0, std::collections::BTreeMap::<String, u64>::new());
    let mut after = SentenceId(0);
    while seen < LOOKED_AT {
        let page: Vec<SentenceId> = match ids {
            Some(ids) => ids.iter().copied().skip(seen).take(1_000).collect(),
            None => store.unlabelled(run, after, 1_000)?,
        };
        let Some(last) = page.last() else {
            break;
        };
        after = *last;
        seen += page.len();
        for row in store.texts(&page)? {
            let found = screen(&row.text);
            sentences += u64::from(!found.is_empty());
            found.iter().for_each(|finding| *kinds.entry(finding.kind.to_string()).or_default() += 1);
        }
    }
    let kinds: Vec<String> = kinds.into_iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    Ok((sentences > 0).then(|| {
        format!(
            "warning: {sentences} of {seen} sentences about to leave this machine look like they contain personal data ({}); phi = \"block\" under [privacy] keeps such sentences here",
            kinds.join(", ")
        )
    }))
}

/// What a run would do, without sending anything.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LabelForecast {
    pub sentences: u64,
    pub requests: u64,
    /// Tokens read, about.
    pub read: u64,
    /// Tokens written, at most.
    pub written: u64,
    /// Millionths of the currency, where prices are known.
    pub micros: Option<u64>,
    /// Seconds, where an earlier run with the same model tells the pace.
    pub seconds: Option<u64>,
    /// One whole prompt.
    pub prompt: String,
    /// Why it is not on record that the sentences of the prompt were read, where it could not be.
    pub unrecorded: Unrecorded,
}

/// What stands for a prompt in which there are labels that whoever asks decides before seeing.
pub(crate) fn prompt_withheld(project: &Project, withheld: usize) -> String {
    let labels = counted(withheld, "label");
    format!("the prompt may show {labels} of experts that {} may not see yet", project.annotator)
}

/// Refuses prompts with labels that whoever asks decides before seeing: they go to a file, or to a server that may be theirs.
fn refuse_withheld(project: &Project, plan: &LabelPlan, done: &str) -> Result<(), WorkflowError> {
    if plan.withheld == 0 {
        return Ok(());
    }
    let said = format!("{}; nothing was {done}", prompt_withheld(project, plan.withheld));
    Err(Refusal::not_allowed(&project.annotator, said)
        .hint("whoever decides on no sentence may do it: --as NAME")
        .hint("--few-shot 0 shows no gold")
        .into())
}

/// Foretells a run.
pub(crate) fn forecast(
    project: &Project,
    store: &mut Store,
    options: &LabelOptions,
) -> Result<LabelForecast, WorkflowError> {
    let plan = plan(project, store, options)?;
    let settings = &options.settings;
    let all = match &plan.ids {
        Some(ids) => ids.len() as u64,
        None => store.sentence_count(Origin::Real)?,
    };
    let sentences = options.limit.map_or(all, |limit| all.min(limit));
    let sample = store.texts_after(Origin::Real, SentenceId(0), 200)?;
    let prompts: Vec<_> = sample.iter().map(|row| job::bare_prompt(&row.text)).collect();
    let embedded = matches!(options.model.provider, Provider::Embedded { .. });
    let choice = style(settings, embedded) == AnswerStyle::Choice;
    let group = if choice { 1 } else { settings.sentences_per_request as u64 };
    let samples = settings.samples.max(1) as u64;
    let explained = match settings.explain {
        Explain::All if choice => sentences,
        Explain::Doubtful if choice => sentences / 3,
        _ => 0,
    };
    let requests = sentences.div_ceil(group) * samples + explained;
    // Four bytes to a token, as English has it with the tokenizers of today.
    let shared: usize = plan.prompt.turns().iter().map(|t| t.content.len() + 12).sum();
    let each = prompts.iter().map(|prompt| prompt.text.len() + 20).sum::<usize>() / prompts.len().max(1);
    let tokens = (requests * shared as u64 + sentences * samples * each as u64) / 4;
    let written = if choice { sentences * samples + explained * 60 } else { sentences * samples * 60 };
    let prices = models::prices(&options.model);
    let name = match &options.model.provider {
        Provider::Chat { model, .. } => model.clone(),
        Provider::Embedded { .. } => String::new(),
    };
    let mut seconds = None;
    for run in store.runs()?.iter().filter(|run| run.kind == RunKind::Label && run.model == name) {
        let (spent, (done, _)) = (store.spending(&run.id)?, store.labelled(&run.id)?);
        if done > 0 && spent.milliseconds > 0 {
            seconds = Some(spent.milliseconds * sentences / done / 1000);
            break;
        }
    }
    let shown = prompts.into_iter().next().unwrap_or_else(|| job::bare_prompt("(the sentence)"));
    let request = plan.prompt.write(std::slice::from_ref(&shown), job::sampling(settings, 0), true);
    let mut prompt: Vec<String> = request.turns.iter().map(|t| format!("[{:?}]\n{}", t.role, t.content)).collect();
    if choice {
        prompt.push(format!("(answers to choose between: {})", plan.prompt.options().join(" ")));
    } else if let AnswerFormat::Object(_) = request.shape {
        prompt.push(crate::llm::reply::describe(&request.shape).unwrap_or_default());
    }
    let mut read: Vec<SentenceId> = sample.iter().take(1).map(|row| row.id).chain(plan.shown).collect();
    if plan.withheld > 0 {
        prompt = vec![prompt_withheld(project, plan.withheld)];
        read.clear();
    }
    let unrecorded = access::sentences(project, store, Access::Printed, &read)?;
    let micros = prices.known().then(|| prices.micros(tokens, written));
    let prompt = prompt.join("\n\n");
    Ok(LabelForecast { sentences, requests, read: tokens, written, micros, seconds, prompt, unrecorded })
}

/// Writes the requests that a run would send as lines of OpenAI's batch format; returns the run and how many. The file
/// holds text of notes, so the record of what left says so, under the file's name.
pub(crate) fn export_batch(
    session: Session<'_>,
    options: &LabelOptions,
    file: &std::path::Path,
) -> Result<(RunId, u64), WorkflowError> {
    let Session { project, store, cancel, progress: watch } = session;
    let _span = tracing::info_span!("export_batch").entered();
    use std::io::Write;
    let Provider::Chat { url, model, .. } = &options.model.provider else {
        return Err(Refusal::new(
            RefusalKind::Unsupported { with: "model in this process" },
            "a batch is for a server",
        )
        .hint("pass --url URL and the model's name there")
        .into());
    };
    let settings =
        LabelSettings { answer: AnswerBy::Json, samples: 1, sentences_per_request: 1, ..options.settings.clone() };
    let options = LabelOptions { settings, ..options.clone() };
    identity::require(project, store, &[Role::Steward, Role::Lead], "write sentences into a file for others")?;
    // Whoever has the file may send it anywhere, whichever server was named.
    let keeps_back = models::keeps_back(project, &options.model)? || project.file.privacy.phi == PhiPolicy::Block;
    let plan = plan_with(project, store, &options, keeps_back)?;
    refuse_withheld(project, &plan, "written")?;
    let run = batch_run(project, store, &options, &plan, url, model)?;
    let fail = |cause| crate::formats::FormatError::Io { doing: "write", path: file.into(), cause };
    let policy = models::policy(project, store)?;
    let (mut written, mut kept, mut speaking, mut after) = (0, 0u64, 0, SentenceId(0));
    let orders = OrderScreen::new(&project.taxonomy);
    let most = options.limit.unwrap_or(u64::MAX);
    watch(Progress::Started { what: format!("writing {}", file.display()), total: None, unit: "requests" });
    write_whole::<_, WorkflowError>(file, |out| {
        let mut out = std::io::BufWriter::new(out);
        while written < most && !cancel.is_cancelled() {
            let room = usize::try_from(most - written).unwrap_or(1000).min(1000);
            let ids: Vec<SentenceId> = match &plan.ids {
                Some(ids) => ids.iter().copied().filter(|id| *id > after).take(room).collect(),
                None => store.unlabelled(&run.id, after, room)?,
            };
            let Some(last) = ids.last() else {
                break;
            };
            after = *last;
            let prompts = job::sentence_prompts(store, &plan, &options.settings, &store.unlabelled_of(&run.id, &ids)?)?;
            let mut payload = Payload { purpose: "batch file", sentences: Vec::new(), bytes: 0 };
            for (id, prompt, shows) in prompts {
                if orders.refusal(prompt.texts()).is_some() {
                    speaking += 1;
                    continue;
                }
                if keeps_back && prompt.texts().any(|text| !screen(text).is_empty()) {
                    kept += 1;
                    continue;
                }
                let request = plan.prompt.write(&[prompt], job::sampling(&options.settings, 0), true);
                let line = chat::batch_line(&batch_id(&run.id, id), model, &request, chat::ResponseFormat::JsonSchema);
                payload.bytes += line.len() + 1;
                payload.sentences.extend(shows);
                writeln!(out, "{line}").map_err(fail)?;
                written += 1;
            }
            let read = payload.sentences.clone();
            store.record_egress(Some(&run.id), now(), vec![policy.permit_file(file, payload)])?;
            let read = store.notes_of_sentences(&read)?;
            access::exported(project, store, &read)?;
            watch(Progress::Advanced(written));
        }
        Ok(out.flush().map_err(fail)?)
    })?;
    if speaking > 0 {
        let sentences = counted(speaking, "sentence");
        watch(Progress::Noted(format!(
            "{sentences} that speak to the model are not in the file: an expert labels them"
        )));
    }
    if kept > 0 {
        let sentences = counted(kept as usize, "sentence");
        watch(Progress::Noted(format!("{sentences} that look like they contain personal data are not in the file")));
    }
    watch(Progress::Finished);
    Ok((run.id, written))
}

fn batch_id(run: &RunId, sentence: SentenceId) -> String {
    format!("{run}/{}", sentence.0)
}

fn batch_run(
    project: &Project,
    store: &mut Store,
    options: &LabelOptions,
    plan: &LabelPlan,
    url: &str,
    model: &str,
) -> Result<Run, WorkflowError> {
    let kind = if options.settings.binary { RunKind::Screen } else { RunKind::Label };
    let card = ModelInfo {
        name: model.to_owned(),
        provider: "batch".into(),
        identity: format!("batch:{url} {model}"),
        details: serde_json::Value::Null,
    };
    let config = config(&card, plan, &options.settings);
    let run = runs::find_or_new(store, kind, model, config, &project.taxonomy, options.fresh)?;
    store.put_run(&run)?;
    Ok(run)
}

/// What came of reading a batch's answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct BatchReport {
    /// Sentences labelled.
    pub labelled: u64,
    /// Sentences that were labelled already.
    pub known: u64,
    /// Sentences whose answer cannot be used; each is recorded with its fault.
    pub failed: u64,
    /// Lines that say nothing about a sentence of this store: line and why.
    pub bad: Vec<(u64, String)>,
    /// How many of those there are.
    pub bad_lines: u64,
}

/// A longer line of a batch output file is a broken file.
const LONGEST_LINE: u64 = 64 << 20;

/// Reads a batch output file. Every answer is checked as one that comes over the wire.
pub(crate) fn import_batch(session: Session<'_>, file: &std::path::Path) -> Result<BatchReport, WorkflowError> {
    let Session { project, store, cancel, progress: watch } = session;
    let _span = tracing::info_span!("import_batch").entered();
    use std::io::{BufRead, Read};
    let fail = |cause| crate::formats::FormatError::Io { doing: "read", path: file.into(), cause };
    let source = plain_file::open(file).map_err(fail)?;
    let size = source.metadata().map(|m| m.len()).ok();
    watch(Progress::Started { what: format!("reading {}", file.display()), total: size, unit: "bytes" });
    let mut lines = std::io::BufReader::new(source);
    let (mut report, mut reader) = (BatchReport::default(), batch::BatchReader::new(project));
    let (mut number, mut bytes, mut line) = (0, 0, Vec::new());
    loop {
        line.clear();
        let read = (&mut lines).take(LONGEST_LINE + 1).read_until(b'\n', &mut line).map_err(fail)?;
        if read as u64 > LONGEST_LINE {
            // What stands before it is answers.
            reader.flush(store)?;
            let said = format!(
                "{}:{}: this line is longer than {} MiB, so that it is no answer of a batch runner",
                file.display(),
                number + 1,
                LONGEST_LINE >> 20
            );
            return Err(Refusal::new(RefusalKind::Damaged { what: "batch output".into() }, said)
                .hint("fetch the file again; the lines before this one were read, and are not read twice")
                .into());
        }
        if read == 0 || cancel.is_cancelled() {
            break;
        }
        number += 1;
        bytes += read as u64;
        let text = String::from_utf8_lossy(&line);
        if !text.trim().is_empty()
            && let Err(why) = reader.take(store, text.trim())?
        {
            report.bad_lines += 1;
            if report.bad.len() < 20 {
                report.bad.push((number, why));
            }
        }
        if number % 1000 == 0 {
            reader.flush(store)?;
            watch(Progress::Advanced(bytes));
        }
    }
    reader.flush(store)?;
    watch(Progress::Finished);
    for run in reader.runs() {
        let mut run = store.run(run)?;
        let (labelled, failed) = store.labelled(&run.id)?;
        run.outcome = Outcome::Finished;
        run.finished = Some(now());
        run.scores = json!({ "labelled": labelled, "failed": failed }).to_string();
        store.put_run(&run)?;
    }
    (report.labelled, report.known, report.failed) = reader.counts();
    Ok(report)
}
