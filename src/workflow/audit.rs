//! Who decided what, when, having seen what; and whether the log is as this program wrote it.

use super::WorkflowError;
use super::access::{self, Access, Unrecorded};
use super::anchor::{self, AnchorAudit};
use super::project::Project;
use crate::domain::label::{Annotator, Judgement, Timestamp};
use crate::domain::visibility::{Face, VisibleLabels};
use crate::store::{ChainAudit, LogRow, PersonTotals, RowChange, Store, StoreError, Unsealed};
pub(crate) use crate::store::{LogFilter, Tampering};
use crate::workflow::refusal::Refusal;

/// What came of looking through the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// What was found.
    pub audited: ChainAudit,
    /// The same in plain sentences; empty if all is well.
    pub wrong: Vec<String>,
    /// What to do about it; empty if all is well.
    pub advice: String,
    /// What each annotator did.
    pub people: Vec<PersonTotals>,
    /// What came of the anchors, where the project names a file for them.
    pub anchors: Option<AnchorAudit>,
}

/// An event of the log with the text that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoggedText {
    /// The event.
    pub row: LogRow,
    /// The sentence, where texts are asked for.
    pub text: Option<String>,
}

/// Looks through the whole log. `expect` is a link noted earlier, in hexadecimal.
pub fn look(project: &Project, store: &mut Store, expect: Option<&str>) -> Result<AuditReport, WorkflowError> {
    let _span = tracing::info_span!("audit").entered();
    let expect = expect.map(str::trim);
    if let Some(link) = expect.filter(|link| link.len() != 64 || !link.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Err(Refusal::invalid(
            "--expect",
            format!("`{link}` is no link of a chain: it has 64 hexadecimal digits"),
        )
        .hint("`goldsmith audit` and every bundle say the link")
        .into());
    }
    let audited = store.audit(expect)?;
    let mut wrong = audited.tampering.iter().map(|found| sentence(store, found)).collect::<Result<Vec<_>, _>>()?;
    if !audited.found {
        wrong.push(
            "the link that you noted is not in this store: since then the log or the seals were made anew, or their end was cut off"
                .into(),
        );
    }
    // What is read through an index that was changed is not what stands in the table.
    let pages = store.integrity_check()?.into_iter().filter(|line| line != "ok");
    wrong.extend(pages.map(|line| format!("the file is damaged, or was changed by hand: {line}")));
    let anchors = anchor::check(project, store)?;
    wrong.extend(anchors.iter().flat_map(|anchors| anchors.wrong.iter().cloned()));
    let advice = match wrong.is_empty() {
        true => String::new(),
        false => format!(
            "keep {} as it is for whoever looks into it; take the last copy of which `goldsmith audit` says that it is intact, and merge into it what was bundled since",
            project.file.store.display()
        ),
    };
    Ok(AuditReport { people: store.people()?, audited, wrong, advice, anchors })
}

fn sentence(store: &Store, found: &Tampering) -> Result<String, StoreError> {
    Ok(match found {
        Tampering::Changed { position, event } => format!(
            "event {position} ({}) was changed after it was written, or the sentence or the proposal that it names was",
            event.0
        ),
        Tampering::Forged { position, event, author, why } => {
            format!("event {position} ({}) cannot be {author}'s: {why}", event.0)
        }
        Tampering::Removed { position, event: Some(event) } => format!("event {position} ({}) was removed", event.0),
        Tampering::Removed { position, event: None } => format!("event {position} was removed, and its link with it"),
        Tampering::Moved { position, event } => {
            format!("event {position} ({}) or the one before it was moved to another place in the log", event.0)
        }
        Tampering::CutOff { events: 1 } => "an event was cut off the end of the log".into(),
        Tampering::CutOff { events } => format!("{events} events were cut off the end of the log"),
        Tampering::Unlinked { event } => {
            format!("event {} was put in without a link: this program did not write it", event.0)
        }
        Tampering::CurrentLabel { sentence, annotator } => {
            let whose = annotator.as_ref().map_or_else(|| "the adjudicators".to_owned(), ToString::to_string);
            let note = store.place_of(*sentence)?.map_or_else(String::new, |note| format!(" (note {note})"));
            format!(
                "what is shown as the label that {whose} gave sentence {}{note} is not what the events come to",
                sentence.0
            )
        }
        Tampering::Withdrawal { event } => {
            format!("whether {} is withdrawn is not what the events come to", event.0)
        }
        Tampering::Count { annotator: Some(annotator) } => {
            format!("the count of what {annotator} decided is not what the events come to")
        }
        Tampering::Count { annotator: None } => "the count of sentences is not that of what is there".into(),
        Tampering::Text { document } => format!("the text of note {document} is not the one that was imported"),
        Tampering::Unsealed(Unsealed::Row { table, key, change }) => {
            let name = store.row_name(table, key)?.unwrap_or_else(|| key.join(" "));
            let (what, parts) = row_words(table);
            match change {
                RowChange::Changed => format!("{what} {name}: {parts} changed after it was written"),
                RowChange::Removed => format!("{what} {name} was removed"),
                RowChange::Added => format!("{what} {name} has no seal: this program did not write it"),
            }
        }
        Tampering::Unsealed(Unsealed::Stray { sentence }) => {
            format!("sentence {sentence} was put in, or its note does not have it: this program did not write it")
        }
        Tampering::Unsealed(Unsealed::Seal { position }) => format!("seal {position} was changed after it was written"),
        Tampering::Unsealed(Unsealed::SealRemoved { position }) => format!("seal {position} was removed"),
        Tampering::Unsealed(Unsealed::OtherLog { position, events }) => {
            format!("event {events} is not the one that seal {position} was written behind: the log was made anew")
        }
        Tampering::Schema { name } => {
            format!("{name} (a table, an index, a view or a trigger) is not as this program makes it")
        }
    })
}

/// What a row of a table is, and what of it may have changed.
fn row_words(table: &str) -> (&'static str, &'static str) {
    match table {
        "documents" => ("note", "its text, its heading or where its sentences begin and end was"),
        "title_columns" => ("the column that a title came from, of note number", "it was"),
        "patients" => ("patient", "the key or the split was"),
        "runs" => ("run", "its model, configuration, outcome or scores were"),
        "scored_runs" => ("the scored model of run", "it was"),
        "proposals" => ("a machine's label, number", "the label, its confidence or its reasons were"),
        "egress" => ("the record of what left the machine, number", "it was"),
        "replies" => ("the kept reply to request", "it was"),
        "failures" => ("the record of a failure (run and sentence)", "it was"),
        "spending" => ("the cost of run", "it was"),
        "verdicts" => ("the verdict of the quality gate (sentence and item)", "it was"),
        "predictions" => ("the prediction (run and sentence)", "it was"),
        "embeddings" => ("the embedding (encoder and text)", "it was"),
        "doubts" => ("the label in doubt (run and rank)", "it was"),
        "assignments" => ("the assignment (sentence and annotator)", "it was"),
        "access" => ("the record of who read which notes, number", "it was"),
        "taxonomies" => ("version of the guideline", "its text was"),
        _ => ("the setting", "it was"),
    }
}

/// Puts on record that the sentences of all events that pass are read.
pub(crate) fn read_texts(
    project: &Project,
    store: &mut Store,
    filter: &LogFilter,
) -> Result<Unrecorded, WorkflowError> {
    let order = store.log_order(filter)?;
    let rows = order.iter().map(|seq| Ok(store.log_row(*seq)?.sentence));
    let read = rows.filter_map(Result::transpose).collect::<Result<Vec<_>, StoreError>>()?;
    access::sentences(project, store, Access::Printed, &read)
}

/// Hands on every event that passes, in order.
pub(crate) fn log(
    project: &Project,
    filter: &LogFilter,
    with_text: bool,
    each: &mut dyn FnMut(LoggedText) -> Result<(), WorkflowError>,
) -> Result<u64, WorkflowError> {
    let store = project.store_to_audit(&mut |_| {})?;
    let order = store.log_order(filter)?;
    let viewer = project.viewer(Face::Report);
    for seq in &order {
        let mut row = store.log_row(*seq)?;
        if let Some(id) = row.sentence {
            let shown = viewer.shown(store.facts(id, &project.annotator)?);
            veil(&mut row, &project.annotator, shown);
        }
        let text = match row.sentence.filter(|_| with_text) {
            Some(id) => store.texts(&[id])?.pop().map(|row| row.text),
            None => None,
        };
        each(LoggedText { row, text })?;
    }
    Ok(order.len() as u64)
}

/// Takes out of an entry what whoever asks may not know yet. The links of the chain stay what they are.
fn veil(row: &mut LogRow, asks: &Annotator, shown: VisibleLabels) {
    let Some(entry) = &mut row.entry else {
        return;
    };
    let is_own = entry.author == *asks;
    let Some(judged) = entry.body.judged_mut() else {
        return;
    };
    if !shown.colleagues && !is_own {
        judged.judgement = Judgement::default();
        row.veiled.judgement = true;
    }
    if !shown.machines && judged.proposal.take().is_some() {
        row.model = None;
        row.veiled.proposal = true;
    }
}

/// A day (its beginning in UTC) or a moment, as it is typed.
pub(crate) fn moment(typed: &str) -> Result<Timestamp, WorkflowError> {
    let day = || typed.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let found = typed.parse::<jiff::Timestamp>().ok().or_else(|| Some(day()?.timestamp()));
    found.map(|moment| Timestamp(moment.as_millisecond())).ok_or_else(|| {
        Refusal::invalid("date", format!("`{typed}` is no date"))
            .hint("write 2026-01-31, or 2026-01-31T14:00:00Z")
            .into()
    })
}
