/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tasks: found by number, kept, with storage of their own. */
#include "case.h"
#include <rota/map.h>

LICENSE_GPL;

struct task_struct {
	s32 pid;
	s32 tgid;
	struct task_struct *group_leader;
	s32 nr_cpus_allowed;
	char comm[16];
} __attribute__((preserve_access_index));
struct bpf_iter_task {
	u64 __opaque[3];
} __attribute__((aligned(8)));

struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;
struct task_struct *bpf_task_from_vpid(s32 vpid) __ksym;
int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *p, u32 flags) __ksym;
struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;
void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;

static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;
static struct task_struct *(*const bpf_get_current_task)(void) = (void *)35;
static u64 (*const bpf_get_current_pid_tgid)(void) = (void *)14;
static u64 (*const bpf_get_current_uid_gid)(void) = (void *)15;
static long (*const bpf_get_current_comm)(void *to, u32 size) = (void *)16;
static void *(*const bpf_task_storage_get)(void *map, struct task_struct *p, void *value,
                                           u64 flags) = (void *)156;
static long (*const bpf_task_storage_delete)(void *map, struct task_struct *p) = (void *)157;

#define BPF_LOCAL_STORAGE_GET_F_CREATE 1

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} storage SEC(".maps");

CASE(current, 1)
{
	return bpf_get_current_task_btf()->pid == (s32)bpf_get_current_pid_tgid();
}

CASE(found_by_number, 1)
{
	s32 pid = bpf_get_current_task_btf()->pid;
	struct task_struct *p = bpf_task_from_pid(pid), *again;
	bool same;

	if (!p)
		return 99;
	again = bpf_task_acquire(p);
	same = p->pid == pid && again && again->pid == pid;
	if (again)
		bpf_task_release(again);
	bpf_task_release(p);
	return same;
}

CASE(nobody, 1)
{
	struct task_struct *p = bpf_task_from_pid(unknown(-1));

	if (p) {
		bpf_task_release(p);
		return 0;
	}
	return 1;
}

CASE(no_storage_yet, 1)
{
	return bpf_task_storage_get(&storage, bpf_get_current_task_btf(), NULL, 0) == NULL;
}

CASE(storage_stays, 15)
{
	struct task_struct *p = bpf_get_current_task_btf();
	u64 ten = 10, *value;

	value = bpf_task_storage_get(&storage, p, &ten, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!value)
		return 99;
	*value += 5;
	value = bpf_task_storage_get(&storage, p, &ten, BPF_LOCAL_STORAGE_GET_F_CREATE);
	ten = value ? *value : 98;
	bpf_task_storage_delete(&storage, p);
	return ten;
}

CASE(nothing_to_delete, -2) /* ENOENT */
{
	return bpf_task_storage_delete(&storage, bpf_get_current_task_btf());
}

CASE(storage_starts_as_zero, 0)
{
	struct task_struct *p = bpf_get_current_task_btf();
	u64 *value = bpf_task_storage_get(&storage, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE), found;

	if (!value)
		return 99;
	found = *value;
	bpf_task_storage_delete(&storage, p);
	return found;
}

CASE(storage_with_a_flag_that_is_none, 1)
{
	return bpf_task_storage_get(&storage, bpf_get_current_task_btf(), NULL, unknown(2)) == NULL;
}

CASE(same_by_either_name, 1)
{
	return bpf_get_current_task() == bpf_get_current_task_btf();
}

CASE(root, 0)
{
	return bpf_get_current_uid_gid() != 0;
}

CASE(found_in_own_namespace, 1)
{
	struct task_struct *p = bpf_task_from_vpid(bpf_get_current_task_btf()->pid);
	bool same;

	if (!p)
		return 99;
	same = p == bpf_get_current_task_btf();
	bpf_task_release(p);
	return same;
}

CASE(comm, 1)
{
	char comm[16] = {};

	if (bpf_get_current_comm(comm, sizeof(comm)))
		return 99;
	return comm[0] && comm[0] == bpf_get_current_task_btf()->comm[0];
}

CASE(comm_cut_to_two_bytes, 1)
{
	char comm[2] = {7, 7};

	if (bpf_get_current_comm(comm, sizeof(comm)))
		return 99;
	return comm[0] == bpf_get_current_task_btf()->comm[0] && !comm[1];
}

CASE(leads_itself, 1)
{
	struct task_struct *p = bpf_get_current_task_btf();

	return p->group_leader->tgid == p->tgid && p->nr_cpus_allowed > 0;
}

/* What an iterator finds: how many are the current task, and whether the first is number 0. */
static int find(u32 flags, struct task_struct *start)
{
	s32 own = bpf_get_current_task_btf()->pid, found = 0, seen = 0, first = 0;
	struct bpf_iter_task it;
	struct task_struct *p;

	bpf_rcu_read_lock();
	bpf_iter_task_new(&it, start, flags);
	while ((p = bpf_iter_task_next(&it))) {
		if (!seen++)
			first = p->pid == 0;
		found += p->pid == own;
	}
	bpf_iter_task_destroy(&it);
	bpf_rcu_read_unlock();
	return 10 * first + found;
}

CASE(every_process, 11)
{
	return find(0 /* BPF_TASK_ITER_ALL_PROCS */, NULL);
}

CASE(every_thread, 11)
{
	return find(1 /* BPF_TASK_ITER_ALL_THREADS */, NULL);
}

CASE(own_threads, 1)
{
	return find(2 /* BPF_TASK_ITER_PROC_THREADS */, bpf_get_current_task_btf());
}

CASE(iterator_over_nothing, -22) /* EINVAL */
{
	struct bpf_iter_task it;
	int error;

	bpf_rcu_read_lock();
	error = bpf_iter_task_new(&it, NULL, unknown(7));
	if (bpf_iter_task_next(&it))
		error = 99;
	bpf_iter_task_destroy(&it);
	bpf_rcu_read_unlock();
	return error;
}
