//! Review and Bronze: the sentence large in its note, what machines and experts say of it, and the categories.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::overlay::paragraph;
use super::{bar, duration, fit, pane, styled_lines};
use crate::domain::corpus::Origin;
use crate::domain::label::{Confidence, ConfidenceKind, Decision, Label};
use crate::domain::queue::pace_ms;
use crate::domain::sight::Blindness;
use crate::domain::text::{Span as Bytes, visible};
use crate::tui::app::App;
use crate::tui::effect::COUNT_LIMIT;
use crate::tui::keymap::Action;
use crate::tui::review::WorklistState;
use crate::tui::shared::SharedState;
use crate::tui::theme::StyleRole;
use crate::workflow::review::ReviewItem;

/// At most so many bytes of the note on either side are shown.
const CONTEXT: usize = 4_000;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, state: &WorklistState) {
    let shared = &app.shared;
    let Some(item) = &state.item else {
        return frame.render_widget(Paragraph::new(empty(state, shared)), area);
    };
    let side = (area.width * 42 / 100).clamp(34, 60);
    let [left, right] = Layout::horizontal([Constraint::Min(10), Constraint::Length(side)]).spacing(1).areas(area);
    let [note, status] = Layout::vertical([Constraint::Min(3), Constraint::Length(2)]).areas(left);
    draw_note(frame, note, shared, item);
    frame.render_widget(Paragraph::new(progress(state, shared, status.width.into())), status);
    draw_labels(frame, right, app, state, item);
}

fn empty(state: &WorklistState, shared: &SharedState) -> Vec<Line<'static>> {
    let key = |action| shared.keymap.key(action).to_owned();
    let text = match (state.loaded, state.query.is_empty(), state.filter.origin) {
        (false, _, _) => "reading ...".to_owned(),
        (_, false, _) if state.filter.doubted.is_some() => {
            let clear = key(Action::Close);
            format!("no label is in doubt here: `goldsmith doubt` looks for label errors; {clear} shows all sentences")
        }
        (_, false, _) if state.held.is_some() => {
            format!("nothing to list: {}; {} shows all sentences", state.held.unwrap_or_default(), key(Action::Close))
        }
        (_, false, _) => {
            format!("no sentence matches `{}`; {} clears it", visible(&state.query).text, key(Action::Close))
        }
        (_, _, Origin::Real) if state.all.assigned.is_some() => {
            format!(
                "no sentences are assigned to {} yet; quit and run `goldsmith assign`",
                visible(&shared.annotator.0).text
            )
        }
        (_, _, Origin::Real) => "no sentences yet; quit and run `goldsmith import NOTES`".to_owned(),
        (_, _, Origin::Synthetic) => "no synthetic sentences yet".to_owned(),
    };
    vec![Line::default(), Line::raw(format!("  {text}"))]
}

pub(super) fn draw_note(frame: &mut Frame<'_>, area: Rect, shared: &SharedState, item: &ReviewItem) {
    let theme = &shared.theme;
    let document = &item.document;
    let parts = [&document.patient.0, &document.title, &document.kind, &document.date];
    let title: Vec<String> = parts.iter().filter(|p| !p.is_empty()).map(|p| visible(p).text).collect();
    // A synthetic sentence has no patient, so no part of a split.
    let split = if document.origin == Origin::Real { format!(", {}", item.split) } else { String::new() };
    let title = fit(&format!("{}{split}", title.join(", ")), usize::from(area.width).saturating_sub(4));
    let block = pane(shared, &title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let width = usize::from(inner.width).saturating_sub(3).max(1);

    let text = &document.text;
    let span = item.sentence.span;
    let before = slice(text, span.start.saturating_sub(CONTEXT), span.start);
    let after = slice(text, span.end, (span.end + CONTEXT).min(text.len()));
    let dim = theme.style(StyleRole::Dim);
    let context = |text: &str| -> Vec<Line<'static>> {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines
            .flat_map(|line| styled_lines(&visible(line.trim()).text, width, dim, &[]))
            .map(|line| prefixed("  ", line))
            .collect()
    };
    let mut lines = context(before);
    lines.push(Line::default());
    let start = lines.len();
    lines.extend(sentence(shared, item, width));
    let end = lines.len();
    lines.push(Line::default());
    lines.extend(context(after));

    // The sentence begins a third down, and ends on the screen if it can.
    let height = usize::from(inner.height);
    let third = start.saturating_sub(height / 3);
    let top = third.max(end.saturating_sub(height)).min(start);
    let shown: Vec<Line<'_>> = lines.into_iter().skip(top).take(height).collect();
    frame.render_widget(Paragraph::new(shown), inner);
}

fn slice(text: &str, start: usize, end: usize) -> &str {
    let floor = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    &text[floor(start)..floor(end)]
}

fn prefixed(prefix: &'static str, mut line: Line<'static>) -> Line<'static> {
    line.spans.insert(0, Span::raw(prefix));
    line
}

/// The sentence with a bar at its side, its evidence marked.
fn sentence(shared: &SharedState, item: &ReviewItem, width: usize) -> Vec<Line<'static>> {
    let theme = &shared.theme;
    let wording = item.wording();
    let shown = visible(wording);
    let quotes = item.proposal().map(|p| p.content.evidence.as_slice()).unwrap_or_default();
    let marks: Vec<_> = quotes
        .iter()
        .filter(|quote| !quote.is_empty())
        .filter_map(|quote| {
            let start = wording.find(quote.as_str())?;
            let at = shown.display_span(Bytes { start, end: start + quote.len() });
            Some((at.start, at.end, theme.style(StyleRole::Evidence)))
        })
        .collect();
    let side = Span::styled(" \u{258c} ", theme.style(StyleRole::Gold));
    styled_lines(&shown.text, width, theme.style(StyleRole::Sentence), &marks)
        .into_iter()
        .map(|mut line| {
            line.spans.insert(0, side.clone());
            line
        })
        .collect()
}

fn progress(state: &WorklistState, shared: &SharedState, width: usize) -> Vec<Line<'static>> {
    let theme = &shared.theme;
    let share = if state.total > 0 { state.decided as f64 / state.total as f64 } else { 0.0 };
    let mut said = format!("{} of {} decided", state.decided, state.total);
    if let Some(ms) = pace_ms(&state.took) {
        let left = u64::from(ms) * state.total.saturating_sub(state.decided);
        said += &format!(", {:.1} s each, {} left", f64::from(ms) / 1000.0, duration(left));
    }
    let filter = state.matches.map(|n| {
        let many = if n >= COUNT_LIMIT { "at least " } else { "" };
        format!("filter `{}`: {many}{n}", visible(&state.query).text)
    });
    let room = width.saturating_sub(1);
    let second = match filter {
        Some(filter) => Line::styled(format!(" {}", fit(&filter, room)), theme.style(StyleRole::Warn)),
        None => Line::styled(format!(" {}", bar(share, room.min(40))), theme.style(StyleRole::Gold)),
    };
    vec![Line::styled(format!(" {}", fit(&said, room)), theme.style(StyleRole::Dim)), second]
}

fn draw_labels(frame: &mut Frame<'_>, area: Rect, app: &App, state: &WorklistState, item: &ReviewItem) {
    let shared = &app.shared;
    let width = usize::from(area.width);
    let mut said = doubt_lines(shared, item, width);
    said.extend(machine_lines(shared, item, width));
    said.extend(gold_lines(shared, item, width));
    let categories = category_lines(shared, state, item, width);
    let synthetic = item.document.origin == Origin::Synthetic;
    // The categories have their place; what is said of the sentence takes the rest.
    let wanted = categories.len() as u16 + 1;
    let [top, bottom] = Layout::vertical([Constraint::Min(4), Constraint::Length(wanted)]).areas(area);
    let title = if synthetic { "synthetic sentence" } else { "labels" };
    let block = pane(shared, title);
    let inner = block.inner(top);
    frame.render_widget(block, top);
    if synthetic {
        said.extend(distribution_lines(app, width, usize::from(inner.height).saturating_sub(said.len())));
    }
    frame.render_widget(Paragraph::new(said), inner);
    let block = pane(shared, "categories");
    let inner = block.inner(bottom);
    frame.render_widget(block, bottom);
    frame.render_widget(Paragraph::new(categories), inner);
}

fn confidence(confidence: Option<Confidence>) -> String {
    confidence.map_or_else(
        || " n/a".to_owned(),
        |c| {
            let how = match c.kind {
                ConfidenceKind::TokenProbability => "p",
                ConfidenceKind::Stated => "stated",
                ConfidenceKind::SelfConsistency => "agreed",
                ConfidenceKind::Calibrated => "cal.",
                ConfidenceKind::Unknown => "?",
            };
            format!(" {:.0} % {how}", 100.0 * c.value)
        },
    )
}

pub(super) fn labelled(
    shared: &SharedState,
    who: &str,
    label: &Label,
    rest: &str,
    meaning: StyleRole,
    width: usize,
) -> Line<'static> {
    let name = shared.taxonomy.describe(label);
    let who = fit(who, 11);
    let room = width.saturating_sub(13 + rest.chars().count());
    Line::from(vec![
        Span::styled(format!(" {who:<11} "), shared.theme.style(StyleRole::Dim)),
        Span::styled(fit(&name, room), shared.theme.style(meaning)),
        Span::styled(rest.to_owned(), shared.theme.style(StyleRole::Dim)),
    ])
}

/// Why the sentence is here, and why a label of it may be wrong; where one of the labels is hidden, only that one may be.
fn doubt_lines(shared: &SharedState, item: &ReviewItem, width: usize) -> Vec<Line<'static>> {
    let style = shared.theme.style(StyleRole::Warn);
    let why = item.why.as_ref().filter(|_| item.judgement().label.is_none());
    let mut lines = why.map_or_else(Vec::new, |why| paragraph(shared, " here: ", why, StyleRole::Dim, width));
    lines.truncate(3);
    if !item.doubted {
        return lines;
    }
    let Some(doubt) = &item.doubt else {
        lines.push(Line::styled(" a label of it may be wrong", style));
        return lines;
    };
    let said = format!(
        "{} given {}, the classifier says {} with {:.2}; self-confidence {:.2}",
        doubt.tier,
        shared.taxonomy.describe(&doubt.given),
        shared.taxonomy.describe(&doubt.suggested),
        doubt.confidence,
        doubt.self_confidence
    );
    let wrapped = styled_lines(&visible(&said).text, width.saturating_sub(4), style, &[]).into_iter();
    lines.extend(wrapped.take(4).enumerate().map(|(i, line)| prefixed(if i == 0 { " ! " } else { "   " }, line)));
    lines
}

pub(super) fn machine_lines(shared: &SharedState, item: &ReviewItem, width: usize) -> Vec<Line<'static>> {
    let theme = &shared.theme;
    if !item.shown.machines {
        return vec![Line::styled(" blind: shown after you decide", theme.style(StyleRole::Warn))];
    }
    let mut lines = Vec::new();
    let synthetic = item.document.origin == Origin::Synthetic;
    for (i, proposal) in item.silver.iter().take(3).enumerate() {
        let who = if synthetic { "target" } else { "silver" };
        let content = &proposal.content;
        lines.push(labelled(shared, who, &content.label, &confidence(content.confidence), StyleRole::Silver, width));
        if i == 0 || !synthetic {
            lines.push(Line::styled(
                format!("   by {}", fit(&visible(&proposal.model).text, width.saturating_sub(6))),
                theme.style(StyleRole::Dim),
            ));
            if i == 0 && !content.rationale.is_empty() {
                let why = visible(&content.rationale).text;
                let wrapped = styled_lines(&why, width.saturating_sub(4), theme.style(StyleRole::Text), &[]);
                lines.extend(wrapped.into_iter().take(3).map(|line| prefixed("   ", line)));
            }
        }
    }
    if let Some(proposal) = &item.classifier {
        let content = &proposal.content;
        lines.push(labelled(
            shared,
            "classifier",
            &content.label,
            &confidence(content.confidence),
            StyleRole::Classifier,
            width,
        ));
    }
    for verdict in item.verdicts.iter().filter(|verdict| !verdict.passed) {
        let said = format!("{}: {}", verdict.check, visible(&verdict.reason).text);
        let wrapped = styled_lines(&said, width.saturating_sub(4), theme.style(StyleRole::Bad), &[]);
        lines.extend(
            wrapped.into_iter().take(2).enumerate().map(|(i, line)| prefixed(if i == 0 { " x " } else { "   " }, line)),
        );
    }
    if !item.verdicts.is_empty() && item.verdicts.iter().all(|verdict| verdict.passed) {
        let said = format!(" passed all {} checks", item.verdicts.len());
        lines.push(Line::styled(said, theme.style(StyleRole::Good)));
    }
    if lines.is_empty() {
        lines.push(Line::styled(" no proposal", theme.style(StyleRole::Dim)));
    }
    lines
}

fn gold_lines(shared: &SharedState, item: &ReviewItem, width: usize) -> Vec<Line<'static>> {
    let theme = &shared.theme;
    let mut lines = Vec::new();
    let mut line = |who: &str, decision: &Decision| {
        let judgement = &decision.judgement;
        let blind = if Blindness::of(decision.in_sight) == Blindness::Blind { " blind" } else { "" };
        match &judgement.label {
            _ if judgement.rejected => {
                lines.push(Line::styled(format!(" {:<11} rejected", fit(who, 11)), theme.style(StyleRole::Bad)))
            }
            Some(label) => lines.push(labelled(shared, who, label, blind, StyleRole::Gold, width)),
            None => {}
        }
        let marks =
            [(judgement.skipped, "skipped"), (judgement.flagged, "flagged"), (judgement.edited.is_some(), "reworded")];
        let marks: Vec<&str> = marks.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        if !marks.is_empty() {
            lines.push(Line::styled(
                format!(" {:<11} {}", fit(who, 11), marks.join(", ")),
                theme.style(StyleRole::Warn),
            ));
        }
        if !judgement.comment.is_empty() {
            let remark = format!("   \u{201c}{}\u{201d}", visible(&judgement.comment).text);
            lines.push(Line::styled(fit(&remark, width.saturating_sub(1)), theme.style(StyleRole::Text)));
        }
    };
    for decision in &item.others {
        line(&visible(&decision.annotator.0).text, decision);
    }
    if let Some(mine) = &item.mine {
        line("you", mine);
    }
    for settlement in &item.settled {
        line("settled", settlement);
    }
    lines
}

/// Each category with its key, a mark where it is chosen, and the classifier's probability.
pub(super) fn category_lines(
    shared: &SharedState,
    state: &WorklistState,
    item: &ReviewItem,
    width: usize,
) -> Vec<Line<'static>> {
    let theme = &shared.theme;
    let chosen = state.chosen();
    let probabilities = item.classifier.as_ref().map(|p| p.content.probabilities.as_slice()).unwrap_or_default();
    let line = |key: &str, name: &str, on: bool, p: Option<&f32>| {
        let mark = if on { "\u{25c6}" } else { " " };
        let p_text = p.map_or_else(String::new, |p| format!("{:>3.0} % ", 100.0 * p));
        let bar_width = if width >= 44 { 8 } else { 0 };
        let room = width.saturating_sub(5 + p_text.len() + bar_width);
        let meaning = if on { StyleRole::Gold } else { StyleRole::Text };
        let mut spans = vec![
            Span::styled(format!(" {key}"), theme.style(StyleRole::Key)),
            Span::styled(format!(" {mark} "), theme.style(StyleRole::Gold)),
            Span::styled(format!("{:<room$}", fit(name, room)), theme.style(meaning)),
            Span::styled(p_text, theme.style(StyleRole::Dim)),
        ];
        if let Some(p) = p.filter(|_| bar_width > 0) {
            spans.push(Span::styled(bar(f64::from(*p), bar_width), theme.style(StyleRole::Classifier)));
        }
        Line::from(spans)
    };
    let none = chosen.as_ref().is_some_and(Label::is_none);
    let mut lines = vec![line(shared.keymap.key(Action::None), "None", none, probabilities.first())];
    for (i, category) in shared.taxonomy.categories().iter().enumerate() {
        let on = chosen.as_ref().is_some_and(|label| label.contains(&category.key));
        lines.push(line(&category.shortcut.to_string(), &category.name, on, probabilities.get(i + 1)));
    }
    if state.draft.is_some() {
        lines.push(Line::styled(
            format!(" {} commits", shared.keymap.key(Action::Accept)),
            theme.style(StyleRole::Warn),
        ));
    }
    lines
}

/// Length and category of synthetic sentences beside those of real ones, as shares.
fn distribution_lines(app: &App, width: usize, room: usize) -> Vec<Line<'static>> {
    let theme = &app.shared.theme;
    if room < 4 {
        return Vec::new();
    }
    let half = width.saturating_sub(14) / 2;
    let row = |name: String, real: f64, synthetic: f64, most: f64| {
        let scaled = |share: f64| if most > 0.0 { bar(share / most, half.saturating_sub(5)) } else { String::new() };
        Line::from(vec![
            Span::styled(format!(" {name:<10} "), theme.style(StyleRole::Dim)),
            Span::styled(format!("{:>3.0}% ", 100.0 * real), theme.style(StyleRole::Dim)),
            Span::styled(format!("{:<1$}", scaled(real), half.saturating_sub(5)), theme.style(StyleRole::Gold)),
            Span::styled(format!("{:>3.0}% ", 100.0 * synthetic), theme.style(StyleRole::Dim)),
            Span::styled(scaled(synthetic), theme.style(StyleRole::Silver)),
        ])
    };
    let shares = |counts: &[u32]| -> Vec<f64> {
        let total = f64::from(counts.iter().sum::<u32>().max(1));
        counts.iter().map(|c| f64::from(*c) / total).collect()
    };
    let head = |what: &str| {
        Line::styled(format!(" {what:<10} {:<half$}synthetic", "real", half = half), theme.style(StyleRole::Title))
    };
    let mut lines = vec![Line::default(), head("words")];
    let [real, synthetic] = &app.numbers.lengths;
    let (real, synthetic) = (shares(real), shares(synthetic));
    let most = real.iter().chain(&synthetic).copied().fold(0.0, f64::max);
    for (i, (r, s)) in real.iter().zip(&synthetic).enumerate().take(8) {
        lines.push(row(format!("{}-{}", 5 * i + 1, 5 * i + 5), *r, *s, most));
    }
    let (gold, bronze) = (&app.numbers.gold.by_category, &app.numbers.bronze);
    if gold.len() == bronze.len() && room > lines.len() + gold.len() {
        let count = |counts: &[usize]| shares(&counts.iter().skip(1).map(|c| *c as u32).collect::<Vec<_>>());
        let (gold, bronze) = (count(gold), count(bronze));
        let most = gold.iter().chain(&bronze).copied().fold(0.0, f64::max);
        lines.push(head("category"));
        for ((category, g), b) in app.shared.taxonomy.categories().iter().zip(gold).zip(bronze) {
            lines.push(row(fit(&category.name, 10), g, b, most));
        }
    }
    lines.truncate(room);
    lines
}
