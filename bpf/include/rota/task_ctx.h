/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scheduler's own data for each task, kept with the task and gone with it.
 *
 * The kernel may call running() and stopping() for a task on another CPU than the one it runs on
 * (somebody changes its nice value or affinity), so what belongs to a task must not be kept with
 * a CPU. TASK_CTX(type) is said once; task_ctx(p) finds the data and task_ctx_create(p), which
 * belongs into init_task, makes it.
 */
#pragma once

#include <rota/kernel.h>

#define BPF_MAP_TYPE_TASK_STORAGE      29
#define BPF_F_NO_PREALLOC              1
#define BPF_LOCAL_STORAGE_GET_F_CREATE 1

static void *(*const bpf_task_storage_get)(void *map, struct task_struct *p, void *value,
                                           u64 flags) = (void *)156;

#define TASK_CTX(ctx_type)                                                                         \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_TASK_STORAGE);                                           \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                              \
		__type(key, s32);                                                                  \
		__type(value, ctx_type);                                                           \
	} task_ctxs SEC(".maps");                                                                  \
	static __always_inline ctx_type *task_ctx(struct task_struct *p)                           \
	{                                                                                          \
		return bpf_task_storage_get(&task_ctxs, p, NULL, 0);                               \
	}                                                                                          \
	static __always_inline ctx_type *task_ctx_create(struct task_struct *p)                    \
	{                                                                                          \
		return bpf_task_storage_get(&task_ctxs, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);  \
	}                                                                                          \
	struct task_ctx_needs_a_semicolon
