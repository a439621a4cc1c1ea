//! A label as a file writes it, and what it says under a taxonomy. Nothing is guessed: what is not known word for word stays
//! unknown as a whole, and where a file says nothing there is no label, not *None*.

use super::category::CategoryKey;
use super::label::Label;
use super::taxonomy::Taxonomy;

/// What stands between the labels of one cell. They are tried one by one before all of them together, for a name may have
/// one of them in it.
const SEPARATORS: [char; 7] = [';', '|', '+', '#', '\n', '\t', ','];

/// A label as written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LabelWords {
    /// One cell, which may hold several.
    Cell(String),
    /// A list, each of whose words is whole. Empty, it says that no category applies.
    List(Vec<String>),
}

/// How it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spelling {
    /// Otherwise than key and name: in case, by a space or a hyphen.
    pub loose: bool,
    /// By its position on the screen, from 1.
    pub number: bool,
}

impl LabelWords {
    /// A cell; `None` where it is blank.
    pub(crate) fn cell(cell: &str) -> Option<Self> {
        // A list as a program writes it into a cell.
        match cell.trim_start().starts_with('[').then(|| serde_json::from_str::<Vec<String>>(cell).ok()).flatten() {
            Some(words) => Some(words).filter(|words| !words.is_empty()).map(Self::List),
            None => Some(cell).filter(|cell| !cell.trim().is_empty()).map(|cell| Self::Cell(cell.to_owned())),
        }
    }

    /// What it says. `None` for what the taxonomy does not have, or not so many at once.
    pub(crate) fn read(&self, taxonomy: &Taxonomy) -> Option<(Label, Spelling)> {
        let (label, spelling) = match self {
            Self::List(words) => several(taxonomy, words.iter().map(String::as_str))?,
            Self::Cell(cell) => several(taxonomy, [cell.as_str()])
                .or_else(|| SEPARATORS.iter().find_map(|at| cut(taxonomy, cell, |c| c == *at)))
                .or_else(|| cut(taxonomy, cell, |c| SEPARATORS.contains(&c)))?,
        };
        taxonomy.check(&label).ok()?;
        Some((label, spelling))
    }

    /// Its words where there is no taxonomy to know them by; none of them for *None*.
    pub(crate) fn words(&self) -> Vec<String> {
        let words: Vec<&str> = match self {
            Self::Cell(cell) => cell.split([';', '|', '+', ',']).collect(),
            Self::List(words) => words.iter().map(String::as_str).collect(),
        };
        words.into_iter().map(str::trim).filter(|w| !w.is_empty() && !is_none(w)).map(str::to_owned).collect()
    }

    /// As it is shown to people.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Cell(cell) => cell.trim().to_owned(),
            Self::List(words) if words.is_empty() => "[]".to_owned(),
            Self::List(words) => words.join(" + "),
        }
    }
}

fn is_none(word: &str) -> bool {
    word.trim().eq_ignore_ascii_case("none")
}

/// A cell cut where it may be cut into more than one, if each part is known.
fn cut(taxonomy: &Taxonomy, cell: &str, at: impl Fn(char) -> bool) -> Option<(Label, Spelling)> {
    let words: Vec<&str> = cell.split(at).map(str::trim).filter(|word| !word.is_empty()).collect();
    if words.is_empty() { None } else { several(taxonomy, words) }
}

fn several<'a>(taxonomy: &Taxonomy, words: impl IntoIterator<Item = &'a str>) -> Option<(Label, Spelling)> {
    let (mut keys, mut spelling, mut none) = (Vec::new(), Spelling::default(), false);
    for word in words.into_iter().filter(|word| !word.trim().is_empty()) {
        if is_none(word) {
            none = true;
            continue;
        }
        let (key, written) = one(taxonomy, word)?;
        spelling = Spelling { loose: spelling.loose | written.loose, number: spelling.number | written.number };
        keys.push(key);
    }
    // *None* beside a category says two things at once.
    if none && !keys.is_empty() {
        return None;
    }
    Some((keys.into_iter().collect(), spelling))
}

/// One category by its key, name, earlier key, or number.
fn one(taxonomy: &Taxonomy, word: &str) -> Option<(CategoryKey, Spelling)> {
    if let Ok(key) = taxonomy.find(word) {
        let as_written = key.as_str() == word
            || taxonomy.get(&key).is_some_and(|category| {
                category.name == word || category.was.iter().any(|earlier| earlier.as_str() == word)
            });
        return Some((key, Spelling { loose: !as_written, number: false }));
    }
    let position: usize = word.trim().parse().ok()?;
    let category = taxonomy.categories().get(position.checked_sub(1)?)?;
    Some((category.key.clone(), Spelling { loose: false, number: true }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::category::CategoryKey;
    use crate::domain::taxonomy::{Category, Selection};

    fn taxonomy() -> Taxonomy {
        let category = |key: &str, name: &str, shortcut| Category {
            key: CategoryKey::new(key).unwrap(),
            name: name.into(),
            shortcut,
            definition: "what it is".into(),
            includes: vec![],
            excludes: vec![],
            examples: vec![],
            was: vec![],
        };
        let categories = vec![
            category("memory", "Memory", 'm'),
            category("concern", "Notice/concern by others", 'n'),
            category("dress", "Dressing, bathing; eating", 'd'),
        ];
        Taxonomy::new("small".into(), String::new(), Selection::Multiple, categories, vec![]).unwrap()
    }

    fn read(words: &LabelWords) -> Option<String> {
        words.read(&taxonomy()).map(|(label, _)| if label.is_none() { "None".into() } else { label.join() })
    }

    #[test]
    fn a_label_is_known_as_a_whole_before_it_is_cut() {
        for (cell, said) in [
            ("memory", Some("memory")),
            ("Dressing, bathing; eating", Some("dress")),
            ("Dressing, bathing; eating|Memory", Some("dress,memory")),
            ("memory;concern", Some("concern,memory")),
            ("Memory, Notice/concern by others", Some("concern,memory")),
            ("memory#dress", Some("dress,memory")),
            ("memory; dress, concern", Some("concern,dress,memory")),
            ("memory;", Some("memory")),
            (r#"["memory", "dress"]"#, Some("dress,memory")),
            ("None", Some("None")),
            ("NONE", Some("None")),
            // What is not known is not known in part.
            ("memory;strange", None),
            ("memories", None),
            ("Dressing", None),
            ("none;memory", None),
            ("nan", None),
            ("n/a", None),
            (";", None),
        ] {
            assert_eq!(read(&LabelWords::cell(cell).unwrap()).as_deref(), said, "{cell}");
        }
        for blank in ["", "  ", "[]"] {
            assert_eq!(LabelWords::cell(blank), None);
        }
    }

    #[test]
    fn case_space_and_numbers_are_taken_and_told() {
        for (cell, key, loose, number) in [
            ("memory", "memory", false, false),
            ("Memory", "memory", false, false),
            ("MEMORY", "memory", true, false),
            (" Memory", "memory", true, false),
            ("memory; dress", "dress,memory", false, false),
            ("notice / concern by others", "concern", true, false),
            ("3", "dress", false, true),
        ] {
            let (label, spelling) = LabelWords::cell(cell).unwrap().read(&taxonomy()).unwrap();
            assert_eq!((label.join().as_str(), spelling), (key, Spelling { loose, number }), "{cell}");
        }
        for no in ["0", "4", "-1", "1.0"] {
            assert_eq!(read(&LabelWords::Cell(no.into())), None, "{no}");
        }
    }
}
