// SPDX-License-Identifier: GPL-2.0-or-later
//! What balancing comes to on servers with many domains.

use crate::in_charge::{MS, Run};
use rota_balance::{Plan, Policy, plan};
use rota_workload::Workload;

/// How often plans are made, and how long a new task stays where it is at least
/// (`Policy::rest_ns`).
const ROUND_NS: u64 = 1_000 * MS;

/// A machine with so many CPUs, and a workload.
fn server(machine: &str, cpus: u32, settings: &[(&str, &str)], workload: &str) -> Run {
    let mut run = Run::new(machine, settings);
    run.world.add(&Workload::parse(workload, cpus).unwrap()).unwrap();
    run
}

/// What would be planned now.
fn planned(run: &Run) -> Plan {
    let told = run.session.snapshot(run.world.now_ns(), &run.world).unwrap();
    let (snapshot, policy) = told.unwrap();
    plan(&snapshot, &policy).unwrap()
}

/// By how much the domain that is off most is above or below its target, and by how much it may be:
/// the larger of 5 % and one task. Both in CPUs.
fn worst(plan: &Plan) -> (f64, f64) {
    let task = plan.task_loads.iter().copied().fold(0.0, f64::max);
    let pairs = plan.before.iter().zip(&plan.targets);
    let off = pairs.map(|(load, target)| ((load - target).abs(), task.max(0.05 * target)));
    off.max_by(|a, b| (a.0 - a.1).total_cmp(&(b.0 - b.1))).unwrap()
}

/// All of 512 tasks belong to one of the 16 domains of `server256` at first. So 480 have to leave,
/// and a plan has 256 moves at most: that is two plans, after the one for which everybody is new.
fn skewed(settings: &[(&str, &str)], off_at_first: f64) {
    let mut run = server("2s:8l:8c:2t", 256, settings, "skewed:tasks=512,on=16");
    let plans = 1 + 480_u64.div_ceil(Policy::default().moves_max as u64);
    run.go(ROUND_NS / 2);
    let (off, _) = worst(&planned(&run));
    assert!(off > off_at_first, "{off}");
    run.go(plans * ROUND_NS);
    let (off, may) = worst(&planned(&run));
    assert!(off <= may, "{off} of {may}");
}

#[test]
fn a_skewed_start_is_over_as_soon_as_the_limit_of_moves_allows() {
    skewed(&[], 1.0);
    // Here nobody goes anywhere but by order.
    skewed(&[("spill_margin", "1000000")], 200.0);
}

/// Who is told to move in a second, once all are where they should be: nobody if loads stay as they
/// are; one of a hundred at most in a web server, whose loads do not; and one of twenty where a
/// web server, computations and timers want more than there is.
#[test]
fn few_are_moved_once_they_are_where_they_should_be() {
    for (workload, tasks, may) in [
        ("batch:tasks=2*cpus", 128, 0),
        ("skewed:tasks=2*cpus,on=8", 128, 0),
        ("web:load=70", 256, 2),
        ("mixed", 352, 17),
    ] {
        let mut run = server("2s:4l:4c:2t", 64, &[], workload);
        run.go(3 * ROUND_NS + ROUND_NS / 2);
        assert_eq!(run.reports().len(), tasks, "{workload}");
        let before = run.statistic("planned");
        run.go(5 * ROUND_NS);
        let a_second = (run.statistic("planned") - before).div_ceil(5);
        assert!(a_second <= may, "{workload}: {a_second} orders a second");
    }
}
