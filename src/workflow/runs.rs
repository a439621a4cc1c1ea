//! Runs: beginning, going on and ending one of a language model; and two side by side: what two of them agree on, what each category gained or lost, and the sentences that flipped.

use serde::Serialize;

use super::dispatch::JobEnd;
use super::metrics::Board;
use super::project::Project;
use super::{WorkflowError, diagnostics, new_run_id, now};
use crate::domain::corpus::SentenceId;
use crate::domain::label::{Label, Outcome, Run, RunKind};
use crate::domain::statistics::Bootstrap;
use crate::domain::statistics::agreement::cohen_kappa_of_pairs;
use crate::domain::taxonomy::Taxonomy;
use crate::domain::visibility::Face;
use crate::store::Store;
use crate::workflow::refusal::{Refusal, RefusalKind};

/// Finds a run by its id, or by the beginning or the end of it.
pub fn find(store: &Store, word: &str) -> Result<Run, WorkflowError> {
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
    Ok(store.close_departures(&run.id)?)
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
pub struct Change {
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
pub struct Flip {
    /// The sentence.
    pub sentence: SentenceId,
    /// Its text.
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
pub struct Diff {
    /// The one.
    pub before: String,
    /// The other.
    pub after: String,
    /// Sentences that both labelled.
    pub sentences: u64,
    /// Share of them with the same label.
    pub agreement: Option<f64>,
    /// Cohen's kappa over whole labels; `None` where chance alone would agree.
    pub kappa: Option<f64>,
    /// Settings that differ: name, before, after.
    pub settings: Vec<(String, String, String)>,
    /// *None* first, then the categories.
    pub categories: Vec<Change>,
    /// Sentences that flipped, in order.
    pub flips: Vec<Flip>,
    /// Sentences that flipped and are not listed: whoever asks may not see these labels.
    pub withheld: usize,
}

/// Compares two runs that labelled real sentences.
pub fn diff(project: &Project, store: &Store, before: &Run, after: &Run) -> Result<Diff, WorkflowError> {
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
    let mut board = Board::default();
    board.refresh(project, store)?;
    let (one, other) = (board.labels(&before.id), board.labels(&after.id));
    let mut shared: Vec<(SentenceId, u64, u64)> =
        one.iter().filter_map(|(id, a)| Some((*id, *a, *other.get(id)?))).collect();
    shared.sort_unstable_by_key(|(id, ..)| *id);
    let label = |bits: u64| board.label_of(taxonomy, bits);
    let none = Bootstrap { resamples: 0, ..project.file.bootstrap };
    let scored = [before, after].map(|run| board.score(project, &run.id, none));
    let f1 = |at: usize, row: usize| {
        let report = &scored[at].as_ref()?.report;
        if row == 0 { report.none.f1.value } else { report.categories.get(row - 1)?.f1.value }
    };
    let mut categories = Vec::new();
    for row in 0..=taxonomy.categories().len() {
        let has = |bits: u64| if row == 0 { bits == 0 } else { bits >> (row - 1) & 1 == 1 };
        let count = |of: &dyn Fn(u64, u64) -> bool| shared.iter().filter(|(_, a, b)| of(*a, *b)).count() as u64;
        categories.push(Change {
            category: match row {
                0 => "None".into(),
                row => taxonomy.categories()[row - 1].key.to_string(),
            },
            before: count(&|a, _| has(a)),
            after: count(&|_, b| has(b)),
            both: count(&|a, b| has(a) && has(b)),
            f1_before: f1(0, row),
            f1_after: f1(1, row),
        });
    }
    let flipped: Vec<(SentenceId, u64, u64)> = shared.iter().copied().filter(|(_, a, b)| a != b).collect();
    let viewer = project.viewer(Face::Report);
    let mut told: Vec<(SentenceId, u64, u64, bool)> = Vec::new();
    for (id, a, b) in &flipped {
        let shown = viewer.shown(store.facts(*id, &project.annotator)?);
        if shown.machines {
            told.push((*id, *a, *b, shown.colleagues));
        }
    }
    let ids: Vec<SentenceId> = told.iter().map(|(id, ..)| *id).collect();
    let gold: rustc_hash::FxHashMap<SentenceId, Label> =
        board.gold(project).into_iter().map(|gold| (gold.sentence(), gold.label().clone())).collect();
    let flips = store.texts(&ids)?.into_iter().zip(&told).map(|(row, (id, a, b, with_gold))| Flip {
        sentence: *id,
        text: row.text,
        before: label(*a),
        after: label(*b),
        gold: gold.get(id).filter(|_| *with_gold).cloned(),
    });
    let agreed = shared.len() - flipped.len();
    Ok(Diff {
        before: before.id.to_string(),
        after: after.id.to_string(),
        sentences: shared.len() as u64,
        agreement: (!shared.is_empty()).then(|| agreed as f64 / shared.len() as f64),
        kappa: cohen_kappa_of_pairs(shared.iter().map(|(_, a, b)| (*a, *b))),
        settings: settings(before, after),
        categories,
        flips: flips.collect(),
        withheld: flipped.len() - told.len(),
    })
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
