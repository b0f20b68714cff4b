// SPDX-License-Identifier: GPL-2.0-or-later
//! Which function takes what, and which gives it back. This table is the only place that knows;
//! the functions themselves only count owners.

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
    /// A ring of user space's that is being read.
    Reading,
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
            Self::Pointer => "pointer from a map",
            Self::Iterator => "iterator",
            Self::Dynptr => "dynamic pointer to a record of a ring",
            Self::SpinLock => "spin lock",
            Self::ResilientLock => "resilient spin lock",
            Self::Interrupts => "state of the interrupts",
            Self::ReadSection => "RCU read section",
            Self::Preemption => "section without preemption",
            Self::Reading => "ring that is being read",
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
            Self::Reading => "read to its end",
            Self::Mask
            | Self::IdleMask
            | Self::Task
            | Self::Cgroup
            | Self::Object
            | Self::Pointer => "released",
        }
    }

    /// Whether it is a pointer to an object that has owners, whatever the object is.
    pub(crate) fn is_reference(self) -> bool {
        match self {
            Self::Mask
            | Self::IdleMask
            | Self::Task
            | Self::Cgroup
            | Self::Object
            | Self::Record
            | Self::Pointer => true,
            Self::Iterator
            | Self::Dynptr
            | Self::SpinLock
            | Self::ResilientLock
            | Self::Interrupts
            | Self::ReadSection
            | Self::Preemption
            | Self::Reading => false,
        }
    }
}

/// What calling a function does to what the program holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It returns what has to be given back, or NULL.
    Returns(Kind),
    /// It makes something at an argument, whatever it returns.
    Makes(Kind, usize),
    /// It takes what an argument points to, if it returns 0, or while it calls back.
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
    ("bpf_user_ringbuf_drain", &[Takes(Kind::Reading, 0)]),
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

#[cfg(test)]
mod tests {
    use super::EFFECTS;
    use crate::kernel::{helpers, kfunc};
    use rota_object::KernelTypes;

    #[test]
    fn the_table_is_in_order() {
        let names: Vec<&str> = EFFECTS.iter().map(|(name, _)| *name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
    }

    #[test]
    fn each_name_is_a_function() {
        let types = KernelTypes::builtin("7.3").unwrap();
        let helpers = helpers();
        for (name, _) in EFFECTS {
            let simulated =
                helpers.iter().flatten().any(|f| f.name == *name) || kfunc(name).is_some();
            let tags = types.function(name).map(|id| types.btf().tags_of(id));
            let there = tags.is_some_and(|mut tags| tags.any(|(_, text)| text == "bpf_kfunc"));
            assert!(simulated || there, "{name} is a function of no kernel");
        }
    }
}
