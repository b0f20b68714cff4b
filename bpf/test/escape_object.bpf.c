/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * More programs that no verifier would let through: with forged objects, nodes, timers, locks and
 * dynamic pointers. Each says in the same place with which words it has to be stopped.
 */
#include "misuse.h"
#include <rota/object.h>

LICENSE_GPL;

struct bpf_timer {
	u64 __opaque[2];
} __attribute__((aligned(8)));
struct bpf_wq {
	u64 __opaque[2];
} __attribute__((aligned(8)));
static long (*const bpf_trace_vprintk)(const char *format, u32 size, const u64 *words,
                                       u32 bytes) = (void *)177;
static void *(*const bpf_per_cpu_ptr)(const void *variable, u32 cpu) = (void *)153;
static long (*const bpf_timer_init)(struct bpf_timer *timer, void *map, u64 clock) = (void *)169;
static long (*const bpf_timer_set_callback)(struct bpf_timer *timer, void *callback) = (void *)170;
static long (*const bpf_dynptr_from_mem)(void *data, u64 size, u64 flags,
                                         struct bpf_dynptr *at) = (void *)197;
static void (*const bpf_ringbuf_submit_dynptr)(struct bpf_dynptr *at, u64 flags) = (void *)199;
static long (*const bpf_dynptr_read)(void *to, u64 len, const struct bpf_dynptr *at, u64 offset,
                                     u64 flags) = (void *)201;
static long (*const bpf_dynptr_write)(const struct bpf_dynptr *at, u64 offset, void *from, u64 len,
                                      u64 flags) = (void *)202;
static long (*const bpf_user_ringbuf_drain)(void *ring, void *callback, void *context,
                                            u64 flags) = (void *)209;

int bpf_wq_init(struct bpf_wq *wq, void *map, unsigned int flags) __ksym;
int bpf_iter_bits_new(struct bpf_iter_bits *it, const u64 *mask, u32 words) __ksym;

struct both {
	struct bpf_rb_node leaf;
	struct bpf_list_node item;
	u64 number;
};

struct value {
	struct bpf_timer timer;
	struct both __kptr *owned;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct value);
} values SEC(".maps"), others SEC(".maps");

__private(all) struct bpf_spin_lock lock;
__private(all) struct bpf_rb_root tree __contains(both, leaf);
__private(all) struct bpf_list_head list __contains(both, item);

const volatile u64 constant = 7;
u64 variable = 1;

static struct value *get(void *map)
{
	u32 key = 0;

	return bpf_map_lookup_elem(map, &key);
}

ESCAPE(object_of_no_type, "bpf_obj_new_impl: type 16777215 is no structure")
{
	return bpf_obj_new_impl(unknown(0xffffff), NULL) != NULL;
}

ESCAPE(object_nowhere, "bpf_obj_drop_impl: allocated object at")
{
	bpf_obj_drop_impl(NOWHERE, NULL);
	return 0;
}

ESCAPE(object_as_mask, "bpf_cpumask_release: bad store")
{
	bpf_cpumask_release((void *)obj_new(struct both));
	return 0;
}

ESCAPE(share_of_nothing, "bpf_refcount_acquire_impl: the object at 0xffff8881b0000000 has no")
{
	return bpf_refcount_acquire_impl(NOWHERE, NULL) != NULL;
}

ESCAPE(list_nowhere, "bpf_list_pop_front: bad load of 8 bytes")
{
	return bpf_list_pop_front(NOWHERE) != NULL;
}

ESCAPE(node_nowhere, "bpf_list_push_back_impl: allocated object at")
{
	return bpf_list_push_back_impl(&list, NOWHERE, NULL, 0);
}

ESCAPE(node_of_no_object, "bpf_list_push_front_impl: allocated object at")
{
	return bpf_list_push_front_impl(&list, (void *)&variable, NULL, 0);
}

ESCAPE(tree_nowhere, "bpf_rbtree_first: bad load of 8 bytes")
{
	return bpf_rbtree_first(NOWHERE) != NULL;
}

ESCAPE(below_nowhere, "bpf_rbtree_left: bad load of 8 bytes")
{
	return bpf_rbtree_left(&tree, NOWHERE) != NULL;
}

static int plant(void *less)
{
	struct both *object = obj_new(struct both);

	return object ? bpf_rbtree_add_impl(&tree, &object->leaf, less, NULL, 0) : 0;
}

ESCAPE(compared_by_nothing, "is no function that could be called back")
{
	return plant(NOWHERE) + plant(NOWHERE);
}

ESCAPE(forged_owner, "bpf_kptr_xchg: pointer from a map at")
{
	struct value *value = get(&values);

	return value && bpf_kptr_xchg(&value->owned, &variable);
}

ESCAPE(lock_nowhere, "bpf_spin_lock: bad store of 4 bytes")
{
	bpf_spin_lock(NOWHERE);
	return 0;
}

ESCAPE(lock_over_a_constant, "bpf_spin_lock: bad store of 4 bytes")
{
	bpf_spin_lock((void *)&constant);
	return 0;
}

ESCAPE(interrupts_nowhere, "bpf_local_irq_save: bad store of 8 bytes")
{
	bpf_local_irq_save(NOWHERE);
	return 0;
}

ESCAPE(timer_nowhere, "bpf_timer_init: bad store of 16 bytes")
{
	return bpf_timer_init(NOWHERE, &values, 1);
}

ESCAPE(timer_of_another_map, "bpf_timer_init: bad store of 16 bytes")
{
	struct value *value = get(&others);

	return value ? bpf_timer_init(&value->timer, &values, 1) : 0;
}

ESCAPE(timer_of_no_map, "bpf_timer_init: bad store of 16 bytes")
{
	struct value *value = get(&values);

	return value ? bpf_timer_init(&value->timer, NOWHERE, 1) : 0;
}

ESCAPE(timer_for_nothing, "bpf_timer_set_callback: bad load")
{
	struct value *value = get(&values);

	return value ? bpf_timer_set_callback(&value->timer, NOWHERE) : 0;
}

ESCAPE(work_nowhere, "bpf_wq_init: bad store of 16 bytes")
{
	return bpf_wq_init(NOWHERE, &values, 0);
}

ESCAPE(dynptr_nowhere, "bpf_dynptr_read: bad load of 8 bytes")
{
	u64 found;

	return bpf_dynptr_read(&found, 8, NOWHERE, 0, 0);
}

ESCAPE(forged_dynptr, "bpf_dynptr_read: bad load of 8 bytes at 0xffff8881b0000000")
{
	struct bpf_dynptr forged = {{(u64)NOWHERE, 1 << 28 | 8}};
	u64 found;

	return bpf_dynptr_read(&found, 8, &forged, 0, 0);
}

ESCAPE(forged_record, "bpf_ringbuf_submit_dynptr: dynamic pointer to a record of a ring at")
{
	struct bpf_dynptr forged = {{(u64)NOWHERE, 2 << 28 | 8}};

	bpf_ringbuf_submit_dynptr(&forged, 0);
	return 0;
}

ESCAPE(dynptr_over_a_constant, "bpf_dynptr_write: bad store of 8 bytes")
{
	struct bpf_dynptr at;

	bpf_dynptr_from_mem((void *)&constant, 8, 0, &at);
	return bpf_dynptr_write(&at, 0, &variable, 8, 0);
}

ESCAPE(dynptr_to_nowhere, "bpf_dynptr_from_mem: bad store of 8 bytes")
{
	return bpf_dynptr_from_mem(&variable, 8, 0, NOWHERE);
}

ESCAPE(instance_of_nothing, "bpf_per_cpu_ptr: bad load")
{
	return bpf_per_cpu_ptr(&variable, 1) != NULL;
}

ESCAPE(bits_nowhere, "bpf_iter_bits_new: bad store of 8 bytes")
{
	return bpf_iter_bits_new(NOWHERE, &variable, 1);
}

ESCAPE(drain_of_no_ring, "bpf_user_ringbuf_drain: bad load")
{
	return bpf_user_ringbuf_drain(&values, plant, NULL, 0);
}

ESCAPE(line_from_nowhere, "bpf_trace_vprintk: bad load")
{
	return bpf_trace_vprintk(NOWHERE, 8, NULL, 0);
}
