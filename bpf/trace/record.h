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

struct task_struct {
	struct thread_info thread_info;
	int pid, tgid, exit_state;
	u64 start_time;
	char comm[16];
};

#pragma clang attribute pop

#define BPF_LOCAL_STORAGE_GET_F_CREATE 1
#define BPF_RB_NO_WAKEUP               1

static u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static void *(*const bpf_task_storage_get)(void *map, struct task_struct *p, void *value,
                                           u64 flags) = (void *)156;
static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;

/* Kinds of records. Those after the first are a struct happening. */
#define TOLD       1
#define SWITCH     2 /* other: who ran; value: its state, and above 32 bits whether preempted */
#define WAKING     3 /* other: who wakes it */
#define WAKEUP_NEW 4 /* the same; value: its CPU */
#define MIGRATE    5 /* other: to which CPU; value: from which */
#define FORK       6 /* other: its parent */
#define EXIT       7

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
};

_Static_assert(sizeof(struct happening) == 32, "read in this size");
_Static_assert(sizeof(struct naming) == 48, "read in this size");
