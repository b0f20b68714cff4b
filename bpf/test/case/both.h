/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects that are in a tree and in a list at once, and taking them out again. Who includes this
 * says first how an object is given back: drop(object).
 */
#pragma once

#include <rota/map.h>
#include <rota/object.h>

struct both {
	struct bpf_rb_node leaf;
	struct bpf_list_node item;
	struct bpf_refcount owners;
	u64 number;
};

__private(all) struct bpf_spin_lock lock;
__private(all) struct bpf_rb_root tree __contains(both, leaf);
__private(all) struct bpf_list_head list __contains(both, item);

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct both, leaf)->number <
	       container_of(b, struct both, leaf)->number;
}

/* Takes the first out of the tree; its number, or 0. */
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
	drop(object);
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
	drop(object);
	return number;
}
