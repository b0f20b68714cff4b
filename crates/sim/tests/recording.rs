// SPDX-License-Identifier: GPL-2.0-or-later
//! What is recorded of every scenario: it is what the test scheduler saw, it is the same whatever
//! executes the programs, and it adds up.
#![expect(clippy::disallowed_methods, reason = "a test may read files")]

use rota_bytecode::Mode;
use rota_events::{Activity, CpuNumber, Event, StreamHash, TaskRef, What};
use rota_object::{KernelTypes, Object};
use rota_programs::test::WITNESS;
use rota_sim::{Recording, Shape, record_scenario, run_scenario};
use rota_workload::{Callback, Record, Scenario, Witnessed};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// Every scenario that comes to its end on a kernel, with its name.
fn scenarios() -> Vec<(String, Scenario)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let mut found = Vec::new();
    for file in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|end| end == "toml") {
            let scenario = Scenario::from_toml(&fs::read_to_string(&file).unwrap()).unwrap();
            found.push((file.file_stem().unwrap().to_str().unwrap().to_owned(), scenario));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// A call of a callback: its name, the CPU, the task, flags.
type Call = (&'static str, u32, i32, u64);

/// What the scheduler wrote down of those callbacks that are recorded too.
fn seen(witnessed: &Witnessed) -> Vec<Call> {
    let call = |record: &Record| {
        let &Record { cpu, callback, pid, flags, .. } = record;
        let flags = match callback {
            Callback::Dispatch => 0,
            _ => flags,
        };
        Some((callback.name(), cpu, pid, flags)).filter(|call| KINDS.contains(&call.0))
    };
    witnessed.records.iter().filter_map(call).collect()
}

const KINDS: [&str; 8] = [
    "enqueue",
    "dequeue",
    "dispatch",
    "runnable",
    "running",
    "stopping",
    "quiescent",
    "update_idle",
];

/// The same from the recording.
fn recorded(recording: &Recording) -> Vec<Call> {
    let call = |event: &Event| {
        let flags = match event.what() {
            What::Enqueue { flags }
            | What::Dequeue { flags }
            | What::Runnable { flags }
            | What::Quiescent { flags, .. } => flags,
            What::Stopping { runnable, .. } => u64::from(runnable),
            What::Dispatch | What::Running { .. } => 0,
            What::Idle => return Some(("update_idle", event.cpu.0, 0, 1)),
            What::Busy => return Some(("update_idle", event.cpu.0, 0, 0)),
            _ => return None,
        };
        let pid = recording.tables.task_of(event.task).map_or(0, |task| task.pid);
        Some((event.kind.name(), event.cpu.0, pid, flags))
    };
    recording.events.iter().filter_map(call).collect()
}

fn hash(recording: &Recording) -> u64 {
    let mut hash = StreamHash::default();
    recording.events.iter().for_each(|event| hash.add(event));
    hash.value()
}

/// Runs a scenario and records it.
fn record(kernel: &str, scenario: &Scenario, mode: Mode) -> (Option<Witnessed>, Recording) {
    let object = Object::parse(WITNESS).unwrap();
    let types = KernelTypes::builtin(kernel).unwrap();
    let mut recording = Recording::default();
    let shape = Shape { mode, ..Shape::default() };
    let witnessed = record_scenario(&object, &types, scenario, &shape, &mut recording);
    (witnessed.ok(), recording)
}

/// A scenario with its name, and what came of it.
type Run = (String, Scenario, Option<Witnessed>, Recording);

/// Every scenario on 7.3, by machine code.
static RUNS: LazyLock<Vec<Run>> = LazyLock::new(|| {
    let run = |(name, scenario)| {
        let (witnessed, recording) = record("7.3", &scenario, Mode::Jit);
        assert!(!recording.events.is_empty(), "{name}");
        (name, scenario, witnessed, recording)
    };
    scenarios().into_iter().map(run).collect()
});

#[test]
fn what_the_scheduler_sees_is_recorded() {
    let older = scenarios().into_iter().map(|(name, scenario)| {
        let (witnessed, recording) = record("6.16", &scenario, Mode::Jit);
        (name, witnessed, recorded(&recording))
    });
    let newer = RUNS.iter().map(|(name, _, witnessed, recording)| {
        (name.clone(), witnessed.clone(), recorded(recording))
    });
    let mut compared = 0;
    for (name, witnessed, recorded) in older.chain(newer) {
        // It came to no end, so nothing is known of what the scheduler saw.
        let Some(witnessed) = witnessed else { continue };
        if witnessed.end.is_some() || witnessed.hide_cpus {
            // While a scheduler comes or goes, it is not told of all that happens.
            continue;
        }
        let seen = seen(&witnessed);
        // The recording starts earlier: before there are tasks.
        let start = recorded.len().saturating_sub(seen.len());
        let wrong = (0..seen.len()).find(|i| recorded.get(start + i) != seen.get(*i));
        let at = wrong.map(|i| (seen[i], recorded.get(start + i)));
        assert_eq!(at, None, "{name}");
        compared += seen.len();
    }
    assert!(compared > 1000, "only {compared} calls");
}

#[test]
fn the_recording_depends_on_nothing_else() {
    let object = Object::parse(WITNESS).unwrap();
    let types = KernelTypes::builtin("7.3").unwrap();
    for (name, scenario, witnessed, recording) in RUNS.iter() {
        for mode in [Mode::Jit, Mode::Interpreter] {
            let (_, again) = record("7.3", scenario, mode);
            assert_eq!(hash(&again), hash(recording), "{name}");
        }
        // Listening changes nothing.
        let unheard = run_scenario(&object, &types, scenario, &Shape::default()).ok();
        let records = |witnessed: &Option<Witnessed>| witnessed.as_ref().map(|w| w.records.clone());
        assert_eq!(records(&unheard), records(witnessed), "{name}");
    }
}

/// Run time and the sum of latencies of each task, by a look at one task after the other.
fn slowly(recording: &Recording, task: TaskRef) -> (u64, u128, u64) {
    let end_ns = recording.events.last().unwrap().time_ns;
    let (mut run_ns, mut sum, mut count) = (0, 0, 0);
    let (mut runnable, mut running) = (None, None);
    for event in &recording.events {
        match event.what() {
            What::Waking { .. } if event.task == task && running.is_none() => {
                runnable.get_or_insert(event.time_ns);
            }
            What::Switch { .. } if event.task == task => {
                if let Some(since) = runnable.take() {
                    sum += u128::from(event.time_ns - since);
                    count += 1;
                }
                running = Some(event.time_ns);
            }
            What::Switch { from, leaves } if from == task => {
                run_ns += event.time_ns - running.take().unwrap();
                runnable = leaves.is_runnable().then_some(event.time_ns);
            }
            _ => {}
        }
    }
    (run_ns + running.map_or(0, |since| end_ns - since), sum, count)
}

#[test]
fn metrics_equal_a_slow_computation() {
    let mut latencies = 0;
    for (name, _, _, recording) in RUNS.iter() {
        let mut activity = Activity::new(&recording.machine.cpus);
        recording.events.iter().for_each(|event| activity.add(event));
        let summary = activity.summary(0);
        for (task, used) in &summary.tasks {
            let found = (used.run_ns, used.latency.sum(), used.latency.count());
            assert_eq!(found, slowly(recording, *task), "{name}");
            latencies += used.latency.count();
        }
        // What ran, ran on a CPU.
        assert_eq!(summary.machine().busy_ns, summary.total().run_ns, "{name}");
    }
    assert!(latencies > 60, "only {latencies} latencies");
}

#[test]
fn queues_and_cpus_are_kept_account_of() {
    for (name, _, _, recording) in RUNS.iter() {
        let (mut depths, mut in_queue) = (BTreeMap::new(), BTreeMap::new());
        let mut current = BTreeMap::<CpuNumber, TaskRef>::new();
        for event in &recording.events {
            match event.what() {
                What::Insert { dsq, depth, .. } => {
                    let before = depths.insert(dsq, depth).unwrap_or(0);
                    assert_eq!(before + 1, depth, "{name}: {event:?}");
                    assert_eq!(in_queue.insert(event.task, dsq), None, "{name}: {event:?}");
                }
                What::Remove { dsq, depth } => {
                    assert_eq!(depths.insert(dsq, depth), Some(depth + 1), "{name}: {event:?}");
                    assert_eq!(in_queue.remove(&event.task), Some(dsq), "{name}: {event:?}");
                }
                What::Switch { from, .. } => {
                    let before = current.insert(event.cpu, event.task).unwrap_or_default();
                    assert_eq!(before, from, "{name}: {event:?}");
                }
                _ => {}
            }
        }
    }
}
