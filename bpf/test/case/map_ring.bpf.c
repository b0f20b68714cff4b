/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ring buffer, from the side that fills it. */
#include "case.h"
#include <rota/map.h>

LICENSE_GPL;

#define BPF_RB_NO_WAKEUP  (1 << 0)
#define BPF_RB_AVAIL_DATA 0
#define BPF_RB_RING_SIZE  1
#define BPF_RB_CONS_POS   2
#define BPF_RB_PROD_POS   3
#define HEADER_BYTES      8

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} full SEC(".maps");

CASE(size, 4096)
{
	return bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE);
}

/* A record takes its size, rounded up to 8, and a header. */
CASE(output, 24)
{
	char record[13] = {};
	u64 before = bpf_ringbuf_query(&ring, BPF_RB_PROD_POS);

	if (bpf_ringbuf_output(&ring, record, sizeof(record), BPF_RB_NO_WAKEUP))
		return 99;
	return bpf_ringbuf_query(&ring, BPF_RB_PROD_POS) - before;
}

CASE(reserve, 16)
{
	u64 before = bpf_ringbuf_query(&ring, BPF_RB_PROD_POS);
	u64 *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	if (!record)
		return 99;
	*record = 7;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return bpf_ringbuf_query(&ring, BPF_RB_PROD_POS) - before;
}

/* What is discarded keeps its place until the reader comes by. */
CASE(discard, 16)
{
	u64 before = bpf_ringbuf_query(&ring, BPF_RB_PROD_POS);
	u64 *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	if (!record)
		return 99;
	bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
	return bpf_ringbuf_query(&ring, BPF_RB_PROD_POS) - before;
}

CASE(larger_than_the_ring, 1)
{
	void *record = bpf_ringbuf_reserve(&ring, 8192, 0);

	if (record)
		bpf_ringbuf_discard(record, 0);
	return record == NULL;
}

CASE(no_room, 3)
{
	u32 i, taken = 0;

	for (i = 0; i < 8; i++) {
		void *record = bpf_ringbuf_reserve(&full, 1024, 0);

		if (!record)
			break;
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
		taken++;
	}
	return taken;
}
