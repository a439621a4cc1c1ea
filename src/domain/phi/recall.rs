//! How much of what is planted the screen finds, and how often it is wrong on text that holds no identifier.
//!
//! The sentences, the names and the numbers are made up. `docs/personal-data-screen.md` holds the table that
//! `cargo test --lib phi::recall -- --nocapture` prints.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::text::Span;
use super::super::words::entries;
use super::screen;

mod clean;
mod pools;

use pools::{AFTERWARDS, HELD_OUT, Pools, TUNED};

/// Sentences made from each template.
const DRAWS: usize = 25;

/// What stands around a planted sentence.
const FILLERS: [&str; 8] = [
    "",
    "BP 130/80, HR 72, afebrile.",
    "MMSE 24/30 today.",
    "Denies fever, chills or weight loss.",
    "Continue metoprolol 25 mg BID.",
    "Na 138, K 4.2, Cr 0.9.",
    "He ambulates with a walker.",
    "MRI: T2 FLAIR hyperintensities at L4-5.",
];

/// A sentence and where the identifier stands in it.
struct Planted {
    text: String,
    span: Span,
}

/// What a template's braces name.
fn drawn(name: &str, pools: &Pools, rng: &mut ChaCha8Rng) -> String {
    let (_, abbreviation, state) = pick(&pools.towns, rng);
    let (month, short) = *pick(&MONTHS, rng);
    match name {
        "F" => (*pick(&pools.first, rng)).to_owned(),
        "L" => (*pick(&pools.last, rng)).to_owned(),
        "FU" => pick(&pools.first, rng).to_uppercase(),
        "LU" => pick(&pools.last, rng).to_uppercase(),
        "I" => char::from(rng.random_range(b'A'..=b'W')).to_string(),
        "T" => pick(&pools.towns, rng).0.to_owned(),
        "S" => (*abbreviation).to_owned(),
        "SL" => (*state).to_owned(),
        "street" => (*pick(&pools.streets, rng)).to_owned(),
        "streetU" => pick(&pools.streets, rng).to_uppercase(),
        "fac" => (*pick(&pools.facilities, rng)).to_owned(),
        "saint" => (*pick(&pools.saints, rng)).to_owned(),
        "user" => pick(&pools.first, rng).to_lowercase(),
        "user2" => pick(&pools.last, rng).to_lowercase().replace(['\'', ' '], ""),
        "userU" => pick(&pools.first, rng).to_uppercase(),
        "host" => (*pick(&pools.hosts, rng)).to_owned(),
        "hostU" => pick(&pools.hosts, rng).to_uppercase(),
        "month" => month.to_owned(),
        "monthU" => month.to_uppercase(),
        "mon" => short.to_owned(),
        "d" => rng.random_range(4..=28).to_string(),
        "dd" => format!("{:02}", rng.random_range(1..=28)),
        "m" => rng.random_range(1..=12).to_string(),
        "mm" => format!("{:02}", rng.random_range(1..=12)),
        "y" => rng.random_range(1931..=2025).to_string(),
        "yy" => format!("{:02}", rng.random_range(1..=25)),
        "age" => rng.random_range(90..=104).to_string(),
        "ageword" => (*pick(&["ninety", "ninety-one", "ninety-four", "ninety-nine"], rng)).to_owned(),
        other => panic!("no pool is called {other}"),
    }
}

const MONTHS: [(&str, &str); 12] = [
    ("January", "Jan"),
    ("February", "Feb"),
    ("March", "Mar"),
    ("April", "Apr"),
    ("May", "May"),
    ("June", "Jun"),
    ("July", "Jul"),
    ("August", "Aug"),
    ("September", "Sept"),
    ("October", "Oct"),
    ("November", "Nov"),
    ("December", "Dec"),
];

fn pick<'a, T>(of: &'a [T], rng: &mut ChaCha8Rng) -> &'a T {
    &of[rng.random_range(0..of.len())]
}

/// A sentence by a template: `{name}` is drawn from a pool; within `«»`, `#` is a digit, `§` one from 2 to 9, and `¶` a
/// capital letter.
fn plant(template: &str, pools: &Pools, rng: &mut ChaCha8Rng) -> Planted {
    let mut text = String::from(*pick(&FILLERS, rng));
    if !text.is_empty() {
        text.push(' ');
    }
    let (mut start, mut end, mut inside) = (0, 0, false);
    let mut rest = template.chars();
    while let Some(c) = rest.next() {
        match c {
            '«' => (start, inside) = (text.len(), true),
            '»' => (end, inside) = (text.len(), false),
            '#' if inside => text.push(char::from(rng.random_range(b'0'..=b'9'))),
            '§' => text.push(char::from(rng.random_range(b'2'..=b'9'))),
            '¶' => text.push(char::from(rng.random_range(b'A'..=b'Z'))),
            '{' => {
                let name: String = rest.by_ref().take_while(|&c| c != '}').collect();
                text.push_str(&drawn(&name, pools, rng));
            }
            c => text.push(c),
        }
    }
    assert!(start < end, "nothing is planted in {template:?}");
    text.push(' ');
    text.push_str(pick::<&str>(&FILLERS, rng));
    Planted { text, span: Span::new(start, end) }
}

/// Found is an identifier of whose letters and digits at least half are marked, under whatever kind.
fn is_found(planted: &Planted) -> bool {
    let findings = screen(&planted.text);
    let own = || {
        let (start, text) = (planted.span.start, planted.span.of(&planted.text));
        text.char_indices().filter(|(_, c)| c.is_alphanumeric()).map(move |(at, _)| start + at)
    };
    let marked = own().filter(|&at| findings.iter().any(|finding| finding.span.contains(at))).count();
    2 * marked >= own().count()
}

/// How many were planted and how many were found, of one kind.
struct KindRecall {
    kind: &'static str,
    planted: usize,
    found: usize,
}

impl KindRecall {
    fn recall(&self) -> f64 {
        self.found as f64 / self.planted as f64
    }
}

/// One row a kind, and at the end one for all. `missed` is told of each template and sentence that fails.
fn measure(file: &'static str, pools: &Pools, mut missed: impl FnMut(&str, &str)) -> Vec<KindRecall> {
    let mut rng = ChaCha8Rng::seed_from_u64(164_514);
    let mut rows: Vec<KindRecall> = Vec::new();
    for line in entries(file) {
        let (kind, template) = line.split_once(": ").unwrap();
        if rows.last().is_none_or(|row| row.kind != kind) {
            rows.push(KindRecall { kind, planted: 0, found: 0 });
        }
        for _ in 0..DRAWS {
            let planted = plant(template, pools, &mut rng);
            let found = is_found(&planted);
            if !found {
                missed(template, &planted.text);
            }
            let row = rows.last_mut().unwrap();
            row.planted += 1;
            row.found += usize::from(found);
        }
    }
    let sum = |of: fn(&KindRecall) -> usize| rows.iter().map(of).sum();
    let all = KindRecall { kind: "all", planted: sum(|row| row.planted), found: sum(|row| row.found) };
    rows.push(all);
    rows
}

#[test]
fn planted_identifiers_are_found() {
    let tuned = measure(include_str!("../../../tests/data/phi/tuned.txt"), &TUNED, |template, text| {
        println!("missed by {template:?}: {text}");
    });
    let held_out = measure(include_str!("../../../tests/data/phi/held-out.txt"), &HELD_OUT, |_, _| ());
    let afterwards = measure(include_str!("../../../tests/data/phi/afterwards.txt"), &AFTERWARDS, |_, _| ());
    println!("| kind | planted | found | recall | held out | found | recall | written afterwards | found | recall |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for rows in tuned.iter().zip(&held_out).zip(&afterwards) {
        let ((a, b), c) = rows;
        assert_eq!((a.kind, b.kind), (b.kind, c.kind));
        let cells = [a, b, c].map(|row| format!("{} | {} | {:.3}", row.planted, row.found, row.recall()));
        println!("| {} | {} |", a.kind, cells.join(" | "));
    }
    // Of sentences that nobody foresaw a kind has few templates, so its floor is lower.
    for (set, rows, least) in
        [("tuned", &tuned, 0.85), ("held out", &held_out, 0.85), ("afterwards", &afterwards, 0.75)]
    {
        for row in rows {
            let floor = if row.kind == "all" { 0.95 } else { least };
            assert!(row.recall() >= floor, "{set}, {}: {:.3} is below {floor}", row.kind, row.recall());
        }
    }
}
