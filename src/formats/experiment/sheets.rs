//! The report's tables as text: rows of cells that every format sets in its own way.

use serde::Serialize;

use crate::domain::comparison::{ComparisonVerdict, SeedSpread};
use crate::domain::experiment::{ExperimentReport, GridTable, RowKind, RowScores, SetScores, TestedDifference};
use crate::domain::metrics::blind_words;
use crate::formats::tables::{counted, percent};

/// A table.
#[derive(Serialize)]
pub(super) struct Sheet {
    pub title: String,
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Sheet {
    /// The header, then the rows.
    pub(crate) fn lines(&self) -> Vec<Vec<String>> {
        std::iter::once(&self.header).chain(&self.rows).cloned().collect()
    }
}

/// `49.9 ±1.2`: mean and deviation in per cent.
pub(super) fn spread(spread: &SeedSpread) -> String {
    match spread.deviation {
        Some(deviation) => format!("{} \u{b1}{:.1}", percent(spread.mean), 100.0 * deviation),
        None => percent(spread.mean),
    }
}

/// `+2.1`: a difference in points.
pub(super) fn points(difference: Option<f64>) -> String {
    difference.map_or_else(
        || "-".into(),
        |d| {
            let text = format!("{:+.1}", 100.0 * d);
            if matches!(text.as_str(), "+0.0" | "-0.0") { "0.0".into() } else { text }
        },
    )
}

pub(super) fn interval(interval: Option<(f64, f64)>) -> String {
    interval.map_or_else(|| "-".into(), |(low, high)| format!("{} to {}", points(Some(low)), points(Some(high))))
}

pub(super) fn p(p: Option<f64>) -> String {
    match p {
        None => "-".into(),
        Some(p) if p < 0.001 => "<0.001".into(),
        Some(p) => format!("{p:.3}"),
    }
}

pub(super) fn title(grid: &GridTable) -> String {
    format!("{}, {}", grid.model, grid.task)
}

/// What stands above all tables.
pub(super) fn facts(report: &ExperimentReport) -> String {
    let blind =
        report.blind.zip(report.blind_unknown).map_or_else(String::new, |(b, u)| format!(", {}", blind_words(b, u)));
    let mut out = format!(
        "Experiment {} of {}: {} of {}, tested on {} of {}{blind}; {} for validation.\n",
        report.experiment,
        report.project,
        report.finished,
        counted(report.planned, "cell"),
        counted(report.sentences, "gold sentence"),
        counted(report.patients, "patient"),
        report.validation,
    );
    if report.bootstrap.resamples > 0 {
        out.push_str(&format!(
            "Mean \u{b1} deviation over seeds, in per cent. Differences from gold alone with 95 % intervals and p over {} resamples of patients, the same for both; p is Holm's, over the classes of a training set, or over the training sets for averages.\n",
            report.bootstrap.resamples
        ));
    }
    for warning in &report.warnings {
        out.push_str(&format!("warning: {warning}\n"));
    }
    out
}

type ScoreOf = (&'static str, fn(&RowScores) -> &SeedSpread);

const MEASURES: [ScoreOf; 3] = [("F1", |r| &r.f1), ("precision", |r| &r.precision), ("recall", |r| &r.recall)];

fn support(n: Option<u64>) -> String {
    n.map_or_else(String::new, |n| n.to_string())
}

/// F1, precision and recall, each with the training sets side by side.
pub(super) fn scores(grid: &GridTable) -> Vec<Sheet> {
    let sheet = |(name, of): ScoreOf| {
        let mut header = vec![name.to_owned(), "n".to_owned()];
        header.extend(grid.sets.iter().map(|set| set.set.short()));
        let mut rows: Vec<Vec<String>> = grid
            .rows
            .iter()
            .enumerate()
            .map(|(at, row)| {
                let cells = grid.sets.iter().map(|set| spread(of(&set.rows[at])));
                [row.name.clone(), support(row.support)].into_iter().chain(cells).collect()
            })
            .collect();
        if name == "F1" {
            let cells = grid.sets.iter().map(|set| spread(&set.accuracy));
            rows.push(["accuracy".to_owned(), String::new()].into_iter().chain(cells).collect());
        }
        Sheet { title: format!("{}: {name}", title(grid)), header, rows }
    };
    MEASURES.map(sheet).into()
}

/// Precision, recall and F1 of every training set in one table.
pub(super) fn side_by_side(grid: &GridTable) -> Sheet {
    let mut header = vec![String::new(), "n".to_owned()];
    for set in &grid.sets {
        let short = set.set.short();
        header.extend([format!("{short} P"), format!("{short} R"), format!("{short} F1")]);
    }
    let mut rows: Vec<Vec<String>> = grid
        .rows
        .iter()
        .enumerate()
        .map(|(at, row)| {
            let scores = grid.sets.iter().map(|set| &set.rows[at]);
            let cells = scores.flat_map(|row| [&row.precision, &row.recall, &row.f1].map(spread));
            [row.name.clone(), support(row.support)].into_iter().chain(cells).collect()
        })
        .collect();
    let accuracy = grid.sets.iter().flat_map(|set| [String::new(), String::new(), spread(&set.accuracy)]);
    rows.push(["accuracy".to_owned(), String::new()].into_iter().chain(accuracy).collect());
    Sheet { title: format!("{}: precision, recall, F1", title(grid)), header, rows }
}

/// Each training set against gold alone.
pub(super) fn gains(grid: &GridTable) -> Vec<Sheet> {
    let compared = grid.sets.iter().filter(|set| set.accuracy_gain.is_some());
    compared
        .map(|set| {
            let row = |name: &str, judged: Option<TestedDifference>| {
                let gain = judged.map(|j| j.gain).unwrap_or_default();
                let verdict = judged.map_or(ComparisonVerdict::Unknown, |j| j.verdict);
                vec![
                    name.to_owned(),
                    points(gain.difference),
                    interval(gain.interval),
                    p(judged.and_then(|j| j.p_holm)),
                    verdict.words().to_owned(),
                ]
            };
            let mut rows: Vec<Vec<String>> =
                grid.rows.iter().zip(&set.rows).map(|(name, scores)| row(&name.name, scores.gain)).collect();
            rows.push(row("accuracy", set.accuracy_gain));
            if let Some((test, p_holm)) = set.mcnemar {
                let (lost, won) = (test.first_only, test.second_only);
                let verdict = ComparisonVerdict::of(Some(won as f64 - lost as f64), p_holm).words().to_owned();
                rows.push(vec![
                    "accuracy, McNemar".into(),
                    String::new(),
                    format!("{won} won {lost} lost"),
                    p(p_holm),
                    verdict,
                ]);
            }
            Sheet {
                title: format!("{}: F1 of {} less F1 of gold alone", title(grid), set.set),
                header: ["class", "points", "95 %", "p (Holm)", "verdict"].map(str::to_owned).to_vec(),
                rows,
            }
        })
        .collect()
}

/// What each set was trained on, and for how long: more rows are more steps too.
pub(super) fn training(grid: &GridTable) -> Sheet {
    let row = |set: &SetScores| {
        let first = set.trained.first().copied().unwrap_or_default();
        let mean = |of: &dyn Fn(&crate::domain::experiment::TrainingSize) -> f64| {
            set.trained.iter().map(of).sum::<f64>() / set.trained.len().max(1) as f64
        };
        vec![
            set.set.to_string(),
            first.gold.to_string(),
            first.silver.to_string(),
            first.bronze.to_string(),
            set.seeds.len().to_string(),
            format!("{:.1}", mean(&|t| t.passes as f64)),
            format!("{:.0}", mean(&|t| (t.passes * t.rows()) as f64)),
            format!("{:.1}", mean(&|t| t.seconds)),
        ]
    };
    Sheet {
        title: format!("{}: trained on", title(grid)),
        header: ["set", "gold", "silver", "bronze", "seeds", "passes", "rows seen", "seconds"]
            .map(str::to_owned)
            .to_vec(),
        rows: grid.sets.iter().map(row).collect(),
    }
}

/// What each set did, in a sentence.
pub(super) fn in_words(grid: &GridTable) -> Vec<String> {
    let of = |set: &SetScores| {
        let classes: Vec<(&str, TestedDifference)> = grid
            .rows
            .iter()
            .zip(&set.rows)
            .filter(|(row, _)| row.kind == RowKind::Class)
            .filter_map(|(row, scores)| Some((row.name.as_str(), scores.gain?)))
            .collect();
        // Without p there is nothing to say yet.
        classes.iter().find_map(|(_, judged)| judged.p_holm)?;
        let named = |verdict: ComparisonVerdict| {
            let names: Vec<String> = classes
                .iter()
                .filter(|(_, judged)| judged.verdict == verdict)
                .map(|(name, judged)| format!("{name} ({})", points(judged.gain.difference)))
                .collect();
            if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
        };
        let chance = classes.iter().filter(|(_, judged)| judged.verdict == ComparisonVerdict::Chance).count();
        let macro_f1 = grid.rows.iter().position(|row| row.key == "macro").and_then(|at| set.rows[at].gain);
        let macro_f1 = macro_f1.map_or_else(String::new, |judged| {
            let p = p(judged.p_holm);
            format!(" Macro-F1 {}, p {p}: {}.", points(judged.gain.difference), judged.verdict.words())
        });
        Some(format!(
            "{} against gold alone: gained {}; lost {}; {chance} of {} no more than chance.{macro_f1}",
            set.set,
            named(ComparisonVerdict::Gained),
            named(ComparisonVerdict::Lost),
            counted_classes(classes.len()),
        ))
    };
    grid.sets.iter().filter_map(of).collect()
}

fn counted_classes(n: usize) -> String {
    if n == 1 { "1 class".into() } else { format!("{n} classes") }
}

/// Learning curves: macro-F1 by share of gold, the training sets side by side.
pub(super) fn curves(report: &ExperimentReport) -> Vec<Sheet> {
    let of = |grid: &GridTable| {
        let curves: Vec<_> =
            report.curves.iter().filter(|curve| curve.model == grid.model && curve.task == grid.task).collect();
        let mut shares: Vec<(u32, usize)> =
            curves.iter().flat_map(|curve| &curve.points).map(|point| (point.share, point.gold)).collect();
        shares.sort_unstable();
        shares.dedup_by_key(|(share, _)| *share);
        let row = |(share, gold): (u32, usize)| {
            let cells = curves.iter().map(|curve| {
                let point = curve.points.iter().find(|point| point.share == share);
                point.map_or_else(String::new, |point| spread(&point.macro_f1))
            });
            [format!("{share} %"), gold.to_string()].into_iter().chain(cells).collect()
        };
        (!curves.is_empty()).then(|| Sheet {
            title: format!("{}: macro-F1 by share of gold; silver stands in for gold left out", title(grid)),
            header: ["share", "gold rows"]
                .map(str::to_owned)
                .into_iter()
                .chain(curves.iter().map(|c| c.set.short()))
                .collect(),
            rows: shares.into_iter().map(row).collect(),
        })
    };
    report.grids.iter().filter_map(of).collect()
}
