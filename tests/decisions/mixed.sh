# SPDX-License-Identifier: GPL-2.0-or-later
# Twelve that run and sleep for random times, of different nice values.
perl -e '
	for $n (0..11) {
		next if fork;
		srand($n);
		setpriority(0, 0, (0, 10, 0, -5)[$n % 4]);
		for (1..22) {
			$y = 0; $m = rand(12000); $y++ while $y < $m;
			select(undef, undef, undef, rand(0.012));
		}
		exit;
	}
	1 while wait > 0'
