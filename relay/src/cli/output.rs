//! The standard output: buffered, quiet about a reader that has gone, coloured only where that helps.

use super::failure::Failure;
use serde::Serialize;
use std::fmt;
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};

/// Where a command writes its data.
pub struct Output {
    stdout: BufWriter<Stdout>,
    json: bool,
    coloured: bool,
}

impl Output {
    pub fn new(json: bool) -> Output {
        let stdout = io::stdout();
        let coloured = stdout.is_terminal() && colours_are_wanted();
        Output { stdout: BufWriter::with_capacity(64 << 10, stdout), json, coloured }
    }

    /// Whether a person reads it, and what is written could command the terminal.
    pub fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether data is wanted as JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stdout.write_all(bytes).map_err(Failure::output)
    }

    pub fn line(&mut self, line: impl fmt::Display) -> Result<(), Failure> {
        writeln!(self.stdout, "{line}").map_err(Failure::output)
    }

    /// One object, on lines of its own for a person, on one line for a program.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = if io::stdout().is_terminal() {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        let text =
            text.map_err(|error| Failure::failed(format!("the answer cannot be written as JSON: {error}")))?;
        self.line(text)
    }

    pub fn flush(&mut self) -> Result<(), Failure> {
        self.stdout.flush().map_err(Failure::output)
    }

    pub fn bold(&self, text: impl fmt::Display) -> String {
        self.painted("1", text)
    }

    pub fn dim(&self, text: impl fmt::Display) -> String {
        self.painted("2", text)
    }

    fn painted(&self, style: &str, text: impl fmt::Display) -> String {
        if self.coloured { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_string() }
    }
}

pub fn stderr_is_coloured() -> bool {
    io::stderr().is_terminal() && colours_are_wanted()
}

/// See <https://no-color.org>.
fn colours_are_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// Text from outside as it can be shown on a terminal: nothing in it moves the cursor, changes colours or the
/// direction of writing.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns_text_around = matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns_text_around {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_cannot_command_the_terminal() {
        assert_eq!(printable("naïve 中 👍🏽"), "naïve 中 👍🏽");
        assert_eq!(printable("\x1b[31mred\u{202E}"), "\\u{1b}[31mred\\u{202e}");
    }
}
