//! The live queue: what is to be labelled next, by a classifier of the gold there is, and why each.
//!
//! Only sentences of training patients are put in an order. Those of the other patients are drawn among them at random, as
//! many as chance would bring: what is scored on must be nobody's choice, or the scores would be of the hard cases alone.

use std::ops::ControlFlow;

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::json;

use super::label_index::LabelIndex;
use super::project::Project;
use super::train::{self, LabelledSentences};
use super::{Cancel, Progress, Watch, WorkflowError, encoders, new_run_id, now};
use crate::classifier::{ClassifierError, Trainer};
use crate::domain::acquisition::{
    self, Candidate, CandidatePool, LabelledCandidate, QueueReason, Strategy, StrategyMix, order,
};
use crate::domain::corpus::SentenceId;
use crate::domain::gold::Gold;
use crate::domain::label::{Label, Outcome, Run, RunKind};
use crate::domain::split::{Split, Tier};
use crate::domain::taxonomy::Selection;
use crate::domain::visibility::Face;
use crate::formats::project::queue::QueueSettings;
use crate::formats::project::training::{TrainSettings, TrainingMethod};
use crate::store::{RankingRow, Store};
use crate::workflow::session::Session;

/// The classifier is asked about so many open sentences, drawn at random where there are more.
pub(crate) const MOST_ASKED: usize = 20_000;
/// Below so many labels of training patients a classifier says nothing.
const FEWEST_LABELS: usize = 20;
/// And below so many kinds of label.
const FEWEST_KINDS: usize = 3;

/// An order that was made and is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct QueuePlan {
    pub run: Run,
    /// The sentences in their order, each with why it is there.
    pub rows: Vec<RankingRow>,
    /// What must be known about it: what it was learnt from, or why the order is that of the notes.
    pub note: String,
}

/// An open sentence. Texts are read of those alone that the classifier is asked about.
struct OpenSentence {
    id: SentenceId,
    split: Split,
}

/// Puts the open sentences in order and keeps that as the newest plan. Stopped half-way it leaves the plan before it as it
/// is and gives `None`.
pub(crate) fn plan(session: Session<'_>) -> Result<Option<QueuePlan>, WorkflowError> {
    let Session { project, store, cancel, progress: watch } = session;
    let _span = tracing::info_span!("queue").entered();
    let started = now();
    let settings = &project.file.queue;
    let index = LabelIndex::read(project, store)?;
    let train = fast_settings(&project.file.train);
    let learner = train::learner(project, &train)?;
    let open = open(project, store, &index)?;
    let work = QueuePlanner { project, index: &index, learner: &learner, train: &train, open: &open };
    let made = match work.order(store, cancel, watch) {
        Err(WorkflowError::Stopped) => return Ok(None),
        made => made?,
    };
    if cancel.is_cancelled() {
        return Ok(None);
    }
    let NewOrder { rows, note, asked, labels, order } = made;
    let run = Run {
        id: new_run_id(),
        kind: RunKind::Queue,
        model: if order.any(Strategy::needs_classifier) { learner.name() } else { order.to_string() },
        config: json!({
            "queue": settings, "order": order, "settings": train, "recipe": learner.recipe(),
            "encoder": learner.encoder().map(|encoder| encoder.fingerprint()), "gold": project.file.gold_rule(),
            "split": project.file.split,
        })
        .to_string(),
        taxonomy: project.taxonomy.hash(),
        started,
        finished: Some(now()),
        outcome: Outcome::Finished,
        scores: json!({ "ranked": rows.len(), "open": open.len(), "asked": asked, "labels": labels, "note": note })
            .to_string(),
    };
    store.put_ranking(&run, &rows)?;
    Ok(Some(QueuePlan { run, rows, note }))
}

/// Why sentences stand where they do, as far as whoever asks may know.
pub(crate) fn reasons(
    project: &Project,
    store: &Store,
    rows: &[RankingRow],
) -> Result<Vec<(SentenceId, String)>, WorkflowError> {
    let viewer = project.viewer(Face::Report);
    rows.iter()
        .map(|row| {
            let shown = viewer.shown(store.facts(row.sentence, &project.annotator)?);
            Ok((row.sentence, super::review::reason(row, shown).to_owned()))
        })
        .collect()
}

/// A reason that says nothing of machines.
fn plain(sentence: SentenceId, why: &str) -> RankingRow {
    RankingRow { sentence, why: why.to_owned(), veiled: why.to_owned() }
}

/// Whether enough has been decided since the newest plan for another one, and the order is one that learns from it.
pub(crate) fn is_due(project: &Project, store: &Store) -> Result<bool, WorkflowError> {
    let QueueSettings { order, retrain_every, .. } = &project.file.queue;
    Ok(*order != StrategyMix::of(Strategy::Note) && store.decisions_since_ranking(*retrain_every)? >= *retrain_every)
}

/// What trains while people wait: fine-tuning takes too long, and n-grams stand in for it.
fn fast_settings(settings: &TrainSettings) -> TrainSettings {
    let settings = match settings.method {
        TrainingMethod::Ngram | TrainingMethod::Frozen => settings.clone(),
        TrainingMethod::Finetune | TrainingMethod::Vote => settings.of(TrainingMethod::Ngram),
    };
    TrainSettings { tiers: vec![Tier::Gold], ..settings }
}

/// Real sentences whose gold is not settled and not in dispute, in note order.
fn open(project: &Project, store: &Store, index: &LabelIndex) -> Result<Vec<OpenSentence>, WorkflowError> {
    let all = store.real_sentences()?.into_iter();
    let open = all.filter(|(id, _)| index.gold_of(*id).is_none() && !index.is_disputed(*id));
    Ok(open.map(|(id, patient)| OpenSentence { id, split: project.file.split.split(&patient) }).collect())
}

/// An order before it is kept.
struct NewOrder {
    rows: Vec<RankingRow>,
    note: String,
    /// Sentences that the order was made of.
    asked: usize,
    /// Gold of training patients.
    labels: usize,
    order: StrategyMix,
}

struct QueuePlanner<'a> {
    project: &'a Project,
    index: &'a LabelIndex,
    learner: &'a Trainer,
    train: &'a TrainSettings,
    open: &'a [OpenSentence],
}

/// Sentences that the classifier is asked about, with their texts.
type TextsToPredict<'a> = Vec<(&'a OpenSentence, String)>;

/// Numbers of outputs by category, for a label.
type OutputPositions<'a> = dyn Fn(&Label) -> Vec<usize> + 'a;

impl QueuePlanner<'_> {
    fn order(&self, store: &mut Store, cancel: &Cancel, watch: &mut Watch<'_>) -> Result<NewOrder, WorkflowError> {
        let settings = &self.project.file.queue;
        let labels = LabelledSentences::read(self.project, store, self.index, &self.train.tiers)?;
        let train_set = labels.train_set(&self.train.tiers, |_| true);
        let ids: Vec<SentenceId> = train_set.rows().iter().map(|row| row.sentence).collect();
        let texts = labels.texts(store, &ids)?;
        let taxonomy = &self.project.taxonomy;
        let positions: &OutputPositions<'_> = &|label| train::positions(taxonomy, label);
        let kinds: FxHashSet<&Label> = train_set.rows().iter().map(|row| &row.label).collect();
        let wanted_kinds = FEWEST_KINDS.min(taxonomy.categories().len() + 1);
        let made = |rows: Vec<RankingRow>, note: String, order: StrategyMix| NewOrder {
            asked: rows.len(),
            rows,
            note,
            labels: ids.len(),
            order,
        };
        let as_notes_run = |why: &str| {
            let rows = self.open.iter().take(settings.limit).map(|open| plain(open.id, "next in its note")).collect();
            made(rows, why.to_owned(), StrategyMix::of(Strategy::Note))
        };
        if settings.order == StrategyMix::of(Strategy::Note) {
            return Ok(as_notes_run("as the notes run"));
        }
        let learns = settings.order.any(Strategy::needs_classifier);
        if learns && (ids.len() < FEWEST_LABELS || kinds.len() < wanted_kinds) {
            let why = format!(
                "as the notes run: the classifier joins in once {FEWEST_LABELS} sentences of training patients have labels, \
                 with {wanted_kinds} different ones among them; so far {} have labels, with {} different ones",
                ids.len(),
                kinds.len()
            );
            return Ok(as_notes_run(&why));
        }
        let (pool, note) = self.pool(store, settings)?;
        let examples = train::examples(train_set.rows(), texts.iter().map(String::as_str), positions, self.train);
        let pool_texts: Vec<&str> = pool.iter().map(|(_, text)| text.as_str()).collect();
        let known_texts: Vec<&str> = examples.iter().map(|example| example.text).collect();
        let mut probabilities: Vec<Vec<f32>> = Vec::new();
        let mut note = note;
        if learns {
            let validation_set = labels.held_out(Split::Validation);
            let validation_ids: Vec<SentenceId> = validation_set.gold().iter().map(Gold::sentence).collect();
            let validation_texts = store.texts(&validation_ids)?;
            let of = validation_texts.iter().map(|row| row.text.as_str());
            let validation = train::held_out_examples(&validation_set, of, positions);
            let all = || known_texts.iter().chain(&pool_texts).copied();
            let read: Vec<&str> = all().chain(validation.iter().map(|example| example.text)).collect();
            encoders::embed(store, self.learner, &read, cancel, watch)?;
            let (outputs, selection) = train::outputs(taxonomy);
            let fitted = self.learner.fit(&outputs, selection, &examples, &validation, self.train.seed, &mut |_| {
                if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            match fitted {
                Ok(model) => probabilities = asked(&*model, &pool_texts, cancel, watch)?,
                Err(ClassifierError::TooLittle(why)) => return Ok(as_notes_run(&format!("as the notes run: {why}"))),
                Err(error) => return Err(error.into()),
            }
            note = format!("by {} of {} labels{note}", self.learner.name(), ids.len());
        }
        let silver = self.silver(positions);
        let doubts = self.doubts(store, settings)?;
        let candidates: Vec<Candidate<'_>> = pool
            .iter()
            .enumerate()
            .map(|(at, (open, _))| Candidate {
                sentence: open.id,
                probabilities: probabilities.get(at).map(Vec::as_slice),
                silver: silver.get(&open.id).map(Vec::as_slice),
                doubt: doubts.get(&open.id).copied(),
            })
            .collect();
        let labelled: Vec<LabelledCandidate<'_>> = examples
            .iter()
            .zip(&ids)
            .map(|(example, id)| LabelledCandidate {
                outputs: &example.outputs,
                silver: silver.get(id).map(Vec::as_slice),
            })
            .collect();
        let (_, selection) = train::outputs(taxonomy);
        let mut names: Vec<String> = taxonomy.categories().iter().map(|category| category.name.clone()).collect();
        if selection == Selection::Single {
            names.insert(0, train::NONE.to_owned());
        }
        let asked_of = CandidatePool {
            outputs: &names,
            selection: taxonomy.selection(),
            candidates: &candidates,
            labelled: &labelled,
        };
        let ranked = order(&asked_of, &settings.order, settings.seed, settings.limit);
        let chosen = ranked.into_iter().map(|ranked| (ranked.sentence, ranked.why));
        let rows = self.with_others(chosen.collect(), settings);
        Ok(NewOrder { asked: pool.len(), rows, note, labels: ids.len(), order: settings.order.clone() })
    }

    /// Open sentences of training patients with their texts, in note order, each wording once, and at most [`MOST_ASKED`] of them,
    /// drawn at random.
    fn pool(&self, store: &Store, settings: &QueueSettings) -> Result<(TextsToPredict<'_>, String), WorkflowError> {
        let all: Vec<&OpenSentence> = self.open.iter().filter(|open| open.split == Split::Train).collect();
        let drawn = if all.len() <= MOST_ASKED {
            (0..all.len()).collect()
        } else {
            acquisition::draw(all.len(), settings.seed)
        };
        let (mut wordings, mut pool) = (FxHashSet::default(), Vec::new());
        for part in drawn.chunks(4_000) {
            let ids: Vec<SentenceId> = part.iter().map(|at| all[*at].id).collect();
            let read = part.iter().zip(store.texts(&ids)?).map(|(at, row)| (*at, row.text));
            pool.extend(read.filter(|(_, text)| wordings.insert(text.trim().to_owned())));
            if pool.len() >= MOST_ASKED {
                break;
            }
        }
        pool.truncate(MOST_ASKED);
        pool.sort_unstable_by_key(|(at, _)| *at);
        let note = if all.len() <= MOST_ASKED {
            String::new()
        } else {
            format!("; {} of {} open sentences were drawn at random and asked about", pool.len(), all.len())
        };
        Ok((pool.into_iter().map(|(at, text)| (all[at], text)).collect(), note))
    }

    /// The order of training patients' sentences with those of the other patients among them.
    fn with_others(&self, chosen: Vec<(SentenceId, QueueReason)>, settings: &QueueSettings) -> Vec<RankingRow> {
        let others: Vec<&OpenSentence> = self.open.iter().filter(|open| open.split != Split::Train).collect();
        let mut drawn = acquisition::draw(others.len(), settings.seed).into_iter().map(|at| others[at]);
        let share = others.len() as f64 / self.open.len().max(1) as f64;
        let limit = settings.limit.min(self.open.len());
        let (mut rows, mut of_others) = (Vec::with_capacity(limit), 0usize);
        let mut listed: FxHashSet<SentenceId> = FxHashSet::default();
        let mut chosen = chosen.into_iter();
        while rows.len() < limit {
            let due = share * (rows.len() + 1) as f64 >= of_others as f64 + 1.0;
            let other = if due { drawn.next() } else { None };
            let row = match other {
                Some(open) => {
                    of_others += 1;
                    plain(open.id, "drawn at random: what is scored on is nobody's choice")
                }
                None => match chosen.next() {
                    Some((sentence, why)) => RankingRow { sentence, why: why.to_string(), veiled: why.veiled },
                    None => break,
                },
            };
            listed.insert(row.sentence);
            rows.push(row);
        }
        // What is left are wordings that stand above already, and what was not asked about.
        let rest = self.open.iter().filter(|open| !listed.contains(&open.id)).take(limit - rows.len());
        let rest: Vec<RankingRow> =
            rest.map(|open| plain(open.id, "next in its note, behind all that is in order")).collect();
        rows.extend(rest);
        rows
    }

    /// What the newest run of a language model says.
    fn silver(&self, positions: &OutputPositions<'_>) -> FxHashMap<SentenceId, Vec<usize>> {
        let silver = self.index.silver(&self.project.taxonomy);
        silver.iter().map(|silver| (silver.sentence(), positions(silver.label()))).collect()
    }

    fn doubts(&self, store: &Store, settings: &QueueSettings) -> Result<FxHashMap<SentenceId, f64>, WorkflowError> {
        if !settings.order.any(|strategy| strategy == Strategy::Doubts) {
            return Ok(FxHashMap::default());
        }
        let found = super::doubt::last(store)?.map(|found| found.doubts).unwrap_or_default();
        Ok(found.into_iter().map(|doubt| (doubt.sentence, doubt.self_confidence)).collect())
    }
}

fn asked(
    model: &dyn crate::classifier::Classifier,
    texts: &[&str],
    cancel: &Cancel,
    watch: &mut Watch<'_>,
) -> Result<Vec<Vec<f32>>, WorkflowError> {
    let total = Some(texts.len() as u64);
    watch(Progress::Started { what: "asking the classifier".into(), total, unit: "sentences" });
    let mut rows = Vec::with_capacity(texts.len());
    for part in texts.chunks(2_000) {
        if cancel.is_cancelled() {
            return Err(WorkflowError::Stopped);
        }
        rows.extend(model.predict(part)?);
        watch(Progress::Advanced(rows.len() as u64));
    }
    watch(Progress::Finished);
    Ok(rows)
}

#[cfg(test)]
mod tests;
