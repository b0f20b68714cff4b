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

struct counts {
	u64 here;
};

#define type_id(type) __builtin_btf_type_id(*(type *)0, 0)

#define drop(object) bpf_obj_drop(object)
#include "both.h"

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
