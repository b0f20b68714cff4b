# SPDX-License-Identifier: GPL-2.0-or-later
# Groups in groups: tasks that always want to run, tasks that sleep, and children of tasks in groups.
perl -I"$here" -MGroups -e '
	group "left", 300;
	group "right", 100;
	group "left/high", 1000;
	group "left/low", 130;
	group "left/low/deep", 100;
	group "left/low/sleepy", 7;
	child "left/high", sub { burn 40000 };
	child "left/low/deep", sub { burn 40000 };
	child "left/low/deep", sub {
		for (1..6) {
			burn 2000;
			fork or do { burn 3000; exit };
		}
		1 while wait > 0;
	};
	child "right", sub { burn 40000 } for 1..2;
	child "left/low/sleepy", sub { for (1..10) { burn 500; nap 2 } };
	child "left/high", sub { for (1..15) { burn 900; nap 2 } };
	finish;
'
