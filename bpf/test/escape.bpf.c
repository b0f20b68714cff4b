/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that no verifier would let through: each tries to reach what it must not, and says in
 * the same place with which words a simulated machine has to stop it.
 */
#include "misuse.h"

LICENSE_GPL;

#define AT(type, address) (*(volatile type *)(address))

void *bpf_arena_alloc_pages(void *map, void *address, u32 pages, int node, u64 flags) __ksym;
void bpf_arena_free_pages(void *map, void *address, u32 pages) __ksym;
struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
struct cgroup *bpf_cgroup_acquire(struct cgroup *cgrp) __ksym;
u32 bpf_cpumask_first(const struct cpumask *mask) __ksym;
void bpf_cpumask_set_cpu(u32 cpu, struct bpf_cpumask *mask) __ksym;
int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;

static long (*const bpf_probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static void *(*const bpf_task_storage_get)(void *map, void *task, void *value,
                                           u64 flags) = (void *)156;
static long (*const bpf_snprintf)(char *to, u32 size, const char *format, u64 *values,
                                  u32 size_of_values) = (void *)165;
static void *(*const bpf_kptr_xchg)(void *place, void *pointer) = (void *)194;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, u64);
	__type(value, u64);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} storage SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16);
} arena SEC(".maps");

const volatile u64 constant = 7;
u64 variable = 1;

static long call_again(u64 i, void *depth)
{
	bpf_loop(1, call_again, depth, 0);
	return 0;
}

ESCAPE(load_wild, "bad load of 8 bytes")
{
	return AT(u64, unknown(0xdeadbeef40000008ULL));
}

ESCAPE(load_negative, "bad load of 8 bytes")
{
	return AT(u64, unknown(-8));
}

ESCAPE(load_error_pointer, "bad load of 1 bytes")
{
	return AT(u8, unknown(-22));
}

ESCAPE(load_outside_the_arena, "bad load of 4 bytes")
{
	return AT(u32, unknown(0x7f0012345000ULL));
}

ESCAPE(store_through_null, "bad store of 8 bytes at 0x0")
{
	AT(u64, unknown(0)) = 1;
	return 0;
}

ESCAPE(store_behind_null, "bad store of 4 bytes at 0x120")
{
	AT(u32, unknown(0) + 0x120) = 1;
	return 0;
}

ESCAPE(store_wild, "bad store of 2 bytes")
{
	AT(u16, NOWHERE) = 1;
	return 0;
}

ESCAPE(store_to_a_constant, "bad store of 8 bytes")
{
	AT(u64, (u64)&constant + unknown(0)) = 1;
	return 0;
}

ESCAPE(store_to_code, "bad store of 8 bytes")
{
	AT(u64, (u64)(void *)call_again + unknown(0)) = 0;
	return 0;
}

ESCAPE(load_from_code, "bad load of 8 bytes")
{
	return AT(u64, (u64)(void *)call_again + unknown(0));
}

ESCAPE(load_from_a_map_itself, "bad store of 8 bytes")
{
	AT(u64, (u64)&hash + unknown(0)) = 0;
	return 0;
}

ESCAPE(far_below_the_stack, "bad store of 8 bytes")
{
	volatile u64 local = 1;

	AT(u64, (u64)&local - unknown(1ULL << 20)) = 1;
	return local;
}

ESCAPE(far_above_the_stack, "bad store of 8 bytes")
{
	volatile u64 local = 1;

	AT(u64, (u64)&local + unknown(3ULL << 30)) = 1;
	return local;
}

ESCAPE(far_behind_a_variable, "bad store of 8 bytes")
{
	AT(u64, (u64)&variable + unknown(1ULL << 31)) = 1;
	return 0;
}

ESCAPE(stale_page, "bad load of 8 bytes")
{
	u64 page = (u64)bpf_arena_alloc_pages(&arena, NULL, 1, -1, 0);

	bpf_arena_free_pages(&arena, (void *)page, 1);
	return AT(u64, page);
}

ESCAPE(misaligned_atomic, "misaligned atomic of 8 bytes")
{
	__sync_fetch_and_add((u64 *)((u64)&variable + unknown(4)), 1);
	return 0;
}

ESCAPE(atomic_on_null, "bad store of 8 bytes")
{
	__sync_fetch_and_add((u64 *)unknown(0), 1);
	return 0;
}

ESCAPE(atomic_on_a_constant, "bad store of 8 bytes")
{
	__sync_fetch_and_add((u64 *)((u64)&constant + unknown(0)), 1);
	return 0;
}

ESCAPE(endless, "runaway loop")
{
	while (unknown(1))
		;
	return 0;
}

ESCAPE(callbacks_without_end, "too many")
{
	bpf_loop(1, call_again, NULL, 0);
	return 0;
}

ESCAPE(callback_to_data, "is no function")
{
	bpf_loop(1, (void *)((u64)&variable + unknown(0)), NULL, 0);
	return 0;
}

ESCAPE(callback_beyond_all_functions, "is no function")
{
	bpf_loop(1, (void *)((u64)(void *)call_again + unknown(1 << 20)), NULL, 0);
	return 0;
}

/* A callback that believes its argument. */
static long believe(u64 i, u64 *number)
{
	*number = i;
	return 0;
}

ESCAPE(callback_with_a_forged_argument, "bad store of 8 bytes")
{
	bpf_loop(1, believe, NOWHERE, 0);
	return 0;
}

ESCAPE(each_with_a_forged_map, "bpf_for_each_map_elem: bad load")
{
	bpf_for_each_map_elem(NOWHERE, call_again, NULL, 0);
	return 0;
}

ESCAPE(lookup_in_no_map, "bpf_map_lookup_elem: bad load")
{
	u64 key = 0;

	return bpf_map_lookup_elem((void *)((u64)&hash + unknown(8)), &key) != NULL;
}

ESCAPE(key_from_nowhere, "bpf_map_lookup_elem: bad load of 8 bytes")
{
	return bpf_map_lookup_elem(&hash, NOWHERE) != NULL;
}

ESCAPE(key_that_runs_off, "bpf_map_delete_elem: bad load of 8 bytes")
{
	return bpf_map_delete_elem(&hash, (void *)unknown(-4));
}

ESCAPE(value_from_nowhere, "bpf_map_update_elem: bad load of 8 bytes")
{
	u64 key = 0;

	return bpf_map_update_elem(&hash, &key, NOWHERE, BPF_ANY);
}

ESCAPE(huge_record, "bpf_ringbuf_output: bad load")
{
	return bpf_ringbuf_output(&ring, &variable, unknown(0xffffffff), 0);
}

ESCAPE(forged_record, "bpf_ringbuf_submit: record of a ring at")
{
	bpf_ringbuf_submit((void *)((u64)&variable + unknown(0)), 0);
	return 0;
}

ESCAPE(read_to_nowhere, "bpf_probe_read_kernel: bad store of 8 bytes")
{
	return bpf_probe_read_kernel(NOWHERE, 8, &variable);
}

ESCAPE(read_over_a_constant, "bpf_probe_read_kernel: bad store of 8 bytes")
{
	return bpf_probe_read_kernel((void *)&constant, 8, &variable);
}

ESCAPE(format_from_nowhere, "bpf_snprintf: bad load")
{
	char text[8];

	return bpf_snprintf(text, sizeof(text), NOWHERE, NULL, 0);
}

ESCAPE(values_from_nowhere, "bpf_snprintf: bad load")
{
	static const char format[] = "%d";
	char text[8];

	return bpf_snprintf(text, sizeof(text), format, NOWHERE, 8);
}

ESCAPE(exchange_nowhere, "bpf_kptr_xchg: bad")
{
	return bpf_kptr_xchg(NOWHERE, NULL) != NULL;
}

ESCAPE(storage_of_nobody, "bpf_task_storage_get: bad load")
{
	return bpf_task_storage_get(&storage, (void *)((u64)&variable + unknown(0)), NULL, 1) !=
	       NULL;
}

ESCAPE(storage_that_is_none, "bpf_task_storage_get: bad load")
{
	return bpf_task_storage_get(&hash, &variable, NULL, 1) != NULL;
}

ESCAPE(forged_task, "bpf_task_acquire: bad load")
{
	return bpf_task_acquire((void *)((u64)&variable + unknown(0))) != NULL;
}

ESCAPE(forged_cgroup, "bpf_cgroup_acquire: bad load")
{
	return bpf_cgroup_acquire(NOWHERE) != NULL;
}

ESCAPE(mask_nowhere, "bpf_cpumask_first: bad load")
{
	return bpf_cpumask_first(NOWHERE);
}

ESCAPE(mask_over_a_constant, "bpf_cpumask_set_cpu: bad store")
{
	bpf_cpumask_set_cpu(0, (void *)((u64)&constant + unknown(0)));
	return 0;
}

ESCAPE(release_of_no_mask, "bpf_cpumask_release:")
{
	bpf_cpumask_release((void *)((u64)&variable + unknown(0)));
	return 0;
}

ESCAPE(iterator_nowhere, "bpf_iter_num_next: bad load")
{
	return bpf_iter_num_next(NOWHERE) != NULL;
}
