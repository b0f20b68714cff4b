// SPDX-License-Identifier: GPL-2.0-or-later
//! Running cargo and other programs, with their output passed through.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::failures::{self, Failure};
use crate::workspace::Workspace;

/// How a cargo command ended, how many crates it had to build, and which tests failed.
pub(crate) struct Built {
    pub(crate) ok: bool,
    pub(crate) crates: usize,
    pub(crate) failures: Vec<Failure>,
}

/// Tells what we start where the cache is: it may run in another folder.
const CACHE: &str = "ROTA_CACHE";

/// The cargo that started us, set up to build into the shared target folder.
pub(crate) fn cargo(workspace: &Workspace) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(&workspace.root);
    command.env("CARGO_TARGET_DIR", &workspace.target).env(CACHE, &workspace.cache);
    command
}

/// The program that boots virtual machines, once it is built.
pub(crate) fn rota_vm(workspace: &Workspace) -> Command {
    let mut command = Command::new(workspace.programs().join("rota-vm"));
    command.env(CACHE, &workspace.cache);
    command
}

/// Runs a cargo command, passes its output through, and counts the crates that it built.
pub(crate) fn build(command: &mut Command) -> Result<Built> {
    run(command)
}

/// Passes standard error through, and standard output where it is piped.
fn run(command: &mut Command) -> Result<Built> {
    if std::io::stderr().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {}", name(command)))?;
    let stdout = child.stdout.take();
    let output = std::thread::spawn(move || match stdout {
        Some(stdout) => failures::gather(BufReader::new(stdout), &mut std::io::stdout()),
        None => Ok(Vec::new()),
    });
    let mut crates = 0;
    if let Some(stderr) = child.stderr.take() {
        crates = forward(BufReader::new(stderr), &mut std::io::stderr())?;
    }
    let failures = output.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let ok = child.wait()?.success();
    Ok(Built { ok, crates, failures })
}

/// Runs cargo's tests as [`build`] does, and gathers those that failed.
pub(crate) fn test(command: &mut Command) -> Result<Built> {
    command.stdout(Stdio::piped());
    run(command)
}

/// Runs a program to its end and says whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool> {
    let status = command.status().with_context(|| format!("cannot start {}", name(command)))?;
    Ok(status.success())
}

/// Looks for a program on `PATH`, as the shell would. An absolute path is checked as it stands.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    find_program_in(program, &path)
}

fn find_program_in(program: &str, path: &OsStr) -> Option<PathBuf> {
    if program.starts_with('/') {
        return Some(PathBuf::from(program)).filter(|file| is_executable(file));
    }
    std::env::split_paths(path).map(|folder| folder.join(program)).find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// Copies cargo's messages, and counts those that mean "this crate was out of date".
fn forward(mut input: impl BufRead, output: &mut impl Write) -> Result<usize> {
    let mut crates = 0;
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        // As in `output`: nobody reads, nothing to do about it.
        let _ = output.write_all(&line);
        crates += usize::from(is_build_message(&String::from_utf8_lossy(&line)));
        line.clear();
    }
    Ok(crates)
}

fn is_build_message(line: &str) -> bool {
    let line = without_colours(line);
    let verb = line.split_whitespace().next().unwrap_or_default();
    line.starts_with(' ') && ["Compiling", "Checking", "Documenting"].contains(&verb)
}

/// Drops the escape sequences of a terminal: from ESC to the next letter.
fn without_colours(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once(|c: char| c.is_ascii_alphabetic()).map(|(_, rest)| rest);
        plain.push_str(rest.unwrap_or_default());
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_cargo_built() {
        let text = "   Compiling anyhow v1.0\n    Checking xtask v0.1.0 (/x)\n    Finished `dev`\n\
                    \u{1b}[1m\u{1b}[92m   Compiling\u{1b}[0m a v1\n Documenting b v1\nwarning: Compiling\n";
        let mut copy = Vec::new();
        assert_eq!(forward(text.as_bytes(), &mut copy).unwrap(), 4);
        assert_eq!(copy, text.as_bytes());
    }

    #[test]
    fn finds_programs_by_path() {
        assert!(find_program_in("sh", OsStr::new("/nowhere:/bin:/usr/bin")).is_some());
        assert!(find_program_in("sh", OsStr::new("/nowhere")).is_none());
        assert!(find_program_in("/bin/sh", OsStr::new("")).is_some());
        // A folder or a plain file is no program.
        assert!(find_program_in("/bin", OsStr::new("")).is_none());
        assert!(find_program_in("/etc/passwd", OsStr::new("")).is_none());
    }
}
