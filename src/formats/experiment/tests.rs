//! Every format shows the same numbers, and no name in the data can be more than text.

use super::*;
use crate::domain::experiment::{ExperimentPlan, ExperimentSubject, FinishedCell, Task, TrainingSetSpec, TrainingSize};
use crate::domain::label::RunId;
use crate::domain::label_set::LabelSet;
use crate::domain::metrics::TestSentence;
use crate::domain::sight::Blindness;
use crate::domain::statistics::Bootstrap;

fn report() -> ExperimentReport {
    let plan = ExperimentPlan {
        models: vec!["ngram".into()],
        tasks: Task::ALL.into(),
        sets: TrainingSetSpec::grid(),
        seeds: vec![1, 2, 3],
        shares: vec![50],
    };
    let name = |key: &str, name: &str| (key.to_owned(), name.to_owned());
    let subject = ExperimentSubject {
        id: "1a2b3c4d".into(),
        project: "a <b>study</b> & more".into(),
        taxonomy: "t".into(),
        categories: vec![
            name("memory", "Memory & 50 % of $x_1"),
            name("mood", "=cmd|' /C <script>alert(1)</script>"),
            name("care", "Care of a person who cannot live alone any more\u{1b}[31m"),
        ],
        single: true,
        tested: (0..90u32)
            .map(|i| {
                let gold = LabelSet::from_bits([0, 1, 2][i as usize % 3]);
                TestSentence { patient: i / 6, gold, blindness: Blindness::Blind }
            })
            .collect(),
        validation: 12,
        cells: plan.cells(),
        warnings: vec!["3 test sentences <stand> in silver".into()],
    };
    let done: Vec<FinishedCell> = plan
        .cells()
        .into_iter()
        .enumerate()
        .map(|(number, cell)| {
            let right = if cell.set == TrainingSetSpec::gold() { 2 } else { 4 };
            let predicted = |i: u32| {
                let gold = cell.task.sees(subject.tested[i as usize]).gold;
                if (i + cell.seed as u32) % 5 < right { gold } else { LabelSet::NONE }
            };
            FinishedCell {
                run: RunId(format!("0198-{number:04}")),
                trained: TrainingSize {
                    gold: 10 * cell.share as usize,
                    passes: 7,
                    seconds: 0.5,
                    ..TrainingSize::default()
                },
                predicted: (0..90).map(predicted).collect(),
                cell,
            }
        })
        .collect();
    ExperimentReport::of(&subject, &done, Bootstrap { resamples: 500, seed: 1 })
}

#[test]
fn the_terminal_table_fits_its_width_and_says_what_happened_in_words() {
    let report = report();
    let narrow = write(&report, ReportFormat::Table { width: 80 }).unwrap();
    for line in narrow.lines() {
        assert!(line.chars().count() <= 80, "{line}\n{narrow}");
    }
    assert!(!narrow.contains('\u{1b}') && narrow.contains("warning: 3 test sentences <stand> in silver"), "{narrow}");
    assert!(narrow.contains("gold+silver against gold alone: gained Memory"), "{narrow}");
    assert!(narrow.contains("won 0 lost"), "{narrow}");
    let wide = write(&report, ReportFormat::Table { width: 200 }).unwrap();
    let header = wide.lines().find(|line| line.contains("+both P")).unwrap();
    assert!(header.contains("gold P") && header.contains("+bronze F1"), "{wide}");
}

#[test]
fn markdown_has_no_markup_of_names() {
    let text = write(&report(), ReportFormat::Markdown).unwrap();
    assert!(text.contains("=cmd\\|' /C &lt;script>"), "{text}");
    let table: Vec<&str> = text.lines().filter(|line| line.starts_with("| Memory")).collect();
    assert_eq!(table[0].replace("\\|", "").matches('|').count(), table[1].replace("\\|", "").matches('|').count());
}

#[test]
fn latex_is_escaped_and_its_environments_close() {
    let text = write(&report(), ReportFormat::Latex).unwrap();
    assert!(text.contains("Memory \\& 50 \\% of \\$x\\_1 & 30 & "), "{text}");
    assert!(text.contains("=cmd\\textbar{}' /C \\textless{}script\\textgreater{}"), "{text}");
    assert!(text.contains("\\multicolumn{3}{c}{gold+silver+bronze}") && text.contains("\\toprule"));
    for environment in ["table*", "table", "tabular"] {
        let count = |what: &str| text.matches(&format!("\\{what}{{{environment}}}")).count();
        assert!(count("begin") > 0 && count("begin") == count("end"), "{environment}");
    }
    for row in text.lines().filter(|line| line.starts_with("Memory")) {
        assert!(row.ends_with(" \\\\"), "{row}");
    }
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
}

#[test]
fn csv_has_every_number_in_full_with_its_runs_and_no_formula() {
    let text = write(&report(), ReportFormat::Csv).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let at = |name: &str| header.iter().position(|h| h == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert!(rows.len() > 100);
    let macro_f1 = rows
        .iter()
        .find(|r| &r[at("set")] == "gold+bronze" && &r[at("row")] == "macro" && &r[at("measure")] == "F1")
        .unwrap();
    let difference: f64 = macro_f1[at("difference")].parse().unwrap();
    assert!(difference > 0.1 && macro_f1[at("runs")].split(' ').count() == 3, "{macro_f1:?}");
    assert_eq!(&macro_f1[at("verdict")], "gained");
    assert!(rows.iter().any(|r| &r[at("measure")] == "McNemar" && r[at("p")].parse::<f64>().is_ok()));
    assert!(rows.iter().any(|r| &r[at("share")] == "50" && &r[at("measure")] == "F1"));
    let undefined = rows.iter().find(|r| &r[at("row")] == "care" && &r[at("measure")] == "F1").unwrap();
    assert_eq!((&undefined[at("mean")], &undefined[at("support")]), ("", "0"), "undefined is empty, not 0");
}

#[test]
fn json_leads_from_every_cell_to_its_run() {
    let report = report();
    let json: serde_json::Value = serde_json::from_str(&write(&report, ReportFormat::Json).unwrap()).unwrap();
    assert_eq!(json["experiment"], "1a2b3c4d");
    assert_eq!(json["cells"].as_array().unwrap().len(), report.planned);
    assert!(json["cells"].as_array().unwrap().iter().all(|cell| cell["run"].as_str().unwrap().starts_with("0198-")));
    let set = &json["grids"][0]["sets"][1];
    assert_eq!((&set["set"], &set["runs"].as_array().unwrap().len()), (&"gold+silver".into(), &3));
    assert!(set["rows"][0]["gain"]["p_holm"].is_number() && set["rows"][0]["f1"]["each"][2].is_number(), "{set:#}");
}

#[test]
fn the_page_fetches_nothing_runs_nothing_and_closes_what_it_opens() {
    let page = write(&report(), ReportFormat::Html).unwrap();
    for mark in ["http", "<script", "javascript", "src=", "href=", "url(", "@import", "\u{1b}"] {
        assert!(!page.contains(mark), "{mark}");
    }
    assert!(
        page.contains("&lt;script&gt;alert(1)&lt;/script&gt;")
            && page.contains("a &lt;b&gt;study&lt;/b&gt; &amp; more")
    );
    for tag in
        ["html", "head", "body", "table", "thead", "tbody", "tr", "td", "th", "svg", "g", "title", "text", "figure"]
    {
        let (open, close) = (
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count(),
            page.matches(&format!("</{tag}>")).count(),
        );
        assert!(open > 0 && open == close, "{tag}: {open} opened, {close} closed");
    }
    assert_eq!(page.matches("<svg").count(), 4, "gains and curves of two tasks");
    assert!(page.contains("gold+bronze: +") && page.contains(", gained</title>"));
    assert!(!page.contains("NaN") && !page.contains("inf"), "no place is undefined");
}

/// A run says the same when it is read back: serde_json's quicker way of reading loses the last digit of this one.
#[test]
fn a_number_that_is_read_back_is_the_one_that_was_written() {
    let seconds: f64 = serde_json::from_str("2.419456391").unwrap();
    assert_eq!(serde_json::to_string(&seconds).unwrap(), "2.419456391");
}
