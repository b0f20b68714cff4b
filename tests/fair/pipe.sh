# SPDX-License-Identifier: GPL-2.0-or-later
# Two tasks that wake each other through pipes, beside one that always wants to run.
perl -e '
	pipe(A, B); pipe(C, D);
	if (fork) { for (1..40) { syswrite(B, "x"); sysread(C, $x, 1) } }
	else { for (1..40) { sysread(A, $x, 1); syswrite(D, "x") } }' &
i=0
while [ $i -lt 1000 ]; do i=$((i + 1)); done
wait
