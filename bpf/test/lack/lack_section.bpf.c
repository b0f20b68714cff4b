/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A program in a section that says nothing to a loader. */
#include <rota/types.h>

LICENSE_GPL;

SEC("syscal") int ask(void *ctx)
{
	return 0;
}
