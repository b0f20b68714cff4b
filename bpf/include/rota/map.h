/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kinds of map and the helpers for them, by their numbers (kernel: include/uapi/linux/bpf.h). */
#pragma once

#include <rota/types.h>

#define BPF_MAP_TYPE_HASH             1
#define BPF_MAP_TYPE_ARRAY            2
#define BPF_MAP_TYPE_PERF_EVENT_ARRAY 4
#define BPF_MAP_TYPE_PERCPU_HASH      5
#define BPF_MAP_TYPE_PERCPU_ARRAY     6
#define BPF_MAP_TYPE_LRU_HASH         9
#define BPF_MAP_TYPE_LRU_PERCPU_HASH  10
#define BPF_MAP_TYPE_ARRAY_OF_MAPS    12
#define BPF_MAP_TYPE_HASH_OF_MAPS     13
#define BPF_MAP_TYPE_QUEUE            22
#define BPF_MAP_TYPE_STACK            23
#define BPF_MAP_TYPE_RINGBUF          27
#define BPF_MAP_TYPE_TASK_STORAGE     29
#define BPF_MAP_TYPE_USER_RINGBUF     31
#define BPF_MAP_TYPE_CGRP_STORAGE     32
#define BPF_MAP_TYPE_ARENA            33

#define BPF_F_NO_PREALLOC (1 << 0)
#define BPF_F_MMAPABLE    (1 << 10)

/* How an element is updated: always, only if it is new, only if it is there. */
#define BPF_ANY     0
#define BPF_NOEXIST 1
#define BPF_EXIST   2

/* An array in a map definition: what a map of maps holds at first. */
#define __array(name, value) typeof(value) *name[]

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value,
                                         u64 flags) = (void *)2;
static long (*const bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static u32 (*const bpf_get_smp_processor_id)(void) = (void *)8;
static long (*const bpf_map_push_elem)(void *map, const void *value, u64 flags) = (void *)87;
static long (*const bpf_map_pop_elem)(void *map, void *value) = (void *)88;
static long (*const bpf_map_peek_elem)(void *map, void *value) = (void *)89;
static long (*const bpf_ringbuf_output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;
static void *(*const bpf_ringbuf_reserve)(void *ring, u64 size, u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *data, u64 flags) = (void *)132;
static void (*const bpf_ringbuf_discard)(void *data, u64 flags) = (void *)133;
static u64 (*const bpf_ringbuf_query)(void *ring, u64 flags) = (void *)134;
static long (*const bpf_for_each_map_elem)(void *map, void *callback, void *context,
                                           u64 flags) = (void *)164;
static long (*const bpf_loop)(u32 count, void *callback, void *context, u64 flags) = (void *)181;
static void *(*const bpf_map_lookup_percpu_elem)(void *map, const void *key, u32 cpu) = (void *)195;
