//! The program as a user has it: a command line, and a terminal of its own.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_goldsmith");

/// Where the program keeps its log while it is tested: not in the home of whoever tests it.
pub const STATE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/state");

/// And the keys of everybody whom the tests speak of.
pub const KEYS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/keys");

/// What of the environment would make a difference: variables to set, and to take away.
const SET: [(&str, &str); 3] = [("NO_COLOR", "1"), ("XDG_STATE_HOME", STATE), ("GOLDSMITH_KEYS", KEYS)];
const TAKEN: [&str; 3] = ["GOLDSMITH_PROJECT", "GOLDSMITH_LOG_LEVEL", "GOLDSMITH_KEY_PASSPHRASE"];

/// The program with arguments, yet to be run.
pub fn command(arguments: &[&str]) -> Command {
    program(PROGRAM, arguments)
}

/// A copy of the program, or a program that runs it.
pub fn program(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).envs(SET);
    for name in TAKEN {
        command.env_remove(name);
    }
    command
}

/// Runs the program and waits for it.
pub fn goldsmith(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// Runs the program and expects success; gives standard output.
pub fn succeeds(arguments: &[&str]) -> String {
    let output = goldsmith(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the program and expects an exit code; gives standard error.
#[track_caller]
pub fn ends(arguments: &[&str], code: i32) -> String {
    let output = goldsmith(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

/// Runs the program and expects exit code 1; gives standard error.
#[track_caller]
pub fn fails(arguments: &[&str]) -> String {
    ends(arguments, 1)
}

/// The public notes, where they are at hand. Where they must be (`GOLDSMITH_REQUIRE_SHARED`), their absence fails.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("GOLDSMITH_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    let required = std::env::var_os("GOLDSMITH_REQUIRE_SHARED").is_some_and(|v| !v.is_empty());
    assert!(!required, "{} is missing", found.display());
    eprintln!("skipped: no {}", found.display());
    None
}

/// A terminal with the program in it.
pub struct Screen {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    master: Box<dyn MasterPty + Send>,
    parser: Arc<Mutex<vt100::Parser>>,
    raw: Arc<Mutex<Vec<u8>>>,
}

fn cells(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).unwrap()
}

/// Nothing here takes this long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

impl Screen {
    /// Starts the program in a terminal of a size.
    pub fn open(arguments: &[&str], columns: u16, rows: u16) -> Self {
        Self::run(PROGRAM, arguments, columns, rows)
    }

    /// Starts any program in a terminal of a size.
    pub fn run(program: &str, arguments: &[&str], columns: u16, rows: u16) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        SET.into_iter().for_each(|(name, value)| command.env(name, value));
        TAKEN.into_iter().for_each(|name| command.env_remove(name));
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let parser = Arc::new(Mutex::new(vt100::Parser::new(cells(rows), cells(columns), 0)));
        let raw = Arc::new(Mutex::new(Vec::new()));
        let mut output = pair.master.try_clone_reader().unwrap();
        let (seen, kept) = (parser.clone(), raw.clone());
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut buffer) {
                seen.lock().unwrap().process(&buffer[..n]);
                kept.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        Self { child, keys: pair.master.take_writer().unwrap(), master: pair.master, parser, raw }
    }

    /// What stands on the screen.
    pub fn text(&self) -> String {
        self.parser.lock().unwrap().screen().contents()
    }

    /// Waits until the screen passes a test, and gives it.
    pub fn until(&self, what: &str, test: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let text = self.text();
            if test(&text) {
                return text;
            }
            assert!(start.elapsed() < DEADLINE, "the screen never came to {what}:\n{text}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until a text stands on the screen.
    pub fn shows(&self, wanted: &str) -> String {
        self.until(wanted, |text| text.contains(wanted))
    }

    /// Types.
    pub fn type_keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Gives the terminal another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.parser.lock().unwrap().screen_mut().set_size(cells(rows), cells(columns));
        self.master.resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    /// Kills the program as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Waits for the program's end; gives its exit code and every byte that it sent.
    pub fn wait(mut self) -> (u32, String) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // What was sent last is still on its way through the terminal.
                let sent = || String::from_utf8_lossy(&self.raw.lock().unwrap()).into_owned();
                while !sent().contains("\u{1b}[?1049l") && start.elapsed() < DEADLINE {
                    thread::sleep(Duration::from_millis(5));
                }
                return (status.exit_code(), sent());
            }
            assert!(start.elapsed() < DEADLINE, "the program does not end:\n{}", self.text());
            thread::sleep(Duration::from_millis(5));
        }
    }
}
