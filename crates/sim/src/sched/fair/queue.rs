// SPDX-License-Identifier: GPL-2.0-or-later
//! The fair class' queue of one CPU: earliest eligible virtual deadline first (kernel:
//! `struct cfs_rq` of `kernel/sched/fair.c`); in what kernels differ is in `rules.rs`.
//!
//! Each task's virtual time goes on while it runs, the slower the more weight it has. Who is not
//! ahead of the weighted average of all is *eligible*; of those, the one with the earliest deadline
//! runs, and its deadline is one slice from where its last one was used up. What a task is behind
//! the average when it leaves, its *lag*, it brings along when it comes back.
//!
//! ```text
//! V = sum(w * v) / sum(w)      lag = V - v      eligible: lag >= 0
//! ```
//!
//! A task that goes to sleep while it is ahead stays in the queue, *delayed*, until it would be
//! picked: so it can't sleep off what it owes.
//!
//! Entities are in a list by the numbers of tasks; the one that runs is not in the tree.

use super::super::TaskId;
use super::entity::Entity;
use super::rules::Rules;
use super::tree::Tree;

/// What is chosen to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Picked {
    /// This task.
    Task(TaskId),
    /// One that sleeps would be next: it is to leave the queue first.
    Delayed(TaskId),
    /// There is none.
    Nothing,
}

/// A queue.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(super) rules: Rules,
    tree: Tree,
    /// The task that runs, whether it still wants to or not.
    pub(super) current: Option<TaskId>,
    /// Sums over those in the tree: of weight times virtual time, and of weights.
    weighted: i128,
    weight: i128,
    /// The average when it was last asked for.
    average: i64,
    /// How many are in the queue, with the one that runs and those that are delayed.
    pub(crate) queued: u32,
    /// How many of them are delayed.
    pub(crate) delayed: u32,
    /// How long a task asks to run at a time, in ns.
    pub(super) slice_ns: i64,
}

fn at(all: &[Entity], task: TaskId) -> &Entity {
    &all[task.0 as usize]
}

fn at_mut(all: &mut [Entity], task: TaskId) -> &mut Entity {
    &mut all[task.0 as usize]
}

impl Default for Queue {
    fn default() -> Self {
        Self::new(super::SLICE_NS, Rules::NEWEST)
    }
}

impl Queue {
    /// An empty one, on a machine where this is the slice.
    pub(crate) fn new(slice_ns: i64, rules: Rules) -> Self {
        Self {
            rules,
            tree: Tree::default(),
            current: None,
            weighted: 0,
            weight: 0,
            average: 0,
            queued: 0,
            delayed: 0,
            slice_ns,
        }
    }

    /// Starts the average somewhere else than at zero.
    pub(super) fn begin_at(&mut self, average: i64) {
        self.average = average;
    }

    /// How many want to run.
    pub(crate) fn runnable(&self) -> u32 {
        self.queued - self.delayed
    }

    /// The task that runs, if it is still in the queue.
    fn running(&self, all: &[Entity]) -> Option<TaskId> {
        self.current.filter(|task| at(all, *task).on_rq)
    }

    /// Those that wait, or are delayed, the earliest deadline first.
    #[cfg(test)]
    pub(crate) fn waiting(&self, all: &[Entity]) -> Vec<TaskId> {
        self.tree.tasks(all)
    }

    fn link(&mut self, all: &mut [Entity], task: TaskId) {
        let (vruntime, weight) = (at(all, task).vruntime, at(all, task).weight);
        self.weighted += i128::from(vruntime) * i128::from(weight);
        self.weight += i128::from(weight);
        self.tree.insert(all, task);
    }

    fn unlink(&mut self, all: &mut [Entity], task: TaskId) {
        self.tree.remove(all, task);
        let (vruntime, weight) = (at(all, task).vruntime, at(all, task).weight);
        self.weighted -= i128::from(vruntime) * i128::from(weight);
        self.weight -= i128::from(weight);
    }

    /// The two sums, with the task that runs.
    fn sums(&self, all: &[Entity]) -> (i128, i128) {
        let Some(task) = self.running(all) else { return (self.weighted, self.weight) };
        let entity = at(all, task);
        let weight = i128::from(entity.weight);
        (self.weighted + i128::from(entity.vruntime) * weight, self.weight + weight)
    }

    /// The average virtual time, rounded down, so that a task that is there is eligible. Of nobody
    /// it is what it last was.
    fn average(&mut self, all: &[Entity]) -> i64 {
        let (weighted, weight) = self.sums(all);
        if weight > 0 {
            self.average = weighted.div_euclid(weight) as i64;
        }
        self.average
    }

    /// The latest virtual time that is eligible.
    fn eligible_up_to(&self, all: &[Entity]) -> i64 {
        let (weighted, weight) = self.sums(all);
        if weight > 0 { weighted.div_euclid(weight) as i64 } else { i64::MAX }
    }

    /// Whether a task has had no more than its share.
    pub(super) fn is_eligible(&self, all: &[Entity], task: TaskId) -> bool {
        at(all, task).vruntime <= self.eligible_up_to(all)
    }

    /// A task's lag, which has a limit (kernel: `entity_lag`).
    fn lag(&self, all: &[Entity], task: TaskId, average: i64) -> i64 {
        let entity = at(all, task);
        let limit = entity.virtual_of(self.rules.lag_limit_ns(self.slice_ns));
        (average - entity.vruntime).clamp(-limit, limit)
    }

    /// Notes a task's lag; whether that is another one than its virtual time says (kernel:
    /// `update_entity_lag`).
    fn note_lag(&mut self, all: &mut [Entity], task: TaskId) -> bool {
        let average = self.average(all);
        let mut vlag = self.lag(all, task, average);
        let entity = at_mut(all, task);
        if entity.delayed {
            // It has neither got deeper into debt meanwhile, nor anything for having waited.
            vlag = if self.rules.debt_is_kept { vlag.max(entity.vlag) } else { vlag }.min(0);
        }
        entity.vlag = vlag;
        average - vlag != entity.vruntime
    }

    /// Gives a task that comes in a virtual time and a deadline, beside so many others (kernel:
    /// `place_entity`).
    fn place(&mut self, all: &mut [Entity], task: TaskId, others: u32, initial: bool) {
        let average = self.average(all);
        let mut lag = 0;
        if others > 0 && at(all, task).vlag != 0 {
            // It moves the average towards itself, by which its lag shrinks: so it gets more.
            lag = at(all, task).vlag;
            let (_, load) = self.sums(all);
            let weight = i128::from(at(all, task).weight);
            lag += (i128::from(lag) * weight / load.max(1)) as i64;
        }
        let slice_ns = self.slice_ns;
        let entity = at_mut(all, task);
        entity.vruntime = average - lag;
        if std::mem::take(&mut entity.relative_deadline) {
            entity.deadline += entity.vruntime;
            return;
        }
        let slice = entity.virtual_of(slice_ns);
        // The others are in the middle of theirs.
        entity.deadline = entity.vruntime + if initial { slice / 2 } else { slice };
    }

    /// A task comes in, new or not.
    pub(crate) fn enqueue(&mut self, all: &mut [Entity], task: TaskId, initial: bool) {
        let others = self.queued;
        if at(all, task).delayed && at(all, task).on_rq {
            self.wake_delayed(all, task);
            return;
        }
        self.place(all, task, others, initial);
        at_mut(all, task).on_rq = true;
        self.queued += 1;
        // One that was taken out to be changed comes back as it was.
        self.delayed += u32::from(at(all, task).delayed);
        if self.current != Some(task) {
            self.link(all, task);
        }
    }

    /// A task that is delayed wakes up (kernel: `requeue_delayed_entity`).
    fn wake_delayed(&mut self, all: &mut [Entity], task: TaskId) {
        if self.note_lag(all, task) {
            let runs = self.current == Some(task);
            if !runs {
                self.unlink(all, task);
            }
            at_mut(all, task).on_rq = false;
            let others = self.queued - 1;
            self.place(all, task, others, false);
            at_mut(all, task).on_rq = true;
            if !runs {
                self.link(all, task);
            }
        }
        at_mut(all, task).delayed = false;
        self.delayed -= 1;
    }

    /// A task goes to sleep. Whether it leaves the queue: who is ahead of the average stays, unless
    /// it `must` leave.
    pub(crate) fn sleep(&mut self, all: &mut [Entity], task: TaskId, must: bool) -> bool {
        self.note_lag(all, task);
        if !must && !self.is_eligible(all, task) {
            at_mut(all, task).delayed = true;
            self.delayed += 1;
            return false;
        }
        self.leave(all, task);
        true
    }

    /// A task that is delayed leaves the queue.
    pub(crate) fn finish_delayed(&mut self, all: &mut [Entity], task: TaskId) {
        self.note_lag(all, task);
        self.leave(all, task);
        at_mut(all, task).delayed = false;
        self.delayed -= 1;
    }

    /// A task leaves the queue for another one, or to be changed: its deadline stays as far away as
    /// it is.
    pub(crate) fn take(&mut self, all: &mut [Entity], task: TaskId) {
        self.note_lag(all, task);
        self.leave(all, task);
        self.delayed -= u32::from(at(all, task).delayed);
        let entity = at_mut(all, task);
        entity.deadline -= entity.vruntime;
        entity.relative_deadline = true;
    }

    fn leave(&mut self, all: &mut [Entity], task: TaskId) {
        if self.current != Some(task) {
            self.unlink(all, task);
        }
        at_mut(all, task).on_rq = false;
        self.queued -= 1;
    }

    /// Who is to run (kernel: `pick_eevdf`): who runs goes on while it is protected.
    fn pick(&self, all: &[Entity]) -> Option<TaskId> {
        let running = self.running(all);
        if self.queued == 1 {
            return running.or_else(|| self.tree.first_up_to(all, i64::MAX));
        }
        let limit = self.eligible_up_to(all);
        let eligible = |task: &TaskId| at(all, *task).vruntime <= limit;
        let running = running.filter(eligible);
        if running.is_some_and(|task| at(all, task).is_protected()) {
            return running;
        }
        let waiting = self.tree.first_up_to(all, limit);
        match (running, waiting) {
            (Some(one), Some(other)) if at(all, one).deadline < at(all, other).deadline => running,
            (_, Some(_)) => waiting,
            (_, None) => running,
        }
    }

    /// Who is to run next.
    pub(crate) fn pick_next(&self, all: &[Entity]) -> Picked {
        match self.pick(all) {
            None => Picked::Nothing,
            Some(task) if at(all, task).delayed => Picked::Delayed(task),
            Some(task) => Picked::Task(task),
        }
    }

    /// A task begins to run, protected.
    pub(crate) fn set_current(&mut self, all: &mut [Entity], task: TaskId) {
        if at(all, task).on_rq {
            self.unlink(all, task);
        }
        self.current = Some(task);
        self.protect(all, task);
    }

    /// The task that begins to run is protected until its deadline.
    pub(crate) fn protect(&mut self, all: &mut [Entity], task: TaskId) {
        let entity = at_mut(all, task);
        entity.protected = entity.deadline;
    }

    /// How long the task that runs may go on until its deadline, in ns, if others wait.
    pub(crate) fn until_deadline(&self, all: &[Entity]) -> Option<i64> {
        let entity = at(all, self.current.filter(|_| self.queued > 1)?);
        let left = i128::from(entity.deadline - entity.vruntime);
        Some((left * i128::from(entity.weight) / i128::from(super::NICE_0)) as i64)
    }

    /// The task that runs does not any more.
    pub(crate) fn put_current(&mut self, all: &mut [Entity]) {
        if let Some(task) = self.current.take()
            && at(all, task).on_rq
        {
            self.link(all, task);
        }
    }

    /// The task that runs has had so much time; whether it is to give way (kernel: `update_curr`).
    pub(crate) fn ran(&mut self, all: &mut [Entity], ns: i64) -> bool {
        let Some(task) = self.current else { return false };
        let entity = at_mut(all, task);
        entity.vruntime += entity.virtual_of(ns);
        let used_up = self.renew_deadline(all, task);
        self.queued > 1 && (used_up || !at(all, task).is_protected())
    }

    /// A task that has come to its deadline gets another one; whether it has.
    fn renew_deadline(&mut self, all: &mut [Entity], task: TaskId) -> bool {
        let slice_ns = self.slice_ns;
        let entity = at_mut(all, task);
        if entity.vruntime < entity.deadline {
            return false;
        }
        entity.deadline = entity.vruntime + entity.virtual_of(slice_ns);
        self.average(all);
        true
    }

    /// The task that runs gives way: if it is eligible, what is left of its slice is lost.
    pub(crate) fn yields(&mut self, all: &mut [Entity]) {
        let Some(task) = self.current else { return };
        if self.queued > 1 && self.is_eligible(all, task) {
            let entity = at_mut(all, task);
            entity.vruntime = entity.deadline;
            self.renew_deadline(all, task);
        }
    }

    /// Whether a task that has come in takes the place of the one that runs (kernel:
    /// `wakeup_preempt_fair`). A `new` one waits.
    ///
    /// # Errors
    /// A task that is delayed is in the way: ask again once it has left.
    pub(crate) fn preempts(
        &mut self,
        all: &mut [Entity],
        task: TaskId,
        new: bool,
    ) -> Result<bool, TaskId> {
        let Some(current) = self.current.filter(|current| *current != task) else {
            return Ok(false);
        };
        if !at(all, task).delayed && !new {
            match self.pick_next(all) {
                Picked::Delayed(other) if self.rules.wakes_past_delayed => return Err(other),
                Picked::Task(picked) if picked == task => {
                    if self.rules.preemption_unprotects {
                        let running = at_mut(all, current);
                        running.protected = running.protected.min(running.vruntime);
                    }
                    return Ok(true);
                }
                Picked::Task(_) | Picked::Delayed(_) | Picked::Nothing => {}
            }
        }
        self.shorten_protection(all, current);
        Ok(false)
    }

    /// Who runs is not protected for longer than a slice from now on.
    fn shorten_protection(&mut self, all: &mut [Entity], current: TaskId) {
        let slice_ns = self.slice_ns;
        let average = self.average(all);
        let running = at_mut(all, current);
        let from = match self.rules.protects_from_average {
            true => running.vruntime.min(average),
            false => running.vruntime,
        };
        let until = from + running.virtual_of(slice_ns);
        running.protected = running.protected.min(until);
    }

    /// A task gets another weight: its lag and its deadline stay what they are in real time
    /// (kernel: `reweight_eevdf`).
    pub(crate) fn reweight(&mut self, all: &mut [Entity], task: TaskId, weight: i64) {
        let old = at(all, task).weight;
        if old == weight {
            return;
        }
        let scaled = |v: i64| (i128::from(v) * i128::from(old) / i128::from(weight)) as i64;
        if !at(all, task).on_rq {
            let entity = at_mut(all, task);
            entity.vlag = scaled(entity.vlag);
            if entity.relative_deadline {
                entity.deadline = scaled(entity.deadline);
            }
            entity.weight = weight;
            return;
        }
        let runs = self.current == Some(task);
        let average = self.average(all);
        let vlag = self.lag(all, task, average);
        if !runs {
            self.unlink(all, task);
        }
        let entity = at_mut(all, task);
        entity.vlag = scaled(vlag);
        entity.deadline = average + scaled(entity.deadline - average);
        if runs && entity.is_protected() {
            entity.protected = average + scaled(entity.protected - average);
        }
        entity.weight = weight;
        entity.vruntime = average - entity.vlag;
        if !runs {
            self.link(all, task);
        }
    }
}
