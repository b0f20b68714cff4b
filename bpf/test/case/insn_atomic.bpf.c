/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Atomics in 64 and 32 bits, with and without the old value, and loads and stores with an order.
 * The old value of a 32-bit atomic clears the upper half of its register.
 */
#include "case.h"

LICENSE_GPL;

/* r0 holds what is in memory at first, r1 the operand; r2 is the address. */
#define CASE_ATOMIC(name, insns, left, right, expected)                                            \
	CASE_INSN(name, "*(u64 *)(r10 - 8) = r0; r2 = r10; r2 += -8;" insns, left, right, expected)
#define THEN_MEMORY "; r0 = *(u64 *)(r10 - 8)"
#define THEN_OLD    "; r0 = r1"
#define TOP         0x8000000000000000
#define MIX         0x123456789abcdef0

CASE_ATOMIC(add64, "lock *(u64 *)(r2 + 0) += r1" THEN_MEMORY, ~0ULL, 3, 2)
CASE_ATOMIC(add32, "lock *(u32 *)(r2 + 0) += w1" THEN_MEMORY, ~0ULL, 3, 0xffffffff00000002)
CASE_ATOMIC(or64, "lock *(u64 *)(r2 + 0) |= r1" THEN_MEMORY, MIX, TOP, TOP | MIX)
CASE_ATOMIC(or32, "lock *(u32 *)(r2 + 0) |= w1" THEN_MEMORY, MIX, TOP | 0xf, MIX | 0xf)
CASE_ATOMIC(and64, "lock *(u64 *)(r2 + 0) &= r1" THEN_MEMORY, MIX, 0xff00, 0xde00)
CASE_ATOMIC(and32, "lock *(u32 *)(r2 + 0) &= w1" THEN_MEMORY, MIX, 0xff00, 0x123456780000de00)
CASE_ATOMIC(xor64, "lock *(u64 *)(r2 + 0) ^= r1" THEN_MEMORY, MIX, ~0ULL, ~MIX)
CASE_ATOMIC(xor32, "lock *(u32 *)(r2 + 0) ^= w1" THEN_MEMORY, MIX, ~0ULL, MIX ^ 0xffffffff)

CASE_ATOMIC(fetch_add64, "r1 = atomic_fetch_add((u64 *)(r2 + 0), r1)" THEN_OLD, MIX, 3, MIX)
CASE_ATOMIC(fetch_add64_memory, "r1 = atomic_fetch_add((u64 *)(r2 + 0), r1)" THEN_MEMORY, MIX, 3,
            MIX + 3)
CASE_ATOMIC(fetch_add32, "w1 = atomic_fetch_add((u32 *)(r2 + 0), w1)" THEN_OLD, MIX, 3, 0x9abcdef0)
CASE_ATOMIC(fetch_or64, "r1 = atomic_fetch_or((u64 *)(r2 + 0), r1)" THEN_OLD, MIX, 3, MIX)
CASE_ATOMIC(fetch_or32, "w1 = atomic_fetch_or((u32 *)(r2 + 0), w1)" THEN_OLD, MIX, 3, 0x9abcdef0)
CASE_ATOMIC(fetch_or_memory, "r1 = atomic_fetch_or((u64 *)(r2 + 0), r1)" THEN_MEMORY, MIX, 3,
            MIX | 3)
CASE_ATOMIC(fetch_and64, "r1 = atomic_fetch_and((u64 *)(r2 + 0), r1)" THEN_OLD, MIX, 3, MIX)
CASE_ATOMIC(fetch_and32, "w1 = atomic_fetch_and((u32 *)(r2 + 0), w1)" THEN_OLD, MIX, 3, 0x9abcdef0)
CASE_ATOMIC(fetch_and_memory, "r1 = atomic_fetch_and((u64 *)(r2 + 0), r1)" THEN_MEMORY, MIX, 0xff,
            0xf0)
CASE_ATOMIC(fetch_xor64, "r1 = atomic_fetch_xor((u64 *)(r2 + 0), r1)" THEN_OLD, MIX, 3, MIX)
CASE_ATOMIC(fetch_xor32, "w1 = atomic_fetch_xor((u32 *)(r2 + 0), w1)" THEN_OLD, MIX, 3, 0x9abcdef0)
CASE_ATOMIC(fetch_xor_memory, "r1 = atomic_fetch_xor((u64 *)(r2 + 0), r1)" THEN_MEMORY, MIX, ~0ULL,
            ~MIX)
CASE_ATOMIC(xchg64, "r1 = xchg_64(r2 + 0, r1)" THEN_OLD, MIX, 3, MIX)
CASE_ATOMIC(xchg64_memory, "r1 = xchg_64(r2 + 0, r1)" THEN_MEMORY, MIX, 3, 3)
CASE_ATOMIC(xchg32, "w1 = xchg32_32(r2 + 0, w1)" THEN_OLD, MIX, 3, 0x9abcdef0)
CASE_ATOMIC(xchg32_memory, "w1 = xchg32_32(r2 + 0, w1)" THEN_MEMORY, MIX, 3, 0x1234567800000003)

/* Compare and exchange: r0 is compared, and gets the old value either way. */
CASE_ATOMIC(cmpxchg64_hit, "r0 = cmpxchg_64(r2 + 0, r0, r1)" THEN_MEMORY, MIX, 3, 3)
CASE_ATOMIC(cmpxchg64_miss, "r0 = 1; r0 = cmpxchg_64(r2 + 0, r0, r1)" THEN_MEMORY, MIX, 3, MIX)
CASE_ATOMIC(cmpxchg64_old, "r0 = 1; r0 = cmpxchg_64(r2 + 0, r0, r1)", MIX, 3, MIX)
CASE_ATOMIC(cmpxchg32_hit, "w0 = cmpxchg32_32(r2 + 0, w0, w1)" THEN_MEMORY, MIX, 3,
            0x1234567800000003)
CASE_ATOMIC(cmpxchg32_miss, "r0 = 1; w0 = cmpxchg32_32(r2 + 0, w0, w1)" THEN_MEMORY, MIX, 3, MIX)
CASE_ATOMIC(cmpxchg32_old, "r0 = 1; w0 = cmpxchg32_32(r2 + 0, w0, w1)", MIX, 3, 0x9abcdef0)

/*
 * Loads that acquire and stores that release, from r2 and to r2. The assembler of clang 19 has no
 * words for them: code, registers and offset, and the kind as the immediate.
 */
#define ACQUIRE(code) ".8byte 0x00000100000020" #code
#define RELEASE(code) ".8byte 0x00000110000012" #code

CASE_ATOMIC(acquire64, ACQUIRE(db), MIX, 0, MIX)
CASE_ATOMIC(acquire32, ACQUIRE(c3), MIX, 0, 0x9abcdef0)
CASE_ATOMIC(acquire16, ACQUIRE(cb), MIX, 0, 0xdef0)
CASE_ATOMIC(acquire8, ACQUIRE(d3), MIX, 0, 0xf0)
CASE_ATOMIC(release64, RELEASE(db) THEN_MEMORY, MIX, TOP, TOP)
CASE_ATOMIC(release32, RELEASE(c3) THEN_MEMORY, MIX, 1, 0x1234567800000001)
CASE_ATOMIC(release16, RELEASE(cb) THEN_MEMORY, MIX, 1, 0x123456789abc0001)
CASE_ATOMIC(release8, RELEASE(d3) THEN_MEMORY, MIX, 1, 0x123456789abcde01)
