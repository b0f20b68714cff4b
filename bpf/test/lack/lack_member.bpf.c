/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets members of the table that came later: a callback of Linux 7.0 and a number of 7.3. */
#include <rota/describe.h>

LICENSE_GPL;

struct cgroup;

struct sched_ext_ops___later {
	void (*cgroup_set_idle)(struct cgroup *group, bool idle);
	u64 sub_cgroup_id;
	char name[128];
};

void BPF_STRUCT_OPS(lack_member_set_idle, struct cgroup *group, bool idle)
{
}

SCHEDULER("test: sets members that old kernels lack")
struct sched_ext_ops___later lack_member = {
	.cgroup_set_idle = (void *)lack_member_set_idle,
	.sub_cgroup_id = 1,
	.name = "lack_member",
};
