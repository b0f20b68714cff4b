/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory policies: who has memory on some nodes only is best off on their CPUs.
 *
 * A task whose policy names nodes has a mask of the CPUs there that it may use. It waits in their
 * domains only. If it stays there, no other CPU runs it; else one does that has nothing to do.
 * Without such a CPU the policy counts for nothing: what a task may use comes first.
 */
#pragma once

#include "machine.h"
#include <rota/compat.h>

/* The kinds of policy that name nodes to stay on (kernel: include/uapi/linux/mempolicy.h). */
#define MPOL_PREFERRED      1
#define MPOL_BIND           2
#define MPOL_PREFERRED_MANY 5

struct mempolicy {
	unsigned short mode;
	struct {
		unsigned long bits[1];
	} nodes;
} __attribute__((preserve_access_index));

struct task_struct___memory {
	struct mempolicy *mempolicy;
} __attribute__((preserve_access_index));

static long (*const bpf_probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;

/* How many tasks stay on the nodes of their memory. */
static u64 staying;

/* The policy of a task; NULL if it has none. It may be gone at any time. */
static __always_inline const struct mempolicy *policy_of(const struct task_struct *p)
{
	const struct task_struct___memory *with = (const void *)p;

	return core_field_exists(with->mempolicy) ? with->mempolicy : NULL;
}

/* What a policy says: nothing if there is none. */
struct policy_seen {
	u64 at;      /* its address; another one may come to the same */
	u64 nodes;   /* the first 64, as bits */
	u64 changes; /* of domains */
	u64 mode;    /* MPOL_... */
};

static __always_inline void look_at_policy(struct policy_seen *seen, const struct mempolicy *policy)
{
	unsigned short mode = 0;

	__builtin_memset(seen, 0, sizeof(*seen));
	if (!policy)
		return;
	bpf_probe_read_kernel(&mode, sizeof(mode), &policy->mode);
	bpf_probe_read_kernel(&seen->nodes, sizeof(seen->nodes), &policy->nodes);
	seen->at = (u64)policy;
	seen->changes = changes;
	seen->mode = mode;
}

static __always_inline bool says_the_same(const struct policy_seen *one,
                                          const struct policy_seen *other)
{
	return one->at == other->at && one->nodes == other->nodes &&
	       one->changes == other->changes && one->mode == other->mode;
}

/* Whether a policy of this kind names nodes to stay on. */
static bool names_nodes(u64 mode)
{
	return mode == MPOL_PREFERRED || mode == MPOL_BIND || mode == MPOL_PREFERRED_MANY;
}

/* Whether a policy names a node. */
static bool policy_names(const struct mempolicy *policy, u32 node)
{
	u64 word = 0;

	if (node == NONE)
		return false;
	bpf_probe_read_kernel(&word, sizeof(word), (const char *)&policy->nodes + node / 64 * 8);
	return word >> (node & 63) & 1;
}

/* The CPUs of a mask that are on the nodes of a policy, as a mask of one's own; NULL if none is. */
static struct bpf_cpumask *near_memory(const struct mempolicy *policy, const struct cpumask *mask)
{
	struct bpf_cpumask *near = bpf_cpumask_create();
	u32 id;

	if (!near)
		return NULL;
	loop(id, 0, domain_count) {
		struct domain *domain = domain_at(id);
		struct bpf_cpumask *cpus = domain ? domain->cpus : NULL;

		if (cpus && domain->cpus_online && policy_names(policy, node_of(id)))
			bpf_cpumask_or(near, as_mask(near), as_mask(cpus));
	}
	if (bpf_cpumask_and(near, as_mask(near), mask))
		return near;
	bpf_cpumask_release(near);
	return NULL;
}
