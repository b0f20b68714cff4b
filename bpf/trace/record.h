/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the recorder of scheduling reads of the kernel (kernel: include/linux/sched.h), and its
 * records. crates/kernel/src/record reads these.
 */
#pragma once

#include <rota/map.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct thread_info {
	u32 cpu;
};

struct kernfs_node {
	u64 id;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup *ancestors[1];
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct cfs_rq {
	struct rq *rq;
};

struct sched_entity {
	struct cfs_rq *cfs_rq;
};

struct scx_dispatch_q {
	u32 nr;
	u64 id;
};

struct scx_rq {
	struct scx_dispatch_q local_dsq;
};

struct rq {
	int cpu;
	struct scx_rq scx;
};

struct sched_ext_entity {
	u64 slice, dsq_vtime;
};

/* The first 64 of them. */
struct cpumask {
	unsigned long bits[1];
};

struct task_struct {
	struct thread_info thread_info;
	int pid, tgid, exit_state, on_rq, normal_prio, nr_cpus_allowed;
	struct cpumask cpus_mask;
	unsigned int wakee_flips;
	u32 policy;
	u64 start_time;
	char comm[16];
	struct css_set *cgroups;
	struct sched_entity se;
	struct sched_ext_entity scx;
};

#pragma clang attribute pop

/* Serving a soft interrupt, a hard one, or one that can't be masked (kernel: linux/preempt.h). */
#define IN_INTERRUPT (1 << 8 | 0xf << 16 | 0xf << 20)

#define BPF_RB_NO_WAKEUP 1

static u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static long (*const bpf_probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*const bpf_probe_read_kernel_str)(void *to, u32 size, const void *from) = (void *)115;
static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;
static long (*const bpf_get_func_arg)(void *ctx, u32 number, u64 *value) = (void *)183;
static long (*const bpf_get_func_ret)(void *ctx, u64 *value) = (void *)184;
static long (*const bpf_get_func_arg_cnt)(void *ctx) = (void *)185;
extern void *bpf_rdonly_cast(const void *object, u32 type) __ksym;

#define TYPE_IN_KERNEL(type)  __builtin_btf_type_id(*(type *)0, 1)
#define EXISTS(object, field) __builtin_preserve_field_info((object)->field, 2)
#define typed(type, value)    ((type *)bpf_rdonly_cast((void *)(value), TYPE_IN_KERNEL(type)))

/* Kinds of records. Those after the first are a struct happening. */
#define TOLD       1
#define SWITCH     2 /* other: who ran; value: its state, and above 32 bits whether preempted */
#define WAKING     3 /* other: who wakes it; 0 for an interrupt */
#define WAKEUP_NEW 4 /* the same; value: its CPU */
#define MIGRATE    5 /* other: to which CPU; value: from which */
#define FORK       6 /* other: its parent */
#define EXIT       7
#define GROUP      8 /* other: 1 for the whole process; value: the cgroup */
/* Of sched_ext. */
#define INSERT   9  /* struct queueing; other: how many are in the queue */
#define REMOVE   10 /* other: how many are left; value: the queue */
#define CONSUMED 11 /* it went to the local queue of the CPU; value: from which */
#define RUNNING  12 /* value: what is left of the slice */
#define STOPPING 13 /* value: whether it still wants to run */

/* The id of all tasks that are not wanted. */
#define OTHERS -1

/* What all records begin with. */
struct head {
	u64 time_ns;
	u32 kind, lost;
};

struct happening {
	struct head head;
	s32 pid, other;
	u64 value;
};

struct naming {
	struct head head;
	s32 pid, tgid;
	u64 start_ns;
	u64 name[2];
	u64 group;
	/* 120 is a nice value of 0; less than 100 comes before all nice values. */
	u32 normal_prio, policy;
	/* On how many CPUs it may run; the first 64 as bits. */
	u32 cpus, unused;
	u64 first_cpus;
};

struct queueing {
	struct happening happening;
	u64 vtime, flags;
};

_Static_assert(sizeof(struct happening) == 32, "read in this size");
_Static_assert(sizeof(struct naming) == 80, "read in this size");
_Static_assert(sizeof(struct queueing) == 48, "read in this size");
