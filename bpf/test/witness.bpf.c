/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * witness: writes down every callback that it gets, for scenarios that run on a real kernel and on
 * the simulated machine. What it does with tasks is a setting. It takes charge of those tasks only
 * that ask for it, so that on a real kernel nobody else disturbs the scenario.
 */
#include <rota/compat.h>
#include <rota/describe.h>
#include <rota/exit.h>

LICENSE_GPL;

#define BPF_MAP_TYPE_RINGBUF 27

static long (*const bpf_ringbuf_output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;

SETTING(u32, policy, 0, "what becomes of a task: 0 shared queue, 1 straight to an idle CPU");
SETTING(u64, slice_ns, 10000000000, "how long a task may run before others get their turn");
SETTING(bool, short_slice, false, "cut a slice to a millisecond when its task starts to run");
SETTING(bool, head, false, "insert at the head of a queue");
SETTING(bool, preempt, false, "insert so that who runs there has to stop");
SETTING(u64, kick_flags, 0, "how the CPU of an enqueued task is kicked");
SETTING(bool, show_cgroup, false, "write down which cgroup a task is in");
SETTING(bool, show_facts, false, "write down what the kernel knows of a task");
SETTING(bool, kick, false, "kick the CPU on which a task wakes up and is enqueued");

enum policy {
	POLICY_SHARED,
	POLICY_DIRECT,
	POLICY_VTIME,
	POLICY_LOCAL,
	POLICY_GLOBAL,
	POLICY_BACKWARDS, /* by virtual times that fall */
	POLICY_MOVE_FIRST,
	POLICY_MOVE_LAST,
	POLICY_MOVE_ALL,
	POLICY_MOVE_AROUND,
	POLICY_PEEK,
	POLICY_KEEP,
};

#define SHARED_DSQ 7

#define SCX_ENQ_WAKEUP (1 << 0)
#define SCX_ENQ_REENQ  (1ULL << 40)

/* Flags whose values differ between kernels. */
enum scx_enq_flags {
	SCX_ENQ_HEAD = 0,
	SCX_ENQ_PREEMPT = 0,
	SCX_ENQ_IMMED = 0,
	SCX_ENQ_RESCUE = 0,
};
#define flag(name)        __builtin_preserve_enum_value(*(enum scx_enq_flags *)name, 1)
#define flag_exists(name) __builtin_preserve_enum_value(*(enum scx_enq_flags *)name, 0)

#define SCX_OPS_KEEP_BUILTIN_IDLE (1 << 0)
#define SCX_OPS_SWITCH_PARTIAL    (1 << 3)

s32 scx_bpf_task_cpu(const struct task_struct *p) __ksym;
void scx_bpf_kick_cpu(s32 cpu, u64 flags) __ksym;

/* Which callback a record is of; the names are those of the callbacks. */
enum callback {
	CB_SELECT_CPU = 1,
	CB_ENQUEUE,
	CB_DEQUEUE,
	CB_DISPATCH,
	CB_RUNNABLE,
	CB_RUNNING,
	CB_STOPPING,
	CB_QUIESCENT,
	CB_SET_WEIGHT,
	CB_SET_CPUMASK,
	CB_UPDATE_IDLE,
	CB_ENABLE,
	CB_DISABLE,
	CB_CPU_ONLINE,
	CB_CPU_OFFLINE,
	CB_CGROUP_INIT,
	CB_CGROUP_EXIT,
	CB_CGROUP_PREP_MOVE,
	CB_CGROUP_MOVE,
	CB_CGROUP_CANCEL_MOVE,
	CB_CGROUP_SET_WEIGHT,
	CB_CGROUP_SET_BANDWIDTH,
	CB_CGROUP_SET_IDLE,
	CB_IDLE_CPUS, /* no callback: which CPUs are idle */
	CB_CHOICE,    /* nor this: the CPU that was chosen */
	CB_INIT_TASK,
	CB_EXIT_TASK,
	CB_CPU_ACQUIRE,
	CB_CPU_RELEASE,
	CB_MISTAKE, /* no callback: what follows may end the scheduler */
	CB_NOTE,    /* no callback, but something that a policy found */
};

#include "witness_idle.h"

struct SHARED witness_record {
	u64 time_ns;
	u32 cpu; /* where the callback ran */
	u32 callback;
	s32 pid;    /* the task; 0 without one */
	s32 number; /* the CPU that it is about, or a weight */
	u64 flags;
	u64 cgroup;    /* that it is about, or that the task is in or moves into */
	u64 values[3]; /* of a cgroup, period, quota and burst in us; of a move, where from */
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} records SEC(".maps");

/* Records that found no room. */
u64 lost;

static u64 insert_flags(void)
{
	u64 flags = 0;

	if (head)
		flags |= flag(SCX_ENQ_HEAD);
	if (preempt)
		flags |= flag(SCX_ENQ_PREEMPT);
	return flags;
}

static void write_down(struct witness_record *record)
{
	record->time_ns = bpf_ktime_get_ns();
	record->cpu = bpf_get_smp_processor_id();
	if (bpf_ringbuf_output(&records, record, sizeof(*record), 0))
		__sync_fetch_and_add(&lost, 1);
}

static void witness(u32 callback, s32 pid, s32 number, u64 flags)
{
	struct witness_record record = {
		.callback = callback,
		.pid = pid,
		.number = number,
		.flags = flags,
	};

	write_down(&record);
}

#include "witness_cgroup.h"

static void note(s32 pid, s32 number, u64 flags)
{
	witness(CB_NOTE, pid, number, flags);
}

#include "witness_queues.h"

/* What happens to a task that the kernel holds the run queue of. */
static void witness_task(u32 callback, struct task_struct *p, u64 flags)
{
	struct witness_record record = {
		.callback = callback,
		.pid = p->pid,
		.number = scx_bpf_task_cpu(p),
		.flags = flags,
	};

	if (show_cgroup)
		record.cgroup = cgroup_of(p);
	if (show_facts) {
		record.values[0] = (u64)p->policy << 48 | (u64)p->prio << 32 |
		                   (u64)p->static_prio << 16 | p->normal_prio;
		record.values[1] = (u64) !!p->mm << 16 | (u64)p->on_rq << 8 | p->on_cpu;
	}
	write_down(&record);
}

#include "witness_mistake.h"
#include "witness_life.h"

s32 BPF_STRUCT_OPS(witness_select_cpu, struct task_struct *p, s32 prev_cpu, u64 flags)
{
	bool is_idle = false;
	s32 cpu;

	witness(CB_SELECT_CPU, p->pid, prev_cpu, flags);
	if (mistakes(MISTAKE_SELECT_NO_CPU, p->pid))
		return NO_CPU;
	if (last_pid && mistakes(MISTAKE_SELECT_OTHER, p->pid))
		select_for_other(flags);
	else if (mistakes(MISTAKE_NOTHING_LOCKED, p->pid))
		ask_for_locked_rq();
	if (choose) {
		cpu = choose_cpu(p, prev_cpu, flags);
		if (policy == POLICY_DIRECT && cpu >= 0)
			scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, insert_flags());
		return cpu >= 0 ? cpu : prev_cpu;
	}
	cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, flags, &is_idle);
	if (policy == POLICY_DIRECT && is_idle)
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, insert_flags());
	return cpu;
}

void BPF_STRUCT_OPS(witness_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 cpu = scx_bpf_task_cpu(p);

	witness(CB_ENQUEUE, p->pid, cpu, enq_flags);
	if (choose_late)
		choose_cpu(p, cpu, 0);
	if (count)
		note_counts(p->pid, cpu);
	if (cpu == mover)
		armed = true;
	enq_flags |= insert_flags();
	if (reenqueued(p, enq_flags, cpu))
		return;
	if (mistake_in_enqueue(p, enq_flags))
		return;
	if (policy == POLICY_VTIME) {
		/* Who has the higher number goes first. */
		scx_bpf_task_set_dsq_vtime(p, -(u64)p->pid);
		scx_bpf_dsq_insert_vtime(p, SHARED_DSQ, slice_ns, p->scx.dsq_vtime, enq_flags);
	} else if (policy == POLICY_LOCAL)
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, enq_flags | at_once());
	else if (policy == POLICY_GLOBAL)
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, slice_ns, enq_flags);
	else if (policy == POLICY_BACKWARDS)
		enqueue_backwards(p, enq_flags);
	else if (policy == POLICY_KEEP)
		keep(p);
	else
		scx_bpf_dsq_insert(p, SHARED_DSQ, slice_ns, enq_flags);
	mistake_beside(p);
	if (kick && enq_flags & SCX_ENQ_WAKEUP)
		scx_bpf_kick_cpu(cpu, kick_flags);
}

void BPF_STRUCT_OPS(witness_dequeue, struct task_struct *p, u64 deq_flags)
{
	witness(CB_DEQUEUE, p->pid, 0, deq_flags);
}

void BPF_STRUCT_OPS(witness_dispatch, s32 cpu, struct task_struct *prev)
{
	witness(CB_DISPATCH, prev ? prev->pid : 0, cpu,
	        prev ? prev->scx.flags & SCX_TASK_QUEUED : 0);
	mistake_in_dispatch(prev);
	if (policy < POLICY_MOVE_FIRST || (cpu != mover && policy != POLICY_KEEP)) {
		scx_bpf_dsq_move_to_local(SHARED_DSQ);
		return;
	}
	if (cpu != mover || !armed)
		return;
	armed = !to;
	if (policy == POLICY_MOVE_FIRST)
		move_one(0);
	else if (policy == POLICY_MOVE_LAST)
		move_one(SCX_DSQ_ITER_REV);
	else if (policy == POLICY_MOVE_ALL)
		move_all();
	else if (policy == POLICY_MOVE_AROUND)
		move_around();
	else if (policy == POLICY_PEEK)
		peek();
	else
		insert_kept();
}

void BPF_STRUCT_OPS(witness_runnable, struct task_struct *p, u64 enq_flags)
{
	witness_task(CB_RUNNABLE, p, enq_flags);
}

void BPF_STRUCT_OPS(witness_running, struct task_struct *p)
{
	witness_task(CB_RUNNING, p, 0);
	if (mistakes(MISTAKE_INSERT_LATE, p->pid))
		insert_late(p);
	if (short_slice)
		scx_bpf_task_set_slice(p, 1000000);
}

void BPF_STRUCT_OPS(witness_stopping, struct task_struct *p, bool runnable)
{
	witness_task(CB_STOPPING, p, runnable);
}

void BPF_STRUCT_OPS(witness_quiescent, struct task_struct *p, u64 deq_flags)
{
	witness_task(CB_QUIESCENT, p, deq_flags);
}

void BPF_STRUCT_OPS(witness_set_weight, struct task_struct *p, u32 weight)
{
	witness(CB_SET_WEIGHT, p->pid, weight, 0);
}

void BPF_STRUCT_OPS(witness_set_cpumask, struct task_struct *p, const struct cpumask *cpumask)
{
	witness(CB_SET_CPUMASK, p->pid, 0, cpumask->bits[0]);
}

void BPF_STRUCT_OPS(witness_update_idle, s32 cpu, bool idle)
{
	witness(CB_UPDATE_IDLE, 0, cpu, idle);
}

SCHEDULER("test: writes down every callback")
struct sched_ext_ops witness_ops = {
	.select_cpu = (void *)witness_select_cpu,
	.enqueue = (void *)witness_enqueue,
	.dequeue = (void *)witness_dequeue,
	.dispatch = (void *)witness_dispatch,
	.runnable = (void *)witness_runnable,
	.running = (void *)witness_running,
	.stopping = (void *)witness_stopping,
	.quiescent = (void *)witness_quiescent,
	.set_weight = (void *)witness_set_weight,
	.set_cpumask = (void *)witness_set_cpumask,
	.update_idle = (void *)witness_update_idle,
	.init_task = (void *)witness_init_task,
	.exit_task = (void *)witness_exit_task,
	.enable = (void *)witness_enable,
	.disable = (void *)witness_disable,
	.cpu_online = (void *)witness_cpu_online,
	.cpu_offline = (void *)witness_cpu_offline,
	.cgroup_init = (void *)witness_cgroup_init,
	.cgroup_exit = (void *)witness_cgroup_exit,
	.cgroup_prep_move = (void *)witness_cgroup_prep_move,
	.cgroup_move = (void *)witness_cgroup_move,
	.cgroup_cancel_move = (void *)witness_cgroup_cancel_move,
	.cgroup_set_weight = (void *)witness_cgroup_set_weight,
	.cgroup_set_bandwidth = (void *)witness_cgroup_set_bandwidth,
	.cgroup_set_idle = (void *)witness_cgroup_set_idle,
	.cpu_acquire = (void *)witness_cpu_acquire,
	.cpu_release = (void *)witness_cpu_release,
	.dump = (void *)witness_dump,
	.dump_cpu = (void *)witness_dump_cpu,
	.dump_task = (void *)witness_dump_task,
	.init = (void *)witness_init,
	.exit = (void *)witness_exit,
	.flags = SCX_OPS_SWITCH_PARTIAL | SCX_OPS_KEEP_BUILTIN_IDLE,
	.name = "witness",
};
