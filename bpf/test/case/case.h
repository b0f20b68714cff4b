/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: small programs that say in the same place what they must return. Each runs by itself,
 * on the kernel as a syscall program and on both engines, and all three must agree with it.
 */
#pragma once

#include <rota/types.h>

/*
 * A program that must return a number, in decimal digits, of 32 bits. A program may be compiled to
 * what the verifier already knows, so what is to be executed has to depend on unknown(...).
 */
#define CASE(name, expected) __remark("expect:" #expected) SEC("syscall") int name(void *ctx)

/* The same, so many milliseconds after the one before it. */
#define CASE_AFTER(name, milliseconds, expected)                                                   \
	__remark("after:" #milliseconds) CASE(name, expected)

/* A value that neither the compiler nor the verifier knows. */
#define unknown(value)                                                                             \
	({                                                                                         \
		static volatile typeof(value) __unknown = value;                                   \
		__unknown;                                                                         \
	})

/*
 * Executes instructions with two values in r0 and r1; r0 must then hold a third, in 64 bits. They
 * may use r2 and r3 too.
 */
#define CASE_INSN(name, insns, left, right, expected)                                              \
	CASE(name, 1)                                                                              \
	{                                                                                          \
		u64 l = unknown((u64)(left)), r = unknown((u64)(right));                           \
                                                                                                   \
		asm volatile("r0 = %[l]; r1 = %[r];" insns "; %[l] = r0"                           \
		             : [l] "+r"(l)                                                         \
		             : [r] "r"(r)                                                          \
		             : "r0", "r1", "r2", "r3");                                            \
		return l == (u64)(expected);                                                       \
	}

/* Whether a jump is taken: the condition is that of the jump, on r0 and r1 or w0 and w1. */
#define CASE_JUMP(name, condition, left, right, taken)                                             \
	CASE_INSN(name, "r2 = 1; if " condition " goto 1f; r2 = 0; 1: r0 = r2", left, right, taken)
