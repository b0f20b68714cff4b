/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects that programs allocate, trees and lists of them, and the locks around these. */
#pragma once

#include <rota/types.h>

#define __contains(type, node) __remark("contains:" #type ":" #node)
#define __kptr                 __attribute__((btf_type_tag("kptr")))
#define __percpu_kptr          __attribute__((btf_type_tag("percpu_kptr")))
/* Static, so that user space does not map it: it could break a lock. */
#define __private(name)                static SEC(".bss." #name) __attribute__((aligned(8)))
#define container_of(at, type, member) ((type *)((void *)(at) - __builtin_offsetof(type, member)))

struct bpf_spin_lock {
	u32 val;
};
struct bpf_res_spin_lock {
	u32 val;
};
struct bpf_refcount {
	u32 __opaque[1];
} __attribute__((aligned(4)));
struct bpf_rb_root {
	u64 __opaque[2];
} __attribute__((aligned(8)));
struct bpf_rb_node {
	u64 __opaque[4];
} __attribute__((aligned(8)));
struct bpf_list_head {
	u64 __opaque[2];
} __attribute__((aligned(8)));
struct bpf_list_node {
	u64 __opaque[3];
} __attribute__((aligned(8)));

static void (*const bpf_spin_lock)(struct bpf_spin_lock *lock) = (void *)93;
static void (*const bpf_spin_unlock)(struct bpf_spin_lock *lock) = (void *)94;
static void *(*const bpf_kptr_xchg)(void *place, void *pointer) = (void *)194;

void *bpf_obj_new_impl(u64 type, void *meta) __ksym;
void bpf_obj_drop_impl(void *object, void *meta) __ksym;
void *bpf_refcount_acquire_impl(void *object, void *meta) __ksym;
void *bpf_percpu_obj_new_impl(u64 type, void *meta) __ksym;
void bpf_percpu_obj_drop_impl(void *object, void *meta) __ksym;
int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node,
                        bool(less)(struct bpf_rb_node *a, const struct bpf_rb_node *b), void *meta,
                        u64 offset) __ksym;
struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root) __ksym;
struct bpf_rb_node *bpf_rbtree_root(struct bpf_rb_root *root) __ksym;
struct bpf_rb_node *bpf_rbtree_left(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;
struct bpf_rb_node *bpf_rbtree_right(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;
struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;
int bpf_list_push_front_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta,
                             u64 offset) __ksym;
int bpf_list_push_back_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta,
                            u64 offset) __ksym;
struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head) __ksym;
struct bpf_list_node *bpf_list_pop_back(struct bpf_list_head *head) __ksym;
struct bpf_list_node *bpf_list_front(struct bpf_list_head *head) __ksym;
struct bpf_list_node *bpf_list_back(struct bpf_list_head *head) __ksym;

#define obj_new(type)     ((type *)bpf_obj_new_impl(__builtin_btf_type_id(*(type *)0, 0), NULL))
#define obj_drop(object)  bpf_obj_drop_impl(object, NULL)
#define obj_share(object) ((typeof(object))bpf_refcount_acquire_impl(object, NULL))
