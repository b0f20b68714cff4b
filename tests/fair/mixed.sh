# SPDX-License-Identifier: GPL-2.0-or-later
# Tasks that run and sleep in turn for random times, with nice values, beside one that is stopped
# and goes on.
for seed in 1 2 3; do
	nice -n $((seed * 5 - 12)) perl -e "
		srand($seed);
		for (1..10) {
			\$y = 0; \$n = rand(3000); \$y++ while \$y < \$n;
			select(undef, undef, undef, rand(0.006));
		}" &
done
(i=0; while [ $i -lt 1200 ]; do i=$((i + 1)); done) &
hog=$!
for i in 1 2; do
	sleep 0.01
	kill -STOP $hog
	sleep 0.005
	kill -CONT $hog
done
wait
