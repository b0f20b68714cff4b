/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names a variable that is gone from Linux 7.0 on. */
#include <rota/types.h>

LICENSE_GPL;

extern const u32 kstack_offset __ksym;

SEC("syscall") int ask(void *ctx)
{
	const void *variable = &kstack_offset;

	asm volatile("" : "+r"(variable));
	return variable != NULL;
}
