//! The state of Review, Bronze and Adjudicate: one sentence at a time, one key a decision.

use std::ops::{Index, IndexMut};

use super::filter::DOUBTED;
use super::keymap::Action;
use super::message::{Effect, Effects, SeekTarget};
use super::shared::SharedState;
use crate::domain::category::CategoryKey;
use crate::domain::corpus::SentenceId;
use crate::domain::label::{Judgement, Label};
use crate::domain::queue::{DoubtFilter, SentenceFilter};
use crate::domain::taxonomy::Selection;
use crate::workflow::review::{ReviewItem, Worklist};

/// One worklist: what it holds, what is on the screen, and how far it has come.
pub(crate) struct WorklistState {
    pub worklist: Worklist,
    /// All that lies on it.
    pub all: SentenceFilter,
    /// What is on the screen.
    pub item: Option<Box<ReviewItem>>,
    /// Categories toggled and not yet committed (`multiple`).
    pub draft: Option<Label>,
    pub filter: SentenceFilter,
    /// The filter as typed.
    pub query: String,
    /// Decided by the annotator, or settled.
    pub decided: u64,
    /// All that there is to do here.
    pub total: u64,
    /// How many pass the filter.
    pub matches: Option<u64>,
    /// Why the filter lists less than all that passes it.
    pub held: Option<&'static str>,
    /// Milliseconds of the latest decisions.
    pub took: Vec<u32>,
    /// What was settled last: the sentence, its words and its label.
    pub settled: Option<(SentenceId, String, Label)>,
    /// Whether the first answer of the store has come.
    pub loaded: bool,
    since: u64,
}

/// The state of each worklist.
pub(crate) struct Worklists([WorklistState; Worklist::ALL.len()]);

impl Worklists {
    /// Nothing on the screens yet.
    pub(crate) fn new(shared: &SharedState) -> Self {
        Self(Worklist::ALL.map(|at| WorklistState::new(at, shared.worklists[at as usize].clone())))
    }
}

impl Index<Worklist> for Worklists {
    type Output = WorklistState;

    fn index(&self, at: Worklist) -> &WorklistState {
        &self.0[at as usize]
    }
}

impl IndexMut<Worklist> for Worklists {
    fn index_mut(&mut self, at: Worklist) -> &mut WorklistState {
        &mut self.0[at as usize]
    }
}

/// A sentence that was on the screen longer than this was left alone; its time says nothing of the pace.
const AWAY: u64 = 10 * 60 * 1000;

impl WorklistState {
    /// Nothing on the screen yet.
    fn new(worklist: Worklist, all: SentenceFilter) -> Self {
        Self {
            worklist,
            filter: all.clone(),
            all,
            item: None,
            draft: None,
            query: String::new(),
            decided: 0,
            total: 0,
            matches: None,
            held: None,
            took: Vec::new(),
            settled: None,
            loaded: false,
            since: 0,
        }
    }

    /// Puts a sentence on the screen. The same sentence again keeps its clock and its draft.
    pub(crate) fn show(&mut self, item: Box<ReviewItem>, now: u64) {
        let same = self.item.as_ref().is_some_and(|shown| shown.sentence.id == item.sentence.id);
        if !same {
            self.draft = None;
            self.since = now;
        }
        self.loaded = true;
        self.item = Some(item);
    }

    /// The label that the screen shows as chosen: the draft, or what stands: the annotator's own, or what was settled.
    pub(crate) fn chosen(&self) -> Option<Label> {
        let stands = || {
            let item = self.item.as_ref()?;
            let decision = if self.worklist == Worklist::Adjudicate { item.settled.last() } else { item.mine.as_ref() };
            decision?.judgement.label.clone()
        };
        self.draft.clone().or_else(stands)
    }

    /// A category's key: under `single` it decides, under `multiple` it toggles.
    pub(crate) fn choose(&mut self, key: &CategoryKey, shared: &SharedState, now: u64) -> Vec<Effect> {
        if self.item.is_none() {
            return Vec::new();
        }
        match shared.taxonomy.selection() {
            Selection::Single => self.decide(Label::of(key.clone()), now),
            Selection::Multiple => {
                let mut draft = self.chosen().unwrap_or_default();
                draft.toggle(key);
                self.draft = Some(draft);
                Vec::new()
            }
        }
    }

    /// What an action does here.
    pub(crate) fn act(&mut self, action: Action, shared: &SharedState, now: u64) -> Effects {
        if action == Action::Close {
            self.draft = None;
            return Ok(if self.query.is_empty() { Vec::new() } else { self.show_all() });
        }
        let Some(item) = &self.item else {
            return Err("no sentence here; import notes, or clear the filter with Esc");
        };
        let id = item.sentence.id;
        Ok(match action {
            Action::Accept => {
                let proposed = self.draft.clone().or_else(|| item.proposal().map(|p| p.content.label.clone()));
                match proposed {
                    Some(label) if shared.taxonomy.check(&label).is_ok() => self.decide(label, now),
                    Some(_) => return Err("the proposal does not fit this taxonomy; choose a category"),
                    None if !item.shown.machines => {
                        return Err("blind: decide first; the proposal is shown afterwards");
                    }
                    None => return Err("no proposal to accept; press a category's key, or 0 for None"),
                }
            }
            Action::None => self.decide(Label::none(), now),
            Action::Skip | Action::Flag | Action::Comment if self.worklist == Worklist::Adjudicate => {
                return Err("this screen settles disputes: press a category's key, or 0 for None");
            }
            Action::Reject if self.worklist == Worklist::Bronze => {
                let judgement = Judgement { label: None, rejected: true, skipped: false, ..item.judgement() };
                self.commit(judgement, SeekTarget::OpenAfter(id), now)
            }
            Action::Reject => return Err("only synthetic sentences can be rejected"),
            Action::Next => vec![self.fetch(SeekTarget::After(id))],
            Action::Previous => vec![self.fetch(SeekTarget::Before(id))],
            Action::NextOpen => vec![self.fetch(SeekTarget::OpenAfter(id))],
            Action::Skip => {
                let judgement = Judgement { skipped: true, ..item.judgement() };
                self.commit(judgement, SeekTarget::OpenAfter(id), now)
            }
            Action::Flag => {
                let judgement = item.judgement();
                self.commit(Judgement { flagged: !judgement.flagged, ..judgement }, SeekTarget::Exactly(id), now)
            }
            _ => Vec::new(),
        })
    }

    /// Puts the labels that may be wrong in the queue, or all sentences again.
    pub(crate) fn turn_to_doubts(&mut self) -> Vec<Effect> {
        self.draft = None;
        if self.filter.doubted.is_some() {
            return self.show_all();
        }
        self.filter = SentenceFilter { doubted: Some(DoubtFilter::Any), ..self.all.clone() };
        self.query = DOUBTED.into();
        vec![self.fetch(SeekTarget::Resume)]
    }

    fn show_all(&mut self) -> Vec<Effect> {
        self.query.clear();
        self.filter = self.all.clone();
        let target = self.item.as_ref().map_or(SeekTarget::Resume, |item| SeekTarget::Exactly(item.sentence.id));
        vec![self.fetch(target)]
    }

    /// Sets the remark and stays.
    pub(crate) fn comment(&mut self, comment: String, now: u64) -> Vec<Effect> {
        let Some(item) = &self.item else {
            return Vec::new();
        };
        let id = item.sentence.id;
        self.commit(Judgement { comment, ..item.judgement() }, SeekTarget::Exactly(id), now)
    }

    /// The label that most experts gave; the draft, if there is one.
    pub(crate) fn leading(&self) -> Result<Label, &'static str> {
        if let Some(draft) = &self.draft {
            return Ok(draft.clone());
        }
        let item = self.item.as_ref().ok_or("nothing is disputed here")?;
        let labels = || item.others.iter().chain(&item.mine).filter_map(|d| d.judgement.label.as_ref());
        let count = |label: &Label| labels().filter(|other| *other == label).count();
        let most = labels().map(count).max().unwrap_or(0);
        let mut leading: Vec<&Label> = labels().filter(|label| count(label) == most).collect();
        leading.sort_unstable();
        leading.dedup();
        match leading[..] {
            [label] => Ok(label.clone()),
            _ => Err("no majority; press a category's key, or 0 for None"),
        }
    }

    /// Settles what is disputed.
    pub(crate) fn settle(&mut self, label: Label, reason: String, now: u64) -> Vec<Effect> {
        let took = self.took(now);
        let Some(item) = self.item.clone() else {
            return Vec::new();
        };
        self.draft = None;
        self.settled = Some((item.sentence.id, item.text().to_owned(), label.clone()));
        let judgement = Judgement { label: Some(label), comment: reason.trim().to_owned(), ..Judgement::default() };
        vec![Effect::Settle { item, judgement, took, filter: self.filter.clone() }]
    }

    /// Sets a new wording and accepts it under the target label.
    pub(crate) fn reword(&mut self, text: &str, now: u64) -> Vec<Effect> {
        let Some(item) = &self.item else {
            return Vec::new();
        };
        let text = text.trim();
        if text.is_empty() {
            return Vec::new();
        }
        let edited = (text != item.text()).then(|| text.to_owned());
        let label = item.judgement().label.or_else(|| item.proposal().map(|p| p.content.label.clone()));
        let judgement = Judgement { label, edited, rejected: false, skipped: false, ..item.judgement() };
        let id = item.sentence.id;
        self.commit(judgement, SeekTarget::OpenAfter(id), now)
    }

    fn decide(&mut self, label: Label, now: u64) -> Vec<Effect> {
        let Some(item) = &self.item else {
            return Vec::new();
        };
        let judgement = Judgement { label: Some(label), rejected: false, skipped: false, ..item.judgement() };
        let id = item.sentence.id;
        self.commit(judgement, SeekTarget::OpenAfter(id), now)
    }

    fn commit(&mut self, judgement: Judgement, then: SeekTarget, now: u64) -> Vec<Effect> {
        let Some(item) = &self.item else {
            return Vec::new();
        };
        let decided = judgement.label.is_some() || judgement.rejected;
        let took = self.took(now).filter(|_| decided);
        let item = item.clone();
        if decided {
            self.draft = None;
        }
        vec![Effect::Decide { worklist: self.worklist, item, judgement, took, then, filter: self.filter.clone() }]
    }

    fn took(&self, now: u64) -> Option<u32> {
        let on_screen = now.saturating_sub(self.since);
        (on_screen < AWAY).then(|| u32::try_from(on_screen).unwrap_or(u32::MAX))
    }

    /// Asks for a sentence among those of the filter.
    pub(crate) fn fetch(&self, target: SeekTarget) -> Effect {
        Effect::Fetch { worklist: self.worklist, target, filter: self.filter.clone(), show: false }
    }
}
