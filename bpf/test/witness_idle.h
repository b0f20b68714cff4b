/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the test scheduler chooses an idle CPU in scenarios that are about that. It writes down which
 * CPUs are idle, and its choice. The kernel spreads its choices from where the CPU that chooses
 * was last; each choice here starts behind the same CPU, so that it can be foretold.
 */
#pragma once

#include <rota/cpus.h>

SETTING(bool, choose, false, "choose CPUs as the next settings say, and write it down");
SETTING(bool, choose_late, false, "choose when a task is enqueued, to no effect");
SETTING(u32, pick, 0, "which function chooses: 0 select_cpu_dfl; the others: enum pick");
SETTING(u64, pick_cpus, 255, "the CPUs that the choice is limited to, as bits");
SETTING(u64, pick_flags, 0, "flags of the choice");
SETTING(s32, pick_node, 0, "the node to choose in");
SETTING(u32, pick_after, 0, "the CPU behind which the search begins");
SETTING(u32, pick_previous, 0, "where the task is said to have been: a CPU plus 1");
SETTING(u64, wake_flags, 0, "flags beside those of the wake-up");
SETTING(bool, masks_of_nodes, false, "which CPUs are idle is asked of the node");

enum pick {
	PICK_DEFAULT,
	PICK_AND,
	PICK_IDLE,
	PICK_ANY,
	PICK_TEST,
	PICK_IDLE_NODE,
	PICK_ANY_NODE,
	PICK_NOTHING,
};

/* As many CPUs as scenarios about this have. */
#define CPUS_CHOSEN_FROM 16

static void witness(u32 callback, s32 pid, s32 number, u64 flags);

/* Writes down which CPUs are idle, and above them, whose core is too. */
static void witness_idle_cpus(struct task_struct *p)
{
	const struct cpumask *cpus, *cores;
	u64 bits;

	cpus = masks_of_nodes ? scx_bpf_get_idle_cpumask_node(pick_node)
	                      : scx_bpf_get_idle_cpumask();
	bits = cpus->bits[0] & 0xffffffff;
	scx_bpf_put_idle_cpumask(cpus);
	cores = masks_of_nodes ? scx_bpf_get_idle_smtmask_node(pick_node)
	                       : scx_bpf_get_idle_smtmask();
	bits |= cores->bits[0] << 32;
	scx_bpf_put_idle_cpumask(cores);
	witness(CB_IDLE_CPUS, p->pid, 0, bits);
}

static s32 pick_from(struct task_struct *p, s32 prev_cpu, u64 flags, const struct cpumask *cpus)
{
	bool is_idle = false;
	s32 cpu;

	switch (pick) {
	case PICK_DEFAULT:
		cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, flags, &is_idle);
		return is_idle ? cpu : -1;
	case PICK_AND:
		return scx_bpf_select_cpu_and(p, prev_cpu, flags, cpus, pick_flags);
	case PICK_IDLE:
		return scx_bpf_pick_idle_cpu(cpus, pick_flags);
	case PICK_ANY:
		return scx_bpf_pick_any_cpu(cpus, pick_flags);
	case PICK_TEST:
		cpu = bpf_cpumask_first(cpus);
		if (!scx_bpf_test_and_clear_cpu_idle(cpu))
			return -1;
		return scx_bpf_test_and_clear_cpu_idle(cpu) ? -2 : cpu;
	case PICK_IDLE_NODE:
		return scx_bpf_pick_idle_cpu_node(cpus, pick_node, pick_flags);
	case PICK_ANY_NODE:
		return scx_bpf_pick_any_cpu_node(cpus, pick_node, pick_flags);
	}
	return -1;
}

/* Chooses a CPU for a task; negative if there is none. */
static s32 choose_cpu(struct task_struct *p, s32 prev_cpu, u64 flags)
{
	struct bpf_cpumask *cpus;
	s32 found;
	u32 cpu;

	if (pick_previous)
		prev_cpu = pick_previous - 1;
	witness_idle_cpus(p);
	/* Only one: right after booting the kernel has no second one ready. */
	cpus = bpf_cpumask_create();
	if (!cpus)
		return -1;
	bpf_cpumask_set_cpu(pick_after, cpus);
	bpf_cpumask_any_distribute(as_mask(cpus));
	bpf_cpumask_clear(cpus);
	for (cpu = 0; cpu < CPUS_CHOSEN_FROM; cpu++)
		if (pick_cpus >> cpu & 1)
			bpf_cpumask_set_cpu(cpu, cpus);
	found = pick_from(p, prev_cpu, flags | wake_flags, as_mask(cpus));
	bpf_cpumask_release(cpus);
	witness(CB_CHOICE, p->pid, found, 0);
	return found;
}
