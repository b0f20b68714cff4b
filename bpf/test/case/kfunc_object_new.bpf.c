/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects, trees and lists by the names that 7.1 gave their functions: what the verifier supplies
 * is no argument any more. Older kernels have none of them, and return what is expected.
 */
#include "case.h"
#include <rota/map.h>
#include <rota/object.h>

LICENSE_GPL;

void *bpf_obj_new(u64 type) __ksym __weak;
void bpf_obj_drop(void *object) __ksym __weak;
void *bpf_refcount_acquire(void *object) __ksym __weak;
void *bpf_percpu_obj_new(u64 type) __ksym __weak;
void bpf_percpu_obj_drop(void *object) __ksym __weak;
int bpf_rbtree_add(struct bpf_rb_root *root, struct bpf_rb_node *node,
                   bool(less)(struct bpf_rb_node *a, const struct bpf_rb_node *b)) __ksym __weak;
int bpf_list_push_front(struct bpf_list_head *head, struct bpf_list_node *node) __ksym __weak;
int bpf_list_push_back(struct bpf_list_head *head, struct bpf_list_node *node) __ksym __weak;

struct both {
	struct bpf_rb_node leaf;
	struct bpf_list_node item;
	struct bpf_refcount owners;
	u64 number;
};

struct counts {
	u64 here;
};

__private(all) struct bpf_spin_lock lock;
__private(all) struct bpf_rb_root tree __contains(both, leaf);
__private(all) struct bpf_list_head list __contains(both, item);

#define type_id(type) __builtin_btf_type_id(*(type *)0, 0)

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct both, leaf)->number <
	       container_of(b, struct both, leaf)->number;
}

/* Puts an object into the tree, and at one end of the list. */
static bool put(u64 number, bool front)
{
	struct both *object = bpf_obj_new(type_id(struct both)), *shared;

	if (!object)
		return false;
	object->number = number;
	shared = bpf_refcount_acquire(object);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&tree, &object->leaf, less);
	if (front)
		bpf_list_push_front(&list, &shared->item);
	else
		bpf_list_push_back(&list, &shared->item);
	bpf_spin_unlock(&lock);
	return true;
}

static u64 take_from_tree(void)
{
	struct bpf_rb_node *node;
	struct both *object;
	u64 number;

	bpf_spin_lock(&lock);
	node = bpf_rbtree_first(&tree);
	if (node)
		node = bpf_rbtree_remove(&tree, node);
	bpf_spin_unlock(&lock);
	if (!node)
		return 0;
	object = container_of(node, struct both, leaf);
	number = object->number;
	bpf_obj_drop(object);
	return number;
}

static u64 take_from_list(void)
{
	struct bpf_list_node *node;
	struct both *object;
	u64 number;

	bpf_spin_lock(&lock);
	node = bpf_list_pop_front(&list);
	bpf_spin_unlock(&lock);
	if (!node)
		return 0;
	object = container_of(node, struct both, item);
	number = object->number;
	bpf_obj_drop(object);
	return number;
}

CASE(in_two_places, 123132)
{
	u64 digits;

	if (!ksym_exists(bpf_obj_new))
		return 123132;
	if (!put(3, false) || !put(1, true) || !put(2, false))
		return 99;
	digits = take_from_tree();
	digits = 10 * digits + take_from_tree();
	digits = 10 * digits + take_from_tree();
	digits = 10 * digits + take_from_list();
	digits = 10 * digits + take_from_list();
	return 10 * digits + take_from_list();
}

CASE(of_each_cpu, 1)
{
	struct counts __percpu_kptr *counts;

	if (!ksym_exists(bpf_percpu_obj_new))
		return 1;
	counts = bpf_percpu_obj_new(type_id(struct counts));
	if (counts)
		bpf_percpu_obj_drop(counts);
	return !!counts;
}
