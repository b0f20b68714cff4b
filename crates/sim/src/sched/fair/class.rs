// SPDX-License-Identifier: GPL-2.0-or-later
//! How the machine uses the fair class.

use super::super::change::load_weight;
use super::super::task::Class;
use super::super::{Due, TaskId};
use super::groups::{GroupId, TOP};
use super::queue::Picked;
use super::{Entity, Queue};
use crate::machine::Machine;
use crate::run::Stop;
use rota_topology::CpuId;

/// A timer that ends slices is not set for less than this, in ns, and not moved for less than the
/// other (kernel: `hrtick_start`, `hrtick_needs_rearm`).
const TIMER_MIN_NS: i64 = 10_000;
const TIMER_NEAR_NS: u64 = 5_000;

impl Machine {
    /// A CPU's queue, with all entities.
    pub(super) fn fair(&mut self, cpu: u32) -> (&mut Queue, &mut [Entity]) {
        (&mut self.sched.rqs[cpu as usize].fair, &mut self.sched.entities)
    }

    /// Whether a task sleeps that is still in a queue of its class.
    pub(crate) fn is_delayed(&self, task: TaskId) -> bool {
        self.sched.entities[task.0 as usize].delayed
    }

    /// Charges what runs on a CPU, if it is of this class.
    fn charge_fair(&mut self, cpu: u32) {
        if self.runs_fair(cpu) {
            self.charge(cpu);
        }
    }

    /// Whether a CPU runs a task of this class.
    fn runs_fair(&self, cpu: u32) -> bool {
        let current = self.sched.rqs[cpu as usize].current;
        current.is_some_and(|task| self.sched.tasks[task.0 as usize].class == Class::Fair)
    }

    /// What runs on a CPU has had so much time.
    pub(crate) fn fair_ran(&mut self, cpu: u32, ns: u64) {
        let now = self.now_ns;
        if let Some(task) = self.sched.rq(cpu).fair.current {
            self.sched.entities[task.0 as usize].ran_ns = now;
        }
        let (queue, all) = self.fair(cpu);
        if queue.ran(all, ns.cast_signed()) {
            self.resched_lazily(cpu);
        }
    }

    /// A task of this class wants to run. `initial` says that it is new.
    pub(crate) fn enqueue_fair(&mut self, cpu: u32, task: TaskId, initial: bool) {
        self.sched.task(task).queued = true;
        self.charge_fair(cpu);
        if self.is_delayed(task) {
            self.age(cpu, task);
            self.count_estimate(cpu, task, true);
        } else {
            self.load_comes(cpu, task);
            self.reweigh_in_queue(cpu, task);
        }
        self.put_in_queue(cpu, task, initial);
    }

    /// A task is in a CPU's queue from now on.
    fn put_in_queue(&mut self, cpu: u32, task: TaskId, initial: bool) {
        let (queue, all) = self.fair(cpu);
        queue.enqueue(all, task, initial);
        if self.runs_fair(cpu) && self.sched.rq(cpu).slice_timer.is_none() {
            self.start_slice_timer(cpu);
        }
    }

    /// A task of this class does not want to run any more, or goes elsewhere. One that sleeps may
    /// stay in the queue, unless it `must` leave.
    pub(crate) fn dequeue_fair(&mut self, cpu: u32, task: TaskId, sleeps: bool, must: bool) {
        self.sched.task(task).queued = false;
        self.charge_fair(cpu);
        if !sleeps {
            self.load_goes(cpu, task);
            let (queue, all) = self.fair(cpu);
            queue.take(all, task);
            return;
        }
        self.age(cpu, task);
        let (queue, all) = self.fair(cpu);
        if queue.sleep(all, task, must) {
            self.load_goes(cpu, task);
        } else {
            self.count_estimate(cpu, task, false);
        }
        self.learn_estimate(task);
    }

    /// A task that sleeps leaves the queue for good, if it is still in one.
    pub(crate) fn finish_fair(&mut self, task: TaskId) {
        if self.is_delayed(task) {
            let cpu = self.sched.task(task).cpu;
            self.charge_fair(cpu);
            self.load_goes(cpu, task);
            let (queue, all) = self.fair(cpu);
            queue.finish_delayed(all, task);
        }
    }

    /// The same, if the task may not run any more where it is.
    pub(crate) fn leave_forbidden(&mut self, task: TaskId) {
        let state = self.sched.task(task);
        if !state.allowed.contains(CpuId(state.cpu)) {
            self.finish_fair(task);
        }
    }

    /// A task's weight is that of its nice value from now on.
    pub(crate) fn reweight_fair(&mut self, task: TaskId) {
        let state = self.sched.task(task);
        let (cpu, weight) = (state.cpu, load_weight(state.nice));
        let on_rq = self.sched.entities[task.0 as usize].on_rq;
        if on_rq {
            self.charge_fair(cpu);
        }
        self.reweigh_load(task, weight);
        if on_rq {
            self.reweigh_in_queue(cpu, task);
        }
    }

    /// A task that is in a CPU's queue, or comes into it, learns what it weighs there.
    fn reweigh_in_queue(&mut self, cpu: u32, task: TaskId) {
        let weight = self.weight_in_queue(cpu, task);
        let (queue, all) = self.fair(cpu);
        queue.reweight(all, task, weight);
    }

    /// A tick, or the timer that ends slices, has come while a task of this class runs.
    pub(crate) fn tick_fair(&mut self, cpu: u32) {
        let Some(task) = self.sched.rq(cpu).fair.current else { return };
        let entity = &self.sched.entities[task.0 as usize];
        let group = entity.group;
        if group == TOP || !entity.on_rq {
            return;
        }
        self.age(cpu, task);
        let top = &mut self.sched.rqs[cpu as usize].fair_load.top;
        self.sched.fair.groups.renew_all(group, cpu, top);
        self.reweigh_in_queue(cpu, task);
    }

    /// A task comes into another group, whatever it does.
    pub(crate) fn regroup_fair(&mut self, task: TaskId, group: GroupId) {
        let cpu = self.sched.task(task).cpu;
        self.charge_fair(cpu);
        // One that sleeps, but is still in the queue, stays so.
        let delayed = self.is_delayed(task);
        let runs = self.sched.rq(cpu).fair.current == Some(task);
        if runs {
            self.age(cpu, task);
            self.show_runs(cpu, false);
        }
        if delayed {
            self.take_delayed(cpu, task);
        }
        self.move_load(task, group);
        if runs {
            self.show_runs(cpu, true);
        }
        if delayed {
            self.put_delayed(cpu, task);
        }
    }

    /// A delayed task comes out of its queue, to come into another one, or the same, as it is.
    pub(super) fn take_delayed(&mut self, cpu: u32, task: TaskId) {
        self.charge_fair(cpu);
        self.load_goes(cpu, task);
        let (queue, all) = self.fair(cpu);
        queue.take(all, task);
    }

    /// It comes into one.
    pub(super) fn put_delayed(&mut self, cpu: u32, task: TaskId) {
        self.charge_fair(cpu);
        self.load_comes(cpu, task);
        self.reweigh_in_queue(cpu, task);
        self.put_in_queue(cpu, task, false);
    }

    /// A group's weight is set (kernel: `sched_group_set_shares`).
    pub(crate) fn set_group_weight(&mut self, group: GroupId, weight: i64) {
        if !self.sched.fair.groups.set_weight(group, weight) {
            return;
        }
        for cpu in 0..self.shape.cpus {
            self.age_cpu(cpu);
            let (now, top) = (self.now_ns, &mut self.sched.rqs[cpu as usize].fair_load.top);
            self.sched.fair.groups.age(group, cpu, now, top);
            self.sched.fair.groups.renew_all(group, cpu, top);
        }
    }

    /// What a CPU runs of this class. If there is nothing, it looks elsewhere.
    pub(crate) fn pick_fair(&mut self, cpu: u32) -> Result<Option<TaskId>, Stop> {
        self.charge_fair(cpu);
        loop {
            let (queue, all) = self.fair(cpu);
            match queue.pick_next(all) {
                Picked::Task(task) => return Ok(Some(task)),
                Picked::Delayed(task) => self.finish_fair(task),
                Picked::Nothing if self.balance_before_idle(cpu)? => {}
                Picked::Nothing => return Ok(None),
            }
        }
    }

    /// What ran of this class on a CPU makes way.
    pub(crate) fn put_fair(&mut self, cpu: u32) {
        if let Some(task) = self.sched.rq(cpu).fair.current {
            self.age(cpu, task);
        }
        self.show_runs(cpu, false);
        let (queue, all) = self.fair(cpu);
        queue.put_current(all);
    }

    /// The groups of what runs on a CPU have a task that runs, or have not.
    fn show_runs(&mut self, cpu: u32, runs: bool) {
        if let Some(task) = self.sched.rq(cpu).fair.current {
            let group = self.sched.entities[task.0 as usize].group;
            self.sched.fair.groups.set_runs(group, cpu, runs);
        }
    }

    /// A task of this class begins to run.
    pub(crate) fn start_fair(&mut self, cpu: u32, task: TaskId) {
        self.age(cpu, task);
        self.look_later(cpu, task);
        self.sched.entities[task.0 as usize].ran_ns = self.now_ns;
        let (queue, all) = self.fair(cpu);
        queue.set_current(all, task);
        if self.sched.entities[task.0 as usize].group != TOP {
            self.show_runs(cpu, true);
            self.reweigh_in_queue(cpu, task);
            let (queue, all) = self.fair(cpu);
            queue.protect(all, task);
        }
        self.start_slice_timer(cpu);
    }

    /// A task of this class that runs gives way.
    pub(crate) fn yield_fair(&mut self, cpu: u32) {
        let (queue, all) = self.fair(cpu);
        queue.yields(all);
    }

    /// Whether a task of this class that has come to a CPU makes another one of it give way.
    pub(crate) fn preempt_fair(&mut self, cpu: u32, task: TaskId, new: bool) {
        self.charge_fair(cpu);
        loop {
            let (queue, all) = self.fair(cpu);
            match queue.preempts(all, task, new) {
                Ok(true) => return self.resched_lazily(cpu),
                Ok(false) => return,
                Err(delayed) => self.finish_fair(delayed),
            }
        }
    }

    /// Asks what runs on a CPU to give way as soon as it comes back from the kernel anyway (kernel:
    /// `resched_curr_lazy`): who runs on another CPU than the one that executes is not disturbed
    /// before its next interrupt, unless the kernel is none that is lazy.
    fn resched_lazily(&mut self, cpu: u32) {
        let at_once = self.shape.platform.preempts_at_once;
        if at_once || self.cpu == cpu || self.sched.rq(cpu).current.is_none() {
            self.resched(cpu);
        } else {
            self.sched.rq(cpu).lazy = true;
        }
    }

    /// What runs on a CPU comes back from the kernel.
    pub(crate) fn leave_kernel(&mut self, cpu: u32) {
        if self.sched.rq(cpu).lazy && self.sched.rq(cpu).current.is_some() {
            self.cpu = cpu;
            self.resched(cpu);
        }
    }

    /// Sets the timer that ends the slice of what runs, if others wait.
    fn start_slice_timer(&mut self, cpu: u32) {
        if !self.sched.fair.hrtick {
            return;
        }
        let (queue, all) = self.fair(cpu);
        let Some(left) = queue.until_deadline(all) else { return };
        if left < 0 {
            self.resched(cpu);
            return;
        }
        let time_ns = self.now_ns + left.max(TIMER_MIN_NS).cast_unsigned();
        let set = self.sched.rq(cpu).slice_timer;
        if let Some(ticket) = set {
            if ticket.time_ns.abs_diff(time_ns) <= TIMER_NEAR_NS {
                return;
            }
            self.sched.agenda.cancel(ticket);
        }
        let ticket = self.sched.agenda.add(time_ns, Due::Slice(cpu));
        self.sched.rq(cpu).slice_timer = Some(ticket);
    }

    /// That timer has come.
    pub(crate) fn slice_over(&mut self, cpu: u32) -> Result<(), Stop> {
        self.sched.rq(cpu).slice_timer = None;
        if self.runs_fair(cpu) {
            self.charge(cpu);
            self.tick_fair(cpu);
            self.resched(cpu);
        }
        Ok(())
    }

    /// A CPU goes idle, and nothing of this class ends there.
    pub(crate) fn stop_slice_timer(&mut self, cpu: u32) {
        if let Some(ticket) = self.sched.rq(cpu).slice_timer.take() {
            self.sched.agenda.cancel(ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::NICE_0;
    use super::*;
    use crate::{Costs, Platform, Shape, Simulation};
    use rota_object::KernelTypes;
    use rota_topology::Spec;
    use rota_workload::Workload;
    use std::sync::Arc;

    const MS: u64 = 1_000_000;

    /// A machine with one CPU after so many ns.
    fn machine(workload: &str, ns: u64) -> Simulation {
        machine_of("1c", workload, ns)
    }

    fn machine_of(cpus: &str, workload: &str, ns: u64) -> Simulation {
        let types = KernelTypes::builtin("7.3").unwrap();
        let topology = cpus.parse::<Spec>().unwrap().topology();
        let shape = Shape { costs: Costs::NONE, ..Shape::default() };
        let mut world = Simulation::fair(&types, &topology, &shape).unwrap();
        world.add(&Workload::parse(workload, 1).unwrap()).unwrap();
        world.run_until(ns).unwrap();
        world
    }

    /// The task that runs, and what it weighs.
    fn runs(world: &mut Simulation) -> (TaskId, i64) {
        let machine = world.machine.as_mut().unwrap().get_mut();
        let task = machine.sched.rq(0).fair.current.unwrap();
        (task, machine.sched.entities[task.0 as usize].weight)
    }

    fn set_weight(world: &mut Simulation, weight: i64) {
        world.machine.as_mut().unwrap().get_mut().set_group_weight(GroupId(1), weight);
    }

    /// Whether all that groups know of their tasks is so.
    fn look(machine: &mut Machine) {
        for cpu in 0..machine.shape.cpus {
            machine.age_all_groups(cpu);
            let sched = &machine.sched;
            let here = |at: &usize| sched.entities[*at].on_rq && sched.tasks[*at].cpu == cpu;
            let tasks: Vec<_> = (0..sched.tasks.len())
                .filter(here)
                .map(|at| &sched.entities[at])
                .map(|entity| (entity.group, entity.own_weight, !entity.delayed))
                .collect();
            let rq = &sched.rqs[cpu as usize];
            let groups = &sched.fair.groups;
            groups.look(cpu, &rq.fair_load.top, &tasks);
            let current = rq.fair.current.map(|task| sched.entities[task.0 as usize].group);
            for group in (1..).map(GroupId).take_while(|group| groups.has(*group)) {
                let runs = current.is_some_and(|current| groups.is_in(current, group));
                assert_eq!(groups.runs(group, cpu), runs, "{group:?} on {cpu}");
            }
        }
    }

    /// How much of each CPU all tasks of a group and of those in it used, by the group's averages and
    /// by the tasks'.
    fn uses(machine: &mut Machine, group: GroupId) -> Vec<[u64; 2]> {
        let tasks: Vec<_> = (0..machine.sched.tasks.len() as u32).map(TaskId).collect();
        let with = |machine: &Machine, task: &TaskId| {
            let entity = &machine.sched.entities[task.0 as usize];
            let inside = machine.sched.fair.groups.is_in(entity.group, group);
            entity.load.with.filter(|_| inside)
        };
        (0..machine.shape.cpus)
            .map(|cpu| {
                let here: Vec<_> =
                    tasks.iter().filter(|task| with(machine, task) == Some(cpu)).collect();
                here.iter().for_each(|task| machine.age(cpu, **task));
                let used =
                    |task: &&TaskId| machine.sched.entities[task.0 as usize].load.averages.used;
                let sum = here.iter().map(used).sum();
                let top = &mut machine.sched.rqs[cpu as usize].fair_load.top;
                machine.sched.fair.groups.age(group, cpu, machine.now_ns, top);
                [machine.sched.fair.groups.inside(group, cpu, top).averages.used, sum]
            })
            .collect()
    }

    /// Who is to make way on another CPU than the one that executes.
    #[test]
    fn kernels_that_are_not_lazy_interrupt_other_cpus() {
        let types = KernelTypes::builtin("6.18").unwrap();
        let topology = "2c".parse::<Spec>().unwrap().topology();
        for at_once in [false, true] {
            let platform = Platform { preempts_at_once: at_once, ..Platform::default() };
            let costs = Costs { interrupt_ns: 1000, ..Costs::NONE };
            let shape = Shape { costs, platform: Arc::new(platform), ..Shape::default() };
            let mut world = Simulation::fair(&types, &topology, &shape).unwrap();
            world.add(&Workload::parse("cpu:tasks=2", 1).unwrap()).unwrap();
            world.run_until(10 * MS + MS / 2).unwrap();
            let machine = world.machine.as_mut().unwrap().get_mut();
            machine.cpu = 0;
            machine.resched_lazily(1);
            let rq = machine.sched.rq(1);
            assert_eq!((rq.lazy, rq.resched), (!at_once, at_once));
        }
    }

    /// Tasks that run, wait, sleep or are delayed come into other groups, which get other weights.
    #[test]
    fn groups_know_who_is_in_them() {
        let workload =
            "cpu:tasks=3,weight=100+batch:tasks=5,weight=300,run=uniform/1ms/3ms,io=fixed/2ms";
        let mut world = machine_of("2c", workload, 100 * MS);
        let (mut moved, mut most) = ([0; 4], 0);
        let machine = world.machine.as_mut().unwrap().get_mut();
        let inner = machine.create_cgroup(2).unwrap().unwrap();
        let innermost = machine.create_cgroup(inner).unwrap().unwrap();
        let cgroups = [crate::cgroups::ROOT, 2, 3, inner, innermost];
        for round in 0..600_u64 {
            world.run_until(100 * MS + round * 700_001).unwrap();
            let machine = world.machine.as_mut().unwrap().get_mut();
            look(machine);
            let task = TaskId((round % machine.sched.tasks.len() as u64) as u32);
            let entity = &machine.sched.entities[task.0 as usize];
            let cpu = machine.sched.tasks[task.0 as usize].cpu;
            let runs = machine.sched.rqs[cpu as usize].fair.current == Some(task);
            let state = if runs {
                0
            } else if entity.delayed {
                1
            } else {
                2 + usize::from(entity.on_rq)
            };
            let to = cgroups[(round / 3 % 5) as usize];
            let (before, with) = (entity.group, entity.load.with);
            machine.move_to_cgroup(&[task], to).unwrap().unwrap();
            let entity = &machine.sched.entities[task.0 as usize];
            assert_eq!((entity.group, entity.load.with), (machine.fair_group(to), with));
            moved[state] += u64::from(before != machine.fair_group(to));
            look(machine);
            machine.set_nice(task, (round % 40) as i32 - 20).unwrap();
            look(machine);
            let weight = 1 + round * 7919 % 10_000;
            machine.set_cgroup_weight(cgroups[1 + (round % 4) as usize], weight).unwrap().unwrap();
            look(machine);
            for group in (1..5).map(GroupId) {
                for [used, sum] in uses(machine, group) {
                    assert!(used.abs_diff(sum) <= 20, "{group:?}: {used} of {sum}");
                    most = most.max(used);
                }
            }
        }
        assert!(most > 500, "{most}");
        // Of each kind there were some.
        assert!(moved.iter().all(|count| *count >= 5), "{moved:?}");
    }

    /// Who takes a CPU from another task at once pays for the time since it was woken up, in which
    /// that CPU was interrupted.
    #[test]
    fn who_takes_a_cpu_pays_from_when_it_was_woken_up() {
        use rota_workload::{Event, EventId, Program, Span, Step, Template, TemplateId};
        let run = |ns| Step::Run(Span::Fixed(ns));
        let waker = [Step::Sleep(Span::Fixed(5 * MS)), Step::Signal(EventId(0), 1)];
        let woken = [Step::Wait(EventId(0)), run(10_000)];
        let bodies: [(&[Step], u32); 3] = [(&waker, 0), (&woken, 1), (&[run(50_000)], 1)];
        let template = |(body, cpu): &(&[Step], u32)| Template {
            name: "task".to_owned(),
            group: 0,
            nice: 0,
            partners: 0,
            cpus: Some([CpuId(*cpu)].into_iter().collect()),
            cgroup: None,
            realtime: false,
            program: Arc::new(Program::default().repeated(None, body.iter().copied())),
        };
        let workload = Workload {
            events: vec![Event::COUNTER],
            groups: vec![rota_workload::Group { name: "all".to_owned(), deadline_ns: None }],
            templates: bodies.iter().map(template).collect(),
            starts: (0..3).map(TemplateId).collect(),
            ..Workload::default()
        };
        let charged = |preempts_at_once| {
            let types = KernelTypes::builtin("6.18").unwrap();
            let topology = "2c".parse::<Spec>().unwrap().topology();
            let costs = Costs { kicked_ns: 25_000, ..Costs::NONE };
            let platform = Arc::new(Platform { preempts_at_once, ..Platform::default() });
            let shape = Shape { costs, platform, ..Shape::default() };
            let mut world = Simulation::fair(&types, &topology, &shape).unwrap();
            world.add(&workload).unwrap();
            world.run_until(1_000 * MS).unwrap();
            let machine = world.machine.as_mut().unwrap().get_mut();
            [1, 2].map(|at: usize| machine.sched.tasks[at].ran_ns)
        };
        let [at_once, hog] = charged(true);
        assert!((190 * 35_000..=201 * 35_000).contains(&at_once), "{at_once}");
        assert!((at_once + hog).abs_diff(1_000 * MS) <= MS, "nothing is charged twice or never");
        let [lazily, _] = charged(false);
        assert!((190 * 10_000..=201 * 10_000).contains(&lazily), "{lazily}");
    }

    #[test]
    fn who_runs_learns_its_weight_at_the_tick() {
        let mut world = machine("cpu:tasks=1,weight=100", 401 * MS);
        set_weight(&mut world, 3 * NICE_0);
        world.run_until(403 * MS).unwrap();
        assert_eq!(runs(&mut world).1, NICE_0);
        world.run_until(405 * MS).unwrap();
        assert_eq!(runs(&mut world).1, 3 * NICE_0);
    }

    #[test]
    fn who_begins_to_run_learns_its_weight() {
        let mut world = machine("cpu:tasks=2,weight=100", 400 * MS + 100_000);
        set_weight(&mut world, NICE_0 / 4);
        let (before, weight) = runs(&mut world);
        assert_eq!(weight, NICE_0 / 2);
        // Before the next tick, the other one has its turn.
        for step in 1..39 {
            world.run_until(400 * MS + step * 100_000).unwrap();
            if runs(&mut world).0 != before {
                assert_eq!(runs(&mut world).1, NICE_0 / 8);
                return;
            }
        }
        panic!("nobody else ran");
    }
}
