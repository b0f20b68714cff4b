// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota balance explain`.

use std::fs;
use std::process::{Command, Output};

const SIX_AND_TWO: &str = "\
[[domain]]\ncpus = 4\n[[domain]]\ncpus = 4\n\
[[task]]\ndomain = 0\ncount = 6\nduty = 1.0\nfootprint_bytes = 2097152\n\
[[task]]\ndomain = 1\ncount = 2\nduty = 1.0\n";

/// Runs the command on a file of this text.
fn explain(text: &str, words: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tasks.toml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rota"));
    command.args(["balance", "explain", "tasks.toml"]).args(words);
    command.current_dir(folder.path()).output().unwrap()
}

fn printed(text: &str, words: &[&str]) -> String {
    let output = explain(text, words);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The example of the help and of the book.
#[test]
fn a_table() {
    let text = printed(SIX_AND_TWO, &[]);
    for line in [
        "2 domains of 8.00 CPUs; 8 tasks with a duty of 8.00 CPUs",
        "no λ: everyone can have their duty",
        "imbalance 4.00 CPUs; after 2 moves 0.00",
        "     0     0      4.00    4.00    6.00   150%    4.00   100%",
        "          0       0       100   1.000   1.000  moves to 1: brings 0.7500, costs 0.0001 CPUs",
        "        6-7       1       100   1.000   1.000  the least busy domain it may use is only \
         0.000 less busy",
    ] {
        assert!(text.lines().any(|printed| printed == line), "{line}\nis not in\n{text}");
    }
    let book = include_str!("../../../docs/balance.md");
    assert!(book.contains(&text), "docs/balance.md does not show\n{text}");
}

#[test]
fn json() {
    let full = SIX_AND_TWO.replace("count = 2\n", "count = 4\nweight = 10000\n");
    let value: serde_json::Value =
        serde_json::from_str(&printed(&full, &["--format=json"])).unwrap();
    assert_eq!((&value["schema"], &value["moves"]), (&"rota-balance/1".into(), &0.into()));
    assert_eq!(value["lambda"], 150.0);
    assert_eq!(value["tasks"][0]["load_cpus"], 100.0 / 150.0);
    assert_eq!(value["tasks"].as_array().unwrap().len(), 10);
    let target = value["domains"][0]["target_cpus"].as_f64().unwrap();
    assert!((target - 4.0).abs() < 1e-9, "{target}");
    assert_eq!(value["tasks"][9]["verdict"], "balanced");
}

#[test]
fn mistakes() {
    let spoiled = SIX_AND_TWO.replace("duty = 1.0\nfoot", "duty = -1.0\nfoot");
    let output = explain(&spoiled, &[]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "rota: tasks.toml:5:1: task 0: duty -1 is not between 0 and 16777216 CPUs\n");
}
