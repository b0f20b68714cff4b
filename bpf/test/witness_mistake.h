/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a scheduler must not do, one thing for each value of the setting. It is done once, and
 * written down just before: from then on, nobody can say what a kernel still gets done.
 */
#pragma once

SETTING(u32, mistake, 0, "which mistake is made, once; 0 none");

enum mistake {
	/* In enqueue. */
	MISTAKE_NO_DSQ = 1,
	MISTAKE_NO_CPU,
	MISTAKE_KICK_NO_CPU,
	MISTAKE_TWICE,
	MISTAKE_OTHER_TASK,
	MISTAKE_VTIME_GLOBAL,
	MISTAKE_VTIME_LOCAL,
	MISTAKE_MIXED,
	MISTAKE_KICK_BOTH,
	MISTAKE_NOT_ALLOWED,
	MISTAKE_GIVE_UP,
	MISTAKE_EXIT,
	MISTAKE_DESTROY,
	MISTAKE_FORGET,
	MISTAKE_DUMP,
	MISTAKE_FLAGS,
	MISTAKE_IMMEDIATE_SHARED,
	MISTAKE_RESCUE_SHARED,
	MISTAKE_PEEK_BUILTIN,
	MISTAKE_PEEK_NO_DSQ,
	MISTAKE_ASK_FLAGS,
	MISTAKE_ASK_GLOBAL,
	MISTAKE_ASK_NO_DSQ,
	MISTAKE_ASK_NO_CPU,
	MISTAKE_COUNT_NO_CPU,
	MISTAKE_TAKE_EARLY,
	MISTAKE_FORMAT,
	MISTAKE_TOO_FAST,
	MISTAKE_FAST_ELSEWHERE,
	MISTAKE_CGROUP_OF_OTHER,
	MISTAKE_STUBBORN,
	/* In dispatch. */
	MISTAKE_NO_SOURCE = 32,
	MISTAKE_GIVE_UP_LATE,
	MISTAKE_GLOBAL_SOURCE,
	MISTAKE_OVERFLOW,
	MISTAKE_UNDERFLOW,
	MISTAKE_MOVE_NO_DSQ,
	MISTAKE_MOVE_NO_CPU,
	MISTAKE_MOVE_NOT_ALLOWED,
	MISTAKE_MOVE_VTIME_LOCAL,
	MISTAKE_MOVE_FLAGS,
	MISTAKE_TAKE_FLAGS,
	/* In select_cpu. */
	MISTAKE_SELECT_NO_CPU = 48,
	MISTAKE_SELECT_OTHER,
	MISTAKE_NOTHING_LOCKED,
	/* In running. */
	MISTAKE_INSERT_LATE = 56,
	/* In init and init_task. */
	MISTAKE_INIT = 64,
	MISTAKE_INIT_INVALID,
	MISTAKE_INIT_TASK,
	MISTAKE_INIT_TASK_INVALID,
	MISTAKE_DISALLOW,
	MISTAKE_DISALLOW_FORK,
	MISTAKE_CGROUP_EARLY,
	MISTAKE_GIVE_UP_INIT,
	MISTAKE_GIVE_UP_INIT_TASK,
	MISTAKE_CREATE_TWICE,
	/* In enqueue, too. */
	MISTAKE_MIXED_OTHERWISE = 96,
	MISTAKE_SELECT_LATE,
};

#define ENOENT           2
#define SCX_KICK_IDLE    (1 << 0)
#define SCX_KICK_PREEMPT (1 << 1)

#define NO_DSQ       99
#define NO_CPU       9999
#define WRONG_CPU    3
#define SCX_LOCAL_ON (3ULL << 62)

/* One of the flags of an insertion that are the kernel's own. */
#define INTERNAL_FLAG (1ULL << 56)

/* Only declared, it would be another type, and the function that gives it none of the kernel's. */
struct rq {
	int cpu;
} __attribute__((preserve_access_index));

s32 scx_bpf_dsq_nr_queued(u64 dsq_id) __ksym;
void scx_bpf_destroy_dsq(u64 dsq_id) __ksym;
void scx_bpf_cpuperf_set(s32 cpu, u32 perf) __ksym;
struct rq *scx_bpf_locked_rq(void) __ksym __weak; /* 6.18 */
struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;

/* Whether the mistake has been made. */
static u32 mistaken;
/* Who was enqueued last. */
static s32 last_pid;

/* Whether now is the time for this mistake. */
static bool mistakes(u32 which, s32 pid)
{
	if (mistake != which || __sync_lock_test_and_set(&mistaken, 1))
		return false;
	witness(CB_MISTAKE, pid, which, 0);
	return true;
}

/*
 * Ends the scheduler after what is no mistake on some kernels: it can't be made there, or is let
 * pass. Where it is one, it comes first.
 */
static void no_mistake(void)
{
	scx_bpf_error("no mistake on this kernel");
}

#include "witness_mistake_queues.h"

static void insert_other(u64 enq_flags)
{
	struct task_struct *other = bpf_task_from_pid(last_pid);

	if (!other)
		return;
	scx_bpf_dsq_insert(other, SHARED_DSQ, slice_ns, enq_flags);
	bpf_task_release(other);
}

/* Inserts into a queue with a flag that is for local ones. */
static void insert_with(struct task_struct *p, u64 flags)
{
	if (flags)
		scx_bpf_dsq_insert(p, SHARED_DSQ, slice_ns, flags);
	no_mistake();
}

/* Asks in which cgroup a task is that the callback is not about. */
static void ask_about_other(void)
{
	struct task_struct *other = bpf_task_from_pid(last_pid);

	if (!other)
		return;
	cgroup_of(other);
	bpf_task_release(other);
	no_mistake();
}

/* Has a CPU chosen for a task that the callback is not about. */
static void select_for_other(u64 flags)
{
	struct task_struct *other = bpf_task_from_pid(last_pid);
	bool is_idle;

	if (!other)
		return;
	scx_bpf_select_cpu_dfl(other, scx_bpf_task_cpu(other), flags, &is_idle);
	bpf_task_release(other);
	no_mistake();
}

/* Asks for a locked run queue where there is none. */
static void ask_for_locked_rq(void)
{
	if (ksym_exists(scx_bpf_locked_rq))
		scx_bpf_locked_rq();
	no_mistake();
}

/* Makes a mistake about a task; whether that has decided what becomes of it. */
static bool mistake_in_enqueue(struct task_struct *p, u64 enq_flags)
{
	s32 pid = p->pid;

	if (mistakes(MISTAKE_NO_DSQ, pid))
		scx_bpf_dsq_insert(p, NO_DSQ, slice_ns, enq_flags);
	else if (mistakes(MISTAKE_NO_CPU, pid))
		scx_bpf_dsq_insert(p, SCX_LOCAL_ON | NO_CPU, slice_ns, enq_flags);
	else if (mistakes(MISTAKE_VTIME_GLOBAL, pid))
		scx_bpf_dsq_insert_vtime(p, SCX_DSQ_GLOBAL, slice_ns, 5, enq_flags);
	else if (mistakes(MISTAKE_VTIME_LOCAL, pid))
		scx_bpf_dsq_insert_vtime(p, SCX_DSQ_LOCAL, slice_ns, 5, enq_flags);
	else if (mistakes(MISTAKE_FLAGS, pid))
		scx_bpf_dsq_insert(p, SHARED_DSQ, slice_ns, INTERNAL_FLAG);
	else if (mistakes(MISTAKE_IMMEDIATE_SHARED, pid))
		insert_with(p, flag_exists(SCX_ENQ_IMMED) ? flag(SCX_ENQ_IMMED) : 0);
	else if (mistakes(MISTAKE_RESCUE_SHARED, pid))
		insert_with(p, flag_exists(SCX_ENQ_RESCUE) ? flag(SCX_ENQ_RESCUE) : 0);
	else if (mistakes(MISTAKE_NOT_ALLOWED, pid))
		scx_bpf_dsq_insert(p, SCX_LOCAL_ON | WRONG_CPU, slice_ns, enq_flags);
	else if (mistakes(MISTAKE_TWICE, pid)) {
		scx_bpf_dsq_insert(p, SHARED_DSQ, slice_ns, enq_flags);
		scx_bpf_dsq_insert(p, SHARED_DSQ, slice_ns, enq_flags);
	} else if (last_pid && mistakes(MISTAKE_OTHER_TASK, pid))
		insert_other(enq_flags);
	else if (last_pid && mistakes(MISTAKE_MIXED, pid))
		scx_bpf_dsq_insert_vtime(p, SHARED_DSQ, slice_ns, 5, enq_flags);
	else if (mistake == MISTAKE_MIXED_OTHERWISE && scx_bpf_dsq_nr_queued(SHARED_DSQ) > 0 &&
	         mistakes(MISTAKE_MIXED_OTHERWISE, pid))
		scx_bpf_dsq_insert_vtime(p, SHARED_DSQ, slice_ns, 5, enq_flags);
	else if (mistake == MISTAKE_FORGET)
		return true;
	else
		return false;
	return true;
}

/* Makes a mistake beside what becomes of a task. */
static void mistake_beside(struct task_struct *p)
{
	s32 pid = p->pid;

	if (mistakes(MISTAKE_KICK_NO_CPU, pid))
		scx_bpf_kick_cpu(NO_CPU, 0);
	else if (mistakes(MISTAKE_KICK_BOTH, pid))
		scx_bpf_kick_cpu(1, SCX_KICK_IDLE | SCX_KICK_PREEMPT);
	else if (mistakes(MISTAKE_GIVE_UP, pid))
		scx_bpf_error("no place for %s[%d]", p->comm, pid);
	else if (mistakes(MISTAKE_EXIT, pid))
		scx_bpf_exit(7, "that is enough");
	else if (mistakes(MISTAKE_DUMP, pid))
		scx_bpf_dump("dumped %s", p->comm);
	else if (mistake == MISTAKE_DESTROY && scx_bpf_dsq_nr_queued(SHARED_DSQ) > 0 &&
	         mistakes(MISTAKE_DESTROY, pid))
		scx_bpf_destroy_dsq(SHARED_DSQ);
	else if (mistakes(MISTAKE_FORMAT, pid))
		scx_bpf_error("at %y");
	else if (mistakes(MISTAKE_TOO_FAST, pid))
		scx_bpf_cpuperf_set(scx_bpf_task_cpu(p), 1025);
	else if (mistakes(MISTAKE_FAST_ELSEWHERE, pid))
		scx_bpf_cpuperf_set(WRONG_CPU, 1024);
	else if (last_pid && mistakes(MISTAKE_CGROUP_OF_OTHER, pid))
		ask_about_other();
	else if (last_pid && last_pid != pid && mistakes(MISTAKE_SELECT_LATE, pid))
		select_for_other(0);
	else
		mistake_about_queues(pid);
	last_pid = pid;
}

/* Whether a task is the one that mistakes are about. */
static bool is_unwanted(const struct task_struct *p)
{
	return p->comm[0] == 'A' && !p->comm[1];
}

/* Makes a mistake after such a task. */
static void mistake_in_dispatch(struct task_struct *prev)
{
	if (!prev || !is_unwanted(prev))
		return;
	if (mistakes(MISTAKE_NO_SOURCE, prev->pid))
		scx_bpf_dsq_move_to_local(NO_DSQ);
	else if (mistakes(MISTAKE_GIVE_UP_LATE, prev->pid))
		scx_bpf_error("nothing is left");
	else
		mistake_in_moving(prev);
}
