// SPDX-License-Identifier: GPL-2.0-or-later
//! The callbacks of a scheduler, and calling them.

use super::{Sched, TaskId};
use crate::layout::Field;
use crate::machine::Machine;
use crate::objects::What;
use crate::run::{Stop, StopKind};
use rota_object::{FunctionId, KernelTypes, Table};
use std::collections::BTreeMap;

/// A callback (kernel: `struct sched_ext_ops`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub(crate) enum Op {
    SelectCpu,
    Enqueue,
    Dequeue,
    Dispatch,
    Tick,
    Runnable,
    Running,
    Stopping,
    Quiescent,
    Yield,
    SetWeight,
    SetCpumask,
    UpdateIdle,
    CpuAcquire,
    CpuRelease,
    CpuOnline,
    CpuOffline,
    InitTask,
    ExitTask,
    Enable,
    Disable,
    Dump,
    DumpCpu,
    DumpTask,
    Init,
    Exit,
    CgroupInit,
    CgroupExit,
    CgroupPrepMove,
    CgroupMove,
    CgroupCancelMove,
    CgroupSetWeight,
    CgroupSetBandwidth,
    CgroupSetIdle,
}

/// Number of callbacks.
pub(crate) const OPS: usize = 34;

const NAMES: [(Op, &str); OPS] = [
    (Op::SelectCpu, "select_cpu"),
    (Op::Enqueue, "enqueue"),
    (Op::Dequeue, "dequeue"),
    (Op::Dispatch, "dispatch"),
    (Op::Tick, "tick"),
    (Op::Runnable, "runnable"),
    (Op::Running, "running"),
    (Op::Stopping, "stopping"),
    (Op::Quiescent, "quiescent"),
    (Op::Yield, "yield"),
    (Op::SetWeight, "set_weight"),
    (Op::SetCpumask, "set_cpumask"),
    (Op::UpdateIdle, "update_idle"),
    (Op::CpuAcquire, "cpu_acquire"),
    (Op::CpuRelease, "cpu_release"),
    (Op::CpuOnline, "cpu_online"),
    (Op::CpuOffline, "cpu_offline"),
    (Op::InitTask, "init_task"),
    (Op::ExitTask, "exit_task"),
    (Op::Enable, "enable"),
    (Op::Disable, "disable"),
    (Op::Dump, "dump"),
    (Op::DumpCpu, "dump_cpu"),
    (Op::DumpTask, "dump_task"),
    (Op::Init, "init"),
    (Op::Exit, "exit"),
    (Op::CgroupInit, "cgroup_init"),
    (Op::CgroupExit, "cgroup_exit"),
    (Op::CgroupPrepMove, "cgroup_prep_move"),
    (Op::CgroupMove, "cgroup_move"),
    (Op::CgroupCancelMove, "cgroup_cancel_move"),
    (Op::CgroupSetWeight, "cgroup_set_weight"),
    (Op::CgroupSetBandwidth, "cgroup_set_bandwidth"),
    (Op::CgroupSetIdle, "cgroup_set_idle"),
];

/// Flags of a table of callbacks (kernel: `enum scx_ops_flags`).
pub(crate) mod ops_flags {
    pub(crate) const KEEP_BUILTIN_IDLE: u64 = 1 << 0;
    pub(crate) const ENQ_LAST: u64 = 1 << 1;
    pub(crate) const ENQ_EXITING: u64 = 1 << 2;
    pub(crate) const SWITCH_PARTIAL: u64 = 1 << 3;
    pub(crate) const ENQ_MIGRATION_DISABLED: u64 = 1 << 4;
    pub(crate) const BUILTIN_IDLE_PER_NODE: u64 = 1 << 6;
    pub(crate) const ALWAYS_ENQ_IMMED: u64 = 1 << 7;
}

/// The most that an error number can be, and the one for what is none (kernel: `MAX_ERRNO`,
/// `EPROTO`).
const ERRNO_MAX: i32 = 4095;
const PROTOCOL: i32 = 71;

/// Why no scheduler can be put in charge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// The object has no scheduler.
    #[error("the object has no scheduler: no table of callbacks of the type sched_ext_ops")]
    NoTable,
    /// The scheduler names CPUs by their topological numbers.
    #[error(
        "the scheduler names CPUs by their topological numbers (struct sched_ext_ops_cid); the cid \
         form is not modelled"
    )]
    CidForm,
    /// The scheduler is below another one, or has others below it.
    #[error(
        "the scheduler is one of several, one below the other (it has {0}); sub-schedulers are not \
         modelled"
    )]
    SubScheduler(String),
    /// The table is not laid out as the kernel's.
    #[error("the table of callbacks has no member {0}")]
    Member(&'static str),
    /// The scheduler uses a callback that is not modelled.
    #[error("the callback {0} is not modelled yet")]
    Callback(String),
    /// A number in the table is none that the kernel takes.
    #[error("the kernel does not take {member} {value:#x} in the table of callbacks: {why}")]
    Number {
        /// The member of the table.
        member: &'static str,
        /// What stands there.
        value: u64,
        /// What the kernel wants.
        why: &'static str,
    },
    /// There is a scheduler in charge already.
    #[error("another scheduler is in charge")]
    Busy,
}

/// A function for each callback that there is one for.
#[derive(Debug, Clone, Copy)]
struct Callbacks([Option<FunctionId>; OPS]);

impl Default for Callbacks {
    fn default() -> Self {
        Self([None; OPS])
    }
}

/// The callbacks of a scheduler, with its numbers.
#[derive(Debug, Default)]
pub(crate) struct Ops {
    /// What the table names.
    table: Callbacks,
    /// What of it is called at present: nothing before the scheduler is in charge, but for what
    /// has to do with coming into charge (kernel: `has_op`).
    callbacks: Callbacks,
    pub(crate) name: String,
    pub(crate) flags: u64,
    /// 0 as long as no scheduler is attached, and only then.
    pub(crate) timeout_ns: u64,
    /// Room for the dump, in bytes.
    pub(crate) dump_len: u64,
    /// The number of hotplug events that the scheduler expects; 0 if it expects none.
    pub(crate) hotplug_seq: u64,
    /// How many tasks one call of `dispatch` may insert.
    pub(crate) batch_max: u64,
}

/// How many it may if the scheduler does not say (kernel: `SCX_DSP_DFL_MAX_BATCH`).
const BATCH_MAX: u64 = 32;

/// How long a task may wait at most, and does if the scheduler does not say (kernel:
/// `SCX_WATCHDOG_MAX_TIMEOUT`).
const TIMEOUT_NS: u64 = 30_000_000_000;
/// Room for the dump if the scheduler does not say (kernel: `SCX_EXIT_DUMP_DFL_LEN`).
const DUMP_LEN: u64 = 32_768;

impl Ops {
    /// Takes callbacks and numbers out of a table.
    pub(crate) fn new(table: &Table, types: &KernelTypes) -> Result<Self, AttachError> {
        let bytes = |member: &'static str| {
            let field = crate::layout::ops_member(types, member);
            let field = field.map_err(|_| AttachError::Member(member))?;
            let place = field.offset as usize..(field.offset + field.size) as usize;
            table.bytes.get(place).ok_or(AttachError::Member(member))
        };
        let number = |member: &'static str| {
            Ok(bytes(member)?.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)))
        };
        // Older kernels do not have it.
        if number("sub_cgroup_id").is_ok_and(|id| id != 0) {
            return Err(AttachError::SubScheduler("sub_cgroup_id".to_owned()));
        }
        let name = bytes("name")?;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        let mut ops = Self {
            name: String::from_utf8_lossy(&name[..end]).into_owned(),
            flags: number("flags")?,
            timeout_ns: number("timeout_ms")? * 1_000_000,
            dump_len: number("exit_dump_len")?,
            hotplug_seq: number("hotplug_seq")?,
            ..Self::default()
        };
        ops.check(types)?;
        if ops.timeout_ns == 0 {
            ops.timeout_ns = TIMEOUT_NS;
        }
        if ops.dump_len == 0 {
            ops.dump_len = DUMP_LEN;
        }
        ops.batch_max = match number("dispatch_max_batch")? {
            0 => BATCH_MAX,
            given => given,
        };
        let by_name: BTreeMap<&str, Op> = NAMES.iter().map(|(op, name)| (*name, *op)).collect();
        for (name, function) in &table.callbacks {
            let op = by_name.get(name.as_str()).ok_or_else(|| match name.strip_prefix("sub_") {
                Some(_) => AttachError::SubScheduler(name.clone()),
                None => AttachError::Callback(name.clone()),
            })?;
            ops.table.0[*op as usize] = Some(*function);
        }
        Ok(ops)
    }

    /// Whether the kernel takes the numbers (kernel: `bpf_scx_init_member`).
    fn check(&self, types: &KernelTypes) -> Result<(), AttachError> {
        let known = types.enumerator("SCX_OPS_ALL_FLAGS").map_or(u64::MAX, i64::cast_unsigned);
        let refused = |member, value, why| Err(AttachError::Number { member, value, why });
        if self.flags & !known != 0 {
            return refused("flags", self.flags, "it has a bit that this kernel does not know");
        }
        if self.timeout_ns > TIMEOUT_NS {
            return refused("timeout_ms", self.timeout_ns / 1_000_000, "30000 is the most");
        }
        if self.name.is_empty() {
            return refused("name", 0, "a scheduler has a name");
        }
        Ok(())
    }

    /// From now on, callbacks are called: those about hotplug, or all.
    pub(crate) fn call(&mut self, only_hotplug: bool) {
        for (at, (op, _)) in NAMES.iter().enumerate() {
            let hotplug = matches!(op, Op::CpuOnline | Op::CpuOffline);
            if hotplug || !only_hotplug {
                self.callbacks.0[at] = self.table.0[at];
            }
        }
    }

    /// From now on, no callback is called.
    pub(crate) fn call_none(&mut self) {
        self.callbacks = Callbacks::default();
    }

    /// Whether there is a scheduler, on its way into charge or out of it included.
    pub(crate) fn is_attached(&self) -> bool {
        self.timeout_ns != 0
    }

    /// Whether the scheduler has a callback, which may not be called yet.
    pub(crate) fn names(&self, op: Op) -> bool {
        self.table.0[op as usize].is_some()
    }

    /// Whether the scheduler has a callback, and is in charge.
    pub(crate) fn has(&self, op: Op) -> bool {
        self.callbacks.0[op as usize].is_some()
    }
}

/// How often something was called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Called {
    /// Number of calls.
    pub calls: u64,
    /// Instructions that they executed, without those of callbacks inside them.
    pub insns: u64,
}

impl Sched {
    /// Every callback that the scheduler has, or had, by its name, with how often it was called.
    pub(crate) fn called(&self) -> impl Iterator<Item = (&'static str, Called)> {
        let called = |op: Op| self.called[op as usize];
        let had = move |op: Op| self.ops.names(op) || called(op).calls > 0;
        NAMES.iter().filter(move |(op, _)| had(*op)).map(move |(op, name)| (*name, called(*op)))
    }
}

impl Machine {
    /// Calls a callback on the CPU that executes, if the scheduler has it and is in charge; what it
    /// returns.
    pub(crate) fn op(&mut self, op: Op, args: &[u64]) -> Result<Option<u64>, Stop> {
        let Some(function) = self.sched.ops.callbacks.0[op as usize] else { return Ok(None) };
        self.call(op, function, args).map(Some)
    }

    /// Calls a callback that has to do with coming into charge or ending.
    pub(crate) fn op_at_the_ends(&mut self, op: Op, args: &[u64]) -> Result<Option<u64>, Stop> {
        let Some(function) = self.sched.ops.table.0[op as usize] else { return Ok(None) };
        self.call(op, function, args).map(Some)
    }

    fn call(&mut self, op: Op, function: FunctionId, args: &[u64]) -> Result<u64, Stop> {
        let (here, before) = (self.cpu, std::mem::take(&mut self.insns));
        let calling = Some((op, args.first().copied().unwrap_or(0)));
        let outer = std::mem::replace(&mut self.sched.calling, calling);
        let groups = self.sched.rq(here).groups;
        self.sched.rq(here).groups |= op.groups();
        let calls_before = if self.depth == 0 { 0 } else { self.calls };
        let result = self.run_with_context(function, args);
        self.sched.calling = outer;
        self.sched.rq(here).groups = groups;
        let insns = std::mem::replace(&mut self.insns, before);
        let returned = result?;
        let called = &mut self.sched.called[op as usize];
        called.calls += 1;
        called.insns += insns;
        let costs = &self.shape.costs;
        let calls = self.calls - calls_before;
        let inside_ns = calls * costs.call_ns + insns * costs.insn_ps / 1000;
        self.spend(here, costs.callback_ns + inside_ns);
        Ok(returned)
    }

    /// Calls a callback with a structure behind its other arguments, which lives as long as the
    /// call; what it returns.
    pub(crate) fn op_with(
        &mut self,
        op: Op,
        args: &[u64],
        size: u64,
        members: &[(Field, u64)],
    ) -> Result<Option<u64>, Stop> {
        if !self.sched.ops.has(op) {
            return Ok(None);
        }
        let at = self.scratch(size, members)?;
        let returned = self.op(op, &[args, &[at]].concat());
        // It was allocated by us, so it can be given back.
        let _ = self.drop_owner(at);
        returned
    }

    /// A structure that a callback is shown.
    pub(crate) fn scratch(&mut self, size: u64, members: &[(Field, u64)]) -> Result<u64, Stop> {
        let room = self.new_object(size.max(8), What::Scratch);
        let at = room.ok_or_else(|| Stop::new(StopKind::Memory("it is used up".into()), None))?;
        for (field, value) in members {
            // It has just been allocated, with room for its members.
            let _ = field.set(&self.memory, at, *value);
        }
        Ok(at)
    }

    /// What a callback returned that returns 0 or an error (kernel: `ops_sanitize_err`).
    pub(crate) fn sanitized(&mut self, name: &str, returned: Option<u64>) -> i32 {
        let error = returned.map_or(0, |value| (value as u32).cast_signed());
        if error == 0 || (-ERRNO_MAX..0).contains(&error) {
            return error;
        }
        self.error(format!("ops.{name}() returned an invalid errno {error}"));
        -PROTOCOL
    }

    /// The CPU whose run queue is locked while the callback that runs is called.
    pub(crate) fn locked_rq(&self) -> Option<u32> {
        let (op, arg) = self.sched.calling?;
        match op {
            Op::Dispatch | Op::UpdateIdle => Some(arg as u32),
            Op::SelectCpu => None,
            op if op.is_about_task() => {
                self.scheduled(arg).map(|task| self.sched.tasks[task.0 as usize].cpu)
            }
            _ => None,
        }
    }

    /// Calls a callback about a task.
    #[inline]
    pub(crate) fn task_op(&mut self, op: Op, task: TaskId, arg: u64) -> Result<(), Stop> {
        // Most schedulers have no `tick`, and most runs are not recorded.
        if self.recorder.is_none() && !self.sched.ops.has(op) {
            return Ok(());
        }
        self.called_task_op(op, task, arg)
    }

    fn called_task_op(&mut self, op: Op, task: TaskId, arg: u64) -> Result<(), Stop> {
        self.record_op(op, task, arg);
        let address = self.sched.task(task).address;
        self.op(op, &[address, arg]).map(drop)
    }
}

impl Sched {
    /// Whether the kernel keeps track of idle CPUs itself.
    pub(crate) fn keeps_idle_masks(&self) -> bool {
        !self.ops.names(Op::UpdateIdle) || self.ops.flags & ops_flags::KEEP_BUILTIN_IDLE != 0
    }
}
