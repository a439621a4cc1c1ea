//! The verbs of the language model side: label, generate, bronze, egress, runs.

use super::arguments::{
    AnswerArg, BudgetArgs, ExplainArg, FewShotArg, GenerateArgs, LabelArgs, ModelArgs, QuotaArg, RunsVerb, WhichArg,
};
use super::output::{print, print_json, print_json_line};
use super::{Bar, Exit, Failure, cancel_on_signal, say, say_unrecorded, spent, withheld_from};
use crate::domain::corpus::SentenceId;
use crate::domain::experiment::Task;
use crate::domain::label::{Run, RunKind};
use crate::domain::quality::Profile;
use crate::domain::spending::Budget;
use crate::domain::text::visible;
use crate::domain::visibility::Face;
use crate::formats::project::language::{
    AnswerBy, Explain, FewShotBy, GenerateSettings, LabelSettings, ModelSettings, Provider, Quota,
};
use crate::formats::tables::percent;
use crate::workflow::access::{self, Access};
use crate::workflow::dispatch::JobEnd;
use crate::workflow::label::{self, LabelOptions, SentenceChoice};
use crate::workflow::project::Project;
use crate::workflow::refusal::Refusal;
use crate::workflow::session::Session;
use crate::workflow::{WorkflowError, egress, generate, models, runs};

/// The model that the command line and the project file name.
pub(super) fn model(project: &Project, args: &ModelArgs, default: &str) -> Result<ModelSettings, WorkflowError> {
    let name = args.model.as_deref();
    let mut settings = match (&args.gguf, &args.url) {
        (Some(file), _) => ModelSettings::embedded(file.clone()),
        (None, Some(url)) => ModelSettings::chat(url, name.unwrap_or_default()),
        (None, None) => models::settings(project, name.unwrap_or(default))?.1.clone(),
    };
    match &mut settings.provider {
        Provider::Embedded { threads, .. } => *threads = args.threads.unwrap_or(*threads),
        Provider::Chat { key_env, timeout, .. } => {
            if let Some(variable) = &args.key_env {
                key_env.clone_from(variable);
            }
            *timeout = args.timeout.unwrap_or(*timeout);
        }
    }
    settings.concurrency = args.concurrency.unwrap_or(settings.concurrency).max(1);
    settings.requests_per_minute = args.requests_per_minute.unwrap_or(settings.requests_per_minute);
    settings.tokens_per_minute = args.tokens_per_minute.unwrap_or(settings.tokens_per_minute);
    settings.attempts = args.attempts.unwrap_or(settings.attempts).max(1);
    Ok(settings)
}

/// The budget that the command line gives. Money needs prices: without them nothing could hold it.
pub(super) fn budget(args: &BudgetArgs, model: &ModelSettings) -> Result<Budget, WorkflowError> {
    if args.budget_money.is_some() && !models::prices(model).known() {
        return Err(Refusal::unset("price_in", "--budget-money needs prices")
            .hint("write price_in and price_out for the model under [models] in goldsmith.toml")
            .into());
    }
    Ok(Budget { tokens: args.budget_tokens, money: args.budget_money, seconds: args.budget_time })
}

impl LabelArgs {
    fn options(&self, project: &Project) -> Result<LabelOptions, WorkflowError> {
        let file = &project.file.label;
        let model = model(project, &self.model, &file.model)?;
        let settings = LabelSettings {
            binary: self.binary || file.binary,
            answer: self.answer.map_or(file.answer, |answer| match answer {
                AnswerArg::Choice => AnswerBy::Choice,
                AnswerArg::Json => AnswerBy::Json,
            }),
            explain: self.explain.map_or(file.explain, |explain| match explain {
                ExplainArg::None => Explain::None,
                ExplainArg::Doubtful => Explain::Doubtful,
                ExplainArg::All => Explain::All,
            }),
            few_shot_by: self.few_shot_by.map_or(file.few_shot_by, |by| match by {
                FewShotArg::Balanced => FewShotBy::Balanced,
                FewShotArg::Nearest => FewShotBy::Nearest,
            }),
            examples: self.examples.unwrap_or(file.examples),
            few_shot: self.few_shot.unwrap_or(file.few_shot),
            context: self.context.unwrap_or(file.context),
            sentences_per_request: self.per_request.unwrap_or(file.sentences_per_request).max(1),
            samples: self.samples.unwrap_or(file.samples).max(1),
            ..file.clone()
        };
        Ok(LabelOptions {
            budget: budget(&self.budget, &model)?,
            model,
            settings,
            which: match self.only {
                WhichArg::All => SentenceChoice::All,
                WhichArg::Gold => SentenceChoice::Gold,
                WhichArg::Open => SentenceChoice::Open,
            },
            limit: self.limit,
            fresh: self.fresh,
            retry_failed: self.retry_failed,
        })
    }
}

pub(super) fn label(project: &Project, args: &LabelArgs) -> Result<Exit, Failure> {
    if args.plan && args.import_batch.is_none() {
        return plan(project, &args.options(project)?);
    }
    let mut store = project.store()?;
    let cancel = cancel_on_signal();
    let bar = Bar::default();
    if let Some(file) = &args.import_batch {
        let report = label::import_batch(Session::new(project, &mut store, &cancel, &mut |p| bar.show(p)), file)?;
        say(&format!(
            "{} sentences labelled, {} already labelled, {} failed",
            report.labelled, report.known, report.failed
        ));
        for (line, why) in &report.bad {
            say(&format!("warning: {}:{line}: {why}", file.display()));
        }
        let nothing = report.labelled + report.known == 0;
        return Ok(if cancel.is_cancelled() { Exit::Stopped } else { Exit::unless_nothing(nothing) });
    }
    let options = args.options(project)?;
    if let Some(file) = &args.export_batch {
        let (run, written) =
            label::export_batch(Session::new(project, &mut store, &cancel, &mut |p| bar.show(p)), &options, file)?;
        say(&format!(
            "{written} requests of run {run} are in {}; it contains text of notes: share it only with people who may read them\nnext: goldsmith label --import-batch ANSWERS.jsonl",
            file.display()
        ));
        return Ok(if cancel.is_cancelled() { Exit::Stopped } else { Exit::unless_nothing(written == 0) });
    }
    let report = label::label(Session::new(project, &mut store, &cancel, &mut |p| bar.show(p)), &options)?;
    say(&format!(
        "run {}: {} sentences labelled by {}; {}",
        report.run,
        report.labelled,
        report.model,
        spent(&report.spending, report.failed)
    ));
    if let Some(mass) = report.mass {
        say(&format!("on average, the allowed answers had {} % of the probability", percent(Some(mass))));
    }
    if report.failed > 0 {
        say(&format!(
            "{} sentences failed; `goldsmith runs show {}` says why, --retry-failed tries them again",
            report.failed, report.run
        ));
    }
    if report.unexplained > 0 {
        say(&format!(
            "{} labels have no evidence: the model's quotations were not in the sentence",
            report.unexplained
        ));
    }
    match report.phi {
        (0, 0) => {}
        (0, passages) => {
            say(&format!("warning: {passages} passages that look like personal data were in what was sent"))
        }
        (kept, _) => say(&format!(
            "{kept} sentences look like they contain personal data and were not sent; phi under [privacy] decides"
        )),
    }
    if report.phi != (0, 0) {
        say("the screen is a net with holes: docs/personal-data-screen.md says how large they are");
    }
    Ok(ended(report.ended, report.labelled == 0))
}

/// Says how a run ended, and what to type. A run that has come to nothing so far is not done.
fn ended(ended: JobEnd, nothing: bool) -> Exit {
    match ended {
        JobEnd::Finished => Exit::unless_nothing(nothing),
        JobEnd::Stopped => {
            say("stopped; run the same command again to resume");
            Exit::Stopped
        }
        JobEnd::Budget(why) => {
            say(&format!("{why}; run the same command with a larger budget to resume"));
            Exit::unless_nothing(nothing)
        }
        JobEnd::Halted(why) => {
            say(&format!("error: {why}\nwhat was done is kept; fix this and run the same command again to resume"));
            Exit::Refused
        }
    }
}

fn plan(project: &Project, options: &LabelOptions) -> Result<Exit, Failure> {
    let plan = label::forecast(project, &mut project.store_to_read(&mut say)?, options)?;
    say_unrecorded(plan.unrecorded);
    let cost = plan.micros.map_or_else(|| "not known (no prices)".to_owned(), |m| format!("{:.2}", m as f64 / 1e6));
    let time = plan.seconds.map_or_else(
        || "not known (no earlier run with this model)".to_owned(),
        |s| format!("about {} min", s.div_ceil(60)),
    );
    print(&format!(
        "sentences  {}\nrequests   {}\ntokens     about {} read, at most {} written\ncost       {cost}\ntime       {time}\n\none prompt:\n\n{}\n",
        plan.sentences,
        plan.requests,
        plan.read,
        plan.written,
        plan.prompt.lines().map(|line| visible(line).text).collect::<Vec<_>>().join("\n")
    ))?;
    say("nothing was sent");
    Ok(Exit::Done)
}

pub(super) fn show_egress(project: &Project, json: bool, limit: usize) -> Result<Exit, Failure> {
    let store = project.store_to_read(&mut say)?;
    if json {
        for row in egress::records(&store, usize::MAX >> 1)? {
            print_json_line(&serde_json::json!(row))?;
        }
        return Ok(Exit::Done);
    }
    let totals = egress::totals(&store)?;
    if totals.is_empty() {
        say("nothing has left this machine");
    }
    for total in totals {
        let what = if total.loopback { "on this machine" } else { "LEFT this machine" };
        print(&format!(
            "{}\t{what}\t{}\t{} requests\t{} bytes\n",
            total.host, total.purpose, total.requests, total.bytes
        ))?;
    }
    for row in egress::records(&store, limit)? {
        print(&format!(
            "{}\t{}\t{}\t{}\t{} sentences\t{} bytes\t{}\n",
            when(row.at.0),
            row.host,
            row.purpose,
            row.run.as_deref().unwrap_or("-"),
            row.sentences.len(),
            row.bytes,
            visible(&row.outcome).text
        ))?;
    }
    Ok(Exit::Done)
}

fn when(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds)
        .map_or_else(|_| String::new(), |t| t.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

pub(super) fn runs(project: &Project, verb: Option<RunsVerb>) -> Result<Exit, Failure> {
    let mut store = project.store_to_read(&mut say)?;
    match verb {
        None => {
            for run in store.runs()? {
                let when = when(run.started.0);
                let said = said(&run);
                print(&format!(
                    "{}\t{when}\t{}\t{:?}\t{}\t{said}\n",
                    run.id,
                    run.kind,
                    run.outcome,
                    visible(&run.model).text
                ))?;
            }
        }
        Some(RunsVerb::Show { run }) => {
            let run = runs::find(&store, &run)?;
            let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
            let failures: Vec<serde_json::Value> = store
                .failures(&run.id)?
                .into_iter()
                .map(|f| {
                    // What a model said is not shown before a blind decision, also where it could not be used.
                    let shown = project.viewer(Face::Report).shown(store.facts(f.sentence, &project.annotator)?);
                    let reply = shown.machines.then_some(f.reply);
                    Ok(serde_json::json!({ "sentence": f.sentence, "fault": f.fault, "reply": reply }))
                })
                .collect::<Result<_, WorkflowError>>()?;
            let shown = serde_json::json!({
                "id": run.id, "kind": run.kind, "model": run.model, "taxonomy": run.taxonomy, "started": when(run.started.0),
                "finished": run.finished.map(|t| when(t.0)), "outcome": run.outcome, "scores": parse(&run.scores),
                "config": runs::configuration(project, &store, &run)?, "failures": failures,
            });
            print(&format!("{shown:#}\n"))?;
        }
        Some(RunsVerb::Diff { before, after, json, show }) => {
            let (before, after) = (runs::find(&store, &before)?, runs::find(&store, &after)?);
            let diff = runs::diff(project, &store, &before, &after)?;
            let read: Vec<SentenceId> = diff.flips.iter().map(|flip| flip.sentence).collect();
            say_unrecorded(access::sentences(project, &mut store, Access::Printed, &read)?);
            if json {
                print_json(&serde_json::json!(diff))?;
            } else {
                print_diff(project, &before, &after, &diff, show)?;
            }
        }
    }
    Ok(Exit::Done)
}

/// What a run came to, in a word.
fn said(run: &Run) -> String {
    let scores = serde_json::from_str::<serde_json::Value>(&run.scores).unwrap_or_default();
    let number = |key: &str| scores.get(key).and_then(serde_json::Value::as_f64);
    match run.kind {
        RunKind::Train | RunKind::Experiment => {
            number("macro_f1").map_or_else(String::new, |f1| format!("macro-F1 {:.1}", 100.0 * f1))
        }
        RunKind::Label | RunKind::Screen => number("labelled").map_or_else(String::new, |n| format!("{n} labelled")),
        RunKind::Doubt => number("doubted").map_or_else(String::new, |n| format!("{n} labels in doubt")),
        RunKind::Generate => number("passed").map_or_else(String::new, |n| format!("{n} passed")),
        RunKind::Queue => number("ranked").map_or_else(String::new, |n| format!("{n} sentences ranked")),
        RunKind::Assign => number("given").map_or_else(String::new, |n| format!("{n} assigned")),
        RunKind::Merge => number("new").map_or_else(String::new, |n| format!("{n} new events")),
    }
}

fn print_diff(
    project: &Project,
    before: &Run,
    after: &Run,
    diff: &runs::RunDiff,
    show: usize,
) -> Result<(), WorkflowError> {
    let mut out = format!(
        "before  {}  {}\nafter   {}  {}\n{} sentences in both, the same label on {} %, kappa {}\n",
        before.id,
        visible(&before.model).text,
        after.id,
        visible(&after.model).text,
        diff.sentences,
        percent(diff.agreement),
        diff.kappa.map_or_else(|| "n/a".into(), |k| format!("{k:.3}"))
    );
    if diff.task == Task::Binary {
        out.push_str("compared in whether any category applies: one of them says no more\n");
    }
    for (name, a, b) in &diff.settings {
        out.push_str(&format!("  {name}: {} -> {}\n", visible(a).text, visible(b).text));
    }
    out.push_str(&format!(
        "\n{:<28} {:>7} {:>7} {:>7} {:>10} {:>9}\n",
        "category", "before", "after", "both", "F1 before", "F1 after"
    ));
    for c in &diff.categories {
        out.push_str(&format!(
            "{:<28} {:>7} {:>7} {:>7} {:>10} {:>9}\n",
            c.category,
            c.before,
            c.after,
            c.both,
            percent(c.f1_before),
            percent(c.f1_after)
        ));
    }
    let taxonomy = &project.taxonomy;
    let flipped = diff.flips.len() + diff.withheld;
    if flipped > 0 {
        out.push_str(&format!("\n{flipped} flipped\n"));
    }
    if diff.withheld > 0 {
        out.push_str(&format!("  {}\n", withheld_from(project, diff.withheld, "sentence")));
    }
    for flip in diff.flips.iter().take(show) {
        let gold = flip.gold.as_ref().map_or_else(String::new, |g| format!(" (gold: {})", taxonomy.describe(g)));
        out.push_str(&format!(
            "  {} -> {}{gold}: {}\n",
            taxonomy.describe(&flip.before),
            taxonomy.describe(&flip.after),
            visible(&flip.text).text
        ));
    }
    print(&out)
}

pub(super) fn generate(project: &Project, args: &GenerateArgs) -> Result<Exit, Failure> {
    let file = &project.file.generate;
    let model = model(project, &args.model, &file.model)?;
    let settings = GenerateSettings {
        per_category: args.per_category.unwrap_or(file.per_category).max(1),
        quota: args.quota.map_or(file.quota, |quota| match quota {
            QuotaArg::Equal => Quota::Equal,
            QuotaArg::Gold => Quota::Gold,
            QuotaArg::Inverse => Quota::Inverse,
        }),
        seed: args.seed.unwrap_or(file.seed),
        ..file.clone()
    };
    let categories = args.categories.iter().map(|word| project.taxonomy.find(word)).collect::<Result<Vec<_>, _>>();
    let options = generate::GenerateOptions {
        budget: budget(&args.budget, &model)?,
        model,
        settings,
        categories: categories.map_err(WorkflowError::from)?,
        fresh: args.fresh,
    };
    let mut store = if args.plan { project.store_to_read(&mut say)? } else { project.store()? };
    if args.plan {
        let (quotas, prompt, unrecorded) = generate::forecast(project, &mut store, &options)?;
        say_unrecorded(unrecorded);
        for (key, quota) in &quotas {
            print(&format!("{}\t{quota}\n", key.as_ref().map_or("none", |key| key.as_str())))?;
        }
        let prompt: Vec<String> = prompt.lines().map(|line| visible(line).text).collect();
        print(&format!("\none prompt:\n\n{}\n", prompt.join("\n")))?;
        say("nothing was sent");
        return Ok(Exit::Done);
    }
    let cancel = cancel_on_signal();
    let bar = Bar::default();
    let report = generate::generate(Session::new(project, &mut store, &cancel, &mut |p| bar.show(p)), &options)?;
    for target in &report.targets {
        let given_up = if target.given_up { ", given up" } else { "" };
        say(&format!(
            "{:<28} {:>5} of {} passed, {} written{given_up}",
            target.key.as_ref().map_or("none", |key| key.as_str()),
            target.passed,
            target.quota,
            target.written
        ));
    }
    for (check, n) in &report.failed_checks {
        say(&format!("did not pass {check}: {n}"));
    }
    say(&format!("run {} by {}; {}", report.run, report.model, spent(&report.spending, report.unusable)));
    let passed: usize = report.targets.iter().map(|target| target.passed).sum();
    Ok(ended(report.ended, passed == 0))
}

pub(super) fn bronze(project: &Project, run: Option<&str>, json: bool) -> Result<Exit, Failure> {
    let store = project.store_to_read(&mut say)?;
    let run = run.map(|word| runs::find(&store, word)).transpose()?;
    let (found, left_out) = generate::compare_with_real(project, &store, run.as_ref().map(|run| &run.id))?;
    if json {
        print_json(&serde_json::json!({ "comparison": found, "left_out": left_out }))?;
        return Ok(Exit::Done);
    }
    let number = |value: Option<f64>| value.map_or_else(|| "n/a".to_owned(), |v| format!("{v:.3}"));
    let mut out = format!("{:<34} {:>10} {:>10}\n", "", "real", "bronze");
    let mut row = |name: &str, of: &dyn Fn(&Profile) -> String| {
        out.push_str(&format!("{name:<34} {:>10} {:>10}\n", of(&found.real), of(&found.bronze)));
    };
    row("sentences", &|p| p.sentences.to_string());
    row("words", &|p| p.words.to_string());
    row("vocabulary", &|p| p.vocabulary.to_string());
    row("words in a sentence, mean", &|p| number(p.lengths.as_ref().map(|l| l.mean)));
    row("words in a sentence, deviation", &|p| number(p.lengths.as_ref().map(|l| l.sd)));
    row("words in a sentence, median", &|p| {
        p.lengths.as_ref().map_or_else(|| "n/a".to_owned(), |l| l.quantiles[l.quantiles.len() / 2].to_string())
    });
    for n in 0..3 {
        row(&format!("distinct-{} (on {} sentences)", n + 1, found.bronze.distinct_on), &|p| number(p.distinct[n]));
    }
    row(&format!("self-BLEU-4 (on {} sentences)", found.bronze.self_bleu_on), &|p| number(p.self_bleu));
    out.push_str(&format!(
        "\nbronze words that real notes have    {:>7}\nvocabulary in common (Jaccard)       {:>7}\nlengths apart (Kolmogorov-Smirnov)   {:>7}\ncategories apart (Jensen-Shannon)    {:>7}\n",
        number(found.vocabulary_share),
        number(found.vocabulary_jaccard),
        number(found.length_ks),
        number(found.label_divergence)
    ));
    print(&out)?;
    if left_out > 0 {
        say(&format!(
            "{left_out} sentences that did not pass, or that an expert discarded, are not in this comparison"
        ));
    }
    Ok(Exit::Done)
}
