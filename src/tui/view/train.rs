//! Train: the run under way with its loss and each category's F1, and the runs before it.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{bar, duration, fit, pane};
use crate::domain::label::RunKind;
use crate::domain::text::visible;
use crate::formats::tables::percent;
use crate::tui::app::App;
use crate::tui::keymap::Action;
use crate::tui::theme::Meaning;
use crate::workflow::train::outputs;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let shared = &app.shared;
    let [left, right] = Layout::horizontal([Constraint::Percentage(55), Constraint::Min(10)]).spacing(1).areas(area);
    let block = pane(shared, "this run");
    let inner = block.inner(left);
    frame.render_widget(block, left);
    frame.render_widget(Paragraph::new(run_lines(app, usize::from(inner.width))), inner);
    let block = pane(shared, "all runs");
    let inner = block.inner(right);
    frame.render_widget(block, right);
    frame.render_widget(Paragraph::new(runs(app, usize::from(inner.width))), inner);
}

fn run_lines(app: &App, width: usize) -> Vec<Line<'static>> {
    let theme = &app.shared.theme;
    let state = &app.train;
    let plain = |text: String| Line::styled(fit(&text, width), theme.style(Meaning::Text));
    let mut lines = Vec::new();
    if !state.running && state.epochs.is_empty() {
        let key = app.shared.keymap.key(Action::Start);
        lines
            .push(plain(format!(" {key} trains the default classifier on {} gold sentences.", app.board.gold.settled)));
    }
    if !state.rows.is_empty() {
        let rows: Vec<String> =
            state.rows.iter().filter(|(_, n)| *n > 0).map(|(tier, n)| format!("{n} {tier}")).collect();
        lines.push(plain(format!(" {}; {} validation, {} test", rows.join(" + "), state.held_out.0, state.held_out.1)));
    }
    if state.leaks > 0 {
        let text = format!(" {} test sentences stand nearly word for word in training", state.leaks);
        lines.push(Line::styled(fit(&text, width), theme.style(Meaning::Warn)));
    }
    if let Some(epoch) = state.epochs.last() {
        let left = state
            .left()
            .filter(|_| state.running)
            .map_or_else(String::new, |ms| format!(", at most {} left", duration(ms)));
        lines.push(plain(format!(" epoch {} of at most {}{left}", epoch.epoch, epoch.epochs)));
        lines.push(plain(format!(
            " loss {:.4}  {}",
            epoch.train_loss,
            spark(&state.epochs.iter().map(|e| e.train_loss).collect::<Vec<_>>(), width.saturating_sub(16))
        )));
        let best = state.epochs.iter().rev().find(|e| e.best);
        let f1 = |e: Option<&crate::classifier::Epoch>| percent(e.and_then(|e| e.validation_macro_f1).map(f64::from));
        lines.push(plain(format!(" validation macro-F1 {} (best {})", f1(Some(epoch)), f1(best))));
        lines.push(Line::default());
        let (names, _) = outputs(&app.shared.taxonomy);
        let name_width = width.saturating_sub(22).clamp(8, 26);
        for (key, f1) in names.iter().zip(&epoch.per_output_f1) {
            let category = app.shared.taxonomy.categories().iter().find(|c| c.key.as_str() == key);
            let name = category.map_or(key.as_str(), |c| c.name.as_str());
            lines.push(Line::from(vec![
                Span::styled(format!(" {:<name_width$} ", fit(name, name_width)), theme.style(Meaning::Text)),
                Span::styled(format!("{:>5} ", percent(f1.map(f64::from))), theme.style(Meaning::Dim)),
                Span::styled(
                    bar(f64::from(f1.unwrap_or(0.0)), width.saturating_sub(name_width + 9).min(30)),
                    theme.style(Meaning::Classifier),
                ),
            ]));
        }
    }
    if let Some((what, done, total)) = &state.step {
        let of = total.map_or_else(String::new, |t| format!(" of {t}"));
        lines.push(plain(format!(" {what}: {done}{of}")));
    }
    if let Some(ended) = &state.ended {
        lines.push(Line::default());
        lines.push(Line::styled(format!(" {}", fit(ended, width.saturating_sub(1))), theme.style(Meaning::Good)));
    }
    lines
}

/// A line of values in eight heights: losses on a logarithmic scale, from the least to the most that are shown.
fn spark(values: &[f32], width: usize) -> String {
    const BARS: [char; 8] =
        ['\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}'];
    let logs: Vec<f32> =
        values[values.len().saturating_sub(width)..].iter().map(|v| v.max(f32::MIN_POSITIVE).ln()).collect();
    let least = logs.iter().copied().fold(f32::INFINITY, f32::min);
    let most = logs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = (most - least).max(f32::MIN_POSITIVE);
    logs.iter().map(|v| BARS[(((v - least) / range * 7.0).round() as usize).min(7)]).collect()
}

fn runs(app: &App, width: usize) -> Vec<Line<'static>> {
    let theme = &app.shared.theme;
    let mut lines = Vec::new();
    for run in &app.board.runs {
        let scores: serde_json::Value = serde_json::from_str(&run.scores).unwrap_or_default();
        let f1 = scores.get("macro_f1").and_then(serde_json::Value::as_f64);
        let scored = if run.kind == RunKind::Train { format!(" F1 {}", percent(f1)) } else { String::new() };
        let short: String = run.id.0.chars().rev().take(6).collect::<Vec<_>>().into_iter().rev().collect();
        let text = format!(" {short} {:<8}{scored} {}", run.kind.to_string(), visible(&run.model).text);
        lines.push(Line::styled(fit(&text, width), theme.style(Meaning::Text)));
    }
    if lines.is_empty() {
        lines.push(Line::styled(" none yet", theme.style(Meaning::Dim)));
    }
    lines
}
