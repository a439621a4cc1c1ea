//! `goldsmith queue`: makes the order anew and shows its beginning.

use super::arguments::QueueArgs;
use super::output::{print, print_json};
use super::{Bar, Exit, Failure, cancel_on_signal, say, say_unrecorded};
use crate::domain::corpus::SentenceId;
use crate::domain::text::visible;
use crate::formats::tables;
use crate::workflow::access::{self, Access};
use crate::workflow::project::Project;
use crate::workflow::queue;
use crate::workflow::session::Session;

pub(super) fn queue(project: &Project, args: &QueueArgs) -> Result<Exit, Failure> {
    let mut store = if args.last { project.store_to_read(&mut say)? } else { project.store()? };
    let (rows, note) = if args.last {
        (store.ranking()?, String::new())
    } else {
        let (cancel, bar) = (cancel_on_signal(), Bar::default());
        match queue::plan(Session::new(project, &mut store, &cancel, &mut |progress| bar.show(progress)))? {
            Some(planned) => (planned.rows, planned.note),
            None => {
                say("stopped; the queue's order is unchanged");
                return Ok(Exit::Stopped);
            }
        }
    };
    let shown = if args.limit == 0 { rows.len() } else { args.limit.min(rows.len()) };
    let told = queue::reasons(project, &store, &rows[..shown])?;
    let ids: Vec<SentenceId> = told.iter().map(|(id, _)| *id).collect();
    say_unrecorded(access::sentences(project, &mut store, Access::Printed, &ids)?);
    let texts = store.texts(&ids)?;
    let lines = told.iter().zip(&texts).enumerate();
    if args.json {
        let rows: Vec<serde_json::Value> = lines
            .map(|(i, ((id, why), row))| {
                serde_json::json!({ "rank": i + 1, "sentence": id, "why": why, "text": row.text })
            })
            .collect();
        print_json(&serde_json::json!({ "note": note, "ranked": rows }))?;
    } else if args.csv {
        let mut table = vec![["rank", "sentence", "why", "text"].map(str::to_owned).to_vec()];
        table.extend(
            lines.map(|(i, ((id, why), row))| {
                vec![(i + 1).to_string(), id.0.to_string(), why.clone(), row.text.clone()]
            }),
        );
        print(&tables::csv_rows(&table))?;
    } else {
        let mut out = String::new();
        for (i, ((_, why), row)) in lines {
            let text: String = visible(row.text.trim()).text.chars().take(160).collect();
            out.push_str(&format!("{:>4}  {}\n      {text}\n", i + 1, visible(why).text));
        }
        print(&out)?;
        let by = if note.is_empty() { note } else { format!(", {note}") };
        say(&format!("{} sentences in order{by}", rows.len()));
    }
    Ok(Exit::unless_nothing(rows.is_empty()))
}
