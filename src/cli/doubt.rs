//! `goldsmith doubt`: labels that may be wrong, as a table, CSV or JSON.

use super::arguments::DoubtArgs;
use super::output::{print, print_json};
use super::{Bar, Exit, Failure, cancel_on_signal, say, say_unrecorded, withheld_from};
use crate::domain::confident::Doubt;
use crate::domain::corpus::SentenceId;
use crate::domain::text::visible;
use crate::formats::tables;
use crate::workflow::access::{self, Access};
use crate::workflow::doubt::{self, DoubtOptions, Found, Looked};
use crate::workflow::project::Project;
use crate::workflow::refusal::Refusal;
use crate::workflow::session::Session;

pub(super) fn doubt(project: &Project, args: &DoubtArgs) -> Result<Exit, Failure> {
    let mut store = if args.last { project.store_to_read(&mut say)? } else { project.store()? };
    let mut found = if args.last {
        doubt::last(&store)?.ok_or_else(|| {
            Refusal::too_early("a search for label errors", "no search has been made yet")
                .hint("`goldsmith doubt` makes one")
        })?
    } else {
        let options = DoubtOptions { folds: args.folds, seed: args.seed.unwrap_or(project.file.train.seed) };
        let (cancel, bar) = (cancel_on_signal(), Bar::default());
        match doubt::search(Session::new(project, &mut store, &cancel, &mut |p| bar.show(p)), &options)? {
            Some(found) => found,
            None => {
                say("stopped; an unfinished search keeps nothing");
                return Ok(Exit::Stopped);
            }
        }
    };
    let withheld = doubt::withhold(project, &store, &mut found)?;
    let ids: Vec<SentenceId> = found.doubts.iter().map(|doubt| doubt.sentence).collect();
    say_unrecorded(access::sentences(project, &mut store, Access::Printed, &ids)?);
    let texts: Vec<String> = store.texts(&ids)?.into_iter().map(|row| row.text).collect();
    if args.json {
        print_json(&json(&found, &texts))?;
    } else if args.csv {
        print(&csv(&found, &texts))?;
    } else {
        print(&table(project, &found, &texts, args.limit))?;
        say(&summary(&found, args.limit));
    }
    if withheld > 0 {
        say(&withheld_from(project, withheld, "label"));
    }
    Ok(Exit::Done)
}

fn json(found: &Found, texts: &[String]) -> serde_json::Value {
    let rows = found.doubts.iter().zip(texts).enumerate().map(|(i, (doubt, row))| {
        serde_json::json!({
            "rank": i + 1, "sentence": doubt.sentence, "tier": doubt.tier, "given": doubt.given,
            "suggested": doubt.suggested, "confidence": doubt.confidence, "self_confidence": doubt.self_confidence,
            "margin": doubt.margin, "text": row,
        })
    });
    serde_json::json!({ "run": found.run.id, "summary": found.summary, "doubts": rows.collect::<Vec<_>>() })
}

fn csv(found: &Found, texts: &[String]) -> String {
    let header = ["rank", "sentence", "tier", "given", "suggested", "confidence", "self_confidence", "margin", "text"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for (i, (doubt, row)) in found.doubts.iter().zip(texts).enumerate() {
        rows.push(vec![
            (i + 1).to_string(),
            doubt.sentence.0.to_string(),
            doubt.tier.to_string(),
            doubt.given.join(),
            doubt.suggested.join(),
            doubt.confidence.to_string(),
            doubt.self_confidence.to_string(),
            doubt.margin.to_string(),
            row.clone(),
        ]);
    }
    tables::csv_rows(&rows)
}

/// A line of what is said against the label, and below it the sentence.
fn table(project: &Project, found: &Found, texts: &[String], limit: usize) -> String {
    let taxonomy = &project.taxonomy;
    let shown = if limit == 0 { usize::MAX } else { limit };
    let cut = |text: &str, width: usize| {
        let text = visible(text).text;
        if text.chars().count() <= width {
            return text;
        }
        text.chars().take(width.saturating_sub(1)).chain(['\u{2026}']).collect()
    };
    let line = |rank: &str, tier: &str, own: &str, given: &str, says: &str| {
        format!("{rank:>4}  {tier:<6}  {own:>6}  {:<26}  {says}\n", cut(given, 26))
    };
    let mut out = String::new();
    for (i, (doubt, row)) in found.doubts.iter().zip(texts).take(shown).enumerate() {
        if i == 0 {
            out.push_str(&line("rank", "tier", "p", "given", "the classifier says"));
            out.push_str(&format!("{}\n", "-".repeat(78)));
        }
        let Doubt { given, suggested, confidence, self_confidence, .. } = doubt;
        out.push_str(&line(
            &(i + 1).to_string(),
            &doubt.tier.to_string(),
            &format!("{self_confidence:.3}"),
            &taxonomy.describe(given),
            &format!("{} {confidence:.2}", cut(&taxonomy.describe(suggested), 26)),
        ));
        out.push_str(&format!("      {}\n", cut(row.trim(), 160)));
    }
    out
}

fn summary(found: &Found, limit: usize) -> String {
    let of = |looked: Looked, what: &str| format!("{} of {} {what} labels", looked.doubted, looked.labels);
    let mut said = format!(
        "in doubt: {} and {} not settled by an expert; p is the probability of the label as given",
        of(found.summary.gold, "gold"),
        of(found.summary.silver, "silver")
    );
    if limit > 0 && found.doubts.len() > limit {
        said.push_str(&format!("\nshown are the {limit} worst of {}; --last --limit 0 shows all", found.doubts.len()));
    }
    if !found.doubts.is_empty() {
        said.push_str("\nin the workbench, D queues them, worst first");
    }
    said
}
