//! `goldsmith taxonomy rename`, `merge`, `split`, `undo` and `migrate`: what it would do, and with `--yes` that it is done.

use super::arguments::MigrationArgs;
use super::guideline::said;
use super::output::{print, print_json};
use super::{Exit, Failure, say};
use crate::domain::guideline::GuidelineChange;
use crate::domain::taxonomy::Taxonomy;
use crate::domain::text::{listed, visible};
use crate::formats::tables::counted;
use crate::workflow::migration::{self, LabelReading, MigrationPlan, MigrationRequest};
use crate::workflow::project::Project;

/// Shows a change, and makes it if that is asked for.
pub(super) fn run(project: &Project, how: MigrationArgs, request: &MigrationRequest) -> Result<Exit, Failure> {
    let plan = migration::plan(project, request)?;
    if how.yes {
        migration::apply(project, &plan)?;
    }
    if how.json {
        print_json(&serde_json::json!({ "plan": plan, "done": how.yes }))?;
    } else {
        print(&text(project, &plan))?;
    }
    for line in &plan.lost {
        say(&format!("written since, and gone then: {line}"));
    }
    if plan.unsure > 0 {
        say(&format!(
            "{} given since may belong to what was merged: they stay as they are, and `/outdated` shows them to each expert",
            counted(plan.unsure as usize, "label")
        ));
    }
    if !how.yes {
        say("nothing was changed; run it again with --yes to do it");
        return Ok(Exit::Done);
    }
    say(&format!("done: {} and the log say so; `goldsmith taxonomy undo` undoes it", project.file.taxonomy.display()));
    match plan.reopened() {
        0 => {}
        open => say(&format!("{} to be decided again, each by whoever decided it", counted(open as usize, "label"))),
    }
    for change in &plan.changes {
        match change {
            GuidelineChange::Split { into, .. } => {
                say(&format!(
                    "next: write in the taxonomy file what distinguishes {}; for now their definitions are the same",
                    listed(into)
                ));
            }
            GuidelineChange::Merged { into, .. } => {
                say(&format!("next: check in the taxonomy file that {into} is defined as it should be"));
            }
            _ => {}
        }
    }
    for line in &plan.stale {
        say(&format!("next: the guideline mentions a category that no longer exists: \"{line}\""));
    }
    say("restart any open workbench: until then it saves no decision; train the classifiers again");
    Ok(Exit::Done)
}

fn text(project: &Project, plan: &MigrationPlan) -> String {
    let mut out: String = plan.changes.iter().map(said).collect();
    if plan.moves.is_empty() {
        return out + "no label changes its meaning\n";
    }
    let called = |reading: &LabelReading, taxonomy: &Taxonomy| match reading {
        LabelReading::Label(label) => visible(&taxonomy.describe(label)).text,
        LabelReading::Open => "open again".to_owned(),
        LabelReading::Unknown(label) => format!("{} (not in the guideline)", label.join()),
    };
    let rows: Vec<(String, String)> =
        plan.moves.iter().map(|m| (called(&m.from, &project.taxonomy), called(&m.to, &plan.taxonomy))).collect();
    let wide = |column: fn(&(String, String)) -> &String, least: usize| {
        rows.iter().map(|row| column(row).chars().count()).fold(least, usize::max)
    };
    let (from, to) = (wide(|row| &row.0, 10), wide(|row| &row.1, 10));
    out += &format!(
        "\n{:<from$}  {:<to$} {:>8} {:>12} {:>9} {:>8}\n",
        "label now", "read as", "experts", "adjudicators", "machines", "bronze"
    );
    for (row, m) in rows.iter().zip(&plan.moves) {
        out += &format!(
            "{:<from$}  {:<to$} {:>8} {:>12} {:>9} {:>8}\n",
            row.0, row.1, m.experts, m.adjudicators, m.machines, m.written
        );
    }
    out
}
