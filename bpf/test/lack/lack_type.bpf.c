/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names a variable that every kernel has, but as something that it is in none. */
#include <rota/types.h>

LICENSE_GPL;

extern const u64 runqueues __ksym;

SEC("syscall") int ask(void *ctx)
{
	const void *variable = &runqueues;

	asm volatile("" : "+r"(variable));
	return variable != NULL;
}
