/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A callback that no table has. */
#include <rota/describe.h>

LICENSE_GPL;

void BPF_STRUCT_OPS(lack_place_running, struct task_struct *p)
{
}

SCHEDULER("test: forgets a callback")
struct sched_ext_ops lack_place = {.name = "lack_place"};
