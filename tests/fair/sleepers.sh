# SPDX-License-Identifier: GPL-2.0-or-later
# Tasks that sleep for different times, beside one that never does.
sleeper() { perl -e "for (1..$1) { select(undef, undef, undef, $2) }"; }
sleeper 20 0.001 &
sleeper 8 0.003 &
sleeper 4 0.007 &
i=0
while [ $i -lt 1500 ]; do i=$((i + 1)); done
wait
