/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU masks: made, changed, compared, kept in a map. */
#include "case.h"
#include <rota/map.h>

LICENSE_GPL;

#define __kptr __attribute__((btf_type_tag("kptr")))

struct cpumask {
	unsigned long bits[1];
} __attribute__((preserve_access_index));

/* What a program owns, which any function that reads a mask takes too. */
struct bpf_cpumask {
	struct cpumask cpumask;
} __attribute__((preserve_access_index));

struct bpf_cpumask *bpf_cpumask_create(void) __ksym;
struct bpf_cpumask *bpf_cpumask_acquire(struct bpf_cpumask *mask) __ksym;
void bpf_cpumask_release(struct bpf_cpumask *mask) __ksym;
u32 bpf_cpumask_first(const struct cpumask *mask) __ksym;
u32 bpf_cpumask_first_zero(const struct cpumask *mask) __ksym;
u32 bpf_cpumask_first_and(const struct cpumask *one, const struct cpumask *two) __ksym;
void bpf_cpumask_set_cpu(u32 cpu, struct bpf_cpumask *mask) __ksym;
void bpf_cpumask_clear_cpu(u32 cpu, struct bpf_cpumask *mask) __ksym;
bool bpf_cpumask_test_cpu(u32 cpu, const struct cpumask *mask) __ksym;
bool bpf_cpumask_test_and_set_cpu(u32 cpu, struct bpf_cpumask *mask) __ksym;
bool bpf_cpumask_test_and_clear_cpu(u32 cpu, struct bpf_cpumask *mask) __ksym;
void bpf_cpumask_setall(struct bpf_cpumask *mask) __ksym;
void bpf_cpumask_clear(struct bpf_cpumask *mask) __ksym;
bool bpf_cpumask_and(struct bpf_cpumask *result, const struct cpumask *one,
                     const struct cpumask *two) __ksym;
void bpf_cpumask_or(struct bpf_cpumask *result, const struct cpumask *one,
                    const struct cpumask *two) __ksym;
void bpf_cpumask_xor(struct bpf_cpumask *result, const struct cpumask *one,
                     const struct cpumask *two) __ksym;
bool bpf_cpumask_equal(const struct cpumask *one, const struct cpumask *two) __ksym;
bool bpf_cpumask_intersects(const struct cpumask *one, const struct cpumask *two) __ksym;
bool bpf_cpumask_subset(const struct cpumask *one, const struct cpumask *two) __ksym;
bool bpf_cpumask_empty(const struct cpumask *mask) __ksym;
bool bpf_cpumask_full(const struct cpumask *mask) __ksym;
void bpf_cpumask_copy(struct bpf_cpumask *to, const struct cpumask *from) __ksym;
u32 bpf_cpumask_any_distribute(const struct cpumask *mask) __ksym;
u32 bpf_cpumask_any_and_distribute(const struct cpumask *one, const struct cpumask *two) __ksym;
u32 bpf_cpumask_weight(const struct cpumask *mask) __ksym;
int bpf_cpumask_populate(struct bpf_cpumask *mask, void *from, unsigned long size) __ksym;
void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;

static void *(*const bpf_kptr_xchg)(void *place, void *pointer) = (void *)194;

#define as_mask(mask) ((const struct cpumask *)(mask))

/* A body with two empty masks, a and b, released at its end; its value is the program's. */
#define CASE_MASKS(name, expected, body)                                                           \
	CASE(name, expected)                                                                       \
	{                                                                                          \
		struct bpf_cpumask *a = bpf_cpumask_create(), *b;                                  \
		int result = 99;                                                                   \
                                                                                                   \
		if (!a)                                                                            \
			return 98;                                                                 \
		b = bpf_cpumask_create();                                                          \
		if (b) {                                                                           \
			result = body;                                                             \
			bpf_cpumask_release(b);                                                    \
		}                                                                                  \
		bpf_cpumask_release(a);                                                            \
		return result;                                                                     \
	}

CASE_MASKS(starts_empty, 1, ({ bpf_cpumask_empty(as_mask(a)); }))

CASE_MASKS(one_cpu, 21, ({
		   bpf_cpumask_set_cpu(2, a);
		   10 * bpf_cpumask_first(as_mask(a)) + bpf_cpumask_weight(as_mask(a));
	   }))

CASE_MASKS(cleared, 1, ({
		   bpf_cpumask_set_cpu(2, a);
		   bpf_cpumask_clear_cpu(2, a);
		   bpf_cpumask_equal(as_mask(a), as_mask(b));
	   }))

CASE_MASKS(test_and_set, 10, ({
		   bool before = bpf_cpumask_test_and_set_cpu(3, a);
		   bool after = bpf_cpumask_test_and_set_cpu(3, a);
		   10 * after + before;
	   }))

CASE_MASKS(test_and_clear, 1, ({
		   bpf_cpumask_set_cpu(3, a);
		   bpf_cpumask_test_and_clear_cpu(3, a) && !bpf_cpumask_test_cpu(3, as_mask(a));
	   }))

/* A CPU that can't be is left alone, and nobody is told. */
CASE_MASKS(far_cpu, 0, ({
		   bpf_cpumask_set_cpu(unknown(1u << 30), a);
		   bpf_cpumask_test_cpu(unknown(1u << 30), as_mask(a)) +
			   bpf_cpumask_weight(as_mask(a));
	   }))

CASE_MASKS(all, 1, ({
		   bpf_cpumask_setall(a);
		   bpf_cpumask_full(as_mask(a)) && !bpf_cpumask_first(as_mask(a));
	   }))

CASE_MASKS(first_zero, 2, ({
		   bpf_cpumask_set_cpu(0, a);
		   bpf_cpumask_set_cpu(1, a);
		   bpf_cpumask_first_zero(as_mask(a));
	   }))

CASE_MASKS(first_of_both, 1, ({
		   bpf_cpumask_set_cpu(0, a);
		   bpf_cpumask_set_cpu(1, a);
		   bpf_cpumask_set_cpu(1, b);
		   bpf_cpumask_set_cpu(2, b);
		   bpf_cpumask_first_and(as_mask(a), as_mask(b));
	   }))

CASE_MASKS(intersection, 11, ({
		   bpf_cpumask_set_cpu(0, a);
		   bpf_cpumask_set_cpu(1, a);
		   bpf_cpumask_set_cpu(1, b);
		   10 * bpf_cpumask_and(a, as_mask(a), as_mask(b)) + bpf_cpumask_weight(as_mask(a));
	   }))

CASE_MASKS(nothing_in_common, 0, ({
		   bpf_cpumask_set_cpu(0, a);
		   bpf_cpumask_set_cpu(1, b);
		   bpf_cpumask_intersects(as_mask(a), as_mask(b)) +
			   bpf_cpumask_and(a, as_mask(a), as_mask(b));
	   }))

CASE_MASKS(either_and_one_of_both, 31, ({
		   bpf_cpumask_set_cpu(0, a);
		   bpf_cpumask_set_cpu(1, a);
		   bpf_cpumask_set_cpu(1, b);
		   bpf_cpumask_set_cpu(2, b);
		   bpf_cpumask_or(a, as_mask(a), as_mask(b));
		   u32 either = bpf_cpumask_weight(as_mask(a));
		   bpf_cpumask_xor(a, as_mask(a), as_mask(b));
		   10 * either + bpf_cpumask_weight(as_mask(a));
	   }))

CASE_MASKS(subset, 1, ({
		   bpf_cpumask_set_cpu(0, a);
		   bpf_cpumask_copy(b, as_mask(a));
		   bpf_cpumask_set_cpu(1, b);
		   bpf_cpumask_subset(as_mask(a), as_mask(b)) &&
			   !bpf_cpumask_subset(as_mask(b), as_mask(a));
	   }))

CASE_MASKS(any_of_one, 33, ({
		   bpf_cpumask_set_cpu(3, a);
		   bpf_cpumask_set_cpu(3, b);
		   10 * bpf_cpumask_any_distribute(as_mask(a)) +
			   bpf_cpumask_any_and_distribute(as_mask(a), as_mask(b));
	   }))

CASE_MASKS(a_second_owner, 3, ({
		   struct bpf_cpumask *again = bpf_cpumask_acquire(a);

		   bpf_cpumask_set_cpu(3, again);
		   bpf_cpumask_release(again);
		   bpf_cpumask_first(as_mask(a));
	   }))

struct kept {
	struct bpf_cpumask __kptr *mask;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct kept);
} map SEC(".maps");

CASE(kept_in_a_map, 2)
{
	u32 key = 0, result = 99;
	struct kept *kept = bpf_map_lookup_elem(&map, &key);
	struct bpf_cpumask *mask, *old;

	if (!kept)
		return 97;
	mask = bpf_cpumask_create();
	if (!mask)
		return 98;
	bpf_cpumask_set_cpu(2, mask);
	old = bpf_kptr_xchg(&kept->mask, mask);
	if (old)
		bpf_cpumask_release(old);
	bpf_rcu_read_lock();
	mask = kept->mask;
	if (mask)
		result = bpf_cpumask_first(as_mask(mask));
	bpf_rcu_read_unlock();
	return result;
}

CASE(taken_out_of_a_map, 1)
{
	u32 key = 1;
	struct kept *kept = bpf_map_lookup_elem(&map, &key);
	struct bpf_cpumask *mask, *again;

	if (!kept)
		return 97;
	mask = bpf_cpumask_create();
	if (!mask)
		return 98;
	mask = bpf_kptr_xchg(&kept->mask, mask);
	if (mask)
		bpf_cpumask_release(mask);
	mask = bpf_kptr_xchg(&kept->mask, NULL);
	if (!mask)
		return 99;
	bpf_cpumask_release(mask);
	again = bpf_kptr_xchg(&kept->mask, NULL);
	if (again) {
		bpf_cpumask_release(again);
		return 96;
	}
	return 1;
}

CASE_MASKS(from_memory, 2, ({
		   u64 bits[2] = {unknown(5ULL)};

		   bpf_cpumask_populate(a, bits, sizeof(bits)) ?: bpf_cpumask_weight(as_mask(a));
	   }))

CASE_MASKS(from_too_little_memory, -13 /* EACCES */, ({
		   u32 bits = unknown(5);

		   bpf_cpumask_populate(a, &bits, sizeof(bits));
	   }))

CASE_MASKS(emptied, 1, ({
		   bpf_cpumask_set_cpu(unknown(1), a);
		   bpf_cpumask_clear(a);
		   bpf_cpumask_empty(as_mask(a));
	   }))
