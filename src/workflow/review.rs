//! The review loop: the next sentence with all that may be seen of it, and decisions, each committed before the next
//! sentence is fetched.

use super::project::Project;
use super::{WorkflowError, new_event_id, now};
use crate::domain::confident::Doubt;
use crate::domain::corpus::{Document, Origin, Sentence, SentenceId};
use crate::domain::label::{Decision, Event, Proposal, Source, Stand};
use crate::domain::quality::Verdict;
use crate::domain::queue::Filter;
use crate::domain::split::Split;
use crate::store::{Direction, Progression, Store, Undone};

/// A sentence with all that its annotator may see.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The sentence.
    pub sentence: Sentence,
    /// Its note.
    pub document: Document,
    /// All sentences of the note.
    pub context: Vec<Sentence>,
    /// The part that its patient falls in.
    pub split: Split,
    /// What language models propose (for a synthetic sentence: what it was written for), newest run first.
    pub silver: Vec<Proposal>,
    /// What the quality gate said of a synthetic sentence.
    pub verdicts: Vec<Verdict>,
    /// What the latest classifier says.
    pub classifier: Option<Proposal>,
    /// Whether a label of it is in doubt, so that it is queued for a second look.
    pub doubted: bool,
    /// Which label, and what the classifier says instead.
    pub doubt: Option<Doubt>,
    /// The standing decisions of others.
    pub others: Vec<Decision>,
    /// The annotator's own.
    pub mine: Option<Decision>,
    /// Whether proposals and others' decisions are held back until the annotator has decided.
    pub hidden: bool,
}

impl Item {
    /// The sentence's text.
    pub fn text(&self) -> &str {
        self.sentence.span.of(&self.document.text)
    }

    /// The wording that stands: the annotator's, or the text.
    pub fn wording(&self) -> &str {
        self.mine.as_ref().and_then(|d| d.stand.edited.as_deref()).unwrap_or_else(|| self.text())
    }

    /// The language model's newest proposal.
    pub fn proposal(&self) -> Option<&Proposal> {
        self.silver.first()
    }

    /// The annotator's stand, or an empty one.
    pub fn stand(&self) -> Stand {
        self.mine.as_ref().map_or_else(Stand::default, |decision| decision.stand.clone())
    }
}

/// Fetches a sentence. Where the protocol is blind, what machines and others say is not even read before the annotator has
/// decided: nothing downstream can show it by mistake. A synthetic sentence's target is always shown: it is what the
/// verdict is about.
pub fn item(project: &Project, store: &Store, id: SentenceId) -> Result<Item, WorkflowError> {
    let sentence = store.sentence(id)?;
    let document = store.document(sentence.document)?;
    let context = store.sentences(sentence.document)?;
    let mut decisions = store.decisions(id)?;
    let mine = decisions.iter().position(|d| d.annotator == project.annotator).map(|at| decisions.remove(at));
    let decided = mine.as_ref().is_some_and(|d| d.stand.label.is_some());
    let split = project.file.split.split(&document.patient);
    let blind = project.file.protocol.is_blind(&project.annotator, id, split);
    let hidden = blind && !decided && document.origin == Origin::Real;
    let (mut silver, mut classifier, mut doubt) = (Vec::new(), None, None);
    if hidden {
        decisions.clear();
    } else {
        doubt = store.doubt_about(id)?;
        for proposal in store.proposals(id)? {
            match proposal.source {
                Source::Classifier if classifier.is_none() => classifier = Some(proposal),
                Source::Classifier | Source::Human => {}
                Source::Llm => silver.push(proposal),
            }
        }
    }
    let verdicts = if document.origin == Origin::Synthetic { store.verdicts(id)? } else { Vec::new() };
    let doubted = store.is_doubted(id)?;
    let others = decisions;
    Ok(Item { sentence, document, context, split, silver, verdicts, classifier, doubted, doubt, others, mine, hidden })
}

/// Takes a stand on a sentence that has been on the screen for `took` milliseconds, and commits it.
pub fn decide(
    project: &Project,
    store: &mut Store,
    item: &Item,
    stand: Stand,
    took: Option<u32>,
) -> Result<(), WorkflowError> {
    if let Some(label) = &stand.label {
        project.taxonomy.check(label)?;
    }
    let visible = !item.hidden && (item.proposal().is_some() || item.classifier.is_some() || item.doubt.is_some());
    // A decision that was blind stays so when its comment or flag is changed after the reveal.
    let unchanged = item.mine.as_ref().filter(|mine| mine.stand.label == stand.label && stand.label.is_some());
    let decision = Decision {
        id: new_event_id(),
        at: now(),
        annotator: project.annotator.clone(),
        sentence: item.sentence.id,
        took,
        proposal_visible: unchanged.map_or(visible, |mine| mine.proposal_visible),
        proposal: item.proposal().filter(|_| visible && stand.label.is_some()).map(|proposal| proposal.id),
        taxonomy: project.taxonomy.hash(),
        supersedes: None,
        stand,
    };
    Ok(store.append(&[Event::Decide(decision)])?)
}

/// The nearest sentence that passes the filter beyond `from`.
pub fn seek(
    project: &Project,
    store: &Store,
    filter: &Filter,
    from: Option<SentenceId>,
    direction: Direction,
) -> Result<Option<SentenceId>, WorkflowError> {
    Ok(store.seek(filter, &project.annotator, from, direction)?)
}

/// Takes back the annotator's last decision, wherever it was.
pub fn undo(project: &Project, store: &mut Store) -> Result<Option<Undone>, WorkflowError> {
    Ok(store.undo(&project.annotator, new_event_id(), now())?)
}

/// Restores the decision taken back last.
pub fn redo(project: &Project, store: &mut Store) -> Result<Option<Undone>, WorkflowError> {
    Ok(store.redo(&project.annotator, new_event_id(), now())?)
}

/// How far the annotator has come, and the times of the latest decisions (oldest first) for the pace.
pub fn progress(project: &Project, store: &Store, origin: Origin) -> Result<(Progression, Vec<u32>), WorkflowError> {
    let progression = store.progression(&project.annotator, origin)?;
    let mut took: Vec<u32> =
        store.latest_decisions(&project.annotator, 25)?.into_iter().filter_map(|decision| decision.took).collect();
    took.reverse();
    Ok((progression, took))
}
