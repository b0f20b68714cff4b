/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moves that extend a sign, and swaps of bytes. */
#include "case.h"

LICENSE_GPL;

/* Moves with sign extension */
CASE_INSN(movsx8_64_0, "r0 = (s8)r1", 5, 0x123456789abcdef0, 0xfffffffffffffff0)
CASE_INSN(movsx8_64_1, "r0 = (s8)r1", 5, 0x7f7f7f7f7f7f7f7f, 0x7f)
CASE_INSN(movsx8_64_2, "r0 = (s8)r1", 5, 0x8080808080808080, 0xffffffffffffff80)
CASE_INSN(movsx16_64_0, "r0 = (s16)r1", 5, 0x123456789abcdef0, 0xffffffffffffdef0)
CASE_INSN(movsx16_64_1, "r0 = (s16)r1", 5, 0x7f7f7f7f7f7f7f7f, 0x7f7f)
CASE_INSN(movsx16_64_2, "r0 = (s16)r1", 5, 0x8080808080808080, 0xffffffffffff8080)
CASE_INSN(movsx32_64_0, "r0 = (s32)r1", 5, 0x123456789abcdef0, 0xffffffff9abcdef0)
CASE_INSN(movsx32_64_1, "r0 = (s32)r1", 5, 0x7f7f7f7f7f7f7f7f, 0x7f7f7f7f)
CASE_INSN(movsx32_64_2, "r0 = (s32)r1", 5, 0x8080808080808080, 0xffffffff80808080)
CASE_INSN(movsx8_32_0, "w0 = (s8)w1", 5, 0x123456789abcdef0, 0xfffffff0)
CASE_INSN(movsx8_32_1, "w0 = (s8)w1", 5, 0x7f7f7f7f7f7f7f7f, 0x7f)
CASE_INSN(movsx8_32_2, "w0 = (s8)w1", 5, 0x8080808080808080, 0xffffff80)
CASE_INSN(movsx16_32_0, "w0 = (s16)w1", 5, 0x123456789abcdef0, 0xffffdef0)
CASE_INSN(movsx16_32_1, "w0 = (s16)w1", 5, 0x7f7f7f7f7f7f7f7f, 0x7f7f)
CASE_INSN(movsx16_32_2, "w0 = (s16)w1", 5, 0x8080808080808080, 0xffff8080)

/* The unconditional swap */
CASE_INSN(bswap16, "r0 = bswap16 r0", 0x8123456789abcdef, 0, 0xefcd)
CASE_INSN(bswap32, "r0 = bswap32 r0", 0x8123456789abcdef, 0, 0xefcdab89)
CASE_INSN(bswap64, "r0 = bswap64 r0", 0x8123456789abcdef, 0, 0xefcdab8967452381)

/* To big-endian: a swap here. To little-endian: only what is above is cut off. */
CASE_INSN(be16, "r0 = be16 r0", 0x8123456789abcdef, 0, 0xefcd)
CASE_INSN(le16, "r0 = le16 r0", 0x8123456789abcdef, 0, 0xcdef)
CASE_INSN(be32, "r0 = be32 r0", 0x8123456789abcdef, 0, 0xefcdab89)
CASE_INSN(le32, "r0 = le32 r0", 0x8123456789abcdef, 0, 0x89abcdef)
CASE_INSN(be64, "r0 = be64 r0", 0x8123456789abcdef, 0, 0xefcdab8967452381)
CASE_INSN(le64, "r0 = le64 r0", 0x8123456789abcdef, 0, 0x8123456789abcdef)
