/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Has a race, and, if told so, a deadlock: what only CPUs that are interleaved can meet. With the
 * deadlock, no verifier would let it through.
 */
#include <rota/compat.h>
#include <rota/describe.h>
#include <rota/exit.h>
#include <rota/object.h>

LICENSE_GPL;

SETTING(bool, locks, false, "take two locks at each start of a task, in two orders");

__private(left) struct bpf_spin_lock left;
__private(right) struct bpf_spin_lock right;

/* How often tasks have started to run: counted well, and as if there were one CPU. */
u64 started;
volatile u64 noted;

static void take_both(struct bpf_spin_lock *first, struct bpf_spin_lock *second)
{
	bpf_spin_lock(first);
	bpf_spin_lock(second);
	bpf_spin_unlock(second);
	bpf_spin_unlock(first);
}

void BPF_STRUCT_OPS(race_running, struct task_struct *p)
{
	u64 before = noted;
	u32 cpu = bpf_get_smp_processor_id();

	noted = before + 1;
	__sync_fetch_and_add(&started, 1);
	if (!locks)
		return;
	if (cpu & 1)
		take_both(&left, &right);
	else
		take_both(&right, &left);
}

void BPF_STRUCT_OPS(race_exit, struct scx_exit_info *info)
{
	exit_record(info);
}

SCHEDULER("test: counts without a lock")
struct sched_ext_ops race = {
	.running = (void *)race_running,
	.exit = (void *)race_exit,
	.name = "race",
};
