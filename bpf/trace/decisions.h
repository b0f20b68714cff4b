/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the recorder of decisions reads of the kernel (kernel: kernel/sched/sched.h, fair.c,
 * include/linux/sched.h, include/linux/sched/topology.h), and the helpers it calls.
 */
#pragma once

#include <rota/map.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct cpumask {
	unsigned long bits[1];
};

struct list_head {
	struct list_head *next, *prev;
};

struct load_weight {
	unsigned long weight;
};

struct sched_avg {
	unsigned long load_avg, runnable_avg, util_avg;
	unsigned int util_est;
};

struct sched_entity {
	struct load_weight load;
	struct list_head group_node;
	unsigned char on_rq, sched_delayed;
	u64 exec_start, vruntime;
	struct sched_avg avg;
};

struct task_struct {
	int pid;
	unsigned int flags;
	int nr_cpus_allowed;
	const struct cpumask *cpus_ptr;
	struct sched_entity se;
	unsigned int wakee_flips;
	unsigned long wakee_flip_decay_ts;
	struct task_struct *last_wakee;
	int recent_used_cpu;
};

struct cfs_rq {
	unsigned int h_nr_queued, h_nr_runnable;
	u64 zero_vruntime;
	struct sched_avg avg;
	unsigned long h_load;
	u64 last_h_load_update;
};

typedef struct {
	int counter;
} atomic_t;

struct sched_domain_shared {
	atomic_t nr_busy_cpus;
	int has_idle_cores, nr_idle_scan;
};

struct sched_group_capacity {
	unsigned long capacity;
	int imbalance;
};

struct sched_group {
	struct sched_group *next;
	unsigned int group_weight, cores;
	struct sched_group_capacity *sgc;
	int flags;
	unsigned long cpumask[1];
};

struct sched_domain {
	struct sched_domain *parent;
	struct sched_group *groups;
	unsigned long min_interval, max_interval;
	unsigned int imbalance_pct, cache_nice_tries, imb_numa_nr;
	int flags;
	unsigned long last_balance;
	unsigned int balance_interval, nr_balance_failed;
	unsigned int newidle_call, newidle_success, newidle_ratio;
	u64 max_newidle_lb_cost;
	struct sched_domain_shared *shared;
	unsigned int span_weight;
};

struct root_domain {
	bool overloaded;
};

struct rq {
	unsigned int nr_running, ttwu_pending;
	unsigned long cpu_capacity;
	struct task_struct *curr, *idle;
	u64 nr_switches;
	struct cfs_rq cfs;
	u64 clock_task;
	struct root_domain *rd;
	struct sched_domain *sd;
	int cpu;
	struct list_head cfs_tasks;
	u64 idle_stamp, avg_idle;
	unsigned long next_balance;
	atomic_t nohz_flags;
	unsigned char idle_balance;
};

enum cpu_idle_type {
	CPU_IDLE = 1,
};

enum migration_type {
	migrate_util = 1,
};

struct lb_env {
	struct sched_domain *sd;
	struct rq *src_rq;
	int src_cpu, dst_cpu;
	struct rq *dst_rq;
	struct cpumask *dst_grpmask;
	enum cpu_idle_type idle;
	long imbalance;
	struct cpumask *cpus;
	unsigned int flags, loop_max;
	enum migration_type migration_type;
};

#pragma clang attribute pop

extern struct rq runqueues __ksym;
extern const void nohz __ksym;
extern void *bpf_rdonly_cast(const void *object, u32 type) __ksym;

/* The kernel's number of a type, and the place of a member in one. */
#define TYPE_IN_KERNEL(type)   __builtin_btf_type_id(*(type *)0, 1)
#define PLACE_OF(type, member) __builtin_preserve_field_info(((type *)0)->member, 0)

/*
 * What the kernel knows of CPUs that sleep (kernel: the variable `nohz`, whose structure has no
 * name and is in no type information).
 */
struct sleepers {
	struct cpumask *cpus;
	int blocked, update;
	unsigned long next_balance, next_blocked;
};

static long (*const bpf_probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static u64 (*const bpf_jiffies64)(void) = (void *)118;
static void *(*const bpf_per_cpu_ptr)(const void *variable, u32 cpu) = (void *)153;
static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;

#define BPF_RB_NO_WAKEUP 1

#define PF_EXITING 0x4
#define PF_KTHREAD 0x200000

#define WF_FORK 0x4
#define WF_TTWU 0x8
#define WF_SYNC 0x10

#define NOHZ_BALANCE_KICK 0x1

#define LBF_ACTIVE_LB      0x10
#define SD_SERIALIZE       0x400
#define UTIL_AVG_UNCHANGED 0x80000000
