/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the benchmark makes an object of that is as big as a large scheduler: functions that read a
 * task, keep what they know of it in a map, compute, loop, and call the kernel. It says
 * POLICY(number) as often as it wants, and calls each.
 */
#include <rota/compat.h>
#include <rota/describe.h>
#include <rota/task_ctx.h>

LICENSE_GPL;

SETTING(u64, slice_ns, 20000000, "how long a task may run before others get their turn");

#define HISTORY 8

struct policy_task {
	u64 charged_ns;
	u64 mean_ns;
	u64 history[HISTORY];
};
TASK_CTX(struct policy_task);

static u64 vtime_now;

static __always_inline u64 policy(struct task_struct *p, u64 flags, u64 number)
{
	struct policy_task *task = task_ctx(p);
	u64 ran_ns, sum = 0, vtime = p->scx.dsq_vtime;

	if (!task)
		return number;
	ran_ns = p->se.sum_exec_runtime - task->charged_ns;
	task->mean_ns = task->mean_ns - (task->mean_ns >> 3) + (ran_ns >> 3);
	for (u64 i = HISTORY - 1; i > 0; i--) {
		task->history[i] = task->history[i - 1];
		sum += task->history[i] / (i + number);
	}
	task->history[0] = ran_ns;
	if (time_before(vtime, vtime_now - slice_ns))
		vtime = vtime_now - slice_ns;
	if (flags & number)
		vtime += sum * 100 / p->scx.weight;
	else if (p->scx.flags & SCX_TASK_QUEUED)
		vtime ^= task->mean_ns * number;
	if (time_before(vtime_now, vtime))
		vtime_now = vtime;
	scx_bpf_task_set_dsq_vtime(p, vtime);
	scx_bpf_dsq_insert_vtime(p, number, slice_ns, vtime, flags);
	return vtime;
}

#define POLICY(number)                                                                             \
	__attribute__((noinline)) u64 policy_##number(struct task_struct *p, u64 flags)            \
	{                                                                                          \
		return policy(p, flags, number);                                                   \
	}
