/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every question that a program may ask about kernel types (CO-RE): about fields, bit-fields,
 * array elements, members of anonymous unions, types and enumerators; of those that every kernel
 * has, those that only some have, and those that none has. It needs neither maps nor functions of
 * the kernel, so any loader can relocate it for any kernel.
 */
#include <rota/types.h>

LICENSE_GPL;

#define OFFSET(field)      __builtin_preserve_field_info(field, 0)
#define SIZE(field)        __builtin_preserve_field_info(field, 1)
#define EXISTS(field)      __builtin_preserve_field_info(field, 2)
#define SIGNED(field)      __builtin_preserve_field_info(field, 3)
#define LEFT(field)        __builtin_preserve_field_info(field, 4)
#define RIGHT(field)       __builtin_preserve_field_info(field, 5)
#define TYPE_EXISTS(type)  __builtin_preserve_type_info(*(type *)0, 0)
#define TYPE_SIZE(type)    __builtin_preserve_type_info(*(type *)0, 1)
#define TYPE_MATCHES(type) __builtin_preserve_type_info(*(type *)0, 2)
#define LOCAL_ID(type)     __builtin_btf_type_id(*(type *)0, 0)
#define KERNEL_ID(type)    __builtin_btf_type_id(*(type *)0, 1)
#define HAS(type, value)   __builtin_preserve_enum_value(*(type *)value, 0)
#define VALUE(type, value) __builtin_preserve_enum_value(*(type *)value, 1)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

struct list_head {
	struct list_head *next, *prev;
};

struct sched_entity {
	struct list_head group_node;
	u64 sum_exec_runtime;
};

struct cpumask {
	unsigned long bits[1];
};

struct uclamp_se {
	unsigned int value : 11;
	unsigned int active : 1;
};

/* Fields of other sizes than the kernel's, of no kernel, of anonymous unions, and bit-fields. */
struct task_struct {
	atomic_t usage;
	u64 flags;
	s32 pid;
	char comm[16];
	s32 prio;
	struct sched_entity se;
	unsigned sched_reset_on_fork : 1;
	unsigned sched_migrated : 1;
	unsigned in_execve : 1;
	struct task_struct *group_leader;
	const struct cpumask *cpus_ptr;
	u64 utime;
	int no_such_field;
	struct list_head *tasks_of_another_kind;
};

struct task_struct___wrong {
	struct list_head pid;
	s64 prio;
};

struct cgroup {
	int level;
	struct cgroup *ancestors[];
};

struct no_such_struct {
	int member;
};

/* The kernel's has more members. */
struct list_head___fits {
	struct list_head *next;
};

struct list_head___more {
	struct list_head *next, *prev, *third;
};

#pragma clang attribute pop

typedef int no_such_typedef;

enum pid_type {
	PIDTYPE_PID = 17,
	PIDTYPE_NONE_OF_THESE = 18,
};

enum bpf_map_type___mine {
	BPF_MAP_TYPE_ARENA___mine = 99,
};

enum no_such_enum {
	NO_SUCH_VALUE = 1,
};

enum scx_ops_flags {
	SCX_OPS_ENQ_LAST = 1,
	SCX_OPS_ALL_FLAGS = 2,
};

SEC("syscall") int fields(u64 *out)
{
	struct task_struct *p = (void *)out[0];

	out[1] = OFFSET(p->pid) + SIZE(p->pid);
	out[2] = OFFSET(p->comm[3]) + SIZE(p->comm[3]) + SIZE(p->comm);
	out[3] = OFFSET(p->se.sum_exec_runtime) + SIGNED(p->se.sum_exec_runtime);
	out[4] = EXISTS(p->no_such_field) + EXISTS(p->pid) + EXISTS(p->se.group_node.prev);
	out[5] = SIGNED(p->pid) + SIGNED(p->flags) + SIGNED(p->usage.counter);
	out[6] = LEFT(p->pid) * RIGHT(p->pid);
	out[7] = EXISTS(p->tasks_of_another_kind) + EXISTS(p->cpus_ptr->bits[0]);
	out[8] = SIZE(p->se) + OFFSET(p->group_leader->pid) + OFFSET(p[2].prio);
	if (EXISTS(p->no_such_field))
		out[9] = OFFSET(p->no_such_field) + SIZE(p->no_such_field);
	return 0;
}

SEC("syscall") int bit_fields(u64 *out)
{
	struct task_struct *p = (void *)out[0];
	struct uclamp_se *clamp = (void *)out[1];

	out[2] = OFFSET(p->sched_reset_on_fork) + SIZE(p->sched_reset_on_fork);
	out[3] = LEFT(p->sched_reset_on_fork) * RIGHT(p->sched_reset_on_fork);
	out[4] = OFFSET(p->sched_migrated) + LEFT(p->sched_migrated) + SIGNED(p->sched_migrated);
	out[5] = OFFSET(p->in_execve) + LEFT(p->in_execve) + RIGHT(p->in_execve);
	out[6] = LEFT(clamp->value) * RIGHT(clamp->value) + EXISTS(clamp->active);
	return 0;
}

/* Accesses, whose size may have to change: 64 bits here, 32 in the kernel, and otherwise. */
SEC("syscall") int accesses(u64 *out)
{
	struct task_struct *p = (void *)out[0];
	struct task_struct___wrong *wrong = (void *)out[0];
	struct cgroup *group = (void *)out[0];

	out[1] = p->pid + p->flags;
	out[2] = p->comm[5] + (u64)p->group_leader;
	out[3] = p->se.sum_exec_runtime + p->usage.counter;
	out[4] = group->level + (u64)group->ancestors[3];
	out[5] = wrong->prio;
	out[6] = (u64)wrong->pid.next;
	out[7] = p->no_such_field + p->utime;
	p->prio = 5;
	p->flags = out[8];
	return 0;
}

SEC("syscall") int types(u64 *out)
{
	out[0] = TYPE_EXISTS(struct task_struct) + TYPE_EXISTS(struct no_such_struct);
	out[1] = TYPE_SIZE(struct task_struct) + TYPE_SIZE(struct no_such_struct);
	out[2] = TYPE_SIZE(atomic_t) + TYPE_EXISTS(atomic_t) + TYPE_EXISTS(no_such_typedef);
	out[3] = TYPE_MATCHES(struct list_head___fits) + TYPE_MATCHES(struct list_head___more);
	out[4] = TYPE_MATCHES(struct list_head) + TYPE_MATCHES(struct task_struct);
	out[5] = LOCAL_ID(struct cgroup) + KERNEL_ID(struct no_such_struct);
	out[6] = KERNEL_ID(struct task_struct) + TYPE_SIZE(struct cpumask);
	out[7] = TYPE_MATCHES(enum pid_type) + TYPE_EXISTS(enum pid_type);
	return 0;
}

SEC("syscall") int enumerators(u64 *out)
{
	out[0] = HAS(enum pid_type, PIDTYPE_PID) + VALUE(enum pid_type, PIDTYPE_PID);
	out[1] = HAS(enum pid_type, PIDTYPE_NONE_OF_THESE);
	out[2] = VALUE(enum bpf_map_type___mine, BPF_MAP_TYPE_ARENA___mine);
	out[3] = HAS(enum no_such_enum, NO_SUCH_VALUE);
	out[4] = HAS(enum scx_ops_flags, SCX_OPS_ALL_FLAGS);
	if (HAS(enum scx_ops_flags, SCX_OPS_ALL_FLAGS))
		out[5] = VALUE(enum scx_ops_flags, SCX_OPS_ALL_FLAGS);
	if (HAS(enum no_such_enum, NO_SUCH_VALUE))
		out[6] = VALUE(enum no_such_enum, NO_SUCH_VALUE);
	return 0;
}
