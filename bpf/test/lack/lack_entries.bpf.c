/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A map without a number of entries: its user half would have to set one. */
#include <rota/map.h>

LICENSE_GPL;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, u32);
	__type(value, u64);
} sized_later SEC(".maps");

SEC("syscall") int look(void *ctx)
{
	u32 key = 0;

	return bpf_map_lookup_elem(&sized_later, &key) != NULL;
}
