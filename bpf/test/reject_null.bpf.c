/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Refused on purpose: a map lookup may return NULL, and nobody asks whether it did. With a constant
 * key the verifier would know that the array has it; with the number of a CPU it does not.
 */
#include <rota/compat.h>
#include <rota/describe.h>

LICENSE_GPL;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, u64);
} enqueued SEC(".maps");

void BPF_STRUCT_OPS(reject_null_enqueue, struct task_struct *p, u64 enq_flags)
{
	u32 cpu = bpf_get_smp_processor_id();
	u64 *count = bpf_map_lookup_elem(&enqueued, &cpu);

	*count += 1;
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, 20000000, enq_flags);
}

SCHEDULER("test: refused for a missing NULL check")
struct sched_ext_ops reject_null = {
	.enqueue = (void *)reject_null_enqueue,
	.name = "reject_null",
};
