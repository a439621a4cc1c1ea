//! The review loop: the next sentence with all that may be seen of it, and decisions, each committed before the next
//! sentence is fetched.

use super::project::Project;
use super::{WorkflowError, guideline, new_event_id, now};
use crate::domain::confident::Doubt;
use crate::domain::corpus::{Document, Origin, Sentence, SentenceId};
use crate::domain::label::{Decision, Event, Proposal, Source, Stand};
use crate::domain::quality::Verdict;
use crate::domain::queue::{Assigned, Filter, Progress};
use crate::domain::split::Split;
use crate::store::{Direction, Progression, Store, Undone};
use crate::workflow::refusal::Refusal;

/// Where a sentence is looked at, and so what is asked of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Desk {
    /// An expert decides on real sentences.
    Review,
    /// An expert curates synthetic ones.
    Bronze,
    /// An adjudicator settles what experts dispute.
    Adjudicate,
}

impl Desk {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Review, Self::Bronze, Self::Adjudicate];

    /// The desk where sentences of an origin are decided.
    pub fn of(origin: Origin) -> Self {
        match origin {
            Origin::Real => Self::Review,
            Origin::Synthetic => Self::Bronze,
        }
    }

    /// All that lies on the desk of the project's annotator.
    pub fn all(self, project: &Project) -> Filter {
        let protocol = &project.file.protocol;
        match self {
            Self::Review if protocol.is_shared() && protocol.decides(&project.annotator) => {
                Filter { assigned: Some(Assigned::All), ..Filter::default() }
            }
            Self::Review => Filter::default(),
            Self::Bronze => Filter { origin: Origin::Synthetic, ..Filter::default() },
            Self::Adjudicate => Filter { disputed: Some(project.file.rule()), ..Filter::default() },
        }
    }
}

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
    /// Why it stands where it does in the order of the queue.
    pub why: Option<String>,
    /// The standing decisions of others.
    pub others: Vec<Decision>,
    /// What adjudicators say: one settlement, unless two contradict each other.
    pub settled: Vec<Decision>,
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
/// verdict is about. An adjudicator sees what the experts say, and of machines only where the protocol is not blind.
pub fn item(project: &Project, store: &Store, desk: Desk, id: SentenceId) -> Result<Item, WorkflowError> {
    let sentence = store.sentence(id)?;
    let document = store.document(sentence.document)?;
    let context = store.sentences(sentence.document)?;
    let mut decisions = store.decisions(id)?;
    let mine = decisions.iter().position(|d| d.annotator == project.annotator).map(|at| decisions.remove(at));
    let decided = mine.as_ref().is_some_and(|d| d.stand.label.is_some());
    let split = project.file.split.split(&document.patient);
    let blind = project.file.protocol.is_blind(&project.annotator, id, split);
    let hidden = blind && !decided && document.origin == Origin::Real && desk != Desk::Adjudicate;
    let without_machines = hidden || (blind && desk == Desk::Adjudicate);
    let (mut silver, mut classifier, mut doubt) = (Vec::new(), None, None);
    let mut settled = Vec::new();
    if hidden {
        decisions.clear();
    } else {
        settled = store.settlements(id)?;
    }
    if !without_machines {
        doubt = store.doubt_about(id)?;
        for proposal in store.proposals(id)? {
            match proposal.source {
                Source::Classifier if classifier.is_none() => {
                    classifier = Some(without_foreign_probabilities(project, store, proposal)?);
                }
                Source::Classifier | Source::Human => {}
                Source::Llm => silver.push(proposal),
            }
        }
    }
    let verdicts = if document.origin == Origin::Synthetic { store.verdicts(id)? } else { Vec::new() };
    let doubted = store.is_doubted(id)?;
    let split_since = match &mine {
        Some(mine) if mine.stand.label.is_none() => store.said_before_a_split(id, &project.annotator)?,
        _ => None,
    };
    let why = match split_since {
        Some(label) => Some(format!("you said {}, which was split since", label.join())),
        // Where someone decides blind, the plan says nothing of what the machine thinks.
        None if desk == Desk::Review => store.ranked_because(id)?,
        None => None,
    };
    let others = decisions;
    Ok(Item {
        sentence,
        document,
        context,
        split,
        silver,
        verdicts,
        classifier,
        doubted,
        doubt,
        why,
        others,
        settled,
        mine,
        hidden,
    })
}

/// Probabilities stand in the order of the categories that there were; where these are others now, they say nothing.
fn without_foreign_probabilities(
    project: &Project,
    store: &Store,
    mut proposal: Proposal,
) -> Result<Proposal, WorkflowError> {
    let by = store.run(&proposal.run)?.taxonomy;
    if !guideline::has_same_categories(project, store, &by)? {
        proposal.content.probabilities.clear();
    }
    Ok(proposal)
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
    let (protocol, annotator) = (&project.file.protocol, &project.annotator);
    if item.document.origin == Origin::Real && protocol.is_shared() {
        if !protocol.decides(annotator) {
            let said = format!("{annotator} is not among the `annotators` of [protocol] in goldsmith.toml");
            return Err(Refusal::not_allowed(annotator, format!("{said}; nothing was saved")).into());
        }
        if !store.is_given(item.sentence.id, annotator)? {
            let said = format!("this sentence is not given to {annotator}; nothing was saved");
            return Err(Refusal::not_allowed(annotator, said).hint("`goldsmith assign` gives out what is left").into());
        }
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

/// Settles a sentence as an adjudicator, over whatever the experts say; theirs stays as it is. The reason is the comment of the
/// stand.
pub fn settle(
    project: &Project,
    store: &mut Store,
    item: &Item,
    stand: Stand,
    took: Option<u32>,
) -> Result<(), WorkflowError> {
    let annotator = &project.annotator;
    if !project.file.protocol.adjudicates(annotator) {
        let said = format!("{annotator} is not among the `adjudicators` of [protocol] in goldsmith.toml");
        return Err(Refusal::not_allowed(annotator, format!("{said}; nothing was saved")).into());
    }
    let Some(label) = &stand.label else {
        return Err(Refusal::invalid("label", "a settlement needs a label: a category, or None").into());
    };
    project.taxonomy.check(label)?;
    let visible = item.proposal().is_some() || item.classifier.is_some() || item.doubt.is_some();
    let settlement = Decision {
        id: new_event_id(),
        at: now(),
        annotator: annotator.clone(),
        sentence: item.sentence.id,
        took,
        proposal_visible: visible,
        proposal: item.proposal().filter(|_| visible).map(|proposal| proposal.id),
        taxonomy: project.taxonomy.hash(),
        supersedes: None,
        stand,
    };
    Ok(store.append(&[Event::Settle(settlement)])?)
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

/// Where to go on: the nearest sentence after `from` that is open among those of the filter, from the start again if there is
/// none. What everyone decides for calibration comes first, then what the plan of the queue puts first, then the order of notes.
pub fn next_open(
    project: &Project,
    store: &Store,
    desk: Desk,
    filter: &Filter,
    from: Option<SentenceId>,
) -> Result<Option<SentenceId>, WorkflowError> {
    // Open sentences are looked for among those of the filter, unless the filter itself asks for another state. What is
    // disputed is open by itself, and so is what was decided by an outdated guideline.
    let open = match (filter.progress, desk) {
        (Progress::All, Desk::Review | Desk::Bronze) if filter.outdated.is_empty() => {
            Filter { progress: Progress::Open, ..filter.clone() }
        }
        _ => filter.clone(),
    };
    let mut stages = vec![open.clone()];
    if desk == Desk::Review && *filter == desk.all(project) {
        stages.insert(0, Filter { planned: true, ..open.clone() });
        if filter.assigned.is_some() {
            stages.insert(0, Filter { assigned: Some(Assigned::Calibration), ..open });
        }
    }
    for stage in &stages {
        let further = match from {
            Some(_) => seek(project, store, stage, from, Direction::Forward)?,
            None => None,
        };
        let found = match further {
            Some(id) => Some(id),
            None => seek(project, store, stage, None, Direction::Forward)?.filter(|id| Some(*id) != from),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// How far the annotator has come, and the times of the latest decisions (oldest first) for the pace.
pub fn progress(project: &Project, store: &Store, desk: Desk) -> Result<(Progression, Vec<u32>), WorkflowError> {
    let all = desk.all(project);
    let progression = match desk {
        Desk::Review if all.assigned.is_some() => {
            let given = store.given(&project.annotator)?;
            Progression { decided: given.decided, total: given.sentences }
        }
        Desk::Review | Desk::Bronze => store.progression(&project.annotator, all.origin)?,
        Desk::Adjudicate => {
            let (disputed, settled) = (store.count(&all, &project.annotator, i64::MAX as u64)?, store.settled_count()?);
            Progression { decided: settled, total: settled + disputed }
        }
    };
    let mut took: Vec<u32> =
        store.latest_decisions(&project.annotator, 25)?.into_iter().filter_map(|decision| decision.took).collect();
    took.reverse();
    Ok((progression, took))
}
