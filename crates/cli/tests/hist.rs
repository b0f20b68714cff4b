// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota hist`: the same times as one finds in the events as JSON, and wrong calls.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

fn rota(folder: &Path, line: &str) -> Output {
    let mut rota = Command::new(env!("CARGO_BIN_EXE_rota"));
    rota.args(line.split(' ')).current_dir(folder).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn recording() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let line = "sim simple --machine 4c --workload web+cpu --for 300ms --trace t.rota";
    assert!(rota(folder.path(), line).status.success());
    folder
}

fn json(folder: &Path, line: &str) -> Value {
    let output = rota(folder, line);
    assert!(output.status.success(), "{line}");
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// The times from events as JSON, by what they are and whose.
fn slowly(folder: &Path) -> BTreeMap<(&'static str, String), Vec<u64>> {
    let text = stdout(&rota(folder, "view t.rota --as json"));
    let mut times = BTreeMap::<_, Vec<u64>>::new();
    let mut open = BTreeMap::<(&str, String), u64>::new();
    for line in text.lines().skip(1) {
        let event: Value = serde_json::from_str(line).unwrap();
        let now = event["time_ns"].as_u64().unwrap();
        let name = |task: &Value| format!("{}[{}]", task["comm"].as_str().unwrap(), task["pid"]);
        let task = event["task"].is_object().then(|| name(&event["task"]));
        let from = event["from"].is_object().then(|| name(&event["from"]));
        let mut end = |what, whose: &String, open: &mut BTreeMap<(&str, String), u64>| {
            if let Some(since) = open.remove(&(what, whose.clone())) {
                times.entry((what, whose.clone())).or_default().push(now - since);
            }
        };
        match (event["event"].as_str().unwrap(), task) {
            ("waking", Some(task)) if !open.contains_key(&("oncpu", task.clone())) => {
                open.entry(("runq", task)).or_insert(now);
            }
            ("switch", task) => {
                if let Some(from) = from {
                    end("oncpu", &from, &mut open);
                    open.insert(("offcpu", from.clone()), now);
                    if event["runnable"] == true {
                        open.insert(("runq", from), now);
                    }
                }
                if let Some(task) = task {
                    end("runq", &task, &mut open);
                    end("offcpu", &task, &mut open);
                    open.insert(("oncpu", task), now);
                }
            }
            ("insert", Some(task)) => {
                open.insert(("dsq", task), now);
            }
            ("remove", Some(task)) => end("dsq", &task, &mut open),
            _ => {}
        }
    }
    times
}

#[test]
fn times_are_those_of_the_events() {
    let folder = recording();
    let wanted = slowly(folder.path());
    for kind in ["runq", "oncpu", "offcpu", "dsq"] {
        let found = json(folder.path(), &format!("hist t.rota {kind} --by task --format json"));
        let rows = found["rows"].as_array().unwrap();
        assert_eq!(rows.len(), wanted.keys().filter(|(what, _)| *what == kind).count(), "{kind}");
        for row in rows {
            let mut times = wanted[&(kind, row["name"].as_str().unwrap().to_owned())].clone();
            times.sort_unstable();
            let number = |name: &str| row[name].as_u64().unwrap();
            assert_eq!(number("count"), times.len() as u64);
            assert_eq!(number("sum_ns"), times.iter().sum::<u64>());
            assert_eq!([number("min_ns"), number("max_ns")], [times[0], times[times.len() - 1]]);
            for (name, part) in [("p50_ns", 5000), ("p90_ns", 9000), ("p99_99_ns", 9999)] {
                let exact = times[(times.len() * part).div_ceil(10_000) - 1];
                assert!((exact..=exact + exact / 31).contains(&number(name)), "{kind} {row}");
            }
        }
    }
    // However they are put together, they are the same.
    let count = |by: &str| {
        let found = json(folder.path(), &format!("hist t.rota runq --by {by} --format json"));
        found["rows"].as_array().unwrap().iter().map(|row| row["sum_ns"].as_u64().unwrap()).sum()
    };
    let all: u64 = count("all");
    assert_eq!(["task", "comm", "group", "cgroup", "cpu", "llc"].map(count), [all; 6]);
}

#[test]
fn some_times_only() {
    let folder = recording();
    let count = |rest: &str| {
        let found = json(folder.path(), &format!("hist t.rota oncpu --format json{rest}"));
        found["rows"].as_array().unwrap().first().map_or(0, |row| row["count"].as_u64().unwrap())
    };
    let all = count("");
    assert_eq!(count(" --cpus 0-1") + count(" --cpus 2-3"), all);
    assert_eq!(count(" --to 60100ms") + count(" --from 60100ms"), all);
    assert!((1..all).contains(&count(" --task cpu/16")));
    let plot = stdout(&rota(folder.path(), "hist t.rota oncpu --plot"));
    let bars = plot.lines().filter(|line| line.starts_with("below "));
    let sum: u64 =
        bars.map(|line| line.split_whitespace().nth(2).unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(sum, all, "{plot}");
}

#[test]
fn wrong_calls_are_said() {
    let folder = recording();
    let bytes = std::fs::read(folder.path().join("t.rota")).unwrap();
    std::fs::write(folder.path().join("cut.rota"), &bytes[..bytes.len() - 20]).unwrap();
    for (line, code, words) in [
        ("hist t.rota runq --by dsq", 2, "only times in queues have one"),
        ("hist none.rota runq", 2, "none.rota"),
        ("hist t.rota runq --from 2s --to 1s", 2, "--from is later than --to"),
        ("hist t.rota nothing", 2, "possible values"),
        ("hist t.rota", 2, "which times? runq, wake, oncpu"),
        ("hist t.rota runq --task web/99", 0, "no task web/99"),
        ("hist cut.rota runq", 1, "the file ends before the recording does"),
    ] {
        let output = rota(folder.path(), line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(code) && said.contains(words), "{line}: {said}");
    }
}
