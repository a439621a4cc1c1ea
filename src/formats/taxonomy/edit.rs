//! Changes of a taxonomy file that leave alone whatever they do not mean: comments, order, the user's own way of writing.

use std::path::Path;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike, Value, value};

use super::{parse, parse_own};
use crate::domain::category::CategoryKey;
use crate::domain::key_map::KeyMap;
use crate::domain::taxonomy::{Category, Taxonomy};
use crate::formats::FormatError;

/// The text of a taxonomy file with one more example in a category (`None`: of sentences without any).
pub(crate) fn with_example(
    path: &Path,
    text: &str,
    key: Option<&CategoryKey>,
    example: &str,
) -> Result<String, FormatError> {
    let file = TaxonomyEditor { path, text };
    file.edit(|document| {
        let table: &mut dyn TableLike = match key {
            None => {
                document.entry("none").or_insert(toml_edit::table()).as_table_like_mut().ok_or("`none` is no table")?
            }
            Some(key) => find(tables(document)?, key)?,
        };
        add(table, "examples", &[example])
    })
}

/// The text of a taxonomy file in which a category has another key, and another name if one is given.
pub(crate) fn renamed(
    path: &Path,
    text: &str,
    old: &CategoryKey,
    new: &CategoryKey,
    name: Option<&str>,
) -> Result<String, FormatError> {
    TaxonomyEditor { path, text }.edit(|document| {
        let table = find(tables(document)?, old)?;
        set(table, "key", new.as_str());
        if let Some(name) = name {
            set(table, "name", name);
        }
        add(table, "was", &[old.as_str()])?;
        take_out(table, "was", std::slice::from_ref(new));
        rewrite_keys(document);
        Ok(())
    })
}

/// The text of a taxonomy file in which several categories are one, at the place of the first of them, which says all that each
/// of them said. If it is one of them it keeps its name and shortcut.
pub(crate) fn merged(
    path: &Path,
    text: &str,
    keys: &[CategoryKey],
    into: &CategoryKey,
    name: Option<&str>,
) -> Result<String, FormatError> {
    let taxonomy = parse(path, text)?;
    let all: Vec<&Category> = taxonomy.categories().iter().filter(|category| keys.contains(&category.key)).collect();
    TaxonomyEditor { path, text }.edit(|document| {
        let joined = Category::joined(&all).ok_or("there is nothing to merge")?;
        let kept = all.iter().find(|category| category.key == *into).map_or(&joined, |category| *category);
        let names: Vec<&str> = all.iter().map(|category| category.name.as_str()).collect();
        let own = if kept.key == *into { kept.name.clone() } else { names.join(" / ") };
        let tables = tables(document)?;
        tables.retain(|table| !all[1..].iter().any(|category| is(table, &category.key)));
        let table = find(tables, &joined.key)?;
        set(table, "key", into.as_str());
        set(table, "name", name.unwrap_or(&own));
        set(table, "shortcut", &kept.shortcut.to_string());
        set(table, "definition", &joined.definition);
        for (list, lines) in
            [("includes", &joined.includes), ("excludes", &joined.excludes), ("examples", &joined.examples)]
        {
            add(table, list, &lines.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        if let Some(list) = table.get_mut("excludes").and_then(Item::as_array_mut) {
            list.retain(|item| joined.excludes.iter().any(|line| item.as_str() == Some(line)));
        }
        let earlier = all.iter().flat_map(|category| category.was.iter().chain([&category.key]));
        add(table, "was", &earlier.map(CategoryKey::as_str).collect::<Vec<_>>())?;
        take_out(table, "was", std::slice::from_ref(into));
        rewrite_keys(document);
        Ok(())
    })
}

/// What may be the shortcut of a new category: no action of the workbench has one of these keys.
pub(crate) const SHORTCUTS: &str = "123456789abdehimoptwxyz";

/// The text of a taxonomy file in which a category is several: new ones, that say what it said until somebody writes what tells
/// them apart, or such as are there already. The first new one has its shortcut, the others get one of [`SHORTCUTS`].
pub(crate) fn split(path: &Path, text: &str, old: &CategoryKey, into: &[CategoryKey]) -> Result<String, FormatError> {
    let taxonomy = parse(path, text)?;
    let earlier: Vec<&str> =
        taxonomy.get(old).into_iter().flat_map(|c| c.was.iter().chain([&c.key])).map(CategoryKey::as_str).collect();
    let mut free = SHORTCUTS.chars().filter(|key| taxonomy.categories().iter().all(|c| c.shortcut != *key));
    TaxonomyEditor { path, text }.edit(|document| {
        let tables = tables(document)?;
        let at = tables.iter().position(|table| is(table, old)).ok_or("the category is not there")?;
        let like = tables.remove(at);
        let mut new = 0;
        for key in into {
            if let Ok(table) = find(tables, key) {
                add(table, "was", &earlier)?;
                take_out(table, "was", into);
                continue;
            }
            let mut table = like.clone();
            if new > 0 {
                let key = free.next().ok_or("there are no shortcuts left for so many categories")?;
                set(&mut table, "shortcut", &key.to_string());
                // A comment above it was about the one.
                table.decor_mut().set_prefix("\n");
            }
            set(&mut table, "key", key.as_str());
            set(&mut table, "name", &title(key));
            add(&mut table, "was", &earlier)?;
            take_out(&mut table, "was", into);
            tables.insert(at + new, table);
            new += 1;
        }
        Ok(())
    })
}

/// An earlier text of a taxonomy file, `before`, put back in place of what is there `now`: a key that is known only now is read
/// as what its category came from.
pub(crate) fn restored(path: &Path, before: &str, now: &Taxonomy) -> Result<String, FormatError> {
    let taxonomy = parse(path, before)?;
    let (then, since) = (KeyMap::of(&taxonomy), KeyMap::of(now));
    let is_known = |key: &CategoryKey| taxonomy.get(key).is_some() || then.replacements(key).next().is_some();
    let came_from = |key: &CategoryKey| -> Vec<CategoryKey> {
        match taxonomy.get(key) {
            Some(category) => vec![category.key.clone()],
            None => {
                let was = now.get(key).map_or(&[][..], |category| &category.was);
                was.iter().filter(|key| taxonomy.get(key).is_some()).cloned().collect()
            }
        }
    };
    let new = now.categories().iter().map(|category| (&category.key, came_from(&category.key)));
    let earlier = since.earlier_keys().map(|key| (key, since.replacements(key).flat_map(came_from).collect()));
    let back: Vec<(&CategoryKey, Vec<CategoryKey>)> = new.chain(earlier).filter(|(key, _)| !is_known(key)).collect();
    TaxonomyEditor { path, text: before }.edit(|document| {
        let tables = tables(document)?;
        for (key, origins) in &back {
            for origin in origins {
                add(find(tables, origin)?, "was", &[key.as_str()])?;
            }
        }
        Ok(())
    })
}

/// A file that is to be changed.
struct TaxonomyEditor<'a> {
    path: &'a Path,
    text: &'a str,
}

impl TaxonomyEditor<'_> {
    /// Changes it, and makes sure that it is still a taxonomy.
    fn edit(&self, change: impl FnOnce(&mut DocumentMut) -> Result<(), &'static str>) -> Result<String, FormatError> {
        let unfit = |message: String| FormatError::Unfit { path: self.path.into(), message };
        let mut document: DocumentMut =
            self.text.parse().map_err(|error: toml_edit::TomlError| unfit(error.to_string()))?;
        change(&mut document).map_err(|message| unfit(message.to_owned()))?;
        let text = document.to_string();
        parse_own(self.path, &text)?;
        Ok(text)
    }
}

fn tables(document: &mut DocumentMut) -> Result<&mut ArrayOfTables, &'static str> {
    let found = document.get_mut("category").and_then(Item::as_array_of_tables_mut);
    found.ok_or("the categories are not written as [[category]] tables; write them so")
}

fn is(table: &Table, key: &CategoryKey) -> bool {
    table.get("key").and_then(Item::as_str) == Some(key.as_str())
}

fn find<'t>(tables: &'t mut ArrayOfTables, key: &CategoryKey) -> Result<&'t mut Table, &'static str> {
    tables
        .iter_mut()
        .find(|table| is(table, key))
        .ok_or("the category is not written as a [[category]] table of its own")
}

/// Writes a text where one stands, with what stands around it.
fn set(table: &mut Table, key: &str, text: &str) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(there) => rewrite(there, text),
        None => drop(table.insert(key, value(text))),
    }
}

fn rewrite(value: &mut Value, text: &str) {
    let around = value.decor().clone();
    *value = text.into();
    *value.decor_mut() = around;
}

/// Adds to a list of texts those that it does not have. A list over several lines goes on like its last line.
fn add(table: &mut dyn TableLike, key: &str, texts: &[&str]) -> Result<(), &'static str> {
    let has = |list: &Array, text: &str| list.iter().any(|item| item.as_str() == Some(text));
    if texts.is_empty() {
        return Ok(());
    }
    let list =
        table.entry(key).or_insert(value(Array::new())).as_array_mut().ok_or("what is to be added to is no list")?;
    for text in texts {
        if has(list, text) {
            continue;
        }
        let last = list.get(list.len().wrapping_sub(1)).map(|last| last.decor().clone());
        let like =
            last.filter(|decor| decor.prefix().and_then(|before| before.as_str()).is_some_and(|b| b.contains('\n')));
        list.push(*text);
        let last = list.len() - 1;
        if let (Some(decor), Some(value)) = (like, list.get_mut(last)) {
            *value.decor_mut() = decor;
        }
    }
    Ok(())
}

/// Takes keys out of a list: those that are in use again.
fn take_out(table: &mut Table, list: &str, keys: &[CategoryKey]) {
    if let Some(list) = table.get_mut(list).and_then(Item::as_array_mut) {
        list.retain(|item| !keys.iter().any(|key| item.as_str() == Some(key.as_str())));
    }
}

/// Names categories by their keys of today wherever the guideline speaks of them.
fn rewrite_keys(document: &mut DocumentMut) {
    let Ok(taxonomy) = parse(Path::new(""), &document.to_string()) else {
        // What is wrong is said when the change is done.
        return;
    };
    let key_map = KeyMap::of(&taxonomy);
    let tell = |value: &mut Value| {
        let told = value.as_str().map(|text| key_map.rewrite_keys(text)).filter(|told| value.as_str() != Some(told));
        if let Some(told) = told {
            rewrite(value, &told);
        }
    };
    let all = |item: &mut Item| match item.as_value_mut() {
        Some(Value::Array(list)) => list.iter_mut().for_each(tell),
        Some(value) => tell(value),
        None => {}
    };
    for table in tables(document).into_iter().flat_map(ArrayOfTables::iter_mut) {
        for part in ["definition", "includes", "excludes"] {
            table.get_mut(part).into_iter().for_each(all);
        }
    }
    document.get_mut("rules").into_iter().for_each(all);
    document.get_mut("none").and_then(|none| none.get_mut("definition")).into_iter().for_each(all);
}

/// A key as a name: `recent_memory` is "Recent memory".
fn title(key: &CategoryKey) -> String {
    let words = key.as_str().replace('_', " ");
    let mut chars = words.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::guideline::{GuidelineChange, diff};
    use crate::formats::taxonomy::SHIPPED;

    fn key(key: &str) -> CategoryKey {
        CategoryKey::new(key).unwrap()
    }

    fn read(text: &str) -> Taxonomy {
        parse(Path::new("x"), text).unwrap()
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

    const THREE: &str = r#"name = "x"

# Of moods.
[[category]]
key = "sad" # once `low`
name = "Sad"
shortcut = "s"
definition = "Is sad."
includes = ["tears"]
was = ["low"]

[[category]]
key = "angry"
name = "Angry"
shortcut = "y"
definition = "Is angry."
examples = [
    "He shouts.",
]
excludes = ["Tears (sad)"]

# Something else.
[[category]]
key = "pain"
name = "Pain"
shortcut = "p"
definition = "Hurts."
excludes = ["Tears without pain (sad)"] # hard to tell
"#;

    #[test]
    fn a_renamed_category_keeps_its_place_and_its_past() {
        let x = Path::new("x");
        let written = renamed(x, THREE, &key("sad"), &key("grief"), Some("Grief")).unwrap();
        let expected = THREE
            .replace("key = \"sad\"", "key = \"grief\"")
            .replace("\"Sad\"", "\"Grief\"")
            .replace("was = [\"low\"]", "was = [\"low\", \"sad\"]")
            .replace("(sad)", "(grief)");
        assert_eq!(written, expected);
        assert!(renamed(x, THREE, &key("sad"), &key("pain"), None).is_err(), "two with one key");
        let back = renamed(x, THREE, &key("sad"), &key("low"), None).unwrap();
        assert_eq!(read(&back).categories()[0].was, [key("sad")], "as it was called once");
    }

    #[test]
    fn a_merged_category_says_all_that_each_said() {
        let x = Path::new("x");
        let written = merged(x, THREE, &[key("angry"), key("sad")], &key("mood"), None).unwrap();
        let taxonomy = read(&written);
        let mood = &taxonomy.categories()[0];
        assert_eq!(
            (mood.name.as_str(), mood.shortcut, mood.definition.as_str()),
            ("Sad / Angry", 's', "Is sad. Is angry.")
        );
        assert_eq!(
            (&mood.includes[..], &mood.examples[..]),
            (&["tears".to_owned()][..], &["He shouts.".to_owned()][..])
        );
        assert_eq!(mood.was, [key("low"), key("sad"), key("angry")]);
        assert_eq!(taxonomy.categories().len(), 2);
        assert!(
            written.contains("# Of moods.")
                && written.contains("# once `low`")
                && written.contains("# Something else.")
        );
        let changes = diff(&read(THREE), &taxonomy);
        assert_eq!(changes, [GuidelineChange::Merged { from: vec![key("sad"), key("angry")], into: key("mood") }]);

        let written = merged(x, THREE, &[key("sad"), key("angry")], &key("angry"), None).unwrap();
        let angry = read(&written).categories()[0].clone();
        assert_eq!((angry.key, angry.name.as_str(), angry.shortcut), (key("angry"), "Angry", 'y'));
        assert_eq!(angry.was, [key("low"), key("sad")]);
    }

    #[test]
    fn a_split_category_is_several_that_say_the_same() {
        let x = Path::new("x");
        let written = split(x, THREE, &key("sad"), &[key("grief"), key("low_mood"), key("pain")]).unwrap();
        let taxonomy = read(&written);
        let shown: Vec<(&str, &str, char)> =
            taxonomy.categories().iter().map(|c| (c.key.as_str(), c.name.as_str(), c.shortcut)).collect();
        assert_eq!(
            shown,
            [("grief", "Grief", 's'), ("low_mood", "Low mood", '1'), ("angry", "Angry", 'y'), ("pain", "Pain", 'p')]
        );
        for at in [0, 1, 3] {
            assert_eq!(taxonomy.categories()[at].was, [key("low"), key("sad")], "{at}");
        }
        assert_eq!(written.matches("# Of moods.").count(), 1);
        let into = vec![key("grief"), key("low_mood"), key("pain")];
        assert_eq!(diff(&read(THREE), &taxonomy), [GuidelineChange::Split { from: key("sad"), into }]);
    }

    /// What is undone is the text that was there, and labels that were given meanwhile find their way back.
    #[test]
    fn what_is_undone_reads_new_labels_as_what_they_came_from() {
        let x = Path::new("x");
        let key_map = |text: &str| {
            let key_map = KeyMap::of(&read(text));
            let became =
                |key: &CategoryKey| key_map.replacements(key).map(CategoryKey::as_str).collect::<Vec<_>>().join("|");
            key_map.earlier_keys().map(|key| format!("{key}>{}", became(key))).collect::<Vec<_>>().join(" ")
        };
        let changed = [
            (renamed(x, THREE, &key("sad"), &key("grief"), None).unwrap(), "grief>sad low>sad"),
            (merged(x, THREE, &[key("sad"), key("angry")], &key("mood"), None).unwrap(), "low>sad mood>angry|sad"),
            (merged(x, THREE, &[key("sad"), key("angry")], &key("angry"), None).unwrap(), "low>sad"),
            (split(x, THREE, &key("sad"), &[key("grief"), key("blue")]).unwrap(), "blue>sad grief>sad low>sad"),
        ];
        for (text, expected) in changed {
            let back = restored(x, THREE, &read(&text)).unwrap();
            assert_eq!(key_map(&back), expected, "{text}");
            let rest = |text: &str| text.lines().filter(|line| !line.starts_with("was")).collect::<Vec<_>>().join("\n");
            assert_eq!(rest(&back), rest(THREE));
        }
    }
}
