/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tasks: found by number, kept, with storage of their own. */
#include <rota/case.h>
#include <rota/map.h>

LICENSE_GPL;

struct task_struct {
	s32 pid;
	s32 tgid;
} __attribute__((preserve_access_index));

struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;

static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;
static u64 (*const bpf_get_current_pid_tgid)(void) = (void *)14;
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
