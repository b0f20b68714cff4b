# SPDX-License-Identifier: GPL-2.0-or-later
# Two tasks make short-lived others, more and more of which stay, one of them on half of the CPUs.
perl -e '
	for $who (0..1) {
		next if fork;
		system("taskset", "-cp", "1-4", $$) if $who;
		for $n (1..40) {
			if (!fork) { $y = 0; $y++ while $y < 1500 * ($n % 7) + 150 * $n; exit }
			$y = 0; $y++ while $y < 2500;
			wait if $n > 12;
		}
		1 while wait > 0;
		exit;
	}
	1 while wait > 0'
