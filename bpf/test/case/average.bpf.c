/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Running averages, beside 2^-x reckoned elsewhere. */
#include "case.h"

#include <rota/average.h>

LICENSE_GPL;

/* What is left of 65536 after so many of a half-life's parts. */
#define LEFT(name, ns, half_life_ns, expected)                                                     \
	CASE(name, expected)                                                                       \
	{                                                                                          \
		return average_left(unknown((u64)ns), unknown((u64)half_life_ns));                 \
	}

LEFT(nothing_has_gone_by, 0, 500, 65536)
LEFT(a_half_life, 500, 500, 32768)
LEFT(half_of_one, 250, 500, 46341)
LEFT(a_quarter, 125, 500, 55109)
LEFT(a_sixteenth, 1, 16, 62757)
/* Exactly 61412; between two places of the table. */
LEFT(three_parts_of_32, 3, 32, 61427)
LEFT(nearly_sixteen, 7999, 500, 1)
LEFT(sixteen, 8000, 500, 0)
