//! The grid of an experiment with everything that its cells need: labels, texts, learners, and each cell's configuration,
//! under which it is stored and found again.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{CellResult, ExperimentOptions, SEEDS};
use crate::classifier::{Example, Trainer};
use crate::domain::corpus::{PatientKey, SentenceId};
use crate::domain::experiment::{
    Cell, ExperimentPlan, ExperimentSubject, FinishedCell, Task, TrainingSetSpec, TrainingSize, share_of,
};
use crate::domain::gold::Gold;
use crate::domain::label::{Label, Outcome, Run, RunId, RunKind};
use crate::domain::label_set::{Assigned, LabelSet};
use crate::domain::metrics::{LabelPair, TestSentence, pairs, report};
use crate::domain::split::{Split, TestSet, Tier, TrainSet, leaks};
use crate::domain::statistics::{Bootstrap, LEVEL, least_p};
use crate::domain::taxonomy::Selection;
use crate::formats::project::training::TrainSettings;
use crate::store::Store;
use crate::workflow::label_index::LabelIndex;
use crate::workflow::project::Project;
use crate::workflow::refusal::{Refusal, RefusalKind};
use crate::workflow::train::{self, LabelledSentences, NONE, data_hash, examples, held_out_examples};
use crate::workflow::{WorkflowError, new_run_id, now};

/// Fewer test patients than this say little of others.
const FEW_PATIENTS: usize = 20;
/// Fewer test sentences of a category than this say little of it.
const FEW_SENTENCES: usize = 10;
/// Words that a sentence must have for its near-duplicate to count as a leak.
const LEAK_WORDS: usize = 8;

/// See the module.
pub(super) struct ExperimentGrid<'a> {
    project: &'a Project,
    pub subject: ExperimentSubject,
    /// Each cell's configuration, in the order of the subject's cells.
    configs: Vec<String>,
    learners: BTreeMap<String, (Trainer, TrainSettings)>,
    labels: LabelledSentences,
    validation: TestSet,
    test: TestSet,
    /// Texts of everything that is trained on or held out.
    texts: FxHashMap<SentenceId, String>,
}

/// What one cell trains and stops on.
pub(super) struct CellData<'a> {
    pub train: Vec<Example<'a>>,
    pub validation: Vec<Example<'a>>,
    /// How many rows of each tier.
    pub rows: TrainingSize,
}

impl<'a> ExperimentGrid<'a> {
    /// Reads what there is, plans the cells, and looks for leaks.
    pub(crate) fn plan(
        project: &'a Project,
        store: &Store,
        options: &ExperimentOptions,
    ) -> Result<Self, WorkflowError> {
        let index = LabelIndex::read(project, store)?;
        let tiers: BTreeSet<Tier> = options.sets.iter().flat_map(|set| set.tiers()).copied().collect();
        let tiers: Vec<Tier> = tiers.into_iter().collect();
        let labels = LabelledSentences::read(project, store, &index, &tiers)?;
        let (validation, test) = (labels.held_out(Split::Validation), labels.held_out(Split::Test));
        if test.gold().is_empty() {
            let said = "no gold of test patients yet, so there is nothing to test on";
            return Err(Refusal::too_early("gold of test patients", said).hint("decide more sentences").into());
        }
        let all = labels.train_set(&[Tier::Gold, Tier::Silver, Tier::Bronze], |_| true);
        let mut ids: Vec<SentenceId> = all.rows().iter().map(|row| row.sentence).collect();
        ids.extend(validation.gold().iter().chain(test.gold()).map(Gold::sentence));
        let texts = ids.iter().copied().zip(labels.texts(store, &ids)?).collect();
        let mut learners = BTreeMap::new();
        for entrant in &options.entrants {
            let learner = train::learner(project, &entrant.settings)?;
            learners.insert(entrant.name.clone(), (learner, entrant.settings.clone()));
        }
        let plan = ExperimentPlan {
            models: options.entrants.iter().map(|entrant| entrant.name.clone()).collect(),
            tasks: options.tasks.clone(),
            sets: options.sets.clone(),
            seeds: options.seeds.clone(),
            shares: options.shares.clone(),
        };
        let taxonomy = &project.taxonomy;
        let subject = ExperimentSubject {
            id: String::new(),
            project: project.file.name.clone(),
            taxonomy: taxonomy.name().to_owned(),
            categories: taxonomy.categories().iter().map(|c| (c.key.to_string(), c.name.clone())).collect(),
            single: taxonomy.selection() == Selection::Single,
            tested: test.sentences(),
            validation: validation.gold().len(),
            cells: plan.cells(),
            warnings: Vec::new(),
        };
        let mut grid = Self { project, subject, configs: Vec::new(), learners, labels, validation, test, texts };
        grid.refuse_shared_patients(&all)?;
        grid.subject.warnings = grid.warnings(options, &all);
        grid.configs = grid.configurations();
        let mut hasher = Sha256::new();
        grid.configs.iter().for_each(|config| hasher.update(config.as_bytes()));
        grid.subject.id = hex::encode(&hasher.finalize()[..4]);
        Ok(grid)
    }

    /// By construction no patient both trains and is held out; a grid in which one does is not run at all.
    fn refuse_shared_patients(&self, all: &TrainSet) -> Result<(), WorkflowError> {
        let held: BTreeSet<&PatientKey> =
            self.validation.gold().iter().chain(self.test.gold()).map(Gold::patient).collect();
        let gold = self.labels.gold.iter().map(|gold| (gold.sentence(), gold.patient()));
        let silver = self.labels.silver.iter().map(|silver| (silver.sentence(), silver.patient()));
        let whose: FxHashMap<SentenceId, &PatientKey> = gold.chain(silver).collect();
        let shared: BTreeSet<&str> = all
            .rows()
            .iter()
            .filter_map(|row| whose.get(&row.sentence).filter(|patient| held.contains(*patient)))
            .map(|patient| patient.0.as_str())
            .collect();
        if shared.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = shared.into_iter().collect();
        let said = format!("patients are in both training and test: {}", names.join(", "));
        Err(Refusal::new(RefusalKind::Protected, said).into())
    }

    /// What must be known before the numbers are read.
    fn warnings(&self, options: &ExperimentOptions, all: &TrainSet) -> Vec<String> {
        let mut warnings = Vec::new();
        let has = |tier| options.sets.iter().any(|set| set.has(tier));
        for tier in [Tier::Gold, Tier::Silver, Tier::Bronze].into_iter().filter(|tier| has(*tier)) {
            if all.count(tier) == 0 {
                warnings
                    .push(format!("there is no {tier} of training patients, so the sets with it are those without"));
            }
            let rows = all.rows().iter().filter(|row| row.tier == tier);
            let trained = rows.map(|row| (row.sentence, row.tier, self.text(row.sentence)));
            let found = leaks(trained, self.tested().map(|id| (id, self.text(id))), LEAK_WORDS).len();
            if found > 0 {
                let are = if found == 1 { "test sentence stands" } else { "test sentences stand" };
                warnings.push(format!("{found} {are} nearly word for word in the {tier} that is trained on"));
            }
        }
        if !options.sets.contains(&TrainingSetSpec::gold()) {
            warnings.push("gold alone is not in the grid, so there is nothing to compare with".into());
        }
        let patients = self.test.patient_count();
        if patients < FEW_PATIENTS {
            warnings.push(format!(
                "intervals and p from {patients} test patients are rough; {FEW_PATIENTS} or more say more"
            ));
        }
        let classes = self.subject.categories.len() + 1;
        if least_p(patients) * classes as f64 >= LEVEL {
            warnings.push(format!(
                "{patients} test patients are too few to call a difference of one of {classes} classes more than chance: p cannot be less than {:.3}, or {:.2} after Holm",
                least_p(patients),
                (least_p(patients) * classes as f64).min(1.0)
            ));
        }
        if options.seeds.len() < SEEDS {
            warnings.push(format!("{} seeds say little of chance in training; take {SEEDS}", options.seeds.len()));
        }
        let few: Vec<&str> = self
            .subject
            .categories
            .iter()
            .enumerate()
            .filter(|(at, _)| self.subject.tested.iter().filter(|t| t.gold.contains(*at)).count() < FEW_SENTENCES)
            .map(|(_, (_, name))| name.as_str())
            .collect();
        if !few.is_empty() {
            warnings.push(format!("fewer than {FEW_SENTENCES} test sentences have {}", few.join(", ")));
        }
        warnings
    }

    /// Everything that a cell's predictions depend on, as JSON text.
    fn configurations(&self) -> Vec<String> {
        let mut hasher = Sha256::new();
        for id in self.tested() {
            hasher.update(id.0.to_le_bytes());
            hasher.update(self.text(id).as_bytes());
        }
        let test = hex::encode(hasher.finalize());
        // With all of the gold the data is the same for every seed.
        let mut hashes: BTreeMap<(&str, Task, &TrainingSetSpec, u32, u64), String> = BTreeMap::new();
        let of = |cell: &'_ Cell| {
            let data = self.data(cell);
            data_hash(&data.train, &data.validation)
        };
        let cells = self.subject.cells.iter();
        cells
            .map(|cell| {
                let key = (
                    cell.model.as_str(),
                    cell.task,
                    &cell.set,
                    cell.share,
                    if cell.share < 100 { cell.seed } else { 0 },
                );
                let data = hashes.entry(key).or_insert_with(|| of(cell));
                let learner = self.learners.get(&cell.model);
                let settings = learner.map(|(_, settings)| TrainSettings {
                    tiers: cell.set.tiers().to_vec(),
                    seed: cell.seed,
                    // Its fingerprint stands for it; n-grams have none.
                    encoder: String::new(),
                    ..settings.clone()
                });
                json!({
                    "cell": cell, "settings": settings, "recipe": learner.map(|(learner, _)| learner.recipe()),
                    "split": self.project.file.split, "gold": self.project.file.gold_rule(),
                    "encoder": learner.and_then(|(learner, _)| learner.encoder()).map(|encoder| encoder.fingerprint()),
                    "taxonomy": self.project.taxonomy.hash(), "data": data, "test": test,
                })
                .to_string()
            })
            .collect()
    }

    fn text(&self, id: SentenceId) -> &str {
        self.texts.get(&id).map_or("", String::as_str)
    }

    /// The test sentences, in order.
    pub(crate) fn tested(&self) -> impl Iterator<Item = SentenceId> {
        self.test.gold().iter().map(Gold::sentence)
    }

    /// Their texts.
    pub(crate) fn test_texts(&self) -> Vec<&str> {
        self.tested().map(|id| self.text(id)).collect()
    }

    /// The outputs of a task's models.
    pub(crate) fn outputs(&self, task: Task) -> (Vec<String>, Selection) {
        match task {
            Task::Binary => (vec![NONE.to_owned(), Label::ANY.to_owned()], Selection::Single),
            Task::MultiClass => train::outputs(&self.project.taxonomy),
        }
    }

    /// What a cell trains and stops on.
    pub(crate) fn data(&self, cell: &Cell) -> CellData<'_> {
        let kept = (cell.share < 100).then(|| {
            let split = &self.project.file.split;
            let trains = self.labels.gold.iter().filter(|gold| split.split(gold.patient()) == Split::Train);
            share_of(&trains.map(Gold::sentence).collect::<Vec<_>>(), cell.share, cell.seed)
        });
        let kept = |gold: &Gold| kept.as_ref().is_none_or(|kept| kept.contains(&gold.sentence()));
        let set = self.labels.train_set(cell.set.tiers(), kept);
        let positions = |label: &Label| match cell.task {
            Task::Binary => vec![usize::from(!label.is_none())],
            Task::MultiClass => train::positions(&self.project.taxonomy, label),
        };
        let texts = set.rows().iter().map(|row| self.text(row.sentence));
        let held = self.validation.gold().iter().map(|gold| self.text(gold.sentence()));
        let count = |tier| set.count(tier);
        CellData {
            train: examples(set.rows(), texts, positions, self.settings(cell)),
            validation: held_out_examples(&self.validation, held, positions),
            rows: TrainingSize {
                gold: count(Tier::Gold),
                silver: count(Tier::Silver),
                bronze: count(Tier::Bronze),
                ..TrainingSize::default()
            },
        }
    }

    /// How a cell's model trains.
    fn settings(&self, cell: &Cell) -> &TrainSettings {
        self.learners.get(&cell.model).map_or(&self.project.file.train, |(_, settings)| settings)
    }

    /// Everything that trains, each once.
    pub(crate) fn learners(&self) -> impl Iterator<Item = &Trainer> {
        self.learners.values().map(|(learner, _)| learner)
    }

    /// Every text that a cell may read.
    pub(crate) fn all_texts(&self) -> Vec<&str> {
        self.texts.values().map(String::as_str).collect()
    }

    /// What trains a cell.
    pub(crate) fn learner(&self, cell: &Cell) -> Result<&Trainer, WorkflowError> {
        let found = self.learners.get(&cell.model).map(|(learner, _)| learner);
        found.ok_or_else(|| {
            let said = format!("there is no model `{}` in this experiment", cell.model);
            Refusal::not_found("model", &cell.model, said).into()
        })
    }

    /// A cell's label as its task sees it. A cell's model has outputs of this taxonomy alone.
    fn set(&self, task: Task, label: &Label) -> LabelSet {
        let assigned = self.project.taxonomy.assigned(label);
        let set = match task {
            Task::Binary => assigned.map(Assigned::binary),
            Task::MultiClass => assigned.and_then(Assigned::categories),
        };
        set.unwrap_or_default()
    }

    /// The run that a cell is stored as, with its predictions; and the cell as the report takes it.
    pub(crate) fn run(&self, at: usize, fitted: CellResult) -> (Run, Vec<(SentenceId, Label)>, FinishedCell) {
        let cell = self.subject.cells[at].clone();
        let predicted: Vec<LabelSet> = fitted.labels.iter().map(|label| self.set(cell.task, label)).collect();
        let (accuracy, macro_f1) = self.scores(cell.task, &predicted);
        let run = Run {
            id: new_run_id(),
            kind: RunKind::Experiment,
            model: self.learners.get(&cell.model).map_or_else(|| cell.model.clone(), |(learner, _)| learner.name()),
            config: self.configs[at].clone(),
            taxonomy: self.project.taxonomy.hash(),
            started: fitted.started,
            finished: Some(now()),
            outcome: Outcome::Finished,
            scores: json!({ "trained": fitted.trained, "accuracy": accuracy, "macro_f1": macro_f1 }).to_string(),
        };
        let done = FinishedCell { cell, run: run.id.clone(), trained: fitted.trained, predicted };
        (run, self.tested().zip(fitted.labels).collect(), done)
    }

    /// Accuracy and macro-F1, for lists of runs.
    fn scores(&self, task: Task, predicted: &[LabelSet]) -> (Option<f64>, Option<f64>) {
        let binary = task == Task::Binary;
        let tested: Vec<TestSentence> = self.subject.tested.iter().map(|tested| task.sees(*tested)).collect();
        let pairs: Vec<LabelPair> = pairs(&tested, predicted.iter().copied()).collect();
        let categories = if binary { 1 } else { self.subject.categories.len() };
        let report = report(&pairs, categories, binary || self.subject.single, Bootstrap { resamples: 0, seed: 0 });
        (report.accuracy.value, report.averages.macro_.f1.value)
    }

    /// The cells that were trained before on the same data with the same configuration.
    pub(crate) fn done(&self, store: &Store) -> Result<Vec<FinishedCell>, WorkflowError> {
        let mut runs: FxHashMap<String, Run> = FxHashMap::default();
        for run in store.runs()?.into_iter().filter(|run| run.kind == RunKind::Experiment) {
            runs.entry(run.config.clone()).or_insert(run);
        }
        let mut done = Vec::new();
        for (cell, config) in self.subject.cells.iter().zip(&self.configs) {
            let Some(run) = runs.get(config).filter(|run| run.outcome == Outcome::Finished) else {
                continue;
            };
            let labels: FxHashMap<SentenceId, Label> = store.predictions(&run.id)?.into_iter().collect();
            let predicted: Option<Vec<LabelSet>> =
                self.tested().map(|id| Some(self.set(cell.task, labels.get(&id)?))).collect();
            let scores: serde_json::Value = serde_json::from_str(&run.scores).unwrap_or_default();
            let trained = serde_json::from_value(scores["trained"].clone()).unwrap_or_default();
            done.extend(predicted.map(|predicted| FinishedCell {
                cell: cell.clone(),
                run: RunId(run.id.0.clone()),
                trained,
                predicted,
            }));
        }
        Ok(done)
    }
}
