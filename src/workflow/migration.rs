//! Categories renamed, merged or split: what a change of the taxonomy file would do to the labels that there are, shown before it
//! is done; done in the file and in the log; and undone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::project::Project;
use super::{WorkflowError, guideline, identity, new_entry_id, now, unfinished};
use crate::domain::category::CategoryKey;
use crate::domain::guideline::{GuidelineChange, Outdated, diff};
use crate::domain::key_map::{KeyMap, TaxonomyMigration};
use crate::domain::label::Label;
use crate::domain::person::Role;
use crate::domain::taxonomy::{Taxonomy, TaxonomyError};
use crate::formats::{put_beside, read_text, taxonomy};
use crate::store::{LabelGiver, Store};
use crate::workflow::refusal::{Refusal, RefusalKind};

/// What is to be done to categories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MigrationRequest {
    /// One gets another key, and another name if one is given.
    Rename {
        /// The category, by key or name.
        category: String,
        /// Its new key.
        key: String,
        /// Its new name.
        name: Option<String>,
    },
    /// Several become one: one of them, another one, or a new one.
    Merge {
        /// The categories, by key or name.
        categories: Vec<String>,
        /// The key of the one.
        into: String,
        name: Option<String>,
    },
    /// One becomes several: new ones or such as are there. All that was said with it is open again.
    Split {
        /// The category, by key or name.
        category: String,
        /// The keys of its parts.
        into: Vec<String>,
    },
    /// The latest of these is undone: the file is as it was before, and labels that were given since are read as what their
    /// category came from.
    Undo,
    /// What somebody wrote into the taxonomy file is taken over.
    FromFile,
}

/// Says what a request would do, and does nothing.
pub(crate) fn plan(project: &Project, request: &MigrationRequest) -> Result<MigrationPlan, WorkflowError> {
    let store = match request {
        MigrationRequest::FromFile => project.store_as_it_is()?,
        _ => project.store()?,
    };
    match request {
        MigrationRequest::Rename { category, key, name } => rename(project, &store, category, key, name.as_deref()),
        MigrationRequest::Merge { categories, into, name } => merge(project, &store, categories, into, name.as_deref()),
        MigrationRequest::Split { category, into } => split(project, &store, category, into),
        MigrationRequest::Undo => undo(project, &store),
        MigrationRequest::FromFile => by_hand(project, &store),
    }
}

/// Makes the change in the file and in the log: in both or in none. What breaks off between the two is ended by the next command.
pub(crate) fn apply(project: &Project, plan: &MigrationPlan) -> Result<(), WorkflowError> {
    let _span = tracing::info_span!("migrate_taxonomy").entered();
    let mut store = project.store_as_it_is()?;
    identity::require(project, &store, &[Role::Lead], "change the guideline's categories")?;
    write(project, &mut store, plan)
}

/// How a label is read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase", tag = "as", content = "label")]
pub(crate) enum LabelReading {
    /// With keys of the guideline.
    Label(Label),
    /// Not at all: a category of it was split, and people are asked again.
    Open,
    /// With a key that the guideline does not know: it is no gold.
    Unknown(Label),
}

impl LabelReading {
    fn of(given: &Label, key_map: &KeyMap, taxonomy: &Taxonomy) -> Self {
        match key_map.map_label(given) {
            None => Self::Open,
            Some(label) if label.is_any() || taxonomy.knows(&label) => Self::Label(label),
            Some(label) => Self::Unknown(label),
        }
    }
}

/// How many labels are read otherwise after a change, in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RelabelCount {
    /// As they are read now.
    pub from: LabelReading,
    /// As they would be read.
    pub to: LabelReading,
    /// Experts' current labels.
    pub experts: u64,
    /// Adjudicators' words that hold.
    pub adjudicators: u64,
    /// Machines' labels of sentences in notes.
    pub machines: u64,
    /// Sentences that a language model wrote for the label.
    pub written: u64,
}

/// A change that has not been made yet.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct MigrationPlan {
    /// The taxonomy file as it would be.
    #[serde(skip)]
    text: String,
    #[serde(skip)]
    migration: TaxonomyMigration,
    /// What would be different in the guideline.
    pub changes: Vec<GuidelineChange>,
    /// What would be read otherwise, in the order of how it is read now.
    pub moves: Vec<RelabelCount>,
    /// Lines of the guideline that would still name a key that is given up.
    pub stale: Vec<String>,
    /// Lines of the taxonomy file that were written since the change that is undone, and would be lost.
    pub lost: Vec<String>,
    /// Experts' labels that were given since to a category which others had been merged into and which stays: they stay too.
    pub unsure: u64,
    /// The guideline as it would be; for names.
    #[serde(skip)]
    pub taxonomy: Taxonomy,
}

impl MigrationPlan {
    /// Labels of experts and adjudicators that would be open again.
    pub(crate) fn reopened(&self) -> u64 {
        let opened = self.moves.iter().filter(|one| one.to == LabelReading::Open);
        opened.map(|one| one.experts + one.adjudicators).sum()
    }
}

fn rename(
    project: &Project,
    store: &Store,
    old: &str,
    new: &str,
    name: Option<&str>,
) -> Result<MigrationPlan, WorkflowError> {
    let old = project.taxonomy.find(old)?;
    let new = new_key(project, new, std::slice::from_ref(&old))?;
    let path = &project.file.taxonomy;
    plan_for(project, store, taxonomy::renamed(path, &project.guideline, &old, &new, name)?)
}

fn merge(
    project: &Project,
    store: &Store,
    keys: &[String],
    into: &str,
    name: Option<&str>,
) -> Result<MigrationPlan, WorkflowError> {
    let mut keys = keys.iter().map(|key| project.taxonomy.find(key)).collect::<Result<Vec<_>, _>>()?;
    let into = match in_the_guideline(project, into) {
        Some(key) => {
            keys.push(key.clone());
            key
        }
        None => new_key(project, into, &keys)?,
    };
    keys.sort();
    keys.dedup();
    if keys.len() < 2 {
        return Err(Refusal::invalid("CATEGORY", "one category alone cannot be merged")
            .hint("name at least two, or use `goldsmith taxonomy rename`")
            .into());
    }
    let path = &project.file.taxonomy;
    plan_for(project, store, taxonomy::merged(path, &project.guideline, &keys, &into, name)?)
}

fn split(project: &Project, store: &Store, old: &str, into: &[String]) -> Result<MigrationPlan, WorkflowError> {
    let old = project.taxonomy.find(old)?;
    let mut parts: Vec<CategoryKey> = Vec::new();
    for word in into {
        let part = match in_the_guideline(project, word).filter(|key| *key != old) {
            Some(key) => key,
            None => new_key(project, word, std::slice::from_ref(&old))?,
        };
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    if parts.len() < 2 {
        return Err(Refusal::invalid("--into", "a category is split into at least two; `--into` names each")
            .hint("the old key cannot be one of them: labels that have it would be taken for the new category")
            .into());
    }
    let path = &project.file.taxonomy;
    plan_for(project, store, taxonomy::split(path, &project.guideline, &old, &parts)?)
}

fn undo(project: &Project, store: &Store) -> Result<MigrationPlan, WorkflowError> {
    let Some((undone, latest)) = store.migration_to_undo()? else {
        let said = "no rename, merge or split of categories is left to undo";
        return Err(Refusal::new(RefusalKind::NothingToDo, said).into());
    };
    let Some((hash, before)) = store.taxonomy(&latest.before)?.filter(|_| !latest.before.is_empty()) else {
        let said = "the guideline from before that change is not in this store";
        return Err(Refusal::not_found("version of the guideline", &latest.before, said)
            .hint("change the taxonomy file by hand")
            .into());
    };
    let path = &project.file.taxonomy;
    // The text as it was may have faults only if somebody wrote into the store.
    taxonomy::parse(Path::new(&hash), &before)?;
    let mut plan = plan_for(project, store, taxonomy::restored(path, &before, &project.taxonomy)?)?;
    plan.migration.undoes = Some(undone);
    let now = store.latest_migration()?.map(|migration| migration.after).unwrap_or_default();
    if let Some((_, then)) = store.taxonomy(&now)?.filter(|_| !now.is_empty()) {
        let then: BTreeSet<&str> = then.lines().collect();
        let since = project.guideline.lines().filter(|line| !line.trim().is_empty() && !then.contains(line));
        plan.lost = since.map(str::to_owned).collect();
    }
    // A category that took others in and stays one: which of the labels given since are of those others is not known.
    let back = |key: &CategoryKey| plan.taxonomy.get(key).is_some();
    let kept = project.taxonomy.categories().iter().filter(|c| back(&c.key) && c.was.iter().any(back));
    let categories: Vec<CategoryKey> = kept.map(|category| category.key.clone()).collect();
    if !categories.is_empty() {
        let since = Outdated { taxonomy: project.taxonomy.hash(), all: false, categories, none: false };
        plan.unsure = store.outdated_count(&[since])?;
    }
    Ok(plan)
}

fn by_hand(project: &Project, store: &Store) -> Result<MigrationPlan, WorkflowError> {
    if KeyMap::of(&project.taxonomy) == *store.key_map() {
        let said = format!(
            "{} says nothing of categories that were renamed, merged or split that is not done already",
            project.file.taxonomy.display()
        );
        return Err(Refusal::new(RefusalKind::NothingToDo, said)
            .hint("`was = [\"earlier_key\"]` in a [[category]] says what a category was before")
            .into());
    }
    plan_for(project, store, project.guideline.clone())
}

fn write(project: &Project, store: &mut Store, plan: &MigrationPlan) -> Result<(), WorkflowError> {
    identity::sign(project, store)?;
    let path = &project.file.taxonomy;
    let MigrationPlan { text, migration, .. } = plan;
    let mut versions = vec![(migration.after.as_str(), text.as_str())];
    if project.taxonomy.hash() == migration.before {
        // With its comments as they stand, for whoever undoes this.
        versions.insert(0, (&migration.before, &project.guideline));
    }
    let entry = new_entry_id();
    // The new file waits beside the old one, on the disk, before the log says anything.
    let written: Result<(), WorkflowError> =
        store.migrate_taxonomy((&entry, now(), &project.annotator), migration, &versions, || {
            if read_text(path)? != project.guideline {
                let said = format!("{} has changed in the meantime; nothing was changed", path.display());
                return Err(Refusal::new(RefusalKind::OutOfDate { path: path.clone() }, said)
                    .hint("run it without --yes to see the new plan")
                    .into());
            }
            if *text != project.guideline {
                put_beside(path, &entry.0, text)?;
            }
            Ok(())
        });
    let settled = unfinished::settle(path, &project.file.store, &|| project.store_key());
    written?;
    settled.map_err(|error| {
        let said = format!("the log has the change, but {} could not be replaced yet", path.display());
        Refusal::new(RefusalKind::OutOfDate { path: path.clone() }, said)
            .hint("its new text waits beside it; any command takes it over once the file can be written")
            .because(error)
            .into()
    })
}

/// Sees to it that labels are read as the taxonomy file says. Where that changes no label that there is, nobody needs to be
/// asked.
pub(super) fn ensure_migrated(project: &Project, store: &mut Store) -> Result<(), WorkflowError> {
    if KeyMap::of(&project.taxonomy) == *store.key_map() {
        return Ok(());
    }
    let plan = plan_for(project, store, project.guideline.clone())?;
    if plan.moves.is_empty() {
        return write(project, store, &plan);
    }
    let touched: u64 = plan.moves.iter().map(|m| m.experts + m.adjudicators + m.machines + m.written).sum();
    let path = project.file.taxonomy.clone();
    let said = format!(
        "{} renames, merges or splits categories, and {touched} labels would be read differently",
        path.display()
    );
    Err(Refusal::new(RefusalKind::OutOfDate { path }, said)
        .hint("`goldsmith taxonomy migrate` shows how, `goldsmith taxonomy migrate --yes` does it")
        .hint("if nobody has changed that file, begin with `goldsmith audit`")
        .into())
}

/// Experts' and adjudicators' labels that name a category which the guideline does not have: another site's, or one that was
/// taken out. They are no gold.
pub(crate) fn unknown_labels(project: &Project, store: &Store) -> Result<Vec<(Label, u64)>, WorkflowError> {
    let mut all: BTreeMap<Label, u64> = BTreeMap::new();
    for (speaker, given, count) in store.original_labels()? {
        let people = matches!(speaker, LabelGiver::Expert | LabelGiver::Adjudicator);
        if let (true, LabelReading::Unknown(label)) =
            (people, LabelReading::of(&given, store.key_map(), &project.taxonomy))
        {
            *all.entry(label).or_default() += count;
        }
    }
    Ok(all.into_iter().collect())
}

fn plan_for(project: &Project, store: &Store, text: String) -> Result<MigrationPlan, WorkflowError> {
    let taxonomy = taxonomy::parse(&project.file.taxonomy, &text)?;
    let after = taxonomy.hash();
    let (before, current) = in_use(store, &after)?.unwrap_or_else(|| (String::new(), project.taxonomy.clone()));
    let key_map = KeyMap::of(&taxonomy);
    let mut moves: BTreeMap<(LabelReading, LabelReading), RelabelCount> = BTreeMap::new();
    for (speaker, given, count) in store.original_labels()? {
        let from = LabelReading::of(&given, store.key_map(), &current);
        let to = LabelReading::of(&given, &key_map, &taxonomy);
        if from == to {
            continue;
        }
        let nothing =
            RelabelCount { from: from.clone(), to: to.clone(), experts: 0, adjudicators: 0, machines: 0, written: 0 };
        let one = moves.entry((from, to)).or_insert(nothing);
        *match speaker {
            LabelGiver::Expert => &mut one.experts,
            LabelGiver::Adjudicator => &mut one.adjudicators,
            LabelGiver::Machine => &mut one.machines,
            LabelGiver::Generator => &mut one.written,
        } += count;
    }
    Ok(MigrationPlan {
        changes: diff(&current, &taxonomy),
        moves: moves.into_values().collect(),
        stale: lines_with_earlier_keys(&taxonomy, &key_map),
        lost: Vec::new(),
        unsure: 0,
        migration: TaxonomyMigration { before, after, key_map, undoes: None },
        taxonomy,
        text,
    })
}

fn lines_with_earlier_keys(taxonomy: &Taxonomy, key_map: &KeyMap) -> Vec<String> {
    let of_all = taxonomy.rules().iter().chain([&taxonomy.none().definition]);
    let of_each =
        taxonomy.categories().iter().flat_map(|c| [&c.definition].into_iter().chain(&c.includes).chain(&c.excludes));
    of_all.chain(of_each).filter(|line| !key_map.earlier_keys_in(line).is_empty()).cloned().collect()
}

/// The version before `after`: the one in use, or where that is not known the one that this store's latest decision was made by.
fn in_use(store: &Store, after: &str) -> Result<Option<(String, Taxonomy)>, WorkflowError> {
    let other = |hash: &String| hash != after;
    let in_use = store.taxonomy_in_use()?.filter(other);
    let known = match in_use {
        Some(hash) => Some(hash),
        None => store.taxonomy_of_latest_decision()?.filter(other),
    };
    // A decision may name a version whose text is not here.
    match known.filter(|hash| !hash.is_empty()) {
        Some(hash) => guideline::version(store, &hash),
        None => Ok(None),
    }
}

/// The key, if a category has it.
fn in_the_guideline(project: &Project, word: &str) -> Option<CategoryKey> {
    CategoryKey::new(word.trim()).ok().filter(|key| project.taxonomy.get(key).is_some())
}

/// A key that no category has, nor had, but those that it takes the place of.
fn new_key(project: &Project, word: &str, replaced: &[CategoryKey]) -> Result<CategoryKey, WorkflowError> {
    let key = CategoryKey::new(word.trim()).map_err(TaxonomyError::from)?;
    for category in project.taxonomy.categories() {
        if category.key == key {
            let said = format!("there is a category `{key}` already");
            return Err(Refusal::exists(key.to_string(), said)
                .hint("`goldsmith taxonomy merge` makes one of two")
                .into());
        }
        if category.was.contains(&key) && !replaced.contains(&category.key) {
            let said = format!("`{key}` was a category before it became `{}`, and labels have it", category.key);
            return Err(Refusal::exists(key.to_string(), said).hint("take another key").into());
        }
    }
    Ok(key)
}

#[cfg(test)]
mod tests;
