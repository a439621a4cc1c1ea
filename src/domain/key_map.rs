//! What became of categories that were renamed, merged or split. A label that was given with an earlier key is read with the key
//! that took its place; what somebody said is never rewritten.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::category::{CategoryKey, names, words};
use super::label::{EntryId, Judgement, Label};
use super::taxonomy::Taxonomy;

/// The keys that a taxonomy no longer has, each with those that took its place: one where it was renamed or merged, several
/// where it was split.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyMap(BTreeMap<CategoryKey, BTreeSet<CategoryKey>>);

impl KeyMap {
    /// The map that the `was` of a taxonomy's categories tells.
    pub(crate) fn of(taxonomy: &Taxonomy) -> Self {
        let mut became: BTreeMap<CategoryKey, BTreeSet<CategoryKey>> = BTreeMap::new();
        for category in taxonomy.categories() {
            for earlier in &category.was {
                became.entry(earlier.clone()).or_default().insert(category.key.clone());
            }
        }
        Self(became)
    }

    /// A label as it is read today. `None` where one of its categories was split: which part holds, only people can say.
    pub(crate) fn map_label(&self, label: &Label) -> Option<Label> {
        if self.0.is_empty() || label.is_any() {
            return Some(label.clone());
        }
        let read = |key: &CategoryKey| match self.0.get(key) {
            None => Some(key.clone()),
            Some(became) if became.len() == 1 => became.first().cloned(),
            Some(_) => None,
        };
        label.keys().iter().map(read).collect()
    }

    /// A stand with its label as it is read today.
    pub(crate) fn map_judgement(&self, judgement: Judgement) -> Judgement {
        Judgement { label: judgement.label.and_then(|label| self.map_label(&label)), ..judgement }
    }

    /// A text of the guideline with today's keys: wherever it names one that became another, that other one stands.
    pub(crate) fn rewrite_keys(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        let mut told = String::with_capacity(text.len());
        for (word, named, rest) in words(text) {
            match self.0.iter().find(|(key, became)| named && key.as_str() == word && became.len() == 1) {
                Some((_, became)) => told.extend(became.iter().map(CategoryKey::as_str)),
                None => told.push_str(word),
            }
            told.push_str(rest);
        }
        told
    }

    /// The keys that were given up and that a text of the guideline names all the same.
    pub(crate) fn earlier_keys_in(&self, text: &str) -> Vec<&CategoryKey> {
        self.earlier_keys().filter(|key| names(text, key)).collect()
    }

    /// What became of a key; nothing if it is not one that was given up.
    pub(crate) fn replacements(&self, key: &CategoryKey) -> impl Iterator<Item = &CategoryKey> {
        self.0.get(key).into_iter().flatten()
    }

    /// The keys that were given up.
    pub(crate) fn earlier_keys(&self) -> impl Iterator<Item = &CategoryKey> {
        self.0.keys()
    }
}

/// That categories were renamed, merged or split, or that this was undone: what the log keeps of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaxonomyMigration {
    /// The hash of the guideline before; empty where none is known.
    pub before: String,
    pub after: String,
    /// How labels are read from here on.
    #[serde(rename = "lineage")]
    pub key_map: KeyMap,
    /// The change that it undoes, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<EntryId>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::taxonomy::Selection;
    use crate::domain::taxonomy::tests::small;

    fn key(key: &str) -> CategoryKey {
        CategoryKey::new(key).unwrap()
    }

    /// `memory`, `mood` and `care`, with what each was before.
    fn key_map(was: [&[&str]; 3]) -> KeyMap {
        let base = small(Selection::Multiple);
        let mut categories = base.categories().to_vec();
        for (category, was) in categories.iter_mut().zip(was) {
            category.was = was.iter().map(|was| key(was)).collect();
        }
        KeyMap::of(&Taxonomy::new("small".into(), String::new(), Selection::Multiple, categories, vec![]).unwrap())
    }

    #[test]
    fn the_guideline_speaks_of_categories_by_their_keys_of_today() {
        let key_map = key_map([&["recall", "cognition"], &["anger", "grief", "low_mood"], &["cognition"]]);
        for (text, told) in [
            ("Tears (grief), not `recall`", "Tears (mood), not `memory`"),
            // Plain English.
            ("Tears of grief (recall of it)", "Tears of grief (recall of it)"),
            ("(recall\u{e4}) (recall_2) (Recall) low_mood", "(recall\u{e4}) (recall_2) (Recall) mood"),
            ("(cognition)", "(cognition)"),
            ("", ""),
            ("\u{201e}(anger)", "\u{201e}(mood)"),
        ] {
            assert_eq!(key_map.rewrite_keys(text), told);
        }
        assert_eq!(key_map.earlier_keys_in("(cognition), (grief) and recall"), [&key("cognition"), &key("grief")]);
    }

    #[test]
    fn labels_are_read_with_the_keys_that_took_their_place() {
        type Was<'a> = [&'a [&'a str]; 3];
        let cases: [(Was<'_>, &str, Option<&str>); 10] = [
            ([&[], &[], &[]], "memory,mood", Some("memory,mood")),
            // Of another site's guideline: nothing is known of it.
            ([&[], &[], &[]], "strange", Some("strange")),
            // Renamed.
            ([&["recall"], &[], &[]], "recall", Some("memory")),
            ([&["recall"], &[], &[]], "", Some("")),
            ([&["recall"], &[], &[]], "any", Some("any")),
            // Merged: both at once are one.
            ([&[], &["anger", "grief"], &[]], "anger,grief", Some("mood")),
            ([&[], &["anger"], &[]], "anger,mood,care", Some("care,mood")),
            // Split: open again, whatever else it said.
            ([&["cognition"], &[], &["cognition"]], "cognition", None),
            ([&["cognition"], &[], &["cognition"]], "cognition,mood", None),
            ([&["cognition"], &[], &["cognition"]], "mood", Some("mood")),
        ];
        for (was, given, expected) in cases {
            let read = key_map(was).map_label(&Label::parse(given).unwrap());
            assert_eq!(read, expected.map(|label| Label::parse(label).unwrap()), "{given} under {was:?}");
        }
    }
}
