/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Variables in an arena, a map of maps with maps in it from the start, a value of the kernel's
 * configuration and a variable of the kernel: what a loader has to put in place.
 */
#include <rota/types.h>

LICENSE_GPL;

#define BPF_MAP_TYPE_ARRAY         2
#define BPF_MAP_TYPE_ARRAY_OF_MAPS 12
#define BPF_MAP_TYPE_ARENA         33
#define BPF_F_MMAPABLE             (1 << 10)

#define __arena   __attribute__((address_space(1)))
#define __kconfig __attribute__((section(".kconfig")))

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4);
} arena SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u64);
} first SEC(".maps"), second SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 3);
	__type(key, u32);
	struct inner *values[];
} outer SEC(".maps") = {
	.values = {[0] = &first, [2] = &second},
};

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;

extern int LINUX_KERNEL_VERSION __kconfig;
extern unsigned long CONFIG_HZ __kconfig;
extern bool CONFIG_NO_SUCH_OPTION __kconfig __weak;
extern const void no_such_symbol __ksym __weak;

u64 __arena before = 3;
u64 __arena after = 7;

SEC("syscall") int look(u64 *out)
{
	u32 key = 2;
	void *map = bpf_map_lookup_elem(&outer, &key);

	out[0] = after;
	out[1] = LINUX_KERNEL_VERSION;
	out[2] = CONFIG_HZ + CONFIG_NO_SUCH_OPTION;
	out[3] = (u64)&no_such_symbol;
	out[4] = map != NULL;
	before = out[5];
	return 0;
}

/* Off unless it is asked for. */
SEC("?syscall") int off(u64 *out)
{
	return 1;
}
