//! The workbench without a terminal: the same state, effects and frames on a buffer. For tests and benches.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crossterm::event::{KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::app::App;
use super::effect::EffectContext;
use super::keymap::Key;
use super::message::Message;
use super::theme::Theme;
use super::{shared, step, view};
use crate::workflow::WorkflowError;
use crate::workflow::project::Project;

/// See the module.
pub struct Headless {
    pub(super) app: App,
    context: EffectContext,
    terminal: Terminal<TestBackend>,
    jobs: Receiver<Message>,
    clock: Instant,
}

impl Headless {
    /// Opens the workbench on a project, as far as the first frame.
    pub fn open(project: Project, width: u16, height: u16) -> Result<Self, WorkflowError> {
        let theme = Theme::resolve(&project.file.theme, false, false)?;
        let project = Arc::new(project);
        let (to_app, jobs) = channel();
        let mut context = EffectContext::open(project.clone(), to_app)?;
        let (shared, faults) = shared(&project, theme, context.outdated()?);
        let (mut app, effects) = App::new(shared, faults);
        let clock = Instant::now();
        for message in effects.into_iter().flat_map(|effect| context.fulfil(effect)).collect::<Vec<_>>() {
            step(&mut app, &mut context, message, clock);
        }
        let Ok(terminal) = Terminal::new(TestBackend::new(width, height));
        let mut opened = Self { app, context, terminal, jobs, clock };
        opened.draw();
        Ok(opened)
    }

    /// Presses keys, each by its name in `[keys]`, and draws a frame after each.
    pub fn press(&mut self, keys: &[&str]) {
        for key in keys {
            if let Some(key) = Key::parse(key) {
                let event = KeyEvent::new(key.code(), KeyModifiers::NONE);
                step(&mut self.app, &mut self.context, Message::Key(event), self.clock);
            }
            self.draw();
        }
    }

    /// Types a text, character by character.
    pub fn type_text(&mut self, text: &str) {
        let mut one = [0; 4];
        for c in text.chars() {
            let key: &str = c.encode_utf8(&mut one);
            self.press(&[if key == " " { "space" } else { key }]);
        }
    }

    /// Waits until the background threads have said something that makes `test` true of the screen; false at the deadline.
    #[cfg(test)]
    pub(crate) fn wait(&mut self, test: impl Fn(&str) -> bool) -> bool {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if test(&self.text()) {
                return true;
            }
            let Ok(message) = self.jobs.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
                return false;
            };
            step(&mut self.app, &mut self.context, message, self.clock);
            self.draw();
        }
    }

    /// Waits for the next numbers of Metrics.
    pub fn wait_for_metrics(&mut self) {
        while let Ok(message) = self.jobs.recv_timeout(Duration::from_secs(60)) {
            let numbers = matches!(message, Message::Metrics(_));
            step(&mut self.app, &mut self.context, message, self.clock);
            if numbers {
                break;
            }
        }
        self.draw();
    }

    /// Draws a frame.
    pub(crate) fn draw(&mut self) {
        let app = &self.app;
        let Ok(_) = self.terminal.draw(|frame| view::draw(frame, app));
    }

    /// Gives the screen another size.
    pub fn resize(&mut self, width: u16, height: u16) {
        self.terminal.backend_mut().resize(width, height);
        self.draw();
    }

    /// The last frame.
    pub(crate) fn buffer(&self) -> &Buffer {
        self.terminal.backend().buffer()
    }

    /// The last frame as lines of text.
    pub fn text(&self) -> String {
        let buffer = self.buffer();
        let width = usize::from(buffer.area.width).max(1);
        let rows = buffer.content().chunks(width);
        rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned() + "\n").collect()
    }
}
