//! What Metrics shows: the newest labels of each kind against gold, experts beside each other, and what there is to work with.

use std::sync::Arc;

use super::WorkflowError;
use super::agreement::{self, AgreementReport};
use super::label_index::{GoldCounts, LabelIndex};
use super::project::Project;
use super::scores::{Scored, score};
use crate::domain::corpus::{Origin, SentenceId};
use crate::domain::label::{Run, RunId, Source};
use crate::domain::visibility::Face;
use crate::store::{ReadMark, Store};

/// Bins of five words that lengths of sentences are counted in; the last one has all that are longer.
const LENGTH_BINS: usize = 13;

/// The newest run of each kind against gold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NewestScores {
    /// A language model that named categories.
    pub silver: Option<Scored>,
    /// A classifier, on held-out gold.
    pub classifier: Option<Scored>,
    /// A language model that said whether there is a category.
    pub binary: Option<Scored>,
}

impl NewestScores {
    /// Scores them.
    pub(crate) fn of(project: &Project, index: &LabelIndex) -> Self {
        let score = |run: Option<&RunId>| score(project, index, run?, project.file.bootstrap);
        Self {
            silver: score(index.latest(Source::Llm)),
            classifier: score(index.latest(Source::Classifier)),
            binary: score(index.latest_binary()),
        }
    }
}

/// The numbers of the store at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct MetricsSnapshot {
    /// The newest language-model run against gold, with its model.
    pub silver: Option<(Scored, String)>,
    /// The newest classifier against held-out gold, with its name.
    pub classifier: Option<(Scored, String)>,
    /// The newest binary run against gold, with its model.
    pub binary: Option<(Scored, String)>,
    /// How far experts agree; `None` with fewer than two.
    pub experts: Option<Arc<AgreementReport>>,
    /// Gold by category.
    pub gold: GoldCounts,
    /// Synthetic sentences by category.
    pub bronze: Vec<usize>,
    /// Sentences by length in words, real then synthetic; bins of five words.
    pub lengths: [Vec<u32>; 2],
    /// All runs, newest first.
    pub runs: Vec<Run>,
}

/// Follows a store and measures it again only where something has changed.
#[derive(Default)]
pub(crate) struct MetricsReader {
    /// The labels, as they were read last.
    pub index: LabelIndex,
    experts: Option<(ReadMark, Arc<AgreementReport>)>,
    lengths: [LengthCounts; 2],
}

/// Lengths of sentences as far as they have been counted.
#[derive(Default)]
struct LengthCounts {
    last: Option<SentenceId>,
    bins: Vec<u32>,
}

impl MetricsReader {
    /// The numbers of the labels read last.
    pub(crate) fn snapshot(&mut self, project: &Project, store: &Store) -> Result<MetricsSnapshot, WorkflowError> {
        for (origin, lengths) in [Origin::Real, Origin::Synthetic].into_iter().zip(&mut self.lengths) {
            lengths.follow(store, origin)?;
        }
        let with_model = |scored: Option<Scored>| -> Result<_, WorkflowError> {
            let Some(mut scored) = scored else {
                return Ok(None);
            };
            // A list of what others or machines say of a sentence would give it away.
            scored.pairs.retain(|(id, _)| {
                let shown = self.index.shown(project, Face::List, *id);
                shown.machines && shown.colleagues
            });
            let model = store.run(&scored.run)?.model;
            Ok(Some((scored, model)))
        };
        let NewestScores { silver, classifier, binary } = NewestScores::of(project, &self.index);
        Ok(MetricsSnapshot {
            silver: with_model(silver)?,
            classifier: with_model(classifier)?,
            binary: with_model(binary)?,
            experts: self.experts(project),
            gold: self.index.gold_counts(&project.taxonomy),
            bronze: self.index.bronze_counts(&project.taxonomy),
            lengths: self.lengths.each_ref().map(|lengths| lengths.bins.clone()),
            runs: store.runs()?,
        })
    }

    /// How far experts agree, computed anew only when something has changed.
    fn experts(&mut self, project: &Project) -> Option<Arc<AgreementReport>> {
        let mark = self.index.read_mark();
        if !self.index.has_several_annotators() {
            return None;
        }
        if let Some((_, report)) = self.experts.as_ref().filter(|(seen, _)| *seen == mark) {
            return Some(report.clone());
        }
        let mut report = agreement::from_index(project, &self.index);
        report.withhold(project, &self.index, Face::List);
        Some(self.experts.insert((mark, Arc::new(report))).1.clone())
    }
}

impl LengthCounts {
    /// Adds the sentences not counted yet; the first fifty thousand of an origin say enough.
    fn follow(&mut self, store: &Store, origin: Origin) -> Result<(), WorkflowError> {
        self.bins.resize(LENGTH_BINS, 0);
        while self.bins.iter().sum::<u32>() < 50_000 {
            let rows = store.texts_after(origin, self.last.unwrap_or(SentenceId(0)), 2_000)?;
            let Some(last) = rows.last() else {
                break;
            };
            self.last = Some(last.id);
            for row in &rows {
                let bin = (row.text.split_whitespace().count().saturating_sub(1) / 5).min(LENGTH_BINS - 1);
                self.bins[bin] += 1;
            }
        }
        Ok(())
    }
}
