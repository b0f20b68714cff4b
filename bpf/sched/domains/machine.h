/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPUs and domains, as the user half says, and which of them are there. */
#pragma once

#include <rota/cpus.h>
#include <rota/loop.h>

/* An exit after which it is to be loaded again, since CPUs changed (kernel: SCX_ECODE_...). */
#define LOAD_AGAIN (1LL << 48 | 1LL << 32)

#define NONE   (~0u)
#define RECENT 16 /* a power of 2 */

/* Set by the user half. */
const volatile u32 domain_count = 1;
const volatile u32 cpu_count = 1;      /* numbers of CPUs are below */
const volatile u32 possible_count = 1; /* so many of them can be there */
const volatile bool unequal;           /* not all CPUs are as strong */

/* A CPU. The user half says where it is. */
struct SHARED domains_cpu {
	u64 ran_ns;   /* for how long tasks that are told of ran, up to when the last one stopped */
	u64 since_ns; /* since when one does; 0 if none does */
	u64 deadline; /* of who runs, as in the CPU's domain; 0 if nobody does */
	u64 turn_at_ns; /* since when it runs who does */
	u64 idle_at_ns; /* when it last found nothing to do */
	u32 domain;     /* NONE if there can't be such a CPU */
	u32 online;
	u32 strong; /* none is stronger */
	u32 next;   /* which of the other domains it looks into next */
	u32 asks;   /* which other domain a task is sent to next */
	/* Whose queue it is to look into: the number after the domain's; 0 is none. */
	u32 called_by;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct domains_cpu);
} cpus SEC(".maps");

/* A domain. */
struct domain {
	struct bpf_cpumask __kptr *cpus;
	struct bpf_cpumask __kptr *strong; /* those of its CPUs that no CPU is stronger than */
	u64 vtime_now;                     /* about that of those who start to run */
	u64 debt_max;   /* by how much a task's virtual time is ahead or behind at most */
	u64 pace_vtime; /* what vtime_now was */
	u64 pace_at_ns; /* at this time */
	u64 cpus_online;
	u64 tasks; /* that belong to it, and want to run or are new */
	/* Its CPUs that last found nothing to do, in a ring: the last stands before the place. */
	u32 recent[RECENT];
	u32 place;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct domain);
} domains SEC(".maps");

/* For each domain its node, as the system numbers it; NONE if it has none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} nodes SEC(".maps");

/* For each domain all others, the nearest first. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} others SEC(".maps");

/* The domains in whose queues somebody may wait, 64 to a word. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} waiting SEC(".maps");

/* How many domains have no CPU that is there. */
static u64 deserted;
/* How often a domain came to have a CPU, or to have none. */
static u64 changes;

static __always_inline struct domains_cpu *cpu_at(s32 cpu)
{
	return bpf_map_lookup_elem(&cpus, &cpu);
}

static __always_inline struct domain *domain_at(u32 domain)
{
	return bpf_map_lookup_elem(&domains, &domain);
}

/* The node of a domain; NONE if it has none. */
static u32 node_of(u32 domain)
{
	u32 *node = bpf_map_lookup_elem(&nodes, &domain);

	return node ? *node : NONE;
}

/* The domain that is so near to another one: 0 is the nearest. NONE if there are not as many. */
static u32 nearest(u32 domain, u32 place)
{
	u32 at = domain * (domain_count - 1) + place, *other;

	if (place >= domain_count - 1)
		return NONE;
	other = bpf_map_lookup_elem(&others, &at);
	return other ? *other : NONE;
}

/* Whether tasks that may use these CPUs can run in a domain. */
static bool is_open(const struct domain *domain, const struct cpumask *mask)
{
	struct bpf_cpumask *own = domain->cpus;

	return own && domain->cpus_online && bpf_cpumask_intersects(as_mask(own), mask);
}

/* Somebody has come to wait in a domain's queue. */
static void note_waiting(u32 id)
{
	u32 at = id / 64;
	u64 *word = bpf_map_lookup_elem(&waiting, &at), bit = 1ULL << (id & 63);

	if (word && !(*word & bit))
		__sync_fetch_and_or(word, bit);
}

/* Nobody waits in a domain's queue, unless somebody comes just now. */
static void note_empty(u32 id, u64 *word)
{
	u64 bit = 1ULL << (id & 63);

	__sync_fetch_and_and(word, ~bit);
	if (scx_bpf_dsq_nr_queued(id) > 0)
		__sync_fetch_and_or(word, bit);
}

/* A CPU has found nothing to do. */
static void note_idle(s32 cpu, struct domains_cpu *at)
{
	struct domain *domain = domain_at(at->domain);

	at->idle_at_ns = bpf_ktime_get_ns();
	if (domain)
		domain->recent[__sync_fetch_and_add(&domain->place, 1) & (RECENT - 1)] = cpu;
}

/* Whether all CPUs of a CPU's core are idle. */
static bool is_core_idle(s32 cpu)
{
	const struct cpumask *idle = scx_bpf_get_idle_smtmask();
	bool yes = bpf_cpumask_test_cpu(cpu, idle);

	scx_bpf_put_idle_cpumask(idle);
	return yes;
}

/* Claims a CPU if it is idle, has not been so for long, and with a core of its own if need be. */
static bool claim_warm(s32 cpu, const struct cpumask *mask, u64 now_ns, bool core)
{
	struct domains_cpu *at = cpu_at(cpu);

	return at && now_ns - at->idle_at_ns < warm_ns && bpf_cpumask_test_cpu(cpu, mask) &&
	       (!core || is_core_idle(cpu)) && scx_bpf_test_and_clear_cpu_idle(cpu);
}

/* Claims a CPU of a domain that has gone idle lately, the last one first; below 0 if none is. */
static s32 warm_in(const struct domain *domain, const struct cpumask *mask, u64 now_ns, bool core)
{
	u32 step, place = domain->place;

	loop(step, 0, RECENT / 2) {
		s32 cpu = domain->recent[(place - 1 - step) & (RECENT - 1)];

		if (claim_warm(cpu, mask, now_ns, core))
			return cpu;
	}
	return -1;
}

/* A CPU has come or gone. Where it was not there when domains were made, they are made again. */
static void set_online(s32 cpu, bool online)
{
	struct domains_cpu *at = cpu_at(cpu);
	struct domain *domain = at ? domain_at(at->domain) : NULL;

	if (at && !domain && online)
		scx_bpf_exit(LOAD_AGAIN, "CPU %d is in no domain yet", cpu);
	if (!domain || at->online == online)
		return;
	at->online = online;
	at->deadline = 0;
	if (online) {
		if (__sync_fetch_and_add(&domain->cpus_online, 1))
			return;
		__sync_fetch_and_sub(&deserted, 1);
	} else {
		if (__sync_fetch_and_sub(&domain->cpus_online, 1) != 1)
			return;
		__sync_fetch_and_add(&deserted, 1);
	}
	__sync_fetch_and_add(&changes, 1);
}

/* Puts a mask into its place. */
static __always_inline void set_mask(struct bpf_cpumask *__kptr *place, struct bpf_cpumask *mask)
{
	mask = bpf_kptr_xchg(place, mask);
	if (mask)
		bpf_cpumask_release(mask);
}

/* Makes a domain's queue and its masks. */
static s32 make_domain(u32 id)
{
	struct domain *domain = domain_at(id);
	struct bpf_cpumask *mask, *strong;
	u64 online = 0;
	s32 error;
	u32 cpu, place;

	if (!domain)
		return -ENOENT;
	error = scx_bpf_create_dsq(id, -1);
	if (error)
		return error;
	mask = bpf_cpumask_create();
	if (!mask)
		return -ENOMEM;
	strong = bpf_cpumask_create();
	if (!strong) {
		bpf_cpumask_release(mask);
		return -ENOMEM;
	}
	loop(cpu, 0, cpu_count) {
		struct domains_cpu *at = cpu_at(cpu);

		if (at && at->domain == id) {
			bpf_cpumask_set_cpu(cpu, mask);
			online += at->online;
			if (at->strong)
				bpf_cpumask_set_cpu(cpu, strong);
		}
	}
	loop(place, 0, RECENT)
		domain->recent[place & (RECENT - 1)] = NONE;
	domain->cpus_online = online;
	domain->debt_max = debt_ns;
	domain->pace_at_ns = bpf_ktime_get_ns();
	if (!online)
		__sync_fetch_and_add(&deserted, 1);
	set_mask(&domain->cpus, mask);
	set_mask(&domain->strong, strong);
	return 0;
}
