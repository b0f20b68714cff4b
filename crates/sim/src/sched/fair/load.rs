// SPDX-License-Identifier: GPL-2.0-or-later
//! What load the tasks of the fair class are, and the CPUs have: kept up to date at each change.

use super::super::TaskId;
use super::averages::{Averages, Estimate, FULL, Since};
use super::entity::Entity;
use super::groups::{Contents, GroupId, Groups, TOP, scaled_down};
use super::rules::Rules;
use crate::machine::Machine;

/// The load of a task.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TaskLoad {
    pub(super) averages: Averages,
    pub(super) estimate: Estimate,
    /// The CPU whose averages have the task's in them.
    pub(super) with: Option<u32>,
}

/// The load of a CPU.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CpuLoad {
    /// What is in the group around all others.
    pub(super) top: Contents,
    /// The sum of the estimates of those that want to run.
    estimate: u64,
}

impl CpuLoad {
    /// Of a CPU of a kernel with these rules, on which nothing was yet.
    pub(crate) fn new(rules: Rules) -> Self {
        let mut load = Self::default();
        load.top.averages.cut = rules.cuts_sums;
        load
    }
}

impl Entity {
    /// A task's averages become part of those of its group on a CPU.
    fn join(&mut self, cpu: u32, groups: &mut Groups, top: &mut Contents) {
        let averages = &mut groups.inside(self.group, cpu, top).averages;
        self.load.averages.join(averages, scaled_down(self.own_weight));
        groups.tell_around(self.group, cpu, self.load.averages.load_sum());
        self.load.with = Some(cpu);
    }

    /// And are no more.
    fn part(&mut self, cpu: u32, groups: &mut Groups, top: &mut Contents) {
        let averages = &mut groups.inside(self.group, cpu, top).averages;
        self.load.averages.part(averages, scaled_down(self.own_weight));
        groups.tell_around(self.group, cpu, -self.load.averages.load_sum());
        self.load.with = None;
    }
}

impl Machine {
    fn cpu_load(&mut self, cpu: u32) -> &mut CpuLoad {
        &mut self.sched.rq(cpu).fair_load
    }

    /// Brings a CPU's averages up to date, as long as nothing has changed.
    pub(super) fn age_cpu(&mut self, cpu: u32) {
        let now = self.now_ns;
        self.sched.fair.touch(cpu);
        let rq = &mut self.sched.rqs[cpu as usize];
        let (wanted, ran) = (u64::from(rq.fair.runnable()), rq.fair.current.is_some());
        let top = &mut rq.fair_load.top;
        let since = Since { load: scaled_down(top.weight), wanted, ran };
        if top.averages.due_ns() <= now {
            // First up to when they were last read, as each step is rounded.
            top.averages.advance(self.sched.fair.kept.read_ns(cpu), since, 1);
        }
        top.averages.advance(now, since, 1);
    }

    /// Brings a CPU's averages up to date, as far as who reads them would notice.
    pub(super) fn read_cpu(&mut self, cpu: u32) {
        let due_ns = self.sched.rqs[cpu as usize].fair_load.top.averages.due_ns();
        if !self.sched.fair.kept.read(cpu, due_ns, self.now_ns) {
            self.age_cpu(cpu);
        }
    }

    /// Brings the averages of a task that is with a CPU up to date, as far as that one's are.
    pub(super) fn age_task(&mut self, task: TaskId) {
        let index = task.0 as usize;
        let Some(cpu) = self.sched.entities[index].load.with else { return };
        let rq = &self.sched.rqs[cpu as usize];
        let (until_ns, ran) = (rq.fair_load.top.averages.until_ns, rq.fair.current == Some(task));
        let entity = &mut self.sched.entities[index];
        let (load, wanted) = (u64::from(entity.on_rq), u64::from(entity.on_rq && !entity.delayed));
        let weight = scaled_down(entity.own_weight);
        entity.load.averages.advance(until_ns, Since { load, wanted, ran }, weight);
    }

    /// Both, and those of the groups between them.
    pub(super) fn age(&mut self, cpu: u32, task: TaskId) {
        self.age_cpu(cpu);
        self.age_groups(cpu, task);
        self.age_task(task);
    }

    /// Brings the averages of a task's groups on a CPU up to date.
    fn age_groups(&mut self, cpu: u32, task: TaskId) {
        let group = self.sched.entities[task.0 as usize].group;
        if group != TOP {
            let (now, top) = (self.now_ns, &mut self.sched.rqs[cpu as usize].fair_load.top);
            self.sched.fair.groups.age(group, cpu, now, top);
        }
    }

    /// Brings those of all groups on a CPU up to date.
    pub(super) fn age_all_groups(&mut self, cpu: u32) {
        if self.sched.fair.groups.are_any() {
            self.age_cpu(cpu);
            let (now, top) = (self.now_ns, &mut self.sched.rqs[cpu as usize].fair_load.top);
            self.sched.fair.groups.age_all(cpu, now, top);
        }
    }

    /// What a task weighs in the queue of a CPU.
    pub(super) fn weight_in_queue(&self, cpu: u32, task: TaskId) -> i64 {
        let entity = &self.sched.entities[task.0 as usize];
        if entity.group == TOP {
            return entity.own_weight;
        }
        self.sched.fair.groups.in_queue(entity.group, cpu, entity.own_weight)
    }

    /// A task that did not is now in a CPU's queue. Call it before that is so.
    pub(super) fn load_comes(&mut self, cpu: u32, task: TaskId) {
        if self.sched.entities[task.0 as usize].load.with != Some(cpu) {
            self.leave_cpu(task);
            self.sched.entities[task.0 as usize].ran_ns = 0;
        }
        self.age(cpu, task);
        let (rqs, entities) = (&mut self.sched.rqs, &mut self.sched.entities);
        let rq = &mut rqs[cpu as usize];
        let load = &mut rq.fair_load;
        let entity = &mut entities[task.0 as usize];
        let groups = &mut self.sched.fair.groups;
        let (group, weight) = (entity.group, entity.own_weight);
        if entity.load.with.is_none() {
            entity.join(cpu, groups, &mut load.top);
            groups.age(group, cpu, self.now_ns, &mut load.top);
        }
        groups.enter(group, cpu, weight, !entity.delayed, &mut load.top);
        load.estimate += if entity.delayed { 0 } else { entity.load.estimate.0 };
        rq.fair_turn += 1;
        entity.turn = rq.fair_turn;
        rq.fair_turns.insert(entity.turn, task);
        self.sched.fair.overloaded |= rq.fair.queued > 0;
    }

    /// A task that was in a CPU's queue is no more. Call it before that is so.
    pub(super) fn load_goes(&mut self, cpu: u32, task: TaskId) {
        self.age(cpu, task);
        let entity = &self.sched.entities[task.0 as usize];
        let (group, weight) = (entity.group, entity.own_weight);
        let (was_counted, estimate) = (!entity.delayed, entity.load.estimate.0);
        let load = &mut self.sched.rqs[cpu as usize].fair_load;
        self.sched.fair.groups.leave(group, cpu, weight, was_counted, &mut load.top);
        if was_counted {
            load.estimate = load.estimate.saturating_sub(estimate);
        }
        let turn = self.sched.entities[task.0 as usize].turn;
        self.sched.rq(cpu).fair_turns.remove(&turn);
    }

    /// So many tasks of a CPU, who has not run for longest first.
    pub(super) fn oldest_first(&self, cpu: u32, count: u32) -> Vec<TaskId> {
        let turns = &self.sched.rqs[cpu as usize].fair_turns;
        turns.values().copied().take(count as usize).collect()
    }

    /// A task comes behind all others of its CPU, as it runs, or can't be moved.
    pub(super) fn look_later(&mut self, cpu: u32, task: TaskId) {
        let rq = &mut self.sched.rqs[cpu as usize];
        let entity = &mut self.sched.entities[task.0 as usize];
        if rq.fair_turns.remove(&entity.turn).is_some() {
            rq.fair_turn += 1;
            entity.turn = rq.fair_turn;
            rq.fair_turns.insert(entity.turn, task);
        }
    }

    /// A task that does not want to run stays in its queue, or does no more: what it is expected to
    /// use does not count meanwhile.
    pub(super) fn count_estimate(&mut self, cpu: u32, task: TaskId, counts: bool) {
        let entity = &self.sched.entities[task.0 as usize];
        let (group, estimate) = (entity.group, entity.load.estimate.0);
        self.sched.fair.groups.count(group, cpu, counts);
        let load = self.cpu_load(cpu);
        load.estimate =
            if counts { load.estimate + estimate } else { load.estimate.saturating_sub(estimate) };
    }

    /// A task has gone to sleep: that is when it shows what it uses.
    pub(super) fn learn_estimate(&mut self, task: TaskId) {
        let load = &mut self.sched.entities[task.0 as usize].load;
        load.estimate.learn(&load.averages);
    }

    /// A task is with no CPU any more, as it comes to another one, or ends.
    pub(crate) fn leave_cpu(&mut self, task: TaskId) {
        let Some(cpu) = self.sched.entities[task.0 as usize].load.with else { return };
        self.age(cpu, task);
        let (rqs, entities) = (&mut self.sched.rqs, &mut self.sched.entities);
        let entity = &mut entities[task.0 as usize];
        let (groups, top) = (&mut self.sched.fair.groups, &mut rqs[cpu as usize].fair_load.top);
        entity.part(cpu, groups, top);
        groups.age(entity.group, cpu, self.now_ns, top);
    }

    /// A task gets another weight in its group.
    pub(super) fn reweigh_load(&mut self, task: TaskId, weight: i64) {
        let with = self.sched.entities[task.0 as usize].load.with;
        self.leave_cpu(task);
        let entity = &mut self.sched.entities[task.0 as usize];
        let more = weight - std::mem::replace(&mut entity.own_weight, weight);
        entity.load.averages.reweigh(scaled_down(weight));
        let Some(cpu) = with else { return };
        let (groups, top) =
            (&mut self.sched.fair.groups, &mut self.sched.rqs[cpu as usize].fair_load.top);
        entity.join(cpu, groups, top);
        if entity.on_rq {
            groups.inside(entity.group, cpu, top).weight += more;
        }
    }

    /// A task that is in no queue comes into another group.
    pub(super) fn move_load(&mut self, task: TaskId, group: GroupId) {
        let with = self.sched.entities[task.0 as usize].load.with;
        self.leave_cpu(task);
        self.sched.entities[task.0 as usize].group = group;
        let Some(cpu) = with else { return };
        self.age_groups(cpu, task);
        let entity = &mut self.sched.entities[task.0 as usize];
        let (groups, top) =
            (&mut self.sched.fair.groups, &mut self.sched.rqs[cpu as usize].fair_load.top);
        entity.join(cpu, groups, top);
        groups.age(group, cpu, self.now_ns, top);
    }

    /// What a new task is expected to use: half of what is left of its CPU at most (kernel:
    /// `post_init_entity_util_avg`).
    pub(crate) fn expect_use(&mut self, cpu: u32, task: TaskId) {
        self.age_cpu(cpu);
        self.age_groups(cpu, task);
        let entity = &mut self.sched.entities[task.0 as usize];
        let top = &mut self.sched.rqs[cpu as usize].fair_load.top;
        let queue = self.sched.fair.groups.inside(entity.group, cpu, top).averages;
        let most = FULL.saturating_sub(queue.used) / 2;
        let share = queue.used * scaled_down(entity.own_weight) / (queue.load + 1);
        let used = if queue.used > 0 { share.min(most) } else { most };
        (entity.load.averages.used, entity.load.averages.wanted) = (used, used);
    }

    /// How loaded a CPU is: the weight that wanted to run.
    pub(super) fn load_of(&mut self, cpu: u32) -> u64 {
        self.read_cpu(cpu);
        self.sched.rqs[cpu as usize].fair_load.top.averages.load
    }

    /// How many wanted to run on a CPU, of [`FULL`] each.
    pub(super) fn wanted_of(&mut self, cpu: u32) -> u64 {
        self.read_cpu(cpu);
        self.sched.rqs[cpu as usize].fair_load.top.averages.wanted
    }

    /// How much of a CPU is used, or is expected to be.
    pub(super) fn used_of(&mut self, cpu: u32) -> u64 {
        self.read_cpu(cpu);
        self.used_so_far(cpu)
    }

    /// The same, as of when its averages were brought up to date.
    pub(super) fn used_so_far(&self, cpu: u32) -> u64 {
        let load = &self.sched.rqs[cpu as usize].fair_load;
        load.top.averages.used.max(load.estimate).min(FULL)
    }

    /// Brings the averages of a task that runs up to date.
    fn age_if_runs(&mut self, task: TaskId) {
        let with = self.sched.entities[task.0 as usize].load.with;
        let runs = |cpu: &u32| self.sched.rqs[*cpu as usize].fair.current == Some(task);
        if let Some(cpu) = with.filter(runs) {
            self.age(cpu, task);
        }
    }

    /// The load that a task is of a CPU's: of one that waits or sleeps as of when it began to, since
    /// nobody brings its averages up to date meanwhile (kernel: `task_h_load`).
    pub(super) fn task_load(&mut self, task: TaskId) -> u64 {
        self.age_if_runs(task);
        let with = self.sched.entities[task.0 as usize].load.with;
        let entity = &self.sched.entities[task.0 as usize];
        let load = entity.load.averages.load;
        let Some(cpu) = with.filter(|_| entity.group != TOP) else { return load };
        let top = &self.sched.rqs[cpu as usize].fair_load.top;
        self.sched.fair.groups.load_in(entity.group, cpu, load, top)
    }

    /// How much a task uses, or is expected to, as of the same moment.
    pub(super) fn task_use(&mut self, task: TaskId) -> u64 {
        self.age_if_runs(task);
        let load = &self.sched.entities[task.0 as usize].load;
        load.averages.used.max(load.estimate.0)
    }

    /// How many tasks want to run on a CPU, of any class, delayed ones included (kernel:
    /// `nr_running`).
    pub(super) fn count_on(&self, cpu: u32) -> u32 {
        let rq = &self.sched.rqs[cpu as usize];
        let other = rq.current.is_some_and(|task| {
            let state = &self.sched.tasks[task.0 as usize];
            state.queued && state.class != super::super::Class::Fair
        });
        rq.fair.queued + rq.realtime.len() as u32 + u32::from(other)
    }

    /// Whether a CPU has nothing to do (kernel: `available_idle_cpu`).
    pub(super) fn has_nothing(&self, cpu: u32) -> bool {
        let rq = &self.sched.rqs[cpu as usize];
        rq.online && rq.current.is_none() && rq.fair.queued == 0 && rq.realtime.is_empty()
    }
}
