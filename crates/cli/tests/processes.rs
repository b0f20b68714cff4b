// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota load --processes`: what threads do, with a process for each task that has nothing in common
//! with others.

use serde_json::Value;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

fn command(line: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rota"));
    command.arg("load").args(line).args(["--processes", "--format", "json"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn load(line: &[&str]) -> Value {
    let output = command(line).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{line:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(report: &Value, name: &str, member: &str) -> f64 {
    let groups = report["groups"].as_array().unwrap();
    let group = groups.iter().find(|group| group["group"] == name).unwrap();
    group[member].as_f64().unwrap_or_else(|| panic!("{member}: {group}"))
}

/// The processes that one has started, which still run.
fn children(of: u32) -> Vec<u32> {
    let path = format!("/proc/{of}/task/{of}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// How many hundredths of a second a process has used the CPU.
fn ticks(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).map(|number| number.parse::<u64>().unwrap()).sum()
}

/// Looks until it is so, for a minute.
#[track_caller]
fn until(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        sleep(Duration::from_millis(20));
    }
}

fn started(line: &[&str], processes: usize) -> (Child, Vec<u32>) {
    let child = command(line).spawn().unwrap();
    until("as many processes", || children(child.id()).len() == processes);
    let pids = children(child.id());
    until("all at work", || pids.iter().all(|pid| ticks(*pid) >= 5));
    assert_eq!(pids.len(), processes);
    (child, pids)
}

fn are_gone(pids: &[u32]) {
    until("all processes gone", || {
        pids.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists())
    });
}

/// Each member of a group that is counted rather than timed.
fn counted<'a>(report: &'a Value, members: &[&str]) -> Vec<(&'a str, Vec<&'a Value>)> {
    let groups = report["groups"].as_array().unwrap();
    let of = |group: &'a Value| members.iter().map(|member| &group[*member]).collect();
    groups.iter().map(|group| (group["group"].as_str().unwrap(), of(group))).collect()
}

#[test]
fn counts_are_those_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counts.json");
    let text = r#"{ "tasks": {
        "alone": { "instance": 3, "loop": 40, "run": 100, "sleep": 500 },
        "giver": { "loop": 50, "run": 100, "sem_post": "full", "sem_wait": "empty" },
        "taker": { "loop": 50, "sem_wait": "full", "run": 100, "sem_post": "empty" },
        "meeting": { "instance": 3, "loop": 30, "run": 100, "barrier": "b" },
        "maker": { "loop": 7, "fork": "child", "run": 50, "sleep": 1000 },
        "child": { "instance": 0, "loop": 2, "run": 200 },
        "pacer": { "instance": 2, "loop": 20, "run": 10, "timer": { "ref": "tick", "period": 3000 } }
    } }"#;
    fs::write(&path, text).unwrap();
    let line = [path.to_str().unwrap(), "--for", "30s"];
    let processes = load(&line);
    let mut threads = Command::new(env!("CARGO_BIN_EXE_rota"));
    threads.arg("load").args(line).args(["--format", "json"]);
    let threads: Value = serde_json::from_slice(&threads.output().unwrap().stdout).unwrap();
    let members = ["tasks", "work", "yields"];
    assert_eq!(counted(&processes, &members), counted(&threads, &members));
    assert_eq!(number(&processes, "alone", "work"), 120.0);
    // They ended when everybody had.
    assert!(processes["elapsed_ns"].as_f64().unwrap() < 20e9, "{processes}");
}

#[test]
fn periodic_work_is_done() {
    let load =
        load(&["periodic:tasks=4,run=1ms,period=20ms+web:rate=100,service=500us", "--for", "4s"]);
    // On a busy machine they may be late, and get less done.
    let work = number(&load, "periodic", "work");
    assert!((600.0..=804.0).contains(&work), "{load}");
    let rate = number(&load, "web", "work") / 4.0;
    assert!((60.0..=140.0).contains(&rate), "{load}");
    assert!(number(&load, "all", "run_ns") > 0.6e9, "{load}");
    assert_eq!(load["processes"], true);
    // What all CPUs did is of about as long as the run: 1.11 times as long once, beside other tests.
    let (busy, idle) = (load["busy_ns"].as_f64().unwrap(), load["idle_ns"].as_f64().unwrap());
    let all = load["elapsed_ns"].as_f64().unwrap() * load["cpus"].as_f64().unwrap();
    assert!((busy + idle) / all < 1.5, "{load}");
}

#[test]
fn each_task_has_its_own_and_all_end_with_ctrl_c() {
    let (child, pids) = started(&["cpu:tasks=3+pipe", "--for", "60s"], 4);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let load: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(load["elapsed_ns"].as_f64().unwrap() < 30e9, "{load}");
    assert!(number(&load, "cpu", "tasks") == 3.0 && number(&load, "cpu", "run_ns") > 1e7, "{load}");
    are_gone(&pids);
}

/// Ctrl-C of a terminal goes to all processes of a group, and may come at any time.
#[test]
fn ctrl_c_may_come_early() {
    for ms in [0, 30, 60, 100, 200, 400] {
        let mut child =
            command(&["cpu:tasks=12", "--for", "60s"]).process_group(0).spawn().unwrap();
        // Before it catches signals, it ends as any program does.
        until("caught", || catches_signals(child.id()));
        sleep(Duration::from_millis(ms));
        let pids = children(child.id());
        let group = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process_group(group, rustix::process::Signal::INT).unwrap();
        let status = child.wait().unwrap();
        // Before all had begun there is nothing to tell.
        assert!([Some(0), Some(2)].contains(&status.code()), "{ms} ms: {status}");
        are_gone(&pids);
    }
}

/// Whether a process has a handler for Ctrl-C.
fn catches_signals(pid: u32) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 2 != 0
}

#[test]
fn what_can_be_read_once_only_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe.json");
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let text = r#"{ "tasks": { "a": { "run": 100, "sleep": 100 } } }"#;
    let writer = std::thread::spawn({
        let path = path.clone();
        move || fs::write(path, text)
    });
    let output = command(&[path.to_str().unwrap(), "--for", "1s"]).output().unwrap();
    writer.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("it has to be a plain file"), "{said}");
}

#[test]
fn none_outlives_the_first() {
    let (mut child, pids) = started(&["cpu:tasks=2", "--for", "60s"], 2);
    child.kill().unwrap();
    child.wait().unwrap();
    are_gone(&pids);
}

#[test]
fn one_that_is_killed_is_missed() {
    let (child, pids) = started(&["cpu:tasks=2", "--for", "3s"], 2);
    let pid = rustix::process::Pid::from_raw(pids[0].cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let output = child.wait_with_output().unwrap();
    let load: Value = serde_json::from_slice(&output.stdout).unwrap();
    let notes = load["notes"].to_string();
    assert!(notes.contains("1 process told nothing"), "{notes}");
    assert_eq!(number(&load, "cpu", "tasks"), 1.0);
}
