// SPDX-License-Identifier: GPL-2.0-or-later
//! What load the tasks of the fair class are, and the CPUs have: kept up to date at each change.

use super::super::TaskId;
use super::averages::{Averages, Estimate, FULL, Since};
use super::entity::NICE_0;
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
    pub(super) averages: Averages,
    /// The weight of all in the queue; of nice 0 it is 1024.
    weight: u64,
    /// The sum of the estimates of those that want to run.
    estimate: u64,
}

/// A weight as averages count it.
fn scaled_down(weight: i64) -> u64 {
    (weight / (NICE_0 / 1024)).cast_unsigned()
}

impl Machine {
    fn cpu_load(&mut self, cpu: u32) -> &mut CpuLoad {
        &mut self.sched.rq(cpu).fair_load
    }

    /// Brings a CPU's averages up to date, as long as nothing has changed.
    pub(super) fn age_cpu(&mut self, cpu: u32) {
        let now = self.now_ns;
        let rq = self.sched.rq(cpu);
        let (wanted, ran) = (u64::from(rq.fair.runnable()), rq.fair.current.is_some());
        let load = &mut rq.fair_load;
        let since = Since { load: load.weight, wanted, ran };
        load.averages.advance(now, since, 1);
    }

    /// Brings the averages of a task that is with a CPU up to date, as far as that one's are.
    pub(super) fn age_task(&mut self, task: TaskId) {
        let index = task.0 as usize;
        let Some(cpu) = self.sched.entities[index].load.with else { return };
        let rq = &self.sched.rqs[cpu as usize];
        let (until_ns, ran) = (rq.fair_load.averages.until_ns, rq.fair.current == Some(task));
        let entity = &mut self.sched.entities[index];
        let (load, wanted) = (u64::from(entity.on_rq), u64::from(entity.on_rq && !entity.delayed));
        let weight = scaled_down(entity.weight);
        entity.load.averages.advance(until_ns, Since { load, wanted, ran }, weight);
    }

    /// Both.
    pub(super) fn age(&mut self, cpu: u32, task: TaskId) {
        self.age_cpu(cpu);
        self.age_task(task);
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
        let weight = scaled_down(entity.weight);
        if entity.load.with.is_none() {
            entity.load.averages.join(&mut load.averages, weight);
            entity.load.with = Some(cpu);
        }
        load.weight += weight;
        load.estimate += entity.load.estimate.0;
        rq.fair_turn += 1;
        entity.turn = rq.fair_turn;
        rq.fair_turns.insert(entity.turn, task);
        self.sched.fair.overloaded |= rq.fair.queued > 0;
    }

    /// A task that was in a CPU's queue is no more. Call it before that is so.
    pub(super) fn load_goes(&mut self, cpu: u32, task: TaskId) {
        self.age(cpu, task);
        let entity = &self.sched.entities[task.0 as usize];
        let (weight, estimate) = (scaled_down(entity.weight), entity.load.estimate.0);
        let was_counted = !entity.delayed;
        let load = self.cpu_load(cpu);
        load.weight = load.weight.saturating_sub(weight);
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
        let estimate = self.sched.entities[task.0 as usize].load.estimate.0;
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
        let weight = scaled_down(entity.weight);
        entity.load.averages.part(&mut rqs[cpu as usize].fair_load.averages, weight);
        entity.load.with = None;
    }

    /// A task gets another weight, which is set by `set`.
    pub(super) fn reweigh_load(&mut self, task: TaskId, set: impl FnOnce(&mut Self)) {
        let with = self.sched.entities[task.0 as usize].load.with;
        let on_rq = self.sched.entities[task.0 as usize].on_rq;
        let before = scaled_down(self.sched.entities[task.0 as usize].weight);
        self.leave_cpu(task);
        set(self);
        let entity = &mut self.sched.entities[task.0 as usize];
        let after = scaled_down(entity.weight);
        entity.load.averages.reweigh(after);
        let Some(cpu) = with else { return };
        let load = &mut self.sched.rqs[cpu as usize].fair_load;
        let entity = &mut self.sched.entities[task.0 as usize];
        entity.load.averages.join(&mut load.averages, after);
        entity.load.with = with;
        if on_rq {
            load.weight = (load.weight + after).saturating_sub(before);
        }
    }

    /// What a new task is expected to use: half of what is left of its CPU at most (kernel:
    /// `post_init_entity_util_avg`).
    pub(crate) fn expect_use(&mut self, cpu: u32, task: TaskId) {
        self.age_cpu(cpu);
        let queue = self.cpu_load(cpu).averages;
        let entity = &mut self.sched.entities[task.0 as usize];
        let most = FULL.saturating_sub(queue.used) / 2;
        let share = queue.used * scaled_down(entity.weight) / (queue.load + 1);
        let used = if queue.used > 0 { share.min(most) } else { most };
        (entity.load.averages.used, entity.load.averages.wanted) = (used, used);
    }

    /// How loaded a CPU is: the weight that wanted to run.
    pub(super) fn load_of(&mut self, cpu: u32) -> u64 {
        self.age_cpu(cpu);
        self.cpu_load(cpu).averages.load
    }

    /// How many wanted to run on a CPU, of [`FULL`] each.
    pub(super) fn wanted_of(&mut self, cpu: u32) -> u64 {
        self.age_cpu(cpu);
        self.cpu_load(cpu).averages.wanted
    }

    /// How much of a CPU is used, or is expected to be.
    pub(super) fn used_of(&mut self, cpu: u32) -> u64 {
        self.age_cpu(cpu);
        let load = self.cpu_load(cpu);
        load.averages.used.max(load.estimate).min(FULL)
    }

    /// The load that a task is, up to date.
    pub(super) fn task_load(&mut self, task: TaskId) -> u64 {
        if let Some(cpu) = self.sched.entities[task.0 as usize].load.with {
            self.age(cpu, task);
        }
        self.sched.entities[task.0 as usize].load.averages.load
    }

    /// How much a task uses, or is expected to.
    pub(super) fn task_use(&mut self, task: TaskId) -> u64 {
        self.task_load(task);
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
