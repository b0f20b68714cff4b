// SPDX-License-Identifier: GPL-2.0-or-later
//! What a program has taken and must give back: references, locks, sections. The kernel's
//! verifier proves that every path does; no verifier has looked at what runs here.
//!
//! A table says of each function what calling it takes and gives back. It is the only place that
//! knows; the functions themselves only count owners.

use crate::machine::Machine;
use crate::pool::FreeError;
use rota_bytecode::{Place, Spot};

/// What a program did that the kernel's verifier does not let a program do.
#[derive(Debug, thiserror::Error)]
pub enum Misuse {
    /// It gives back what it does not hold.
    #[error("{what} at {pointer:#x} is not held: it was given back before, or never taken")]
    NotHeld {
        /// What it should be.
        what: &'static str,
        /// Where it should be.
        pointer: u64,
    },
    /// It takes a lock that it holds already.
    #[error("this waits for ever: the lock is held already, since {0}")]
    Deadlock(Box<Place>),
    /// It allocates an object of a type that it does not have.
    #[error("type {0} is no structure of the program's")]
    Type(u32),
    /// It wants to own an object together with others, whose type does not count owners.
    #[error("the object at {0:#x} has no bpf_refcount")]
    Uncounted(u64),
    /// It frees an object that is none.
    #[error(transparent)]
    Free(#[from] FreeError),
}

/// What can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Mask,
    IdleMask,
    Task,
    Cgroup,
    Object,
    Record,
    /// What a `__kptr` owned until it was taken out.
    Pointer,
    Iterator,
    Dynptr,
    SpinLock,
    ResilientLock,
    Interrupts,
    ReadSection,
    Preemption,
}

impl Kind {
    /// What it is, in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Mask => "CPU mask",
            Self::IdleMask => "mask of idle CPUs",
            Self::Task => "task",
            Self::Cgroup => "cgroup",
            Self::Object => "allocated object",
            Self::Record => "record of a ring",
            Self::Pointer => "pointer taken out of a map",
            Self::Iterator => "iterator",
            Self::Dynptr => "dynamic pointer to a record of a ring",
            Self::SpinLock => "spin lock",
            Self::ResilientLock => "resilient spin lock",
            Self::Interrupts => "state of the interrupts",
            Self::ReadSection => "RCU read section",
            Self::Preemption => "section without preemption",
        }
    }

    /// What has to be done with it.
    pub(crate) fn duty(self) -> &'static str {
        match self {
            Self::Record | Self::Dynptr => "submitted or discarded",
            Self::SpinLock | Self::ResilientLock => "unlocked",
            Self::Iterator => "destroyed",
            Self::Interrupts => "restored",
            Self::ReadSection | Self::Preemption => "left",
            _ => "released",
        }
    }

    /// Whether it is a pointer to an object that has owners, whatever the object is.
    fn is_reference(self) -> bool {
        !matches!(
            self,
            Self::Iterator
                | Self::Dynptr
                | Self::SpinLock
                | Self::ResilientLock
                | Self::Interrupts
                | Self::ReadSection
                | Self::Preemption
        )
    }
}

/// What calling a function does to what the program holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It returns what has to be given back, or NULL.
    Returns(Kind),
    /// It makes something at an argument, whatever it returns.
    Makes(Kind, usize),
    /// It takes what an argument points to, if it returns 0.
    Takes(Kind, usize),
    /// It enters a section.
    Enters(Kind),
    /// It gives back what an argument points to, if that is not NULL.
    GivesBack(Kind, usize),
    /// It leaves a section.
    Leaves(Kind),
}

use Effect::{Enters, GivesBack, Leaves, Makes, Returns, Takes};

/// What functions take and give back, by their names.
const EFFECTS: &[(&str, &[Effect])] = &[
    ("bpf_cgroup_acquire", &[Returns(Kind::Cgroup)]),
    ("bpf_cgroup_ancestor", &[Returns(Kind::Cgroup)]),
    ("bpf_cgroup_from_id", &[Returns(Kind::Cgroup)]),
    ("bpf_cgroup_release", &[GivesBack(Kind::Cgroup, 0)]),
    ("bpf_cpumask_acquire", &[Returns(Kind::Mask)]),
    ("bpf_cpumask_create", &[Returns(Kind::Mask)]),
    ("bpf_cpumask_release", &[GivesBack(Kind::Mask, 0)]),
    ("bpf_iter_bits_destroy", &[GivesBack(Kind::Iterator, 0)]),
    ("bpf_iter_bits_new", &[Makes(Kind::Iterator, 0)]),
    ("bpf_iter_css_destroy", &[GivesBack(Kind::Iterator, 0)]),
    ("bpf_iter_css_new", &[Makes(Kind::Iterator, 0)]),
    ("bpf_iter_num_destroy", &[GivesBack(Kind::Iterator, 0)]),
    ("bpf_iter_num_new", &[Makes(Kind::Iterator, 0)]),
    ("bpf_iter_scx_dsq_destroy", &[GivesBack(Kind::Iterator, 0)]),
    ("bpf_iter_scx_dsq_new", &[Makes(Kind::Iterator, 0)]),
    ("bpf_iter_task_destroy", &[GivesBack(Kind::Iterator, 0)]),
    ("bpf_iter_task_new", &[Makes(Kind::Iterator, 0)]),
    ("bpf_kptr_xchg", &[GivesBack(Kind::Pointer, 1), Returns(Kind::Pointer)]),
    ("bpf_list_add", &[GivesBack(Kind::Object, 1)]),
    ("bpf_list_add_impl", &[GivesBack(Kind::Object, 1)]),
    ("bpf_list_del", &[Returns(Kind::Object)]),
    ("bpf_list_pop_back", &[Returns(Kind::Object)]),
    ("bpf_list_pop_front", &[Returns(Kind::Object)]),
    ("bpf_list_push_back", &[GivesBack(Kind::Object, 1)]),
    ("bpf_list_push_back_impl", &[GivesBack(Kind::Object, 1)]),
    ("bpf_list_push_front", &[GivesBack(Kind::Object, 1)]),
    ("bpf_list_push_front_impl", &[GivesBack(Kind::Object, 1)]),
    ("bpf_local_irq_restore", &[GivesBack(Kind::Interrupts, 0)]),
    ("bpf_local_irq_save", &[Makes(Kind::Interrupts, 0)]),
    ("bpf_obj_drop", &[GivesBack(Kind::Object, 0)]),
    ("bpf_obj_drop_impl", &[GivesBack(Kind::Object, 0)]),
    ("bpf_obj_new", &[Returns(Kind::Object)]),
    ("bpf_obj_new_impl", &[Returns(Kind::Object)]),
    ("bpf_percpu_obj_drop", &[GivesBack(Kind::Object, 0)]),
    ("bpf_percpu_obj_drop_impl", &[GivesBack(Kind::Object, 0)]),
    ("bpf_percpu_obj_new", &[Returns(Kind::Object)]),
    ("bpf_percpu_obj_new_impl", &[Returns(Kind::Object)]),
    ("bpf_preempt_disable", &[Enters(Kind::Preemption)]),
    ("bpf_preempt_enable", &[Leaves(Kind::Preemption)]),
    ("bpf_rbtree_add", &[GivesBack(Kind::Object, 1)]),
    ("bpf_rbtree_add_impl", &[GivesBack(Kind::Object, 1)]),
    ("bpf_rbtree_remove", &[Returns(Kind::Object)]),
    ("bpf_rcu_read_lock", &[Enters(Kind::ReadSection)]),
    ("bpf_rcu_read_unlock", &[Leaves(Kind::ReadSection)]),
    ("bpf_refcount_acquire", &[Returns(Kind::Object)]),
    ("bpf_refcount_acquire_impl", &[Returns(Kind::Object)]),
    ("bpf_res_spin_lock", &[Takes(Kind::ResilientLock, 0)]),
    ("bpf_res_spin_lock_irqsave", &[Takes(Kind::ResilientLock, 0), Takes(Kind::Interrupts, 1)]),
    ("bpf_res_spin_unlock", &[GivesBack(Kind::ResilientLock, 0)]),
    (
        "bpf_res_spin_unlock_irqrestore",
        &[GivesBack(Kind::ResilientLock, 0), GivesBack(Kind::Interrupts, 1)],
    ),
    ("bpf_ringbuf_discard", &[GivesBack(Kind::Record, 0)]),
    ("bpf_ringbuf_discard_dynptr", &[GivesBack(Kind::Dynptr, 0)]),
    ("bpf_ringbuf_reserve", &[Returns(Kind::Record)]),
    ("bpf_ringbuf_reserve_dynptr", &[Makes(Kind::Dynptr, 3)]),
    ("bpf_ringbuf_submit", &[GivesBack(Kind::Record, 0)]),
    ("bpf_ringbuf_submit_dynptr", &[GivesBack(Kind::Dynptr, 0)]),
    ("bpf_spin_lock", &[Takes(Kind::SpinLock, 0)]),
    ("bpf_spin_unlock", &[GivesBack(Kind::SpinLock, 0)]),
    ("bpf_task_acquire", &[Returns(Kind::Task)]),
    ("bpf_task_from_pid", &[Returns(Kind::Task)]),
    ("bpf_task_from_vpid", &[Returns(Kind::Task)]),
    ("bpf_task_get_cgroup1", &[Returns(Kind::Cgroup)]),
    ("bpf_task_release", &[GivesBack(Kind::Task, 0)]),
    ("scx_bpf_get_idle_cpumask", &[Returns(Kind::IdleMask)]),
    ("scx_bpf_get_idle_cpumask_node", &[Returns(Kind::IdleMask)]),
    ("scx_bpf_get_idle_smtmask", &[Returns(Kind::IdleMask)]),
    ("scx_bpf_get_idle_smtmask_node", &[Returns(Kind::IdleMask)]),
    ("scx_bpf_get_online_cpumask", &[Returns(Kind::Mask)]),
    ("scx_bpf_get_possible_cpumask", &[Returns(Kind::Mask)]),
    ("scx_bpf_put_cpumask", &[GivesBack(Kind::Mask, 0)]),
    ("scx_bpf_put_idle_cpumask", &[GivesBack(Kind::IdleMask, 0)]),
    ("scx_bpf_task_cgroup", &[Returns(Kind::Cgroup)]),
];

/// What calling a function takes and gives back.
pub(crate) fn effects(name: &str) -> &'static [Effect] {
    let found = EFFECTS.binary_search_by_key(&name, |(known, _)| known);
    found.ok().and_then(|i| EFFECTS.get(i)).map_or(&[], |(_, effects)| effects)
}

/// What was taken and not given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) kind: Kind,
    /// Where it is; 0 of a section.
    pub(crate) pointer: u64,
    /// How deep inside others the execution is that took it.
    depth: usize,
    /// The call that took it.
    pub(crate) at: Spot,
}

/// Everything that the programs hold which are running, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct References {
    held: Vec<Held>,
}

impl References {
    pub(crate) fn take(&mut self, kind: Kind, pointer: u64, depth: usize, at: Spot) {
        self.held.push(Held { kind, pointer, depth, at });
    }

    /// Gives something back; whether it was held. Interrupts are restored in reverse order only.
    pub(crate) fn give_back(&mut self, kind: Kind, pointer: u64) -> bool {
        let same = |held: &Held| {
            let kinds = held.kind == kind || held.kind.is_reference() && kind.is_reference();
            kinds && held.pointer == pointer
        };
        let mut newest = self.held.iter().rposition(same);
        if kind == Kind::Interrupts {
            let last = self.held.iter().rposition(|held| held.kind == kind);
            newest = newest.filter(|found| Some(*found) == last);
        }
        newest.map(|found| self.held.remove(found)).is_some()
    }

    /// Since when a lock is held, if it is.
    pub(crate) fn lock(&self, pointer: u64) -> Option<Held> {
        let locks = [Kind::SpinLock, Kind::ResilientLock];
        let same = |held: &&Held| locks.contains(&held.kind) && held.pointer == pointer;
        self.held.iter().find(same).copied()
    }

    /// What an execution holds that ends at this depth, all of which it is then rid of.
    pub(crate) fn end(&mut self, depth: usize) -> Option<Held> {
        let first = self.held.iter().position(|held| held.depth >= depth)?;
        let left = self.held.get(first).copied();
        self.held.retain(|held| held.depth < depth);
        left
    }
}

impl Machine {
    /// What a program may hold a reference to by this pointer: of an object, its start.
    fn referred(&self, kind: Kind, pointer: u64) -> u64 {
        let start = if kind.is_reference() { self.pool.start_of(pointer) } else { None };
        start.unwrap_or(pointer)
    }

    /// What the program gives back with a call.
    pub(crate) fn before_call(
        &mut self,
        effects: &[Effect],
        args: &[u64; 5],
    ) -> Result<(), Misuse> {
        for effect in effects {
            let (kind, pointer) = match *effect {
                GivesBack(kind, argument) if args[argument] != 0 => {
                    (kind, self.referred(kind, args[argument]))
                }
                Leaves(kind) => (kind, 0),
                _ => continue,
            };
            if !self.references.give_back(kind, pointer) {
                return Err(Misuse::NotHeld { what: kind.words(), pointer });
            }
        }
        Ok(())
    }

    /// What the program takes with a call that has returned.
    pub(crate) fn after_call(
        &mut self,
        effects: &[Effect],
        args: &[u64; 5],
        returned: u64,
        spot: Spot,
    ) {
        for effect in effects {
            let (kind, pointer) = match *effect {
                Returns(kind) if returned != 0 => (kind, self.referred(kind, returned)),
                Makes(kind, argument) => (kind, args[argument]),
                Takes(kind, argument) if returned == 0 => (kind, args[argument]),
                Enters(kind) => (kind, 0),
                _ => continue,
            };
            // The execution that calls is the innermost one.
            self.references.take(kind, pointer, self.depth.saturating_sub(1), spot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::EFFECTS;

    #[test]
    fn the_table_is_in_order() {
        let names: Vec<&str> = EFFECTS.iter().map(|(name, _)| *name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
    }
}
