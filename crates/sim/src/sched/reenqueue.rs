// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks go back from queues to the scheduler (kernel: `reenq_local`, `reenq_user`), because it
//! asks for it, or because they were to run at once (`SCX_ENQ_IMMED`) and can't.

use super::events::Event;
use super::exit::REENQUEUE;
use super::{Due, QueueId, TaskId};
use crate::machine::Machine;
use crate::run::Stop;

/// How often a task may go back without having run (kernel: `SCX_REENQ_MAX_REPEAT`).
const REPEATS_MAX: u32 = 256;

/// Why a task goes back (kernel: `SCX_TASK_REENQ_…`, a number in the task's flags).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Asked = 1,
    Immediate = 2,
    Preempted = 3,
}

/// What has been asked to go back, and has not yet.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Tasks of the CPU's local queue: all, or those that were to run at once.
    local: Option<bool>,
    /// Those of the scheduler's own queues.
    queues: Vec<u64>,
}

impl Machine {
    /// Whether a CPU could run a task at once (kernel: `rq_is_open`).
    fn is_open(&mut self, cpu: u32, flags: u64) -> bool {
        let current = self.sched.rq(cpu).current;
        let ext = current.is_some_and(|task| self.is_ext(task));
        let preempts = flags & self.sched.version.preempt != 0;
        let rq = self.sched.rq(cpu);
        if !rq.realtime.is_empty() || rq.fair.queued > 0 || current.is_some() && !ext {
            return false;
        }
        current.is_none() && !rq.resched || rq.in_dispatch || preempts
    }

    /// A task has come into a local queue, maybe with the wish to run at once.
    pub(super) fn note_immediate(&mut self, cpu: u32, task: TaskId, flags: u64) {
        if flags & self.sched.version.immediate != 0 {
            self.sched.task(task).immediate = true;
            self.show_immediate(task, true);
        }
        if self.sched.task(task).immediate {
            self.sched.rq(cpu).immediate += 1;
            let others = self.sched.queues.len(QueueId::Local(cpu)) > 1;
            if others || !self.is_open(cpu, flags) {
                self.ask_back(QueueId::Local(cpu), false);
            }
        }
    }

    /// A task has left a queue.
    pub(super) fn note_left(&mut self, queue: QueueId, task: TaskId) {
        if let QueueId::Local(cpu) = queue
            && self.sched.task(task).immediate
        {
            self.sched.rq(cpu).immediate -= 1;
        }
    }

    /// A task is given to the scheduler anew; whether it has gone back too often.
    pub(super) fn note_given(&mut self, task: TaskId, flags: u64) -> bool {
        if std::mem::take(&mut self.sched.task(task).immediate) {
            self.show_immediate(task, false);
        }
        if flags & self.sched.version.reenqueue == 0 || !self.sched.version.limits_reenqueues {
            return false;
        }
        let state = self.sched.task(task);
        state.repeats += 1;
        let repeats = state.repeats;
        if repeats > 1 {
            self.count(Event::ReenqueueRepeat);
        }
        if repeats > REPEATS_MAX {
            let (comm, pid) = self.comm_and_pid(task);
            let text = format!("{comm}[{pid}] reenqueued {repeats} times without running");
            let cpu = self.sched.task(task).cpu;
            self.end_on(cpu, REENQUEUE, 0, text);
        }
        repeats > REPEATS_MAX
    }

    /// Asks tasks of a queue to go back, soon.
    pub(crate) fn ask_back(&mut self, queue: QueueId, all: bool) {
        if self.bypassing() {
            return;
        }
        let here = self.cpu;
        let cpu = match queue {
            QueueId::Local(cpu) if !self.sched.rq(cpu).online => return,
            QueueId::Local(cpu) => {
                let asked = &mut self.sched.rq(cpu).asked_back;
                asked.local = Some(all || asked.local == Some(true));
                cpu
            }
            QueueId::User(id) => {
                let asked = &mut self.sched.rq(here).asked_back;
                if !asked.queues.contains(&id) {
                    asked.queues.push(id);
                }
                here
            }
            QueueId::Global | QueueId::Bypass(_) => return,
        };
        self.sched.agenda.add(self.now_ns, Due::GoBack(cpu));
    }

    /// Lets the tasks go back that have been asked to, while the run queue is locked.
    pub(super) fn go_back(&mut self, cpu: u32) -> Result<(), Stop> {
        while let Some(all) = self.sched.rq(cpu).asked_back.local.take() {
            self.go_back_locally(cpu, all)?;
        }
        while let Some(id) = self.sched.rq(cpu).asked_back.queues.pop() {
            self.go_back_from(cpu, QueueId::User(id))?;
        }
        Ok(())
    }

    /// Gives the tasks of a local queue back, or those that can't run at once; how many.
    pub(crate) fn go_back_locally(&mut self, cpu: u32, all: bool) -> Result<u64, Stop> {
        let open = self.is_open(cpu, 0);
        let tasks: Vec<TaskId> = self.sched.queues.tasks(QueueId::Local(cpu)).collect();
        let mut back = Vec::new();
        for (i, task) in tasks.into_iter().enumerate() {
            let hindered = self.sched.task(task).immediate && (i > 0 || !open);
            if hindered {
                self.count(Event::ReenqueueImmediate);
            }
            if hindered || all {
                self.unlink(task);
                back.push((task, if hindered { Reason::Immediate } else { Reason::Asked }));
            }
        }
        let mut count = 0;
        for (task, reason) in back {
            let state = self.sched.task(task);
            if state.queued && state.queue.is_none() {
                self.give_back(cpu, task, reason)?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Gives the tasks of one of the scheduler's queues back that are in it now.
    fn go_back_from(&mut self, locked: u32, queue: QueueId) -> Result<(), Stop> {
        let Some(mut cursor) = self.sched.queues.cursor(queue, false) else { return Ok(()) };
        let mut now_locked = locked;
        while let Some(task) = self.sched.queues.next(&mut cursor) {
            let cpu = self.sched.task(task).cpu;
            self.switch_rq(now_locked, cpu)?;
            now_locked = cpu;
            let place = self.sched.task(task).queue;
            if place.is_some_and(|(queue, place)| cursor.may_move(queue, place)) {
                self.unlink(task);
                self.give_back(cpu, task, Reason::Asked)?;
            }
        }
        self.switch_rq(now_locked, locked)
    }

    /// Gives a task that is in no queue back to the scheduler.
    pub(super) fn give_back(&mut self, cpu: u32, task: TaskId, why: Reason) -> Result<(), Stop> {
        self.show_reason(task, why as u64);
        let given = self.give(cpu, task, self.sched.version.reenqueue);
        self.show_reason(task, 0);
        given
    }
}
