/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Refused on purpose: waits for a gate that somebody else has to open. The verifier goes round the
 * loop, finds itself in the state it has seen before, and calls that an endless loop.
 */
#include <rota/compat.h>
#include <rota/describe.h>

LICENSE_GPL;

static volatile bool open;

void BPF_STRUCT_OPS(reject_loop_enqueue, struct task_struct *p, u64 enq_flags)
{
	while (!open)
		;
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, 20000000, enq_flags);
}

/* Nothing is wrong with this one: its result must be shown although the other is refused. */
s32 BPF_STRUCT_OPS_SLEEPABLE(reject_loop_init)
{
	open = true;
	return 0;
}

SCHEDULER("test: refused for a loop without an end")
struct sched_ext_ops reject_loop = {
	.enqueue = (void *)reject_loop_enqueue,
	.init = (void *)reject_loop_init,
	.name = "reject_loop",
};
