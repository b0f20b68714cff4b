// SPDX-License-Identifier: GPL-2.0-or-later
//! Formatting: rustfmt for Rust, clang-format for C.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::Outcome;
use crate::install::{ensure_components, is_pinned_clang};
use crate::process::{cargo, find_program, succeeds};
use crate::tools::CLANG_FORMAT;
use crate::workspace::Workspace;

/// Formats everything.
pub(crate) fn apply(workspace: &Workspace) -> Result<Outcome> {
    ensure_components()?;
    let rust = succeeds(cargo(workspace).args(["fmt", "--all"]))?;
    let c = run_clang_format(workspace, &["-i"])?;
    Ok(if rust && c { Outcome::Done } else { Outcome::Failed })
}

/// Says whether all Rust is formatted; prints what is not.
pub(crate) fn check_rust(workspace: &Workspace) -> Result<bool> {
    ensure_components()?;
    succeeds(cargo(workspace).args(["fmt", "--all", "--check"]).stdin(Stdio::null()))
}

/// Says whether all C is formatted; prints what is not.
pub(crate) fn check_c(workspace: &Workspace) -> Result<bool> {
    run_clang_format(workspace, &["--dry-run", "--Werror"])
}

fn run_clang_format(workspace: &Workspace, args: &[&str]) -> Result<bool> {
    let files = workspace.files()?;
    let is_c = |file: &&String| file.ends_with(".c") || file.ends_with(".h");
    let files: Vec<&String> = files.iter().filter(is_c).collect();
    if files.is_empty() {
        return Ok(true);
    }
    let mut command = Command::new(clang_format()?);
    command.arg("--style=file").args(args).args(files);
    succeeds(command.current_dir(&workspace.root).stdin(Stdio::null()))
}

/// The pinned clang-format: others format differently.
fn clang_format() -> Result<&'static str> {
    if find_program(CLANG_FORMAT).is_some() {
        return Ok(CLANG_FORMAT);
    }
    let plain = "clang-format";
    if find_program(plain).is_some() {
        let output = Command::new(plain).arg("--version").stdin(Stdio::null()).output();
        let output = output.context("clang-format does not start")?;
        if is_pinned_clang(&String::from_utf8_lossy(&output.stdout)) {
            return Ok(plain);
        }
    }
    bail!("the C code is formatted by {CLANG_FORMAT}, which is missing: `cargo xtask install`")
}
