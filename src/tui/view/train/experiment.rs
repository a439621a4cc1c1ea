//! The experiment's table as it fills: F1 of each category, with the training sets side by side.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::domain::comparison::{ComparisonVerdict, SeedSpread};
use crate::domain::experiment::{ExperimentReport, GridTable, TestedDifference};
use crate::domain::text::visible;
use crate::formats::tables::{counted, percent};
use crate::tui::app::App;
use crate::tui::keymap::Action;
use crate::tui::theme::StyleRole;
use crate::tui::view::{duration, fit, pane, styled_lines};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let block = pane(&app.shared, "experiment");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    let mut lines = head(app, width);
    let state = &app.train.experiment;
    let table: Vec<Line<'static>> =
        state.report.iter().flat_map(|report| &report.grids).flat_map(|grid| grid_lines(app, grid, width)).collect();
    let room = height.saturating_sub(lines.len());
    let top = state.top.min(table.len().saturating_sub(room));
    lines.extend(table.into_iter().skip(top));
    frame.render_widget(Paragraph::new(lines), inner);
}

/// How far it is, and what must be known before the numbers are read.
fn head(app: &App, width: usize) -> Vec<Line<'static>> {
    let theme = &app.shared.theme;
    let state = &app.train.experiment;
    let line = |text: String, meaning| Line::styled(fit(&text, width), theme.style(meaning));
    let Some(report) = &state.report else {
        let key = app.shared.keymap.key(Action::Start);
        let text = match (&state.ended, state.running) {
            (Some((ended, _)), _) => visible(ended).text,
            (_, true) => "planning ...".to_owned(),
            (_, false) => format!("reading the results so far; {key} starts the experiment"),
        };
        return vec![line(format!(" {text}"), StyleRole::Text)];
    };
    let mut said = vec![format!("{} of {}", report.finished, counted(report.planned, "cell"))];
    if state.running {
        said.push(format!("{} at once", state.jobs));
    }
    said.extend(state.left().map(|ms| format!("{} left", duration(ms))));
    said.push(format!("tested on {}", tested(report)));
    let mut lines = vec![line(format!(" {}", said.join(", ")), StyleRole::Text)];
    if let Some((ended, meaning)) = &state.ended {
        lines.push(line(format!(" {}", visible(ended).text), *meaning));
    } else if !state.running && report.finished < report.planned {
        let key = app.shared.keymap.key(Action::Start);
        lines.push(line(format!(" {key} starts or resumes it"), StyleRole::Dim));
    }
    for warning in report.warnings.iter().take(3) {
        let wrapped = styled_lines(&visible(warning).text, width.saturating_sub(3), theme.style(StyleRole::Warn), &[]);
        for (at, row) in wrapped.into_iter().take(2).enumerate() {
            let lead = Span::styled(if at == 0 { " ! " } else { "   " }, theme.style(StyleRole::Warn));
            lines.push(Line::from([vec![lead], row.spans].concat()));
        }
    }
    lines
}

fn tested(report: &ExperimentReport) -> String {
    format!("{} of {}", counted(report.sentences, "gold sentence"), counted(report.patients, "patient"))
}

/// One model in one task.
fn grid_lines(app: &App, grid: &GridTable, width: usize) -> Vec<Line<'static>> {
    const COLUMN: usize = 12;
    let theme = &app.shared.theme;
    let name_width = width.saturating_sub(7 + COLUMN * grid.sets.len()).clamp(8, 32);
    let row = |name: &str, support: &str, cells: Vec<String>, meaning| {
        let mut text = format!(" {:<name_width$} {support:>5}", fit(name, name_width));
        cells.iter().for_each(|cell| text.push_str(&format!("{cell:>COLUMN$}")));
        Line::styled(fit(&text, width), theme.style(meaning))
    };
    let title = format!(" {}, {}: F1, mean \u{b1} deviation", visible(&grid.model).text, grid.task);
    let judged = grid.sets.iter().any(|set| set.accuracy_gain.is_some());
    let arrows = if judged { "; \u{2191}\u{2193} more than chance" } else { "" };
    let mut lines = vec![Line::styled(fit(&format!("{title}{arrows}"), width), theme.style(StyleRole::Title))];
    lines.push(row("", "n", grid.sets.iter().map(|set| set.set.short()).collect(), StyleRole::Dim));
    for (at, name) in grid.rows.iter().enumerate() {
        let cells = grid.sets.iter().map(|set| set.rows.get(at).map_or_else(String::new, |r| cell(&r.f1, r.gain)));
        let support = name.support.map_or_else(String::new, |n| n.to_string());
        lines.push(row(&visible(&name.name).text, &support, cells.collect(), StyleRole::Text));
    }
    let accuracy = grid.sets.iter().map(|set| cell(&set.accuracy, set.accuracy_gain));
    lines.push(row("accuracy", "", accuracy.collect(), StyleRole::Text));
    lines.push(Line::default());
    lines
}

/// `49.9 ±1.2` with an arrow where the difference from gold alone is more than chance.
fn cell(spread: &SeedSpread, gain: Option<TestedDifference>) -> String {
    let arrow = match gain.map(|gain| gain.verdict) {
        Some(ComparisonVerdict::Gained) => '\u{2191}',
        Some(ComparisonVerdict::Lost) => '\u{2193}',
        Some(ComparisonVerdict::Chance | ComparisonVerdict::Unknown) | None => ' ',
    };
    match spread.deviation {
        Some(deviation) => format!("{} \u{b1}{:.1}{arrow}", percent(spread.mean), 100.0 * deviation),
        None => format!("{}{arrow}", percent(spread.mean)),
    }
}
