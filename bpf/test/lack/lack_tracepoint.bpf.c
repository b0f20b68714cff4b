/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attached to a tracepoint that is there from Linux 7.3 on. */
#include <rota/types.h>

LICENSE_GPL;

SEC("tp_btf/sched_ext_exit") int on_exit(u64 *ctx)
{
	return 0;
}
