/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Queues and stacks. */
#include "case.h"
#include <rota/map.h>

LICENSE_GPL;

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 3);
	__type(value, u32);
} queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 3);
	__type(value, u32);
} stack SEC(".maps");

/* Fills a map with 1, 2 and 3 and takes all out again: the digits in the order they came. */
#define DRAIN(map)                                                                                 \
	({                                                                                         \
		u32 value, digits = 0, i;                                                          \
                                                                                                   \
		for (i = 1; i <= 3; i++) {                                                         \
			value = i;                                                                 \
			bpf_map_push_elem(&map, &value, BPF_ANY);                                  \
		}                                                                                  \
		for (i = 0; i < 3; i++)                                                            \
			if (!bpf_map_pop_elem(&map, &value))                                       \
				digits = 10 * digits + value;                                      \
		digits;                                                                            \
	})

CASE(first_in_first_out, 123)
{
	return DRAIN(queue);
}

CASE(last_in_first_out, 321)
{
	return DRAIN(stack);
}

CASE(empty, -2) /* ENOENT */
{
	u32 value;

	return bpf_map_pop_elem(&queue, &value);
}

CASE(empty_is_zeroed, 0)
{
	u32 value = unknown(5);

	bpf_map_pop_elem(&stack, &value);
	return value;
}

CASE(peek_leaves_it, 44)
{
	u32 value = 4, seen = 0;

	bpf_map_push_elem(&queue, &value, BPF_ANY);
	bpf_map_peek_elem(&queue, &seen);
	bpf_map_pop_elem(&queue, &value);
	return 10 * seen + value;
}

CASE(full, -7) /* E2BIG */
{
	u32 value, i;
	long result = 0;

	for (i = 0; i < 4; i++) {
		value = i;
		result = bpf_map_push_elem(&queue, &value, BPF_ANY);
	}
	for (i = 0; i < 3; i++)
		bpf_map_pop_elem(&queue, &value);
	return result;
}

CASE(full_makes_room, 103)
{
	u32 value, i, sum = 0;

	for (i = 0; i < 4; i++) {
		value = i;
		bpf_map_push_elem(&queue, &value, BPF_EXIST);
	}
	bpf_map_pop_elem(&queue, &value);
	sum = value;
	bpf_map_pop_elem(&queue, &value);
	bpf_map_pop_elem(&queue, &value);
	return 100 * sum + value;
}
