/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that do what no verifier lets through. Each says in the same place with which words a
 * simulated machine, which has no verifier, has to stop it.
 */
#pragma once

#include <rota/map.h>

#define ESCAPE(name, words) __remark("stop:" words) SEC("syscall") int name(void *ctx)

/* A value that the compiler does not know. */
#define unknown(value)                                                                             \
	({                                                                                         \
		static volatile u64 __unknown = value;                                             \
		__unknown;                                                                         \
	})

/* Nothing is mapped there: beyond all that the kernel's part of a machine's memory holds. */
#define NOWHERE ((void *)unknown(0xffff8881b0000000ULL))

struct task_struct {
	s32 pid;
} __attribute__((preserve_access_index));
struct cgroup {
	s32 level;
} __attribute__((preserve_access_index));
struct cpumask {
	u64 bits[1];
};
struct bpf_cpumask {
	struct cpumask cpumask;
};
struct bpf_iter_num {
	u64 __opaque[1];
} __attribute__((aligned(8)));
struct bpf_iter_bits {
	u64 __opaque[2];
} __attribute__((aligned(8)));
struct bpf_dynptr {
	u64 __opaque[2];
} __attribute__((aligned(8)));

void bpf_cpumask_release(struct bpf_cpumask *mask) __ksym;
void bpf_local_irq_save(unsigned long *flags) __ksym;
