// SPDX-License-Identifier: GPL-2.0-or-later
//! Runs of small workloads, which end when they should and tell what was done. How long anything
//! took is not looked at: others may want this machine.

use rota_kernel::Host;
use rota_load::{Job, LoadError, Report, run};
use rota_topology::{CpuId, CpuMask, Topology};
use rota_workload::rtapp::RtApp;
use rota_workload::{Step, Workload};

const SECOND: u64 = 1_000_000_000;

fn machine() -> (Topology, CpuMask) {
    let topology = Host::default().topology().unwrap().topology;
    let set = rustix::thread::sched_getaffinity(None).unwrap();
    let mut cpus = CpuMask::default();
    for cpu in topology.online().iter().filter(|cpu| set.is_set(cpu.0 as usize)) {
        cpus.insert(cpu);
    }
    (topology, cpus)
}

fn load(workload: &Workload, run_ns: u64, go_on: bool) -> Result<Report, LoadError> {
    let (topology, cpus) = machine();
    let (topology, places) = (&topology, &[]);
    let job = Job { workload, seed: 7, run_ns, cpus: &cpus, topology, places, calibration: None };
    run(&job, &mut |_| go_on)
}

fn file(tasks: &str) -> Workload {
    let text = format!("{{ \"tasks\": {{ {tasks} }} }}");
    RtApp::parse(&text).unwrap().workload(1).unwrap().0
}

/// Three tasks that hand a job on in a ring, and a pool that takes from a queue: nothing is lost.
#[test]
fn it_ends_when_all_have_ended() {
    let workload = file(
        r#""a": { "loop": 200, "run": 5, "sem_post": "b", "sem_wait": "a" },
           "b": { "loop": 200, "sem_wait": "b", "run": 5, "sem_post": "c" },
           "c": { "loop": 200, "sem_wait": "c", "run": 5, "sem_post": "a" },
           "giver": { "loop": 300, "run": 1, "sem_post": "queue" },
           "pool": { "instance": 3, "loop": 100, "sem_wait": "queue", "run": 1 },
           "meet": { "instance": 4, "loop": 50, "run": 2, "barrier": "all" }"#,
    );
    let report = load(&workload, 600 * SECOND, true).unwrap();
    assert!(report.elapsed_ns < 500 * SECOND);
    let done: Vec<_> = report.groups.iter().map(|group| group.pieces.done).collect();
    assert_eq!(done, [200, 200, 200, 300, 300, 200]);
    let tasks: Vec<_> = report.groups.iter().map(|group| group.tasks).collect();
    assert_eq!(tasks, [1, 1, 1, 1, 3, 4]);
    assert!(report.groups.iter().all(|group| group.pieces.open.count() == 0), "{report:?}");
    assert!(report.warnings.is_empty(), "{report:?}");
}

#[test]
fn it_ends_when_it_is_told() {
    // One that computes, one that sleeps, one that waits for what never comes.
    let workload = file(
        r#""computes": { "run": 100 },
           "sleeps": { "run": 1, "sleep": 900000000 },
           "waits": { "run": 1, "suspend": "" }"#,
    );
    let report = load(&workload, 3600 * SECOND, false).unwrap();
    assert!(report.elapsed_ns < 600 * SECOND);
    let done: Vec<_> = report.groups.iter().map(|group| group.pieces.done).collect();
    assert_eq!(done[1..], [1, 1]);
    // What it had begun is not done.
    assert!(report.groups[0].pieces.open.count() <= 1, "{report:?}");
    assert!(report.total().run_ns > 0);
}

#[test]
fn forks_are_tasks_too() {
    let workload = file(
        r#""maker": { "loop": 20, "fork": "child", "run": 10 },
           "child": { "instance": 0, "loop": 2, "run": 20 }"#,
    );
    let report = load(&workload, 600 * SECOND, true).unwrap();
    let groups = &report.groups;
    assert_eq!((groups[0].tasks, groups[1].tasks), (1, 20));
    assert_eq!((groups[0].pieces.done, groups[1].pieces.done), (20, 40));
}

/// A program whose steps take no time does not keep the run from ending.
#[test]
fn steps_that_take_no_time_end() {
    let mut workload = file(r#""a": { "run": 1 }"#);
    let program = rota_workload::Program::default().repeated(None, [Step::Phase]);
    workload.templates[0].program = program.into();
    let report = load(&workload, SECOND / 20, true).unwrap();
    assert_eq!(report.groups[0].pieces.done, 0);
}

#[test]
fn what_cannot_be_done_is_told() {
    assert!(matches!(load(&Workload::default(), 1, true), Err(LoadError::Nothing)));
    let mut workload = file(r#""a": { "run": 1 }"#);
    workload.templates[0].cpus = Some(CpuMask::of(CpuId(4095)));
    let error = load(&workload, 1, true).unwrap_err();
    assert!(error.to_string().contains("a is to run on CPUs 4095"), "{error}");
    workload.starts = vec![workload.starts[0]; 40_000];
    let error = load(&workload, 1, true).unwrap_err();
    assert!(error.to_string().starts_with("40000 threads are too many here"), "{error}");
}
