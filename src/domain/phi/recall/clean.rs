//! How often the screen is wrong: its flags on public and on invented notes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::super::super::segment::segment;
use super::super::{Finding, PhiKind, screen};

/// Sentences of one origin.
struct Corpus {
    name: &'static str,
    sentences: Vec<String>,
}

fn sentences(text: &str) -> impl Iterator<Item = String> {
    segment(text).into_iter().map(|span| span.of(text).to_owned())
}

/// The public notes, where they are at hand. Where they must be (`GOLDSMITH_REQUIRE_SHARED`), their absence fails.
fn shared() -> Option<PathBuf> {
    let root = std::env::var_os("GOLDSMITH_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let found = root.join("data");
    if found.exists() {
        return Some(found);
    }
    let required = std::env::var_os("GOLDSMITH_REQUIRE_SHARED").is_some_and(|v| !v.is_empty());
    assert!(!required, "{} is missing", found.display());
    eprintln!("skipped: no {}", found.display());
    None
}

/// The rows of a file of comma-separated values, whose fields may be quoted and hold line ends.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => field.extend(rest.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            '\r' => {}
            c => field.push(c),
        }
    }
    if !field.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows
}

/// The sentences in one column of the files of a folder.
fn column(folder: &Path, name: &str) -> Vec<String> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let texts = files.iter().flat_map(|file| {
        let rows = rows(&fs::read_to_string(file).unwrap());
        let at = rows[0].iter().position(|field| field.trim_start_matches('\u{feff}') == name).unwrap();
        rows.into_iter().skip(1).map(move |mut row| row.swap_remove(at)).collect::<Vec<_>>()
    });
    texts.flat_map(|text| sentences(&text).collect::<Vec<_>>()).collect()
}

fn hash(text: &str) -> String {
    hex::encode(&Sha256::digest(text)[..8])
}

/// The demo's notes, without the marks of their labels.
fn demo() -> Vec<String> {
    let mut text = String::new();
    for line in include_str!("../../../../data/notes.txt").lines().filter(|line| !line.starts_with("===")) {
        let mut parts = line.split('{');
        text.push_str(parts.next().unwrap());
        parts.for_each(|part| text.push_str(part.split_once('}').unwrap().1));
        text.push('\n');
    }
    sentences(&text).collect()
}

fn corpora() -> Vec<Corpus> {
    let mut corpora = vec![Corpus { name: "invented notes of the demo", sentences: demo() }];
    let Some(shared) = shared() else { return corpora };
    let (mts, aci) = (shared.join("mts-dialog"), shared.join("aci-bench"));
    let notes = column(&mts, "section_text");
    let few = include_str!("../../../../tests/data/public-200.jsonl");
    let of_few = notes.iter().filter(|sentence| few.contains(&hash(sentence))).cloned().collect();
    corpora.push(Corpus { name: "200 sentences of MTS-Dialog notes", sentences: of_few });
    corpora.push(Corpus { name: "MTS-Dialog, notes", sentences: notes });
    corpora.push(Corpus { name: "MTS-Dialog, dialogues", sentences: column(&mts, "dialogue") });
    corpora.push(Corpus { name: "ACI-Bench, notes", sentences: column(&aci, "note") });
    corpora.push(Corpus { name: "ACI-Bench, dialogues", sentences: column(&aci, "dialogue") });
    corpora
}

/// A flag's mark in the list of those that were judged right: public text stays out of the repository.
fn mark(sentence: &str, finding: Finding) -> String {
    hash(&format!("{}: {}", finding.kind, finding.span.of(sentence)))
}

/// False flags allowed in a hundred sentences of any text.
const FALSE_FLAGS: f64 = 2.0;

/// Whoever changes a rule reads the new flags and adds the marks of the right ones: `GOLDSMITH_SHOW_FLAGS=1` prints each
/// with its sentence. A flag that nobody has read counts as false.
#[test]
fn flags_on_public_text_are_few() {
    let right: BTreeSet<&str> = include_str!("../../../../tests/data/phi/right-flags.txt").lines().collect();
    let show = std::env::var_os("GOLDSMITH_SHOW_FLAGS").is_some();
    println!(
        "| text | sentences | flags | of them dates | right | false | false per 100 sentences |\n|---|---|---|---|---|---|---|"
    );
    for corpus in corpora() {
        let (mut flags, mut dates, mut wrong) = (0, 0, 0);
        for sentence in &corpus.sentences {
            for finding in screen(sentence) {
                let mark = mark(sentence, finding);
                let is_right = right.contains(mark.as_str());
                flags += 1;
                dates += usize::from(finding.kind == PhiKind::Date);
                wrong += usize::from(!is_right);
                if show {
                    let said = if is_right { "right" } else { "wrong" };
                    println!("{said}\t{mark}\t{}\t{}\t{sentence:?}", finding.kind, finding.span.of(sentence));
                }
            }
        }
        let (count, right) = (corpus.sentences.len(), flags - wrong);
        let rate = 100.0 * wrong as f64 / count as f64;
        println!("| {} | {count} | {flags} | {dates} | {right} | {wrong} | {rate:.2} |", corpus.name);
        assert!(rate <= FALSE_FLAGS, "{}: {rate:.2} false flags in 100 sentences", corpus.name);
    }
}
