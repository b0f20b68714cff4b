/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A map that is a stack: who was put in last comes out first. */
#pragma once

#include <rota/types.h>

#define BPF_MAP_TYPE_STACK 23

static long (*const bpf_map_push_elem)(void *map, const void *value, u64 flags) = (void *)87;
static long (*const bpf_map_pop_elem)(void *map, void *value) = (void *)88;
