//! Tables out: for people in a terminal, and as CSV, JSON and Markdown.

use serde_json::Value;

use crate::domain::label::Label;
use crate::domain::metrics::{Counts, ScoreReport, ScoreRow};
use crate::domain::statistics::Estimate;
use crate::domain::taxonomy::Taxonomy;

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableStyle {
    /// Aligned columns.
    Plain,
    Markdown,
    /// RFC 4180, numbers in full.
    Csv,
}

/// A report with the names that its rows need.
pub(crate) struct NamedScores<'a> {
    /// What was scored, such as `silver (model)`.
    pub title: String,
    /// The numbers.
    pub report: &'a ScoreReport,
    /// The taxonomy of the report's categories; `None` in the binary task, whose one category is that there is any.
    pub taxonomy: Option<&'a Taxonomy>,
}

/// The row of the binary task.
pub(crate) const ANY_CATEGORY: &str = "any category (binary)";

const HEADER: [&str; 6] = ["category", "support", "precision", "recall", "F1", "F1 95 %"];

/// `1 patient`, `2 patients`.
pub(crate) fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The report as JSON: each category's row has its key, and averages have no counts. Without a taxonomy it is that of the
/// binary task, and the key is `any`.
pub(crate) fn json(report: &ScoreReport, taxonomy: Option<&Taxonomy>) -> Value {
    let mut json = serde_json::json!(report);
    let categories = json["categories"].as_array_mut().into_iter().flatten();
    let keys = taxonomy.map_or_else(|| vec![Label::ANY], |t| t.categories().iter().map(|c| c.key.as_str()).collect());
    for (row, key) in categories.zip(keys) {
        row["key"] = key.into();
    }
    for row in json["averages"].as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        row.as_object_mut().and_then(|row| row.remove("counts"));
    }
    json
}

/// One line a category, then the averages and the binary task.
pub(crate) fn scores(scores: &NamedScores<'_>, style: TableStyle) -> String {
    let mut rows: Vec<Vec<String>> = vec![HEADER.iter().map(ToString::to_string).collect()];
    for (name, row) in named_rows(scores) {
        let support = if row.counts == Counts::default() && name.ends_with("average") {
            String::new()
        } else {
            row.counts.support().to_string()
        };
        let number = |value: Option<f64>| match style {
            TableStyle::Csv => value.map_or_else(String::new, |v| v.to_string()),
            _ => percent(value),
        };
        rows.push(vec![
            name,
            support,
            number(row.precision.value),
            number(row.recall.value),
            number(row.f1.value),
            interval(&row.f1, style),
        ]);
    }
    let blind = scores.report.blind_words().unwrap_or_else(|| "no gold".into());
    let caption = format!(
        "{}: {} of {}, {blind}; accuracy {}",
        scores.title,
        counted(scores.report.sentences, "sentence"),
        counted(scores.report.patients, "patient"),
        percent(scores.report.accuracy.value)
    );
    match style {
        TableStyle::Csv => csv(&scores.title, &rows),
        TableStyle::Markdown => format!("**{caption}**\n\n{}", markdown(&rows)),
        TableStyle::Plain => format!("{caption}\n\n{}", plain(&rows)),
    }
}

/// The rows of a report in the order that every face shows them.
pub(crate) fn named_rows<'a>(scores: &NamedScores<'a>) -> Vec<(String, &'a ScoreRow)> {
    let report = scores.report;
    let Some(taxonomy) = scores.taxonomy else {
        // The micro average is the accuracy.
        let rows = [
            (ANY_CATEGORY, &report.binary),
            ("None", &report.none),
            ("macro average", &report.averages.macro_),
            ("weighted average", &report.averages.weighted),
        ];
        return rows.map(|(name, row)| (name.to_owned(), row)).into();
    };
    let mut rows: Vec<(String, &ScoreRow)> =
        taxonomy.categories().iter().zip(&report.categories).map(|(c, row)| (c.name.clone(), row)).collect();
    rows.push(("None".into(), &report.none));
    rows.push(("macro average".into(), &report.averages.macro_));
    rows.push(("micro average".into(), &report.averages.micro));
    rows.push(("weighted average".into(), &report.averages.weighted));
    rows.push((ANY_CATEGORY.into(), &report.binary));
    rows
}

/// `63.2`, or `-` where undefined.
pub(crate) fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| format!("{:.1}", 100.0 * v))
}

fn interval(estimate: &Estimate, style: TableStyle) -> String {
    match (estimate.interval, style) {
        (None, TableStyle::Csv) => String::new(),
        (None, _) => "-".into(),
        (Some((low, high)), TableStyle::Csv) => format!("{low}..{high}"),
        (Some((low, high)), _) => format!("{:.0}-{:.0}", 100.0 * low, 100.0 * high),
    }
}

fn csv(title: &str, rows: &[Vec<String>]) -> String {
    let named = rows.iter().enumerate().map(|(i, row)| {
        let first = if i == 0 { "scored" } else { title };
        std::iter::once(first.to_owned()).chain(row.iter().cloned()).collect()
    });
    csv_rows(&named.collect::<Vec<_>>())
}

/// Rows as CSV, none of whose cells is a formula.
pub(crate) fn csv_rows(rows: &[Vec<String>]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        // Writing into memory cannot fail.
        let _ = writer.write_record(row.iter().map(|cell| guard(cell)));
    }
    writer.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

/// A cell that a spreadsheet would take for a formula gets an apostrophe.
pub(crate) fn guard(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err() && cell.len() > 1 {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

pub(super) fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    (0..columns)
        .map(|i| rows.iter().filter_map(|r| r.get(i)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect()
}

fn aligned(row: &[String], widths: &[usize], separator: &str) -> String {
    let cells: Vec<String> = row
        .iter()
        .zip(widths)
        .enumerate()
        .map(|(i, (cell, width))| if i == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") })
        .collect();
    cells.join(separator)
}

pub(super) fn plain(rows: &[Vec<String>]) -> String {
    let widths = widths(rows);
    let mut out: Vec<String> = rows.iter().map(|row| aligned(row, &widths, "  ").trim_end().to_owned()).collect();
    out.insert(1, "-".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1)));
    out.join("\n") + "\n"
}

pub(super) fn markdown(rows: &[Vec<String>]) -> String {
    let widths = widths(rows);
    let mut out: Vec<String> = rows.iter().map(|row| format!("| {} |", aligned(row, &widths, " | "))).collect();
    let rule: Vec<String> = widths
        .iter()
        .enumerate()
        .map(|(i, w)| if i == 0 { "-".repeat(*w) } else { format!("{}:", "-".repeat(w - 1)) })
        .collect();
    out.insert(1, format!("| {} |", rule.join(" | ")));
    out.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::label_set::LabelSet;
    use crate::domain::metrics::{LabelPair, TestSentence, report};
    use crate::domain::sight::Blindness;
    use crate::domain::statistics::Bootstrap;
    use crate::domain::taxonomy::Selection;

    #[test]
    fn every_style_shows_the_same_numbers() {
        let taxonomy = crate::domain::taxonomy::tests::small(Selection::Single);
        let pairs: [LabelPair; 4] = [(0, 1, 1), (1, 1, 2), (1, 0, 0), (2, 2, 2)].map(|(patient, gold, predicted)| {
            let blindness = if patient == 0 { Blindness::Blind } else { Blindness::Seen };
            TestSentence { patient, gold: LabelSet::from_bits(gold), blindness }.with(LabelSet::from_bits(predicted))
        });
        let report = report(&pairs, 3, true, Bootstrap { resamples: 100, seed: 1 });
        let scores_of =
            |style| scores(&NamedScores { title: "silver".into(), report: &report, taxonomy: Some(&taxonomy) }, style);
        let plain = scores_of(TableStyle::Plain);
        assert!(plain.starts_with("silver: 4 sentences of 3 patients, 25 % decided blind; accuracy 75.0"), "{plain}");
        assert!(plain.lines().any(|l| l.starts_with("Memory ") && l.contains("100.0    50.0   66.7")), "{plain}");
        assert!(plain.lines().any(|l| l.starts_with("Care") && l.ends_with("-")), "undefined is a dash:\n{plain}");
        assert!(scores_of(TableStyle::Markdown).contains("| Memory "));
        assert!(scores_of(TableStyle::Csv).contains("silver,Memory,2,1,0.5,0.6666666666666666,"));
    }

    #[test]
    fn no_cell_is_a_formula() {
        assert_eq!(guard("=1+1"), "'=1+1");
        assert_eq!(guard("-0.5"), "-0.5");
        assert_eq!(guard("-"), "-");
    }
}
