/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records what the kernel's fair class decides about CPUs, and what it knows when it does: where a
 * task wakes up and where a new one begins, what is to be moved in a domain, and what then is.
 *
 * A record is a letter and numbers, whose order is that of the code here. What is read before and
 * after a decision is compared by a sum: if it is another one, somebody else has changed what the
 * decision was about, and the record says so.
 */
#include "decisions.h"

LICENSE_GPL;

/*
 * So many CPUs may a machine have: the loader refuses larger ones. Of more domains and groups than
 * these nothing is recorded.
 */
#define CPUS   8
#define LEVELS 3
#define GROUPS 4
#define TASKS  32

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 << 20);
} records SEC(".maps");

/* Records that there was no room for: with any, a recording is worth nothing. */
u64 lost;

struct small {
	u64 kind, count;
	s64 values[30];
};

struct medium {
	u64 kind, count;
	s64 values[40];
};

#define OF_CPU   11
#define OF_STATE (CPUS * OF_CPU)

struct large {
	u64 kind, count;
	s64 values[OF_STATE + 16];
};

/* What a CPU remembers from the beginning of a decision to its end. */
struct memory {
	u64 sum, wake_sum;
	s64 wake[24];
	s64 balance[10];
	u64 looked, found, source, flags, told, others, switches;
	/* How often balancing has begun on any CPU: of any domain, of one of several nodes. */
	u64 begun, begun_nodes;
	/* Which kind of domain it balances at the moment. */
	u64 inside;
	/*
	 * Levels that have been balanced, those where tasks were moved, those where it was for
	 * others to do, and those after which the CPU was idle.
	 */
	u64 levels, moved, others_turn, idle;
	/* Which round this is, and whether nobody else balances the same CPU's domains. */
	u64 round, rounds_of, alone, ticks, ticking, only;
	/* A tick and a wake-up may come while the CPU balances, so they have memories of their own.
	 */
	u64 began_ns, moment, kick_moment;
	s64 periodic[2 + 2 * LEVELS], newly[6 + 6 * LEVELS], kick[8];
};

static u64 begun, begun_nodes;

/* How often ticks have come, on any CPU. */
static u64 ticks;

/* How often the domains of each CPU were balanced by anybody. */
static u64 rounds[CPUS];

#define INSIDE       1
#define INSIDE_NODES 2

static struct memory memories[CPUS];

#define begin(type, letter)                                                                        \
	struct type *to = bpf_ringbuf_reserve(&records, sizeof(struct type), 0);                   \
	u32 at = 0;                                                                                \
	if (!to) {                                                                                 \
		__sync_fetch_and_add(&lost, 1);                                                    \
		return 0;                                                                          \
	}                                                                                          \
	to->kind = letter

#define put(value) to->values[at++] = (value)

#define end()                                                                                      \
	to->count = at;                                                                            \
	bpf_ringbuf_submit(to, BPF_RB_NO_WAKEUP)

static __always_inline struct memory *own_memory(void)
{
	return &memories[bpf_get_smp_processor_id() % CPUS];
}

/* Whether other CPUs have balanced meanwhile, bit by bit: any domain, one of several nodes. */
static __always_inline u64 others(struct memory *memory)
{
	u64 inside = memory->others;

	if (begun != memory->begun)
		inside |= INSIDE;
	if (begun_nodes != memory->begun_nodes)
		inside |= INSIDE_NODES;
	return inside;
}

/* Notes that balancing begins on this CPU, and what others are doing. */
static __always_inline void note_begin(struct memory *memory, u64 inside)
{
	u32 own = bpf_get_smp_processor_id();

	memory->others = 0;
	for (u32 cpu = 0; cpu < CPUS; cpu++)
		memory->others |= cpu == own ? 0 : memories[cpu].inside;
	memory->inside = inside;
	memory->begun = __sync_fetch_and_add(&begun, 1) + 1;
	if (inside & INSIDE_NODES)
		memory->begun_nodes = __sync_fetch_and_add(&begun_nodes, 1) + 1;
	else
		memory->begun_nodes = begun_nodes;
}

static __always_inline struct rq *rq_of(u32 cpu)
{
	return bpf_per_cpu_ptr(&runqueues, cpu);
}

/* Whether a CPU has nothing to do (kernel: idle_cpu). */
static __always_inline bool is_idle(struct rq *rq)
{
	return rq->curr == rq->idle && !rq->nr_running && !rq->ttwu_pending;
}

static __always_inline u64 idle_cpus(void)
{
	u64 mask = 0;

	for (u32 cpu = 0; cpu < CPUS; cpu++) {
		struct rq *rq = rq_of(cpu);

		if (rq && is_idle(rq))
			mask |= 1 << cpu;
	}
	return mask;
}

/* How often any CPU has switched tasks. */
static __always_inline u64 switches(void)
{
	u64 sum = 0;

	for (u32 cpu = 0; cpu < CPUS; cpu++) {
		struct rq *rq = rq_of(cpu);

		if (rq)
			sum += rq->nr_switches;
	}
	return sum;
}

/*
 * The load of a task, as balancing counts it (kernel: task_h_load, without groups): its share of
 * the load that the CPU had in this tick when a task's was asked for first.
 */
static __always_inline u64 load_of(struct task_struct *p, struct rq *rq)
{
	u64 all = rq->cfs.avg.load_avg;
	u64 then = rq->cfs.last_h_load_update == bpf_jiffies64() ? rq->cfs.h_load : all;

	return p->se.avg.load_avg * then / (all + 1);
}

/* What a task uses, or is expected to (kernel: task_util_est). */
static __always_inline u64 use_of(struct task_struct *p)
{
	u64 estimate = p->se.avg.util_est & ~UTIL_AVG_UNCHANGED, used = p->se.avg.util_avg;

	return estimate > used ? estimate : used;
}

/* The smallest domain of a CPU that knows of others in its cache: the one of that cache. */
static __always_inline struct sched_domain_shared *cache_of(struct rq *rq)
{
	struct sched_domain *domain = rq->sd;

	for (int level = 0; level < LEVELS && domain; level++) {
		if (domain->shared)
			return domain->shared;
		domain = domain->parent;
	}
	return NULL;
}

static __always_inline u32 level_of(struct sched_domain *domain, struct rq *rq)
{
	struct sched_domain *each = rq->sd;
	u32 level = 0;

	for (; level < LEVELS && each; level++) {
		if (each == domain)
			break;
		each = each->parent;
	}
	return level;
}

/* A sum over what decisions read of all CPUs. */
static __always_inline u64 state_sum(void)
{
	u64 sum = 0;

	for (u32 cpu = 0; cpu < CPUS; cpu++) {
		struct rq *rq = rq_of(cpu);
		struct sched_domain *domain;

		if (!rq)
			continue;
		sum = sum * 31 + rq->nr_running;
		sum = sum * 31 + rq->cfs.h_nr_runnable;
		sum = sum * 31 + rq->cfs.avg.load_avg;
		sum = sum * 31 + rq->cfs.avg.util_avg;
		sum = sum * 31 + rq->cfs.avg.runnable_avg;
		sum = sum * 31 + rq->cfs.avg.util_est;
		sum = sum * 31 + is_idle(rq);
		domain = rq->sd;
		for (int level = 0; level < LEVELS && domain; level++) {
			sum = sum * 31 + domain->groups->sgc->imbalance;
			domain = domain->parent;
		}
	}
	return sum;
}

/* All that decisions read of all CPUs, OF_CPU numbers each. */
static __always_inline void put_state(s64 *values)
{
	for (u32 cpu = 0; cpu < CPUS; cpu++) {
		struct rq *rq = rq_of(cpu);
		s64 *of = values + cpu * OF_CPU;
		struct sched_domain *domain;
		s64 imbalanced = 0;

		if (!rq)
			continue;
		of[0] = rq->nr_running;
		of[1] = rq->cfs.h_nr_runnable;
		of[2] = rq->cfs.h_nr_queued;
		of[3] = is_idle(rq);
		of[4] = rq->cfs.avg.load_avg;
		of[5] = rq->cfs.avg.runnable_avg;
		of[6] = rq->cfs.avg.util_avg;
		of[7] = rq->cfs.avg.util_est;
		of[8] = rq->idle_stamp;
		of[9] = rq->cpu_capacity;
		domain = rq->sd;
		for (int level = 0; level < LEVELS; level++) {
			if (!domain)
				break;
			if (domain->groups->sgc->imbalance)
				imbalanced |= 1 << level;
			domain = domain->parent;
		}
		of[10] = imbalanced;
	}
}

/* The domain that is balanced: what does not change of it. */
static __always_inline int put_domain(struct sched_domain *domain, u32 cpu, u32 level)
{
	struct sched_group *group = domain->groups;
	begin(small, 'd');

	put(cpu);
	put(level);
	put(domain->span_weight);
	put(domain->flags);
	put(domain->imbalance_pct);
	put(domain->cache_nice_tries);
	put(domain->imb_numa_nr);
	put(domain->min_interval);
	put(domain->max_interval);
	for (int each = 0; each < GROUPS; each++) {
		put(group->cpumask[0]);
		put(group->cores);
		put(group->flags);
		group = group->next;
	}
	end();
	return 0;
}

SEC("fentry/select_task_rq_fair") int select_begins(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[0], *current = bpf_get_current_task_btf();
	u32 here = bpf_get_smp_processor_id(), previous = ctx[1];
	struct rq *own = rq_of(here), *other = rq_of(previous);
	struct memory *memory = &memories[here % CPUS];
	struct sched_domain_shared *near, *far;
	u64 flags = ctx[2];
	s64 *wake = memory->wake;

	memory->wake_sum = state_sum();
	if (!(flags & WF_TTWU) || !own || !other)
		return 0;
	near = cache_of(own);
	far = cache_of(other);
	wake[0] = flags & WF_SYNC && !(current->flags & PF_EXITING);
	wake[1] = p->cpus_ptr->bits[0] & 0xff;
	wake[2] = idle_cpus();
	wake[3] = own->nr_running;
	wake[4] = own->cfs.h_nr_queued - own->cfs.h_nr_runnable;
	wake[5] = own->cfs.avg.load_avg;
	wake[6] = other->cfs.avg.load_avg;
	wake[7] = load_of(p, other);
	wake[8] = load_of(current, own);
	wake[9] = own->cpu_capacity;
	wake[10] = other->cpu_capacity;
	wake[11] = current->wakee_flips;
	wake[12] = (s64)(bpf_jiffies64() - current->wakee_flip_decay_ts);
	wake[13] = current->last_wakee == p;
	wake[14] = p->wakee_flips;
	wake[15] = p->recent_used_cpu;
	wake[16] = near ? near->has_idle_cores : -1;
	wake[17] = near ? near->nr_idle_scan : -1;
	wake[18] = far ? far->has_idle_cores : -1;
	wake[19] = far ? far->nr_idle_scan : -1;
	/* A thread of the kernel that has one CPU only. */
	wake[20] = current->flags & PF_KTHREAD && current->nr_cpus_allowed == 1 &&
	           current != own->idle;
	wake[21] = flags;
	return 0;
}

static __always_inline int woken(struct task_struct *p, u32 here, u32 previous, s64 chosen,
                                 struct memory *memory)
{
	struct task_struct *current = bpf_get_current_task_btf();
	struct rq *own = rq_of(here), *other = rq_of(previous);
	struct sched_domain_shared *near, *far;
	begin(small, 'w');

	put(here);
	put(previous);
	for (int each = 0; each < 22; each++)
		put(memory->wake[each]);
	put(state_sum() != memory->wake_sum);
	put(chosen);
	put(current->wakee_flips);
	put(p->recent_used_cpu);
	near = own ? cache_of(own) : NULL;
	far = other ? cache_of(other) : NULL;
	put(near ? near->has_idle_cores : -1);
	put(far ? far->has_idle_cores : -1);
	end();
	return 0;
}

SEC("fexit/select_task_rq_fair") int select_ends(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[0], *current = bpf_get_current_task_btf();
	u32 here = bpf_get_smp_processor_id(), previous = ctx[1];
	struct memory *memory = &memories[here % CPUS];
	u64 flags = ctx[2];

	if (flags & WF_TTWU)
		return woken(p, here, previous, (s32)ctx[3], memory);
	if (!(flags & WF_FORK))
		return 0;
	begin(large, 'f');
	put_state(to->values);
	at = OF_STATE;
	put(here);
	put(previous);
	put(p->cpus_ptr->bits[0] & 0xff);
	put(state_sum() != memory->wake_sum);
	put((s32)ctx[3]);
	put(current->wakee_flips);
	put(p->wakee_flips);
	put(current->last_wakee == p->last_wakee &&
	    current->wakee_flip_decay_ts == p->wakee_flip_decay_ts);
	end();
	return 0;
}

SEC("fentry/sched_balance_rq") int balance_begins(u64 *ctx)
{
	struct rq *rq = (void *)ctx[1];
	struct sched_domain *domain = (void *)ctx[2];
	struct memory *memory = own_memory();
	s64 *balance = memory->balance;

	balance[0] = (s32)ctx[0];
	balance[1] = level_of(domain, rq);
	balance[2] = (u32)ctx[3];
	balance[3] = idle_cpus();
	balance[4] = rq->nr_running;
	balance[5] = rq->ttwu_pending;
	balance[6] = domain->nr_balance_failed;
	balance[7] = domain->balance_interval;
	memory->looked = memory->found = memory->flags = memory->told = 0;
	memory->source = -1;
	memory->levels |= 1 << (balance[1] & 7);
	note_begin(memory, domain->flags & SD_SERIALIZE ? INSIDE | INSIDE_NODES : INSIDE);
	return put_domain(domain, balance[0], balance[1]);
}

SEC("fexit/sched_balance_rq") int balance_ends(u64 *ctx)
{
	struct sched_domain *domain = (void *)ctx[2];
	struct rq *own = (void *)ctx[1];
	struct memory *memory = own_memory();
	u64 counts = 0;
	int goes_on = 0;

	memory->inside = 0;
	for (u32 cpu = 0; cpu < CPUS; cpu++) {
		struct rq *rq = rq_of(cpu);

		if (rq)
			counts |= (u64)(rq->nr_running & 0xf) << 4 * cpu;
	}
	if ((s32)ctx[5] > 0)
		memory->moved |= 1 << (memory->balance[1] & 7);
	bpf_probe_read_kernel(&goes_on, sizeof(goes_on), (void *)ctx[4]);
	if (!goes_on)
		memory->others_turn |= 1 << (memory->balance[1] & 7);
	if (is_idle(own))
		memory->idle |= 1 << (memory->balance[1] & 7);
	begin(small, 'r');

	put(bpf_get_smp_processor_id());
	for (int each = 0; each < 8; each++)
		put(memory->balance[each]);
	put(idle_cpus() != (u64)memory->balance[3] || own->ttwu_pending != memory->balance[5]);
	put(memory->looked);
	put(memory->found);
	put(memory->source);
	put(memory->flags);
	put((s32)ctx[5]);
	put(domain->nr_balance_failed);
	put(domain->balance_interval);
	put(others(memory));
	put(counts);
	put(memory->switches != switches());
	end();
	return 0;
}

SEC("fentry/sched_balance_find_src_group") int find_begins(u64 *ctx)
{
	struct memory *memory = own_memory();

	memory->sum = state_sum();
	memory->looked++;
	return 0;
}

SEC("fexit/sched_balance_find_src_group") int find_ends(u64 *ctx)
{
	struct lb_env *env = (void *)ctx[0];
	struct sched_group *group = (void *)ctx[1];
	struct sched_domain *domain = env->sd;
	struct memory *memory = own_memory();
	begin(large, 'b');

	memory->found = !!group;
	memory->switches = switches();
	put_state(to->values);
	at = OF_STATE;
	put(bpf_get_smp_processor_id());
	put(env->dst_cpu);
	put(memory->balance[1]);
	put(env->idle);
	put(env->cpus->bits[0]);
	put(state_sum() != memory->sum);
	put(env->migration_type);
	put(env->imbalance);
	put(group ? group->cpumask[0] : 0);
	put(domain->shared ? domain->shared->nr_idle_scan : -1);
	put(env->dst_rq->rd->overloaded);
	put(others(memory));
	end();
	return 0;
}

static __always_inline int put_task(struct task_struct *p, struct rq *rq)
{
	begin(small, 't');
	put(bpf_get_smp_processor_id());
	put(p->pid);
	put(p->cpus_ptr->bits[0] & 0xff);
	put(p->se.sched_delayed);
	put(rq->curr == p);
	put((s64)(rq->clock_task - p->se.exec_start));
	put((s64)(p->se.vruntime - rq->cfs.zero_vruntime));
	put(p->se.load.weight);
	put(p->flags & PF_KTHREAD && p->nr_cpus_allowed == 1);
	put(p->se.on_rq);
	end();
	return 0;
}

/* The tasks of a CPU, in the order in which they are looked at. */
static __always_inline int put_tasks(struct rq *rq)
{
	struct list_head *first = &rq->cfs_tasks, *each = first->prev;

	for (int number = 0; number < TASKS; number++) {
		u64 offset = PLACE_OF(struct task_struct, se.group_node);

		if (each == first)
			break;
		put_task(bpf_rdonly_cast((void *)each - offset, TYPE_IN_KERNEL(struct task_struct)),
		         rq);
		each = each->prev;
	}
	return 0;
}

/* The first task of a CPU is looked at, for another one: all of them are told. */
SEC("fentry/can_migrate_task") int look_begins(u64 *ctx)
{
	struct lb_env *env = (void *)ctx[1];
	struct memory *memory = own_memory();
	u64 told = 1 | (u64)(u32)env->src_cpu << 8 | (u64)(u32)env->dst_cpu << 32;

	if (env->flags & LBF_ACTIVE_LB || memory->told == told)
		return 0;
	memory->told = told;
	memory->source = env->src_cpu;
	begin(small, 'm');
	put(bpf_get_smp_processor_id());
	put(env->dst_cpu);
	put(memory->balance[1]);
	put(env->src_cpu);
	put(env->idle);
	put(env->migration_type);
	put(env->imbalance);
	put(env->cpus->bits[0]);
	put(env->sd->nr_balance_failed);
	put(env->src_rq->nr_running);
	put(env->loop_max);
	for (u32 cpu = 0; cpu < CPUS; cpu++) {
		struct rq *rq = rq_of(cpu);

		put(rq ? rq->cfs.h_nr_queued : 0);
	}
	end();
	return put_tasks(env->src_rq);
}

SEC("fexit/can_migrate_task") int look_ends(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[0];
	struct lb_env *env = (void *)ctx[1];
	struct memory *memory = own_memory();

	if (env->flags & LBF_ACTIVE_LB)
		return 0;
	memory->flags = env->flags;
	begin(small, 'l');
	put(bpf_get_smp_processor_id());
	put(p->pid);
	put(env->dst_cpu);
	put((s32)ctx[2]);
	put(load_of(p, env->src_rq));
	put(use_of(p));
	end();
	return 0;
}

SEC("fentry/detach_task") int detached(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[0];
	struct lb_env *env = (void *)ctx[1];

	if (env->flags & LBF_ACTIVE_LB)
		return 0;
	begin(small, 'x');
	put(bpf_get_smp_processor_id());
	put(p->pid);
	put(env->dst_cpu);
	put(env->imbalance);
	end();
	return 0;
}

/* The domains of a CPU are balanced for which it is time. Times are in ticks from now. */
SEC("fentry/sched_balance_domains") int periodic_begins(u64 *ctx)
{
	struct rq *rq = (void *)ctx[0];
	struct memory *memory = own_memory();
	struct sched_domain *domain = rq->sd;
	u64 now = bpf_jiffies64();

	memory->moment = now;
	memory->levels = memory->moved = memory->others_turn = memory->idle = 0;
	memory->alone = true;
	for (u32 cpu = 0; cpu < CPUS; cpu++)
		memory->alone &=
			&memories[cpu] == memory || memories[cpu].rounds_of != (u64)rq->cpu + 1;
	memory->rounds_of = rq->cpu + 1;
	memory->round = __sync_fetch_and_add(&rounds[(u32)rq->cpu % CPUS], 1) + 1;
	memory->periodic[0] = rq->cpu;
	memory->periodic[1] = (u32)ctx[1];
	for (int level = 0; level < LEVELS; level++) {
		memory->periodic[2 + 2 * level] = domain ? (s64)(domain->last_balance - now) : 0;
		memory->periodic[3 + 2 * level] = domain ? domain->balance_interval : 0;
		domain = domain ? domain->parent : NULL;
	}
	return 0;
}

SEC("fexit/sched_balance_domains") int periodic_ends(u64 *ctx)
{
	struct rq *rq = (void *)ctx[0];
	struct memory *memory = own_memory();
	struct sched_domain *domain = rq->sd;
	u64 now = memory->moment;

	memory->rounds_of = 0;
	begin(small, 'p');

	put(bpf_get_smp_processor_id());
	for (int each = 0; each < 2 + 2 * LEVELS; each++)
		put(memory->periodic[each]);
	put(bpf_jiffies64() != now || !memory->alone ||
	    rounds[(u32)rq->cpu % CPUS] != memory->round);
	put(memory->levels);
	put(memory->moved);
	put(memory->others_turn);
	put(memory->idle);
	put((s64)(rq->next_balance - now));
	for (int level = 0; level < LEVELS; level++) {
		put(domain ? (s64)(domain->last_balance - now) : 0);
		put(domain ? domain->balance_interval : 0);
		domain = domain ? domain->parent : NULL;
	}
	end();
	return 0;
}

/* A CPU that has nothing is about to look for a task. */
SEC("fentry/pick_task_fair") int newly_begins(u64 *ctx)
{
	struct rq *rq = (void *)ctx[0];
	struct memory *memory = own_memory();
	struct sched_domain *domain = rq->sd;
	u64 now = bpf_jiffies64();

	memory->newly[0] = -1;
	if (rq->cfs.h_nr_queued || rq->cpu != (int)bpf_get_smp_processor_id())
		return 0;
	memory->began_ns = bpf_ktime_get_ns();
	memory->moment = now;
	memory->levels = memory->moved = memory->others_turn = memory->idle = 0;
	memory->newly[0] = rq->cpu;
	memory->newly[1] = rq->ttwu_pending;
	memory->newly[2] = rq->rd->overloaded;
	memory->newly[3] = rq->avg_idle;
	memory->newly[4] = (s64)(rq->next_balance - now);
	memory->newly[5] = rq->nr_running;
	for (int level = 0; level < LEVELS; level++) {
		s64 *of = memory->newly + 6 + 6 * level;

		of[0] = of[1] = of[2] = of[3] = of[4] = of[5] = 0;
		if (!domain)
			continue;
		of[0] = (s64)(domain->last_balance - now);
		of[1] = domain->balance_interval;
		of[2] = domain->max_newidle_lb_cost;
		of[3] = domain->newidle_ratio;
		of[4] = domain->newidle_call;
		of[5] = domain->newidle_success;
		domain = domain->parent;
	}
	return 0;
}

SEC("fexit/pick_task_fair") int newly_ends(u64 *ctx)
{
	struct rq *rq = (void *)ctx[0];
	struct memory *memory = own_memory();
	struct sched_domain *domain = rq->sd;
	u64 now = memory->moment;

	if (memory->newly[0] < 0)
		return 0;
	begin(medium, 'n');
	put(bpf_get_smp_processor_id());
	for (int each = 0; each < 6 + 6 * LEVELS; each++)
		put(memory->newly[each]);
	put(bpf_jiffies64() != now || rq->ttwu_pending != memory->newly[1]);
	put(memory->levels);
	put(memory->moved);
	put(memory->others_turn);
	put(memory->idle);
	put(bpf_ktime_get_ns() - memory->began_ns);
	put((s64)(rq->next_balance - now));
	for (int level = 0; level < LEVELS; level++) {
		put(domain ? domain->newidle_call : 0);
		put(domain ? domain->newidle_success : 0);
		domain = domain ? domain->parent : NULL;
	}
	end();
	return 0;
}

static __always_inline u64 called_cpus(void)
{
	u64 mask = 0;

	for (u32 cpu = 0; cpu < CPUS; cpu++) {
		struct rq *rq = rq_of(cpu);

		if (rq && rq->nohz_flags.counter & NOHZ_BALANCE_KICK)
			mask |= 1 << cpu;
	}
	return mask;
}

/* A tick: one that sleeps may be called to balance for all that do. */
SEC("fentry/sched_balance_trigger") int kick_begins(u64 *ctx)
{
	struct rq *rq = (void *)ctx[0];
	struct memory *memory = own_memory();
	struct sched_domain_shared *cache = cache_of(rq);
	struct sleepers sleepers = {};
	u64 asleep = 0;

	bpf_probe_read_kernel(&sleepers, sizeof(sleepers), &nohz);
	bpf_probe_read_kernel(&asleep, sizeof(asleep), sleepers.cpus);
	memory->kick[0] = rq->cpu;
	memory->kick[1] = rq->idle_balance;
	memory->kick_moment = bpf_jiffies64();
	memory->kick[2] = (s64)(sleepers.next_balance - memory->kick_moment);
	memory->kick[3] = asleep & 0xff;
	memory->kick[4] = idle_cpus();
	memory->kick[5] = rq->nr_running;
	memory->kick[6] = cache ? cache->nr_busy_cpus.counter : 0;
	memory->kick[7] = called_cpus();
	memory->ticks = __sync_fetch_and_add(&ticks, 1) + 1;
	memory->only = true;
	for (u32 cpu = 0; cpu < CPUS; cpu++)
		memory->only &= &memories[cpu] == memory || !memories[cpu].ticking;
	memory->ticking = true;
	return 0;
}

SEC("fexit/sched_balance_trigger") int kick_ends(u64 *ctx)
{
	struct memory *memory = own_memory();
	struct sleepers sleepers = {};
	u64 asleep = 0;

	memory->ticking = false;
	begin(small, 'k');

	bpf_probe_read_kernel(&sleepers, sizeof(sleepers), &nohz);
	bpf_probe_read_kernel(&asleep, sizeof(asleep), sleepers.cpus);
	/* The CPU itself sleeps no more. */
	asleep |= memory->kick[3] & 1 << (memory->kick[0] & 7);
	for (int each = 0; each < 8; each++)
		put(memory->kick[each]);
	put(idle_cpus() != (u64)memory->kick[4] || bpf_jiffies64() != memory->kick_moment ||
	    (asleep & 0xff) != (u64)memory->kick[3] || ticks != memory->ticks || !memory->only);
	put(called_cpus());
	put((s64)(sleepers.next_balance - memory->kick_moment));
	end();
	return 0;
}
