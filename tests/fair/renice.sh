# SPDX-License-Identifier: GPL-2.0-or-later
# Tasks that always want to run, and get other nice values meanwhile.
pids=
for i in 1 2 3; do
	(j=0; while [ $j -lt 900 ]; do j=$((j + 1)); done) &
	pids="$pids $!"
done
renice -n 5 -p $pids
renice -n -5 -p $pids
wait
