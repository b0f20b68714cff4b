# SPDX-License-Identifier: GPL-2.0-or-later
# Three tasks that always want to run.
hog() {
	i=0
	while [ $i -lt 400 ]; do i=$((i + 1)); done
}
hog &
hog &
hog &
wait
