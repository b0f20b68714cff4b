/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A program calls another one back. Only functions without a section can be called back. */
#include <rota/map.h>

LICENSE_GPL;

SEC("syscall") int called(void *ctx)
{
	return 0;
}

SEC("syscall") int calls(void *ctx)
{
	return bpf_loop(1, called, ctx, 0);
}
