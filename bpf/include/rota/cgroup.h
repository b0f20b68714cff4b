/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cgroups, and what a scheduler keeps with each. */
#pragma once

#include <rota/kernel.h>

#define BPF_MAP_TYPE_CGRP_STORAGE 32

struct cgroup *bpf_cgroup_ancestor(struct cgroup *cgrp, int level) __ksym;
void bpf_cgroup_release(struct cgroup *cgrp) __ksym;

static void *(*const bpf_cgrp_storage_get)(void *map, struct cgroup *cgrp, void *value,
                                           u64 flags) = (void *)210;
