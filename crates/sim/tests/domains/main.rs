// SPDX-License-Identifier: GPL-2.0-or-later
//! The scheduler `domains` with its user half, as they are, on simulated machines.

mod in_charge;
mod memory;
#[path = "../../../vmtest/tests/vm/restored.rs"]
mod restored;
mod servers;

use in_charge::{MS, Run};
use restored::{explained, planned, tasks_alone};
use rota_events::{Event, What};
use rota_object::{Engine, Setup};
use rota_programs::domains::{DomainsCpu, DomainsReport};
use rota_topology::CpuMask;
use rota_workload::{Cgroup, Group, Program, Span, Step, Template, TemplateId, Workload};
use std::sync::Arc;
use zerocopy::FromBytes;

/// A group of tasks that always run, on some CPUs after the first millisecond.
struct Hogs {
    count: usize,
    nice: i32,
    first: CpuMask,
    then: CpuMask,
    cgroup: Option<u32>,
}

impl Hogs {
    /// Of nice 0, on these CPUs, in no cgroup.
    fn new(count: usize, list: &str) -> Self {
        Self { count, nice: 0, first: cpus(list), then: cpus(list), cgroup: None }
    }

    /// That may use others after a while.
    fn then(self, list: &str) -> Self {
        Self { then: cpus(list), ..self }
    }
}

fn cpus(list: &str) -> CpuMask {
    CpuMask::from_list(list).unwrap()
}

fn hogs(groups: &[Hogs]) -> Workload {
    let mut workload = Workload::default();
    for (number, hogs) in (0..).zip(groups) {
        let name = format!("hogs{number}");
        workload.groups.push(Group { name: name.clone(), deadline_ns: None });
        let program = Program::default()
            .then(Step::Run(Span::Fixed(MS)))
            .then_cpus(&hogs.then)
            .repeated(None, [Step::Run(Span::Fixed(MS)), Step::Done]);
        workload.templates.push(Template {
            name,
            group: number,
            nice: hogs.nice,
            partners: 0,
            cpus: Some(hogs.first.clone()),
            program: Arc::new(program),
            cgroup: hogs.cgroup,
            realtime: false,
        });
        workload.starts.extend(std::iter::repeat_n(TemplateId(number), hogs.count));
    }
    workload
}

/// How many tasks are in each domain.
fn places(reports: &[DomainsReport], domains: usize) -> Vec<usize> {
    let mut places = vec![0; domains];
    reports.iter().for_each(|report| places[report.domain as usize] += 1);
    places
}

#[test]
fn a_skewed_start_evens_out() {
    let mut run = Run::new("2s:2l:4c", &[]);
    run.world.add(&hogs(&[Hogs::new(34, "0-3").then("0-15")])).unwrap();
    run.go(4_000 * MS);
    let places = places(&run.reports(), 4);
    assert!(places.iter().all(|count| (8..=9).contains(count)), "{places:?}");
}

#[test]
fn the_balancer_alone_evens_out_a_skewed_start() {
    // Nobody is sent elsewhere where many wait.
    let mut run = Run::new("2s:2l:4c", &[("spill_margin", "1000000")]);
    run.world.add(&hogs(&[Hogs::new(34, "0-3").then("0-15")])).unwrap();
    run.go(100 * MS);
    let before = places(&run.reports(), 4);
    run.go(4_000 * MS);
    let after = places(&run.reports(), 4);
    assert!(before[0] > 20, "{before:?}");
    assert!(after.iter().all(|count| (8..=9).contains(count)), "{after:?}");
}

#[test]
fn weights_count_across_domains() {
    let mut run = Run::new("2l:2c", &[]);
    let group = |nice| Hogs { nice, ..Hogs::new(9, "0-3") };
    run.world.add(&hogs(&[group(0), group(-5)])).unwrap();
    run.go(2_000 * MS);
    let done = run.done_in(20_000 * MS);
    // 3121 to 1024 (kernel: sched_prio_to_weight).
    let ratio = done[1] as f64 / done[0] as f64 / (3121.0 / 1024.0);
    assert!((0.9..1.1).contains(&ratio), "{done:?}: {ratio}");
}

/// Tasks that sleep for so long at first, and always run then.
fn late(count: usize, list: &str, sleep_ns: u64) -> Workload {
    let mut workload = hogs(&[Hogs::new(count, list)]);
    let sleeps = Program::default().then(Step::Sleep(Span::Fixed(sleep_ns)));
    let always = sleeps.repeated(None, [Step::Run(Span::Fixed(MS)), Step::Done]);
    workload.templates[0].program = Arc::new(always);
    workload
}

#[test]
fn who_slept_for_long_is_not_paid_for_it_though_a_cpu_was_idle() {
    let mut run = Run::new("2c", &[]);
    // Two share a CPU, so that virtual time goes on; the other CPU is idle.
    run.world.add(&hogs(&[Hogs::new(2, "0")])).unwrap();
    run.world.add(&late(1, "0-1", 3_000 * MS)).unwrap();
    run.world.add(&late(3, "1", 3_050 * MS)).unwrap();
    run.go(3_100 * MS);
    let done = run.done_in(800 * MS);
    // It shares both CPUs with five others.
    assert!((200..=400).contains(&done[1]), "{done:?}");
}

#[test]
fn the_deadline_of_who_runs_on_alone_is_as_it_is_now() {
    let mut run = Run::new("2c", &[]);
    // One has a CPU to itself, and gets ahead of two that share the other one.
    run.world.add(&hogs(&[Hogs::new(1, "0"), Hogs::new(2, "1")])).unwrap();
    // It wakes up between two ticks.
    run.world.add(&late(1, "0-1", 1_001 * MS)).unwrap();
    run.go(1_000 * MS);
    run.world.start_recording();
    run.go(20 * MS);
    let events = run.world.take_events();
    let woken = events.iter().find(|event| matches!(event.what(), What::Wakeup { .. })).unwrap();
    let runs =
        |event: &&Event| event.task == woken.task && matches!(event.what(), What::Switch { .. });
    let waited_ns = events.iter().find(runs).unwrap().time_ns - woken.time_ns;
    assert!(waited_ns < MS, "{waited_ns}");
}

/// Parts of all, in percent.
fn percent(numbers: &[u64]) -> Vec<f64> {
    let sum: u64 = numbers.iter().sum();
    numbers.iter().map(|number| 100.0 * *number as f64 / sum as f64).collect()
}

#[test]
fn an_infeasible_weight_gets_its_cpu_and_all_others_share_by_weight() {
    let mut run = Run::new("2s:4c", &[]);
    // One of 88761, of which it can use a CPU; 12 of 1024 and 6 of 335 share the others.
    let group = |nice, count| Hogs { nice, ..Hogs::new(count, "0-7") };
    run.world.add(&hogs(&[group(-20, 1), group(0, 12), group(5, 6)])).unwrap();
    run.go(6_000 * MS);
    let parts = percent(&run.done_in(10_000 * MS));
    let others = 87.5 / (12.0 * 1024.0 + 6.0 * 335.0);
    let right = [12.5, 12.0 * 1024.0 * others, 6.0 * 335.0 * others];
    for (part, right) in parts.iter().zip(right) {
        assert!((part / right - 1.0).abs() < 0.1, "{parts:?} of {right:?}");
    }
}

#[test]
fn weights_of_cgroups_within_cgroups_count() {
    let mut run = Run::new("2l:2c", &[]);
    let group = |count, cgroup| Hogs { cgroup: Some(cgroup), ..Hogs::new(count, "0-3") };
    let mut workload = hogs(&[group(8, 1), group(4, 2), group(12, 3)]);
    // The first has 3 parts of 4, of which the second and the third have 1 and 2 of 3.
    workload.cgroups = vec![
        Cgroup { around: None, weight: 300 },
        Cgroup { around: Some(0), weight: 50 },
        Cgroup { around: Some(0), weight: 100 },
        Cgroup { around: None, weight: 100 },
    ];
    run.world.add(&workload).unwrap();
    run.go(3_000 * MS);
    let parts = percent(&run.done_in(20_000 * MS));
    for (part, right) in parts.iter().zip([25.0, 50.0, 25.0]) {
        assert!((part / right - 1.0).abs() < 0.1, "{parts:?}");
    }
}

#[test]
fn what_a_cgroup_leaves_goes_to_others() {
    let mut run = Run::new("1l:4c", &[]);
    let group = |count, cgroup| Hogs { cgroup: Some(cgroup), ..Hogs::new(count, "0-3") };
    // By its weight, the first would have 3.96 CPUs; it can use one.
    let mut workload = hogs(&[group(1, 0), group(6, 1)]);
    workload.cgroups =
        vec![Cgroup { around: None, weight: 9900 }, Cgroup { around: None, weight: 100 }];
    run.world.add(&workload).unwrap();
    run.go(2_000 * MS);
    let parts = percent(&run.done_in(10_000 * MS));
    assert!((parts[0] - 25.0).abs() < 1.0, "{parts:?}");
}

#[test]
fn who_is_alone_on_a_cpu_goes_where_there_is_more_room() {
    let mut run = Run::new("2l:4c", &[]);
    run.world.add(&hogs(&[Hogs::new(4, "0-3").then("0-7")])).unwrap();
    run.go(4_000 * MS);
    assert_eq!(places(&run.reports(), 2), [2, 2]);
}

#[test]
fn lists_of_cpus_are_domains() {
    let run = Run::new("1l:8c", &[("domains", "0,2,4-7/1,3")]);
    assert_eq!(run.number("domain_count"), 2);
    let domain = |cpu: u32| {
        let bytes = run.world.map_lookup("cpus", &cpu.to_le_bytes()).unwrap().unwrap();
        DomainsCpu::read_from_bytes(&bytes).unwrap().domain
    };
    let domains: Vec<u32> = (0..8).map(domain).collect();
    assert_eq!(domains, [0, 1, 0, 1, 0, 0, 0, 0]);
}

#[test]
fn wrong_lists_of_cpus_are_refused() {
    for (text, words) in [
        ("0-3/5-7", "CPU 4 is in no domain"),
        ("0-4/4-7", "CPU 4 is in two domains"),
        ("0-8", "this machine has no CPU 8"),
        ("0-7/", "a domain has no CPU"),
        ("0-x", "'0-x':"),
    ] {
        let error = Run::start("1l:8c", &[("domains", text)]).err().unwrap().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn who_may_go_makes_room_for_who_may_not() {
    let mut run = Run::new("2l:4c", &[]);
    run.world.add(&hogs(&[Hogs::new(6, "0-3"), Hogs::new(6, "0-3").then("0-7")])).unwrap();
    run.go(5_000 * MS);
    let reports = run.reports();
    assert_eq!(places(&reports, 2), [6, 6]);
    for report in reports.iter().filter(|report| report.confined != 0) {
        assert_eq!(report.domain, 0, "{report:?}");
    }
}

#[test]
fn a_slot_is_used_again_and_duty_is_told() {
    let mut run = Run::new("1c", &[]);
    let sleepy = Workload::parse("periodic:tasks=1,period=10ms,run=3ms", 1).unwrap();
    run.world.add(&sleepy).unwrap();
    run.go(6_000 * MS);
    let reports = run.reports();
    let task = reports.iter().find(|report| report.duty.parts > 0).unwrap();
    let duty = f64::from(task.duty.parts) / 65_536.0;
    assert!((0.28..0.32).contains(&duty), "{task:?}");
    run.world.add(&Workload::parse("forkstorm", 1).unwrap()).unwrap();
    run.go(3_000 * MS);
    let (used, seen) = (run.number("slots_used"), run.number("tasks_seen"));
    assert!(seen > 2 * used, "{seen} tasks in {used} slots");
}

#[test]
fn tasks_and_cgroups_for_which_there_is_no_place_are_counted_and_run_on() {
    for (tasks_max, groups_max) in [("5", "2"), ("1", "1"), ("0", "0")] {
        let mut run = Run::new("2l:2c", &[("tasks_max", tasks_max), ("groups_max", groups_max)]);
        let one = |number| Hogs { cgroup: Some(number), ..Hogs::new(1, "0-1").then("0-3") };
        let groups: Vec<Hogs> = (0..12).map(|number| one(number % 4)).collect();
        let mut workload = hogs(&groups);
        workload.cgroups = vec![Cgroup { around: None, weight: 100 }; 4];
        run.world.add(&workload).unwrap();
        run.go(2_000 * MS);
        let done = run.done_in(4_000 * MS);
        let all: u64 = done.iter().sum();
        assert!(all > 15_900 && done.iter().all(|done| *done > 300), "{tasks_max}: {done:?}");
        let (told, places) = (run.reports().len(), tasks_max.parse().unwrap());
        assert_eq!((told, run.number("slots_used")), (places, places as u64));
        // All but the first of them, and the outermost cgroup beside these four.
        let (left_out, unweighted) = (run.statistic("left_out"), run.statistic("unweighted"));
        let groups: u64 = groups_max.parse().unwrap();
        assert!(left_out >= 12 - places as u64, "{left_out}");
        assert_eq!((unweighted, run.number("groups_used")), (5 - groups, groups));
    }
}

/// What the user half plans from is all that it plans from: told anew to another one, the same comes
/// of it, and its orders are the moves of the plan.
#[test]
fn a_snapshot_is_all_that_is_planned_from() {
    let mut run = Run::new("2s:2l:4c", &[("spill_margin", "1000000")]);
    let (first, all) = (cpus("0-3"), cpus("0-15"));
    let free = Hogs { count: 20, nice: 0, first: first.clone(), then: all, cgroup: None };
    let heavy = Hogs { count: 5, nice: -7, first: first.clone(), then: cpus("0-11"), cgroup: None };
    run.world.add(&hogs(&[free, heavy])).unwrap();
    run.world.add(&Workload::parse("periodic:tasks=9,period=7ms,run=3ms", 1).unwrap()).unwrap();
    let mut moves = 0;
    for _ in 0..30 {
        run.go(130 * MS);
        let (snapshot, policy) =
            run.session.snapshot(run.world.now_ns(), &run.world).unwrap().unwrap();
        let snapshot = tasks_alone(snapshot);
        let plan = rota_balance::plan(&snapshot, &policy).unwrap();
        let told = planned(&snapshot, run.world.topology());
        assert_eq!(told.report, explained(&snapshot, &policy));
        let wanted = plan.moves.iter().map(|one| (one.id, one.to)).collect();
        assert_eq!(told.orders, wanted);
        moves += plan.moves.len();
    }
    assert!(moves > 10, "{moves}");
}
