// SPDX-License-Identifier: GPL-2.0-or-later
//! Sums over the groups of all domains, which are kept as CPUs change: to balance a domain of 4,096
//! CPUs then costs what its groups cost.
//!
//! Averages change by time as well, but what is read of them only when a period of theirs is over,
//! about once a millisecond ([`Averages::due_ns`]). So who reads a group's sums has the averages of
//! those CPUs brought up to date for which that is so. Of the others is noted that they were read:
//! it makes a difference when a period is over, as numbers are rounded then.
//!
//! Whoever changes something else that is summed up touches the CPU ([`Kept::touch`]): what it comes
//! to is found out when sums are next read. Before anything of the fair class changes, averages are
//! brought up to date, which touches the CPU too.
//!
//! [`Averages::due_ns`]: super::averages::Averages::due_ns

use super::domains::Domains;
use super::stats::Sums;
use crate::machine::Machine;
use std::rc::Rc;

/// Sums over groups of CPUs.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    cpus: Vec<One>,
    /// The groups that each CPU is in.
    groups_of: Vec<Vec<usize>>,
    groups: Vec<Many>,
    /// The first group of each domain.
    first: Vec<usize>,
    /// The CPUs of which something may have changed since sums were last read.
    touched: Vec<u32>,
    /// Whether nothing is to be kept: whatever is read is brought up to date.
    #[cfg(test)]
    slow: bool,
}

/// What is known of a CPU.
#[derive(Debug, Clone, Copy, Default)]
struct One {
    sums: Sums,
    /// When a period of its averages is over, and when they were last read, in ns.
    due_ns: u64,
    read_ns: u64,
    touched: bool,
}

/// What is known of a group.
#[derive(Debug, Clone, Copy, Default)]
struct Many {
    sums: Sums,
    /// No period of one of its CPUs is over before this time, in ns.
    due_ns: u64,
    /// When the averages of all its CPUs were last read, in ns.
    read_ns: u64,
}

impl Kept {
    /// Of the groups of domains.
    pub(super) fn new(domains: &Domains) -> Self {
        let cpus = domains.of.len();
        let mut kept = Self {
            cpus: vec![One { touched: true, ..One::default() }; cpus],
            groups_of: vec![Vec::new(); cpus],
            touched: (0..cpus as u32).collect(),
            ..Self::default()
        };
        for domain in &domains.all {
            kept.first.push(kept.groups.len());
            for group in &domain.groups {
                let number = kept.groups.len();
                group.cpus.iter().for_each(|cpu| kept.groups_of[*cpu as usize].push(number));
                kept.groups.push(Many::default());
            }
        }
        kept
    }

    /// What sums have of a CPU is about to change.
    pub(super) fn touch(&mut self, cpu: u32) {
        if let Some(one) = self.cpus.get_mut(cpu as usize)
            && !std::mem::replace(&mut one.touched, true)
        {
            self.touched.push(cpu);
        }
    }

    /// One of the CPUs that were touched.
    fn pop_touched(&mut self) -> Option<u32> {
        let cpu = self.touched.pop()?;
        self.cpus[cpu as usize].touched = false;
        Some(cpu)
    }

    /// A CPU has this from now on, and a period of its averages is over at this time.
    fn put(&mut self, cpu: u32, sums: Sums, due_ns: u64) {
        let Some(one) = self.cpus.get_mut(cpu as usize) else { return };
        one.due_ns = due_ns;
        let before = std::mem::replace(&mut one.sums, sums);
        if before != sums {
            for group in &self.groups_of[cpu as usize] {
                self.groups[*group].sums.replace(&before, &sums);
            }
        }
    }

    /// When the averages of a CPU were last read, in ns.
    pub(super) fn read_ns(&self, cpu: u32) -> u64 {
        let Some(one) = self.cpus.get(cpu as usize) else { return 0 };
        let groups = self.groups_of[cpu as usize].iter().map(|group| self.groups[*group].read_ns);
        groups.fold(one.read_ns, u64::max)
    }

    /// The averages of a CPU are read; whether they are what they will be until a period is over, so
    /// that they need not be brought up to date.
    pub(super) fn read(&mut self, cpu: u32, due_ns: u64, now_ns: u64) -> bool {
        #[cfg(test)]
        if self.slow {
            return false;
        }
        let Some(one) = self.cpus.get_mut(cpu as usize).filter(|_| now_ns < due_ns) else {
            return false;
        };
        one.read_ns = now_ns;
        true
    }
}

impl Machine {
    /// The sums of a group of a domain, up to date.
    pub(super) fn kept_sums(&mut self, domain: usize, group: usize) -> Sums {
        #[cfg(test)]
        if self.sched.fair.kept.slow {
            let domains = Rc::clone(&self.sched.fair.domains);
            return Sums::of(self, domains.all[domain].groups[group].cpus.iter());
        }
        self.keep_touched();
        let now_ns = self.now_ns;
        let at = self.sched.fair.kept.first[domain] + group;
        if self.sched.fair.kept.groups[at].due_ns <= now_ns {
            let domains = Rc::clone(&self.sched.fair.domains);
            let cpus = &domains.all[domain].groups[group].cpus;
            for cpu in cpus.iter() {
                if self.sched.fair.kept.cpus[*cpu as usize].due_ns <= now_ns {
                    self.age_cpu(*cpu);
                }
            }
            self.keep_touched();
            let kept = &mut self.sched.fair.kept;
            let due = cpus.iter().map(|cpu| kept.cpus[*cpu as usize].due_ns).min();
            kept.groups[at].due_ns = due.unwrap_or(u64::MAX);
        }
        let known = &mut self.sched.fair.kept.groups[at];
        known.read_ns = now_ns;
        let sums = known.sums;
        debug_assert_eq!(sums, self.added_up(domain, group), "a CPU was not touched");
        sums
    }

    /// Those of a CPU by itself.
    pub(super) fn kept_sums_on(&mut self, cpu: u32) -> Sums {
        #[cfg(test)]
        if self.sched.fair.kept.slow {
            return Sums::of(self, [&cpu]);
        }
        self.read_cpu(cpu);
        self.keep_touched();
        self.sched.fair.kept.cpus[cpu as usize].sums
    }

    /// Sums follow what has changed.
    fn keep_touched(&mut self) {
        while let Some(cpu) = self.sched.fair.kept.pop_touched() {
            let due_ns = self.sched.rqs[cpu as usize].fair_load.top.averages.due_ns();
            let sums = self.sums_so_far(cpu);
            self.sched.fair.kept.put(cpu, sums, due_ns);
        }
    }

    /// What is known of a CPU, whether its averages are up to date or not.
    fn sums_so_far(&self, cpu: u32) -> Sums {
        let rq = &self.sched.rqs[cpu as usize];
        let averages = &rq.fair_load.top.averages;
        let (load, wanted) = (averages.load, averages.wanted);
        let (used, fair) = (self.used_so_far(cpu), rq.fair.runnable());
        let sums = Sums { load, used, wanted, fair, ..Sums::default() };
        sums.counting(self.count_on(cpu), self.has_nothing(cpu))
    }

    /// The sums of a group, added up, whether averages are up to date or not.
    fn added_up(&self, domain: usize, group: usize) -> Sums {
        let mut sums = Sums::default();
        for cpu in self.sched.fair.domains.all[domain].groups[group].cpus.iter() {
            sums.replace(&Sums::default(), &self.sums_so_far(*cpu));
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::super::averages::Averages;
    use super::super::domains::Domain;
    use super::*;
    use crate::{Model, Shape, Simulation};
    use proptest::prelude::*;
    use rota_object::KernelTypes;
    use rota_topology::Spec;
    use rota_workload::Workload;
    use std::sync::Arc;

    const MACHINES: [&str; 6] =
        ["3c", "2l:2c:2t", "2s:2l:3c", "2s:2c:2t", "3s:2l:2c", "4s:2l:2c:2t"];
    const WORKLOADS: [&str; 9] = [
        "web",
        "burst:tasks=3*cpus",
        "forkstorm",
        "skewed+periodic",
        "schbench:workers=4,run=2ms",
        "cpu:tasks=cpus,run=3ms+periodic:tasks=2*cpus,cpus=1-2,nice=5",
        "compile:run=normal/2ms/1ms+cpu:tasks=3,cpus=0",
        "pipe:pairs=cpus+batch:tasks=cpus,nice=10",
        "cpu:weight=300,name=a,run=4ms+web:weight=50+messaging:groups=1,fds=2",
    ];

    /// A machine at work; whether it keeps no sums.
    fn start(machine: &str, workload: &str, seed: u64, slow: bool) -> Simulation {
        let types = KernelTypes::builtin("7.3").unwrap();
        let Model { topology, costs, platform, .. } =
            Model::of(machine.parse::<Spec>().unwrap().topology()).unwrap();
        let cpus = topology.possible().count() as u32;
        let shape = Shape { costs, platform: Arc::new(platform), seed, ..Shape::default() };
        let mut world = Simulation::fair(&types, &topology, &shape).unwrap();
        machine_of(&mut world).sched.fair.kept.slow = slow;
        world.start_recording();
        world.add(&Workload::parse(workload, cpus).unwrap()).unwrap();
        world.add_noise().unwrap();
        world
    }

    fn machine_of(world: &mut Simulation) -> &mut Machine {
        world.machine.as_mut().unwrap().get_mut()
    }

    /// Sums of all groups.
    fn sums(machine: &mut Machine) -> Vec<Sums> {
        let domains = Rc::clone(&machine.sched.fair.domains);
        let groups =
            |(at, domain): (usize, &Domain)| (0..domain.groups.len()).map(move |g| (at, g));
        let all = domains.all.iter().enumerate().flat_map(groups);
        all.map(|(domain, group)| machine.kept_sums(domain, group)).collect()
    }

    /// Averages of all CPUs, up to date.
    fn averages(machine: &mut Machine) -> Vec<Averages> {
        let cpus = 0..machine.shape.cpus;
        cpus.clone().for_each(|cpu| machine.age_cpu(cpu));
        cpus.map(|cpu| machine.sched.rqs[cpu as usize].fair_load.top.averages).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// A machine that brings every CPU up to date whenever it reads one, and adds up, is the same:
        /// in what happens, in sums at any time, and in averages to the last digit.
        #[test]
        fn is_as_if_added_up(
            machine in prop::sample::select(&MACHINES[..]),
            workload in prop::sample::select(&WORKLOADS[..]),
            seed in any::<u64>(),
            stops in prop::collection::vec((1..6_000_000_u64, 0..8_u32), 60),
        ) {
            let [mut kept, mut slow] = [false, true].map(|slow| start(machine, workload, seed, slow));
            for (ns, what) in stops {
                let until_ns = kept.now_ns() + ns;
                kept.run_until(until_ns).unwrap();
                slow.run_until(until_ns).unwrap();
                if what == 7 {
                    // The last CPU goes, or comes back.
                    for machine in [&mut kept, &mut slow].map(machine_of) {
                        let last = machine.shape.cpus - 1;
                        let online = machine.sched.rqs[last as usize].online;
                        machine.on_cpu(0, move |m| m.set_online(last, !online)).unwrap();
                    }
                }
                if what > 0 {
                    prop_assert_eq!(sums(machine_of(&mut kept)), sums(machine_of(&mut slow)));
                } else {
                    prop_assert_eq!(averages(machine_of(&mut kept)), averages(machine_of(&mut slow)));
                }
            }
            let events = kept.take_events();
            prop_assert!(events.len() > 100);
            prop_assert!(events == slow.take_events());
        }
    }
}
