/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a scheduler describes itself. Each macro leaves a remark in the type information, from
 * which the tools make flags, help texts and tables, so a name and its meaning stand once.
 */
#pragma once

#include <rota/kernel.h>

/* Put before the table of callbacks: what the scheduler does, in one line. */
#define SCHEDULER(text) __remark("scheduler:" text) SEC(".struct_ops.link")

/*
 * A setting: a constant for the programs, which user space may set before they are loaded. Its
 * flag is the variable's name; a suffix says the unit: _ns takes 20ms, _bytes takes 64KiB.
 */
#define SETTING(type, name, value, text) __remark("setting:" text) const volatile type name = value

/* Members of the statistics, u64: what adds up, and what is a level. */
#define COUNTER(name, unit, text) u64 name __remark("counter:" unit ":" text)
#define GAUGE(name, unit, text)   u64 name __remark("gauge:" unit ":" text)

/*
 * The statistics: a structure for each CPU, so that counting needs no lock. User space sums
 * them. STATS is used once, after the structure; STAT_ADD anywhere below.
 */
#define STATS(value_type)                                                                          \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                                           \
		__uint(max_entries, 1);                                                            \
		__type(key, u32);                                                                  \
		__type(value, value_type);                                                         \
	} stats SEC(".maps")

#define STAT_ADD(type, member, n)                                                                  \
	do {                                                                                       \
		u32 __zero = 0;                                                                    \
		type *__stats = bpf_map_lookup_elem(&stats, &__zero);                              \
		if (__stats)                                                                       \
			__stats->member += (n);                                                    \
	} while (0)
