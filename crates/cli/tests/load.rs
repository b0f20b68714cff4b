// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota load` on this machine: it gets done what `rota sim` says, its files run, bad input is told.
//!
//! No test is about how fast this machine is, or who else uses it: what sleeps often enough has
//! slack, and of what never sleeps the work is compared by the CPU time that it got.

use rota_workload::Random;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Two CPUs, or as many as there are if that is one.
const PERIODIC: &str = r#"{ "tasks": {
    "short": { "instance": 2, "run": 400, "timer": { "ref": "unique", "period": 10000 } },
    "long": { "instance": 2, "run": 2000, "timer": { "ref": "unique", "period": 40000 } }
} }"#;
const BOUND: &str = r#"{ "tasks": {
    "small": { "instance": 2, "run": 300 },
    "large": { "instance": 2, "run": 5000 }
} }"#;

fn rota(line: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rota"));
    command.args(line).stdin(Stdio::null()).output().unwrap()
}

fn json(line: &[&str]) -> Value {
    let output = rota(&[line, &["--format", "json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{line:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn group<'a>(report: &'a Value, name: &str) -> &'a Value {
    let groups = report["groups"].as_array().unwrap();
    groups.iter().find(|group| group["group"] == name).unwrap()
}

fn number(group: &Value, member: &str) -> f64 {
    group[member].as_f64().unwrap_or_else(|| panic!("{member}: {group}"))
}

/// Both in a second of their time.
fn per_second(report: &Value, time: &str, name: &str, member: &str) -> f64 {
    number(group(report, name), member) / number(report, time) * 1e9
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 0.1 * other
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A simulated machine with the same number of CPUs.
fn simulated(file: &str, cpus: &Value) -> Value {
    let machine = format!("{cpus}c");
    json(&["sim", "eevdf", "--machine", &machine, "--for", "5s", "--workload", file])
}

#[test]
fn periodic_work_is_done_as_simulated() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), "periodic.json", PERIODIC);
    let load = json(&["load", &file, "--for", "5s"]);
    let sim = simulated(&file, &load["cpus"]);
    for name in ["short", "long"] {
        let done = per_second(&load, "elapsed_ns", name, "work");
        let expected = per_second(&sim, "simulated_ns", name, "work");
        assert!(close(done, expected), "{name}: {done} of {expected} a second: {load}");
    }
    assert_eq!(number(group(&load, "short"), "tasks"), 2.0);
}

#[test]
fn work_that_never_sleeps_is_done_as_simulated_by_cpu_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), "bound.json", BOUND);
    let load = json(&["load", &file, "--for", "3s"]);
    let sim = simulated(&file, &load["cpus"]);
    for name in ["small", "large"] {
        let each = |report: &Value| {
            number(group(report, name), "work") / number(group(report, name), "run_ns") * 1e9
        };
        let (done, expected) = (each(&load), each(&sim));
        assert!(close(done, expected), "{name}: {done} of {expected} a CPU second: {load}");
    }
    // All the time they ran or waited: what they had and what others took is all there was.
    let all = group(&load, "all");
    let wanted = 4.0 * number(&load, "elapsed_ns");
    let had = number(all, "run_ns") + number(all, "wait_ns");
    assert!(close(had, wanted), "{had} of {wanted}: {load}");
}

fn folder_of_files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/workloads")
}

/// Every file runs, and everybody gets something done.
#[test]
fn every_file_runs() {
    let mut files = 0;
    for entry in fs::read_dir(folder_of_files()).unwrap() {
        let path = entry.unwrap().path();
        let load = json(&["load", path.to_str().unwrap(), "--for", "1500ms"]);
        let groups = load["groups"].as_array().unwrap();
        for group in groups {
            assert!(number(group, "work") > 0.0, "{}: {group}", path.display());
        }
        assert!(number(groups.last().unwrap(), "wakeups") > 0.0, "{load}");
        assert_eq!(load["notes"].as_array().unwrap().len(), 0, "{}: {load}", path.display());
        files += 1;
    }
    assert!(files >= 10);
}

/// What is counted rather than timed is the same: pieces of work, tasks, who woke whom.
#[test]
fn counts_are_those_of_the_simulator() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"{ "tasks": {
        "giver": { "loop": 50, "run": 100, "sem_post": "full", "sem_wait": "empty" },
        "taker": { "loop": 50, "sem_wait": "full", "run": 100, "sem_post": "empty" },
        "locker": { "instance": 3, "loop": 40, "lock": "m", "run": 50, "unlock": "m", "run2": 20 },
        "meeting": { "instance": 3, "loop": 30, "run": 100, "barrier": "b" },
        "maker": { "loop": 7, "fork": "child", "run": 50, "sleep": 1000 },
        "child": { "instance": 0, "loop": 2, "run": 200 },
        "pacer": { "loop": 20, "run": 10, "timer": { "ref": "tick", "period": 3000 } },
        "phased": { "loop": 3, "phases": {
            "a": { "loop": 4, "run": 20, "sleep": 100 },
            "b": { "cpus": [0], "priority": 3, "runtime": 50, "yield": "", "run": 10 } } }
    } }"#;
    let file = file(folder.path(), "counts.json", text);
    let load = json(&["load", &file, "--for", "30s"]);
    let sim = json(&["sim", "eevdf", "--machine", "2c", "--for", "5s", "--workload", &file]);
    // It ended when everybody had.
    assert!(number(&load, "elapsed_ns") < 20e9, "{load}");
    for name in ["giver", "taker", "locker", "meeting", "maker", "child", "pacer", "phased"] {
        for member in ["tasks", "work", "yields"] {
            let (real, simulated) = (group(&load, name), group(&sim, name));
            assert_eq!(real[member], simulated[member], "{name}: {member}: {real} {simulated}");
        }
    }
}

/// A file of tasks that all end, with as many posts as there are takes, drawn by a seed; and the
/// names of its tasks.
fn drawn(seed: u64) -> (String, Vec<String>) {
    let mut random = Random::new(seed);
    let mut draw = |least, most| random.between(least, most);
    let mut tasks = Vec::new();
    for pair in 0..draw(1, 3) {
        let (loops, instances, run) = (draw(1, 30), draw(1, 3), draw(1, 300));
        // Some answer, and some only take.
        let answers = draw(0, 1) == 1;
        let back = |action: &str| match answers {
            true => format!(r#", "{action}": "empty{pair}""#),
            false => String::new(),
        };
        let (wait, post) = (back("sem_wait"), back("sem_post"));
        tasks.push((
            format!("giver{pair}"),
            format!(
                r#""instance": {instances}, "loop": {loops}, "run": {run},
                   "sem_post": "full{pair}"{wait}"#
            ),
        ));
        tasks.push((
            format!("taker{pair}"),
            format!(
                r#""loop": {}, "sem_wait": "full{pair}", "run": {run}{post}"#,
                loops * instances
            ),
        ));
    }
    let (loops, instances) = (draw(1, 30), draw(1, 4));
    tasks.push((
        "meeting".to_owned(),
        format!(r#""instance": {instances}, "loop": {loops}, "run": 50, "barrier": "all""#),
    ));
    let (loops, instances, yields) = (draw(1, 30), draw(1, 4), draw(0, 1) == 1);
    let yields = if yields { r#""yield": "","# } else { "" };
    tasks.push((
        "locker".to_owned(),
        format!(
            r#""instance": {instances}, "loop": {loops}, "lock": "one", "run": 30,
               "unlock": "one", {yields} "run2": 20"#
        ),
    ));
    let (forks, loops) = (draw(1, 9), draw(1, 9));
    let maker = format!(r#""loop": {forks}, "fork": "child", "run": 40, "sleep": 300"#);
    tasks.push(("maker".to_owned(), maker));
    let child = format!(r#""instance": 0, "loop": {loops}, "runtime": 60, "run": 10"#);
    tasks.push(("child".to_owned(), child));
    let names = tasks.iter().map(|(name, _)| name.clone()).collect();
    let tasks: Vec<_> =
        tasks.iter().map(|(name, text)| format!("\"{name}\": {{ {text} }}")).collect();
    (format!("{{ \"tasks\": {{ {} }} }}", tasks.join(",\n")), names)
}

#[test]
fn counts_of_any_file_are_those_of_the_simulator() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 1..=12 {
        let (text, names) = drawn(seed);
        let file = file(folder.path(), &format!("drawn-{seed}.json"), &text);
        let load = json(&["load", &file, "--for", "60s"]);
        let sim = ["sim", "eevdf", "--machine", "2c", "--for", "5s", "--workload", &file];
        let sim = json(&sim);
        assert!(number(&load, "elapsed_ns") < 50e9, "seed {seed}: {load}");
        for name in &names {
            for member in ["tasks", "work", "yields"] {
                let (real, simulated) = (group(&load, name), group(&sim, name));
                let words = || format!("seed {seed}: {name}: {member}: {real} {simulated}\n{text}");
                assert_eq!(real[member], simulated[member], "{}", words());
            }
        }
    }
}

/// The same generators, with a rate that leaves the CPUs much time.
#[test]
fn requests_from_outside_are_answered() {
    let load = json(&["load", "web:rate=200,service=500us,name=site", "--for", "3s"]);
    let site = group(&load, "site");
    let rate = number(site, "work") / 3.0;
    assert!((150.0..=250.0).contains(&rate), "{load}");
    assert!(number(&site["requests"], "count") == number(site, "work"));
    assert!(number(&site["requests"], "p50_ns") >= 300_000.0, "{site}");
    assert!(number(group(&load, "others"), "tasks") >= 1.0);
}

#[test]
fn every_workload_with_a_name_runs() {
    for workload in rota_workload::WORKLOADS {
        let load = json(&["load", workload.name, "--for", "400ms"]);
        let all = group(&load, "all");
        assert!(number(all, "tasks") >= 1.0 && number(all, "run_ns") > 0.0, "{load}");
    }
}

#[test]
fn the_table_is_that_of_simulations() {
    let output = rota(&["load", "web:rate=100+cpu:tasks=1", "--for", "500ms"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    let sim = rota(&["sim", "simple", "--machine", "2c", "--for", "100ms"]);
    let sim = String::from_utf8(sim.stdout).unwrap();
    let head = |text: &str| {
        text.lines().nth(2).unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(head(&text), head(&sim));
    for word in
        ["load on this machine: ", "\nweb ", "\ncpu ", "\nall ", "\nrequests ", "\nutilisation "]
    {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn ctrl_c_ends_it_with_a_report() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rota"));
    command.args(["load", "periodic:tasks=2", "--for", "60s", "--format", "json"]);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let load: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(number(&load, "elapsed_ns") < 50e9, "{load}");
}

#[test]
fn stress_ng_is_driven() {
    let load =
        json(&["load", "periodic:tasks=1", "--stress-ng", "--switch 1 --cpu 1", "--for", "1s"]);
    let stressors = load["stress_ng"].as_array().unwrap();
    let names: Vec<_> = stressors.iter().map(|it| it["stressor"].as_str().unwrap()).collect();
    assert_eq!(names, ["switch", "cpu"]);
    assert!(stressors.iter().all(|it| number(it, "bogo_ops_per_s") > 0.0), "{load}");
    let output = rota(&["load", "--stress-ng", "--cpu 1", "--for", "1s"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\nstress-ng cpu "), "{text}");
}

#[test]
fn bad_input_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let broken = file(folder.path(), "broken.json", "{ \"tasks\": { \"a\": { \"rnu\": 1 } } }");
    for (line, word) in [
        (&["no-such-profile"][..], "no workload 'no-such-profile'; there are: periodic"),
        (&["missing.json"], "missing.json: No such file"),
        (&[&broken], "did you mean run?"),
        (&["periodic", "--for", "0s"], "nothing can be done in no time"),
        (&["periodic", "--for", "5"], "has no unit"),
        (&["cpu:tasks=100000"], "threads are too many here"),
        (&["cpu:cpus=4000"], "there is no CPU 4000"),
        (&["cpu", "--cpus", "4000"], "this process may use 0"),
        (&["cpu", "--cpus", ""], "no CPU at all"),
        (&["cpu:name=all"], "would be taken for another"),
        (&["web+"], "web+: a workload is missing"),
        (&[], "PROFILE|FILE"),
        (&["--stress-ng", "--cpu 1 --timeout 3"], "is given by rota load itself"),
        (&["--stress-ng", "--no-such-stressor 1", "--for", "1s"], "no-such-stressor"),
    ] {
        let output = rota(&[&["load"], line].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line:?}: {said}");
        assert!(said.contains(word), "{line:?}: {said}");
        assert!(output.stdout.is_empty());
    }
}

/// Who may not do something is told what to do about it.
#[test]
fn what_is_not_allowed_is_told() {
    let control = folder_of_files().join("control.json");
    let without = |line: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-sys_nice", "--inh-caps=-sys_nice"]);
        let output = command.arg(env!("CARGO_BIN_EXE_rota")).arg("load").args(line).output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = without(&[control.to_str().unwrap()]);
    assert!(code == Some(2) && said.contains("CAP_SYS_NICE"), "{said}");
    let (code, said) = without(&["cpu:nice=-5"]);
    assert!(code == Some(2) && said.contains("ulimit -e 25"), "{said}");
    let (code, said) = without(&["cpu:nice=5", "--for", "200ms"]);
    assert!(code == Some(0), "{said}");
}
