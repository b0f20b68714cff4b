// SPDX-License-Identifier: GPL-2.0-or-later
//! The tree of cgroups, as the kernel's own structures in the machine's memory.

use crate::layout::Field;
use crate::machine::Machine;
use crate::sched::{GroupId, TOP};
use rota_bytecode::{MemoryError, Protection};
use std::collections::BTreeMap;

/// The number of the outermost cgroup.
pub(crate) const ROOT: u64 = 1;

/// A cgroup.
pub(crate) struct Cgroup {
    /// Its `struct cgroup`.
    pub(crate) address: u64,
    /// The `struct css_set` of tasks that are in it.
    css_set: u64,
    /// The number of the one it is in.
    parent: Option<u64>,
    /// Numbers of those in it, in the order of their making.
    children: Vec<u64>,
    /// Whether it was removed. Programs may still refer to it.
    pub(crate) removed: bool,
    /// Whether the scheduler was told of it.
    pub(crate) initialised: bool,
    pub(crate) knobs: Knobs,
    /// What it is for the fair class.
    pub(crate) group: GroupId,
}

/// What is set of a cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Knobs {
    pub(crate) weight: u64,
    pub(crate) bandwidth: Bandwidth,
    pub(crate) idle: bool,
}

/// How much CPU time a cgroup may use, in µs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bandwidth {
    pub(crate) period_us: u64,
    /// All ones for all of it.
    pub(crate) quota_us: u64,
    pub(crate) burst_us: u64,
}

/// A new cgroup's (kernel: `scx_tg_init()`).
const KNOBS: Knobs = Knobs {
    weight: 100,
    bandwidth: Bandwidth { period_us: 100_000, quota_us: u64::MAX, burst_us: 0 },
    idle: false,
};

/// The cgroups of a machine, by their numbers, the root's first.
#[derive(Default)]
pub(crate) struct Cgroups {
    by_id: BTreeMap<u64, Cgroup>,
}

impl Cgroups {
    /// The cgroup with this number.
    pub(crate) fn get(&self, id: u64) -> Option<&Cgroup> {
        self.by_id.get(&id)
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Cgroup> {
        self.by_id.get_mut(&id)
    }

    /// The cgroup with this number, unless it was removed.
    pub(crate) fn there(&self, id: u64) -> Option<&Cgroup> {
        self.get(id).filter(|cgroup| !cgroup.removed)
    }

    /// Takes a cgroup out of the one it is in.
    pub(crate) fn remove(&mut self, id: u64) {
        let Some(cgroup) = self.by_id.get_mut(&id) else { return };
        cgroup.removed = true;
        let outer = cgroup.parent.and_then(|parent| self.by_id.get_mut(&parent));
        if let Some(outer) = outer {
            outer.children.retain(|child| *child != id);
        }
    }

    /// A cgroup and all below it: each before those in it, or after.
    pub(crate) fn below(&self, id: u64, itself_first: bool) -> Vec<u64> {
        let children = self.by_id.get(&id).map_or(&[][..], |c| &c.children);
        let below = children.iter().flat_map(|child| self.below(*child, itself_first));
        if itself_first {
            std::iter::once(id).chain(below).collect()
        } else {
            below.chain(std::iter::once(id)).collect()
        }
    }

    /// A cgroup and all that it is in.
    pub(crate) fn above(&self, id: u64) -> Vec<u64> {
        std::iter::successors(Some(id), |id| self.by_id.get(id)?.parent).collect()
    }

    /// Those directly in a cgroup.
    pub(crate) fn inside(&self, id: u64) -> Vec<u64> {
        self.by_id.get(&id).map_or_else(Vec::new, |c| c.children.clone())
    }
}

impl Machine {
    /// Makes a cgroup inside another; the first is the root. Its number.
    pub(crate) fn make_cgroup(&mut self, parent: Option<u64>) -> Result<u64, MemoryError> {
        let id = self.cgroups.by_id.last_key_value().map_or(1, |(last, _)| last + 1);
        let level = parent.map_or(0, |parent| self.cgroups.above(parent).len() as u64);
        let (layout, node) = (&self.layout.cgroup, &self.layout.node);
        // The ancestors stand behind the structure.
        let size = layout.size.max(layout.ancestors.offset + 8 * (level + 1));
        // One piece: a machine's memory is in a limited number of them.
        let sizes = [size, node.size, self.layout.css_set.size].map(|s| s.next_multiple_of(64));
        let at = self.memory.alloc(sizes.iter().sum(), 64, Protection::ReadWrite)?;
        let (kn, css_set) = (at + sizes[0], at + sizes[0] + sizes[1]);
        let outer = parent.and_then(|parent| self.cgroups.get(parent)).map_or(0, |c| c.address);
        let css_of_outer = if outer == 0 { 0 } else { outer + layout.css.offset };
        let ancestor = |of: u64, level: u64| {
            Field { offset: layout.ancestors.offset + 8 * level, size: 8 }.get(&self.memory, of)
        };
        let fill = || {
            node.id.set(&self.memory, kn, id)?;
            layout.kn.set(&self.memory, at, kn)?;
            layout.level.set(&self.memory, at, level)?;
            layout.css_cgroup.set(&self.memory, at, at)?;
            layout.css_parent.set(&self.memory, at, css_of_outer)?;
            layout.css_id.set(&self.memory, at, id)?;
            layout.css_serial.set(&self.memory, at, id)?;
            for i in 0..=level {
                let above = if i == level { at } else { ancestor(outer, i)? };
                self.memory.write_u64(at + layout.ancestors.offset + 8 * i, above)?;
            }
            self.layout.css_set.dfl_cgrp.set(&self.memory, css_set, at)
        };
        fill().map_err(|fault| MemoryError::Pointer(fault.pointer))?;
        if let Some(parent) = parent.and_then(|parent| self.cgroups.by_id.get_mut(&parent)) {
            parent.children.push(id);
        }
        let group = match parent {
            Some(parent) => self.sched.fair.groups.make(self.fair_group(parent)),
            None => TOP,
        };
        let cgroup = Cgroup {
            address: at,
            css_set,
            parent,
            children: Vec::new(),
            removed: false,
            initialised: false,
            knobs: KNOBS,
            group,
        };
        self.cgroups.by_id.insert(id, cgroup);
        Ok(id)
    }

    /// What tasks in a cgroup have of it.
    pub(crate) fn css_set(&self, cgroup: u64) -> Result<u64, MemoryError> {
        let found = self.cgroups.get(cgroup).map(|cgroup| cgroup.css_set);
        found.ok_or(MemoryError::Pointer(cgroup))
    }

    /// The address of the cgroup that a task is in; the root's, if it is in none.
    pub(crate) fn cgroup_of(&self, task: u64) -> u64 {
        let id = self.task(task).map_or(1, |task| task.cgroup);
        self.cgroups.get(id).map_or(0, |cgroup| cgroup.address)
    }

    /// The number of the cgroup with this address.
    pub(crate) fn cgroup_at(&self, address: u64) -> Option<u64> {
        let node = self.layout.cgroup.kn.get(&self.memory, address).ok()?;
        let id = self.layout.node.id.get(&self.memory, node).ok()?;
        self.cgroups.get(id).is_some_and(|c| c.address == address).then_some(id)
    }
}
