//! `goldsmith taxonomy versions` and `diff`: the guideline as it was and as it is.

use super::output::{print, print_json};
use super::{Exit, Failure, say};
use crate::domain::category::CategoryKey;
use crate::domain::guideline::{GuidelineChange, GuidelinePart};
use crate::domain::text::{listed, visible};
use crate::workflow::guideline;
use crate::workflow::project::Project;

pub(super) fn versions(project: &Project) -> Result<Exit, Failure> {
    let store = project.store_to_read(&mut say)?;
    let mut out = format!("{:<14} {:<17} {:>8}\n", "version", "used since", "labels");
    for version in guideline::versions(project, &store)? {
        let since = jiff::Timestamp::from_millisecond(version.since.0).unwrap_or_default();
        let current = if version.current { "  in use" } else { "" };
        let (hash, since) = (&version.hash[..version.hash.len().min(12)], since.strftime("%Y-%m-%d %H:%M"));
        out.push_str(&format!("{hash:<14} {since:<17} {:>8}{current}\n", version.labels));
    }
    print(&out)?;
    Ok(Exit::Done)
}

pub(super) fn diff(project: &Project, before: Option<&str>, after: Option<&str>, json: bool) -> Result<Exit, Failure> {
    let compared = guideline::compare(project, &project.store_to_read(&mut say)?, before, after)?;
    if json {
        print_json(&serde_json::json!(compared))?;
        return Ok(Exit::Done);
    }
    let name = |hash: &str| if hash.len() == 64 { hash[..12].to_owned() } else { hash.to_owned() };
    let mut out =
        format!("--- {}\n+++ {}\n", visible(&name(&compared.before)).text, visible(&name(&compared.after)).text);
    for change in &compared.changes {
        out.push_str(&said(change));
    }
    print(&out)?;
    if compared.changes.is_empty() {
        say("the same guideline");
    }
    if compared.outdated > 0 {
        say(&format!(
            "{} decisions were made under a guideline whose meaning has changed since; in the workbench `/outdated` shows each expert theirs",
            compared.outdated
        ));
    }
    Ok(Exit::Done)
}

/// A change in words, with the lines that it takes away and adds.
pub(super) fn said(change: &GuidelineChange) -> String {
    let lines = |before: &[String], after: &[String]| -> String {
        let signed = |sign: char, line: &String| format!("  {sign} {}\n", visible(line).text.replace('\n', " "));
        before.iter().map(|line| signed('-', line)).chain(after.iter().map(|line| signed('+', line))).collect()
    };
    let meaning = |part: GuidelinePart| if part.changes_meaning() { "" } else { " (no change of meaning)" };
    match change {
        GuidelineChange::Added(key) => format!("new category {key}\n"),
        GuidelineChange::Removed(key) => format!("category {key} is gone\n"),
        GuidelineChange::Renamed { from, to } => format!("{from} is now {to}\n"),
        GuidelineChange::Merged { from, into } => format!("{} are now one: {into}\n", listed(from)),
        GuidelineChange::Split { from, into } => format!("{from} is now {}\n", listed(into)),
        GuidelineChange::Changed { category, part, before, after } => {
            let category = category.as_ref().map_or("None", CategoryKey::as_str);
            format!("{category}, {}{}\n{}", part.word(), meaning(*part), lines(before, after))
        }
        GuidelineChange::Rules { before, after } => format!("rules\n{}", lines(before, after)),
        GuidelineChange::Selection => "how many categories a sentence may carry\n".to_owned(),
    }
}
