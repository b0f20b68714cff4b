/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mistakes about queues as such: looking into them, asking tasks back out of them, moving tasks
 * from one to another, and what one call of dispatch may insert.
 */
#pragma once

/* Up to 6.17, a name from before 6.13; later kernels load no program that calls it too early. */
bool scx_bpf_consume(u64 dsq_id) __ksym __weak;

static void peek_at(u64 dsq_id)
{
	if (ksym_exists(scx_bpf_dsq_peek))
		scx_bpf_dsq_peek(dsq_id);
	no_mistake();
}

static void count_of(u64 dsq_id)
{
	scx_bpf_dsq_nr_queued(dsq_id);
	no_mistake();
}

static void ask_of(u64 dsq_id, u64 flags)
{
	if (ksym_exists(scx_bpf_dsq_reenq))
		scx_bpf_dsq_reenq(dsq_id, flags);
	no_mistake();
}

/* Takes a task out of a queue where only tasks are inserted. */
static void take_early(void)
{
	if (ksym_exists(scx_bpf_consume))
		scx_bpf_consume(SHARED_DSQ);
	no_mistake();
}

/* Inserts a task that runs. */
static void insert_late(struct task_struct *p)
{
	if (ksym_exists(scx_bpf_dispatch))
		scx_bpf_dispatch(p, SHARED_DSQ, slice_ns, 0);
	no_mistake();
}

/* Whether a task that comes back is to be inserted as before, again and again. */
static bool is_stubborn(s32 pid)
{
	mistakes(MISTAKE_STUBBORN, pid);
	return mistake == MISTAKE_STUBBORN;
}

/* Makes such a mistake while a task is enqueued. */
static void mistake_about_queues(s32 pid)
{
	if (mistakes(MISTAKE_PEEK_BUILTIN, pid))
		peek_at(SCX_DSQ_GLOBAL);
	else if (mistakes(MISTAKE_PEEK_NO_DSQ, pid))
		peek_at(NO_DSQ);
	else if (mistakes(MISTAKE_ASK_FLAGS, pid))
		ask_of(SHARED_DSQ, 1ULL << 40);
	else if (mistakes(MISTAKE_ASK_GLOBAL, pid))
		ask_of(SCX_DSQ_GLOBAL, 0);
	else if (mistakes(MISTAKE_ASK_NO_DSQ, pid))
		ask_of(NO_DSQ, 0);
	else if (mistakes(MISTAKE_ASK_NO_CPU, pid))
		ask_of(SCX_LOCAL_ON | NO_CPU, 0);
	else if (mistakes(MISTAKE_COUNT_NO_CPU, pid))
		count_of(SCX_LOCAL_ON | NO_CPU);
	else if (mistakes(MISTAKE_TAKE_EARLY, pid))
		take_early();
	else if (!flag_exists(SCX_ENQ_IMMED) && mistakes(MISTAKE_STUBBORN, pid))
		no_mistake();
}

/* Moves the first task of the shared queue. */
static void move_to(u64 dsq_id, u64 flags, bool by_vtime)
{
	struct bpf_iter_scx_dsq it;
	struct task_struct *p;

	bpf_iter_scx_dsq_new(&it, SHARED_DSQ, 0);
	p = bpf_iter_scx_dsq_next(&it);
	if (p && by_vtime)
		scx_bpf_dsq_move_vtime(&it, p, dsq_id, flags);
	else if (p)
		scx_bpf_dsq_move(&it, p, dsq_id, flags);
	bpf_iter_scx_dsq_destroy(&it);
	no_mistake();
}

/* Takes a task out of the shared queue. */
static void take_with(u64 flags)
{
	if (ksym_exists(scx_bpf_dsq_move_to_local___v2___compat))
		scx_bpf_dsq_move_to_local___v2___compat(SHARED_DSQ, flags);
	no_mistake();
}

/* Inserts more than one call of dispatch may. */
static void insert_too_many(struct task_struct *p)
{
	u32 i;

	for (i = 0; i < 3; i++)
		scx_bpf_dsq_insert(p, SHARED_DSQ, slice_ns, 0);
}

/* Makes such a mistake after a task that goes to sleep. */
static void mistake_in_moving(struct task_struct *prev)
{
	s32 pid = prev->pid;

	if (mistakes(MISTAKE_GLOBAL_SOURCE, pid))
		scx_bpf_dsq_move_to_local(SCX_DSQ_GLOBAL);
	else if (mistakes(MISTAKE_OVERFLOW, pid))
		insert_too_many(prev);
	else if (mistakes(MISTAKE_UNDERFLOW, pid))
		scx_bpf_dispatch_cancel();
	else if (mistakes(MISTAKE_MOVE_NO_DSQ, pid))
		move_to(NO_DSQ, 0, false);
	else if (mistakes(MISTAKE_MOVE_NO_CPU, pid))
		move_to(SCX_LOCAL_ON | NO_CPU, 0, false);
	else if (mistakes(MISTAKE_MOVE_NOT_ALLOWED, pid))
		move_to(SCX_LOCAL_ON | WRONG_CPU, 0, false);
	else if (mistakes(MISTAKE_MOVE_VTIME_LOCAL, pid))
		move_to(SCX_DSQ_LOCAL, 0, true);
	else if (mistakes(MISTAKE_MOVE_FLAGS, pid))
		move_to(SECOND_DSQ, INTERNAL_FLAG, false);
	else if (mistakes(MISTAKE_TAKE_FLAGS, pid))
		take_with(INTERNAL_FLAG);
}
