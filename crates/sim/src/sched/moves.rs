// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks move from a queue of the scheduler's to another (kernel: `scx_dsq_move`).

use super::queue::LOCAL;
use super::{Cursor, Insert, QueueId, TaskId};
use crate::interleave::Lock;
use crate::machine::Machine;
use crate::run::Stop;

impl Machine {
    /// Moves a task on somebody's way through a queue to a queue with a number, by virtual time if
    /// it is asked for; whether it was still there.
    pub(crate) fn move_on(
        &mut self,
        cursor: &mut Cursor,
        task: TaskId,
        queue: u64,
        flags: u64,
        by_vtime: bool,
    ) -> Result<bool, Stop> {
        let (slice_ns, vtime) = (cursor.slice_ns.take(), cursor.vtime.take());
        let (locked, from) = (self.locked_rq(), self.sched.task(task).cpu);
        match locked {
            Some(locked) => self.switch_rq(locked, from)?,
            None => {
                self.take_rq(from);
                self.lock(Lock::Rq(from))?;
            }
        }
        let (mut now_locked, mut moved) = (from, false);
        // Somebody else may have got it meanwhile.
        let place = self.sched.task(task).queue;
        if place.is_some_and(|(queue, place)| cursor.may_move(queue, place)) {
            let to = self.resolve(queue, locked.unwrap_or(self.cpu), task);
            let (address, field) = (self.sched.task(task).address, self.layout.task.dsq_vtime);
            if let Some(vtime) = vtime {
                let _ = field.set(&self.memory, address, vtime);
            }
            if let Some(slice_ns) = slice_ns {
                self.set_slice(task, slice_ns);
            }
            let vtime = by_vtime.then(|| field.get(&self.memory, address).unwrap_or(0));
            now_locked = self.move_between(task, to, flags, vtime)?;
            moved = true;
        }
        match locked {
            Some(locked) => self.switch_rq(now_locked, locked)?,
            None => self.unlock(Lock::Rq(now_locked)),
        }
        Ok(moved)
    }

    /// Moves a task from a queue that is not local into any other; the CPU that it is on then.
    fn move_between(
        &mut self,
        task: TaskId,
        mut to: QueueId,
        flags: u64,
        vtime: Option<u64>,
    ) -> Result<u32, Stop> {
        let from = self.sched.task(task).cpu;
        if let QueueId::Local(cpu) = to
            && cpu != from
        {
            if self.may_move(task, cpu) {
                self.move_task(task, cpu, flags)?;
                return Ok(cpu);
            }
            self.note_refused(task, cpu);
            to = QueueId::Global;
        }
        self.unlink(task);
        // A local queue is not asked for an order by virtual time.
        let vtime = vtime.filter(|_| !matches!(to, QueueId::Local(_)));
        let insert = Insert { queue: LOCAL, slice_ns: 0, vtime, flags };
        // Without waking it, as if that CPU looked for work already.
        let quiet = matches!(to, QueueId::Local(_)) && !self.sched.version.move_wakes;
        let looks = self.sched.rq(from).in_dispatch;
        self.sched.rq(from).in_dispatch |= quiet;
        let inserted = self.insert(from, to, task, insert, false);
        self.sched.rq(from).in_dispatch = looks;
        inserted.map(|()| from)
    }
}
