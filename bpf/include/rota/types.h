/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Integers, and the words that place things where the loader looks for them. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;
typedef _Bool bool;

#define true  1
#define false 0
#define NULL  ((void *)0)

#define SEC(name)       __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))
#define __weak          __attribute__((weak))

/* A remark in the type information. */
#define __remark(text) __attribute__((btf_decl_tag(text)))

/* A structure that Rust reads: struct SHARED name { ... }; its Rust type is generated. */
#define SHARED __remark("shared")

/* A symbol of the kernel; with __weak it may be missing, and its address is then zero. */
#define __ksym __attribute__((section(".ksyms")))
/* The address of a weak symbol, kept away from the compiler, which would think it never zero. */
#define ksym_exists(symbol)                                                                        \
	({                                                                                         \
		_Static_assert(!__builtin_constant_p(!!symbol), #symbol " must be __weak");        \
		!!symbol;                                                                          \
	})

/* Members of a map definition: a number, or a type. */
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name

/* The licence that most kernel functions ask for. */
#define LICENSE_GPL char _license[] SEC("license") = "GPL"

/* True if a comes before b, for clocks and virtual times that may wrap. */
static __always_inline bool time_before(u64 a, u64 b)
{
	return (s64)(a - b) < 0;
}
