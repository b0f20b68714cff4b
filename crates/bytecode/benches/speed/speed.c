// SPDX-License-Identifier: GPL-2.0-or-later
/* What the benchmark runs: the same C for the host and as BPF. */

typedef unsigned long long u64;
typedef unsigned int u32;

#define noinline __attribute__((noinline))

/*
 * Keeps a branch a branch. BPF has no conditional moves, so its code always branches; the host's
 * must, too, for the comparison to be one of code generators.
 */
#define stay __asm__ volatile("")

/* Base-2 logarithm, rounded down, without the host's instruction for it. */
static noinline u32 log2_of(u64 x)
{
	u32 log = 0;

	if (x >> 32) {
		x >>= 32;
		log += 32;
		stay;
	}
	if (x >> 16) {
		x >>= 16;
		log += 16;
		stay;
	}
	if (x >> 8) {
		x >>= 8;
		log += 8;
		stay;
	}
	if (x >> 4) {
		x >>= 4;
		log += 4;
		stay;
	}
	if (x >> 2) {
		x >>= 2;
		log += 2;
		stay;
	}
	return log + (x >> 1);
}

/* A moving average: an eighth of what is new. */
static noinline u64 average(u64 old, u64 new)
{
	return old - (old >> 3) + (new >> 3);
}

/* A weighted virtual time, as a scheduler computes it for every slice. */
u64 compute(u64 rounds, u64 seed)
{
	u64 vtime = 0, mean = 0;

	for (u64 i = 0; i < rounds; i++) {
		u64 weight;

		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		weight = 1 + (seed >> 52);
		mean = average(mean, seed >> 40);
		vtime += mean * 100 / weight;
		vtime ^= log2_of(seed);
	}
	return vtime + mean;
}

/* The same without divisions. */
u64 mix(u64 rounds, u64 seed)
{
	u64 mean = 0, bits = 0;

	for (u64 i = 0; i < rounds; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		mean = average(mean, seed >> 40);
		if (mean & 1) {
			bits += log2_of(seed);
		} else {
			bits ^= mean;
			stay;
		}
	}
	return bits;
}

struct node {
	struct node *next;
	u64 weight;
	u64 sum;
	u32 visits;
	u32 flags;
};

/* Follows a list, and writes to every node. */
u64 walk(struct node *head, u64 rounds)
{
	u64 total = 0;

	for (u64 i = 0; i < rounds; i++) {
		struct node *node;

		for (node = head; node; node = node->next) {
			node->visits++;
			node->sum += node->weight + i;
			if (node->sum & node->flags) {
				total += node->sum;
				stay;
			}
		}
	}
	return total;
}

/* Sums and rewrites an array. */
u64 sweep(u32 *values, u64 count)
{
	u64 total = 0;

	for (u64 i = 0; i < count; i++) {
		u32 value = values[i & 4095];

		total += value;
		values[i & 4095] = value * 3 + 1;
	}
	return total;
}
