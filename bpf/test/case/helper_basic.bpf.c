/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Helpers that need no map: time, random numbers, CPUs, reading memory, text. */
#include "case.h"
#include <rota/map.h>

LICENSE_GPL;

static u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static u32 (*const bpf_get_prandom_u32)(void) = (void *)7;
static long (*const bpf_probe_read_kernel)(void *dst, u32 size, const void *src) = (void *)113;
static long (*const bpf_probe_read_kernel_str)(void *dst, u32 size, const void *src) = (void *)115;
static u64 (*const bpf_ktime_get_boot_ns)(void) = (void *)125;
static u64 (*const bpf_jiffies64)(void) = (void *)118;
static long (*const bpf_get_numa_node_id)(void) = (void *)42;
static u64 (*const bpf_ktime_get_tai_ns)(void) = (void *)208;
static long (*const bpf_snprintf)(char *out, u32 size, const char *format, u64 *words,
                                  u32 bytes) = (void *)165;
static long (*const bpf_strncmp)(const char *one, u32 size, const char *other) = (void *)182;

CASE(time_goes_on, 1)
{
	u64 first = bpf_ktime_get_ns(), second = bpf_ktime_get_ns();

	return first && second >= first;
}

CASE(who_waits_for_time_to_pass_gets_on, 1)
{
	u64 first = bpf_ktime_get_ns();
	u32 i;

	for (i = 0; i < 1000; i++)
		if (bpf_ktime_get_ns() > first)
			return 1;
	return 0;
}

CASE(other_clocks, 1)
{
	return bpf_ktime_get_boot_ns() && bpf_jiffies64() && bpf_ktime_get_tai_ns();
}

/* The machines of these tests have one. */
CASE(node, 0)
{
	return bpf_get_numa_node_id();
}

CASE(random_numbers_differ, 1)
{
	u32 first = bpf_get_prandom_u32(), i;

	for (i = 0; i < 8; i++)
		if (bpf_get_prandom_u32() != first)
			return 1;
	return 0;
}

static u64 number = 0x123456789abcdef0;
static char text[16] = "twelve chars";

CASE(read_memory, 1)
{
	u64 copy = 0;

	return !bpf_probe_read_kernel(&copy, sizeof(copy), &number) && copy == number;
}

/* What can't be an address of the kernel is out of range, and what could not be read is zero. */
CASE(read_nothing, -34) /* ERANGE */
{
	u64 copy = unknown(5);
	long result = bpf_probe_read_kernel(&copy, sizeof(copy), (void *)unknown(0ULL));

	return copy ? 99 : result;
}

CASE(read_text, 13)
{
	char copy[32];
	long length = bpf_probe_read_kernel_str(copy, sizeof(copy), text);

	return copy[11] == 's' && !copy[12] ? length : 99;
}

CASE(read_text_cut, 4)
{
	char copy[4];
	long length = bpf_probe_read_kernel_str(copy, sizeof(copy), text);

	return copy[2] == 'e' && !copy[3] ? length : 99;
}

static const char twelve[] = "twelve", format[] = "%d %s %llx";

CASE(same_text, 0)
{
	return bpf_strncmp(text, 6, twelve);
}

CASE(greater_text, 1)
{
	return bpf_strncmp(text, 8, twelve) > 0;
}

CASE(print, 21)
{
	char line[32];
	u64 words[3] = {(u64)-5, 0, 0xfeedfacecaULL}, at = (u64)twelve;
	long length;

	/* Left to itself the compiler makes a constant of the array, with an address in it. */
	asm volatile("" : "+r"(at));
	words[1] = at;
	length = bpf_snprintf(line, sizeof(line), format, words, sizeof(words));
	return line[0] == '-' && line[3] == 't' && line[10] == 'f' && !line[20] ? length : 99;
}
