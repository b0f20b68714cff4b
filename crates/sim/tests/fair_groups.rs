// SPDX-License-Identifier: GPL-2.0-or-later
//! Cgroups share CPU time by weight under the model of the fair class, however many tasks they have,
//! on any number of CPUs.

use rota_object::KernelTypes;
use rota_sim::{Costs, Shape, Simulation};
use rota_topology::Spec;
use rota_workload::{Cgroup, Workload};

const SECOND: u64 = 1_000_000_000;

/// Shares of the CPU time of groups between 0.3 and 3.3 s, in percent.
fn shares(machine: &str, workload: &Workload, seed: u64) -> Vec<u64> {
    let types = KernelTypes::builtin("7.3").unwrap();
    let topology = machine.parse::<Spec>().unwrap().topology();
    let shape = Shape { seed, costs: Costs::NONE, ..Shape::default() };
    let mut world = Simulation::fair(&types, &topology, &shape).unwrap();
    world.add(workload).unwrap();
    let mut done = Vec::new();
    for until in [3 * SECOND / 10, 33 * SECOND / 10] {
        world.run_until(until).unwrap();
        done.push(world.work_done());
    }
    let each: Vec<u64> = done[1].iter().zip(&done[0]).map(|(b, a)| b.1 - a.1).collect();
    let all: u64 = each.iter().sum();
    each.iter().map(|one| (one * 100 + all / 2) / all).collect()
}

fn parse(machine: &str, text: &str) -> Workload {
    let cpus = machine.parse::<Spec>().unwrap().topology().possible().count() as u32;
    Workload::parse(text, cpus).unwrap()
}

/// Two groups, which share the machine as said, give or take a percentage.
fn check(machine: &str, text: &str, expected: &[u64], near: u64) {
    for seed in 0..2 {
        let found = shares(machine, &parse(machine, text), seed);
        let fits = found.iter().zip(expected).all(|(one, other)| one.abs_diff(*other) <= near);
        assert!(fits, "{machine} {text} seed {seed}: {found:?}, not {expected:?}");
    }
}

#[test]
fn weights_decide_however_many_tasks_there_are() {
    let text = "cpu:name=a,weight=100,tasks=4*cpus,run=100us\
                +cpu:name=b,weight=300,tasks=2*cpus,run=100us";
    for (machine, near) in [("1c", 0), ("2c", 1), ("4c", 1), ("2s:2l:2c", 2), ("2s:2c:2t", 2)] {
        check(machine, text, &[25, 75], near);
    }
    // A task in no group weighs as much as a group of weight 100, on one CPU.
    let text = "cpu:name=a,weight=100,tasks=3,run=100us+cpu:name=b,tasks=1,run=100us";
    check("1c", text, &[50, 50], 0);
}

#[test]
fn groups_in_groups_share_what_those_around_them_get() {
    let text = "cpu:name=a,weight=100,tasks=cpus,run=100us+cpu:name=b,weight=300,tasks=cpus,run=100us\
                +cpu:name=c,weight=100,tasks=2*cpus,run=100us";
    for (machine, near) in [("1c", 0), ("4c", 2), ("2s:2l:2c", 3)] {
        // a and b are in one of weight 300.
        let outer =
            Workload { cgroups: vec![Cgroup { around: None, weight: 300 }], ..Workload::default() };
        let mut inner = outer.joined(parse(machine, text));
        for place in [1, 2] {
            inner.cgroups[place].around = Some(0);
        }
        let found = shares(machine, &inner, 1);
        let fits = found.iter().zip([19, 56, 25]).all(|(one, other)| one.abs_diff(other) <= near);
        assert!(fits, "{machine}: {found:?}");
    }
}

#[test]
fn a_group_of_few_tasks_counts_for_as_many_cpus() {
    // Two tasks can use two CPUs of eight, and are to have them.
    let text = "cpu:name=a,weight=300,tasks=2,run=100us+cpu:name=b,weight=100,tasks=16,run=100us";
    check("8c", text, &[25, 75], 4);
}
