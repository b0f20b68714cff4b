/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Running averages of something that is on or off, such as a task that wants to run: what it was
 * a time ago counts half as much with every half-life.
 *
 * With a(t) the average and s what was so for a time d since, the average is then
 *
 *	a(t + d) = s + (a(t) - s) * 2^(-d / half-life)
 *
 * in parts of AVERAGE_ONE. Fractions of a half-life come from a table of sixteenths, with straight
 * lines between, so it is at most 26 parts too much, and less than one too little.
 */
#pragma once

#include <rota/types.h>

#define AVERAGE_ONE 65536

struct SHARED average {
	u64 at_ns; /* until when it is counted */
	u32 parts; /* of AVERAGE_ONE */
	u32 on;    /* what has been so since then */
};

/* 2^(-i / 16) in parts of 65536, rounded. */
static const u32 average_sixteenths[17] = {
	65536, 62757, 60097, 57549, 55109, 52773, 50535, 48393, 46341,
	44376, 42495, 40693, 38968, 37316, 35734, 34219, 32768,
};

/* 2^(-ns / half_life_ns) in parts of 65536. */
static __always_inline u32 average_left(u64 ns, u64 half_life_ns)
{
	u64 halves = ns / half_life_ns;
	u64 sixteenths, at, between;

	if (halves >= 16)
		return 0;
	sixteenths = (ns % half_life_ns) * 16 * 256 / half_life_ns; /* in parts of 256 */
	at = sixteenths >> 8 & 15;
	between = sixteenths & 255;
	return (average_sixteenths[at] * (256 - between) + average_sixteenths[at + 1] * between) >>
	       (8 + halves);
}

/* Counts until now, and what is so from now on. */
static __always_inline void average_set(struct average *average, u64 now_ns, bool on,
                                        u64 half_life_ns)
{
	s64 so = average->on ? AVERAGE_ONE : 0;

	if (time_before(average->at_ns, now_ns)) {
		s64 left = average_left(now_ns - average->at_ns, half_life_ns);

		average->parts = so + (((s64)average->parts - so) * left >> 16);
		average->at_ns = now_ns;
	}
	average->on = on;
}
