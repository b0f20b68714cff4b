// SPDX-License-Identifier: GPL-2.0-or-later
//! The core of sched_ext (kernel: `kernel/sched/ext.c`, `idle.c`, and what of `core.c` it hangs
//! on), as a model in time.
//!
//! * [`cpu`]: a CPU chooses what to run and switches to it; wake-ups and ticks make it choose.
//! * [`queue`]: dispatch queues; [`ext`]: tasks on their way into them and out of them;
//!   [`moves`]: from one to another; [`reenqueue`]: back to the scheduler.
//! * [`context`]: which functions a callback may call.
//! * [`bypass`]: tasks go past the scheduler; [`fair`]: the class of those that it does not have.
//! * [`events`]: the core's counters; [`dump`]: what is written down of a scheduler that failed.
//! * [`idle`]: which CPUs are idle, and which of them a task gets; [`cpus`]: sets of CPUs.
//! * [`shown`]: what programs can read of CPUs.
//! * [`attach`]: how a scheduler comes into charge; [`exit`]: how it ends.
//! * [`life`]: tasks come and go; [`change`]: what is done to them; [`hotplug`]: CPUs go and come.
//! * [`cgroup`]: what the scheduler is told of cgroups.
//!
//! A CPU executes one thing at a time, and everything that is due at one moment happens in the
//! order in which it became due. Where the kernel takes a lock, it is taken here too: that means
//! something only if CPUs are interleaved, as whatever calls the scheduler back can stand still
//! then. What was found out before a lock was waited for has to be looked at again.

mod attach;
mod bypass;
mod cgroup;
mod change;
mod context;
mod cpu;
pub(crate) mod cpus;
mod dump;
mod events;
mod exit;
mod ext;
mod facts;
mod fair;
mod hotplug;
mod idle;
mod life;
mod line;
mod moves;
mod ops;
mod queue;
mod reenqueue;
mod shown;
mod task;
mod version;

pub use attach::AttachStop;
pub use fair::{
    Agreement, Decisions, DecisionsAgreement, DecisionsError, Disagreement, EEVDF_LEAVES_OUT,
    FairTrace, TraceError,
};
pub use ops::{AttachError, Called};

pub(crate) use cgroup::Done;
pub(crate) use context::{Allowed, group};
pub(crate) use cpu::Waker;
pub(crate) use cpus::{CpuSet, CpuSets};
pub(crate) use exit::{BPF, BPF_ERROR};
pub(crate) use ext::flags;
pub(crate) use fair::{GroupId, TOP};
pub(crate) use idle::{Wake, pick_flags};
pub(crate) use ops::{OPS, Op, Ops, ops_flags};
pub(crate) use queue::{BYPASS, Cursor, GLOBAL, LOCAL, LOCAL_ON, QueueId, Queues};
use reenqueue::Asked;
pub(crate) use shown::Shown;
pub(crate) use task::{Class, Insert, Orders, TaskId, TaskState};
pub(crate) use version::Version;

use crate::agenda::{Agenda, Ticket};
use dump::Dumping;
use events::{Event, Events};
use fair::{Balance, Company, CpuLoad, Entity, Fair, NICE_0, Queue};
use idle::Idle;
use rota_object::ExitInfo;
use rota_topology::CpuMask;
use std::collections::{BTreeMap, VecDeque};

/// Length of a tick in ns, at 250 a second.
pub(crate) const TICK_NS: u64 = 4_000_000;
/// What a task's slice is filled up to by default (kernel: `SCX_SLICE_DFL`).
pub(crate) const SLICE_DEFAULT_NS: u64 = 20_000_000;
/// A slice without an end (kernel: `SCX_SLICE_INF`).
pub(crate) const SLICE_INFINITE: u64 = u64::MAX;

/// Something that happens at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// A CPU that was told to choose again does.
    Schedule(u32),
    /// The tick of a CPU, unless that is idle.
    Tick(u32),
    /// Tasks of a CPU's queues go back to the scheduler, if they have not yet.
    GoBack(u32),
    /// A CPU is kicked.
    Kick(Kick),
    /// The slice of a task of the fair class is over on a CPU.
    Slice(u32),
    /// A CPU that sleeps balances the load of all that do.
    Balance(u32),
    /// A CPU gives a task of the fair class to another one.
    Push(u32, u32),
    /// A task has run as long as it wanted to, if that run is still the one with this number.
    Ran(TaskId, u64),
    /// A task has slept for as long as it wanted to, if that sleep is still the one with this
    /// number.
    Wake(TaskId, u64),
    /// A source from outside, by its number, signals its event.
    Outside(u32),
    /// A CPU goes on with what it is in the middle of.
    GoOn(u32),
    /// A CPU does what it has to, if it is in the middle of nothing.
    Begin(u32),
    /// The watchdog looks for tasks that wait for too long.
    Watchdog,
    /// A scheduler that has ended is taken off.
    Disable(u32),
}

/// A kick that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kick {
    pub(crate) cpu: u32,
    pub(crate) only_if_idle: bool,
    pub(crate) preempt: bool,
}

/// What a CPU has of the scheduler.
#[derive(Debug, Default)]
pub(crate) struct Rq {
    /// What runs; `None` is the idle task.
    pub(crate) current: Option<TaskId>,
    /// Whether the CPU has been told to choose again.
    pub(crate) resched: bool,
    /// When its clock was last read; what runs is charged by that.
    pub(crate) clock_ns: u64,
    /// Whether the next choice goes by the clock as it was last read, and the time that goes by if
    /// a choice that does so is under way.
    pub(crate) keeps_clock: bool,
    pub(crate) kept_clock_ns: Option<u64>,
    /// Until when what runs is in the kernel, where it is not preempted.
    pub(crate) kernel_until_ns: u64,
    pub(crate) in_dispatch: bool,
    pub(crate) online: bool,
    /// Tasks of the real-time class that want to run, but for the one that runs.
    pub(crate) realtime: VecDeque<TaskId>,
    /// The queue of the fair class.
    pub(crate) fair: Queue,
    pub(crate) fair_load: CpuLoad,
    /// Its tasks, who ran last at the end, and the number of the next turn.
    pub(crate) fair_turns: BTreeMap<u64, TaskId>,
    pub(crate) fair_turn: u64,
    pub(crate) balance: Balance,
    /// Whom the idle task wakes up.
    pub(crate) idle_company: Company,
    /// The timer that ends the slice of a task of that class.
    pub(crate) slice_timer: Option<Ticket>,
    /// Whether what runs was asked to give way when it comes back from the kernel anyway.
    pub(crate) lazy: bool,
    /// Whether the scheduler has been told that a higher class took the CPU.
    pub(crate) released: bool,
    /// Whether the scheduler is owed to hear that the CPU is idle.
    pub(crate) tell_idle: bool,
    /// Tasks whose insertion into another CPU's local queue has to wait until this one's run queue
    /// is free.
    pub(crate) deferred: VecDeque<TaskId>,
    /// The task that `enqueue` or `select_cpu` is being called for, while it may be dispatched
    /// directly; then that it was.
    pub(crate) direct: Direct,
    /// What `dispatch` has inserted so far in the present call.
    pub(crate) buffer: Vec<Buffered>,
    /// How many tasks in the local queue are to run at once.
    pub(crate) immediate: u32,
    /// Which tasks are to go back to the scheduler.
    pub(crate) asked_back: Asked,
    /// How many tasks were moved or inserted in the present call of `dispatch`.
    pub(crate) moved: u32,
    /// Whether the next tick will come.
    pub(crate) ticks: bool,
    /// When what runs will be done, if that is after the next tick: time in ns, task, and its run.
    pub(crate) ran: Option<(u64, TaskId, u64)>,
    /// When what runs started to.
    pub(crate) started_ns: u64,
    /// How long tasks have run here, in ns.
    pub(crate) busy_ns: u64,
    /// Up to when that counts what runs.
    pub(crate) busy_until_ns: u64,
    /// What has been done here that costs time which no task has spent yet, in ns, and when that was
    /// last told.
    pub(crate) spent_ns: u64,
    pub(crate) spent_at_ns: u64,
    /// When the CPU will be done with what it has had to do so far.
    pub(crate) done_ns: u64,
    /// Which functions the callback may call that runs here, with all that led to it.
    pub(crate) groups: u32,
}

/// Whether a task may be dispatched directly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Direct {
    /// No callback runs that could.
    #[default]
    No,
    /// This one may.
    Task(TaskId),
    /// It was.
    Done,
}

/// An insertion that waits for the end of `dispatch`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Buffered {
    pub(crate) task: TaskId,
    /// The round of queueing that the task was in.
    pub(crate) round: u64,
    pub(crate) insert: Insert,
}

/// How far a scheduler is on its way into charge or out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// There is none.
    Off,
    /// It is told of the tasks that there are.
    Enabling,
    /// It gets them.
    Switching,
    On,
    /// They are taken from it.
    Disabling,
}

/// The state of the scheduler on a machine.
pub(crate) struct Sched {
    pub(crate) ops: Ops,
    pub(crate) version: Version,
    pub(crate) phase: Phase,
    pub(crate) rqs: Vec<Rq>,
    pub(crate) tasks: Vec<TaskState>,
    /// What the fair class knows of each of them.
    pub(crate) entities: Vec<Entity>,
    pub(crate) fair: Fair,
    pub(crate) queues: Queues,
    /// Ways through queues, by the addresses of the programs' iterators.
    pub(crate) cursors: BTreeMap<u64, Cursor>,
    pub(crate) idle: Idle,
    pub(crate) agenda: Agenda<Due>,
    pub(crate) online: CpuMask,
    pub(crate) cpu_sets: CpuSets,
    /// How often each callback was called.
    pub(crate) called: [Called; OPS],
    /// Whether the scheduler is told of cgroups (kernel: `scx_cgroup_enabled`).
    pub(crate) cgroups: bool,
    /// The callback that runs, with its first argument.
    pub(crate) calling: Option<(Op, u64)>,
    pub(crate) events: Events,
    /// What is being dumped, while a callback does.
    pub(crate) dumping: Option<Dumping>,
    /// How many ask for the scheduler to be bypassed, and since when it is.
    pub(crate) bypass_depth: u32,
    pub(crate) bypass_since_ns: u64,
    /// How often tasks came to wait.
    pub(crate) runnables: u64,
    /// How often CPUs have switched to a task.
    pub(crate) switches: u64,
    /// How often CPUs came and went.
    pub(crate) hotplug_seq: u64,
    /// Why the scheduler ended, or is about to.
    pub(crate) exit: Option<ExitInfo>,
}

impl Sched {
    /// The state of a task.
    pub(crate) fn task(&mut self, id: TaskId) -> &mut TaskState {
        &mut self.tasks[id.0 as usize]
    }

    /// The state of a CPU.
    pub(crate) fn rq(&mut self, cpu: u32) -> &mut Rq {
        &mut self.rqs[cpu as usize]
    }

    /// A CPU runs something else from now on.
    pub(crate) fn set_current(&mut self, cpu: u32, task: Option<TaskId>) {
        self.fair.touch(cpu);
        let rq = self.rq(cpu);
        (rq.current, rq.kernel_until_ns) = (task, 0);
    }

    /// The real-time tasks that wait for a CPU, to be changed.
    pub(crate) fn realtime(&mut self, cpu: u32) -> &mut VecDeque<TaskId> {
        self.fair.touch(cpu);
        &mut self.rq(cpu).realtime
    }
}
