# SPDX-License-Identifier: GPL-2.0-or-later
# Records where tasks are put and moved on this machine. $1: where the recordings go.
cd /sys/kernel/tracing || exit
echo 0 >tracing_on
echo 32768 >buffer_size_kb
for event in switch wakeup wakeup_new migrate_task; do
	echo 1 >events/sched/sched_$event/enable || exit
done
# A task that makes $1 others, which want to run for $2 seconds.
children() {
	perl -e '
		use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
		$0 = "parent";
		($n, $s) = @ARGV;
		$end = clock_gettime(CLOCK_MONOTONIC) + $s;
		for (1..$n) {
			next if fork;
			1 while clock_gettime(CLOCK_MONOTONIC) < $end;
			exit;
		}
		1 while wait > 0' "$1" "$2"
}
pair() {
	perl -e '
		$0 = "parent";
		pipe(A, B); pipe(C, D);
		if (fork) { for (1..300) { syswrite(B, "x"); sysread(C, $x, 1) } }
		else { for (1..300) { sysread(A, $x, 1); syswrite(D, "x") } exit }
		wait'
}
burst() {
	perl -e '
		$0 = "parent";
		for $n (0..7) {
			pipe($r[$n], $w[$n]);
			next if fork;
			for (1..25) { sysread($r[$n], $x, 1); $y = 0; $y++ while $y < 1200 }
			exit;
		}
		select(undef, undef, undef, 0.1);
		for (1..25) { syswrite($_, "x") for @w; select(undef, undef, undef, 0.012) }
		1 while wait > 0'
}
record() {
	into=$1
	shift
	sleep 0.3
	echo >trace
	echo 1 >tracing_on
	"$@"
	echo 0 >tracing_on
	cat trace >"$into"
}
perl -e 'use Time::HiRes'
record "$1/spread" children 4 0.3
record "$1/full" children 8 0.8
record "$1/shared" children 12 1.2
record "$1/pair" pair
record "$1/burst" burst
