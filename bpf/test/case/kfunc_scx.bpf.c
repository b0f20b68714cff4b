/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Functions of sched_ext that any program may call, with no scheduler attached. */
#include "case.h"

LICENSE_GPL;

struct task_struct {
	s32 pid;
} __attribute__((preserve_access_index));

static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;
static u32 (*const bpf_get_smp_processor_id)(void) = (void *)8;

void scx_bpf_destroy_dsq(u64 dsq_id) __ksym;
s32 scx_bpf_dsq_nr_queued(u64 dsq_id) __ksym;
u64 scx_bpf_now(void) __ksym;
bool scx_bpf_task_running(const struct task_struct *p) __ksym;
u32 scx_bpf_nr_cpu_ids(void) __ksym;

struct scx_event_stats {
	u64 first;
	u64 second;
};
void scx_bpf_events(struct scx_event_stats *events, u64 size) __ksym;

static u64 before;

CASE(scx_time, 1)
{
	before = scx_bpf_now();
	return scx_bpf_now() >= before;
}

CASE_AFTER(scx_time_goes_on, 20, 1)
{
	return scx_bpf_now() - before >= 10000000;
}

CASE(scx_cpus, 1)
{
	return scx_bpf_nr_cpu_ids() > bpf_get_smp_processor_id();
}

CASE(scx_current_runs, 1)
{
	return scx_bpf_task_running(bpf_get_current_task_btf());
}

/* Nobody has it, so nothing is destroyed, and nothing is wrong. */
CASE(scx_no_queue, 1)
{
	scx_bpf_destroy_dsq(unknown(77ULL));
	return 1;
}

/* Whatever the queue: without a scheduler there is none. */
CASE(scx_none_queued, -19) /* ENODEV */
{
	return scx_bpf_dsq_nr_queued(unknown(77ULL));
}

/* Without a scheduler nothing is counted. Only as much is written as there is room. */
CASE(scx_nothing_counted, 7)
{
	struct scx_event_stats events[2] = {{5, 5}, {5, 7}};

	scx_bpf_events(events, 24);
	return events[0].first | events[0].second | events[1].first ? 0 : events[1].second;
}
