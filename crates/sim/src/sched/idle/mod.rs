// SPDX-License-Identifier: GPL-2.0-or-later
//! Which CPUs are idle (kernel: `kernel/sched/ext/idle.c`).
//!
//! The masks are in the machine's memory, where programs read them; the words here are the same.
//! Nothing is allocated when a CPU becomes idle or is chosen, and a choice goes over words, not
//! over CPUs.

mod groups;
mod pick;
mod select;

pub(crate) use select::Wake;

use super::shown::MASK_BYTES;
use super::{Op, cpus};
use crate::machine::Machine;
use crate::run::Stop;
use groups::Places;
use rota_bytecode::{Memory, MemoryError, Protection};
use rota_events::What;
use rota_topology::{CpuMask, Topology};

/// Flags of a choice (kernel: `enum scx_pick_idle_cpu_flags`).
pub(crate) mod pick_flags {
    /// Only a core of which every CPU is idle.
    pub(crate) const CORE: u64 = 1;
    /// Only the node that was asked for.
    pub(crate) const IN_NODE: u64 = 2;
}

/// A mask that the kernel keeps for programs to read.
#[derive(Debug, Default)]
pub(crate) struct Mask {
    words: Vec<u64>,
    count: u32,
    /// Where it is in memory; 0 before a scheduler is in charge.
    pub(crate) address: u64,
}

impl Mask {
    fn new(address: u64, cpus: u32) -> Self {
        Self { words: vec![0; cpus::words(cpus)], count: 0, address }
    }

    pub(crate) fn has(&self, cpu: u32) -> bool {
        cpus::has(&self.words, cpu)
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn set_word(&mut self, memory: &Memory, at: usize, word: u64) {
        let old = std::mem::replace(&mut self.words[at], word);
        if old != word {
            self.count = self.count + word.count_ones() - old.count_ones();
            // The mask is the machine's own memory.
            let _ = memory.write_u64(self.address + 8 * at as u64, word);
        }
    }

    /// Adds a CPU or takes it out; whether it was there.
    pub(crate) fn set(&mut self, memory: &Memory, cpu: u32, is_in: bool) -> bool {
        let (at, bit) = cpus::place(cpu);
        let word = self.words[at];
        self.set_word(memory, at, if is_in { word | bit } else { word & !bit });
        word & bit != 0
    }
}

/// The idle CPUs of the machine, or of a node.
#[derive(Debug, Default)]
pub(crate) struct Set {
    pub(crate) cpus: Mask,
    /// CPUs of cores that are wholly idle.
    pub(crate) cores: Mask,
}

/// Idle CPUs, and what a choice looks at.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    /// That of the machine, or one for each number of a node.
    sets: Vec<Set>,
    /// Whether each node has masks of its own (kernel: `SCX_OPS_BUILTIN_IDLE_PER_NODE`).
    pub(crate) per_node: bool,
    pub(crate) places: Places,
    /// Where each CPU chose last (kernel: `distribute_cpu_mask_prev`).
    last: Vec<u32>,
    /// Room for a mask that a choice is limited to.
    limit: Vec<u64>,
}

impl Idle {
    /// Of a machine without a scheduler.
    pub(crate) fn none(cpus: u32) -> Self {
        Self { last: vec![0; cpus as usize], ..Self::default() }
    }

    /// Makes the masks for a scheduler. No CPU is idle yet.
    pub(crate) fn start(
        &mut self,
        memory: &Memory,
        topology: &Topology,
        per_node: bool,
    ) -> Result<(), MemoryError> {
        let cpus = self.last.len() as u32;
        self.places = Places::new(topology, cpus);
        self.per_node = per_node;
        let sets = if per_node { u64::from(self.places.node_ids()) } else { 1 };
        let start = memory.alloc(2 * MASK_BYTES * sets, 64, Protection::ReadWrite)?;
        let mask = |number| Mask::new(start + MASK_BYTES * number, cpus);
        let set = |i| Set { cpus: mask(2 * i), cores: mask(2 * i + 1) };
        self.sets = (0..sets).map(set).collect();
        Ok(())
    }

    /// The set that a CPU is in.
    pub(crate) fn set_of(&self, cpu: u32) -> usize {
        if self.per_node { self.places.node(cpu) as usize } else { 0 }
    }

    /// A set, by its number.
    pub(crate) fn set(&self, number: usize) -> Option<&Set> {
        self.sets.get(number)
    }

    /// Notes that a CPU is idle, or not.
    fn update(&mut self, memory: &Memory, cpu: u32, idle: bool) {
        let number = self.set_of(cpu);
        let Some(set) = self.sets.get_mut(number) else { return };
        set.cpus.set(memory, cpu, idle);
        let core = if self.places.smt { self.places.cores.of(cpu) } else { None };
        let Some(core) = core else { return };
        if idle && !core.is_within(&set.cpus.words) {
            return;
        }
        for at in core.range() {
            let (all, core) = (set.cores.words[at], core.word(at));
            set.cores.set_word(memory, at, if idle { all | core } else { all & !core });
        }
    }

    /// Takes a CPU if it is idle.
    pub(crate) fn test_and_clear(&mut self, memory: &Memory, cpu: u32) -> bool {
        let number = self.set_of(cpu);
        let Some(set) = self.sets.get_mut(number) else { return false };
        if self.places.smt {
            // Its core is not wholly idle, whether it can be had or not.
            match self.places.cores.of(cpu) {
                Some(core) => core.range().for_each(|at| {
                    let word = set.cores.words[at] & !core.word(at);
                    set.cores.set_word(memory, at, word);
                }),
                None => _ = set.cores.set(memory, cpu, false),
            }
        }
        set.cpus.set(memory, cpu, false)
    }

    /// The first CPU of a set after the one that this CPU chose last, round and round (kernel:
    /// `cpumask_any_and_distribute`).
    pub(crate) fn distribute(
        &mut self,
        here: u32,
        range: std::ops::Range<usize>,
        word: impl Fn(usize) -> u64,
    ) -> Option<u32> {
        let last = self.last.get_mut(here as usize)?;
        let chosen = cpus::next_round(range, *last, word)?;
        *last = chosen;
        Some(chosen)
    }

    /// CPUs come or go.
    pub(crate) fn set_online(&mut self, online: &CpuMask) {
        self.places.set_online(online);
    }
}

impl Machine {
    /// A CPU has become idle, or busy.
    pub(crate) fn update_idle(&mut self, cpu: u32, idle: bool) -> Result<(), Stop> {
        self.refresh_idle(cpu, idle);
        self.record(None, if idle { What::Idle } else { What::Busy });
        if self.bypassing() {
            return Ok(());
        }
        self.op(Op::UpdateIdle, &[u64::from(cpu), u64::from(idle)]).map(drop)
    }

    /// Notes that a CPU is idle, or not, without telling anybody.
    pub(crate) fn refresh_idle(&mut self, cpu: u32, idle: bool) {
        if self.sched.keeps_idle_masks() {
            self.sched.idle.update(&self.memory, cpu, idle);
        }
    }

    /// A CPU has come or gone: it is idle, also when it is gone, and what is left of its core is so
    /// again if it was.
    pub(crate) fn refresh_idle_core(&mut self, cpu: u32) {
        self.refresh_idle(cpu, true);
        for other in self.sched.idle.places.core_mates(cpu) {
            let idle = self.sched.rqs.get(other as usize).is_some_and(|rq| rq.current.is_none());
            if idle {
                self.refresh_idle(other, true);
            }
        }
    }

    /// The next CPU of some, as the kernel spreads what it chooses.
    pub(crate) fn distribute(&mut self, set: &[u64]) -> Option<u32> {
        let here = self.cpu;
        self.sched.idle.distribute(here, 0..set.len(), |at| set[at])
    }
}
