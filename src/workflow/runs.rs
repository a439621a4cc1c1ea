//! Runs: beginning, going on and ending one of a language model; and two side by side: what two of them agree on, what each
//! category gained or lost, and the sentences that flipped.

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::dispatch::JobEnd;
use super::label_index::LabelIndex;
use super::project::Project;
use super::scores::score_in;
use super::{WorkflowError, diagnostics, new_run_id, now};
use crate::domain::corpus::SentenceId;
use crate::domain::experiment::Task;
use crate::domain::gold::Gold;
use crate::domain::label::{Label, Outcome, Run, RunKind};
use crate::domain::label_set::{Assigned, LabelSet};
use crate::domain::statistics::Bootstrap;
use crate::domain::statistics::agreement::cohen_kappa_of_pairs;
use crate::domain::taxonomy::Taxonomy;
use crate::domain::visibility::Face;
use crate::store::Store;
use crate::workflow::refusal::{Refusal, RefusalKind};

/// Finds a run by its id, or by the beginning or the end of it.
pub(crate) fn find(store: &Store, word: &str) -> Result<Run, WorkflowError> {
    let runs = store.runs()?;
    let mut found: Vec<Run> =
        runs.into_iter().filter(|run| run.id.0.starts_with(word) || run.id.0.ends_with(word)).collect();
    match (found.pop(), found.is_empty()) {
        (Some(run), true) => Ok(run),
        (None, _) => Err(Refusal::not_found("run", word, format!("there is no run `{word}`"))
            .hint("`goldsmith runs` lists them")
            .into()),
        (Some(_), false) => Err(Refusal::ambiguous("run", word, format!("`{word}` fits several runs"))
            .hint("write more of the id")
            .into()),
    }
}

/// The run of this kind, model and configuration, to be gone on with; or a new one, not stored yet, where there is none or
/// a `fresh` one is wanted.
pub(super) fn find_or_new(
    store: &Store,
    kind: RunKind,
    model: &str,
    config: String,
    taxonomy: &Taxonomy,
    fresh: bool,
) -> Result<Run, WorkflowError> {
    let found = if fresh { None } else { store.find_run(kind, model, &config)? };
    if let Some(id) = found {
        return Ok(store.run(&id)?);
    }
    Ok(Run {
        id: new_run_id(),
        kind,
        model: model.to_owned(),
        config,
        taxonomy: taxonomy.hash(),
        started: now(),
        finished: None,
        outcome: Outcome::Running,
        scores: String::new(),
    })
}

/// Notes that a run of a language model begins, or goes on.
pub(super) fn begin(store: &mut Store, run: &mut Run) -> Result<(), WorkflowError> {
    tracing::info!(run = run.id.0, kind = diagnostics::variant(&run.kind), "run begins");
    run.outcome = Outcome::Running;
    run.finished = None;
    store.put_run(run)?;
    Ok(store.close_egress(&run.id)?)
}

/// Notes how it ended and what it came to.
pub(super) fn end(
    store: &mut Store,
    run: &mut Run,
    ended: &Result<JobEnd, WorkflowError>,
    scores: String,
) -> Result<(), WorkflowError> {
    run.finished = Some(now());
    run.outcome = match ended {
        Ok(JobEnd::Finished) => Outcome::Finished,
        Ok(JobEnd::Stopped | JobEnd::Budget(_)) => Outcome::Stopped,
        Ok(JobEnd::Halted(_)) | Err(_) => Outcome::Failed,
    };
    run.scores = scores;
    let ended = ended.as_ref().map_or_else(diagnostics::causes, |ended| diagnostics::variant(ended));
    tracing::info!(run = run.id.0, ended, "run ends");
    Ok(store.put_run(run)?)
}

/// What became of one category from one run to the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct CategoryChange {
    /// The category's key, or `None`.
    pub category: String,
    /// Sentences that had it before.
    pub before: u64,
    /// Sentences that have it after.
    pub after: u64,
    /// Sentences that have it in both.
    pub both: u64,
    /// F1 against gold before, where there is gold.
    pub f1_before: Option<f64>,
    /// F1 against gold after.
    pub f1_after: Option<f64>,
}

/// A sentence that has another label in the other run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct LabelFlip {
    pub sentence: SentenceId,
    pub text: String,
    /// Its label in the one run.
    pub before: Label,
    /// Its label in the other.
    pub after: Label,
    /// Its gold, if settled.
    pub gold: Option<Label>,
}

/// Two runs compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct RunDiff {
    pub before: String,
    /// The other.
    pub after: String,
    /// What they are compared in: where one of them only says whether there is a category, both are compared in that.
    pub task: Task,
    /// Sentences that both labelled.
    pub sentences: u64,
    /// Share of them with the same label.
    pub agreement: Option<f64>,
    /// Cohen's kappa over whole labels; `None` where chance alone would agree.
    pub kappa: Option<f64>,
    /// Settings that differ: name, before, after.
    pub settings: Vec<(String, String, String)>,
    /// *None* first, then the categories; or `any`.
    pub categories: Vec<CategoryChange>,
    /// Sentences that flipped, in order.
    pub flips: Vec<LabelFlip>,
    /// Sentences that flipped and are not listed: whoever asks may not see these labels.
    pub withheld: usize,
}

/// Compares two runs that labelled real sentences.
pub(crate) fn diff(project: &Project, store: &Store, before: &Run, after: &Run) -> Result<RunDiff, WorkflowError> {
    for run in [before, after] {
        let (why, hint) = match run.kind {
            RunKind::Generate => ("wrote sentences", "`goldsmith bronze --run` shows it"),
            RunKind::Experiment => ("is a cell of an experiment", "`goldsmith experiment` compares them"),
            RunKind::Doubt => ("looked for label errors and labelled nothing", "`goldsmith doubt --last` shows it"),
            _ => continue,
        };
        let said = format!("run {} {why}", run.id);
        return Err(Refusal::new(RefusalKind::Unsupported { with: "kind of run" }, said).hint(hint).into());
    }
    let taxonomy = &project.taxonomy;
    let index = LabelIndex::read(project, store)?;
    // What only one of them says cannot be compared.
    let binary = [before, after].iter().any(|run| index.is_binary(&run.id));
    let task = if binary { Task::Binary } else { Task::MultiClass };
    let (one, other) = (index.labels(&before.id), index.labels(&after.id));
    let mut shared: Vec<(SentenceId, LabelSet, LabelSet)> =
        one.iter().filter_map(|(id, a)| Some((*id, task.predicted(*a)?, task.predicted(*other.get(id)?)?))).collect();
    shared.sort_unstable_by_key(|(id, ..)| *id);
    let none = Bootstrap { resamples: 0, ..project.file.bootstrap };
    let scored = [before, after].map(|run| score_in(task, project, &index, &run.id, none));
    let f1 = |at: usize, class: usize| {
        let report = &scored[at].as_ref()?.report;
        if class == 0 { report.none.f1.value } else { report.categories.get(class - 1)?.f1.value }
    };
    let mut classes = vec!["None"];
    match task {
        Task::Binary => classes.push(Label::ANY),
        Task::MultiClass => classes.extend(taxonomy.categories().iter().map(|category| category.key.as_str())),
    }
    let count = |of: &dyn Fn(LabelSet, LabelSet) -> bool| shared.iter().filter(|(_, a, b)| of(*a, *b)).count() as u64;
    let categories = classes.iter().enumerate().map(|(class, name)| CategoryChange {
        category: (*name).to_owned(),
        before: count(&|a, _| a.has_class(class)),
        after: count(&|_, b| b.has_class(class)),
        both: count(&|a, b| a.has_class(class) && b.has_class(class)),
        f1_before: f1(0, class),
        f1_after: f1(1, class),
    });
    let categories = categories.collect();
    let flipped: Vec<SentenceId> = shared.iter().filter(|(_, a, b)| a != b).map(|(id, ..)| *id).collect();
    let viewer = project.viewer(Face::Report);
    let mut told: Vec<(SentenceId, bool)> = Vec::new();
    for id in &flipped {
        let shown = viewer.shown(store.facts(*id, &project.annotator)?);
        if shown.machines {
            told.push((*id, shown.colleagues));
        }
    }
    let ids: Vec<SentenceId> = told.iter().map(|(id, _)| *id).collect();
    let label = |labels: &FxHashMap<SentenceId, Assigned>, id: &SentenceId| taxonomy.label_assigned(labels[id]);
    let flips = store.texts(&ids)?.into_iter().zip(&told).map(|(row, (id, with_gold))| LabelFlip {
        sentence: *id,
        text: row.text,
        before: label(&one, id),
        after: label(&other, id),
        gold: index.gold_of(*id).filter(|_| *with_gold).map(|gold| gold.label().clone()),
    });
    let agreed = shared.len() - flipped.len();
    Ok(RunDiff {
        before: before.id.to_string(),
        after: after.id.to_string(),
        task,
        sentences: shared.len() as u64,
        agreement: (!shared.is_empty()).then(|| agreed as f64 / shared.len() as f64),
        kappa: cohen_kappa_of_pairs(shared.iter().map(|(_, a, b)| (*a, *b))),
        settings: settings(before, after),
        categories,
        flips: flips.collect(),
        withheld: flipped.len() - told.len(),
    })
}

/// A run's configuration, as far as whoever asks may see it: a prompt with labelled sentences of experts tells their labels.
pub(crate) fn configuration(project: &Project, store: &Store, run: &Run) -> Result<serde_json::Value, WorkflowError> {
    let mut config: serde_json::Value = serde_json::from_str(&run.config).unwrap_or_default();
    if config["settings"]["few_shot"].as_u64().unwrap_or(0) > 0 {
        let index = LabelIndex::read(project, store)?;
        let hidden = |gold: &&Gold| !index.shown(project, Face::Report, gold.sentence()).colleagues;
        if index.gold().iter().any(hidden) {
            config["turns"] = "left out: it shows labels of experts that you may not see yet".into();
        }
    }
    Ok(config)
}

/// The settings of two configurations that differ, by their path; long ones are cut.
fn settings(before: &Run, after: &Run) -> Vec<(String, String, String)> {
    let parse = |run: &Run| serde_json::from_str::<serde_json::Value>(&run.config).unwrap_or_default();
    let mut found = Vec::new();
    compare(String::new(), &parse(before), &parse(after), &mut found);
    found
}

fn compare(path: String, a: &serde_json::Value, b: &serde_json::Value, found: &mut Vec<(String, String, String)>) {
    use serde_json::Value;
    if a == b {
        return;
    }
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let mut keys: Vec<&String> = x.keys().chain(y.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(at, x.get(key).unwrap_or(&Value::Null), y.get(key).unwrap_or(&Value::Null), found);
            }
        }
        _ => {
            let short = |value: &Value| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                if text.chars().count() > 80 {
                    format!("{}...", text.chars().take(77).collect::<String>())
                } else {
                    text
                }
            };
            found.push((path, short(a), short(b)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::label_index::tests::Study;

    /// Of the first four sentences, gold has a category in the first and the third.
    fn compared(first: (RunKind, [&str; 4]), second: (RunKind, [&str; 4])) -> (RunDiff, Study) {
        let mut study = Study::new();
        for (at, label) in ["coping_strategy", "", "requires_assistance", ""].into_iter().enumerate() {
            study.decide("ann", at, label);
        }
        let runs = [("1", first), ("2", second)].map(|(id, (kind, labels))| study.propose(id, kind, &labels));
        let [before, after] = runs.map(|run| study.store.run(&run).unwrap());
        (diff(&study.project, &study.store, &before, &after).unwrap(), study)
    }

    fn row(diff: &RunDiff, at: usize) -> (&str, [u64; 3], [Option<f64>; 2]) {
        let CategoryChange { category, before, after, both, f1_before, f1_after } = &diff.categories[at];
        (category, [*before, *after, *both], [*f1_before, *f1_after])
    }

    fn flips(diff: &RunDiff) -> Vec<(SentenceId, String)> {
        let gold = |flip: &LabelFlip| flip.gold.as_ref().map_or("?".into(), Label::join);
        let shown = |flip: &LabelFlip| format!("{}>{}:{}", flip.before.join(), flip.after.join(), gold(flip));
        diff.flips.iter().map(|flip| (flip.sentence, shown(flip))).collect()
    }

    #[test]
    fn two_binary_runs_are_compared_in_the_binary_task() {
        let (diff, study) =
            compared((RunKind::Screen, ["any", "", "", "any"]), (RunKind::Screen, ["any", "any", "any", ""]));
        assert_eq!((diff.task, diff.sentences, diff.agreement), (Task::Binary, 4, Some(0.25)));
        assert_eq!(diff.categories.len(), 2);
        assert_eq!(row(&diff, 0), ("None", [2, 1, 0], [Some(0.5), Some(2.0 / 3.0)]));
        assert_eq!(row(&diff, 1), ("any", [2, 3, 1], [Some(0.5), Some(0.8)]));
        let ids = &study.sentences;
        let expected = [(ids[1], ">any:"), (ids[2], ">any:requires_assistance"), (ids[3], "any>:")];
        assert_eq!(flips(&diff), expected.map(|(id, flip)| (id, flip.to_owned())));
    }

    /// That the one names categories is no difference; that it names one where the other says that there is none is.
    #[test]
    fn a_binary_run_and_one_that_names_categories_are_compared_in_what_both_say() {
        let silver = ["requires_assistance", "", "coping_strategy", "coping_strategy"];
        let (diff, study) = compared((RunKind::Label, silver), (RunKind::Screen, ["any", "", "any", ""]));
        assert_eq!((diff.task, diff.agreement, diff.kappa), (Task::Binary, Some(0.75), Some(0.5)));
        assert_eq!(row(&diff, 1), ("any", [3, 2, 2], [Some(0.8), Some(1.0)]));
        assert_eq!(flips(&diff), [(study.sentences[3], "coping_strategy>:".to_owned())]);
    }

    #[test]
    fn runs_that_name_categories_are_compared_in_these() {
        let (diff, _) = compared(
            (RunKind::Label, ["coping_strategy", "", "", ""]),
            (RunKind::Label, ["requires_assistance", "", "requires_assistance", ""]),
        );
        assert_eq!((diff.task, diff.agreement), (Task::MultiClass, Some(0.5)));
        let changed: Vec<_> = (0..diff.categories.len()).map(|at| row(&diff, at)).filter(|r| r.1 != [0; 3]).collect();
        assert_eq!(
            changed,
            [
                ("None", [3, 2, 2], [Some(0.8), Some(1.0)]),
                ("requires_assistance", [0, 2, 0], [Some(0.0), Some(2.0 / 3.0)]),
                ("coping_strategy", [1, 0, 0], [Some(1.0), Some(0.0)]),
            ]
        );
    }
}
