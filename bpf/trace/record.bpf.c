/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records what tasks do: who gets a CPU and how the task before leaves it, who wakes whom, who
 * moves, begins and ends; if wanted, who sends what to whom.
 *
 * Each CPU has a ring of its own, so that CPUs don't wait for each other, and a count of the
 * records that it had no room for, which each record carries: what is missing is missing between
 * two whose counts differ. Records have the ids of tasks; a name and a nice value are told once,
 * before the first record that has the id, and again when they change: a name at once, a nice value
 * when the task is seen again. Nobody is woken up: who reads comes by itself.
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

/* What is wanted, if not everything: set before loading. Nothing else is constant here. */
#define GROUPS 8
#define WORDS  128

struct filter {
	u32 by_cpu, by_pid, group_count;
	/* From a CPU's struct rq to its count of interrupts, in bytes; 0 if there is no way. */
	s32 interrupts;
	u64 cpus[WORDS];
	u64 group_ids[GROUPS];
	u32 group_levels[GROUPS];
};

const volatile struct filter filter = {};

/* Wanted threads and processes, by their ids. What they start comes in too. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, s32);
	__type(value, u32);
} wanted_pids SEC(".maps");

/* What this CPU told last of the tasks whose ids end alike. */
struct told {
	u64 start_ns;
	u32 normal_prio, policy;
	u64 first_cpus;
	u32 cpus;
};

#define TOLD_PLACES 512

struct memory {
	struct told told[TOLD_PLACES];
	/* Whom this CPU has just taken from which queue, that it may run them. */
	u64 taken_from;
	s32 taken;
	/* Who got this CPU last, and was told. */
	s32 running;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct memory);
} memories SEC(".maps");

static __always_inline struct memory *own_memory(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&memories, &zero);
}

/* The tracepoints give what the verifier knows the type of; raw ones give addresses. */
#ifdef RAW
#define POINT(name) SEC("raw_tp/" name)
#define task(value) typed(struct task_struct, value)
#else
#define POINT(name) SEC("tp_btf/" name)
#define task(value) ((struct task_struct *)(value))
#endif

/* Whether this CPU is wanted. */
static __always_inline bool here(void)
{
	u32 cpu;

	if (!filter.by_cpu)
		return true;
	cpu = bpf_get_smp_processor_id();
	return filter.cpus[cpu / 64 % WORDS] >> cpu % 64 & 1;
}

static __always_inline u64 group_of(struct task_struct *p)
{
	return EXISTS(p, cgroups) ? p->cgroups->dfl_cgrp->kn->id : 0;
}

/* Whether a task is in one of the cgroups, or below. */
static __always_inline bool in_group(struct task_struct *p)
{
	struct cgroup *cgroup, *above;

	if (!EXISTS(p, cgroups))
		return false;
	cgroup = p->cgroups->dfl_cgrp;
	for (u32 each = 0; each < GROUPS && each < filter.group_count; each++) {
		u32 level = filter.group_levels[each];
		u64 id = 0;

		if (cgroup->level < 0 || (u32)cgroup->level < level)
			continue;
		if (bpf_probe_read_kernel(&above, sizeof(above),
		                          (void *)cgroup->ancestors + level * sizeof(above)))
			continue;
		id = typed(struct cgroup, above)->kn->id;
		if (id == filter.group_ids[each])
			return true;
	}
	return false;
}

static __always_inline bool wanted(struct task_struct *p)
{
	s32 pid = p->pid, tgid = p->tgid;

	if (!filter.by_pid && !filter.group_count)
		return true;
	if (!pid)
		return false;
	if (filter.by_pid && !bpf_map_lookup_elem(&wanted_pids, &pid) &&
	    !bpf_map_lookup_elem(&wanted_pids, &tgid))
		return false;
	return !filter.group_count || in_group(p);
}

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

/* Tells a name, the nice value and the CPUs of a task, whatever was told. */
static bool tell_as(struct task_struct *p, const char *name)
{
	struct naming *naming = (void *)reserve(sizeof(*naming), TOLD);

	if (!naming)
		return false;
	naming->pid = p->pid;
	naming->tgid = p->tgid;
	naming->start_ns = p->start_time;
	naming->name[0] = 0;
	naming->name[1] = 0;
	bpf_probe_read_kernel_str(naming->name, sizeof(naming->name), name);
	naming->group = group_of(p);
	naming->normal_prio = p->normal_prio;
	naming->policy = p->policy;
	naming->cpus = p->nr_cpus_allowed;
	naming->unused = 0;
	naming->first_cpus = p->cpus_mask.bits[0];
	bpf_ringbuf_submit(naming, BPF_RB_NO_WAKEUP);
	return true;
}

/*
 * The same with its own name, unless this CPU told it last of those whose ids end alike. Says
 * whether it is told.
 */
static __always_inline bool tell_once(struct memory *memory, struct task_struct *p)
{
	u32 pid = p->pid, normal_prio = p->normal_prio, policy = p->policy;
	u32 cpus = p->nr_cpus_allowed;
	u64 first_cpus = p->cpus_mask.bits[0];
	struct told *known = &memory->told[pid % TOLD_PLACES];
	u64 start_ns = p->start_time;

	if (!pid)
		return true;
	if (known->start_ns == start_ns && known->normal_prio == normal_prio &&
	    known->policy == policy && known->cpus == cpus && known->first_cpus == first_cpus)
		return true;
	if (!tell_as(p, p->comm))
		return false;
	known->start_ns = start_ns;
	known->normal_prio = normal_prio;
	known->policy = policy;
	known->cpus = cpus;
	known->first_cpus = first_cpus;
	return true;
}

static __always_inline void tell(struct task_struct *p)
{
	struct memory *memory = own_memory();

	if (memory)
		tell_once(memory, p);
}

/* The same for the task that runs here, of which is told when it gets the CPU. */
static __always_inline void tell_running(struct memory *memory, struct task_struct *p)
{
	if (memory->running != p->pid)
		tell_once(memory, p);
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

POINT("sched_switch") int switches(u64 *ctx)
{
	struct task_struct *prev = task(ctx[1]), *next = task(ctx[2]);
	u64 state = (u32)ctx[3] | (u32)prev->exit_state;
	s32 from = prev->pid, to = next->pid;
	struct memory *memory;

	if (!here())
		return 0;
	if (filter.by_pid || filter.group_count) {
		bool goes = wanted(prev), comes = wanted(next);

		if (!goes && !comes)
			return 0;
		if (!goes && from) {
			/* Others do not wait for a CPU: that is not recorded of them. */
			from = OTHERS;
			state = 1;
		} else if (goes) {
			tell(prev);
		}
		if (comes)
			tell(next);
		else if (to)
			to = OTHERS;
		return happens(SWITCH, to, from, state | (goes ? (ctx[0] & 1) << 32 : 0));
	}
	memory = own_memory();
	if (memory) {
		tell_running(memory, prev);
		memory->running = tell_once(memory, next) ? to : OTHERS;
	}
	return happens(SWITCH, to, from, state | (ctx[0] & 1) << 32);
}

/*
 * Whether an interrupt runs on this CPU, not the task. Being called here is none, unlike by perf.
 */
static __always_inline bool in_interrupt(struct task_struct *current)
{
	u32 place = __builtin_preserve_field_info(((struct thread_info *)0)->cpu, 0);
	void *queue;

	if (!filter.interrupts || !EXISTS(current, se.cfs_rq))
		return false;
	queue = current->se.cfs_rq->rq;
	/* A number at any place is read as if it were this one, since that needs no call. */
	return typed(struct thread_info, queue + filter.interrupts - place)->cpu & IN_INTERRUPT;
}

POINT("sched_waking") int waking(u64 *ctx)
{
	struct task_struct *p = task(ctx[0]), *waker = bpf_get_current_task_btf();
	struct memory *memory = own_memory();

	if (!memory || !here() || !wanted(p))
		return 0;
	tell_once(memory, p);
	if (in_interrupt(waker))
		return happens(WAKING, p->pid, 0, 0);
	tell_running(memory, waker);
	return happens(WAKING, p->pid, waker->pid, 0);
}

POINT("sched_wakeup_new") int begins(u64 *ctx)
{
	struct task_struct *p = task(ctx[0]), *waker = bpf_get_current_task_btf();

	if (!here() || !wanted(p))
		return 0;
	tell(p);
	tell(waker);
	return happens(WAKEUP_NEW, p->pid, waker->pid, p->thread_info.cpu);
}

POINT("sched_migrate_task") int migrates(u64 *ctx)
{
	struct task_struct *p = task(ctx[0]);

	if (!here() || !wanted(p))
		return 0;
	tell(p);
	return happens(MIGRATE, p->pid, (s32)ctx[1], p->thread_info.cpu);
}

/* How often who made it had woken another one than the time before. */
static __always_inline u32 flips_of(struct task_struct *p)
{
	return EXISTS(p, wakee_flips) ? p->wakee_flips : 0;
}

POINT("sched_process_fork") int forks(u64 *ctx)
{
	struct task_struct *parent = task(ctx[0]), *child = task(ctx[1]);
	s32 pid = child->pid;
	u32 yes = 1;

	/* On whatever CPU: the child may run on another. */
	if (filter.by_pid && wanted(parent))
		bpf_map_update_elem(&wanted_pids, &pid, &yes, BPF_ANY);
	if (!here() || !wanted(child))
		return 0;
	tell(child);
	tell(parent);
	return happens(FORK, pid, parent->pid, flips_of(child));
}

/* A task is about to get another name. */
POINT("task_rename") int renames(u64 *ctx)
{
	struct task_struct *p = task(ctx[0]);

	if (here() && wanted(p))
		tell_as(p, (const char *)ctx[1]);
	return 0;
}

POINT("sched_process_exit") int exits(u64 *ctx)
{
	struct task_struct *p = task(ctx[0]);

	if (!here() || !wanted(p))
		return 0;
	tell(p);
	return happens(EXIT, p->pid, 0, 0);
}

/* A thread, or all of its process, goes to another cgroup. */
POINT("cgroup_attach_task") int changes_group(u64 *ctx)
{
	struct task_struct *p = task(ctx[2]);

	if (!here() || !wanted(p))
		return 0;
	tell_as(p, p->comm);
	return happens(GROUP, p->pid, ctx[3] & 1, group_of(p));
}

#include "record_messages.h"
#ifndef RAW
#include "record_ext.h"
#endif
