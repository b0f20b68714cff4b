# SPDX-License-Identifier: GPL-2.0-or-later
# How groups of tasks share the CPUs of this machine: for each scenario, or for those that are named, a
# line with the CPU time that the tasks of each group had, in ns.
use FindBin;
use lib "$FindBin::Bin/..";
use Groups;

# The CPU time of tasks, in ns.
sub used {
	my $all = 0;
	for (@_) {
		open my $in, "<", "/proc/$_/schedstat" or die "$_: $!";
		$all += (split " ", <$in>)[0];
	}
	return $all;
}

# Groups with weights, each of which has a number of tasks that do something; that of no weight is
# the one around all others.
sub measure {
	my ($name, @groups) = @_;
	return if @ARGV && !grep { $_ eq $name } @ARGV;
	for (@groups) {
		my ($path, $weight) = @$_;
		group $path, $weight if $weight;
	}
	my @tasks;
	for (grep { $_->[2] } @groups) {
		my ($path, $weight, $count, $does) = @$_;
		push @tasks, [map { child $path, $does } 1..$count];
	}
	nap 500;
	my @before = map { used @$_ } @tasks;
	nap 3000;
	my @after = map { used @$_ } @tasks;
	print join(" ", $name, map { $after[$_] - $before[$_] } 0..$#tasks), "\n";
	kill KILL => @$_ for @tasks;
	finish;
}

my $hog = sub { 1 while 1 };
# Three of four ms.
my $sleeper = sub { while (1) { burn 4000; nap 1 } };

measure "two", ["one", 100, 16, $hog], ["two", 300, 16, $hog];
measure "few", ["one", 300, 2, $hog], ["two", 100, 16, $hog];
measure "nested", ["around", 300, 0], ["around/one", 100, 8, $hog], ["around/two", 300, 8, $hog],
	["two", 100, 16, $hog];
measure "sleepers", ["one", 100, 12, $hog], ["two", 300, 16, $sleeper];
measure "beside", [".", 0, 16, $hog], ["one", 100, 16, $hog];
measure "light", [".", 0, 8, $hog], ["one", 25, 3, $hog];
