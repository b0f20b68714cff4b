// SPDX-License-Identifier: GPL-2.0-or-later
//! Where files and lines of functions are known from.

use super::Args;
use crate::output;
use anyhow::{Context, Result, bail};
use rota_inspect::calls::{ANCHOR, Dwarf, Lines, Symbols, build_id};
use rota_kernel::{Host, bpf_code, now_ns};
use std::fs;
use std::path::{Path, PathBuf};

/// Files with DWARF of the kernel that runs, whose release stands for `{}`.
const FILES: [&str; 4] = [
    "/usr/lib/debug/boot/vmlinux-{}",
    "/usr/lib/debug/lib/modules/{}/vmlinux",
    "/lib/modules/{}/build/vmlinux",
    "/lib/modules/{}/vmlinux",
];

/// What is known of files and lines; nothing if they are not wanted, or nothing shows them.
pub(super) fn lines(args: &Args, symbols: &Symbols) -> Result<Lines> {
    if args.no_lines || args.hist && !args.dry_run {
        return Ok(Lines::default());
    }
    // Who may trace may do that too; else there are none.
    let programs = bpf_code().unwrap_or_default();
    Ok(Lines::new(programs, kernel(args.vmlinux.as_deref(), symbols)?))
}

/// A kernel with DWARF, if there is one. One that is named has to serve.
fn kernel(named: Option<&Path>, symbols: &Symbols) -> Result<Option<Dwarf>> {
    let host = Host::default();
    let release = host.proc_text("sys/kernel/osrelease").unwrap_or_default();
    let files = FILES.map(|file| PathBuf::from(file.replace("{}", release.trim())));
    let found = files.into_iter().find(|file| file.exists());
    let Some(path) = named.map(Path::to_owned).or(found) else { return Ok(None) };
    let Some(anchor) = symbols.address(ANCHOR) else {
        if named.is_some() {
            bail!(
                "addresses of the kernel are hidden, so they have no lines: run as root, with kernel.kptr_restrict 0 or 1"
            );
        }
        return Ok(None);
    };
    let notes = fs::read("/sys/kernel/notes").unwrap_or_default();
    let began_ns = now_ns();
    match Dwarf::read(&path, build_id(&notes), anchor) {
        Ok(dwarf) => {
            let ms = (now_ns() - began_ns) as f64 / 1e6;
            let from = path.display();
            output::note(&format!("lines of the kernel are from {from}, read in {ms:.0} ms"));
            Ok(Some(dwarf))
        }
        Err(why) if named.is_some() => {
            Err(anyhow::Error::msg(why)).context(path.display().to_string())
        }
        Err(why) => {
            output::note(&format!("there are no lines of the kernel: {}: {why}", path.display()));
            Ok(None)
        }
    }
}
