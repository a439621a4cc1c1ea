//! The report as one page: tables and plots, no script, nothing fetched.

use super::sheets::{self, Sheet};
use super::{escape, plots};
use crate::domain::experiment::{Grid, Report};

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:72rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.5rem;border-top:1px solid #bbb;padding-top:1rem}
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums;font-size:.9rem}
caption{text-align:left;font-weight:600;padding-bottom:.3rem}
th,td{padding:.15rem .6rem;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}
th:first-child,td:first-child{text-align:left}thead th{border-bottom:2px solid #444}
.scroll{overflow-x:auto}.warning{border-left:4px solid #b45309;padding:.2rem .8rem;background:#fef7ec}
svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:#1a1a1a}details{margin:1rem 0}
td.runs{white-space:normal;font-family:monospace;font-size:.75rem}";

pub(super) fn page(report: &Report) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n<h1>{title}</h1>\n",
        title = escape(&format!("Experiment {} of {}", report.experiment, report.project))
    );
    for line in sheets::facts(report).lines() {
        let class = if line.starts_with("warning: ") { " class=\"warning\"" } else { "" };
        out.push_str(&format!("<p{class}>{}</p>\n", escape(line)));
    }
    for grid in &report.grids {
        out.push_str(&format!("<h2>{}</h2>\n", escape(&sheets::title(grid))));
        out.push_str(&scores(grid));
        for words in sheets::in_words(grid) {
            out.push_str(&format!("<p>{}</p>\n", escape(&words)));
        }
        out.push_str(&plots::gains(grid));
        for sheet in sheets::gains(grid).into_iter().chain([sheets::training(grid)]) {
            out.push_str(&table(&sheet));
        }
        out.push_str(&plots::curves(report, grid));
    }
    for sheet in sheets::curves(report) {
        out.push_str(&table(&sheet));
    }
    out.push_str(&runs(report));
    out.push_str("</body>\n</html>\n");
    out
}

fn row(tag: &str, cells: &[String]) -> String {
    let cells: String = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
    format!("<tr>{cells}</tr>\n")
}

fn table(sheet: &Sheet) -> String {
    let rows: String = sheet.rows.iter().map(|cells| row("td", cells)).collect();
    format!(
        "<div class=\"scroll\"><table>\n<caption>{}</caption>\n<thead>\n{}</thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n",
        escape(&sheet.title),
        row("th", &sheet.header)
    )
}

/// The paper's table: precision, recall and F1 under a heading for each training set.
fn scores(grid: &Grid) -> String {
    let sheet = sheets::side_by_side(grid);
    let heads: String = grid
        .sets
        .iter()
        .map(|set| format!("<th colspan=\"3\" style=\"text-align:center\">{}</th>", escape(&set.set.to_string())))
        .collect();
    let measures = "<th>P</th><th>R</th><th>F1</th>".repeat(grid.sets.len());
    let rows: String = sheet.rows.iter().map(|cells| row("td", cells)).collect();
    format!(
        "<div class=\"scroll\"><table>\n<caption>{}</caption>\n<thead>\n<tr><th></th><th></th>{heads}</tr>\n<tr><th></th><th>n</th>{measures}</tr>\n</thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n",
        escape(&sheet.title)
    )
}

/// The run behind each cell.
fn runs(report: &Report) -> String {
    let lines: String = report
        .cells
        .iter()
        .map(|cell| {
            format!(
                "<tr><td>{}</td><td class=\"runs\">{}</td></tr>\n",
                escape(&cell.cell.to_string()),
                escape(&cell.run.0)
            )
        })
        .collect();
    format!(
        "<details><summary>The run behind each cell (goldsmith runs show ID)</summary>\n<table>\n<tbody>\n{lines}</tbody>\n</table></details>\n"
    )
}
