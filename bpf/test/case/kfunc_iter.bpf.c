/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loops over numbers and over CPUs, with iterators. */
#include "case.h"

#include <rota/loop.h>

LICENSE_GPL;

/* The sum of the numbers from start to end, not included; or what new() said. */
static s32 sum(s32 start, s32 end)
{
	struct bpf_iter_num it;
	s32 *number, total = 0, error = bpf_iter_num_new(&it, start, end);

	while ((number = bpf_iter_num_next(&it)))
		total += *number;
	bpf_iter_num_destroy(&it);
	return error ?: total;
}

CASE(numbers, 45)
{
	return sum(0, unknown(10));
}

CASE(negative_numbers, -6)
{
	return sum(unknown(-3), 0);
}

CASE(no_number, 0)
{
	return sum(unknown(5), 5);
}

CASE(backwards, -22) /* EINVAL */
{
	return sum(unknown(5), 4);
}

CASE(too_many, -7) /* E2BIG */
{
	return sum(0, unknown(1 << 24));
}
