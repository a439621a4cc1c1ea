//! Taxonomy files: TOML in, a checked [`Taxonomy`] or every fault with line and column out.

use std::ops::Range;
use std::path::Path;

use super::toml_source::{Source, Table};
use super::{FormatError, project};
use crate::domain::taxonomy::{Category, CategoryKey, NoneGuide, Selection, Taxonomy, Variety};

/// The taxonomies that come with the program, by name.
pub const SHIPPED: &[(&str, &str)] = &[
    ("ad-signs", include_str!("../../taxonomy/ad-signs.toml")),
    ("note-sections", include_str!("../../taxonomy/note-sections.toml")),
];

/// Reads and checks a taxonomy file.
pub fn read(path: &Path) -> Result<Taxonomy, FormatError> {
    parse(path, &project::read_text(path)?)
}

/// Checks a taxonomy text; `path` is for messages.
pub fn parse(path: &Path, text: &str) -> Result<Taxonomy, FormatError> {
    let (mut source, root) = Source::parse(text);
    let mut table = Table::new(root.get_ref(), 0..0);
    let name = table.required(&mut source, "name").map_or_else(String::new, |(name, _)| name);
    let description = table.text(&mut source, "description").map_or_else(String::new, |(text, _)| text);
    let words = [("single", Selection::Single), ("multiple", Selection::Multiple)];
    let selection = table.word(&mut source, "selection", &words).unwrap_or(Selection::Single);
    let rules = table.texts(&mut source, "rules").unwrap_or_default();
    let mut categories: Vec<(Category, Range<usize>, Range<usize>)> = Vec::new();
    let tables = table.tables(&mut source, "category");
    if tables.is_empty() {
        source.fault(0..0, "a taxonomy needs at least one [[category]]");
    }
    if let Some(extra) = tables.get(63) {
        source.fault(extra.span(), format!("{} categories are too many: 63 at most", tables.len()));
    }
    for table in tables {
        if let Some(read) = category(&mut source, table) {
            categories.push(read);
        }
    }
    for (i, (category, key_at, shortcut_at)) in categories.iter().enumerate() {
        for (earlier, _, _) in &categories[..i] {
            if earlier.key == category.key {
                source.fault(key_at.clone(), format!("the key `{}` is used by an earlier category", category.key));
            }
            if earlier.shortcut == category.shortcut {
                let message = format!("the shortcut `{}` is used by `{}` already", category.shortcut, earlier.key);
                source.fault(shortcut_at.clone(), message);
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
    let categories = categories.into_iter().map(|(category, _, _)| category).collect();
    Taxonomy::new(name, description, selection, categories, rules)
        .map(|taxonomy| taxonomy.with(none, variety))
        .map_err(|error| FormatError::Unfit { path: path.into(), message: error.to_string() })
}

/// The text of a taxonomy file with one more example in a category (`None`: of sentences without any). All else, comments too,
/// stays as it is.
pub fn with_example(path: &Path, text: &str, key: Option<&CategoryKey>, example: &str) -> Result<String, FormatError> {
    let unfit = |message: String| FormatError::Unfit { path: path.into(), message };
    let mut document: toml_edit::DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| unfit(e.to_string()))?;
    let table = match key {
        None => document.entry("none").or_insert(toml_edit::table()).as_table_like_mut(),
        Some(key) => document
            .get_mut("category")
            .and_then(toml_edit::Item::as_array_of_tables_mut)
            .and_then(|all| all.iter_mut().find(|t| t.get("key").and_then(|k| k.as_str()) == Some(key.as_str())))
            .map(|table| table as &mut dyn toml_edit::TableLike),
    };
    let table = table.ok_or_else(|| unfit("the category is not written as a [[category]] table of its own".into()))?;
    let examples = table.entry("examples").or_insert(toml_edit::value(toml_edit::Array::new()));
    let list = examples.as_array_mut().ok_or_else(|| unfit("`examples` is no list".into()))?;
    // A list over several lines goes on like its last line.
    let like = list.get(list.len().wrapping_sub(1)).map(|last| last.decor().clone());
    list.push(example);
    let last = list.len() - 1;
    if let (Some(decor), Some(value)) = (like, list.get_mut(last)) {
        *value.decor_mut() = decor;
    }
    let text = document.to_string();
    parse(path, &text)?;
    Ok(text)
}

fn category<'t>(source: &mut Source<'t>, mut table: Table<'_, 't>) -> Option<(Category, Range<usize>, Range<usize>)> {
    let key = table.required(source, "key").and_then(|(text, at)| match CategoryKey::new(&text) {
        Ok(key) => Some((key, at)),
        Err(error) => {
            source.fault(at, error.to_string());
            None
        }
    });
    let name = table.required(source, "name");
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
    table.close(source);
    let ((key, key_at), (shortcut, shortcut_at)) = (key?, shortcut?);
    let (name, definition) = (name?.0, definition?.0);
    Some((Category { key, name, shortcut, definition, includes, excludes, examples }, key_at, shortcut_at))
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

    #[test]
    fn an_example_is_added_and_all_else_stays() {
        for (name, text) in SHIPPED {
            let before = parse(Path::new(name), text).unwrap();
            let key = before.categories()[1].key.clone();
            let written = with_example(Path::new(name), text, Some(&key), "He \"loses\" the thread.").unwrap();
            let after = parse(Path::new(name), &written).unwrap();
            assert_eq!(after.categories()[1].examples.last().unwrap(), "He \"loses\" the thread.");
            assert_eq!(after.categories()[1].examples.len(), before.categories()[1].examples.len() + 1);
            assert_ne!(after.hash(), before.hash());
            // One line is new, and none is lost.
            let gone = text.lines().filter(|line| !written.contains(line.trim_end_matches(','))).count();
            assert!(gone <= 1, "{gone} lines of {name} are gone");
            let none = with_example(Path::new(name), text, None, "Knee pain.").unwrap();
            assert_eq!(parse(Path::new(name), &none).unwrap().none().examples.last().unwrap(), "Knee pain.");
        }
        let bare =
            "name = \"x\"\n# kept\n[[category]]\nkey = \"a\"\nname = \"A\"\nshortcut = \"a\"\ndefinition = \"d\"\n";
        let key = CategoryKey::new("a").unwrap();
        let written = with_example(Path::new("x"), bare, Some(&key), "One.").unwrap();
        assert_eq!(written, format!("{bare}examples = [\"One.\"]\n"));
        assert!(with_example(Path::new("x"), bare, Some(&CategoryKey::new("b").unwrap()), "One.").is_err());
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
