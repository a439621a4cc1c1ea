//! The workbench: the terminal's guard and the loop that receives, updates, fulfils and draws.
//!
//! The main thread owns the state and commits decisions; a thread reads keys, one keeps the metrics, one trains when asked, one
//! looks after each job of a language model.
//! All speak through one channel. A frame is drawn when the state changed and nothing waits to be heard.

mod app;
mod ask;
mod compare;
mod effect;
pub(crate) mod filter;
mod headless;
mod jobs;
pub(crate) mod keymap;
mod message;
mod metrics;
mod review;
mod shared;
pub(crate) mod theme;
mod train;
mod view;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event::{self, Event, KeyEventKind};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use crate::domain::guideline::Outdated;
use crate::domain::protocol::Blind;
use crate::workflow::project::Project;
use crate::workflow::refusal::{Refusal, RefusalKind};
use crate::workflow::review::Worklist;
use crate::workflow::{WorkflowError, diagnostics};
use app::App;
pub(crate) use ask::ask;
use effect::EffectContext;
pub use headless::Headless;
use keymap::Keymap;
use message::{Effect, Message};
use shared::SharedState;
use theme::Theme;

/// How often the store is asked whether another process has written.
const POLL: Duration = Duration::from_millis(250);
/// Frames are at least this far apart while messages pour in.
const FRAME: Duration = Duration::from_millis(16);
/// A frame or an effect that takes this long is felt, and the log has it.
const SLOW: Duration = Duration::from_millis(100);

/// What reaches the main thread.
enum Wake {
    Key(Event),
    App(Message),
}

/// Columns of the terminal, where there is one.
pub(crate) fn width() -> Option<usize> {
    crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns)).filter(|columns| *columns > 0)
}

/// Puts the terminal back whatever happens: on drop, and before a panic is printed.
struct Guard;

impl Guard {
    fn enter() -> io::Result<Self> {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            previous(info);
        }));
        enable_raw_mode()?;
        let guard = Self;
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide, event::EnableBracketedPaste)?;
        Ok(guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    // The terminal may be gone; then there is nothing to put back.
    let _ = execute!(io::stdout(), event::DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

/// Whether the terminal says that its background is light; dark where it does not answer.
fn terminal_is_light(theme: &str) -> bool {
    let asked = theme == "auto" && io::stdout().is_terminal();
    asked
        && terminal_colorsaurus::theme_mode(terminal_colorsaurus::QueryOptions::default())
            .is_ok_and(|mode| mode == terminal_colorsaurus::ThemeMode::Light)
}

/// Opens the workbench on a project until the user leaves.
pub(crate) fn run(project: Project) -> Result<(), WorkflowError> {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let light = !no_color && terminal_is_light(&project.file.theme);
    let theme = Theme::resolve(&project.file.theme, no_color, light)?;
    let project = Arc::new(project);
    let terminal = |cause: io::Error| {
        WorkflowError::from(
            Refusal::new(RefusalKind::Unavailable { what: "terminal" }, "the terminal failed").because(cause),
        )
    };
    let (to_main, inbox) = channel::<Wake>();
    let (to_app, from_jobs) = channel::<Message>();
    let mut context = EffectContext::open(project.clone(), to_app)?;
    let (shared, faults) = shared(&project, theme, context.outdated()?);
    let (mut app, effects) = App::new(shared, faults);
    let clock = Instant::now();
    for message in effects.into_iter().flat_map(|effect| context.fulfil(effect)).collect::<Vec<_>>() {
        step(&mut app, &mut context, message, clock);
    }

    let guard = Guard::enter().map_err(terminal)?;
    // crossterm hears of the terminal's size from its first look at the events on: it must be before the first frame.
    event::poll(Duration::ZERO).map_err(terminal)?;
    let mut screen = Terminal::new(CrosstermBackend::new(io::BufWriter::new(io::stdout()))).map_err(terminal)?;
    listen(to_main, from_jobs);
    let mut drawn = None::<Instant>;
    let mut changed = true;
    let mut entered = None;
    while !app.quit {
        if entered != Some(app.screen) {
            tracing::info!(screen = app.screen.name(), "entered");
            entered = Some(app.screen);
        }
        let due = drawn.is_none_or(|at| at.elapsed() >= FRAME);
        let wait = match (changed, due) {
            (true, true) => Duration::ZERO,
            (true, false) => FRAME,
            (false, _) => POLL,
        };
        match inbox.recv_timeout(wait) {
            Ok(wake) => {
                changed = true;
                match wake {
                    Wake::Key(Event::Key(key)) if key.kind != KeyEventKind::Release => {
                        step(&mut app, &mut context, Message::Key(key), clock);
                    }
                    Wake::Key(Event::Paste(text)) => {
                        for c in text.chars().filter(|c| !c.is_control()) {
                            let key = event::KeyEvent::new(event::KeyCode::Char(c), event::KeyModifiers::NONE);
                            if app.overlay.is_some() {
                                step(&mut app, &mut context, Message::Key(key), clock);
                            }
                        }
                    }
                    // A size that went away and came back leaves a terminal that has forgotten what was on it.
                    Wake::Key(Event::Resize(..)) => forget(&mut screen).map_err(terminal)?,
                    Wake::Key(_) => {}
                    Wake::App(message) => step(&mut app, &mut context, message, clock),
                }
            }
            Err(RecvTimeoutError::Timeout) if changed && due => {
                draw(&mut screen, &app).map_err(terminal)?;
                drawn = Some(Instant::now());
                changed = false;
            }
            Err(RecvTimeoutError::Timeout) => {
                for message in context.poll() {
                    changed = true;
                    step(&mut app, &mut context, message, clock);
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    drop(guard);
    Ok(())
}

fn shared(project: &Project, theme: Theme, outdated: Vec<Outdated>) -> (SharedState, Vec<String>) {
    let (keymap, mut faults) = Keymap::new(&project.file.keys);
    for category in project.taxonomy.categories() {
        let key = keymap::Key::parse(&category.shortcut.to_string());
        if let Some(action) = key.and_then(|key| keymap.action(key)) {
            faults.push(format!("the shortcut `{}` of {} is the key of {action:?}", category.shortcut, category.key));
        }
    }
    let (protocol, who) = (&project.file.protocol, &project.annotator);
    if !protocol.decides(who) && !protocol.adjudicators.contains(who) {
        faults.push(format!(
            "{who} decides nothing in this project and sees every label; whoever decides starts with --as NAME"
        ));
    }
    let shared = SharedState {
        outdated,
        taxonomy: project.taxonomy.clone(),
        annotator: project.annotator.clone(),
        project: project.file.name.clone(),
        blind: project.file.protocol.blind == Blind::Always && protocol.decides(&project.annotator),
        worklists: Worklist::ALL.map(|worklist| worklist.all(project)),
        models: project.file.models.keys().cloned().collect(),
        train: project.file.train.clone(),
        keymap,
        theme,
    };
    (shared, faults)
}

/// One message and all that follows from it.
fn step(app: &mut App, context: &mut EffectContext, message: Message, clock: Instant) {
    let now = || u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut waiting: Vec<Effect> = app.update(message, now());
    while !waiting.is_empty() {
        for effect in std::mem::take(&mut waiting) {
            let (name, start) = (diagnostics::variant(&effect), Instant::now());
            let messages = context.fulfil(effect);
            if start.elapsed() >= SLOW {
                tracing::warn!(effect = name, ms = start.elapsed().as_millis(), "slow effect");
            }
            for message in messages {
                waiting.extend(app.update(message, now()));
            }
        }
    }
}

/// Threads that wait for keys, for the jobs, and for signals.
fn listen(to_main: Sender<Wake>, from_jobs: std::sync::mpsc::Receiver<Message>) {
    let signals = to_main.clone();
    // If another part of the process has set a handler already, the terminal's own Ctrl-C key still leaves.
    let _ = ctrlc::set_handler(move || drop(signals.send(Wake::App(Message::Quit))));
    let jobs = to_main.clone();
    thread::spawn(move || {
        while let Ok(message) = from_jobs.recv() {
            if jobs.send(Wake::App(message)).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            if to_main.send(Wake::Key(event)).is_err() {
                return;
            }
        }
        // The terminal is gone; everything decided is saved.
        let _ = to_main.send(Wake::App(Message::Quit));
    });
}

/// Clears the terminal and the memory of what was drawn, so that the next frame is drawn whole. `Terminal::clear` would
/// ask the terminal where its cursor is, and one that is being resized may not answer.
fn forget<W: Write>(screen: &mut Terminal<CrosstermBackend<W>>) -> io::Result<()> {
    queue!(screen.backend_mut(), crossterm::terminal::Clear(crossterm::terminal::ClearType::All))?;
    screen.swap_buffers();
    Ok(())
}

/// Draws inside a synchronised update, so that a slow line shows whole frames.
fn draw<W: Write>(screen: &mut Terminal<CrosstermBackend<W>>, app: &App) -> io::Result<()> {
    let start = Instant::now();
    queue!(screen.backend_mut(), BeginSynchronizedUpdate)?;
    screen.draw(|frame| view::draw(frame, app))?;
    execute!(screen.backend_mut(), EndSynchronizedUpdate)?;
    if start.elapsed() >= SLOW {
        tracing::warn!(screen = app.screen.name(), ms = start.elapsed().as_millis(), "slow frame");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
