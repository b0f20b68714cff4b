/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Declares a kernel function as it was before Linux 7.0, which gave it a parameter. */
#include <rota/types.h>

LICENSE_GPL;

bool bpf_session_is_return(void) __ksym;

SEC("syscall") int ask(void *ctx)
{
	void *function = bpf_session_is_return;

	asm volatile("" : "+r"(function));
	return function != NULL;
}
