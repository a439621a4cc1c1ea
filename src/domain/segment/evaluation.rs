//! How well `segment` finds the sentences that people marked, beside the Unicode rules.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use unicode_segmentation::UnicodeSegmentation;

use super::segment;

/// Offsets at which a sentence other than the first begins.
type Boundaries = BTreeSet<usize>;

#[derive(Default, Clone, Copy)]
struct Score {
    marked: usize,
    found: usize,
    right: usize,
}

impl Score {
    fn add(&mut self, marked: &Boundaries, found: &Boundaries) {
        self.marked += marked.len();
        self.found += found.len();
        self.right += marked.intersection(found).count();
    }

    fn precision(self) -> f64 {
        self.right as f64 / self.found as f64
    }

    fn recall(self) -> f64 {
        self.right as f64 / self.marked as f64
    }

    fn f1(self) -> f64 {
        2.0 * self.right as f64 / (self.found + self.marked) as f64
    }
}

struct Note {
    name: String,
    text: String,
    marked: Boundaries,
}

fn ours(text: &str) -> Boundaries {
    segment(text).iter().skip(1).map(|span| span.start).collect()
}

fn unicode(text: &str) -> Boundaries {
    text.split_sentence_bound_indices()
        .filter(|(_, sentence)| !sentence.trim().is_empty())
        .map(|(start, sentence)| start + sentence.len() - sentence.trim_start().len())
        .skip(1)
        .collect()
}

/// The text without its marks, and where the sentences after them begin.
fn unmark(marked: &str) -> (String, Boundaries) {
    let mut text = String::new();
    let mut ends = Vec::new();
    for part in marked.split('‖') {
        text.push_str(part);
        ends.push(text.len());
    }
    let begins = |end: usize| {
        let rest = &text[end..];
        let space = rest.len() - rest.trim_start().len();
        (space < rest.len()).then_some(end + space)
    };
    let boundaries = ends.into_iter().filter_map(begins).collect();
    (text, boundaries)
}

/// Prints one row for each note and splitter, then every disagreement of ours.
fn compare(title: &str, notes: &[Note], show_text: bool) -> (Score, Score) {
    let (mut our_score, mut unicode_score) = (Score::default(), Score::default());
    println!("{title}\n{:<32}{:>8}{:>10}{:>8}{:>8}", "note", "marked", "P", "R", "F1");
    let row = |name: &str, score: Score| {
        println!("{name:<32}{:>8}{:>10.4}{:>8.4}{:>8.4}", score.marked, score.precision(), score.recall(), score.f1());
    };
    for note in notes {
        let mut score = Score::default();
        score.add(&note.marked, &ours(&note.text));
        row(&note.name, score);
        our_score.add(&note.marked, &ours(&note.text));
        unicode_score.add(&note.marked, &unicode(&note.text));
    }
    row("ALL, segment", our_score);
    row("ALL, Unicode sentence bounds", unicode_score);
    for note in notes {
        let found = ours(&note.text);
        for at in note.marked.symmetric_difference(&found) {
            let what = if found.contains(at) { "extra" } else { "missed" };
            // Public notes stay where they are: their text does not go into logs.
            let near: String = if show_text {
                let before: String =
                    note.text[..*at].chars().rev().take(30).collect::<Vec<_>>().into_iter().rev().collect();
                let after: String = note.text[*at..].chars().take(20).collect();
                format!("{before}‖{after}").escape_debug().collect()
            } else {
                String::new()
            };
            println!("{what:<8}{}:{at} {near}", note.name);
        }
    }
    (our_score, unicode_score)
}

fn assert_good(ours: Score, unicode: Score) {
    assert!(ours.precision() >= 0.97 && ours.recall() >= 0.97);
    assert!(ours.f1() > unicode.f1() && ours.recall() >= unicode.recall());
}

#[test]
fn sentences_of_our_own_notes_are_found() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/segmentation");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    let notes: Vec<Note> = paths
        .iter()
        .map(|path| {
            let (text, marked) = unmark(&fs::read_to_string(path).unwrap());
            Note { name: path.file_stem().unwrap().to_string_lossy().into_owned(), text, marked }
        })
        .collect();
    assert!(notes.iter().map(|note| note.marked.len()).sum::<usize>() >= 400);
    let (ours, unicode) = compare("Our own notes", &notes, true);
    assert_good(ours, unicode);
}

#[derive(Deserialize)]
struct RealNotes {
    notes: Vec<RealNote>,
}

#[derive(Deserialize)]
struct RealNote {
    file: String,
    row: usize,
    column: String,
    sha256: String,
    boundaries: Boundaries,
}

#[test]
fn sentences_of_public_notes_are_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = [Some(root.join("../shared")), std::env::var_os("GOLDSMITH_SHARED").map(PathBuf::from)];
    let Some(data) = shared.into_iter().flatten().map(|shared| shared.join("data")).find(|data| data.is_dir()) else {
        println!("skipped: no ../shared/data, and GOLDSMITH_SHARED names no folder that has data");
        return;
    };
    let json = fs::read_to_string(root.join("tests/segmentation/real-notes.json")).unwrap();
    let marked: RealNotes = serde_json::from_str(&json).unwrap();
    let notes: Vec<Note> = marked
        .notes
        .into_iter()
        .map(|note| {
            let mut table = csv::Reader::from_path(data.join(&note.file)).unwrap();
            let column = table.headers().unwrap().iter().position(|name| name == note.column).unwrap();
            let text = table.records().nth(note.row).unwrap().unwrap()[column].to_owned();
            let hash = hex::encode(Sha256::digest(&text));
            assert_eq!(hash, note.sha256, "{} row {} is not the text that was marked", note.file, note.row);
            let dataset = note.file.split('/').next().unwrap();
            Note { name: format!("{dataset} {}", note.row), text, marked: note.boundaries }
        })
        .collect();
    let (ours, unicode) = compare("Public notes", &notes, std::env::var_os("GOLDSMITH_SHOW_TEXT").is_some());
    assert_good(ours, unicode);
}
