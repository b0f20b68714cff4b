/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything in which the supported kernels (6.16 to 7.3) differ, each with the version that
 * changed it, so that one knows when it may go. A scheduler calls the plain name.
 *
 * A declaration with a triple underscore is a flavour: the loader cuts the name at the last one
 * and looks for what stands before it.
 */
#pragma once

#include <rota/kernel.h>

#define core_field_exists(field) __builtin_preserve_field_info(field, 2 /* BPF_FIELD_EXISTS */)

/*
 * 6.19: scx_bpf_dsq_insert() says whether it inserted. The kernel calls the new one by the name
 * with a triple underscore and v2; a second suffix keeps the loader from cutting that.
 * (cded46d97159 "sched_ext: Make scx_bpf_dsq_insert*() return bool")
 */
bool scx_bpf_dsq_insert___v2___compat(struct task_struct *p, u64 dsq_id, u64 slice,
                                      u64 enq_flags) __ksym __weak;
void scx_bpf_dsq_insert___v1(struct task_struct *p, u64 dsq_id, u64 slice,
                             u64 enq_flags) __ksym __weak;

static __always_inline bool scx_bpf_dsq_insert(struct task_struct *p, u64 dsq_id, u64 slice,
                                               u64 enq_flags)
{
	if (ksym_exists(scx_bpf_dsq_insert___v2___compat))
		return scx_bpf_dsq_insert___v2___compat(p, dsq_id, slice, enq_flags);
	scx_bpf_dsq_insert___v1(p, dsq_id, slice, enq_flags);
	return true;
}

/*
 * 6.19: scx_bpf_dsq_insert_vtime() takes its numbers in a structure.
 * (c0d630ba347c "sched_ext: Wrap kfunc args in struct to prepare for aux__prog")
 */
struct scx_bpf_dsq_insert_vtime_args {
	u64 dsq_id;
	u64 slice;
	u64 vtime;
	u64 enq_flags;
};

bool __scx_bpf_dsq_insert_vtime(struct task_struct *p,
                                struct scx_bpf_dsq_insert_vtime_args *args) __ksym __weak;
void scx_bpf_dsq_insert_vtime___v1(struct task_struct *p, u64 dsq_id, u64 slice, u64 vtime,
                                   u64 enq_flags) __ksym __weak;

static __always_inline bool scx_bpf_dsq_insert_vtime(struct task_struct *p, u64 dsq_id, u64 slice,
                                                     u64 vtime, u64 enq_flags)
{
	struct scx_bpf_dsq_insert_vtime_args args = {
		.dsq_id = dsq_id,
		.slice = slice,
		.vtime = vtime,
		.enq_flags = enq_flags,
	};

	if (ksym_exists(__scx_bpf_dsq_insert_vtime))
		return __scx_bpf_dsq_insert_vtime(p, &args);
	scx_bpf_dsq_insert_vtime___v1(p, dsq_id, slice, vtime, enq_flags);
	return true;
}

/*
 * 6.19: slice and vtime are set through functions; writing the fields is deprecated from 7.1.
 * (3035addfaf28 "sched_ext: Add scx_bpf_task_set_slice() and scx_bpf_task_set_dsq_vtime()")
 */
bool scx_bpf_task_set_dsq_vtime___new(struct task_struct *p, u64 vtime) __ksym __weak;
bool scx_bpf_task_set_slice___new(struct task_struct *p, u64 slice) __ksym __weak;

static __always_inline void scx_bpf_task_set_dsq_vtime(struct task_struct *p, u64 vtime)
{
	if (ksym_exists(scx_bpf_task_set_dsq_vtime___new))
		scx_bpf_task_set_dsq_vtime___new(p, vtime);
	else
		p->scx.dsq_vtime = vtime;
}

static __always_inline void scx_bpf_task_set_slice(struct task_struct *p, u64 slice)
{
	if (ksym_exists(scx_bpf_task_set_slice___new))
		scx_bpf_task_set_slice___new(p, slice);
	else
		p->scx.slice = slice;
}

/*
 * 6.19: scx_bpf_select_cpu_and() takes its numbers in a structure; the old form goes with 6.22.
 * (c0d630ba347c "sched_ext: Wrap kfunc args in struct to prepare for aux__prog")
 */
struct scx_bpf_select_cpu_and_args {
	s32 prev_cpu;
	u64 wake_flags;
	u64 flags;
};

s32 __scx_bpf_select_cpu_and(struct task_struct *p, const struct cpumask *cpus,
                             struct scx_bpf_select_cpu_and_args *args) __ksym __weak;
s32 scx_bpf_select_cpu_and___v1(struct task_struct *p, s32 prev_cpu, u64 wake_flags,
                                const struct cpumask *cpus, u64 flags) __ksym __weak;

static __always_inline s32 scx_bpf_select_cpu_and(struct task_struct *p, s32 prev_cpu,
                                                  u64 wake_flags, const struct cpumask *cpus,
                                                  u64 flags)
{
	struct scx_bpf_select_cpu_and_args args = {
		.prev_cpu = prev_cpu,
		.wake_flags = wake_flags,
		.flags = flags,
	};

	if (ksym_exists(__scx_bpf_select_cpu_and))
		return __scx_bpf_select_cpu_and(p, cpus, &args);
	return scx_bpf_select_cpu_and___v1(p, prev_cpu, wake_flags, cpus, flags);
}

/*
 * 7.1: scx_bpf_dsq_move_to_local() has a second form that takes enqueue flags. The first form
 * is in every supported kernel, so it is the one that is used.
 * (860683763ebf "sched_ext: Add enq_flags to scx_bpf_dsq_move_to_local()")
 */
bool scx_bpf_dsq_move_to_local(u64 dsq_id) __ksym;

/* After 7.0, by 7.3: the exit information tells the CPU (its commit could not be found out). */
struct scx_exit_info___cpu {
	s32 exit_cpu;
} __attribute__((preserve_access_index));

static __always_inline s32 scx_exit_cpu(const struct scx_exit_info *info)
{
	const struct scx_exit_info___cpu *newer = (const void *)info;

	return core_field_exists(newer->exit_cpu) ? newer->exit_cpu : -1;
}
