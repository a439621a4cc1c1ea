//! What may be trained on and what is held out, and the way from rows to examples.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::classifier::Example;
use crate::domain::corpus::{Origin, SentenceId};
use crate::domain::gold::{Bronze, Gold, Silver};
use crate::domain::label::Label;
use crate::domain::split::{Split, SplitPlan, TestSet, Tier, TrainRow, TrainSet};
use crate::formats::project::training::TrainSettings;
use crate::store::{BronzeRow, Store};
use crate::workflow::WorkflowError;
use crate::workflow::label_index::LabelIndex;
use crate::workflow::project::Project;

/// A bronze sentence as it may be trained on: what an expert accepted, reworded or relabelled counts as the expert left it,
/// what none has looked at counts if the quality gate let it pass; `None` for the rest.
pub(crate) fn bronze_label(row: &BronzeRow) -> Option<(Label, String)> {
    let verdict = row.verdict.clone().unwrap_or_default();
    let decided = verdict.label.is_some();
    if verdict.rejected || !(decided || row.passed) {
        return None;
    }
    Some((verdict.label.unwrap_or_else(|| row.target.clone()), verdict.edited.unwrap_or_else(|| row.text.clone())))
}

/// All labels of some tiers; gold is always read, since it is what is tested on.
pub(in crate::workflow) struct LabelledSentences {
    plan: SplitPlan,
    pub gold: Vec<Gold>,
    pub silver: Vec<Silver>,
    bronze: Vec<Bronze>,
}

impl LabelledSentences {
    /// Reads them: silver is the newest labelling run's.
    pub(crate) fn read(
        project: &Project,
        store: &Store,
        index: &LabelIndex,
        tiers: &[Tier],
    ) -> Result<Self, WorkflowError> {
        let silver = if tiers.contains(&Tier::Silver) { index.silver(&project.taxonomy) } else { Vec::new() };
        let mut bronze = Vec::new();
        if tiers.contains(&Tier::Bronze) {
            store.bronze_each(None, |row| {
                if let Some((label, text)) = bronze_label(&row).filter(|(label, _)| project.taxonomy.knows(label)) {
                    bronze.extend(Bronze::generate(row.sentence, Origin::Synthetic, label, text));
                }
            })?;
        }
        Ok(Self { plan: project.file.split, gold: index.gold().into_iter().cloned().collect(), silver, bronze })
    }

    /// A training set of some of the tiers, and of the gold that `of_gold` lets in.
    pub(crate) fn train_set(&self, tiers: &[Tier], of_gold: impl Fn(&Gold) -> bool) -> TrainSet {
        let has = |tier| tiers.contains(&tier);
        TrainSet::mix(
            &self.plan,
            self.gold.iter().filter(|gold| has(Tier::Gold) && of_gold(gold)).cloned(),
            self.silver.iter().filter(|_| has(Tier::Silver)).cloned(),
            self.bronze.iter().filter(|_| has(Tier::Bronze)).cloned(),
        )
    }

    /// The gold of a part that is held out.
    pub(crate) fn held_out(&self, part: Split) -> TestSet {
        TestSet::from_gold(self.gold.clone(), &self.plan, part)
    }

    /// The texts of sentences; a bronze sentence's as an expert left it.
    pub(crate) fn texts(&self, store: &Store, ids: &[SentenceId]) -> Result<Vec<String>, WorkflowError> {
        let edited: BTreeMap<SentenceId, &str> = self.bronze.iter().map(|b| (b.sentence(), b.text())).collect();
        let rows = store.texts(ids)?.into_iter();
        Ok(rows.map(|row| edited.get(&row.id).map_or(row.text, |text| (*text).to_owned())).collect())
    }
}

/// Rows to train on as examples, each with the weight of its tier.
pub(in crate::workflow) fn examples<'a>(
    rows: &[TrainRow],
    texts: impl IntoIterator<Item = &'a str>,
    positions: impl Fn(&Label) -> Vec<usize>,
    settings: &TrainSettings,
) -> Vec<Example<'a>> {
    let rows = rows.iter().zip(texts);
    rows.map(|(row, text)| Example { text, outputs: positions(&row.label), weight: settings.weight(row.tier) })
        .collect()
}

/// Gold that is held out as examples.
pub(in crate::workflow) fn held_out_examples<'a>(
    set: &TestSet,
    texts: impl IntoIterator<Item = &'a str>,
    positions: impl Fn(&Label) -> Vec<usize>,
) -> Vec<Example<'a>> {
    let gold = set.gold().iter().zip(texts);
    gold.map(|(gold, text)| Example { text, outputs: positions(gold.label()), weight: 1.0 }).collect()
}

/// SHA-256 over everything that was trained and stopped on, in order.
pub(in crate::workflow) fn data_hash(train: &[Example<'_>], validation: &[Example<'_>]) -> String {
    let mut hasher = Sha256::new();
    for example in train.iter().chain(validation) {
        hasher.update((example.text.len() as u64).to_le_bytes());
        hasher.update(example.text.as_bytes());
        example.outputs.iter().for_each(|i| hasher.update((*i as u64).to_le_bytes()));
        hasher.update(example.weight.to_le_bytes());
        hasher.update([0xff]);
    }
    hex::encode(hasher.finalize())
}
