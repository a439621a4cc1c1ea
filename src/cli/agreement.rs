//! `goldsmith agreement`: how far the experts agree, as a table, CSV or JSON.

use std::collections::BTreeMap;

use super::arguments::AgreementArgs;
use super::output::{print, print_json};
use super::{Exit, Failure, say, say_unrecorded, withheld_from};
use crate::domain::agreement::Coefficient;
use crate::domain::corpus::SentenceId;
use crate::domain::statistics::Proportion;
use crate::domain::text::visible;
use crate::domain::visibility::Face;
use crate::formats::tables::{counted, csv_rows};
use crate::workflow::access::{self, Access};
use crate::workflow::agreement::{self, AgreementReport};
use crate::workflow::label_index::LabelIndex;
use crate::workflow::project::Project;

/// Pairs of categories in the table; JSON and CSV have all.
const PAIRS: usize = 10;

/// The texts of the sentences that are shown.
type Texts = BTreeMap<SentenceId, String>;

pub(super) fn run(project: &Project, args: &AgreementArgs) -> Result<Exit, Failure> {
    let mut store = project.store_to_read(&mut say)?;
    let index = LabelIndex::read(project, &store)?;
    let mut report = agreement::of(project, &store, &index)?;
    report.withhold(project, &index, Face::Report);
    if args.json {
        print_json(&json(project, &report))?;
    } else if args.csv {
        print(&csv(project, &report))?;
    } else if report.experts.is_empty() {
        say("no expert has decided a sentence of a real note yet");
    } else {
        let shown = report.confused.iter().take(PAIRS).flat_map(|pair| pair.sentences.iter().take(args.sentences));
        let shown: Vec<SentenceId> = shown.copied().collect();
        say_unrecorded(access::sentences(project, &mut store, Access::Printed, &shown)?);
        let rows = store.texts(&shown)?;
        let texts = rows.into_iter().map(|row| (row.id, row.text)).collect();
        print(&table(project, &report, &texts, args.sentences))?;
    }
    Ok(Exit::unless_nothing(report.experts.is_empty()))
}

/// The name of a category by number; 0 is *None*.
fn name(project: &Project, class: usize) -> &str {
    let category = class.checked_sub(1).and_then(|at| project.taxonomy.categories().get(at));
    category.map_or("None", |category| category.name.as_str())
}

fn key(project: &Project, class: usize) -> &str {
    let category = class.checked_sub(1).and_then(|at| project.taxonomy.categories().get(at));
    category.map_or("none", |category| category.key.as_str())
}

fn json(project: &Project, report: &AgreementReport) -> serde_json::Value {
    let mut json = serde_json::json!(report);
    let rows = |json: &mut serde_json::Value, set: &dyn Fn(usize, &mut serde_json::Value)| {
        json.as_array_mut().into_iter().flatten().enumerate().for_each(|(at, row)| set(at, row));
    };
    rows(&mut json["agreement"]["classes"], &|at, row| row["key"] = key(project, at).into());
    rows(&mut json["agreement"]["pairs"], &|at, row| {
        let pair = &report.agreement.pairs[at];
        row["first"] = report.name(pair.first).into();
        row["second"] = report.name(pair.second).into();
    });
    rows(&mut json["confused"], &|at, row| {
        let pair = &report.confused[at];
        row["one"] = key(project, pair.one).into();
        row["other"] = key(project, pair.other).into();
    });
    json["anchoring"]["pull"] = serde_json::json!(report.anchoring.pull());
    json["anchoring"]["means"] = report.anchoring.sentence().into();
    json
}

/// Every number with its interval and what it is over, one a line.
fn csv(project: &Project, report: &AgreementReport) -> String {
    let header = ["what", "first", "second", "measure", "value", "low", "high", "undefined", "left_out", "over"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let mut add = |what: &str, first: &str, second: &str, measured: &str, measure: &Coefficient, over: usize| {
        let number = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
        let interval = measure.estimate.interval;
        rows.push(vec![
            what.into(),
            first.into(),
            second.into(),
            measured.into(),
            number(measure.value()),
            number(interval.map(|(low, _)| low)),
            number(interval.map(|(_, high)| high)),
            measure.undefined.map_or_else(String::new, |why| why.to_string()),
            measure.left_out.to_string(),
            over.to_string(),
        ]);
    };
    let agreement = &report.agreement;
    for (measured, measure, over) in overall(report) {
        add("all", "", "", measured, measure, over);
    }
    for pair in &agreement.pairs {
        let (first, second) = (report.name(pair.first), report.name(pair.second));
        add("pair", first, second, "raw", &pair.raw, pair.items);
        add("pair", first, second, "kappa", &pair.kappa, pair.items);
    }
    for (class, row) in agreement.classes.iter().enumerate() {
        for (measured, measure) in [("alpha", &row.alpha), ("kappa", &row.kappa), ("ac1", &row.ac1)] {
            add("category", key(project, class), "", measured, measure, agreement.items);
        }
    }
    for expert in &report.experts {
        if let Some(earlier) = &expert.earlier {
            add("earlier", &expert.annotator.0, "", "raw", &earlier.raw, earlier.items);
            add("earlier", &expert.annotator.0, "", "kappa", &earlier.kappa, earlier.items);
        }
    }
    let decisions = (report.anchoring.seen.whole + report.anchoring.hidden.whole) as usize;
    add("silver", "seen", "hidden", "difference", &report.anchoring.difference, decisions);
    for pair in &report.confused {
        let (one, other) = (key(project, pair.one), key(project, pair.other));
        let cells = ["confused", one, other, "share", &pair.share.to_string(), "", "", "", "", &pair.count.to_string()];
        rows.push(cells.map(str::to_owned).to_vec());
    }
    csv_rows(&rows)
}

/// The numbers over all experts, with how many sentences each is over.
fn overall(report: &AgreementReport) -> Vec<(&'static str, &Coefficient, usize)> {
    let agreement = &report.agreement;
    let items = agreement.items;
    let mut rows = vec![("raw", &agreement.raw, items), ("alpha", &agreement.alpha, items)];
    rows.extend(agreement.alpha_masi.iter().map(|masi| ("alpha_masi", masi, items)));
    rows.extend([
        ("kappa", &agreement.kappa, items),
        ("fleiss", &agreement.fleiss.kappa, agreement.fleiss.items),
        ("ac1", &agreement.ac1, items),
    ]);
    rows
}

/// `0.71  0.65 to 0.77`, or why there is no number.
fn measured(measure: &Coefficient, percent: bool) -> String {
    let (times, digits) = if percent { (100.0, 1) } else { (1.0, 2) };
    let interval = |(low, high)| format!("{:.digits$} to {:.digits$}", times * low, times * high);
    match (measure.value(), measure.undefined) {
        (Some(value), _) => {
            let interval = measure.estimate.interval.map_or_else(|| "-".to_owned(), interval);
            format!("{:>6}  {interval:<14}", format!("{:.digits$}", times * value))
        }
        (None, Some(why)) => format!("{:>6}  {why}", "-"),
        (None, None) => format!("{:>6}", "-"),
    }
}

fn number(measure: &Coefficient) -> String {
    measure.value().map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

fn share(proportion: &Proportion) -> String {
    proportion.share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} % of {}", 100.0 * share, proportion.whole))
}

fn cut(text: &str, width: usize) -> String {
    let text = visible(text).text;
    if text.chars().count() <= width {
        return text;
    }
    text.chars().take(width.saturating_sub(1)).chain(['\u{2026}']).collect()
}

/// Breaks at spaces.
fn wrapped(text: &str, width: usize) -> String {
    let (mut out, mut used) = (String::new(), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 {
            let fits = used + 1 + length <= width;
            out.push(if fits { ' ' } else { '\n' });
            used = if fits { used + 1 } else { 0 };
        }
        out.push_str(word);
        used += length;
    }
    out + "\n"
}

fn rule() -> String {
    "-".repeat(78) + "\n"
}

fn table(project: &Project, report: &AgreementReport, texts: &Texts, sentences: usize) -> String {
    let agreement = &report.agreement;
    let mut out = wrapped(
        &format!(
            "{}; {} of {} labelled by two or more, {} by one",
            counted(report.experts.len(), "expert"),
            counted(agreement.items, "sentence"),
            counted(agreement.patients, "patient"),
            agreement.alone
        ),
        80,
    );
    if let Some(said) = report.independence.words() {
        out.push_str(&wrapped(&said, 80));
    }
    if agreement.items > 0 {
        out.push_str(&format!("\n{:<34}{:>6}  95 % by patient\n{}", "", "", rule()));
        let fleiss = &agreement.fleiss;
        for (what, measure, over) in overall(report) {
            let (what, beside) = match what {
                "raw" => ("raw agreement, %", String::new()),
                "alpha" => ("Krippendorff's alpha", String::new()),
                "alpha_masi" => ("Krippendorff's alpha, MASI distance", String::new()),
                "kappa" => ("Cohen's kappa, mean", format!("of {}", counted(agreement.pairs.len(), "pair"))),
                "fleiss" if fleiss.left_out > 0 => {
                    ("Fleiss' kappa", format!("{over} rated by {}, {} left out", fleiss.raters, fleiss.left_out))
                }
                "fleiss" => ("Fleiss' kappa", format!("{over} rated by {}", fleiss.raters)),
                _ => ("Gwet's AC1", String::new()),
            };
            let line = format!("{what:<34}{}  {beside}", measured(measure, measure == &agreement.raw));
            out.push_str(&format!("{}\n", line.trim_end()));
        }
    }
    if agreement.pairs.len() > 1 {
        out.push_str(&format!("\n{:<34}{:>6}  {:>10}  kappa\n{}", "pair", "raw, %", "sentences", rule()));
        for pair in &agreement.pairs {
            let who = format!("{} and {}", cut(report.name(pair.first), 14), cut(report.name(pair.second), 14));
            let raw = pair.raw.value().map_or_else(|| "-".into(), |raw| format!("{:.1}", 100.0 * raw));
            let line = format!("{who:<34}{raw:>6}  {:>10} {}", pair.items, measured(&pair.kappa, false));
            out.push_str(&format!("{}\n", line.trim_end()));
        }
    }
    if agreement.items > 0 {
        let head = format!("{:<34}{:>6}  {:<14}", "category against the rest", "alpha", "95 %");
        out.push_str(&format!("\n{head}{:>7}{:>7}{:>9}\n{}", "kappa", "AC1", "chosen", rule()));
        for (class, row) in agreement.classes.iter().enumerate() {
            let (alpha, name) = (measured(&row.alpha, false), cut(name(project, class), 32));
            let line = match row.alpha.undefined {
                Some(_) => format!("{name:<34}{alpha}"),
                None => format!("{name:<34}{alpha}{:>7}{:>7}{:>9}", number(&row.kappa), number(&row.ac1), row.chosen),
            };
            out.push_str(&format!("{}\n", line.trim_end()));
        }
    }
    out.push_str(&format!(
        "\n{:<24}{:>9}  {:>17}  {:>17}\n{}",
        "expert",
        "sentences",
        "as others",
        "as silver",
        rule()
    ));
    for expert in &report.experts {
        out.push_str(&format!(
            "{:<24}{:>9}  {:>17}  {:>17}\n",
            cut(&expert.annotator.0, 23),
            expert.sentences,
            share(&expert.others),
            share(&expert.silver)
        ));
        if let Some(earlier) = &expert.earlier {
            out.push_str(&format!(
                "  relabelled {}: {:.1} % the same, kappa {}\n",
                earlier.items,
                100.0 * earlier.raw.value().unwrap_or_default(),
                measured(&earlier.kappa, false).trim()
            ));
        }
    }
    out.push_str(&confused(project, report, texts, sentences));
    if report.silver.is_some() {
        out.push_str(&format!("\n{}", wrapped(&report.anchoring.sentence(), 80)));
        let unknown = report.independence.pull_unknown;
        if unknown > 0 {
            let said =
                format!("For {unknown} labels it is not known whether silver was in sight; they are left out here.");
            out.push_str(&wrapped(&said, 80));
        }
    }
    out
}

/// What is confused, most often first, with the most disputed sentences.
fn confused(project: &Project, report: &AgreementReport, texts: &Texts, sentences: usize) -> String {
    let mut out = String::new();
    if !report.confused.is_empty() {
        out.push_str(&format!("\n{:<56}{:>6}{:>8}\n{}", "confused with each other", "times", "share", rule()));
    }
    for pair in report.confused.iter().take(PAIRS) {
        let between = format!("{} / {}", cut(name(project, pair.one), 26), cut(name(project, pair.other), 26));
        out.push_str(&format!("{between:<56}{:>6}{:>6.0} %\n", pair.count, 100.0 * pair.share));
        for id in pair.sentences.iter().take(sentences) {
            let number = id.0.to_string();
            let text = texts.get(id).map_or("", |text| text.trim());
            out.push_str(&format!("  {number}  {}\n", cut(text, 76usize.saturating_sub(number.len()))));
        }
        if pair.withheld > 0 && sentences > 0 {
            out.push_str(&format!("  {}\n", withheld_from(project, pair.withheld, "sentence")));
        }
    }
    if report.confused.len() > PAIRS {
        out.push_str(&format!("and {} more; --json and --csv list them all\n", report.confused.len() - PAIRS));
    }
    out
}
