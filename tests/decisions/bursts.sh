# SPDX-License-Identifier: GPL-2.0-or-later
# Ten that sleep are woken in bursts, some of them twice, beside one that always runs.
perl -e '
	use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
	$end = clock_gettime(CLOCK_MONOTONIC) + 0.6;
	if (!fork) { 1 while clock_gettime(CLOCK_MONOTONIC) < $end; exit }
	for $n (0..9) {
		pipe($r[$n], $w[$n]);
		next if fork;
		for (1..12) { sysread($r[$n], $x, 1); $y = 0; $y++ while $y < 1000 + 900 * $n }
		exit;
	}
	select(undef, undef, undef, 0.05);
	for (1..12) {
		syswrite($_, "x") for @w;
		select(undef, undef, undef, 0.02);
	}
	1 while wait > 0'
