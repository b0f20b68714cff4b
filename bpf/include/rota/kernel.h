/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of the kernel that Rota's schedulers use: types with just the fields that are read,
 * the callbacks, and the functions. The loader finds each of them in
 * the type information of the running kernel (CO-RE), so offsets and values here don't matter
 * and no generated header is needed. The list is also what the simulator has to provide.
 */
#pragma once

#include <rota/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct cpumask {
	unsigned long bits[1];
};

struct sched_ext_entity {
	u32 flags;
	u32 weight;
	u64 slice;
	u64 dsq_vtime;
	bool disallow;
};

struct sched_entity {
	u64 sum_exec_runtime;
};

struct mm_struct;

struct task_struct {
	u32 policy;
	s32 prio, static_prio, normal_prio;
	u32 on_rq, on_cpu; /* of a byte each from 7.1 on */
	struct mm_struct *mm;
	s32 pid;
	const struct cpumask *cpus_ptr;
	unsigned short migration_disabled;
	char comm[16];
	struct sched_entity se;
	struct sched_ext_entity scx;
};

enum scx_exit_kind {
	SCX_EXIT_NONE,
};

struct scx_exit_info {
	enum scx_exit_kind kind;
	s64 exit_code;
	const char *reason;
	char *msg;
	char *dump;
};

enum scx_cpu_preempt_reason {
	SCX_CPU_PREEMPT_RT,
};

struct scx_cpu_release_args {
	enum scx_cpu_preempt_reason reason;
	struct task_struct *task;
};

struct scx_dump_ctx {
	enum scx_exit_kind kind;
	s64 exit_code;
};

struct cgroup;

struct scx_init_task_args {
	bool fork;
	struct cgroup *cgroup;
};

struct scx_exit_task_args {
	bool cancelled;
};

struct kernfs_node {
	u64 id;
};

struct cgroup {
	s32 level;
	struct kernfs_node *kn;
};

struct scx_cgroup_init_args {
	u32 weight;
	u64 bw_period_us;
	u64 bw_quota_us;
	u64 bw_burst_us;
	bool sched_idle;
};

/*
 * The callbacks. The loader matches members by name, so a scheduler may name those it sets and
 * the kernel's structure may have others.
 */
struct sched_ext_ops {
	s32 (*select_cpu)(struct task_struct *p, s32 prev_cpu, u64 wake_flags);
	void (*enqueue)(struct task_struct *p, u64 enq_flags);
	void (*dequeue)(struct task_struct *p, u64 deq_flags);
	void (*dispatch)(s32 cpu, struct task_struct *prev);
	void (*tick)(struct task_struct *p);
	void (*runnable)(struct task_struct *p, u64 enq_flags);
	void (*running)(struct task_struct *p);
	void (*stopping)(struct task_struct *p, bool runnable);
	void (*quiescent)(struct task_struct *p, u64 deq_flags);
	void (*set_weight)(struct task_struct *p, u32 weight);
	void (*set_cpumask)(struct task_struct *p, const struct cpumask *cpumask);
	void (*update_idle)(s32 cpu, bool idle);
	s32 (*init_task)(struct task_struct *p, struct scx_init_task_args *args);
	void (*exit_task)(struct task_struct *p, struct scx_exit_task_args *args);
	void (*enable)(struct task_struct *p);
	void (*disable)(struct task_struct *p);
	s32 (*cgroup_init)(struct cgroup *cgrp, struct scx_cgroup_init_args *args);
	void (*cgroup_exit)(struct cgroup *cgrp);
	s32 (*cgroup_prep_move)(struct task_struct *p, struct cgroup *from, struct cgroup *to);
	void (*cgroup_move)(struct task_struct *p, struct cgroup *from, struct cgroup *to);
	void (*cgroup_cancel_move)(struct task_struct *p, struct cgroup *from, struct cgroup *to);
	void (*cgroup_set_weight)(struct cgroup *cgrp, u32 weight);
	void (*cgroup_set_bandwidth)(struct cgroup *cgrp, u64 period_us, u64 quota_us,
	                             u64 burst_us);
	void (*cgroup_set_idle)(struct cgroup *cgrp, bool idle);
	void (*cpu_acquire)(s32 cpu, void *args);
	void (*cpu_release)(s32 cpu, struct scx_cpu_release_args *args);
	void (*cpu_online)(s32 cpu);
	void (*cpu_offline)(s32 cpu);
	void (*dump)(struct scx_dump_ctx *ctx);
	void (*dump_cpu)(struct scx_dump_ctx *ctx, s32 cpu, bool idle);
	void (*dump_task)(struct scx_dump_ctx *ctx, struct task_struct *p);
	s32 (*init)(void);
	void (*exit)(struct scx_exit_info *info);
	u32 dispatch_max_batch;
	u64 flags;
	u32 timeout_ms;
	u32 exit_dump_len;
	u64 hotplug_seq;
	char name[128];
};

#pragma clang attribute pop

/* The kernel's numbers for these are fixed: they are part of what user space may rely on. */
#define SCX_DSQ_GLOBAL (1ULL << 63 | 1)
#define SCX_DSQ_LOCAL  (1ULL << 63 | 2)

#define SCX_DSQ_LOCAL_ON (1ULL << 63 | 1ULL << 62)

/* dispatch() may leave a CPU without a task; then the one that ran is enqueued, with a flag. */
#define SCX_OPS_ENQ_LAST (1 << 1)

#define SCX_KICK_IDLE    (1 << 0)
#define SCX_KICK_PREEMPT (1 << 1)

/* Who wakes up another task is about to sleep. */
#define SCX_WAKE_SYNC (1 << 4)

#define SCX_TASK_QUEUED (1 << 0) /* on a run queue: it wants to run */

#define ENOENT 2
#define ENOMEM 12

s32 scx_bpf_create_dsq(u64 dsq_id, s32 node) __ksym;
s32 scx_bpf_dsq_nr_queued(u64 dsq_id) __ksym;
s32 scx_bpf_task_cpu(const struct task_struct *p) __ksym;
void scx_bpf_kick_cpu(s32 cpu, u64 flags) __ksym;
s32 scx_bpf_select_cpu_dfl(struct task_struct *p, s32 prev_cpu, u64 wake_flags,
                           bool *is_idle) __ksym;
void scx_bpf_error_bstr(char *fmt, unsigned long long *data, u32 data__sz) __ksym;
void scx_bpf_dump_bstr(char *fmt, unsigned long long *data, u32 data__sz) __ksym;
void scx_bpf_exit_bstr(s64 exit_code, char *fmt, unsigned long long *data, u32 data__sz) __ksym;

/* Kinds of map (kernel: enum bpf_map_type). */
#define BPF_MAP_TYPE_ARRAY        2
#define BPF_MAP_TYPE_PERCPU_ARRAY 6

/* Helpers, by their numbers (kernel: include/uapi/linux/bpf.h). */
static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static u32 (*const bpf_get_smp_processor_id)(void) = (void *)8;
static long (*const bpf_probe_read_kernel_str)(void *dst, u32 size, const void *src) = (void *)115;

/*
 * Defines a callback with its arguments by name:
 *
 *	void BPF_STRUCT_OPS(mine_enqueue, struct task_struct *p, u64 enq_flags)
 *
 * The kernel passes them as an array of 64-bit words; the outer function takes them out of it.
 * A callback that may sleep (init, init_task, exit) is a BPF_STRUCT_OPS_SLEEPABLE.
 */
#define BPF_STRUCT_OPS(name, args...)           __ROTA_OPS("struct_ops/" #name, name, ##args)
#define BPF_STRUCT_OPS_SLEEPABLE(name, args...) __ROTA_OPS("struct_ops.s/" #name, name, ##args)

#define __ROTA_OPS(section, name, args...)                                                         \
	name(u64 *ctx);                                                                            \
	static __always_inline typeof(name(0)) __body_##name(args);                                \
	SEC(section) typeof(name(0)) name(u64 *ctx)                                                \
	{                                                                                          \
		__ROTA_WORDS_ARE_ANYTHING                                                          \
		return __body_##name(__ROTA_WORDS(__ROTA_COUNT(args)));                            \
		__ROTA_WORDS_END                                                                   \
	}                                                                                          \
	static __always_inline typeof(name(0)) __body_##name(args)

/* Between these two, a 64-bit word may become a pointer or a number, as the callee has it. */
#define __ROTA_WORDS_ARE_ANYTHING                                                                  \
	_Pragma("clang diagnostic push") _Pragma("clang diagnostic ignored \"-Wint-conversion\"")
#define __ROTA_WORDS_END _Pragma("clang diagnostic pop")

#define __ROTA_COUNT(args...)                             __ROTA_SIXTH(0, ##args, 4, 3, 2, 1, 0)
#define __ROTA_SIXTH(zero, one, two, three, four, n, ...) n
#define __ROTA_WORDS(n)                                   __ROTA_PASTE(__ROTA_WORDS_, n)
#define __ROTA_PASTE(a, b)                                __ROTA_PASTE2(a, b)
#define __ROTA_PASTE2(a, b)                               a##b
#define __ROTA_WORDS_0
#define __ROTA_WORDS_1 (void *)ctx[0]
#define __ROTA_WORDS_2 __ROTA_WORDS_1, (void *)ctx[1]
#define __ROTA_WORDS_3 __ROTA_WORDS_2, (void *)ctx[2]
#define __ROTA_WORDS_4 __ROTA_WORDS_3, (void *)ctx[3]

/*
 * Ends the scheduler: with an error, which the user is shown, or with an exit code of its own.
 * The arguments are what the format names; numbers and pointers alike travel as 64-bit words.
 */
#define scx_bpf_error(fmt, args...)                                                                \
	({                                                                                         \
		__rota_format(fmt, ##args);                                                        \
		scx_bpf_error_bstr(__fmt, __words, sizeof(__words));                               \
	})
#define scx_bpf_exit(code, fmt, args...)                                                           \
	({                                                                                         \
		__rota_format(fmt, ##args);                                                        \
		scx_bpf_exit_bstr(code, __fmt, __words, sizeof(__words));                          \
	})

/* Adds to the dump of a scheduler that failed; for dump, dump_cpu and dump_task. */
#define scx_bpf_dump(fmt, args...)                                                                 \
	({                                                                                         \
		__rota_format(fmt, ##args);                                                        \
		scx_bpf_dump_bstr(__fmt, __words, sizeof(__words));                                \
	})

#define __rota_format(fmt, args...)                                                                \
	static char __fmt[] = fmt;                                                                 \
	__ROTA_WORDS_ARE_ANYTHING                                                                  \
	u64 __words[] = {args};                                                                    \
	__ROTA_WORDS_END
