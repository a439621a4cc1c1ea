//! Train: the run under way with its loss and each category's F1, all runs, and two of them side by side.

mod experiment;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{bar, duration, fit, pane, styled_lines};
use crate::domain::label::{Outcome, Run, RunKind};
use crate::domain::split::Tier;
use crate::domain::statistics::Estimate;
use crate::domain::text::visible;
use crate::formats::project::training::TrainingMethod;
use crate::formats::tables::{counted, percent};
use crate::tui::app::App;
use crate::tui::compare::{ComparedRun, comparable};
use crate::tui::keymap::Action;
use crate::tui::theme::StyleRole;
use crate::tui::train::{Pane, Setup, SetupLine, stretches};
use crate::workflow::train::{Epoch, outputs};

/// From here on the list of runs stays beside a comparison.
const WIDE: u16 = 120;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let shared = &app.shared;
    if app.train.pane == Pane::Experiment {
        return experiment::draw(frame, area, app);
    }
    let compared = app.train.compared.as_deref();
    let share = if compared.is_some() { 66 } else { 55 };
    let [mut left, right] =
        Layout::horizontal([Constraint::Percentage(share), Constraint::Min(10)]).spacing(1).areas(area);
    if compared.is_some() && area.width < WIDE {
        left = area;
    } else {
        let block = pane(shared, "all runs");
        let inner = block.inner(right);
        frame.render_widget(block, right);
        frame.render_widget(Paragraph::new(runs(app, inner)), inner);
    }
    let block = pane(shared, if compared.is_some() { "two runs compared" } else { "this run" });
    let inner = block.inner(left);
    frame.render_widget(block, left);
    let width = usize::from(inner.width);
    let lines = compared.map_or_else(|| run_lines(app, width), |sides| compared_lines(app, sides, width));
    frame.render_widget(Paragraph::new(lines), inner);
}

fn run_lines(app: &App, width: usize) -> Vec<Line<'static>> {
    let theme = &app.shared.theme;
    let live = &app.train.live;
    let styled = |text: String, meaning| Line::styled(fit(&text, width), theme.style(meaning));
    let plain = |text: String| styled(text, StyleRole::Text);
    let mut lines = Vec::new();
    if !live.running && live.rows.is_empty() {
        let key = |action| app.shared.keymap.key(action);
        let gold = counted(app.numbers.gold.settled, "gold sentence");
        lines.push(plain(format!(" {} trains on {gold}", key(Action::Start))));
        lines.push(plain(format!(" {} marks a run; mark two to compare them", key(Action::Accept))));
    }
    // How it ended stands first: on a small screen the last lines are out of sight.
    if let Some((ended, well)) = &live.ended {
        lines.extend(wrapped(app, ended, width, if *well { StyleRole::Good } else { StyleRole::Bad }));
    }
    if let Some((what, done, total)) = &live.work {
        let of = total.map_or_else(String::new, |t| format!(" of {t}"));
        lines.push(plain(format!(" {}: {done}{of}", visible(what).text)));
    }
    if !live.rows.is_empty() {
        let rows: Vec<String> =
            live.rows.iter().filter(|(_, n)| *n > 0).map(|(tier, n)| format!("{n} {tier}")).collect();
        let text = format!("{}; {} validation, {} test", rows.join(" + "), live.held_out.0, live.held_out.1);
        lines.extend(wrapped(app, &text, width, StyleRole::Text));
    }
    if live.leaks > 0 {
        let text = format!(" {} nearly word for word in training", counted(live.leaks, "test sentence"));
        lines.push(styled(text, StyleRole::Warn));
    }
    let left = live.left().filter(|_| live.running).map(|ms| format!("at most {} left", duration(ms)));
    if let Some(step) = live.step {
        let done = format!(" step {} of at most {}", step.step, step.steps);
        lines.push(plain([done].into_iter().chain(left.clone()).collect::<Vec<_>>().join(", ")));
    }
    if let Some(epoch) = live.epochs.last() {
        let done = format!(" epoch {} of at most {}", epoch.epoch, epoch.epochs);
        let left = left.filter(|_| live.step.is_none());
        lines.push(plain([done].into_iter().chain(left).collect::<Vec<_>>().join(", ")));
    }
    let of_epochs: Vec<f32> = live.epochs.iter().map(|epoch| epoch.train_loss).collect();
    let loss = live.step.map(|step| step.loss).or(of_epochs.last().copied());
    if let Some(loss) = loss {
        let room = width.saturating_sub(16);
        let curve = live.losses.shown(room);
        let curve = if curve.is_empty() { stretches(&of_epochs, room) } else { curve };
        lines.push(plain(format!(" loss {loss:.4}  {}", spark(&curve))));
    }
    if let Some(step) = live.step {
        lines.push(plain(format!(" learning rate {:.2e}", step.learning_rate)));
    }
    if let Some(epoch) = live.epochs.last() {
        let best = live.epochs.iter().rev().find(|e| e.best);
        let f1 = |e: Option<&Epoch>| percent(e.and_then(|e| e.validation_macro_f1).map(f64::from));
        lines.push(plain(format!(" validation macro-F1 {} (best {})", f1(Some(epoch)), f1(best))));
        lines.push(Line::default());
        lines.extend(category_lines(app, &epoch.per_output_f1, width));
    }
    lines
}

/// A text on at most three lines.
fn wrapped(app: &App, text: &str, width: usize, meaning: StyleRole) -> Vec<Line<'static>> {
    let style = app.shared.theme.style(meaning);
    let lines = styled_lines(&visible(text).text, width.saturating_sub(1), style, &[]).into_iter();
    lines.take(3).map(|line| Line::from([vec![Span::raw(" ")], line.spans].concat())).collect()
}

/// Each output's F1 on validation as a bar.
fn category_lines(app: &App, f1: &[Option<f32>], width: usize) -> Vec<Line<'static>> {
    let theme = &app.shared.theme;
    let (names, _) = outputs(&app.shared.taxonomy);
    let name_width = width.saturating_sub(22).clamp(8, 26);
    let line = |key: &String, f1: &Option<f32>| {
        let category = app.shared.taxonomy.categories().iter().find(|c| c.key.as_str() == key);
        let name = category.map_or(key.as_str(), |c| c.name.as_str());
        let share = f64::from(f1.unwrap_or(0.0));
        Line::from(vec![
            Span::styled(format!(" {:<name_width$} ", fit(name, name_width)), theme.style(StyleRole::Text)),
            Span::styled(format!("{:>5} ", percent(f1.map(f64::from))), theme.style(StyleRole::Dim)),
            Span::styled(bar(share, width.saturating_sub(name_width + 9).min(30)), theme.style(StyleRole::Classifier)),
        ])
    };
    names.iter().zip(f1).map(|(key, f1)| line(key, f1)).collect()
}

/// A line of values in eight heights: losses on a logarithmic scale, from the least to the most that are shown.
fn spark(values: &[f32]) -> String {
    const BARS: [char; 8] =
        ['\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}'];
    let logs: Vec<f32> = values.iter().map(|v| v.max(f32::MIN_POSITIVE).ln()).collect();
    let least = logs.iter().copied().fold(f32::INFINITY, f32::min);
    let most = logs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = (most - least).max(f32::MIN_POSITIVE);
    logs.iter().map(|v| BARS[(((v - least) / range * 7.0).round() as usize).min(7)]).collect()
}

/// The end of a run's id, by which the command line finds it too.
fn short(run: &Run) -> String {
    run.id.0.chars().skip(run.id.0.chars().count().saturating_sub(6)).collect()
}

fn runs(app: &App, area: Rect) -> Vec<Line<'static>> {
    let theme = &app.shared.theme;
    let (runs, width) = (&app.numbers.runs, usize::from(area.width));
    if runs.is_empty() {
        return vec![Line::styled(" none yet", theme.style(StyleRole::Dim))];
    }
    let selected = app.train.selected(runs);
    let height = usize::from(area.height).max(1);
    let top = (selected + 1).saturating_sub(height);
    let rows = runs.iter().enumerate().skip(top).take(height).map(|(at, run)| {
        let scores: serde_json::Value = serde_json::from_str(&run.scores).unwrap_or_default();
        let f1 = scores.get("macro_f1").and_then(serde_json::Value::as_f64);
        let came_to = match (run.outcome, run.kind) {
            (Outcome::Running, _) => " open".to_owned(),
            (Outcome::Failed, _) => " failed".to_owned(),
            (_, RunKind::Train | RunKind::Experiment) => format!(" F1 {}", percent(f1)),
            _ => String::new(),
        };
        let marked = app.train.marked.iter().position(|id| *id == run.id);
        let mark = match marked {
            Some(0) => 'A',
            Some(_) => 'B',
            None => ' ',
        };
        let cursor = if at == selected { '>' } else { ' ' };
        let text =
            format!("{cursor}{mark} {} {:<8}{came_to} {}", short(run), run.kind.to_string(), visible(&run.model).text);
        let meaning = match (at == selected, marked) {
            (true, _) => StyleRole::Selected,
            (false, Some(_)) => StyleRole::Gold,
            _ if comparable(run) => StyleRole::Text,
            _ => StyleRole::Dim,
        };
        Line::styled(fit(&text, width), theme.style(meaning))
    });
    rows.collect()
}

/// F1 of both with intervals, and the difference.
fn compared_lines(app: &App, sides: &[ComparedRun; 2], width: usize) -> Vec<Line<'static>> {
    let theme = &app.shared.theme;
    let line = |text: String, meaning| Line::styled(fit(&text, width), theme.style(meaning));
    let mut lines = Vec::new();
    for (name, side) in ['A', 'B'].into_iter().zip(sides) {
        let on = match side.scored_on {
            Some((n, patients)) => {
                format!("{} of {}", counted(n, "sentence"), counted(patients, "patient"))
            }
            None => "as stored then".to_owned(),
        };
        let tiers = tiers(&side.run);
        let text = format!(" {name} {} {}{tiers}: {on}", short(&side.run), visible(&side.run.model).text);
        lines.push(line(text, StyleRole::Text));
    }
    if sides[0].scored_on != sides[1].scored_on {
        lines.push(line(" scored on different sentences: not a fair comparison".into(), StyleRole::Warn));
    }
    let name_width = width.saturating_sub(46).clamp(8, 30);
    let head = format!(" {:<name_width$}  {:>5} {:<9} {:>5} {:<9} {:>6}", "F1", "A", "95 %", "B", "95 %", "B - A");
    lines.push(line(head, StyleRole::Title));
    let interval =
        |e: &Estimate| e.interval.map_or_else(String::new, |(l, h)| format!("{:.0}-{:.0}", 100.0 * l, 100.0 * h));
    for ((name, a), (_, b)) in sides[0].rows.iter().zip(&sides[1].rows) {
        let difference = a.value.zip(b.value).map_or_else(|| "-".to_owned(), |(a, b)| points(b - a));
        lines.push(Line::from(vec![
            Span::styled(format!(" {:<name_width$}  ", fit(name, name_width)), theme.style(StyleRole::Text)),
            Span::styled(format!("{:>5} ", percent(a.value)), theme.style(StyleRole::Text)),
            Span::styled(format!("{:<9} ", interval(a)), theme.style(StyleRole::Dim)),
            Span::styled(format!("{:>5} ", percent(b.value)), theme.style(StyleRole::Text)),
            Span::styled(format!("{:<9} ", interval(b)), theme.style(StyleRole::Dim)),
            Span::styled(format!("{difference:>6}"), theme.style(StyleRole::Key)),
        ]));
    }
    lines
}

/// A difference in points, with its sign.
fn points(difference: f64) -> String {
    let text = format!("{:+.1}", 100.0 * difference);
    if matches!(text.as_str(), "+0.0" | "-0.0") { "0.0".into() } else { text }
}

/// What a training run learnt from.
fn tiers(run: &Run) -> String {
    let config: serde_json::Value = serde_json::from_str(&run.config).unwrap_or_default();
    if let Some(set) = config["cell"]["set"].as_str() {
        return format!(" on {}", visible(set).text);
    }
    let tiers = config["settings"]["tiers"].as_array().into_iter().flatten();
    let names: Vec<String> = tiers.filter_map(|tier| tier.as_str()).map(|tier| visible(tier).text).collect();
    if names.is_empty() { String::new() } else { format!(" on {}", names.join("+")) }
}

/// What to train with, as a list; marks tell what is taken, so that it can be read without colour.
pub(super) fn setup_lines(app: &App) -> Vec<Line<'static>> {
    let theme = &app.shared.theme;
    let setup = &app.train.setup;
    let lines = Setup::choices().into_iter().enumerate().map(|(at, choice)| {
        let (name, what) = match choice {
            SetupLine::Start => ("train now".to_owned(), format!("or {} again", app.shared.keymap.key(Action::Start))),
            SetupLine::Method(method) => of_method(method, &setup.settings.encoder),
            SetupLine::Tier(tier) => (tier.to_string(), of_tier(app, tier)),
            SetupLine::Experiment => {
                ("experiment".to_owned(), "compares gold with what silver and bronze add to it".to_owned())
            }
        };
        let mark = match (choice, setup.taken(choice)) {
            (_, None) => "   ",
            (SetupLine::Method(_), Some(true)) => "(x)",
            (SetupLine::Method(_), Some(false)) => "( )",
            (_, Some(true)) => "[x]",
            (_, Some(false)) => "[ ]",
        };
        let cursor = if at == setup.selected { '>' } else { ' ' };
        let meaning = if at == setup.selected { StyleRole::Selected } else { StyleRole::Text };
        Line::from(vec![
            Span::styled(format!("{cursor} {mark} {name:<12}"), theme.style(meaning)),
            Span::styled(format!(" {what}"), theme.style(StyleRole::Dim)),
        ])
    });
    let mut lines: Vec<Line<'static>> = lines.collect();
    lines.push(Line::default());
    lines.push(Line::styled("  always scored on the gold of test patients only", theme.style(StyleRole::Dim)));
    lines
}

fn of_method(method: TrainingMethod, encoder: &str) -> (String, String) {
    let with = match encoder {
        "" => "name it under [train]".to_owned(),
        encoder => format!("with {}", visible(encoder).text),
    };
    match method {
        TrainingMethod::Ngram => ("n-grams".to_owned(), "seconds, on any processor, no encoder".to_owned()),
        TrainingMethod::Frozen => ("frozen".to_owned(), format!("a classification head on an encoder, {with}")),
        TrainingMethod::Finetune => ("fine-tune".to_owned(), format!("the whole encoder, {with}")),
        TrainingMethod::Vote => ("vote".to_owned(), format!("the three together, {with}")),
    }
}

fn of_tier(app: &App, tier: Tier) -> String {
    match tier {
        Tier::Gold => format!("experts' labels on real sentences: {} settled", app.numbers.gold.settled),
        Tier::Silver => match &app.numbers.silver {
            Some((_, model)) => format!("a language model's labels: {}", visible(model).text),
            None => "a language model's labels; there are none yet".to_owned(),
        },
        Tier::Bronze => {
            let written: usize = app.numbers.bronze.iter().sum();
            format!("sentences that a language model wrote: {written}")
        }
    }
}
