//! Experts beside each other: how far they agree, on which categories, what they confuse, and whether silver pulls them.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use crate::domain::agreement::{AnchoringVerdict, Coefficient};
use crate::domain::text::visible;
use crate::formats::tables::{counted, percent};
use crate::tui::app::App;
use crate::tui::metrics::name;
use crate::tui::theme::StyleRole;
use crate::tui::view::{bar, fit, pane, styled_lines};
use crate::workflow::agreement::AgreementReport;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let Some(report) = app.numbers.experts.as_deref() else {
        let text = "  agreement needs labels from two experts; import another's with --annotator";
        return frame.render_widget(Paragraph::new(vec![Line::default(), Line::raw(text)]), area);
    };
    let [left, right] = Layout::horizontal([Constraint::Percentage(50), Constraint::Min(10)]).spacing(1).areas(area);
    draw_overall(frame, left, app, report);
    let classes = report.agreement.classes.len() as u16 + 2;
    // What is confused keeps some room however many categories there are.
    let room = right.height.saturating_sub(6).max(3);
    let [above, below] = Layout::vertical([Constraint::Length(classes.min(room)), Constraint::Min(0)]).areas(right);
    draw_classes(frame, above, app, report);
    draw_confused(frame, below, app, report);
}

/// A number and its interval, or why there is none.
fn measured(
    measure: &Coefficient,
    name: &str,
    name_width: usize,
    width: usize,
    as_percent: bool,
    app: &App,
) -> Line<'static> {
    let theme = &app.shared.theme;
    let head = Span::styled(format!(" {:<name_width$}", fit(name, name_width)), theme.style(StyleRole::Text));
    let Some(value) = measure.value() else {
        let why = measure.undefined.map_or_else(String::new, |why| why.to_string());
        let room = width.saturating_sub(name_width + 2);
        return Line::from(vec![head, Span::styled(format!(" {}", fit(&why, room)), theme.style(StyleRole::Dim))]);
    };
    let shown = |value: f64| if as_percent { format!("{:.0}", 100.0 * value) } else { format!("{value:.2}") };
    let number = if as_percent { percent(Some(value)) } else { shown(value) };
    let interval = measure.estimate.interval;
    let interval = interval.map_or_else(|| "-".into(), |(low, high)| format!("{}..{}", shown(low), shown(high)));
    let mut spans = vec![
        head,
        Span::styled(format!(" {number:>5} "), theme.style(StyleRole::Text)),
        Span::styled(format!(" {interval:<11}"), theme.style(StyleRole::Dim)),
    ];
    let room = width.saturating_sub(name_width + 21);
    if room > 3 {
        spans.push(Span::styled(bar(value, room.min(20)), theme.style(StyleRole::Gold)));
    }
    Line::from(spans)
}

fn draw_overall(frame: &mut Frame<'_>, area: Rect, app: &App, report: &AgreementReport) {
    let shared = &app.shared;
    let theme = &shared.theme;
    let agreement = &report.agreement;
    let block = pane(shared, "agreement between experts");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let width = usize::from(inner.width);
    let of = format!(" {} of {}", counted(agreement.items, "sentence"), counted(agreement.patients, "patient"));
    let by = format!(" labelled by two or more, {} by one", agreement.alone);
    let dim = |text: &str| Line::styled(fit(text, width), theme.style(StyleRole::Dim));
    let mut lines = vec![dim(&of), dim(&by)];
    let name_width = width.saturating_sub(20).clamp(14, 22);
    let line = |measure, name, as_percent| measured(measure, name, name_width, width, as_percent, app);
    lines.push(line(&agreement.raw, "raw, %", true));
    lines.push(line(&agreement.alpha, "alpha", false));
    lines.extend(agreement.alpha_masi.iter().map(|masi| line(masi, "alpha, MASI", false)));
    lines.push(line(&agreement.kappa, "kappa, mean", false));
    let fleiss = format!("Fleiss, {} each", agreement.fleiss.raters);
    lines.push(line(&agreement.fleiss.kappa, &fleiss, false));
    lines.push(line(&agreement.ac1, "AC1", false));

    let said = report.anchoring.sentence();
    let meaning = if report.anchoring.pull() == AnchoringVerdict::Pulled { StyleRole::Warn } else { StyleRole::Dim };
    let said = match report.silver {
        Some(_) => styled_lines(&said, width.saturating_sub(1), theme.style(meaning), &[]),
        None => Vec::new(),
    };
    // What remains between is the pairs', two lines with a heading at least.
    let height = usize::from(inner.height);
    let room = height.saturating_sub(lines.len() + said.len() + 1);
    if agreement.pairs.len() > 1 && room > 1 {
        lines.push(Line::styled(
            fit(" kappa of each pair, and sentences both labelled", width),
            theme.style(StyleRole::Title),
        ));
        let shown = if agreement.pairs.len() < room { agreement.pairs.len() } else { room.saturating_sub(2) };
        let name_width = width.saturating_sub(28).clamp(12, 40);
        for pair in agreement.pairs.iter().take(shown) {
            let [first, second] = [pair.first, pair.second].map(|rater| visible(report.name(rater)).text);
            // A short name leaves its room to the other.
            let (room, half) = (name_width.saturating_sub(3), name_width.saturating_sub(3) / 2);
            let second = fit(&second, half.max(room.saturating_sub(first.width())));
            let who = format!("{} + {second}", fit(&first, room.saturating_sub(second.width())));
            let mut shown = measured(&pair.kappa, &who, name_width, width.min(name_width + 21), false, app);
            shown.push_span(Span::styled(format!("{:>6}", pair.items), theme.style(StyleRole::Dim)));
            lines.push(shown);
        }
        if shown < agreement.pairs.len() {
            lines.push(dim(&format!(" and {} more", agreement.pairs.len() - shown)));
        }
    }
    let gap = height.saturating_sub(lines.len() + said.len());
    lines.extend((0..gap.min(1)).map(|_| Line::default()));
    for mut line in said {
        line.spans.insert(0, Span::raw(" "));
        lines.push(line);
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

fn draw_classes(frame: &mut Frame<'_>, area: Rect, app: &App, report: &AgreementReport) {
    let shared = &app.shared;
    let theme = &shared.theme;
    let block = pane(shared, "each category against the rest");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let width = usize::from(inner.width);
    let interval_width = if width >= 56 { 13 } else { 0 };
    let name_width = width.saturating_sub(22 + interval_width).clamp(10, 30);
    let bar_width = width.saturating_sub(name_width + interval_width + 14).min(20);
    let head = format!(" {:<name_width$} {:>5} {:>5} ", "", "n", "alpha");
    let mut lines = vec![Line::styled(fit(&head, width), theme.style(StyleRole::Title))];
    for (class, row) in report.agreement.classes.iter().enumerate() {
        let label = fit(name(&shared.taxonomy, class), name_width);
        let meaning = if row.items < 10 { StyleRole::Dim } else { StyleRole::Text };
        let alpha = row.alpha.value().map_or_else(|| "-".to_owned(), |alpha| format!("{alpha:.2}"));
        let mut spans =
            vec![Span::styled(format!(" {label:<name_width$} {:>5} {alpha:>5} ", row.items), theme.style(meaning))];
        if interval_width > 0 {
            let interval = row.alpha.estimate.interval;
            let interval = interval.map_or_else(|| "-".into(), |(low, high)| format!("{low:.2}..{high:.2}"));
            spans.push(Span::styled(format!(" {interval:<12}"), theme.style(StyleRole::Dim)));
        }
        if let Some(alpha) = row.alpha.value() {
            spans.push(Span::styled(bar(alpha, bar_width), theme.style(StyleRole::Gold)));
        }
        lines.push(Line::from(spans));
    }
    let height = usize::from(inner.height);
    if lines.len() > height && height > 1 {
        let more = lines.len() - (height - 1);
        lines.truncate(height - 1);
        lines.push(Line::styled(format!(" and {more} more"), theme.style(StyleRole::Dim)));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

fn draw_confused(frame: &mut Frame<'_>, area: Rect, app: &App, report: &AgreementReport) {
    let shared = &app.shared;
    let theme = &shared.theme;
    let block = pane(shared, "confused with each other");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let width = usize::from(inner.width);
    if report.confused.is_empty() {
        let none = Line::styled(fit(" no disagreements", width), theme.style(StyleRole::Dim));
        return frame.render_widget(Paragraph::new(none), inner);
    }
    let height = usize::from(inner.height).max(1);
    let selected = app.metrics.confused.min(report.confused.len() - 1);
    let first = (selected + 1).saturating_sub(height);
    let half = width.saturating_sub(16) / 2;
    let lines = report.confused.iter().enumerate().skip(first).take(height).map(|(at, pair)| {
        let [one, other] = [pair.one, pair.other].map(|class| fit(name(&shared.taxonomy, class), half));
        let between = format!("{one} / {other}");
        let meaning = if at == selected { StyleRole::Selected } else { StyleRole::Text };
        let between = format!(" {between:<0$} ", 2 * half + 3);
        Line::from(vec![
            Span::styled(between, theme.style(meaning)),
            Span::styled(format!("{:>5} {:>3.0} %", pair.count, 100.0 * pair.share), theme.style(StyleRole::Dim)),
        ])
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
}
