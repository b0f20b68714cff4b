// SPDX-License-Identifier: GPL-2.0-or-later
//! The callbacks of a scheduler, and calling them.

use super::{Sched, TaskId};
use crate::machine::Machine;
use crate::run::Stop;
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
    CpuOnline,
    CpuOffline,
    InitTask,
    ExitTask,
    Enable,
    Disable,
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
pub(crate) const OPS: usize = 29;

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
    (Op::CpuOnline, "cpu_online"),
    (Op::CpuOffline, "cpu_offline"),
    (Op::InitTask, "init_task"),
    (Op::ExitTask, "exit_task"),
    (Op::Enable, "enable"),
    (Op::Disable, "disable"),
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
    pub(crate) const BUILTIN_IDLE_PER_NODE: u64 = 1 << 6;
}

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
}

/// The callbacks of a scheduler, with its numbers.
#[derive(Debug, Default)]
pub(crate) struct Ops {
    callbacks: [Option<FunctionId>; NAMES.len()],
    pub(crate) flags: u64,
    /// 0 as long as no scheduler is attached, and only then.
    pub(crate) timeout_ns: u64,
}

/// How long a task may wait if the scheduler does not say (kernel: `SCX_WATCHDOG_MAX_TIMEOUT`).
const TIMEOUT_NS: u64 = 30_000_000_000;

impl Ops {
    /// Takes callbacks and numbers out of a table.
    pub(crate) fn new(table: &Table, types: &KernelTypes) -> Result<Self, AttachError> {
        let number = |member: &'static str| {
            let field = crate::layout::ops_member(types, member);
            let field = field.map_err(|_| AttachError::Member(member))?;
            let bytes =
                table.bytes.get(field.offset as usize..(field.offset + field.size) as usize);
            let bytes = bytes.ok_or(AttachError::Member(member))?;
            Ok(bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)))
        };
        // Older kernels do not have it.
        if number("sub_cgroup_id").is_ok_and(|id| id != 0) {
            return Err(AttachError::SubScheduler("sub_cgroup_id".to_owned()));
        }
        let mut ops = Self { flags: number("flags")?, ..Self::default() };
        ops.timeout_ns = match number("timeout_ms")? {
            0 => TIMEOUT_NS,
            given => given * 1_000_000,
        };
        let by_name: BTreeMap<&str, Op> = NAMES.iter().map(|(op, name)| (*name, *op)).collect();
        for (name, function) in &table.callbacks {
            let op = by_name.get(name.as_str()).ok_or_else(|| match name.strip_prefix("sub_") {
                Some(_) => AttachError::SubScheduler(name.clone()),
                None => AttachError::Callback(name.clone()),
            })?;
            ops.callbacks[*op as usize] = Some(*function);
        }
        Ok(ops)
    }

    /// Whether the scheduler has a callback.
    pub(crate) fn has(&self, op: Op) -> bool {
        self.callbacks[op as usize].is_some()
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
    /// Every callback that the scheduler has, by its name, with how often it was called.
    pub(crate) fn called(&self) -> impl Iterator<Item = (&'static str, Called)> {
        let has = |op: Op| self.ops.has(op);
        NAMES
            .iter()
            .filter(move |(op, _)| has(*op))
            .map(|(op, name)| (*name, self.called[*op as usize]))
    }
}

impl Machine {
    /// Calls a callback on the CPU that executes, if the scheduler has it and is still in charge;
    /// what it returns.
    pub(crate) fn op(&mut self, op: Op, args: &[u64]) -> Result<Option<u64>, Stop> {
        let Some(function) = self.sched.ops.callbacks[op as usize] else { return Ok(None) };
        if self.sched.exit.is_some() && op != Op::Exit {
            return Ok(None);
        }
        let (here, before) = (self.cpu, std::mem::take(&mut self.insns));
        let calling = Some((op, args.first().copied().unwrap_or(0)));
        let outer = std::mem::replace(&mut self.sched.calling, calling);
        let calls_before = if self.depth == 0 { 0 } else { self.calls };
        let result = self.run_with_context(function, args);
        self.sched.calling = outer;
        let insns = std::mem::replace(&mut self.insns, before);
        let called = &mut self.sched.called[op as usize];
        called.calls += 1;
        called.insns += insns;
        let costs = self.shape.costs;
        let calls = self.calls - calls_before;
        let inside_ns = calls * costs.call_ns + insns * costs.insn_ps / 1000;
        self.spend(here, costs.callback_ns + inside_ns);
        result.map(Some)
    }

    /// The CPU whose run queue is locked while the callback that runs is called.
    pub(crate) fn locked_rq(&self) -> Option<u32> {
        let (op, arg) = self.sched.calling?;
        match op {
            Op::Dispatch | Op::UpdateIdle => Some(arg as u32),
            Op::Enqueue
            | Op::Dequeue
            | Op::Tick
            | Op::Runnable
            | Op::Running
            | Op::Stopping
            | Op::Quiescent
            | Op::Yield
            | Op::SetWeight
            | Op::SetCpumask
            | Op::ExitTask
            | Op::Enable
            | Op::Disable
            | Op::CgroupMove => {
                self.layout.task.cpu.get(&self.memory, arg).ok().map(|cpu| cpu as u32)
            }
            _ => None,
        }
    }

    /// Calls a callback about a task.
    pub(crate) fn task_op(&mut self, op: Op, task: TaskId, arg: u64) -> Result<(), Stop> {
        self.record_op(op, task, arg);
        let address = self.sched.task(task).address;
        self.op(op, &[address, arg]).map(drop)
    }
}

impl Sched {
    /// Whether the kernel keeps track of idle CPUs itself.
    pub(crate) fn keeps_idle_masks(&self) -> bool {
        !self.ops.has(Op::UpdateIdle) || self.ops.flags & ops_flags::KEEP_BUILTIN_IDLE != 0
    }
}
