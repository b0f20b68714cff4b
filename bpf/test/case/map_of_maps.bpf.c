/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Maps that hold maps, filled where they are defined. */
#include "case.h"
#include <rota/map.h>

LICENSE_GPL;

struct counts {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} one SEC(".maps"), two SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 3);
	__type(key, u32);
	__array(values, struct counts);
} outer SEC(".maps") = {
	.values = {[0] = &one, [2] = &two},
};

static u64 *counter(u32 index)
{
	u32 zero = 0;
	void *inner = bpf_map_lookup_elem(&outer, &index);

	return inner ? bpf_map_lookup_elem(inner, &zero) : NULL;
}

CASE(different_maps, 57)
{
	u64 *first = counter(0), *last = counter(2);

	if (!first || !last)
		return 99;
	*first = 5;
	*last = 7;
	first = counter(0);
	return first ? 10 * *first + *last : 98;
}

CASE(the_same_map, 6)
{
	u32 zero = 0;
	u64 *inside = counter(0), *direct;

	if (!inside)
		return 99;
	*inside = 6;
	direct = bpf_map_lookup_elem(&one, &zero);
	return direct ? *direct : 98;
}

CASE(nothing_there, 1)
{
	return counter(unknown(1)) == NULL;
}

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, u32);
	__array(values, struct counts);
} by_key SEC(".maps") = {
	.values = {[1] = &two, [3] = &one},
};

CASE(maps_by_key, 64)
{
	u32 key = unknown(3), zero = 0;
	void *inner = bpf_map_lookup_elem(&by_key, &key);
	u64 *found = inner ? bpf_map_lookup_elem(inner, &zero) : NULL;
	u64 *direct = bpf_map_lookup_elem(&one, &zero);

	if (!found || !direct)
		return 99;
	*found = 64;
	return *direct;
}

CASE(no_map_of_that_key, 1)
{
	u32 key = unknown(2);

	return bpf_map_lookup_elem(&by_key, &key) == NULL;
}
