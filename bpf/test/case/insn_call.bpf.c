/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calls of functions and callbacks, and loops that the program leaves by itself or is made to. */
#include "case.h"
#include <rota/map.h>

LICENSE_GPL;

#define __noinline __attribute__((noinline))

static __noinline u64 five(u64 a, u64 b, u64 c, u64 d, u64 e)
{
	asm volatile("");
	return a + 10 * b + 100 * c + 1000 * d + 10000 * e;
}

CASE(five_arguments, 54321)
{
	return five(unknown(1), unknown(2), unknown(3), unknown(4), unknown(5));
}

/* A callee has a stack of its own, and keeps the caller's registers. */
static __noinline u64 spoil(u64 value)
{
	volatile u64 local[8];
	u32 i;

	for (i = 0; i < 8; i++)
		local[i] = value + i;
	return local[7];
}

CASE(own_stacks, 25)
{
	volatile u64 mine = unknown(11);
	u64 kept = unknown(3), of_callee = spoil(unknown(4));

	return mine + kept + of_callee;
}

static __noinline u64 third(u64 depth)
{
	asm volatile("");
	return depth + 1;
}

static __noinline u64 second(u64 depth)
{
	asm volatile("");
	return third(depth + 1) * 2;
}

static __noinline u64 first(u64 depth)
{
	asm volatile("");
	return second(depth + 1) * 2;
}

CASE(nested, 40)
{
	return first(unknown(7));
}

/* A global function is verified by itself, and may be called with anything. */
__noinline u64 global_sum(u64 a, u64 b)
{
	asm volatile("");
	return a + b;
}

CASE(global_function, 12)
{
	return global_sum(unknown(5), unknown(7));
}

static long add_index(u64 index, void *context)
{
	*(u64 *)context += index;
	return index == 6; /* then that was the last time */
}

CASE(loop_to_the_end, 10)
{
	u64 sum = 0;

	bpf_loop(unknown(5), add_index, &sum, 0);
	return sum;
}

CASE(loop_ended_by_callback, 728)
{
	u64 sum = 0;
	long times = bpf_loop(unknown(100), add_index, &sum, 0);

	return times * 100 + sum + 7;
}

/* Leaves a loop that would not end: code 0xe5, the offset of the jump in the upper half. */
#define MAY_GOTO_OUT(distance) ".8byte 0x00000000000" #distance "00e5"

CASE_INSN(may_goto_not_yet, "r0 = 0; 1: " MAY_GOTO_OUT(2) "; r0 += 1; if r0 < 100 goto 1b", 0, 0,
          100)
CASE_INSN(may_goto_leaves, "r2 = 0; 1: " MAY_GOTO_OUT(2) "; r2 += 1; goto 1b; r0 = 1", 0, 0, 1)
