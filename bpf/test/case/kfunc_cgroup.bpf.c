/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cgroups: found by number, walked, with storage of their own. */
#include "case.h"
#include <rota/map.h>

LICENSE_GPL;

struct cgroup;
struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
} __attribute__((preserve_access_index));
struct kernfs_node {
	u64 id;
} __attribute__((preserve_access_index));
struct cgroup {
	struct cgroup_subsys_state self;
	s32 level;
	struct kernfs_node *kn;
} __attribute__((preserve_access_index));
struct css_set {
	struct cgroup *dfl_cgrp;
} __attribute__((preserve_access_index));
struct task_struct {
	struct css_set *cgroups;
} __attribute__((preserve_access_index));
struct bpf_iter_css {
	u64 __opaque[3];
} __attribute__((aligned(8)));

struct cgroup *bpf_cgroup_from_id(u64 id) __ksym;
struct cgroup *bpf_cgroup_acquire(struct cgroup *cgrp) __ksym;
void bpf_cgroup_release(struct cgroup *cgrp) __ksym;
struct cgroup *bpf_cgroup_ancestor(struct cgroup *cgrp, int level) __ksym;
long bpf_task_under_cgroup(struct task_struct *task, struct cgroup *ancestor) __ksym;
struct cgroup *bpf_task_get_cgroup1(struct task_struct *task, int hierarchy) __ksym;
int bpf_iter_css_new(struct bpf_iter_css *it, struct cgroup_subsys_state *start, u32 flags) __ksym;
struct cgroup_subsys_state *bpf_iter_css_next(struct bpf_iter_css *it) __ksym;
void bpf_iter_css_destroy(struct bpf_iter_css *it) __ksym;
void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;

static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;
static u64 (*const bpf_get_current_cgroup_id)(void) = (void *)80;
static void *(*const bpf_cgrp_storage_get)(void *map, struct cgroup *cgrp, void *value,
                                           u64 flags) = (void *)210;
static long (*const bpf_cgrp_storage_delete)(void *map, struct cgroup *cgrp) = (void *)211;

#define BPF_LOCAL_STORAGE_GET_F_CREATE 1
/* The number of the outermost cgroup. */
#define ROOT 1

struct {
	__uint(type, BPF_MAP_TYPE_CGRP_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} storage SEC(".maps");

CASE(root_by_number, 1)
{
	struct cgroup *root = bpf_cgroup_from_id(unknown(ROOT)), *again;
	bool right;

	if (!root)
		return 99;
	again = bpf_cgroup_acquire(root);
	right = root->level == 0 && root->kn->id == ROOT && again == root && !root->self.parent;
	if (again)
		bpf_cgroup_release(again);
	bpf_cgroup_release(root);
	return right;
}

CASE(no_such_number, 1)
{
	struct cgroup *none = bpf_cgroup_from_id(unknown(1ULL << 60));

	if (none) {
		bpf_cgroup_release(none);
		return 0;
	}
	return 1;
}

/* The number of what the root is in at a level; 0 for nothing. */
static u64 ancestor(int level)
{
	struct cgroup *root = bpf_cgroup_from_id(ROOT), *found;
	u64 id = 0;

	if (!root)
		return 99;
	found = bpf_cgroup_ancestor(root, level);
	if (found) {
		id = found->kn->id;
		bpf_cgroup_release(found);
	}
	bpf_cgroup_release(root);
	return id;
}

CASE(ancestor_at_own_level, 1)
{
	return ancestor(unknown(0));
}

CASE(no_ancestor_below, 0)
{
	return ancestor(unknown(1));
}

CASE(no_ancestor_at_no_level, 0)
{
	return ancestor(unknown(-1));
}

CASE(every_task_is_under_the_root, 1)
{
	struct cgroup *root = bpf_cgroup_from_id(ROOT);
	long under;

	if (!root)
		return 99;
	under = bpf_task_under_cgroup(bpf_get_current_task_btf(), root);
	bpf_cgroup_release(root);
	return under;
}

CASE(own_cgroup_by_either_way, 1)
{
	return bpf_get_current_task_btf()->cgroups->dfl_cgrp->kn->id == bpf_get_current_cgroup_id();
}

CASE(no_cgroup_of_the_first_version, 1)
{
	struct cgroup *none = bpf_task_get_cgroup1(bpf_get_current_task_btf(), unknown(77));

	if (none) {
		bpf_cgroup_release(none);
		return 0;
	}
	return 1;
}

/* Walks from the root: 100 for each time that it is found, 10 if it is the first, 1 if the last. */
static int walk(u32 order)
{
	struct cgroup *root = bpf_cgroup_from_id(ROOT);
	struct cgroup_subsys_state *css;
	int found = 0, first = 0, last = 0, seen = 0;
	struct bpf_iter_css it;

	if (!root)
		return 99;
	bpf_rcu_read_lock();
	bpf_iter_css_new(&it, &root->self, order);
	while ((css = bpf_iter_css_next(&it))) {
		last = css->cgroup->kn->id == ROOT;
		if (!seen++)
			first = last;
		found += last;
	}
	bpf_iter_css_destroy(&it);
	bpf_rcu_read_unlock();
	bpf_cgroup_release(root);
	return 100 * found + 10 * first + (seen > 1 ? 0 : last);
}

/* Walks from the root; whether it comes last. */
static bool ends_with_root(u32 order)
{
	struct cgroup *root = bpf_cgroup_from_id(ROOT);
	struct cgroup_subsys_state *css;
	struct bpf_iter_css it;
	bool last = false;

	if (!root)
		return false;
	bpf_rcu_read_lock();
	bpf_iter_css_new(&it, &root->self, order);
	while ((css = bpf_iter_css_next(&it)))
		last = css->cgroup->kn->id == ROOT;
	bpf_iter_css_destroy(&it);
	bpf_rcu_read_unlock();
	bpf_cgroup_release(root);
	return last;
}

CASE(downwards_starts_with_the_root, 11)
{
	return walk(2 /* BPF_CGROUP_ITER_DESCENDANTS_PRE */) / 10;
}

CASE(downwards_ends_with_the_root, 1)
{
	return ends_with_root(3 /* BPF_CGROUP_ITER_DESCENDANTS_POST */);
}

CASE(nothing_above_the_root, 111)
{
	return walk(4 /* BPF_CGROUP_ITER_ANCESTORS_UP */);
}

CASE(walk_in_no_order, 0)
{
	return walk(unknown(1));
}

CASE(storage_stays, 15)
{
	struct cgroup *root = bpf_cgroup_from_id(ROOT);
	u64 ten = 10, *value;

	if (!root)
		return 99;
	value = bpf_cgrp_storage_get(&storage, root, &ten, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (value)
		*value += 5;
	value = bpf_cgrp_storage_get(&storage, root, NULL, 0);
	ten = value ? *value : 98;
	if (bpf_cgrp_storage_delete(&storage, root))
		ten = 97;
	bpf_cgroup_release(root);
	return ten;
}

CASE(nothing_to_delete, -2) /* ENOENT */
{
	struct cgroup *root = bpf_cgroup_from_id(ROOT);
	long error;

	if (!root)
		return 99;
	error = bpf_cgrp_storage_delete(&storage, root);
	bpf_cgroup_release(root);
	return error;
}
