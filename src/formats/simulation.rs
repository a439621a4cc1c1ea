//! A simulation's experts in, from TOML; its report out, as a table and CSV.

use std::path::Path;

use super::tables::csv_rows;
use super::toml_source::{TomlSource, TomlTable};
use super::{FileFault, FormatError, read_text};
use crate::domain::gold::Policy;
use crate::domain::simulation::{LabelsNeeded, Point, SimulatedExpert, SimulatedProtocol, SimulationReport};
use crate::domain::statistics::SampleMean;

/// Reads who plays the experts. Categories in `[expert.confusions]` must be among the outputs.
pub(crate) fn read(path: &Path, outputs: &[String]) -> Result<SimulatedProtocol, FormatError> {
    parse(path, &read_text(path)?, outputs)
}

/// Checks the text of such a file.
pub fn parse(path: &Path, text: &str, outputs: &[String]) -> Result<SimulatedProtocol, FormatError> {
    let (mut source, root) = TomlSource::parse(text);
    let s = &mut source;
    let mut top = TomlTable::new(root.get_ref(), 0..0);
    let mut protocol = SimulatedProtocol { experts: Vec::new(), ..SimulatedProtocol::default() };
    let words = [("any", Policy::Any), ("majority", Policy::Majority), ("unanimous", Policy::Unanimous)];
    protocol.policy = top.word(s, "policy", &words).unwrap_or(protocol.policy);
    protocol.overlap = top.whole(s, "overlap", 1..=50).map_or(1, |n| n as usize);
    protocol.assisted = top.flag(s, "assisted").unwrap_or(false);
    for table in top.tables(s, "expert") {
        protocol.experts.push(expert(s, table, outputs));
    }
    if protocol.experts.is_empty() {
        s.fault(0..0, "there is no expert; [[expert]] is one, with name, error, seconds and seconds_accept");
    } else if protocol.overlap > protocol.experts.len() {
        s.fault(0..0, format!("`overlap` is {}, but there are {} experts", protocol.overlap, protocol.experts.len()));
    }
    top.close(s);
    let faults: Vec<FileFault> = source.into_faults();
    if faults.is_empty() { Ok(protocol) } else { Err(FormatError::Faulty { path: path.into(), faults }) }
}

fn expert<'t>(s: &mut TomlSource<'t>, mut table: TomlTable<'_, 't>, outputs: &[String]) -> SimulatedExpert {
    let mut expert = SimulatedExpert::default();
    if let Some((name, _)) = table.required(s, "name") {
        expert.name = name;
    }
    let error = table.number(s, "error", 0.0..=1.0);
    expert.error = error.unwrap_or(0.0);
    expert.seconds = table.number(s, "seconds", 0.0..=86_400.0).unwrap_or(expert.seconds);
    expert.seconds_accept = table.number(s, "seconds_accept", 0.0..=86_400.0).unwrap_or(expert.seconds);
    let span = table.span();
    if let Some(confusions) = table.table(s, "confusions") {
        if error.is_some() {
            s.fault(span, "`error` and `confusions` cannot stand together: the confusions say how often");
        }
        for (truth, others) in confusions.named_tables(s) {
            let at = others.span();
            let find = |s: &mut TomlSource<'t>, name: &str, at| {
                let found = outputs.iter().position(|output| output == name);
                if found.is_none() {
                    s.fault(at, format!("`{name}` is no label here; known are {}", outputs.join(", ")));
                }
                found
            };
            let from = find(s, &truth, at.clone());
            let mut sum = 0.0;
            for (name, often, place) in others.numbers(s, 0.0..=1.0) {
                sum += often;
                if let (Some(from), Some(to)) = (from, find(s, &name, place)) {
                    expert.confusions.push((from, to, often));
                }
            }
            if sum > 1.0 + 1e-9 {
                s.fault(at, format!("what `{truth}` is taken for adds up to {sum}, more than 1"));
            }
        }
    }
    table.close(s);
    expert
}

/// `412 ± 35`, in units of `1 / scale` with so many decimals.
fn spread(estimate: Option<SampleMean>, scale: f64, decimals: usize, unit: &str) -> String {
    let Some(estimate) = estimate else {
        return "-".into();
    };
    let mean = format!("{:.decimals$}{unit}", estimate.mean * scale);
    match estimate.either_way {
        Some(either_way) => format!("{mean} ± {:.decimals$}", either_way * scale),
        None => mean,
    }
}

/// Most stops of the curves that a table shows.
const STOPS: usize = 14;

/// What each order needed, and the curves at some stops.
pub fn table(report: &SimulationReport) -> String {
    let first = report.orders.first().map_or("", |order| order.order.as_str());
    let wide = report.orders.iter().map(|order| order.order.chars().count()).chain([5]).max().unwrap_or(5);
    let line = |order: &str, reached: &str, cells: [String; 4]| {
        let [labels, share, of_means, minutes] = cells;
        format!("{order:<wide$}  {reached:>7}  {labels:>12}  {share:>12}  {of_means:>12}  {minutes:>12}\n")
    };
    let columns = ["labels".to_owned(), format!("of {first}"), "of its mean".to_owned(), "minutes".to_owned()];
    let mut out = line("order", "reached", columns);
    out.push_str(&format!("{}\n", "-".repeat(wide + 65)));
    for order in &report.orders {
        let cells = [
            spread(order.decisions, 1.0, 0, ""),
            spread(order.share, 100.0, 0, " %"),
            spread(order.share_of_means, 100.0, 0, " %"),
            spread(order.minutes, 1.0, 0, ""),
        ];
        out.push_str(&line(&order.order, &format!("{}/{}", order.reached, order.games), cells));
    }
    let mut stops: Vec<usize> = report.orders.iter().flat_map(|o| o.curve.iter().map(|step| step.sentences)).collect();
    stops.sort_unstable();
    stops.dedup();
    let shown = (0..stops.len().min(STOPS)).map(|i| stops[i * (stops.len() - 1) / (stops.len().min(STOPS) - 1).max(1)]);
    let wide = wide.max(12);
    out.push_str(&format!("\n{:<10}", "macro-F1"));
    report.orders.iter().for_each(|order| out.push_str(&format!("  {:>wide$}", order.order)));
    out.push('\n');
    for sentences in shown {
        out.push_str(&format!("{sentences:>10}"));
        for order in &report.orders {
            let at = order.curve.iter().find(|step| step.sentences == sentences);
            out.push_str(&format!("  {:>wide$}", spread(at.and_then(|step| step.macro_f1), 100.0, 1, "")));
        }
        out.push('\n');
    }
    out
}

/// Every stop of every game, a line each.
pub(crate) fn csv(report: &SimulationReport) -> String {
    let header = [
        "order",
        "seed",
        "sentences",
        "decisions",
        "minutes",
        "gold",
        "wrong",
        "macro_f1",
        "accuracy",
        "full_macro_f1",
        "reached",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.6}"));
    for game in &report.games {
        let order = report.orders.get(game.mix).map_or("", |order: &LabelsNeeded| order.order.as_str());
        for point in &game.points {
            let Point { sentences, decisions, minutes, gold, wrong, macro_f1, accuracy } = *point;
            let reached = game.reached.is_some_and(|reached| reached.sentences <= sentences);
            rows.push(vec![
                order.to_owned(),
                game.seed.to_string(),
                sentences.to_string(),
                decisions.to_string(),
                format!("{minutes:.3}"),
                gold.to_string(),
                wrong.to_string(),
                number(macro_f1),
                number(accuracy),
                number(Some(game.full)),
                reached.to_string(),
            ]);
        }
    }
    csv_rows(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::simulation::{Game, SimulationPlan};

    fn outputs() -> Vec<String> {
        ["None", "memory", "mood"].map(String::from).to_vec()
    }

    #[test]
    fn experts_are_read() {
        let text = "overlap = 2\npolicy = \"unanimous\"\nassisted = true\n[[expert]]\nname = \"ann\"\nerror = 0.05\nseconds = 7.5\n\
            seconds_accept = 3\n[[expert]]\nname = \"ben\"\n[expert.confusions.memory]\nNone = 0.1\nmood = 0.2\n";
        let protocol = parse(Path::new("experts.toml"), text, &outputs()).unwrap();
        assert_eq!((protocol.overlap, protocol.policy, protocol.assisted), (2, Policy::Unanimous, true));
        let [ann, ben] = &protocol.experts[..] else { panic!() };
        assert_eq!((ann.error, ann.seconds, ann.seconds_accept), (0.05, 7.5, 3.0));
        assert_eq!(ben.confusions, [(1, 0, 0.1), (1, 2, 0.2)]);
        assert_eq!(ben.seconds_accept, ben.seconds);
    }

    #[test]
    fn faults_are_named_by_place() {
        let text =
            "overlap = 3\n[[expert]]\nname = \"ann\"\nerror = 2\nsecond = 1\n[expert.confusions.memry]\nmood = 0.2\n";
        let said = parse(Path::new("experts.toml"), text, &outputs()).unwrap_err().to_string();
        for expected in [
            "experts.toml:1:1: `overlap` is 3, but there are 1 experts",
            "experts.toml:4:9: `error` must be between 0 and 1",
            "experts.toml:5:1: `second` is not known here; did you mean `seconds`?",
            "`memry` is no label here; known are None, memory, mood",
        ] {
            assert!(said.contains(expected), "{said}");
        }
        let said = parse(Path::new("experts.toml"), "", &outputs()).unwrap_err().to_string();
        assert!(said.starts_with("experts.toml:1:1: there is no expert"), "{said}");
    }

    #[test]
    fn a_report_is_a_table_and_csv() {
        let plan = SimulationPlan {
            mixes: vec!["random".parse().unwrap(), "margin".parse().unwrap()],
            seeds: vec![1, 2],
            start: 10,
            batch: 10,
            most: None,
            share: 0.95,
            stop: false,
            protocol: SimulatedProtocol::default(),
        };
        let point = |n: usize, f1| Point {
            sentences: n,
            decisions: n,
            minutes: n as f64 / 10.0,
            gold: n,
            wrong: 0,
            macro_f1: Some(f1),
            accuracy: Some(f1),
        };
        let game = |mix, seed, n: usize| Game {
            mix,
            seed,
            full: 0.5,
            points: vec![point(10, 0.1), point(n, 0.5)],
            reached: Some(point(n, 0.5)),
        };
        let games = vec![game(0, 1, 100), game(1, 1, 40), game(0, 2, 100), game(1, 2, 60)];
        let report = SimulationReport::of(&plan, 200, games);
        let table = table(&report);
        // Half the width: t of one degree of freedom, 12.7062, times the standard error of 40 and 60, 10.
        assert!(table.contains("margin      2/2      50 ± 127    50 % ± 127    50 % ± 127        5 ± 13"), "{table}");
        let csv = csv(&report);
        assert!(csv.starts_with("order,seed,sentences,decisions,minutes"), "{csv}");
        assert!(csv.contains("margin,1,40,40,4.000,40,0,0.500000,0.500000,0.500000,true"), "{csv}");
    }
}
