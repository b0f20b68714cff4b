// SPDX-License-Identifier: GPL-2.0-or-later
//! Python packages by which tests read our files as others do, in a virtual environment of the
//! cache. It is made anew when what is wanted changes.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::output::say;
use crate::process::succeeds;
use crate::workspace::Workspace;

/// Tells tests where the Python is that has the packages.
pub(crate) const PYTHON: &str = "ROTA_PYTHON";
/// What is wanted.
const REQUIREMENTS: &str = "tests/python/requirements.txt";

/// The Python of the environment.
pub(crate) fn python(workspace: &Workspace) -> PathBuf {
    workspace.cache.join("python/bin/python")
}

/// Makes the environment, unless it is there and has what is wanted.
pub(crate) fn ensure(workspace: &Workspace) -> Result<()> {
    let wanted = fs::read_to_string(workspace.root.join(REQUIREMENTS))
        .with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    let folder = workspace.cache.join("python");
    // Written last, so an environment with it is whole.
    let mark = folder.join("requirements.txt");
    let python = python(workspace);
    if fs::read_to_string(&mark).is_ok_and(|has| has == wanted) && works(&python) {
        return Ok(());
    }
    say(&format!("making a Python environment with what {REQUIREMENTS} wants"));
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&folder);
    if !succeeds(make.stdin(Stdio::null()))? {
        bail!("python3 makes no virtual environment; on Debian: apt-get install python3-venv");
    }
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
    install.arg(workspace.root.join(REQUIREMENTS)).stdin(Stdio::null());
    if !succeeds(&mut install)? {
        bail!("pip could not install what {REQUIREMENTS} wants");
    }
    fs::write(&mark, wanted).with_context(|| format!("cannot write {}", mark.display()))
}

fn works(python: &PathBuf) -> bool {
    let mut command = Command::new(python);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    succeeds(&mut command).unwrap_or(false)
}
