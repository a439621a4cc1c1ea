//! Taxonomy files: TOML in, a checked [`Taxonomy`] or every fault with line and column out.

mod edit;

use std::ops::Range;
use std::path::Path;

use super::toml_source::{TomlSource, TomlTable};
use super::{FormatError, read_text};
use crate::domain::category::CategoryKey;
use crate::domain::taxonomy::{Category, NoneGuide, Selection, Taxonomy, Variety};
use crate::domain::text::{look, misleading_word, visible};

#[cfg(test)]
pub(crate) use edit::SHORTCUTS;
pub(crate) use edit::{merged, renamed, restored, split, with_example};

/// The taxonomies that come with the program, by name.
pub(crate) const SHIPPED: &[(&str, &str)] = &[
    ("ad-signs", include_str!("../../taxonomy/ad-signs.toml")),
    ("note-sections", include_str!("../../taxonomy/note-sections.toml")),
];

/// Reads and checks a taxonomy file.
pub(crate) fn read(path: &Path) -> Result<Taxonomy, FormatError> {
    parse_own(path, &read_text(path)?)
}

/// Checks a taxonomy text as it was kept: by an earlier version of the guideline, or of another site. `path` is for messages.
pub fn parse(path: &Path, text: &str) -> Result<Taxonomy, FormatError> {
    checked(path, text, false)
}

/// Checks the text of a project's own taxonomy, whose names must show what they are as well. What was kept before they had to is
/// still read by [`parse`].
pub(crate) fn parse_own(path: &Path, text: &str) -> Result<Taxonomy, FormatError> {
    checked(path, text, true)
}

fn checked(path: &Path, text: &str, own: bool) -> Result<Taxonomy, FormatError> {
    let (mut source, root) = TomlSource::parse(text);
    let mut table = TomlTable::new(root.get_ref(), 0..0);
    let name = table.required(&mut source, "name").map_or_else(String::new, |(name, _)| name);
    let description = table.text(&mut source, "description").map_or_else(String::new, |(text, _)| text);
    let words = [("single", Selection::Single), ("multiple", Selection::Multiple)];
    let selection = table.word(&mut source, "selection", &words).unwrap_or(Selection::Single);
    let rules = table.texts(&mut source, "rules").unwrap_or_default();
    let mut categories: Vec<Placed> = Vec::new();
    let tables = table.tables(&mut source, "category");
    if tables.is_empty() {
        source.fault(0..0, "a taxonomy needs at least one [[category]]");
    }
    if let Some(extra) = tables.get(63) {
        source.fault(extra.span(), format!("{} categories are too many: 63 at most", tables.len()));
    }
    for table in tables {
        if let Some(read) = category(&mut source, table, own) {
            categories.push(read);
        }
    }
    for (i, Placed { category, key_at, name_at, shortcut_at, was_at }) in categories.iter().enumerate() {
        for Placed { category: earlier, .. } in &categories[..i] {
            if earlier.key == category.key {
                source.fault(key_at.clone(), format!("the key `{}` is used by an earlier category", category.key));
            }
            if own && look(&earlier.name) == look(&category.name) {
                source.fault(name_at.clone(), format!("the name cannot be told from that of `{}`", earlier.key));
            }
            if earlier.shortcut == category.shortcut {
                let message = format!("the shortcut `{}` is used by `{}` already", category.shortcut, earlier.key);
                source.fault(shortcut_at.clone(), message);
            }
        }
        for (key, at) in category.was.iter().zip(was_at) {
            if categories.iter().any(|other| other.category.key == *key) {
                source.fault(at.clone(), format!("`{key}` is a category; a key that was given up cannot be in use"));
            }
        }
    }
    let mut none = NoneGuide::default();
    if let Some(mut table) = table.table(&mut source, "none") {
        none.definition = table.text(&mut source, "definition").map_or_else(String::new, |(text, _)| text);
        none.examples = table.texts(&mut source, "examples").unwrap_or_default();
        table.close(&mut source);
    }
    let mut variety = Variety::default();
    if let Some(mut table) = table.table(&mut source, "variety") {
        let mut list = |key| table.texts(&mut source, key).unwrap_or_default();
        variety = Variety {
            kinds: list("kinds"),
            settings: list("settings"),
            people: list("people"),
            styles: list("styles"),
        };
        table.close(&mut source);
    }
    table.close(&mut source);
    let faults = source.into_faults();
    if !faults.is_empty() {
        return Err(FormatError::Faulty { path: path.into(), faults });
    }
    let categories = categories.into_iter().map(|placed| placed.category).collect();
    Taxonomy::new(name, description, selection, categories, rules)
        .map(|taxonomy| taxonomy.with(none, variety))
        .map_err(|error| FormatError::Taxonomy { path: path.into(), cause: error })
}

/// A category, and where in the file it says what other categories may contradict.
struct Placed {
    category: Category,
    key_at: Range<usize>,
    name_at: Range<usize>,
    shortcut_at: Range<usize>,
    was_at: Vec<Range<usize>>,
}

fn category<'t>(source: &mut TomlSource<'t>, mut table: TomlTable<'_, 't>, own: bool) -> Option<Placed> {
    let key = table.required(source, "key").and_then(|(text, at)| match CategoryKey::new(&text) {
        Ok(key) => Some((key, at)),
        Err(error) => {
            source.fault(at, error.to_string());
            None
        }
    });
    let name = table.required(source, "name");
    if let Some((name, at)) = name.as_ref().filter(|_| own) {
        let shown = visible(name).text;
        if shown != *name {
            source.fault(
                at.clone(),
                format!("the name has characters that cannot be seen, or drive a terminal: {shown}"),
            );
        } else if let Some(word) = misleading_word(name) {
            let fault = format!("`{word}` mixes alphabets: a letter in it only looks like a Latin one; type it anew");
            source.fault(at.clone(), fault);
        }
    }
    let shortcut = table.required(source, "shortcut").and_then(|(text, at)| {
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) if c.is_alphanumeric() => Some((c, at)),
            _ => {
                source.fault(at, format!("the shortcut \"{text}\" must be one letter or digit"));
                None
            }
        }
    });
    let definition = table.required(source, "definition");
    let includes = table.texts(source, "includes").unwrap_or_default();
    let excludes = table.texts(source, "excludes").unwrap_or_default();
    let examples = table.texts(source, "examples").unwrap_or_default();
    let was = table.placed_texts(source, "was").unwrap_or_default().into_iter();
    let read = |(text, at): (String, Range<usize>)| match CategoryKey::new(&text) {
        Ok(key) => Some((key, at)),
        Err(error) => {
            source.fault(at, error.to_string());
            None
        }
    };
    let (was, was_at) = was.filter_map(read).unzip();
    table.close(source);
    let ((key, key_at), (shortcut, shortcut_at)) = (key?, shortcut?);
    let ((name, name_at), definition) = (name?, definition?.0);
    let category = Category { key, name, shortcut, definition, includes, excludes, examples, was };
    Some(Placed { category, key_at, name_at, shortcut_at, was_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_taxonomy_is_sound() {
        for (name, text) in SHIPPED {
            let taxonomy = parse(Path::new(name), text).unwrap();
            assert_eq!(taxonomy.name(), *name);
            assert!(taxonomy.categories().iter().all(|c| !c.examples.is_empty()));
        }
        assert_eq!(parse(Path::new("x"), SHIPPED[0].1).unwrap().categories().len(), 9);
        assert_eq!(parse(Path::new("x"), SHIPPED[1].1).unwrap().categories().len(), 20);
    }

    /// A name is read by people: what they cannot see, or take for another letter, is no part of it.
    #[test]
    fn a_name_shows_what_it_is() {
        let said = |names: &[&str]| -> Vec<String> {
            let category = |(at, name): (usize, &&str)| {
                format!("[[category]]\nkey = \"k{at}\"\nname = \"{name}\"\nshortcut = \"{at}\"\ndefinition = \"d\"\n")
            };
            let text = format!(
                "name = \"x\"\nselection = \"single\"\n{}",
                names.iter().enumerate().map(category).collect::<String>()
            );
            assert!(parse(Path::new("t.toml"), &text).is_ok(), "what was kept is still read");
            match parse_own(Path::new("t.toml"), &text) {
                Ok(_) => Vec::new(),
                Err(FormatError::Faulty { faults, .. }) => faults.iter().map(ToString::to_string).collect(),
                Err(other) => panic!("{other}"),
            }
        };
        for sound in [
            "Memory",
            "Ged\u{e4}chtnis",
            "\u{8bb0}\u{5fc6}",
            "\u{3b2}-amyloid",
            "A\u{3b2} and tau",
            "\u{43f}\u{430}\u{43c}\u{44f}\u{442}\u{44c}",
        ] {
            assert_eq!(said(&[sound]), [""; 0], "{sound}");
        }
        for hidden in ["Mem\\u001b[31mory", "Memory\u{200b}", "Mem\u{202e}ory", "Mem\\u009bory", "Memory\\n"] {
            let faults = said(&[hidden]);
            assert!(faults.len() == 1 && faults[0].starts_with("5:8: the name has characters that"), "{faults:?}");
        }
        assert_eq!(
            said(&["M\u{435}mory"]),
            ["5:8: `M\u{435}mory` mixes alphabets: a letter in it only looks like a Latin one; type it anew"]
        );
        // Cyrillic alone, in the shape of a Latin word.
        assert_eq!(
            said(&["cope", "\u{441}\u{43e}\u{440}\u{435}"]),
            ["10:8: the name cannot be told from that of `k0`"]
        );
    }

    #[test]
    fn every_fault_is_named_by_line_and_column() {
        let text = r#"name = "x"
selection = "some"
colour = 1

[[category]]
key = "Bad Key"
name = "A"
shortcut = "ab"
definition = "d"

[[category]]
key = "good"
nam = "B"
shortcut = "b"
definition = 3

[[category]]
key = "good"
name = "C"
shortcut = "b"
definition = "d"
[[category]]
key = "good"
name = "D"
shortcut = "b"
definition = "e"
was = ["Old Key", "good"]
"#;
        let FormatError::Faulty { faults, .. } = parse(Path::new("t.toml"), text).unwrap_err() else {
            panic!("has faults");
        };
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let expected = [
            "2:13: `selection` must be \"single\" or \"multiple\", not \"some\"",
            "3:1: `colour` is not known here; known are name, description, selection, rules, category, none, variety",
            "6:7: `Bad Key` is no category key: use lower-case letters, digits and `_`, starting with a letter, 64 bytes at most",
            "8:12: the shortcut \"ab\" must be one letter or digit",
            "11:1: `name` is missing",
            "13:1: `nam` is not known here; did you mean `name`?",
            "15:14: `definition` must be a text in quotes, not an integer",
            "23:7: the key `good` is used by an earlier category",
            "25:12: the shortcut `b` is used by `good` already",
            "27:8: `Old Key` is no category key: use lower-case letters, digits and `_`, starting with a letter, 64 bytes at most",
            "27:19: `good` is a category; a key that was given up cannot be in use",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn broken_syntax_is_a_fault_with_a_place() {
        let FormatError::Faulty { faults, .. } = parse(Path::new("t.toml"), "name = \"x\nkey = ").unwrap_err() else {
            panic!("has faults");
        };
        assert_eq!((faults[0].line, faults[0].column > 0), (1, true));
    }
}
