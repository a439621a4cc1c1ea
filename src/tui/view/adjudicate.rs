//! Adjudicate: the sentence in its note, what the experts say of it beside each other, and the guideline's words for the
//! categories in dispute. Experts have no names here, so that a case is settled on what was said, not on who said it.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::overlay::{guideline_of, paragraph};
use super::review::{category_lines, draw_note, labelled, machine_lines};
use super::{fit, pane};
use crate::domain::gold::AdjudicationScope;
use crate::domain::label::{Decision, Label};
use crate::domain::text::visible;
use crate::tui::app::App;
use crate::tui::keymap::Action;
use crate::tui::review::WorklistState;
use crate::tui::theme::StyleRole;
use crate::workflow::review::ReviewItem;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, state: &WorklistState) {
    let shared = &app.shared;
    let Some(item) = &state.item else {
        let said = if !state.loaded {
            "reading ...".to_owned()
        } else if state.held.is_some() {
            format!("nothing is {} that you may see; {} settled so far", waiting(state), state.decided)
        } else if state.query.is_empty() {
            format!("nothing is {}; {} settled so far", waiting(state), state.decided)
        } else {
            format!(
                "no sentence matches `{}`; {} clears it",
                visible(&state.query).text,
                shared.keymap.key(Action::Close)
            )
        };
        let mut lines = vec![Line::default(), Line::raw(format!("  {said}"))];
        lines.extend(state.held.map(|why| Line::raw(format!("  {why}"))));
        return frame.render_widget(Paragraph::new(lines), area);
    };
    let side = (area.width * 42 / 100).clamp(34, 60);
    let [left, right] = Layout::horizontal([Constraint::Min(10), Constraint::Length(side)]).spacing(1).areas(area);
    let [note, words, status] =
        Layout::vertical([Constraint::Percentage(40), Constraint::Min(3), Constraint::Length(1)]).areas(left);
    draw_note(frame, note, shared, item);

    let block = pane(shared, "what the guideline says");
    let inner = block.inner(words);
    frame.render_widget(block, words);
    frame.render_widget(Paragraph::new(disputed(app, item, inner.width.into())), inner);
    let left = state.total.saturating_sub(state.decided);
    let said = format!(" {left} {}, {} settled", waiting(state), state.decided);
    frame.render_widget(Paragraph::new(Line::styled(said, shared.theme.style(StyleRole::Dim))), status);

    let width = usize::from(right.width);
    let categories = category_lines(shared, state, item, width);
    let wanted = categories.len() as u16 + 1;
    let [top, bottom] = Layout::vertical([Constraint::Min(4), Constraint::Length(wanted)]).areas(right);
    let block = pane(shared, "experts");
    let inner = block.inner(top);
    frame.render_widget(block, top);
    frame.render_widget(Paragraph::new(experts(app, item, width)), inner);
    let block = pane(shared, "settle as");
    let inner = block.inner(bottom);
    frame.render_widget(block, bottom);
    frame.render_widget(Paragraph::new(categories), inner);
}

/// What lies here, in a word: more than disputes, where the protocol says so.
fn waiting(state: &WorklistState) -> &'static str {
    match state.all.disputed.map(|rule| rule.adjudicate) {
        None | Some(AdjudicationScope::Disputed) => "disputed",
        Some(AdjudicationScope::Flagged | AdjudicationScope::All) => "to settle",
    }
}

/// Every expert's label, comment and time, and what was settled; then what machines say, where that may be seen.
fn experts(app: &App, item: &ReviewItem, width: usize) -> Vec<Line<'static>> {
    let shared = &app.shared;
    let mut lines = Vec::new();
    let mut say = |who: &str, decision: &Decision| {
        let flagged = if decision.judgement.flagged { " flagged" } else { "" };
        match &decision.judgement.label {
            Some(label) => {
                let took = decision.took.map_or_else(String::new, |ms| format!(" {:.0} s", f64::from(ms) / 1000.0));
                let saw = match decision.in_sight {
                    Some(cues) if cues.of_machines() => " saw silver",
                    Some(cues) if cues.colleague() == Some(true) => " saw a colleague",
                    _ => "",
                };
                lines.push(labelled(shared, who, label, &format!("{took}{saw}{flagged}"), StyleRole::Gold, width));
            }
            None if decision.judgement.flagged => {
                lines.push(Line::styled(format!(" {who:<11} no label,{flagged}"), shared.theme.style(StyleRole::Dim)));
            }
            None => return,
        }
        let remark = &decision.judgement.comment;
        if !remark.is_empty() {
            lines.extend(paragraph(shared, "   \u{201c} ", remark, StyleRole::Text, width).into_iter().take(3));
        }
    };
    let mut all: Vec<&Decision> = item.others.iter().chain(&item.mine).collect();
    all.sort_by(|a, b| a.annotator.cmp(&b.annotator));
    for (i, decision) in all.iter().enumerate() {
        say(&format!("expert {}", i + 1), decision);
    }
    for (i, decision) in item.settled.iter().enumerate() {
        say(if i == 0 { "settled" } else { "and also" }, decision);
    }
    if item.proposal().is_some() || item.classifier.is_some() {
        lines.push(Line::default());
        lines.extend(machine_lines(shared, item, width));
    }
    lines
}

/// The guideline on each category that anyone gave.
fn disputed(app: &App, item: &ReviewItem, width: usize) -> Vec<Line<'static>> {
    let shared = &app.shared;
    let decisions = item.others.iter().chain(&item.mine).chain(&item.settled);
    let labels: Vec<&Label> = decisions.filter_map(|decision| decision.judgement.label.as_ref()).collect();
    let mut lines = Vec::new();
    if labels.iter().any(|label| label.is_none()) {
        let none = &shared.taxonomy.none().definition;
        let said = if none.is_empty() { "no category applies" } else { none };
        lines.push(Line::styled(
            format!(" {} None", shared.keymap.key(Action::None)),
            shared.theme.style(StyleRole::Title),
        ));
        lines.extend(paragraph(shared, "   ", said, StyleRole::Text, width));
        lines.push(Line::default());
    }
    for category in shared.taxonomy.categories() {
        if labels.iter().any(|label| label.contains(&category.key)) {
            lines.extend(guideline_of(shared, category, width));
        }
    }
    if lines.is_empty() {
        lines.push(Line::raw(fit(" nobody has labelled it yet", width)));
    }
    lines
}
