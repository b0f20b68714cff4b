/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attached to a function that is there from Linux 7.0 on. */
#include <rota/types.h>

LICENSE_GPL;

SEC("fentry/scx_bpf_task_set_slice") int on_call(u64 *ctx)
{
	return 0;
}
