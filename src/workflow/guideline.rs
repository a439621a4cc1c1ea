//! The guideline as a living thing: every version is kept by its content, and what a change puts in question is queued again.

use std::path::Path;

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::WorkflowError;
use super::project::Project;
use crate::domain::corpus::{Origin, SentenceId};
use crate::domain::guideline::{GuidelineChange, Outdated, diff};
use crate::domain::label::{Label, Timestamp};
use crate::domain::phi;
use crate::domain::split::Split;
use crate::domain::taxonomy::Taxonomy;
use crate::formats::{read_text, replace, taxonomy};
use crate::store::Store;
use crate::workflow::refusal::{Refusal, RefusalKind};

/// A version of the guideline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Version {
    /// SHA-256 of its content, in hexadecimal.
    pub hash: String,
    /// When it was first used.
    pub since: Timestamp,
    /// Current labels of experts that were given by it.
    pub labels: u64,
    /// Whether it is in use.
    pub current: bool,
}

/// All versions that this project has used, oldest first.
pub(crate) fn versions(project: &Project, store: &Store) -> Result<Vec<Version>, WorkflowError> {
    let current = project.taxonomy.hash();
    let given: FxHashMap<String, u64> = store.decisions_by_taxonomy()?.into_iter().collect();
    let version = |(hash, since): (String, _)| {
        let labels = given.get(&hash).copied().unwrap_or_default();
        Version { current: hash == current, hash, since, labels }
    };
    Ok(store.taxonomy_hashes()?.into_iter().map(version).collect())
}

/// Two versions and what is between them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Compared {
    /// What the earlier one is called.
    pub before: String,
    /// And the later.
    pub after: String,
    /// Every difference.
    pub changes: Vec<GuidelineChange>,
    /// Current labels of experts, given by any earlier version, that the guideline in use puts in question.
    pub outdated: u64,
}

/// Compares two versions, each a file or the beginning of a hash. Without the second it is the one in use, and without the
/// first the one used before.
pub(crate) fn compare(
    project: &Project,
    store: &Store,
    before: Option<&str>,
    after: Option<&str>,
) -> Result<Compared, WorkflowError> {
    let current = project.taxonomy.hash();
    let (before, earlier) = match before {
        Some(name) => find(store, name)?,
        None => {
            let all = store.taxonomy_hashes()?;
            let previous = all.iter().rev().find(|(hash, _)| *hash != current);
            let Some((hash, _)) = previous else {
                return Err(Refusal::too_early("another version", "there is only one version as yet")
                    .hint("a change of the taxonomy file makes another")
                    .into());
            };
            find(store, hash)?
        }
    };
    let (after, later) = match after {
        Some(name) => find(store, name)?,
        None => (current, project.taxonomy.clone()),
    };
    let in_question = outdated(project, store)?;
    let outdated = if in_question.is_empty() { 0 } else { store.outdated_count(&in_question)? };
    Ok(Compared { before, after, changes: diff(&earlier, &later), outdated })
}

/// A version by its hash or the beginning of it, if it is kept here.
pub(super) fn version(store: &Store, hash: &str) -> Result<Option<(String, Taxonomy)>, WorkflowError> {
    let Some((hash, content)) = store.taxonomy(hash)? else {
        return Ok(None);
    };
    let read = taxonomy::parse(Path::new(&hash), &content)?;
    Ok(Some((hash, read)))
}

/// A version by a file, or by its hash or the beginning of it.
fn find(store: &Store, name: &str) -> Result<(String, Taxonomy), WorkflowError> {
    let path = Path::new(name);
    if path.is_file() {
        return Ok((name.to_owned(), taxonomy::read(path)?));
    }
    version(store, name)?.ok_or_else(|| {
        let said = format!("`{name}` is neither a file nor the beginning of a version's hash");
        Refusal::not_found("version of the guideline", name, said)
            .hint("`goldsmith taxonomy versions` lists them")
            .into()
    })
}

/// Whether a version of the guideline has the categories of the one in use, in the same order, by whatever keys they went then.
pub(super) fn has_same_categories(project: &Project, store: &Store, hash: &str) -> Result<bool, WorkflowError> {
    if hash == project.taxonomy.hash() {
        return Ok(true);
    }
    if hash.is_empty() {
        return Ok(false);
    }
    let Some((_, then)) = version(store, hash)? else {
        return Ok(false);
    };
    let read = then.categories().iter().map(|category| store.key_map().map_label(&Label::of(category.key.clone())));
    Ok(read.eq(project.taxonomy.categories().iter().map(|category| Some(Label::of(category.key.clone())))))
}

/// What the guideline in use puts in question among labels of earlier versions.
pub(crate) fn outdated(project: &Project, store: &Store) -> Result<Vec<Outdated>, WorkflowError> {
    let current = project.taxonomy.hash();
    let mut all = Vec::new();
    for (hash, _) in store.taxonomy_hashes()? {
        if hash != current {
            let (_, earlier) = find(store, &hash)?;
            all.extend(Outdated::by(&hash, &diff(&earlier, &project.taxonomy)));
        }
    }
    Ok(all)
}

/// Makes a settled case an example of the guideline, in the words given: writes the taxonomy file, which is a new version of it
/// from the next start on. Examples stand in prompts, so they must not tell who a patient is; nor may they be a note's own words,
/// unless the project lets prompts show real sentences, and never those of a patient that machines are scored on.
pub(crate) fn add_example(
    project: &Project,
    store: &Store,
    case: SentenceId,
    label: &Label,
    text: &str,
) -> Result<(), WorkflowError> {
    let text = text.trim();
    let key = match label.keys() {
        [] => None,
        [key] => Some(key),
        _ => return Err(Refusal::invalid("label", "an example shows one category, and this case has several").into()),
    };
    if text.is_empty() {
        return Err(Refusal::invalid("text", "an example needs words").into());
    }
    let findings = phi::screen(text);
    if let Some(finding) = findings.first() {
        let found = &text[finding.span.start..finding.span.end];
        let said = format!("`{found}` looks like a {} of a patient", finding.kind);
        return Err(Refusal::new(RefusalKind::Protected, said).hint("leave it out").into());
    }
    let sentence = store.sentence(case)?;
    let document = store.document(sentence.document)?;
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    if plain(text) == plain(sentence.span.of(&document.text)) && document.origin == Origin::Real {
        if project.file.split.split(&document.patient) != Split::Train {
            let said = "machines are scored on this patient, and the guideline is part of their prompts";
            return Err(Refusal::new(RefusalKind::Protected, said).hint("say it in other words").into());
        }
        if !project.file.privacy.real_sentences {
            let said = "these are the words of a note, and the guideline is part of prompts";
            return Err(Refusal::new(RefusalKind::Protected, said)
                .hint("use your own words, or set `real_sentences_in_prompts = true` under [privacy]")
                .into());
        }
    }
    let path = &project.file.taxonomy;
    // As it is now: another may have added one.
    let now = read_text(path)?;
    let written = taxonomy::with_example(path, &now, key, text)?;
    replace(path, &written)?;
    Ok(())
}
