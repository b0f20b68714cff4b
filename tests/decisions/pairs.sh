# SPDX-License-Identifier: GPL-2.0-or-later
# Three pairs that talk through pipes, and two that always run.
perl -e '
	use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
	$end = clock_gettime(CLOCK_MONOTONIC) + 0.4;
	for (1..2) { next if fork; 1 while clock_gettime(CLOCK_MONOTONIC) < $end; exit }
	for (1..3) {
		next if fork;
		pipe(A, B); pipe(C, D);
		if (fork) { for (1..60) { syswrite(B, "x"); sysread(C, $x, 1); $y = 0; $y++ while $y < 500 } wait; exit }
		for (1..60) { sysread(A, $x, 1); $y = 0; $y++ while $y < 900; syswrite(D, "x") }
		exit;
	}
	1 while wait > 0'
