/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domains: a queue for the CPUs that share a cache, and work that moves between them.
 *
 * - A domain is the CPUs of one last-level cache, or what the user says. A task belongs to one.
 * - It wakes up: an idle CPU of its domain, if there is one, else the nearest one anywhere. Else
 *   it waits in its domain's queue, in the order of deadlines; or it takes the place of a task
 *   with a later one at once.
 * - A deadline is virtual time, which grows by the time a task runs over its weight, and then what
 *   the task usually runs until it sleeps, over its weight: of two that were served alike, who
 *   soon makes way comes first.
 * - A CPU that has nothing left in its domain's queue looks into those of others, nearer ones
 *   first, a few at a time.
 * - The user half says which CPUs and domains there are.
 */
#include <rota/compat.h>
#include <rota/cpus.h>
#include <rota/describe.h>
#include <rota/enqueue.h>
#include <rota/exit.h>
#include <rota/loop.h>
#include <rota/object.h>
#include <rota/task_ctx.h>

LICENSE_GPL;

SETTING(u64, slice_ns, 5000000, "how long a task may run before others get their turn");
SETTING(u64, slice_min_ns, 500000, "the same where many wait");
SETTING(u32, steal_steps, 8,
        "into how many domains' queues a CPU with nothing to do looks at a time");
SETTING(u64, half_life_ns, 500000000, "after how long what a task did counts half in its duty");
SETTING(u32, tasks_max, 65536, "of how many tasks the balancer is told at most");
SETTING(u32, spill_margin, 2,
        "how many more must wait in a domain than in another for a task to go there");
SETTING(u64, margin_ns, 1000000,
        "by how much a task that wakes up must be before one that runs to take its place; in virtual time");

#define DEFAULT_WEIGHT 100 /* of nice 0 */
#define DEBT_NS_MAX    50000000
#define NONE           (~0u)

/* Set by the user half. */
const volatile u32 domain_count = 1;
const volatile u32 cpu_count = 1;

#include "reports.h"

struct SHARED domains_stats {
	COUNTER(near, "tasks", "woken onto an idle CPU of their domain");
	COUNTER(far, "tasks", "woken onto an idle CPU elsewhere");
	COUNTER(queued, "tasks", "put into their domain's queue");
	COUNTER(preempted, "tasks", "put in the place of one that ran");
	COUNTER(spilt, "tasks", "sent to another domain, where fewer wait");
	COUNTER(ordered, "tasks", "moved to another domain by the balancer");
	COUNTER(untold, "tasks", "of which the balancer is not told, as there are too many");
	COUNTER(moved, "tasks", "taken from their domain's queue");
	COUNTER(stolen, "tasks", "taken from another domain's queue");
	COUNTER(ran_ns, "ns", "CPU time that tasks were charged");
};
STATS(struct domains_stats);
#define count(member, n) STAT_ADD(struct domains_stats, member, n)

/* A CPU. The user half says where it is. */
struct SHARED domains_cpu {
	u32 domain;
	u32 next;      /* which of the other domains it looks into next */
	u64 deadline;  /* of who runs; 0 if nobody does */
	u32 asks;      /* which other domain a task is sent to next */
	u32 called_by; /* whose queue it is to look into; the number after the domain's, 0 is none
	                */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct domains_cpu);
} cpus SEC(".maps");

/* A domain. */
struct domain {
	struct bpf_cpumask __kptr *cpus;
	/* The largest virtual time of any task that has started to run; see simple. */
	u64 vtime_now;
	u64 cpu_count;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct domain);
} domains SEC(".maps");

/* For each domain all others, the nearest first. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} others SEC(".maps");

struct domains_task {
	u64 vtime;
	u64 charged_at_start_ns; /* what it had run in all when it started to run */
	u64 burst_ns;            /* what it has run since it woke up */
	u64 usual_ns;            /* what it runs from waking up to sleeping, on average */
	u32 domain;
	u32 slot; /* NONE if there was none left: then nothing is told of the task */
};
TASK_CTX(struct domains_task);

static __always_inline struct domains_cpu *cpu_at(s32 cpu)
{
	return bpf_map_lookup_elem(&cpus, &cpu);
}

static __always_inline struct domain *domain_at(u32 domain)
{
	return bpf_map_lookup_elem(&domains, &domain);
}

static u64 over_weight(u64 ns, const struct task_struct *p)
{
	u32 weight = p->scx.weight;

	return weight ? ns * DEFAULT_WEIGHT / weight : ns;
}

/* As long as many wait in a domain, slices are short. */
static u64 slice_of(const struct task_struct *p, const struct domain *domain, u32 id)
{
	u64 waiting = scx_bpf_dsq_nr_queued(id);
	u64 slice, light = over_weight(slice_ns, p), cpus = domain->cpu_count ?: 1;

	slice = slice_ns * cpus / (cpus + waiting);
	/* Light tasks get less at a time; see simple. */
	if (light > slice_ns)
		slice = slice * slice_ns / light;
	return slice < slice_min_ns ? slice_min_ns : slice;
}

/*
 * The deadline that a task has if it waits now. Who slept keeps a slice of credit at most. Who ran
 * is not cut: by the end of a tick, others may be ahead by more than a slice, and it would lose
 * that.
 */
static u64 deadline_of(struct task_struct *p, struct domains_task *task,
                       const struct domain *domain, bool slept)
{
	u64 oldest = domain->vtime_now - slice_ns;
	u64 newest = domain->vtime_now + DEBT_NS_MAX;

	if (slept && time_before(task->vtime, oldest))
		task->vtime = oldest;
	if (time_before(newest, task->vtime))
		task->vtime = newest;
	return task->vtime + over_weight(task->usual_ns, p);
}

/* A task belongs to another domain from now on; what it is ahead or behind stays. */
static void move(struct domains_task *task, u32 to, const struct domain *from,
                 const struct domain *into)
{
	task->vtime += into->vtime_now - from->vtime_now;
	task->domain = to;
	tell_domain(task->slot, to);
}

/* Carries out what user space wants of a task, and says where it belongs then. */
static struct domain *follow(struct task_struct *p, struct domains_task *task,
                             struct domain *domain)
{
	u32 to = take_order(task->slot);
	struct domain *there = to == NONE ? NULL : domain_at(to);

	if (!there || !there->cpus || !bpf_cpumask_intersects(as_mask(there->cpus), p->cpus_ptr))
		return domain;
	count(ordered, 1);
	move(task, to, domain, there);
	return there;
}

/* Tells which domains a task may use. */
static void tell_affinity(u32 slot, const struct cpumask *mask)
{
	struct domains_report *report = report_at(slot);
	u32 id;

	if (!report)
		return;
	report->confined = bpf_cpumask_weight(mask) < cpu_count;
	if (!report->confined)
		return;
	loop(id, 0, domain_count) {
		struct domain *domain = domain_at(id);

		if (domain && domain->cpus)
			tell_allowed(slot, id, bpf_cpumask_intersects(as_mask(domain->cpus), mask));
	}
}

/* The domain of a task, which is another one if it may not run there any more. */
static struct domain *home(struct task_struct *p, struct domains_task *task)
{
	struct domain *domain = domain_at(task->domain);
	struct domain *there;
	struct domains_cpu *cpu;

	if (!domain || !domain->cpus)
		return NULL;
	domain = follow(p, task, domain);
	if (domain->cpus && bpf_cpumask_intersects(as_mask(domain->cpus), p->cpus_ptr))
		return domain;
	cpu = cpu_at(bpf_cpumask_any_distribute(p->cpus_ptr));
	if (!cpu)
		return NULL;
	there = domain_at(cpu->domain);
	if (there)
		move(task, cpu->domain, domain, there);
	return there;
}

/*
 * Where more wait than in another domain, by more than the margin, a task that comes to wait goes
 * there. One other is asked each time.
 */
static struct domain *spill(struct task_struct *p, struct domains_task *task, struct domain *domain,
                            struct domains_cpu *here)
{
	u32 own = task->domain, at, *other;
	struct domain *there;
	u64 waiting = scx_bpf_dsq_nr_queued(own), less;

	if (domain_count < 2 || waiting <= spill_margin)
		return domain;
	at = own * (domain_count - 1) + here->asks++ % (domain_count - 1);
	other = bpf_map_lookup_elem(&others, &at);
	if (!other)
		return domain;
	there = domain_at(*other);
	if (!there || !there->cpus || !bpf_cpumask_intersects(as_mask(there->cpus), p->cpus_ptr))
		return domain;
	less = scx_bpf_dsq_nr_queued(*other) + spill_margin;
	if (less * domain->cpu_count >= waiting * there->cpu_count)
		return domain;
	count(spilt, 1);
	move(task, *other, domain, there);
	return there;
}

s32 BPF_STRUCT_OPS(domains_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	struct domains_task *task = task_ctx(p);
	struct domain *domain = task ? home(p, task) : NULL;
	struct bpf_cpumask *mask;
	s32 cpu;

	if (!domain)
		return prev_cpu;
	mask = domain->cpus;
	if (!mask)
		return prev_cpu;
	cpu = scx_bpf_select_cpu_and(p, prev_cpu, wake_flags, as_mask(mask), 0);
	if (cpu >= 0) {
		count(near, 1);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_of(p, domain, task->domain), 0);
		return cpu;
	}
	cpu = scx_bpf_select_cpu_and(p, prev_cpu, wake_flags, p->cpus_ptr, 0);
	if (cpu >= 0) {
		count(far, 1);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_of(p, domain, task->domain), 0);
		return cpu;
	}
	return prev_cpu;
}

void BPF_STRUCT_OPS(domains_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct domains_task *task = task_ctx(p);
	struct domain *domain = task ? home(p, task) : NULL;
	struct domains_cpu *at;
	u64 deadline, slice;
	s32 cpu = scx_bpf_task_cpu(p);
	bool slept;

	if (!domain) {
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, slice_ns, enq_flags);
		return;
	}
	slept = enq_flags & enq_flag(SCX_ENQ_WAKEUP);
	deadline = deadline_of(p, task, domain, slept);
	slice = slice_of(p, domain, task->domain);
	at = cpu_at(cpu);
	if (slept && at && at->deadline && time_before(deadline + margin_ns, at->deadline)) {
		count(preempted, 1);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | cpu, slice,
		                   enq_flags | enq_flag(SCX_ENQ_PREEMPT));
		return;
	}
	count(queued, 1);
	if (at) {
		domain = spill(p, task, domain, at);
		deadline = deadline_of(p, task, domain, false);
	}
	scx_bpf_dsq_insert_vtime(p, task->domain, slice, deadline, enq_flags);
	/* Who may run where somebody has gone idle meanwhile, or elsewhere, should not wait. */
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu < 0)
		return;
	at = cpu_at(cpu);
	if (at)
		at->called_by = task->domain + 1;
	scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(domains_dispatch, s32 cpu, struct task_struct *prev)
{
	struct domains_cpu *here = cpu_at(cpu);
	struct domain *domain;
	u32 own, step;

	if (!here)
		return;
	own = here->domain;
	domain = domain_at(own);
	if (!domain)
		return;
	if (scx_bpf_dsq_move_to_local(own)) {
		count(moved, 1);
		return;
	}
	if (prev && prev->scx.flags & SCX_TASK_QUEUED) {
		scx_bpf_task_set_slice(prev, slice_of(prev, domain, own));
		return;
	}
	if (here->called_by) {
		u32 caller = here->called_by - 1;

		here->called_by = 0;
		if (scx_bpf_dsq_move_to_local(caller)) {
			count(stolen, 1);
			return;
		}
	}
	for (step = 0; step < steal_steps && step < domain_count - 1; step++) {
		/* The nearest half of them each time, the others in turn. */
		u32 near = step < steal_steps / 2 ? step : here->next++ % (domain_count - 1);
		u32 at = own * (domain_count - 1) + near;
		u32 *other = bpf_map_lookup_elem(&others, &at);

		if (other && scx_bpf_dsq_nr_queued(*other) && scx_bpf_dsq_move_to_local(*other)) {
			count(stolen, 1);
			return;
		}
	}
}

void BPF_STRUCT_OPS(domains_runnable, struct task_struct *p, u64 enq_flags)
{
	struct domains_task *task = task_ctx(p);

	if (!task)
		return;
	task->burst_ns = 0;
	tell_duty(task->slot, true);
}

void BPF_STRUCT_OPS(domains_quiescent, struct task_struct *p, u64 deq_flags)
{
	struct domains_task *task = task_ctx(p);

	if (task)
		tell_duty(task->slot, false);
}

void BPF_STRUCT_OPS(domains_running, struct task_struct *p)
{
	struct domains_task *task = task_ctx(p);
	struct domains_cpu *at = cpu_at(scx_bpf_task_cpu(p));
	struct domain *domain;

	if (!task)
		return;
	task->charged_at_start_ns = p->se.sum_exec_runtime;
	domain = domain_at(task->domain);
	if (domain && time_before(domain->vtime_now, task->vtime))
		domain->vtime_now = task->vtime;
	if (at)
		at->deadline = (task->vtime + over_weight(task->usual_ns, p)) | 1;
}

void BPF_STRUCT_OPS(domains_stopping, struct task_struct *p, bool runnable)
{
	struct domains_task *task = task_ctx(p);
	struct domains_cpu *at = cpu_at(scx_bpf_task_cpu(p));
	u64 ran_ns;

	if (at)
		at->deadline = 0;
	if (!task)
		return;
	ran_ns = p->se.sum_exec_runtime - task->charged_at_start_ns;
	count(ran_ns, ran_ns);
	task->vtime += over_weight(ran_ns, p);
	task->burst_ns += ran_ns;
	if (runnable) {
		if (task->burst_ns > task->usual_ns)
			task->usual_ns = task->burst_ns < slice_ns ? task->burst_ns : slice_ns;
	} else {
		task->usual_ns = (3 * task->usual_ns + task->burst_ns) / 4;
	}
}

s32 BPF_STRUCT_OPS(domains_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct domains_task *task = task_ctx_create(p);
	struct domains_cpu *at = cpu_at(scx_bpf_task_cpu(p));

	if (!task)
		return -ENOMEM;
	task->domain = at ? at->domain : 0;
	task->slot = take_slot(p, task->domain);
	if (task->slot == NONE)
		count(untold, 1);
	tell_affinity(task->slot, p->cpus_ptr);
	return 0;
}

void BPF_STRUCT_OPS(domains_exit_task, struct task_struct *p, struct scx_exit_task_args *args)
{
	struct domains_task *task = task_ctx(p);

	if (task)
		give_slot(task->slot);
}

void BPF_STRUCT_OPS(domains_set_weight, struct task_struct *p, u32 weight)
{
	struct domains_task *task = task_ctx(p);

	if (task)
		tell_weight(task->slot, weight);
}

void BPF_STRUCT_OPS(domains_set_cpumask, struct task_struct *p, const struct cpumask *mask)
{
	struct domains_task *task = task_ctx(p);

	if (task)
		tell_affinity(task->slot, mask);
}

void BPF_STRUCT_OPS(domains_enable, struct task_struct *p)
{
	struct domains_task *task = task_ctx(p);
	struct domain *domain;

	if (!task)
		return;
	domain = domain_at(task->domain);
	if (domain)
		task->vtime = domain->vtime_now;
}

void BPF_STRUCT_OPS(domains_cpu_online, s32 cpu)
{
}

void BPF_STRUCT_OPS(domains_cpu_offline, s32 cpu)
{
}

/* Makes a domain's queue and its mask. */
static s32 make_domain(u32 id)
{
	struct domain *domain = domain_at(id);
	struct bpf_cpumask *mask;
	s32 error;
	u32 cpu;

	if (!domain)
		return -ENOENT;
	error = scx_bpf_create_dsq(id, -1);
	if (error)
		return error;
	mask = bpf_cpumask_create();
	if (!mask)
		return -ENOMEM;
	loop(cpu, 0, cpu_count) {
		struct domains_cpu *at = cpu_at(cpu);

		if (at && at->domain == id) {
			bpf_cpumask_set_cpu(cpu, mask);
			domain->cpu_count++;
		}
	}
	mask = bpf_kptr_xchg(&domain->cpus, mask);
	if (mask)
		bpf_cpumask_release(mask);
	return 0;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(domains_init)
{
	u32 id;
	s32 error;

	loop(id, 0, domain_count) {
		error = make_domain(id);
		if (error)
			return error;
	}
	return 0;
}

void BPF_STRUCT_OPS(domains_exit, struct scx_exit_info *info)
{
	exit_record(info);
}

SCHEDULER(
	"a queue for the CPUs of each cache in order of deadlines, and work that moves between them")
struct sched_ext_ops domains_ops = {
	.select_cpu = (void *)domains_select_cpu,
	.enqueue = (void *)domains_enqueue,
	.dispatch = (void *)domains_dispatch,
	.runnable = (void *)domains_runnable,
	.quiescent = (void *)domains_quiescent,
	.running = (void *)domains_running,
	.stopping = (void *)domains_stopping,
	.init_task = (void *)domains_init_task,
	.exit_task = (void *)domains_exit_task,
	.set_weight = (void *)domains_set_weight,
	.set_cpumask = (void *)domains_set_cpumask,
	.enable = (void *)domains_enable,
	.cpu_online = (void *)domains_cpu_online,
	.cpu_offline = (void *)domains_cpu_offline,
	.init = (void *)domains_init,
	.exit = (void *)domains_exit,
	.name = "domains",
};
