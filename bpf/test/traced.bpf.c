/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scheduler beside which programs sit on tracepoints, so that what these get can be compared with
 * what its callbacks see. Tasks of other classes are switched as well, so on a real kernel the
 * numbers differ by those.
 */
#include <rota/compat.h>
#include <rota/describe.h>
#include <rota/exit.h>

LICENSE_GPL;

static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;

u64 running;
u64 switched_to;    /* switches to a task, not to an idle one */
u64 switched_away;  /* switches away from one that still wants to run */
u64 stopping;       /* of which it was told that they still want to run */
u64 wrong_previous; /* switches whose previous task is not the current one */
u64 waking, woken, exited;

void BPF_STRUCT_OPS(traced_running, struct task_struct *p)
{
	__sync_fetch_and_add(&running, 1);
}

void BPF_STRUCT_OPS(traced_stopping, struct task_struct *p, bool runnable)
{
	__sync_fetch_and_add(&stopping, runnable);
}

SEC("tp_btf/sched_switch") int on_switch(u64 *ctx)
{
	struct task_struct *previous = (void *)ctx[1], *next = (void *)ctx[2];

	if (next->pid)
		__sync_fetch_and_add(&switched_to, 1);
	if (previous->pid && !ctx[3])
		__sync_fetch_and_add(&switched_away, 1);
	if (previous != bpf_get_current_task_btf())
		__sync_fetch_and_add(&wrong_previous, 1);
	return 0;
}

SEC("tp_btf/sched_waking") int on_waking(u64 *ctx)
{
	__sync_fetch_and_add(&waking, 1);
	return 0;
}

SEC("tp_btf/sched_wakeup") int on_wakeup(u64 *ctx)
{
	__sync_fetch_and_add(&woken, 1);
	return 0;
}

SEC("raw_tp/sched_process_exit") int on_exit(u64 *ctx)
{
	__sync_fetch_and_add(&exited, 1);
	return 0;
}

/* The simulated machine has not what this sits on. */
SEC("fentry/scx_bpf_create_dsq") int on_call(u64 *ctx)
{
	return 0;
}

void BPF_STRUCT_OPS(traced_exit, struct scx_exit_info *info)
{
	exit_record(info);
}

SCHEDULER("test: has programs on tracepoints beside it")
struct sched_ext_ops traced = {
	.running = (void *)traced_running,
	.stopping = (void *)traced_stopping,
	.exit = (void *)traced_exit,
	.name = "traced",
};
