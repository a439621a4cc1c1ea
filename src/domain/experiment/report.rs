//! The report of an experiment, finished or not: plain numbers, made from what the cells predict.

use serde::{Deserialize, Serialize};

use super::{Cell, FinishedCell, Task, TrainingSetSpec};
use crate::domain::comparison::{
    ComparedSystem, ComparisonVerdict, Difference, SeedSpread, SystemScores, compare, majority,
};
use crate::domain::label::RunId;
use crate::domain::label_set::LabelSet;
use crate::domain::metrics::{ClassLayout, TestSentence};
use crate::domain::sight::Blindness;
use crate::domain::split::Tier;
use crate::domain::statistics::{Bootstrap, McNemar, holm};

/// What an experiment is about, as the report names it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExperimentSubject {
    /// A short id: the same for the same cells on the same data.
    pub id: String,
    /// The project's name.
    pub project: String,
    /// The taxonomy's name.
    pub taxonomy: String,
    /// Key and name of each category.
    pub categories: Vec<(String, String)>,
    /// Whether a sentence has at most one category: then *None* is a class like the others.
    pub single: bool,
    pub tested: Vec<TestSentence>,
    /// Validation sentences.
    pub validation: usize,
    /// All cells of the grid, also those to come.
    pub cells: Vec<Cell>,
    /// What must be known before the numbers are read.
    pub warnings: Vec<String>,
}

/// What a cell was trained on, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainingSize {
    /// Rows of gold.
    pub gold: usize,
    /// Rows of silver.
    pub silver: usize,
    /// Rows of bronze.
    pub bronze: usize,
    /// Passes over them.
    pub passes: usize,
    pub seconds: f64,
}

impl TrainingSize {
    /// All rows.
    pub(crate) fn rows(&self) -> usize {
        self.gold + self.silver + self.bronze
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ExperimentReport {
    /// A short id: the same for the same cells on the same data.
    pub experiment: String,
    /// The project's name.
    pub project: String,
    /// The taxonomy's name.
    pub taxonomy: String,
    /// Test sentences.
    pub sentences: usize,
    /// Test patients.
    pub patients: usize,
    /// Share of the test sentences that were decided blind.
    pub blind: Option<f64>,
    /// Share of those of which it is not known.
    pub blind_unknown: Option<f64>,
    /// Validation sentences.
    pub validation: usize,
    /// How intervals and p were made.
    pub bootstrap: Bootstrap,
    /// Cells in the grid.
    pub planned: usize,
    /// Cells that are done.
    pub finished: usize,
    /// What must be known before the numbers are read.
    pub warnings: Vec<String>,
    /// One table for each model and task.
    pub grids: Vec<GridTable>,
    pub curves: Vec<LearningCurve>,
    /// Every cell that is done, with the run that keeps its predictions.
    pub cells: Vec<CellRun>,
}

/// Where a number comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct CellRun {
    #[serde(flatten)]
    pub cell: Cell,
    pub run: RunId,
    pub trained: TrainingSize,
    pub accuracy: Option<f64>,
    /// Macro-F1.
    pub macro_f1: Option<f64>,
}

/// One model in one task: a table of training sets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct GridTable {
    pub model: String,
    pub task: Task,
    /// The rows of the table.
    pub rows: Vec<RowName>,
    /// Each training set's scores, in the order of the plan.
    pub sets: Vec<SetScores>,
}

/// What a row of the table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RowKind {
    /// A category, *None*, or "any" in the binary task.
    Class,
    /// An average over them.
    Average,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct RowName {
    /// The category's key, `None`, `any`, or the average's name.
    pub key: String,
    /// What people read.
    pub name: String,
    pub kind: RowKind,
    /// How many test sentences have it in gold; `None` for averages.
    pub support: Option<u64>,
    /// Where its precision stands among a system's scores.
    #[serde(skip)]
    at: usize,
}

/// One training set's scores.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct SetScores {
    pub set: TrainingSetSpec,
    /// The seeds that are done.
    pub seeds: Vec<u64>,
    pub runs: Vec<RunId>,
    /// What each of them was trained on.
    pub trained: Vec<TrainingSize>,
    /// Share of sentences whose whole label is right.
    pub accuracy: SeedSpread,
    /// Its difference from gold alone.
    pub accuracy_gain: Option<TestedDifference>,
    /// McNemar's test of the seeds' majority labels against those of gold alone, and its exact p after Holm over the sets.
    pub mcnemar: Option<(McNemar, Option<f64>)>,
    /// One for each row of the table.
    pub rows: Vec<RowScores>,
}

/// One row of one training set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct RowScores {
    pub precision: SeedSpread,
    pub recall: SeedSpread,
    pub f1: SeedSpread,
    /// F1's difference from gold alone.
    pub gain: Option<TestedDifference>,
}

/// A difference with its verdict.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct TestedDifference {
    /// The difference, its interval and p.
    #[serde(flatten)]
    pub gain: Difference,
    /// p after Holm: over the classes of one training set, or over the training sets for an average.
    pub p_holm: Option<f64>,
    /// What that says.
    pub verdict: ComparisonVerdict,
}

/// One training set's scores by share of gold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct LearningCurve {
    pub model: String,
    pub task: Task,
    pub set: TrainingSetSpec,
    /// From the least share to all of it.
    pub points: Vec<SharePoint>,
}

/// One share of gold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct SharePoint {
    /// Per cent.
    pub share: u32,
    /// Rows of gold.
    pub gold: usize,
    pub rows: usize,
    /// Macro-F1.
    pub macro_f1: SeedSpread,
    /// Macro-F1's difference from gold alone at the same share; Holm over the shares of the curve.
    pub gain: Option<TestedDifference>,
    pub runs: Vec<RunId>,
}

/// All seeds of one training set and share.
struct SeedGroup<'a> {
    set: &'a TrainingSetSpec,
    share: u32,
    done: Vec<&'a FinishedCell>,
}

impl ExperimentReport {
    /// Makes the report of the cells that are done. Without resamples there are means and deviations alone, which is quick.
    pub(crate) fn of(subject: &ExperimentSubject, done: &[FinishedCell], bootstrap: Bootstrap) -> Self {
        let (mut grids, mut curves, mut cells) = (Vec::new(), Vec::new(), Vec::new());
        let mut tables: Vec<(&str, Task)> = subject.cells.iter().map(|cell| (cell.model.as_str(), cell.task)).collect();
        let mut seen = std::collections::BTreeSet::new();
        tables.retain(|table| seen.insert(*table));
        for (model, task) in tables {
            let groups = groups(subject, done, model, task);
            if groups.is_empty() {
                continue;
            }
            let tested = tested(subject, task);
            let labelled: Vec<Vec<&[LabelSet]>> =
                groups.iter().map(|group| group.done.iter().map(|done| done.predicted.as_slice()).collect()).collect();
            let gold_alone = |share| groups.iter().position(|g| *g.set == TrainingSetSpec::gold() && g.share == share);
            let systems: Vec<ComparedSystem<'_>> = groups
                .iter()
                .zip(&labelled)
                .enumerate()
                .map(|(at, (group, labelled))| ComparedSystem {
                    seeds: group.done.iter().map(|d| d.cell.seed).zip(labelled.iter().copied()).collect(),
                    against: gold_alone(group.share).filter(|other| *other != at),
                })
                .collect();
            let none_in_averages = task == Task::Binary || subject.single;
            let categories = if task == Task::Binary { 1 } else { subject.categories.len() };
            let layout = ClassLayout { categories, none_in_averages };
            let compared = compare(&tested, &systems, categories, none_in_averages, bootstrap);
            let macro_f1 = layout.averages() + 2;
            for (group, compared) in groups.iter().zip(&compared) {
                cells.extend(group.done.iter().enumerate().map(|(seed, done)| CellRun {
                    cell: done.cell.clone(),
                    run: done.run.clone(),
                    trained: done.trained,
                    accuracy: compared.scores[ClassLayout::ACCURACY].each[seed],
                    macro_f1: compared.scores[macro_f1].each[seed],
                }));
            }
            let rows = row_names(subject, task, layout, &tested);
            let whole: Vec<usize> = (0..groups.len()).filter(|at| groups[*at].share == 100).collect();
            let mut sets: Vec<SetScores> =
                whole.iter().map(|at| set_scores(&groups[*at], &compared[*at], &rows)).collect();
            judge(&mut sets, &rows);
            let mut tests: Vec<Option<McNemar>> = whole
                .iter()
                .map(|at| {
                    let other = systems[*at].against?;
                    let gold = tested.iter().map(|t| t.gold);
                    Some(McNemar::from_labels(gold, &majority(&labelled[other]), &majority(&labelled[*at])))
                })
                .collect();
            let corrected = holm(&tests.iter().map(|test| test.map(|t| t.exact)).collect::<Vec<_>>());
            for ((set, test), p) in sets.iter_mut().zip(tests.drain(..)).zip(corrected) {
                set.mcnemar = test.map(|test| (test, p));
            }
            curves.extend(curves_of(&groups, &compared, model, task, macro_f1));
            grids.push(GridTable { model: model.to_owned(), task, rows, sets });
        }
        let patients: std::collections::BTreeSet<u32> = subject.tested.iter().map(|t| t.patient).collect();
        let sentences = subject.tested.len();
        let share = |kind| {
            let some = subject.tested.iter().filter(|t| t.blindness == kind).count();
            (sentences > 0).then(|| some as f64 / sentences as f64)
        };
        Self {
            experiment: subject.id.clone(),
            project: subject.project.clone(),
            taxonomy: subject.taxonomy.clone(),
            sentences,
            patients: patients.len(),
            blind: share(Blindness::Blind),
            blind_unknown: share(Blindness::Unknown),
            validation: subject.validation,
            bootstrap,
            planned: subject.cells.len(),
            finished: done.len(),
            warnings: subject.warnings.clone(),
            grids,
            curves,
            cells,
        }
    }
}

/// Cells that are done by training set and share, in the order of the plan; each group by seed.
fn groups<'a>(subject: &'a ExperimentSubject, done: &'a [FinishedCell], model: &str, task: Task) -> Vec<SeedGroup<'a>> {
    let mut groups: Vec<SeedGroup<'a>> = Vec::new();
    for cell in subject.cells.iter().filter(|cell| cell.model == model && cell.task == task) {
        let Some(done) = done.iter().find(|done| done.cell == *cell) else {
            continue;
        };
        match groups.iter_mut().find(|group| *group.set == cell.set && group.share == cell.share) {
            Some(group) => group.done.push(done),
            None => groups.push(SeedGroup { set: &cell.set, share: cell.share, done: vec![done] }),
        }
    }
    groups.iter_mut().for_each(|group| group.done.sort_by_key(|done| done.cell.seed));
    groups
}

/// The test sentences as the task sees them.
fn tested(subject: &ExperimentSubject, task: Task) -> Vec<TestSentence> {
    subject.tested.iter().map(|tested| task.sees(*tested)).collect()
}

fn row_names(subject: &ExperimentSubject, task: Task, layout: ClassLayout, tested: &[TestSentence]) -> Vec<RowName> {
    let class = |key: &str, name: &str, at: usize| RowName {
        key: key.to_owned(),
        name: name.to_owned(),
        kind: RowKind::Class,
        support: Some(tested.iter().filter(|t| t.gold.has_class(at)).count() as u64),
        at: ClassLayout::class(at),
    };
    let average = |name: &str, number: usize| RowName {
        key: name.to_owned(),
        name: format!("{name} average"),
        kind: RowKind::Average,
        support: None,
        at: layout.averages() + 3 * number,
    };
    let mut rows = match task {
        Task::Binary => vec![class("any", "any category", 1)],
        Task::MultiClass => subject.categories.iter().zip(1..).map(|((key, name), at)| class(key, name, at)).collect(),
    };
    rows.push(class("None", "None", 0));
    rows.push(average("macro", 0));
    // Where each sentence is of one class, the micro average is the accuracy.
    if !layout.none_in_averages {
        rows.push(average("micro", 1));
    }
    rows.push(average("weighted", 2));
    rows
}

fn set_scores(group: &SeedGroup<'_>, compared: &SystemScores, rows: &[RowName]) -> SetScores {
    let gain = |at: usize| {
        let gain = *compared.gains.get(at)?;
        Some(TestedDifference { gain, p_holm: None, verdict: ComparisonVerdict::Unknown })
    };
    let score = |at: usize| compared.scores[at].clone();
    SetScores {
        set: group.set.clone(),
        seeds: group.done.iter().map(|done| done.cell.seed).collect(),
        runs: group.done.iter().map(|done| done.run.clone()).collect(),
        trained: group.done.iter().map(|done| done.trained).collect(),
        accuracy: score(ClassLayout::ACCURACY),
        accuracy_gain: gain(ClassLayout::ACCURACY),
        mcnemar: None,
        rows: rows
            .iter()
            .map(|row| RowScores {
                precision: score(row.at),
                recall: score(row.at + 1),
                f1: score(row.at + 2),
                gain: gain(row.at + 2),
            })
            .collect(),
    }
}

/// Corrects a family of differences and judges them.
fn correct<'a>(family: impl Iterator<Item = &'a mut Option<TestedDifference>>) {
    let mut family: Vec<&mut TestedDifference> = family.flatten().collect();
    let corrected = holm(&family.iter().map(|judged| judged.gain.p).collect::<Vec<_>>());
    for (judged, p) in family.iter_mut().zip(corrected) {
        judged.p_holm = p;
        judged.verdict = ComparisonVerdict::of(judged.gain.difference, p);
    }
}

/// Which category a set helps is one question for each set, so its classes are a family. Whether any set helps is one
/// question for the table, so an average's differences, and the accuracy's, are one over the sets.
fn judge(sets: &mut [SetScores], rows: &[RowName]) {
    for set in sets.iter_mut() {
        let classes = set.rows.iter_mut().zip(rows).filter(|(_, row)| row.kind == RowKind::Class);
        correct(classes.map(|(scores, _)| &mut scores.gain));
    }
    for (at, _) in rows.iter().enumerate().filter(|(_, row)| row.kind == RowKind::Average) {
        correct(sets.iter_mut().map(|set| &mut set.rows[at].gain));
    }
    correct(sets.iter_mut().map(|set| &mut set.accuracy_gain));
}

fn curves_of(
    groups: &[SeedGroup<'_>],
    compared: &[SystemScores],
    model: &str,
    task: Task,
    macro_f1: usize,
) -> Vec<LearningCurve> {
    let mut curves: Vec<LearningCurve> = Vec::new();
    for (group, compared) in groups.iter().zip(compared).filter(|(group, _)| group.set.has(Tier::Gold)) {
        let Some(first) = group.done.first() else {
            continue;
        };
        let gain = compared.gains.get(macro_f1);
        let point = SharePoint {
            share: group.share,
            gold: first.trained.gold,
            rows: first.trained.rows(),
            macro_f1: compared.scores[macro_f1].clone(),
            gain: gain.map(|gain| TestedDifference { gain: *gain, p_holm: None, verdict: ComparisonVerdict::Unknown }),
            runs: group.done.iter().map(|done| done.run.clone()).collect(),
        };
        match curves.iter_mut().find(|curve| curve.set == *group.set) {
            Some(curve) => curve.points.push(point),
            None => {
                let set = group.set.clone();
                curves.push(LearningCurve { model: model.to_owned(), task, set, points: vec![point] });
            }
        }
    }
    curves.retain(|curve| curve.points.len() > 1);
    for curve in &mut curves {
        curve.points.sort_by_key(|point| point.share);
        correct(curve.points.iter_mut().map(|point| &mut point.gain));
    }
    curves
}
