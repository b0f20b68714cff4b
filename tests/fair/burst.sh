# SPDX-License-Identifier: GPL-2.0-or-later
# A task that wakes ten others at once, of different nice values, again and again.
perl -e '
	for my $n (0..9) {
		pipe($r[$n], $w[$n]);
		next if fork;
		setpriority(0, 0, 2 * $n - 9);
		for (1..6) { sysread($r[$n], $x, 1); $y = 0; $y++ while $y < 100 * $n }
		exit;
	}
	for (1..6) { syswrite($_, "x") for @w; select(undef, undef, undef, 0.012) }
	1 while wait > 0;'
