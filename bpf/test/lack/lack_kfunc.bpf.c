/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calls a kernel function that is there from Linux 7.0 on. */
#include <rota/describe.h>

LICENSE_GPL;

bool scx_bpf_task_set_slice(struct task_struct *p, u64 slice) __ksym;

void BPF_STRUCT_OPS(lack_kfunc_running, struct task_struct *p)
{
	scx_bpf_task_set_slice(p, 1000000);
}

SCHEDULER("test: wants a kernel function that old kernels lack")
struct sched_ext_ops lack_kfunc = {
	.running = (void *)lack_kfunc_running,
	.name = "lack_kfunc",
};
