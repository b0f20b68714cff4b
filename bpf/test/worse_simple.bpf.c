/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * simple, made worse: comparing two times first looks at some of their bits one by one, to no
 * purpose. Programs and maps are called as in simple, so that the verifier's figures for both can
 * be compared; the comparison must notice.
 */
#include <rota/compat.h>
#include <rota/describe.h>
#include <rota/exit.h>

#define BITS 12

static u32 differing;

static __always_inline bool worse_time_before(u64 a, u64 b)
{
	for (u32 i = 0; i < BITS; i++)
		if ((a ^ b) >> i & 1)
			differing += i;
	return time_before(a, b);
}

#define time_before(a, b) worse_time_before(a, b)

#include "../sched/simple/simple.bpf.c"
