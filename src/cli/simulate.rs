//! `goldsmith simulate`: learning curves of orders, a labelled set playing the expert.

use super::arguments::SimulateArgs;
use super::output::print;
use super::{Bar, Exit, Failure, cancel_on_signal, say};
use crate::domain::acquisition::{Strategy, StrategyMix};
use crate::formats::project::training::TrainSettings;
use crate::formats::{replace, simulation};
use crate::workflow::WorkflowError;
use crate::workflow::project::Project;
use crate::workflow::refusal::Refusal;
use crate::workflow::simulate::{Data, SimulateOptions, Simulated, simulate};

pub(super) fn run(here: impl FnOnce() -> Result<Project, WorkflowError>, args: SimulateArgs) -> Result<Exit, Failure> {
    let mut train = TrainSettings::default();
    let mut usual = StrategyMix::usual();
    let SimulateArgs { train: played, test: scored, columns, .. } = &args;
    let data = match (played, scored) {
        (Some(train), Some(test)) => {
            Data::Files { train: train.clone(), test: test.clone(), columns: columns.clone().into() }
        }
        _ => {
            let project = here()?;
            train = project.file.train.clone();
            usual = project.file.queue.order.clone();
            Data::Project(Box::new(project))
        }
    };
    if let Some(method) = args.method {
        train = train.of(method.into());
    }
    if let Some(encoder) = &args.encoder {
        train.encoder = super::encoder_argument(encoder);
    }
    let options = SimulateOptions {
        train,
        mixes: mixes(args.strategies.as_deref(), &usual)?,
        seeds: args.seeds,
        start: args.start,
        batch: args.batch,
        most: args.labels,
        share: args.share,
        stop: args.until_reached,
        experts: args.experts.clone(),
    };
    let (cancel, bar) = (cancel_on_signal(), Bar::default());
    let done = simulate(&data, &options, &cancel, &mut |progress| bar.show(progress))?;
    if let Some(path) = &args.csv {
        replace(path, &simulation::csv(&done.report))?;
    }
    if let Some(path) = &args.json {
        replace(path, &format!("{:#}\n", json(&done)))?;
    }
    print(&format!("{}\n{}", head(&done), simulation::table(&done.report)))?;
    if done.stopped {
        say(&format!("stopped: {} of {} games were finished", done.report.games.len(), done.report.planned));
        return Ok(Exit::Stopped);
    }
    Ok(Exit::Done)
}

/// The orders asked for; `mix` is the project's own.
fn mixes(asked: Option<&[String]>, usual: &StrategyMix) -> Result<Vec<StrategyMix>, WorkflowError> {
    let Some(asked) = asked else {
        let random = StrategyMix::of(Strategy::Random);
        return Ok(if *usual == random { vec![random] } else { vec![random, usual.clone()] });
    };
    let one = |text: &String| match text.as_str() {
        "mix" => Ok(usual.clone()),
        other => other.parse().map_err(|error| Refusal::invalid("--strategies", "--strategies").because(error).into()),
    };
    asked.iter().map(one).collect()
}

/// What was played, in words.
fn head(done: &Simulated) -> String {
    let (plan, report) = (&done.plan, &done.report);
    let full = report.orders.first().and_then(|order| order.full).map_or(0.0, |full| full.mean * 100.0);
    let experts = match (plan.protocol.experts.len(), plan.protocol.overlap) {
        (1, _) => String::new(),
        (n, overlap) => {
            format!("; {n} experts, {overlap} for each sentence, gold by {:?}", plan.protocol.policy).to_lowercase()
        }
    };
    format!(
        "{} sentences to label, {} to score on, {}{experts}; {} seeds, {} sentences to start with, {} at a time\n\
         labels until macro-F1 first reaches {:.0} % of that of all labels ({full:.1}); ± is Student's 95 % interval over seeds\n",
        report.rows,
        done.test,
        done.model,
        plan.seeds.len(),
        plan.start,
        plan.batch,
        plan.share * 100.0,
    )
}

fn json(done: &Simulated) -> serde_json::Value {
    serde_json::json!({
        "model": done.model, "test": done.test, "plan": done.plan, "stopped": done.stopped, "report": done.report,
    })
}
