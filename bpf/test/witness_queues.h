/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the test scheduler does with queues beside inserting into them: going through one, moving
 * tasks from one to another, keeping tasks to itself and inserting them later.
 */
#pragma once

#include <rota/queue.h>

#define SECOND_DSQ 8

#define SCX_DSQ_LOCAL_ON (1ULL << 63 | 1ULL << 62)
#define SCX_DSQ_ITER_REV (1 << 16)

bool scx_bpf_dsq_move(struct bpf_iter_scx_dsq *it, struct task_struct *p, u64 dsq_id,
                      u64 enq_flags) __ksym;
bool scx_bpf_dsq_move_vtime(struct bpf_iter_scx_dsq *it, struct task_struct *p, u64 dsq_id,
                            u64 enq_flags) __ksym;
void scx_bpf_dsq_move_set_slice(struct bpf_iter_scx_dsq *it, u64 slice) __ksym;
void scx_bpf_dsq_move_set_vtime(struct bpf_iter_scx_dsq *it, u64 vtime) __ksym;
s32 scx_bpf_dsq_nr_queued(u64 dsq_id) __ksym;
u32 scx_bpf_dispatch_nr_slots(void) __ksym;
void scx_bpf_dispatch_cancel(void) __ksym;
struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;

/* 6.19. */
struct task_struct *scx_bpf_dsq_peek(u64 dsq_id) __ksym __weak;
/* 7.1; a second suffix keeps the loader from cutting the first. */
bool scx_bpf_dsq_move_to_local___v2___compat(u64 dsq_id, u64 enq_flags) __ksym __weak;
void scx_bpf_dsq_reenq(u64 dsq_id, u64 reenq_flags) __ksym __weak;
/* 6.19; and its first form, which only cpu_release() may call. */
void scx_bpf_reenqueue_local___v2___compat(void) __ksym __weak;
u32 scx_bpf_reenqueue_local(void) __ksym;
/* Up to 6.17, names from before 6.13. */
void scx_bpf_dispatch(struct task_struct *p, u64 dsq_id, u64 slice, u64 enq_flags) __ksym __weak;
void scx_bpf_dispatch_vtime(struct task_struct *p, u64 dsq_id, u64 slice, u64 vtime,
                            u64 enq_flags) __ksym __weak;
bool scx_bpf_dispatch_vtime_from_dsq(struct bpf_iter_scx_dsq *it, struct task_struct *p, u64 dsq_id,
                                     u64 enq_flags) __ksym __weak;
void scx_bpf_dispatch_from_dsq_set_vtime(struct bpf_iter_scx_dsq *it, u64 vtime) __ksym __weak;

static long (*const bpf_map_push_elem)(void *map, const void *value, u64 flags) = (void *)87;
static long (*const bpf_map_pop_elem)(void *map, void *value) = (void *)88;

SETTING(u32, to, 0, "where kept and moved tasks go: 0 local, 1 global, 2 shared, 100 on to CPUs");
SETTING(s32, mover, 1, "the CPU whose dispatch moves and inserts tasks; others just take");
SETTING(bool, old_names, false, "call functions by the names that they had before 6.13");
SETTING(u64, vtime_start, 0, "virtual time of the first task; each later one has one less");

SETTING(u32, ask_back, 0, "which tasks are asked back, and when");
SETTING(bool, immediate, false,
        "insert into local queues so that a task runs at once or comes back");

SETTING(bool, count, false, "write down how many tasks are in each queue when a task is enqueued");

enum ask_back {
	ASK_LOST = 1, /* those of a CPU that is lost */
	/* When a task comes to the mover's CPU: */
	ASK_OWN,    /* those of its local queue, */
	ASK_OTHER,  /* those of another CPU's, */
	ASK_SHARED, /* those of the shared queue. */
};

/* Tasks that are kept. */
struct {
	__uint(type, 22 /* BPF_MAP_TYPE_QUEUE */);
	__uint(max_entries, 64);
	__type(value, s32);
} kept SEC(".maps");

/*
 * Whether the mover has something to do: a task came to its CPU. What a kernel does there beside
 * the scenario must not set it going.
 */
bool armed;

/* How many tasks have been given a virtual time. */
u64 arrivals;

/* Writes down how many tasks are in each kind of queue. */
static void note_counts(s32 pid, s32 cpu)
{
	note(pid, scx_bpf_dsq_nr_queued(SCX_DSQ_LOCAL), 0);
	note(pid, scx_bpf_dsq_nr_queued(SCX_DSQ_LOCAL_ON | cpu), 1);
	note(pid, scx_bpf_dsq_nr_queued(SCX_DSQ_GLOBAL), 2);
	note(pid, scx_bpf_dsq_nr_queued(SHARED_DSQ), 3);
	note(pid, scx_bpf_dsq_nr_queued(99), 4);
}

/* Where a task goes: if it is here, to this CPU. */
static u64 target(struct task_struct *p)
{
	if (scx_bpf_task_cpu(p) == mover)
		return to == 1 ? SCX_DSQ_GLOBAL : to == 2 ? SHARED_DSQ : SCX_DSQ_LOCAL;
	if (to >= 100)
		return SCX_DSQ_LOCAL_ON | (to - 100);
	return to == 1 ? SCX_DSQ_GLOBAL : SHARED_DSQ;
}

/* Each task is before all that came earlier. */
static u64 next_vtime(void)
{
	return vtime_start - __sync_fetch_and_add(&arrivals, 1);
}

static void enqueue_backwards(struct task_struct *p, u64 enq_flags)
{
	u64 vtime = next_vtime();

	if (old_names && ksym_exists(scx_bpf_dispatch_vtime))
		scx_bpf_dispatch_vtime(p, SHARED_DSQ, slice_ns, vtime, enq_flags);
	else
		scx_bpf_dsq_insert_vtime(p, SHARED_DSQ, slice_ns, vtime, enq_flags);
}

/* Moves tasks of the shared queue, from its start or its end; of those that are here, only one. */
static void move_one(u64 iter_flags)
{
	struct bpf_iter_scx_dsq it;
	struct task_struct *p;

	bpf_iter_scx_dsq_new(&it, SHARED_DSQ, iter_flags);
	while ((p = bpf_iter_scx_dsq_next(&it))) {
		note(p->pid, 0, 0);
		if (scx_bpf_dsq_move(&it, p, target(p), insert_flags()) && !to)
			break;
	}
	bpf_iter_scx_dsq_destroy(&it);
}

/* Moves all tasks of the shared queue into the second one, with the last of them at its head. */
static void move_all(void)
{
	struct bpf_iter_scx_dsq it;
	struct task_struct *p;

	bpf_iter_scx_dsq_new(&it, SHARED_DSQ, 0);
	while ((p = bpf_iter_scx_dsq_next(&it))) {
		u64 vtime = next_vtime();
		bool moved;

		scx_bpf_dsq_move_set_slice(&it, slice_ns / 2);
		if (old_names && ksym_exists(scx_bpf_dispatch_vtime_from_dsq)) {
			scx_bpf_dispatch_from_dsq_set_vtime(&it, vtime);
			moved = scx_bpf_dispatch_vtime_from_dsq(&it, p, SECOND_DSQ, 0);
		} else {
			scx_bpf_dsq_move_set_vtime(&it, vtime);
			moved = scx_bpf_dsq_move_vtime(&it, p, SECOND_DSQ, 0);
		}
		note(p->pid, moved, p->scx.slice != slice_ns / 2);
	}
	bpf_iter_scx_dsq_destroy(&it);
	scx_bpf_dsq_move_to_local(SECOND_DSQ);
}

/* Moves each task to the end of its own queue: on this way through the queue it is seen once. */
static void move_around(void)
{
	struct bpf_iter_scx_dsq it;
	struct task_struct *p;

	bpf_iter_scx_dsq_new(&it, SHARED_DSQ, 0);
	while ((p = bpf_iter_scx_dsq_next(&it))) {
		bool moved = scx_bpf_dsq_move(&it, p, SHARED_DSQ, 0);

		note(p->pid, moved, scx_bpf_dsq_move(&it, p, SHARED_DSQ, 0));
	}
	bpf_iter_scx_dsq_destroy(&it);
	scx_bpf_dsq_move_to_local(SHARED_DSQ);
}

static void peek(void)
{
	struct task_struct *p;

	if (ksym_exists(scx_bpf_dsq_peek)) {
		p = scx_bpf_dsq_peek(SHARED_DSQ);
		if (p)
			note(p->pid, scx_bpf_dsq_nr_queued(SHARED_DSQ), 0);
	}
	if (ksym_exists(scx_bpf_dsq_move_to_local___v2___compat))
		scx_bpf_dsq_move_to_local___v2___compat(SHARED_DSQ, 0);
	else
		scx_bpf_dsq_move_to_local(SHARED_DSQ);
}

/* The flag for a local queue by which a task runs at once or comes back. */
static u64 at_once(void)
{
	return immediate && flag_exists(SCX_ENQ_IMMED) ? flag(SCX_ENQ_IMMED) : 0;
}

static bool is_stubborn(s32 pid);

/*
 * A task that comes back waits in the shared queue, and says why it came. Any other that comes to
 * the mover's CPU asks others back.
 */
static bool reenqueued(struct task_struct *p, u64 enq_flags, s32 cpu)
{
	if (enq_flags & SCX_ENQ_REENQ) {
		if (is_stubborn(p->pid)) {
			scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, at_once());
			return true;
		}
		note(p->pid, p->scx.flags >> 12 & 7, p->scx.flags & 1 << 5);
		scx_bpf_dsq_insert(p, SHARED_DSQ, slice_ns, enq_flags);
		return true;
	}
	if (cpu != mover)
		return false;
	if (ask_back == ASK_SHARED && ksym_exists(scx_bpf_dsq_reenq))
		scx_bpf_dsq_reenq(SHARED_DSQ, 0);
	else if (ask_back == ASK_OTHER && ksym_exists(scx_bpf_dsq_reenq))
		scx_bpf_dsq_reenq(SCX_DSQ_LOCAL_ON | (to - 100), 0);
	else if (ask_back == ASK_OWN && ksym_exists(scx_bpf_reenqueue_local___v2___compat))
		scx_bpf_reenqueue_local___v2___compat();
	return false;
}

static void keep(struct task_struct *p)
{
	s32 pid = p->pid;

	bpf_map_push_elem(&kept, &pid, 0);
}

/* Inserts every task that is kept; to be sure, one of them is also inserted and taken back. */
static void insert_kept(void)
{
	struct task_struct *p;
	s32 pid;
	u32 i;

	for (i = 0; i < 8; i++) {
		if (bpf_map_pop_elem(&kept, &pid))
			break;
		p = bpf_task_from_pid(pid);
		if (!p)
			continue;
		if (i == 0) {
			scx_bpf_dsq_insert(p, SHARED_DSQ, slice_ns / 2, 0);
			note(pid, scx_bpf_dispatch_nr_slots(), p->scx.slice == slice_ns / 2);
			scx_bpf_dispatch_cancel();
		}
		if (old_names && ksym_exists(scx_bpf_dispatch))
			scx_bpf_dispatch(p, target(p), slice_ns, insert_flags());
		else
			scx_bpf_dsq_insert(p, target(p), slice_ns, insert_flags());
		note(pid, scx_bpf_dispatch_nr_slots(), 0);
		bpf_task_release(p);
	}
}
