/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens in the queues of sched_ext (kernel: kernel/sched/ext.c). Who loads this chooses the
 * programs whose functions the kernel has: their names begin with scx_ from 7.3 on.
 */
#pragma once

/* The local queues all have one number; with that of its CPU each has one of its own. */
#define LOCAL    ((1ULL << 63) | 2)
#define LOCAL_ON (3ULL << 62)

static __always_inline u64 queue_of(struct scx_dispatch_q *dsq)
{
	u32 place = __builtin_preserve_field_info(((struct rq *)0)->scx.local_dsq, 0);
	u64 id = dsq->id;

	return id == LOCAL ? LOCAL_ON | typed(struct rq, (void *)dsq - place)->cpu : id;
}

/*
 * A task comes into a queue. The last arguments are the queue, the task, from 7.3 on slice and
 * vtime, and flags. The queue is not locked yet, so that nobody can have taken the task out when
 * this is told; how many are in it is a guess.
 */
static __always_inline int comes(u64 *ctx, u32 from_end)
{
	struct task_struct *p;
	struct scx_dispatch_q *dsq;
	struct queueing *queueing;
	u64 queue = 0, who = 0, flags = 0, vtime = 0;
	u32 count = bpf_get_func_arg_cnt(ctx);

	bpf_get_func_arg(ctx, count - from_end, &queue);
	bpf_get_func_arg(ctx, count - from_end + 1, &who);
	bpf_get_func_arg(ctx, count - 1, &flags);
	p = typed(struct task_struct, who);
	dsq = typed(struct scx_dispatch_q, queue);
	if (!here() || !wanted(p))
		return 0;
	if (from_end == 5)
		bpf_get_func_arg(ctx, count - 2, &vtime);
	else
		vtime = p->scx.dsq_vtime;
	tell(p);
	queueing = (void *)reserve(sizeof(*queueing), INSERT);
	if (!queueing)
		return 0;
	queueing->happening.pid = p->pid;
	queueing->happening.other = dsq->nr + 1;
	queueing->happening.value = queue_of(dsq);
	queueing->vtime = vtime;
	queueing->flags = flags;
	bpf_ringbuf_submit(queueing, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("?fentry/dispatch_enqueue") int inserts(u64 *ctx)
{
	return comes(ctx, 3);
}

SEC("?fentry/scx_dispatch_enqueue") int inserts_later(u64 *ctx)
{
	return comes(ctx, 5);
}

/* A task leaves a queue, which is locked. */
static __always_inline int leaves(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[0];
	struct scx_dispatch_q *dsq = typed(struct scx_dispatch_q, ctx[1]);
	struct memory *memory = own_memory();
	u64 queue = queue_of(dsq);

	if (!memory)
		return 0;
	memory->taken = here() && wanted(p) ? p->pid : 0;
	memory->taken_from = queue;
	if (!memory->taken)
		return 0;
	tell_once(memory, p);
	return happens(REMOVE, p->pid, dsq->nr - 1, queue);
}

SEC("?fentry/task_unlink_from_dsq") int removes(u64 *ctx)
{
	return leaves(ctx);
}

SEC("?fentry/scx_task_unlink_from_dsq") int removes_later(u64 *ctx)
{
	return leaves(ctx);
}

/*
 * This CPU has looked for work in a queue that is not its own. If it has found some, that is the
 * task it took last: whom it took before, somebody else took out of its hands.
 */
static __always_inline int looks(u64 *ctx, bool done)
{
	struct memory *memory = own_memory();
	u64 found = 0;

	if (!memory)
		return 0;
	if (done && memory->taken && !bpf_get_func_ret(ctx, &found) && (found & 0xff))
		happens(CONSUMED, memory->taken, 0, memory->taken_from);
	memory->taken = 0;
	return 0;
}

SEC("?fentry/consume_dispatch_q") int consuming(u64 *ctx)
{
	return looks(ctx, false);
}

SEC("?fexit/consume_dispatch_q") int consumed(u64 *ctx)
{
	return looks(ctx, true);
}

SEC("?fentry/scx_consume_dispatch_q") int consuming_later(u64 *ctx)
{
	return looks(ctx, false);
}

SEC("?fexit/scx_consume_dispatch_q") int consumed_later(u64 *ctx)
{
	return looks(ctx, true);
}

/* At the end of it: on the way the task leaves its queue. */
SEC("?fexit/set_next_task_scx") int runs(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[1];

	if (!here() || !wanted(p))
		return 0;
	tell(p);
	return happens(RUNNING, p->pid, 0, p->scx.slice);
}

/* Whether a task still wants to run: a byte says so from 7.3 on, a number before. */
static __always_inline bool is_runnable(struct task_struct *p)
{
	u8 byte = 0;
	int number = 0;

	if (__builtin_preserve_field_info(p->on_rq, 1) == sizeof(byte)) {
		bpf_probe_read_kernel(&byte, sizeof(byte), &p->on_rq);
		return byte == 1;
	}
	bpf_probe_read_kernel(&number, sizeof(number), &p->on_rq);
	return number == 1;
}

SEC("?fentry/put_prev_task_scx") int stops(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[1];

	if (!here() || !wanted(p))
		return 0;
	tell(p);
	return happens(STOPPING, p->pid, 0, is_runnable(p));
}
