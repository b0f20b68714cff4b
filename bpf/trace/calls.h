/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls of functions: what is common to those of the kernel and those of BPF programs. Records and
 * choices are read and written by crates/kernel/src/calls.
 *
 * A call of an entry opens a session of its task, in which all functions that were chosen are told.
 * Each task has a stack of those that it is in, so that what returns without having been seen to
 * begin is left out, and what never returns ends with the one around it.
 */
#pragma once

#include <rota/map.h>

#define DEPTH  64
#define FRAMES 64
#define ARGS   6
/* Of a text so much is told that it is seen to be cut, and then some. */
#define TEXT_BYTES 136

#define BPF_LOCAL_STORAGE_GET_F_CREATE 1
#define BPF_RB_NO_WAKEUP               1

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct task_struct {
	int pid, tgid;
	char comm[16];
};

#pragma clang attribute pop

static u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static long (*const bpf_get_stack)(void *ctx, void *frames, u32 size, u64 flags) = (void *)67;
static long (*const bpf_probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static void *(*const bpf_task_storage_get)(void *map, void *task, void *value,
                                           u64 flags) = (void *)156;
static long (*const bpf_probe_read_kernel_str)(void *to, u32 size, const void *from) = (void *)115;
static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;
static u64 (*const bpf_get_attach_cookie)(void *ctx) = (void *)174;
static long (*const bpf_get_func_arg)(void *ctx, u32 number, u64 *value) = (void *)183;
static long (*const bpf_get_func_ret)(void *ctx, u64 *value) = (void *)184;

/* A cookie: the number of the function, and above it what is to be known of it here. */
#define NUMBER(cookie) ((u32)(cookie))
#define IS_ENTRY       (1ULL << 32)
/* What it returns: a negative number, or an address that is one, is an error. */
#define RETURNS_INT  (1ULL << 33)
#define RETURNS_LONG (1ULL << 34)
/* Its only argument is the address of what it was called with, as of callbacks. */
#define ARGS_BEHIND (1ULL << 35)
/* Arguments that point to text, a bit for each. */
#define TEXTS(cookie) ((u32)((cookie) >> 40))

/* What is chosen, set before loading. */
struct choice {
	/* The cookie of a BPF program; functions of the kernel have one each. */
	u64 cookie;
	/* Who traces, whose calls are not told; 0 if they are. */
	s32 own;
	u32 by_pid, stacks, unused;
};

const volatile struct choice choice = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 12);
	__type(key, s32);
	__type(value, u32);
} wanted SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 12);
} calls SEC(".maps");

/* Whether sessions begin: not before everything is attached, and no more once anything is detached.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} armed SEC(".maps");

/* Records that there was no room for, and calls that were too deep. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u64);
} lost SEC(".maps");

struct within {
	u32 depth, over;
	u32 functions[DEPTH];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct within);
} sessions SEC(".maps");

#define ENTERS 1
#define LEAVES 2
#define STACK  3
#define TEXT   4

struct head {
	u64 time_ns;
	s32 pid, tgid;
	u32 function;
	u16 cpu;
	u8 kind, depth;
};

struct enters {
	struct head head;
	u64 args[ARGS];
	char comm[16];
};

struct leaves {
	struct head head;
	u64 result;
};

struct frames {
	struct head head;
	u64 count;
	u64 addresses[FRAMES];
};

/* An argument of the call that begins next. */
struct text {
	struct head head;
	u32 arg;
	/* With the zero at its end; negative if it can't be read. */
	s32 bytes;
	char text[TEXT_BYTES];
};

_Static_assert(sizeof(struct text) == 168, "read in this size");
_Static_assert(sizeof(struct enters) == 88, "read in this size");
_Static_assert(sizeof(struct leaves) == 32, "read in this size");
_Static_assert(sizeof(struct frames) == 32 + 8 * FRAMES, "read in this size");

static __always_inline void count_lost(u32 which)
{
	u64 *count = bpf_map_lookup_elem(&lost, &which);

	if (count)
		(*count)++;
}

static __always_inline bool is_wanted(struct task_struct *p)
{
	s32 pid = p->pid, tgid = p->tgid;
	u32 key = 0, *on = bpf_map_lookup_elem(&armed, &key);

	if (!on || !*on || (tgid == choice.own && tgid))
		return false;
	return !choice.by_pid || bpf_map_lookup_elem(&wanted, &pid) ||
	       bpf_map_lookup_elem(&wanted, &tgid);
}

static __always_inline void fill(struct head *head, struct task_struct *p, u64 cookie, u8 kind,
                                 u32 depth)
{
	head->pid = p->pid;
	head->tgid = p->tgid;
	head->function = NUMBER(cookie);
	head->cpu = bpf_get_smp_processor_id();
	head->kind = kind;
	head->depth = depth;
}

static __always_inline void tell_stack(void *ctx, struct task_struct *p, u64 cookie, u32 depth)
{
	struct frames *frames = bpf_ringbuf_reserve(&calls, sizeof(*frames), 0);
	long bytes;

	if (!frames) {
		count_lost(0);
		return;
	}
	fill(&frames->head, p, cookie, STACK, depth);
	bytes = bpf_get_stack(ctx, frames->addresses, sizeof(frames->addresses), 0);
	frames->count = bytes > 0 ? bytes / 8 : 0;
	frames->head.time_ns = bpf_ktime_get_ns();
	bpf_ringbuf_submit(frames, BPF_RB_NO_WAKEUP);
}

/* Texts of user space may not be in memory, and are not for a tracer of the kernel to read. */
static __always_inline void tell_text(struct task_struct *p, u64 cookie, u32 depth, u32 arg,
                                      u64 address)
{
	struct text *text;

	if ((s64)address >= 0)
		return;
	text = bpf_ringbuf_reserve(&calls, sizeof(*text), 0);
	if (!text) {
		count_lost(0);
		return;
	}
	fill(&text->head, p, cookie, TEXT, depth);
	text->arg = arg;
	text->bytes = bpf_probe_read_kernel_str(text->text, sizeof(text->text), (void *)address);
	text->head.time_ns = bpf_ktime_get_ns();
	bpf_ringbuf_submit(text, BPF_RB_NO_WAKEUP);
}

/* A function begins. The clock is read last, when it goes on to its own work. */
static __always_inline void enter(void *ctx, u64 cookie, const u64 *args)
{
	struct task_struct *p = bpf_get_current_task_btf();
	struct within *within;
	struct enters *enters;
	u32 depth;
	u64 flags = cookie & IS_ENTRY ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0;

	within = bpf_task_storage_get(&sessions, p, NULL, flags);
	if (!within)
		return;
	depth = within->depth;
	if (!depth && (!(cookie & IS_ENTRY) || !is_wanted(p)))
		return;
	if (depth >= DEPTH) {
		within->over++;
		count_lost(1);
		return;
	}
	within->functions[depth & (DEPTH - 1)] = NUMBER(cookie);
	within->depth = depth + 1;
	if (!depth && choice.stacks)
		tell_stack(ctx, p, cookie, 0);
#pragma unroll
	for (u32 arg = 0; arg < ARGS; arg++)
		if (TEXTS(cookie) & 1U << arg)
			tell_text(p, cookie, depth, arg, args[arg]);
	enters = bpf_ringbuf_reserve(&calls, sizeof(*enters), 0);
	if (!enters) {
		count_lost(0);
		return;
	}
	fill(&enters->head, p, cookie, ENTERS, depth);
	__builtin_memcpy(enters->args, args, sizeof(enters->args));
	bpf_probe_read_kernel(enters->comm, sizeof(enters->comm), p->comm);
	enters->head.time_ns = bpf_ktime_get_ns();
	bpf_ringbuf_submit(enters, BPF_RB_NO_WAKEUP);
}

static __always_inline bool is_error(u64 cookie, u64 result)
{
	s64 value = cookie & RETURNS_INT ? (s64)(s32)result : (s64)result;

	return cookie & (RETURNS_INT | RETURNS_LONG) && value < 0 && value >= -4095;
}

/* A function has returned, by the clock's time at once. */
static __always_inline void leave(void *ctx, u64 cookie, u64 result)
{
	u64 now = bpf_ktime_get_ns();
	struct task_struct *p = bpf_get_current_task_btf();
	struct within *within = bpf_task_storage_get(&sessions, p, NULL, 0);
	struct leaves *leaves;
	u32 depth;

	if (!within || !within->depth)
		return;
	if (within->over) {
		within->over--;
		return;
	}
	depth = within->depth;
	if (depth > DEPTH)
		return;
	while (depth && within->functions[(depth - 1) & (DEPTH - 1)] != NUMBER(cookie))
		depth--;
	if (!depth)
		return;
	depth--;
	within->depth = depth;
	if (choice.stacks && is_error(cookie, result))
		tell_stack(ctx, p, cookie, depth);
	leaves = bpf_ringbuf_reserve(&calls, sizeof(*leaves), 0);
	if (!leaves) {
		count_lost(0);
		return;
	}
	fill(&leaves->head, p, cookie, LEAVES, depth);
	leaves->result = result;
	leaves->head.time_ns = now;
	bpf_ringbuf_submit(leaves, BPF_RB_NO_WAKEUP);
}
