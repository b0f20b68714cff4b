/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kind of map that is there from Linux 7.3 on. */
#include <rota/map.h>

LICENSE_GPL;

#define BPF_MAP_TYPE_RHASH 35

struct {
	__uint(type, BPF_MAP_TYPE_RHASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8);
	__type(key, u32);
	__type(value, u64);
} growing SEC(".maps");

SEC("syscall") int look(void *ctx)
{
	u32 key = 1;

	return bpf_map_lookup_elem(&growing, &key) != NULL;
}
