/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A program that does nothing: what the kernel measures of it is what measuring takes. */
#include <rota/types.h>

LICENSE_GPL;

SEC("xdp")
int nothing(void *ctx)
{
	return 2; /* XDP_PASS */
}
