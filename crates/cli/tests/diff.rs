// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota diff`: two recordings whose differences are known, limits, and wrong calls.

use rota_events::{
    CpuNumber, CpuPlace, Event, Leaves, MachineFacts, Tables, TaskInfo, TaskRef, What, Writer,
};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A task wakes up each ms, waits for so many us and runs for 100 us, `wakes` times; another one
/// always waits for 10 us.
fn recording(wait_us: u64, wakes: u64) -> Vec<u8> {
    let mut tables = Tables::default();
    let mut task = |pid, name: &str| {
        let (name, group) = (tables.text(name), tables.text("pair"));
        tables.task(TaskInfo { pid, tgid: pid, start_ns: 0, name, group })
    };
    let (slow, steady) = (task(1, "slow"), task(2, "steady"));
    let machine = MachineFacts { cpus: vec![CpuPlace::default(); 2], ..MachineFacts::default() };
    let mut writer = Writer::new(Vec::new(), &machine).unwrap();
    for wake in 0..wakes {
        let mut add = |us: u64, cpu, task, what| {
            let event = Event::new(wake * 1_000_000 + us * 1000, CpuNumber(cpu), task, what);
            writer.write(&tables, &[event]).unwrap();
        };
        for (cpu, task) in [(0, slow), (1, steady)] {
            add(0, cpu, task, What::Waking { waker: TaskRef::NONE });
        }
        let to = |from| What::Switch { from, leaves: Leaves::Sleeping };
        add(10, 1, steady, to(TaskRef::NONE));
        add(10 + wait_us, 0, slow, to(TaskRef::NONE));
        add(110 + wait_us, 0, TaskRef::NONE, to(slow));
        add(200 + wait_us, 1, TaskRef::NONE, to(steady));
    }
    writer.finish().unwrap()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.rota"), recording(0, 100)).unwrap();
    fs::write(folder.path().join("b.rota"), recording(30, 100)).unwrap();
    fs::write(folder.path().join("short.rota"), recording(30, 3)).unwrap();
    let whole = recording(0, 100);
    fs::write(folder.path().join("cut.rota"), &whole[..whole.len() - 9]).unwrap();
    folder
}

fn diff(folder: &Path, line: &str) -> Output {
    let mut rota = Command::new(env!("CARGO_BIN_EXE_rota"));
    rota.arg("diff").args(line.split(' ')).current_dir(folder).output().unwrap()
}

#[test]
fn what_is_different_is_found() {
    let folder = folder();
    let output = diff(folder.path(), "a.rota b.rota --format json");
    assert_eq!(output.status.code(), Some(0));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["recordings"][0]["events"], 600);
    let runq = &json["kinds"][0];
    assert_eq!((&runq["kind"], &runq["times"][1]["sum_ns"]), (&"runq".into(), &5_000_000.into()));
    // Half of the times are 10 us in both; the others are 10 us, and 40 us.
    let longer = runq["second_longer"].as_f64().unwrap();
    assert!((longer - 0.75).abs() < 1e-9, "{runq}");
    assert_eq!(runq["beyond_noise"], true);
    assert_eq!(runq["rows"][0]["name"], "slow");
    assert_eq!(runq["rows"][0]["times"][0]["max_ns"], 10_000);
    assert_eq!(runq["rows"][0]["times"][1]["max_ns"], 40_000);
    let text = String::from_utf8(diff(folder.path(), "a.rota b.rota").stdout).unwrap();
    for words in ["75.0% (", "B takes longer", "+150.0%", "+300.0%", "slow", "steady"] {
        assert!(text.contains(words), "{words} is not in:\n{text}");
    }
    let text = String::from_utf8(diff(folder.path(), "a.rota a.rota").stdout).unwrap();
    assert!(text.contains("They have the same events.") && text.contains("no difference"));
    let text = String::from_utf8(diff(folder.path(), "a.rota short.rota").stdout).unwrap();
    assert!(text.contains("too short to say how sure"), "{text}");
    let text = String::from_utf8(diff(folder.path(), "a.rota b.rota --kind dsq").stdout).unwrap();
    assert!(text.contains("One of them has no such times."), "{text}");
}

#[test]
fn limits_and_wrong_calls() {
    let folder = folder();
    for (line, code, words) in [
        ("a.rota b.rota --fail-if runq.mean>149%", 1, "10.00us became 25.00us"),
        ("a.rota b.rota --fail-if runq.mean>151%", 0, ""),
        ("a.rota b.rota --fail-if runq.max>29us", 1, "runq.max>29us: 10.00us became 40.00us"),
        ("a.rota b.rota --fail-if runq.max>30us", 0, ""),
        ("b.rota a.rota --fail-if runq.max<50%", 1, "40.00us became 10.00us"),
        ("b.rota a.rota --fail-if runq.max>1us", 0, ""),
        ("a.rota short.rota --fail-if oncpu.count<10", 1, "200 became 6"),
        ("a.rota b.rota --fail-if dsq.max>1us", 1, "not both recordings have such times"),
        ("a.rota cut.rota", 1, "cut.rota: "),
        ("a.rota b.rota --fail-if runq.p98>1%", 2, "did you mean p90?"),
        ("a.rota b.rota --fail-if rung.p99>1%", 2, "did you mean runq?"),
        ("a.rota b.rota --fail-if runq.p99>-1%", 2, "a percentage is 0 or more"),
        ("a.rota b.rota --fail-if runq", 2, "KIND.NUMBER>LIMIT"),
        ("a.rota none.rota", 2, "none.rota"),
        ("- -", 2, "standard input can't be both"),
        ("a.rota b.rota --by dsq", 2, "only times in queues have one"),
    ] {
        let output = diff(folder.path(), line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(code) && said.contains(words), "{line}: {said}");
        assert_eq!(said.is_empty(), code == 0, "{line}: {said}");
    }
}
