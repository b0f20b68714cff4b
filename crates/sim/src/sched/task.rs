// SPDX-License-Identifier: GPL-2.0-or-later
//! What the scheduler knows of a task beside what stands in the kernel's structure.

use super::queue::Place;
use super::{CpuSet, QueueId};
use crate::layout::Field;
use crate::machine::Machine;
use rota_events::{CpuNumber, What};

/// A task that wants to run (kernel: `SCX_TASK_QUEUED`).
const QUEUED: u64 = 1;
/// A task that is to run at once or not at all (kernel: `SCX_TASK_IMMED`).
const IMMEDIATE: u64 = 1 << 5;
/// Why a task goes back to the scheduler (kernel: `SCX_TASK_REENQ_REASON_SHIFT`).
const REASON_SHIFT: u32 = 12;
/// What the scheduler has been told of it (kernel: `SCX_TASK_STATE_MASK`).
const STAGE_MASK: u64 = 0x700;

/// Number of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TaskId(pub(crate) u32);

/// A task's scheduling class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Realtime,
    /// Tasks that no scheduler of sched_ext has.
    Fair,
    Ext,
}

/// What the scheduler has been told of a task (kernel: `SCX_TASK_NONE` and so on).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    None,
    /// It has been initialised.
    Ready,
    /// It is the scheduler's own.
    Enabled,
    /// The task has ended.
    Dead,
}

/// Who has a task that wants to run (kernel: `SCX_OPSS_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The core: it runs, or is in a queue, or sleeps.
    Core,
    /// The scheduler is being told of it.
    Queueing,
    /// The scheduler keeps it.
    Scheduler,
}

/// Into which queue a task is to be inserted, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Insert {
    pub(crate) queue: u64,
    /// 0 keeps the slice that the task has.
    pub(crate) slice_ns: u64,
    /// Its virtual time, for a queue in that order.
    pub(crate) vtime: Option<u64>,
    pub(crate) flags: u64,
}

/// What a task does when it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Orders {
    /// It goes to sleep.
    Sleep,
    /// It runs without end.
    Spin,
    /// It gives way once, then runs without end.
    Yield,
    /// It makes so many tasks that end at once, then goes to sleep.
    Fork(u32),
    /// It ends.
    Exit,
    /// It executes its program.
    Work,
}

/// The state of a task.
#[derive(Debug)]
pub(crate) struct TaskState {
    /// Its `struct task_struct`.
    pub(crate) address: u64,
    pub(crate) class: Class,
    /// The class that it asks for.
    pub(crate) policy: Class,
    pub(crate) stage: Stage,
    pub(crate) nice: i32,
    /// The CPU that it is on, or was last.
    pub(crate) cpu: u32,
    pub(crate) allowed: CpuSet,
    /// Whether it wants to run.
    pub(crate) queued: bool,
    pub(crate) owner: Owner,
    /// Counts how often it was given to the scheduler.
    pub(crate) round: u64,
    /// Whether the scheduler answers for it, by keeping it or in one of its queues.
    pub(crate) in_custody: bool,
    /// The queue that it is in, with its place there.
    pub(crate) queue: Option<(QueueId, Place)>,
    /// An insertion that was decided before it could be made.
    pub(crate) direct: Option<Insert>,
    /// The CPU that holds it while it moves it from one queue to another; it loses it when the task
    /// is taken out meanwhile (kernel: `holding_cpu`).
    pub(crate) holding: Option<u32>,
    /// Whether it has decided to sleep, and nobody has woken it since.
    pub(crate) tired: bool,
    /// Whether it was inserted to run at once or not at all (kernel: `SCX_TASK_IMMED`).
    pub(crate) immediate: bool,
    /// How often it went back to the scheduler without having run.
    pub(crate) repeats: u32,
    /// Set while it moves to another CPU's run queue within the core.
    pub(crate) moving: bool,
    /// Since when it is charged for running.
    pub(crate) charged_at_ns: u64,
    /// Since when it wants to run without running.
    pub(crate) runnable_at_ns: u64,
    /// How long it has run, in ns.
    pub(crate) ran_ns: u64,
    /// What work it has done, in parts of which a CPU at full speed does 1,024 a ns, and until when
    /// that is counted.
    pub(crate) worked: u64,
    pub(crate) settled_at_ns: u64,
    /// Which CPU it ran on last, and how long that had been busy when it left.
    pub(crate) left: Option<(u32, u64)>,
    /// Grows with each time that some task comes to wait.
    pub(crate) runnable_number: u64,
    /// Whether its next wait is a new one, not the rest of one that a change broke off.
    pub(crate) waits_anew: bool,
    /// The CPU that was selected for it.
    pub(crate) selected_cpu: u32,
    pub(crate) orders: Orders,
    /// Counts its runs, so that the end of an earlier one is known for what it is.
    pub(crate) run: u64,
}

impl TaskState {
    /// Counts what the task has done since that was last done, at the speed that its CPU had.
    pub(crate) fn settle(&mut self, now_ns: u64, speed: u64) {
        let ns = now_ns.saturating_sub(std::mem::replace(&mut self.settled_at_ns, now_ns));
        self.worked += ns * speed;
    }
}

impl Machine {
    pub(super) fn task_address(&self, task: TaskId) -> u64 {
        self.sched.tasks[task.0 as usize].address
    }

    /// Sets a number in a task's structure, which is the machine's own memory.
    pub(super) fn show(&self, task: TaskId, field: Field, value: u64) {
        let _ = field.set(&self.memory, self.task_address(task), value);
    }

    /// Notes the CPU that a task is on.
    pub(crate) fn set_cpu(&mut self, task: TaskId, cpu: u32) {
        let from = std::mem::replace(&mut self.sched.task(task).cpu, cpu);
        if from != cpu {
            let (from, to) = (CpuNumber(from), CpuNumber(cpu));
            self.record(Some(task), What::Migrate { from, to });
        }
        self.show(task, self.layout.task.cpu, u64::from(cpu));
    }

    /// Shows whether a task wants to run.
    pub(crate) fn show_queued(&self, task: TaskId, queued: bool) {
        let field = self.layout.task.scx_flags;
        let flags = field.get(&self.memory, self.task_address(task)).unwrap_or(0);
        self.show(task, field, if queued { flags | QUEUED } else { flags & !QUEUED });
    }

    /// Shows whether a task was inserted to run at once.
    pub(crate) fn show_immediate(&self, task: TaskId, immediate: bool) {
        let field = self.layout.task.scx_flags;
        let flags = field.get(&self.memory, self.task_address(task)).unwrap_or(0);
        let shown = if immediate { flags | IMMEDIATE } else { flags & !IMMEDIATE };
        self.show(task, field, shown);
    }

    /// Shows why a task goes back to the scheduler, on kernels that tell it.
    pub(crate) fn show_reason(&self, task: TaskId, reason: u64) {
        if self.sched.version.limits_reenqueues {
            let field = self.layout.task.scx_flags;
            let flags = field.get(&self.memory, self.task_address(task)).unwrap_or(0);
            self.show(task, field, flags & !(7 << REASON_SHIFT) | reason << REASON_SHIFT);
        }
    }

    /// Notes what the scheduler has been told of a task.
    pub(crate) fn set_stage(&mut self, task: TaskId, stage: Stage) {
        self.sched.task(task).stage = stage;
        let shown = match stage {
            Stage::None => 0,
            Stage::Ready => self.sched.version.stage_ready,
            Stage::Enabled => self.sched.version.stage_ready + 1,
            Stage::Dead => return,
        };
        let field = self.layout.task.scx_flags;
        let flags = field.get(&self.memory, self.task_address(task)).unwrap_or(0);
        self.show(task, field, flags & !STAGE_MASK | shown << 8);
    }

    /// A task begins to wait, or goes on waiting (kernel: `set_task_runnable`).
    pub(crate) fn begin_to_wait(&mut self, task: TaskId) {
        self.sched.runnables += 1;
        let (now, number) = (self.now_ns, self.sched.runnables);
        let state = self.sched.task(task);
        state.runnable_number = number;
        if std::mem::take(&mut state.waits_anew) {
            state.runnable_at_ns = now;
        }
    }

    /// Notes the CPU that was selected for a task.
    pub(crate) fn set_selected_cpu(&mut self, task: TaskId, cpu: u32) {
        self.sched.task(task).selected_cpu = cpu;
        self.show(task, self.layout.task.selected_cpu, u64::from(cpu));
    }

    /// Shows a task's weight.
    pub(crate) fn show_weight(&self, task: TaskId, weight: u64) {
        self.show(task, self.layout.task.weight, weight);
    }

    /// Shows the CPUs that a task may run on; the address of the mask.
    pub(crate) fn show_allowed(&self, task: TaskId) -> u64 {
        let mask = self.task_address(task) + self.layout.task.cpus_mask.offset;
        let allowed = &self.sched.tasks[task.0 as usize].allowed;
        for (at, word) in allowed.words().iter().enumerate() {
            let _ = self.memory.write_u64(mask + 8 * at as u64, *word);
        }
        self.show(task, self.layout.task.nr_cpus_allowed, u64::from(allowed.count()));
        mask
    }

    /// Whether a task is in a queue in the order of virtual time.
    pub(crate) fn is_queued_by_vtime(&self, task: TaskId) -> bool {
        let queue = self.sched.tasks[task.0 as usize].queue;
        queue.is_some_and(|(queue, _)| self.sched.queues.is_by_vtime(queue))
    }

    /// Gives a task a name.
    pub(crate) fn rename(&mut self, task: TaskId, comm: &str) {
        let at = self.task_address(task) + self.layout.task.comm.offset;
        // A task's structure is the machine's own memory.
        let _ = self.memory.write(at, &crate::tasks::comm(comm));
        self.record_rename(task);
    }

    /// Name and number of a task, for messages.
    pub(crate) fn comm_and_pid(&self, task: TaskId) -> (String, u64) {
        self.name_at(self.task_address(task))
    }

    /// Name and number of the task with this address.
    pub(crate) fn name_at(&self, address: u64) -> (String, u64) {
        let layout = &self.layout.task;
        let mut comm = [0; 16];
        let _ = self.memory.read(address + layout.comm.offset, &mut comm);
        let end = comm.iter().position(|byte| *byte == 0).unwrap_or(comm.len());
        let pid = layout.pid.get(&self.memory, address).unwrap_or(0);
        (String::from_utf8_lossy(&comm[..end]).into_owned(), pid)
    }
}
