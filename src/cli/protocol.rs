//! `goldsmith assign` and `goldsmith status`: who decides on what, and how far all have come.

use super::arguments::{AssignArgs, StatusArgs};
use super::output::{print, print_json};
use super::{Exit, Failure, say};
use crate::domain::statistics::Proportion;
use crate::domain::text::visible;
use crate::workflow::project::Project;
use crate::workflow::protocol::{self, AnnotatorStatus};

pub(super) fn assign(project: &Project, args: &AssignArgs) -> Result<Exit, Failure> {
    let mut store = if args.plan { project.store_to_read(&mut say)? } else { project.store()? };
    let done = protocol::assign(project, &mut store, args.plan)?;
    if args.json {
        print_json(&serde_json::json!(done))?;
        return Ok(Exit::Done);
    }
    let mut out = format!("{:<24} {:>9} {:>9}\n", "expert", "has", "new");
    for (who, has, new) in &done.experts {
        out.push_str(&format!("{:<24} {has:>9} {new:>9}\n", visible(&who.0).text));
    }
    print(&out)?;
    if done.calibration > 0 {
        say(&format!("{} calibration sentences go to everyone and come first", done.calibration));
    }
    if done.taken_back > 0 {
        say(&format!("{} undecided sentences of people no longer named go to others", done.taken_back));
    }
    say(if args.plan {
        "nothing was assigned; run it without --plan to assign"
    } else {
        "experts find theirs in the workbench: goldsmith --as NAME; `goldsmith status` shows everyone's progress"
    });
    Ok(Exit::Done)
}

pub(super) fn status(project: &Project, args: &StatusArgs) -> Result<Exit, Failure> {
    let status = protocol::status(project, &project.store_to_read(&mut say)?)?;
    if args.json {
        print_json(&serde_json::json!(status))?;
        return Ok(Exit::Done);
    }
    let mut out = format!(
        "{:<14} {:>7} {:>7} {:>6} {:>9} {:>10} {:>10} {:>8}\n",
        "expert", "decided", "left", "pace", "time left", "as others", "as silver", "as self"
    );
    for expert in &status.experts {
        out.push_str(&line(expert));
    }
    print(&out)?;
    say(&format!(
        "{} sentences; {} gold, {} disputed, {} settled by adjudicators",
        status.sentences, status.gold, status.disputed, status.settled
    ));
    if status.experts.iter().any(|expert| expert.calibration.0 < expert.calibration.1) {
        let rows = status.experts.iter().filter(|expert| expert.calibration.1 > 0);
        let rows: Vec<String> = rows
            .map(|e| format!("{} {} of {}", visible(&e.annotator.0).text, e.calibration.0, e.calibration.1))
            .collect();
        say(&format!("calibration: {}", rows.join(", ")));
    }
    for (label, count) in status.unknown.iter().take(20) {
        say(&format!(
            "warning: {count} times `{}` is no label of this project's guideline, and no gold; where it is a category of another name, \
             say `was = [\"...\"]` in it and run `goldsmith taxonomy migrate`",
            label.join()
        ));
    }
    if status.disputed > 0 {
        say("disputed sentences are on the workbench's Adjudicate screen");
    }
    Ok(Exit::Done)
}

fn line(expert: &AnnotatorStatus) -> String {
    let left = expert.given.saturating_sub(expert.decided);
    let pace = expert.pace.map_or_else(|| "-".to_owned(), |ms| format!("{:.1} s", f64::from(ms) / 1000.0));
    let time = expert.pace.map_or_else(
        || "-".to_owned(),
        |ms| {
            let minutes = u64::from(ms) * left / 60_000;
            if minutes < 120 { format!("{minutes} min") } else { format!("{} h", minutes / 60) }
        },
    );
    let share = |proportion: Option<Proportion>| {
        proportion
            .and_then(|p| Some(format!("{:.0} % /{}", 100.0 * p.share?, p.whole)))
            .unwrap_or_else(|| "-".to_owned())
    };
    let own = expert.earlier.as_ref().and_then(|earlier| earlier.raw.value());
    let own = own.map_or_else(|| "-".to_owned(), |raw| format!("{:.0} %", 100.0 * raw));
    let name = visible(&expert.annotator.0).text;
    let name = if expert.named { name } else { format!("({name})") };
    format!(
        "{name:<14} {:>7} {:>7} {pace:>6} {time:>9} {:>10} {:>10} {own:>8}\n",
        expert.decided,
        if expert.named { left.to_string() } else { "-".to_owned() },
        share(expert.others),
        share(expert.silver)
    )
}
