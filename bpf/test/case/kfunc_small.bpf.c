/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bits of masks, variables of the kernel, what every CPU has, casts, and giving up at once. */
#include "case.h"
#include <rota/map.h>
#include <rota/object.h>

LICENSE_GPL;

struct bpf_iter_bits {
	u64 __opaque[2];
} __attribute__((aligned(8)));

struct cpumask {
	unsigned long bits[1];
} __attribute__((preserve_access_index));

static void *(*const bpf_per_cpu_ptr)(const void *variable, u32 cpu) = (void *)153;
static void *(*const bpf_this_cpu_ptr)(const void *variable) = (void *)154;

int bpf_iter_bits_new(struct bpf_iter_bits *it, const u64 *mask, u32 words) __ksym;
int *bpf_iter_bits_next(struct bpf_iter_bits *it) __ksym;
void bpf_iter_bits_destroy(struct bpf_iter_bits *it) __ksym;
void *bpf_rdonly_cast(const void *object, u32 type) __ksym;
void bpf_throw(u64 cookie) __ksym;
void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;
extern const int bpf_prog_active __ksym;
extern const int a_variable_of_no_kernel __ksym __weak;

/* The sum of the numbers of the bits; or what new() said. */
static int sum(const u64 *mask, u32 words)
{
	struct bpf_iter_bits it;
	int *bit, total = 0, error = bpf_iter_bits_new(&it, mask, words);

	while ((bit = bpf_iter_bits_next(&it)))
		total += *bit;
	bpf_iter_bits_destroy(&it);
	return error ?: total;
}

static u64 mask[3] = {1ULL << 3 | 1ULL << 63, 0, 1ULL << 5};

CASE(bits_of_a_word, 66)
{
	return sum(mask, 1);
}

CASE(bits_of_words, 199)
{
	return sum(mask, 3);
}

CASE(no_words, -22) /* EINVAL */
{
	return sum(mask, 0);
}

CASE(too_many_words, -7) /* E2BIG */
{
	return sum(mask, 512);
}

CASE(variable_of_this_cpu, 1)
{
	const int *one = bpf_this_cpu_ptr(&bpf_prog_active);
	const int *same = bpf_per_cpu_ptr(&bpf_prog_active, bpf_get_smp_processor_id());

	return same && *one >= 0 && *one == *same;
}

CASE(variable_of_each_cpu, 1)
{
	const int *first = bpf_per_cpu_ptr(&bpf_prog_active, 0);
	const int *second = bpf_per_cpu_ptr(&bpf_prog_active, 1);

	return first && second && first != second;
}

CASE(variable_of_no_cpu, 1)
{
	return !bpf_per_cpu_ptr(&bpf_prog_active, 8192);
}

CASE(no_variable, 1)
{
	return !&a_variable_of_no_kernel;
}

struct counts {
	u64 here;
	u64 there;
};

struct holder {
	struct counts __percpu_kptr *counts;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct holder);
} holders SEC(".maps");

#define percpu_new(type)                                                                           \
	((type __percpu_kptr *)bpf_percpu_obj_new_impl(__builtin_btf_type_id(*(type *)0, 0), NULL))

CASE(object_of_each_cpu, 3)
{
	struct counts __percpu_kptr *counts;
	struct counts *one, *other;
	struct holder *holder;
	int found = 99;
	u32 key = 0;

	holder = bpf_map_lookup_elem(&holders, &key);
	counts = holder ? percpu_new(struct counts) : NULL;
	if (!counts)
		return 98;
	counts = bpf_kptr_xchg(&holder->counts, counts);
	if (counts)
		bpf_percpu_obj_drop_impl(counts, NULL);
	bpf_rcu_read_lock();
	counts = holder->counts;
	if (counts) {
		one = bpf_per_cpu_ptr(counts, 0);
		other = bpf_per_cpu_ptr(counts, 1);
		if (one && other) {
			one->here = unknown(3ULL);
			other->here = unknown(4ULL);
			found = one->here;
		}
	}
	bpf_rcu_read_unlock();
	return found;
}

CASE(seen_as_another_type, 7)
{
	static unsigned long number = 7;
	const u32 type = __builtin_btf_type_id(*(struct cpumask *)0, 1);
	const struct cpumask *same = bpf_rdonly_cast(&number, type);

	return same->bits[0];
}

static __attribute__((noinline)) u64 deeper(u64 cookie)
{
	if (cookie > 3)
		bpf_throw(cookie);
	return 0;
}

CASE(thrown, 42)
{
	deeper(unknown(42));
	return 1;
}
