// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel does for programs: helpers by their numbers, kernel functions by their names.
//!
//! Arguments are not trusted: no verifier has looked at the programs that run here. A pointer that
//! can't be followed is a [`Fault`], which stops the run at the call.

mod arena;
mod bits;
mod cgroup;
mod counter;
mod cpumask;
mod dynptr;
mod list;
mod lock;
mod map;
mod memory;
mod numbers;
mod object;
mod print;
mod repeat;
mod ring;
mod scx;
mod storage;
mod task;
#[cfg(test)]
mod tests;
mod text;
mod timer;
mod tree;
mod variable;

pub(crate) use cpumask::fill as fill_mask;
pub(crate) use storage::end as end_storage;

use crate::effects::{Effect, effects};
use crate::machine::Machine;
use crate::references::Misuse;
use crate::run::{Callbacks, Stop};
use rota_bytecode::Fault;

/// What a kernel function comes to.
pub(crate) enum Answer {
    /// It returns.
    Value(u64),
    /// It calls back, and returns later.
    Callbacks(Box<dyn Callbacks>),
    /// The program did with it what no verifier lets through.
    Misuse(Misuse),
    /// It ends the program at once, which returns this.
    Throw(u64),
    /// A callback of the scheduler that it led to was stopped.
    Stop(Stop),
}

/// A function that is simulated.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) call: KernelFunction,
    pub(crate) effects: &'static [Effect],
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
    (4, "bpf_probe_read", memory::read),
    (5, "bpf_ktime_get_ns", numbers::now),
    (6, "bpf_trace_printk", print::trace_printk),
    (7, "bpf_get_prandom_u32", numbers::random),
    (8, "bpf_get_smp_processor_id", numbers::cpu),
    (14, "bpf_get_current_pid_tgid", task::current_numbers),
    (15, "bpf_get_current_uid_gid", task::current_user),
    (16, "bpf_get_current_comm", task::current_comm),
    (35, "bpf_get_current_task", task::current),
    (42, "bpf_get_numa_node_id", numbers::nothing),
    (45, "bpf_probe_read_str", memory::read_text),
    (55, "bpf_perf_event_read_value", counter::read_value),
    (80, "bpf_get_current_cgroup_id", cgroup::current_id),
    (87, "bpf_map_push_elem", map::push),
    (88, "bpf_map_pop_elem", map::pop),
    (89, "bpf_map_peek_elem", map::peek),
    (93, "bpf_spin_lock", lock::spin_lock),
    (94, "bpf_spin_unlock", lock::unlock),
    (112, "bpf_probe_read_user", memory::read_of_user),
    (113, "bpf_probe_read_kernel", memory::read),
    (114, "bpf_probe_read_user_str", memory::read_of_user),
    (115, "bpf_probe_read_kernel_str", memory::read_text),
    (118, "bpf_jiffies64", numbers::jiffies),
    (125, "bpf_ktime_get_boot_ns", numbers::now),
    (130, "bpf_ringbuf_output", ring::output),
    (131, "bpf_ringbuf_reserve", ring::reserve),
    (132, "bpf_ringbuf_submit", ring::submit),
    (133, "bpf_ringbuf_discard", ring::discard),
    (134, "bpf_ringbuf_query", ring::query),
    (153, "bpf_per_cpu_ptr", variable::of_cpu),
    (154, "bpf_this_cpu_ptr", variable::of_this_cpu),
    (156, "bpf_task_storage_get", storage::task_get),
    (157, "bpf_task_storage_delete", storage::task_delete),
    (158, "bpf_get_current_task_btf", task::current),
    (164, "bpf_for_each_map_elem", map::for_each),
    (165, "bpf_snprintf", print::snprintf),
    (169, "bpf_timer_init", timer::init),
    (170, "bpf_timer_set_callback", timer::set_callback),
    (171, "bpf_timer_start", timer::start),
    (172, "bpf_timer_cancel", timer::cancel),
    (177, "bpf_trace_vprintk", print::trace_vprintk),
    (181, "bpf_loop", repeat::repeat),
    (182, "bpf_strncmp", memory::compare_text),
    (194, "bpf_kptr_xchg", object::exchange),
    (195, "bpf_map_lookup_percpu_elem", map::lookup_of_cpu),
    (197, "bpf_dynptr_from_mem", dynptr::from_memory),
    (198, "bpf_ringbuf_reserve_dynptr", dynptr::reserve),
    (199, "bpf_ringbuf_submit_dynptr", dynptr::submit),
    (200, "bpf_ringbuf_discard_dynptr", dynptr::discard),
    (201, "bpf_dynptr_read", dynptr::read),
    (202, "bpf_dynptr_write", dynptr::write),
    (203, "bpf_dynptr_data", dynptr::data),
    (208, "bpf_ktime_get_tai_ns", numbers::now),
    (209, "bpf_user_ringbuf_drain", ring::drain),
    (210, "bpf_cgrp_storage_get", storage::cgroup_get),
    (211, "bpf_cgrp_storage_delete", storage::cgroup_delete),
];

/// Every simulated kernel function: its name, what it does.
const KFUNCS: &[(&str, KernelFunction)] = &[
    ("__scx_bpf_dsq_insert_vtime", scx::insert_vtime_args),
    ("__scx_bpf_select_cpu_and", scx::idle::select_cpu_and_args),
    ("bpf_arena_alloc_pages", arena::alloc_pages),
    ("bpf_arena_free_pages", arena::free_pages),
    ("bpf_cast_to_kern_ctx", numbers::itself),
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
    ("bpf_cpumask_populate", cpumask::populate),
    ("bpf_cpumask_release", cpumask::release),
    ("bpf_cpumask_set_cpu", cpumask::set_cpu),
    ("bpf_cpumask_setall", cpumask::set_all),
    ("bpf_cpumask_subset", cpumask::subset),
    ("bpf_cpumask_test_and_clear_cpu", cpumask::test_and_clear),
    ("bpf_cpumask_test_and_set_cpu", cpumask::test_and_set),
    ("bpf_cpumask_test_cpu", cpumask::test),
    ("bpf_cpumask_weight", cpumask::weight),
    ("bpf_cpumask_xor", cpumask::xor),
    ("bpf_dynptr_adjust", dynptr::adjust),
    ("bpf_dynptr_clone", dynptr::copy_pointer),
    ("bpf_dynptr_copy", dynptr::copy),
    ("bpf_dynptr_is_null", dynptr::is_null),
    ("bpf_dynptr_is_rdonly", dynptr::is_read_only),
    ("bpf_dynptr_memset", dynptr::fill),
    ("bpf_dynptr_size", dynptr::size),
    ("bpf_dynptr_slice", dynptr::slice),
    ("bpf_iter_bits_destroy", bits::done),
    ("bpf_iter_bits_new", bits::new),
    ("bpf_iter_bits_next", bits::next),
    ("bpf_iter_css_destroy", cgroup::iter_destroy),
    ("bpf_iter_css_new", cgroup::iter_new),
    ("bpf_iter_css_next", cgroup::iter_next),
    ("bpf_iter_num_destroy", repeat::number_done),
    ("bpf_iter_num_new", repeat::number_new),
    ("bpf_iter_num_next", repeat::number_next),
    ("bpf_iter_scx_dsq_destroy", scx::iter::destroy),
    ("bpf_iter_scx_dsq_new", scx::iter::new),
    ("bpf_iter_scx_dsq_next", scx::iter::next),
    ("bpf_iter_task_destroy", task::iter_destroy),
    ("bpf_iter_task_new", task::iter_new),
    ("bpf_iter_task_next", task::iter_next),
    ("bpf_list_add", list::add),
    ("bpf_list_back", list::back),
    ("bpf_list_del", list::remove),
    ("bpf_list_empty", list::is_empty),
    ("bpf_list_front", list::front),
    ("bpf_list_is_first", list::is_first),
    ("bpf_list_is_last", list::is_last),
    ("bpf_list_pop_back", list::pop_back),
    ("bpf_list_pop_front", list::pop_front),
    ("bpf_list_push_back", list::push_back),
    ("bpf_list_push_back_impl", list::push_back),
    ("bpf_list_push_front", list::push_front),
    ("bpf_list_push_front_impl", list::push_front),
    ("bpf_local_irq_restore", numbers::nothing),
    ("bpf_local_irq_save", lock::save),
    ("bpf_obj_drop", object::release),
    ("bpf_obj_drop_impl", object::release),
    ("bpf_obj_new", object::new),
    ("bpf_obj_new_impl", object::new),
    ("bpf_percpu_obj_drop", object::release),
    ("bpf_percpu_obj_drop_impl", object::release),
    ("bpf_percpu_obj_new", object::new_per_cpu),
    ("bpf_percpu_obj_new_impl", object::new_per_cpu),
    ("bpf_preempt_disable", numbers::nothing),
    ("bpf_preempt_enable", numbers::nothing),
    ("bpf_rbtree_add", tree::add),
    ("bpf_rbtree_add_impl", tree::add),
    ("bpf_rbtree_first", list::front),
    ("bpf_rbtree_left", tree::left),
    ("bpf_rbtree_remove", list::remove),
    ("bpf_rbtree_right", tree::right),
    ("bpf_rbtree_root", tree::top),
    ("bpf_rcu_read_lock", numbers::nothing),
    ("bpf_rcu_read_unlock", numbers::nothing),
    ("bpf_rdonly_cast", numbers::itself),
    ("bpf_refcount_acquire", object::acquire),
    ("bpf_refcount_acquire_impl", object::acquire),
    ("bpf_res_spin_lock", lock::resilient_lock),
    ("bpf_res_spin_lock_irqsave", lock::lock_and_save),
    ("bpf_res_spin_unlock", lock::unlock),
    ("bpf_res_spin_unlock_irqrestore", lock::unlock),
    ("bpf_strcasecmp", text::compare_folded),
    ("bpf_strcasestr", text::search_folded),
    ("bpf_strchr", text::find),
    ("bpf_strchrnul", text::find_or_end),
    ("bpf_strcmp", text::compare),
    ("bpf_strcspn", text::span_without),
    ("bpf_stream_vprintk", print::stream),
    ("bpf_stream_vprintk_impl", print::stream),
    ("bpf_strlen", text::length),
    ("bpf_strncasecmp", text::compare_start_folded),
    ("bpf_strncasestr", text::search_within_folded),
    ("bpf_strnchr", text::find_within),
    ("bpf_strnlen", text::length_within),
    ("bpf_strnstr", text::search_within),
    ("bpf_strrchr", text::find_last),
    ("bpf_strspn", text::span),
    ("bpf_strstr", text::search),
    ("bpf_task_acquire", task::acquire),
    ("bpf_task_from_pid", task::from_pid),
    ("bpf_task_from_vpid", task::from_pid),
    ("bpf_task_get_cgroup1", cgroup::first_version),
    ("bpf_task_release", task::release),
    ("bpf_task_under_cgroup", cgroup::has_task),
    ("bpf_throw", numbers::throw),
    ("bpf_timer_cancel_async", timer::cancel_later),
    ("bpf_wq_init", timer::init_work),
    ("bpf_wq_set_callback", timer::set_work),
    ("bpf_wq_set_callback_impl", timer::set_work),
    ("bpf_wq_start", timer::start_work),
    ("scx_bpf_consume", scx::move_to_local),
    ("scx_bpf_cpu_curr", scx::facts::current),
    ("scx_bpf_cpu_node", scx::facts::node),
    ("scx_bpf_cpu_rq", scx::facts::rq),
    ("scx_bpf_cpuperf_cap", scx::facts::capacity),
    ("scx_bpf_cpuperf_cur", scx::facts::performance),
    ("scx_bpf_cpuperf_set", scx::facts::set_performance),
    ("scx_bpf_create_dsq", scx::create_dsq),
    ("scx_bpf_destroy_dsq", scx::destroy_dsq),
    ("scx_bpf_dispatch", scx::insert),
    ("scx_bpf_dispatch_cancel", scx::cancel),
    ("scx_bpf_dispatch_from_dsq_set_vtime", scx::iter::set_vtime),
    ("scx_bpf_dispatch_nr_slots", scx::nr_slots),
    ("scx_bpf_dispatch_vtime", scx::insert_vtime),
    ("scx_bpf_dispatch_vtime_from_dsq", scx::iter::move_vtime),
    ("scx_bpf_dsq_insert", scx::insert),
    ("scx_bpf_dsq_insert___v2", scx::insert),
    ("scx_bpf_dsq_insert_vtime", scx::insert_vtime),
    ("scx_bpf_dsq_move", scx::iter::move_task),
    ("scx_bpf_dsq_move_set_slice", scx::iter::set_slice),
    ("scx_bpf_dsq_move_set_vtime", scx::iter::set_vtime),
    ("scx_bpf_dsq_move_to_local", scx::move_to_local),
    ("scx_bpf_dsq_move_to_local___v2", scx::move_to_local_with),
    ("scx_bpf_dsq_move_vtime", scx::iter::move_vtime),
    ("scx_bpf_dsq_nr_queued", scx::nr_queued),
    ("scx_bpf_dsq_peek", scx::peek),
    ("scx_bpf_dsq_reenq", scx::reenqueue::later),
    ("scx_bpf_dump_bstr", scx::dump),
    ("scx_bpf_error_bstr", scx::error),
    ("scx_bpf_events", scx::events),
    ("scx_bpf_exit_bstr", scx::exit),
    ("scx_bpf_get_idle_cpumask", scx::idle::idle_mask),
    ("scx_bpf_get_idle_cpumask_node", scx::idle::idle_mask_of_node),
    ("scx_bpf_get_idle_smtmask", scx::idle::idle_cores),
    ("scx_bpf_get_idle_smtmask_node", scx::idle::idle_cores_of_node),
    ("scx_bpf_get_online_cpumask", scx::facts::online),
    ("scx_bpf_get_possible_cpumask", scx::facts::possible),
    ("scx_bpf_kick_cpu", scx::kick_cpu),
    ("scx_bpf_locked_rq", scx::facts::locked_rq),
    ("scx_bpf_now", scx::now),
    ("scx_bpf_nr_cpu_ids", scx::nr_cpu_ids),
    ("scx_bpf_nr_node_ids", scx::facts::nr_node_ids),
    ("scx_bpf_pick_any_cpu", scx::idle::pick_any_cpu),
    ("scx_bpf_pick_any_cpu_node", scx::idle::pick_any_cpu_node),
    ("scx_bpf_pick_idle_cpu", scx::idle::pick_idle_cpu),
    ("scx_bpf_pick_idle_cpu_node", scx::idle::pick_idle_cpu_node),
    ("scx_bpf_put_cpumask", numbers::nothing),
    ("scx_bpf_put_idle_cpumask", numbers::nothing),
    ("scx_bpf_reenqueue_local", scx::reenqueue::local),
    ("scx_bpf_reenqueue_local___v2", scx::reenqueue::local_later),
    ("scx_bpf_select_cpu_and", scx::idle::select_cpu_and),
    ("scx_bpf_select_cpu_dfl", scx::idle::select_cpu_dfl),
    ("scx_bpf_task_cgroup", cgroup::of_task),
    ("scx_bpf_task_cpu", scx::task_cpu),
    ("scx_bpf_task_running", scx::task_running),
    ("scx_bpf_task_set_dsq_vtime", scx::set_vtime),
    ("scx_bpf_task_set_slice", scx::set_slice),
    ("scx_bpf_test_and_clear_cpu_idle", scx::idle::test_and_clear),
];

/// Every simulated helper, by its number.
pub(crate) fn helpers() -> Vec<Option<Known>> {
    let last = HELPERS.iter().map(|helper| helper.0).max().unwrap_or(0);
    let mut all = vec![None; last as usize + 1];
    for &(number, name, call) in HELPERS {
        all[number as usize] = Some(known(name, call));
    }
    all
}

/// The simulation of a kernel function.
pub(crate) fn kfunc(name: &str) -> Option<Known> {
    KFUNCS.iter().find(|(n, _)| *n == name).map(|(name, call)| known(name, *call))
}

/// Why a function is not simulated, if it belongs to something that is not modelled as a whole.
pub(crate) fn why_not(name: &str) -> &'static str {
    let cid = name.starts_with("scx_bpf_") && name.contains("cid") || name.ends_with("_cmask");
    match name {
        _ if cid => ": the cid form is not modelled",
        _ if name.starts_with("scx_bpf_sub_") => ": sub-schedulers are not modelled",
        _ => "",
    }
}

fn known(name: &'static str, call: KernelFunction) -> Known {
    Known { name, call, effects: effects(name) }
}
