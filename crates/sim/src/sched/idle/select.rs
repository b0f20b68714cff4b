// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel's own choice of an idle CPU for a task that wakes up (kernel: `scx_select_cpu_dfl`).

use super::pick::Near;
use super::{Idle, pick_flags};
use crate::machine::Machine;
use crate::sched::cpus::{has, place};
use crate::sched::{QueueId, TaskId, Version};
use rota_bytecode::Memory;

/// The waker is about to sleep (kernel: `SCX_WAKE_SYNC`).
const WAKE_SYNC: u64 = 16;
/// A task that ends (kernel: `PF_EXITING`).
const EXITING: u64 = 4;

/// A wake-up, as who chooses is told of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wake {
    /// The CPU that the task was on.
    pub(crate) previous: u32,
    /// Flags of the wake-up (kernel: `enum scx_wake_flags`).
    pub(crate) wake: u64,
    /// Flags of the choice.
    pub(crate) flags: u64,
}

/// What a choice looks at.
struct Choice<'a> {
    /// The CPU that chooses, the waker's.
    here: u32,
    wake: Wake,
    allowed: &'a [u64],
    may_stay: bool,
    /// The set that it starts with.
    set: usize,
    /// Whether the waker could leave its CPU to the task.
    waker_leaves: bool,
}

impl Machine {
    /// An idle CPU for a task. With a mask, only one of it, as far as the task may run there.
    pub(crate) fn select_idle(
        &mut self,
        task: TaskId,
        wake: Wake,
        limit: Option<&[u64]>,
    ) -> Option<u32> {
        let own = self.sched.tasks[task.0 as usize].allowed.clone();
        let waker_leaves = wake.wake & WAKE_SYNC != 0 && self.waker_leaves();
        let version = self.sched.version;
        let idle = &mut self.sched.idle;
        let mut both = std::mem::take(&mut idle.limit);
        let allowed = match limit {
            None => own.words(),
            Some(limit) => {
                both.clear();
                both.extend(own.words().iter().zip(limit).map(|(own, limit)| own & limit));
                both.as_slice()
            }
        };
        // Older kernels look at the mask alone.
        let whom = if version.stays_where_allowed { allowed } else { limit.unwrap_or(allowed) };
        let may_stay = has(whom, wake.previous);
        let set = idle.set_of(wake.previous);
        let choice = Choice { here: self.cpu, wake, allowed, may_stay, set, waker_leaves };
        let none = limit.is_some() && allowed.iter().all(|word| *word == 0);
        let found = if none { None } else { idle.select(&self.memory, &choice, version) };
        idle.limit = both;
        found
    }

    /// Whether the waker's CPU is free once it sleeps.
    fn waker_leaves(&mut self) -> bool {
        let here = QueueId::Local(self.cpu);
        let flags = self.layout.task.flags.get(&self.memory, self.current()).unwrap_or(0);
        flags & EXITING == 0 && self.sched.queues.len(here) == 0
    }
}

impl Idle {
    fn select(&mut self, memory: &Memory, choice: &Choice<'_>, version: Version) -> Option<u32> {
        let Choice { wake: Wake { previous, wake, flags }, allowed, .. } = *choice;
        if wake & WAKE_SYNC != 0
            && let Some(cpu) = self.select_sync(memory, choice, version)
        {
            return Some(cpu);
        }
        let near = self.near(choice);
        if self.places.smt {
            let whole = self.sets.get(choice.set).is_some_and(|set| set.cores.has(previous));
            if choice.may_stay && whole && self.test_and_clear(memory, previous) {
                return Some(previous);
            }
            let found = self.select_near(memory, choice, near, pick_flags::CORE);
            if found.is_some() || flags & pick_flags::CORE != 0 {
                return found;
            }
        }
        if choice.may_stay && self.test_and_clear(memory, previous) {
            return Some(previous);
        }
        if self.places.smt && version.prefers_sibling {
            let sibling = self.take_sibling(memory, previous, allowed);
            if sibling.is_some() {
                return sibling;
            }
        }
        self.select_near(memory, choice, near, 0)
    }

    /// The waker is about to sleep: the task stays, or takes the waker's CPU.
    fn select_sync(
        &mut self,
        memory: &Memory,
        choice: &Choice<'_>,
        version: Version,
    ) -> Option<u32> {
        let Choice { here, wake: Wake { previous, flags, .. }, .. } = *choice;
        let shares = self.places.share_cache(here, previous);
        if choice.may_stay && shares && self.test_and_clear(memory, previous) {
            return Some(previous);
        }
        let set = self.set_of(here);
        let near = flags & pick_flags::IN_NODE == 0 || set == choice.set;
        let some = self.sets.get(set).is_some_and(|set| !set.cpus.is_empty());
        if !choice.waker_leaves || !near || !some || !has(choice.allowed, here) {
            return None;
        }
        if version.sync_takes {
            self.test_and_clear(memory, here);
        }
        Some(here)
    }

    /// Where a choice looks first: in the cache and the node of the CPU that the task was on.
    fn near(&self, choice: &Choice<'_>) -> [Option<Near>; 2] {
        let cpu = choice.wake.previous;
        let llc = if self.places.looks_at_llcs { self.places.llcs.of(cpu) } else { None };
        let looks_at_nodes = self.places.looks_at_nodes && !self.per_node;
        let node = if looks_at_nodes { self.places.nodes.of(cpu) } else { None };
        let llc = llc.is_some_and(|group| group.meets(choice.allowed));
        let node = node.is_some_and(|group| group.meets(choice.allowed));
        [llc.then_some(Near::Llc(cpu)), node.then_some(Near::Node(cpu))]
    }

    /// Takes an idle CPU, a near one if there is one.
    fn select_near(
        &mut self,
        memory: &Memory,
        choice: &Choice<'_>,
        near: [Option<Near>; 2],
        more: u64,
    ) -> Option<u32> {
        let Choice { here, allowed, set, .. } = *choice;
        let mut near = near.into_iter().flatten();
        let found =
            near.find_map(|near| self.pick_in_set(memory, here, allowed, (set, near), more));
        found.or_else(|| self.pick(memory, here, allowed, set, choice.wake.flags | more))
    }

    /// Takes another CPU of a CPU's core.
    fn take_sibling(&mut self, memory: &Memory, cpu: u32, allowed: &[u64]) -> Option<u32> {
        let range = self.places.cores.of(cpu)?.range();
        for at in range {
            let mut word = self.places.cores.of(cpu)?.word(at) & allowed[at];
            if place(cpu).0 == at {
                word &= !place(cpu).1;
            }
            while word != 0 {
                let sibling = at as u32 * 64 + word.trailing_zeros();
                word &= word - 1;
                if self.test_and_clear(memory, sibling) {
                    return Some(sibling);
                }
            }
        }
        None
    }
}
