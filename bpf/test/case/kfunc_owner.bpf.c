/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects with several owners, the shape of trees, lists from both ends, and owned pointers. */
#include "case.h"
#include <rota/map.h>
#include <rota/object.h>

LICENSE_GPL;

#define drop(object) obj_drop(object)
#include "both.h"

/* 7.1: what may be done with a node of a list that is not its first or last. */
int bpf_list_add___new(struct bpf_list_head *head, struct bpf_list_node *node,
                       struct bpf_list_node *after) __ksym __weak;
struct bpf_list_node *bpf_list_del___new(struct bpf_list_head *head,
                                         struct bpf_list_node *node) __ksym __weak;
bool bpf_list_is_first___new(struct bpf_list_head *head, struct bpf_list_node *node) __ksym __weak;
bool bpf_list_is_last___new(struct bpf_list_head *head, struct bpf_list_node *node) __ksym __weak;
bool bpf_list_empty___new(struct bpf_list_head *head) __ksym __weak;

/* Puts an object into the tree and, at its end, into the list. */
static bool put(u64 number)
{
	struct both *object = obj_new(struct both), *shared;

	if (!object)
		return false;
	object->number = number;
	shared = obj_share(object);
	bpf_spin_lock(&lock);
	bpf_rbtree_add_impl(&tree, &object->leaf, (void *)less, NULL, 0);
	bpf_list_push_back_impl(&list, &shared->item, NULL, 0);
	bpf_spin_unlock(&lock);
	return true;
}

/* The tree has them in their own order, the list in that of their coming. */
CASE(in_two_places, 123312)
{
	u64 digits;

	if (!put(3) || !put(1) || !put(2))
		return 99;
	digits = take_from_tree();
	digits = 10 * digits + take_from_tree();
	digits = 10 * digits + take_from_tree();
	digits = 10 * digits + take_from_list();
	digits = 10 * digits + take_from_list();
	return 10 * digits + take_from_list();
}

static u64 number_of(struct bpf_rb_node *node)
{
	return node ? container_of(node, struct both, leaf)->number : 0;
}

CASE(shape, 2130)
{
	struct bpf_rb_node *root, *left, *right;
	u64 digits = 0;

	if (!put(3) || !put(1) || !put(2))
		return 99;
	bpf_spin_lock(&lock);
	root = bpf_rbtree_root(&tree);
	if (root) {
		digits = number_of(root);
		left = bpf_rbtree_left(&tree, root);
		right = bpf_rbtree_right(&tree, root);
		digits = 10 * digits + number_of(left);
		digits = 10 * digits + number_of(right);
		if (left)
			digits = 10 * digits + number_of(bpf_rbtree_left(&tree, left));
	}
	bpf_spin_unlock(&lock);
	for (int i = 0; i < 3; i++) {
		take_from_tree();
		take_from_list();
	}
	return digits;
}

CASE(both_ends, 12)
{
	struct bpf_list_node *front, *back;
	u64 digits = 0;

	if (!put(1) || !put(2))
		return 99;
	bpf_spin_lock(&lock);
	front = bpf_list_front(&list);
	back = bpf_list_back(&list);
	if (front && back)
		digits = 10 * container_of(front, struct both, item)->number +
		         container_of(back, struct both, item)->number;
	bpf_spin_unlock(&lock);
	for (int i = 0; i < 2; i++) {
		take_from_tree();
		take_from_list();
	}
	return digits;
}

/* A node can hang on one thing at a time; the second owner loses it. */
CASE(hangs_already, -22) /* EINVAL */
{
	struct both *object = obj_new(struct both), *shared;
	int error;

	if (!object)
		return 99;
	object->number = 1;
	shared = obj_share(object);
	bpf_spin_lock(&lock);
	bpf_list_push_front_impl(&list, &object->item, NULL, 0);
	error = bpf_list_push_back_impl(&list, &shared->item, NULL, 0);
	bpf_spin_unlock(&lock);
	return take_from_list() == 1 && !take_from_list() ? error : 99;
}

CASE(not_in_the_tree, 1)
{
	struct both *object = obj_new(struct both), *shared;
	struct bpf_rb_node *removed;

	if (!object)
		return 99;
	shared = obj_share(object);
	bpf_spin_lock(&lock);
	bpf_list_push_front_impl(&list, &object->item, NULL, 0);
	removed = bpf_rbtree_remove(&tree, &shared->leaf);
	bpf_spin_unlock(&lock);
	if (removed)
		obj_drop(container_of(removed, struct both, leaf));
	obj_drop(shared);
	take_from_list();
	return !removed;
}

static bool push(u64 number)
{
	struct both *object = obj_new(struct both);

	if (!object)
		return false;
	object->number = number;
	bpf_spin_lock(&lock);
	bpf_list_push_back_impl(&list, &object->item, NULL, 0);
	bpf_spin_unlock(&lock);
	return true;
}

CASE(into_the_middle, 1320)
{
	struct bpf_list_node *first;
	struct both *object;
	u64 digits;

	if (!ksym_exists(bpf_list_add___new))
		return 1320;
	object = obj_new(struct both);
	if (!object)
		return 99;
	object->number = 3;
	if (!push(1) || !push(2)) {
		obj_drop(object);
		return 98;
	}
	bpf_spin_lock(&lock);
	first = bpf_list_front(&list);
	if (!first) {
		bpf_spin_unlock(&lock);
		obj_drop(object);
		return 97;
	}
	bpf_list_add___new(&list, &object->item, first);
	bpf_spin_unlock(&lock);
	digits = take_from_list();
	digits = 10 * digits + take_from_list();
	digits = 10 * digits + take_from_list();
	return 10 * digits + take_from_list();
}

CASE(out_of_a_list, 1020)
{
	struct bpf_list_node *first, *removed = NULL;
	u64 digits = 0;

	if (!ksym_exists(bpf_list_del___new))
		return 1020;
	if (!push(1) || !push(2))
		return 99;
	bpf_spin_lock(&lock);
	first = bpf_list_front(&list);
	if (first) {
		digits = bpf_list_is_first___new(&list, first);
		digits = 10 * digits + bpf_list_is_last___new(&list, first);
		removed = bpf_list_del___new(&list, first);
	}
	bpf_spin_unlock(&lock);
	if (removed)
		obj_drop(container_of(removed, struct both, item));
	digits = 10 * digits + take_from_list();
	bpf_spin_lock(&lock);
	digits = 10 * digits + !bpf_list_empty___new(&list);
	bpf_spin_unlock(&lock);
	return digits;
}

struct slot {
	struct both __kptr *owned;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct slot);
} slots SEC(".maps");

/* What is stored in a map belongs to the map, and what is taken out of it to the program. */
CASE(owned_by_a_map, 5)
{
	struct both *object = obj_new(struct both);
	struct slot empty = {}, *slot;
	u64 number = 99;
	u32 key = 0;

	if (!object)
		return 99;
	object->number = unknown(5);
	bpf_map_update_elem(&slots, &key, &empty, BPF_ANY);
	slot = bpf_map_lookup_elem(&slots, &key);
	if (!slot) {
		obj_drop(object);
		return 98;
	}
	object = bpf_kptr_xchg(&slot->owned, object);
	if (object)
		obj_drop(object);
	object = bpf_kptr_xchg(&slot->owned, NULL);
	if (object) {
		number = object->number;
		obj_drop(object);
	}
	return number;
}

/* What is updated is a new value, which owns nothing; the old one's object goes with it. */
CASE(goes_with_its_value, 1)
{
	struct both *object = obj_new(struct both);
	struct slot empty = {}, *slot;
	u32 key = 1;

	if (!object)
		return 99;
	bpf_map_update_elem(&slots, &key, &empty, BPF_ANY);
	slot = bpf_map_lookup_elem(&slots, &key);
	if (!slot) {
		obj_drop(object);
		return 98;
	}
	object = bpf_kptr_xchg(&slot->owned, object);
	if (object)
		obj_drop(object);
	bpf_map_update_elem(&slots, &key, &empty, BPF_ANY);
	slot = bpf_map_lookup_elem(&slots, &key);
	object = slot ? bpf_kptr_xchg(&slot->owned, NULL) : NULL;
	if (!object)
		return 1;
	obj_drop(object);
	return 0;
}
