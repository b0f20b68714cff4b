/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of witness that is about cgroups. */

SETTING(u32, refuse_move, 0, "the move of the how many-th task into another cgroup is refused");
SETTING(u32, refuse_cgroup, 0, "the how many-th cgroup is refused; the root is the first");
SETTING(s32, refuse_with, -11, "the error that refuses them, or what is none; else EAGAIN");

#define SCHED_EXT 7

struct cgroup *scx_bpf_task_cgroup(struct task_struct *p) __ksym;
void bpf_cgroup_release(struct cgroup *cgrp) __ksym;

/* How many tasks of the class were to be moved so far. */
static u32 moves;
/* How many cgroups there were so far. */
static u32 cgroups;

/* The number of the cgroup that a task is in, as far as the scheduler is concerned. */
static u64 cgroup_of(struct task_struct *p)
{
	struct cgroup *cgrp = scx_bpf_task_cgroup(p);
	u64 id = cgrp->kn->id;

	bpf_cgroup_release(cgrp);
	return id;
}

s32 BPF_STRUCT_OPS(witness_cgroup_init, struct cgroup *cgrp, struct scx_cgroup_init_args *args)
{
	struct witness_record record = {
		.callback = CB_CGROUP_INIT,
		.cgroup = cgrp->kn->id,
		.number = args->weight,
	};

	if (core_field_exists(args->bw_period_us)) {
		record.values[0] = args->bw_period_us;
		record.values[1] = args->bw_quota_us;
		record.values[2] = args->bw_burst_us;
	}
	if (core_field_exists(args->sched_idle))
		record.flags = args->sched_idle;
	write_down(&record);
	return __sync_fetch_and_add(&cgroups, 1) + 1 == refuse_cgroup ? refuse_with : 0;
}

static void witness_cgroup(u32 callback, struct cgroup *cgrp, s32 number, u64 flags)
{
	struct witness_record record = {
		.callback = callback,
		.cgroup = cgrp->kn->id,
		.number = number,
		.flags = flags,
	};

	write_down(&record);
}

void BPF_STRUCT_OPS(witness_cgroup_exit, struct cgroup *cgrp)
{
	witness_cgroup(CB_CGROUP_EXIT, cgrp, 0, 0);
}

static void witness_move(u32 callback, struct task_struct *p, struct cgroup *from,
                         struct cgroup *to)
{
	struct witness_record record = {
		.callback = callback,
		.pid = p->pid,
		.cgroup = to->kn->id,
		.values = {from->kn->id},
	};

	write_down(&record);
}

s32 BPF_STRUCT_OPS(witness_cgroup_prep_move, struct task_struct *p, struct cgroup *from,
                   struct cgroup *to)
{
	witness_move(CB_CGROUP_PREP_MOVE, p, from, to);
	if (p->policy == SCHED_EXT && __sync_fetch_and_add(&moves, 1) + 1 == refuse_move)
		return refuse_with;
	return 0;
}

void BPF_STRUCT_OPS(witness_cgroup_move, struct task_struct *p, struct cgroup *from,
                    struct cgroup *to)
{
	witness_move(CB_CGROUP_MOVE, p, from, to);
}

void BPF_STRUCT_OPS(witness_cgroup_cancel_move, struct task_struct *p, struct cgroup *from,
                    struct cgroup *to)
{
	witness_move(CB_CGROUP_CANCEL_MOVE, p, from, to);
}

void BPF_STRUCT_OPS(witness_cgroup_set_weight, struct cgroup *cgrp, u32 weight)
{
	witness_cgroup(CB_CGROUP_SET_WEIGHT, cgrp, weight, 0);
}

void BPF_STRUCT_OPS(witness_cgroup_set_bandwidth, struct cgroup *cgrp, u64 period_us, u64 quota_us,
                    u64 burst_us)
{
	struct witness_record record = {
		.callback = CB_CGROUP_SET_BANDWIDTH,
		.cgroup = cgrp->kn->id,
		.values = {period_us, quota_us, burst_us},
	};

	write_down(&record);
}

void BPF_STRUCT_OPS(witness_cgroup_set_idle, struct cgroup *cgrp, bool idle)
{
	witness_cgroup(CB_CGROUP_SET_IDLE, cgrp, 0, idle);
}
