# SPDX-License-Identifier: GPL-2.0-or-later
# Groups of different weights: with one, two and three tasks that always want to run, with tasks that
# sleep, and one task in no group.
perl -I"$here" -MGroups -e '
	group "one", 100;
	group "two", 300;
	group "three", 50;
	group "sleepers", 100;
	set "sleepers/cpu.weight.nice", -3;
	child "one", sub { burn 60000 };
	child "two", sub { burn 60000 } for 1..2;
	for my $nice (2, 5, -4) {
		child "three", sub { setpriority 0, 0, $nice; burn 20000 };
	}
	for my $ms (1, 3) {
		child "sleepers", sub { for (1..15) { burn 800; nap $ms } };
	}
	child ".", sub { burn 60000 };
	finish;
'
