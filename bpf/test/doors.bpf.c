/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One of each door between the two halves of a scheduler: globals, maps, an arena, rings in both
 * directions, a syscall program and an auxiliary program. No scheduler is in it, so any kernel
 * with BPF can run it.
 */
#include <rota/describe.h>

LICENSE_GPL;

#define BPF_MAP_TYPE_HASH         1
#define BPF_MAP_TYPE_RINGBUF      27
#define BPF_MAP_TYPE_USER_RINGBUF 31
#define BPF_MAP_TYPE_ARENA        33
#define BPF_F_MMAPABLE            (1 << 10)

#define __arena __attribute__((address_space(1)))

static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value,
                                         u64 flags) = (void *)2;
static long (*const bpf_ringbuf_output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;
static long (*const bpf_user_ringbuf_drain)(void *ring, void *callback, void *context,
                                            u64 flags) = (void *)209;
static long (*const bpf_dynptr_read)(void *dst, u64 size, const void *src, u64 offset,
                                     u64 flags) = (void *)201;

void __arena *bpf_arena_alloc_pages(void *map, void __arena *address, u32 pages, int node,
                                    u64 flags) __ksym;

SETTING(u64, factor, 3, "what the program multiplies by");

/* A setting that may change while the programs run: not a constant. */
__remark("setting:what the program adds") volatile u64 offset_now = 0;

struct door_stats {
	COUNTER(runs, "runs", "how often the program was run");
};
STATS(struct door_stats);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, u32);
	__type(value, u64);
} results SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} out SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} in SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
} arena SEC(".maps");

u64 switches;

struct question {
	u64 number;
	u64 answer;
	u64 drained;
};

static long on_record(void *record, void *context)
{
	struct question *question = context;
	u64 word = 0;

	if (!bpf_dynptr_read(&word, sizeof(word), record, 0, 0))
		question->drained += word;
	return 0;
}

SEC("syscall") int ask(struct question *question)
{
	struct question local = {.number = question->number};
	u64 __arena *page = bpf_arena_alloc_pages(&arena, NULL, 1, -1, 0);
	u32 key = local.number;

	STAT_ADD(struct door_stats, runs, 1);
	local.answer = local.number * factor + offset_now;
	bpf_user_ringbuf_drain(&in, on_record, &local, 0);
	bpf_ringbuf_output(&out, &local, sizeof(local), 0);
	bpf_map_update_elem(&results, &key, &local.answer, 0);
	if (page)
		*page = local.answer;
	question->answer = local.answer;
	question->drained = local.drained;
	return key + 1;
}

SEC("tp_btf/sched_switch") int on_switch(u64 *ctx)
{
	__sync_fetch_and_add(&switches, 1);
	return 0;
}
