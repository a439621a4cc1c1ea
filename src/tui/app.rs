//! The workbench as a value: `update` takes a message and returns effects; nothing here reads, writes or draws.

use crossterm::event::{KeyCode, KeyEvent};

use super::filter;
use super::jobs::{JobsState, Offer};
use super::keymap::{Action, Key, Keymap};
use super::metrics::MetricsState;
use super::review::ReviewState;
use super::theme::{Meaning, Theme};
use super::train::TrainState;
use crate::domain::corpus::{Origin, SentenceId};
use crate::domain::label::{Annotator, Run, Stand};
use crate::domain::queue::Filter;
use crate::domain::taxonomy::Taxonomy;
use crate::workflow::Progress;
use crate::workflow::metrics::{GoldCounts, Scored};
use crate::workflow::review::Item;
use crate::workflow::train::{Event, Trained};

/// What every screen may look at.
pub struct Shared {
    /// Categories and guideline.
    pub taxonomy: Taxonomy,
    /// Who decides.
    pub annotator: Annotator,
    /// The project's name.
    pub project: String,
    /// Whether proposals are hidden until decided.
    pub blind: bool,
    /// The names of the project's language models.
    pub models: Vec<String>,
    /// Live keys.
    pub keymap: Keymap,
    /// Live looks.
    pub theme: Theme,
}

/// The screens, in the order of their tabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// Real sentences.
    Review,
    /// Synthetic sentences.
    Bronze,
    /// Scores.
    Metrics,
    /// Training.
    Train,
    /// Language models at work.
    Jobs,
}

impl Screen {
    /// All, with their names.
    pub const ALL: [(Self, &str); 5] = [
        (Self::Review, "Review"),
        (Self::Bronze, "Bronze"),
        (Self::Metrics, "Metrics"),
        (Self::Train, "Train"),
        (Self::Jobs, "Jobs"),
    ];
}

/// What a line of text is typed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Search and filter.
    Search,
    /// A remark on the sentence.
    Comment,
    /// A new wording of a synthetic sentence.
    Edit,
    /// An action by name.
    Palette,
}

/// What lies over the screen; it has the keys first.
#[derive(Clone, Debug, PartialEq)]
pub enum Overlay {
    /// The live keys.
    Help {
        /// First line shown.
        top: usize,
    },
    /// What each category means.
    Guideline {
        /// First line shown.
        top: usize,
    },
    /// A line of text.
    Input {
        /// What for.
        prompt: Prompt,
        /// What stands in it.
        text: String,
        /// Cursor, as a byte of the text.
        cursor: usize,
        /// The line chosen below it.
        selected: usize,
        /// What is wrong with it.
        fault: Option<String>,
    },
    /// Sentences to choose from.
    List {
        /// Where they come from.
        title: String,
        /// The sentences.
        rows: Vec<(SentenceId, String)>,
        /// The line chosen.
        selected: usize,
    },
}

/// A line at the foot of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it says.
    pub text: String,
    /// How it looks.
    pub meaning: Meaning,
}

/// The numbers of the store at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The newest language-model run against gold, with its model.
    pub silver: Option<(Scored, String)>,
    /// The newest classifier against held-out gold, with its name.
    pub classifier: Option<(Scored, String)>,
    /// Gold by category.
    pub gold: GoldCounts,
    /// Synthetic sentences by category.
    pub bronze: Vec<usize>,
    /// Sentences by length in words, real then synthetic; bins of five words.
    pub lengths: [Vec<u32>; 2],
    /// All runs, newest first.
    pub runs: Vec<Run>,
}

/// Everything that can happen.
#[derive(Debug)]
pub enum Message {
    /// A key.
    Key(KeyEvent),
    /// A sentence to show; the screen goes to it if asked for by the user.
    Item {
        /// The sentence.
        item: Box<Item>,
        /// Whether its screen comes to the front.
        show: bool,
    },
    /// The filter has no sentence where one was asked for.
    Nothing {
        /// Real or synthetic.
        origin: Origin,
        /// Whether the filter has none at all.
        at_all: bool,
    },
    /// How far the annotator is and how many pass the filter.
    Standing {
        /// Real or synthetic.
        origin: Origin,
        /// Decided and all.
        decided: u64,
        /// All of the origin.
        total: u64,
        /// Milliseconds of the latest decisions.
        took: Vec<u32>,
        /// How many pass the filter, if it is one.
        matches: Option<u64>,
    },
    /// A decision is on the disk.
    Saved {
        /// What was decided on which sentence.
        line: String,
    },
    /// Undo or redo found nothing.
    NothingToUndo(&'static str),
    /// Sentences behind a cell.
    Rows {
        /// Where they come from.
        title: String,
        /// The sentences.
        rows: Vec<(SentenceId, String)>,
    },
    /// New numbers.
    Board(Box<Snapshot>),
    /// Training says something.
    Training(Event),
    /// Training is over.
    Trained(Box<Result<Trained, String>>),
    /// A language model's job says something.
    Job(Offer, Progress),
    /// A language model's job is over.
    JobEnded(Offer, Result<String, String>),
    /// An effect failed; nothing was changed.
    Failed(String),
    /// Leave.
    Quit,
}

/// Which sentence is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The first that is open, or the first.
    Resume,
    /// The next after this.
    After(SentenceId),
    /// The one before this.
    Before(SentenceId),
    /// The next open one after this, from the start again if there is none.
    OpenAfter(SentenceId),
    /// This one.
    Exactly(SentenceId),
}

/// What the world is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Fetch a sentence.
    Fetch {
        /// Which.
        target: Target,
        /// Among which.
        filter: Filter,
        /// Bring its screen to the front.
        show: bool,
    },
    /// Commit a decision on the item and then fetch.
    Decide {
        /// On what.
        item: Box<Item>,
        /// What.
        stand: Stand,
        /// Milliseconds on the screen.
        took: Option<u32>,
        /// What to show next.
        then: Target,
        /// Among which.
        filter: Filter,
    },
    /// Take back the last decision and show where.
    Undo,
    /// Restore it.
    Redo,
    /// Fetch texts for a list.
    List {
        /// Its title.
        title: String,
        /// The sentences.
        ids: Vec<SentenceId>,
    },
    /// Start training.
    Train,
    /// Stop it.
    StopTraining,
    /// Start a language model's job.
    StartJob(Offer),
    /// Let it wait, or go on.
    PauseJob(Offer, bool),
    /// Stop it at its next safe point.
    StopJob(Offer),
}

/// The whole state.
pub struct App {
    /// What every screen may look at.
    pub shared: Shared,
    /// The screen in front.
    pub screen: Screen,
    /// Real sentences.
    pub review: ReviewState,
    /// Synthetic sentences.
    pub bronze: ReviewState,
    /// Scores.
    pub metrics: MetricsState,
    /// Training.
    pub train: TrainState,
    /// Language models at work.
    pub jobs: JobsState,
    /// What lies over the screen.
    pub overlay: Option<Overlay>,
    /// The line at the foot.
    pub notice: Option<Notice>,
    /// Newest numbers.
    pub board: Snapshot,
    /// Whether it is over.
    pub quit: bool,
}

impl App {
    /// The first state, and what to fetch for it.
    pub fn new(shared: Shared, faults: Vec<String>) -> (Self, Vec<Effect>) {
        let app = Self {
            screen: Screen::Review,
            review: ReviewState::new(Origin::Real),
            bronze: ReviewState::new(Origin::Synthetic),
            metrics: MetricsState::default(),
            train: TrainState::default(),
            jobs: JobsState::new(shared.models.iter()),
            shared,
            overlay: None,
            notice: (!faults.is_empty()).then(|| Notice { text: faults.join("; "), meaning: Meaning::Warn }),
            board: Snapshot::default(),
            quit: false,
        };
        let fetch =
            |state: &ReviewState| Effect::Fetch { target: Target::Resume, filter: state.filter.clone(), show: false };
        let effects = vec![fetch(&app.review), fetch(&app.bronze)];
        (app, effects)
    }

    /// The review state of an origin.
    pub fn of(&mut self, origin: Origin) -> &mut ReviewState {
        match origin {
            Origin::Real => &mut self.review,
            Origin::Synthetic => &mut self.bronze,
        }
    }

    /// What a message does. `now` is in milliseconds of any steady clock.
    pub fn update(&mut self, message: Message, now: u64) -> Vec<Effect> {
        match message {
            Message::Key(event) => return self.key(Key::of(event), now),
            Message::Item { item, show } => {
                let origin = item.document.origin;
                if show {
                    self.screen = if origin == Origin::Real { Screen::Review } else { Screen::Bronze };
                }
                self.of(origin).show(item, now);
            }
            Message::Nothing { origin, at_all } => {
                let state = self.of(origin);
                if at_all {
                    state.item = None;
                    state.loaded = true;
                } else {
                    self.say("no further sentence passes the filter", Meaning::Dim);
                }
            }
            Message::Standing { origin, decided, total, took, matches } => {
                let state = self.of(origin);
                (state.decided, state.total, state.took, state.matches) = (decided, total, took, matches);
            }
            Message::Saved { line } => self.say(&line, Meaning::Good),
            Message::NothingToUndo(what) => self.say(what, Meaning::Dim),
            Message::Rows { title, rows } => self.overlay = Some(Overlay::List { title, rows, selected: 0 }),
            Message::Board(snapshot) => self.board = *snapshot,
            Message::Training(event) => self.train.hear(event, now),
            Message::Trained(result) => {
                let (text, meaning) = match *result {
                    Ok(trained) => {
                        let f1 = trained.scored.as_ref().and_then(|s| s.report.averages.macro_.f1.value);
                        let f1 = f1.map_or_else(
                            || "no gold to score on yet".to_owned(),
                            |f| format!("macro-F1 {:.1} on held-out gold", 100.0 * f),
                        );
                        (format!("trained in {:.1} s: {f1}", trained.seconds), Meaning::Good)
                    }
                    Err(error) => (error, Meaning::Bad),
                };
                self.train.finish(text.clone());
                self.say(&text, meaning);
            }
            Message::Job(offer, progress) => self.jobs.hear(&offer, progress, now),
            Message::JobEnded(offer, how) => {
                let meaning = if how.is_ok() { Meaning::Good } else { Meaning::Bad };
                let said = how.as_ref().unwrap_or_else(|error| error).clone();
                self.jobs.finish(&offer, how);
                self.say(&format!("{}: {said}", offer.name()), meaning);
            }
            Message::Failed(text) => self.say(&text, Meaning::Bad),
            Message::Quit => self.quit = true,
        }
        Vec::new()
    }

    fn say(&mut self, text: &str, meaning: Meaning) {
        self.notice = Some(Notice { text: text.to_owned(), meaning });
    }

    fn key(&mut self, key: Key, now: u64) -> Vec<Effect> {
        if let Some(overlay) = self.overlay.take() {
            return self.overlay_key(overlay, key, now);
        }
        if let Some(action) = self.shared.keymap.action(key) {
            return self.act(action, now);
        }
        // What is no action may be a category.
        let category = key.char().and_then(|c| self.shared.taxonomy.categories().iter().find(|k| k.shortcut == c));
        let (Some(category), Screen::Review | Screen::Bronze) = (category, self.screen) else {
            return Vec::new();
        };
        let key = category.key.clone();
        let state = if self.screen == Screen::Review { &mut self.review } else { &mut self.bronze };
        state.choose(&key, &self.shared, now)
    }

    fn act(&mut self, action: Action, now: u64) -> Vec<Effect> {
        self.notice = None;
        match action {
            Action::Quit => self.quit = true,
            Action::Help => self.overlay = Some(Overlay::Help { top: 0 }),
            Action::Guideline => self.overlay = Some(Overlay::Guideline { top: 0 }),
            Action::Palette => self.overlay = Some(input(Prompt::Palette, String::new())),
            Action::NextScreen => self.turn(1),
            Action::PreviousScreen => self.turn(Screen::ALL.len() - 1),
            Action::Doubts => {
                self.screen = Screen::Review;
                return self.review.turn_to_doubts();
            }
            Action::Undo => return vec![Effect::Undo],
            Action::Redo => return vec![Effect::Redo],
            Action::Start if self.screen == Screen::Jobs => return self.start_job(now),
            Action::Stop if self.screen == Screen::Jobs => {
                return self.jobs.chosen().cloned().map(Effect::StopJob).into_iter().collect();
            }
            Action::Start => {
                self.screen = Screen::Train;
                if self.train.start(now) {
                    return vec![Effect::Train];
                }
                self.say("training is under way", Meaning::Warn);
            }
            Action::Stop => return vec![Effect::StopTraining],
            other => return self.act_on_screen(other, now),
        }
        Vec::new()
    }

    fn act_on_screen(&mut self, action: Action, now: u64) -> Vec<Effect> {
        match self.screen {
            Screen::Review | Screen::Bronze => {
                let state = if self.screen == Screen::Review { &mut self.review } else { &mut self.bronze };
                match action {
                    Action::Search => self.overlay = Some(input(Prompt::Search, state.query.clone())),
                    Action::Comment if state.item.is_some() => {
                        let text = state.item.as_ref().map_or_else(String::new, |item| item.stand().comment);
                        self.overlay = Some(input(Prompt::Comment, text));
                    }
                    Action::Edit => match &state.item {
                        Some(item) if item.document.origin == Origin::Synthetic => {
                            self.overlay = Some(input(Prompt::Edit, item.wording().to_owned()));
                        }
                        _ => self
                            .say("only synthetic sentences can be reworded; a real note stays as it is", Meaning::Warn),
                    },
                    other => match state.act(other, &self.shared, now) {
                        Ok(effects) => return effects,
                        Err(why) => self.say(why, Meaning::Warn),
                    },
                }
                Vec::new()
            }
            Screen::Metrics => self.metrics.act(action, &self.board, &self.shared.taxonomy).into_iter().collect(),
            Screen::Jobs => {
                match action {
                    Action::Next => self.jobs.step(1),
                    Action::Previous => self.jobs.step(-1),
                    Action::Accept => return self.start_job(now),
                    Action::Pause => match self.jobs.pause() {
                        Ok((offer, wait)) => return vec![Effect::PauseJob(offer, wait)],
                        Err(why) => self.say(why, Meaning::Warn),
                    },
                    _ => {}
                }
                Vec::new()
            }
            Screen::Train => match action {
                Action::Accept if self.train.start(now) => vec![Effect::Train],
                _ => Vec::new(),
            },
        }
    }

    fn start_job(&mut self, now: u64) -> Vec<Effect> {
        match self.jobs.start(now) {
            Ok(offer) => vec![Effect::StartJob(offer)],
            Err(why) => {
                self.say(why, Meaning::Warn);
                Vec::new()
            }
        }
    }

    fn turn(&mut self, by: usize) {
        let at = Screen::ALL.iter().position(|(screen, _)| *screen == self.screen).unwrap_or(0);
        self.screen = Screen::ALL[(at + by) % Screen::ALL.len()].0;
    }

    fn overlay_key(&mut self, overlay: Overlay, key: Key, now: u64) -> Vec<Effect> {
        let action = self.shared.keymap.action(key);
        if action == Some(Action::Quit) && key.char().is_none() {
            self.quit = true;
            return Vec::new();
        }
        match overlay {
            Overlay::Help { top } => self.scroll(action, top, |top| Overlay::Help { top }),
            Overlay::Guideline { top } => self.scroll(action, top, |top| Overlay::Guideline { top }),
            Overlay::List { title, rows, selected } => {
                let last = rows.len().saturating_sub(1);
                let selected = match action {
                    Some(Action::Next) => (selected + 1).min(last),
                    Some(Action::Previous) => selected.saturating_sub(1),
                    Some(Action::Accept) => {
                        let filter = Filter::default();
                        return rows
                            .get(selected)
                            .map(|(id, _)| Effect::Fetch { target: Target::Exactly(*id), filter, show: true })
                            .into_iter()
                            .collect();
                    }
                    Some(Action::Close | Action::Quit) => return Vec::new(),
                    _ => selected,
                };
                self.overlay = Some(Overlay::List { title, rows, selected });
                Vec::new()
            }
            Overlay::Input { prompt, text, cursor, selected, .. } => {
                self.type_key(prompt, text, cursor, selected, key, now)
            }
        }
    }

    fn scroll(&mut self, action: Option<Action>, top: usize, make: fn(usize) -> Overlay) -> Vec<Effect> {
        let top = match action {
            Some(Action::Next) => top + 1,
            Some(Action::Previous) => top.saturating_sub(1),
            Some(Action::Accept) => top + 10,
            _ => return Vec::new(),
        };
        self.overlay = Some(make(top));
        Vec::new()
    }

    fn type_key(
        &mut self,
        prompt: Prompt,
        mut text: String,
        mut cursor: usize,
        mut selected: usize,
        key: Key,
        now: u64,
    ) -> Vec<Effect> {
        let back = text[..cursor].chars().next_back().map_or(0, char::len_utf8);
        let forth = text[cursor..].chars().next().map_or(0, char::len_utf8);
        match (key.code(), key.char()) {
            (KeyCode::Esc, _) => return Vec::new(),
            (KeyCode::Enter, _) => return self.typed(prompt, text, selected, now),
            (KeyCode::Backspace, _) => {
                text.replace_range(cursor - back..cursor, "");
                cursor -= back;
            }
            (KeyCode::Delete, _) => text.replace_range(cursor..cursor + forth, ""),
            (KeyCode::Left, _) => cursor -= back,
            (KeyCode::Right, _) => cursor += forth,
            (KeyCode::Home, _) => cursor = 0,
            (KeyCode::End, _) => cursor = text.len(),
            (KeyCode::Down, _) => selected += 1,
            (KeyCode::Up, _) => selected = selected.saturating_sub(1),
            (_, Some(c)) if !c.is_control() => {
                text.insert(cursor, c);
                cursor += c.len_utf8();
                selected = 0;
            }
            _ => {}
        }
        self.overlay = Some(Overlay::Input { prompt, text, cursor, selected, fault: None });
        Vec::new()
    }

    fn typed(&mut self, prompt: Prompt, text: String, selected: usize, now: u64) -> Vec<Effect> {
        if prompt == Prompt::Palette {
            let found = palette(&text);
            return match found.get(selected.min(found.len().saturating_sub(1))) {
                Some((action, _)) => self.act(*action, now),
                None => Vec::new(),
            };
        }
        let origin = if self.screen == Screen::Bronze { Origin::Synthetic } else { Origin::Real };
        if prompt == Prompt::Search {
            return match filter::parse(&text, origin, &self.shared.taxonomy) {
                Ok(filter) => {
                    let state = self.of(origin);
                    state.filter = filter.clone();
                    state.query = text;
                    vec![Effect::Fetch { target: Target::Resume, filter, show: false }]
                }
                Err(fault) => {
                    let cursor = text.len();
                    self.overlay = Some(Overlay::Input { prompt, text, cursor, selected: 0, fault: Some(fault) });
                    Vec::new()
                }
            };
        }
        let state = self.of(origin);
        match prompt {
            Prompt::Comment => state.comment(text, now),
            _ => state.reword(&text, now),
        }
    }
}

fn input(prompt: Prompt, text: String) -> Overlay {
    Overlay::Input { prompt, cursor: text.len(), text, selected: 0, fault: None }
}

/// Actions whose name or help holds every word typed.
pub fn palette(typed: &str) -> Vec<(Action, &'static str)> {
    let words: Vec<String> = typed.to_lowercase().split_whitespace().map(str::to_owned).collect();
    Action::all()
        .filter(|(_, name, help)| words.iter().all(|w| name.contains(w.as_str()) || help.to_lowercase().contains(w)))
        .map(|(action, _, help)| (action, help))
        .collect()
}
