//! What labels a file has, before any of them is taken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;

use super::reader::number_of;
use crate::domain::label::Label;
use crate::domain::label_words::{LabelWords, Spelling};
use crate::domain::taxonomy::Taxonomy;
use crate::formats::notes::NoteRecord;
use crate::workflow::refusal::{Refusal, RefusalKind};

/// One way in which a label is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenLabel {
    /// How many records have it.
    pub count: u64,
    /// What it says; nothing where the taxonomy does not have it.
    pub label: Option<Label>,
    pub spelling: Spelling,
}

/// Labels of files, by how they are written.
#[derive(Clone, Debug, Default)]
pub struct LabelSurvey {
    /// Records with a label.
    pub found: u64,
    pub labels: BTreeMap<String, WrittenLabel>,
    /// Where a label is a number below 1.
    counted_from_zero: Option<(PathBuf, u64)>,
    /// Records that have another label than an earlier one of the same sentence.
    contradictions: u64,
    /// The first of them: file, line, and that of the earlier.
    contradiction: Option<(PathBuf, u64, u32)>,
    /// Line and label of each record with an id, both in short: 16 bytes for each of them.
    seen: FxHashMap<u64, (u32, u32)>,
}

/// As many ways of writing a label are told apart; who has more of them has named the wrong column.
const TOLD_APART: usize = 1_000;

impl LabelSurvey {
    pub(super) fn add(&mut self, file: &Path, record: &NoteRecord, taxonomy: &Taxonomy) {
        let Some(words) = &record.labels else { return };
        self.found += 1;
        let read = words.read(taxonomy);
        if self.counted_from_zero.is_none() && is_below_one(words) && read.is_none() {
            self.counted_from_zero = Some((file.into(), record.line));
        }
        let (label, spelling) = read.map_or((None, Spelling::default()), |(label, spelling)| (Some(label), spelling));
        if let Some(id) = &record.id {
            let key = number_of(&[record.patient.as_deref().unwrap_or_default(), id, &record.text]);
            let says = label.as_ref().map_or_else(|| words.shown(), Label::join);
            let this = (u32::try_from(record.line).unwrap_or(u32::MAX), number_of(&[&says]) as u32);
            let first = *self.seen.entry(key).or_insert(this);
            if first.1 != this.1 {
                self.contradictions += 1;
                self.contradiction.get_or_insert((file.into(), record.line, first.0));
            }
        }
        let mut shown = words.shown();
        if !self.labels.contains_key(&shown) && self.labels.len() >= TOLD_APART {
            shown = "(other)".into();
        }
        self.labels.entry(shown).or_insert(WrittenLabel { count: 0, label, spelling }).count += 1;
    }

    /// Another file: a sentence may have another label there.
    pub(super) fn next_file(&mut self) {
        self.seen.clear();
    }

    /// Why these labels cannot be taken for one person's or one model's.
    pub(super) fn refusal(&self, paths: &[PathBuf]) -> Option<Refusal> {
        if self.found == 0 {
            let files: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            let said = format!("no record of {} has a label; nothing was taken in", files.join(", "));
            let kind = RefusalKind::NotFound { what: "label", name: String::new() };
            return Some(
                Refusal::new(kind, said)
                    .hint("--label-column says which column has the label; --plan shows what each is taken for")
                    .hint("without --annotator and --model the sentences come in without labels"),
            );
        }
        if let Some((file, line)) = &self.counted_from_zero {
            let said = format!(
                "{}:{line}: labels here are numbers from 0; nothing was taken in, because by number a category is meant by its place on the screen, from 1",
                file.display()
            );
            return Some(
                Refusal::new(RefusalKind::Ambiguous { what: "label", name: String::new() }, said)
                    .hint("write the categories' names or keys, and `none` where none applies"),
            );
        }
        let (file, line, before) = self.contradiction.as_ref()?;
        let more = match self.contradictions {
            1 => String::new(),
            n => format!(", and so have {} more", n - 1),
        };
        let said = format!(
            "{}:{line}: another label than at line {before} for the same sentence{more}; nothing was taken in, because one of the two would be lost",
            file.display()
        );
        Some(
            Refusal::new(RefusalKind::Ambiguous { what: "label", name: String::new() }, said)
                .hint("if they are of several people, write a file for each and import it with --annotator NAME")
                .hint("if one replaces the other, leave only that one in the file"),
        )
    }
}

fn is_below_one(words: &LabelWords) -> bool {
    let below = |word: &str| word.trim().parse::<i64>().is_ok_and(|number| number < 1);
    match words {
        LabelWords::Cell(cell) => below(cell),
        LabelWords::List(words) => words.iter().any(|word| below(word)),
    }
}
