/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a field that is there from Linux 7.3 on, without asking first whether it is. Any loader
 * takes it; before 7.3 the verifier finds the instruction poisoned.
 */
#include <rota/compat.h>
#include <rota/describe.h>

LICENSE_GPL;

s32 cpu;

void BPF_STRUCT_OPS(lack_field_exit, struct scx_exit_info *info)
{
	cpu = ((struct scx_exit_info___cpu *)info)->exit_cpu;
}

SCHEDULER("test: reads a field that old kernels lack")
struct sched_ext_ops lack_field = {
	.exit = (void *)lack_field_exit,
	.name = "lack_field",
};
