/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells calls of functions of the kernel: many at once, or one by one where it can't do that. */
#include "calls.h"

LICENSE_GPL;

#define EXISTS(object, field) __builtin_preserve_field_info((object)->field, 2)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* Registers when a function is called (kernel: arch/x86/include/asm/ptrace.h, arch/arm64). */
struct pt_regs___x86 {
	u64 di, si, dx, cx, r8, r9, ax;
};

struct pt_regs___arm {
	u64 regs[31];
};

#pragma clang attribute pop

/*
 * Ends a branch, so that the compiler does not merge its reads with those of another one: kernels
 * before 7.3 let nobody read by a pointer into the registers that was computed.
 */
#define ON_ITS_OWN() asm volatile("" ::: "memory")

static __always_inline void begins(void *ctx)
{
	struct pt_regs___x86 *x86 = ctx;
	struct pt_regs___arm *arm = ctx;
	u64 args[ARGS] = {};

	if (EXISTS(x86, di)) {
		args[0] = x86->di;
		args[1] = x86->si;
		args[2] = x86->dx;
		args[3] = x86->cx;
		args[4] = x86->r8;
		args[5] = x86->r9;
	} else if (EXISTS(arm, regs)) {
		args[0] = arm->regs[0];
		args[1] = arm->regs[1];
		args[2] = arm->regs[2];
		args[3] = arm->regs[3];
		args[4] = arm->regs[4];
		args[5] = arm->regs[5];
		ON_ITS_OWN();
	}
	enter(ctx, bpf_get_attach_cookie(ctx), args);
}

static __always_inline void ends(void *ctx)
{
	struct pt_regs___x86 *x86 = ctx;
	struct pt_regs___arm *arm = ctx;
	u64 result = 0;

	if (EXISTS(x86, ax)) {
		result = x86->ax;
	} else if (EXISTS(arm, regs)) {
		result = arm->regs[0];
		ON_ITS_OWN();
	}
	leave(ctx, bpf_get_attach_cookie(ctx), result);
}

SEC("kprobe.multi")
int many_begin(void *ctx)
{
	begins(ctx);
	return 0;
}

SEC("kretprobe.multi")
int many_end(void *ctx)
{
	ends(ctx);
	return 0;
}

SEC("kprobe")
int one_begins(void *ctx)
{
	begins(ctx);
	return 0;
}

SEC("kretprobe")
int one_ends(void *ctx)
{
	ends(ctx);
	return 0;
}
