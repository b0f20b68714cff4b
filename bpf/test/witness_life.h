/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How tasks, CPUs and the scheduler itself come and go. */
#pragma once

s32 BPF_STRUCT_OPS_SLEEPABLE(witness_init_task, struct task_struct *p,
                             struct scx_init_task_args *args)
{
	witness(CB_INIT_TASK, p->pid, 0, args->fork);
	/* The thread that makes it has lent it its name. */
	if (args->fork && is_unwanted(p) && mistakes(MISTAKE_DISALLOW_FORK, p->pid))
		p->scx.disallow = true;
	if (is_unwanted(p)) {
		if (mistakes(MISTAKE_INIT_TASK, p->pid))
			return -ENOENT;
		if (mistakes(MISTAKE_INIT_TASK_INVALID, p->pid))
			return 5;
		if (mistakes(MISTAKE_DISALLOW, p->pid))
			p->scx.disallow = true;
		if (mistakes(MISTAKE_CGROUP_EARLY, p->pid))
			cgroup_of(p);
		if (mistakes(MISTAKE_GIVE_UP_INIT_TASK, p->pid))
			scx_bpf_error("not this task");
	}
	return 0;
}

void BPF_STRUCT_OPS(witness_exit_task, struct task_struct *p, struct scx_exit_task_args *args)
{
	witness(CB_EXIT_TASK, p->pid, 0, args->cancelled);
}

void BPF_STRUCT_OPS(witness_enable, struct task_struct *p)
{
	witness(CB_ENABLE, p->pid, p->scx.weight, 0);
}

void BPF_STRUCT_OPS(witness_disable, struct task_struct *p)
{
	witness(CB_DISABLE, p->pid, 0, 0);
}

void BPF_STRUCT_OPS(witness_cpu_online, s32 cpu)
{
	witness(CB_CPU_ONLINE, 0, cpu, 0);
}

void BPF_STRUCT_OPS(witness_cpu_offline, s32 cpu)
{
	witness(CB_CPU_OFFLINE, 0, cpu, 0);
}

void BPF_STRUCT_OPS(witness_cpu_acquire, s32 cpu)
{
	witness(CB_CPU_ACQUIRE, 0, cpu, 0);
}

void BPF_STRUCT_OPS(witness_cpu_release, s32 cpu, struct scx_cpu_release_args *args)
{
	witness(CB_CPU_RELEASE, args->task->pid, cpu, args->reason);
	if (ask_back == ASK_LOST)
		scx_bpf_reenqueue_local();
}

void BPF_STRUCT_OPS(witness_dump, struct scx_dump_ctx *ctx)
{
	scx_bpf_dump("witness: kind %d code %lld\n", ctx->kind, ctx->exit_code);
}

void BPF_STRUCT_OPS(witness_dump_cpu, struct scx_dump_ctx *ctx, s32 cpu, bool idle)
{
	if (!idle)
		scx_bpf_dump("witness: CPU %d\n", cpu);
}

void BPF_STRUCT_OPS(witness_dump_task, struct scx_dump_ctx *ctx, struct task_struct *p)
{
	scx_bpf_dump("witness: task %s weight %u\n", p->comm, p->scx.weight);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(witness_init)
{
	if (mistakes(MISTAKE_INIT, 0))
		return -ENOENT;
	if (mistakes(MISTAKE_INIT_INVALID, 0))
		return 5;
	if (mistakes(MISTAKE_GIVE_UP_INIT, 0))
		scx_bpf_error("not this machine");
	if (mistakes(MISTAKE_CREATE_TWICE, 0))
		scx_bpf_create_dsq(SHARED_DSQ, -1);
	return scx_bpf_create_dsq(SHARED_DSQ, -1) ?: scx_bpf_create_dsq(SECOND_DSQ, -1);
}

void BPF_STRUCT_OPS(witness_exit, struct scx_exit_info *info)
{
	exit_record(info);
}
