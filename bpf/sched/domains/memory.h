/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory policies: who has memory on some nodes only is best off on their CPUs. */
#pragma once

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

/* The policy of a task, to compare and to read; NULL if it has none. */
static __always_inline const struct mempolicy *policy_of(const struct task_struct *p)
{
	const struct task_struct___memory *with = (const void *)p;

	return core_field_exists(with->mempolicy) ? with->mempolicy : NULL;
}

/* Whether a policy has nothing against a node. It may be gone meanwhile; then it says anything. */
static bool policy_likes(const struct mempolicy *policy, u32 node)
{
	unsigned short mode = 0;
	u64 word = 0;

	if (!policy || node == ~0u)
		return true;
	bpf_probe_read_kernel(&mode, sizeof(mode), &policy->mode);
	if (mode != MPOL_PREFERRED && mode != MPOL_BIND && mode != MPOL_PREFERRED_MANY)
		return true;
	bpf_probe_read_kernel(&word, sizeof(word), (const char *)&policy->nodes + node / 64 * 8);
	return word >> (node & 63) & 1;
}
