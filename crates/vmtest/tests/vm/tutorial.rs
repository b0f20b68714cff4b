// SPDX-License-Identifier: GPL-2.0-or-later
//! The tutorial, executed: every `sh` block of `docs/first-scheduler.md` in turn, in a copy of
//! `bpf/` in an empty folder. What a line gives to `cargo xtask vm --` runs in the guest. A `text`
//! block after it lists words that the output has, in this order, `…` being anything; a `c` block
//! stands in the file.

use crate::guest::{Guest, ensure};
use libtest_mimic::Failed;
use std::path::{Path, PathBuf};
use std::process::Command;

const IN_VM: &str = "cargo xtask vm -- ";

pub(crate) fn from_nothing_to_a_scheduler(guest: &mut Guest) -> Result<(), Failed> {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(tree.join("docs/first-scheduler.md"))?;
    let dir = guest.dir("tutorial")?;
    host(&dir.0, &format!("cp -r {}/bpf .", tree.canonicalize()?.display()))?;
    let mut output = String::new();
    let mut steps = 0;
    for (kind, block) in blocks(&page) {
        match kind {
            "sh" => {
                output.clear();
                for line in block.lines() {
                    steps += 1;
                    output += &match line.strip_prefix(IN_VM) {
                        Some(command) => in_guest(guest, &dir.1, command)?,
                        None => host(&dir.0, line)?,
                    };
                }
            }
            "text" => ensure(has_in_order(&output, block), || {
                format!("the page promises\n{block}\nbut this came out:\n{output}")
            })?,
            "c" => {
                let file = std::fs::read_to_string(dir.0.join("mine/mine.bpf.c"))?;
                ensure(file.contains(block), || format!("the file has no\n{block}"))?;
            }
            other => return Err(format!("a block of kind '{other}' in the tutorial").into()),
        }
    }
    ensure(steps >= 8, || format!("only {steps} commands found in the tutorial"))
}

/// Runs a command as `cargo xtask vm` does: one argument is a script, several are words, and the
/// folder cannot be written to. A scheduler that runs is to have something to do.
fn in_guest(guest: &mut Guest, dir: &str, command: &str) -> Result<String, Failed> {
    let script = command.strip_prefix('\'').and_then(|c| c.strip_suffix('\'')).unwrap_or(command);
    let read_only = format!("mount --bind {dir} {dir} && mount -o remount,bind,ro {dir}");
    let script =
        format!("unshare -m sh -s <<'EOF'\n{read_only} && cd {dir} || exit\n{script}\nEOF");
    let output = guest.expect(0, &script)?;
    let busy_cpus = |line: &str| line.split_whitespace().last().and_then(|n| n.parse().ok());
    let idle = !output.lines().filter_map(busy_cpus).any(|cpus: f64| cpus > 1.0);
    ensure(!command.contains("rota run") || !idle, || format!("nothing to do:\n{output}"))?;
    Ok(output)
}

fn host(dir: &PathBuf, line: &str) -> Result<String, Failed> {
    let output = Command::new("sh").args(["-ec", line]).current_dir(dir).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure(output.status.success(), || format!("{line}\n{}", text(&output.stderr)))?;
    Ok(text(&output.stdout))
}

/// The fenced blocks of a page, with their kinds.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let parts: Vec<&str> = page.split("```").collect();
    parts.iter().skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect()
}

fn has_in_order(output: &str, words: &str) -> bool {
    let mut rest = output;
    words.split_whitespace().filter(|&word| word != "…").all(|word| match rest.find(word) {
        Some(at) => {
            rest = &rest[at + word.len()..];
            true
        }
        None => false,
    })
}
