// SPDX-License-Identifier: GPL-2.0-or-later
//! `domains` against `simple` and `eevdf` on the two servers: `tests/cells` has a command for each
//! workload, and what it prints. `BLESS=1` writes what is printed. Seeds from 101 on are kept for this:
//! whoever tunes a scheduler takes others. `ROTA_CELLS=whole` takes those of `tests/cells/whole` instead,
//! which are long enough for balancing to show: `cargo xtask soak` does that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workloads, each on both servers.
const WORKLOADS: [&str; 4] = ["batch", "mixed", "skewed", "web"];
const SERVERS: [&str; 2] = ["1024", "256"];
/// The folder of the long ones.
const WHOLE: &str = "whole";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cells")
}

/// The files of a folder in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.is_file()).collect();
    paths.sort();
    paths
}

/// The line of a file with the command, and what stands before it.
fn command(text: &str) -> (&str, &str) {
    let (before, rest) = text.split_at(text.find("$ rota ").unwrap());
    (rest.lines().next().unwrap(), before)
}

/// A file of a cell: why it is there, a command, and what that prints. If that is something else now, what.
fn check(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).unwrap();
    let (line, before) = command(&text);
    let mut command = Command::new(env!("CARGO_BIN_EXE_rota"));
    let output = command.args(line.split_whitespace().skip(2)).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", path.display());
    let printed = String::from_utf8(output.stdout).unwrap();
    let found = format!("{before}{line}\n{printed}");
    if found != text && std::env::var_os("BLESS").is_some() {
        fs::write(path, &found).unwrap();
        return None;
    }
    (found != text).then(|| format!("{}: expected\n{text}\nfound\n{found}", path.display()))
}

#[test]
fn every_cell_is_as_it_was() {
    let part = std::env::var_os("ROTA_CELLS").unwrap_or_default();
    let paths = files(&folder().join(part));
    let bad: Vec<_> = paths.iter().filter_map(|path| check(path)).collect();
    assert!(bad.is_empty(), "BLESS=1 writes what is printed\n{}", bad.join("\n"));
}

/// What a cell compares: the words of its command up to `--for`. Its seeds are those kept from tuning.
fn compared(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let words: Vec<_> = command(&text).0.split_whitespace().collect();
    let place = |option| words.iter().position(|word| *word == option).unwrap();
    let seeds = words[place("--seeds") + 1];
    assert!(seeds.starts_with("101-"), "{}: {seeds}", path.display());
    words[..place("--for")].join(" ")
}

/// Each workload is there on each server, and the long ones compare the same.
#[test]
fn no_cell_is_missing() {
    for workload in WORKLOADS {
        for server in SERVERS {
            let name = format!("{workload}{server}.txt");
            let short = compared(&folder().join(&name));
            assert_eq!(compared(&folder().join(WHOLE).join(&name)), short);
        }
    }
}
