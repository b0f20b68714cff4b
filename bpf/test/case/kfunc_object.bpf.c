/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects that a program allocates, in trees and in lists, under a spin lock. */
#include "case.h"
#include <rota/object.h>

LICENSE_GPL;

struct leaf {
	struct bpf_rb_node node;
	u64 order;
};

struct item {
	struct bpf_list_node node;
	u64 number;
};

__private(tree) struct bpf_spin_lock tree_lock;
__private(tree) struct bpf_rb_root tree __contains(leaf, node);
__private(list) struct bpf_spin_lock list_lock;
__private(list) struct bpf_list_head list __contains(item, node);

static bool earlier(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct leaf, node)->order <
	       container_of(b, struct leaf, node)->order;
}

static bool grow(u64 order)
{
	struct leaf *leaf = obj_new(struct leaf);

	if (!leaf)
		return false;
	leaf->order = order;
	bpf_spin_lock(&tree_lock);
	bpf_rbtree_add_impl(&tree, &leaf->node, (void *)earlier, NULL, 0);
	bpf_spin_unlock(&tree_lock);
	return true;
}

/* Takes the first leaf; its order, or 0 if there is none. */
static u64 pick(void)
{
	struct bpf_rb_node *node;
	struct leaf *leaf;
	u64 order;

	bpf_spin_lock(&tree_lock);
	node = bpf_rbtree_first(&tree);
	if (!node) {
		bpf_spin_unlock(&tree_lock);
		return 0;
	}
	node = bpf_rbtree_remove(&tree, node);
	bpf_spin_unlock(&tree_lock);
	if (!node)
		return 0;
	leaf = container_of(node, struct leaf, node);
	order = leaf->order;
	obj_drop(leaf);
	return order;
}

CASE(new_and_drop, 8)
{
	struct item *item = obj_new(struct item);
	u64 number;

	if (!item)
		return 99;
	item->number = unknown(8);
	number = item->number;
	obj_drop(item);
	return number;
}

CASE(tree_in_order, 1234)
{
	u64 digits;

	if (!grow(3) || !grow(1) || !grow(4) || !grow(2))
		return 99;
	digits = pick();
	digits = 10 * digits + pick();
	digits = 10 * digits + pick();
	return 10 * digits + pick();
}

CASE(empty_tree, 0)
{
	return pick();
}

static bool push(u64 number, bool front)
{
	struct item *item = obj_new(struct item);

	if (!item)
		return false;
	item->number = number;
	bpf_spin_lock(&list_lock);
	if (front)
		bpf_list_push_front_impl(&list, &item->node, NULL, 0);
	else
		bpf_list_push_back_impl(&list, &item->node, NULL, 0);
	bpf_spin_unlock(&list_lock);
	return true;
}

static u64 pop(bool front)
{
	struct bpf_list_node *node;
	struct item *item;
	u64 number;

	bpf_spin_lock(&list_lock);
	node = front ? bpf_list_pop_front(&list) : bpf_list_pop_back(&list);
	bpf_spin_unlock(&list_lock);
	if (!node)
		return 0;
	item = container_of(node, struct item, node);
	number = item->number;
	obj_drop(item);
	return number;
}

CASE(list_at_both_ends, 3120)
{
	u64 digits;

	if (!push(1, true) || !push(2, false) || !push(3, true))
		return 99;
	digits = pop(true);
	digits = 10 * digits + pop(true);
	digits = 10 * digits + pop(false);
	return 10 * digits + pop(false);
}
