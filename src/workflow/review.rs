//! The review loop: the next sentence with all that may be seen of it, and decisions, each committed before the next
//! sentence is fetched.

use super::project::Project;
use super::{WorkflowError, guideline, identity, new_entry_id, now};
use crate::domain::confident::Doubt;
use crate::domain::corpus::{Document, Origin, Sentence, SentenceId};
use crate::domain::label::{Decision, Judgement, Proposal, Source};
use crate::domain::person::Role;
use crate::domain::quality::Verdict;
use crate::domain::queue::{AssignmentFilter, DecisionState, SentenceFilter};
use crate::domain::sight::{Cue, InSight};
use crate::domain::split::{Split, Tier};
use crate::domain::visibility::{Face, SentenceFacts, Viewer, VisibleLabels};
use crate::store::{ProgressCount, RankingRow, Said, SeekDirection, Store, UndoneDecision};
use crate::workflow::refusal::Refusal;

/// Where a sentence is looked at, and so what is asked of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worklist {
    /// An expert decides on real sentences.
    Review,
    /// An expert curates synthetic ones.
    Bronze,
    /// An adjudicator settles what experts dispute.
    Adjudicate,
}

impl Worklist {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Review, Self::Bronze, Self::Adjudicate];

    /// The worklist where sentences of an origin are decided.
    pub(crate) fn of(origin: Origin) -> Self {
        match origin {
            Origin::Real => Self::Review,
            Origin::Synthetic => Self::Bronze,
        }
    }

    /// All that lies on the worklist of the project's annotator.
    pub fn all(self, project: &Project) -> SentenceFilter {
        let protocol = &project.file.protocol;
        match self {
            Self::Review if protocol.is_shared() && protocol.decides(&project.annotator) => {
                SentenceFilter { assigned: Some(AssignmentFilter::All), ..SentenceFilter::default() }
            }
            Self::Review => SentenceFilter::default(),
            Self::Bronze => SentenceFilter { origin: Origin::Synthetic, ..SentenceFilter::default() },
            Self::Adjudicate => {
                SentenceFilter { disputed: Some(project.file.gold_rule()), ..SentenceFilter::default() }
            }
        }
    }

    /// The face that it is to the rule of who sees what.
    pub(crate) fn face(self) -> Face {
        match self {
            Self::Review | Self::Bronze => Face::Review,
            Self::Adjudicate => Face::Adjudicate,
        }
    }
}

/// A sentence with all that its annotator may see.
#[derive(Clone, Debug, PartialEq)]
pub struct ReviewItem {
    pub sentence: Sentence,
    pub document: Document,
    pub context: Vec<Sentence>,
    /// The part that its patient falls in.
    pub split: Split,
    /// What language models propose (for a synthetic sentence: what it was written for), newest run first.
    pub silver: Vec<Proposal>,
    /// What the quality gate said of a synthetic sentence.
    pub verdicts: Vec<Verdict>,
    /// What the latest classifier says.
    pub classifier: Option<Proposal>,
    /// Whether a label of it is in doubt, as far as that may be told.
    pub doubted: bool,
    /// Which label, and what the classifier says instead.
    pub doubt: Option<Doubt>,
    /// Why it stands where it does in the order of the queue.
    pub why: Option<String>,
    /// Whether that says what machines think.
    pub why_of_machines: bool,
    pub others: Vec<Decision>,
    /// What adjudicators say: one settlement, unless two contradict each other.
    pub settled: Vec<Decision>,
    /// The annotator's own.
    pub mine: Option<Decision>,
    /// What may be shown of it. What may not is not even read.
    pub shown: VisibleLabels,
}

impl ReviewItem {
    /// The sentence's text.
    pub(crate) fn text(&self) -> &str {
        self.sentence.span.of(&self.document.text)
    }

    /// The wording that stands: the annotator's, or the text.
    pub(crate) fn wording(&self) -> &str {
        self.mine.as_ref().and_then(|d| d.judgement.edited.as_deref()).unwrap_or_else(|| self.text())
    }

    /// What of it sways whoever decides on it now.
    pub(crate) fn in_sight(&self) -> InSight {
        InSight::NOTHING
            .with_if(Cue::Machine, !self.silver.is_empty())
            .with_if(Cue::Classifier, self.classifier.is_some() || self.why_of_machines)
            .with_if(Cue::Colleague, !self.others.is_empty() || !self.settled.is_empty())
            .with_if(Cue::Doubt, self.doubted)
    }

    /// The language model's newest proposal.
    pub(crate) fn proposal(&self) -> Option<&Proposal> {
        self.silver.first()
    }

    /// The annotator's stand, or an empty one.
    pub(crate) fn judgement(&self) -> Judgement {
        self.mine.as_ref().map_or_else(Judgement::default, |decision| decision.judgement.clone())
    }
}

/// Fetches a sentence with what its annotator may see of it. What is hidden is not even read: nothing downstream can show it by
/// mistake.
pub fn item(project: &Project, store: &Store, worklist: Worklist, id: SentenceId) -> Result<ReviewItem, WorkflowError> {
    let sentence = store.sentence(id)?;
    let mut document = store.document(sentence.document)?;
    let context = store.sentences(sentence.document)?;
    let mut others = store.decisions(id)?;
    let mine = others.iter().position(|d| d.annotator == project.annotator).map(|at| others.remove(at));
    let decided = mine.as_ref().is_some_and(|d| d.judgement.label.is_some() || d.judgement.rejected);
    let split = project.file.split.split(&document.patient);
    let facts = SentenceFacts { sentence: id, origin: document.origin, split, decided };
    let shown = project.viewer(worklist.face()).shown(facts);
    let (mut silver, mut classifier, mut doubt) = (Vec::new(), None, None);
    let mut settled = Vec::new();
    let only_mine = others.is_empty() && decided;
    let doubted = match store.doubted_tier(id)? {
        Some(Tier::Gold) => shown.machines && (shown.colleagues || only_mine),
        Some(_) => shown.machines,
        None => false,
    };
    if shown.colleagues {
        settled = store.settlements(id)?;
    } else {
        others.clear();
    }
    if shown.machines {
        // A doubt names the label that is doubted, which may be a colleague's.
        doubt = store.doubt_about(id)?.filter(|doubt| doubt.tier != Tier::Gold || shown.colleagues);
        for proposal in store.proposals(id)? {
            match proposal.source {
                Source::Classifier if classifier.is_none() => {
                    classifier = Some(without_foreign_probabilities(project, store, proposal)?);
                }
                Source::Classifier | Source::Human => {}
                Source::Llm => silver.push(proposal),
            }
        }
    } else if document.origin == Origin::Real {
        // What stands in a guessed column is not known; it may be the label.
        document.kind.clear();
        let named = &project.file.title_column;
        if named.is_empty() || store.title_column(document.id)?.as_ref() != Some(named) {
            document.title.clear();
        }
    }
    let verdicts = if document.origin == Origin::Synthetic { store.verdicts(id)? } else { Vec::new() };
    let split_since = match &mine {
        Some(mine) if mine.judgement.label.is_none() => store.label_before_split(id, &project.annotator)?,
        _ => None,
    };
    let (why, why_of_machines) = match (split_since, worklist) {
        (Some(label), _) => (format!("you said {}, which was split since", label.join()), false),
        (None, Worklist::Review) => match store.queue_reason(id)? {
            Some(ranked) => (reason(&ranked, shown).to_owned(), shown.machines && ranked.is_of_machines()),
            None => (String::new(), false),
        },
        (None, _) => (String::new(), false),
    };
    let why = Some(why).filter(|why| !why.is_empty());
    Ok(ReviewItem {
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
        why_of_machines,
        others,
        settled,
        mine,
        shown,
    })
}

/// Why a sentence stands where it does in the order, as far as it may be said. Which kind of reason it is already tells what
/// machines think: that silver names a rare category, or that a classifier would say otherwise.
pub(super) fn reason(ranked: &RankingRow, shown: VisibleLabels) -> &str {
    match (shown.machines, ranked.is_of_machines()) {
        (true, _) => &ranked.why,
        (false, true) => "put first by the order of the queue",
        (false, false) => &ranked.veiled,
    }
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

/// A stand that somebody takes on a sentence, and how they came to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Taking {
    pub judgement: Judgement,
    /// Milliseconds that the sentence has been on the screen.
    pub took: Option<u32>,
    /// What had been in sight besides what is on the screen: a search or a list by a label, another screen.
    pub besides: InSight,
}

/// Takes a stand on a sentence, and commits it.
pub fn decide(project: &Project, store: &mut Store, item: &ReviewItem, taking: Taking) -> Result<(), WorkflowError> {
    let Taking { judgement, took, besides } = taking;
    if let Some(label) = &judgement.label {
        project.taxonomy.check(label)?;
    }
    identity::require(project, store, &[Role::Annotator], "decide on sentences")?;
    let (protocol, annotator) = (&project.file.protocol, &project.annotator);
    if item.document.origin == Origin::Real && protocol.is_shared() {
        if !protocol.decides(annotator) {
            let said = format!("{annotator} is not among the `annotators` of [protocol] in goldsmith.toml");
            return Err(Refusal::not_allowed(annotator, format!("{said}; nothing was saved")).into());
        }
        if !store.is_given(item.sentence.id, annotator)? {
            let said = format!("this sentence is not assigned to {annotator}; nothing was saved");
            return Err(Refusal::not_allowed(annotator, said).hint("`goldsmith assign` assigns what is left").into());
        }
    }
    identity::sign(project, store)?;
    // A decision stays what it was when its comment or flag is changed after the reveal.
    let unchanged =
        item.mine.as_ref().filter(|mine| mine.judgement.label == judgement.label && judgement.label.is_some());
    let in_sight = match unchanged {
        Some(mine) => mine.in_sight,
        None => in_sight(project, store, item, besides)?,
    };
    let decision = Decision {
        id: new_entry_id(),
        at: now(),
        annotator: project.annotator.clone(),
        sentence: item.sentence.id,
        took,
        in_sight,
        proposal: item.proposal().filter(|_| judgement.label.is_some()).map(|proposal| proposal.id),
        taxonomy: project.taxonomy.hash(),
        supersedes: None,
        judgement,
    };
    Ok(store.append_decisions(&[decision])?)
}

/// What is in sight at a decision that is made now; unknown where nothing is and it was not recorded what had been at an earlier
/// one of the same person.
fn in_sight(
    project: &Project,
    store: &Store,
    item: &ReviewItem,
    besides: InSight,
) -> Result<Option<InSight>, WorkflowError> {
    let before = store.has_said(item.sentence.id, &project.annotator)?;
    let seen = item.in_sight().and(besides).and(revealed_before(project, store, item, before)?);
    Ok((before.recorded || !seen.is_nothing()).then_some(seen))
}

/// What somebody has seen who had spoken before, or put the sentence off, and may have taken it back: what was in sight then, all
/// that is shown after a decision, and what a dispute shows.
fn revealed_before(
    project: &Project,
    store: &Store,
    item: &ReviewItem,
    before: Said,
) -> Result<InSight, WorkflowError> {
    let id = item.sentence.id;
    let mut seen = before.in_sight.with_if(Cue::Colleague, before.settled);
    if !before.decided {
        return Ok(seen);
    }
    let facts = SentenceFacts { sentence: id, origin: item.document.origin, split: item.split, decided: true };
    let shown = project.viewer(Face::Review).shown(facts);
    if shown.machines {
        for source in store.proposed_by(id)? {
            seen = seen.with(if source == Source::Classifier { Cue::Classifier } else { Cue::Machine });
        }
    }
    let others = store.decisions(id)?.iter().any(|decision| decision.annotator != project.annotator);
    Ok(seen.with_if(Cue::Colleague, shown.colleagues && (others || !store.settlements(id)?.is_empty())))
}

/// Settles a sentence as an adjudicator, over whatever the experts say; theirs stays as it is. The reason is the comment of the
/// stand.
pub(crate) fn settle(
    project: &Project,
    store: &mut Store,
    item: &ReviewItem,
    taking: Taking,
) -> Result<(), WorkflowError> {
    let Taking { judgement, took, besides } = taking;
    let annotator = &project.annotator;
    if !project.file.protocol.adjudicates(annotator) {
        let said = format!("{annotator} is not among the `adjudicators` of [protocol] in goldsmith.toml");
        return Err(Refusal::not_allowed(annotator, format!("{said}; nothing was saved")).into());
    }
    identity::require(project, store, &[Role::Adjudicator], "settle what is disputed")?;
    if !item.shown.colleagues {
        let said = format!("{annotator} has not decided this sentence yet; nothing was saved");
        return Err(Refusal::not_allowed(annotator, said).hint("decide it in Review first").into());
    }
    let Some(label) = &judgement.label else {
        return Err(Refusal::invalid("label", "a settlement needs a label: a category, or None").into());
    };
    project.taxonomy.check(label)?;
    identity::sign(project, store)?;
    let settlement = Decision {
        id: new_entry_id(),
        at: now(),
        annotator: annotator.clone(),
        sentence: item.sentence.id,
        took,
        // An adjudicator who decided it as an expert has seen what is shown after that.
        in_sight: in_sight(project, store, item, besides)?,
        proposal: item.proposal().map(|proposal| proposal.id),
        taxonomy: project.taxonomy.hash(),
        supersedes: None,
        judgement,
    };
    Ok(store.append_settlements(&[settlement])?)
}

/// What is disputed is looked through as an adjudicator, all else as whoever decides.
fn searcher<'a>(project: &'a Project, filter: &SentenceFilter) -> Viewer<'a> {
    project.viewer(if filter.disputed.is_some() { Face::Adjudicate } else { Face::List })
}

/// The search, held to what this annotator may be shown; every search of the workbench goes through it.
fn held(project: &Project, filter: &SentenceFilter) -> SentenceFilter {
    searcher(project, filter).held_to_what_is_shown(filter)
}

/// Why a search lists less than all that passes it; `None` where it lists all.
pub(crate) fn why_held(project: &Project, filter: &SentenceFilter) -> Option<&'static str> {
    searcher(project, filter).why_held(filter)
}

/// How many sentences pass a search, counted up to `limit`.
pub(crate) fn count(
    project: &Project,
    store: &Store,
    filter: &SentenceFilter,
    limit: u64,
) -> Result<u64, WorkflowError> {
    Ok(store.count(&held(project, filter), &project.annotator, limit)?)
}

/// The nearest sentence that passes the filter beyond `from`.
pub(crate) fn seek(
    project: &Project,
    store: &Store,
    filter: &SentenceFilter,
    from: Option<SentenceId>,
    direction: SeekDirection,
) -> Result<Option<SentenceId>, WorkflowError> {
    Ok(store.seek(&held(project, filter), &project.annotator, from, direction)?)
}

/// Takes back the annotator's last decision, wherever it was.
pub(crate) fn undo(project: &Project, store: &mut Store) -> Result<Option<UndoneDecision>, WorkflowError> {
    identity::require(project, store, &[Role::Annotator, Role::Adjudicator], "take decisions back")?;
    identity::sign(project, store)?;
    Ok(store.undo(&project.annotator, new_entry_id(), now())?)
}

/// Restores the decision taken back last.
pub(crate) fn redo(project: &Project, store: &mut Store) -> Result<Option<UndoneDecision>, WorkflowError> {
    identity::require(project, store, &[Role::Annotator, Role::Adjudicator], "restore decisions")?;
    identity::sign(project, store)?;
    Ok(store.redo(&project.annotator, new_entry_id(), now())?)
}

/// Where to go on: the nearest sentence after `from` that is open among those of the filter, from the start again if there is
/// none. What everyone decides for calibration comes first, then what the plan of the queue puts first, then the order of notes.
pub fn next_open(
    project: &Project,
    store: &Store,
    worklist: Worklist,
    filter: &SentenceFilter,
    from: Option<SentenceId>,
) -> Result<Option<SentenceId>, WorkflowError> {
    // Open sentences are looked for among those of the filter, unless the filter itself asks for another state. What is
    // disputed is open by itself, and so is what was decided by an outdated guideline.
    let open = match (filter.progress, worklist) {
        (DecisionState::All, Worklist::Review | Worklist::Bronze) if filter.outdated.is_empty() => {
            SentenceFilter { progress: DecisionState::Open, ..filter.clone() }
        }
        _ => filter.clone(),
    };
    let mut stages = vec![open.clone()];
    if worklist == Worklist::Review && *filter == worklist.all(project) {
        stages.insert(0, SentenceFilter { planned: true, ..open.clone() });
        if filter.assigned.is_some() {
            stages.insert(0, SentenceFilter { assigned: Some(AssignmentFilter::Calibration), ..open });
        }
    }
    for stage in &stages {
        let further = match from {
            Some(_) => seek(project, store, stage, from, SeekDirection::Forward)?,
            None => None,
        };
        let found = match further {
            Some(id) => Some(id),
            None => seek(project, store, stage, None, SeekDirection::Forward)?.filter(|id| Some(*id) != from),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// How far the annotator has come, and the times of the latest decisions (oldest first) for the pace.
pub(crate) fn progress(
    project: &Project,
    store: &Store,
    worklist: Worklist,
) -> Result<(ProgressCount, Vec<u32>), WorkflowError> {
    let all = worklist.all(project);
    let progression = match worklist {
        Worklist::Review if all.assigned.is_some() => {
            let given = store.given(&project.annotator)?;
            ProgressCount { decided: given.decided, total: given.sentences }
        }
        Worklist::Review | Worklist::Bronze => store.progression(&project.annotator, all.origin)?,
        Worklist::Adjudicate => {
            let (disputed, settled) = (count(project, store, &all, i64::MAX as u64)?, store.settled_count()?);
            ProgressCount { decided: settled, total: settled + disputed }
        }
    };
    let mut took: Vec<u32> =
        store.latest_decisions(&project.annotator, 25)?.into_iter().filter_map(|decision| decision.took).collect();
    took.reverse();
    Ok((progression, took))
}
