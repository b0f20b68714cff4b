// SPDX-License-Identifier: GPL-2.0-or-later
//! The scheduler `domains` with its user half, as they are, on simulated machines.

use rota_object::{Engine, KernelTypes, Object, Setup};
use rota_programs::domains::{DomainsReport, OBJECT};
use rota_sched::{Session, Wake, find};
use rota_sim::{Shape, Simulation};
use rota_topology::{CpuMask, Spec};
use rota_workload::{Group, Program, Span, Step, Template, TemplateId, Workload};
use std::sync::Arc;
use zerocopy::FromBytes;

const MS: u64 = 1_000_000;

/// A machine with the scheduler in charge.
struct Run {
    world: Simulation,
    session: Session,
}

impl Run {
    fn new(machine: &str, settings: &[(&str, &str)]) -> Self {
        let object = Object::parse(OBJECT).unwrap();
        let types = KernelTypes::builtin("7.3").unwrap();
        let topology = machine.parse::<Spec>().unwrap().topology();
        let mut world = Simulation::new(&object, &types, &topology, &Shape::default()).unwrap();
        let settings: Vec<_> = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let half = (find("domains").unwrap().new)(&object, &settings).unwrap();
        let session = Session::start(half, world.now_ns(), &mut world).unwrap();
        Self { world, session }
    }

    /// Lets so much time go by.
    fn go(&mut self, ns: u64) {
        let end = self.world.now_ns() + ns;
        while self.world.now_ns() < end {
            let Wake::At(wake) = self.session.wake() else { panic!("it balances again and again") };
            self.world.run_until(wake.min(end)).unwrap();
            self.session.step(self.world.now_ns(), &mut self.world).unwrap();
        }
        assert_eq!(self.world.exit_info().unwrap(), None);
    }

    /// A variable of BPF's.
    fn number(&self, name: &str) -> u64 {
        let bytes = self.world.read_global(name).unwrap();
        bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// What BPF tells of tasks.
    fn reports(&self) -> Vec<DomainsReport> {
        let report = |slot: u32| {
            let bytes = self.world.map_lookup("reports", &slot.to_le_bytes()).unwrap().unwrap();
            DomainsReport::read_from_bytes(&bytes).unwrap()
        };
        (0..self.number("slots_used") as u32)
            .map(report)
            .filter(|report| report.task != 0)
            .collect()
    }
}

/// A group of tasks that always run, on some CPUs after the first millisecond.
struct Hogs {
    count: usize,
    nice: i32,
    first: CpuMask,
    then: CpuMask,
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
            cpus: Some(hogs.first.clone()),
            program: Arc::new(program),
            cgroup: None,
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
    let (first, then) = (cpus("0-3"), cpus("0-15"));
    run.world.add(&hogs(&[Hogs { count: 34, nice: 0, first, then }])).unwrap();
    run.go(4_000 * MS);
    let places = places(&run.reports(), 4);
    assert!(places.iter().all(|count| (8..=9).contains(count)), "{places:?}");
}

#[test]
fn the_balancer_alone_evens_out_a_skewed_start() {
    // Nobody is sent elsewhere where many wait.
    let mut run = Run::new("2s:2l:4c", &[("spill_margin", "1000000")]);
    let (first, then) = (cpus("0-3"), cpus("0-15"));
    run.world.add(&hogs(&[Hogs { count: 34, nice: 0, first, then }])).unwrap();
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
    let all = || cpus("0-3");
    let group = |nice| Hogs { count: 9, nice, first: all(), then: all() };
    run.world.add(&hogs(&[group(0), group(-5)])).unwrap();
    run.go(2_000 * MS);
    let before = run.world.work_done();
    run.go(20_000 * MS);
    let after = run.world.work_done();
    let done: Vec<u64> =
        after.iter().zip(&before).map(|(after, before)| after.1 - before.1).collect();
    // 3121 to 1024 (kernel: sched_prio_to_weight).
    let ratio = done[1] as f64 / done[0] as f64 / (3121.0 / 1024.0);
    assert!((0.9..1.1).contains(&ratio), "{done:?}: {ratio}");
}

#[test]
fn who_may_go_makes_room_for_who_may_not() {
    let mut run = Run::new("2l:4c", &[]);
    let confined = Hogs { count: 6, nice: 0, first: cpus("0-3"), then: cpus("0-3") };
    let free = Hogs { count: 6, nice: 0, first: cpus("0-3"), then: cpus("0-7") };
    run.world.add(&hogs(&[confined, free])).unwrap();
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
