/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * simple: the teaching scheduler. An idle CPU first, else one queue for all.
 *
 * Follow a task through it:
 *
 * - It wakes up: simple_select_cpu() asks the kernel for an idle CPU. If there is one, the task
 *   goes straight to that CPU's local queue and runs at once, without the next two steps.
 * - Otherwise simple_enqueue() puts it into the one shared queue (a DSQ), in order of its
 *   virtual time, or at the end if --fifo is set.
 * - A CPU that has nothing left to run calls simple_dispatch(), which moves the first task of
 *   the shared queue that may run there to the CPU's local queue.
 * - simple_running() is called when it starts to run, simple_stopping() when it stops, whatever
 *   the reason: there its virtual time grows by the time it ran, divided by its weight. A task
 *   of twice the weight ages half as fast, so it comes up twice as often.
 * - If its slice is used up and others wait, it is enqueued again; if nobody waits it goes on.
 *
 * Four things keep virtual time fair:
 *
 * - A sleeper's clock stands still. Let it keep all of that and it would hold off everyone else
 *   after a long sleep; so simple_enqueue() grants one slice of credit at most.
 * - A light task ages fast: after 20 ms, one of weight 1 would be two seconds of virtual time
 *   behind the others, which heavy hogs may take minutes to use up, and the kernel ejects a
 *   scheduler that makes a task wait that long. So light tasks get shorter slices, and nobody's
 *   debt counts for more than DEBT_NS_MAX.
 * - The time that counts is the time that the kernel charged, not what is missing from the
 *   slice: a yield sets the slice to zero, and the kernel may refill it while a task runs on.
 * - A task that comes from another class (or a fork) starts at the present virtual time, see
 *   simple_enable().
 */
#include <rota/compat.h>
#include <rota/describe.h>
#include <rota/exit.h>
#include <rota/task_ctx.h>

LICENSE_GPL;

SETTING(bool, fifo, false, "serve the shared queue first come, first served; weights are ignored");
SETTING(u64, slice_ns, 20000000, "how long a task may run before others get their turn");

#define SHARED_DSQ     0
#define DEFAULT_WEIGHT 100 /* of nice 0 */
#define DEBT_NS_MAX    50000000

struct SHARED simple_stats {
	COUNTER(direct, "tasks", "woken onto an idle CPU, past the queue");
	COUNTER(queued, "tasks", "put into the shared queue");
	COUNTER(moved, "tasks", "taken from the shared queue by a CPU");
	COUNTER(capped, "tasks", "long sleepers whose credit was cut to one slice");
	COUNTER(ran_ns, "ns", "CPU time that tasks were charged");
};
STATS(struct simple_stats);
#define count(member, n) STAT_ADD(struct simple_stats, member, n)

struct simple_task {
	u64 charged_at_start_ns; /* what the task had run in all when it started to run */
};
TASK_CTX(struct simple_task);

/*
 * The present: the largest virtual time of any task that has started to run. Two CPUs may write
 * it at once and the smaller value stay; the next task to start corrects that.
 */
static u64 vtime_now;

static u64 slice_of(const struct task_struct *p)
{
	u32 weight = p->scx.weight;

	return weight < DEFAULT_WEIGHT ? slice_ns * weight / DEFAULT_WEIGHT + 1 : slice_ns;
}

s32 BPF_STRUCT_OPS(simple_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool is_idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &is_idle);

	if (is_idle) {
		count(direct, 1);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_of(p), 0);
	}
	return cpu;
}

void BPF_STRUCT_OPS(simple_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 vtime = p->scx.dsq_vtime;
	u64 oldest = vtime_now - slice_ns;

	count(queued, 1);
	if (fifo) {
		scx_bpf_dsq_insert(p, SHARED_DSQ, slice_ns, enq_flags);
		return;
	}
	if (time_before(vtime, oldest)) {
		count(capped, 1);
		vtime = oldest;
	}
	if (time_before(vtime_now + DEBT_NS_MAX, vtime))
		vtime = vtime_now + DEBT_NS_MAX;
	scx_bpf_task_set_dsq_vtime(p, vtime);
	scx_bpf_dsq_insert_vtime(p, SHARED_DSQ, slice_of(p), vtime, enq_flags);
}

void BPF_STRUCT_OPS(simple_dispatch, s32 cpu, struct task_struct *prev)
{
	if (scx_bpf_dsq_move_to_local(SHARED_DSQ))
		count(moved, 1);
	else if (prev && prev->scx.flags & SCX_TASK_QUEUED)
		/* It runs on alone; without this, for a slice of the kernel's length. */
		scx_bpf_task_set_slice(prev, slice_of(prev));
}

void BPF_STRUCT_OPS(simple_running, struct task_struct *p)
{
	struct simple_task *task = task_ctx(p);

	if (task)
		task->charged_at_start_ns = p->se.sum_exec_runtime;
	if (time_before(vtime_now, p->scx.dsq_vtime))
		vtime_now = p->scx.dsq_vtime;
}

void BPF_STRUCT_OPS(simple_stopping, struct task_struct *p, bool runnable)
{
	struct simple_task *task = task_ctx(p);
	u64 ran_ns;

	if (!task)
		return;
	ran_ns = p->se.sum_exec_runtime - task->charged_at_start_ns;
	count(ran_ns, ran_ns);
	scx_bpf_task_set_dsq_vtime(p, p->scx.dsq_vtime + ran_ns * DEFAULT_WEIGHT / p->scx.weight);
}

s32 BPF_STRUCT_OPS(simple_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	return task_ctx_create(p) ? 0 : -ENOMEM;
}

void BPF_STRUCT_OPS(simple_enable, struct task_struct *p)
{
	scx_bpf_task_set_dsq_vtime(p, vtime_now);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(simple_init)
{
	return scx_bpf_create_dsq(SHARED_DSQ, -1);
}

void BPF_STRUCT_OPS(simple_exit, struct scx_exit_info *info)
{
	exit_record(info);
}

SCHEDULER("an idle CPU first, else one shared queue in order of weighted virtual time, or FIFO")
struct sched_ext_ops simple = {
	.select_cpu = (void *)simple_select_cpu,
	.enqueue = (void *)simple_enqueue,
	.dispatch = (void *)simple_dispatch,
	.running = (void *)simple_running,
	.stopping = (void *)simple_stopping,
	.init_task = (void *)simple_init_task,
	.enable = (void *)simple_enable,
	.init = (void *)simple_init,
	.exit = (void *)simple_exit,
	.name = "simple",
};
