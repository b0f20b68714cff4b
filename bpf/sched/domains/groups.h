/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cgroups. User space is told of them and their weights, and says by how much the weights of the
 * tasks in each count.
 */
#pragma once

#include <rota/cgroup.h>
#include <rota/stack.h>
#include <rota/task_ctx.h>

/* A factor that leaves weights as they are. */
#define FACTOR_ONE 65536

struct SHARED domains_group {
	u64 cgroup; /* its number; 0 while the place is free */
	u64 parent; /* that of the one it is in; 0 for the outermost */
	u32 weight;
	u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct domains_group);
} groups SEC(".maps");

/* For each place of a cgroup, by how much weights in it count, of FACTOR_ONE; 0 is one, too. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} factors SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 1);
	__type(value, u32);
} free_groups SEC(".maps");

u32 groups_used;

/* The place of a cgroup. */
struct {
	__uint(type, BPF_MAP_TYPE_CGRP_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, s32);
	__type(value, u32);
} group_places SEC(".maps");

static struct domains_group *group_at(u32 place)
{
	return bpf_map_lookup_elem(&groups, &place);
}

/* The place of a cgroup; NO_PLACE if it has none. */
static __always_inline u32 group_of(struct cgroup *cgrp)
{
	u32 *place = bpf_cgrp_storage_get(&group_places, cgrp, NULL, 0);

	return place ? *place : NO_PLACE;
}

/* By how much a weight counts in the cgroup of a place, of FACTOR_ONE. */
static u32 factor_of(u32 place)
{
	u32 *factor = bpf_map_lookup_elem(&factors, &place);

	return factor && *factor ? *factor : FACTOR_ONE;
}

/* The number of the cgroup that one is in; 0 for the outermost. */
static __always_inline u64 parent_of(struct cgroup *cgrp)
{
	struct cgroup *parent = cgrp->level ? bpf_cgroup_ancestor(cgrp, cgrp->level - 1) : NULL;
	u64 id = 0;

	if (parent) {
		id = parent->kn->id;
		bpf_cgroup_release(parent);
	}
	return id;
}

s32 BPF_STRUCT_OPS(domains_cgroup_init, struct cgroup *cgrp, struct scx_cgroup_init_args *args)
{
	u32 *place =
		bpf_cgrp_storage_get(&group_places, cgrp, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	u32 *factor;
	struct domains_group *group;

	if (!place)
		return -ENOMEM;
	*place = take_place(&free_groups, &groups_used, groups_max);
	group = group_at(*place);
	if (!group) {
		count(unweighted, 1);
		return 0;
	}
	factor = bpf_map_lookup_elem(&factors, place);
	if (factor)
		*factor = FACTOR_ONE;
	group->parent = parent_of(cgrp);
	group->weight = args->weight;
	group->cgroup = cgrp->kn->id;
	return 0;
}

void BPF_STRUCT_OPS(domains_cgroup_exit, struct cgroup *cgrp)
{
	u32 place = group_of(cgrp);
	struct domains_group *group = group_at(place);

	if (!group)
		return;
	group->cgroup = 0;
	bpf_map_push_elem(&free_groups, &place, 0);
}

void BPF_STRUCT_OPS(domains_cgroup_set_weight, struct cgroup *cgrp, u32 weight)
{
	struct domains_group *group = group_at(group_of(cgrp));

	if (group)
		group->weight = weight;
}
