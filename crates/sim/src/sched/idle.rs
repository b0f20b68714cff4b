// SPDX-License-Identifier: GPL-2.0-or-later
//! Which CPUs are idle, and which of them a task gets (kernel: `kernel/sched/ext/idle.c`).

use super::Op;
use crate::machine::Machine;
use crate::run::Stop;
use rota_events::What;
use rota_topology::{CpuId, CpuMask, Topology};

/// Only a core of which every CPU is idle (kernel: `SCX_PICK_IDLE_CORE`).
pub(crate) const IDLE_CORE: u64 = 1;
/// The waker is about to sleep (kernel: `SCX_WAKE_SYNC`).
const WAKE_SYNC: u64 = 16;

/// Idle CPUs, and groups of CPUs that a choice looks at.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    pub(crate) cpus: CpuMask,
    /// CPUs of cores that are wholly idle.
    pub(crate) cores: CpuMask,
    /// The CPUs of each CPU's core; empty without SMT.
    siblings: Vec<CpuMask>,
    /// The CPUs of each CPU's last-level cache and node; empty where that tells nothing.
    llcs: Vec<CpuMask>,
    nodes: Vec<CpuMask>,
    /// Where each CPU chose last (kernel: `distribute_cpu_mask_prev`).
    last: Vec<u32>,
}

impl Idle {
    /// Of a machine, no CPU of which is idle yet.
    pub(crate) fn new(topology: &Topology, cpus: u32) -> Self {
        let groups = |groups: Vec<CpuMask>| -> Vec<CpuMask> {
            let of = |cpu| groups.iter().find(|g| g.contains(CpuId(cpu))).cloned();
            (0..cpus).map(|cpu| of(cpu).unwrap_or_default()).collect()
        };
        let several = |level| {
            let found = topology.groups(level);
            if found.len() > 1 { found } else { Vec::new() }
        };
        let smt = topology.threads_max() > 1;
        let siblings = if smt { topology.groups(rota_topology::Level::Core) } else { Vec::new() };
        let (llcs, nodes) =
            (several(rota_topology::Level::Llc), several(rota_topology::Level::Node));
        // Caches that are the nodes over again tell nothing new.
        let llcs = if llcs == nodes { Vec::new() } else { llcs };
        Self {
            siblings: if smt { groups(siblings) } else { Vec::new() },
            llcs: if llcs.is_empty() { Vec::new() } else { groups(llcs) },
            nodes: if nodes.is_empty() { Vec::new() } else { groups(nodes) },
            last: vec![0; cpus as usize],
            ..Self::default()
        }
    }

    /// Notes that a CPU is idle, or not.
    fn set(&mut self, cpu: u32, idle: bool) {
        let id = CpuId(cpu);
        if idle {
            self.cpus.insert(id)
        } else {
            self.cpus.remove(id)
        };
        let Some(core) = self.siblings.get(cpu as usize) else { return };
        if !idle {
            self.cores = &self.cores - core;
        } else if core.is_subset(&self.cpus) {
            self.cores = &self.cores | core;
        }
    }
}

/// Takes a CPU if it is idle.
pub(crate) fn test_and_clear(machine: &mut Machine, cpu: u32) -> bool {
    let idle = &mut machine.sched.idle;
    if let Some(core) = idle.siblings.get(cpu as usize) {
        idle.cores = &idle.cores - core;
    }
    idle.cpus.remove(CpuId(cpu))
}

/// The first CPU of a mask after the one that this CPU chose last, round and round.
pub(crate) fn distribute(machine: &mut Machine, mask: &CpuMask) -> Option<u32> {
    let here = machine.cpu as usize;
    let last = machine.sched.idle.last.get_mut(here)?;
    let chosen = mask.next_after(CpuId(*last)).or_else(|| mask.first())?;
    *last = chosen.0;
    Some(chosen.0)
}

/// Takes an idle CPU out of a mask.
pub(crate) fn pick_idle(machine: &mut Machine, allowed: &CpuMask, flags: u64) -> Option<u32> {
    let smt = !machine.sched.idle.siblings.is_empty();
    loop {
        let cores = &machine.sched.idle.cores & allowed;
        let mask = match (smt && !cores.is_empty(), flags & IDLE_CORE != 0) {
            (true, _) => cores,
            (false, true) if smt => return None,
            (false, _) => &machine.sched.idle.cpus & allowed,
        };
        let cpu = distribute(machine, &mask)?;
        if test_and_clear(machine, cpu) {
            return Some(cpu);
        }
    }
}

/// The kernel's own choice of an idle CPU for a task that wakes up, seen from the CPU that it was
/// on (kernel: `scx_select_cpu_dfl`).
pub(crate) fn select_cpu_default(
    machine: &mut Machine,
    previous: u32,
    wake_flags: u64,
    allowed: &CpuMask,
    flags: u64,
) -> Option<u32> {
    let here = machine.cpu;
    let may_stay = allowed.contains(CpuId(previous));
    let near = |groups: &[CpuMask]| {
        let group = groups.get(previous as usize)? & allowed;
        (!group.is_empty()).then_some(group)
    };
    let idle = &machine.sched.idle;
    let (llc, node) = (near(&idle.llcs), near(&idle.nodes));
    let shares_cache = idle.llcs.get(here as usize).is_none_or(|g| g.contains(CpuId(previous)));
    let smt = !idle.siblings.is_empty();
    if wake_flags & WAKE_SYNC != 0 {
        if may_stay && shares_cache && test_and_clear(machine, previous) {
            return Some(previous);
        }
        let local = machine.sched.queues.len(super::QueueId::Local(here));
        let some_idle = !machine.sched.idle.cpus.is_empty();
        if local == 0 && some_idle && allowed.contains(CpuId(here)) {
            test_and_clear(machine, here);
            return Some(here);
        }
    }
    if smt {
        let whole = machine.sched.idle.cores.contains(CpuId(previous));
        if may_stay && whole && test_and_clear(machine, previous) {
            return Some(previous);
        }
        let within = [llc.as_ref(), node.as_ref(), Some(allowed)].into_iter().flatten();
        for mask in within {
            if let Some(cpu) = pick_idle(machine, mask, flags | IDLE_CORE) {
                return Some(cpu);
            }
        }
        if flags & IDLE_CORE != 0 {
            return None;
        }
    }
    if may_stay && test_and_clear(machine, previous) {
        return Some(previous);
    }
    if smt {
        let core = machine.sched.idle.siblings.get(previous as usize).cloned().unwrap_or_default();
        for cpu in (&core & allowed).iter().filter(|cpu| cpu.0 != previous) {
            if test_and_clear(machine, cpu.0) {
                return Some(cpu.0);
            }
        }
    }
    let within = [llc.as_ref(), node.as_ref(), Some(allowed)].into_iter().flatten();
    within.into_iter().find_map(|mask| pick_idle(machine, mask, flags))
}

impl Machine {
    /// A CPU has become idle, or busy.
    pub(crate) fn update_idle(&mut self, cpu: u32, idle: bool) -> Result<(), Stop> {
        self.refresh_idle(cpu, idle);
        self.record(None, if idle { What::Idle } else { What::Busy });
        self.op(Op::UpdateIdle, &[u64::from(cpu), u64::from(idle)]).map(drop)
    }

    /// Notes that a CPU is idle, or not, without telling anybody.
    pub(crate) fn refresh_idle(&mut self, cpu: u32, idle: bool) {
        if self.sched.keeps_idle_masks() {
            self.sched.idle.set(cpu, idle);
        }
    }
}
