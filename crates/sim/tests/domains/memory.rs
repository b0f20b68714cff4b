// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks whose memory policy names nodes, on a machine of two nodes with two caches each: CPUs 0 to 3
//! and 4 to 7.

use super::{Hogs, MS, Run, hogs};
use rota_object::World;
use rota_sim::MemoryPolicy;
use rota_topology::NodeId;
use rota_workload::Workload;

const MACHINE: &str = "2s:2l:2c";

fn bound_to(node: u32) -> MemoryPolicy {
    MemoryPolicy::BoundTo(vec![NodeId(node)])
}

/// Adds a workload, all of whose tasks get a policy.
fn add(run: &mut Run, workload: &Workload, policy: &MemoryPolicy) -> Vec<u32> {
    let before: Vec<u32> = run.reports().iter().map(|report| report.pid).collect();
    run.world.add(workload).unwrap();
    let all = run.reports().into_iter().map(|report| report.pid);
    let new: Vec<u32> = all.filter(|pid| !before.contains(pid)).collect();
    for pid in &new {
        assert!(run.world.set_memory_policy(*pid, Some(policy)));
    }
    new
}

/// How busy the CPUs of each node are while time goes by, in CPUs.
fn busy(run: &mut Run, ns: u64) -> [f64; 2] {
    let times = |run: &Run| -> [u64; 2] {
        let times = run.world.cpu_times().unwrap();
        let of = |cpus: std::ops::Range<u32>| {
            times.iter().filter(|t| cpus.contains(&t.cpu)).map(|t| t.busy_ns).sum()
        };
        [of(0..4), of(4..8)]
    };
    let before = times(run);
    run.go(ns);
    let after = times(run);
    [0, 1].map(|node| (after[node] - before[node]) as f64 / ns as f64)
}

#[track_caller]
fn near(found: [f64; 2], right: [f64; 2]) {
    for (found, right) in found.iter().zip(right) {
        assert!((found - right).abs() < 0.02, "{found:?} of {right:?}");
    }
}

#[test]
fn who_is_bound_to_memory_leaves_cpus_of_other_nodes_idle() {
    let mut run = Run::new(MACHINE, &[]);
    let tasks = add(&mut run, &hogs(&[Hogs::new(9, "0-7")]), &bound_to(1));
    // They started on all CPUs, and never slept: the end of a slice is when they are seen.
    run.go(200 * MS);
    near(busy(&mut run, 2_000 * MS), [0.0, 4.0]);
    let reports = run.reports();
    let ours = reports.iter().filter(|report| tasks.contains(&report.pid));
    assert!(ours.clone().all(|report| report.confined != 0 && report.domain >= 2), "{reports:?}");
    assert_eq!((ours.count(), run.number("staying")), (9, 9));
}

#[test]
fn with_stay_0_they_run_wherever_a_cpu_is_idle() {
    let mut run = Run::new(MACHINE, &[("stay", "0")]);
    add(&mut run, &hogs(&[Hogs::new(9, "0-7")]), &bound_to(1));
    run.go(200 * MS);
    near(busy(&mut run, 1_000 * MS), [4.0, 4.0]);
    assert_eq!(run.number("staying"), 0);
}

#[test]
fn who_prefers_a_node_runs_elsewhere_if_it_must_wait_there() {
    let preferring = |stay| {
        let mut run = Run::new(MACHINE, &[("stay", stay)]);
        let policy = MemoryPolicy::Prefers(vec![NodeId(1)]);
        add(&mut run, &hogs(&[Hogs::new(9, "0-7")]), &policy);
        run.go(200 * MS);
        busy(&mut run, 1_000 * MS)
    };
    near(preferring("1"), [4.0, 4.0]);
    near(preferring("2"), [0.0, 4.0]);
}

#[test]
fn who_sleeps_now_and_then_stays_too() {
    let mut run = Run::new(MACHINE, &[]);
    let sleepy = Workload::parse("periodic:tasks=16,period=7ms,run=2ms", 1).unwrap();
    add(&mut run, &sleepy, &bound_to(0));
    run.go(200 * MS);
    let [here, there] = busy(&mut run, 2_000 * MS);
    assert!(here > 3.0 && there < 0.001, "{here} {there}");
}

#[test]
fn who_is_free_is_taken_from_among_those_who_stay() {
    let mut run = Run::new(MACHINE, &[]);
    // All start on the second node, where they wait for each other.
    add(&mut run, &hogs(&[Hogs::new(8, "4-7").then("0-7")]), &bound_to(1));
    run.world.add(&hogs(&[Hogs::new(8, "4-7").then("0-7")])).unwrap();
    near(busy(&mut run, 4_000 * MS), [4.0, 4.0]);
    run.go(2_000 * MS);
    let done = run.done_in(2_000 * MS);
    // Eight share what the others leave of a node; the others have one to themselves.
    assert!(done[1] > 7_900 && done[0] + done[1] > 15_900, "{done:?}");
}

#[test]
fn what_a_task_may_use_counts_more_than_its_memory() {
    let mut run = Run::new(MACHINE, &[]);
    add(&mut run, &hogs(&[Hogs::new(6, "0-3")]), &bound_to(1));
    run.go(200 * MS);
    near(busy(&mut run, 1_000 * MS), [4.0, 0.0]);
    assert_eq!(run.number("staying"), 0);
}

#[test]
fn a_policy_that_changes_is_followed() {
    let mut run = Run::new(MACHINE, &[]);
    let tasks = add(&mut run, &hogs(&[Hogs::new(4, "0-7")]), &bound_to(1));
    for node in [1, 0, 1, 0] {
        for pid in &tasks {
            assert!(run.world.set_memory_policy(*pid, Some(&bound_to(node))));
        }
        run.go(200 * MS);
        let there = if node == 0 { [4.0, 0.0] } else { [0.0, 4.0] };
        near(busy(&mut run, 500 * MS), there);
    }
    for pid in &tasks {
        assert!(run.world.set_memory_policy(*pid, None));
    }
    run.go(4_000 * MS);
    assert_eq!(run.number("staying"), 0);
    // Without a policy, who is alone on its CPU goes where there is more room.
    let [here, there] = busy(&mut run, 1_000 * MS);
    assert!(here > 0.9 && there > 0.9, "{here} {there}");
}

#[test]
fn children_stay_with_their_parents_memory() {
    let mut run = Run::new(MACHINE, &[]);
    let file = r#"{ "tasks" : {
        "parent" : { "sleep" : 10000, "fork" : "child", "loop" : 6 },
        "child" : { "instance" : 0, "run" : 100000000 }
    } }"#;
    let (forks, _) = rota_workload::rtapp::RtApp::parse(file).unwrap().workload(1).unwrap();
    add(&mut run, &forks, &bound_to(1));
    run.go(500 * MS);
    near(busy(&mut run, 1_000 * MS), [0.0, 4.0]);
    assert!(run.number("staying") >= 6);
    run.world.add(&hogs(&[Hogs::new(4, "0-7")])).unwrap();
    run.go(500 * MS);
    near(busy(&mut run, 1_000 * MS), [4.0, 4.0]);
}
