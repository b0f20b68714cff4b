# SPDX-License-Identifier: GPL-2.0-or-later
# Records what the fair class of this machine decides while each script here runs.
# $1: the program that records. $2: where the recordings go.
here=$(dirname "$0")
numa=/proc/sys/kernel/numa_balancing
cache=/sys/kernel/debug/sched/llc_balancing/enabled
# What the model leaves out: tasks are not drawn to their memory, or to one cache.
before=$(cat $numa) && echo 0 >$numa || exit
drawn=$(cat $cache) && echo 0 >$cache || exit
# What has to be read for the first time is read.
perl -e 'use Time::HiRes; setpriority(0, 0, 0)'
taskset -cp 0-7 $$ >/dev/null
"$1" "$2" "$here"/pairs.sh "$here"/bursts.sh "$here"/pinned.sh "$here"/forks.sh "$here"/packed.sh \
	"$here"/mixed.sh
status=$?
echo "$before" >$numa
echo "$drawn" >$cache
exit $status
