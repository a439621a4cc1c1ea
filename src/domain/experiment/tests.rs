//! Grids fill, sets are judged against gold alone, and undefined stays undefined.

use super::*;
use crate::domain::comparison::ComparisonVerdict;
use crate::domain::corpus::SentenceId;
use crate::domain::sight::Blindness;
use crate::domain::statistics::Bootstrap;

fn plan() -> ExperimentPlan {
    ExperimentPlan {
        models: vec!["ngram".into()],
        tasks: Task::ALL.into(),
        sets: TrainingSetSpec::grid(),
        seeds: vec![1, 2],
        shares: vec![50, 100],
    }
}

fn mix(text: &str) -> TrainingSetSpec {
    text.parse().unwrap()
}

#[test]
fn sets_are_written_as_tiers_with_plus() {
    assert_eq!(mix("bronze+gold").to_string(), "gold+bronze");
    let short: Vec<String> = TrainingSetSpec::grid().iter().map(TrainingSetSpec::short).collect();
    assert_eq!(short, ["gold", "+silver", "+bronze", "+both"]);
    assert_eq!(mix("silver+bronze").short(), "silver+bronze");
    let error = "gold+iron".parse::<TrainingSetSpec>().unwrap_err();
    assert!(error.contains("`gold+iron` is no training set; write tiers with +"), "{error}");
}

#[test]
fn a_plan_has_the_whole_table_of_a_seed_before_the_next_and_no_cell_twice() {
    let cells = plan().cells();
    assert_eq!(cells.len(), 2 * 2 * 4 * 2);
    assert!(cells[..8].iter().all(|cell| cell.seed == 1 && cell.share == 100));
    assert!(cells[16..].iter().all(|cell| cell.share == 50));
    let silver = ExperimentPlan { sets: vec![mix("silver")], ..plan() };
    assert!(silver.cells().iter().all(|cell| cell.share == 100), "there is no share of no gold");
}

#[test]
fn a_smaller_share_is_part_of_a_larger_one() {
    let all: Vec<SentenceId> = (0..37).map(SentenceId).collect();
    let [tenth, half, whole] = [10, 50, 100].map(|share| share_of(&all, share, 3));
    assert_eq!((tenth.len(), half.len(), whole.len()), (4, 19, 37));
    assert!(tenth.is_subset(&half) && half.is_subset(&whole));
    assert_ne!(half, share_of(&all, 50, 4), "another seed draws others");
}

/// 60 sentences of 12 patients, half *None*; gold alone finds category a in half the patients, with bronze in all.
fn subject() -> ExperimentSubject {
    ExperimentSubject {
        id: "abc".into(),
        project: "p".into(),
        taxonomy: "t".into(),
        categories: vec![("a".into(), "A".into()), ("b".into(), "B".into())],
        single: true,
        tested: (0..60u32)
            .map(|i| TestSentence {
                patient: i / 5,
                gold: LabelSet::from_bits(u64::from(i % 2)),
                blindness: if i < 30 { Blindness::Blind } else { Blindness::Seen },
            })
            .collect(),
        validation: 7,
        cells: plan().cells(),
        warnings: vec!["a warning".into()],
    }
}

fn done(cell: &Cell) -> FinishedCell {
    let finds = |i: u32| cell.set.has(Tier::Bronze) || (i / 5 + cell.seed as u32).is_multiple_of(2);
    let predicted = (0..60u32).map(|i| LabelSet::from_bits(u64::from(i % 2 == 1 && finds(i)))).collect();
    let trained = TrainingSize { gold: cell.share as usize, bronze: 3, passes: 4, ..TrainingSize::default() };
    FinishedCell { cell: cell.clone(), run: RunId(format!("{cell}")), trained, predicted }
}

#[test]
fn what_helps_more_than_chance_is_said_so_and_leads_back_to_its_runs() {
    let subject = subject();
    let all: Vec<FinishedCell> = subject.cells.iter().map(done).collect();
    let report = ExperimentReport::of(&subject, &all, Bootstrap { resamples: 2_000, seed: 1 });
    assert_eq!((report.planned, report.finished, report.sentences, report.patients), (32, 32, 60, 12));
    assert_eq!((report.blind, report.validation), (Some(0.5), 7));
    assert_eq!(report.grids.len(), 2);
    let multi = report.grids.iter().find(|grid| grid.task == Task::MultiClass).unwrap();
    let names: Vec<&str> = multi.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["A", "B", "None", "macro average", "weighted average"]);
    assert_eq!(multi.rows[0].support, Some(30));
    let [gold, silver, bronze, both] = multi.sets.as_slice() else {
        panic!("{} sets", multi.sets.len());
    };
    assert!(gold.rows[0].gain.is_none() && gold.mcnemar.is_none(), "gold alone is compared with nothing");
    assert_eq!(silver.rows[0].gain.unwrap().verdict, ComparisonVerdict::Chance);
    assert_eq!(silver.rows[0].gain.unwrap().gain.difference, Some(0.0));
    for set in [bronze, both] {
        let gain = set.rows[0].gain.unwrap();
        assert_eq!(gain.verdict, ComparisonVerdict::Gained);
        // Half of the 30 are found by gold alone: F1 2/3, each seed the other half.
        assert!((gain.gain.difference.unwrap() - 1.0 / 3.0).abs() < 0.02, "{gain:?}");
        assert!(gain.p_holm.unwrap() >= gain.gain.p.unwrap());
        assert_eq!(
            set.rows[1].gain.unwrap().verdict,
            ComparisonVerdict::Unknown,
            "nobody has b, in gold or prediction"
        );
        let (test, p) = set.mcnemar.unwrap();
        assert_eq!(test.first_only, 0);
        assert!(test.second_only > 0 && p.unwrap() < 0.05);
    }
    assert_eq!(bronze.rows[1].f1.mean, None);
    assert_eq!(bronze.runs.len(), 2);
    assert!(report.cells.iter().any(|cell| cell.run == bronze.runs[1] && cell.accuracy == Some(1.0)));
    let curve = report.curves.iter().find(|curve| curve.set == mix("gold+bronze")).unwrap();
    assert_eq!(curve.points.iter().map(|p| (p.share, p.gold)).collect::<Vec<_>>(), [(50, 50), (100, 100)]);
    assert_eq!(curve.points[0].gain.unwrap().verdict, ComparisonVerdict::Gained);
}

#[test]
fn the_table_fills_as_cells_come_in_whatever_their_order() {
    let subject = subject();
    let no_resamples = Bootstrap { resamples: 0, seed: 1 };
    let nothing = ExperimentReport::of(&subject, &[], no_resamples);
    assert!(nothing.grids.is_empty() && nothing.finished == 0 && nothing.planned == 32);
    let bronze = subject.cells.iter().position(|cell| cell.set == mix("gold+bronze")).unwrap();
    let first = ExperimentReport::of(&subject, &[done(&subject.cells[bronze])], no_resamples);
    let set = &first.grids[0].sets[0];
    assert_eq!((set.set.short().as_str(), set.accuracy.mean, set.accuracy.deviation), ("+bronze", Some(1.0), None));
    assert!(set.accuracy_gain.is_none(), "gold alone is still to come");
    let mut all: Vec<FinishedCell> = subject.cells.iter().map(done).collect();
    let forwards = ExperimentReport::of(&subject, &all, no_resamples);
    all.reverse();
    assert_eq!(ExperimentReport::of(&subject, &all, no_resamples), forwards);
    assert!(forwards.grids[0].sets[2].rows[0].gain.unwrap().gain.p.is_none(), "no resamples, no p");
}
