//! `goldsmith audit`: whether the log holds, and what it says, for people, as CSV and as JSON.

use std::io::Write;
use std::path::Path;

use super::arguments::AuditArgs;
use super::output::{StandardOutput, print, print_json_line};
use super::{Exit, Failure, say, say_unrecorded};
use crate::domain::category::CategoryKey;
use crate::domain::corpus::SentenceId;
use crate::domain::entry::{Body, Judged};
use crate::domain::key_map::TaxonomyMigration;
use crate::domain::label::{Annotator, EntryId};
use crate::domain::person::PersonChange;
use crate::domain::sight::{Cue, InSight};
use crate::domain::text::visible;
use crate::formats::tables::{counted, csv_rows};
use crate::formats::{FormatError, write_whole};
use crate::workflow::access::{self, AccessRow};
use crate::workflow::anchor::AnchorAudit;
use crate::workflow::audit::{self, AuditReport, LogFilter, LoggedText};
use crate::workflow::project::Project;
use crate::workflow::{WorkflowError, iso};

/// So many faults are written out; the rest are counted.
const FAULTS_SHOWN: usize = 50;
/// Rows of CSV that are written at once.
const ROWS_AT_ONCE: usize = 1_000;

pub(super) fn audit(project: &Project, args: &AuditArgs) -> Result<Exit, Failure> {
    // Also where the guideline and the log differ: that is when it is asked for.
    let mut store = project.store_to_audit(&mut say)?;
    let filter = LogFilter {
        annotator: args.annotator.clone().map(Annotator),
        sentence: args.sentence.map(SentenceId),
        since: args.since.as_deref().map(audit::moment).transpose()?,
        by_sentence: args.by_sentence,
    };
    if args.access {
        return who_read(project, &filter, args.json);
    }
    if args.with_text && (args.log || args.csv.is_some()) {
        say_unrecorded(audit::read_texts(project, &mut store, &filter)?);
    }
    let verdict = audit::look(project, &mut store, args.expect.as_deref())?;
    if args.json {
        print_json_line(&json(&verdict))?;
        if args.log {
            audit::log(project, &filter, args.with_text, &mut |entry| print_json_line(&json_of(&entry)))?;
        }
    } else if let Some(path) = &args.csv {
        let written = if path == Path::new("-") {
            let mut out = StandardOutput::new();
            table(project, &filter, args.with_text, Path::new("standard output"), &mut out)?
        } else {
            write_whole(path, |file| table(project, &filter, args.with_text, path, file))?
        };
        say(&format!("{} written as CSV", counted(written as usize, "event")));
        say(&text(&verdict));
    } else {
        if args.log {
            audit::log(project, &filter, args.with_text, &mut |entry| print(&line(project, &entry)))?;
            print("\n")?;
        }
        print(&text(&verdict))?;
    }
    Ok(if verdict.wrong.is_empty() { Exit::Done } else { Exit::Refused })
}

/// Notes of one reading that are named on a line.
const NOTES_SHOWN: usize = 8;

fn who_read(project: &Project, filter: &LogFilter, json: bool) -> Result<Exit, Failure> {
    let mut readings = 0;
    access::each(project, filter.annotator.as_ref(), filter.since, &mut |row: AccessRow| {
        readings += 1;
        let AccessRow { at, person, how, notes } = row;
        if json {
            return print_json_line(&serde_json::json!({
                "time": iso(at), "person": person, "how": how, "notes": notes,
            }));
        }
        let mut named = notes.iter().take(NOTES_SHOWN).cloned().collect::<Vec<_>>().join(", ");
        if notes.len() > NOTES_SHOWN {
            named += &format!(" and {} more; --json has all", notes.len() - NOTES_SHOWN);
        }
        let line = format!("{}  {person} {how} {}: {named}", iso(at), counted(notes.len(), "note"));
        print(&(visible(&line).text + "\n"))
    })?;
    if readings == 0 {
        say("nobody has read a note since this is recorded");
    }
    Ok(Exit::unless_nothing(readings == 0))
}

/// The verdict in words, and what each annotator did.
fn text(verdict: &AuditReport) -> String {
    let mut out = String::new();
    for person in &verdict.people {
        let mut did = vec![counted(person.decisions as usize, "decision")];
        if person.decisions > 0 {
            did.push(format!("{} of them blind", person.blind));
        }
        if person.blind_unknown > 0 {
            did.push(format!("not known for {}", person.blind_unknown));
        }
        if person.settlements > 0 {
            did.push(counted(person.settlements as usize, "settlement"));
        }
        if person.migrations > 0 {
            did.push(counted(person.migrations as usize, "change") + " of categories");
        }
        if person.undos > 0 {
            did.push(format!("{} undone or redone", person.undos));
        }
        if person.from_elsewhere > 0 {
            did.push(format!("{} from other sites", person.from_elsewhere));
        }
        let name = visible(&person.annotator.0).text;
        out += &format!("{name}: {}; {} to {}\n", did.join(", "), iso(person.first), iso(person.last));
    }
    for wrong in verdict.wrong.iter().take(FAULTS_SHOWN) {
        out += &format!("wrong: {}\n", visible(wrong).text);
    }
    if verdict.wrong.len() > FAULTS_SHOWN {
        out += &format!("and {} more; --json has all\n", verdict.wrong.len() - FAULTS_SHOWN);
    }
    let events = counted(verdict.audited.events as usize, "event");
    let seals = counted(verdict.audited.seals as usize, "seal");
    let (head, seal) = (&verdict.audited.last_link, &verdict.audited.last_seal);
    if head.is_empty() && verdict.wrong.is_empty() {
        return out + &format!("the log is empty\nintact: {seals} over all that stands beside it\nlast seal: {seal}\n");
    }
    if verdict.audited.unsigned > 0 {
        let (unsigned, are) = (verdict.audited.unsigned, if verdict.audited.unsigned == 1 { "is" } else { "are" });
        out += &format!("{} {are} not signed by a key that is known here\n", counted(unsigned as usize, "event"));
    }
    if let Some(anchors) = &verdict.anchors {
        out += &match anchors {
            AnchorAudit { missing: true, wrong, .. } if wrong.is_empty() => {
                "warning: the file of anchors that goldsmith.toml names is not there; it is written when next something is\n"
                    .to_owned()
            }
            AnchorAudit { held, others: 0, .. } => format!("{} held\n", counted(*held as usize, "anchor")),
            AnchorAudit { held, others, .. } => {
                format!("{} held; {others} in that file are another project's\n", counted(*held as usize, "anchor"))
            }
        };
    }
    out + &if verdict.wrong.is_empty() {
        format!(
            "intact: {events}, each as it was written, and nothing is missing; {seals} over all that stands beside them\nlast link: {head}\nlast seal: {seal}\nkeep both where no one who can write the store can change them; `goldsmith audit --expect` with either proves later that all up to there is still the same\n"
        )
    } else {
        format!(
            "the store of {events} and {seals} is not as this program wrote it\nlast link: {head}\nlast seal: {seal}\nwhat to do: {}\n",
            visible(&verdict.advice).text
        )
    }
}

fn json(verdict: &AuditReport) -> serde_json::Value {
    let people = verdict.people.iter().map(|person| {
        serde_json::json!({
            "annotator": person.annotator, "decisions": person.decisions, "blind": person.blind, "blind_unknown": person.blind_unknown,
            "settlements": person.settlements, "taken_back_or_restored": person.undos, "changes_of_categories": person.migrations,
            "from_other_sites": person.from_elsewhere, "first": iso(person.first), "last": iso(person.last),
        })
    });
    serde_json::json!({
        "well": verdict.wrong.is_empty(), "events": verdict.audited.events, "last_link": verdict.audited.last_link,
        "unsigned": verdict.audited.unsigned,
        "anchors": verdict.anchors.as_ref().map(|anchors| anchors.held),
        "seals": verdict.audited.seals, "last_seal": verdict.audited.last_seal,
        "wrong": verdict.wrong, "what_to_do": verdict.advice, "annotators": people.collect::<Vec<_>>(),
    })
}

fn json_of(LoggedText { row, text }: &LoggedText) -> serde_json::Value {
    let mut all = serde_json::json!({
        "position": row.position, "id": row.id, "note": row.note, "place": row.place, "sentence": row.sentence,
        "model": row.model, "event": row.entry, "link": row.link,
    });
    if let Some(event) = all["event"].as_object_mut().filter(|_| row.veiled.judgement) {
        event.remove("stand");
    }
    if let (Some(text), Some(map)) = (text, all.as_object_mut()) {
        map.insert("text".into(), text.as_str().into());
    }
    all
}

const COLUMNS: [&str; 22] = [
    "position",
    "event",
    "kind",
    "time",
    "annotator",
    "site",
    "note",
    "sentence",
    "place",
    "label",
    "comment",
    "took_seconds",
    "saw_machine",
    "in_sight",
    "seen_run",
    "seen_model",
    "seen_label",
    "taxonomy",
    "supersedes",
    "target",
    "link",
    "text",
];

fn table(
    project: &Project,
    filter: &LogFilter,
    with_text: bool,
    path: &Path,
    out: &mut dyn Write,
) -> Result<u64, WorkflowError> {
    let columns = if with_text { &COLUMNS[..] } else { &COLUMNS[..COLUMNS.len() - 1] };
    let mut rows: Vec<Vec<String>> = vec![columns.iter().map(|column| (*column).to_owned()).collect()];
    let mut flush = |rows: &mut Vec<Vec<String>>| {
        let written = out.write_all(csv_rows(rows).as_bytes());
        rows.clear();
        written.map_err(|cause| FormatError::Io { doing: "write", path: path.into(), cause })
    };
    let events = audit::log(project, filter, with_text, &mut |entry| {
        let mut row = cells(&entry);
        row.truncate(columns.len());
        rows.push(row);
        if rows.len() >= ROWS_AT_ONCE { Ok(flush(&mut rows)?) } else { Ok(()) }
    })?;
    flush(&mut rows)?;
    out.flush().map_err(|cause| FormatError::Io { doing: "write", path: path.into(), cause })?;
    Ok(events)
}

fn cells(LoggedText { row, text }: &LoggedText) -> Vec<String> {
    let entry = row.entry.as_ref();
    let judged = entry.and_then(|entry| entry.body.judged());
    let seen = judged.and_then(|judged| judged.proposal.as_ref());
    let id = |id: &EntryId| id.0.clone();
    let label = judged.map_or_else(String::new, |judged| match &judged.judgement.label {
        _ if judged.judgement.rejected => "(rejected)".into(),
        Some(label) if label.is_none() => "None".into(),
        Some(label) => label.join(),
        None => String::new(),
    });
    let (said, target) = match entry.map(|entry| &entry.body) {
        Some(Body::Decide(judged) | Body::Settle(judged)) => (judged.judgement.comment.clone(), None),
        Some(Body::Migration(migration)) => (key_changes(migration), None),
        Some(Body::Person(change)) => (person_change(change), None),
        Some(Body::Undo { target } | Body::Redo { target }) => (String::new(), Some(target)),
        None => (String::new(), None),
    };
    vec![
        row.position.map_or_else(String::new, |position| position.to_string()),
        row.id.0.clone(),
        entry.map_or("unreadable", |entry| entry.body.kind().word()).into(),
        entry.map_or_else(String::new, |entry| iso(entry.at)),
        entry.map_or_else(String::new, |entry| entry.author.0.clone()),
        entry.and_then(|entry| entry.site.clone()).unwrap_or_default(),
        row.note.clone().unwrap_or_default(),
        row.sentence.map_or_else(String::new, |id| id.0.to_string()),
        row.place.map_or_else(String::new, |at| format!("{}..{}", at.start, at.end)),
        label,
        said,
        judged.and_then(|judged| judged.took).map_or_else(String::new, |ms| format!("{:.1}", f64::from(ms) / 1e3)),
        judged.map_or("", |judged| if judged.sight.machine() { "yes" } else { "no" }).into(),
        judged.map_or_else(String::new, |judged| judged.sight.in_sight().map_or_else(|| "unknown".into(), words)),
        seen.map_or_else(String::new, |seen| seen.run.0.clone()),
        row.model.clone().unwrap_or_default(),
        seen.map_or_else(String::new, |seen| if seen.label.is_none() { "None".into() } else { seen.label.join() }),
        judged.map(|judged| judged.taxonomy.as_str()).unwrap_or_default().chars().take(12).collect(),
        judged
            .and_then(|judged| judged.supersedes.as_ref())
            .map_or_else(String::new, |ids| ids.iter().map(id).collect::<Vec<_>>().join(" ")),
        target.map_or_else(String::new, id),
        row.link.clone(),
        text.clone().unwrap_or_default(),
    ]
}

/// What had been in sight, as words.
fn words(cues: InSight) -> String {
    if cues.is_nothing() { "nothing".into() } else { cues.cues().map(Cue::word).collect::<Vec<_>>().join(" ") }
}

/// How categories were changed, in words.
fn key_changes(TaxonomyMigration { key_map, after, .. }: &TaxonomyMigration) -> String {
    let became = key_map.earlier_keys().map(|key| {
        let now: Vec<&str> = key_map.replacements(key).map(CategoryKey::as_str).collect();
        format!("{key} is {}", now.join(" or "))
    });
    let became: Vec<String> = became.collect();
    let became = if became.is_empty() { "every category is itself again".into() } else { became.join(", ") };
    format!("changes categories: from here on {became} (guideline {})", after.get(..12).unwrap_or(after))
}

/// What is said of somebody, in words.
fn person_change(PersonChange { key, roles, .. }: &PersonChange) -> String {
    let key = key.map(|key| format!("the key is {key}"));
    let roles = roles.as_ref().map(|roles| match roles.iter().map(|role| role.word()).collect::<Vec<_>>() {
        none if none.is_empty() => "has no role".to_owned(),
        roles => format!("may do what {} may", roles.join(" and ")),
    });
    key.into_iter().chain(roles).collect::<Vec<_>>().join("; ")
}

/// What a decision or a settlement says, and having seen what.
fn spoken(project: &Project, judged: &Judged, model: Option<&str>) -> String {
    let judgement = &judged.judgement;
    let mut said = match &judgement.label {
        _ if judgement.rejected => ": rejected".into(),
        Some(label) => format!(": {}", project.taxonomy.describe(label)),
        None if judgement.skipped => ": put off".into(),
        None => ": no label".into(),
    };
    if judgement.flagged {
        said += ", flagged";
    }
    if !judgement.comment.is_empty() {
        said += &format!(", \"{}\"", judgement.comment);
    }
    said += &match (judged.sight.in_sight(), &judged.proposal) {
        (Some(cues), _) if cues.is_nothing() => "; blind".to_owned(),
        (Some(cues), Some(seen)) => format!(
            "; in sight: {} ({} from {})",
            words(cues),
            project.taxonomy.describe(&seen.label),
            model.unwrap_or("a model")
        ),
        (Some(cues), None) => format!("; in sight: {}", words(cues)),
        (None, _) => "; what was in sight is not known".into(),
    };
    if let Some(took) = judged.took {
        said += &format!("; {:.1} s", f64::from(took) / 1e3);
    }
    said
}

/// An event in a line, for people.
fn line(project: &Project, LoggedText { row, text }: &LoggedText) -> String {
    let position = row.position.map_or_else(|| "-".into(), |position| position.to_string());
    let Some(entry) = &row.entry else {
        return format!("{position:>6}  event {} cannot be read\n", visible(&row.id.0).text);
    };
    let at = match (&row.note, row.place, row.sentence) {
        (Some(note), Some(place), Some(id)) => {
            format!("sentence {} (note {note}, {}..{})", id.0, place.start, place.end)
        }
        _ => "a sentence that is not here".into(),
    };
    let mut said = match &entry.body {
        Body::Migration(migration) => key_changes(migration),
        Body::Person(change) => format!("says of {}: {}", change.name, person_change(change)),
        Body::Decide(_) => format!("decides on {at}"),
        Body::Settle(_) => format!("settles {at}"),
        Body::Undo { .. } => format!("takes back what was said on {at}"),
        Body::Redo { .. } => format!("restores what was said on {at}"),
    };
    if row.veiled.judgement || row.veiled.proposal {
        said += " (what it says is shown once you have decided)";
    }
    if let Some(judged) = entry.body.judged().filter(|_| !row.veiled.judgement) {
        said += &spoken(project, judged, row.model.as_deref());
    }
    if let Some(site) = &entry.site {
        said += &format!("; from {site}");
    }
    let mut out = format!("{position:>6}  {}  {} {said}\n", iso(entry.at), entry.author);
    if let Some(text) = text {
        out += &format!("        {text}\n");
    }
    out.lines().map(|line| visible(line).text + "\n").collect()
}
