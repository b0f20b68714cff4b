// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota balance explain`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};

const SIX_AND_TWO: &str = "\
[[domain]]\ncpus = 4\n[[domain]]\ncpus = 4\n\
[[task]]\ndomain = 0\ncount = 6\nduty = 1.0\nfootprint_bytes = 2097152\n\
[[task]]\ndomain = 1\ncount = 2\nduty = 1.0\n";

/// Runs the command on a file of this text.
fn explain(text: &str, words: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tasks.toml"), text).unwrap();
    rota(folder.path(), &[&["balance", "explain", "tasks.toml"], words].concat())
}

fn rota(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rota"));
    command.args(words).current_dir(folder).output().unwrap()
}

fn printed(text: &str, words: &[&str]) -> String {
    said(explain(text, words))
}

fn said(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The example of the help and of the book.
#[test]
fn a_table() {
    let text = printed(SIX_AND_TWO, &[]);
    for line in [
        "2 domains, 8.00 CPUs in all; 8 tasks, which want 8.00 CPUs",
        "no λ: everyone can have their duty",
        "imbalance 4.00 CPUs; after 2 moves 0.00",
        "     0     0      4.00    4.00    6.00   150%    4.00   100%",
        "          0       0       100   1.000   1.000  moves to 1: brings 0.7500, costs 0.0001 CPUs",
        "        6-7       1       100   1.000   1.000  the least busy domain it may use is no \
         less busy",
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

/// What is printed as JSON is a file too, of which the same comes.
#[test]
fn what_is_printed_can_be_read() {
    let uneven = SIX_AND_TWO.replace("duty = 1.0", "weight = 3.3\nduty = 0.7071067811865476");
    let json = printed(&uneven, &["--format=json"]);
    assert_eq!(printed(&json, &["--format=json"]), json);
    assert_eq!(printed(&json, &[]), printed(&uneven, &[]));
    let spoiled = json.replacen("\"duty\"", "\"dirty\"", 1);
    let output = explain(&spoiled, &[]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("unknown field `dirty`, expected one of `id`, `count`"), "{told}");
    let line: usize = told.split(':').nth(2).unwrap().parse().unwrap();
    assert!(spoiled.lines().nth(line - 1).unwrap().contains("dirty"), "{told}");
}

/// The help shows a whole file.
#[test]
fn the_example_of_the_help() {
    let folder = tempfile::tempdir().unwrap();
    let help = said(rota(folder.path(), &["balance", "explain", "--help"]));
    let (_, example) = help.split_once("in one domain and two in another:").unwrap();
    let (example, _) = example.split_once("A task's load").unwrap();
    assert!(example.lines().all(|line| line.chars().count() <= 76), "nothing of it is wrapped");
    let text = printed(example, &[]);
    assert!(text.starts_with("2 domains, 8.00 CPUs in all; 8 tasks"), "{text}");
}

/// What a scheduler would do at the end of a simulation, as a file and as a plan.
#[test]
fn a_snapshot_of_a_simulation() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let words = ["sim", "domains", "--machine=2l:2c", "--workload=batch:tasks=6", "--for=1500ms"];
    said(rota(here, &[&words[..], &["--snapshot=end.json"]].concat()));
    let table = said(rota(here, &["balance", "explain", "end.json"]));
    assert!(table.starts_with("2 domains, 4.00 CPUs in all; "), "{table}");
    assert!(table.contains("task       pid  domain"), "{table}");
    let value = said(rota(here, &["balance", "explain", "end.json", "--format=json"]));
    let value: serde_json::Value = serde_json::from_str(&value).unwrap();
    assert_eq!(value["snapshot"]["schema"], "rota-balance-snapshot/1");
    let tasks = value["tasks"].as_array().unwrap();
    let busy = |task: &&serde_json::Value| task["duty_cpus"].as_f64().unwrap() > 0.5;
    assert_eq!(tasks.iter().filter(busy).count(), 6, "{value}");
    said(rota(here, &[&words[..], &["--snapshot=again.json"]].concat()));
    let read = |name: &str| fs::read(here.join(name)).unwrap();
    assert_eq!(read("end.json"), read("again.json"));
    let output = rota(here, &["sim", "simple", "--for=10ms", "--snapshot=none.json"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "it is not run first");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("simple plans no moves between domains"), "{told}");
    assert!(!here.join("none.json").exists());
}

/// Asks a scheduler, which answers with this.
fn live(answer: &'static str, words: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
    let serves = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = String::new();
        BufReader::new(&stream).read_line(&mut request).unwrap();
        assert_eq!(request, "snapshot\n");
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let all = [&["balance", "explain", "--live", "--socket=socket"], words].concat();
    let output = rota(folder.path(), &all);
    serves.join().unwrap();
    output
}

#[test]
fn a_scheduler_in_charge_is_asked() {
    let snapshot = "{\"domain\": [{\"cpus\": 4}]}\n";
    let table = said(live(snapshot, &[]));
    assert!(table.starts_with("1 domain, 4.00 CPUs in all; 0 tasks"), "{table}");
    let told = |output: Output| {
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let none = told(live("{\"error\":\"simple plans no moves\"}\n", &[]));
    assert_eq!(none, "rota: socket: simple plans no moves\n");
    let half = told(live("{\"domain\": [", &[]));
    assert!(half.contains("the answer ends in the middle"), "{half}");
    let folder = tempfile::tempdir().unwrap();
    let nobody = told(rota(folder.path(), &["balance", "explain", "--live", "--socket=socket"]));
    assert!(nobody.contains("`rota run domains` puts one there"), "{nobody}");
    let neither = told(rota(folder.path(), &["balance", "explain"]));
    assert!(neither.contains("<FILE>"), "{neither}");
}
