//! The report's plots as SVG: what each class gained, and learning curves. Shapes and words say what colours say.

use super::escape;
use super::sheets::{interval, p, points, title};
use crate::domain::comparison::ComparisonVerdict;
use crate::domain::experiment::{
    ExperimentReport, GridTable, LearningCurve, RowKind, TestedDifference, TrainingSetSpec,
};
use crate::domain::split::Tier;
use crate::formats::tables::percent;

/// Okabe and Ito's colours (2008), told apart by people who do not see red or green.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#444444", "#56b4e9", "#e69f00", "#cc79a7"];
const DASHES: [&str; 7] = ["7 3", "2 3", "9 3 2 3", "none", "12 4", "4 4", "1 4"];

/// A training set looks the same in every plot.
fn look(set: &TrainingSetSpec) -> usize {
    let added = match (set.has(Tier::Silver), set.has(Tier::Bronze)) {
        (true, false) => 0,
        (false, true) => 1,
        (true, true) => 2,
        (false, false) => 3,
    };
    if set.has(Tier::Gold) { added } else { added + 4 }
}

/// A mark of a training set at a place: filled where the difference is more than chance.
fn mark(number: usize, x: f64, y: f64, filled: bool) -> String {
    let colour = COLOURS[number % COLOURS.len()];
    let fill = if filled { colour } else { "#fff" };
    let style = format!("fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"1.5\"");
    match number % 4 {
        0 => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" {style}/>"),
        1 => format!("<rect x=\"{:.1}\" y=\"{:.1}\" width=\"8\" height=\"8\" {style}/>", x - 4.0, y - 4.0),
        2 => format!(
            "<path d=\"M{x:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}Z\" {style}/>",
            y - 5.0,
            x + 5.0,
            y + 4.0,
            x - 5.0,
            y + 4.0
        ),
        _ => format!(
            "<path d=\"M{x:.1} {:.1}L{:.1} {y:.1}L{x:.1} {:.1}L{:.1} {y:.1}Z\" {style}/>",
            y - 5.0,
            x + 5.0,
            y + 5.0,
            x - 5.0
        ),
    }
}

/// Round numbers from below the least to above the most, about so many.
fn ticks(low: f64, high: f64, about: f64) -> Vec<f64> {
    let raw = ((high - low) / about).max(1e-9);
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| *step >= raw).unwrap_or(raw);
    let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
    (first..=last).map(|n| n as f64 * step).collect()
}

/// A scale from values to places.
struct Scale {
    ticks: Vec<f64>,
    from: f64,
    to: f64,
}

impl Scale {
    fn new(low: f64, high: f64, from: f64, to: f64) -> Self {
        Self { ticks: ticks(low, high, 8.0), from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let (low, high) = (self.ticks.first().copied().unwrap_or(0.0), self.ticks.last().copied().unwrap_or(1.0));
        self.from + (value - low) / (high - low).max(1e-9) * (self.to - self.from)
    }
}

/// The differences of F1 from gold alone, with their intervals: a line a class.
pub(super) fn gains(grid: &GridTable) -> String {
    let sets: Vec<(usize, &TrainingSetSpec)> = grid
        .sets
        .iter()
        .enumerate()
        .filter(|(_, set)| set.accuracy_gain.is_some())
        .map(|(at, set)| (at, &set.set))
        .collect();
    let mut lines: Vec<(&str, Vec<Option<TestedDifference>>)> = grid
        .rows
        .iter()
        .enumerate()
        .filter(|(_, row)| row.kind == RowKind::Class || row.key == "macro")
        .map(|(at, row)| (row.name.as_str(), sets.iter().map(|(set, _)| grid.sets[*set].rows[at].gain).collect()))
        .collect();
    lines.push(("accuracy", sets.iter().map(|(set, _)| grid.sets[*set].accuracy_gain).collect()));
    let shown = || lines.iter().flat_map(|(_, gains)| gains).flatten().map(|judged| judged.gain);
    let ends = || shown().filter_map(|g| g.difference.map(|d| g.interval.unwrap_or((d, d))));
    if sets.is_empty() || ends().next().is_none() {
        return String::new();
    }
    let low = ends().map(|e| e.0).fold(0.0, f64::min) * 100.0;
    let high = ends().map(|e| e.1).fold(0.0, f64::max) * 100.0;
    let (left, width, top) = (230.0, 900.0, 46.0);
    let step = 14.0 * sets.len() as f64 + 10.0;
    let bottom = top + step * lines.len() as f64;
    let x = Scale::new(low, high, left, width - 20.0);
    let mut out = String::new();
    for tick in &x.ticks {
        let (at, zero) = (x.at(*tick), tick.abs() < 1e-9);
        let stroke = if zero { "#444" } else { "#ddd" };
        out.push_str(&format!(
            "<line x1=\"{at:.1}\" y1=\"{top}\" x2=\"{at:.1}\" y2=\"{bottom:.1}\" stroke=\"{stroke}\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 16.0,
            if zero { "0".to_owned() } else { format!("{tick:+.0}") }
        ));
    }
    for (number, (name, gains)) in lines.iter().enumerate() {
        let y = top + step * number as f64;
        out.push_str(&format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 10.0,
            y + step / 2.0 + 4.0,
            escape(name)
        ));
        for (at, judged) in gains.iter().enumerate() {
            let Some((judged, difference)) = judged.and_then(|j| Some((j, j.gain.difference?))) else {
                continue;
            };
            let y = y + 12.0 + 14.0 * at as f64;
            let certain = matches!(judged.verdict, ComparisonVerdict::Gained | ComparisonVerdict::Lost);
            let said = format!(
                "{name}, {}: {} ({}), p {}, {}",
                sets[at].1,
                points(Some(difference)),
                interval(judged.gain.interval),
                p(judged.p_holm),
                judged.verdict.words()
            );
            let (from, to) = judged.gain.interval.unwrap_or((difference, difference));
            out.push_str(&format!(
                "<g><title>{}</title><line x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"{}\" stroke-width=\"2\"/>{}</g>",
                escape(&said),
                x.at(100.0 * from),
                x.at(100.0 * to),
                COLOURS[look(sets[at].1) % COLOURS.len()],
                mark(look(sets[at].1), x.at(100.0 * difference), y, certain)
            ));
        }
    }
    let mut legend = String::new();
    for (at, (_, set)) in sets.iter().enumerate() {
        let place = left + 170.0 * at as f64;
        legend.push_str(&mark(look(set), place, 16.0, true));
        legend.push_str(&format!("<text x=\"{:.1}\" y=\"20\">{}</text>", place + 10.0, escape(&set.to_string())));
    }
    format!(
        "<figure><svg viewBox=\"0 0 {width} {:.0}\" width=\"{width}\" role=\"img\" aria-label=\"{label}\">{legend}{out}<text x=\"{left}\" y=\"{:.1}\">points of F1 (accuracy) more than with gold alone, 95 % interval; filled: more than chance</text></svg></figure>\n",
        bottom + 44.0,
        bottom + 36.0,
        label = escape(&format!("{}: differences from gold alone; the table below has the numbers", title(grid)))
    )
}

/// Macro-F1 by rows of gold: a line a training set.
pub(super) fn curves(report: &ExperimentReport, grid: &GridTable) -> String {
    let curves: Vec<&LearningCurve> =
        report.curves.iter().filter(|curve| curve.model == grid.model && curve.task == grid.task).collect();
    let ends = || {
        curves
            .iter()
            .flat_map(|c| &c.points)
            .filter_map(|p| p.macro_f1.mean.map(|m| p.macro_f1.interval.unwrap_or((m, m))))
    };
    if ends().next().is_none() {
        return String::new();
    }
    let low = ends().map(|e| e.0).fold(f64::INFINITY, f64::min) * 100.0;
    let high = ends().map(|e| e.1).fold(0.0, f64::max) * 100.0;
    let most = curves.iter().flat_map(|c| &c.points).map(|p| p.gold).max().unwrap_or(1) as f64;
    let (left, right, top, bottom) = (60.0, 720.0, 20.0, 380.0);
    let (x, y) = (Scale::new(0.0, most, left, right), Scale::new(low, high, bottom, top));
    let mut out = String::new();
    for tick in &y.ticks {
        let at = y.at(*tick);
        out.push_str(&format!(
            "<line x1=\"{left}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{tick:.0}</text>",
            left - 8.0,
            at + 4.0
        ));
    }
    for tick in &x.ticks {
        let at = x.at(*tick);
        out.push_str(&format!(
            "<line x1=\"{at:.1}\" y1=\"{bottom}\" x2=\"{at:.1}\" y2=\"{:.1}\" stroke=\"#444\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{tick:.0}</text>",
            bottom + 5.0,
            bottom + 20.0
        ));
    }
    for (at, curve) in curves.iter().enumerate() {
        let number = look(&curve.set);
        let (colour, dash) = (COLOURS[number % COLOURS.len()], DASHES[number % DASHES.len()]);
        // A little apart, so that intervals at the same share do not hide each other.
        let aside = 4.0 * (at as f64 - (curves.len() as f64 - 1.0) / 2.0);
        let mut path = String::new();
        for point in &curve.points {
            let Some(mean) = point.macro_f1.mean else {
                continue;
            };
            let (px, py) = (x.at(point.gold as f64) + aside, y.at(100.0 * mean));
            path.push_str(&format!("{}{px:.1} {py:.1}", if path.is_empty() { "M" } else { "L" }));
            let (from, to) = point.macro_f1.interval.unwrap_or((mean, mean));
            let said = format!(
                "{} with {} % of gold ({} rows): {} ({} to {})",
                curve.set,
                point.share,
                point.gold,
                percent(Some(mean)),
                percent(Some(from)),
                percent(Some(to))
            );
            out.push_str(&format!(
                "<g><title>{}</title><line x1=\"{px:.1}\" y1=\"{:.1}\" x2=\"{px:.1}\" y2=\"{:.1}\" stroke=\"{colour}\"/>{}</g>",
                escape(&said),
                y.at(100.0 * from),
                y.at(100.0 * to),
                mark(number, px, py, true)
            ));
        }
        out.push_str(&format!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>"
        ));
        let line = 30.0 + 20.0 * at as f64;
        out.push_str(&format!(
            "<path d=\"M740 {line}L770 {line}\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>{}<text x=\"778\" y=\"{:.1}\">{}</text>",
            mark(number, 755.0, line, true),
            line + 4.0,
            escape(&curve.set.to_string())
        ));
    }
    format!(
        "<figure><svg viewBox=\"0 0 900 430\" width=\"900\" role=\"img\" aria-label=\"{label}\">{out}<text x=\"{left}\" y=\"418\">rows of gold trained on; macro-F1 in per cent, 95 % interval</text></svg></figure>\n",
        label = escape(&format!("{}: macro-F1 by share of gold; a table below has the numbers", title(grid)))
    )
}
