# SPDX-License-Identifier: GPL-2.0-or-later
# Sixty tasks, most of which have little to do.
i=0
while [ $i -lt 60 ]; do
	i=$((i + 1))
	(j=0; while [ $j -lt $((i * 2)) ]; do j=$((j + 1)); done) &
done
wait
