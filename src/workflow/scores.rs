//! Scores of what a run said against gold.

use super::label_index::{LabelIndex, RunPairs};
use super::project::Project;
use crate::domain::corpus::SentenceId;
use crate::domain::experiment::Task;
use crate::domain::label::{RunId, Source};
use crate::domain::metrics::{Confusion, LabelPair, ScoreReport, confused, report};
use crate::domain::statistics::Bootstrap;
use crate::domain::taxonomy::{Selection, Taxonomy};

/// A run's scores against gold, with the sentences behind them.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Language model or classifier.
    pub source: Source,
    /// The run scored.
    pub run: RunId,
    /// What it was scored in: a binary run can say no more than whether there is a category.
    pub task: Task,
    /// The numbers.
    pub report: ScoreReport,
    /// Gold against proposed.
    pub confusion: Confusion,
    /// Each sentence that was scored on, in order.
    pub pairs: Vec<(SentenceId, LabelPair)>,
}

impl Scored {
    /// The sentences behind a cell of the confusion matrix.
    pub(crate) fn cell(&self, gold: usize, proposed: usize) -> Vec<SentenceId> {
        let counted = |pair: &LabelPair| confused(pair.gold(), pair.predicted()).contains(&(gold, proposed));
        self.pairs.iter().filter(|(_, pair)| counted(pair)).map(|(id, _)| *id).collect()
    }

    /// The taxonomy that names the report's categories; `None` in the binary task, whose one category is that there is any.
    pub(crate) fn taxonomy<'a>(&self, project: &'a Project) -> Option<&'a Taxonomy> {
        (self.task == Task::MultiClass).then_some(&project.taxonomy)
    }
}

/// Scores a run in the task that it can be scored in: the binary one, if it only said whether there is a category.
pub fn score(project: &Project, index: &LabelIndex, run: &RunId, bootstrap: Bootstrap) -> Option<Scored> {
    let task = if index.is_binary(run) { Task::Binary } else { Task::MultiClass };
    score_in(task, project, index, run, bootstrap)
}

/// Scores a run in a task; `None` for one that did not name the categories that the task asks for.
pub(crate) fn score_in(
    task: Task,
    project: &Project,
    index: &LabelIndex,
    run: &RunId,
    bootstrap: Bootstrap,
) -> Option<Scored> {
    let RunPairs { source, pairs } = index.pairs(run, task)?;
    let (categories, none_in_averages) = match task {
        Task::Binary => (1, true),
        Task::MultiClass => (project.taxonomy.categories().len(), project.taxonomy.selection() == Selection::Single),
    };
    let alone: Vec<LabelPair> = pairs.iter().map(|(_, pair)| *pair).collect();
    Some(Scored {
        source,
        run: run.clone(),
        task,
        report: report(&alone, categories, none_in_averages, bootstrap),
        confusion: Confusion::of(&alone, categories),
        pairs,
    })
}
