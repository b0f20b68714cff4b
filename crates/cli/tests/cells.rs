// SPDX-License-Identifier: GPL-2.0-or-later
//! `domains` against `simple` and `eevdf` on the two servers: `tests/cells` has a command for each
//! workload, and what it prints. `BLESS=1` writes what is printed. Seeds from 101 on are kept for this:
//! whoever tunes a scheduler takes others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workloads, each on both servers.
const WORKLOADS: [&str; 4] = ["batch", "mixed", "skewed", "web"];
const SERVERS: [&str; 2] = ["1024", "256"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cells")
}

/// A file of a cell: why it is there, a command, and what that prints. If that is something else now, what.
fn check(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).unwrap();
    let start = text.find("$ rota ").unwrap();
    let line = text[start..].lines().next().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rota"));
    let output = command.args(line.split_whitespace().skip(2)).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", path.display());
    let printed = String::from_utf8(output.stdout).unwrap();
    let found = format!("{}{line}\n{printed}", &text[..start]);
    if found != text && std::env::var_os("BLESS").is_some() {
        fs::write(path, &found).unwrap();
        return None;
    }
    (found != text).then(|| format!("{}: expected\n{text}\nfound\n{found}", path.display()))
}

#[test]
fn every_cell_is_as_it_was() {
    let mut bad = Vec::new();
    for workload in WORKLOADS {
        for server in SERVERS {
            let path = folder().join(format!("{workload}{server}.txt"));
            bad.extend(check(&path));
        }
    }
    assert!(bad.is_empty(), "BLESS=1 writes what is printed\n{}", bad.join("\n"));
}
