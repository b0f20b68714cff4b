/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Running averages of something that is on or off, such as a task that runs or sleeps: what it was
 * a time ago counts half as much with every half-life. Time may be left out.
 *
 * Time is gathered until it is a sixteenth of a half-life or more, so that however short the turns
 * are, none is lost. With a the average before and s the part of a time d for which it was on, the
 * average is then
 *
 *	s + (a - s) * 2^(-d / half-life)
 *
 * in parts of AVERAGE_ONE. Fractions of a half-life come from a table of sixteenths, with straight
 * lines between, so what is left is at most 26 parts too much, and less than one too little.
 */
#pragma once

#include <rota/types.h>

#define AVERAGE_ONE 65536

/* What is so from a moment on. */
enum average_state {
	AVERAGE_OFF,
	AVERAGE_ON,
	AVERAGE_LEFT_OUT,
};

struct SHARED average {
	u64 at_ns;       /* until when it is gathered */
	u64 counted_ns;  /* time that is in the average */
	u64 gathered_ns; /* time that is not yet, */
	u64 gathered_on; /* and for how many ns of it it was on */
	u32 parts;       /* the average, of AVERAGE_ONE */
	u32 state;       /* what has been so since at_ns */
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

/* The part of a time for which it was on, of AVERAGE_ONE. */
static __always_inline u32 average_part(u64 on_ns, u64 ns)
{
	if (on_ns >= ns)
		return AVERAGE_ONE;
	/* Long times have digits to spare. */
	return ns >> 32 ? on_ns / (ns >> 16) : on_ns * AVERAGE_ONE / ns;
}

/* Gathers until now, and what is so from now on. */
static __always_inline void average_set(struct average *average, u64 now_ns,
                                        enum average_state state, u64 half_life_ns)
{
	u64 ns = time_before(average->at_ns, now_ns) ? now_ns - average->at_ns : 0;

	if (average->state != AVERAGE_LEFT_OUT) {
		average->gathered_ns += ns;
		if (average->state == AVERAGE_ON)
			average->gathered_on += ns;
	}
	if (average->gathered_ns > half_life_ns / 16) {
		s64 so = average_part(average->gathered_on, average->gathered_ns);
		s64 left = average_left(average->gathered_ns, half_life_ns);

		average->parts = so + (((s64)average->parts - so) * left >> 16);
		average->counted_ns += average->gathered_ns;
		average->gathered_ns = average->gathered_on = 0;
	}
	average->at_ns += ns;
	average->state = state;
}
