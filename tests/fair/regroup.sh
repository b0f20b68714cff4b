# SPDX-License-Identifier: GPL-2.0-or-later
# Tasks that run, wait and sleep are put into other groups, get other nice values, and their groups
# other weights.
perl -I"$here" -MGroups -e '
	group $_, 100 for qw(one two two/inner two/other);
	my @groups = qw(two/inner one two/other .);
	pipe my $in, my $out;
	my @pids = map { child $_, sub { burn 90000 } } qw(one two/inner);
	push @pids, map { my $ms = $_; child ".", sub {
		# It has soon had too much, so that it is delayed for long.
		setpriority 0, 0, 9;
		for (1..40) {
			burn 1500;
			syswrite $out, ".";
			nap $ms;
		}
	} } 5, 10;
	my $weight = 40;
	for my $round (0..39) {
		# One of them is about to sleep.
		sysread $in, my $byte, 1;
		nap 0.2;
		set "$groups[($round + $_) % 4]/cgroup.procs", $pids[$_] for 0..3;
		$weight = $weight * 2 % 997;
		set "one/cpu.weight", $weight;
		set "two/cpu.weight", 1000 - $weight;
		set "two/inner/cpu.weight.nice", $round % 40 - 20;
		# The one that does this is in a group as well.
		enter $groups[$round % 4];
		setpriority 0, $pids[$round % 4], $round % 15;
	}
	finish;
'
