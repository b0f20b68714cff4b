/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hash tables: plain, of each CPU, and those that forget what was used longest ago. */
#include "case.h"
#include <rota/map.h>

LICENSE_GPL;

struct key {
	u32 a;
	u16 b;
	u16 c;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 3);
	__type(key, struct key);
	__type(value, u64);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2);
	__type(key, u64);
	__type(value, u32);
} small SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u64);
} of_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, u32);
} recent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, u64);
} recent_of_cpu SEC(".maps");

CASE(missing, 1)
{
	struct key key = {.a = 77};

	return bpf_map_lookup_elem(&hash, &key) == NULL;
}

CASE(found, 45)
{
	struct key key = {.a = 1, .b = 2, .c = 3}, other = {.a = 1, .b = 2, .c = 4};
	u64 number = 45, *value;

	bpf_map_update_elem(&hash, &key, &number, BPF_ANY);
	number = 46;
	value = bpf_map_lookup_elem(&hash, &key);
	if (bpf_map_lookup_elem(&hash, &other))
		return 98;
	number = value ? *value : 99;
	bpf_map_delete_elem(&hash, &key);
	return number;
}

CASE(only_if_new, -17) /* EEXIST */
{
	struct key key = {.a = 2};
	u64 number = 1;
	long result;

	if (bpf_map_update_elem(&hash, &key, &number, BPF_NOEXIST))
		return 98;
	result = bpf_map_update_elem(&hash, &key, &number, BPF_NOEXIST);
	bpf_map_delete_elem(&hash, &key);
	return result;
}

CASE(only_if_there, -2) /* ENOENT */
{
	struct key key = {.a = 3};
	u64 number = 1;

	return bpf_map_update_elem(&hash, &key, &number, BPF_EXIST);
}

CASE(unknown_flags, -22) /* EINVAL */
{
	struct key key = {.a = 3};
	u64 number = 1;

	return bpf_map_update_elem(&hash, &key, &number, unknown(8));
}

CASE(delete_missing, -2) /* ENOENT */
{
	struct key key = {.a = 4};

	return bpf_map_delete_elem(&hash, &key);
}

CASE(full, -7) /* E2BIG */
{
	u64 key;
	u32 value = 1;
	long result = 0;

	for (key = 100; key < 103; key++)
		result = bpf_map_update_elem(&small, &key, &value, BPF_ANY);
	for (key = 100; key < 103; key++)
		bpf_map_delete_elem(&small, &key);
	return result;
}

static long add_values(void *map, u64 *key, u32 *value, u64 *sum)
{
	*sum += *key * *value;
	return 0;
}

CASE(for_each, 231)
{
	u64 key = 10, sum = 0;
	u32 value = 2;
	long seen;

	bpf_map_update_elem(&small, &key, &value, BPF_ANY);
	key = 11;
	value = 1;
	bpf_map_update_elem(&small, &key, &value, BPF_ANY);
	seen = bpf_for_each_map_elem(&small, add_values, &sum, 0);
	bpf_map_delete_elem(&small, &key);
	key = 10;
	bpf_map_delete_elem(&small, &key);
	return seen * 100 + sum;
}

CASE(update_in_place, 9)
{
	u64 key = 20;
	u32 value = 1, *found;

	bpf_map_update_elem(&small, &key, &value, BPF_ANY);
	found = bpf_map_lookup_elem(&small, &key);
	if (found)
		*found = 9;
	found = bpf_map_lookup_elem(&small, &key);
	value = found ? *found : 99;
	bpf_map_delete_elem(&small, &key);
	return value;
}

CASE(of_this_cpu, 6)
{
	u32 key = 8, cpu = bpf_get_smp_processor_id();
	u64 number = 6, *mine, *named;

	bpf_map_update_elem(&of_cpu, &key, &number, BPF_ANY);
	mine = bpf_map_lookup_elem(&of_cpu, &key);
	named = bpf_map_lookup_percpu_elem(&of_cpu, &key, cpu);
	number = mine && mine == named ? *mine : 99;
	bpf_map_delete_elem(&of_cpu, &key);
	return number;
}

static long remember(u32 key, u32 *failures)
{
	u32 value = 1;

	*failures += bpf_map_update_elem(&recent, &key, &value, BPF_ANY) != 0;
	return 0;
}

CASE(forgets, 1)
{
	u32 key = 999, failures = 0, *last;

	bpf_loop(1000, remember, &failures, 0);
	if (failures)
		return 99;
	last = bpf_map_lookup_elem(&recent, &key);
	key = 0;
	return last && !bpf_map_lookup_elem(&recent, &key);
}

static long remember_on_cpu(u32 key, u32 *failures)
{
	u64 value = 7;

	*failures += bpf_map_update_elem(&recent_of_cpu, &key, &value, BPF_ANY) != 0;
	return 0;
}

CASE(forgets_on_each_cpu, 1)
{
	u32 key = 999, failures = 0;
	u64 *last;

	bpf_loop(1000, remember_on_cpu, &failures, 0);
	if (failures)
		return 99;
	last = bpf_map_lookup_elem(&recent_of_cpu, &key);
	key = 0;
	return last && *last == 7 && !bpf_map_lookup_elem(&recent_of_cpu, &key);
}
