# SPDX-License-Identifier: GPL-2.0-or-later
# What the scripts with cgroups have in common: one process makes groups and tasks, so that nothing
# is read from files meanwhile.
package Groups;
use base "Exporter";
our @EXPORT = qw(group set enter child burn nap finish);
my $top = "/sys/fs/cgroup";
my @made;

sub set {
	my ($file, $text) = @_;
	open my $out, ">", "$top/$file" or die "$file: $!";
	print $out $text;
	close $out or die "$file: $!";
}

# Makes a group with a weight.
sub group {
	my ($path, $weight) = @_;
	my $around = $path =~ m{(.*)/} ? $1 : ".";
	set("$around/cgroup.subtree_control", "+cpu");
	mkdir "$top/$path" or die "$path: $!";
	push @made, $path;
	set("$path/cpu.weight", $weight);
}

# Who calls this goes into a group.
sub enter { set("$_[0]/cgroup.procs", 0) }

# A task in a group that does something and ends.
sub child {
	my ($group, $does) = @_;
	my $pid = fork;
	return $pid if $pid;
	enter($group);
	$does->();
	exit;
}

# Computes for so many rounds, or sleeps for so many ms.
sub burn { my $i = 0; $i++ while $i < $_[0] }
sub nap { select undef, undef, undef, $_[0] / 1000 }

# Waits for all tasks, and removes the groups.
sub finish {
	enter(".");
	1 while wait > 0;
	rmdir "$top/$_" for reverse @made;
}

# The machine is idle before the first group is made. A move does not wait for all CPUs.
system "mount -o remount,favordynmods $top";
nap(20);
1;
