/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Refused on purpose: takes a reference to the parent of all processes, which nobody gives back.
 */
#include <rota/compat.h>
#include <rota/describe.h>

LICENSE_GPL;

struct task_struct *bpf_task_from_pid(s32 pid) __ksym;

void BPF_STRUCT_OPS(reject_reference_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_struct *first = bpf_task_from_pid(1);
	u64 slice = 20000000;

	if (first)
		slice = first->scx.slice;
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, slice, enq_flags);
}

SCHEDULER("test: refused for a reference that is not released")
struct sched_ext_ops reject_reference = {
	.enqueue = (void *)reject_reference_enqueue,
	.name = "reject_reference",
};
