// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota compare --live` where no scheduler of sched_ext is needed: the kernel's own is measured.
//!
//! No test is about how fast this machine is, or who else uses it.

use serde_json::Value;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

fn command(line: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rota"));
    command.args(["compare", "--live", "eevdf"]).args(line).stdin(Stdio::null());
    command
}

fn rota(line: &[&str]) -> Output {
    command(line).output().unwrap()
}

fn json(output: &Output, code: i32) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The values of a measure, by seed.
fn values(report: &Value, group: &str, measure: &str) -> Vec<f64> {
    let find = |list: &Value, member: &str, name: &str| {
        let mut all = list.as_array().unwrap().iter();
        all.find(|it| it[member] == name).unwrap_or_else(|| panic!("{name}: {list}")).clone()
    };
    let group = find(&report["groups"], "group", group);
    let measure = find(&group["measures"], "measure", measure);
    let values = measure["contestants"][0]["values"].as_array().unwrap().clone();
    values.iter().map(|it| it["value"].as_f64().unwrap()).collect()
}

#[test]
fn the_kernels_own_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let line = [
        "--workload",
        "periodic:tasks=2,run=1ms,period=10ms+cpu:tasks=1",
        "--seeds",
        "3-8",
        "--for",
        "400ms",
        "--warm-up",
        "100ms",
        "--format",
        "json",
        "--html",
        page.to_str().unwrap(),
    ];
    let report = json(&rota(&line), 0);
    assert_eq!(report["experiment"]["live"]["warm_up_ns"], 100_000_000);
    assert_eq!(report["experiment"]["seeds"], serde_json::json!([3, 4, 5, 6, 7, 8]));
    // Two tasks, each 100 times a second; on a busy machine they may be late, and get less done.
    let work = values(&report, "periodic", "work_per_s");
    assert!(work.len() == 6 && work.iter().all(|it| (1.0..=206.0).contains(it)), "{work:?}");
    let cpus = values(&report, "cpu", "cpus");
    assert!(cpus.len() == 6 && cpus.iter().all(|it| (0.001..=1.01).contains(it)), "{cpus:?}");
    let spread = report["noise"]["spread"]["work_per_s"]["part"].as_f64().unwrap();
    assert!((0.0..1.0).contains(&spread), "{report}");
    let notes = report["notes"].to_string();
    assert!(notes.contains("the kernel's default scheduler"), "{notes}");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("real machine") && page.contains("noise: others than this work"));
}

#[test]
fn interrupting_keeps_whole_rounds() {
    let line = ["--workload", "periodic", "--seeds", "1000", "--for", "100ms", "--warm-up", "0s"];
    let mut child = command(&line);
    let child = child.args(["--format", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = child.spawn().unwrap();
    sleep(Duration::from_secs(3));
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let report = json(&output, 1);
    let rounds = report["experiment"]["seeds"].as_array().unwrap().len();
    assert!((1..100).contains(&rounds), "{rounds}");
    assert_eq!(values(&report, "all", "work_per_s").len(), rounds);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("of 1000 rounds, the {rounds} that came to an end")), "{said}");
}

#[test]
fn what_makes_no_sense_is_told_before_anything_runs() {
    for (line, words) in [
        (&["--machine", "4c"][..], "cannot be used with"),
        (&["--shard", "1/2", "--out", "x"], "cannot be used with"),
        (&["eevdf"], "stands twice"),
        (&["simple:colour=red"], "colour"),
        (&["--workload", "nonsense"], "nonsense"),
        (&["--cpus", "100000"], "this process may use"),
        (&["--for", "0s"], "nothing to see in no time"),
        (&["--html", "/dev/null/page.html"], "/dev/null"),
    ] {
        let output = rota(line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line:?}: {said}");
        assert!(said.contains(words) && !said.contains("panicked"), "{line:?}: {said}");
        assert!(output.stdout.is_empty(), "{line:?}");
    }
}
