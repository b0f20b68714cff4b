# SPDX-License-Identifier: GPL-2.0-or-later
# Tasks of five nice values that always want to run.
for nice in 0 19 -20 5 -5; do
	nice -n $nice sh -c 'i=0; while [ $i -lt 200 ]; do i=$((i + 1)); done' &
done
wait
