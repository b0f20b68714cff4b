# SPDX-License-Identifier: GPL-2.0-or-later
# Fourteen that always run, of different nice values, begin on three CPUs and may then use all.
perl -e '
	use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
	system("taskset", "-cp", "0-2", $$);
	$end = clock_gettime(CLOCK_MONOTONIC) + 0.7;
	for $n (0..13) {
		next if $pid[$n] = fork;
		setpriority(0, 0, (0, 0, 5, 0, -3, 0, 2)[$n % 7]);
		1 while clock_gettime(CLOCK_MONOTONIC) < $end - 0.01 * $n;
		exit;
	}
	select(undef, undef, undef, 0.1);
	system("taskset", "-cp", "0-7", $pid[$_]) for (0..13);
	1 while wait > 0'
