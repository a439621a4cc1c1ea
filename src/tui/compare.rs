//! Two runs side by side: each one's scores, made anew from what it proposed, or as they were stored.

use serde_json::Value;

use crate::domain::label::{Run, RunKind};
use crate::domain::statistics::Estimate;
use crate::domain::taxonomy::Taxonomy;
use crate::formats::tables::{NamedScores, named_rows};
use crate::workflow::scores::Scored;

/// One of the two.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ComparedRun {
    pub run: Run,
    /// F1 of each category, of *None*, of the averages and of the binary task; then accuracy.
    pub rows: Vec<(String, Estimate)>,
    /// Sentences and patients that it was scored on; `None` where its scores are those that were stored.
    pub scored_on: Option<(usize, usize)>,
}

impl ComparedRun {
    /// From what it proposed, where it proposed anything; else from its stored scores, which have no intervals.
    pub(crate) fn of(run: Run, scored: Option<&Scored>, taxonomy: &Taxonomy) -> Self {
        if let Some(Scored { report, .. }) = scored {
            let scores = NamedScores { title: String::new(), report, taxonomy: Some(taxonomy) };
            let mut rows: Vec<(String, Estimate)> =
                named_rows(&scores).into_iter().map(|(name, row)| (name, row.f1)).collect();
            rows.push(("accuracy".into(), report.accuracy));
            return Self { run, rows, scored_on: Some((report.sentences, report.patients)) };
        }
        let stored: Value = serde_json::from_str(&run.scores).unwrap_or_default();
        let estimate = |value: Option<&Value>| Estimate { value: value.and_then(Value::as_f64), interval: None };
        let categories = taxonomy.categories().iter().enumerate();
        let mut rows: Vec<(String, Estimate)> =
            categories.map(|(at, c)| (c.name.clone(), estimate(stored["f1"].get(at)))).collect();
        let others = [
            ("None", "none_f1"),
            ("macro average", "macro_f1"),
            ("micro average", "micro_f1"),
            ("weighted average", "weighted_f1"),
            ("any category (binary)", "binary_f1"),
            ("accuracy", "accuracy"),
        ];
        rows.extend(others.map(|(name, key)| (name.to_owned(), estimate(stored.get(key)))));
        Self { run, rows, scored_on: None }
    }
}

/// Whether a run names categories of sentences, so that it can be scored beside another.
pub(crate) fn comparable(run: &Run) -> bool {
    matches!(run.kind, RunKind::Train | RunKind::Label | RunKind::Experiment)
}
