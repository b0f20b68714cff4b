/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells calls of a BPF program: loaded once for each, with maps in common. */
#include "calls.h"

LICENSE_GPL;

SEC("fentry")
int program_begins(void *ctx)
{
	u64 args[ARGS] = {};

	bpf_get_func_arg(ctx, 0, args);
	if (choice.cookie & ARGS_BEHIND)
		bpf_probe_read_kernel(args, sizeof(args), (void *)args[0]);
	enter(ctx, choice.cookie, args);
	return 0;
}

SEC("fexit")
int program_ends(void *ctx)
{
	u64 result = 0;

	bpf_get_func_ret(ctx, &result);
	leave(ctx, choice.cookie, result);
	return 0;
}

/* A program that does nothing, to see what it takes to be traced. */
SEC("syscall")
int nothing(void *ctx)
{
	return 0;
}
