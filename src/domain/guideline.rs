//! What changed between two versions of a guideline, and which labels that puts in question.

use serde::{Deserialize, Serialize};

use super::category::CategoryKey;
use super::key_map::KeyMap;
#[cfg(test)]
use super::label::Label;
use super::taxonomy::{Category, Taxonomy};

/// A part of a guideline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GuidelinePart {
    /// The name that people read.
    Name,
    /// The key that assigns it.
    Shortcut,
    Definition,
    /// What counts.
    Includes,
    /// What does not.
    Excludes,
    /// Example sentences.
    Examples,
}

impl GuidelinePart {
    /// Its word in the file.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Shortcut => "shortcut",
            Self::Definition => "definition",
            Self::Includes => "includes",
            Self::Excludes => "excludes",
            Self::Examples => "examples",
        }
    }

    /// Whether a label given before the change may no longer be right. Names, keys and examples change no meaning.
    pub(crate) fn changes_meaning(self) -> bool {
        matches!(self, Self::Definition | Self::Includes | Self::Excludes)
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GuidelineChange {
    /// A category that was not there before.
    Added(CategoryKey),
    /// A category that is no longer there.
    Removed(CategoryKey),
    /// The same category under another key.
    Renamed { from: CategoryKey, to: CategoryKey },
    /// Several categories became one.
    Merged { from: Vec<CategoryKey>, into: CategoryKey },
    /// One category became several. Its labels are open again.
    Split {
        from: CategoryKey,
        /// The several.
        into: Vec<CategoryKey>,
    },
    /// A part of a category reads otherwise.
    Changed {
        /// Which category; `None` for *None*.
        category: Option<CategoryKey>,
        part: GuidelinePart,
        /// Lines that are gone.
        before: Vec<String>,
        /// Lines that are new.
        after: Vec<String>,
    },
    /// The rules between categories read otherwise.
    Rules {
        /// Rules that are gone.
        before: Vec<String>,
        /// Rules that are new.
        after: Vec<String>,
    },
    /// Sentences may carry one category, and could carry several, or the other way round.
    Selection,
}

/// Every difference between two versions, in the order of the later file. That a text names another category by the key that it
/// has now is none.
pub(crate) fn diff(before: &Taxonomy, after: &Taxonomy) -> Vec<GuidelineChange> {
    let mut changes = Vec::new();
    let key_map = KeyMap::of(after);
    let told = |category: &Category| {
        let all = |lines: &[String]| lines.iter().map(|line| key_map.rewrite_keys(line)).collect();
        Category {
            definition: key_map.rewrite_keys(&category.definition),
            includes: all(&category.includes),
            excludes: all(&category.excludes),
            ..category.clone()
        }
    };
    if before.selection() != after.selection() {
        changes.push(GuidelineChange::Selection);
    }
    let split = |key: &CategoryKey| key_map.replacements(key).nth(1).is_some();
    for category in after.categories() {
        let key = &category.key;
        let names = |earlier: &Category| earlier.key == *key || category.was.contains(&earlier.key);
        let (parted, whole): (Vec<&Category>, Vec<_>) =
            before.categories().iter().filter(|earlier| names(earlier)).partition(|earlier| split(&earlier.key));
        match whole[..] {
            [] if parted.is_empty() => changes.push(GuidelineChange::Added(key.clone())),
            [] => {}
            [earlier] => {
                if earlier.key != *key {
                    changes.push(GuidelineChange::Renamed { from: earlier.key.clone(), to: key.clone() });
                }
                changes.extend(between(&told(earlier), category));
            }
            _ => {
                let from = whole.iter().map(|earlier| earlier.key.clone()).collect();
                changes.push(GuidelineChange::Merged { from, into: key.clone() });
                // It may be called what it will; what it says is held to all that they said.
                if let Some(joined) = Category::joined(&whole) {
                    let joined = Category { name: category.name.clone(), shortcut: category.shortcut, ..told(&joined) };
                    changes.extend(between(&joined, category));
                }
            }
        }
    }
    for category in before.categories().iter().filter(|category| after.get(&category.key).is_none()) {
        let into: Vec<CategoryKey> = key_map.replacements(&category.key).cloned().collect();
        match into.len() {
            0 => changes.push(GuidelineChange::Removed(category.key.clone())),
            1 => {}
            _ => changes.push(GuidelineChange::Split { from: category.key.clone(), into }),
        }
    }
    let one = |text: &str| vec![text.to_owned()];
    let none = [
        (
            GuidelinePart::Definition,
            one(&key_map.rewrite_keys(&before.none().definition)),
            one(&after.none().definition),
        ),
        (GuidelinePart::Examples, before.none().examples.clone(), after.none().examples.clone()),
    ];
    changes.extend(none.into_iter().filter_map(|(part, before, after)| changed(None, part, before, after)));
    if let Some((before, after)) =
        lines(before.rules().iter().map(|rule| key_map.rewrite_keys(rule)).collect(), after.rules().to_vec())
    {
        changes.push(GuidelineChange::Rules { before, after });
    }
    changes
}

fn between(before: &Category, after: &Category) -> Vec<GuidelineChange> {
    let one = |text: &str| vec![text.to_owned()];
    let parts = [
        (GuidelinePart::Name, one(&before.name), one(&after.name)),
        (GuidelinePart::Shortcut, one(&before.shortcut.to_string()), one(&after.shortcut.to_string())),
        (GuidelinePart::Definition, one(&before.definition), one(&after.definition)),
        (GuidelinePart::Includes, before.includes.clone(), after.includes.clone()),
        (GuidelinePart::Excludes, before.excludes.clone(), after.excludes.clone()),
        (GuidelinePart::Examples, before.examples.clone(), after.examples.clone()),
    ];
    parts.into_iter().filter_map(|(part, b, a)| changed(Some(after.key.clone()), part, b, a)).collect()
}

fn changed(
    category: Option<CategoryKey>,
    part: GuidelinePart,
    before: Vec<String>,
    after: Vec<String>,
) -> Option<GuidelineChange> {
    lines(before, after).map(|(before, after)| GuidelineChange::Changed { category, part, before, after })
}

/// What is only in the one and only in the other; `None` where both say the same. The order of lines is no difference.
fn lines(before: Vec<String>, after: Vec<String>) -> Option<(Vec<String>, Vec<String>)> {
    let only = |a: &[String], b: &[String]| a.iter().filter(|line| !b.contains(line)).cloned().collect::<Vec<_>>();
    let (gone, new) = (only(&before, &after), only(&after, &before));
    (!gone.is_empty() || !new.is_empty()).then_some((gone, new))
}

/// Labels that were given by a version of the guideline and are in question now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outdated {
    /// The version, by its hash.
    pub taxonomy: String,
    /// All its labels, because what holds for all of them changed: the rules, or how many categories a sentence may carry.
    pub all: bool,
    /// Those with one of these categories.
    pub categories: Vec<CategoryKey>,
    /// Those without any.
    pub none: bool,
}

impl Outdated {
    /// What changes put in question among the labels of a version, as they are read today; `None` if nothing. A new category puts
    /// *None* in question, as a sentence may belong to it.
    pub(crate) fn by(taxonomy: &str, changes: &[GuidelineChange]) -> Option<Self> {
        let mut outdated = Self { taxonomy: taxonomy.to_owned(), all: false, categories: Vec::new(), none: false };
        for change in changes {
            match change {
                GuidelineChange::Added(_) => outdated.none = true,
                GuidelineChange::Removed(key) => outdated.categories.push(key.clone()),
                GuidelineChange::Renamed { .. } | GuidelineChange::Merged { .. } | GuidelineChange::Split { .. } => {}
                GuidelineChange::Changed { part, .. } if !part.changes_meaning() => {}
                GuidelineChange::Changed { category: Some(key), .. } => outdated.categories.push(key.clone()),
                GuidelineChange::Changed { category: None, .. } => outdated.none = true,
                GuidelineChange::Rules { .. } | GuidelineChange::Selection => outdated.all = true,
            }
        }
        outdated.categories.sort();
        outdated.categories.dedup();
        (outdated.all || outdated.none || !outdated.categories.is_empty()).then_some(outdated)
    }

    /// Whether a label of that version is in question.
    #[cfg(test)]
    pub(crate) fn concerns(&self, label: &Label) -> bool {
        self.all || (self.none && label.is_none()) || label.keys().iter().any(|key| self.categories.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::taxonomy::tests::small;
    use crate::domain::taxonomy::{NoneGuide, Selection};

    fn version(edit: impl FnOnce(&mut Vec<Category>)) -> Taxonomy {
        let base = small(Selection::Single);
        let mut categories = base.categories().to_vec();
        edit(&mut categories);
        Taxonomy::new("small".into(), String::new(), Selection::Single, categories, vec![]).unwrap()
    }

    fn label(keys: &str) -> Label {
        Label::parse(keys).unwrap()
    }

    fn key(key: &str) -> CategoryKey {
        CategoryKey::new(key).unwrap()
    }

    /// What is said of a change, and which of today's categories are asked again.
    #[test]
    fn what_was_renamed_merged_or_split_is_no_new_meaning() {
        let merged = |edit: fn(&mut Category)| {
            version(|c| {
                let mut one = Category::joined(&[&c[0], &c[1]]).unwrap();
                (one.key, one.name, one.was) = (key("mind"), "Mind".into(), vec![key("memory"), key("mood")]);
                edit(&mut one);
                c.splice(0..2, [one]);
            })
        };
        let renamed = |edit: fn(&mut Category)| {
            version(|c| {
                (c[0].key, c[0].was) = (key("recall"), vec![key("memory")]);
                edit(&mut c[0]);
            })
        };
        let split = version(|c| {
            let mut other = c[0].clone();
            (c[0].key, c[0].was) = (key("recent"), vec![key("memory")]);
            (other.key, other.was, other.shortcut) = (key("remote"), vec![key("memory")], 'r');
            c.push(other);
        });
        let (memory, mood) = (key("memory"), key("mood"));
        let to_recall = GuidelineChange::Renamed { from: memory.clone(), to: key("recall") };
        let to_mind = GuidelineChange::Merged { from: vec![memory.clone(), mood], into: key("mind") };
        let parted = GuidelineChange::Split { from: memory, into: vec![key("recent"), key("remote")] };
        for (after, first, asked) in [
            (renamed(|_| {}), &to_recall, None),
            (renamed(|c| c.definition.push('!')), &to_recall, Some("recall")),
            (merged(|_| {}), &to_mind, None),
            (merged(|c| c.examples.push("She weeps.".into())), &to_mind, None),
            (merged(|c| c.definition = "Narrower".into()), &to_mind, Some("mind")),
            (split, &parted, None),
        ] {
            let changes = diff(&version(|_| {}), &after);
            assert_eq!(&changes[0], first, "{changes:?}");
            let outdated = Outdated::by("t", &changes);
            assert_eq!(
                outdated.map(|o| (o.categories, o.none)),
                asked.map(|asked| (vec![key(asked)], false)),
                "{first:?}"
            );
        }
    }

    /// Before, after, and whether labels of `memory`, `mood` and None given before are in question.
    #[test]
    fn only_what_changed_its_meaning_is_asked_again() {
        let base = || version(|_| {});
        let cases: Vec<(&str, Taxonomy, [bool; 3])> = vec![
            ("nothing", base(), [false, false, false]),
            ("a name", version(|c| c[0].name = "Remembering".into()), [false, false, false]),
            ("an example", version(|c| c[0].examples.push("She forgets.".into())), [false, false, false]),
            ("a definition", version(|c| c[0].definition.push('!')), [true, false, false]),
            ("what counts", version(|c| c[1].includes.push("tears".into())), [false, true, false]),
            ("one is gone", version(|c| drop(c.remove(0))), [true, false, false]),
            (
                "one is new",
                version(|c| c.push(Category { key: CategoryKey::new("new").unwrap(), shortcut: 'n', ..c[0].clone() })),
                [false, false, true],
            ),
            (
                "None",
                base().with(NoneGuide { definition: "all else".into(), examples: vec![] }, Default::default()),
                [false, false, true],
            ),
            ("several", small(Selection::Multiple), [true, true, true]),
        ];
        for (what, after, expected) in cases {
            let outdated = Outdated::by("t", &diff(&base(), &after));
            let concerns = |keys: &str| outdated.as_ref().is_some_and(|o| o.concerns(&label(keys)));
            assert_eq!([concerns("memory"), concerns("mood"), concerns("")], expected, "{what}");
        }
    }

    #[test]
    fn a_change_says_what_was_and_what_is() {
        let after = version(|c| {
            c[0].includes = vec!["names".into(), "faces".into()];
            c.swap(1, 2);
        });
        let expected = GuidelineChange::Changed {
            category: Some(CategoryKey::new("memory").unwrap()),
            part: GuidelinePart::Includes,
            before: vec![],
            after: vec!["names".into(), "faces".into()],
        };
        assert_eq!(diff(&version(|_| {}), &after), [expected]);
    }
}
