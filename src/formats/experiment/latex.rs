//! What the report's tables for LaTeX are made of; `tables.tex` says how.

use minijinja::context;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;

use super::template::fill;
use super::{FormatError, sheets};
use crate::domain::comparison::SeedSpread;
use crate::domain::experiment::{ExperimentReport, GridTable, RowKind};
use crate::formats::tables::percent;

/// Text as LaTeX prints it. What no font has, and what would drive a terminal, is left out.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            '|' => out.push_str("\\textbar{}"),
            '\u{b1}' => out.push_str("$\\pm$"),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Mean and, small, the deviation; this is LaTeX already.
fn score(spread: &SeedSpread) -> Value {
    Value::from_safe_string(match spread.deviation {
        Some(deviation) => format!("{}{{\\tiny$\\pm${:.1}}}", percent(spread.mean), 100.0 * deviation),
        None => percent(spread.mean),
    })
}

fn grid(grid: &GridTable) -> Value {
    let mut kind = RowKind::Class;
    let rows = grid.rows.iter().enumerate().map(|(at, row)| {
        let scores = grid.sets.iter().map(|set| &set.rows[at]);
        let scores = scores.flat_map(|scores| [&scores.precision, &scores.recall, &scores.f1].map(score));
        context! {
            new_kind => row.kind != std::mem::replace(&mut kind, row.kind),
            name => row.name,
            support => row.support.map(|n| n.to_string()).unwrap_or_default(),
            scores => scores.collect::<Vec<_>>(),
        }
    });
    context! {
        title => sheets::title(grid),
        sets => grid.sets.iter().map(|set| set.set.to_string()).collect::<Vec<_>>(),
        rows => rows.collect::<Vec<_>>(),
        accuracy => grid.sets.iter().map(|set| score(&set.accuracy)).collect::<Vec<_>>(),
        sheets => sheets::gains(grid).into_iter().chain([sheets::training(grid)]).collect::<Vec<_>>(),
    }
}

pub(super) fn document(report: &ExperimentReport) -> Result<String, FormatError> {
    let document = context! {
        experiment => report.experiment,
        sentences => report.sentences,
        patients => report.patients,
        facts => sheets::facts(report).lines().collect::<Vec<_>>(),
        grids => report.grids.iter().map(grid).collect::<Vec<_>>(),
        curves => sheets::curves(report),
    };
    // Braces and percent signs are LaTeX's own.
    let syntax = SyntaxConfig::builder()
        .block_delimiters("<%", "%>")
        .variable_delimiters("<<", ">>")
        .comment_delimiters("<#", "#>")
        .build()?;
    fill(include_str!("tables.tex"), syntax, escape, document)
}
