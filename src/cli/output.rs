//! What is printed. Standard output is data: a file or a pipe gets it as it is. A terminal gets nothing that could drive it.

use std::io::{self, IsTerminal, Write};

use super::write_error;
use crate::domain::text::{json_safe, visible};
use crate::workflow::WorkflowError;

/// Standard output, made visible line by line where it is a terminal.
pub(super) struct StandardOutput {
    out: io::BufWriter<io::Stdout>,
    /// The line that is not yet whole; `None` where lines go out as they are.
    line: Option<Vec<u8>>,
}

impl StandardOutput {
    pub(super) fn new() -> Self {
        let stdout = io::stdout();
        let line = stdout.is_terminal().then(Vec::new);
        Self { out: io::BufWriter::new(stdout), line }
    }
}

impl Write for StandardOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(line) = &mut self.line else {
            return self.out.write(bytes);
        };
        for byte in bytes {
            match byte {
                b'\n' => {
                    self.out.write_all(guarded(line).as_bytes())?;
                    self.out.write_all(b"\n")?;
                    line.clear();
                }
                byte => line.push(*byte),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(line) = self.line.as_mut().filter(|line| !line.is_empty()) {
            self.out.write_all(guarded(line).as_bytes())?;
            line.clear();
        }
        self.out.flush()
    }
}

/// A line in which nothing drives the terminal; the tabs between its columns stay.
fn guarded(line: &[u8]) -> String {
    String::from_utf8_lossy(line).split('\t').map(|cell| visible(cell).text).collect::<Vec<_>>().join("\t")
}

/// Data, to standard output.
pub(super) fn print(text: &str) -> Result<(), WorkflowError> {
    let mut out = StandardOutput::new();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(write_error)
}

/// JSON over several lines, in which what could drive a terminal is escaped.
pub(super) fn print_json(value: &serde_json::Value) -> Result<(), WorkflowError> {
    print(&format!("{}\n", json_safe(&format!("{value:#}"))))
}

/// The same on one line.
pub(super) fn print_json_line(value: &serde_json::Value) -> Result<(), WorkflowError> {
    print(&format!("{}\n", json_safe(&value.to_string())))
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn on_a_terminal_nothing_in_data_drives_it() {
        assert_eq!(guarded(b"a\tb\x1b[2J\tc"), "a\tb\u{241b}[2J\tc");
        assert!(!guarded("x\u{9b}31m\u{202e}y".as_bytes()).contains(['\u{9b}', '\u{202e}']));
        assert_eq!(guarded("caf\u{e9} \u{4e2d}".as_bytes()), "caf\u{e9} \u{4e2d}");
    }
}
