/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ends itself on purpose, by an error or by an exit with a code, after a number of enqueues.
 */
#include <rota/compat.h>
#include <rota/describe.h>
#include <rota/exit.h>

LICENSE_GPL;

SETTING(bool, politely, false, "exit with code 7 instead of an error");
SETTING(u32, after, 50, "how many enqueues to serve first");

static u32 served;

void BPF_STRUCT_OPS(give_up_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, 20000000, enq_flags);
	if (__sync_fetch_and_add(&served, 1) != after)
		return;
	if (politely)
		scx_bpf_exit(7, "served %u tasks, that is enough", after);
	else
		scx_bpf_error("gave up at task %s[%d]", p->comm, p->pid);
}

void BPF_STRUCT_OPS(give_up_exit, struct scx_exit_info *info)
{
	exit_record(info);
}

SCHEDULER("test: gives up after some enqueues")
struct sched_ext_ops give_up = {
	.enqueue = (void *)give_up_enqueue,
	.exit = (void *)give_up_exit,
	.name = "give_up",
};
