/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names a symbol without a type, which no kernel has: only a running one can tell. */
#include <rota/types.h>

LICENSE_GPL;

extern const void no_such_symbol __ksym;

SEC("syscall") int ask(void *ctx)
{
	const void *symbol = &no_such_symbol;

	asm volatile("" : "+r"(symbol));
	return symbol != NULL;
}
