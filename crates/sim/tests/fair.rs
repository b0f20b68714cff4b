// SPDX-License-Identifier: GPL-2.0-or-later
//! Workloads on a machine that has the kernel's fair class alone.

use rota_events::What;
use rota_object::{KernelTypes, World};
use rota_sim::{Pause, Shape, Simulation};
use rota_topology::Spec;
use rota_workload::Workload;
use rota_workload::rtapp::RtApp;

const SECOND: u64 = 1_000_000_000;

/// A machine that has run a workload for so many ns.
fn run(machine: &str, workload: &str, time_ns: u64) -> Simulation {
    let cpus = machine.parse::<Spec>().unwrap().topology().possible().count() as u32;
    run_this(machine, &Workload::parse(workload, cpus).unwrap(), time_ns)
}

fn run_this(machine: &str, workload: &Workload, time_ns: u64) -> Simulation {
    let types = KernelTypes::builtin("7.3").unwrap();
    let topology = machine.parse::<Spec>().unwrap().topology();
    let mut world = Simulation::fair(&types, &topology, &Shape::default()).unwrap();
    world.start_recording();
    world.add(workload).unwrap();
    assert_eq!(world.run_until(time_ns).unwrap(), Pause::Time);
    world
}

#[test]
fn work_is_done_without_any_scheduler_of_sched_ext() {
    let mut world = run("4c", "cpu:tasks=6,run=10ms", 6 * SECOND);
    let busy: u64 = world.cpu_times().unwrap().iter().map(|cpu| cpu.busy_ns).sum();
    assert_eq!(busy, 4 * (6 * SECOND - 1));
    let done = world.work_done();
    assert!((2394..=2400).contains(&done[0].1), "{done:?}");
    assert!(world.take_events().len() > 1000);
    assert!(world.callbacks().is_empty());
}

/// Shares of the CPU time of groups, in percent, as their pieces of work of 1 ms say.
fn shares(machine: &str, workload: &str, time_ns: u64) -> Vec<u64> {
    let done: Vec<u64> = run(machine, workload, time_ns).work_done().iter().map(|d| d.1).collect();
    let all: u64 = done.iter().sum();
    done.iter().map(|done| (done * 100 + all / 2) / all).collect()
}

#[test]
fn nice_values_share_a_cpu_by_weight() {
    let text = "cpu:tasks=1,run=1ms,name=a+cpu:tasks=1,run=1ms,name=b,nice=5\
                +cpu:tasks=1,run=1ms,name=c,nice=-5";
    // 1024, 335 and 3121.
    assert_eq!(shares("1c", text, 30 * SECOND), [23, 7, 70]);
}

#[test]
fn who_sleeps_often_is_not_starved() {
    // It wants 30 %, beside three that want everything: it gets its fourth, as they do.
    let text = "cpu:tasks=3,run=1ms+periodic:tasks=1,period=10ms,run=3ms";
    let world = run("1c", text, 20 * SECOND);
    let done = world.work_done();
    assert!(done[1].1.abs_diff(20_000 / 4 / 3) < 60, "{done:?}");
}

#[test]
fn who_wakes_up_waits_for_a_slice_of_each_other_at_most() {
    let mut world = run("1c", "cpu:tasks=4,run=1ms+periodic:tasks=1,period=20ms,run=500us", SECOND);
    let tables = world.tables().unwrap().clone();
    let mut waits = Vec::new();
    let mut woken = None;
    for event in world.take_events() {
        let is_periodic = tables.task_name(event.task).starts_with("periodic");
        match event.what() {
            What::Wakeup { .. } if is_periodic => woken = Some(event.time_ns),
            What::Switch { .. } if is_periodic => {
                waits.extend(woken.take().map(|at| event.time_ns - at));
            }
            _ => {}
        }
    }
    assert!(waits.len() >= 45);
    // A slice is 700 us.
    assert!(waits.iter().all(|wait| *wait <= 4 * 700_000), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait < 700_000), "{waits:?}");
}

fn busy_ns(world: &Simulation) -> Vec<u64> {
    world.cpu_times().unwrap().iter().map(|cpu| cpu.busy_ns).collect()
}

#[test]
fn tasks_fill_all_cpus_of_any_machine() {
    for machine in ["16c", "2l:4c:2t", "2s:2l:2c", "8s:8c", "3l:3c"] {
        for tasks in ["cpus", "2*cpus"] {
            let world = run(machine, &format!("cpu:tasks={tasks},run=1ms"), 2 * SECOND);
            let busy = busy_ns(&world);
            let idle = busy.iter().map(|busy| 2 * SECOND - 1 - busy).sum::<u64>();
            assert!(idle < SECOND / 20, "{machine} {tasks} {idle}");
        }
    }
}

/// CPUs that are idle find what others have too much of: all tasks begin on one CPU.
#[test]
fn what_comes_to_one_cpu_is_spread() {
    for machine in ["8c", "2l:4c", "2s:2l:2c:2t", "4s:8c"] {
        let cpus = machine.parse::<Spec>().unwrap().topology().possible().count();
        let everywhere: Vec<String> = (0..cpus).map(|cpu| cpu.to_string()).collect();
        let text = format!(
            r#"{{ "tasks" : {{ "many" : {{ "instance" : {}, "phases" : {{
                "here" : {{ "loop" : 1, "run" : 1000, "cpus" : [0] }},
                "anywhere" : {{ "loop" : -1, "run" : 1000, "cpus" : [{}] }}
            }} }} }} }}"#,
            2 * cpus,
            everywhere.join(",")
        );
        let (workload, _) = RtApp::parse(&text).unwrap().workload(cpus as u32).unwrap();
        let busy = busy_ns(&run_this(machine, &workload, 2 * SECOND));
        let (least, most) = (busy.iter().min().unwrap(), busy.iter().max().unwrap());
        assert!(*least > most / 3, "{machine} {busy:?}");
    }
}

/// More tasks than CPUs, none of which sleeps: all get about the same, four fifths of a CPU. If nobody
/// moved them, two would have half of one.
#[test]
fn who_shares_a_cpu_is_not_left_alone_with_it() {
    let text = ["a", "b", "c", "d", "e"].map(|name| format!("cpu:tasks=1,run=1ms,name={name}"));
    let world = run("4c", &text.join("+"), 20 * SECOND);
    let done = world.work_done();
    assert!(done.iter().map(|done| done.1).sum::<u64>() > 79_900, "{done:?}");
    assert!(done.iter().all(|done| done.1.abs_diff(16_000) < 800), "{done:?}");
}
