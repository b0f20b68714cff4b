/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads from a table of places to jump to, as newer compilers make them of a switch. Linux 7.0 was
 * the first to have them; Rota has not.
 */
#include <rota/types.h>

LICENSE_GPL;

const volatile u64 places[] SEC(".jumptables") = {0, 8};

SEC("syscall") int ask(u64 *ctx)
{
	return places[ctx[0] & 1];
}
