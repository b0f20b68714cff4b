// SPDX-License-Identifier: GPL-2.0-or-later
//! What programs can read of CPUs: masks, and the run queue of each (kernel: `struct rq`).

use super::TaskId;
use super::cpus;
use crate::layout::{Field, Layout};
use crate::machine::{CPUS_MAX, Machine};
use rota_bytecode::{Fault, Memory, MemoryError, Protection};
use rota_object::Image;

/// Bytes of a mask: the kernels here are built for [`CPUS_MAX`] CPUs.
pub(crate) const MASK_BYTES: u64 = CPUS_MAX as u64 / 8;
/// A run queue whose CPU is online (kernel: `SCX_RQ_ONLINE`).
const ONLINE: u64 = 1;

/// Where it all is in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    /// The mask of no CPU, of all that the machine has, and of those online.
    pub(crate) none: u64,
    pub(crate) possible: u64,
    pub(crate) online: u64,
    /// The first CPU's run queue, and how far it is from one to the next.
    pub(crate) rqs: u64,
    pub(crate) rq_stride: u64,
    /// Whether a program can look at them; if none can, nobody keeps them up to date.
    pub(crate) rqs_are_read: bool,
}

/// Whether an object has a way to a run queue.
fn reads_rqs(image: &Image) -> bool {
    let variable = image.variables.iter().any(|variable| variable.name == "runqueues");
    let function = |name: &str| matches!(name, "scx_bpf_cpu_rq" | "scx_bpf_locked_rq");
    variable || image.kfuncs.iter().any(|kfunc| function(&kfunc.name))
}

impl Shown {
    /// Of a machine with so many CPUs, all of them online, for the programs of an object.
    pub(crate) fn new(
        memory: &Memory,
        layout: &Layout,
        image: &Image,
        cpus: u32,
    ) -> Result<Self, MemoryError> {
        let rq_stride = layout.rq.size.next_multiple_of(64);
        let none = memory.alloc(3 * MASK_BYTES, 64, Protection::ReadWrite)?;
        let rqs = memory.alloc(rq_stride * u64::from(cpus), 64, Protection::ReadWrite)?;
        let (possible, online) = (none + MASK_BYTES, none + 2 * MASK_BYTES);
        let rqs_are_read = reads_rqs(image);
        let shown = Self { none, possible, online, rqs, rq_stride, rqs_are_read };
        shown.fill(memory, layout, cpus).map_err(|fault| MemoryError::Pointer(fault.pointer))?;
        Ok(shown)
    }

    fn fill(&self, memory: &Memory, layout: &Layout, cpus: u32) -> Result<(), Fault> {
        for at in 0..cpus::words(cpus) {
            let left = cpus - 64 * at as u32;
            let word = if left < 64 { (1 << left) - 1 } else { u64::MAX };
            memory.write_u64(self.possible + 8 * at as u64, word)?;
            memory.write_u64(self.online + 8 * at as u64, word)?;
        }
        for cpu in 0..cpus {
            let rq = self.rq(cpu);
            layout.rq.cpu.set(memory, rq, u64::from(cpu))?;
            layout.rq.online.set(memory, rq, 1)?;
            layout.rq.scx_flags.set(memory, rq, ONLINE)?;
        }
        Ok(())
    }

    /// A CPU's run queue.
    pub(crate) fn rq(&self, cpu: u32) -> u64 {
        self.rqs + u64::from(cpu) * self.rq_stride
    }
}

impl Machine {
    /// Sets a number in a CPU's run queue, which is the machine's own memory.
    pub(crate) fn show_rq(&self, cpu: u32, field: Field, value: u64) {
        let _ = field.set(&self.memory, self.shown.rq(cpu), value);
    }

    /// Shows what runs on a CPU, from now on.
    pub(crate) fn show_current(&self, cpu: u32) {
        if !self.shown.rqs_are_read {
            return;
        }
        let task = self.task_on(cpu);
        let rq = &self.layout.rq;
        let switches = rq.nr_switches.get(&self.memory, self.shown.rq(cpu)).unwrap_or(0);
        self.show_rq(cpu, rq.curr, task);
        self.show_rq(cpu, rq.nr_switches, switches.wrapping_add(1));
        self.show_rq(cpu, rq.clock, self.now_ns);
    }

    /// Shows that one task more, or less, wants to run on a CPU, and whether it is one of the
    /// scheduler's.
    pub(crate) fn show_count(&self, cpu: u32, is_ext: bool, more: bool) {
        if !self.shown.rqs_are_read {
            return;
        }
        let rq = &self.layout.rq;
        let count = |field: Field| {
            let old = field.get(&self.memory, self.shown.rq(cpu)).unwrap_or(0);
            let new = if more { old.wrapping_add(1) } else { old.saturating_sub(1) };
            self.show_rq(cpu, field, new);
        };
        count(rq.nr_running);
        if is_ext {
            count(rq.scx_nr_running);
        }
        self.show_rq(cpu, rq.clock, self.now_ns);
    }

    /// Shows that a CPU comes or goes.
    pub(crate) fn show_online(&self, cpu: u32, online: bool) {
        let (word, bit) = cpus::place(cpu);
        let at = self.shown.online + 8 * word as u64;
        let old = self.memory.read_u64(at).unwrap_or(0);
        let _ = self.memory.write_u64(at, if online { old | bit } else { old & !bit });
        self.show_rq(cpu, self.layout.rq.online, u64::from(online));
        self.show_rq(cpu, self.layout.rq.scx_flags, if online { ONLINE } else { 0 });
    }

    /// The task that runs on a CPU, if need be the idle one.
    pub(crate) fn task_on(&self, cpu: u32) -> u64 {
        let current = self.sched.rqs.get(cpu as usize).and_then(|rq| rq.current);
        match current {
            Some(TaskId(task)) => self.sched.tasks[task as usize].address,
            None => self.tasks.idle.get(cpu as usize).copied().unwrap_or(0),
        }
    }
}
