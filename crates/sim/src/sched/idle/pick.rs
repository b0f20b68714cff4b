// SPDX-License-Identifier: GPL-2.0-or-later
//! Taking an idle CPU out of a set.

use super::groups::Group;
use super::{Idle, pick_flags};
use rota_bytecode::Memory;

/// Which groups a search is within.
#[derive(Debug, Clone, Copy)]
pub(super) enum Near {
    /// Those that share the last-level cache with a CPU.
    Llc(u32),
    /// Those in the node of a CPU.
    Node(u32),
    Anywhere,
}

impl Idle {
    /// The group that a search is within.
    fn group(&self, near: Near) -> Option<&Group> {
        match near {
            Near::Llc(cpu) => self.places.llcs.of(cpu),
            Near::Node(cpu) => self.places.nodes.of(cpu),
            Near::Anywhere => None,
        }
    }

    /// The next CPU that is in a set's mask, is allowed, and is near.
    fn find(
        &mut self,
        here: u32,
        (set, cores): (usize, bool),
        allowed: &[u64],
        near: Near,
    ) -> Option<u32> {
        let found = self.sets.get(set)?;
        let mask = if cores { &found.cores } else { &found.cpus };
        if mask.is_empty() {
            return None;
        }
        let last = *self.last.get(here as usize)?;
        let word = |at: usize| mask.words[at] & allowed[at];
        let chosen = match self.group(near) {
            Some(group) => {
                super::cpus::next_round(group.range(), last, |at| word(at) & group.word(at))
            }
            None => super::cpus::next_round(0..allowed.len(), last, word),
        };
        self.last[here as usize] = chosen?;
        chosen
    }

    /// Takes an idle CPU of one set (kernel: `pick_idle_cpu_in_node`).
    pub(super) fn pick_in_set(
        &mut self,
        memory: &Memory,
        here: u32,
        allowed: &[u64],
        (set, near): (usize, Near),
        flags: u64,
    ) -> Option<u32> {
        loop {
            let mut found = None;
            if self.places.smt {
                found = self.find(here, (set, true), allowed, near);
                if found.is_none() && flags & pick_flags::CORE != 0 {
                    return None;
                }
            }
            let cpu = match found {
                Some(cpu) => cpu,
                None => self.find(here, (set, false), allowed, near)?,
            };
            if self.test_and_clear(memory, cpu) {
                return Some(cpu);
            }
        }
    }

    /// Takes an idle CPU: of a set, and then of those of the other nodes, the nearest first
    /// (kernel: `scx_pick_idle_cpu`).
    pub(crate) fn pick(
        &mut self,
        memory: &Memory,
        here: u32,
        allowed: &[u64],
        set: usize,
        flags: u64,
    ) -> Option<u32> {
        let anywhere = |set| (set, Near::Anywhere);
        let found = self.pick_in_set(memory, here, allowed, anywhere(set), flags);
        if found.is_some() || !self.per_node || flags & pick_flags::IN_NODE != 0 {
            return found;
        }
        let others = self.places.nodes_after(set as u32).map_or(0, <[u32]>::len);
        (0..others).find_map(|i| {
            let other = *self.places.nodes_after(set as u32)?.get(i)?;
            self.pick_in_set(memory, here, allowed, anywhere(other as usize), flags)
        })
    }
}
