/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Helpers of tracing programs: lines for the kernel's log, memory of any kind, counters. */
#include "case.h"
#include <rota/map.h>

LICENSE_GPL;

static long (*const bpf_probe_read)(void *to, u32 size, const void *from) = (void *)4;
static long (*const bpf_trace_printk)(const char *format, u32 size, ...) = (void *)6;
static long (*const bpf_probe_read_str)(void *to, u32 size, const void *from) = (void *)45;
static long (*const bpf_perf_event_read_value)(void *map, u64 index, void *to,
                                               u32 size) = (void *)55;
static long (*const bpf_probe_read_user)(void *to, u32 size, const void *from) = (void *)112;
static long (*const bpf_probe_read_user_str)(void *to, u32 size, const void *from) = (void *)114;
static long (*const bpf_trace_vprintk)(const char *format, u32 size, const u64 *words,
                                       u32 bytes) = (void *)177;

/* 7.0; in 6.18 with one argument more, which the verifier supplies. */
int bpf_stream_vprintk___new(int stream, const char *format, const void *words,
                             u32 bytes) __ksym __weak;
int bpf_stream_vprintk_impl(int stream, const char *format, const void *words, u32 bytes,
                            void *aux) __ksym __weak;

#define CASE_TRACING(name, expected) __remark("expect:" #expected) SEC("raw_tp") int name(void *ctx)

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u32);
} counters SEC(".maps");

struct counter {
	u64 counter, enabled, running;
};

static u64 number = 12;
static char text[] = "twelve";

CASE(line, 8)
{
	static const char format[] = "%d of %s";
	char none[] = "%d";

	if (bpf_trace_printk(none, sizeof(none), unknown(5), 6, 7) != 1)
		return 99;
	return bpf_trace_printk(format, sizeof(format), unknown(3), "all");
}

CASE(line_of_many, 14)
{
	static const char format[] = "%d, %u, %x, %c%c";
	u64 words[] = {(u64)-5, 12, 255, 'o', 'k'};

	asm volatile("" ::"r"(words) : "memory");
	return bpf_trace_vprintk(format, sizeof(format), words, sizeof(words));
}

static const char to_stream[] = "%d lines";

/* What printing to a stream returns, or what it should where the kernel has none. */
#define stream_print(stream, expected)                                                             \
	({                                                                                         \
		u64 words[] = {unknown(3)};                                                        \
		ksym_exists(bpf_stream_vprintk___new)                                              \
			? bpf_stream_vprintk___new(stream, to_stream, words, sizeof(words))        \
		: ksym_exists(bpf_stream_vprintk_impl)                                             \
			? bpf_stream_vprintk_impl(stream, to_stream, words, sizeof(words), NULL)   \
			: expected;                                                                \
	})

CASE(line_for_a_stream, 0)
{
	return stream_print(1, 0);
}

CASE(no_such_stream, -2) /* ENOENT */
{
	return stream_print(3, -2);
}

CASE(no_user_memory, -14) /* EFAULT */
{
	u64 copy = 5;
	long error = bpf_probe_read_user(&copy, sizeof(copy), (void *)unknown(16ULL));

	return copy ? 99 : error;
}

CASE(no_user_text, -14) /* EFAULT */
{
	char copy[8];

	return bpf_probe_read_user_str(copy, sizeof(copy), (void *)unknown(16ULL));
}

CASE_TRACING(read_anything, 12)
{
	u64 copy = 0;

	return bpf_probe_read(&copy, sizeof(copy), &number) ?: copy;
}

CASE_TRACING(read_any_text, 7)
{
	char copy[16];

	return bpf_probe_read_str(copy, sizeof(copy), text);
}

/* Nobody has opened a counter for this CPU. */
CASE_TRACING(no_counter, -2) /* ENOENT */
{
	struct counter counter = {1, 1, 1};
	long error = bpf_perf_event_read_value(&counters, 0, &counter, sizeof(counter));

	return counter.counter || counter.running ? 99 : error;
}

CASE_TRACING(counter_out_of_range, -7) /* E2BIG */
{
	struct counter counter;

	return bpf_perf_event_read_value(&counters, 4, &counter, sizeof(counter));
}
