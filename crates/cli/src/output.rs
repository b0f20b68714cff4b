// SPDX-License-Identifier: GPL-2.0-or-later
//! Printing. A reader that goes away (`rota … | head`) ends a command quietly.

use std::io::{self, ErrorKind, Write};

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs: JSON, one object a line where there are several.
    Json,
}

/// Prints to standard output, as it is.
pub(crate) fn text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints a line to standard output.
pub(crate) fn line(line: &str) -> io::Result<()> {
    text(&format!("{line}\n"))
}

/// A command of this program that people can paste: the program is named as they named it, which is
/// by its path if their shell does not find it.
pub(crate) fn command(words: &[&str]) -> String {
    let program = std::env::args_os().next().unwrap_or_else(|| "rota".into());
    let program = program.to_string_lossy();
    let words = [&*program].into_iter().chain(words.iter().copied());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:=@_~".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// How long lines may be: what the terminal shows, but no more than `most`, which is also for what
/// goes elsewhere.
pub(crate) fn width(most: usize) -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    size.map_or(most, |size| match usize::from(size.ws_col) {
        0 => most,
        columns => columns.min(most),
    })
}

/// Says something beside the results, on standard error.
pub(crate) fn note(line: &str) {
    // There is nowhere left to say that standard error is closed.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes over the present line of standard error, which is a terminal.
pub(crate) fn over(line: &str) {
    let mut error = io::stderr().lock();
    // Who does not see it misses nothing.
    let _ = write!(error, "\r\x1b[K{line}").and_then(|()| error.flush());
}

/// The words of the command that runs, which begins with `rota` wherever that is.
pub(crate) fn own_command() -> Vec<String> {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    std::iter::once("rota".to_owned()).chain(words).collect()
}

/// An error, on standard error.
pub(crate) fn error(message: &str) {
    note(&format!("rota: {message}"));
}

/// What is printed last decides nothing: that nobody reads it any more is no error.
pub(crate) fn if_anyone_reads(printed: anyhow::Result<()>) -> anyhow::Result<()> {
    printed.or_else(|error| if is_broken_pipe(&error) { Ok(()) } else { Err(error) })
}

/// Whether the reader of our output went away.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_can_be_pasted() {
        for (word, expected) in [
            ("~/.cache/rota/target/debug/rota", "~/.cache/rota/target/debug/rota"),
            ("simple:fifo,slice=5ms", "simple:fifo,slice=5ms"),
            ("my work/rota", "'my work/rota'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
