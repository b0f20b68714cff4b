// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel does for programs: helpers by their numbers, kernel functions by their names.
//!
//! Arguments are not trusted: no verifier has looked at the programs that run here. A pointer that
//! can't be followed is a [`Fault`], which stops the run at the call.

mod arena;
mod cgroup;
mod cpumask;
mod map;
mod memory;
mod numbers;
mod print;
mod repeat;
mod ring;
mod storage;
mod task;

pub(crate) use cpumask::fill as fill_mask;

use crate::machine::Machine;
use crate::run::Callbacks;
use rota_bytecode::Fault;

/// What a kernel function comes to.
pub(crate) enum Answer {
    /// It returns.
    Value(u64),
    /// It calls back, and returns later.
    Callbacks(Box<dyn Callbacks>),
}

/// A helper or kernel function, simulated: from r1 to r5, its answer.
pub(crate) type KernelFunction = fn(&mut Machine, [u64; 5]) -> Result<Answer, Fault>;

/// A plain result.
fn value(value: u64) -> Result<Answer, Fault> {
    Ok(Answer::Value(value))
}

/// Every simulated helper: its number, its name, what it does.
const HELPERS: &[(i32, &str, KernelFunction)] = &[
    (1, "bpf_map_lookup_elem", map::lookup),
    (2, "bpf_map_update_elem", map::update),
    (3, "bpf_map_delete_elem", map::delete),
    (5, "bpf_ktime_get_ns", numbers::now),
    (7, "bpf_get_prandom_u32", numbers::random),
    (8, "bpf_get_smp_processor_id", numbers::cpu),
    (14, "bpf_get_current_pid_tgid", task::current_numbers),
    (15, "bpf_get_current_uid_gid", task::current_user),
    (16, "bpf_get_current_comm", task::current_comm),
    (35, "bpf_get_current_task", task::current),
    (80, "bpf_get_current_cgroup_id", cgroup::current_id),
    (87, "bpf_map_push_elem", map::push),
    (88, "bpf_map_pop_elem", map::pop),
    (89, "bpf_map_peek_elem", map::peek),
    (113, "bpf_probe_read_kernel", memory::read),
    (115, "bpf_probe_read_kernel_str", memory::read_text),
    (118, "bpf_jiffies64", numbers::jiffies),
    (125, "bpf_ktime_get_boot_ns", numbers::now),
    (130, "bpf_ringbuf_output", ring::output),
    (131, "bpf_ringbuf_reserve", ring::reserve),
    (132, "bpf_ringbuf_submit", ring::finish),
    (133, "bpf_ringbuf_discard", ring::finish),
    (134, "bpf_ringbuf_query", ring::query),
    (156, "bpf_task_storage_get", storage::task_get),
    (157, "bpf_task_storage_delete", storage::task_delete),
    (158, "bpf_get_current_task_btf", task::current),
    (164, "bpf_for_each_map_elem", map::for_each),
    (165, "bpf_snprintf", print::snprintf),
    (181, "bpf_loop", repeat::repeat),
    (182, "bpf_strncmp", memory::compare_text),
    (194, "bpf_kptr_xchg", memory::exchange),
    (195, "bpf_map_lookup_percpu_elem", map::lookup_of_cpu),
    (210, "bpf_cgrp_storage_get", storage::cgroup_get),
    (211, "bpf_cgrp_storage_delete", storage::cgroup_delete),
];

/// Every simulated kernel function: its name, what it does.
const KFUNCS: &[(&str, KernelFunction)] = &[
    ("bpf_arena_alloc_pages", arena::alloc_pages),
    ("bpf_arena_free_pages", arena::free_pages),
    ("bpf_cgroup_acquire", cgroup::acquire),
    ("bpf_cgroup_ancestor", cgroup::ancestor),
    ("bpf_cgroup_from_id", cgroup::from_id),
    ("bpf_cgroup_release", cgroup::release),
    ("bpf_cpumask_acquire", cpumask::acquire),
    ("bpf_cpumask_and", cpumask::and),
    ("bpf_cpumask_any_and_distribute", cpumask::any_and),
    ("bpf_cpumask_any_distribute", cpumask::any),
    ("bpf_cpumask_clear", cpumask::clear),
    ("bpf_cpumask_clear_cpu", cpumask::clear_cpu),
    ("bpf_cpumask_copy", cpumask::copy),
    ("bpf_cpumask_create", cpumask::create),
    ("bpf_cpumask_empty", cpumask::empty),
    ("bpf_cpumask_equal", cpumask::equal),
    ("bpf_cpumask_first", cpumask::first),
    ("bpf_cpumask_first_and", cpumask::first_and),
    ("bpf_cpumask_first_zero", cpumask::first_zero),
    ("bpf_cpumask_full", cpumask::full),
    ("bpf_cpumask_intersects", cpumask::intersects),
    ("bpf_cpumask_or", cpumask::or),
    ("bpf_cpumask_release", cpumask::release),
    ("bpf_cpumask_set_cpu", cpumask::set_cpu),
    ("bpf_cpumask_setall", cpumask::set_all),
    ("bpf_cpumask_subset", cpumask::subset),
    ("bpf_cpumask_test_and_clear_cpu", cpumask::test_and_clear),
    ("bpf_cpumask_test_and_set_cpu", cpumask::test_and_set),
    ("bpf_cpumask_test_cpu", cpumask::test),
    ("bpf_cpumask_weight", cpumask::weight),
    ("bpf_cpumask_xor", cpumask::xor),
    ("bpf_iter_css_destroy", cgroup::iter_destroy),
    ("bpf_iter_css_new", cgroup::iter_new),
    ("bpf_iter_css_next", cgroup::iter_next),
    ("bpf_iter_num_destroy", repeat::number_done),
    ("bpf_iter_num_new", repeat::number_new),
    ("bpf_iter_num_next", repeat::number_next),
    ("bpf_iter_task_destroy", task::iter_destroy),
    ("bpf_iter_task_new", task::iter_new),
    ("bpf_iter_task_next", task::iter_next),
    ("bpf_rcu_read_lock", numbers::nothing),
    ("bpf_rcu_read_unlock", numbers::nothing),
    ("bpf_task_acquire", task::acquire),
    ("bpf_task_from_pid", task::from_pid),
    ("bpf_task_from_vpid", task::from_pid),
    ("bpf_task_get_cgroup1", cgroup::first_version),
    ("bpf_task_release", task::release),
    ("bpf_task_under_cgroup", cgroup::has_task),
];

/// Name and simulation of a helper.
pub(crate) fn helper(number: i32) -> (String, Option<KernelFunction>) {
    match HELPERS.iter().find(|(n, ..)| *n == number) {
        Some((_, name, function)) => ((*name).to_owned(), Some(*function)),
        None => (format!("helper {number}"), None),
    }
}

/// The simulation of a kernel function.
pub(crate) fn kfunc(name: &str) -> Option<KernelFunction> {
    KFUNCS.iter().find(|(n, _)| *n == name).map(|(_, function)| *function)
}
