// SPDX-License-Identifier: GPL-2.0-or-later
//! Wake-ups of a real program on this machine, recorded by perf: it has to be there, and the user
//! has to be root.

use rota_events::{CpuNumber, Event, TaskRef, What};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// A task that has one of the names that are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Task {
    pub(crate) task: TaskRef,
    /// It is the first thread of its process.
    pub(crate) is_first: bool,
}

/// What happened, and the tasks that have one of some names.
pub(crate) struct Recorded {
    pub(crate) events: Vec<Event>,
    pub(crate) named: Vec<Task>,
}

/// Runs a command by another one, with perf recording the first two CPUs, and looks at tasks whose
/// names begin so.
pub(crate) fn record(prefix: &[&str], command: &[&str], names: &[&str]) -> Recorded {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("perf.data");
    let mut perf = Command::new("perf");
    perf.args(["record", "-q", "-a", "-C", "0,1", "-m", "4096", "-o"]).arg(&file);
    for event in ["sched:sched_waking", "timer:hrtimer_expire_entry", "timer:hrtimer_expire_exit"] {
        perf.args(["-e", event]);
    }
    let output = perf.arg("--").args(prefix).args(command).output().expect("perf is there");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "perf record {prefix:?} {command:?} (as root?): {error}");
    assert!(!error.contains("lost"), "perf has lost events: {error}");
    let mut script = Command::new("perf");
    script.args(["script", "--ns", "-F", "comm,pid,tid,cpu,time,event,trace", "-i"]).arg(&file);
    let output = script.output().expect("perf is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    parse(&String::from_utf8_lossy(&output.stdout), names)
}

/// A field of what a tracepoint prints.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let at = text.find(&format!(" {name}="))? + name.len() + 2;
    text[at..].split_whitespace().next()
}

/// A line of perf, `NAME PID/TID [CPU] SECONDS: EVENT: FIELDS`, of which the name may have blanks.
struct Line<'a> {
    name: &'a str,
    task: Task,
    cpu: CpuNumber,
    time_ns: u64,
    event: &'a str,
    fields: &'a str,
}

fn line(text: &str) -> Option<Line<'_>> {
    let (front, back) = text.split_once(" [")?;
    let (name, ids) = front.trim().rsplit_once(' ')?;
    let (pid, tid) = ids.split_once('/')?;
    let (cpu, rest) = back.split_once("] ")?;
    let (time, rest) = rest.trim_start().split_once(": ")?;
    let (seconds, part) = time.split_once('.')?;
    let (event, fields) = rest.trim_start().split_once(": ")?;
    // Who is gone by then has the number -1, and is nobody.
    let tid_number = tid.parse::<i64>().ok()?.try_into().unwrap_or(0);
    Some(Line {
        name: name.trim(),
        task: Task { task: TaskRef(tid_number), is_first: pid == tid },
        cpu: CpuNumber(cpu.parse().ok()?),
        time_ns: seconds.parse::<u64>().ok()? * 1_000_000_000 + part.parse::<u64>().ok()?,
        event,
        fields,
    })
}

/// Events of wake-ups. Who is interrupted by a timer that wakes somebody is not who wakes.
pub(crate) fn parse(text: &str, names: &[&str]) -> Recorded {
    let (mut events, mut wakers, mut woken) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    let mut timers = BTreeSet::new();
    let matches = |name: &str| names.iter().any(|start| name.starts_with(start));
    for text in text.lines().filter(|line| !line.trim().is_empty()) {
        let line = line(text).expect(text);
        match line.event {
            "timer:hrtimer_expire_entry" => drop(timers.insert(line.cpu)),
            "timer:hrtimer_expire_exit" => drop(timers.remove(&line.cpu)),
            "sched:sched_waking" => {
                let fields = format!(" {}", line.fields);
                let task = TaskRef(field(&fields, "pid").unwrap().parse().unwrap());
                let interrupt = timers.contains(&line.cpu);
                let waker = if interrupt { TaskRef::NONE } else { line.task.task };
                if matches(line.name) {
                    wakers.insert(line.task.task, line.task.is_first);
                }
                if matches(field(&fields, "comm").unwrap()) {
                    woken.insert(task);
                }
                let what = What::Waking { waker };
                events.push(Event::new(line.time_ns, line.cpu, task, what));
            }
            other => panic!("{other}"),
        }
    }
    // Only of who was seen as a waker is it known; the first thread wakes the others.
    woken.extend(wakers.keys());
    let is_first = |task| wakers.get(&task).copied().unwrap_or(false);
    let named = woken.into_iter().map(|task| Task { task, is_first: is_first(task) }).collect();
    Recorded { events, named }
}
