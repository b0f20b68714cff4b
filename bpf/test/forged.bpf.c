/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that no verifier would let through: they forge what kernel functions keep in a program's
 * own memory, with numbers next to the end of all numbers. Whatever comes of it, a simulated
 * machine has to go on.
 */
#include "misuse.h"

LICENSE_GPL;

#define FORGED(name) SEC("syscall") int name(void *ctx)

struct bpf_iter_css {
	u64 __opaque[3];
};
struct bpf_iter_task {
	u64 __opaque[3];
};
struct cgroup_subsys_state {
	u64 any;
} __attribute__((preserve_access_index));

struct cgroup_subsys_state *bpf_iter_css_next(struct bpf_iter_css *it) __ksym;
struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
u64 *bpf_iter_bits_next(struct bpf_iter_bits *it) __ksym;
int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
int bpf_dynptr_adjust(const struct bpf_dynptr *p, u64 start, u64 end) __ksym;

static long (*const bpf_probe_read_kernel_str)(void *to, u32 size, const void *from) = (void *)115;
static long (*const bpf_snprintf)(char *to, u32 size, const char *format, u64 *values,
                                  u32 size_of_values) = (void *)165;
static long (*const bpf_strncmp)(const char *one, u32 size, const char *other) = (void *)182;
static long (*const bpf_dynptr_read)(void *to, u64 size, const void *from, u64 offset,
                                     u64 flags) = (void *)201;

/* Beyond what the compiler knows, the end of all addresses. */
static volatile u64 end = -1;

FORGED(css)
{
	struct bpf_iter_css it = {.__opaque = {1, 0xffffffff00000004ULL, end}};

	return bpf_iter_css_next(&it) != NULL;
}

FORGED(task)
{
	struct bpf_iter_task it = {.__opaque = {0x7fffffff7fffffffULL, 1, end}};

	return bpf_iter_task_next(&it) != NULL;
}

FORGED(bits)
{
	struct bpf_iter_bits it = {.__opaque = {end - 7, 0xfffffffdffffffffULL}};

	return bpf_iter_bits_next(&it) != NULL;
}

FORGED(bits_of_nothing)
{
	struct bpf_iter_bits it = {.__opaque = {0, 0xfffffffdffffffffULL}};

	return bpf_iter_bits_next(&it) != NULL;
}

FORGED(numbers)
{
	struct bpf_iter_num it = {.__opaque = {0x7fffffff7fffffffULL}};

	return bpf_iter_num_next(&it) != NULL;
}

FORGED(dynptr_read)
{
	struct bpf_dynptr p = {.__opaque = {end, 0xffffffff10ffffffULL}};
	u64 word;

	return bpf_dynptr_read(&word, sizeof(word), &p, 0xfffff0, 0);
}

FORGED(dynptr_adjusted)
{
	struct bpf_dynptr p = {.__opaque = {end, 0xffffffff10ffffffULL}};

	return bpf_dynptr_adjust(&p, 0xfffff0, 0xffffff);
}

FORGED(text)
{
	char to[8];

	return bpf_probe_read_kernel_str(to, sizeof(to), (void *)(end - 3));
}

FORGED(texts)
{
	return bpf_strncmp((void *)(end - 3), 64, (void *)(end - 2));
}

FORGED(values)
{
	static const char format[] = "%s %d";
	char to[8];

	return bpf_snprintf(to, sizeof(to), format, (void *)(end - 7), 16);
}

FORGED(too_many_values)
{
	static const char format[] = "%s %d";
	char to[8];

	return bpf_snprintf(to, sizeof(to), format, (void *)(end - 7), (u32)end);
}
