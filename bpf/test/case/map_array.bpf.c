/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arrays: one for all CPUs, and one for each. */
#include "case.h"
#include <rota/map.h>

LICENSE_GPL;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u64);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u64);
} of_cpu SEC(".maps");

CASE(is_zero_at_first, 0)
{
	u32 key = 3;
	u64 *value = bpf_map_lookup_elem(&array, &key);

	return value ? *value : 99;
}

CASE(pointers_stay, 12)
{
	u32 key = 0;
	u64 seven = 7, *value = bpf_map_lookup_elem(&array, &key), *again;

	if (!value)
		return 99;
	bpf_map_update_elem(&array, &key, &seven, BPF_ANY);
	again = bpf_map_lookup_elem(&array, &key);
	*value += 5;
	return again == value ? *again : 98;
}

CASE(beyond_the_end, 1)
{
	u32 key = unknown(4);

	return bpf_map_lookup_elem(&array, &key) == NULL;
}

CASE(update_beyond_the_end, -7) /* E2BIG */
{
	u32 key = unknown(4);
	u64 value = 1;

	return bpf_map_update_elem(&array, &key, &value, BPF_ANY);
}

CASE(every_entry_exists, -17) /* EEXIST */
{
	u32 key = 1;
	u64 value = 1;

	return bpf_map_update_elem(&array, &key, &value, BPF_NOEXIST);
}

CASE(entries_stay, -22) /* EINVAL */
{
	u32 key = 1;

	return bpf_map_delete_elem(&array, &key);
}

static long sum_up(void *map, u32 *key, u64 *value, u64 *sum)
{
	*value = *key + 1;
	*sum += *value;
	return *key == 2; /* stops */
}

CASE(for_each, 306)
{
	u64 sum = 0;
	long seen = bpf_for_each_map_elem(&array, sum_up, &sum, 0);

	return seen * 100 + sum;
}

CASE(own_cpu, 5)
{
	u32 key = 0, cpu = bpf_get_smp_processor_id();
	u64 *mine = bpf_map_lookup_elem(&of_cpu, &key);
	u64 *named = bpf_map_lookup_percpu_elem(&of_cpu, &key, cpu);

	if (!mine || !named)
		return 99;
	*mine = 5;
	return *named;
}

CASE(no_such_cpu, 1)
{
	u32 key = 0;

	return bpf_map_lookup_percpu_elem(&of_cpu, &key, unknown(1 << 20)) == NULL;
}
