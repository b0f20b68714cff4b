/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Dynamic pointers: to memory of the program's, to records of rings; a ring of user space's. */
#include "case.h"
#include <rota/map.h>

LICENSE_GPL;

struct bpf_dynptr {
	u64 __opaque[2];
} __attribute__((aligned(8)));

static long (*const bpf_dynptr_from_mem)(void *data, u64 size, u64 flags,
                                         struct bpf_dynptr *at) = (void *)197;
static long (*const bpf_ringbuf_reserve_dynptr)(void *ring, u32 size, u64 flags,
                                                struct bpf_dynptr *at) = (void *)198;
static void (*const bpf_ringbuf_submit_dynptr)(struct bpf_dynptr *at, u64 flags) = (void *)199;
static void (*const bpf_ringbuf_discard_dynptr)(struct bpf_dynptr *at, u64 flags) = (void *)200;
static long (*const bpf_dynptr_read)(void *to, u64 len, const struct bpf_dynptr *at, u64 offset,
                                     u64 flags) = (void *)201;
static long (*const bpf_dynptr_write)(const struct bpf_dynptr *at, u64 offset, void *from, u64 len,
                                      u64 flags) = (void *)202;
static void *(*const bpf_dynptr_data)(const struct bpf_dynptr *at, u64 offset,
                                      u64 len) = (void *)203;
static long (*const bpf_user_ringbuf_drain)(void *ring, void *callback, void *context,
                                            u64 flags) = (void *)209;

int bpf_dynptr_adjust(struct bpf_dynptr *at, u64 start, u64 end) __ksym;
bool bpf_dynptr_is_null(const struct bpf_dynptr *at) __ksym;
bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *at) __ksym;
u64 bpf_dynptr_size(const struct bpf_dynptr *at) __ksym;
int bpf_dynptr_clone(const struct bpf_dynptr *at, struct bpf_dynptr *copy) __ksym;
int bpf_dynptr_copy(struct bpf_dynptr *to, u64 to_offset, struct bpf_dynptr *from, u64 from_offset,
                    u64 size) __ksym;
void *bpf_dynptr_slice(const struct bpf_dynptr *at, u64 offset, void *buffer, u64 size) __ksym;
/* 6.17 */
int bpf_dynptr_memset___new(struct bpf_dynptr *at, u64 offset, u64 size, u8 byte) __ksym __weak;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} in SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u64[4]);
} values SEC(".maps");

/* A dynamic pointer to a value: 32 bytes. */
static bool point(u32 key, struct bpf_dynptr *at)
{
	u64 *value = bpf_map_lookup_elem(&values, &key);

	return value && !bpf_dynptr_from_mem(value, 32, 0, at);
}

CASE(write_and_read, 77)
{
	u64 written = unknown(77), found = 0;
	struct bpf_dynptr at;

	if (!point(0, &at) || bpf_dynptr_write(&at, 8, &written, 8, 0) ||
	    bpf_dynptr_read(&found, 8, &at, 8, 0))
		return 99;
	return found;
}

CASE(read_beyond, -7) /* E2BIG */
{
	struct bpf_dynptr at;
	u64 found;

	return point(0, &at) ? bpf_dynptr_read(&found, 8, &at, unknown(25), 0) : 99;
}

CASE(bad_flags, -22) /* EINVAL */
{
	struct bpf_dynptr at;
	u64 found;

	return point(0, &at) ? bpf_dynptr_read(&found, 8, &at, 0, unknown(1)) : 99;
}

CASE(data, 5)
{
	struct bpf_dynptr at;
	u64 *word, found = 0;

	if (!point(1, &at))
		return 99;
	word = bpf_dynptr_data(&at, 16, 8);
	if (!word || bpf_dynptr_data(&at, 25, 8))
		return 98;
	*word = unknown(5);
	bpf_dynptr_read(&found, 8, &at, 16, 0);
	return found;
}

CASE(none, -22) /* EINVAL */
{
	u64 *value, found;
	struct bpf_dynptr at;
	u32 key = 0;
	long error;

	value = bpf_map_lookup_elem(&values, &key);
	if (!value)
		return 99;
	error = bpf_dynptr_from_mem(value, 32, 1, &at);
	if (bpf_dynptr_read(&found, 8, &at, 0, 0) != -22 || !bpf_dynptr_is_null(&at))
		return 98;
	return error;
}

CASE(smaller, 12)
{
	struct bpf_dynptr at, copy;
	u64 found;

	if (!point(0, &at) || bpf_dynptr_clone(&at, &copy) || bpf_dynptr_adjust(&at, 8, 20))
		return 99;
	if (bpf_dynptr_size(&copy) != 32 || bpf_dynptr_is_rdonly(&at))
		return 98;
	if (bpf_dynptr_read(&found, 8, &at, 0, 0) || found != 77)
		return 97;
	if (bpf_dynptr_adjust(&at, 0, 13) != -34 || bpf_dynptr_adjust(&at, 2, 1) != -22)
		return 96;
	return bpf_dynptr_size(&at);
}

CASE(slice, 11)
{
	u64 buffer, number = unknown(11), *word;
	struct bpf_dynptr at;

	if (!point(1, &at) || bpf_dynptr_write(&at, 24, &number, sizeof(number), 0))
		return 99;
	word = bpf_dynptr_slice(&at, 24, &buffer, sizeof(buffer));
	return word ? *word : 98;
}

CASE(copied, 77)
{
	struct bpf_dynptr one, other;
	u64 found = 0;

	if (!point(0, &one) || !point(1, &other) || bpf_dynptr_copy(&other, 0, &one, 8, 8))
		return 99;
	if (bpf_dynptr_copy(&other, 0, &one, 8, 28) != -7)
		return 98;
	bpf_dynptr_read(&found, 8, &other, 0, 0);
	return found;
}

CASE(filled, 8224) /* 0x2020 */
{
	struct bpf_dynptr at;
	u64 found = 0;

	if (!ksym_exists(bpf_dynptr_memset___new))
		return 0x2020;
	if (!point(0, &at) || bpf_dynptr_memset___new(&at, 0, 2, 0x20))
		return 99;
	bpf_dynptr_read(&found, 2, &at, 0, 0);
	return found;
}

CASE(record, 24)
{
	u64 before = bpf_ringbuf_query(&ring, 3), number = 6;
	struct bpf_dynptr record;

	if (bpf_ringbuf_reserve_dynptr(&ring, unknown(16), 0, &record)) {
		bpf_ringbuf_discard_dynptr(&record, 0);
		return 99;
	}
	bpf_dynptr_write(&record, 0, &number, 8, 0);
	bpf_ringbuf_submit_dynptr(&record, 1);
	return bpf_ringbuf_query(&ring, 3) - before;
}

CASE(record_without_room, -22) /* EINVAL */
{
	struct bpf_dynptr record;
	long error = bpf_ringbuf_reserve_dynptr(&ring, unknown(8192), 0, &record);

	bpf_ringbuf_discard_dynptr(&record, 0);
	return error;
}

static long note(struct bpf_dynptr *record, u64 *records)
{
	*records = 1;
	return 0;
}

/* User space has put nothing in. */
CASE(nothing_to_drain, 0)
{
	u64 records = 0;
	long drained = bpf_user_ringbuf_drain(&in, note, &records, 0);

	return drained ?: records;
}

CASE(drained_with_bad_flags, -22) /* EINVAL */
{
	u64 records = 0;

	return bpf_user_ringbuf_drain(&in, note, &records, 4);
}
