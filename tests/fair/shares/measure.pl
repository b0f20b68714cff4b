# SPDX-License-Identifier: GPL-2.0-or-later
# How groups of tasks share the CPUs of this machine: for each scenario a line with the CPU time that
# each group of it had, in us.
use FindBin;
use lib "$FindBin::Bin/..";
use Groups;
use Time::HiRes;

sub used {
	open my $in, "<", "/sys/fs/cgroup/$_[0]/cpu.stat" or die "$_[0]: $!";
	my ($us) = join("", <$in>) =~ /usage_usec (\d+)/;
	return $us;
}

# Tasks of groups, each of which has a number of them that do something.
sub measure {
	my ($name, @groups) = @_;
	my @pids;
	for (@groups) {
		my ($group, $count, $does) = @$_;
		push @pids, child $group, $does for 1..$count;
	}
	nap 500;
	my @before = map { used $_->[0] } @groups;
	nap 3000;
	my @after = map { used $_->[0] } @groups;
	print join(" ", $name, map { $after[$_] - $before[$_] } 0..$#groups), "\n";
	kill KILL => @pids;
	finish;
}

my $hog = sub { 1 while 1 };
# Three of four ms.
my $sleeper = sub { while (1) { burn 4000; nap 1 } };

group "one", 100;
group "two", 300;
measure "two", ["one", 16, $hog], ["two", 16, $hog];

group "one", 300;
group "two", 100;
measure "few", ["one", 2, $hog], ["two", 16, $hog];

group "around", 300;
group "two", 100;
group "around/one", 100;
group "around/two", 300;
measure "nested", ["around/one", 8, $hog], ["around/two", 8, $hog], ["two", 16, $hog];

group "one", 100;
group "two", 300;
measure "sleepers", ["one", 12, $hog], ["two", 16, $sleeper];
