//! The report of an experiment as terminal table, Markdown, LaTeX, CSV, JSON and a page of HTML that needs nothing else.

mod html;
mod latex;
mod plots;
mod sheets;
mod template;

use super::FormatError;
use super::tables::{self, csv_rows};
use crate::domain::comparison::SeedSpread;
use crate::domain::experiment::{ExperimentReport, RowScores, SetScores, TestedDifference};
use crate::domain::text::visible;
use sheets::Sheet;

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReportFormat {
    /// Aligned columns for a terminal so wide.
    Table {
        /// Columns of the terminal.
        width: usize,
    },
    Markdown,
    /// Tables for a LaTeX document with `booktabs`.
    Latex,
    /// A line for each number, in full.
    Csv,
    Json,
    /// One page with plots; no script, nothing fetched.
    Html,
}

impl ReportFormat {
    /// Every format, and the name of its file.
    pub(crate) const FILES: [(Self, &'static str); 6] = [
        (Self::Table { width: 80 }, "experiment.txt"),
        (Self::Markdown, "experiment.md"),
        (Self::Latex, "experiment.tex"),
        (Self::Csv, "experiment.csv"),
        (Self::Json, "experiment.json"),
        (Self::Html, "experiment.html"),
    ];
}

/// From here on precision, recall and F1 of four sets stand side by side.
const WIDE: usize = 160;

/// Text that is neither markup nor a control character.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Writes a report.
pub(crate) fn write(report: &ExperimentReport, format: ReportFormat) -> Result<String, FormatError> {
    Ok(match format {
        ReportFormat::Table { width } => plain(report, width),
        ReportFormat::Markdown => markdown(report),
        ReportFormat::Latex => latex::document(report)?,
        ReportFormat::Csv => csv(report),
        ReportFormat::Json => format!("{:#}\n", serde_json::json!(report)),
        ReportFormat::Html => html::page(report)?,
    })
}

/// Control characters of names are shown, never sent; the lines stay.
fn shown(text: &str) -> String {
    text.lines().map(|line| visible(line).text + "\n").collect()
}

fn plain(report: &ExperimentReport, width: usize) -> String {
    let set = |sheet: &Sheet| {
        let title = wrapped(&sheet.title, width);
        format!("\n{title}\n{}", tables::plain(&fitted(sheet, width)))
    };
    let mut out = wrapped(&sheets::facts(report), width);
    for grid in &report.grids {
        out.push_str(&format!("\n== {} ==\n", sheets::title(grid)));
        let scores = if width >= WIDE { vec![sheets::side_by_side(grid)] } else { sheets::scores(grid) };
        for sheet in scores.into_iter().chain(sheets::gains(grid)).chain([sheets::training(grid)]) {
            out.push_str(&set(&sheet));
        }
        for words in sheets::in_words(grid) {
            out.push_str(&format!("\n{}", wrapped(&words, width)));
        }
    }
    for sheet in sheets::curves(report) {
        out.push_str(&set(&sheet));
    }
    shown(&out)
}

/// Lines no wider than this, as far as words allow.
fn wrapped(text: &str, width: usize) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut column = 0;
        for word in line.split(' ') {
            let length = word.chars().count();
            if column > 0 && column + 1 + length > width {
                out.push('\n');
                column = 0;
            }
            if column > 0 {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += length;
        }
        out.push('\n');
    }
    out
}

/// A sheet's rows with names cut so that its lines are no wider than this, as far as cutting names can do it.
fn fitted(sheet: &Sheet, width: usize) -> Vec<Vec<String>> {
    let mut rows = sheet.lines();
    let widths = tables::widths(&rows);
    let total = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
    let room = widths.first().map_or(0, |first| first.saturating_sub(total.saturating_sub(width)).max(12));
    for name in rows.iter_mut().filter_map(|row| row.first_mut()) {
        if name.chars().count() > room {
            *name = name.chars().take(room - 1).chain(['\u{2026}']).collect();
        }
    }
    rows
}

fn markdown(report: &ExperimentReport) -> String {
    let plain_text = |text: &str| text.replace('|', "\\|").replace('<', "&lt;");
    let table = |sheet: &Sheet| {
        let cells = |row: Vec<String>| row.iter().map(|cell| plain_text(cell)).collect();
        let rows: Vec<Vec<String>> = sheet.lines().into_iter().map(cells).collect();
        format!("\n**{}**\n\n{}", plain_text(&sheet.title), tables::markdown(&rows))
    };
    let mut out = format!("# Experiment {}\n\n{}\n", report.experiment, plain_text(&sheets::facts(report)));
    for grid in &report.grids {
        out.push_str(&format!("\n## {}\n", plain_text(&sheets::title(grid))));
        for sheet in sheets::scores(grid).into_iter().chain(sheets::gains(grid)).chain([sheets::training(grid)]) {
            out.push_str(&table(&sheet));
        }
        for words in sheets::in_words(grid) {
            out.push_str(&format!("\n{}\n", plain_text(&words)));
        }
    }
    for sheet in sheets::curves(report) {
        out.push_str(&table(&sheet));
    }
    shown(&out)
}

const CSV_HEADER: [&str; 23] = [
    "experiment",
    "model",
    "task",
    "set",
    "share",
    "row",
    "support",
    "measure",
    "seeds",
    "mean",
    "deviation",
    "low",
    "high",
    "difference",
    "difference_low",
    "difference_high",
    "p",
    "p_holm",
    "verdict",
    "gold_rows",
    "silver_rows",
    "bronze_rows",
    "runs",
];

fn csv(report: &ExperimentReport) -> String {
    let number = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
    let pair = |interval: Option<(f64, f64)>| [number(interval.map(|i| i.0)), number(interval.map(|i| i.1))];
    let line =
        |head: &[String], measure: &str, spread: &SeedSpread, gain: Option<&TestedDifference>, tail: &[String]| {
            let mut cells = head.to_vec();
            cells.extend([measure.to_owned(), spread.each.len().to_string()]);
            cells.extend([number(spread.mean), number(spread.deviation)]);
            cells.extend(pair(spread.interval));
            match gain {
                Some(judged) => {
                    cells.push(number(judged.gain.difference));
                    cells.extend(pair(judged.gain.interval));
                    cells.extend([number(judged.gain.p), number(judged.p_holm), judged.verdict.words().to_owned()]);
                }
                None => cells.extend(vec![String::new(); 6]),
            }
            cells.extend_from_slice(tail);
            cells
        };
    let runs =
        |runs: &[crate::domain::label::RunId]| runs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let mut rows: Vec<Vec<String>> = vec![CSV_HEADER.map(str::to_owned).to_vec()];
    for grid in &report.grids {
        for set in &grid.sets {
            let head = |row: &str, support: Option<u64>| {
                vec![
                    report.experiment.clone(),
                    grid.model.clone(),
                    grid.task.to_string(),
                    set.set.to_string(),
                    "100".to_owned(),
                    row.to_owned(),
                    support.map_or_else(String::new, |n| n.to_string()),
                ]
            };
            let first = set.trained.first().copied().unwrap_or_default();
            let mut tail: Vec<String> =
                [first.gold, first.silver, first.bronze].iter().map(ToString::to_string).collect();
            tail.push(runs(&set.runs));
            for (name, scores) in grid.rows.iter().zip(&set.rows) {
                let RowScores { precision, recall, f1, gain } = scores;
                let head = head(&name.key, name.support);
                rows.push(line(&head, "precision", precision, None, &tail));
                rows.push(line(&head, "recall", recall, None, &tail));
                rows.push(line(&head, "F1", f1, gain.as_ref(), &tail));
            }
            let SetScores { accuracy, accuracy_gain, mcnemar, .. } = set;
            let overall = head("overall", Some(report.sentences as u64));
            rows.push(line(&overall, "accuracy", accuracy, accuracy_gain.as_ref(), &tail));
            if let Some((test, p_holm)) = mcnemar {
                let mut cells = overall.clone();
                cells.extend(["McNemar".to_owned(), set.seeds.len().to_string()]);
                cells.extend(vec![String::new(); 7]);
                cells.extend([test.exact.to_string(), number(*p_holm), String::new()]);
                cells.extend(tail.clone());
                rows.push(cells);
            }
        }
    }
    for curve in &report.curves {
        for point in curve.points.iter().filter(|point| point.share < 100) {
            let mut head: Vec<String> = vec![report.experiment.clone(), curve.model.clone(), curve.task.to_string()];
            head.extend([curve.set.to_string(), point.share.to_string(), "macro".to_owned(), String::new()]);
            let others = String::new();
            let tail = [point.gold.to_string(), others.clone(), others, runs(&point.runs)];
            rows.push(line(&head, "F1", &point.macro_f1, point.gain.as_ref(), &tail));
        }
    }
    csv_rows(&rows)
}

#[cfg(test)]
mod tests;
