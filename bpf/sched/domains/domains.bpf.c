/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domains: a queue for the CPUs that share a cache, and work that moves between them.
 *
 * - A domain is the CPUs of one last-level cache, or what the user says. A task belongs to one.
 * - It wakes up: an idle CPU of its domain, if there is one, else the nearest one anywhere. Else
 *   it waits in its domain's queue, in the order of deadlines, or in that of another one where
 *   fewer wait; or it takes the place of a task with a later deadline at once.
 * - A deadline is virtual time, which grows by the time a task runs over its weight, and then what
 *   the task usually runs until it sleeps, over its weight: of two that were served alike, who
 *   soon makes way comes first.
 * - A CPU that has nothing left in its domain's queue looks into those of others, nearer ones
 *   first, a few at a time.
 * - The user half says which CPUs and domains there are, which tasks change their domain, and by
 *   how much weights count in each cgroup.
 */
#include <rota/compat.h>
#include <rota/describe.h>
#include <rota/enqueue.h>
#include <rota/exit.h>
#include <rota/object.h>
#include <rota/queue.h>
#include <rota/task_ctx.h>

LICENSE_GPL;

SETTING(u64, slice_ns, 3000000, "how long a task may run before others get their turn");
SETTING(u64, slice_min_ns, 500000, "the same where many wait");
SETTING(u32, near_domains, 7,
        "in how many near domains idle CPUs and waiting tasks are looked for before all others");
SETTING(u32, fork_steps, 8, "how many other domains are asked whether a new task goes there");
SETTING(u64, half_life_ns, 500000000, "after how long what a task did counts half in its duty");
SETTING(u32, tasks_max, 65536, "of how many tasks the balancer is told at most");
SETTING(u32, groups_max, 16384, "how many cgroups are told apart at most");
SETTING(u32, spill_margin, 2,
        "how many more must wait in a domain than in another for a task to wait there");
SETTING(u64, margin_ns, 1000000,
        "by how much a task that wakes up must be before one that runs to take its place; in virtual time");
SETTING(u64, debt_ns, 2000000000,
        "for how long at most a task waits for what it had too much, or is paid what it had too little");
SETTING(u64, turn_ns, 100000000,
        "for how long a task whose weight promises more than a CPU keeps it while others wait");
SETTING(u64, warm_ns, 600000, "for how long a core that has gone idle is still quick to wake up");
SETTING(u64, alone_ns, 200000,
        "who usually runs longer than this at a time looks for a core of its own anywhere");
SETTING(u32, stay, 1,
        "whom CPUs of other nodes leave to those that its memory policy names: 1 who is bound to them, 2 who prefers them too, 0 nobody");
SETTING(u64, tune_ns, 100000000, "how often the weights of cgroups are reckoned with");
SETTING(u64, balance_ns, 1000000000, "how often tasks are moved between domains");

#define DEFAULT_WEIGHT 100 /* of nice 0 */
#define VTIME_PARTS    8
#define PACE_NS        250000000 /* how often a domain's pace is reckoned */

struct SHARED domains_stats {
	COUNTER(near, "tasks", "woken onto an idle CPU of their domain");
	COUNTER(warm, "tasks", "woken onto a CPU that was busy a moment ago");
	COUNTER(far, "tasks", "woken onto an idle CPU elsewhere");
	COUNTER(queued, "tasks", "put into their domain's queue");
	COUNTER(bound, "tasks", "given the next turn on the only CPU that they may use");
	COUNTER(preempted, "tasks", "put in the place of one that ran");
	COUNTER(spilt, "tasks", "put into another domain's queue, where fewer wait");
	COUNTER(adopted, "tasks", "kept by the domain that took them from another one");
	COUNTER(ordered, "tasks", "moved to another domain by the balancer");
	COUNTER(left_out, "tasks", "that the balancer does not see, being more than tasks_max");
	COUNTER(unweighted, "cgroups", "whose weight does not count, being more than groups_max");
	COUNTER(moved, "tasks", "taken from their domain's queue");
	COUNTER(stolen, "tasks", "taken from another domain's queue");
	COUNTER(pulled, "tasks", "taken from where more wait, in the place of one that ran");
	COUNTER(ran_ns, "ns", "CPU time that tasks were charged");
};
STATS(struct domains_stats);
#define count(member, n) STAT_ADD(struct domains_stats, member, n)

#include "machine.h"
#include "memory.h"
#include "reports.h"
#include "groups.h"

struct domains_task {
	u64 vtime;
	u64 charged_at_start_ns;   /* what it had run in all when it started to run */
	u64 burst_ns;              /* what it has run since it woke up */
	u64 usual_ns;              /* what it runs from waking up to sleeping, on average */
	struct policy_seen policy; /* its memory policy, when that was looked at */
	/* The CPUs on the nodes that its policy names; NULL if there is none that it may use. */
	struct bpf_cpumask __kptr *near;
	u32 stays;   /* no other CPU runs it */
	u32 counted; /* among the tasks of its domain */
	u32 domain;
	u32 slot;  /* NO_PLACE if there was none left: then nothing is told of the task */
	u32 group; /* the place of its cgroup */
};
TASK_CTX(struct domains_task);

/* The CPUs in whose domains a task waits. */
static __always_inline const struct cpumask *home_cpus(const struct task_struct *p,
                                                       const struct domains_task *task)
{
	struct bpf_cpumask *near = task->near;

	return near ? as_mask(near) : p->cpus_ptr;
}

/* The CPUs that run a task if they have nothing else to do. */
static __always_inline const struct cpumask *fit_cpus(const struct task_struct *p,
                                                      const struct domains_task *task)
{
	return task->stays ? home_cpus(p, task) : p->cpus_ptr;
}

#include "steal.h"

/* A time over a task's weight, which is worth what its cgroup leaves of it. */
static u64 over_weight(u64 ns, const struct task_struct *p, const struct domains_task *task)
{
	u64 weight = (u64)p->scx.weight * factor_of(task->group) / 1024;

	return ns * (DEFAULT_WEIGHT * (FACTOR_ONE / 1024)) / (weight ?: 1);
}

/* As long as many wait in a domain, slices are short. */
static u64 slice_of(const struct task_struct *p, const struct domains_task *task,
                    const struct domain *domain)
{
	u64 waiting = scx_bpf_dsq_nr_queued(task->domain);
	u64 slice, light = over_weight(slice_ns, p, task), cpus = domain->cpus_online ?: 1;

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
static u64 deadline_of(const struct task_struct *p, struct domains_task *task,
                       const struct domain *domain, bool slept)
{
	u64 oldest = domain->vtime_now - slice_ns;
	u64 newest = domain->vtime_now + domain->debt_max;

	if (slept && time_before(task->vtime, oldest))
		task->vtime = oldest;
	if (time_before(newest, task->vtime))
		task->vtime = newest;
	return task->vtime + over_weight(task->usual_ns, p, task);
}

/* A task belongs to another domain from now on; what it is ahead or behind stays. */
static struct domain *move(struct domains_task *task, u32 to)
{
	struct domain *from = domain_at(task->domain), *into = domain_at(to);

	if (!from || !into)
		return NULL;
	task->vtime += into->vtime_now - from->vtime_now;
	task->domain = to;
	if (task->counted) {
		__sync_fetch_and_sub(&from->tasks, 1);
		__sync_fetch_and_add(&into->tasks, 1);
	}
	tell_domain(task->slot, to);
	return into;
}

/* A task comes to be among those of its domain that want to run or are new, or ceases to be. */
static void count_in(struct domains_task *task, bool counts)
{
	struct domain *domain = domain_at(task->domain);

	if (!domain || task->counted == counts)
		return;
	task->counted = counts;
	__sync_fetch_and_add(&domain->tasks, counts ? 1 : -1);
}

/* The domain nearest to one, itself first, that has some of these CPUs. */
static u32 nearest_open(u32 own, const struct cpumask *mask)
{
	u32 step;

	loop(step, 0, domain_count) {
		u32 id = step ? nearest(own, step - 1) : own;
		struct domain *domain = domain_at(id);

		if (domain && is_open(domain, mask))
			return id;
	}
	return NONE;
}

/* Tells which domains have some of these CPUs. */
static void tell_each(u32 slot, const struct cpumask *mask)
{
	u32 id;

	loop(id, 0, domain_count) {
		struct domain *domain = domain_at(id);
		struct bpf_cpumask *cpus = domain ? domain->cpus : NULL;

		if (cpus)
			tell_allowed(slot, id, bpf_cpumask_intersects(as_mask(cpus), mask));
	}
}

/* Finds the CPUs near to a task's memory among those that it may use. */
static void find_near(const struct task_struct *p, struct domains_task *task,
                      const struct cpumask *mask)
{
	const struct mempolicy *policy = policy_of(p);
	struct bpf_cpumask *near = NULL;
	u32 stays;

	look_at_policy(&task->policy, policy);
	if (names_nodes(task->policy.mode))
		near = near_memory(policy, mask);
	stays = near && stay >= (task->policy.mode == MPOL_BIND ? 1 : 2);
	if (stays != task->stays)
		__sync_fetch_and_add(&staying, stays ? 1 : -1);
	task->stays = stays;
	set_mask(&task->near, near);
}

/* Tells which domains a task may wait in, and moves it if its own is not near to its memory. */
static void tell_home(struct domains_task *task, const struct cpumask *mask)
{
	struct domains_report *report = report_at(task->slot);
	struct bpf_cpumask *near = task->near;
	u32 best;

	if (near)
		mask = as_mask(near);
	if (report) {
		report->confined = bpf_cpumask_weight(mask) < possible_count;
		if (report->confined)
			tell_each(task->slot, mask);
	}
	best = near ? nearest_open(task->domain, mask) : NONE;
	if (best != NONE && best != task->domain)
		move(task, best);
}

/* Looks at the CPUs that a task may use and at its memory. */
static void settle(const struct task_struct *p, struct domains_task *task,
                   const struct cpumask *mask)
{
	find_near(p, task, mask);
	tell_home(task, mask);
}

/* The same, if its memory may be elsewhere than before. */
static void follow_memory(const struct task_struct *p, struct domains_task *task)
{
	struct policy_seen now;

	look_at_policy(&now, policy_of(p));
	if (!says_the_same(&now, &task->policy))
		settle(p, task, p->cpus_ptr);
}

/* Whether a task runs off the nodes on which it stays, though it could go there. */
static bool strays(const struct task_struct *p, const struct domains_task *task, s32 cpu)
{
	struct domain *domain = task->stays ? domain_at(task->domain) : NULL;

	return domain && !bpf_cpumask_test_cpu(cpu, home_cpus(p, task)) &&
	       is_open(domain, home_cpus(p, task));
}

/* The domain of a task: where it is to go, or one that it may use if its own is none any more. */
static struct domain *home(const struct task_struct *p, struct domains_task *task)
{
	u32 to = take_order(task->slot);
	struct domain *domain = to == NONE ? NULL : domain_at(to);

	follow_memory(p, task);
	if (domain && is_open(domain, home_cpus(p, task))) {
		count(ordered, 1);
		return move(task, to);
	}
	domain = domain_at(task->domain);
	if (domain && is_open(domain, home_cpus(p, task)))
		return domain;
	to = nearest_open(task->domain, home_cpus(p, task));
	return to == NONE ? NULL : move(task, to);
}

/* Whether more wait in a domain than in another, for each CPU, by more than the margin. */
static bool is_fuller(u32 id, const struct domain *domain, u32 other, const struct domain *there)
{
	u64 waiting = scx_bpf_dsq_nr_queued(id);
	u64 less = scx_bpf_dsq_nr_queued(other) + spill_margin;

	return less * domain->cpus_online < waiting * there->cpus_online;
}

/*
 * Whose queue a task comes to wait in: its own domain's, or that of one where fewer wait. One other
 * is asked each time.
 */
static u32 queue_for(const struct task_struct *p, const struct domains_task *task,
                     const struct domain *domain, struct domains_cpu *here)
{
	u32 own = task->domain, other;
	struct domain *there;

	if (domain_count < 2)
		return own;
	other = nearest(own, here->asks++ % (domain_count - 1));
	there = domain_at(other);
	if (!there || !is_open(there, home_cpus(p, task)) || !is_fuller(own, domain, other, there))
		return own;
	count(spilt, 1);
	return other;
}

/* Who was taken by a CPU of another domain, and goes on there, belongs there if its own is full. */
static struct domain *adopt(const struct task_struct *p, struct domains_task *task,
                            struct domain *domain, const struct domains_cpu *here)
{
	struct domain *there = here->domain == task->domain ? NULL : domain_at(here->domain);

	if (!there || !is_open(there, home_cpus(p, task)) ||
	    !is_fuller(task->domain, domain, here->domain, there))
		return domain;
	count(adopted, 1);
	return move(task, here->domain);
}

/* An idle CPU in a mask, as the kernel chooses: near the last one; below 0 if there is none. */
static __always_inline s32 idle_in(struct task_struct *p, s32 prev_cpu, u64 wake_flags,
                                   struct bpf_cpumask *mask, u64 flags)
{
	return mask ? scx_bpf_select_cpu_and(p, prev_cpu, wake_flags, as_mask(mask), flags) : -1;
}

/*
 * A CPU that has gone idle lately, in a task's domain or one near; below 0 if there is none. A core
 * that was busy a moment ago wakes up sooner than one that has been idle for long, and has not
 * slowed down (Lawall et al.: OS scheduling with Nest, 2022). One thread of two that share a core
 * is slow, so who runs for long prefers a core of its own.
 */
static s32 warm_near(const struct task_struct *p, const struct domains_task *task,
                     struct domain *domain, s32 prev_cpu)
{
	u64 now_ns = bpf_ktime_get_ns();
	const struct cpumask *mask = fit_cpus(p, task);
	struct domains_cpu *prev = cpu_at(prev_cpu);
	s32 cpu;
	u32 step;

	if (prev && prev->domain == task->domain && claim_warm(prev_cpu, mask, now_ns, true))
		return prev_cpu;
	cpu = warm_in(domain, mask, now_ns, true);
	if (cpu < 0 && task->usual_ns < alone_ns)
		cpu = warm_in(domain, mask, now_ns, false);
	if (cpu >= 0)
		return cpu;
	loop(step, 0, near_domains) {
		struct domain *other = domain_at(nearest(task->domain, step));

		cpu = other ? warm_in(other, mask, now_ns, true) : -1;
		if (cpu >= 0)
			return cpu;
	}
	return -1;
}

/* An idle CPU for a task that wakes up; below 0 if there is none. */
static s32 idle_for(struct task_struct *p, const struct domains_task *task, struct domain *domain,
                    s32 prev_cpu, u64 wake_flags)
{
	s32 cpu = -1;

	/* The kernel knows best who is waited for by the one that wakes it. */
	if (!(wake_flags & SCX_WAKE_SYNC)) {
		cpu = warm_near(p, task, domain, prev_cpu);
		if (cpu >= 0) {
			count(warm, 1);
			return cpu;
		}
	}
	if (unequal)
		cpu = idle_in(p, prev_cpu, wake_flags, domain->strong, SCX_PICK_IDLE_CORE);
	if (cpu < 0 && task->usual_ns >= alone_ns)
		cpu = idle_in(p, prev_cpu, wake_flags, domain->cpus, SCX_PICK_IDLE_CORE);
	if (cpu < 0 && task->usual_ns >= alone_ns)
		cpu = scx_bpf_select_cpu_and(p, prev_cpu, wake_flags, fit_cpus(p, task),
		                             SCX_PICK_IDLE_CORE);
	if (cpu < 0)
		cpu = idle_in(p, prev_cpu, wake_flags, domain->cpus, 0);
	if (cpu < 0)
		cpu = scx_bpf_select_cpu_and(p, prev_cpu, wake_flags, fit_cpus(p, task), 0);
	return cpu;
}

s32 BPF_STRUCT_OPS(domains_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	struct domains_task *task = task_ctx(p);
	struct domain *domain = task ? home(p, task) : NULL;
	struct domains_cpu *at;
	s32 cpu;

	if (!domain)
		return prev_cpu;
	cpu = idle_for(p, task, domain, prev_cpu, wake_flags);
	if (cpu < 0)
		return prev_cpu;
	at = cpu_at(cpu);
	count(near, at && at->domain == task->domain);
	count(far, at && at->domain != task->domain);
	/* It has no deadline to meet, but credit to lose. */
	deadline_of(p, task, domain, true);
	scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_of(p, task, domain), 0);
	return cpu;
}

/* A deadline of one domain, as in the virtual time of another one. */
static u64 as_in(const struct domain *to, const struct domain *from, u64 deadline)
{
	return to && from ? deadline + to->vtime_now - from->vtime_now : deadline;
}

/* Notes the deadline of who runs on a CPU. */
static void note_deadline(struct domains_cpu *at, const struct task_struct *p,
                          const struct domains_task *task, u64 vtime)
{
	u64 deadline = vtime + over_weight(task->usual_ns, p, task);

	at->deadline = as_in(domain_at(at->domain), domain_at(task->domain), deadline) | 1;
}

/* Calls a CPU that is idle, so that who comes to wait in a queue does not wait long. */
static void call_idle(const struct task_struct *p, const struct domains_task *task, u32 queue)
{
	s32 cpu = scx_bpf_pick_idle_cpu(fit_cpus(p, task), 0);
	struct domains_cpu *at;

	if (cpu < 0)
		return;
	at = cpu_at(cpu);
	if (at)
		at->called_by = queue + 1;
	scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(domains_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct domains_task *task = task_ctx(p);
	struct domain *domain;
	struct domains_cpu *at;
	u64 deadline, there_deadline, slice;
	s32 cpu = scx_bpf_task_cpu(p);
	bool slept = enq_flags & enq_flag(SCX_ENQ_WAKEUP);
	bool last = enq_flags & enq_flag(SCX_ENQ_LAST);
	u32 queue;

	at = cpu_at(cpu);
	/* Nobody else wants this CPU, and it need not leave. */
	if (last && task && order_for(task->slot) == NONE && !strays(p, task, cpu)) {
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, enq_flags);
		return;
	}
	domain = task ? home(p, task) : NULL;
	if (domain && at && !slept)
		domain = adopt(p, task, domain, at);
	if (!domain || !at) {
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, slice_ns, enq_flags);
		return;
	}
	deadline = deadline_of(p, task, domain, slept);
	slice = slice_of(p, task, domain);
	/* Who can run nowhere else has the next turn, unless it had too much. */
	if (slept && bpf_cpumask_weight(p->cpus_ptr) == 1 &&
	    !time_before(domain->vtime_now, task->vtime)) {
		count(bound, 1);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice, enq_flags);
		return;
	}
	there_deadline = as_in(domain_at(at->domain), domain, deadline);
	if (slept && at->deadline && time_before(there_deadline + margin_ns, at->deadline) &&
	    !strays(p, task, cpu)) {
		count(preempted, 1);
		at->deadline = there_deadline | 1;
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | cpu, slice,
		                   enq_flags | enq_flag(SCX_ENQ_PREEMPT));
		return;
	}
	count(queued, 1);
	queue = slept ? queue_for(p, task, domain, at) : task->domain;
	deadline = as_in(domain_at(queue), domain, deadline);
	scx_bpf_dsq_insert_vtime(p, queue, slice, deadline, enq_flags);
	note_waiting(queue);
	/* Who may run where somebody has gone idle meanwhile, or elsewhere, should not wait. */
	call_idle(p, task, queue);
}

/* Takes a task from a domain where more wait than here. One other is asked each time. */
static bool pull(struct domains_cpu *here, s32 cpu, const struct domain *domain)
{
	u32 other =
		domain_count < 2 ? NONE : nearest(here->domain, here->asks++ % (domain_count - 1));
	struct domain *there = domain_at(other);

	return there && is_fuller(other, there, here->domain, domain) && take(other, cpu, here);
}

/* By how much a task's virtual time has grown since it started to run. */
static u64 grown(const struct task_struct *p, const struct domains_task *task)
{
	return over_weight(p->se.sum_exec_runtime - task->charged_at_start_ns, p, task);
}

/* Lets a task run on for a slice. */
static void run_on(struct task_struct *p, const struct domains_task *task, struct domains_cpu *here)
{
	struct domain *domain = domain_at(task->domain);

	if (domain)
		scx_bpf_task_set_slice(p, slice_of(p, task, domain));
	note_deadline(here, p, task, task->vtime + grown(p, task));
}

/* The deadline of who is first in a domain's queue; the latest there can be if nobody waits. */
static u64 first_deadline(u32 id, u64 latest)
{
	struct bpf_iter_scx_dsq it;
	struct task_struct *first;

	if (!scx_bpf_dsq_nr_queued(id))
		return latest;
	if (!bpf_iter_scx_dsq_new(&it, id, 0)) {
		first = bpf_iter_scx_dsq_next(&it);
		if (first)
			latest = first->scx.dsq_vtime;
	}
	bpf_iter_scx_dsq_destroy(&it);
	return latest;
}

/*
 * Lets a task that ran run on if nobody who waits has an earlier deadline: such as one whose weight
 * promises more than a CPU, which never gets ahead of others. Now and then it makes way all the
 * same, since there may be one that can run nowhere else.
 */
static bool keeps_turn(struct task_struct *p, struct domains_task *task, struct domains_cpu *here)
{
	struct domain *domain = domain_at(task->domain);
	u64 ran = grown(p, task);
	u64 deadline = task->vtime + ran + over_weight(task->usual_ns, p, task);

	if (!domain || here->domain != task->domain ||
	    bpf_ktime_get_ns() - here->turn_at_ns > turn_ns ||
	    !time_before(deadline, first_deadline(task->domain, deadline)))
		return false;
	/* It does not come to be ahead by more than is kept of anybody's debt. */
	if (time_before(task->vtime + ran, domain->vtime_now - domain->debt_max))
		task->vtime = domain->vtime_now - domain->debt_max - ran;
	run_on(p, task, here);
	return true;
}

void BPF_STRUCT_OPS(domains_dispatch, s32 cpu, struct task_struct *prev)
{
	struct domains_cpu *here = cpu_at(cpu);
	struct domains_task *task = NULL;
	struct domain *domain;

	/* Until domains are made again; what it is sent it runs. */
	if (!here || here->domain == NONE)
		return;
	if (deserted && take_deserted())
		return;
	if (prev && prev->scx.flags & SCX_TASK_QUEUED)
		task = task_ctx(prev);
	if (task)
		follow_memory(prev, task);
	/* It goes if it has an order to, or is off the nodes on which it stays. */
	if (task && (order_for(task->slot) != NONE || strays(prev, task, cpu)))
		task = NULL;
	if (task && keeps_turn(prev, task, here))
		return;
	if (scx_bpf_dsq_move_to_local(here->domain)) {
		count(moved, 1);
		return;
	}
	domain = domain_at(here->domain);
	if (task && domain) {
		if (pull(here, cpu, domain))
			count(pulled, 1);
		else
			run_on(prev, task, here);
		return;
	}
	if (steal(here, cpu))
		count(stolen, 1);
	else if (!prev || !(prev->scx.flags & SCX_TASK_QUEUED))
		note_idle(cpu, here);
}

void BPF_STRUCT_OPS(domains_runnable, struct task_struct *p, u64 enq_flags)
{
	struct domains_task *task = task_ctx(p);

	if (!task)
		return;
	task->burst_ns = 0;
	count_in(task, true);
	tell_duty(task->slot, AVERAGE_LEFT_OUT);
}

void BPF_STRUCT_OPS(domains_quiescent, struct task_struct *p, u64 deq_flags)
{
	struct domains_task *task = task_ctx(p);

	if (!task)
		return;
	count_in(task, false);
	tell_duty(task->slot, AVERAGE_OFF);
}

/*
 * A task of a domain starts to run: virtual time goes on towards its own, in parts, since there are
 * some that are far ahead and run only because a CPU has nothing else. Debts are worth what the
 * domain gets done in the time for which they are kept.
 */
static void go_by(struct domain *domain, u64 vtime, u64 now_ns)
{
	u64 at_ns = domain->pace_at_ns, ns = now_ns - at_ns;

	if (time_before(domain->vtime_now, vtime))
		domain->vtime_now += (vtime - domain->vtime_now + VTIME_PARTS - 1) / VTIME_PARTS;
	/* One CPU does it; the clocks of two may differ a little. */
	if ((s64)ns < PACE_NS || !__sync_bool_compare_and_swap(&domain->pace_at_ns, at_ns, now_ns))
		return;
	domain->debt_max =
		(domain->vtime_now - domain->pace_vtime) * (debt_ns / 1024) / (ns / 1024);
	if (domain->debt_max < slice_ns)
		domain->debt_max = slice_ns;
	domain->pace_vtime = domain->vtime_now;
}

void BPF_STRUCT_OPS(domains_running, struct task_struct *p)
{
	struct domains_task *task = task_ctx(p);
	struct domains_cpu *at = cpu_at(scx_bpf_task_cpu(p));
	struct domain *domain;
	u64 now_ns;

	if (!task)
		return;
	task->charged_at_start_ns = p->se.sum_exec_runtime;
	now_ns = bpf_ktime_get_ns();
	domain = domain_at(task->domain);
	if (domain)
		go_by(domain, task->vtime, now_ns);
	tell_duty(task->slot, AVERAGE_ON);
	if (!at)
		return;
	note_deadline(at, p, task, task->vtime);
	at->turn_at_ns = now_ns;
	if (task->slot != NO_PLACE)
		at->since_ns = now_ns;
}

void BPF_STRUCT_OPS(domains_stopping, struct task_struct *p, bool runnable)
{
	struct domains_task *task = task_ctx(p);
	struct domains_cpu *at = cpu_at(scx_bpf_task_cpu(p));
	u64 ran_ns, burst_ns;

	if (at) {
		at->deadline = 0;
		if (at->since_ns)
			at->ran_ns += bpf_ktime_get_ns() - at->since_ns;
		at->since_ns = 0;
	}
	if (!task)
		return;
	tell_duty(task->slot, runnable ? AVERAGE_LEFT_OUT : AVERAGE_OFF);
	ran_ns = p->se.sum_exec_runtime - task->charged_at_start_ns;
	count(ran_ns, ran_ns);
	task->vtime += over_weight(ran_ns, p, task);
	task->burst_ns += ran_ns;
	/* It makes way after a slice, however long it goes on. */
	burst_ns = task->burst_ns < slice_ns ? task->burst_ns : slice_ns;
	if (!runnable)
		task->usual_ns = (3 * task->usual_ns + burst_ns) / 4;
	else if (burst_ns > task->usual_ns)
		task->usual_ns = burst_ns;
}

/*
 * Where a new task goes: to the domain with the fewest tasks for each CPU among some, of those that
 * want to run or are new; but it stays where it was made as long as that has no more than CPUs. A
 * single task too many would make one of a queue wait for two turns, until the balancer sees it.
 */
static u32 birthplace(const struct task_struct *p, const struct domains_task *task,
                      struct domains_cpu *here)
{
	u32 best = here->domain, step;
	struct domain *domain = domain_at(best), *there;
	u64 tasks, cpus;

	if (!domain || domain->tasks < domain->cpus_online || domain_count < 2)
		return best;
	tasks = domain->tasks;
	cpus = domain->cpus_online;
	loop(step, 0, fork_steps) {
		u32 other = nearest(here->domain, here->asks++ % (domain_count - 1));

		there = domain_at(other);
		if (!there || !is_open(there, home_cpus(p, task)))
			continue;
		if (there->tasks * cpus < tasks * there->cpus_online) {
			best = other;
			tasks = there->tasks;
			cpus = there->cpus_online;
		}
	}
	return best;
}

s32 BPF_STRUCT_OPS(domains_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct domains_task *task = task_ctx_create(p);
	struct domains_cpu *at = cpu_at(scx_bpf_task_cpu(p));
	struct cgroup *cgrp = NULL;

	if (!task)
		return -ENOMEM;
	if (core_field_exists(args->cgroup))
		cgrp = args->cgroup;
	find_near(p, task, p->cpus_ptr);
	task->domain = 0;
	if (at && at->domain != NONE)
		task->domain = args->fork ? birthplace(p, task, at) : at->domain;
	if (args->fork)
		count_in(task, true);
	task->group = cgrp ? group_of(cgrp) : NO_PLACE;
	task->slot = take_slot(p, task->domain, task->group);
	if (task->slot == NO_PLACE)
		count(left_out, 1);
	tell_home(task, p->cpus_ptr);
	return 0;
}

void BPF_STRUCT_OPS(domains_exit_task, struct task_struct *p, struct scx_exit_task_args *args)
{
	struct domains_task *task = task_ctx(p);

	if (!task)
		return;
	count_in(task, false);
	if (task->stays)
		__sync_fetch_and_sub(&staying, 1);
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
		settle(p, task, mask);
}

void BPF_STRUCT_OPS(domains_cgroup_move, struct task_struct *p, struct cgroup *from,
                    struct cgroup *to)
{
	struct domains_task *task = task_ctx(p);

	if (!task)
		return;
	task->group = group_of(to);
	tell_group(task->slot, task->group);
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
	set_online(cpu, true);
}

void BPF_STRUCT_OPS(domains_cpu_offline, s32 cpu)
{
	set_online(cpu, false);
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
	.cgroup_init = (void *)domains_cgroup_init,
	.cgroup_exit = (void *)domains_cgroup_exit,
	.cgroup_move = (void *)domains_cgroup_move,
	.cgroup_set_weight = (void *)domains_cgroup_set_weight,
	.cpu_online = (void *)domains_cpu_online,
	.cpu_offline = (void *)domains_cpu_offline,
	.init = (void *)domains_init,
	.exit = (void *)domains_exit,
	.flags = SCX_OPS_ENQ_LAST,
	.name = "domains",
};
