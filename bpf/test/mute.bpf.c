/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps no exit information, as schedulers made with other headers may. */
#include <rota/compat.h>
#include <rota/describe.h>

LICENSE_GPL;

void BPF_STRUCT_OPS(mute_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, 20000000, enq_flags);
}

SCHEDULER("test: says nothing when it ends")
struct sched_ext_ops mute = {
	.enqueue = (void *)mute_enqueue,
	.name = "mute",
};
