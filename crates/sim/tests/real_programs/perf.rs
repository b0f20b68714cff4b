// SPDX-License-Identifier: GPL-2.0-or-later
//! Wake-ups of a real program on this machine, recorded by perf: it has to be there, and the user
//! has to be root.

use rota_events::{CpuNumber, Event, TaskRef, What};
use std::collections::BTreeSet;
use std::process::Command;

/// What happened, and which of its tasks have this name.
pub(crate) struct Recorded {
    pub(crate) events: Vec<Event>,
    pub(crate) named: BTreeSet<TaskRef>,
}

/// Runs a command under perf on at most two CPUs, and looks at tasks whose names begin so.
pub(crate) fn record(command: &[&str], names: &[&str]) -> Recorded {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("perf.data");
    let mut perf = Command::new("taskset");
    perf.args(["-c", "0,1", "perf", "record", "-q", "-m", "4096", "-o"]).arg(&file);
    for event in ["sched:sched_waking", "timer:hrtimer_expire_entry", "timer:hrtimer_expire_exit"] {
        perf.args(["-e", event]);
    }
    let output = perf.arg("--").args(command).output().expect("taskset is there");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "perf record {command:?} (as root?): {error}");
    assert!(!error.contains("lost"), "perf has lost events: {error}");
    let mut script = Command::new("perf");
    script.args(["script", "--ns", "-F", "comm,tid,cpu,time,event,trace", "-i"]).arg(&file);
    let output = script.output().expect("perf is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    parse(&String::from_utf8_lossy(&output.stdout), names)
}

/// A field of what a tracepoint prints.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let at = text.find(&format!(" {name}="))? + name.len() + 2;
    text[at..].split_whitespace().next()
}

/// A line of perf, `NAME TID [CPU] SECONDS: EVENT: FIELDS`, of which the name may have blanks.
fn line(text: &str) -> Option<(&str, u32, u32, u64, &str, &str)> {
    let (front, back) = text.split_once(" [")?;
    let (name, tid) = front.trim().rsplit_once(' ')?;
    let (cpu, rest) = back.split_once("] ")?;
    let (time, rest) = rest.trim_start().split_once(": ")?;
    let (seconds, part) = time.split_once('.')?;
    let time_ns = seconds.parse::<u64>().ok()? * 1_000_000_000 + part.parse::<u64>().ok()?;
    let (event, fields) = rest.trim_start().split_once(": ")?;
    Some((name.trim(), tid.parse().ok()?, cpu.parse().ok()?, time_ns, event, fields))
}

/// Events of wake-ups. Who is interrupted by a timer that wakes somebody is not who wakes.
pub(crate) fn parse(text: &str, names: &[&str]) -> Recorded {
    let (mut events, mut named, mut timers) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    let matches = |name: &str| names.iter().any(|start| name.starts_with(start));
    for text in text.lines().filter(|line| !line.trim().is_empty()) {
        let (name, tid, cpu, time_ns, event, fields) = line(text).expect(text);
        match event {
            "timer:hrtimer_expire_entry" => drop(timers.insert(cpu)),
            "timer:hrtimer_expire_exit" => drop(timers.remove(&cpu)),
            "sched:sched_waking" => {
                let fields = format!(" {fields}");
                let woken = TaskRef(field(&fields, "pid").unwrap().parse().unwrap());
                let waker = if timers.contains(&cpu) { TaskRef::NONE } else { TaskRef(tid) };
                named.extend(matches(name).then_some(TaskRef(tid)));
                named.extend(matches(field(&fields, "comm").unwrap()).then_some(woken));
                let what = What::Waking { waker };
                events.push(Event::new(time_ns, CpuNumber(cpu), woken, what));
            }
            other => panic!("{other}"),
        }
    }
    Recorded { events, named }
}
