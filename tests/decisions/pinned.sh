# SPDX-License-Identifier: GPL-2.0-or-later
# Tasks that may use some CPUs only sleep and run; then they may use others.
perl -e '
	@cpus = ("0", "0,1", "2,3", "0-3", "4-7", "1,6", "3,4,5", "7", "2,5", "6,7");
	for $n (0..9) {
		if (!($pid[$n] = fork)) {
			$0 = "pinned";
			for (1..18) { $y = 0; $y++ while $y < 800 + 1500 * ($n % 4); select(undef, undef, undef, 0.003 + 0.002 * ($n % 3)) }
			$y = 0; $y++ while $y < 60000;
			exit;
		}
		system("taskset", "-cp", $cpus[$n], $pid[$n]);
	}
	select(undef, undef, undef, 0.1);
	system("taskset", "-cp", $cpus[($_ + 3) % 10], $pid[$_]) for (0..9);
	1 while wait > 0'
true
