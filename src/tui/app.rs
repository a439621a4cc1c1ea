//! The workbench as a value: `update` takes a message and returns effects; nothing here reads, writes or draws.

mod overlay;

use super::jobs::JobsState;
use super::keymap::{Action, Key};
use super::message::{Effect, Message, SeekTarget};
use super::metrics::MetricsState;
use super::review::Worklists;
use super::shared::SharedState;
use super::theme::StyleRole;
use super::train::TrainState;
use crate::domain::corpus::{Origin, SentenceId};
use crate::domain::label::Label;
use crate::domain::taxonomy::Selection;
use crate::workflow::metrics::MetricsSnapshot;
use crate::workflow::review::Worklist;
use overlay::input;
pub(crate) use overlay::palette;

/// The screens, in the order of their tabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Screen {
    /// One sentence at a time: Review, Bronze or Adjudicate.
    Worklist(Worklist),
    /// Scores.
    Metrics,
    Train,
    /// Language models at work.
    Jobs,
}

impl Screen {
    /// All, with their names.
    pub(crate) const ALL: [(Self, &str); 6] = [
        (Self::Worklist(Worklist::Review), "Review"),
        (Self::Worklist(Worklist::Bronze), "Bronze"),
        (Self::Worklist(Worklist::Adjudicate), "Adjudicate"),
        (Self::Metrics, "Metrics"),
        (Self::Train, "Train"),
        (Self::Jobs, "Jobs"),
    ];

    /// Its name on its tab.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(screen, _)| *screen == self).map_or("", |(_, name)| name)
    }
}

/// What a line of text is typed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
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
pub(crate) enum Overlay {
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
        prompt: Prompt,
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
        rows: Vec<(SentenceId, String)>,
        /// The line chosen.
        selected: usize,
    },
}

/// A line at the foot of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// What it says.
    pub text: String,
    /// How it looks.
    pub meaning: StyleRole,
}

/// The whole state.
pub(crate) struct App {
    /// What every screen may look at.
    pub shared: SharedState,
    /// The screen in front.
    pub screen: Screen,
    /// Review, Bronze and Adjudicate.
    pub worklists: Worklists,
    /// Scores.
    pub metrics: MetricsState,
    pub train: TrainState,
    /// Language models at work.
    pub jobs: JobsState,
    /// What lies over the screen.
    pub overlay: Option<Overlay>,
    /// The line at the foot.
    pub notice: Option<Notice>,
    /// Newest numbers.
    pub numbers: MetricsSnapshot,
    /// Whether it is over.
    pub quit: bool,
}

impl App {
    /// The first state, and what to fetch for it.
    pub(crate) fn new(shared: SharedState, faults: Vec<String>) -> (Self, Vec<Effect>) {
        let app = Self {
            screen: Screen::Worklist(Worklist::Review),
            worklists: Worklists::new(&shared),
            metrics: MetricsState::default(),
            train: TrainState::new(&shared.train),
            jobs: JobsState::new(shared.models.iter()),
            shared,
            overlay: None,
            notice: (!faults.is_empty()).then(|| Notice { text: faults.join("; "), meaning: StyleRole::Warn }),
            numbers: MetricsSnapshot::default(),
            quit: false,
        };
        // What is disputed is looked for when its screen is turned to: that takes a look at all decisions.
        let effects = [Worklist::Review, Worklist::Bronze].map(|at| app.worklists[at].fetch(SeekTarget::Resume)).into();
        (app, effects)
    }

    /// What a message does. `now` is in milliseconds of any steady clock.
    pub(crate) fn update(&mut self, message: Message, now: u64) -> Vec<Effect> {
        match message {
            Message::Key(event) => return self.key(Key::of(event), now),
            Message::Item { worklist, item, show } => {
                if show {
                    self.screen = Screen::Worklist(worklist);
                }
                self.worklists[worklist].show(item, now);
            }
            Message::Nothing { worklist, at_all } => {
                let state = &mut self.worklists[worklist];
                if at_all {
                    state.item = None;
                    state.loaded = true;
                } else {
                    self.say("no more sentences match the filter", StyleRole::Dim);
                }
            }
            Message::WorklistProgress { worklist, decided, total, took, matches, held } => {
                let state = &mut self.worklists[worklist];
                (state.decided, state.total, state.took, state.matches) = (decided, total, took, matches);
                let before = std::mem::replace(&mut state.held, held);
                if let Some(why) = held.filter(|_| held != before && matches.is_some()) {
                    self.say(why, StyleRole::Warn);
                }
            }
            Message::Saved { line } => self.say(&line, StyleRole::Good),
            Message::NothingToUndo(what) => self.say(what, StyleRole::Dim),
            Message::Rows { title, rows } => self.overlay = Some(Overlay::List { title, rows, selected: 0 }),
            Message::Metrics(snapshot) => {
                self.numbers = *snapshot;
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
            Message::Job(spec, progress) => self.jobs.update(&spec, progress, now),
            Message::JobEnded(spec, how) => {
                let meaning = if how.is_ok() { StyleRole::Good } else { StyleRole::Bad };
                let said = how.as_ref().unwrap_or_else(|error| error).clone();
                self.jobs.finish(&spec, how);
                self.say(&format!("{}: {said}", spec.name()), meaning);
            }
            // The sentence on the screen stays; why it is there may be another reason now.
            Message::QueuePlanned => {
                let review = &self.worklists[Worklist::Review];
                let shown = review.item.as_ref().map(|item| SeekTarget::Exactly(item.sentence.id));
                return shown.map(|target| review.fetch(target)).into_iter().collect();
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
        let (Some(category), Screen::Worklist(worklist)) = (category, self.screen) else {
            return Vec::new();
        };
        let key = category.key.clone();
        if worklist == Worklist::Adjudicate && self.shared.taxonomy.selection() == Selection::Single {
            return self.settle(Label::of(key));
        }
        self.worklists[worklist].choose(&key, &self.shared, now)
    }

    /// Asks for the reason; enter settles.
    fn settle(&mut self, label: Label) -> Vec<Effect> {
        if self.worklists[Worklist::Adjudicate].item.is_some() {
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
                self.screen = Screen::Worklist(Worklist::Review);
                return self.worklists[Worklist::Review].turn_to_doubts();
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

    fn act_on_worklist(&mut self, worklist: Worklist, action: Action, now: u64) -> Vec<Effect> {
        let state = &mut self.worklists[worklist];
        let adjudicates = worklist == Worklist::Adjudicate;
        match action {
            Action::Accept | Action::None if adjudicates => {
                let label = if action == Action::None { Ok(Label::none()) } else { state.leading() };
                match label {
                    Ok(label) => return self.settle(label),
                    Err(why) => self.say(why, StyleRole::Warn),
                }
            }
            Action::Example if adjudicates => match &state.settled {
                Some((id, text, label)) => {
                    self.overlay = Some(input(Prompt::Example(*id, label.clone()), text.clone()));
                }
                None => self.say("settle a case first; then it can become an example", StyleRole::Warn),
            },
            Action::Search => self.overlay = Some(input(Prompt::Search, state.query.clone())),
            Action::Comment if state.item.is_some() => {
                let text = state.item.as_ref().map_or_else(String::new, |item| item.judgement().comment);
                self.overlay = Some(input(Prompt::Comment, text));
            }
            Action::Edit => match &state.item {
                Some(item) if item.document.origin == Origin::Synthetic => {
                    self.overlay = Some(input(Prompt::Edit, item.wording().to_owned()));
                }
                _ => self.say("only synthetic sentences can be reworded; a real note stays as it is", StyleRole::Warn),
            },
            other => match state.act(other, &self.shared, now) {
                Ok(effects) => return effects,
                Err(why) => self.say(why, StyleRole::Warn),
            },
        }
        Vec::new()
    }

    fn act_on_screen(&mut self, action: Action, now: u64) -> Vec<Effect> {
        match self.screen {
            Screen::Worklist(worklist) => self.act_on_worklist(worklist, action, now),
            Screen::Metrics => self.metrics.act(action, &self.numbers, &self.shared.taxonomy).into_iter().collect(),
            Screen::Jobs => {
                match action {
                    Action::Next => self.jobs.step(1),
                    Action::Previous => self.jobs.step(-1),
                    Action::Accept => return self.start_job(now),
                    Action::Pause => match self.jobs.pause() {
                        Ok((spec, wait)) => return vec![Effect::PauseJob(spec, wait)],
                        Err(why) => self.say(why, StyleRole::Warn),
                    },
                    _ => {}
                }
                Vec::new()
            }
            Screen::Train => match self.train.act(action, &self.numbers.runs) {
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
            Ok(spec) => vec![Effect::StartJob(spec)],
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
        let disputes = Worklist::Adjudicate;
        if self.screen == Screen::Worklist(disputes) && self.worklists[disputes].item.is_none() {
            return vec![self.worklists[disputes].fetch(SeekTarget::Resume)];
        }
        Vec::new()
    }
}
