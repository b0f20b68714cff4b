/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Locks that notice a deadlock, and sections that nothing interrupts. */
#include "case.h"
#include <rota/map.h>
#include <rota/object.h>

LICENSE_GPL;

int bpf_res_spin_lock(struct bpf_res_spin_lock *lock) __ksym;
void bpf_res_spin_unlock(struct bpf_res_spin_lock *lock) __ksym;
int bpf_res_spin_lock_irqsave(struct bpf_res_spin_lock *lock, unsigned long *flags) __ksym;
void bpf_res_spin_unlock_irqrestore(struct bpf_res_spin_lock *lock, unsigned long *flags) __ksym;
void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;
void bpf_preempt_disable(void) __ksym;
void bpf_preempt_enable(void) __ksym;
void bpf_local_irq_save(unsigned long *flags) __ksym;
void bpf_local_irq_restore(unsigned long *flags) __ksym;

struct guarded {
	struct bpf_res_spin_lock lock;
	u32 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct guarded);
} all SEC(".maps");

static struct guarded *get(u32 key)
{
	return bpf_map_lookup_elem(&all, &key);
}

CASE(count_under_a_lock, 2)
{
	struct guarded *first = get(0);
	unsigned long flags;
	u32 count;

	if (!first || bpf_res_spin_lock(&first->lock))
		return 99;
	first->count++;
	bpf_res_spin_unlock(&first->lock);
	if (bpf_res_spin_lock_irqsave(&first->lock, &flags))
		return 98;
	count = ++first->count;
	bpf_res_spin_unlock_irqrestore(&first->lock, &flags);
	return count;
}

/* To the verifier what two lookups find are two locks. */
CASE(deadlock, -35) /* EDEADLK */
{
	struct guarded *one = get(0), *same = get(unknown(0));
	int error;

	if (!one || !same || bpf_res_spin_lock(&one->lock))
		return 99;
	error = bpf_res_spin_lock(&same->lock);
	if (!error)
		bpf_res_spin_unlock(&same->lock);
	bpf_res_spin_unlock(&one->lock);
	return error;
}

CASE(two_locks, 0)
{
	struct guarded *one = get(0), *other = get(1);
	int error;

	if (!one || !other || bpf_res_spin_lock(&one->lock))
		return 99;
	error = bpf_res_spin_lock(&other->lock);
	if (!error)
		bpf_res_spin_unlock(&other->lock);
	bpf_res_spin_unlock(&one->lock);
	return error;
}

CASE(sections, 7)
{
	unsigned long outer, inner;
	int value;

	bpf_rcu_read_lock();
	bpf_preempt_disable();
	bpf_preempt_disable();
	bpf_local_irq_save(&outer);
	bpf_local_irq_save(&inner);
	value = unknown(7);
	bpf_local_irq_restore(&inner);
	bpf_local_irq_restore(&outer);
	bpf_preempt_enable();
	bpf_preempt_enable();
	bpf_rcu_read_unlock();
	return value;
}
