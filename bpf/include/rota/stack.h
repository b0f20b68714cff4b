/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A map that is a stack, who was put in last comes out first; and numbered places kept in one. */
#pragma once

#include <rota/types.h>

#define BPF_MAP_TYPE_STACK 23

static long (*const bpf_map_push_elem)(void *map, const void *value, u64 flags) = (void *)87;
static long (*const bpf_map_pop_elem)(void *map, void *value) = (void *)88;

#define NO_PLACE (~0u)

/*
 * Takes a place that is free: one that was given back to the stack, else the first that never was
 * used; NO_PLACE if there is none. Places are given back with bpf_map_push_elem().
 */
static __always_inline u32 take_place(void *stack, u32 *used, u32 places)
{
	u32 place;

	if (!bpf_map_pop_elem(stack, &place))
		return place;
	place = __sync_fetch_and_add(used, 1);
	if (place < places)
		return place;
	__sync_fetch_and_sub(used, 1);
	return NO_PLACE;
}
