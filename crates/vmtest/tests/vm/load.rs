// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota load` on one CPU: as much work as simulated, and what needs root or cgroup v2.

use crate::guest::{Guest, ensure, target_dir};
use libtest_mimic::Failed;
use serde_json::Value;
use std::process::Command;

/// Files that leave the CPU time, and that take all of it.
const FILES: [(&str, &str, &[&str]); 2] = [
    (
        "periodic.json",
        r#"{ "tasks": {
            "short": { "instance": 2, "run": 1000, "timer": { "ref": "unique", "period": 10000 } },
            "long": { "run": 10000, "timer": { "ref": "unique", "period": 40000 } } } }"#,
        &["short", "long"],
    ),
    (
        "bound.json",
        r#"{ "tasks": { "small": { "run": 500 }, "large": { "run": 20000 } } }"#,
        &["small", "large"],
    ),
];

/// Work done in the same time, within a tenth: time is counted in instructions here, so the host may
/// be as busy as it likes.
pub(crate) fn agrees_with_the_simulator(guest: &mut Guest) -> Result<(), Failed> {
    for (name, text, groups) in FILES {
        let path = guest.put(name, text.as_bytes())?;
        let load = load(guest, &format!("{path} --for 4s"))?;
        let folder = guest.dir("load")?.0;
        std::fs::write(folder.join(name), text)?;
        let sim = Command::new(target_dir()?.join("rota"))
            .args(["sim", "eevdf", "--machine", "1c", "--for", "4s", "--format", "json"])
            .arg("--workload")
            .arg(folder.join(name))
            .output()?;
        let sim: Value = serde_json::from_slice(&sim.stdout)?;
        for group in groups {
            let (done, expected) = (number(&load, group, "work")?, number(&sim, group, "work")?);
            let words = || format!("{name}: {group}: {done} of {expected} pieces\n{load}");
            ensure((done - expected).abs() <= 0.1 * expected, words)?;
        }
    }
    Ok(())
}

/// Weights of cgroups share the CPU, among threads and among processes, and they are gone behind it.
pub(crate) fn weights_are_set(guest: &mut Guest) -> Result<(), Failed> {
    for processes in ["", " --processes"] {
        let line = format!("cpu:name=much,weight=300+cpu:name=less,weight=100 --for 4s{processes}");
        let load = load(guest, &line)?;
        let (much, less) = (number(&load, "much", "run_ns")?, number(&load, "less", "run_ns")?);
        let words = || format!("{much} and {less}\n{load}");
        ensure((much / less - 3.0).abs() <= 0.3, words)?;
        ensure(load["notes"].as_array().is_some_and(Vec::is_empty), || load.to_string())?;
    }
    guest.expect(0, "! ls -d /sys/fs/cgroup/rota-load-*").map(drop)
}

/// Who is of real time runs before others, and is told off without the right to it.
pub(crate) fn realtime_comes_first(guest: &mut Guest) -> Result<(), Failed> {
    let text = r#"{ "tasks": {
        "control": { "policy": "SCHED_FIFO", "priority": 5, "run": 500,
                     "timer": { "ref": "unique", "period": 5000, "mode": "absolute" } },
        "hog": { "instance": 2, "run": 1000 } } }"#;
    let path = guest.put("control.json", text.as_bytes())?;
    let load = load(guest, &format!("{path} --for 2s"))?;
    let done = number(&load, "control", "work")?;
    ensure((360.0..=401.0).contains(&done), || load.to_string())?;
    let preempted = number(&load, "control", "preemptions")?;
    ensure(preempted <= 4.0, || load.to_string())?;
    let refused = format!("setpriv --reuid 65534 --clear-groups rota load {path} 2>&1");
    let said = guest.expect(2, &refused)?;
    ensure(said.contains("ulimit -r 1"), || said.clone())
}

fn load(guest: &mut Guest, arguments: &str) -> Result<Value, Failed> {
    let text = guest.expect(0, &format!("rota load {arguments} --format json"))?;
    Ok(serde_json::from_str(&text)?)
}

fn number(report: &Value, name: &str, member: &str) -> Result<f64, Failed> {
    let groups = report["groups"].as_array().into_iter().flatten();
    let found = groups.into_iter().find(|group| group["group"] == name);
    let found = found.and_then(|group| group[member].as_f64());
    found.ok_or_else(|| format!("{name}: {member} in {report}").into())
}
