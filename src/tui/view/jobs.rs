//! Jobs: what can be started, what is under way with pace, cost and time left, and the runs before.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{bar, duration, fit, pane};
use crate::domain::label::{Outcome, RunKind};
use crate::domain::text::visible;
use crate::tui::app::App;
use crate::tui::jobs::JobState;
use crate::tui::keymap::Action;
use crate::tui::theme::StyleRole;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let shared = &app.shared;
    let lines = jobs(app, usize::from(area.width));
    let wanted = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(1);
    let [upper, lower] =
        Layout::vertical([Constraint::Length(wanted.min(area.height * 2 / 3).max(4)), Constraint::Min(3)]).areas(area);
    let block = pane(shared, "language models");
    let inner = block.inner(upper);
    frame.render_widget(block, upper);
    frame.render_widget(Paragraph::new(lines), inner);
    let block = pane(shared, "runs of language models");
    let inner = block.inner(lower);
    frame.render_widget(block, lower);
    frame.render_widget(Paragraph::new(runs(app, usize::from(inner.width))), inner);
}

fn jobs(app: &App, width: usize) -> Vec<Line<'static>> {
    let theme = &app.shared.theme;
    let state = &app.jobs;
    let mut lines = Vec::new();
    if state.specs.is_empty() {
        for text in [
            " No language model is named in goldsmith.toml. Write one there and open the workbench again:",
            "   [models.local]",
            "   file = \"qwen2.5-1.5b-instruct-q4_k_m.gguf\"",
            " or use the command line: goldsmith label --gguf FILE, goldsmith label --url URL",
        ] {
            lines.push(Line::styled(fit(text, width), theme.style(StyleRole::Text)));
        }
    }
    for (at, spec) in state.specs.iter().enumerate() {
        let chosen = at == state.selected;
        let mark = if chosen { "> " } else { "  " };
        let job = state.jobs.get(spec);
        let status = match job {
            None => {
                let key = app.shared.keymap.key(Action::Accept);
                if chosen { format!("{key} starts it") } else { String::new() }
            }
            Some(JobState { ended: Some((_, true)), .. }) => "ended".to_owned(),
            Some(JobState { ended: Some((_, false)), .. }) => "failed".to_owned(),
            Some(JobState { paused: true, .. }) => "paused".to_owned(),
            Some(_) => "running".to_owned(),
        };
        let meaning = if chosen { StyleRole::Selected } else { StyleRole::Text };
        lines.push(Line::from(vec![
            Span::styled(format!("{mark}{:<32}", fit(&visible(&spec.name()).text, 32)), theme.style(meaning)),
            Span::styled(format!(" {status}"), theme.style(StyleRole::Dim)),
        ]));
        if let Some(job) = job {
            lines.extend(progress(app, job, width));
        }
    }
    lines
}

fn progress(app: &App, job: &JobState, width: usize) -> Vec<Line<'static>> {
    let theme = &app.shared.theme;
    let plain = |text: String, meaning| Line::styled(fit(&format!("    {text}"), width), theme.style(meaning));
    let mut lines = Vec::new();
    if let Some((how, well)) = &job.ended {
        lines.push(plain(visible(how).text, if *well { StyleRole::Good } else { StyleRole::Bad }));
        return lines;
    }
    let count = job.total.map_or_else(|| job.done.to_string(), |total| format!("{} of {total} {}", job.done, job.unit));
    lines.push(plain(format!("{}: {count}", visible(&job.what).text), StyleRole::Text));
    if let Some(total) = job.total.filter(|total| *total > 0) {
        let share = job.done as f64 / total as f64;
        lines.push(plain(bar(share, width.saturating_sub(8).min(60)), StyleRole::Silver));
    }
    let mut facts = Vec::new();
    facts.extend(job.pace().map(|pace| format!("{pace:.0} a minute")));
    facts.extend(job.left().map(|left| format!("{} left", duration(left))));
    let spent = &job.spending;
    if spent.requests + spent.cached > 0 {
        facts.push(format!("{} requests", spent.requests));
        facts.push(format!("{} tokens", spent.tokens()));
    }
    if spent.cached > 0 {
        facts.push(format!("{} from kept replies", spent.cached));
    }
    if spent.micros > 0 {
        facts.push(format!("{:.2} spent", spent.micros as f64 / 1e6));
    }
    if spent.retries > 0 {
        facts.push(format!("{} retries", spent.retries));
    }
    if !facts.is_empty() {
        lines.push(plain(facts.join(", "), StyleRole::Dim));
    }
    if job.failed > 0 {
        lines.push(plain(format!("{} failed", job.failed), StyleRole::Warn));
    }
    lines
}

fn runs(app: &App, width: usize) -> Vec<Line<'static>> {
    let theme = &app.shared.theme;
    let mut lines = Vec::new();
    for run in
        app.numbers.runs.iter().filter(|run| !matches!(run.kind, RunKind::Train | RunKind::Experiment | RunKind::Doubt))
    {
        let scores: serde_json::Value = serde_json::from_str(&run.scores).unwrap_or_default();
        let number = |key: &str| scores.get(key).and_then(serde_json::Value::as_u64);
        let came_to = match run.kind {
            RunKind::Generate => number("passed").map(|n| format!("{n} passed")),
            _ => number("labelled").map(|n| format!("{n} labelled")),
        };
        let failed = number("failed").filter(|n| *n > 0).map_or_else(String::new, |n| format!(", {n} failed"));
        let outcome = match run.outcome {
            Outcome::Running => "running, or interrupted",
            Outcome::Finished => "finished",
            Outcome::Stopped => "stopped",
            Outcome::Failed => "failed",
            Outcome::Elsewhere => "at another site",
        };
        let short: String = run.id.0.chars().skip(run.id.0.chars().count().saturating_sub(6)).collect();
        let text = format!(
            " {short} {:<9}{:<24} {}  {}{failed}",
            run.kind.to_string(),
            outcome,
            fit(&visible(&run.model).text, 32),
            came_to.unwrap_or_default()
        );
        lines.push(Line::styled(fit(&text, width), theme.style(StyleRole::Text)));
    }
    if lines.is_empty() {
        lines.push(Line::styled(" none yet", theme.style(StyleRole::Dim)));
    }
    lines
}
