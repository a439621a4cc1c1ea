//! What the page of a report is made of; `page.html` says how.

use minijinja::context;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;

use super::template::fill;
use super::{FormatError, escape, plots, sheets};
use crate::domain::experiment::{ExperimentReport, GridTable};

pub(super) fn page(report: &ExperimentReport) -> Result<String, FormatError> {
    let grid = |grid: &GridTable| {
        let sheets: Vec<_> = sheets::gains(grid).into_iter().chain([sheets::training(grid)]).collect();
        context! {
            title => sheets::title(grid),
            sets => grid.sets.iter().map(|set| set.set.to_string()).collect::<Vec<_>>(),
            scores => sheets::side_by_side(grid),
            in_words => sheets::in_words(grid),
            gains_plot => Value::from_safe_string(plots::gains(grid)),
            sheets => sheets,
            curves_plot => Value::from_safe_string(plots::curves(report, grid)),
        }
    };
    let cells = report.cells.iter().map(|cell| context! { name => cell.cell.to_string(), run => cell.run.0 });
    let page = context! {
        title => format!("Experiment {} of {}", report.experiment, report.project),
        facts => sheets::facts(report).lines().collect::<Vec<_>>(),
        grids => report.grids.iter().map(grid).collect::<Vec<_>>(),
        curves => sheets::curves(report),
        cells => cells.collect::<Vec<_>>(),
    };
    fill(include_str!("page.html"), SyntaxConfig::default(), escape, page)
}
