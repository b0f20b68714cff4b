/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arithmetic in 64 and 32 bits, between registers and with immediates. A 32-bit operation clears
 * the upper half; division by zero gives 0, and its remainder is the dividend; a shift counts
 * modulo the width.
 */
#include "case.h"

LICENSE_GPL;

/* add */
CASE_INSN(add64_0, "r0 += r1", 0xffffffffffffffff, 0x2, 0x1)
CASE_INSN(add64_1, "r0 += r1", 0x80000000, 0x80000000, 0x100000000)
CASE_INSN(add64_imm0, "r0 += -3", 0x823456789abcdef5, 0, 0x823456789abcdef2)
CASE_INSN(add32_0, "w0 += w1", 0xffffffffffffffff, 0x2, 0x1)
CASE_INSN(add32_1, "w0 += w1", 0x80000000, 0x80000000, 0x0)
CASE_INSN(add32_imm0, "w0 += -3", 0x823456789abcdef5, 0, 0x9abcdef2)

/* sub */
CASE_INSN(sub64_0, "r0 -= r1", 0x0, 0x1, 0xffffffffffffffff)
CASE_INSN(sub64_1, "r0 -= r1", 0x100000000, 0x1, 0xffffffff)
CASE_INSN(sub64_imm0, "r0 -= -2147483648", 0x823456789abcdef5, 0, 0x823456791abcdef5)
CASE_INSN(sub32_0, "w0 -= w1", 0x0, 0x1, 0xffffffff)
CASE_INSN(sub32_1, "w0 -= w1", 0x100000000, 0x1, 0xffffffff)
CASE_INSN(sub32_imm0, "w0 -= -2147483648", 0x823456789abcdef5, 0, 0x1abcdef5)

/* mul */
CASE_INSN(mul64_0, "r0 *= r1", 0x123456789abcdef0, 0xfffffffffffffffd, 0xc962fc962fc96330)
CASE_INSN(mul64_1, "r0 *= r1", 0xffffffff, 0xffffffff, 0xfffffffe00000001)
CASE_INSN(mul64_imm0, "r0 *= -7", 0x823456789abcdef5, 0, 0x7091a2b3c4d5e74d)
CASE_INSN(mul32_0, "w0 *= w1", 0x123456789abcdef0, 0xfffffffffffffffd, 0x2fc96330)
CASE_INSN(mul32_1, "w0 *= w1", 0xffffffff, 0xffffffff, 0x1)
CASE_INSN(mul32_imm0, "w0 *= -7", 0x823456789abcdef5, 0, 0xc4d5e74d)

/* div */
CASE_INSN(div64_0, "r0 /= r1", 0xffffffffffffffff, 0x7, 0x2492492492492492)
CASE_INSN(div64_1, "r0 /= r1", 0x5, 0x0, 0x0)
CASE_INSN(div64_2, "r0 /= r1", 0x8000000000000000, 0xffffffffffffffff, 0x0)
CASE_INSN(div64_3, "r0 /= r1", 0x123456789abcdef0, 0x100000000, 0x12345678)
CASE_INSN(div64_imm0, "r0 /= -1", 0x823456789abcdef5, 0, 0x0)
CASE_INSN(div64_imm1, "r0 /= 10", 0x823456789abcdef5, 0, 0xd053bd8dc46164b)
CASE_INSN(div32_0, "w0 /= w1", 0xffffffffffffffff, 0x7, 0x24924924)
CASE_INSN(div32_1, "w0 /= w1", 0x5, 0x0, 0x0)
CASE_INSN(div32_2, "w0 /= w1", 0x8000000000000000, 0xffffffffffffffff, 0x0)
CASE_INSN(div32_3, "w0 /= w1", 0x123456789abcdef0, 0x100000000, 0x0)
CASE_INSN(div32_imm0, "w0 /= -1", 0x823456789abcdef5, 0, 0x0)
CASE_INSN(div32_imm1, "w0 /= 10", 0x823456789abcdef5, 0, 0xf79497e)

/* mod */
CASE_INSN(mod64_0, "r0 %%= r1", 0xffffffffffffffff, 0x7, 0x1)
CASE_INSN(mod64_1, "r0 %%= r1", 0x123456789abcdef0, 0x0, 0x123456789abcdef0)
CASE_INSN(mod64_2, "r0 %%= r1", 0xffffffff80000005, 0x80000000, 0x5)
CASE_INSN(mod64_imm0, "r0 %%= -1", 0x823456789abcdef5, 0, 0x823456789abcdef5)
CASE_INSN(mod64_imm1, "r0 %%= 10", 0x823456789abcdef5, 0, 0x7)
CASE_INSN(mod32_0, "w0 %%= w1", 0xffffffffffffffff, 0x7, 0x3)
CASE_INSN(mod32_1, "w0 %%= w1", 0x123456789abcdef0, 0x0, 0x9abcdef0)
CASE_INSN(mod32_2, "w0 %%= w1", 0xffffffff80000005, 0x80000000, 0x5)
CASE_INSN(mod32_imm0, "w0 %%= -1", 0x823456789abcdef5, 0, 0x9abcdef5)
CASE_INSN(mod32_imm1, "w0 %%= 10", 0x823456789abcdef5, 0, 0x9)

/* sdiv */
CASE_INSN(sdiv64_0, "r0 s/= r1", 0xffffffffffffffeb, 0x7, 0xfffffffffffffffd)
CASE_INSN(sdiv64_1, "r0 s/= r1", 0x15, 0xfffffffffffffffd, 0xfffffffffffffff9)
CASE_INSN(sdiv64_2, "r0 s/= r1", 0x8000000000000000, 0xffffffffffffffff, 0x8000000000000000)
CASE_INSN(sdiv64_3, "r0 s/= r1", 0xffffffff80000000, 0xffffffffffffffff, 0x80000000)
CASE_INSN(sdiv64_4, "r0 s/= r1", 0x5, 0x0, 0x0)
CASE_INSN(sdiv64_imm0, "r0 s/= -3", 0x823456789abcdef5, 0, 0x29ee8dd7cc6bb5ae)
CASE_INSN(sdiv64_imm1, "r0 s/= -1", 0x823456789abcdef5, 0, 0x7dcba9876543210b)
CASE_INSN(sdiv32_0, "w0 s/= w1", 0xffffffffffffffeb, 0x7, 0xfffffffd)
CASE_INSN(sdiv32_1, "w0 s/= w1", 0x15, 0xfffffffffffffffd, 0xfffffff9)
CASE_INSN(sdiv32_2, "w0 s/= w1", 0x8000000000000000, 0xffffffffffffffff, 0x0)
CASE_INSN(sdiv32_3, "w0 s/= w1", 0xffffffff80000000, 0xffffffffffffffff, 0x80000000)
CASE_INSN(sdiv32_4, "w0 s/= w1", 0x5, 0x0, 0x0)
CASE_INSN(sdiv32_imm0, "w0 s/= -3", 0x823456789abcdef5, 0, 0x21c10b03)
CASE_INSN(sdiv32_imm1, "w0 s/= -1", 0x823456789abcdef5, 0, 0x6543210b)

/* smod */
CASE_INSN(smod64_0, "r0 s%%= r1", 0xffffffffffffffeb, 0x8, 0xfffffffffffffffb)
CASE_INSN(smod64_1, "r0 s%%= r1", 0x15, 0xfffffffffffffffd, 0x0)
CASE_INSN(smod64_2, "r0 s%%= r1", 0x8000000000000000, 0xffffffffffffffff, 0x0)
CASE_INSN(smod64_3, "r0 s%%= r1", 0xffffffff80000000, 0xffffffffffffffff, 0x0)
CASE_INSN(smod64_4, "r0 s%%= r1", 0x123456789abcdef0, 0x0, 0x123456789abcdef0)
CASE_INSN(smod64_imm0, "r0 s%%= -3", 0x823456789abcdef5, 0, 0xffffffffffffffff)
CASE_INSN(smod64_imm1, "r0 s%%= -1", 0x823456789abcdef5, 0, 0x0)
CASE_INSN(smod32_0, "w0 s%%= w1", 0xffffffffffffffeb, 0x8, 0xfffffffb)
CASE_INSN(smod32_1, "w0 s%%= w1", 0x15, 0xfffffffffffffffd, 0x0)
CASE_INSN(smod32_2, "w0 s%%= w1", 0x8000000000000000, 0xffffffffffffffff, 0x0)
CASE_INSN(smod32_3, "w0 s%%= w1", 0xffffffff80000000, 0xffffffffffffffff, 0x0)
CASE_INSN(smod32_4, "w0 s%%= w1", 0x123456789abcdef0, 0x0, 0x9abcdef0)
CASE_INSN(smod32_imm0, "w0 s%%= -3", 0x823456789abcdef5, 0, 0xfffffffe)
CASE_INSN(smod32_imm1, "w0 s%%= -1", 0x823456789abcdef5, 0, 0x0)

/* or */
CASE_INSN(or64_0, "r0 |= r1", 0x123456789abcdef0, 0xf0f0f0f00f0f0f0f, 0xf2f4f6f89fbfdfff)
CASE_INSN(or64_imm0, "r0 |= -2130706432", 0x823456789abcdef5, 0, 0xffffffff9bbcdef5)
CASE_INSN(or32_0, "w0 |= w1", 0x123456789abcdef0, 0xf0f0f0f00f0f0f0f, 0x9fbfdfff)
CASE_INSN(or32_imm0, "w0 |= -2130706432", 0x823456789abcdef5, 0, 0x9bbcdef5)

/* and */
CASE_INSN(and64_0, "r0 &= r1", 0x123456789abcdef0, 0xf0f0f0f00f0f0f0f, 0x103050700a0c0e00)
CASE_INSN(and64_imm0, "r0 &= -16", 0x823456789abcdef5, 0, 0x823456789abcdef0)
CASE_INSN(and32_0, "w0 &= w1", 0x123456789abcdef0, 0xf0f0f0f00f0f0f0f, 0xa0c0e00)
CASE_INSN(and32_imm0, "w0 &= -16", 0x823456789abcdef5, 0, 0x9abcdef0)

/* xor */
CASE_INSN(xor64_0, "r0 ^= r1", 0x123456789abcdef0, 0xffffffffffffffff, 0xedcba9876543210f)
CASE_INSN(xor64_imm0, "r0 ^= -1", 0x823456789abcdef5, 0, 0x7dcba9876543210a)
CASE_INSN(xor32_0, "w0 ^= w1", 0x123456789abcdef0, 0xffffffffffffffff, 0x6543210f)
CASE_INSN(xor32_imm0, "w0 ^= -1", 0x823456789abcdef5, 0, 0x6543210a)

/* lsh */
CASE_INSN(lsh64_0, "r0 <<= r1", 0x123456789abcdef0, 0x4, 0x23456789abcdef00)
CASE_INSN(lsh64_1, "r0 <<= r1", 0x1, 0x3f, 0x8000000000000000)
CASE_INSN(lsh64_2, "r0 <<= r1", 0x1, 0x40, 0x1)
CASE_INSN(lsh64_3, "r0 <<= r1", 0x3, 0x21, 0x600000000)
CASE_INSN(lsh64_4, "r0 <<= r1", 0x1, 0x0, 0x1)
CASE_INSN(lsh64_imm0, "r0 <<= 31", 0x823456789abcdef5, 0, 0x4d5e6f7a80000000)
CASE_INSN(lsh32_0, "w0 <<= w1", 0x123456789abcdef0, 0x4, 0xabcdef00)
CASE_INSN(lsh32_1, "w0 <<= w1", 0x1, 0x3f, 0x80000000)
CASE_INSN(lsh32_2, "w0 <<= w1", 0x1, 0x40, 0x1)
CASE_INSN(lsh32_3, "w0 <<= w1", 0x3, 0x21, 0x6)
CASE_INSN(lsh32_4, "w0 <<= w1", 0x1, 0x0, 0x1)
CASE_INSN(lsh32_imm0, "w0 <<= 31", 0x823456789abcdef5, 0, 0x80000000)

/* rsh */
CASE_INSN(rsh64_0, "r0 >>= r1", 0x823456789abcdef0, 0x4, 0x823456789abcdef)
CASE_INSN(rsh64_1, "r0 >>= r1", 0xffffffffffffffff, 0x3f, 0x1)
CASE_INSN(rsh64_2, "r0 >>= r1", 0xffffffffffffffff, 0x40, 0xffffffffffffffff)
CASE_INSN(rsh64_3, "r0 >>= r1", 0xffffffffffffffff, 0x21, 0x7fffffff)
CASE_INSN(rsh64_imm0, "r0 >>= 31", 0x823456789abcdef5, 0, 0x10468acf1)
CASE_INSN(rsh32_0, "w0 >>= w1", 0x823456789abcdef0, 0x4, 0x9abcdef)
CASE_INSN(rsh32_1, "w0 >>= w1", 0xffffffffffffffff, 0x3f, 0x1)
CASE_INSN(rsh32_2, "w0 >>= w1", 0xffffffffffffffff, 0x40, 0xffffffff)
CASE_INSN(rsh32_3, "w0 >>= w1", 0xffffffffffffffff, 0x21, 0x7fffffff)
CASE_INSN(rsh32_imm0, "w0 >>= 31", 0x823456789abcdef5, 0, 0x1)

/* arsh */
CASE_INSN(arsh64_0, "r0 s>>= r1", 0x823456789abcdef0, 0x4, 0xf823456789abcdef)
CASE_INSN(arsh64_1, "r0 s>>= r1", 0x80000000, 0x1f, 0x1)
CASE_INSN(arsh64_2, "r0 s>>= r1", 0xfffffffffffffffe, 0x40, 0xfffffffffffffffe)
CASE_INSN(arsh64_3, "r0 s>>= r1", 0x8000000000000000, 0x3f, 0xffffffffffffffff)
CASE_INSN(arsh64_4, "r0 s>>= r1", 0x7fffffff80000000, 0x21, 0x3fffffff)
CASE_INSN(arsh64_imm0, "r0 s>>= 31", 0x823456789abcdef5, 0, 0xffffffff0468acf1)
CASE_INSN(arsh32_0, "w0 s>>= w1", 0x823456789abcdef0, 0x4, 0xf9abcdef)
CASE_INSN(arsh32_1, "w0 s>>= w1", 0x80000000, 0x1f, 0xffffffff)
CASE_INSN(arsh32_2, "w0 s>>= w1", 0xfffffffffffffffe, 0x40, 0xfffffffe)
CASE_INSN(arsh32_3, "w0 s>>= w1", 0x8000000000000000, 0x3f, 0x0)
CASE_INSN(arsh32_4, "w0 s>>= w1", 0x7fffffff80000000, 0x21, 0xc0000000)
CASE_INSN(arsh32_imm0, "w0 s>>= 31", 0x823456789abcdef5, 0, 0xffffffff)

/* mov */
CASE_INSN(mov64_0, "r0 = r1", 0x1234, 0x823456789abcdef0, 0x823456789abcdef0)
CASE_INSN(mov64_imm0, "r0 = -5", 0x823456789abcdef5, 0, 0xfffffffffffffffb)
CASE_INSN(mov32_0, "w0 = w1", 0x1234, 0x823456789abcdef0, 0x9abcdef0)
CASE_INSN(mov32_imm0, "w0 = -5", 0x823456789abcdef5, 0, 0xfffffffb)

/* neg */
CASE_INSN(neg64_0, "r0 = -r0", 0x1, 0, 0xffffffffffffffff)
CASE_INSN(neg64_1, "r0 = -r0", 0x8000000000000000, 0, 0x8000000000000000)
CASE_INSN(neg64_2, "r0 = -r0", 0xffffffff80000000, 0, 0x80000000)
CASE_INSN(neg32_0, "w0 = -w0", 0x1, 0, 0xffffffff)
CASE_INSN(neg32_1, "w0 = -w0", 0x8000000000000000, 0, 0x0)
CASE_INSN(neg32_2, "w0 = -w0", 0xffffffff80000000, 0, 0x80000000)
