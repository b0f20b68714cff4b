// SPDX-License-Identifier: GPL-2.0-or-later
//! Runs the helper programs of the host and turns their failures into errors.

use std::process::{Command, Stdio};

use crate::{Error, Result};

/// Runs a program to its end and returns what it printed to standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let outcome = command.stdin(Stdio::null()).output().map_err(|source| {
        if source.kind() == std::io::ErrorKind::NotFound {
            return Error::Environment(format!("the program `{name}` is not installed"));
        }
        Error::Io { context: format!("cannot run {name}"), source }
    })?;
    if outcome.status.success() {
        return Ok(String::from_utf8_lossy(&outcome.stdout).into_owned());
    }
    let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
    let stderr = String::from_utf8_lossy(&outcome.stderr).trim().to_string();
    Err(Error::Program {
        program: format!("{name} {}", args.join(" ")),
        status: outcome.status.to_string(),
        stderr,
    })
}

/// Quotes a word so that a POSIX shell takes it literally.
pub fn shell_quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_survives_the_shell() {
        for word in ["", "a b", "it's", "$HOME", "plain-1.2", "*", "two\nlines", "\\"] {
            let script = format!("printf %s {}", shell_quote(word));
            assert_eq!(output(Command::new("sh").args(["-c", &script])).unwrap(), word);
        }
    }

    #[test]
    fn failures_name_the_program() {
        let error = output(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(matches!(&error, Error::Program { stderr, .. } if stderr == "why"), "{error}");
        let error = output(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(matches!(error, Error::Environment(_)), "{error}");
    }
}
