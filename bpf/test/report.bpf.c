/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that keep what they must give back, give back what they do not hold, or wait for
 * themselves. Each says in the same place with which words a simulated machine has to stop it,
 * where there is no verifier, and with which the kernel's verifier refuses it.
 */
#include "misuse.h"
#include <rota/object.h>

LICENSE_GPL;

#define REPORT(name, words, verifier) __remark("refused:" verifier) ESCAPE(name, words)

struct bpf_cpumask *bpf_cpumask_create(void) __ksym;
struct bpf_cpumask *bpf_cpumask_acquire(struct bpf_cpumask *mask) __ksym;
struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
void bpf_task_release(struct task_struct *task) __ksym;
struct cgroup *bpf_cgroup_from_id(u64 id) __ksym;
void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;
void bpf_preempt_disable(void) __ksym;
void bpf_preempt_enable(void) __ksym;
void bpf_local_irq_restore(unsigned long *flags) __ksym;
int bpf_res_spin_lock(struct bpf_res_spin_lock *lock) __ksym;
void bpf_res_spin_unlock(struct bpf_res_spin_lock *lock) __ksym;
int bpf_iter_num_new(struct bpf_iter_num *it, s32 start, s32 end) __ksym;
s32 *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
void bpf_throw(u64 cookie) __ksym;

static long (*const bpf_ringbuf_reserve_dynptr)(void *ring, u32 size, u64 flags,
                                                struct bpf_dynptr *at) = (void *)198;

struct leaf {
	struct bpf_rb_node node;
	struct bpf_refcount owners;
	u64 order;
};

struct slot {
	struct bpf_spin_lock lock;
	struct bpf_cpumask __kptr *mask;
};

struct guarded {
	struct bpf_res_spin_lock lock;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct slot);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct guarded);
} guarded SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} ring SEC(".maps");

__private(all) struct bpf_spin_lock lock;
__private(all) struct bpf_rb_root tree __contains(leaf, node);

static struct slot *get(u32 key)
{
	return bpf_map_lookup_elem(&slots, &key);
}

REPORT(mask_kept, "the CPU mask taken here is never released", "Unreleased reference")
{
	return bpf_cpumask_create() != NULL;
}

REPORT(one_owner_too_many, "the CPU mask taken here is never released", "Unreleased reference")
{
	struct bpf_cpumask *mask = bpf_cpumask_create();

	if (mask) {
		bpf_cpumask_acquire(mask);
		bpf_cpumask_release(mask);
	}
	return 0;
}

REPORT(mask_released_twice, "bpf_cpumask_release: CPU mask at", "expects referenced")
{
	struct bpf_cpumask *mask = bpf_cpumask_create();

	if (mask) {
		bpf_cpumask_release(mask);
		bpf_cpumask_release(mask);
	}
	return 0;
}

REPORT(given_away_and_released, "bpf_cpumask_release: CPU mask at", "expects referenced")
{
	struct bpf_cpumask *mask = bpf_cpumask_create(), *old;
	struct slot *slot = get(0);

	if (!slot || !mask)
		return 0;
	old = bpf_kptr_xchg(&slot->mask, mask);
	if (old)
		bpf_cpumask_release(old);
	bpf_cpumask_release(mask);
	return 0;
}

REPORT(taken_out_and_kept, "the pointer from a map taken here is never released",
       "Unreleased reference")
{
	struct bpf_cpumask *mask = bpf_cpumask_create(), *old;
	struct slot *slot = get(1);

	if (!slot || !mask)
		return 0;
	old = bpf_kptr_xchg(&slot->mask, mask);
	if (old)
		bpf_cpumask_release(old);
	bpf_kptr_xchg(&slot->mask, NULL);
	return 0;
}

REPORT(task_kept, "the task taken here is never released", "Unreleased reference")
{
	struct task_struct *task = bpf_task_from_pid(1);

	return task ? task->pid : 0;
}

REPORT(task_released_twice, "bpf_task_release: task at", "expects referenced")
{
	struct task_struct *task = bpf_task_from_pid(1);

	if (task) {
		bpf_task_release(task);
		bpf_task_release(task);
	}
	return 0;
}

REPORT(cgroup_kept, "the cgroup taken here is never released", "Unreleased reference")
{
	return bpf_cgroup_from_id(1) != NULL;
}

REPORT(object_kept, "the allocated object taken here is never released", "Unreleased reference")
{
	return obj_new(struct leaf) != NULL;
}

REPORT(object_dropped_twice, "bpf_obj_drop_impl: allocated object at", "expects referenced")
{
	struct leaf *leaf = obj_new(struct leaf);

	if (leaf) {
		obj_drop(leaf);
		obj_drop(leaf);
	}
	return 0;
}

REPORT(share_kept, "the allocated object taken here is never released", "Unreleased reference")
{
	struct leaf *leaf = obj_new(struct leaf);

	if (leaf) {
		obj_share(leaf);
		obj_drop(leaf);
	}
	return 0;
}

REPORT(part_of_an_object_dropped, "bpf_obj_drop_impl: no object starts at", "must have zero offset")
{
	struct leaf *leaf = obj_new(struct leaf);

	if (leaf)
		obj_drop(&leaf->order);
	return 0;
}

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct leaf, node)->order <
	       container_of(b, struct leaf, node)->order;
}

REPORT(planted_and_dropped, "bpf_obj_drop_impl: allocated object at", "expects referenced")
{
	struct leaf *leaf = obj_new(struct leaf);

	if (!leaf)
		return 0;
	bpf_spin_lock(&lock);
	bpf_rbtree_add_impl(&tree, &leaf->node, (void *)less, NULL, 0);
	bpf_spin_unlock(&lock);
	obj_drop(leaf);
	return 0;
}

REPORT(taken_from_the_tree_and_kept, "the allocated object taken here is never released",
       "Unreleased reference")
{
	struct leaf *leaf = obj_new(struct leaf);
	struct bpf_rb_node *first;

	if (!leaf)
		return 0;
	bpf_spin_lock(&lock);
	bpf_rbtree_add_impl(&tree, &leaf->node, (void *)less, NULL, 0);
	first = bpf_rbtree_first(&tree);
	if (first)
		bpf_rbtree_remove(&tree, first);
	bpf_spin_unlock(&lock);
	return 0;
}

REPORT(record_kept, "the record of a ring taken here is never submitted or discarded",
       "Unreleased reference")
{
	return bpf_ringbuf_reserve(&ring, 8, 0) != NULL;
}

REPORT(record_submitted_twice, "bpf_ringbuf_submit: record of a ring at",
       "type=scalar expected=ringbuf_mem")
{
	u64 *record = bpf_ringbuf_reserve(&ring, 8, 0);

	if (record) {
		bpf_ringbuf_submit(record, 0);
		bpf_ringbuf_submit(record, 0);
	}
	return 0;
}

REPORT(dynamic_record_kept, "the dynamic pointer to a record of a ring taken here is never",
       "Unreleased reference")
{
	struct bpf_dynptr record;

	return bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &record);
}

REPORT(lock_kept, "the spin lock taken here is never unlocked", "bpf_spin_lock-ed region")
{
	struct slot *slot = get(0);

	if (slot)
		bpf_spin_lock(&slot->lock);
	return 0;
}

REPORT(lock_taken_twice, "bpf_spin_lock: this waits for ever: the lock is held already, since",
       "not allowed while holding a lock")
{
	struct slot *slot = get(0);

	if (slot) {
		bpf_spin_lock(&slot->lock);
		bpf_spin_lock(&slot->lock);
		bpf_spin_unlock(&slot->lock);
	}
	return 0;
}

REPORT(unlocked_unlocked, "bpf_spin_unlock: spin lock at", "without taking a lock")
{
	struct slot *slot = get(0);

	if (slot)
		bpf_spin_unlock(&slot->lock);
	return 0;
}

REPORT(resilient_lock_kept, "the resilient spin lock taken here is never unlocked",
       "bpf_spin_lock-ed region")
{
	u32 key = 0;
	struct guarded *value = bpf_map_lookup_elem(&guarded, &key);

	return value ? bpf_res_spin_lock(&value->lock) : 0;
}

REPORT(read_section_kept, "the RCU read section taken here is never left",
       "bpf_rcu_read_lock-ed region")
{
	bpf_rcu_read_lock();
	return 0;
}

REPORT(read_section_left_twice, "bpf_rcu_read_unlock: RCU read section",
       "unmatched rcu read unlock")
{
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	bpf_rcu_read_unlock();
	return 0;
}

REPORT(ever_more, "bpf_rcu_read_lock: it holds 4096 things already", "bpf_rcu_read_lock-ed region")
{
	for (u32 i = 0; i < 5000; i++)
		bpf_rcu_read_lock();
	return 0;
}

REPORT(preemption_off, "the section without preemption taken here is never left",
       "bpf_preempt_disable-ed region")
{
	bpf_preempt_disable();
	bpf_preempt_disable();
	bpf_preempt_enable();
	return 0;
}

REPORT(interrupts_off, "the state of the interrupts taken here is never restored",
       "bpf_local_irq_save-ed region")
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	return 0;
}

REPORT(interrupts_in_the_wrong_order, "bpf_local_irq_restore: state of the interrupts at",
       "out of order")
{
	unsigned long outer, inner;

	bpf_local_irq_save(&outer);
	bpf_local_irq_save(&inner);
	bpf_local_irq_restore(&outer);
	bpf_local_irq_restore(&inner);
	return 0;
}

REPORT(iterator_kept, "the iterator taken here is never destroyed", "Unreleased reference")
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 3);
	return bpf_iter_num_next(&it) != NULL;
}

static int keep(u32 i, void *context)
{
	bpf_rcu_read_lock();
	return 0;
}

/* What a callback takes it has to give back itself. */
REPORT(kept_by_a_callback, "the RCU read section taken here is never left",
       "unmatched rcu read unlock")
{
	bpf_loop(2, keep, NULL, 0);
	bpf_rcu_read_unlock();
	bpf_rcu_read_unlock();
	return 0;
}

REPORT(thrown_with_a_mask, "the CPU mask taken here is never released", "Unreleased reference")
{
	struct bpf_cpumask *mask = bpf_cpumask_create();

	if (!mask)
		return 0;
	bpf_throw(1);
	bpf_cpumask_release(mask);
	return 0;
}

static int throw(u32 i, void *context)
{
	bpf_throw(i);
	return 0;
}

REPORT(thrown_by_a_callback, "bpf_throw: this is no call for a function that is called back",
       "cannot be called from callback")
{
	return bpf_loop(2, throw, NULL, 0);
}
