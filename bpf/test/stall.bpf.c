/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stalls on purpose: tasks called "victim" go into a queue that nobody ever serves, so the
 * watchdog ends the scheduler. All others are left to the kernel's own global queue.
 */
#include <rota/compat.h>
#include <rota/describe.h>
#include <rota/exit.h>

LICENSE_GPL;

#define UNSERVED_DSQ 1

/* Without this, the kernel would place a woken task on an idle CPU by itself. */
s32 BPF_STRUCT_OPS(stall_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return prev_cpu;
}

void BPF_STRUCT_OPS(stall_enqueue, struct task_struct *p, u64 enq_flags)
{
	bool victim = p->comm[0] == 'v' && p->comm[1] == 'i' && p->comm[2] == 'c';

	scx_bpf_dsq_insert(p, victim ? UNSERVED_DSQ : SCX_DSQ_GLOBAL, 20000000, enq_flags);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(stall_init)
{
	return scx_bpf_create_dsq(UNSERVED_DSQ, -1);
}

void BPF_STRUCT_OPS(stall_exit, struct scx_exit_info *info)
{
	exit_record(info);
}

SCHEDULER("test: never runs a task called victim")
struct sched_ext_ops stall = {
	.select_cpu = (void *)stall_select_cpu,
	.enqueue = (void *)stall_enqueue,
	.init = (void *)stall_init,
	.exit = (void *)stall_exit,
	.timeout_ms = 5000,
	.name = "stall",
};
