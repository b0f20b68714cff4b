// SPDX-License-Identifier: GPL-2.0-or-later
//! Cgroups share CPU time by weight under the model of the fair class, however many tasks they have,
//! on any number of CPUs.

use rota_object::KernelTypes;
use rota_sim::{Costs, Shape, Simulation};
use rota_topology::Spec;
use rota_workload::{Cgroup, Workload};
use std::collections::BTreeMap;

const SECOND: u64 = 1_000_000_000;

/// Shares of the CPU time of groups between 0.5 and 3.5 s, in thousandths. A piece of their work takes
/// so many ns.
fn shares(machine: &str, workload: &Workload, piece_ns: &[u64], seed: u64) -> Vec<u64> {
    let types = KernelTypes::builtin("7.3").unwrap();
    let topology = machine.parse::<Spec>().unwrap().topology();
    let shape = Shape { seed, costs: Costs::NONE, ..Shape::default() };
    let mut world = Simulation::fair(&types, &topology, &shape).unwrap();
    world.add(workload).unwrap();
    let mut done = Vec::new();
    for until in [SECOND / 2, 7 * SECOND / 2] {
        world.run_until(until).unwrap();
        done.push(world.work_done());
    }
    let pieces = done[1].iter().zip(&done[0]).map(|(b, a)| b.1 - a.1);
    let each: Vec<u64> = pieces.zip(piece_ns).map(|(pieces, ns)| pieces * ns).collect();
    let all: u64 = each.iter().sum();
    each.iter().map(|one| (one * 1000 + all / 2) / all).collect()
}

/// How long a piece of work of each of up to three groups is, which always want to run.
const HOGS: &[u64] = &[100_000; 3];

fn parse(machine: &str, text: &str) -> Workload {
    let cpus = machine.parse::<Spec>().unwrap().topology().possible().count() as u32;
    Workload::parse(text, cpus).unwrap()
}

/// Groups, which share the machine as said, give or take so many thousandths.
fn check(machine: &str, text: &str, expected: &[u64], near: u64) {
    for seed in 0..2 {
        let found = shares(machine, &parse(machine, text), HOGS, seed);
        assert_eq!(found.len(), expected.len(), "{machine} {text}");
        let fits = found.iter().zip(expected).all(|(one, other)| one.abs_diff(*other) <= near);
        assert!(fits, "{machine} {text} seed {seed}: {found:?}, not {expected:?}");
    }
}

#[test]
fn weights_decide_however_many_tasks_there_are() {
    let text = "cpu:name=a,weight=100,tasks=4*cpus,run=100us\
                +cpu:name=b,weight=300,tasks=2*cpus,run=100us";
    for (machine, near) in [("1c", 1), ("2c", 5), ("4c", 10), ("2s:2l:2c", 15), ("2s:2c:2t", 15)] {
        check(machine, text, &[250, 750], near);
    }
    // A task in no group weighs as much as a group of weight 100, on one CPU.
    let text = "cpu:name=a,weight=100,tasks=3,run=100us+cpu:name=b,tasks=1,run=100us";
    check("1c", text, &[500, 500], 1);
}

/// The first two groups of a workload are in one of weight 300.
fn nested(inner: Workload) -> Workload {
    let cgroups = vec![Cgroup { around: None, weight: 300 }];
    let mut all = Workload { cgroups, ..Workload::default() }.joined(inner);
    for place in [1, 2] {
        all.cgroups[place].around = Some(0);
    }
    all
}

#[test]
fn groups_in_groups_share_what_those_around_them_get() {
    let text = "cpu:name=a,weight=100,tasks=cpus,run=100us+cpu:name=b,weight=300,tasks=cpus,run=100us\
                +cpu:name=c,weight=100,tasks=2*cpus,run=100us";
    for (machine, near) in [("1c", 1), ("4c", 15), ("2s:2l:2c", 20)] {
        let inner = nested(parse(machine, text));
        let found = shares(machine, &inner, HOGS, 1);
        assert_eq!(found.len(), 3, "{machine}");
        let fits =
            found.iter().zip([188, 562, 250]).all(|(one, other)| one.abs_diff(other) <= near);
        assert!(fits, "{machine}: {found:?}");
    }
}

#[test]
fn a_group_of_few_tasks_counts_for_as_many_cpus() {
    // Two tasks can use two CPUs of eight, and are to have them.
    let text = "cpu:name=a,weight=300,tasks=2,run=100us+cpu:name=b,weight=100,tasks=16,run=100us";
    check("8c", text, &[250, 750], 20);
}

/// The scenarios of `tests/fair/shares/measure.pl`.
fn scenario(name: &str, machine: &str) -> (Workload, [u64; 3]) {
    let hogs = |name: &str, weight: u64, tasks: u64| {
        format!("cpu:name={name},weight={weight},tasks={tasks},run=100us")
    };
    let sleepers = "batch:name=two,weight=300,tasks=16,run=fixed/3ms,io=fixed/1ms".to_owned();
    let groups = match name {
        "two" => vec![hogs("one", 100, 16), hogs("two", 300, 16)],
        "few" => vec![hogs("one", 300, 2), hogs("two", 100, 16)],
        "nested" => vec![hogs("one", 100, 8), hogs("two", 300, 8), hogs("three", 100, 16)],
        "sleepers" => vec![hogs("one", 100, 12), sleepers],
        "beside" => vec!["cpu:name=none,tasks=16,run=100us".to_owned(), hogs("one", 100, 16)],
        "light" => vec!["cpu:name=none,tasks=8,run=100us".to_owned(), hogs("one", 25, 3)],
        other => panic!("{other}"),
    };
    let workload = parse(machine, &groups.join("+"));
    let workload = if name == "nested" { nested(workload) } else { workload };
    let second_ns = if name == "sleepers" { 3_000_000 } else { 100_000 };
    (workload, [100_000, second_ns, 100_000])
}

/// By how many thousandths the model may be outside of what was seen of a kernel. What few light tasks
/// get depends on who is moved beside whom, which `docs/eevdf.md` says more of.
fn slack(name: &str) -> u64 {
    if name == "light" { 40 } else { 10 }
}

#[test]
fn several_cpus_are_shared_as_a_kernel_does() {
    let text = include_str!("../../../tests/fair/shares/numbers.txt");
    let mut seen: BTreeMap<(&str, &str), Vec<Vec<u64>>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let shares = words[2..].iter().map(|word| word.parse().unwrap()).collect();
        seen.entry((words[0], words[1])).or_default().push(shares);
    }
    assert_eq!(seen.len(), 12);
    for ((name, machine), kernel) in seen {
        let (workload, piece_ns) = scenario(name, machine);
        for seed in 0..2 {
            let model = shares(machine, &workload, &piece_ns, seed);
            assert!(kernel.iter().all(|shares| shares.len() == model.len()), "{name} {machine}");
            for (at, model) in model.iter().enumerate() {
                let least = kernel.iter().map(|shares| shares[at]).min().unwrap();
                let most = kernel.iter().map(|shares| shares[at]).max().unwrap();
                let fits = (least.saturating_sub(slack(name))..=most + slack(name)).contains(model);
                assert!(fits, "{name} {machine} {seed}: {model}, not {least} to {most}");
            }
        }
    }
}
