//! Metrics: scores by category with intervals, and the confusion matrix; or agreement between experts.

mod experts;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{bar, fit, pane};
use crate::domain::experiment::Task;
use crate::domain::metrics::Counts;
use crate::domain::statistics::Estimate;
use crate::domain::text::visible;
use crate::formats::tables::{NamedScores, counted, named_rows, percent};
use crate::tui::app::App;
use crate::tui::metrics::{View, class_name};
use crate::tui::theme::StyleRole;
use crate::workflow::scores::Scored;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let shared = &app.shared;
    let theme = &shared.theme;
    if app.metrics.view == View::Experts {
        return experts::draw(frame, area, app);
    }
    let Some((scored, model)) = app.metrics.scored(&app.numbers) else {
        let text = match app.metrics.view {
            View::Classifier => "  no classifier yet; S trains one",
            View::Binary => "  no binary run yet; `goldsmith label --binary` makes one",
            View::Silver | View::Experts => "  no silver yet; import a model's labels with --model",
        };
        return frame.render_widget(Paragraph::new(vec![Line::default(), Line::raw(text)]), area);
    };
    let report = &scored.report;
    let whose = match app.metrics.view {
        View::Classifier => format!("{} on held-out gold", visible(model).text),
        View::Binary => format!("whether any category applies: {} against gold", visible(model).text),
        _ => format!("silver of {} against gold", visible(model).text),
    };
    let blind = report.blind_words().unwrap_or_else(|| "none yet".into());
    let caption = format!(
        " gold: {blind}; {} of {}; {} settled, {} disputed",
        counted(report.sentences, "sentence"),
        counted(report.patients, "patient"),
        app.numbers.gold.settled,
        app.numbers.gold.disputed
    );
    let matrix_height = scored.confusion.size as u16 + 3;
    let wide = area.width >= 120;
    let (table, matrix) = if wide {
        let [a, b] = Layout::horizontal([Constraint::Percentage(52), Constraint::Min(10)]).spacing(1).areas(area);
        (a, b)
    } else {
        // The averages are what most people look for; the matrix follows its cursor in what is left.
        let rows = (report.categories.len() as u16 + 8).min(area.height.saturating_sub(matrix_height.min(4)));
        let [a, b] = Layout::vertical([Constraint::Length(rows), Constraint::Min(0)]).areas(area);
        (a, b)
    };
    let block = pane(shared, &whose);
    let inner = block.inner(table);
    frame.render_widget(block, table);
    let width = usize::from(inner.width);
    let mut lines = vec![Line::styled(fit(&caption, width), theme.style(StyleRole::Dim))];
    lines.extend(score_lines(app, scored, width));
    frame.render_widget(Paragraph::new(lines), inner);
    draw_matrix(frame, matrix, app, scored);
}

fn score_lines(app: &App, scored: &Scored, width: usize) -> Vec<Line<'static>> {
    let theme = &app.shared.theme;
    let taxonomy = (scored.task == Task::MultiClass).then_some(&app.shared.taxonomy);
    let scores = NamedScores { title: String::new(), report: &scored.report, taxonomy };
    let name_width = width.saturating_sub(46).clamp(16, 30);
    let bar_width = width.saturating_sub(name_width + 42).min(20);
    let head = format!(" {:<name_width$} {:>6} {:>6} {:>6} {:>6}  {:<9}", "", "n", "P", "R", "F1", "95 %");
    let mut lines = vec![Line::styled(head, theme.style(StyleRole::Title))];
    for (name, row) in named_rows(&scores) {
        let average = row.counts == Counts::default() && name.ends_with("average");
        let support = if average { String::new() } else { row.counts.support().to_string() };
        // With fewer than ten of a category the point says little; the interval says how little.
        let thin = !average && row.counts.support() < 10;
        let meaning = if thin { StyleRole::Dim } else { StyleRole::Text };
        let mut spans = vec![
            Span::styled(format!(" {:<name_width$} {support:>6} ", fit(&name, name_width)), theme.style(meaning)),
            Span::styled(
                format!(
                    "{:>6} {:>6} {:>6}  ",
                    percent(row.precision.value),
                    percent(row.recall.value),
                    percent(row.f1.value)
                ),
                theme.style(meaning),
            ),
            Span::styled(format!("{:<9}", interval(&row.f1)), theme.style(StyleRole::Dim)),
        ];
        if let Some(f1) = row.f1.value.filter(|_| bar_width > 3) {
            spans.push(Span::styled(bar(f1, bar_width), theme.style(StyleRole::Gold)));
        }
        lines.push(Line::from(spans));
    }
    lines
}

fn interval(estimate: &Estimate) -> String {
    estimate.interval.map_or_else(|| "-".into(), |(low, high)| format!("{:.0}-{:.0}", 100.0 * low, 100.0 * high))
}

fn draw_matrix(frame: &mut Frame<'_>, area: Rect, app: &App, scored: &Scored) {
    let shared = &app.shared;
    let theme = &shared.theme;
    let block = pane(shared, "rows: gold, columns: proposed");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let confusion = &scored.confusion;
    let column = (0..confusion.size).flat_map(|g| (0..confusion.size).map(move |p| confusion.get(g, p)));
    let cell_width = column.max().unwrap_or(0).to_string().len().max(2) + 1;
    let room = usize::from(inner.width).saturating_sub(cell_width * confusion.size);
    let name_width = room.saturating_sub(2).clamp(8, 28);
    let visible_columns = usize::from(inner.width).saturating_sub(name_width + 2) / cell_width;
    let (gold, proposed) = app.metrics.cell_within(confusion.size - 1);
    // The cursor's cell is always in sight.
    let height = usize::from(inner.height).saturating_sub(1);
    let first_row = (gold + 1).saturating_sub(height.max(1));
    let first_column = (proposed + 1).saturating_sub(visible_columns.max(1));
    let columns = first_column..confusion.size.min(first_column + visible_columns);
    let key = |class: usize| match (scored.task, class.checked_sub(1)) {
        (_, None) => '0',
        (Task::Binary, Some(_)) => '+',
        (Task::MultiClass, Some(at)) => shared.taxonomy.categories()[at].shortcut,
    };
    let heads: String = columns.clone().map(|i| format!("{:>cell_width$}", key(i))).collect();
    let mut lines = vec![Line::styled(format!(" {:<name_width$} {heads}", ""), theme.style(StyleRole::Title))];
    for row in first_row..confusion.size {
        let label = fit(&format!("{} {}", key(row), class_name(scored.task, &shared.taxonomy, row)), name_width);
        let mut spans = vec![Span::styled(format!(" {label:<name_width$} "), theme.style(StyleRole::Text))];
        for at in columns.clone() {
            let count = confusion.get(row, at);
            let text = if count == 0 { "\u{b7}".to_owned() } else { count.to_string() };
            let meaning = match () {
                () if (row, at) == (gold, proposed) => StyleRole::Selected,
                () if count == 0 => StyleRole::Dim,
                () if row == at => StyleRole::Good,
                () => StyleRole::Warn,
            };
            spans.push(Span::styled(format!("{text:>cell_width$}"), theme.style(meaning)));
        }
        lines.push(Line::from(spans));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}
