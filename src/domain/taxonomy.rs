//! The taxonomy: the categories, their guideline, and how many of them a sentence may carry.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::category::{BadKey, CategoryKey, names};
use super::label::Label;
use super::label_set::{Assigned, LabelSet};

/// How many categories a sentence may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    /// At most one: one key decides.
    Single,
    /// Any number: keys toggle and Enter commits.
    Multiple,
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single => "single",
            Self::Multiple => "multiple",
        })
    }
}

/// One category with its part of the guideline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Category {
    /// Stable key in data.
    pub key: CategoryKey,
    /// Name that people read.
    pub name: String,
    /// The key that assigns it in Review.
    pub shortcut: char,
    /// What the category is, in a sentence or two.
    pub definition: String,
    /// What counts.
    pub includes: Vec<String>,
    /// What does not count, and where it belongs instead.
    pub excludes: Vec<String>,
    /// Example sentences, written for the guideline.
    pub examples: Vec<String>,
    /// Keys that it took the place of: its own earlier one, or those of categories that were merged into it. A key that several
    /// categories name was split between them. See [`super::key_map`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub was: Vec<CategoryKey>,
}

impl Category {
    /// What several categories are as one: all that each of them says, once, but for what tells them from each other. Key, name
    /// and shortcut are the first one's.
    pub(crate) fn joined(all: &[&Self]) -> Option<Self> {
        let (first, rest) = all.split_first()?;
        let mut one = (*first).clone();
        let add = |list: &mut Vec<String>, more: &[String]| {
            let new: Vec<String> = more.iter().filter(|item| !list.contains(item)).cloned().collect();
            list.extend(new);
        };
        let mut definitions = vec![first.definition.trim().to_owned()];
        for other in rest {
            add(&mut definitions, &[other.definition.trim().to_owned()]);
            add(&mut one.includes, &other.includes);
            add(&mut one.excludes, &other.excludes);
            add(&mut one.examples, &other.examples);
        }
        one.definition = definitions.join(" ");
        one.excludes.retain(|line| !all.iter().any(|category| names(line, &category.key)));
        Some(one)
    }
}

/// The part of the guideline about sentences that carry no category.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NoneGuide {
    /// What such sentences are like; empty where the guideline does not say.
    pub definition: String,
    /// Example sentences, written for the guideline.
    pub examples: Vec<String>,
}

/// What made-up notes are varied by, for sentences that a language model writes. No part of the guideline: it changes
/// nothing of what a label means.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Variety {
    pub kinds: Vec<String>,
    /// Where the patient is seen.
    pub settings: Vec<String>,
    /// Who the patient is.
    pub people: Vec<String>,
    /// How the note is written.
    pub styles: Vec<String>,
}

/// What is wrong with a taxonomy as a whole or with a label under it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaxonomyError {
    /// A key outside the permitted form.
    #[error(transparent)]
    BadKey(#[from] BadKey),
    /// A key that means something else everywhere.
    #[error("`{0}` cannot be a category: `none` stands for the empty label and `any` for a category not named")]
    Reserved(String),
    /// No category at all.
    #[error("a taxonomy needs at least one category")]
    Empty,
    /// More categories than a label's bit set can hold.
    #[error("{0} categories are too many: 63 at most")]
    TooMany(usize),
    /// The same key twice.
    #[error("the key `{0}` is used by two categories")]
    DuplicateKey(String),
    /// The same shortcut twice.
    #[error("the shortcut `{0}` is used by `{1}` and `{2}`")]
    DuplicateShortcut(char, String, String),
    /// A key that was given up and is in use all the same.
    #[error("`{0}` is a category, and stands in the `was` of `{1}`; a key that was given up cannot be in use")]
    NotGivenUp(String, String),
    /// A label with a key that the taxonomy does not have.
    #[error("`{word}` is no category of this taxonomy{}", hint(.nearest))]
    UnknownCategory {
        /// What was asked for.
        word: String,
        /// The key that it may have meant.
        nearest: Option<String>,
    },
    /// More than one category where one is allowed.
    #[error("{0} categories, but this taxonomy allows one for a sentence")]
    TooManySelected(usize),
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |n| format!("; did you mean `{n}`?"))
}

/// A checked taxonomy. Positions in [`Taxonomy::categories`] are the indices used by bit sets, confusion matrices and
/// classifier outputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Taxonomy {
    name: String,
    description: String,
    selection: Selection,
    categories: Vec<Category>,
    rules: Vec<String>,
    none: NoneGuide,
    variety: Variety,
}

impl Taxonomy {
    /// Checks what only the whole can show: unique keys and shortcuts, 1 to 63 categories.
    pub(crate) fn new(
        name: String,
        description: String,
        selection: Selection,
        categories: Vec<Category>,
        rules: Vec<String>,
    ) -> Result<Self, TaxonomyError> {
        if categories.is_empty() {
            return Err(TaxonomyError::Empty);
        }
        if categories.len() > 63 {
            return Err(TaxonomyError::TooMany(categories.len()));
        }
        for (i, category) in categories.iter().enumerate() {
            if matches!(category.key.as_str(), "none" | Label::ANY) {
                return Err(TaxonomyError::Reserved(category.key.to_string()));
            }
            for earlier in &categories[..i] {
                if earlier.key == category.key {
                    return Err(TaxonomyError::DuplicateKey(category.key.to_string()));
                }
                if earlier.shortcut == category.shortcut {
                    return Err(TaxonomyError::DuplicateShortcut(
                        category.shortcut,
                        earlier.key.to_string(),
                        category.key.to_string(),
                    ));
                }
            }
        }
        for category in &categories {
            let in_use = |earlier: &&CategoryKey| categories.iter().any(|other| other.key == **earlier);
            if let Some(earlier) = category.was.iter().find(in_use) {
                return Err(TaxonomyError::NotGivenUp(earlier.to_string(), category.key.to_string()));
            }
        }
        let (none, variety) = Default::default();
        Ok(Self { name, description, selection, categories, rules, none, variety })
    }

    /// Says what sentences without a category are like, and what made-up notes are varied by.
    #[must_use]
    pub(crate) fn with(self, none: NoneGuide, variety: Variety) -> Self {
        Self { none, variety, ..self }
    }

    /// The guideline for sentences without a category.
    pub fn none(&self) -> &NoneGuide {
        &self.none
    }

    /// What made-up notes are varied by.
    pub(crate) fn variety(&self) -> &Variety {
        &self.variety
    }

    /// The taxonomy's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the taxonomy is about.
    pub(crate) fn description(&self) -> &str {
        &self.description
    }

    /// At most one category, or any number.
    pub(crate) fn selection(&self) -> Selection {
        self.selection
    }

    /// The categories in the order of the file.
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// Rules that settle doubts between categories.
    pub(crate) fn rules(&self) -> &[String] {
        &self.rules
    }

    /// The position of a key.
    pub(crate) fn index_of(&self, key: &CategoryKey) -> Option<usize> {
        self.categories.iter().position(|c| &c.key == key)
    }

    /// The category of a key.
    pub(crate) fn get(&self, key: &CategoryKey) -> Option<&Category> {
        self.categories.iter().find(|c| &c.key == key)
    }

    /// Reads one category from a person's or a file's word for it: its key, a key that it alone took the place of, its name, or
    /// else key or name in any case and spacing, if that fits one category alone.
    pub(crate) fn find(&self, word: &str) -> Result<CategoryKey, TaxonomyError> {
        let word = word.trim();
        let mut heirs = self.categories.iter().filter(|c| c.was.iter().any(|earlier| earlier.as_str() == word));
        let heir = heirs.next().filter(|_| heirs.next().is_none());
        self.categories
            .iter()
            .find(|c| c.key.as_str() == word)
            .or(heir)
            .or_else(|| self.categories.iter().find(|c| c.name == word))
            .or_else(|| {
                let mut alike =
                    self.categories.iter().filter(|c| same_name(&c.name, word) || same_name(c.key.as_str(), word));
                alike.next().filter(|_| alike.next().is_none())
            })
            .map(|c| c.key.clone())
            .ok_or_else(|| TaxonomyError::UnknownCategory { word: word.to_owned(), nearest: self.nearest(word) })
    }

    /// Checks that a label's keys exist and that their number is allowed.
    pub(crate) fn check(&self, label: &Label) -> Result<(), TaxonomyError> {
        let unknown = label.keys().iter().find(|key| self.index_of(key).is_none()).map(CategoryKey::as_str);
        if let Some(word) = unknown.or(label.is_any().then_some(Label::ANY)) {
            return Err(TaxonomyError::UnknownCategory { word: word.to_owned(), nearest: self.nearest(word) });
        }
        if self.selection == Selection::Single && label.keys().len() > 1 {
            return Err(TaxonomyError::TooManySelected(label.keys().len()));
        }
        Ok(())
    }

    /// Whether a label says which categories a sentence has, and all of them are this taxonomy's.
    pub(crate) fn knows(&self, label: &Label) -> bool {
        !label.is_any() && label.keys().iter().all(|key| self.index_of(key).is_some())
    }

    /// A label as a set of categories by position. `None` for one that this taxonomy does not [know](Taxonomy::knows): it must
    /// not be taken for one of fewer categories, or for *None*.
    pub(crate) fn set(&self, label: &Label) -> Option<LabelSet> {
        if label.is_any() { None } else { label.keys().iter().map(|key| self.index_of(key)).collect() }
    }

    /// What a machine's label says; `None` where it names a category that is not this taxonomy's.
    pub(crate) fn assigned(&self, label: &Label) -> Option<Assigned> {
        if label.is_any() { Some(Assigned::Any) } else { self.set(label).map(Assigned::Categories) }
    }

    /// The label of a set that [`Taxonomy::set`] made.
    pub(crate) fn label(&self, set: LabelSet) -> Label {
        set.iter().filter_map(|category| Some(self.categories.get(category)?.key.clone())).collect()
    }

    /// The label of what [`Taxonomy::assigned`] made.
    pub(crate) fn label_assigned(&self, assigned: Assigned) -> Label {
        assigned.categories().map_or_else(Label::any, |set| self.label(set))
    }

    /// A label as people read it: names joined by ` + `, or `None`.
    pub(crate) fn describe(&self, label: &Label) -> String {
        if label.is_none() {
            return "None".to_owned();
        }
        if label.is_any() {
            return "some category".to_owned();
        }
        let names: Vec<&str> =
            label.keys().iter().map(|k| self.get(k).map_or(k.as_str(), |category| category.name.as_str())).collect();
        names.join(" + ")
    }

    /// SHA-256 over the content, in hexadecimal: the version that runs and decisions remember.
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        let mut field = |text: &str| {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        field(&self.name);
        field(&self.selection.to_string());
        for category in &self.categories {
            field(category.key.as_str());
            field(&category.name);
            field(&category.definition);
            for list in [&category.includes, &category.excludes, &category.examples] {
                field(&list.len().to_string());
                list.iter().for_each(|item| field(item));
            }
            // Absent, it counts for nothing, so that versions from before there was such a thing keep their names.
            if !category.was.is_empty() {
                field("was");
                field(&category.was.len().to_string());
                category.was.iter().for_each(|key| field(key.as_str()));
            }
        }
        field(&self.rules.len().to_string());
        self.rules.iter().for_each(|rule| field(rule));
        field(&self.none.definition);
        self.none.examples.iter().for_each(|example| field(example));
        hex::encode(hasher.finalize())
    }

    fn nearest(&self, word: &str) -> Option<String> {
        let word = word.to_lowercase();
        self.categories
            .iter()
            .map(|c| (strsim::levenshtein(&word, c.key.as_str()), c.key.to_string()))
            .min()
            .filter(|(distance, key)| *distance <= key.len() / 3)
            .map(|(_, key)| key)
    }
}

fn same_name(name: &str, word: &str) -> bool {
    let plain =
        |s: &str| -> String { s.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect() };
    !word.is_empty() && plain(name) == plain(word)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small taxonomy for tests: `memory` (m), `mood` (o), `care` (c).
    pub(crate) fn small(selection: Selection) -> Taxonomy {
        let category = |key: &str, name: &str, shortcut| Category {
            key: CategoryKey::new(key).unwrap(),
            name: name.into(),
            shortcut,
            definition: format!("{name} is affected"),
            includes: vec![],
            excludes: vec![],
            examples: vec![],
            was: vec![],
        };
        let categories =
            vec![category("memory", "Memory", 'm'), category("mood", "Mood", 'o'), category("care", "Care", 'c')];
        Taxonomy::new("small".into(), String::new(), selection, categories, vec![]).unwrap()
    }

    #[test]
    fn a_label_survives_its_set() {
        let taxonomy = small(Selection::Multiple);
        for set in (0..8).map(LabelSet::from_bits) {
            assert_eq!(taxonomy.set(&taxonomy.label(set)), Some(set));
            assert!(taxonomy.knows(&taxonomy.label(set)));
        }
        let strange = Label::parse("memory,strange").unwrap();
        assert_eq!(
            (taxonomy.knows(&strange), taxonomy.set(&strange), taxonomy.assigned(&strange)),
            (false, None, None)
        );
        let any = Label::any();
        assert_eq!((taxonomy.knows(&any), taxonomy.set(&any)), (false, None));
        assert_eq!(taxonomy.assigned(&any).map(|assigned| taxonomy.label_assigned(assigned)), Some(any));
    }

    #[test]
    fn a_category_is_found_by_key_or_name_and_a_typo_gets_a_hint() {
        let taxonomy = small(Selection::Single);
        assert_eq!(taxonomy.find(" MEMORY ").unwrap().as_str(), "memory");
        let error = taxonomy.find("memry").unwrap_err();
        assert!(error.to_string().ends_with("did you mean `memory`?"), "{error}");
    }

    #[test]
    fn an_earlier_key_finds_what_took_its_place_unless_it_was_split() {
        let key = |key: &str| CategoryKey::new(key).unwrap();
        let mut categories = small(Selection::Single).categories().to_vec();
        categories[0].was = vec![key("recall"), key("cognition")];
        categories[1].was = vec![key("cognition")];
        let made = |categories| Taxonomy::new("s".into(), String::new(), Selection::Single, categories, vec![]);
        let taxonomy = made(categories.clone()).unwrap();
        assert_eq!(taxonomy.find("recall").unwrap().as_str(), "memory");
        assert!(taxonomy.find("cognition").is_err());
        assert_ne!(taxonomy.hash(), small(Selection::Single).hash());
        categories[0].was = vec![key("care")];
        assert_eq!(made(categories), Err(TaxonomyError::NotGivenUp("care".into(), "memory".into())));
    }

    #[test]
    fn single_selection_refuses_two() {
        let two = small(Selection::Multiple).label(LabelSet::from_bits(3));
        assert_eq!(small(Selection::Single).check(&two), Err(TaxonomyError::TooManySelected(2)));
        assert_eq!(small(Selection::Multiple).check(&two), Ok(()));
    }

    #[test]
    fn the_hash_follows_the_guideline() {
        let one = small(Selection::Single);
        let mut other = one.clone();
        assert_eq!(one.hash(), other.hash());
        other.categories[0].definition.push('!');
        assert_ne!(one.hash(), other.hash());
    }

    /// Runs and decisions remember the guideline by its hash: these values are on users' disks and never edited.
    #[test]
    fn a_guideline_has_the_hash_that_it_always_had() {
        let plain = small(Selection::Single);
        assert_eq!(plain.hash(), "1ded814c721606d19953037430d07849c50efc2a82f868093e757a1512993f81");
        let mut full = small(Selection::Multiple);
        full.categories[1] = Category {
            includes: vec!["Tears".into(), "Low spirits".into()],
            excludes: vec!["Tiredness (care)".into()],
            examples: vec!["She wept.".into()],
            was: vec![CategoryKey::new("affect").unwrap()],
            ..full.categories[1].clone()
        };
        full.rules = vec!["What is told of others does not count.".into()];
        full.description = "counts for nothing".into();
        full.none = NoneGuide { definition: "All else".into(), examples: vec!["Größe 1,80 m.".into()] };
        full.variety.styles = vec!["counts for nothing".into()];
        assert_eq!(full.hash(), "403861f628b0c64a021fd4008ede608d48aed38c9a205544d1f55335f8d2e307");
    }
}
