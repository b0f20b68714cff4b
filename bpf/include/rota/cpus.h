/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU masks of a scheduler's own, and the choice of idle CPUs. */
#pragma once

#include <rota/kernel.h>

/* What a program owns, which any function that reads a mask takes too. */
struct bpf_cpumask {
	struct cpumask cpumask;
} __attribute__((preserve_access_index));

#define as_mask(mask) ((const struct cpumask *)(mask))

/* Flags of a choice: a core of which every CPU is idle; only the node that is asked for. */
#define SCX_PICK_IDLE_CORE    (1 << 0)
#define SCX_PICK_IDLE_IN_NODE (1 << 1)

struct bpf_cpumask *bpf_cpumask_create(void) __ksym;
void bpf_cpumask_release(struct bpf_cpumask *mask) __ksym;
void bpf_cpumask_clear(struct bpf_cpumask *mask) __ksym;
void bpf_cpumask_set_cpu(u32 cpu, struct bpf_cpumask *mask) __ksym;
u32 bpf_cpumask_weight(const struct cpumask *mask) __ksym;
u32 bpf_cpumask_first(const struct cpumask *mask) __ksym;
bool bpf_cpumask_and(struct bpf_cpumask *to, const struct cpumask *one,
                     const struct cpumask *two) __ksym;
void bpf_cpumask_or(struct bpf_cpumask *to, const struct cpumask *one,
                    const struct cpumask *two) __ksym;
bool bpf_cpumask_intersects(const struct cpumask *one, const struct cpumask *two) __ksym;
bool bpf_cpumask_test_cpu(u32 cpu, const struct cpumask *mask) __ksym;
u32 bpf_cpumask_any_distribute(const struct cpumask *mask) __ksym;

const struct cpumask *scx_bpf_get_idle_cpumask(void) __ksym;
const struct cpumask *scx_bpf_get_idle_smtmask(void) __ksym;
const struct cpumask *scx_bpf_get_idle_cpumask_node(s32 node) __ksym;
const struct cpumask *scx_bpf_get_idle_smtmask_node(s32 node) __ksym;
void scx_bpf_put_idle_cpumask(const struct cpumask *mask) __ksym;
bool scx_bpf_test_and_clear_cpu_idle(s32 cpu) __ksym;
s32 scx_bpf_pick_idle_cpu(const struct cpumask *cpus, u64 flags) __ksym;
s32 scx_bpf_pick_any_cpu(const struct cpumask *cpus, u64 flags) __ksym;
s32 scx_bpf_pick_idle_cpu_node(const struct cpumask *cpus, s32 node, u64 flags) __ksym;
s32 scx_bpf_pick_any_cpu_node(const struct cpumask *cpus, s32 node, u64 flags) __ksym;
