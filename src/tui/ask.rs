//! Asks for a secret on the terminal, and shows nothing of it.

use std::io::{self, Write};

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

/// Raw mode as long as it lives: what is typed is not echoed.
struct Unseen;

impl Drop for Unseen {
    fn drop(&mut self) {
        // The terminal may be gone; then there is nothing to put back.
        let _ = disable_raw_mode();
    }
}

/// Asks; Enter ends the answer, Ctrl-U empties it, and Ctrl-C, Ctrl-D or Escape give up ([`io::ErrorKind::Interrupted`]).
pub(crate) fn ask(question: &str) -> io::Result<String> {
    let mut err = io::stderr().lock();
    enable_raw_mode()?;
    let unseen = Unseen;
    write!(err, "{question}")?;
    err.flush()?;
    let answer = read();
    drop(unseen);
    writeln!(err)?;
    answer
}

fn read() -> io::Result<String> {
    let mut answer = String::new();
    loop {
        let Event::Key(key) = event::read()? else {
            continue;
        };
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            _ if key.kind == KeyEventKind::Release => {}
            KeyCode::Enter => return Ok(answer),
            KeyCode::Char('c' | 'd') if control => return Err(io::ErrorKind::Interrupted.into()),
            KeyCode::Esc => return Err(io::ErrorKind::Interrupted.into()),
            KeyCode::Char('u') if control => answer.clear(),
            KeyCode::Backspace => drop(answer.pop()),
            KeyCode::Char(c) if !control => answer.push(c),
            _ => {}
        }
    }
}
