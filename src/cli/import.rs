//! `import`: notes and labels in, what became of them in words, and what would become of them.

use super::arguments::ImportArgs;
use super::output::{print, print_json};
use super::{Bar, Exit, Failure, cancel_on_signal, say};
use crate::domain::text::visible;
use crate::formats::tables::counted;
use crate::workflow::import::plan::{self, FilePlan, ImportPlan};
use crate::workflow::import::{self, Changed, Examples, ImportOptions, ImportSummary};
use crate::workflow::project::Project;
use crate::workflow::session::Session;

pub(super) fn run(project: &Project, args: ImportArgs) -> Result<Exit, Failure> {
    let (planned, as_json) = (args.plan, args.json);
    let options = args.into();
    if !planned {
        return bring_in(project, &options);
    }
    let plan = plan::plan(project, &options, &cancel_on_signal())?;
    if as_json {
        print_json(&serde_json::json!(plan))?;
    } else {
        print(&in_words(&plan))?;
    }
    say("nothing was written; without --plan it is done");
    Ok(Exit::unless_nothing(plan.files.iter().all(|file| file.records == 0)))
}

fn bring_in(project: &Project, options: &ImportOptions) -> Result<Exit, Failure> {
    let mut store = project.store()?;
    let cancel = cancel_on_signal();
    let bar = Bar::default();
    let report = import::import(Session::new(project, &mut store, &cancel, &mut |p| bar.show(p)), options)?;
    for (file, recognised) in report.recognised.iter().take(10) {
        say(&format!("read {} as {recognised}", file.display()));
    }
    say(&format!(
        "{} new notes with {} sentences; {} were there already",
        report.documents, report.sentences, report.known
    ));
    say_labels(&report);
    say_notes(&report, options);
    for (kind, (count, first)) in &report.passed_over {
        say(&format!("warning: {count} not read: {kind} (such as {})", first.display()));
    }
    for (file, line, message) in &report.bad_shown {
        say(&format!("warning: {}:{line}: {message}", file.display()));
    }
    if report.bad > 0 {
        say(&format!("warning: {} bad records were left out", report.bad));
        if report.came_to_nothing() {
            say("hint: where the text has an unusual name, --text-column says which");
        }
    }
    if report.cancelled {
        say("stopped; run the same command again to resume");
        return Ok(Exit::Stopped);
    }
    Ok(Exit::unless_nothing(report.came_to_nothing()))
}

fn say_labels(report: &ImportSummary) {
    if report.labels + report.known_labels > 0 {
        say(&format!("{} labels taken in; {} were there already", report.labels, report.known_labels));
    }
    if report.loose_labels > 0 {
        say(&format!("{} of them are written otherwise than key or name, in case or space", report.loose_labels));
    }
    if report.numbered_labels > 0 {
        say(&format!("{} of them are numbers: a category's place on the screen, from 1", report.numbered_labels));
    }
    for (label, count) in report.unknown_labels.iter().take(20) {
        say(&format!(
            "warning: {count} times `{label}` is no label of this taxonomy; those records came in without label"
        ));
    }
    if report.unknown_labels.len() > 20 {
        say(&format!("warning: {} more are no labels of this taxonomy", report.unknown_labels.len() - 20));
    }
}

/// One line of at most so many characters.
fn short(text: &str) -> String {
    const MOST: usize = 72;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}...", visible(&line[..at]).text),
        None => visible(&line).text,
    }
}

fn in_words(plan: &ImportPlan) -> String {
    let mut said: String = plan.files.iter().map(file_in_words).collect();
    let mut line = |text: String| said.push_str(&(text + "\n"));
    for (kind, (count, first)) in &plan.passed_over {
        line(format!("{count} not read: {kind} (such as {})", first.display()));
    }
    if !plan.labels.is_empty() {
        let by = plan.labels_by.as_ref().map_or_else(String::new, |by| format!(" of {by}"));
        line(format!("labels{by}, as written:"));
        for label in plan.labels.iter().take(50) {
            let says = label.says.as_deref().unwrap_or("unknown: such a record comes in without label");
            line(format!("  {:>7}  {}  =  {says}", label.count, short(&label.written)));
        }
        if plan.labels.len() > 50 {
            line(format!("           and {} more", plan.labels.len() - 50));
        }
    }
    if let Some(why) = &plan.refused {
        line(format!("as it stands this would be refused: {why}"));
    }
    line(format!(
        "patients: {}; {} records name none and count as patients of their own",
        plan.patients, plan.without_patient
    ));
    let splits = plan.splits.iter().map(|of| format!("{} {} ({} records)", of.split, of.patients, of.records));
    line(format!("splits, by patient: {}", splits.collect::<Vec<_>>().join(", ")));
    let names = |of: &Examples| if of.count == 0 { String::new() } else { format!(" ({})", of.first.join(", ")) };
    line(format!("here already: {}; twice in these files: {}", plan.known, plan.repeated));
    for (what, of) in [
        ("here under the same id with another text", &plan.other_text),
        ("word for word one that is here under another id", &plan.other_id),
        ("here without a patient", &plan.other_patient),
    ] {
        if of.count > 0 {
            line(format!("{what}: {}{}", of.count, names(of)));
        }
    }
    said
}

fn file_in_words(file: &FilePlan) -> String {
    let separator = file.separator.as_ref().map_or_else(String::new, |by| format!(", cells between {by}"));
    let mut said = format!("{}\n  {}, {}{separator}\n", file.file.display(), file.kind, file.encoding);
    if !file.columns.is_empty() {
        let uses =
            file.columns.iter().map(|of| format!("{}: {}", visible(&of.column).text, of.taken_for.unwrap_or("-")));
        said.push_str(&format!("  columns  {}\n", uses.collect::<Vec<_>>().join(", ")));
    }
    said.push_str(&format!(
        "  records  {} ({} sentences, {} with a label)\n",
        file.records, file.sentences, file.labels
    ));
    if file.in_error > 0 {
        said.push_str(&format!("  left out {}, written in error\n", file.in_error));
    }
    if let Some(by) = &file.mimic {
        said.push_str(&format!("  MIMIC    by {}\n", visible(by).text));
    }
    if file.bad > 0 {
        said.push_str(&format!("  bad      {}\n", file.bad));
        for (line, message) in &file.bad_shown {
            said.push_str(&format!("    line {line}: {}\n", short(message)));
        }
    }
    for record in &file.first {
        let patient = record.patient.as_ref().map_or("no patient".into(), |patient| short(patient));
        let label = record.label.as_ref().map_or_else(String::new, |label| format!(" [{}]", short(label)));
        said.push_str(&format!(
            "    line {}: {}, {patient}{label}: {}\n",
            record.line,
            short(&record.id),
            short(&record.text)
        ));
    }
    said
}

fn say_notes(report: &ImportSummary, options: &ImportOptions) {
    let names = |of: &Examples| format!("{}{}", of.first.join(", "), if of.count > 5 { ", ..." } else { "" });
    if report.other_text.count > 0 {
        let what = counted(report.other_text.count as usize, "note");
        let names = names(&report.other_text);
        say(&match options.changed {
            Changed::Leave => format!(
                "warning: {what} left out: here under the same id with another text ({names}); --changed add takes them as notes of their own"
            ),
            Changed::Add => format!("warning: {what} came in beside another text of the same id ({names})"),
        });
    }
    if report.other_id.count > 0 {
        let what = counted(report.other_id.count as usize, "new note");
        say(&format!(
            "warning: {what} word for word one of the same patient under another id ({})",
            names(&report.other_id)
        ));
    }
    if report.other_patient.count > 0 {
        let what = counted(report.other_patient.count as usize, "note");
        say(&format!(
            "warning: {what} here already without a patient, and so it stays ({})",
            names(&report.other_patient)
        ));
    }
    if report.in_error > 0 {
        say(&format!(
            "{} left out: the file says that they were written in error",
            counted(report.in_error as usize, "note")
        ));
    }
    if report.without_patient > 0 {
        say(&format!(
            "warning: {} records name no patient; each counts as a patient of its own, so a patient's notes may fall in train and test (--patient-column names a column, --patient-from folder, file or a pattern says where in a file's path it stands)",
            report.without_patient
        ));
    }
    if let Some((file, by)) = &report.mimic {
        say(&format!(
            "{} holds notes of MIMIC, known by {by}: PhysioNet's terms keep them from ordinary services, so no text of this project leaves this machine unless [privacy] says data_use = \"agreed hosts\" and names the host",
            file.display()
        ));
    }
}
