# SPDX-License-Identifier: GPL-2.0-or-later
# A task that makes others, which end soon, beside one that always wants to run.
(i=0; while [ $i -lt 1000 ]; do i=$((i + 1)); done) &
for i in 1 2 3 4 5 6; do
	(j=0; while [ $j -lt 20 ]; do j=$((j + 1)); done) &
	sh -c true
done
wait
