/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPUs, and which of them are idle, asked for with no scheduler attached. */
#include "case.h"
#include <rota/compat.h>
#include <rota/cpus.h>

LICENSE_GPL;

struct rq {
	s32 cpu;
} __attribute__((preserve_access_index));

static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;

void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;
bool bpf_cpumask_empty(const struct cpumask *mask) __ksym;
bool bpf_cpumask_subset(const struct cpumask *one, const struct cpumask *two) __ksym;
bool bpf_cpumask_test_cpu(u32 cpu, const struct cpumask *mask) __ksym;
const struct cpumask *scx_bpf_get_possible_cpumask(void) __ksym;
const struct cpumask *scx_bpf_get_online_cpumask(void) __ksym;
void scx_bpf_put_cpumask(const struct cpumask *mask) __ksym;
u32 scx_bpf_nr_cpu_ids(void) __ksym;
u32 scx_bpf_nr_node_ids(void) __ksym;
u32 scx_bpf_cpuperf_cap(s32 cpu) __ksym;
u32 scx_bpf_cpuperf_cur(s32 cpu) __ksym;
void scx_bpf_cpuperf_set(s32 cpu, u32 target) __ksym;
s32 scx_bpf_cpu_node(s32 cpu) __ksym;

/* 6.18 to 7.3, but for the run queue of any CPU, which 7.3 does not give any more. */
struct task_struct *scx_bpf_cpu_curr(s32 cpu) __ksym __weak;
struct rq *scx_bpf_locked_rq(void) __ksym __weak;
struct rq *scx_bpf_cpu_rq(s32 cpu) __ksym __weak;

#define EBUSY  (-16)
#define ENODEV (-19)

CASE(scx_possible_cpus, 1)
{
	const struct cpumask *possible = scx_bpf_get_possible_cpumask();
	const struct cpumask *online = scx_bpf_get_online_cpumask();
	u32 here = bpf_get_smp_processor_id();
	bool right = bpf_cpumask_test_cpu(here, possible) && bpf_cpumask_test_cpu(here, online) &&
	             bpf_cpumask_subset(online, possible) && online->bits[0] >> here & 1;

	scx_bpf_put_cpumask(online);
	scx_bpf_put_cpumask(possible);
	return right;
}

/* Nobody keeps track. */
CASE(scx_no_idle_masks, 1)
{
	const struct cpumask *cpus = scx_bpf_get_idle_cpumask();
	const struct cpumask *cores = scx_bpf_get_idle_smtmask();
	const struct cpumask *node_cpus = scx_bpf_get_idle_cpumask_node(unknown(0));
	const struct cpumask *node_cores = scx_bpf_get_idle_smtmask_node(unknown(0));
	bool empty = bpf_cpumask_empty(cpus) && bpf_cpumask_empty(cores) &&
	             bpf_cpumask_empty(node_cpus) && bpf_cpumask_empty(node_cores);

	scx_bpf_put_idle_cpumask(node_cores);
	scx_bpf_put_idle_cpumask(node_cpus);
	scx_bpf_put_idle_cpumask(cores);
	scx_bpf_put_idle_cpumask(cpus);
	return empty;
}

CASE(scx_none_is_idle, 0)
{
	return scx_bpf_test_and_clear_cpu_idle(unknown(0));
}

CASE(scx_nodes, 1)
{
	/* 6.16 tells the node also without a scheduler. */
	s32 node = scx_bpf_cpu_node(unknown(0));

	return scx_bpf_nr_node_ids() >= 1 && (node == 0 || node == -1);
}

CASE(scx_full_capacity, 1)
{
	return scx_bpf_cpuperf_cap(unknown(0)) == 1024 && scx_bpf_cpuperf_cap(unknown(-1)) == 1024;
}

CASE(scx_performance, 1)
{
	u32 performance = scx_bpf_cpuperf_cur(unknown(0));

	scx_bpf_cpuperf_set(unknown(0), performance);
	return performance == 1024;
}

/* What 6.16 finds out before it misses the scheduler is what it answers with. */
static bool nothing(s32 found)
{
	return found == EBUSY || found == ENODEV;
}

#define CASE_ALL_CPUS(name, expression)                                                            \
	CASE(name, 1)                                                                              \
	{                                                                                          \
		const struct cpumask *all = scx_bpf_get_possible_cpumask();                        \
		s32 found = expression;                                                            \
                                                                                                   \
		scx_bpf_put_cpumask(all);                                                          \
		return nothing(found);                                                             \
	}

CASE_ALL_CPUS(scx_pick_idle, scx_bpf_pick_idle_cpu(all, 0))

CASE(scx_pick_any, 1)
{
	const struct cpumask *all = scx_bpf_get_possible_cpumask();
	s32 found = scx_bpf_pick_any_cpu(all, unknown(0));

	scx_bpf_put_cpumask(all);
	return nothing(found) || (u32)found < scx_bpf_nr_cpu_ids();
}

/* EOPNOTSUPP from 6.16, which has not been told to keep masks of nodes. */
CASE(scx_pick_in_node, 1)
{
	const struct cpumask *all = scx_bpf_get_possible_cpumask();
	s32 idle = scx_bpf_pick_idle_cpu_node(all, unknown(0), 0);
	s32 any = scx_bpf_pick_any_cpu_node(all, unknown(0), 0);

	scx_bpf_put_cpumask(all);
	return idle == any && (idle == -95 || idle == ENODEV);
}

CASE_ALL_CPUS(scx_select_and, scx_bpf_select_cpu_and(bpf_get_current_task_btf(), 0, 0, all, 0))

CASE(scx_select_default, 1)
{
	bool is_idle = true;
	s32 cpu = scx_bpf_select_cpu_dfl(bpf_get_current_task_btf(), unknown(0), 0, &is_idle);

	return (cpu == 0 && !is_idle) || cpu == ENODEV;
}

CASE(scx_no_current, 1)
{
	bool none = true;

	if (ksym_exists(scx_bpf_cpu_curr)) {
		bpf_rcu_read_lock();
		none = !scx_bpf_cpu_curr(unknown(0));
		bpf_rcu_read_unlock();
	}
	return none;
}

CASE(scx_run_queue, 1)
{
	struct rq *rq;

	if (!ksym_exists(scx_bpf_cpu_rq))
		return 1;
	/* 6.16 gives it also without a scheduler. */
	rq = scx_bpf_cpu_rq(unknown(0));
	return !rq || rq->cpu == 0;
}

CASE(scx_no_run_queue_locked, 1)
{
	return !ksym_exists(scx_bpf_locked_rq) || !scx_bpf_locked_rq();
}
