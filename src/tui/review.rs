//! The state of Review and Bronze: one sentence at a time, one key a decision.

use super::app::{Effect, Shared, Target};
use super::filter::DOUBTED;
use super::keymap::Action;
use crate::domain::corpus::Origin;
use crate::domain::label::{Label, Stand};
use crate::domain::queue::{Doubted, Filter};
use crate::domain::taxonomy::{CategoryKey, Selection};
use crate::workflow::review::Item;

/// What an action leads to, or why it cannot be done.
pub type Effects = Result<Vec<Effect>, &'static str>;

/// Review of real sentences, or of synthetic ones.
pub struct ReviewState {
    /// What is on the screen.
    pub item: Option<Box<Item>>,
    /// Categories toggled and not yet committed (`multiple`).
    pub draft: Option<Label>,
    /// Which sentences.
    pub filter: Filter,
    /// The filter as typed.
    pub query: String,
    /// Decided by the annotator.
    pub decided: u64,
    /// All of the origin.
    pub total: u64,
    /// How many pass the filter.
    pub matches: Option<u64>,
    /// Milliseconds of the latest decisions.
    pub took: Vec<u32>,
    /// Whether the first answer of the store has come.
    pub loaded: bool,
    since: u64,
}

/// A sentence that was on the screen longer than this was left alone; its time says nothing of the pace.
const AWAY: u64 = 10 * 60 * 1000;

impl ReviewState {
    /// Nothing on the screen yet.
    pub fn new(origin: Origin) -> Self {
        Self {
            item: None,
            draft: None,
            filter: Filter { origin, ..Filter::default() },
            query: String::new(),
            decided: 0,
            total: 0,
            matches: None,
            took: Vec::new(),
            loaded: false,
            since: 0,
        }
    }

    /// Puts a sentence on the screen. The same sentence again keeps its clock and its draft.
    pub fn show(&mut self, item: Box<Item>, now: u64) {
        let same = self.item.as_ref().is_some_and(|shown| shown.sentence.id == item.sentence.id);
        if !same {
            self.draft = None;
            self.since = now;
        }
        self.loaded = true;
        self.item = Some(item);
    }

    /// The label that the screen shows as chosen: the draft, or the annotator's own.
    pub fn chosen(&self) -> Option<Label> {
        self.draft.clone().or_else(|| self.item.as_ref()?.mine.as_ref()?.stand.label.clone())
    }

    /// A category's key: under `single` it decides, under `multiple` it toggles.
    pub fn choose(&mut self, key: &CategoryKey, shared: &Shared, now: u64) -> Vec<Effect> {
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
    pub fn act(&mut self, action: Action, shared: &Shared, now: u64) -> Effects {
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
                    None if item.hidden => return Err("blind: decide first; the proposal is shown afterwards"),
                    None => return Err("no proposal to accept; press a category's key, or 0 for None"),
                }
            }
            Action::None => self.decide(Label::none(), now),
            Action::Reject if self.filter.origin == Origin::Synthetic => {
                let stand = Stand { label: None, rejected: true, skipped: false, ..item.stand() };
                self.commit(stand, Target::OpenAfter(id), now)
            }
            Action::Reject => return Err("only synthetic sentences can be thrown out"),
            Action::Next => vec![self.fetch(Target::After(id))],
            Action::Previous => vec![self.fetch(Target::Before(id))],
            Action::NextOpen => vec![self.fetch(Target::OpenAfter(id))],
            Action::Skip => {
                let stand = Stand { skipped: true, ..item.stand() };
                self.commit(stand, Target::OpenAfter(id), now)
            }
            Action::Flag => {
                let stand = item.stand();
                self.commit(Stand { flagged: !stand.flagged, ..stand }, Target::Exactly(id), now)
            }
            _ => Vec::new(),
        })
    }

    /// Puts the labels that may be wrong in the queue, or all sentences again.
    pub fn turn_to_doubts(&mut self) -> Vec<Effect> {
        self.draft = None;
        if self.filter.doubted.is_some() {
            return self.show_all();
        }
        self.filter = Filter { origin: self.filter.origin, doubted: Some(Doubted::Any), ..Filter::default() };
        self.query = DOUBTED.into();
        vec![self.fetch(Target::Resume)]
    }

    fn show_all(&mut self) -> Vec<Effect> {
        self.query.clear();
        self.filter = Filter { origin: self.filter.origin, ..Filter::default() };
        let target = self.item.as_ref().map_or(Target::Resume, |item| Target::Exactly(item.sentence.id));
        vec![self.fetch(target)]
    }

    /// Sets the remark and stays.
    pub fn comment(&mut self, comment: String, now: u64) -> Vec<Effect> {
        let Some(item) = &self.item else {
            return Vec::new();
        };
        let id = item.sentence.id;
        self.commit(Stand { comment, ..item.stand() }, Target::Exactly(id), now)
    }

    /// Sets a new wording and accepts it under the target label.
    pub fn reword(&mut self, text: &str, now: u64) -> Vec<Effect> {
        let Some(item) = &self.item else {
            return Vec::new();
        };
        let text = text.trim();
        if text.is_empty() {
            return Vec::new();
        }
        let edited = (text != item.text()).then(|| text.to_owned());
        let label = item.stand().label.or_else(|| item.proposal().map(|p| p.content.label.clone()));
        let stand = Stand { label, edited, rejected: false, skipped: false, ..item.stand() };
        let id = item.sentence.id;
        self.commit(stand, Target::OpenAfter(id), now)
    }

    fn decide(&mut self, label: Label, now: u64) -> Vec<Effect> {
        let Some(item) = &self.item else {
            return Vec::new();
        };
        let stand = Stand { label: Some(label), rejected: false, skipped: false, ..item.stand() };
        let id = item.sentence.id;
        self.commit(stand, Target::OpenAfter(id), now)
    }

    fn commit(&mut self, stand: Stand, then: Target, now: u64) -> Vec<Effect> {
        let Some(item) = &self.item else {
            return Vec::new();
        };
        let on_screen = now.saturating_sub(self.since);
        let decided = stand.label.is_some() || stand.rejected;
        let took = (decided && on_screen < AWAY).then(|| u32::try_from(on_screen).unwrap_or(u32::MAX));
        let item = item.clone();
        if decided {
            self.draft = None;
        }
        vec![Effect::Decide { item, stand, took, then, filter: self.filter.clone() }]
    }

    fn fetch(&self, target: Target) -> Effect {
        Effect::Fetch { target, filter: self.filter.clone(), show: false }
    }
}
