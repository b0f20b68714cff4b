/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records what tasks do: who gets a CPU and how the task before leaves it, who wakes whom, who
 * moves, begins and ends.
 *
 * Each CPU has a ring of its own, so that CPUs don't wait for each other, and a count of the
 * records that it had no room for, which each record carries: what is missing is missing between
 * two whose counts differ. Records have the ids of tasks; a name is told once, before the first
 * record that has the id, and again when it changes. Nobody is woken up: who reads comes by itself.
 */
#include "record.h"

LICENSE_GPL;

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 12);
};

/* A ring for each CPU. Who loads this makes both: the rings, and as many places as CPUs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__array(values, struct ring);
} rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} lost SEC(".maps");

/* The name of a task as it was told; of one that was not, nothing. */
struct told {
	u64 name[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct told);
} told SEC(".maps");

/* Room in the ring of this CPU; what there is no room for is counted. */
static __always_inline struct head *reserve(u64 size, u32 kind)
{
	u32 cpu = bpf_get_smp_processor_id(), zero = 0;
	u64 *missing = bpf_map_lookup_elem(&lost, &zero);
	void *ring = bpf_map_lookup_elem(&rings, &cpu);
	struct head *head;

	if (!missing || !ring)
		return NULL;
	head = bpf_ringbuf_reserve(ring, size, 0);
	if (!head) {
		__sync_fetch_and_add(missing, 1);
		return NULL;
	}
	head->kind = kind;
	head->lost = *missing;
	head->time_ns = bpf_ktime_get_ns();
	return head;
}

/* Tells the name of a task, unless it was told. */
static __always_inline void tell(struct task_struct *p)
{
	struct naming *naming;
	struct told *known;
	u64 *name;

	if (!p->pid)
		return;
	known = bpf_task_storage_get(&told, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	name = (u64 *)p->comm;
	if (known && known->name[0] == name[0] && known->name[1] == name[1])
		return;
	naming = (void *)reserve(sizeof(*naming), TOLD);
	if (!naming)
		return;
	naming->pid = p->pid;
	naming->tgid = p->tgid;
	naming->start_ns = p->start_time;
	naming->name[0] = name[0];
	naming->name[1] = name[1];
	if (known) {
		known->name[0] = naming->name[0];
		known->name[1] = naming->name[1];
	}
	bpf_ringbuf_submit(naming, BPF_RB_NO_WAKEUP);
}

static __always_inline int happens(u32 kind, s32 pid, s32 other, u64 value)
{
	struct happening *happening = (void *)reserve(sizeof(*happening), kind);

	if (!happening)
		return 0;
	happening->pid = pid;
	happening->other = other;
	happening->value = value;
	bpf_ringbuf_submit(happening, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("tp_btf/sched_switch") int switches(u64 *ctx)
{
	struct task_struct *prev = (void *)ctx[1], *next = (void *)ctx[2];
	u64 state = (u32)ctx[3] | (u32)prev->exit_state;

	tell(prev);
	tell(next);
	return happens(SWITCH, next->pid, prev->pid, state | (ctx[0] & 1) << 32);
}

SEC("tp_btf/sched_waking") int waking(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[0], *waker = bpf_get_current_task_btf();

	tell(p);
	tell(waker);
	return happens(WAKING, p->pid, waker->pid, 0);
}

SEC("tp_btf/sched_wakeup_new") int begins(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[0], *waker = bpf_get_current_task_btf();

	tell(p);
	tell(waker);
	return happens(WAKEUP_NEW, p->pid, waker->pid, p->thread_info.cpu);
}

SEC("tp_btf/sched_migrate_task") int migrates(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[0];

	tell(p);
	return happens(MIGRATE, p->pid, (s32)ctx[1], p->thread_info.cpu);
}

SEC("tp_btf/sched_process_fork") int forks(u64 *ctx)
{
	struct task_struct *parent = (void *)ctx[0], *child = (void *)ctx[1];

	tell(child);
	tell(parent);
	return happens(FORK, child->pid, parent->pid, 0);
}

/* The name has changed, and that is all that is told. */
SEC("tp_btf/sched_process_exec") int executes(u64 *ctx)
{
	tell((void *)ctx[0]);
	return 0;
}

SEC("tp_btf/sched_process_exit") int exits(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[0];

	tell(p);
	return happens(EXIT, p->pid, 0, 0);
}
