/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What cannot be told from the types that Rota keeps of a kernel, but is in all of them: a symbol
 * without a type, and a function that nothing else names. And two maps that a loader completes: one
 * with a place for each CPU, and one with a program in it.
 */
#include <rota/map.h>

LICENSE_GPL;

#define BPF_MAP_TYPE_PROG_ARRAY       3
#define BPF_MAP_TYPE_PERF_EVENT_ARRAY 4

static long (*const bpf_tail_call)(void *ctx, void *programs, u32 index) = (void *)12;

extern const void jiffies __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} events SEC(".maps");

int second(void *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	__array(values, int(void *));
} programs SEC(".maps") = {
	.values = {[1] = &second},
};

SEC("raw_tp/sched_switch") int second(void *ctx)
{
	return 2;
}

SEC("raw_tp/sched_switch") int first(void *ctx)
{
	const void *symbol = &jiffies;

	asm volatile("" : "+r"(symbol));
	bpf_tail_call(ctx, &programs, 1);
	return symbol != NULL;
}

SEC("fentry/do_exit") int on_exit(u64 *ctx)
{
	return 0;
}
