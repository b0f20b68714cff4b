/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Maps and variables of all types that a dump has to read, for comparison with another reader. The
 * program is there to be loaded, which keeps them.
 */
#include <rota/map.h>
#include <rota/types.h>

LICENSE_GPL;

enum colour { RED, GREEN = 5, BLUE = -1 };
enum large { FEW = 1, MANY = 0x123456789abcdef0 };

struct point {
	s16 x, y;
};

struct key {
	u32 group;
	u8 kind;
};

struct value {
	u64 count;
	s64 balance;
	bool full;
	enum colour colour;
	enum large large;
	u32 low : 3;
	u32 middle : 11;
	s32 signed_bits : 5;
	u64 high : 40;
	char name[16];
	char no_text[4];
	u8 bytes[6];
	struct point points[2];
	int grid[2][3];
	void *where;
	double *nowhere;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct key);
	__type(value, struct value);
	__uint(max_entries, 8);
} by_key SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__type(key, u64);
	__type(value, struct point);
	__uint(max_entries, 4);
} by_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, u32);
	__type(value, enum colour);
	__uint(max_entries, 3);
} colours SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(key_size, sizeof(u32));
	__uint(value_size, 8);
	__uint(max_entries, 2);
} untyped SEC(".maps");

const volatile s8 least = -128;
const volatile char greeting[12] = "hello";
volatile u64 counters[5] = {1, 2, 3, 4, 0xffffffffffffffff};
volatile struct value one = {
	.count = 7,
	.balance = -7,
	.full = true,
	.colour = GREEN,
	.large = MANY,
	.low = 5,
	.middle = 1025,
	.signed_bits = -3,
	.high = 0xfedcba9876,
	.name = "a name",
	.no_text = {1, 2, 3, 4},
	.bytes = {'o', 'k'},
	.points = {{-1, 2}, {3, -4}},
	.grid = {{1, 2, 3}, {4, 5, 6}},
};

SEC("xdp")
int fill(void *ctx)
{
	struct key key = {.group = 9, .kind = 200};
	struct value value = one;
	struct point point = {least, 100};
	u64 cookie = counters[4];
	enum colour colour = BLUE;
	u32 second = 1;

	value.name[0] += greeting[0] == 'h';
	bpf_map_update_elem(&by_key, &key, &value, BPF_ANY);
	bpf_map_update_elem(&by_cpu, &cookie, &point, BPF_ANY);
	bpf_map_update_elem(&colours, &second, &colour, BPF_ANY);
	bpf_map_update_elem(&untyped, &second, &cookie, BPF_ANY);
	return 2; /* XDP_PASS */
}
