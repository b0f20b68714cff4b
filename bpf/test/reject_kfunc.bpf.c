/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Refused on purpose: makes a queue while a task is being enqueued, with the run queue locked.
 * Making a queue may sleep, so only callbacks such as init may do it.
 */
#include <rota/compat.h>
#include <rota/describe.h>

LICENSE_GPL;

void BPF_STRUCT_OPS(reject_kfunc_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_create_dsq(p->pid, -1);
	scx_bpf_dsq_insert(p, p->pid, 20000000, enq_flags);
}

SCHEDULER("test: refused for a kernel function that this callback may not call")
struct sched_ext_ops reject_kfunc = {
	.enqueue = (void *)reject_kfunc_enqueue,
	.name = "reject_kfunc",
};
