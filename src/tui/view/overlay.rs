//! What lies over the screen: keys, guideline, a line of text, a list of sentences.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph};
use unicode_width::UnicodeWidthStr;

use super::{fit, middle, styled_lines};
use crate::domain::taxonomy::Category;
use crate::domain::text::visible;
use crate::tui::app::{App, Overlay, Prompt, palette};
use crate::tui::filter;
use crate::tui::shared::SharedState;
use crate::tui::theme::StyleRole;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, overlay: &Overlay) {
    let theme = &app.shared.theme;
    let (title, lines, top, size) = match overlay {
        Overlay::Help { top } => ("keys".to_owned(), help(app), *top, (64, area.height)),
        Overlay::Guideline { top } => {
            let width = area.width.min(92);
            ("guideline".to_owned(), guideline(app, usize::from(width).saturating_sub(4)), *top, (width, area.height))
        }
        Overlay::Input { prompt, text, cursor, selected, fault } => {
            let width = area.width.min(90);
            let lines =
                input(app, prompt, text, *cursor, *selected, fault.as_deref(), usize::from(width).saturating_sub(4));
            let height = (lines.len() as u16 + 2).min(area.height);
            (name(prompt).to_owned(), lines, 0, (width, height))
        }
        Overlay::Setup => {
            let lines = super::train::setup_lines(app);
            let height = (lines.len() as u16 + 2).min(area.height);
            ("what to train with".to_owned(), lines, 0, (area.width.min(76), height))
        }
        Overlay::List { title, rows, selected } => {
            let width = area.width.min(110);
            let room = usize::from(area.height).saturating_sub(2).max(1);
            let lines = rows.iter().enumerate().map(|(i, (_, text))| {
                let meaning = if i == *selected { StyleRole::Selected } else { StyleRole::Text };
                let mark = if i == *selected { ">" } else { " " };
                Line::styled(
                    format!("{mark} {}", fit(text, usize::from(width).saturating_sub(5))),
                    theme.style(meaning),
                )
            });
            (
                format!("{title}: {}", rows.len()),
                lines.collect(),
                (selected + 1).saturating_sub(room),
                (width, area.height),
            )
        }
    };
    let place = middle(area, size.0, size.1);
    let block = Block::new().borders(Borders::ALL).border_style(theme.style(StyleRole::Border)).title(Span::styled(
        format!(" {} ", fit(&title, usize::from(place.width).saturating_sub(6))),
        theme.style(StyleRole::Title),
    ));
    let inner = block.inner(place);
    frame.render_widget(Clear, place);
    frame.buffer_mut().set_style(place, theme.style(StyleRole::Text));
    frame.render_widget(block, place);
    let height = usize::from(inner.height);
    let top = top.min(lines.len().saturating_sub(height));
    frame.render_widget(Paragraph::new(lines.into_iter().skip(top).take(height).collect::<Vec<_>>()), inner);
}

fn name(prompt: &Prompt) -> &'static str {
    match prompt {
        Prompt::Search => "search: words and conditions, Enter searches",
        Prompt::Comment => "comment, Enter saves",
        Prompt::Edit => "reword, Enter saves and accepts",
        Prompt::Reason(_) => "why, in a few words; Enter settles, Esc cancels",
        Prompt::Example(..) => "in your own words, nothing that identifies the patient; Enter adds it to the guideline",
        Prompt::Palette => "find an action, Enter does it",
    }
}

fn help(app: &App) -> Vec<Line<'static>> {
    let theme = &app.shared.theme;
    let line = |keys: &str, what: &str| {
        Line::from(vec![
            Span::styled(format!(" {:<18}", fit(keys, 18)), theme.style(StyleRole::Key)),
            Span::styled(what.to_owned(), theme.style(StyleRole::Text)),
        ])
    };
    let mut lines: Vec<Line<'_>> = app.shared.keymap.help().iter().map(|(keys, what)| line(keys, what)).collect();
    lines.push(Line::default());
    lines.extend(app.shared.taxonomy.categories().iter().map(|c| line(&c.shortcut.to_string(), &c.name)));
    lines
}

fn guideline(app: &App, width: usize) -> Vec<Line<'static>> {
    let taxonomy = &app.shared.taxonomy;
    let mut lines: Vec<Line<'_>> =
        taxonomy.categories().iter().flat_map(|category| guideline_of(&app.shared, category, width)).collect();
    for rule in taxonomy.rules() {
        lines.extend(paragraph(&app.shared, "   * ", rule, StyleRole::Text, width));
    }
    lines
}

/// The guideline's words for one category.
pub(super) fn guideline_of(shared: &SharedState, category: &Category, width: usize) -> Vec<Line<'static>> {
    let theme = &shared.theme;
    let mut lines = vec![Line::from(vec![
        Span::styled(format!(" {} ", category.shortcut), theme.style(StyleRole::Key)),
        Span::styled(category.name.clone(), theme.style(StyleRole::Title)),
    ])];
    let parts = [
        ("   ", std::slice::from_ref(&category.definition), StyleRole::Text),
        ("   + ", &category.includes, StyleRole::Text),
        ("   - ", &category.excludes, StyleRole::Dim),
        ("   \u{201c} ", &category.examples, StyleRole::Evidence),
    ];
    for (lead, texts, meaning) in parts {
        lines.extend(texts.iter().flat_map(|text| paragraph(shared, lead, text, meaning, width)));
    }
    lines.push(Line::default());
    lines
}

/// A wrapped text behind a lead.
pub(super) fn paragraph(
    shared: &SharedState,
    lead: &'static str,
    text: &str,
    meaning: StyleRole,
    width: usize,
) -> Vec<Line<'static>> {
    let mut lines = styled_lines(&visible(text).text, width.saturating_sub(6), shared.theme.style(meaning), &[]);
    for (i, line) in lines.iter_mut().enumerate() {
        let lead = if i == 0 { lead.to_owned() } else { " ".repeat(lead.width()) };
        line.spans.insert(0, Span::raw(lead));
    }
    lines
}

fn input(
    app: &App,
    prompt: &Prompt,
    text: &str,
    cursor: usize,
    selected: usize,
    fault: Option<&str>,
    width: usize,
) -> Vec<Line<'static>> {
    let theme = &app.shared.theme;
    // The end of the line up to the cursor is always in sight.
    let before = visible(&text[..cursor]).text;
    let skip = before.chars().count().saturating_sub(width.saturating_sub(4));
    let before: String = before.chars().skip(skip).collect();
    let mut rest = text[cursor..].chars();
    let under = rest.next().map_or_else(|| " ".to_owned(), |c| visible(&c.to_string()).text);
    let after = visible(rest.as_str()).text;
    let mut lines = vec![Line::from(vec![
        Span::styled(" > ", theme.style(StyleRole::Key)),
        Span::styled(before, theme.style(StyleRole::Text)),
        Span::styled(under, theme.style(StyleRole::Selected)),
        Span::styled(after, theme.style(StyleRole::Text)),
    ])];
    if let Some(fault) = fault {
        lines.push(Line::styled(format!(" {}", fit(&visible(fault).text, width)), theme.style(StyleRole::Bad)));
    }
    let pair = |key: &str, what: &str, on: bool| {
        let meaning = if on { StyleRole::Selected } else { StyleRole::Dim };
        Line::from(vec![
            Span::styled(format!("   {:<16} ", fit(key, 16)), theme.style(StyleRole::Key)),
            Span::styled(fit(what, width.saturating_sub(20)), theme.style(meaning)),
        ])
    };
    match prompt {
        Prompt::Search => lines.extend(filter::HELP.iter().map(|(key, what)| pair(key, what, false))),
        Prompt::Palette => {
            let found = palette(text);
            let chosen = selected.min(found.len().saturating_sub(1));
            let from = (chosen + 1).saturating_sub(12);
            for (i, (action, what)) in found.iter().enumerate().skip(from).take(12) {
                lines.push(pair(app.shared.keymap.key(*action), what, i == chosen));
            }
        }
        Prompt::Reason(label) | Prompt::Example(_, label) => {
            let lead = if matches!(prompt, Prompt::Reason(_)) { "settled as" } else { "an example of" };
            let said = format!("   {lead} {}", app.shared.taxonomy.describe(label));
            lines.push(Line::styled(fit(&said, width), theme.style(StyleRole::Gold)));
        }
        Prompt::Comment | Prompt::Edit => {}
    }
    lines
}
