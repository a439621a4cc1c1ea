//! What the state looks like. Rendering reads and never changes anything.

mod adjudicate;
mod jobs;
mod metrics;
mod overlay;
mod review;
mod train;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::app::{App, Screen};
use super::keymap::Action;
use super::metrics::View;
use super::shared::SharedState;
use super::theme::StyleRole;
use crate::domain::text;
use crate::workflow::review::Worklist;

/// Below this nothing fits.
const SMALLEST: (u16, u16) = (40, 10);

/// Draws the whole screen.
pub(crate) fn draw(frame: &mut Frame<'_>, app: &App) {
    let area = frame.area();
    let shared = &app.shared;
    frame.buffer_mut().set_style(area, shared.theme.style(StyleRole::Text));
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let said = format!("{}x{} needed; everything is saved", SMALLEST.0, SMALLEST.1);
        frame.render_widget(Paragraph::new(said), area);
        return;
    }
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(2)]).areas(area);
    frame.render_widget(Paragraph::new(tabs(app, head.width)), head);
    match app.screen {
        Screen::Worklist(Worklist::Adjudicate) => {
            adjudicate::draw(frame, body, app, &app.worklists[Worklist::Adjudicate])
        }
        Screen::Worklist(worklist) => review::draw(frame, body, app, &app.worklists[worklist]),
        Screen::Metrics => metrics::draw(frame, body, app),
        Screen::Train => train::draw(frame, body, app),
        Screen::Jobs => jobs::draw(frame, body, app),
    }
    let notice = app.notice.as_ref().map_or_else(Line::default, |notice| {
        Line::styled(fit(&text::visible(&notice.text).text, foot.width.into()), shared.theme.style(notice.meaning))
    });
    frame.render_widget(Paragraph::new(vec![notice, hints(app)]), foot);
    if let Some(overlay) = &app.overlay {
        overlay::draw(frame, body, app, overlay);
    }
}

fn tabs(app: &App, width: u16) -> Line<'static> {
    let theme = &app.shared.theme;
    let mut spans = vec![Span::styled(" goldsmith ", theme.style(StyleRole::Title))];
    for (screen, name) in Screen::ALL {
        let meaning = if screen == app.screen { StyleRole::Selected } else { StyleRole::Dim };
        spans.push(Span::styled(format!(" {name} "), theme.style(meaning)));
    }
    let blind = if app.shared.blind { " blind" } else { "" };
    let who = text::visible(&format!("{} as {}{blind} ", app.shared.project, app.shared.annotator)).text;
    let used: usize = spans.iter().map(Span::width).sum();
    let room = usize::from(width).saturating_sub(used + 1);
    let who = fit(&who, room);
    spans.push(Span::raw(" ".repeat(room.saturating_sub(who.width()) + 1)));
    spans.push(Span::styled(who, theme.style(StyleRole::Dim)));
    Line::from(spans)
}

/// The keys that matter on this screen, from the live keymap.
fn hints(app: &App) -> Line<'static> {
    let map = &app.shared.keymap;
    let theme = &app.shared.theme;
    let wanted: &[(Action, &str)] = match (app.screen, &app.overlay) {
        (_, Some(_)) => &[(Action::Accept, "choose"), (Action::Close, "close")],
        (Screen::Worklist(Worklist::Review), _) => &[
            (Action::Accept, "accept"),
            (Action::None, "None"),
            (Action::Undo, "undo"),
            (Action::Skip, "skip"),
            (Action::Flag, "flag"),
            (Action::Comment, "comment"),
            (Action::Search, "search"),
            (Action::Guideline, "guideline"),
            (Action::Help, "keys"),
            (Action::Doubts, "doubts"),
        ],
        (Screen::Worklist(Worklist::Bronze), _) => &[
            (Action::Accept, "accept"),
            (Action::Reject, "reject"),
            (Action::Edit, "edit"),
            (Action::Undo, "undo"),
            (Action::Search, "search"),
            (Action::NextScreen, "screen"),
            (Action::Help, "keys"),
        ],
        (Screen::Worklist(Worklist::Adjudicate), _) => &[
            (Action::Accept, "settle with the majority"),
            (Action::None, "None"),
            (Action::Undo, "undo"),
            (Action::Next, "next"),
            (Action::Example, "example"),
            (Action::Guideline, "guideline"),
            (Action::Help, "keys"),
        ],
        (Screen::Metrics, _) if app.metrics.view == View::Experts => &[
            (Action::Toggle, "silver, classifier, experts"),
            (Action::Next, "down"),
            (Action::Accept, "sentences"),
            (Action::NextScreen, "screen"),
            (Action::Help, "keys"),
        ],
        (Screen::Metrics, _) => &[
            (Action::Toggle, "silver, classifier, experts"),
            (Action::Accept, "list the cell's sentences"),
            (Action::NextScreen, "screen"),
            (Action::Help, "keys"),
        ],
        (Screen::Jobs, _) => &[
            (Action::Accept, "start"),
            (Action::Pause, "pause or resume"),
            (Action::Stop, "stop"),
            (Action::NextScreen, "screen"),
            (Action::Help, "keys"),
        ],
        (Screen::Train, _) => &[
            (Action::Start, "start"),
            (Action::Stop, "stop"),
            (Action::Accept, "mark to compare"),
            (Action::Toggle, "runs or experiment"),
            (Action::NextScreen, "screen"),
            (Action::Help, "keys"),
        ],
    };
    let mut spans = vec![Span::raw(" ")];
    for (action, what) in wanted.iter().filter(|(action, _)| !map.key(*action).is_empty()) {
        spans.push(Span::styled(map.key(*action).to_owned(), theme.style(StyleRole::Key)));
        spans.push(Span::styled(format!(" {what}  "), theme.style(StyleRole::Dim)));
    }
    Line::from(spans)
}

/// A pane with a title in its upper border.
fn pane<'a>(shared: &SharedState, title: &str) -> Block<'a> {
    Block::new()
        .borders(Borders::TOP)
        .border_style(shared.theme.style(StyleRole::Border))
        .title(Span::styled(format!(" {title} "), shared.theme.style(StyleRole::Title)))
}

/// Cuts a text to a width, with an ellipsis where something is missing.
fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let w = grapheme.width();
        if used + w + 1 > width {
            break;
        }
        used += w;
        out.push_str(grapheme);
    }
    if width > 0 {
        out.push('\u{2026}');
    }
    out
}

/// Breaks a text into lines of a width, at spaces where there are any; each line is a range of bytes. White space at a
/// break is dropped.
fn wrap(text: &str, width: usize) -> Vec<(usize, usize)> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let (mut start, mut used, mut space) = (0, 0, None);
    for (at, grapheme) in text.grapheme_indices(true) {
        let w = grapheme.width();
        if used + w > width && at > start {
            if grapheme == " " {
                lines.push((start, at));
                (start, used, space) = (at + 1, 0, None);
                continue;
            }
            let (end, next) = space.map_or((at, at), |s: usize| (s, s + 1));
            lines.push((start, end));
            start = next;
            used = text[start..at].width();
            space = None;
        }
        if grapheme == " " {
            space = Some(at);
        }
        used += w;
    }
    if start < text.len() || lines.is_empty() {
        lines.push((start.min(text.len()), text.len()));
    }
    lines
}

/// Lines of a text in one style, with ranges of it in others.
fn styled_lines(text: &str, width: usize, style: Style, marks: &[(usize, usize, Style)]) -> Vec<Line<'static>> {
    wrap(text, width)
        .into_iter()
        .map(|(start, end)| {
            let mut cuts = vec![start, end];
            cuts.extend(marks.iter().flat_map(|(a, b, _)| [*a, *b]).filter(|c| (start..end).contains(c)));
            cuts.sort_unstable();
            cuts.dedup();
            let pieces = cuts.windows(2).map(|pair| {
                let look =
                    marks.iter().find(|(a, b, _)| *a <= pair[0] && pair[1] <= *b).map_or(style, |(_, _, look)| *look);
                Span::styled(text.get(pair[0]..pair[1]).unwrap_or_default().to_owned(), look)
            });
            Line::from(pieces.collect::<Vec<_>>())
        })
        .collect()
}

/// A bar of eighths.
fn bar(share: f64, width: usize) -> String {
    let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).round() as usize;
    let mut out = "\u{2588}".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        out.push(['\u{258f}', '\u{258e}', '\u{258d}', '\u{258c}', '\u{258b}', '\u{258a}', '\u{2589}'][eighths % 8 - 1]);
    }
    out
}

/// `1:23 h`, `4 min`, `30 s`.
fn duration(ms: u64) -> String {
    match ms / 1000 {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min", s / 60),
        s => format!("{}:{:02} h", s / 3600, s / 60 % 60),
    }
}

/// A rectangle inside another, at most so large, in its middle.
fn middle(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_break_at_spaces_and_wide_characters_count_twice() {
        let lines = |text: &str, width| -> Vec<String> {
            wrap(text, width).into_iter().map(|(a, b)| text[a..b].to_owned()).collect()
        };
        assert_eq!(lines("she forgets names", 11), ["she forgets", "names"]);
        assert_eq!(lines("she forgets names", 12), ["she forgets", "names"]);
        assert_eq!(lines("unbreakable", 4), ["unbr", "eaka", "ble"]);
        assert_eq!(lines("漢字漢字", 4), ["漢字", "漢字"]);
        assert_eq!(lines("", 4), [""]);
    }

    proptest! {
        #[test]
        fn wrapping_loses_nothing_but_spaces(text in "[a-z 漢é\u{301}]{0,60}", width in 1usize..20) {
            let joined: String = wrap(&text, width).into_iter().map(|(a, b)| &text[a..b]).collect();
            prop_assert_eq!(joined.replace(' ', ""), text.replace(' ', ""));
        }
    }
}
