// SPDX-License-Identifier: GPL-2.0-or-later
//! `btf`: writes the types and the configuration of each supported kernel to `data/btf`, from the
//! pinned kernels. The crate `rota-object` embeds them, and does the work in its example
//! `minimise`.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::Outcome;
use crate::demo::rota_vm;
use crate::output::say;
use crate::process::{build, cargo};
use crate::workspace::{self, Workspace};

/// Fetches what is not in the cache, and writes all files.
pub(crate) fn run(workspace: &Workspace) -> Result<Outcome> {
    let place = workspace.root.join("crates/vmtest/kernels.txt");
    let pins = fs::read_to_string(&place).with_context(|| place.display().to_string())?;
    let versions = supported(&pins);
    let mut fetch = vec!["fetch"];
    fetch.extend(versions.iter().map(|(series, _)| *series));
    match rota_vm(workspace, &fetch)? {
        Outcome::Done => {}
        other => return Ok(other),
    }
    let _lock = workspace.lock_target()?;
    for (series, version) in versions {
        let kernel = workspace::cache()?.join("vm").join(version);
        if !kernel.join("vmlinux").exists() {
            bail!("{} holds no unpacked kernel {series} (package zstd)", kernel.display());
        }
        let mut minimise = cargo(workspace);
        minimise.args([
            "run",
            "--quiet",
            "--package",
            "rota-object",
            "--example",
            "minimise",
            "--",
        ]);
        minimise.arg(version).args([kernel.join("vmlinux"), kernel.join("config")]);
        minimise.arg(workspace.root.join("data/btf"));
        if !build(&mut minimise)?.ok {
            return Ok(Outcome::Failed);
        }
        say(&format!("data/btf/{series}.btf and .config are those of Linux {version}"));
    }
    Ok(Outcome::Done)
}

/// Series and version of each supported kernel among the pins.
fn supported(pins: &str) -> Vec<(&str, &str)> {
    let row = |line| {
        let words: Vec<&str> = str::split_whitespace(line).collect();
        match words.as_slice() {
            [series, "supported", _, version, ..] => Some((*series, version.split('-').next()?)),
            _ => None,
        }
    };
    pins.lines().filter(|line| !line.starts_with('#')).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins() {
        let text = "# series role package version config\n\
                    6.16 supported linux-image-6.16.12+deb13 6.16.12-1~bpo13+1 own\n\
                    7.1 extra linux-binary-7.1.13+deb13 7.1.13-1~bpo13+1 x\n";
        assert_eq!(supported(text), [("6.16", "6.16.12")]);
    }
}
