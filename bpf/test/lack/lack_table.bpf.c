/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A table of callbacks that is there from Linux 7.3 on. */
#include <rota/types.h>

LICENSE_GPL;

struct sched_ext_ops_cid {
	char name[128];
};

SEC(".struct_ops.link") struct sched_ext_ops_cid lack_table = {.name = "lack_table"};
