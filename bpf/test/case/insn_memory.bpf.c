/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loads and stores of every size, with and without a sign, on the stack and in a global. */
#include "case.h"

LICENSE_GPL;

static volatile u64 word;

/* Stores a value in r1 at the stack slot, and loads it again from there. */
#define CASE_STACK(name, insns, value, expected)                                                   \
	CASE_INSN(name, "*(u64 *)(r10 - 16) = r0;" insns, 0, value, expected)

CASE_STACK(stack_u8, "*(u8 *)(r10 - 16) = r1; r0 = *(u8 *)(r10 - 16)", 0x1ff, 0xff)
CASE_STACK(stack_u16, "*(u16 *)(r10 - 16) = r1; r0 = *(u16 *)(r10 - 16)", 0x1ffff, 0xffff)
CASE_STACK(stack_u32, "*(u32 *)(r10 - 16) = r1; r0 = *(u32 *)(r10 - 16)", ~0ULL, 0xffffffff)
CASE_STACK(stack_u64, "*(u64 *)(r10 - 16) = r1; r0 = *(u64 *)(r10 - 16)", ~0ULL, ~0ULL)

/* A store of part of a word leaves the rest. */
CASE_STACK(part_u8, "*(u8 *)(r10 - 15) = r1; r0 = *(u64 *)(r10 - 16)", ~0ULL, 0xff00)
CASE_STACK(part_u16, "*(u16 *)(r10 - 14) = r1; r0 = *(u64 *)(r10 - 16)", ~0ULL, 0xffff0000)
CASE_STACK(part_u32, "*(u32 *)(r10 - 12) = r1; r0 = *(u64 *)(r10 - 16)", ~0ULL, 0xffffffff00000000)

/* Immediates: 64 bits take the sign of the 32. */
CASE_STACK(imm_u8, "*(u8 *)(r10 - 16) = -1; r0 = *(u64 *)(r10 - 16)", 0, 0xff)
CASE_STACK(imm_u16, "*(u16 *)(r10 - 16) = -2; r0 = *(u64 *)(r10 - 16)", 0, 0xfffe)
CASE_STACK(imm_u32, "*(u32 *)(r10 - 16) = -2; r0 = *(u64 *)(r10 - 16)", 0, 0xfffffffe)
CASE_STACK(imm_u64, "*(u64 *)(r10 - 16) = -2; r0 = *(u64 *)(r10 - 16)", 0, -2ULL)

/* Loads that extend a sign */
CASE_STACK(load_s8, "*(u64 *)(r10 - 16) = r1; r0 = *(s8 *)(r10 - 15)", 0x8012, -0x80ULL)
CASE_STACK(load_s16, "*(u64 *)(r10 - 16) = r1; r0 = *(s16 *)(r10 - 14)", 0x80010000, -0x7fffULL)
CASE_STACK(load_s32, "*(u64 *)(r10 - 16) = r1; r0 = *(s32 *)(r10 - 16)", 0x80000001, -0x7fffffffULL)
CASE_STACK(load_s8_positive, "*(u64 *)(r10 - 16) = r1; r0 = *(s8 *)(r10 - 16)", 0xff7f, 0x7f)

CASE_INSN(immediate_64, "r0 = 0x8123456789abcdef ll", 0, 0, 0x8123456789abcdef)

CASE(global, 4660) /* 0x1234 */
{
	word = unknown(0x1234);
	return word;
}

/* Globals keep what the run before left, so this one sets it first. */
CASE(global_halves, 85) /* 0x55 */
{
	u32 *half = (u32 *)&word;

	word = unknown(0x5500000000);
	return *(volatile u32 *)(half + 1) + *(volatile u32 *)half;
}

static volatile u8 bytes[64];

CASE(array_by_index, 2016)
{
	u32 i, sum = 0;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = i;
	for (i = 0; i < sizeof(bytes); i++)
		sum += bytes[i];
	return sum;
}
