//! The experiment's promises on a small project: it goes on where it stopped, threads change nothing, test patients never
//! train, and Review never meets it.

use std::collections::BTreeSet;

use super::*;
use crate::domain::category::CategoryKey;
use crate::domain::corpus::{NewDocument, Origin, PatientKey, SentenceId};
use crate::domain::label::{Decision, Judgement, NewProposal, Run, RunKind, Source};
use crate::domain::split::{Split, Tier};
use crate::factory;
use crate::factory::note;
use crate::store::NewBronze;
use crate::workflow::label_index::LabelIndex;
use crate::workflow::session::Session;
use crate::workflow::{new_entry_id, project};

struct Study {
    _folder: tempfile::TempDir,
    project: Project,
    store: Store,
}

/// 40 patients with 6 sentences, of which every third is of the first category and every other third of the second; the last
/// sentence of each note has silver alone. `bronze` are sentences written for the second category.
fn study(bronze: &[&str]) -> Study {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("study");
    project::init(&root, "ad-signs").unwrap();
    let mut project = Project::read(&root, Some("ann")).unwrap();
    project.file.bootstrap.resamples = 200;
    project.file.train.epochs = Some(3);
    let mut store = project.store().unwrap();
    let words = ["walks to the shop", "forgets every name", "is tearful and afraid"];
    let notes: Vec<NewDocument> = (0..40)
        .map(|p| {
            let sentences: Vec<String> =
                (0..6).map(|s| format!("Patient {p} {} on visit {s} of the year.", words[(p + s) % 3])).collect();
            note(&format!("p{p:02}"), &format!("p{p:02}"), &sentences)
        })
        .collect();
    store.insert_documents(&notes, Origin::Real, &project.file.split).unwrap();
    let taxonomy = &project.taxonomy;
    let key = |at: usize| taxonomy.categories()[at].key.clone();
    let label = |at: usize| if at == 0 { Label::none() } else { Label::of(key(at - 1)) };
    let (mut gold, mut silver) = (Vec::new(), Vec::new());
    for p in 0..40usize {
        for s in 0..6usize {
            let sentence = SentenceId((p * 6 + s) as i64 + 1);
            match s {
                5 => silver.push(NewProposal::bare(sentence, label((p + s) % 3))),
                _ => gold.push(decide(sentence, label((p + s) % 3))),
            }
        }
    }
    store.append_decisions(&gold).unwrap();
    let run = |id: &str, kind| Run {
        model: "llm".into(),
        config: id.into(),
        taxonomy: taxonomy.hash(),
        started: Timestamp(1),
        finished: Some(Timestamp(2)),
        ..factory::run(id, kind)
    };
    store.put_run(&run("silver", RunKind::Label)).unwrap();
    store.propose(&RunId("silver".into()), Source::Llm, &silver).unwrap();
    store.put_run(&run("bronze", RunKind::Generate)).unwrap();
    let rows: Vec<NewBronze> = bronze
        .iter()
        .enumerate()
        .map(|(i, text)| NewBronze {
            document: note(&format!("synthetic/{i}"), &format!("synthetic/{i}"), &[text]),
            target: label(2),
            brief: String::new(),
            verdicts: Vec::new(),
        })
        .collect();
    store.add_bronze(&RunId("bronze".into()), &rows, &project.file.split).unwrap();
    Study { _folder: folder, project, store }
}

fn decide(sentence: SentenceId, label: Label) -> Decision {
    Decision {
        id: new_entry_id(),
        at: now(),
        judgement: Judgement { label: Some(label), ..Judgement::default() },
        taxonomy: String::new(),
        ..factory::decision("ann", sentence)
    }
}

const BRONZE: [&str; 2] = ["He sat tearful and afraid in the hall.", "She was afraid of the night and tearful."];

fn options(study: &Study, jobs: usize) -> ExperimentOptions {
    ExperimentOptions { shares: vec![50], jobs: Some(jobs), ..ExperimentOptions::grid(&study.project, &[], 2) }
}

fn cells_of(
    study: &mut Study,
    options: &ExperimentOptions,
    cancel: &Cancel,
    stop_after: usize,
) -> (Vec<Cell>, ExperimentResult) {
    let mut trained = Vec::new();
    let finished = experiment(
        Session::new(&study.project, &mut study.store, cancel, &mut |event| {
            if let ExperimentEvent::Cell { cell, report, .. } = event {
                trained.push(cell);
                assert!(report.finished >= trained.len());
                if trained.len() == stop_after {
                    cancel.cancel();
                }
            }
        }),
        options,
    )
    .unwrap();
    (trained, finished)
}

fn all_cells(study: &mut Study, options: &ExperimentOptions) -> (Vec<Cell>, ExperimentResult) {
    cells_of(study, options, &Cancel::default(), usize::MAX)
}

/// All numbers, without the run ids and seconds, which are another time's.
fn table(report: &ExperimentReport) -> ExperimentReport {
    let mut report = report.clone();
    let nothing = || RunId(String::new());
    for set in report.grids.iter_mut().flat_map(|grid| &mut grid.sets) {
        set.runs.iter_mut().for_each(|run| *run = nothing());
        set.trained.iter_mut().for_each(|trained| trained.seconds = 0.0);
    }
    for point in report.curves.iter_mut().flat_map(|curve| &mut curve.points) {
        point.runs.iter_mut().for_each(|run| *run = nothing());
    }
    for cell in &mut report.cells {
        cell.run = nothing();
        cell.trained.seconds = 0.0;
    }
    report
}

#[test]
fn a_stopped_experiment_goes_on_and_trains_no_cell_twice() {
    let mut study = study(&BRONZE);
    let options = options(&study, 1);
    let (first, stopped) = cells_of(&mut study, &options, &Cancel::default(), 3);
    // The next cell may have ended while this one was heard of.
    assert!((3..32).contains(&first.len()) && stopped.stopped);
    assert_eq!((stopped.report.finished, stopped.report.planned), (first.len(), 32));
    assert_eq!(partial(&study.project, &study.store, &options).unwrap(), stopped.report);
    let (rest, finished) = all_cells(&mut study, &options);
    assert_eq!((rest.len(), finished.stopped, finished.report.finished), (32 - first.len(), false, 32));
    assert!(rest.iter().all(|cell| !first.contains(cell)));
    for cell in &stopped.report.cells {
        assert!(finished.report.cells.contains(cell), "{} has its run and its numbers still", cell.cell);
    }
    study.project.file.train.encoder = "elsewhere".into();
    let options =
        ExperimentOptions { shares: vec![50], jobs: Some(1), ..ExperimentOptions::grid(&study.project, &[], 2) };
    let (again, same) = all_cells(&mut study, &options);
    assert!(again.is_empty(), "n-grams know no encoder");
    assert_eq!(same, finished);
}

#[test]
fn threads_change_nothing_and_seeds_something() {
    let (mut one, mut three) = (study(&BRONZE), study(&BRONZE));
    let (one_by_one, three_at_once) = (options(&one, 1), options(&three, 3));
    let (_, alone) = all_cells(&mut one, &one_by_one);
    let (_, together) = all_cells(&mut three, &three_at_once);
    assert_eq!(table(&alone.report), table(&together.report));
    let gold = &alone.report.grids[0].sets[0];
    assert_eq!((gold.seeds.as_slice(), gold.runs.len()), ([1, 2].as_slice(), 2));
    let run = study_run(&one, &gold.runs[1]);
    assert!(run.config.contains("\"seed\":2") && run.scores.contains("macro_f1"), "{run:?}");
    assert_eq!(one.store.predictions(&run.id).unwrap().len(), alone.report.sentences);
}

fn study_run(study: &Study, id: &RunId) -> Run {
    study.store.run(id).unwrap()
}

#[test]
fn no_sentence_of_a_test_or_validation_patient_ever_trains() {
    let study = study(&BRONZE);
    let grid = ExperimentGrid::plan(&study.project, &study.store, &options(&study, 1)).unwrap();
    let held = |part| -> BTreeSet<String> {
        (0..40)
            .filter(|p| study.project.file.split.split(&PatientKey(format!("p{p:02}"))) == part)
            .map(|p| format!("Patient {p} "))
            .collect()
    };
    let (test, validation) = (held(Split::Test), held(Split::Validation));
    assert!(test.len() > 2 && validation.len() > 2);
    let tested = grid.test_texts();
    assert!(tested.iter().all(|text| test.iter().any(|patient| text.starts_with(patient))));
    for cell in &grid.subject.cells {
        let data = grid.data(cell);
        let of = |text: &str, patients: &BTreeSet<String>| patients.iter().any(|p| text.starts_with(p));
        assert!(data.train.iter().all(|row| !of(row.text, &test) && !of(row.text, &validation)), "{cell}");
        assert!(data.validation.iter().all(|row| of(row.text, &validation)));
        assert_eq!(data.train.len(), data.rows.rows());
        assert_eq!(data.rows.bronze, if cell.set.has(Tier::Bronze) { 2 } else { 0 });
        assert!(cell.set.has(Tier::Silver) == (data.rows.silver > 0));
    }
}

#[test]
fn cells_propose_nothing() {
    let mut study = study(&BRONZE);
    let options = ExperimentOptions { tasks: vec![Task::MultiClass], shares: Vec::new(), ..options(&study, 2) };
    let (trained, finished) = all_cells(&mut study, &options);
    assert_eq!((trained.len(), finished.report.finished), (8, 8));
    let mut index = LabelIndex::default();
    index.refresh(&study.project, &study.store).unwrap();
    assert_eq!(index.latest(Source::Classifier), None);
    assert_eq!(index.latest(Source::Llm), Some(&RunId("silver".into())));
    assert!(crate::workflow::train::latest_model(&study.project, &study.store, None).is_err());
}

#[test]
fn a_decision_in_training_trains_anew_and_one_in_the_test_scores_anew() {
    let mut study = study(&BRONZE);
    let options = ExperimentOptions { sets: vec![TrainingSetSpec::gold()], shares: Vec::new(), ..options(&study, 2) };
    let (_, before) = all_cells(&mut study, &options);
    let in_part = |part| (0..40).find(|p| study.project.file.split.split(&PatientKey(format!("p{p:02}"))) == part);
    let sentence = |p: Option<usize>| SentenceId(p.unwrap() as i64 * 6 + 1);
    let (tested, trained) = (sentence(in_part(Split::Test)), sentence(in_part(Split::Train)));
    let key: CategoryKey = study.project.taxonomy.categories()[4].key.clone();
    study.store.append_decisions(&[decide(tested, Label::of(key.clone()))]).unwrap();
    let (cells, after) = all_cells(&mut study, &options);
    assert!(cells.is_empty(), "the same predictions");
    assert_ne!(after.report.grids[1].sets[0].accuracy, before.report.grids[1].sets[0].accuracy);
    study.store.append_decisions(&[decide(trained, Label::of(key))]).unwrap();
    let (cells, _) = all_cells(&mut study, &options);
    assert!(cells.len() == 2 && cells.iter().all(|cell| cell.task == Task::MultiClass), "any category is as before");
}

#[test]
fn near_duplicates_and_small_tests_are_warned_of_first() {
    let test = {
        let study = study(&[]);
        let grid = ExperimentGrid::plan(&study.project, &study.store, &options(&study, 1)).unwrap();
        grid.test_texts()[0].to_owned()
    };
    let study = study(&[&test.to_uppercase()]);
    let report = partial(&study.project, &study.store, &options(&study, 1)).unwrap();
    let warned = |text: &str| report.warnings.iter().any(|warning| warning.contains(text));
    assert!(warned("nearly word for word in the bronze that is trained on"), "{:?}", report.warnings);
    assert!(warned("test patients are rough") && warned("2 seeds say little"), "{:?}", report.warnings);
    let none = ExperimentOptions { sets: vec!["silver".parse().unwrap()], ..options(&study, 1) };
    let report = partial(&study.project, &study.store, &none).unwrap();
    assert!(report.warnings.iter().any(|w| w.contains("nothing to compare with")), "{:?}", report.warnings);
}

#[test]
fn what_cannot_be_trained_is_said_and_the_rest_goes_on() {
    let mut study = study(&["She was afraid of the night and tearful."]);
    let sets = vec![TrainingSetSpec::gold(), "bronze".parse().unwrap()];
    let options = ExperimentOptions { sets, tasks: vec![Task::MultiClass], shares: Vec::new(), ..options(&study, 2) };
    let (_, finished) = all_cells(&mut study, &options);
    assert_eq!((finished.report.finished, finished.report.planned), (2, 4));
    let said = finished.report.warnings.iter().filter(|w| w.contains("could not be trained")).count();
    assert_eq!(said, 2, "{:?}", finished.report.warnings);
    let only = ExperimentOptions { sets: vec!["bronze".parse().unwrap()], ..options };
    let error =
        experiment(Session::new(&study.project, &mut study.store, &Cancel::default(), &mut |_| {}), &only).unwrap_err();
    assert!(error.to_string().contains("a classifier needs two kinds"), "{error}");
}
