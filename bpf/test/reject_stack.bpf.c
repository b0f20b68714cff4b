/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Refused on purpose: two functions, one called by the other, keep 320 bytes each on the stack,
 * where all calls together may use 512. The compiler looks at one function at a time and sees no
 * fault.
 */
#include <rota/compat.h>
#include <rota/describe.h>

LICENSE_GPL;

#define PLACES 40
#define LAST   31

static __attribute__((noinline)) u64 newest(u64 seed)
{
	volatile u64 places[PLACES] = {};

	places[seed & LAST] = seed;
	return places[(seed + 1) & LAST];
}

static __attribute__((noinline)) u64 both(u64 seed)
{
	volatile u64 places[PLACES] = {};

	places[seed & LAST] = newest(seed);
	return places[(seed + 1) & LAST];
}

void BPF_STRUCT_OPS(reject_stack_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, both(p->pid), enq_flags);
}

SCHEDULER("test: refused for too large a stack")
struct sched_ext_ops reject_stack = {
	.enqueue = (void *)reject_stack_enqueue,
	.name = "reject_stack",
};
