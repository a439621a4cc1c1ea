//! The report's tables for a LaTeX document that loads `booktabs`.

use super::sheets::{self, Sheet};
use crate::domain::comparison::Spread;
use crate::domain::experiment::{Grid, Report, RowKind};
use crate::formats::tables::percent;

/// Text as LaTeX prints it. What no font has, and what would drive a terminal, is left out.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            '|' => out.push_str("\\textbar{}"),
            '\u{b1}' => out.push_str("$\\pm$"),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

pub(super) fn document(report: &Report) -> String {
    let mut out = String::from("% \\usepackage{booktabs}\n");
    for line in sheets::facts(report).lines() {
        out.push_str(&format!("% {}\n", escape(line)));
    }
    for grid in &report.grids {
        out.push_str(&scores(report, grid));
        for sheet in sheets::gains(grid).into_iter().chain([sheets::training(grid)]) {
            out.push_str(&table(&sheet));
        }
    }
    for sheet in sheets::curves(report) {
        out.push_str(&table(&sheet));
    }
    out
}

/// Precision, recall and F1 under a heading for each training set.
fn scores(report: &Report, grid: &Grid) -> String {
    let value = |spread: &Spread| match spread.deviation {
        Some(deviation) => format!("{}{{\\tiny$\\pm${:.1}}}", percent(spread.mean), 100.0 * deviation),
        None => percent(spread.mean),
    };
    let mut out = format!(
        "\n\\begin{{table*}}\n\\centering\\scriptsize\\setlength{{\\tabcolsep}}{{3pt}}\n\\begin{{tabular}}{{lr{}}}\n\\toprule\n",
        "rrr".repeat(grid.sets.len())
    );
    let heads: Vec<String> =
        grid.sets.iter().map(|set| format!(" & \\multicolumn{{3}}{{c}}{{{}}}", escape(&set.set.to_string()))).collect();
    out.push_str(&format!(" & {} \\\\\n", heads.concat()));
    for at in 0..grid.sets.len() {
        out.push_str(&format!("\\cmidrule(lr){{{}-{}}}", 3 + 3 * at, 5 + 3 * at));
    }
    out.push_str(&format!("\n & n{} \\\\\n\\midrule\n", " & P & R & F1".repeat(grid.sets.len())));
    let mut kind = RowKind::Class;
    for (at, row) in grid.rows.iter().enumerate() {
        if row.kind != kind {
            kind = row.kind;
            out.push_str("\\midrule\n");
        }
        out.push_str(&escape(&row.name));
        out.push_str(&row.support.map_or_else(|| " & ".into(), |n| format!(" & {n}")));
        for set in &grid.sets {
            let scores = &set.rows[at];
            for spread in [&scores.precision, &scores.recall, &scores.f1] {
                out.push_str(&format!(" & {}", value(spread)));
            }
        }
        out.push_str(" \\\\\n");
    }
    out.push_str("accuracy & ");
    for set in &grid.sets {
        out.push_str(&format!(" & & & {}", value(&set.accuracy)));
    }
    out.push_str(&format!(
        " \\\\\n\\bottomrule\n\\end{{tabular}}\n\\caption{{{}: precision, recall and F1 on {} gold sentences of {} patients, mean$\\pm$deviation over seeds. Experiment {}.}}\n\\end{{table*}}\n",
        escape(&sheets::title(grid)),
        report.sentences,
        report.patients,
        escape(&report.experiment)
    ));
    out
}

fn table(sheet: &Sheet) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
        format!("{} \\\\\n", cells.join(" & "))
    };
    let columns = "r".repeat(sheet.header.len().saturating_sub(1));
    let rows: String = sheet.rows.iter().map(|row| line(row)).collect();
    format!(
        "\n\\begin{{table}}\n\\centering\\footnotesize\\setlength{{\\tabcolsep}}{{4pt}}\n\\begin{{tabular}}{{l{columns}}}\n\\toprule\n{}\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}\n\\caption{{{}.}}\n\\end{{table}}\n",
        line(&sheet.header),
        escape(&sheet.title)
    )
}
