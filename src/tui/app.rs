//! The workbench as a value: `update` takes a message and returns effects; nothing here reads, writes or draws.

mod overlay;

use super::jobs::JobsState;
use super::keymap::{Action, Key};
use super::message::{Effect, Message, Snapshot, Target};
use super::metrics::MetricsState;
use super::review::ReviewState;
use super::shared::Shared;
use super::theme::StyleRole;
use super::train::TrainState;
use crate::domain::corpus::{Origin, SentenceId};
use crate::domain::label::Label;
use crate::domain::taxonomy::Selection;
use crate::workflow::review::Worklist;
use overlay::input;
pub use overlay::palette;

/// The screens, in the order of their tabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// Real sentences.
    Review,
    /// Synthetic sentences.
    Bronze,
    /// What experts dispute.
    Adjudicate,
    /// Scores.
    Metrics,
    /// Training.
    Train,
    /// Language models at work.
    Jobs,
}

impl Screen {
    /// All, with their names.
    pub const ALL: [(Self, &str); 6] = [
        (Self::Review, "Review"),
        (Self::Bronze, "Bronze"),
        (Self::Adjudicate, "Adjudicate"),
        (Self::Metrics, "Metrics"),
        (Self::Train, "Train"),
        (Self::Jobs, "Jobs"),
    ];

    /// The desk that it shows, if it shows one.
    pub fn desk(self) -> Option<Worklist> {
        match self {
            Self::Review => Some(Worklist::Review),
            Self::Bronze => Some(Worklist::Bronze),
            Self::Adjudicate => Some(Worklist::Adjudicate),
            Self::Metrics | Self::Train | Self::Jobs => None,
        }
    }
}

impl From<Worklist> for Screen {
    fn from(desk: Worklist) -> Self {
        match desk {
            Worklist::Review => Self::Review,
            Worklist::Bronze => Self::Bronze,
            Worklist::Adjudicate => Self::Adjudicate,
        }
    }
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
    /// Why a dispute is settled by this label.
    Reason(Label),
    /// The words in which a settled case becomes an example of this label.
    Example(SentenceId, Label),
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
    /// What to train with, before it starts.
    Setup,
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
    pub meaning: StyleRole,
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
    /// What experts dispute.
    pub disputes: ReviewState,
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
            review: ReviewState::new(Worklist::Review, shared.desks[0].clone()),
            bronze: ReviewState::new(Worklist::Bronze, shared.desks[1].clone()),
            disputes: ReviewState::new(Worklist::Adjudicate, shared.desks[2].clone()),
            metrics: MetricsState::default(),
            train: TrainState::new(&shared.train),
            jobs: JobsState::new(shared.models.iter()),
            shared,
            overlay: None,
            notice: (!faults.is_empty()).then(|| Notice { text: faults.join("; "), meaning: StyleRole::Warn }),
            board: Snapshot::default(),
            quit: false,
        };
        // What is disputed is looked for when its screen is turned to: that takes a look at all decisions.
        let effects = [&app.review, &app.bronze].map(|state| state.fetch(Target::Resume)).into();
        (app, effects)
    }

    /// The state of a desk.
    pub fn of(&mut self, desk: Worklist) -> &mut ReviewState {
        match desk {
            Worklist::Review => &mut self.review,
            Worklist::Bronze => &mut self.bronze,
            Worklist::Adjudicate => &mut self.disputes,
        }
    }

    /// What a message does. `now` is in milliseconds of any steady clock.
    pub fn update(&mut self, message: Message, now: u64) -> Vec<Effect> {
        match message {
            Message::Key(event) => return self.key(Key::of(event), now),
            Message::Item { desk, item, show } => {
                if show {
                    self.screen = desk.into();
                }
                self.of(desk).show(item, now);
            }
            Message::Nothing { desk, at_all } => {
                let state = self.of(desk);
                if at_all {
                    state.item = None;
                    state.loaded = true;
                } else {
                    self.say("no more sentences match the filter", StyleRole::Dim);
                }
            }
            Message::Standing { desk, decided, total, took, matches, held } => {
                let state = self.of(desk);
                (state.decided, state.total, state.took, state.matches) = (decided, total, took, matches);
                let before = std::mem::replace(&mut state.held, held);
                if let Some(why) = held.filter(|_| held != before && matches.is_some()) {
                    self.say(why, StyleRole::Warn);
                }
            }
            Message::Saved { line } => self.say(&line, StyleRole::Good),
            Message::NothingToUndo(what) => self.say(what, StyleRole::Dim),
            Message::Rows { title, rows } => self.overlay = Some(Overlay::List { title, rows, selected: 0 }),
            Message::Board(snapshot) => {
                self.board = *snapshot;
                // What is compared follows gold too.
                return self.train.wish();
            }
            Message::Compared(sides) => self.train.take(sides),
            Message::Experiment(event) => self.train.experiment.hear(event, now),
            Message::Experimented(result) => {
                let (text, meaning) = self.train.experiment.finish(*result);
                self.say(&text, meaning);
            }
            Message::Training(event) => self.train.live.hear(event, now),
            Message::Trained(result) => {
                let (text, meaning) = match *result {
                    Ok(trained) => {
                        let f1 = trained.scored.as_ref().and_then(|s| s.report.averages.macro_.f1.value);
                        let f1 = f1.map_or_else(
                            || "no gold to score on yet".to_owned(),
                            |f| format!("macro-F1 {:.1} on held-out gold", 100.0 * f),
                        );
                        (format!("trained in {:.1} s: {f1}", trained.seconds), StyleRole::Good)
                    }
                    Err(error) => (error, StyleRole::Bad),
                };
                self.train.finish(text.clone(), meaning == StyleRole::Good);
                self.say(&text, meaning);
            }
            Message::Job(offer, progress) => self.jobs.hear(&offer, progress, now),
            Message::JobEnded(offer, how) => {
                let meaning = if how.is_ok() { StyleRole::Good } else { StyleRole::Bad };
                let said = how.as_ref().unwrap_or_else(|error| error).clone();
                self.jobs.finish(&offer, how);
                self.say(&format!("{}: {said}", offer.name()), meaning);
            }
            // The sentence on the screen stays; why it is there may be another reason now.
            Message::Planned => {
                let shown = self.review.item.as_ref().map(|item| Target::Exactly(item.sentence.id));
                return shown.map(|target| self.review.fetch(target)).into_iter().collect();
            }
            Message::Failed(text) => self.say(&text, StyleRole::Bad),
            Message::Quit => self.quit = true,
        }
        Vec::new()
    }

    fn say(&mut self, text: &str, meaning: StyleRole) {
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
        let (Some(category), Some(desk)) = (category, self.screen.desk()) else {
            return Vec::new();
        };
        let key = category.key.clone();
        if desk == Worklist::Adjudicate && self.shared.taxonomy.selection() == Selection::Single {
            return self.settle(Label::of(key));
        }
        let state = match desk {
            Worklist::Review => &mut self.review,
            Worklist::Bronze => &mut self.bronze,
            Worklist::Adjudicate => &mut self.disputes,
        };
        state.choose(&key, &self.shared, now)
    }

    /// Asks for the reason; enter settles.
    fn settle(&mut self, label: Label) -> Vec<Effect> {
        if self.disputes.item.is_some() {
            self.overlay = Some(input(Prompt::Reason(label), String::new()));
        }
        Vec::new()
    }

    fn act(&mut self, action: Action, now: u64) -> Vec<Effect> {
        self.notice = None;
        match action {
            Action::Quit => self.quit = true,
            Action::Help => self.overlay = Some(Overlay::Help { top: 0 }),
            Action::Guideline => self.overlay = Some(Overlay::Guideline { top: 0 }),
            Action::Palette => self.overlay = Some(input(Prompt::Palette, String::new())),
            Action::NextScreen => return self.turn(1),
            Action::PreviousScreen => return self.turn(Screen::ALL.len() - 1),
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
                match self.train.under_way() {
                    Some(what) => self.say(what, StyleRole::Warn),
                    None => self.overlay = Some(Overlay::Setup),
                }
            }
            Action::Stop => match self.train.stop() {
                Ok(effects) => return effects,
                Err(why) => self.say(why, StyleRole::Dim),
            },
            other => return self.act_on_screen(other, now),
        }
        Vec::new()
    }

    fn act_on_screen(&mut self, action: Action, now: u64) -> Vec<Effect> {
        match self.screen {
            Screen::Adjudicate if matches!(action, Action::Accept | Action::None) => {
                let label = if action == Action::None { Ok(Label::none()) } else { self.disputes.leading() };
                match label {
                    Ok(label) => return self.settle(label),
                    Err(why) => self.say(why, StyleRole::Warn),
                }
                Vec::new()
            }
            Screen::Adjudicate if action == Action::Example => {
                match &self.disputes.settled {
                    Some((id, text, label)) => {
                        self.overlay = Some(input(Prompt::Example(*id, label.clone()), text.clone()));
                    }
                    None => self.say("settle a case first; then it can become an example", StyleRole::Warn),
                }
                Vec::new()
            }
            Screen::Review | Screen::Bronze | Screen::Adjudicate => {
                let state = match self.screen {
                    Screen::Review => &mut self.review,
                    Screen::Bronze => &mut self.bronze,
                    _ => &mut self.disputes,
                };
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
                        _ => self.say(
                            "only synthetic sentences can be reworded; a real note stays as it is",
                            StyleRole::Warn,
                        ),
                    },
                    other => match state.act(other, &self.shared, now) {
                        Ok(effects) => return effects,
                        Err(why) => self.say(why, StyleRole::Warn),
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
                        Err(why) => self.say(why, StyleRole::Warn),
                    },
                    _ => {}
                }
                Vec::new()
            }
            Screen::Train => match self.train.act(action, &self.board.runs) {
                Ok(effects) => effects,
                Err(why) => {
                    self.say(why, StyleRole::Warn);
                    Vec::new()
                }
            },
        }
    }

    fn start_job(&mut self, now: u64) -> Vec<Effect> {
        match self.jobs.start(now) {
            Ok(offer) => vec![Effect::StartJob(offer)],
            Err(why) => {
                self.say(why, StyleRole::Warn);
                Vec::new()
            }
        }
    }

    fn turn(&mut self, by: usize) -> Vec<Effect> {
        let at = Screen::ALL.iter().position(|(screen, _)| *screen == self.screen).unwrap_or(0);
        self.screen = Screen::ALL[(at + by) % Screen::ALL.len()].0;
        // What is disputed changes with every decision of others.
        if self.screen == Screen::Adjudicate && self.disputes.item.is_none() {
            return vec![self.disputes.fetch(Target::Resume)];
        }
        Vec::new()
    }
}
